"""Transition curves: P(injective at width m) = P(m* <= m), one step function per series, with honest bands.

One stream of rows gives the verdict at every width, so the curve is the distribution function of m*
(mathematics: appending rows never destroys a pass). Trials with m* = infinity count in the denominator: where an
earlier layer can fail, the curve levels off below 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike

from mcinj.errors import InputError
from mcinj.infer.intervals import check_level, clopper_pearson, dkw_halfwidth
from mcinj.infer.sample import FloatArray, IntArray, ThresholdSample
from mcinj.infer.turnbull import npmle

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, eq=False)
class TransitionCurve:
    """Estimate of P(m* <= m) on consecutive widths m, with bands. All arrays have shape (widths,).

    Attributes
    ----------
    n: input dimension. m: consecutive integer widths. The first has p_upper = 0; past the last nothing rises.
    p: maximum-likelihood estimate; the empirical distribution function when nothing is censored. Mass that the
        censoring leaves undetermined inside an interval is put at its right end.
    lo, hi: pointwise confidence limits, coverage >= level at each m whatever the censoring (Clopper–Pearson
        limits of p_lower from below, of p_upper from above).
    band_lo, band_hi: simultaneous band, the whole curve inside with probability >= level (DKW).
    p_lower, p_upper: worst-case curves, every censored draw at its largest and at its least possible value.
    trials, censored, failed: numbers of trials, of inexactly known draws, of draws with m* = infinity.
    level: confidence level of both bands.
    """

    n: int
    m: IntArray
    p: FloatArray
    lo: FloatArray
    hi: FloatArray
    band_lo: FloatArray
    band_hi: FloatArray
    p_lower: FloatArray
    p_upper: FloatArray
    trials: int
    censored: int
    failed: int
    level: float

    def __post_init__(self) -> None:
        for name in ("p", "lo", "hi", "band_lo", "band_hi", "p_lower", "p_upper"):
            if getattr(self, name).shape != self.m.shape:
                raise InputError(f"{name} must have the shape of m, {self.m.shape}, got {getattr(self, name).shape}")
        if self.m.size < 2 or (np.diff(self.m) != 1).any():
            raise InputError(f"a curve needs at least two consecutive widths, got {self.m.tolist()}")

    @property
    def alpha(self) -> FloatArray:
        """Width ratios m/n, shape (widths,)."""
        return np.asarray(self.m / self.n, dtype=np.float64)

    def interpolated(self, m: ArrayLike) -> FloatArray:
        """The curve at real widths, linear between integers (0 before the grid, its last value after)."""
        return np.asarray(np.interp(np.asarray(m, dtype=np.float64), self.m, self.p, left=0.0), dtype=np.float64)


def transition_curve(
    m_lo: ArrayLike | Iterable[Any],
    m_hi: ArrayLike | Iterable[Any],
    n: int,
    *,
    failed: ArrayLike | Iterable[Any] | None = None,
    level: float = 0.95,
) -> TransitionCurve:
    """Transition curve of one series from the columns of its trials.

    m_lo, m_hi: shape (trials,), whole numbers or missing; failed: per trial, missing or the failing layer.

    >>> c = transition_curve([2, 3, 3, 4], [3, 4, 4, 5], 1)
    >>> c.m.tolist(), c.p.tolist()
    ([2, 3, 4, 5], [0.0, 0.25, 0.75, 1.0])
    """
    return curve_of(ThresholdSample.build(m_lo, m_hi, n, failed=failed), level=level)


def curve_of(sample: ThresholdSample, *, level: float = 0.95) -> TransitionCurve:
    """Transition curve of a sample (see TransitionCurve for what its bands cover)."""
    check_level(level)
    known = _CURVES.setdefault(sample, {})
    if level not in known:
        known[level] = _curve(sample, level)
    return known[level]


# Every quantile of a sample asks for its curve, and a curve of 100,000 draws takes 20 ms.
_CURVES: WeakKeyDictionary[ThresholdSample, dict[float, TransitionCurve]] = WeakKeyDictionary()


def _curve(sample: ThresholdSample, level: float) -> TransitionCurve:
    m = width_grid(sample)
    p_lower, p_upper = worst_case(sample, m)
    _, right, mass = npmle(sample)
    order = np.argsort(right, kind="stable")
    total = np.concatenate(([0.0], np.cumsum(mass[order])))
    p = total[np.searchsorted(right[order], m, side="right")]
    # The cumulated masses reach 1 up to rounding; the likelihood's curve lies between the worst cases anyway.
    p = np.clip(p, p_lower, p_upper)
    lo = clopper_pearson(np.round(p_lower * sample.trials), sample.trials, level)[0]
    hi = clopper_pearson(np.round(p_upper * sample.trials), sample.trials, level)[1]
    eps = dkw_halfwidth(sample.trials, level)
    return TransitionCurve(
        n=sample.n,
        m=m,
        p=p,
        lo=lo,
        hi=hi,
        band_lo=np.maximum(p_lower - eps, 0.0),
        band_hi=np.minimum(p_upper + eps, 1.0),
        p_lower=p_lower,
        p_upper=p_upper,
        trials=sample.trials,
        censored=sample.censored,
        failed=int(np.count_nonzero(sample.failed)),
        level=level,
    )


def width_grid(sample: ThresholdSample) -> IntArray:
    """Consecutive widths from just below the least possible m* to the largest finite end of an interval."""
    least = sample.least[np.isfinite(sample.least)]
    ends = np.concatenate((least, sample.most[np.isfinite(sample.most)]))
    if ends.size == 0:  # every draw is infinite: the curve is zero everywhere
        return np.arange(sample.n - 1, sample.n + 1, dtype=np.int64)
    return np.arange(int(least.min()) - 1, int(ends.max()) + 1, dtype=np.int64)


def worst_case(sample: ThresholdSample, m: IntArray) -> tuple[FloatArray, FloatArray]:
    """Curves with every censored draw at its largest, and at its least possible m*. Shapes (widths,)."""
    grid = m.astype(np.float64)
    lower = np.searchsorted(np.sort(sample.most), grid, side="right") / sample.trials
    upper = np.searchsorted(np.sort(sample.least), grid, side="right") / sample.trials
    return np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
