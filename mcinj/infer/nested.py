"""Nested sizes: the first k columns of one stream of rows give a threshold m*(k) for every k, and these are correlated.

What an extrapolation lives on are differences of means over n, and of correlated means they are better known than of
independent ones. The covariance of the means is estimated whole and enters the fit whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from mcinj.errors import InputError
from mcinj.infer.means import MeanSeries
from mcinj.infer.sample import FloatArray


def nested_means(sizes: Sequence[int], thresholds: ArrayLike) -> MeanSeries:
    """Means of m*(k)/k over streams, with their covariance.

    sizes: the k, increasing. thresholds: shape (streams, len(sizes)), all exact and finite; more streams than twice the
    sizes, so that the covariance can be inverted. As in `means`, it is (N - 1)/(N - 3) times the usual one.
    """
    m: FloatArray = np.asarray(thresholds, dtype=np.float64)
    n = np.asarray(sizes, dtype=np.int64)
    if m.ndim != 2 or m.shape[1] != n.size:
        raise InputError(f"nested thresholds need one row per stream and {n.size} columns, got shape {m.shape}")
    streams = m.shape[0]
    if streams <= max(2 * n.size, 3):
        raise InputError(f"{streams} nested streams do not give a covariance of {n.size} sizes; draw more")
    if not np.isfinite(m).all():
        raise InputError("nested thresholds must be finite")
    ratio = m / n
    covariance = np.atleast_2d(np.cov(ratio.T)) / streams * (streams - 1) / (streams - 3)
    none = np.zeros(n.size)
    return MeanSeries(n, ratio.mean(axis=0), covariance, none, none > 0, none + 1.0)


def joined(*series: MeanSeries) -> MeanSeries:
    """Independent series as one, rows by increasing n."""
    if not series:
        raise InputError("nothing to join")
    n = np.concatenate([s.n for s in series])
    covariance = np.zeros((n.size, n.size))
    at = 0
    for s in series:
        covariance[at : at + s.n.size, at : at + s.n.size] = s.covariance
        at += s.n.size
    order = np.argsort(n, kind="stable")
    return MeanSeries(
        n=n[order],
        alpha=np.concatenate([s.alpha for s in series])[order],
        covariance=covariance[np.ix_(order, order)],
        doubt=np.concatenate([s.doubt for s in series])[order],
        searched=np.concatenate([s.searched for s in series])[order],
        finite=np.concatenate([s.finite for s in series])[order],
        skipped=tuple(item for s in series for item in s.skipped),
    )
