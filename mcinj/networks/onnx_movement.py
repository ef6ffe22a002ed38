"""ONNX operators that only move entries: onnx's reference evaluator does it with numbers in their place."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.assembly import check_shape
from mcinj.networks.exact import Array
from mcinj.networks.limits import check_weights
from mcinj.networks.onnx_call import Call, Constant, Flow, Value
from mcinj.networks.operators import moved

# Operators whose first operand is moved, and Concat, which moves all.
MOVES = (
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Slice", "Split", "Concat", "Gather", "GatherND",
    "Expand", "Tile", "Pad", "Resize", "Upsample", "DepthToSpace", "SpaceToDepth",
)  # fmt: skip


def move(call: Call) -> list[Value]:
    """The results of an operator among `MOVES`; of constants only, if its operands are constant."""
    count = len(call.inputs) if call.op == "Concat" else 1
    data = call.inputs[:count]
    if any(v is None for v in data) or not data:
        raise InputError("an operand is missing")
    if any(isinstance(v, Flow) for v in call.inputs[count:]):
        raise InputError("its shape or place depends on the network's input; that is not supported")
    given = [v for v in data if v is not None]
    kinds = {v.dtype for v in given}
    if len(kinds) > 1:
        raise InputError(f"its operands have the types {', '.join(sorted(str(k) for k in kinds))}")
    shapes = [v.shape for v in given]
    for shape in shapes:
        check_shape(shape) if call.flows else None
    _room(call, shapes)

    def run(numbered: list[Array]) -> Sequence[Array]:
        if call.op == "Reshape":
            return [numbered[0].reshape(_target(call, shapes[0]))]
        if call.op == "Flatten":
            return [numbered[0].reshape(_flat(call, shapes[0]))]
        parameters = [v.values if isinstance(v, Constant) else None for v in call.inputs[count:]]
        if call.op == "Pad" and len(parameters) > 1 and parameters[1] is not None:
            parameters[1] = np.zeros((), dtype=np.int64)
        return call.evaluated([*numbered, *parameters])

    if not call.flows:
        return _constants(given, run)
    kind = given[0].dtype
    tensors = [v.tensor if isinstance(v, Flow) else call.assembly.constant(v.values, call.name) for v in given]
    return [Flow(t, kind) for t in moved(call.assembly, tensors, run)]


def _constants(given: Sequence[Value], run: object) -> list[Value]:
    """The same for constants."""
    values = [v.values for v in given if isinstance(v, Constant)]
    numbered, first = [], 1
    for v in values:
        numbered.append(np.arange(first, first + v.size).reshape(v.shape))
        first += v.size
    kind = values[0].dtype if len(values) == 1 else np.result_type(*values)
    flat = np.concatenate([np.zeros(1, dtype=kind), *(v.reshape(-1).astype(kind) for v in values)])
    made: list[Value] = []
    for out in run(numbered):  # type: ignore[operator]
        index = np.asarray(out).astype(np.int64)
        if (index != out).any() or (index < 0).any() or (index >= first).any():
            raise InputError("it does more than to move entries")
        made.append(Constant(flat[index], given[0].dtype))
    return made


def _room(call: Call, shapes: list[tuple[int, ...]]) -> None:
    """Refuse what would make too large a tensor, before it is made; and padding with anything but zeros."""
    shape = shapes[0]
    out: Sequence[int] = [sum(prod(s) for s in shapes)]
    if call.op == "Expand":
        try:
            out = np.broadcast_shapes(shape, tuple(_sizes(call, 1)))
        except ValueError:
            raise InputError(f"a tensor of shape {shape} cannot be expanded to {_sizes(call, 1)}") from None
    elif call.op == "Tile":
        out = [prod(shape), *_sizes(call, 1)]
    elif call.op == "Gather":
        axis = call.whole("axis", 0)
        if not -len(shape) <= axis < len(shape):
            raise InputError(f"axis {axis} meets a tensor of shape {shape}")
        out = [*call.constant(1).shape, *(d for a, d in enumerate(shape) if a != axis % len(shape))]
    elif call.op == "GatherND":
        places, batch = call.constant(1).shape, call.whole("batch_dims", 0)
        if not places or not 0 <= batch < len(places) or batch + places[-1] > len(shape):
            raise InputError(f"places of shape {places} meet a tensor of shape {shape}")
        out = [*places[:-1], *shape[batch + places[-1] :]]
    elif call.op == "Pad":
        pads = call.indices(1) if call.has(1) else call.wholes("pads", [])
        if any(abs(p) > 2**31 for p in pads):
            raise InputError("its pads are beyond 2^31")
        half = len(pads) // 2
        axes = call.indices(3) if call.has(3) else range(len(shape))
        if len(pads) != 2 * len(axes) or not all(-len(shape) <= a < len(shape) for a in axes):
            raise InputError(f"{len(pads)} pads meet a tensor of shape {shape}")
        grown = list(shape)
        for i, a in enumerate(axes):
            grown[a] = max(0, shape[a] + max(0, pads[i]) + max(0, pads[i + half]))
        out = grown
        value = call.constant(2).values if call.has(2) else np.asarray(call.attributes.get("value", 0.0))
        if call.text("mode", "constant") == "constant" and np.any(value != 0):
            raise InputError("only padding with zeros is supported")
    elif call.op in ("Resize", "Upsample"):
        out = _resized(call, shape)
    check_weights([out], "it gives")


def _resized(call: Call, shape: tuple[int, ...]) -> Sequence[int]:
    """Size after a Resize, which must take the nearest pixel."""
    if call.text("mode", "nearest") != "nearest":
        raise InputError(f"its mode is {call.text('mode', '')!r}; only nearest, which moves pixels, is supported")
    place = {"Upsample": 1}.get(call.op, 1 if call.graph.opset < 11 else 2)
    if call.op == "Resize" and call.has(3):
        return _sizes(call, 3)
    scales = call.constant(place).values if call.has(place) else np.asarray(call.attributes.get("scales", ()))
    if scales.dtype.kind != "f" or scales.ndim != 1 or not np.isfinite(scales).all() or (scales <= 0).any():
        raise InputError("its scales are no list of positive numbers")
    if len(scales) != len(shape):
        raise InputError(f"{len(scales)} scales meet a tensor of shape {shape}")
    return [int(min(float(d) * float(s), 2.0**62)) + 1 for d, s in zip(shape, scales, strict=True)]


def _sizes(call: Call, i: int) -> list[int]:
    sizes = call.indices(i)
    if any(v < 0 for v in sizes):
        raise InputError(f"sizes of {sizes[:8]} are negative")
    return sizes


def _flat(call: Call, shape: tuple[int, ...]) -> tuple[int, int]:
    axis = call.whole("axis", 1)
    if not -len(shape) <= axis <= len(shape):
        raise InputError(f"axis {axis} meets a tensor of shape {shape}")
    cut = axis + len(shape) if axis < 0 else axis
    return prod(shape[:cut]), prod(shape[cut:])


def _target(call: Call, shape: tuple[int, ...]) -> tuple[int, ...]:
    wanted = call.constant(1).values
    if wanted.dtype != np.int64 or wanted.ndim != 1:
        raise InputError("the target shape is no vector of int64")
    target = [int(v) for v in wanted]
    if 0 in target and not call.whole("allowzero", 0):
        if any(v == 0 and i >= len(shape) for i, v in enumerate(target)):
            raise InputError(f"a target of {target} meets a tensor of shape {shape}")
        target = [shape[i] if v == 0 else v for i, v in enumerate(target)]
    if target.count(-1) > 1 or any(v < 1 and v != -1 for v in target):
        raise InputError(f"a target of {target} is no shape")
    size = prod(shape)
    if -1 in target:
        known = prod(v for v in target if v != -1)
        if size % known:
            raise InputError(f"a target of {target} meets a tensor of shape {shape}")
        target[target.index(-1)] = size // known
    if prod(target) != size:
        raise InputError(f"a tensor of shape {shape} cannot take the shape {tuple(target)}")
    return tuple(target)
