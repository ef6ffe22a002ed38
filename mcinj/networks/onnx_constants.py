"""ONNX operators on constants alone: computed exactly, or on whole numbers by onnx's reference evaluator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.exact import Array, demoted, numbers, plus, reciprocal, times
from mcinj.networks.limits import check_weights
from mcinj.networks.onnx_call import Call, Constant, Flow, Value, tensor_of
from mcinj.networks.onnx_movement import MOVES, move
from mcinj.networks.operators import dequantized

_WHOLE = (
    "Add", "Sub", "Mul", "Div", "Mod", "Neg", "Abs", "Min", "Max", "Equal", "Less", "Greater", "LessOrEqual",
    "GreaterOrEqual", "Not", "And", "Or", "Where", "ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin",
)  # fmt: skip
# Whole numbers make shapes and places; there are few of them.
_MAX_WHOLE = 100_000


def fold(call: Call) -> list[Value] | None:
    """The results of an operator that does not depend on the network's input; None if it does."""
    if call.op in ("Shape", "Size"):
        if not call.has(0):
            raise InputError("an operand is missing")
        value = call.inputs[0]
        assert value is not None
        return [Constant.of(call.evaluated([np.broadcast_to(np.int8(0), value.shape)])[0])]
    if call.flows:
        return None
    if call.op == "Constant":
        return [Constant.of(_constant(call))]
    if call.op in MOVES:
        return move(call)
    operator = _CONSTANTS.get(call.op)
    if operator is not None:
        return [operator(call)]
    given = [v for v in call.inputs if isinstance(v, Constant)]
    if call.op in _WHOLE and given and all(v.whole for v in given):
        return [Constant.of(_whole(call, given))]
    exact = _EXACT.get(call.op)
    if exact is None:
        raise InputError(f"operator {call.op} on constants is not supported")
    return [_exact(call, exact)]


def _constant(call: Call) -> Array:
    if list(call.attributes) == ["value"]:
        return tensor_of(call.graph.onnx, call.attributes["value"])
    kinds = {
        "value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64
    }  # fmt: skip
    if len(call.attributes) == 1 and next(iter(call.attributes)) in kinds:
        name, value = next(iter(call.attributes.items()))
        return np.asarray(value, dtype=kinds[name])
    raise InputError("a Constant without a tensor of numbers is not supported")


def _identity(call: Call) -> Constant:
    return call.constant(0)


def _cast(call: Call) -> Constant:
    constant, onnx = call.constant(0), call.graph.onnx
    code = call.whole("to", -1)
    if constant.whole and constant.values.size <= _MAX_WHOLE:
        whole = (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL)
        if code in whole:
            return Constant.of(call.evaluated([constant.values])[0])
    if code not in call.graph.types:
        raise InputError("a Cast to any type but DOUBLE, FLOAT and FLOAT16 rounds or cuts; it is not supported")
    if constant.values.dtype != constant.dtype:
        raise InputError("a Cast of constants that were computed is not supported")
    if constant.dtype.kind not in "fiu" and constant.dtype.name != "bfloat16":
        raise InputError(f"constants of type {constant.dtype} are not supported")
    with np.errstate(over="ignore"):
        return Constant.of(constant.values.astype(call.graph.types[code]))


def _dequantized(call: Call) -> Constant:
    q, scale = call.constant(0), call.constant(1)
    zero = call.constant(2).values if call.has(2) else None
    if not (q.dtype.kind in "iu" or q.dtype.name in ("int4", "uint4")) or q.values.dtype.itemsize > 4:
        raise InputError(f"quantised constants of type {q.dtype} are not supported")
    if scale.dtype not in call.graph.types.values():
        raise InputError(f"a scale of type {scale.dtype} is not supported")
    if call.whole("block_size", 0):
        raise InputError("blocks with scales of their own are not supported")
    if call.whole("output_dtype", 0) not in (0, *(c for c, d in call.graph.types.items() if d == scale.dtype)):
        raise InputError("an output of another type than its scale is not supported")
    return Constant(dequantized(q.values, scale.values, zero, call.whole("axis", 1)), scale.dtype)


