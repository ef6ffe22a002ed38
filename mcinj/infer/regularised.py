"""Finite-size scaling, version 2: one regularised fit to the means of m*/n, with the assumption it rests on spelt out.

The frozen procedure (`basis.PROCEDURE_2`; docs/inference.md has derivation and validation):

1. y(n) = y_inf + Σ_k c_k f_k(n) + sampling error, c_k Gaussian with the scales of `basis.py` times the size of the
   series (mean of |y| over the fitted sizes), y_inf free. So y_inf is a weighted sum of the data by generalised least
   squares, and its variance holds both the sampling errors and the corrections that the sizes cannot resolve.
2. The fit is made from each n_min of N_MINS that keeps MIN_SIZES sizes. Interval: the hull of the fits' intervals.
   Estimate: the median of the limits.
3. Rows with a doubt (misses of a search, censored draws): the interval is widened by the worst case, all shifts at
   their ends with the signs that hurt, and the weights are those that make the sum shortest (`_weights`), so that rows
   with doubts never lengthen a fit's interval. Without doubts this is plain generalised least squares.
4. A fit whose chi-square p-value is below P_CONSISTENT has its error stretched by sqrt(chi2/freedom) (Birge 1932), and
   the result says that it is not consistent.
5. All this for each basis of `basis.py`. "full" is the answer; the others say what its assumption costs or buys.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mcinj.errors import InputError
from mcinj.infer.basis import BASIS_NAMES, N_MINS, PROCEDURE_2, BasisName, corrections
from mcinj.infer.intervals import check_level
from mcinj.infer.means import MeanSeries
from mcinj.infer.sample import FloatArray

PRIMARY: BasisName = "full"
# Sizes that a fit must keep.
MIN_SIZES = 5
P_CONSISTENT = 0.01
# Of the iteration for weights under doubts; the interval's length then changes by less than 1e-6 of itself.
_ROUNDS = 200


@dataclass(frozen=True, eq=False)
class RegularisedFit:
    """One basis from one n_min on.

    limit: y_inf. se: standard error, sampling and unresolved corrections together. statistical: the sampling part.
    doubt: worst-case shift by misses and censored draws. chi2, freedom, p_value: of the data given sampling errors and
    scales. weights: limit = weights @ alpha, shape (rows,). n, fitted, residuals: of the rows used, residuals in
    standard errors of the data.
    """

    basis: BasisName
    n_min: int
    limit: float
    se: float
    statistical: float
    doubt: float
    chi2: float
    freedom: int
    p_value: float
    weights: FloatArray
    n: FloatArray
    fitted: FloatArray
    residuals: FloatArray
    amplitudes: FloatArray

    def predict(self, n: FloatArray) -> FloatArray:
        """The fitted curve at sizes n > 0, shape (len(n),)."""
        return np.asarray(self.limit + corrections(self.basis, n) @ self.amplitudes, dtype=np.float64)

    def interval(self, level: float) -> tuple[float, float]:
        """limit -+ normal quantile times se, and the doubt."""
        half = NormalDist().inv_cdf(0.5 + level / 2.0) * self.se + self.doubt
        return self.limit - half, self.limit + half


@dataclass(frozen=True, eq=False)
class BasisLimit:
    """The limit under one assumption. estimate: median over n_min. total: hull of the fits' intervals at `level`."""

    basis: BasisName
    estimate: float
    statistical: float
    total: tuple[float, float]
    level: float
    consistent: bool
    fits: tuple[RegularisedFit, ...]

    @property
    def standard_error(self) -> float:
        """Half of the total interval over the normal quantile of its level."""
        half = (self.total[1] - self.total[0]) / 2.0
        return half / NormalDist().inv_cdf(0.5 + self.level / 2.0)


@dataclass(frozen=True, eq=False)
class MeanExtrapolation:
    """Version 2 of the n -> infinity limit of m/n: one `BasisLimit` per assumption, by name, and the data."""

    limits: Mapping[BasisName, BasisLimit]
    points: MeanSeries
    level: float
    procedure: str = PROCEDURE_2

    @property
    def primary(self) -> BasisLimit:
        """The answer: the basis PRIMARY."""
        return self.limits[PRIMARY]

    @property
    def searched(self) -> bool:
        """Whether searched thresholds take part."""
        return bool(self.points.searched.any())


