"""torch modules, traced: what a module computes for one input of the example's shape, as a network."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.chain import Chain
from mcinj.networks.compare import compare
from mcinj.networks.convolution import unroll
from mcinj.networks.exact import numbers, reciprocal
from mcinj.networks.limits import check_weights
from mcinj.networks.optional import first_line, optional
from mcinj.networks.reading import Reading, shown
from mcinj.networks.torch import array_of


def network_from_module(module: Any, example_input: Any) -> Reading:
    """Network of a `torch.nn.Module` in evaluation mode.

    `example_input`: the tensor that the module takes, one input alone (a batch of 1 where it wants a batch axis). The
    module is traced by `torch.export` for this shape; all entries of the input are the network's inputs. Supported are
    chains of linear layers, convolutions, ReLU, additions of and products with constants, and reshaping; linear
    operators in a row are multiplied out exactly; a last layer without ReLU counts with both signs. Parameters count
    as the numbers that they hold, and what the module computes from parameters alone as the numbers that torch gives.
    The network is compared with the module on random inputs. Raises `InputError` for all else.
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
        read = trace.chain.reading()
        dtype = np.dtype(str(example.dtype).removeprefix("torch."))

        def evaluate(x: Any) -> Any:
            given = torch.from_numpy(x).to(example).reshape(example.shape)
            with torch.no_grad():
                return module(given).double().cpu().numpy()

        compare(trace.chain, read, evaluate, dtype, by="the module")
    except InputError as error:
        raise InputError(f"{what}: {error}") from None
    return read


class _Trace:
    """Walks the exported graph; `current` is the node of the present tensor."""

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
        self.current: Any = None
        self.chain = Chain(tuple(int(d) for d in example.shape))
        for node in program.graph.nodes:
            if node.op == "placeholder":
                if node.name in inputs:
                    self.current = node
                elif node.name in sources and sources[node.name] in stored:
                    self.constants[node], self.names[node] = stored[sources[node.name]].detach(), sources[node.name]
                else:
                    raise InputError(f"{shown(str(node.name))} is neither its input nor a tensor of its own")
            elif node.op == "output":
                if list(node.args[0]) != [self.current]:
                    raise InputError("its output is not the end of a chain of operators")
            elif node.op == "call_function":
                self._step(node)
            else:
                raise InputError(f"{node.op} {node.target} is not supported")

    def _step(self, node: Any) -> None:
        if not any(n not in self.constants for n in node.all_input_nodes):
            self.constants[node] = self._constant(node)
            self.names[node] = next((self.names[n] for n in node.all_input_nodes), node.name)
            return
        operator = str(node.target).removeprefix("aten.")
        uses = [a for a in (*node.args, *node.kwargs.values()) if a is self.current]
        if len(uses) != 1 or any(n is not self.current and n not in self.constants for n in node.all_input_nodes):
            raise InputError(f"{operator} is not a step of one chain (branches and skip connections are not supported)")
        if operator not in _OPERATORS:
            raise InputError(f"the operator {operator} is not supported")
        value = node.meta["val"]
        shape = tuple(int(d) for d in value.shape)
        if value.dtype != self.current.meta["val"].dtype:
            raise InputError(f"{operator} changes the type of its tensor to {value.dtype}")
        schema = node.target._schema.arguments
        arguments = {a.name: a.default_value for a in schema if a.has_default_value()}
        arguments |= dict(zip((a.name for a in schema), node.args, strict=False)) | node.kwargs
        try:
            _OPERATORS[operator](self, _Call(self, node, arguments, shape))
        except InputError as error:
            raise InputError(f"{operator}: {error}") from None
        if self.chain.shape != shape:
            raise InputError(f"{operator} gives shape {shape}, which is read as {self.chain.shape}")
        self.current = node

    def _constant(self, node: Any) -> Any:
        """What torch computes from constants."""
        tags = getattr(node.target, "tags", None)
        if tags is None or self.torch.Tag.nondeterministic_seeded in tags or node.target._schema.is_mutable:
            raise InputError(f"{node.target} on constants is not supported")
        value = node.meta.get("val")
        if not isinstance(value, self.torch.Tensor):
            raise InputError(f"{node.target} on constants is not supported")
        check_weights([value.shape], f"{node.target} gives")
        arguments = self.torch.fx.node.map_arg((node.args, node.kwargs), lambda n: self.constants[n])
        with self.torch.no_grad():
            return node.target(*arguments[0], **arguments[1])


