"""Observed numbers of low-count cells against their exact expectations N_j(m, n): the engine's own lie detector.

The number of cells with exactly j positives varies from stream to stream with long tails (cells come in clusters: one
deep direction brings many), far more than a Poisson count of the same mean, so neither a Poisson nor a normal test of
the mean is used. The test is the bootstrap-t: the studentised mean is compared with its bootstrap law, which follows
the skewness of the data (Hall, The Bootstrap and Edgeworth Expansion, 1992, §3.6: error O(1/N) in an equal-tailed
test). Several j of one set of streams are correlated; the overall p-value is Bonferroni's, valid under any dependence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mcinj.errors import InputError
from mcinj.infer.sample import FloatArray

# With fewer streams that show any such cell the bootstrap has too little to resample, and no p-value is given.
MIN_NONZERO = 25
_CHUNK = 2_000_000  # resampled entries held at a time


@dataclass(frozen=True)
class CellTest:
    """Test of one expectation. counts are per stream.

    label: what was counted, e.g. "n=5 m=30 j=4". expected: N_j(m, n). mean, se: of the observed counts. ratio_lo,
    ratio_hi: bootstrap-t interval of (true mean)/expected. p_value: two-sided; NaN when not tested.
    streams, nonzero: numbers of streams, and of streams with any such cell.
    """

    label: str
    expected: float
    mean: float
    se: float
    ratio_lo: float
    ratio_hi: float
    p_value: float
    streams: int
    nonzero: int

    @property
    def tested(self) -> bool:
        """False when the cells are too rare in these streams to be tested."""
        return not math.isnan(self.p_value)

    @property
    def ratio(self) -> float:
        """Observed mean over expectation; 1 for an honest engine."""
        return self.mean / self.expected


def mean_test(
    counts: ArrayLike, expected: float, *, label: str = "", level: float = 0.95, resamples: int = 4000, seed: int = 0
) -> CellTest:
    """Test that the mean of iid per-stream counts is the expectation.

    counts: shape (streams,), non-negative. expected: positive. Returns p = NaN (not tested) with fewer than
    MIN_NONZERO streams with a positive count, or when all counts are equal.
    """
    values = np.asarray(counts, dtype=np.float64)
    if values.ndim != 1 or values.size < 2:
        raise InputError(f"counts must be a vector of at least two streams, got shape {values.shape}")
    if not np.isfinite(values).all() or (values < 0).any():
        raise InputError("counts must be finite and non-negative")
    if not (expected > 0 and math.isfinite(expected)):
        raise InputError(f"the expected count must be positive and finite, got {expected}")
    if resamples < 200:
        raise InputError(f"the bootstrap needs at least 200 resamples for a p-value, got {resamples}")
    size, nonzero = int(values.size), int(np.count_nonzero(values))
    mean, se = float(values.mean()), float(values.std(ddof=1) / math.sqrt(values.size))
    if nonzero < MIN_NONZERO or se == 0.0:
        return CellTest(label, float(expected), mean, se, math.nan, math.nan, math.nan, size, nonzero)
    pivots = np.sort(_studentised(values, resamples, np.random.default_rng(seed)))
    observed = (mean - expected) / se
    above = (np.count_nonzero(pivots >= observed) + 1) / (resamples + 1)
    below = (np.count_nonzero(pivots <= observed) + 1) / (resamples + 1)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(pivots, [tail, 1.0 - tail], method="nearest")
    return CellTest(
        label=label,
        expected=float(expected),
        mean=mean,
        se=se,
        ratio_lo=(mean - float(high) * se) / expected,
        ratio_hi=(mean - float(low) * se) / expected,
        p_value=min(1.0, 2.0 * min(above, below)),
        streams=size,
        nonzero=nonzero,
    )


def _studentised(values: FloatArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    """Studentised means of bootstrap samples, shape (resamples,), from counts of the distinct values."""
    distinct, copies = np.unique(values, return_counts=True)
    share, size, mean = copies / values.size, values.size, values.mean()
    pivots = np.empty(resamples)
    step = max(1, _CHUNK // distinct.size)
    for start in range(0, resamples, step):
        weight = rng.multinomial(size, share, size=min(step, resamples - start)) / size
        drawn = weight @ distinct
        spread = np.maximum(weight @ distinct**2 - drawn**2, 0.0) * size / (size - 1)
        # A resample without spread is infinitely far out on its side, or at zero when it equals the mean.
        flat = np.where(drawn == mean, 0.0, np.where(drawn > mean, np.inf, -np.inf))
        scale = np.sqrt(np.where(spread > 0, spread, 1.0) / size)
        pivots[start : start + step] = np.where(spread > 0, (drawn - mean) / scale, flat)
    return pivots


def cell_tests(
    n: int, m: int, counts: ArrayLike, j: Sequence[int] | None = None, *, resamples: int = 4000, seed: int = 0
) -> list[CellTest]:
    """Test the observed numbers of cells with j positives of m rows in R^n against N_j(m, n), one test per j.

    counts: shape (streams, len(j)), cells per stream. j: default 0, 1, …, one per column. The expectation holds for
    rows that are symmetric one by one and in general position (`Ensemble.symmetric_rows`).
    """
    from mcinj.theory import expected_cells

    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2:
        raise InputError(f"counts must have shape (streams, numbers j), got {table.shape}")
    levels = list(range(table.shape[1])) if j is None else list(j)
    if len(levels) != table.shape[1]:
        raise InputError(f"counts has {table.shape[1]} columns but j has {len(levels)} entries: give one j per column")
    tests = []
    for k, level in enumerate(levels):
        expected = float(expected_cells(m, n, level))
        label = f"n={n} m={m} j={level}"
        tests.append(mean_test(table[:, k], expected, label=label, resamples=resamples, seed=seed))
    return tests


def overall_p(tests: Sequence[CellTest]) -> float:
    """One p-value for several tests of the same or of different streams (Bonferroni); NaN when none was tested."""
    values = [t.p_value for t in tests if t.tested]
    return min(1.0, len(values) * min(values)) if values else math.nan
