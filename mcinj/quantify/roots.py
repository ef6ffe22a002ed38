"""Square roots of rationals as floats, rounded to a stated side."""

from __future__ import annotations

import math
from fractions import Fraction

_BITS = 64


def root_below(square: Fraction) -> float:
    """A float `r >= 0` with `r² <= square`, at most about two roundings below the root."""
    if square <= 0:
        return 0.0
    root, shift = _floor_root(square)
    value = _to_float(root, shift)
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
