"""Searched means from two budgets: a small one on many streams, a larger one on some of them.

A mean needs many streams, and a search that misses little needs many moves; not both on the same streams. With Y the
ratio m/n searched with the smaller budget and G >= 0 what the larger one finds beyond it,

    E m*/n = E Y + E G + (what the larger budget misses),

the first term is averaged over all streams, with control variates, the second over the streams that both budgets
searched (double sampling; Neyman, JASA 33, 1938). G varies little, so that few streams will do. What the larger budget
may still miss is its own gap, as in `mcinj.infer.searched`: with enough runs at the best width a bound, else a guess.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from mcinj.errors import InputError
from mcinj.infer.intervals import check_level, student_quantile
from mcinj.infer.means import SearchedMean
from mcinj.infer.resultants import COEFFICIENTS
from mcinj.infer.sample import FloatArray, IntArray
from mcinj.infer.searched import summarise_searches

# Fewer streams than this have no usable error.
LEAST = 4


@dataclass(frozen=True)
class LevelledMean:
    """Searched mean of one size, all lengths in units of m/n.

    streams: of the smaller budget. shared: of the larger one, 0 without one. gain, gain_se: mean of what it finds
    beyond. mean, se: of Y (less its controls) plus gain. gap, gap_se: estimate of what the last budget's runs miss.
    miss: upper limit of that at `level` (one-sided from both tails, as everywhere). reach: share of its runs at the
    best width of their stream.
    """

    n: int
    streams: int
    shared: int
    gain: float
    gain_se: float
    mean: float
    se: float
    gap: float
    gap_se: float
    miss: float
    reach: float
    level: float

    @property
    def interval(self) -> tuple[float, float]:
        """Of the mean m*/n: the sampling error on both sides, above the miss as well."""
        half = NormalDist().inv_cdf(0.5 + self.level / 2.0) * self.se
        return self.mean - half, self.mean + half + self.miss

    def as_searched(self) -> SearchedMean:
        """For `mcinj.infer.means.means`."""
        return SearchedMean(self.n, self.streams, self.mean, self.se, 0.0, self.miss)


def levelled(
    n: int,
    found: ArrayLike,
    larger: ArrayLike | None = None,
    shared: ArrayLike | None = None,
    *,
    controls: ArrayLike | None = None,
    level: float = 0.95,
) -> LevelledMean:
    """Mean m*/n from widths found by independent runs, shape (streams, runs), with one budget or with two.

    larger: widths that the runs of the larger budget found, shape (len(shared), runs); shared: rows of `found` that
    are the same streams. controls: of all streams (`mcinj.infer.resultants`), shape (streams, controls).

    Errors are those of Student's t with a normal quantile: (N - 1)/(N - 3) times the variance. Of N streams that gain
    nothing, or agree, one more that does would be no surprise: the gain's variance is at least `lone`²/N, the miss
    counts one more stream of gap `lone`, the mean gap where one run of the smaller budget was alone at the best width.
    """
    low = summarise_searches(found, check_level(level))
    widths = np.asarray(found, dtype=np.float64)
    top = widths.max(axis=1)
    y = (top + 1.0) / n
    if controls is not None:
        y = y - _matching(controls, len(y)) @ np.array(COEFFICIENTS)
    if len(y) < LEAST:
        raise InputError(f"the mean of {len(y)} streams has no usable error; search at least {LEAST}")
    gaps = _gaps(widths)
    lone = float(gaps[gaps > 0].mean()) if (gaps > 0).any() else 1.0
    variance, gain, gain_se = _variance(y), 0.0, 0.0
    last, at = low, np.zeros(0, dtype=np.int64)
    if larger is not None:
        last, at = summarise_searches(larger, level), _rows(shared, len(y))
        more = np.asarray(larger, dtype=np.float64)
        if len(more) != at.size or at.size < LEAST:
            raise InputError(f"{len(more)} streams of the larger budget, {at.size} shared; both need at least {LEAST}")
        g = np.maximum(more.max(axis=1) - top[at], 0.0) / n
        gain = float(g.mean())
        gain_se = math.sqrt(max(_variance(g), (lone / n / at.size) ** 2))
        # The shared streams are some of all: Cov(mean Y, mean G) = Cov(Y, G)/streams.
        variance += gain_se**2 + 2.0 * float(np.cov(y[at], g)[0, 1]) / len(y)
        gaps = _gaps(more)
    gaps = np.append(gaps, lone)
    t = student_quantile(0.5 + level / 2.0, gaps.size - 1)
    return LevelledMean(
        n=n,
        streams=len(y),
        shared=int(at.size),
        gain=gain,
        gain_se=gain_se,
        mean=float(y.mean()) + gain,
        se=math.sqrt(variance),
        gap=last.gap / n,
        gap_se=last.gap_se / n,
        miss=float(gaps.mean() + t * gaps.std(ddof=1) / math.sqrt(gaps.size)) / n,
        reach=last.reach,
        level=level,
    )


def _gaps(widths: FloatArray) -> FloatArray:
    """From the best run to the second best of each stream."""
    ordered = np.sort(widths, axis=1)
    gaps: FloatArray = ordered[:, -1] - ordered[:, -2]
    return gaps


def _variance(values: FloatArray) -> float:
    """Of a mean, Student's."""
    size = values.size
    return float(np.var(values, ddof=1)) / size * (size - 1) / (size - 3)


def _matching(controls: ArrayLike, streams: int) -> FloatArray:
    c = np.asarray(controls, dtype=np.float64)
    if c.shape != (streams, len(COEFFICIENTS)):
        raise InputError(f"one row of {len(COEFFICIENTS)} controls per stream, {streams} streams, got shape {c.shape}")
    return c


def _rows(shared: ArrayLike | None, streams: int) -> IntArray:
    at = np.asarray([] if shared is None else shared, dtype=np.int64)
    if at.ndim != 1 or np.unique(at).size != at.size or ((at < 0) | (at >= streams)).any():
        raise InputError(f"shared must name different rows among the {streams} of the smaller budget")
    return at
