"""Resampling trials: worst-case curves and means of bootstrap samples, from counts instead of copies.

A resample of N trials with replacement is a multinomial draw over the distinct intervals of the sample, so B
resamples cost B short vectors however many trials there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcinj.errors import InputError
from mcinj.infer.sample import FloatArray, IntArray, ThresholdSample, distinct_pairs

# Curves are sums of shares: a level counts as reached where the curve equals it up to rounding.
ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class ResampledCurves:
    """Worst-case curves of bootstrap samples, shape (resamples, widths), and their means of m* (resamples,).

    lower: every censored draw at its largest value; upper: at its least. mean: of m* where all draws are exact
    and finite, else NaN.
    """

    lower: FloatArray
    upper: FloatArray
    mean: FloatArray


def resample_curves(sample: ThresholdSample, m: IntArray, resamples: int, rng: np.random.Generator) -> ResampledCurves:
    """Draw bootstrap samples of the trials and evaluate both worst-case curves on the widths m."""
    if resamples < 1:
        raise InputError(f"the bootstrap needs at least one resample, got {resamples}")
    pairs, counts = distinct_pairs(sample.least, sample.most)
    draws = rng.multinomial(sample.trials, counts / sample.trials, size=resamples) / sample.trials
    grid = m.astype(np.float64)
    lower = draws @ (pairs[:, 1][:, None] <= grid[None, :])
    upper = draws @ (pairs[:, 0][:, None] <= grid[None, :])
    known = bool((sample.exact & ~sample.failed).all())
    mean = draws @ pairs[:, 1] if known else np.full(resamples, np.nan)
    return ResampledCurves(lower, upper, mean)


def crossings(m: IntArray, curves: FloatArray, level: float) -> FloatArray:
    """First real width at which each row (linear between widths) reaches the level; inf where none. (rows,)"""
    reached = curves >= level - ROUNDING
    k = np.argmax(reached, axis=1)
    rows = np.arange(curves.shape[0])
    before = np.maximum(k - 1, 0)
    y0, y1 = curves[rows, before], curves[rows, k]
    step = np.where(y1 > y0, np.minimum((level - y0) / np.where(y1 > y0, y1 - y0, 1.0), 1.0), 0.0)
    value = m[before] + (m[k] - m[before]) * step
    return np.asarray(np.where(reached.any(axis=1), value, np.inf), dtype=np.float64)
