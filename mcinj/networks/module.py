"""torch modules, traced: what a module computes for one input of the example's shape, as a network."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.assembly import Assembly, Tensor
from mcinj.networks.compare import compare
from mcinj.networks.ending import Tail, reading_of
from mcinj.networks.limits import check_weights
from mcinj.networks.module_call import Call
from mcinj.networks.module_operators import BEHIND, MOVES, OPERATORS, move
from mcinj.networks.optional import first_line, optional
from mcinj.networks.reading import Reading, shown


def network_from_module(module: Any, example_input: Any) -> Reading:
    """Network of a `torch.nn.Module` in evaluation mode.

    `example_input`: the tensor that the module takes, one input alone (a batch of 1 where it wants a batch axis). The
    module is traced by `torch.export` for this shape; all entries of the input are the network's inputs. Supported are
    operators that are affine in the input (`mcinj.networks.module_operators`) and ReLUs, leaky ones too; they may
    branch and meet again. Affine operators in a row are multiplied out exactly; a last layer without ReLU counts with
    both signs; a strictly monotone function behind it is left out. Parameters count as the numbers that they hold, and
    what the module computes from parameters alone as the numbers that torch gives. The network is compared with the
    module on random inputs. Raises `InputError` for all else.
    """
    torch = optional("torch", "torch")
    if not isinstance(example_input, torch.Tensor) or not example_input.is_floating_point():
        raise InputError("the example input of a module must be one torch tensor of floating-point numbers")
    if example_input.dtype not in (torch.float16, torch.float32, torch.float64):
        raise InputError(f"modules of type {example_input.dtype} are not traced; convert the module to float32")
    if example_input.device.type != "cpu":
        raise InputError("modules are traced on the CPU; give module.cpu() and an example input there")
    what = type(module).__name__
    example = example_input.detach()
    try:
        trace = _Trace(torch, module, example)
        read = reading_of(trace.assembly, trace.end)
        dtype = np.dtype(str(example.dtype).removeprefix("torch."))

        def evaluate(x: Any) -> Any:
            given = torch.from_numpy(x).to(example).reshape(example.shape)
            with torch.no_grad():
                return module(given).double().cpu().numpy()

        compare(trace.assembly, trace.end, read, evaluate, dtype, by="the module")
    except InputError as error:
        raise InputError(f"{what}: {error}") from None
    return read


class _Trace:
    """Walks the exported graph; `values` are the tensors that depend on the input, `end` is the output."""

    def __init__(self, torch: Any, module: Any, example: Any) -> None:
        self.torch = torch
        if any(m.training for m in module.modules()):
            raise InputError("it is in training mode; call module.eval() first")
        try:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                # Without decompositions this only replaces operators that work in place.
                program = torch.export.export(module, (example,)).run_decompositions({})
        except Exception as error:  # torch's errors have no common base
            raise InputError(f"torch.export cannot trace it: {first_line(error)}") from None
        signature = program.graph_signature
        inputs = list(signature.user_inputs)
        if len(inputs) != 1 or len(signature.user_outputs) != 1 or len(program.graph_signature.output_specs) != 1:
            raise InputError("it must take one tensor, give one tensor and change nothing of its own")
        stored = {**program.state_dict, **program.constants}
        sources = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }
        self.constants: dict[Any, Any] = {}
        self.names: dict[Any, str] = {}
        self.values: dict[Any, Any] = {}
        self.example_shape = tuple(int(d) for d in example.shape)
        self.assembly = Assembly(self.example_shape)
        output = next(node for node in program.graph.nodes if node.op == "output")
        needed = _needed(output)
        for node in program.graph.nodes:
            if node.op == "placeholder":
                if node.name in inputs:
                    self.values[node] = self.assembly.input
                elif node.name in sources and sources[node.name] in stored:
                    self.constants[node], self.names[node] = stored[sources[node.name]].detach(), sources[node.name]
                else:
                    raise InputError(f"{shown(str(node.name))} is neither its input nor a tensor of its own")
            elif node.op == "call_function":
                if node in needed:
                    self._step(node)
            elif node.op != "output":
                raise InputError(f"{node.op} {node.target} is not supported")
        end = self.values.get(output.args[0][0])
        if not isinstance(end, (Tensor, Tail)):
            raise InputError("its output does not depend on its input")
        self.end: Tensor | Tail = end

    def _step(self, node: Any) -> None:
        if all(n in self.constants for n in node.all_input_nodes):
            self.constants[node] = self._constant(node)
            self.names[node] = next((self.names[n] for n in node.all_input_nodes), node.name)
            return
        operator = str(node.target).removeprefix("aten.")
        if getattr(node.target, "__name__", "") == "getitem":
            self.values[node] = self.values[node.args[0]][node.args[1]]
            return
        if operator not in OPERATORS and operator not in MOVES:
            raise InputError(f"the operator {operator} is not supported")
        given = [self.values[n] for n in node.all_input_nodes if n in self.values]
        ends = [v for v in given if isinstance(v, Tail)]
        if ends and operator not in BEHIND:
            names = " and ".join(s.name for s in ends[0].steps if s.name)
            raise InputError(
                f"{operator} comes after {names}, and only at the end of a network is a {names} left out"
            )
        try:
            call = Call(self, node)
            made = move(call) if operator in MOVES else OPERATORS[operator](call)
            self._check(node, made)
        except InputError as error:
            raise InputError(f"{operator}: {error}") from None
        self.values[node] = made

    def _check(self, node: Any, made: Any) -> None:
        """Refuse results of another shape or type than torch states; of the first, where there are several."""
        value = node.meta["val"]
        if isinstance(value, (list, tuple)):
            value, made = value[0], made[0]
        kinds = {n.meta["val"].dtype for n in node.all_input_nodes if n in self.values}
        if kinds != {value.dtype}:
            raise InputError(f"it changes the type of its tensor to {value.dtype}")
        shape = tuple(int(d) for d in value.shape)
        if made.shape != shape:
            raise InputError(f"it gives shape {shape}, which is read as {made.shape}")

    def _constant(self, node: Any) -> Any:
        """What torch computes from constants."""
        tags = getattr(node.target, "tags", None)
        value = node.meta.get("val")
        if getattr(node.target, "__name__", "") == "getitem":
            return self.constants[node.args[0]][node.args[1]]
        if tags is None or self.torch.Tag.nondeterministic_seeded in tags or node.target._schema.is_mutable:
            raise InputError(f"{node.target} on constants is not supported")
        values = value if isinstance(value, (list, tuple)) else [value]
        if not all(isinstance(v, self.torch.Tensor) for v in values):
            raise InputError(f"{node.target} on constants is not supported")
        check_weights([v.shape for v in values], f"{node.target} gives")
        arguments = self.torch.fx.node.map_arg((node.args, node.kwargs), lambda n: self.constants[n])
        with self.torch.no_grad():
            return node.target(*arguments[0], **arguments[1])


def _needed(output: Any) -> set[Any]:
    """The nodes that the output depends on."""
    found, waiting = set(), list(output.all_input_nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found
