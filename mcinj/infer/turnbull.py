"""Non-parametric maximum likelihood for interval-censored thresholds.

Turnbull (J. R. Stat. Soc. B 38, 1976): the likelihood ``Π P(L_i < m* <= H_i)`` depends only on the masses of the
innermost intervals (a left end followed by a right end with no other end between). EM on those masses increases
it monotonically; the Kuhn–Tucker conditions decide when to stop, so convergence is checked, not assumed.
"""

from __future__ import annotations

import numpy as np

from mcinj.errors import InputError
from mcinj.infer.sample import FloatArray, ThresholdSample, distinct_pairs

# EM stops when the whole log-likelihood is within this of its maximum: about 0.014 standard errors of any mass.
_LOG_LIKELIHOOD_GAP = 1e-4
_MAX_STEPS = 200_000


def innermost_intervals(low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Turnbull's intervals (p, q]: p a left end, q the next right end, no end between. Shapes (k,), (k,)."""
    left, right = np.unique(low), np.unique(high)
    # The last left end before each right end; keep it only if no smaller right end lies after it.
    position = np.searchsorted(left, right, side="left") - 1
    p = left[position]
    previous = np.concatenate(([-np.inf], right[:-1]))
    keep = p >= previous
    return p[keep], right[keep]


def npmle(sample: ThresholdSample) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Masses of the maximum-likelihood law of m*.

    Returns (left, right, mass), each of shape (k,): mass[i] lies in (left[i], right[i]], where inside is not
    identified. Where nothing is censored this is the empirical law. A right-censored tail puts its mass at
    right = inf.
    """
    # m* = infinity exactly is the interval (inf-, inf]: give it the largest left end so that it nests.
    ends = np.concatenate((sample.low[~sample.failed], sample.high[np.isfinite(sample.high)]))
    beyond = float(ends.max(initial=0.0)) + 1.0
    low = np.where(sample.failed, beyond, sample.low)
    pairs, counts = distinct_pairs(low, sample.high)
    left, right = innermost_intervals(pairs[:, 0], pairs[:, 1])
    inside = (left[None, :] >= pairs[:, :1]) & (right[None, :] <= pairs[:, 1:])
    if sample.censored == 0:
        return left, right, counts[np.argmax(inside, axis=0)] / sample.trials
    tolerance = _LOG_LIKELIHOOD_GAP / sample.trials
    mass = _expectation_maximisation(inside.astype(np.float64), counts / sample.trials, tolerance)
    return left, right, mass


def _expectation_maximisation(inside: FloatArray, weight: FloatArray, tolerance: float) -> FloatArray:
    """EM for the masses: inside has shape (intervals, supports), weight sums to 1."""
    mass = np.full(inside.shape[1], 1.0 / inside.shape[1])
    for step in range(_MAX_STEPS):
        gradient = inside.T @ (weight / (inside @ mass))
        # Kuhn–Tucker: every gradient <= 1, with equality where mass > 0. The excess bounds the distance of the
        # mean log-likelihood from its maximum.
        if gradient.max() - 1.0 < tolerance:
            return np.asarray(mass / mass.sum(), dtype=np.float64)
        mass = mass * gradient
        if step % 50 == 49:  # masses decaying to zero make EM slow; a tiny one that the gradient rejects is dropped
            mass[(mass < 1e-12) & (gradient < 1.0)] = 0.0
    raise InputError(
        f"the maximum-likelihood curve did not converge in {_MAX_STEPS} steps: use the worst-case curves, or raise "
        "the node budget so that fewer trials are censored"
    )
