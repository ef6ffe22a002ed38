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

import math
from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mcinj.theory.arguments import positive, threshold
from mcinj.theory.bounds import Bound
from mcinj.theory.deep import checked_ratios, deep_plain_unit, plain_ratio, standing

__all__ = ["deep_lifted", "lifted_ratio_after", "two_layer_lifted_unit"]

Array = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_FIRST, _STEP, _LAST = 0.005, 0.4, 6.0  # first strength of the lift, its logarithmic step and limit
_FAR = 3.0  # in logarithms; a root farther from its start is another one
_GRADIENT = 1e-10
_ERROR = 1e-8


def deep_lifted(alphas_before: Iterable[float], theta: float = 1.0) -> Bound:
    """Critical ratio α_l by partially lifted RDT with optimised weights; 7.408123 for (6.7004,), θ = 1.

    At most `deep_plain`, with the same conditions on the earlier layers; equal to it, with zero weights,
    where lifting does not help. Parameters: eta1…, a2…, nu. Raises `InputError` as `deep_plain` does and
    `ArithmeticError` if the saddle is not found.
    """
    alphas, theta = checked_ratios(alphas_before), threshold(theta)
    hidden = len(alphas)
    x, value = _optimum(alphas, theta)
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
        error=_ERROR,
    )


def two_layer_lifted_unit(alpha_1: float, theta: float = 1.0) -> Bound:
    """Critical α_2 by partially lifted RDT with unit weights, 8.264101 for 6.7004: the published 8.264.

    Parameters: c (common weight on the exponential scale, 0.1095), eta1, eta2, nu. Raises as `deep_lifted`.
    """
    alpha_1 = positive("alpha_1", alpha_1, "give the first layer's ratio m_1/n, a finite number above 2")
    plain = deep_plain_unit((alpha_1,), theta)
    lam, mu = plain.parameters["lambda1"], plain.parameters["mu1"]
    nu = _last_cut(plain.value, theta)

    def start(scale: float) -> Array:
        return np.asarray(np.log(np.array([scale, scale / lam, scale * lam / (4 * mu), nu])))

    def objective(u: Array) -> tuple[float, Array]:
        return _unit(u, alpha_1, theta)

    found = _saddle(objective, start, plain.value)
    x, value = (np.array([0.0, 0.0, 0.0, nu]), plain.value) if found is None else found
    return Bound(
        name="deep partially lifted RDT, unit weights",
        layers=2,
        value=value,
        status=standing((alpha_1,)),
        origin="computed",
        source="Ψ = 0 with a_1 = a_2, docs/theory.md §6; cf. arXiv:2412.19677",
        theta=theta,
        parameters=dict(zip(("c", "eta1", "eta2", "nu"), x.tolist())),
        error=_ERROR,
    )


def lifted_ratio_after(alphas: tuple[float, ...], theta: float) -> float:
    """The value of `deep_lifted` for checked arguments, without its standing."""
    return _optimum(alphas, theta)[1]


@lru_cache(maxsize=256)
def _optimum(alphas: tuple[float, ...], theta: float) -> tuple[tuple[float, ...], float]:
    plain, parameters = plain_ratio(alphas, theta)
    hidden = len(alphas)
    eta, a = [1.0], []  # direction of the plain limit, where η and a scale with the strength of the lift
    for k in range(1, hidden + 1):
        lam, mu = parameters[f"lambda{k}"], parameters[f"mu{k}"]
        a.append(lam * eta[-1])
        eta.append(lam * lam * eta[-1] / (4 * mu))  # κ = μ η_k = a²/(4 η_{k+1})
    direction, nu = np.array([*eta, *a]), _last_cut(plain, theta)

    def objective(u: Array) -> tuple[float, Array]:
        return _optimised(u, alphas, theta)

    def start(scale: float) -> Array:
        return np.asarray(np.log(np.append(scale * direction, nu)))

    found = _saddle(objective, start, plain)
    if found is None:
        return (*(0.0 for _ in direction), nu), plain
    return tuple(found[0].tolist()), found[1]


