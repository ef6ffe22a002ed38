"""Networks in `.onnx` files: graphs of affine operators and ReLUs, taken apart node by node."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.assembly import Assembly, Tensor
from mcinj.networks.compare import compare, room_of
from mcinj.networks.ending import Tail, reading_of
from mcinj.networks.exact import Array
from mcinj.networks.external import include_external
from mcinj.networks.limits import check_weights
from mcinj.networks.onnx_call import FLOATS, Call, Constant, Flow, Value, tensor_of
from mcinj.networks.onnx_constants import fold
from mcinj.networks.onnx_evaluator import evaluator_of
from mcinj.networks.onnx_operators import BEHIND, OPERATORS
from mcinj.networks.optional import first_line, optional
from mcinj.networks.reading import Reading, shown

# From version 7 on operators broadcast as NumPy does, and Dropout says whether it is in training mode.
OLDEST_OPSET = 7
MAX_NODES = 10_000


def load_onnx(source: Path, *, last: str | None = None) -> Reading:
    """Read a feed-forward ReLU network.

    Supported: one input of fixed size (a first axis without size is the batch, taken as 1), one output, and operators
    of the standard domain that are affine in the input (`mcinj.networks.onnx_operators`), or ReLUs, leaky ones too.
    They may branch and meet again. Affine operators in a row are multiplied out exactly. Whether the last layer has a
    ReLU is taken from the file; a linear one counts with both signs, `[W; -W]`; a strictly monotone function behind it
    is left out. What was read is compared with onnx's reference evaluator on random inputs. Raises `InputError` naming
    what is not supported, and if onnx is not installed.
    """
    onnx = optional("onnx", "onnx")
    try:
        model = onnx.load(str(source), load_external_data=False)
    except Exception as error:  # protobuf's DecodeError and others have no common base
        raise InputError(f"cannot be read as ONNX: {first_line(error)}") from None
    include_external(onnx, model, source.parent)
    graph = Graph(onnx, model)
    read = graph.reading(last)
    _compare(onnx, model, graph, read)
    return read


class Graph:
    """Walks the operators that the output depends on; `end` is what it turns out to be."""

    def __init__(self, onnx: Any, model: Any) -> None:
        self.onnx = onnx
        _check(onnx, model)
        graph = model.graph
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        self.types: dict[int, np.dtype[Any]] = {getattr(onnx.TensorProto, n): d for n, d in FLOATS.items()}
        self.values: dict[str, Value] = {}
        check_weights((t.dims for t in graph.initializer), "its tensors hold")
        for tensor in graph.initializer:
            self.values[tensor.name] = Constant.of(tensor_of(onnx, tensor))
        inputs = [v for v in graph.input if v.name not in self.values]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise InputError(f"it has {len(inputs)} inputs and {len(graph.output)} outputs; one of each is supported")
        self.shape, self.free_batch, self.input_type = self._input(inputs[0])
        self.coarsest = self.input_type
        self.input = inputs[0].name
        self.assembly = Assembly(self.shape)
        self.values[self.input] = Flow(self.assembly.input, self.input_type)
        for node in _needed(graph):
            try:
                self._step(node)
            except InputError as error:
                raise InputError(f"{node.op_type} {shown(node.name or node.output[0])!r}: {error}") from None
        end = self.values.get(graph.output[0].name)
        if not isinstance(end, Flow):
            raise InputError("its output does not depend on its input by the operators that are read")
        self.end: Tensor | Tail = end.tensor

    def reading(self, last: str | None = None) -> Reading:
        """The network of the graph."""
        return reading_of(self.assembly, self.end, last)

    def _input(self, value: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        kind = value.type.tensor_type
        if kind.elem_type not in self.types:
            raise InputError(f"its input is not of a type among {', '.join(FLOATS)}")
        if not kind.HasField("shape") or not kind.shape.dim:
            raise InputError("its input has no shape; all axes but the first (batch) must have a fixed size")
        dims = [d.dim_value if d.HasField("dim_value") else 0 for d in kind.shape.dim]
        free = len(dims) > 1 and dims[0] == 0
        shape = (1, *dims[1:]) if free else tuple(dims)
        if not all(d > 0 for d in shape):
            raise InputError(f"its input has shape {dims}; all axes but the first (batch) must have a fixed size")
        column = len(shape) == 2 and shape[1] == 1  # weights stand on the left of it
        if len(shape) > 1 and shape[0] != 1 and not column:
            raise InputError(f"its input has shape {dims}; export with a batch of 1, or with one of free size")
        return shape, free, self.types[kind.elem_type]

    def _step(self, node: Any) -> None:
        if node.domain not in ("", "ai.onnx"):
            raise InputError(f"operators of the domain {shown(node.domain)} are not supported")
        if any(a.ref_attr_name for a in node.attribute):
            raise InputError("attributes that refer to a function's are not supported")
        attributes = {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}
        inputs: list[Value | None] = []
        for name in node.input:
            if name and name not in self.values:
                raise InputError(f"its operand {shown(name)} is nothing that is read")
            inputs.append(self.values[name] if name else None)
        call = Call(self, node, attributes, inputs)
        made = fold(call)
        if made is None:
            made = self._apply(call)
        for name, value in zip(node.output, made, strict=False):
            if name:
                self.values[name] = value
        for value in made:
            if isinstance(value, Flow):
                self.coarsest = max(self.coarsest, value.dtype, key=lambda d: float(np.finfo(d).eps))

    def _apply(self, call: Call) -> list[Value]:
        operator = OPERATORS.get(call.op)
        if operator is None:
            raise InputError(f"operator {call.op} is not supported; supported: {', '.join(OPERATORS)}")
        ends = [v.tensor for v in call.inputs if isinstance(v, Flow) and isinstance(v.tensor, Tail)]
        if ends and call.op not in BEHIND:
            names = " and ".join(s.name for s in ends[0].steps if s.name)
            raise InputError(f"it comes after {names}, and only at the end of a network is a {names} left out")
        return operator(call)


def _needed(graph: Any) -> list[Any]:
    """The nodes that the output depends on, in their order."""
    if len(graph.node) > MAX_NODES:
        raise InputError(f"it has {len(graph.node):,} operators, more than the {MAX_NODES:,} that are read")
    wanted = {v.name for v in graph.output}
    chosen = []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            chosen.append(node)
            wanted |= set(node.input)
    return chosen[::-1]


def _check(onnx: Any, model: Any) -> None:
    """Refuse what the format itself forbids (operands, attributes, order of operators), and functions."""
    if not model.graph.node:
        raise InputError("it holds no ONNX graph")
    if len(model.functions):
        raise InputError("functions defined in the file are not supported; export standard operators")
    if len(model.graph.sparse_initializer):
        raise InputError("sparse tensors are not supported")
    for value in (*model.graph.input, *model.graph.output):
        if not value.type.HasField("tensor_type"):
            raise InputError(f"{shown(value.name)} is not a tensor")
    versions = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != 1 or not OLDEST_OPSET <= versions[0] <= newest:
        said = ", ".join(map(str, versions)) or "none"
        raise InputError(f"it uses operator set {said}; versions {OLDEST_OPSET} to {newest} are read")
    checked = onnx.ModelProto()
    checked.CopyFrom(model)
    for value in checked.graph.output:
        value.type.tensor_type.shape.SetInParent()  # the checker asks for it, evaluators do not
    try:
        onnx.checker.check_model(checked)
    except Exception as error:
        raise InputError(f"it is no valid ONNX model: {first_line(error)}") from None


def _compare(onnx: Any, model: Any, graph: Graph, read: Reading) -> None:
    by = "onnx's reference evaluator"
    try:
        evaluator = evaluator_of(onnx, model)
    except Exception as error:
        raise InputError(f"{by} refuses it: {first_line(error)}") from None

    def run(batch: Array) -> Array:
        try:
            with np.errstate(all="ignore"):
                return np.asarray(evaluator.run(None, {graph.input: batch.astype(graph.input_type)})[0])
        except Exception as error:
            raise InputError(f"{by} fails on it: {first_line(error)}") from None

    def evaluate(x: Array) -> Array:
        return run(x.reshape(graph.shape)).astype(np.float64)

    compare(graph.assembly, graph.end, read, evaluate, graph.coarsest, by=by)
    if graph.free_batch:
        _compare_batch(graph, run)


def _compare_batch(graph: Graph, run: Callable[[Array], Array]) -> None:
    """Refuse graphs for which the free first axis is no batch: three inputs at once must give three outputs."""
    batch = np.random.default_rng(20240731).standard_normal((3, *graph.shape[1:])).astype(graph.input_type)
    alone = np.concatenate([run(row[None]).reshape(1, -1) for row in batch]).astype(np.float64)
    try:
        together = run(batch).astype(np.float64)
    except InputError as error:
        raise InputError(f"it takes no batch of three ({error}); fix the first axis of its input to size 1") from None
    if together.shape[:1] != (3,) or together.size != alone.size:
        raise InputError("the first axis of its input has no fixed size but is no batch axis; fix its size to 1")
    for x, one, row in zip(batch, alone, together.reshape(3, -1), strict=True):
        room = room_of(graph.assembly, graph.end, x.reshape(-1).astype(np.float64), np.finfo(graph.coarsest))
        with np.errstate(invalid="ignore"):
            if np.any(np.abs(one - row) > room):
                raise InputError("it treats a batch differently from its single inputs; fix the first axis to size 1")
