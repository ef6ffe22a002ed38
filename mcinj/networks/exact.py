"""Exact arithmetic on arrays of numbers: float64 where it holds the result, `Fraction`s (dtype object) where not."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError
from mcinj.networks.limits import MAX_PRODUCT, MAX_STEPS

Array = npt.NDArray[Any]


def numbers(values: Any, what: str) -> Array:
    """Float64 array of real numbers that float64 holds, `Fraction`s of larger integers; nan and inf are refused.

    An array of `Fraction`s is returned as it is.
    """
    array = np.asarray(values)
    if array.dtype == object:
        return array
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
        raise InputError(f"{what} has the type {array.dtype}; export real numbers (float64, float32, integers)")
    floats = array.astype(np.float64)
    if not np.isfinite(floats).all():
        raise InputError(f"{what} holds nan or inf; every number must be finite")
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8 and (np.abs(floats) > 2.0**53).any():
        return _fractions(array)
    return floats


def times(a: Array, b: Array) -> Array:
    """Entrywise product with broadcasting.

    Numbers that float32 holds have at most 24 bits and exponents from -149 to 127: float64 holds the product of two.
    """
    quick = single_products(a, b)
    return np.asarray(_fractions(a) * _fractions(b)) if quick is None else quick


def single_products(a: Array, b: Array) -> Array | None:
    """Entrywise products of numbers that float32 holds, as float64; None where one is another number."""
    return np.asarray(a * b) if _single(a) and _single(b) else None


def plus(a: Array, b: Array) -> Array:
    """Sum of two arrays of one shape."""
    if a.dtype != object and b.dtype != object:
        with np.errstate(over="ignore", invalid="ignore"):
            total = a + b
            # Knuth's TwoSum: the exact error of a sum of floats, unless it overflows.
            part = total - a
            error = (a - (total - part)) + (b - part)
        if np.isfinite(total).all() and not error.any():  # a nan in the error counts as an error
            return np.asarray(total)
    return np.asarray(_fractions(a) + _fractions(b))


def product(a: Array, b: Array) -> Array:
    """Product of two matrices, as `Fraction`s."""
    import flint

    entries = a.size + b.size + a.shape[0] * b.shape[1]
    if entries > MAX_PRODUCT:
        raise InputError(
            f"two linear operators in a row, of {a.shape[0]} x {a.shape[1]} and {b.shape[0]} x {b.shape[1]}, are too "
            "large to be multiplied out exactly; multiply them before the export"
        )

    def rational(m: Array) -> Any:
        flat = [Fraction(v) for v in m.ravel().tolist()]
        return flint.fmpq_mat(m.shape[0], m.shape[1], [flint.fmpq(v.numerator, v.denominator) for v in flat])

    c = rational(a) * rational(b)
    flat = [Fraction(int(v.p), int(v.q)) for v in c.entries()]
    return _object(flat, (a.shape[0], b.shape[1]))


def reciprocal(a: Array) -> Array:
    """Entrywise 1/a; every entry of `a` must differ from 0."""
    return _object([1 / Fraction(v) for v in a.ravel().tolist()], a.shape)


def as_rationals(a: Array) -> Array:
    """The numbers as flint's rationals, which add and multiply several times faster than `Fraction`s."""
    import flint

    flat = a.ravel().tolist()
    if len(flat) > MAX_STEPS:
        raise InputError(
            f"{len(flat):,} numbers are to be added or multiplied exactly, too many; do it before the export"
        )
    if a.dtype == object:
        made = [v if isinstance(v, flint.fmpq) else flint.fmpq(*v.as_integer_ratio()) for v in flat]
    else:
        made = [flint.fmpq(*v.as_integer_ratio()) for v in flat]
    return _object(made, a.shape)


def joined(arrays: Sequence[Array], axis: int = 0) -> Array:
    """The arrays one after the other; all as `Fraction`s if any of them is."""
    if any(a.dtype == object for a in arrays):
        arrays = [_fractions(a) for a in arrays]
    return np.concatenate(arrays, axis=axis)


def demoted(a: Array) -> Array:
    """Float64 if it holds every number of `a` (`Fraction`s or flint's rationals), otherwise `Fraction`s."""
    if a.dtype != object:
        return a
    flat = [v if isinstance(v, Fraction) else Fraction(int(v.p), int(v.q)) for v in a.ravel().tolist()]
    floats = []
    for v in flat:
        try:
            near = float(v)
        except OverflowError:
            break
        if Fraction(near) != v:
            break
        floats.append(near)
    if len(floats) == len(flat):
        return np.array(floats, dtype=np.float64).reshape(a.shape)
    return _object(flat, a.shape)


def as_floats(a: Array) -> npt.NDArray[np.float64]:
    """The nearest float64 numbers, inf beyond their range."""
    if a.dtype != object:
        return np.asarray(a, dtype=np.float64)

    def near(v: Fraction) -> float:
        try:
            return float(v)
        except OverflowError:
            return float("inf") if v > 0 else float("-inf")

    return np.array([near(v) for v in a.ravel()], dtype=np.float64).reshape(a.shape)


def _single(a: Array) -> bool:
    if a.dtype == object:
        return False
    with np.errstate(over="ignore", under="ignore"):
        return bool((a.astype(np.float32) == a).all())


def _fractions(a: Array) -> Array:
    if a.dtype == object:
        return a
    if a.size > MAX_PRODUCT:
        raise InputError(
            f"{a.size:,} weights are multiplied by numbers that float64 cannot hold the products of, too many to do "
            "exactly; multiply them before the export"
        )
    return _object([Fraction(v) for v in a.ravel().tolist()], a.shape)


def _object(flat: list[Any], shape: tuple[int, ...]) -> Array:
    result = np.empty(len(flat), dtype=object)
    result[:] = flat
    return result.reshape(shape)
