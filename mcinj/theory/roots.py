"""Roots of scalar functions by bisection down to neighbouring floats: slow, and never wrong by more."""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["bisect", "falling_root"]


def bisect(f: Callable[[float], float], low: float, high: float) -> float:
    """A sign change of f in [low, high], 0 <= low < high, to the last bit.

    While the ends differ by more than a factor 4 the geometric mean is tried, so that the order of magnitude
    is found first. Raises `ArithmeticError` if f has one sign at both ends.
    """
    rises = f(high) > 0
    if (f(low) > 0) == rises:
        raise ArithmeticError(f"no sign change between {low!r} and {high!r}")
    while True:
        middle = math.sqrt(low) * math.sqrt(high) if 0 < low < high / 4 else low + (high - low) / 2
        if not low < middle < high:
            return high
        if (f(middle) > 0) == rises:
            high = middle
        else:
            low = middle


def falling_root(f: Callable[[float], float], low: float) -> float:
    """Where f, positive at `low` > 0 and negative far to the right, changes sign; doubles, then bisects.

    Raises `ArithmeticError` if f is still positive at the largest float.
    """
    high = 2 * low
    while f(high) > 0:
        low, high = high, 2 * high
        if not math.isfinite(high):
            raise ArithmeticError("no sign change up to the largest float")
    return bisect(f, low, high)
