"""Operators that model formats have in common, on tensors of an assembly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import isqrt, prod
from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError
from mcinj.networks.assembly import Assembly, Tensor
from mcinj.networks.ending import Tail, tail_gather
from mcinj.networks.exact import Array, demoted, numbers, times
from mcinj.networks.limits import check_weights
from mcinj.networks.rows import Ints

_ROUNDED = "batch norm folded, its scales 1/sqrt(var + eps) rounded to float64"


def batch_norm(
    assembly: Assembly, t: Tensor, gamma: Array | None, beta: Array | None, mean: Array, var: Array, eps: Fraction,
    name: str, axis: int = 1,
) -> Tensor:  # fmt: skip
    """`(t - mean) · gamma / sqrt(var + eps) + beta` along an axis; the factors as float64 numbers, the rest exact."""
    if len(t.shape) <= axis:
        raise InputError(f"a tensor of shape {t.shape} has no axis of channels")
    channels = t.shape[axis]
    for values, what in ((gamma, "scales"), (beta, "shifts"), (mean, "means"), (var, "variances")):
        if values is not None and values.shape != (channels,):
            raise InputError(f"{what} of shape {values.shape} meet {channels} channels")
    factors, rounded = _inverse_roots(numbers(np.ones(channels) if gamma is None else gamma, "its scale"), var, eps)

    def along(values: Array) -> Array:
        return values.reshape(*([1] * axis), channels, *([1] * (len(t.shape) - axis - 1)))

    made = assembly.shift(t, along(-numbers(mean, "its mean")), name)
    made = assembly.scale(made, along(factors), "", roundings=12)
    if beta is not None:
        made = assembly.shift(made, along(beta), "")
    return replace(made, notes=tuple(dict.fromkeys((*made.notes, _ROUNDED)))) if rounded else made


def _inverse_roots(gamma: Array, var: Array, eps: Fraction) -> tuple[npt.NDArray[np.float64], bool]:
    """The float64 numbers next to gamma / sqrt(var + eps), and whether any of them is not that number itself."""
    values, rounded = [], False
    for g, v in zip(gamma.tolist(), numbers(var, "its variance").tolist(), strict=True):
        below = Fraction(v) + eps
        if below <= 0:
            raise InputError("a variance plus epsilon is not positive")
        square = Fraction(g) ** 2 / below
        # The root to some 70 bits, truncated, before it is rounded once more.
        bits = max(0, 140 + square.denominator.bit_length() - square.numerator.bit_length())
        bits += bits % 2
        root = Fraction(isqrt((square.numerator << bits) // square.denominator), 1 << (bits // 2))
        try:
            near = float(root)
        except OverflowError:
            raise InputError("a scale of a batch norm is beyond the range of float64") from None
        rounded |= Fraction(near) ** 2 != square
        values.append(near if g > 0 else -near)
    return np.array(values), rounded


def dequantized(q: Array, scale: Array, zero: Array | None, axis: int) -> Array:
    """`(q - zero) · scale`, exactly; scale and zero for all of q, or along an axis."""
    if zero is not None and (zero.dtype != q.dtype or zero.shape != scale.shape):
        raise InputError(f"a zero point of shape {zero.shape} and type {zero.dtype} meets a scale of {scale.shape}")
    if scale.size != 1 or scale.ndim > 1:
        if scale.ndim != 1 or not -q.ndim <= axis < q.ndim or scale.shape[0] != q.shape[axis]:
            raise InputError(f"a scale of shape {scale.shape} does not fit constants of shape {q.shape} at axis {axis}")
        around = [1] * q.ndim
        around[axis] = -1
    else:
        around = [1] * q.ndim
    whole = numbers(q.astype(np.int64), "quantised constants")
    if zero is not None:
        whole = whole - numbers(zero.astype(np.int64), "a zero point").reshape(around)
    return demoted(times(whole, numbers(scale, "a scale").reshape(around)))


def clip(assembly: Assembly, t: Tensor, low: Any, high: Any, name: str) -> Tensor:
    """`min(max(t, low), high)`; each limit a number or None."""
    if low is None:
        raise InputError("a limit from above alone is not supported")
    low = float(low)
    if low != 0:
        t = assembly.shift(t, np.asarray(-low), "minus its lower limit")
    made = assembly.relu(t, name)
    if high is not None and float(high) != float("inf"):
        high = float(high)
        if not high > low:
            raise InputError(f"its limits {low:g} and {high:g} leave nothing between them")
        width = Fraction(high) - Fraction(low)
        above = assembly.relu(assembly.shift(t, -demoted(np.array(width, dtype=object)), "minus its width"), name)
        both = assembly.add([made, assembly.scale(above, np.asarray(-1.0), "minus")], name)
        made = replace(both, parts=(name,), notes=("limits from above by a second unit each",))
    return made if low == 0 else assembly.shift(made, np.asarray(low), "its lower limit")


def moved(
    assembly: Assembly, values: Sequence[Tensor | Tail], move: Callable[[list[Array]], Sequence[Array]]
) -> list[Tensor | Tail]:
    """What an operator that only moves entries gives: `move` does it with numbers in place of the entries.

    Entry k of all operands together, one after the other, is the number k + 1; 0 stands for a zero.
    """
    if len(values) > 1 and any(isinstance(v, Tail) for v in values):
        raise InputError("several tensors meet after the last layer; that is not supported")
    numbered, first = [], 1
    for value in values:
        size = prod(value.shape)
        numbered.append(np.arange(first, first + size).reshape(value.shape))
        first += size
    made: list[Tensor | Tail] = []
    for out in move(numbered):
        index = _whole(np.asarray(out), first) - 1
        shape = tuple(int(d) for d in out.shape)
        if isinstance(values[0], Tail):
            made.append(tail_gather(values[0], index, shape))
        elif len(values) == 1 and np.array_equal(index, np.arange(first - 1)):
            made.append(assembly.reshape(values[0], shape))
        else:
            made.append(assembly.gather([v for v in values if isinstance(v, Tensor)], index, shape))
    return made


def _whole(out: Array, end: int) -> Ints:
    flat = out.reshape(-1)
    check_weights([out.shape], "it gives")
    index = flat.astype(np.int64)
    if (index != flat).any() or (index < 0).any() or (index >= end).any():
        raise InputError("it does more than to move entries")
    return index


def broadcast(assembly: Assembly, tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors spread to one shape, as NumPy does it."""
    try:
        shape = np.broadcast_shapes(*(t.shape for t in tensors))
    except ValueError:
        raise InputError(f"tensors of shapes {', '.join(str(t.shape) for t in tensors)} do not fit") from None
    check_weights([shape], f"a tensor of shape {shape} has")
    spread = []
    for t in tensors:
        index = np.broadcast_to(np.arange(t.size).reshape(t.shape), shape).reshape(-1)
        spread.append(t if t.shape == shape else assembly.gather([t], index, shape))
    return spread