def _optimised(u: Array, alphas: tuple[float, ...], theta: float) -> tuple[float, Array]:
    """α_l(η_1…η_l, a_2…a_l, ν) where Ψ = 0, and its gradient in the logarithms."""
    hidden = len(alphas)
    x = np.exp(u)
    eta, a, nu = x[: hidden + 1], x[hidden + 1 : -1], float(x[-1])
    b = float(eta[-1])
    rest, gradient = 0.5 * math.log1p(2 * eta[0]) + theta * b * nu, np.zeros_like(x)
    gradient[0] += 1 / (1 + 2 * eta[0])
    gradient[hidden] += theta * nu
    gradient[-1] += theta * b
    for k, alpha in enumerate(alphas):
        kappa = a[k] ** 2 * (0.5 + 0.25 / eta[k + 1])
        log, d_eta, d_a, d_kappa = _hidden(float(eta[k]), float(a[k]), float(kappa))
        rest += alpha * log
        gradient[k] += alpha * d_eta
        gradient[hidden + 1 + k] += alpha * (d_a + 2 * kappa / a[k] * d_kappa)
        gradient[k + 1] -= alpha * d_kappa * a[k] ** 2 / (4 * eta[k + 1] ** 2)
    return _ratio(rest, gradient, b, nu, (hidden, -1), x)


def _unit(u: Array, alpha: float, theta: float) -> tuple[float, Array]:
    """α_2(c, η_1, η_2, ν) where Ψ = 0 for two layers with a_1 = a_2 = c, and its gradient in logarithms."""
    x = np.exp(u)
    c, eta, b, nu = (float(value) for value in x)
    rho = (c + math.sqrt(c * c + 4)) / 2  # lim (1/n) ln E exp(c √n ‖h‖) = cρ + ln ρ - ρ²/2 + 1/2
    kappa = c * c * (0.5 + 0.25 / b)
    log, d_eta, d_a, d_kappa = _hidden(eta, c, kappa)
    rest = c * rho + math.log(rho) - (rho * rho - 1) / 2 - c * c / 2 - c * c / (4 * eta) + theta * b * nu
    gradient = np.array(
        [
            rho - c - c / (2 * eta) + alpha * (d_a + 2 * kappa / c * d_kappa),
            c * c / (4 * eta * eta) + alpha * d_eta,
            theta * nu - alpha * d_kappa * c * c / (4 * b * b),
            theta * b,
        ]
    )
    return _ratio(rest + alpha * log, gradient, b, nu, (2, 3), x)


def _ratio(rest: float, gradient: Array, b: float, nu: float, places: tuple[int, int], x: Array) -> tuple[float, Array]:
    """Divide by the last layer's exponent: α_l = -rest/ln E, and the chain rule to logarithms."""
    log, d_b, d_nu = _outermost(b, nu)
    alpha = -rest / log
    gradient[places[0]] += alpha * d_b
    gradient[places[1]] += alpha * d_nu
    return alpha, gradient * x / -log