def _quantized(call: Call) -> Constant:
    """Whole numbers as onnx's reference evaluator rounds them; which they are is part of the file's meaning."""
    given = [v.values if isinstance(v, Constant) else None for v in call.inputs]
    for v in given:
        if v is not None and v.dtype.kind in "f":
            numbers(v, call.name)
    if call.whole("block_size", 0):
        raise InputError("blocks with scales of their own are not supported")
    return Constant.of(call.evaluated(given)[0])


def _filled(call: Call) -> Constant:
    shape = call.indices(0)
    if any(d < 0 for d in shape):
        raise InputError(f"a shape of {shape[:8]} is none")
    check_weights([shape], "it gives")
    value = call.attributes.get("value")
    one = np.zeros(1, dtype=np.float32) if value is None else tensor_of(call.graph.onnx, value)
    if one.size != 1:
        raise InputError("its value is not one number")
    return Constant.of(np.full(shape, one.reshape(-1)[0], dtype=one.dtype))


def _range(call: Call) -> Constant:
    start, limit, delta = (call.indices(i) for i in range(3))
    if not (len(start) == len(limit) == len(delta) == 1) or not delta[0]:
        raise InputError("its limits are no whole numbers")
    check_weights([(max(0, -(-(limit[0] - start[0]) // delta[0])),)], "it gives")
    return Constant.of(np.arange(start[0], limit[0], delta[0], dtype=call.constant(0).dtype))


def _whole(call: Call, given: list[Constant]) -> Array:
    try:
        size = math.prod(np.broadcast_shapes(*(v.shape for v in given)))
    except ValueError:
        size = 0  # axes of a Reduce need not fit; elementwise operators fail below
    if max(size, *(v.values.size for v in given)) > _MAX_WHOLE:
        raise InputError("it computes with too many whole numbers")
    if call.op in ("Div", "Mod") and len(given) > 1 and not given[1].values.all():
        raise InputError("it divides by 0")
    return call.evaluated([v.values if isinstance(v, Constant) else None for v in call.inputs])[0]


def _exact(call: Call, operator: Callable[[list[Array]], Array]) -> Constant:
    given = [call.constant(i) for i in range(len(call.inputs))]
    if len({v.dtype for v in given}) != 1 or given[0].dtype not in call.graph.types.values():
        raise InputError("its constants are not of one type of floating-point numbers")
    try:
        check_weights([np.broadcast_shapes(*(v.shape for v in given))], "it gives")
    except ValueError:
        raise InputError("its constants have shapes that do not fit") from None
    return Constant(demoted(operator([numbers(v.values, call.name) for v in given])), given[0].dtype)


def _sum(values: list[Array]) -> Array:
    total = values[0]
    for v in values[1:]:
        a, b = np.broadcast_arrays(total, v)
        total = plus(a, b)
    return total


def _difference(values: list[Array]) -> Array:
    return _sum([values[0], -values[1]])


def _quotient(values: list[Array]) -> Array:
    if not values[1].all():
        raise InputError("a division by 0")
    return times(values[0], reciprocal(values[1]))


_CONSTANTS: dict[str, Callable[[Call], Constant]] = {
    "Identity": _identity, "Cast": _cast, "DequantizeLinear": _dequantized, "QuantizeLinear": _quantized,
    "ConstantOfShape": _filled, "Range": _range,
}  # fmt: skip
_EXACT: dict[str, Callable[[list[Array]], Any]] = {
    "Add": _sum, "Sum": _sum, "Sub": _difference, "Mul": lambda v: times(v[0], v[1]), "Div": _quotient,
    "Neg": lambda v: -v[0],
}  # fmt: skip

__all__ = ["Constant", "Flow", "Value", "fold", "tensor_of"]
