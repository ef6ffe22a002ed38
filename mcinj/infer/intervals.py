"""Exact binomial limits and the order-statistic ranks that follow from them.

All limits are Clopper–Pearson's (Biometrika 26, 1934): coverage is at least the stated level for every N and p.
Wilson's interval is shorter but dips below its level, so it is not used where a verdict rests on it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from mcinj.errors import InputError
from mcinj.infer.sample import FloatArray


def check_level(level: float) -> float:
    """Return the confidence level if it lies strictly between 0 and 1, else raise InputError."""
    if not 0.0 < level < 1.0:
        raise InputError(f"confidence level must lie strictly between 0 and 1, got {level}; 0.95 is usual")
    return float(level)


def clopper_pearson(successes: ArrayLike, trials: int, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Lower and upper confidence limits of a probability, elementwise.

    successes: counts in [0, trials], any shape. They may be fractional: a sum of independent scores in [0, 1] is
    less variable than the binomial of the same mean (its moment generating function is smaller by convexity,
    Hoeffding 1963), and the beta limits extend to real counts.
    """
    from scipy.special import betaincinv

    check_level(level)
    if trials < 1:
        raise InputError(f"an interval needs at least one trial, got {trials}")
    k = np.asarray(successes, dtype=np.float64)
    if (k < 0).any() or (k > trials).any():
        raise InputError(f"successes must lie between 0 and trials = {trials}, got {successes!r}")
    tail = (1.0 - level) / 2.0
    with np.errstate(invalid="ignore"):
        low = np.where(k > 0, betaincinv(np.maximum(k, 1e-12), trials - k + 1.0, tail), 0.0)
        high = np.where(k < trials, betaincinv(k + 1.0, np.maximum(trials - k, 1e-12), 1.0 - tail), 1.0)
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)


def dkw_halfwidth(trials: int, level: float = 0.95) -> float:
    """Half-width of the simultaneous band of an empirical CDF (Dvoretzky–Kiefer–Wolfowitz, Massart 1990)."""
    check_level(level)
    if trials < 1:
        raise InputError(f"a band needs at least one trial, got {trials}")
    return math.sqrt(math.log(2.0 / (1.0 - level)) / (2.0 * trials))


@lru_cache(maxsize=4096)
def quantile_ranks(trials: int, q: float, level: float = 0.95) -> tuple[int, int]:
    """Ranks (l, u) such that [X_(l), X_(u)] covers the q-quantile with probability >= level.

    Ranks are 1-based; l = 0 stands for -infinity and u = trials + 1 for +infinity (too few trials for that side).
    Distribution-free, valid for discrete X too (David & Nagaraja, Order Statistics, 2003, §7.1).

    >>> quantile_ranks(10, 0.5)
    (2, 9)
    >>> quantile_ranks(4, 0.5)
    (0, 5)
    """
    from scipy.special import bdtr  # scipy.stats takes half a second to import

    check_level(level)
    if not 0.0 < q < 1.0:
        raise InputError(f"a quantile's q must lie strictly between 0 and 1, got {q}")
    tail = (1.0 - level) / 2.0
    # P(X_(l) > x_q) <= P(Bin(N, q) <= l - 1) and P(X_(u) < x_q) <= P(Bin(N, q) >= u).
    below = bisect_right(range(trials), tail, key=lambda k: float(bdtr(k, trials, q)))
    above = bisect_right(range(trials), tail, key=lambda k: float(bdtr(k, trials, 1.0 - q)))
    return below, trials + 1 - above


def student_half(values: ArrayLike, level: float = 0.95) -> float:
    """Half the length of Student's interval of a mean; nan below two values."""
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < 2:
        return float("nan")
    return student_quantile(0.5 + level / 2, sample.size - 1) * float(np.std(sample, ddof=1)) / math.sqrt(sample.size)


def student_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's law.

    >>> round(student_quantile(0.975, 9), 3)
    2.262
    """
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))