def fit_basis(points: MeanSeries, basis: BasisName, n_min: int) -> RegularisedFit:
    """The regularised fit of one basis to the rows n >= n_min. Raises InputError below MIN_SIZES sizes."""
    from scipy.linalg import cho_factor, cho_solve
    from scipy.special import chdtrc

    part = points.take(points.n >= n_min)
    if np.unique(part.n).size < MIN_SIZES:
        raise InputError(f"{np.unique(part.n).size} sizes n >= {n_min}, a fit needs {MIN_SIZES}")
    size = float(np.mean(np.abs(part.alpha)))
    x = part.n.astype(np.float64)
    design = size * corrections(basis, x)
    weights = _weights(part.covariance + design @ design.T, part.doubt)
    limit = float(weights @ part.alpha)
    # For the curve and its quality a doubt counts with the variance of a shift that is uniform in [-doubt, doubt].
    factor = cho_factor(part.covariance + np.diag(part.doubt**2 / 3.0) + design @ design.T)
    rest = part.alpha - limit
    pull = cho_solve(factor, rest)
    amplitudes = design.T @ pull
    chi2, freedom = float(rest @ pull), x.size - 1
    p_value = float(chdtrc(freedom, chi2))
    sampling = float(weights @ part.covariance @ weights)
    unresolved = float(np.sum((weights @ design) ** 2))
    stretch = math.sqrt(chi2 / freedom) if p_value < P_CONSISTENT else 1.0
    fitted = limit + design @ amplitudes
    return RegularisedFit(
        basis=basis,
        n_min=int(part.n[0]),
        limit=limit,
        se=stretch * math.sqrt(sampling + unresolved),
        statistical=math.sqrt(sampling),
        doubt=float(np.abs(weights) @ part.doubt),
        chi2=chi2,
        freedom=freedom,
        p_value=p_value,
        weights=weights,
        n=x,
        fitted=np.asarray(fitted, dtype=np.float64),
        residuals=np.asarray((part.alpha - fitted) / part.sigma, dtype=np.float64),
        amplitudes=np.asarray(size * amplitudes, dtype=np.float64),
    )


def _weights(variance: FloatArray, doubt: FloatArray) -> FloatArray:
    """Weights of sum 1 with the least Z sqrt(w·V w) + Σ |w_i| doubt_i, Z the normal quantile of 95 %; shape (rows,).

    V w / s · Z + doubt sign(w) = const is solved by repeated least squares: a doubt adds doubt s / (Z |w|) to its row's
    variance. Weights that the doubt is not worth go to zero.
    """
    from scipy.linalg import solve

    z = NormalDist().inv_cdf(0.975)
    ones = np.ones(doubt.size)
    w = solve(variance, ones, assume_a="pos")
    w /= w.sum()
    if not doubt.any():
        return np.asarray(w, dtype=np.float64)
    for _ in range(_ROUNDS):
        s = math.sqrt(float(w @ variance @ w))
        extra = doubt * s / (z * np.maximum(np.abs(w), 1e-7))
        w = solve(variance + np.diag(extra), ones, assume_a="pos")
        w /= w.sum()
    return np.asarray(w, dtype=np.float64)


def extrapolate_means(points: MeanSeries, *, level: float = 0.95) -> MeanExtrapolation:
    """Apply the frozen procedure. Raises InputError when no n_min keeps MIN_SIZES sizes."""
    check_level(level)
    starts = [k for k in N_MINS if np.unique(points.n[points.n >= k]).size >= MIN_SIZES]
    if not starts:
        raise InputError(
            f"finite-size scaling of means needs at least {MIN_SIZES} sizes n >= {N_MINS[0]} with a mean, got "
            f"n = {points.n.tolist()}; run more sizes"
        )
    limits = {basis: _over_starts(points, basis, starts, level) for basis in BASIS_NAMES}
    return MeanExtrapolation(limits, points, level)


def _over_starts(points: MeanSeries, basis: BasisName, starts: list[int], level: float) -> BasisLimit:
    fits = tuple(fit_basis(points, basis, start) for start in starts)
    ends = [fit.interval(level) for fit in fits]
    return BasisLimit(
        basis=basis,
        estimate=float(np.median([fit.limit for fit in fits])),
        statistical=max(fit.statistical for fit in fits),
        total=(min(e[0] for e in ends), max(e[1] for e in ends)),
        level=level,
        consistent=all(fit.p_value >= P_CONSISTENT for fit in fits),
        fits=fits,
    )
