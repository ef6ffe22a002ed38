"""Control variates of thresholds: resultants of the first rows, whose moments are exact and which cost no search.

Where the first m rows, scaled to unit length, have a long sum S_m, more of them lie on one side, the other side empties
later and m* is large. For independent rows of symmetric law with E u uᵀ = I/n (Gaussian, uniform, ±1, of the sphere)

    r_m = |S_m|²/m,   E r_m = 1,   E r_m² = 1 + 2 (m - 1)/(m n),

so r_m - 1 and r_m² - E r_m² at a few m/n have expectation zero. Subtracting their regression from m* leaves its mean
and takes 60 to 65 % of its variance at n = 5 … 13: as good as 2.7 times as many streams (docs/inference.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from mcinj.errors import InputError
from mcinj.infer.means import MeanSeries
from mcinj.infer.sample import FloatArray, ThresholdSample

# Widths over n at which the resultants are taken.
GRID = (2, 4, 5, 6, 7, 8)
# Laws of the weights for which the two moments above hold.
LAWS = ("gaussian", "uniform", "rademacher", "sphere")
# From so many streams on a size has its own regression; a smaller sample takes that of the nearest size below, so
# that its coefficients do not depend on its own draws.
OWN_REGRESSION = 1000


def resultants(rows: FloatArray, n: int) -> FloatArray:
    """The control variates of one stream, shape (2 len(GRID),), each of expectation zero.

    rows: the first rows of the stream, shape (at least max(GRID) n, n), none zero.
    """
    if rows.ndim != 2 or rows.shape[0] < max(GRID) * n or rows.shape[1] != n:
        raise InputError(f"control variates at n = {n} need {max(GRID) * n} rows of length n, got {rows.shape}")
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    sums = np.cumsum(units, axis=0)
    m = n * np.array(GRID)
    r = np.sum(sums[m - 1] ** 2, axis=1) / m
    return np.concatenate((r - 1.0, r * r - 1.0 - 2.0 * (m - 1) / (m * n)))


@dataclass(frozen=True, eq=False)
class ControlledSample:
    """Thresholds of one size with their control variates.

    sample: all draws exact and finite. controls: shape (trials, 2 len(GRID)), expectation zero.
    """

    sample: ThresholdSample
    controls: FloatArray

    def __post_init__(self) -> None:
        if self.controls.shape != (self.sample.trials, 2 * len(GRID)):
            raise InputError(f"one row of {2 * len(GRID)} control variates per trial, got shape {self.controls.shape}")
        if not (self.sample.exact & ~self.sample.failed).all():
            raise InputError("control variates need exact and finite draws")


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


def controlled_means(samples: Iterable[ControlledSample]) -> list[Controlled]:
    """Means with control variates, by increasing n (distinct).

    Coefficients are least squares within a size of OWN_REGRESSION trials or more, which biases its mean by less than
    its error over the number of trials; else those of the nearest size below that has so many, which does not bias at
    all. Without such a size the mean stays plain.
    """
    ordered = sorted(samples, key=lambda s: s.sample.n)
    slope: FloatArray | None = None
    found = []
    for each in ordered:
        n, trials = each.sample.n, each.sample.trials
        y = each.sample.high / n
        if trials >= OWN_REGRESSION:
            centred = each.controls - each.controls.mean(axis=0)
            slope = np.linalg.lstsq(centred, y - y.mean(), rcond=None)[0]
        rest = y if slope is None else y - each.controls @ slope
        spare = each.controls.shape[1] if trials >= OWN_REGRESSION else 0
        se = float(np.std(rest, ddof=1 + spare)) / math.sqrt(trials)
        plain_se = float(np.std(y, ddof=1)) / math.sqrt(trials)
        found.append(
            Controlled(n, trials, float(y.mean()), plain_se, float(rest.mean()), se, 1.0 - (se / plain_se) ** 2)
        )
    return found


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
