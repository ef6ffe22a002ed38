"""Rationals and their square roots as floats, rounded to a stated side, also beyond the range of floats."""

from __future__ import annotations

import math
import sys
from fractions import Fraction

_BITS = 64
LARGEST = sys.float_info.max


def float_below(value: Fraction) -> float:
    """The largest float at most `value`, which is above -2^1024.

    >>> float_below(Fraction(10**400)) == LARGEST, float_below(Fraction(1, 3)) < Fraction(1, 3)
    (True, True)
    """
    if value >= LARGEST:
        return LARGEST
    result = float(value)
    return result if Fraction(result) <= value else math.nextafter(result, -math.inf)


def root_below(square: Fraction) -> float:
    """A float `r >= 0` with `r² <= square`, at most about two roundings below the root."""
    if square <= 0:
        return 0.0
    root, shift = _floor_root(square)
    value = min(_to_float(root, shift), LARGEST)
    while value > 0 and Fraction(value) ** 2 > square:
        value = math.nextafter(value, 0.0)
    return value


def root_above(square: Fraction) -> float:
    """A float `r` with `r² >= square >= 0`, at most about two roundings above the root."""
    if square <= 0:
        return 0.0
    root, shift = _floor_root(square)
    value = _to_float(root + 1, shift)
    while not math.isinf(value) and Fraction(value) ** 2 < square:
        value = math.nextafter(value, math.inf)
    return value


def _floor_root(square: Fraction) -> tuple[int, int]:
    """`(r, s)` with r = floor(sqrt(square) 2^s), r of at least 64 bits."""
    size = square.numerator.bit_length() - square.denominator.bit_length()
    shift = _BITS + 1 - size // 2
    scaled = square * Fraction(4) ** shift
    return math.isqrt(scaled.numerator // scaled.denominator), shift


def _to_float(root: int, shift: int) -> float:
    try:
        return float(Fraction(root) * Fraction(2) ** -shift)
    except OverflowError:
        return math.inf
