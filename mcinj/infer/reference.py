"""Finite-n series whose limits are known: where an exact expectation crosses 1/2, interpolated in m.

They serve twice: as the yardsticks of ratio fits (data divided by a series with similar finite-size corrections)
and as the test of every extrapolation, since their limits are known independently. Between integer widths the
expectation falls geometrically, so it is interpolated in its logarithm; a linear interpolation would add wiggles
of up to 0.007 in m/n, larger than the sampling errors of the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

import numpy as np

from mcinj.errors import InputError
from mcinj.infer.sample import FloatArray, IntArray

SeriesName = Literal["union", "euler"]
Interpolation = Literal["geometric", "linear"]


@dataclass(frozen=True, eq=False)
class ReferenceSeries:
    """m(n)/n for which an exact expectation equals `level`, and the limit of m(n)/n.

    name: "union" (expected cells with fewer than n positives) or "euler" (expected Euler characteristic).
    n, alpha: shape (sizes,). limit: the known n -> infinity value (docs/theory.md), computed, not stored.
    """

    name: str
    n: IntArray
    alpha: FloatArray
    limit: float

    def at(self, n: IntArray) -> FloatArray:
        """The series at the sizes n, in their order."""
        known = dict(zip(self.n.tolist(), self.alpha.tolist()))
        missing = sorted(set(n.tolist()) - set(known))
        if missing:
            raise InputError(f"the {self.name} series was computed for n = {self.n.tolist()}, not for {missing}")
        return np.array([known[k] for k in n.tolist()], dtype=np.float64)


def reference_series(
    name: SeriesName, n: Iterable[int], *, level: float = 0.5, interpolation: Interpolation = "geometric"
) -> ReferenceSeries:
    """The exactly known series at the sizes n >= 2 (level: the expectation's value at the crossing, > 0).

    Any fixed level has the same limit, since the expectation changes by a factor per width.

    >>> s = reference_series("union", [2, 3])
    >>> [round(float(a), 3) for a in s.alpha], round(s.limit, 6)
    ([4.125, 5.342], 9.088607)
    """
    sizes = [int(k) for k in n]
    if not sizes or min(sizes) < 2:
        raise InputError(f"a reference series needs sizes n >= 2, got {sizes}")
    if not level > 0:
        raise InputError(f"the crossing level must be positive, got {level}")
    alpha = [_crossing(name, k, level, interpolation) / k for k in sizes]
    return ReferenceSeries(name, np.array(sizes, dtype=np.int64), np.array(alpha), known_limit(name))


def known_limit(name: SeriesName) -> float:
    """Limit of the series: 9.088607 (union), 8.344633 (Euler), from their equations."""
    from mcinj.theory import euler_characteristic, first_moment

    if name == "union":
        return float(first_moment().value)
    if name == "euler":
        return float(euler_characteristic().value)
    raise InputError(f"unknown reference series {name!r}: use 'union' or 'euler'")


@lru_cache(maxsize=4096)
def _crossing(name: SeriesName, n: int, level: float, interpolation: Interpolation) -> float:
    """Real width at which the expectation has fallen to the level for good."""
    from mcinj.theory import expected_euler, union_bound

    expectation: Callable[[int, int], int | Fraction] = union_bound if name == "union" else expected_euler
    known_limit(name)  # raises for an unknown name
    # Eχ is not monotone near m = n, so walk down from the far side to the last crossing.
    width = 12 * n
    while float(expectation(width, n)) > level:
        width *= 2
    low = high = float(expectation(width, n))
    while high <= level:
        if width == n:
            raise InputError(f"the {name} series at n = {n} never exceeds the level {level}: use a lower level")
        width, low = width - 1, high
        high = float(expectation(width, n))
    if interpolation == "linear":
        return width + (high - level) / (high - low)
    return width + math.log(high / level) / math.log(high / low)
