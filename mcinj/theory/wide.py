"""Gordon's comparison behind infinitely wide layers: a rigorous bound below 7.6477, for the count criterion.

Behind d Gaussian layers of infinite width the pre-activations of a row are a Gaussian field on the sphere of inputs
with covariance ξ(q), the arc-cosine kernel composed d times (`field`). Gordon's comparison puts a second field of the
same covariance in the place of h·x, so that the layer passes when ``α c_θ(α) > G²``, where ``G = lim max_x ĥ(x)/√n`` is
the ground state of the spherical model with mixture ξ, at most 1 (docs/theory.md §10). Chen and Sen (Comm. Math. Phys.
350 (2017) 129) give G as an infimum, so that every admissible order parameter bounds it from above; ours is

    G = √(q_0 ξ'(q_0)) + ∫_{q_0}^1 √ξ''(q) dq,      q_0 ξ''(q_0) = ξ'(q_0),

which is admissible because ``1/√ξ''`` is concave and falls.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from mcinj.theory.arguments import threshold, whole
from mcinj.theory.bounds import Bound
from mcinj.theory.closed_form import gordon_distance, plain_rdt
from mcinj.theory.field import MOST_WIDE_LAYERS, Field
from mcinj.theory.roots import bracketed_root, falling_root

__all__ = ["plain_rdt_behind_wide", "spherical_ground_state"]

_PANELS = 40
_ACCURACY = 1e-12  # two rules of quadrature differ by less than this


def plain_rdt_behind_wide(wide_layers_before: int, theta: float = 1.0, level: float = 0.0) -> Bound:
    """Ratio m/n above which a layer behind infinitely wide Gaussian layers has at least θn active units everywhere.

    ``α c_θ(α) = G²``: 7.588079 behind one layer, 7.420224 behind two, for θ = 1. A rigorous upper bound, for widths
    that go to infinity before n does. Without layers before it is `plain_rdt`. Parameters: G (at most 1) and the
    overlap q0 where its order parameter begins. Raises `InputError` unless 0 <= wide_layers_before <= 20, θ is in
    [0.001, 100] and the level in [-3, 3].

    >>> [round(plain_rdt_behind_wide(d).value, 4) for d in (0, 1, 2)]
    [7.6477, 7.5881, 7.4202]
    """
    theta, field = threshold(theta), Field(wide_layers_before, level)
    if not field.wide_layers:
        return plain_rdt(theta, field.level)
    ground, q0, error = spherical_ground_state(field.wide_layers)
    least = theta / NormalDist().cdf(-field.level)
    square = ground * ground
    alpha = falling_root(lambda a: square - a * gordon_distance(a, theta, field.level), least)
    # d(α c)/dα is at least c = G²/α, so that an error of G moves α by at most 2 α ΔG/G.
    return Bound(
        name=field.named("plain RDT"),
        layers=1 + field.wide_layers,
        value=alpha,
        status="rigorous",
        origin="computed",
        source="α c_θ(α) = G², spherical ground state; docs/theory.md §10; Gordon (1988), Chen and Sen (2017)",
        theta=theta,
        parameters={"ground_state": ground, "q0": q0},
        error=alpha * (2 * error / ground + _ACCURACY),
    )


def spherical_ground_state(layers: int) -> tuple[float, float, float]:
    """``G`` behind that many wide layers (at least 1), the overlap q_0, and the error of the quadrature.

    >>> round(spherical_ground_state(1)[0], 6)
    0.991171
    """
    layers = whole("layers", layers, 1, MOST_WIDE_LAYERS)

    def begins(q: float) -> float:
        _, first, second = mixture(q, layers)
        return q * second - first

    # q ξ'' - ξ' rises: from -ξ'(0) to infinity.
    q0 = bracketed_root(begins, 1e-9, 1 - 1e-12)
    whole_sum, half_sum = (_root_curvature(q0, layers, panels) for panels in (_PANELS, _PANELS // 2))
    ground = math.sqrt(q0 * mixture(q0, layers)[1]) + whole_sum
    return ground, q0, abs(whole_sum - half_sum) + 4e-16 * _PANELS


def mixture(q: float, layers: int) -> tuple[float, float, float]:
    """``ξ(q)``, ``ξ'(q)`` and ``ξ''(q)`` for 0 <= q < 1; ξ'' grows like (1-q)^-1/2."""
    value, first, second = q, 1.0, 0.0
    for _ in range(layers):
        angle = math.acos(min(value, 1.0))
        slope = 1 - angle / math.pi
        root = math.sqrt((1 - value) * (1 + value))
        bend = 1 / (math.pi * root)
        value, first, second = root / math.pi + value * slope, slope * first, bend * first * first + slope * second
    return value, first, second


def _root_curvature(q0: float, layers: int, panels: int) -> float:
    """``∫_{q0}^1 √ξ''``; with q = 1 - u⁴ the integrand is smooth, √ξ'' being like (1-q)^-1/4."""
    import numpy as np

    nodes, weights = np.polynomial.legendre.leggauss(8)
    end = (1 - q0) ** 0.25
    width = end / panels
    total = 0.0
    for panel in range(panels):
        for node, weight in zip(nodes, weights, strict=True):
            u = width * (panel + 0.5 * (float(node) + 1))
            total += float(weight) * math.sqrt(mixture(1 - u**4, layers)[2]) * 4 * u**3
    return float(0.5 * width * total)
