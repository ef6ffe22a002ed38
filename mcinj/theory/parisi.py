"""The k-step replica-symmetry-breaking functional of the ground state, with its exact gradient.

For the least fraction e of positive entries per input, ``min_x |S(x)| = e n``, the k-step functional is

    -e = ½ S(q, c, χ) + α E_ξ F_1(√q_0 ξ),
    S  = Σ_{i=1..k} ln(A_{i-1}/A_i)/c_i + q_0/A_0,   A_k = χ,  A_{i-1} = A_i + c_i (q_i - q_{i-1}),  q_k = 1,
    F_i(x) = (1/c_i) ln E exp(c_i F_{i+1}(x + √(q_i - q_{i-1}) z)),   F_{k+1} = -V_χ,

stationary in q_0 < … < q_{k-1} < 1, c_1 < … < c_k and χ > 0, V_χ(h) = 0 for h <= 0 and min(h²/2χ, 1) above.
k = 1 and 2 are the 1RSB and 2RSB rows of docs/theory.md §4; k -> ∞ is the Parisi equation (Maillard et al.,
arXiv:2302.14112). Behind infinitely wide layers the potential E F_1 sees correlations κ(q_i) in place of the overlaps
q_i, and with a level t its V is taken at h - t (`field`). The innermost expectation is elementary (`inner`); the
others are trapezoidal sums on one uniform grid, which converge faster than any power of the step for such analytic,
Gaussian-weighted integrands. Derivatives follow from the tilted densities, not from differences.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve
from scipy.special import ndtr

from mcinj.errors import InputError
from mcinj.theory.field import PLAIN_FIELD, Field

__all__ = ["Functional", "Saddle", "functional", "inner"]

Array = NDArray[np.float64]

_REACH = 9.5  # the grid covers |x| <= 9.5; a Gaussian leaves 2e-21 outside
_FINENESS = 1.6  # grid steps per smallest width; aliasing is then exp(-2π² 1.6²) = 1e-22
_INNER_FINENESS = 2.2
_ZERO_FINENESS = 5.0  # exp(-2π 5) = 2e-14
_COARSEST = 0.08
_FINEST = 0.001
_DIRECT = 300  # entries of a kernel up to which convolving directly is faster
_ULP = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Saddle:
    """Order parameters of k steps: overlaps ``q`` (k of them), tilts ``c`` (k), and ``chi``."""

    q: tuple[float, ...]
    c: tuple[float, ...]
    chi: float

    def __post_init__(self) -> None:
        if not self.q or len(self.q) != len(self.c):
            raise InputError(f"{len(self.q)} overlaps and {len(self.c)} tilts; give k of each, k >= 1")
        ends = (0.0, *self.q, 1.0)
        if any(b < a for a, b in pairwise(ends)) or self.q[-1] >= 1:
            raise InputError(f"overlaps are {self.q}; they must rise from 0 to below 1")
        if min(self.c) <= 0 or not self.chi > 0:
            raise InputError(f"tilts are {self.c} and chi is {self.chi}; they must be above 0")

    @property
    def steps(self) -> int:
        """Number k of replica-symmetry-breaking steps."""
        return len(self.q)


@dataclass(frozen=True)
class Functional:
    """``S`` and ``E F_1`` at a saddle, with their gradients in the order q_0…q_{k-1}, c_1…c_k, χ.

    ``slope_squares[i]`` is ``E F_{i+1}'²`` under the tilted law at overlap q_i; ``tilt`` is c_1.
    """

    entropy: float
    potential: float
    entropy_gradient: Array
    potential_gradient: Array
    slope_squares: Array
    tilt: float

    def energy(self, alpha: float) -> float:
        """Positive entries per input at width ratio `alpha` (at the saddle: the ground state)."""
        return -0.5 * self.entropy - alpha * self.potential

    def ratio(self, theta: float) -> float:
        """Width ratio α at which the energy is `theta`."""
        return (theta + 0.5 * self.entropy) / -self.potential

    def ratio_gradient(self, theta: float) -> Array:
        """Gradient of `ratio`; zero at the saddle."""
        alpha = self.ratio(theta)
        return (0.5 * self.entropy_gradient + alpha * self.potential_gradient) / -self.potential

    def ratio_rounding(self, theta: float) -> float:
        """Rounding of `ratio`: of the sum above, and of the potential below, a logarithm near 0 over c_1."""
        below = abs(self.potential)
        above = theta + 0.5 * abs(self.entropy)
        return _ULP * (above / below) * (2 + 1 / (self.tilt * below))

    def energy_rounding(self, alpha: float) -> float:
        """Rounding of `energy`, a difference of two numbers of its terms' size."""
        return _ULP * (0.5 * abs(self.entropy) + alpha * (abs(self.potential) + 1 / self.tilt))

    def energy_gradient(self, alpha: float) -> Array:
        """Gradient of `energy`; zero at the saddle."""
        return -0.5 * self.entropy_gradient - alpha * self.potential_gradient