class _Call:
    """An operator's arguments by the names of its schema."""

    def __init__(self, trace: _Trace, node: Any, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
        self.trace, self.node, self.arguments, self.shape = trace, node, arguments, shape

    def takes(self, name: str) -> None:
        """The present tensor must be this operand."""
        if self.arguments[name] is not self.trace.current:
            raise InputError(f"the tensor must be its operand {name}")

    def tensor(self, name: str) -> Any:
        """A constant operand as an array, None if it is left out; numbers are rounded as torch rounds them."""
        value = self.arguments[name]
        if value is None:
            return None
        torch = self.trace.torch
        if isinstance(value, torch.fx.Node) and value in self.trace.constants:
            check_weights([self.trace.constants[value].shape], "an operand has")
            return array_of(self.trace.constants[value], self.name(name), torch)
        if isinstance(value, (bool, int, float)):
            return self.number(name)
        raise InputError(f"the operand {name} is no constant")

    def number(self, name: str) -> Any:
        """A Python number, in the type that torch computes with."""
        value = self.arguments[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"the argument {name} is no number")
        double = self.node.meta["val"].dtype == self.trace.torch.float64
        return numbers(np.asarray(value, dtype=np.float64 if double else np.float32), name)

    def name(self, name: str) -> str:
        """What the operand is called in the module."""
        value = self.arguments[name]
        return shown(self.trace.names[value] if isinstance(value, self.trace.torch.fx.Node) else f"{name} {value}")


def _linear(trace: _Trace, call: _Call) -> None:
    call.takes("input")
    _matrix(trace, call, call.tensor("weight"), "weight")
    bias = call.tensor("bias")
    if bias is not None:
        trace.chain.add(bias, call.name("bias"))


def _matmul(trace: _Trace, call: _Call) -> None:
    second = "other" if "other" in call.arguments else "mat2"
    call.takes("self" if "self" in call.arguments else "input")
    w = call.tensor(second)
    if w.ndim != 2:
        raise InputError(f"a constant of shape {w.shape} is no matrix")
    _matrix(trace, call, w.T, second)


def _addmm(trace: _Trace, call: _Call) -> None:
    call.takes("mat1")
    alpha, beta, bias = call.number("alpha"), call.number("beta"), call.tensor("self")
    if alpha != 1 or beta != 1:
        raise InputError("factors other than 1 are not supported")
    _matrix(trace, call, call.tensor("mat2").T, "mat2")
    trace.chain.add(bias, call.name("self"))


def _matrix(trace: _Trace, call: _Call, w: Any, operand: str) -> None:
    shape = trace.chain.shape
    if prod(shape[:-1]) != 1:
        raise InputError(f"it meets {prod(shape[:-1])} rows of {shape[-1]} numbers; give one input, a batch of 1")
    if w.ndim != 2 or w.shape[1] != shape[-1]:
        raise InputError(f"a matrix of shape {w.shape} meets {shape[-1]} numbers")
    trace.chain.multiply(w, (*shape[:-1], int(w.shape[0])), call.name(operand))


def _convolution(trace: _Trace, call: _Call) -> None:
    call.takes("input")
    kernel, bias, shape = call.tensor("weight"), call.tensor("bias"), trace.chain.shape
    axes = kernel.ndim - 2
    if len(shape) == kernel.ndim and shape[0] != 1:
        raise InputError(f"it meets a batch of {shape[0]}; give one input, a batch of 1")

    def per_axis(name: str) -> list[int]:
        values = call.arguments[name]
        if isinstance(values, str):
            raise InputError(f"{name}={values!r} is not supported; give numbers")
        return [int(v) for v in values] * (axes if len(values) == 1 else 1)

    matrix, out = unroll(
        numbers(kernel, call.name("weight")),
        shape[1:] if len(shape) == kernel.ndim else shape,
        strides=per_axis("stride"),
        before=per_axis("padding"),
        after=per_axis("padding"),
        dilations=per_axis("dilation"),
        groups=int(call.arguments["groups"]),
    )
    trace.chain.multiply(matrix, (1, *out) if len(shape) == kernel.ndim else out, call.name("weight"))
    if bias is not None:
        trace.chain.add(bias.reshape(-1, *[1] * axes), call.name("bias"))


def _relu(trace: _Trace, call: _Call) -> None:
    trace.chain.relu(str(call.node.name))


def _clamp(trace: _Trace, call: _Call) -> None:
    low, high = call.arguments["min"], call.arguments.get("max")
    if isinstance(low, bool) or not isinstance(low, (int, float)) or low != 0 or high is not None:
        raise InputError("only a clamp from 0 upwards, which is a ReLU, is supported")
    _relu(trace, call)


def _reshape(trace: _Trace, call: _Call) -> None:
    trace.chain.reshape(call.shape)


def _dropout(trace: _Trace, call: _Call) -> None:
    if call.arguments["train"]:
        raise InputError("it is in training mode; call module.eval() first")


def _sum(sign: float) -> Callable[[_Trace, _Call], None]:
    def apply(trace: _Trace, call: _Call) -> None:
        if call.number("alpha") != 1:
            raise InputError("alpha other than 1 is not supported")
        first = call.arguments["self"] is trace.current
        other = "other" if first else "self"
        values = numbers(call.tensor(other), call.name(other))
        if sign < 0 and not first:
            trace.chain.scale(np.asarray(-1.0), "minus")
        trace.chain.add(-values if sign < 0 and first else values, call.name(other))

    return apply


def _rsub(trace: _Trace, call: _Call) -> None:
    call.takes("self")
    if call.number("alpha") != 1:
        raise InputError("alpha other than 1 is not supported")
    trace.chain.scale(np.asarray(-1.0), "minus")
    trace.chain.add(np.asarray(call.tensor("other")), call.name("other"))


def _mul(trace: _Trace, call: _Call) -> None:
    other = "other" if call.arguments["self"] is trace.current else "self"
    trace.chain.scale(call.tensor(other), f"times {call.name(other)}")


def _div(trace: _Trace, call: _Call) -> None:
    call.takes("self")
    values = numbers(call.tensor("other"), call.name("other"))
    if not values.all():
        raise InputError("a division by 0")
    trace.chain.scale(reciprocal(values), f"divided by {call.name('other')}")


def _neg(trace: _Trace, call: _Call) -> None:
    trace.chain.scale(np.asarray(-1.0), "minus")


_OPERATORS: dict[str, Callable[[_Trace, _Call], None]] = {
    "linear.default": _linear,
    "matmul.default": _matmul,
    "mm.default": _matmul,
    "addmm.default": _addmm,
    **{f"conv{k}d.default": _convolution for k in (1, 2, 3)},
    "relu.default": _relu,
    "clamp.default": _clamp,
    "clamp_min.default": _clamp,
    # Row-major order of the entries stays; the shape is the one that torch states.
    **dict.fromkeys(
        ("view.default", "reshape.default", "_unsafe_view.default", "flatten.using_ints", "unflatten.int",
         "unsqueeze.default", "squeeze.default", "squeeze.dim", "squeeze.dims", "clone.default", "contiguous.default",
         "detach.default", "alias.default"),
        _reshape,
    ),
    "dropout.default": _dropout,
    "add.Tensor": _sum(1.0),
    "sub.Tensor": _sum(-1.0),
    "rsub.Scalar": _rsub,
    "mul.Tensor": _mul,
    "div.Tensor": _div,
    "neg.default": _neg,
}  # fmt: skip