def _hidden(eta: float, a: float, kappa: float) -> tuple[float, float, float, float]:
    """``ln E exp(-w)`` and its derivatives in η, a, κ (envelope theorem: ∂w = (g-z)², hu, u²).

    w is homogeneous of degree 2 in (g, h), so the radius integrates to 1/(1+2w(angle)); the angle is split
    where the optimal z changes its form and integrated by Gauss-Legendre, the integrand being analytic in
    each part.
    """
    lam, total = a / eta, eta + kappa
    low = -math.pi / 2 - math.atan(lam / (2 * (1 + math.sqrt(total / eta))))
    high = math.atan2(2.0, lam)
    lost, d_eta, d_a, d_kappa = 0.0, 0.0, 0.0, 0.0
    parts = ((low, -math.pi / 2, True), (-math.pi / 2, high, True), (high, math.pi / 2, False))
    for start, end, active in parts:
        angle = 0.5 * (end - start) * _NODES + 0.5 * (start + end)
        weight = 0.5 * (end - start) * _WEIGHTS / (2 * math.pi)
        g, h = np.cos(angle), np.sin(angle)
        z = (eta * g - a * h / 2) / total if active else np.zeros_like(g)
        w = eta * (g - z) ** 2 + a * h * z + kappa * z * z
        if np.any(w <= -0.5):
            return math.inf, math.nan, math.nan, math.nan  # the radius does not integrate: E exp(-w) = ∞
        lost += float(weight @ (2 * w / (1 + 2 * w)))
        slope = weight * 2 / (1 + 2 * w) ** 2
        d_eta -= float(slope @ (g - z) ** 2)
        d_a -= float(slope @ (h * z))
        d_kappa -= float(slope @ (z * z))
    mean = 1 - lost
    return math.log1p(-lost), d_eta / mean, d_a / mean, d_kappa / mean


def _outermost(b: float, nu: float) -> tuple[float, float, float]:
    """``ln E exp(-b min(g₊², ν))`` and its derivatives in b and ν, in closed form."""
    s, stretch = math.sqrt(nu), math.sqrt(1 + 2 * b)
    tail = 0.5 * math.erfc(s / math.sqrt(2))
    inside = 0.5 * math.erf(s * stretch / math.sqrt(2)) / stretch
    density = math.exp(-0.5 * nu * (1 + 2 * b)) / math.sqrt(2 * math.pi)
    square = (inside - s * density) / (1 + 2 * b)  # E[g² exp(-bg²); 0 < g < s]
    mean = 0.5 + inside + math.exp(-b * nu) * tail
    lost = 0.5 * math.erf(s / math.sqrt(2)) - inside - math.expm1(-b * nu) * tail
    kept = math.exp(-b * nu) * tail
    return math.log1p(-lost), -(square + nu * kept) / mean, -b * kept / mean


def _saddle(
    objective: Callable[[Array], tuple[float, Array]], start: Callable[[float], Array], plain: float
) -> tuple[Array, float] | None:
    """The stationary point reached from the plain limit, or None where lifting does not help.

    The first coordinate (η_1 or c, the strength of the lift) is raised step by step with the others kept
    stationary, as long as α falls; then all are solved together. The saddle has mixed index, so no descent in
    all coordinates would find it.
    """
    u, value, strength = start(_FIRST), plain, math.log(_FIRST) + start(1.0)[0]
    while strength < _LAST:
        trial = _stationary(objective, np.append(strength, u[1:]), held=1)
        raised = objective(trial)[0]
        if raised >= value:
            break
        u, value, strength = trial, raised, strength + _STEP
    if value >= plain:
        return None
    u = _stationary(objective, u, held=0)
    return np.exp(u), objective(u)[0]


def _stationary(objective: Callable[[Array], tuple[float, Array]], start: Array, held: int) -> Array:
    """A zero near `start` of the gradient in all coordinates but the first `held` ones."""
    from scipy.optimize import root

    def gradient(v: Array) -> Array:
        return objective(np.concatenate([start[:held], v]))[1][held:]

    found = root(gradient, start[held:], tol=1e-13)
    near = np.abs(found.x - start[held:]).max() < _FAR
    if not (near and np.abs(gradient(found.x)).max() < _GRADIENT):  # also if the iteration met a NaN
        raise ArithmeticError("the lifted saddle was lost; plain RDT still bounds this network (deep_plain)")
    return np.concatenate([start[:held], found.x])


def _last_cut(alpha: float, theta: float) -> float:
    """ν = t²: entries of the last layer above t are left positive, Φ(t) = 1 - θ/α."""
    from scipy.special import ndtri

    return float(ndtri(theta / alpha)) ** 2