@dataclass(frozen=True)
class Inner:
    """``F_k`` on a grid with its derivatives in x, c and χ (the tilted moments of V)."""

    value: Array
    slope: Array
    d_tilt: Array
    d_chi: Array


def inner(x: Array, variance: float, tilt: float, chi: float) -> Inner:
    """``F(x) = (1/c) ln E exp(-c V_χ(x + σz))`` in closed form, with ∂F/∂x, ∂F/∂c and ∂F/∂χ.

    The expectation splits at h = 0 and h = s = √(2χ); between them the tilted density is Gaussian with mean
    ``μ = xχ/(χ+cσ²)`` and variance ``v = σ²χ/(χ+cσ²)``.
    """
    sigma = np.sqrt(variance)
    s = np.sqrt(2 * chi)
    shrink = chi / (chi + tilt * variance)
    mean, width = x * shrink, sigma * np.sqrt(shrink)
    low, high = -mean / width, (s - mean) / width
    # Φ(high) - Φ(low) from the side where both are small, so that nothing cancels.
    flip = low > 0
    mass = np.where(flip, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
    weight = np.sqrt(shrink) * np.exp(-0.5 * tilt * x * x * shrink / chi)
    below = ndtr(-x / sigma)
    between = weight * mass
    above = np.exp(-tilt) * ndtr((x - s) / sigma)
    total = below + between + above
    pdf_low, pdf_high = _pdf(low), _pdf(high)
    first = mean * mass + width * (pdf_low - pdf_high)  # ∫ h over the tilted Gaussian, 0 < h < s
    second = (mean * mean + width * width) * mass + width * (mean * pdf_low - (s + mean) * pdf_high)
    mean_v = (weight * second / (2 * chi) + above) / total  # tilted mean of V
    value = np.log(total) / tilt
    return Inner(
        value=value,
        slope=-(weight * first) / (chi * total),  # E[F'] = -E[V'] under the tilted law: V' = h/χ inside
        d_tilt=-(mean_v + value) / tilt,
        d_chi=weight * second / (2 * chi * chi * total),
    )


def functional(saddle: Saddle, refine: float = 1.0, field: Field = PLAIN_FIELD) -> Functional:
    """S, E F_1 and their gradients at `saddle`; `refine` > 1 divides the grid step (error checks)."""
    k = saddle.steps
    c = saddle.c
    correlations, correlation_slopes = field.correlations(np.array(saddle.q))
    r = (*correlations.tolist(), 1.0)
    h, step = _grid(r, _innermost_step(1 - r[k - 1], c[k - 1], saddle.chi), refine)
    innermost = inner(h - field.level, 1 - r[k - 1], c[k - 1], saddle.chi)

    # Backward: F_k … F_1 and their slopes; `kernels[i]` carries correlation r_i to r_{i+1}.
    kernels = [_kernel(step, r[i + 1] - r[i]) for i in range(k - 1)]
    values, slopes = [innermost.value], [innermost.slope]
    for i in range(k - 2, -1, -1):
        boost = np.exp(c[i] * values[0])
        total = _smooth(boost, kernels[i])
        values.insert(0, np.log(total) / c[i])
        slopes.insert(0, _smooth(boost * slopes[0], kernels[i]) / total)

    # Forward: the law of x at overlap q_i, tilted by all levels outside.
    law = _outer(h, step, r[0])
    potential = float(law @ values[0])
    level_means = np.empty(k)
    slope_squares = np.empty(k)
    level_means[0], slope_squares[0] = potential, law @ slopes[0] ** 2
    for i in range(1, k):
        tilted = _smooth(law * np.exp(-c[i - 1] * values[i - 1]), kernels[i - 1])
        law = np.exp(c[i - 1] * values[i]) * tilted
        level_means[i], slope_squares[i] = law @ values[i], law @ slopes[i] ** 2

    tilts = np.array(c)
    d_q = -0.5 * np.diff(tilts, prepend=0.0) * slope_squares * correlation_slopes
    d_c = np.empty(k)
    d_c[:-1] = np.diff(level_means) / tilts[:-1]
    d_c[-1] = law @ innermost.d_tilt
    entropy, entropy_gradient = _entropy(saddle)
    gradient = np.concatenate([d_q, d_c, [law @ innermost.d_chi]])
    return Functional(entropy, potential, entropy_gradient, gradient, slope_squares, c[0])


def _entropy(saddle: Saddle) -> tuple[float, Array]:
    """``S`` and its gradient, by one pass inwards and one adjoint pass outwards."""
    k = saddle.steps
    q, c = np.array([*saddle.q, 1.0]), np.array(saddle.c)
    gaps = np.diff(q)
    a = saddle.chi + np.concatenate([np.cumsum((c * gaps)[::-1])[::-1], [0.0]])
    logs = np.log1p(c * gaps / a[1:])
    entropy = float(np.sum(logs / c) + q[0] / a[0])
    adjoint = np.empty(k + 1)  # dS/dA_i, counting its effect on all A_j with j < i
    adjoint[0] = 1 / (c[0] * a[0]) - q[0] / a[0] ** 2
    for i in range(1, k + 1):
        inward = 1 / c[i] if i < k else 0.0
        adjoint[i] = (inward - 1 / c[i - 1]) / a[i] + adjoint[i - 1]
    d_gap = adjoint[:-1] * c
    d_q = np.empty(k)
    d_q[0] = 1 / a[0] - d_gap[0]
    d_q[1:] = d_gap[:-1] - d_gap[1:]
    d_c = -logs / c**2 + adjoint[:-1] * gaps
    return entropy, np.concatenate([d_q, d_c, [adjoint[k]]])


def _innermost_step(variance: float, tilt: float, chi: float) -> float:
    """Grid step that F_k needs: its scale is that of the tilted Gaussian between h = 0 and s = √(2χ) (see `inner`).

    At large tilts the logarithm has zeros at a distance d off the real line where that part and the one above s change
    places, at the rate ``c s / (χ + cσ²)``; trapezoidal sums err by exp(-2π d / step).
    """
    spread = chi + tilt * variance
    width = np.sqrt(variance * chi / spread)
    distance = np.pi * spread / (tilt * np.sqrt(2 * chi))
    return float(min(width / _INNER_FINENESS, distance / _ZERO_FINENESS))


def _grid(r: tuple[float, ...], innermost: float, refine: float) -> tuple[Array, float]:
    """Symmetric uniform grid around 0, fine enough for every Gaussian width of the saddle."""
    variances = [r[0], *(b - a for a, b in pairwise(r))]
    # F_k has its own scale even where the outer widths are large.
    widths = [np.sqrt(v) / _FINENESS for v in variances if v > 0] + [innermost]
    wanted = min(_COARSEST, max(_FINEST, min(widths))) / refine
    half = int(np.ceil(_REACH / wanted))
    step = _REACH / half
    return step * np.arange(-half, half + 1, dtype=np.float64), step


def _kernel(step: float, variance: float) -> Array:
    """Weights of N(0, variance) on the grid's offsets, cut where they fall below 1e-18 of the largest."""
    if variance < (step / 8) ** 2:
        return np.ones(1)
    reach = int(np.ceil(9.1 * np.sqrt(variance) / step))
    offsets = step * np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * offsets * offsets / variance)
    return np.asarray(weights / weights.sum())


def _smooth(f: Array, kernel: Array) -> Array:
    """``E f(x + σz)`` on the grid, f continued as a constant past its ends.

    By Fourier transforms where that is faster: f falls from 1 to no less than exp(-c_i), so that their rounding,
    relative to the largest f, costs a few digits at the largest tilts only.
    """
    padded = np.pad(f, kernel.size // 2, mode="edge")
    if kernel.size <= _DIRECT:
        return np.convolve(padded, kernel, mode="valid")
    return np.asarray(oaconvolve(padded, kernel, mode="valid"))


def _outer(h: Array, step: float, variance: float) -> Array:
    """Weights of N(0, variance) on the grid (all at 0 when the variance is 0)."""
    if variance < (step / 8) ** 2:
        return np.asarray(np.where(np.arange(h.size) == h.size // 2, 1.0, 0.0))
    weights = np.exp(-0.5 * h * h / variance)
    return np.asarray(weights / weights.sum())


def _pdf(x: Array) -> Array:
    return np.asarray(np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi))
