"""Roots of scalar functions, bracketed all the way: Chandrupatla's method, to two units in the last place."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

__all__ = ["bracketed_root", "falling_root"]

_ULP = sys.float_info.epsilon


def bracketed_root(f: Callable[[float], float], low: float, high: float) -> float:
    """A sign change of f in [low, high], 0 <= low < high, to two units in the last place.

    While the ends differ by more than a factor 4 the geometric mean is tried, so that the order of magnitude
    is found first; then inverse quadratic interpolation where it is safe, bisection where not (Chandrupatla,
    Adv. Eng. Software 28 (1997) 145). Raises `ArithmeticError` if f has one sign at both ends.
    """
    x1, x2 = high, low
    f1, f2 = f(high), f(low)
    if (f1 > 0) == (f2 > 0):
        raise ArithmeticError(f"no sign change between {low!r} and {high!r}")
    x3, f3 = x2, f2
    while True:
        best = x1 if abs(f1) < abs(f2) else x2
        least = 2 * _ULP * abs(best) / abs(x2 - x1)
        if least > 0.5 or f1 == 0 or f2 == 0:
            return best
        small, large = min(x1, x2), max(x1, x2)
        if 0 < small < large / 4:
            x = math.sqrt(small) * math.sqrt(large)
        else:
            x = x1 + min(max(_step(x1, x2, x3, f1, f2, f3), least), 1 - least) * (x2 - x1)
        value = f(x)
        if (value > 0) == (f1 > 0):
            x3, f3 = x1, f1
        else:
            x3, f3, x2, f2 = x2, f2, x1, f1
        x1, f1 = x, value


def _step(x1: float, x2: float, x3: float, f1: float, f2: float, f3: float) -> float:
    """Where to go between x1 (0) and x2 (1): interpolation if it is safe, else the middle."""
    if x3 in (x1, x2) or f3 in (f1, f2):
        return 0.5
    xi, phi = (x1 - x2) / (x3 - x2), (f1 - f2) / (f3 - f2)
    if not (phi * phi < xi and (1 - phi) ** 2 < 1 - xi):
        return 0.5
    return f1 / (f2 - f1) * f3 / (f2 - f3) + (x3 - x1) / (x2 - x1) * f1 / (f3 - f1) * f2 / (f3 - f2)


def falling_root(f: Callable[[float], float], low: float) -> float:
    """Where f, positive at `low` > 0 and negative far to the right, changes sign; doubles until it has.

    Raises `ArithmeticError` if f is still positive at the largest float.
    """
    high = 2 * low
    while f(high) > 0:
        low, high = high, 2 * high
        if not math.isfinite(high):
            raise ArithmeticError("no sign change up to the largest float")
    return bracketed_root(f, low, high)
