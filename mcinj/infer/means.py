"""Means of m*/n per size: what scaling version 2 extrapolates.

A mean has no lattice (a median interpolated between integer widths has one) and, for laws as narrow as these, a
standard error a fifth below the median's. It needs every draw: infinite and censored ones are treated openly (`means`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mcinj.errors import InputError
from mcinj.infer.intervals import check_level
from mcinj.infer.points import MIN_TRIALS
from mcinj.infer.sample import BoolArray, FloatArray, IntArray, ThresholdSample


@dataclass(frozen=True)
class SearchedMean:
    """Mean of searched thresholds at one size: each value a proved lower bound, completeness estimated, not proved.

    mean: of (largest width with a witness + 1)/n. se: its standard error over streams. miss_lo, miss_hi: interval for
    how much the true mean lies above it (0 <= miss_lo <= miss_hi), all in units of m/n. streams: their number.
    """

    n: int
    streams: int
    mean: float
    se: float
    miss_lo: float
    miss_hi: float

    def __post_init__(self) -> None:
        values = (self.mean, self.se, self.miss_lo, self.miss_hi)
        if self.n < 1 or not all(math.isfinite(v) for v in values) or not self.se > 0:
            raise InputError(f"a searched mean needs n >= 1, finite values and a positive error, got {self}")
        if not 0.0 <= self.miss_lo <= self.miss_hi:
            raise InputError(f"a search misses upwards: 0 <= miss_lo <= miss_hi, got {self.miss_lo}, {self.miss_hi}")

    @classmethod
    def of_runs(
        cls, n: int, streams: int, mean: float, se: float, gap: float, gap_se: float, *, level: float = 0.95
    ) -> SearchedMean:
        """From the summary of independent runs on at least 4 streams, all in widths.

        mean, se: of the best + 1, and its error over streams, here made (streams - 1)/(streams - 3) times as large in
        variance (as in `means`). gap, gap_se: what the best of the runs is estimated to miss, with its error: nothing
        may be missed, or the gap's upper limit.
        """
        if streams < 4:
            raise InputError(f"the mean of {streams} streams has no usable error; search at least 4")
        most = max(0.0, gap + NormalDist().inv_cdf(0.5 + check_level(level) / 2.0) * gap_se)
        error = se * math.sqrt((streams - 1) / (streams - 3))
        return cls(n, streams, mean / n, error / n, 0.0, most / n)


@dataclass(frozen=True, eq=False)
class MeanSeries:
    """Means of m*/n, one row per size and kind (a size may be both proved and searched), by increasing n.

    n: shape (rows,). alpha: means over n. covariance: of their sampling errors, shape (rows, rows), positive definite;
    not diagonal where sizes share streams. doubt: shape (rows,), half-width of a shift of unknown size in
    [-doubt, doubt] (missed by a search, or censored). searched: shape (rows,). finite: share of the draws that are
    finite. skipped: sizes left out, with the reason.
    """

    n: IntArray
    alpha: FloatArray
    covariance: FloatArray
    doubt: FloatArray
    searched: BoolArray
    finite: FloatArray
    skipped: tuple[tuple[int, str], ...] = ()

    def __post_init__(self) -> None:
        rows = self.n.size
        for name in ("alpha", "doubt", "searched", "finite"):
            if getattr(self, name).shape != (rows,):
                raise InputError(f"{name} must have the shape of n, ({rows},), got {getattr(self, name).shape}")
        if self.covariance.shape != (rows, rows):
            raise InputError(f"covariance must have shape ({rows}, {rows}), got {self.covariance.shape}")
        if (np.diff(self.n) < 0).any() or (self.n < 1).any():
            raise InputError(f"sizes must be positive and in increasing order, got n = {self.n.tolist()}")
        parts = (self.alpha, self.covariance, self.doubt)
        if not all(np.isfinite(p).all() for p in parts) or (self.doubt < 0).any() or (self.sigma <= 0).any():
            raise InputError("means need finite values, positive standard errors and doubts of at least 0")

    @property
    def sigma(self) -> FloatArray:
        """Standard errors, shape (rows,)."""
        return np.sqrt(np.diag(self.covariance))

    def take(self, keep: BoolArray) -> MeanSeries:
        """The rows of a mask."""
        return MeanSeries(
            self.n[keep],
            self.alpha[keep],
            self.covariance[np.ix_(keep, keep)],
            self.doubt[keep],
            self.searched[keep],
            self.finite[keep],
            self.skipped,
        )


def means(
    samples: Iterable[ThresholdSample],
    searched: Iterable[SearchedMean] = (),
    *,
    levels: Mapping[int, float] | None = None,
) -> MeanSeries:
    """Means of independent samples of one family (same ensemble, criterion and expansions; different n).

    The mean is over the finite draws: where an earlier layer fails m* is infinite, and the result is conditional on
    earlier layers that pass (`finite` says how many). Censored draws put the mean anywhere between its worst cases
    (`doubt`); a right-censored one leaves it open, so that the size is skipped, as are sizes of fewer than MIN_TRIALS
    finite draws. The variance of a mean of N draws is taken (N - 1)/(N - 3) times the usual one, that of Student's t.

    levels: by n, level of a single interval that covers with 95 % under a size's stopping rule; errors are stretched to
    match. Raises InputError when no size is usable.
    """
    ordered = sorted(samples, key=lambda s: s.n)
    if len({s.n for s in ordered}) != len(ordered):
        raise InputError(f"each size may appear once, got n = {[s.n for s in ordered]}: split the families first")
    rows: list[tuple[int, float, float, float, bool, float]] = []
    skipped: list[tuple[int, str]] = []
    for sample in ordered:
        finite = ~sample.failed
        least, most = sample.least[finite], sample.most[finite]
        size = least.size
        if size < MIN_TRIALS:
            skipped.append((sample.n, f"{size} finite draws, fewer than {MIN_TRIALS}"))
            continue
        if not np.isfinite(most).all():
            skipped.append((sample.n, "right-censored draws leave the mean open"))
            continue
        middle = (least + most) / 2.0
        # A law on one width has no scatter to go by: one draw in `size` elsewhere would not be a surprise.
        variance = max(float(np.var(middle, ddof=1)), 1.0 / size)
        error = math.sqrt(variance / size * (size - 1) / (size - 3))
        if levels and sample.n in levels:
            error *= NormalDist().inv_cdf(0.5 + levels[sample.n] / 2) / NormalDist().inv_cdf(0.975)
        n, mean, half = sample.n, float(middle.mean()), float((most - least).mean()) / 2.0
        rows.append((n, mean / n, error / n, half / n, False, size / sample.trials))
    for extra in searched:
        half = (extra.miss_hi - extra.miss_lo) / 2.0
        rows.append((extra.n, extra.mean + extra.miss_lo + half, extra.se, half, True, 1.0))
    if not rows:
        raise InputError(f"no size has a usable mean: {dict(skipped)}")
    rows.sort(key=lambda row: (row[0], row[4]))
    sizes, alpha, sigma, doubt, found, share = zip(*rows, strict=True)
    return MeanSeries(
        n=np.array(sizes, dtype=np.int64),
        alpha=np.array(alpha),
        covariance=np.diag(np.array(sigma) ** 2),
        doubt=np.array(doubt),
        searched=np.array(found, dtype=np.bool_),
        finite=np.array(share),
        skipped=tuple(skipped),
    )
