"""Networks in `.onnx` files: chains of linear operators and ReLU, convolutions unrolled into matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.chain import Chain
from mcinj.networks.compare import compare
from mcinj.networks.convolution import unroll
from mcinj.networks.exact import Array, numbers, reciprocal, times
from mcinj.networks.external import include_external
from mcinj.networks.limits import check_weights
from mcinj.networks.optional import first_line, optional
from mcinj.networks.reading import Reading, shown

SUPPORTED = (
    "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "Conv", "Relu", "Flatten", "Reshape", "Identity", "Dropout", "Cast",
    "Constant",
)  # fmt: skip
# From version 7 on operators broadcast as NumPy does, and Dropout says whether it is in training mode.
OLDEST_OPSET = 7


def load_onnx(source: Path, *, last: str | None = None) -> Reading:
    """Read a feed-forward ReLU network.

    Supported: one input of fixed size (a first axis without size is the batch, taken as 1), and one chain of
    `SUPPORTED` operators of the standard domain with constant operands. Linear operators in a row are multiplied out
    exactly. Whether the last layer has a ReLU is taken from the file; a linear one counts with both signs, `[W; -W]`.
    What was read is compared with onnx's reference evaluator on random inputs. Raises `InputError` naming what is not
    supported, and if onnx is not installed.
    """
    onnx = optional("onnx", "onnx")
    try:
        model = onnx.load(str(source), load_external_data=False)
    except Exception as error:  # protobuf's DecodeError and others have no common base
        raise InputError(f"cannot be read as ONNX: {first_line(error)}") from None
    include_external(onnx, model, source.parent)
    graph = _Graph(onnx, model)
    read = graph.chain.reading(last)
    _compare(onnx, model, graph, read)
    return read


class _Graph:
    """Walks the operators; `current` is the name of the present tensor, `chain` what has been made of it."""

    def __init__(self, onnx: Any, model: Any) -> None:
        self.onnx = onnx
        _check(onnx, model)
        graph = model.graph
        self.types: dict[int, np.dtype[Any]] = {getattr(onnx.TensorProto, n): d for n, d in _FLOATS.items()}
        self.constants: dict[str, Array] = {}
        check_weights((t.dims for t in graph.initializer), "its tensors hold")
        for tensor in graph.initializer:
            self.constants[tensor.name] = self._tensor(tensor)
        inputs = [v for v in graph.input if v.name not in self.constants]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise InputError(f"it has {len(inputs)} inputs and {len(graph.output)} outputs; one of each is supported")
        self.shape, self.free_batch, self.input_type = self._input(inputs[0])
        self.dtype = self.coarsest = self.input_type
        self.input = self.current = inputs[0].name
        self.chain = Chain(self.shape)
        for node in graph.node:
            try:
                self._step(node)
            except InputError as error:
                raise InputError(f"{node.op_type} {shown(node.name or node.output[0])!r}: {error}") from None
        if self.current != graph.output[0].name:
            raise InputError("the output is not the end of the chain of operators")

    def _input(self, value: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        kind = value.type.tensor_type
        if kind.elem_type not in self.types:
            raise InputError(f"its input is not of a type among {', '.join(_FLOATS)}")
        if not kind.HasField("shape") or not kind.shape.dim:
            raise InputError("its input has no shape; all axes but the first (batch) must have a fixed size")
        dims = [d.dim_value if d.HasField("dim_value") else 0 for d in kind.shape.dim]
        free = len(dims) > 1 and dims[0] == 0
        shape = (1, *dims[1:]) if free else tuple(dims)
        if not all(d > 0 for d in shape):
            raise InputError(f"its input has shape {dims}; all axes but the first (batch) must have a fixed size")
        if len(shape) > 1 and shape[0] != 1:
            raise InputError(f"its input has shape {dims}; export with a batch of 1, or with one of free size")
        return shape, free, self.types[kind.elem_type]

    def _tensor(self, tensor: Any) -> Array:
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            raise InputError("a constant lies in another file; save the model in one file")
        check_weights([tensor.dims], f"{shown(tensor.name)} holds")
        try:
            return np.asarray(self.onnx.numpy_helper.to_array(tensor))
        except Exception as error:
            raise InputError(f"{shown(tensor.name)} cannot be read: {first_line(error)}") from None

    def _step(self, node: Any) -> None:
        if node.domain not in ("", "ai.onnx"):
            raise InputError(f"operators of the domain {shown(node.domain)} are not supported")
        if node.op_type not in SUPPORTED:
            raise InputError(f"operator {node.op_type} is not supported; supported: {', '.join(SUPPORTED)}")
        attributes = {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}
        if any(a.ref_attr_name for a in node.attribute):
            raise InputError("attributes that refer to a function's are not supported")
        if node.op_type == "Constant":
            self.constants[node.output[0]] = self._constant(attributes)
            return
        if node.op_type in ("Identity", "Cast") and node.input[0] in self.constants:
            value = self.constants[node.input[0]]
            self.constants[node.output[0]] = self._cast(value, attributes) if node.op_type == "Cast" else value
            return
        uses = [i for i, name in enumerate(node.input) if name == self.current]
        others = [self.constants.get(name) for name in node.input if name and name != self.current]
        if len(uses) != 1 or any(c is None for c in others):
            raise InputError("it is not a step of one chain (branches and skip connections are not supported)")
        constants = [c for c in others if c is not None]
        # Names for what is printed: the operand tells more than the operator's own name, which is often a number.
        operands = [name for name in node.input if name and name != self.current]
        name = f"{node.op_type} {shown(operands[0] if operands else node.name or node.output[0])}"
        third = self.constants.get(node.input[2]) if len(node.input) > 2 else None
        _OPERATORS[node.op_type](self, _Node(attributes, constants, uses[0], name, third))
        self.current = node.output[0]

    def _constant(self, attributes: dict[str, Any]) -> Array:
        if list(attributes) == ["value"]:
            return self._tensor(attributes["value"])
        kinds = {
            "value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64
        }  # fmt: skip
        if len(attributes) == 1 and next(iter(attributes)) in kinds:
            name, value = next(iter(attributes.items()))
            return np.asarray(value, dtype=kinds[name])
        raise InputError("a Constant without a tensor of numbers is not supported")

    def _cast(self, value: Array, attributes: dict[str, Any]) -> Array:
        target = self._float_type(attributes)
        if value.dtype.kind not in "fiu" and value.dtype.name != "bfloat16":
            raise InputError(f"constants of type {value.dtype} are not supported")
        with np.errstate(over="ignore"):
            return value.astype(target)

    def _float_type(self, attributes: dict[str, Any]) -> np.dtype[Any]:
        target = int(attributes.get("to", -1))
        if target not in self.types:
            raise InputError(f"a Cast to any type but {', '.join(_FLOATS)} rounds or cuts; it is not supported")
        return self.types[target]

    def same_type(self, *constants: Array) -> None:
        """Refuse operands of another type than the present tensor, which the standard does not define."""
        for c in constants:
            if c.dtype != self.dtype:
                raise InputError(f"an operand has the type {c.dtype}, the tensor it meets {self.dtype}")


class _Node:
    """What an operator is applied with: `place` is the position of the present tensor, `third` the third operand."""

    def __init__(
        self, attributes: dict[str, Any], constants: list[Array], place: int, name: str, third: Array | None
    ) -> None:
        self.attributes, self.constants, self.place, self.name = attributes, constants, place, name
        self.third = third

    def number(self, name: str, default: float) -> float:
        value = float(self.attributes.get(name, default))
        if not math.isfinite(value):
            raise InputError(f"{name} is {value}; it must be finite")
        return value

    def whole(self, name: str, default: int) -> int:
        return int(self.attributes.get(name, default))

    def wholes(self, name: str, default: Sequence[int]) -> list[int]:
        return [int(v) for v in self.attributes.get(name, default)]


def _relu(graph: _Graph, node: _Node) -> None:
    graph.chain.relu(node.name)


def _same(graph: _Graph, node: _Node) -> None:
    """Nothing happens to the tensor."""


def _dropout(graph: _Graph, node: _Node) -> None:
    if node.place != 0:
        raise InputError("the tensor must be the first operand")
    if node.third is not None and bool(np.any(node.third)):
        raise InputError("it is in training mode; export the model in evaluation mode")


def _to_float(graph: _Graph, node: _Node) -> None:
    graph.dtype = graph._float_type(node.attributes)
    graph.coarsest = max(graph.coarsest, graph.dtype, key=lambda d: float(np.finfo(d).eps))


def _flatten(graph: _Graph, node: _Node) -> None:
    shape, axis = graph.chain.shape, node.whole("axis", 1)
    if not -len(shape) <= axis <= len(shape):
        raise InputError(f"axis {axis} meets a tensor of shape {shape}")
    cut = axis + len(shape) if axis < 0 else axis
    graph.chain.reshape((prod(shape[:cut]), prod(shape[cut:])))


def _reshape(graph: _Graph, node: _Node) -> None:
    if node.place != 0 or len(node.constants) != 1:
        raise InputError("a shape that is computed is not supported")
    wanted, shape = node.constants[0], graph.chain.shape
    if wanted.dtype != np.int64 or wanted.ndim != 1:
        raise InputError("the target shape is no vector of int64")
    target = [int(v) for v in wanted]
    if 0 in target and not node.whole("allowzero", 0):
        if any(v == 0 and i >= len(shape) for i, v in enumerate(target)):
            raise InputError(f"a target of {target} meets a tensor of shape {shape}")
        target = [shape[i] if v == 0 else v for i, v in enumerate(target)]
    if target.count(-1) > 1 or any(v < 1 and v != -1 for v in target):
        raise InputError(f"a target of {target} is no shape")
    if -1 in target:
        known = prod(v for v in target if v != -1)
        if graph.chain.size % known:
            raise InputError(f"a target of {target} meets a tensor of shape {shape}")
        target[target.index(-1)] = graph.chain.size // known
    graph.chain.reshape(tuple(target))


def _matmul(graph: _Graph, node: _Node) -> None:
    shape = graph.chain.shape
    if node.place != 0 or node.constants[0].ndim != 2 or prod(shape[:-1]) != 1:
        raise InputError(f"a tensor of shape {shape} meets a matrix; one row times a constant matrix is supported")
    graph.same_type(*node.constants)
    _times_matrix(graph, node, node.constants[0].T)


def _gemm(graph: _Graph, node: _Node) -> None:
    shape = graph.chain.shape
    if node.place != 0 or len(shape) != 2 or shape[0] != 1 or node.constants[0].ndim != 2 or node.whole("transA", 0):
        raise InputError(f"a tensor of shape {shape} meets a matrix; one row times a constant matrix is supported")
    graph.same_type(*node.constants)
    alpha, beta = node.number("alpha", 1.0), node.number("beta", 1.0)
    w = node.constants[0] if node.whole("transB", 0) else node.constants[0].T
    _times_matrix(graph, node, w)
    if alpha != 1.0:
        graph.chain.scale(np.asarray(alpha), "alpha")
    if len(node.constants) > 1:
        graph.chain.add(_factor(node.constants[1], beta), "bias")


def _times_matrix(graph: _Graph, node: _Node, w: Array) -> None:
    shape = graph.chain.shape
    if w.shape[1] != shape[-1] or 0 in w.shape:
        raise InputError(f"a matrix for {w.shape[1]} features meets {shape[-1]}")
    graph.chain.multiply(w, (*shape[:-1], int(w.shape[0])), node.name)


def _factor(values: Array, factor: float) -> Array:
    exact = numbers(values, "an operand")
    return exact if factor == 1.0 else times(exact, np.asarray(factor))


def _add(graph: _Graph, node: _Node) -> None:
    graph.same_type(*node.constants)
    graph.chain.add(node.constants[0], node.name)


def _sub(graph: _Graph, node: _Node) -> None:
    graph.same_type(*node.constants)
    if node.place == 1:
        graph.chain.scale(np.asarray(-1.0), "minus")
    values = numbers(node.constants[0], node.name)
    graph.chain.add(values if node.place == 1 else -values, node.name)


def _mul(graph: _Graph, node: _Node) -> None:
    graph.same_type(*node.constants)
    graph.chain.scale(node.constants[0], node.name)


def _div(graph: _Graph, node: _Node) -> None:
    graph.same_type(*node.constants)
    values = numbers(node.constants[0], node.name)
    if node.place != 0 or not values.all():
        raise InputError("only a division by nonzero constants is supported")
    check_weights([values.shape], "it divides by")
    graph.chain.scale(reciprocal(values), node.name)


def _conv(graph: _Graph, node: _Node) -> None:
    kernel, shape = node.constants[0], graph.chain.shape
    if node.place != 0 or kernel.ndim < 3 or len(shape) != kernel.ndim or shape[0] != 1:
        raise InputError(f"a kernel of shape {kernel.shape} meets an input of shape {shape}")
    graph.same_type(*node.constants)
    axes = kernel.ndim - 2
    auto = node.attributes.get("auto_pad", b"NOTSET")
    pads = node.wholes("pads", [0] * 2 * axes)
    if auto not in (b"NOTSET", b"VALID") or (auto == b"VALID" and any(pads)):
        raise InputError("auto_pad is not supported; export explicit pads")
    if len(pads) != 2 * axes or node.wholes("kernel_shape", kernel.shape[2:]) != list(kernel.shape[2:]):
        raise InputError(f"pads {pads} or kernel_shape do not fit a kernel of shape {kernel.shape}")
    exact = numbers(kernel, node.name)
    matrix, out = unroll(
        exact,
        shape[1:],
        strides=node.wholes("strides", [1] * axes),
        before=pads[:axes],
        after=pads[axes:],
        dilations=node.wholes("dilations", [1] * axes),
        groups=node.whole("group", 1),
    )
    graph.chain.multiply(matrix, (1, *out), node.name)
    if len(node.constants) > 1:
        bias = node.constants[1]
        if bias.shape != (out[0],):
            raise InputError(f"a bias of shape {bias.shape} meets {out[0]} features")
        graph.chain.add(bias.reshape(-1, *[1] * axes), "bias")


_FLOATS: dict[str, np.dtype[Any]] = {
    "FLOAT": np.dtype(np.float32), "DOUBLE": np.dtype(np.float64), "FLOAT16": np.dtype(np.float16)
}  # fmt: skip
_OPERATORS: dict[str, Callable[[_Graph, _Node], None]] = {
    "Gemm": _gemm, "MatMul": _matmul, "Add": _add, "Sub": _sub, "Mul": _mul, "Div": _div, "Conv": _conv, "Relu": _relu,
    "Flatten": _flatten, "Reshape": _reshape, "Identity": _same, "Dropout": _dropout, "Cast": _to_float,
}  # fmt: skip


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


def _compare(onnx: Any, model: Any, graph: _Graph, read: Reading) -> None:
    from onnx.reference import ReferenceEvaluator

    by = "onnx's reference evaluator"
    try:
        evaluator: Any = ReferenceEvaluator(model)
    except Exception as error:
        raise InputError(f"{by} refuses it: {first_line(error)}") from None

    def run(batch: Array) -> Array:
        try:
            with np.errstate(all="ignore"):
                return np.asarray(evaluator.run(None, {graph.input: batch.astype(graph.input_type)})[0])
        except Exception as error:
            raise InputError(f"{by} fails on it: {first_line(error)}") from None

    compare(graph.chain, read, lambda x: run(x.reshape(graph.shape)).astype(np.float64), graph.coarsest, by=by)
    if graph.free_batch:
        _compare_batch(graph, run)


def _compare_batch(graph: _Graph, run: Callable[[Array], Array]) -> None:
    """Refuse graphs for which the free first axis is no batch: three inputs at once must give three outputs."""
    batch = np.random.default_rng(20240731).standard_normal((3, *graph.shape[1:])).astype(graph.input_type)
    alone = np.concatenate([run(row[None]).reshape(1, -1) for row in batch]).astype(np.float64)
    together = run(batch).astype(np.float64)
    if together.shape[:1] != (3,) or together.size != alone.size:
        raise InputError("the first axis of its input has no fixed size but is no batch axis; fix its size to 1")
    tiny, eps = float(np.finfo(graph.coarsest).tiny), float(np.finfo(graph.coarsest).eps)
    for x, one, row in zip(batch, alone, together.reshape(3, -1), strict=True):
        sums, roundings = graph.chain.magnitude(x.reshape(-1).astype(np.float64), tiny / eps)
        with np.errstate(invalid="ignore"):
            if np.any(np.abs(one - row) > 2.0 * roundings * eps * sums):
                raise InputError("it treats a batch differently from its single inputs; fix the first axis to size 1")
