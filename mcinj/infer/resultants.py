"""Control variates of thresholds: resultants of the first rows, whose moments are exact and which cost no search.

Where the first m rows, scaled to unit length, have a long sum S_m, more of them lie on one side, the other side empties
later and m* is large. For independent rows of symmetric law with E u uᵀ = I/n (`LAWS`)

    r_m = |S_m|²/m,                        E r_m = 1,   E r_m² = 1 + 2 (m - 1)/(m n),
    q_m = n Σ_{i <= m} (u_i · S_m)²/m²,    E q_m = 1 + (n - 1)/m,

so r_m, r_m² and q_m less their expectations, at a few m/n, have expectation zero. Subtracting any fixed combination of
them from m* leaves its mean. COEFFICIENTS takes about 70 % of its variance at n = 8 … 24: as good as three to four
times as many streams (docs/inference.md). They are the same at every n, so that a size of a dozen streams has them too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mcinj.errors import InputError
from mcinj.infer.means import MeanSeries
from mcinj.infer.sample import FloatArray, ThresholdSample

# Widths over n at which the resultants are taken.
GRID = (2, 4, 5, 6, 7, 8)
# Laws of the weights for which the moments above hold; of sparse ones once rows of zeros are left out.
LAWS = ("gaussian", "uniform", "rademacher", "sphere", "xavier", "sparse")
# Least squares on proved Gaussian streams of n = 10 … 13, m*/n against the controls in the order of `resultants`
# (python experiments/controls.py --coefficients). All of these fall as n^-1/2, so that their ratios hardly move with n.
# On other streams, and other n, no choice of them biases the mean; on the same ones, by 1e-3 of its error.
COEFFICIENTS = (
    *(-0.011, 0.025, 0.766, 1.520, 0.130, -0.059),  # r - 1
    *(0.011, -0.019, -0.178, -0.078, 0.202, 0.069),  # r² - E r²
    *(-0.006, 0.006, -0.121, -0.568, -0.303, -0.064),  # q - E q
)


def resultants(rows: FloatArray, n: int) -> FloatArray:
    """The control variates of one stream, shape (3 len(GRID),), each of expectation zero: of r, r² and q.

    rows: the first rows of the stream that are not zero, shape (at least max(GRID) n, n).
    """
    if rows.ndim != 2 or rows.shape[0] < max(GRID) * n or rows.shape[1] != n:
        raise InputError(f"control variates at n = {n} need {max(GRID) * n} rows of length n, got {rows.shape}")
    if not rows.any(axis=1).all():
        raise InputError("control variates are of rows that are not zero; leave the others out")
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    m = n * np.array(GRID)
    sums = np.cumsum(units, axis=0)[m - 1]
    r = np.sum(sums**2, axis=1) / m
    q = np.array([n * np.sum((units[:k] @ s) ** 2) / k**2 for k, s in zip(m, sums, strict=True)])
    return np.concatenate((r - 1.0, r * r - 1.0 - 2.0 * (m - 1) / (m * n), q - 1.0 - (n - 1) / m))


@dataclass(frozen=True, eq=False)
class ControlledSample:
    """Thresholds of one size with their control variates.

    sample: all draws exact and finite. controls: shape (trials, 3 len(GRID)), expectation zero.
    """

    sample: ThresholdSample
    controls: FloatArray

    def __post_init__(self) -> None:
        if self.controls.shape != (self.sample.trials, len(COEFFICIENTS)):
            raise InputError(f"one row of {len(COEFFICIENTS)} controls per trial, got shape {self.controls.shape}")
        if not (self.sample.exact & ~self.sample.failed).all():
            raise InputError("control variates need exact and finite draws")

    @classmethod
    def of_best(cls, found: ArrayLike, n: int, controls: FloatArray) -> ControlledSample:
        """Searched thresholds: one more than the widths found by the best run of each stream."""
        widths = np.asarray(found, dtype=np.float64)
        return cls(ThresholdSample.build(widths, widths + 1, n), controls)

    @property
    def rest(self) -> FloatArray:
        """m*/n less its controls, shape (trials,): the same mean, a third of the variance."""
        rest: FloatArray = self.sample.high / self.sample.n - self.controls @ np.array(COEFFICIENTS)
        return rest


@dataclass(frozen=True)
class Controlled:
    """The mean of m*/n of one size with and without control variates, and the share of the variance that they take."""

    n: int
    trials: int
    plain: float
    plain_se: float
    mean: float
    se: float
    explained: float


def controlled_mean(each: ControlledSample) -> Controlled:
    """The mean of one size with control variates; of a single trial the errors are nan."""
    y, rest = each.sample.high / each.sample.n, each.rest
    plain_se, se = _error(y), _error(rest)
    return Controlled(
        each.sample.n, y.size, float(y.mean()), plain_se, float(rest.mean()), se, 1.0 - (se / plain_se) ** 2
    )


def controlled_means(samples: Iterable[ControlledSample]) -> list[Controlled]:
    """Means with control variates, by increasing n."""
    return [controlled_mean(each) for each in sorted(samples, key=lambda s: s.sample.n)]


def _error(values: FloatArray) -> float:
    return float(np.std(values, ddof=1)) / math.sqrt(values.size) if values.size > 1 else math.nan


def with_controls(points: MeanSeries, controlled: Iterable[Controlled]) -> MeanSeries:
    """The same series with the means and errors of the controlled sizes in place of their plain ones.

    Sizes share no streams, so that the covariance stays diagonal; as in `means`, a variance is (N - 1)/(N - 3) times
    the estimate's. Searched rows and sizes without control variates stay.
    """
    new: Mapping[int, Controlled] = {c.n: c for c in controlled}
    alpha, covariance = points.alpha.copy(), points.covariance.copy()
    for row, (n, searched) in enumerate(zip(points.n.tolist(), points.searched.tolist(), strict=True)):
        if n in new and not searched:
            item = new[n]
            alpha[row] = item.mean
            covariance[row, row] = item.se**2 * (item.trials - 1) / (item.trials - 3)
    return MeanSeries(points.n, alpha, covariance, points.doubt, points.searched, points.finite, points.skipped)
