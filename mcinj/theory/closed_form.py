"""One-layer thresholds in closed form: first moment, Euler characteristic, plain RDT. One root each."""

from __future__ import annotations

import math
from statistics import NormalDist

from mcinj.theory.arguments import threshold
from mcinj.theory.bounds import Bound
from mcinj.theory.field import Field
from mcinj.theory.roots import falling_root

__all__ = ["euler_characteristic", "first_moment", "gordon_distance", "plain_rdt"]

_NORMAL = NormalDist()
_ROUNDOFF = 1e-12  # bisection stops at neighbouring floats; the functions are evaluated to a few ulp


def first_moment(theta: float = 1.0) -> Bound:
    """Ratio above which the expected number of cells with at most θn positives vanishes: 9.088607 for θ = 1.

    Exponent of `union_bound` per input, in bits: ``H₂(θ/α) + H₂(1/α) - 1`` times α, with H₂ the binary
    entropy; its largest root. A rigorous upper bound (Markov). For θ > 1 the count Σ_{j<θn} is dominated by j
    = θn as long as θ/α < 1/2, which holds at the root. Raises `InputError` unless θ is in [0.001, 100].

    >>> round(first_moment().value, 6)
    9.088607
    """
    theta = threshold(theta)

    def exponent(alpha: float) -> float:
        return _entropy_bits(theta / alpha) + _entropy_bits(1 / alpha) - 1

    # The largest root lies where both entropies fall, to the right of both maxima.
    alpha = falling_root(exponent, 2 * max(1.0, theta))
    return Bound(
        name="first moment (union bound)",
        layers=1,
        value=alpha,
        status="rigorous",
        origin="computed",
        source="H₂(θ/α) + H₂(1/α) = 1; docs/theory.md §1; Markov's inequality on the cell count",
        theta=theta,
        error=_ROUNDOFF * alpha,
        laws="symmetric rows in general position",
    )


def euler_characteristic() -> Bound:
    """Width ratio at which the expected Euler characteristic of the failure set vanishes: 8.344633.

    Exponential rate of `expected_euler` at its saddle ``t = [(α-2) + √(α²-8α+8)]/2``:
    ``-α ln 2 + α H(1/α) + ln(t-1) + (α-1) ln((1+t)/t) = 0`` (H natural). The expectation is exact, the
    threshold a heuristic (Paleka 2021, Clum 2022), refuted as a threshold by `plain_rdt` in arXiv:2302.14112.

    >>> round(euler_characteristic().value, 6)
    8.344633
    """

    def rate(alpha: float) -> float:
        t = _euler_saddle(alpha)
        entropy = math.log(2) * _entropy_bits(1 / alpha)
        return alpha * (entropy - math.log(2)) + math.log(t - 1) + (alpha - 1) * math.log1p(1 / t)

    least = 4 + math.sqrt(8)  # the saddle is real from here on
    alpha = falling_root(rate, least)
    return Bound(
        name="Euler characteristic",
        layers=1,
        value=alpha,
        status="heuristic",
        origin="computed",
        source="saddle of Eχ, docs/theory.md §1; Paleka (2021), Clum (2022), arXiv:2302.14112",
        kind="estimate",
        parameters={"t": _euler_saddle(alpha)},
        error=_ROUNDOFF * alpha,
        laws="symmetric rows in general position",
    )


def gordon_distance(alpha: float, theta: float = 1.0, level: float = 0.0) -> float:
    """Squared distance per row from a Gaussian vector to {z : at most θn entries above the level t}.

    Among the entries above t all but the θn largest are lowered to t: ``c = E[(g-t)²; t < g < s]``, ``Φ(-s) = θ/α``; at
    t = 0 this is ``p - sφ(s)``, p = 1/2 - θ/α. Zero for α <= θ/Φ(-t). Source: docs/theory.md §2, §11.

    >>> gordon_distance(2.0), round(7.6476950 * gordon_distance(7.6476950), 6)
    (0.0, 1.0)
    """
    p = _NORMAL.cdf(-level) - theta / alpha
    if p <= 0:
        return 0.0
    s = -_NORMAL.inv_cdf(theta / alpha)
    if level == 0:
        return p - s * _NORMAL.pdf(s)
    return (1 + level**2) * p - (s - 2 * level) * _NORMAL.pdf(s) - level * _NORMAL.pdf(level)


def plain_rdt(theta: float = 1.0, level: float = 0.0) -> Bound:
    """Width ratio of Gordon's comparison: ``α c_θ(α) = 1``; 7.647695 for θ = 1. Equal to replica symmetry.

    Rigorous upper bound: Gordon's comparison applied to A on the unit sphere and the vectors with at most θn entries
    above `level`, whose squared distance from a Gaussian vector is α c_θ(α) n. At level 0 it is the injectivity
    threshold, at t the ratio above which the margin exceeds t. Source: docs/theory.md §2, §11; arXiv:2302.14112,
    arXiv:2410.20646. Raises `InputError` unless θ is in [0.001, 100] and the level in [-3, 3].

    >>> round(plain_rdt().value, 6), round(plain_rdt(level=0.5).value, 3)
    (7.647695, 15.596)
    """
    theta, field = threshold(theta), Field(level=level)
    level = field.level
    # α c_θ(α) increases in α from 0 at θ/Φ(-t), so the falling function is 1 - α c_θ(α).
    alpha = falling_root(lambda a: 1 - a * gordon_distance(a, theta, level), theta / _NORMAL.cdf(-level))
    return Bound(
        name=field.named("plain RDT (replica symmetric)"),
        layers=1,
        value=alpha,
        status="rigorous",
        origin="computed",
        source="α c_θ(α) = 1; docs/theory.md §2; Gordon (1988); arXiv:2302.14112",
        theta=theta,
        parameters={"p": _NORMAL.cdf(-level) - theta / alpha, "t": -_NORMAL.inv_cdf(theta / alpha)},
        error=_ROUNDOFF * alpha,
    )


def _entropy_bits(x: float) -> float:
    return 0.0 if x in (0.0, 1.0) else -x * math.log2(x) - (1 - x) * math.log2(1 - x)


def _euler_saddle(alpha: float) -> float:
    return ((alpha - 2) + math.sqrt(max(alpha * alpha - 8 * alpha + 8, 0.0))) / 2
