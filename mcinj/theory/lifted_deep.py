"""Partially lifted random duality for deep networks: the exponential version of the comparison chain.

As in one layer, Markov's inequality is applied to ``exp(-c · distance)`` instead of comparing means; each
layer's matrix gets its own weight a_k, and the slices of fixed hidden norms are bounded one by one. Per input
the exponent is, at its stationary point (docs/theory.md),

    Ψ = ½ ln(1+2η_1) + θην + Σ_{k<l} α_k ln E exp(-w_k) + α_l ln E exp(-η min(g₊², ν)),      η = η_l,
    w_k = min_z [η_k (g-z)² + a_{k+1} h u + κ_k u²],  u = max(z, 0),  κ_k = a_{k+1}² (1/2 + 1/(4η_{k+1})),

and Ψ = 0 at the critical α_l. One layer is `partially_lifted` (c = ην, χ = ν/2). The weights are free, so
``a_2 … a_l`` are chosen stationary; with unit weights all are equal and the first layer's is not eliminated.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mcinj.theory.arguments import positive, threshold
from mcinj.theory.bounds import Bound
from mcinj.theory.deep import deep_plain_unit, standing
from mcinj.theory.deep_ratio import checked_ratios
from mcinj.theory.lifted_ratio import last_cut, optimum, or_plain, saddle, unit_ratio

__all__ = ["deep_lifted", "two_layer_lifted_unit"]


def deep_lifted(alphas_before: Iterable[float], theta: float = 1.0) -> Bound:
    """Critical ratio α_l by partially lifted RDT with optimised weights; 7.408123 for (6.7004,), θ = 1.

    At most `deep_plain`, with the same conditions on the earlier layers; equal to it, with zero weights,
    where lifting does not help. Parameters: eta1…, a2…, nu. Raises `InputError` as `deep_plain` does and
    `ArithmeticError` if the saddle is not found.
    """
    alphas, theta = checked_ratios(alphas_before), threshold(theta)
    hidden = len(alphas)
    x, value, error = optimum(alphas, theta)
    names = [f"eta{k}" for k in range(1, hidden + 2)] + [f"a{k}" for k in range(2, hidden + 2)] + ["nu"]
    return Bound(
        name="deep partially lifted RDT, optimised",
        layers=hidden + 1,
        value=value,
        status=standing(alphas),
        origin="computed",
        source="Ψ = 0 with free weights, docs/theory.md §6; Gordon (1988)",
        theta=theta,
        parameters=dict(zip(names, x)),
        error=error,
    )


def two_layer_lifted_unit(alpha_1: float, theta: float = 1.0) -> Bound:
    """Critical α_2 by partially lifted RDT with unit weights, 8.264101 for 6.7004: the published 8.264.

    Parameters: c (common weight on the exponential scale, 0.1095), eta1, eta2, nu. Raises as `deep_lifted`.
    """
    alpha_1 = positive("alpha_1", alpha_1, "give the first layer's ratio m_1/n, a finite number above 2")
    plain = deep_plain_unit((alpha_1,), theta)
    lam, mu = plain.parameters["lambda1"], plain.parameters["mu1"]
    # How c, η_1 and η_2 vanish together in the plain limit.
    direction, nu = np.array([1.0, 1 / lam, lam / (4 * mu)]), last_cut(plain.value, theta)
    found = saddle(lambda u, rule: unit_ratio(u, alpha_1, theta, rule), direction, nu)
    x, value, error = or_plain(found, plain.value, (0.0, 0.0, 0.0, nu))
    return Bound(
        name="deep partially lifted RDT, unit weights",
        layers=2,
        value=value,
        status=standing((alpha_1,)),
        origin="computed",
        source="Ψ = 0 with a_1 = a_2, docs/theory.md §6; cf. arXiv:2412.19677",
        theta=theta,
        parameters=dict(zip(("c", "eta1", "eta2", "nu"), x)),
        error=error,
    )
