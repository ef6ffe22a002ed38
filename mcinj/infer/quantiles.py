"""Quantiles of m*, discrete and interpolated in m, with intervals, and the transition width.

Two conventions, both given. *Discrete*: the least width m with P(m* <= m) >= q; its interval is the exact
order-statistic one. *Interpolated*: the real m at which the curve, drawn linearly between integers, crosses q;
finite-size scaling uses this one, since a discrete median jumps by 1/n in m*/n. The linear curve is itself a
distribution function, that of m* - U with U uniform on [0, 1): so its quantile is a population quantity, and its
interval is had by inverting binomial limits (see `interpolated_interval`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from mcinj.errors import InputError
from mcinj.infer.bootstrap import ROUNDING, crossings, resample_curves
from mcinj.infer.curves import TransitionCurve, curve_of
from mcinj.infer.intervals import check_level, clopper_pearson, quantile_ranks
from mcinj.infer.sample import FloatArray, ThresholdSample

# One standard error: the interval of this level, halved, is the error bar of an interpolated quantile.
ONE_SIGMA = 0.6826894921370859


@dataclass(frozen=True)
class QuantileEstimate:
    """The q-quantile of m* of one series, in widths (divide by n, or read the *_alpha properties).

    Attributes
    ----------
    discrete, lo, hi: least m with P(m* <= m) >= q and its order-statistic interval; coverage >= level for every
        law. Infinite ends when too few trials, right-censored draws or m* = infinity leave that side open.
    interpolated, interpolated_lo, interpolated_hi: the same for the curve drawn linearly between integers.
    least, most: interpolated quantile of the two worst-case curves; equal to `interpolated` without censoring.
    """

    q: float
    n: int
    discrete: float
    lo: float
    hi: float
    interpolated: float
    interpolated_lo: float
    interpolated_hi: float
    least: float
    most: float
    trials: int
    censored: int
    level: float

    @property
    def alpha(self) -> float:
        """The interpolated quantile of m*/n."""
        return self.interpolated / self.n

    @property
    def alpha_lo(self) -> float:
        """Lower confidence limit of the interpolated quantile of m*/n."""
        return self.interpolated_lo / self.n

    @property
    def alpha_hi(self) -> float:
        """Upper confidence limit of the interpolated quantile of m*/n, possibly inf."""
        return self.interpolated_hi / self.n


def crossing(m: ArrayLike, p: ArrayLike, level: float) -> float:
    """The first real m at which the non-decreasing curve, linear between the given points, reaches the level.

    Returns inf when it never does, and m[0] when it starts at or above the level.

    >>> crossing([1, 2, 3], [0.0, 0.5, 1.0], 0.75)
    2.5
    """
    x, y = np.asarray(m, dtype=np.float64), np.asarray(p, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or x.size == 0:
        raise InputError(f"a curve needs equally long vectors m and p, got shapes {x.shape} and {y.shape}")
    reached = np.flatnonzero(y >= level - ROUNDING)
    if reached.size == 0:
        return math.inf
    k = int(reached[0])
    if k == 0:
        return float(x[0])
    share = min((level - y[k - 1]) / (y[k] - y[k - 1]), 1.0)
    return float(x[k - 1] + (x[k] - x[k - 1]) * share)


def quantile(
    sample: ThresholdSample, q: float = 0.5, *, level: float = 0.95, curve: TransitionCurve | None = None
) -> QuantileEstimate:
    """Estimate the q-quantile of m*. Pass the sample's curve if it is at hand; it is computed otherwise.

    >>> s = ThresholdSample.build([2, 3, 3, 4], [3, 4, 4, 5], 1)
    >>> e = quantile(s)
    >>> e.discrete, e.interpolated
    (4.0, 3.5)
    """
    if not 0.0 < q < 1.0:
        raise InputError(f"a quantile's q must lie strictly between 0 and 1, got {q}")
    check_level(level)
    shape = curve_of(sample, level=level) if curve is None else curve
    # p is a sum of masses: q is met where it equals q up to rounding.
    at = np.flatnonzero(shape.p >= q - ROUNDING)
    discrete = float(shape.m[at[0]]) if at.size else math.inf
    below, above = quantile_ranks(sample.trials, q, level)
    lo = _ranked(sample.least, below) if below >= 1 else -math.inf
    hi = _ranked(sample.most, above) if above <= sample.trials else math.inf
    inner_lo, inner_hi = interpolated_interval(shape, q, level)
    return QuantileEstimate(
        q=q,
        n=sample.n,
        discrete=discrete,
        lo=max(lo, 0.0),  # m* >= 0 always: the trivial end instead of -infinity
        hi=hi,
        interpolated=crossing(shape.m, shape.p, q),
        interpolated_lo=inner_lo,
        interpolated_hi=inner_hi,
        least=crossing(shape.m, shape.p_upper, q),
        most=crossing(shape.m, shape.p_lower, q),
        trials=sample.trials,
        censored=sample.censored,
        level=level,
    )


def _ranked(values: FloatArray, rank: int) -> float:
    """The value of this rank, from 1, without sorting the others."""
    return float(np.partition(values, rank - 1)[rank - 1])


def interpolated_interval(curve: TransitionCurve, q: float, level: float) -> tuple[float, float]:
    """Confidence interval of the interpolated q-quantile by inverting binomial limits of the linear curve.

    At a real width x the linear curve is the mean of the score (1-w)·1{m* <= floor x} + w·1{m* <= floor x + 1} in
    [0, 1], whose sum over trials varies less than a binomial count of the same mean; so the set of x whose
    Clopper–Pearson limits contain q covers the true crossing. Censored draws: worst case on either side. The
    coverage is checked by simulation in the tests. Upper end inf when the trials leave it open; lower end >= 0.
    """
    trials = curve.trials
    k_min, k_max = _compatible_counts(trials, q, level)
    low = 0.0 if k_min == 0.0 else crossing(curve.m, curve.p_upper * trials, k_min)
    high = math.inf if k_max == trials else crossing(curve.m, curve.p_lower * trials, k_max)
    return low, high


@lru_cache(maxsize=4096)
def _compatible_counts(trials: int, q: float, level: float) -> tuple[float, float]:
    """The real counts [k_min, k_max] whose binomial limits contain q; the limits grow with the count."""

    def lower(k: float) -> bool:
        return float(clopper_pearson(k, trials, level)[0]) > q

    def upper(k: float) -> bool:
        return float(clopper_pearson(k, trials, level)[1]) >= q

    k_min = 0.0 if upper(0.0) else _first(upper, 0.0, float(trials))
    k_max = _first(lower, 0.0, float(trials)) if lower(float(trials)) else float(trials)
    return k_min, k_max


def _first(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Where a condition on reals begins to hold, to rounding; it fails at `low` and holds at `high`."""
    while low < (middle := (low + high) / 2.0) < high:
        if holds(middle):
            high = middle
        else:
            low = middle
    return high


