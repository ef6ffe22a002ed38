"""What searched thresholds say of m*: the mean over streams, and how much the best of K runs still misses.

Each stream has K independent runs, each with a proved width X_k < m*. With p_w the probability that a run reaches width
w, the best of j runs falls short of m* - 1 by E sum_w (1 - p_w)^j over the widths above it. So the gains
d_j = E[best of j] - E[best of j - 1] form a completely monotone sequence, sum_w p_w (1 - p_w)^(j - 1), and what K runs
miss is the sum of the gains that further runs would bring, d_(K+1) + d_(K+2) + … All d_j up to K have unbiased
estimates from the order statistics of the K runs. The rest is extrapolation, done in two ways:

* geometric, d_K r / (1 - r) with r = d_K / d_(K-1): a lower bound for every completely monotone sequence (the ratios
  rise with j), exact if all p_w are equal;
* *gap*, K d_K: exact if the p_w have a uniform density near 0. It is the mean distance between the best run and the
  second best of each stream (the end-point estimate of Robson and Whitlock, Biometrika 51, 1964), too small if hard
  streams are more frequent than that.

Widths that runs almost never reach leave no trace in them. On streams with proved thresholds the miss lay between the
two, or within errors of the gap, where two thirds of four runs agree on the best, and above the gap where less than
half of them do (docs/searched.md): `reach` tells one from the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError
from mcinj.infer.intervals import check_level, clopper_pearson, student_quantile

Floats = npt.NDArray[np.float64]


def best_of(found: npt.ArrayLike) -> Floats:
    """Unbiased estimates of the expected best of 1, 2, … K runs, per stream.

    found: widths of shape (streams, K). Returns the same shape: column j - 1 is the mean of the largest value over all
    sets of j of the K runs.

    >>> best_of([[1, 3, 5]]).round(3).tolist()
    [[3.0, 4.333, 5.0]]
    """
    ordered = np.sort(_matrix(found), axis=1)
    runs = ordered.shape[1]
    weights = np.array([[comb(i, j - 1) / comb(runs, j) for j in range(1, runs + 1)] for i in range(runs)])
    # Relative to the largest value, so that runs that agree give exactly that.
    result: Floats = (ordered - ordered[:, -1:]) @ weights + ordered[:, -1:]
    return result


@dataclass(frozen=True)
class Searches:
    """Searched thresholds of one series; lengths in rows, not in units of n.

    Attributes
    ----------
    streams, runs
        Streams, and independent runs on each.
    mean, se
        Mean over streams of the best run's m_found + 1, and its standard error: an estimate from below of the mean m*.
    geometric, gap
        Two extrapolations of what the best of all runs still misses, on average (see the module).
    gap_se
        Standard error of `gap`.
    unique
        Share of streams whose best width was reached by one run only: the estimate of the share of streams with a miss
        that goes with `gap`.
    unique_high
        Upper confidence limit of that share (Clopper and Pearson).
    single
        Mean shortfall of one run against the best of all.
    reach
        Share of the runs that found the best width of their stream.
    interval
        Of the mean m*: from below, the mean as it is, since nothing need be missed; from above, with the gap added;
        both with their sampling errors.
    level
        Confidence level.
    """

    streams: int
    runs: int
    mean: float
    se: float
    geometric: float
    gap: float
    gap_se: float
    unique: float
    unique_high: float
    single: float
    reach: float
    interval: tuple[float, float]
    level: float


def summarise_searches(found: npt.ArrayLike, level: float = 0.95) -> Searches:
    """Mean m* and its misses from the widths that independent runs found, shape (streams, K) with K >= 2.

    Raises `InputError` for other shapes, values that are not finite, and levels outside (0, 1).
    """
    check_level(level)
    widths = _matrix(found)
    streams, runs = widths.shape
    if runs < 2:
        raise InputError("misses are estimated from the agreement of at least 2 runs per stream, got 1")
    best = best_of(widths)
    top = best[:, -1]
    gains = np.diff(best, axis=1).mean(axis=0)
    gap = runs * (best[:, -1] - best[:, -2])
    lone = int((gap > 0).sum())
    # Student's quantile and the error of a mean; of a single stream neither is known.
    factor = student_quantile(0.5 + level / 2, streams - 1) if streams > 1 else float("nan")
    return Searches(
        streams=streams,
        runs=runs,
        mean=float(top.mean()) + 1.0,
        se=_error(top),
        geometric=_geometric(gains),
        gap=float(gap.mean()),
        gap_se=_error(gap),
        unique=lone / streams,
        unique_high=float(clopper_pearson([lone], streams, level)[1][0]),
        single=float((top - best[:, 0]).mean()),
        reach=float((widths == widths.max(axis=1, keepdims=True)).mean()),
        interval=(
            float(top.mean()) + 1.0 - factor * _error(top),
            float((top + gap).mean()) + 1.0 + factor * _error(top + gap),
        ),
        level=level,
    )


def _geometric(gains: Floats) -> float:
    """Sum of the gains after the last one if they go on falling by its ratio; nan where they do not fall."""
    last = float(gains[-1])
    if last <= 0.0:
        return 0.0
    if len(gains) < 2 or gains[-2] <= last:
        return float("nan")
    ratio = last / float(gains[-2])
    return last * ratio / (1.0 - ratio)


def _error(values: Floats) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def _matrix(found: npt.ArrayLike) -> Floats:
    try:
        widths = np.asarray(found, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("widths found must be numbers, one row per stream and one column per run") from None
    if widths.ndim != 2 or not widths.size:
        raise InputError(f"widths found must have one row per stream and one column per run, got shape {widths.shape}")
    if not np.isfinite(widths).all():
        raise InputError("widths found contain nan or inf")
    return widths
