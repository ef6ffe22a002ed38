"""Finite-size forms y(n) = y_inf + correction(n), fitted by weighted least squares, many replicates at a time.

    power   y_inf + b n^-ω, with 1/2 <= ω <= 2
    log     y_inf + (a ln n + b)/n        as the first-moment and the Euler series behave: N_j has a prefactor
                                          polynomial in n, so that the root moves by O(ln n / n)
    poly    y_inf + b/n + c/n²

The exponent of the power law is bounded: slower than n^{-1/2} no sizes in reach could tell from a constant shift
(mean-field glasses have 2/3), and without the bound a ratio that hardly moves gives ω -> 0 and any limit at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mcinj.errors import InputError
from mcinj.infer.sample import FloatArray

FormName = Literal["power", "log", "poly"]
FORMS: tuple[FormName, ...] = get_args(FormName)

OMEGA_MIN, OMEGA_MAX = 0.5, 2.0
_OMEGA = np.linspace(OMEGA_MIN, OMEGA_MAX, 151)

# Every form has three free parameters, so that none is favoured by flexibility.
PARAMETERS = 3


@dataclass(frozen=True, eq=False)
class FormFit:
    """Least-squares fits of one form to B replicates of the same sizes.

    limit: y_inf, shape (B,). coefficients: shape (B, 2), the two amplitudes ((b, c), (a, b), or (b, ω) for power).
    chi2: weighted sum of squared residuals, shape (B,). fitted: curve at the fitted sizes, shape (B, sizes).
    """

    form: FormName
    limit: FloatArray
    coefficients: FloatArray
    chi2: FloatArray
    fitted: FloatArray

    def predict(self, n: FloatArray) -> FloatArray:
        """The fitted curves at sizes n (real, positive), shape (B, len(n))."""
        x = np.asarray(n, dtype=np.float64)
        first, second = self.coefficients[:, :1], self.coefficients[:, 1:]
        if self.form == "power":
            return np.asarray(self.limit[:, None] + first * x[None, :] ** -second, dtype=np.float64)
        basis = _basis(self.form, x)
        return np.asarray(self.limit[:, None] + first * basis[:, 1] + second * basis[:, 2], dtype=np.float64)


def _basis(form: FormName, n: FloatArray) -> FloatArray:
    one = np.ones_like(n)
    if form == "log":
        return np.column_stack((one, np.log(n) / n, 1.0 / n))
    return np.column_stack((one, 1.0 / n, n**-2.0))


def fit_form(form: FormName, n: FloatArray, y: FloatArray, sigma: FloatArray) -> FormFit:
    """Fit one form by weighted least squares.

    n: sizes, shape (sizes,), distinct, at least 3. y: shape (B, sizes) or (sizes,). sigma: standard errors, shape
    (sizes,), positive. The power law is linear but for ω, which is scanned and refined by a parabola.
    """
    if form not in FORMS:
        raise InputError(f"unknown finite-size form {form!r}: use one of {', '.join(FORMS)}")
    x, s = np.asarray(n, dtype=np.float64), np.asarray(sigma, dtype=np.float64)
    rows = np.atleast_2d(np.asarray(y, dtype=np.float64))
    if x.size < PARAMETERS or np.unique(x).size != x.size or (x <= 0).any():
        raise InputError(f"a fit needs at least {PARAMETERS} distinct positive sizes, got n = {x.tolist()}")
    if rows.shape[1] != x.size or s.shape != x.shape:
        raise InputError(f"y and sigma must match the {x.size} sizes, got shapes {rows.shape} and {s.shape}")
    if not (np.isfinite(s).all() and (s > 0).all() and np.isfinite(rows).all()):
        raise InputError("a fit needs finite values and positive standard errors: drop the sizes without them")
    if form == "power":
        return _fit_power(x, rows, s)
    beta, fitted = _solve(_basis(form, x), rows, s)
    return FormFit(form, beta[:, 0], beta[:, 1:], _chi2(rows, fitted, s), fitted)


def _solve(design: FloatArray, rows: FloatArray, sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted least squares for all rows at once: coefficients (B, p), fitted values (B, sizes)."""
    solution = np.linalg.lstsq(design / sigma[:, None], (rows / sigma).T, rcond=None)[0]
    beta = np.asarray(solution.T, dtype=np.float64)
    return beta, beta @ design.T


def _chi2(rows: FloatArray, fitted: FloatArray, sigma: FloatArray) -> FloatArray:
    return np.asarray(np.sum(((rows - fitted) / sigma) ** 2, axis=1), dtype=np.float64)


def _misfit(design: FloatArray, rows: FloatArray, sigma: FloatArray) -> FloatArray:
    """Weighted sum of squared residuals of the least-squares fit, shape (B,): what the projection leaves over."""
    basis = np.linalg.qr(design / sigma[:, None])[0]
    scaled = rows / sigma
    rest = scaled - (scaled @ basis) @ basis.T
    return np.asarray(np.einsum("ij,ij->i", rest, rest), dtype=np.float64)


def _fit_power(x: FloatArray, rows: FloatArray, sigma: FloatArray) -> FormFit:
    designs = [np.column_stack((np.ones_like(x), x**-omega)) for omega in _OMEGA]
    scan = np.empty((rows.shape[0], _OMEGA.size))
    for k, design in enumerate(designs):
        scan[:, k] = _misfit(design, rows, sigma)
    best = np.argmin(scan, axis=1)
    inner = np.clip(best, 1, _OMEGA.size - 2)
    at = np.arange(rows.shape[0])
    left, middle, right = scan[at, inner - 1], scan[at, inner], scan[at, inner + 1]
    bend = left - 2.0 * middle + right
    step = _OMEGA[1] - _OMEGA[0]
    shift = np.where(bend > 0, 0.5 * (left - right) / np.where(bend > 0, bend, 1.0), 0.0)
    # At an end of the range the minimum is the end itself.
    omega = np.where(best == inner, _OMEGA[inner] + step * np.clip(shift, -1.0, 1.0), _OMEGA[best])
    weight = sigma**-2.0
    weight = weight / weight.sum()
    z = x[None, :] ** -omega[:, None]
    mean_z, mean_y = z @ weight, rows @ weight
    dz, dy = z - mean_z[:, None], rows - mean_y[:, None]
    slope = ((dz * dy) @ weight) / ((dz * dz) @ weight)
    limit = mean_y - slope * mean_z
    fitted = limit[:, None] + slope[:, None] * z
    return FormFit("power", limit, np.column_stack((slope, omega)), _chi2(rows, fitted, sigma), fitted)


def aicc(chi2: float, sizes: int) -> float:
    """Akaike's criterion corrected for few points (Hurvich & Tsai 1989), Gaussian errors of known size.

    Up to a constant chi2 + 2k + 2k(k+1)/(sizes-k-1), k = 3 parameters; inf with fewer than 5 sizes.
    """
    k = PARAMETERS
    if sizes <= k + 1:
        return math.inf
    return chi2 + 2 * k + 2 * k * (k + 1) / (sizes - k - 1)