def standard_error(sample: ThresholdSample, q: float = 0.5, *, curve: TransitionCurve | None = None) -> float:
    """Standard error of the interpolated q-quantile in widths: half its 68.27 % interval; inf when that is open."""
    shape = curve_of(sample, level=ONE_SIGMA) if curve is None else curve
    low, high = interpolated_interval(shape, q, ONE_SIGMA)
    return (high - low) / 2.0


@dataclass(frozen=True)
class TransitionWidth:
    """Distance between two interpolated quantiles of m*, in widths, with a bootstrap interval (inf when open)."""

    q_low: float
    q_high: float
    width: float
    lo: float
    hi: float
    n: int
    level: float


def transition_width(
    sample: ThresholdSample,
    q_low: float = 0.1,
    q_high: float = 0.9,
    *,
    level: float = 0.95,
    resamples: int = 400,
    seed: int = 0,
) -> TransitionWidth:
    """Transition width q_high - q_low of the interpolated quantiles, in widths.

    The interval is a percentile bootstrap over trials (seeded), widened by the worst cases of censored draws:
    its coverage is approximate (the tests measure it), unlike that of the quantiles' own intervals.
    """
    if not 0.0 < q_low < q_high < 1.0:
        raise InputError(f"quantiles must satisfy 0 < q_low < q_high < 1, got {q_low} and {q_high}")
    curve = curve_of(sample, level=level)
    ends = crossings(curve.m, curve.p[None, :], q_high), crossings(curve.m, curve.p[None, :], q_low)
    width = float(_gap(*ends)[0])
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(sample.n, sample.trials)))
    drawn = resample_curves(sample, curve.m, resamples, rng)
    # The narrowest and the widest transition that the censoring leaves possible (the former may be negative).
    narrow = _gap(crossings(curve.m, drawn.upper, q_high), crossings(curve.m, drawn.lower, q_low))
    wide = _gap(crossings(curve.m, drawn.lower, q_high), crossings(curve.m, drawn.upper, q_low))
    tail = (1.0 - level) / 2.0
    lo = float(np.quantile(narrow, tail, method="lower"))
    hi = float(np.quantile(wide, 1.0 - tail, method="higher"))
    return TransitionWidth(q_low, q_high, width, max(lo, 0.0), hi, sample.n, level)


def _gap(upper: FloatArray, lower: FloatArray) -> FloatArray:
    """upper - lower, elementwise; inf where the upper end is open, also when both are."""
    return np.where(np.isfinite(upper), upper, np.inf) - np.where(np.isfinite(upper), lower, 0.0)
