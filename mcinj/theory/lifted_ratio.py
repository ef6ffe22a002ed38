"""The saddle point of `mcinj.theory.lifted_deep` and the ratio of the last layer there."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mcinj.theory.deep_ratio import plain_ratio
from mcinj.theory.lifted import outermost
from mcinj.theory.newton import Objective, Sample, Stationary, stationary

Array = NDArray[np.float64]

Rule = tuple[Array, Array]  # nodes and weights on [-1, 1]
_NODES, _PANELS = 64, (1, 4, 16, 64)  # Gauss-Legendre nodes of a panel; panels tried until more change nothing
_AGREEMENT = 1e-12  # of two rules, relative
_FIRST, _STEP, _LAST = 1e-4, 0.8, 6.0  # largest η or a of the first lift, its logarithmic step, and ln of its limit
_LEAST_STEP = 1e-3
_FAR = 3.0  # in logarithms; a root farther from its start is another one
_ULP = float(np.finfo(np.float64).eps)
_SAFETY = 8  # standard errors of rounding that a quoted error covers
_WITHOUT = 1e-8  # what lifting at strengths below the first one may gain: of the order of the strength squared


def lifted_ratio_after(alphas: tuple[float, ...], theta: float) -> float:
    """The value of `deep_lifted` for checked arguments, without its standing."""
    return optimum(alphas, theta)[1]


@lru_cache(maxsize=256)
def optimum(alphas: tuple[float, ...], theta: float) -> tuple[tuple[float, ...], float, float]:
    """Parameters, value and error of `deep_lifted`."""
    plain, parameters = plain_ratio(alphas, theta)
    hidden = len(alphas)
    eta, a = [1.0], []  # direction of the plain limit, where η and a scale with the strength of the lift
    for k in range(1, hidden + 1):
        lam, mu = parameters[f"lambda{k}"], parameters[f"mu{k}"]
        a.append(lam * eta[-1])
        eta.append(lam * lam * eta[-1] / (4 * mu))  # κ = μ η_k = a²/(4 η_{k+1})
    direction, nu = np.array([*eta, *a]), last_cut(plain, theta)
    found = saddle(lambda u, rule: _optimised(u, alphas, theta, rule), direction, nu)
    return or_plain(found, plain, (*(0.0 for _ in direction), nu))


def or_plain(
    found: tuple[Array, float, float] | None, plain: float, limit: tuple[float, ...]
) -> tuple[tuple[float, ...], float, float]:
    """What was found, or plain RDT and its limiting parameters: a bound as well, where it is the smaller one."""
    if found is None or found[1] >= plain:
        return limit, plain, _WITHOUT
    return tuple(found[0].tolist()), found[1], found[2]


def _optimised(u: Array, alphas: tuple[float, ...], theta: float, rule: Rule) -> Sample:
    """α_l(η_1…η_l, a_2…a_l, ν) where Ψ = 0, and its gradient in the logarithms."""
    hidden = len(alphas)
    x = np.exp(u)
    eta, a, nu = x[: hidden + 1], x[hidden + 1 : -1], float(x[-1])
    b = float(eta[-1])
    rest, gradient = 0.5 * math.log1p(2 * eta[0]) + theta * b * nu, np.zeros_like(x)
    size = rest
    gradient[0] += 1 / (1 + 2 * eta[0])
    gradient[hidden] += theta * nu
    gradient[-1] += theta * b
    for k, alpha in enumerate(alphas):
        kappa = a[k] ** 2 * (0.5 + 0.25 / eta[k + 1])
        log, d_eta, d_a, d_kappa = _hidden(float(eta[k]), float(a[k]), float(kappa), rule)
        rest += alpha * log
        size += alpha * abs(log)
        gradient[k] += alpha * d_eta
        gradient[hidden + 1 + k] += alpha * (d_a + 2 * kappa / a[k] * d_kappa)
        gradient[k + 1] -= alpha * d_kappa * a[k] ** 2 / (4 * eta[k + 1] ** 2)
    return _ratio(rest, size, gradient, b, nu, (hidden, -1), x)


def unit_ratio(u: Array, alpha: float, theta: float, rule: Rule) -> Sample:
    """α_2(c, η_1, η_2, ν) where Ψ = 0 for two layers with a_1 = a_2 = c, and its gradient in logarithms."""
    x = np.exp(u)
    c, eta, b, nu = (float(value) for value in x)
    rho = (c + math.sqrt(c * c + 4)) / 2  # lim (1/n) ln E exp(c √n ‖h‖) = cρ + ln ρ - ρ²/2 + 1/2
    kappa = c * c * (0.5 + 0.25 / b)
    log, d_eta, d_a, d_kappa = _hidden(eta, c, kappa, rule)
    terms = (c * rho, math.log(rho), -(rho * rho - 1) / 2, -c * c / 2, -c * c / (4 * eta), theta * b * nu, alpha * log)
    gradient = np.array(
        [
            rho - c - c / (2 * eta) + alpha * (d_a + 2 * kappa / c * d_kappa),
            c * c / (4 * eta * eta) + alpha * d_eta,
            theta * nu - alpha * d_kappa * c * c / (4 * b * b),
            theta * b,
        ]
    )
    return _ratio(sum(terms), sum(map(abs, terms)), gradient, b, nu, (2, 3), x)


def _ratio(rest: float, size: float, gradient: Array, b: float, nu: float, places: tuple[int, int], x: Array) -> Sample:
    """Divide by the last layer's exponent: α_l = -rest/ln E, and the chain rule to logarithms.

    size: sum of the sizes of rest's terms, in proportion to its rounding.
    """
    log, d_b, d_nu = outermost(b, nu)
    if not (log < 0 and math.isfinite(rest)):
        return Sample(math.inf, gradient, 0.0)
    alpha = -rest / log
    gradient[places[0]] += alpha * d_b
    gradient[places[1]] += alpha * d_nu
    rounding = _ULP * (size + abs(alpha) * (1 - log)) / -log
    return Sample(alpha, gradient * x / -log, rounding)


def _hidden(eta: float, a: float, kappa: float, rule: Rule) -> tuple[float, float, float, float]:
    """``ln E exp(-w)`` and its derivatives in η, a, κ (envelope theorem: ∂w = (g-z)², hu, u²).

    w is homogeneous of degree 2 in (g, h), so the radius integrates to 1/(1+2w(angle)); the angle is split
    where the optimal z changes its form and integrated by Gauss-Legendre (`rule`: nodes and weights), the
    integrand being analytic in each part. It has a pole beside the real axis where w comes near to -1/2.
    """
    lam, total = a / eta, eta + kappa
    low = -math.pi / 2 - math.atan(lam / (2 * (1 + math.sqrt(total / eta))))
    high = math.atan2(2.0, lam)
    lost, d_eta, d_a, d_kappa = 0.0, 0.0, 0.0, 0.0
    parts = ((low, -math.pi / 2, True), (-math.pi / 2, high, True), (high, math.pi / 2, False))
    for start, end, active in parts:
        angle = 0.5 * (end - start) * rule[0] + 0.5 * (start + end)
        weight = 0.5 * (end - start) * rule[1] / (2 * math.pi)
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


def saddle(
    objective: Callable[[Array, Rule], Sample], direction: Array, nu: float
) -> tuple[Array, float, float] | None:
    """The stationary point reached from the plain limit, its value and error; None where lifting does not help.

    objective: α_l at logarithms of parameters; all but the last, ν, scale with the strength of the lift in the
    plain limit, in the given direction. The quadrature is refined until the value no longer depends on it.
    """
    start = np.log(np.append(_FIRST * direction / direction.max(), nu))
    found: tuple[Array, float, float] | None = None
    for panels, more in pairwise((*_PANELS, 2 * _PANELS[-1])):
        rule, finer = _rule(panels), _rule(more)
        try:
            point = _raised(lambda u, rule=rule: objective(u, rule), start)  # type: ignore[misc]
        except ArithmeticError:
            continue
        if point is None:
            return None
        check = objective(point.point, finer)
        error = abs(check.value - point.value)
        if check.finite:
            found = (np.exp(point.point), point.value, error + point.error + _SAFETY * check.rounding)
            if error <= _AGREEMENT * point.value:
                break
    if found is None:
        raise ArithmeticError("the lifted saddle was lost; plain RDT still bounds this network (deep_plain)")
    return found


def _raised(objective: Objective, start: Array) -> Stationary | None:
    """The stationary point in all coordinates, from a start with the first one, the lift's strength, small.

    The strength is raised with the others kept stationary, until α has a slope upwards in it; the point lies
    between the last two strengths. It is a saddle of mixed index, so that no descent in all coordinates would
    find it. None where α rises from the start.
    """
    below = stationary(objective, start, held=1, reach=_FAR).point
    slope = float(objective(below).gradient[0])
    if slope >= 0:
        return None
    ahead = np.append(np.ones(start.size - 1), 0.0)  # change of the coordinates per change of the strength
    step, last = _STEP, float(start[0]) - math.log(_FIRST) + _LAST
    while step > _LEAST_STEP and below[0] <= last:
        try:
            above = stationary(objective, below + step * ahead, held=1, reach=_FAR).point
            rise = float(objective(above).gradient[0])
            if rise >= 0:
                return stationary(objective, below + (above - below) * slope / (slope - rise), reach=_FAR)
        except ArithmeticError:
            step /= 2
            continue
        ahead, below, slope = (above - below) / (above[0] - below[0]), above, rise
    raise ArithmeticError(f"no stationary point up to strength {math.exp(below[0]):g}")


@cache
def _rule(panels: int) -> Rule:
    """Gauss-Legendre in equal panels of [-1, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    middles = (2 * np.arange(panels) + 1) / panels - 1
    return (middles[:, None] + nodes / panels).ravel(), np.tile(weights / panels, panels)


def last_cut(alpha: float, theta: float) -> float:
    """ν = t²: entries of the last layer above t are left positive, Φ(t) = 1 - θ/α."""
    from scipy.special import ndtri

    return float(ndtri(theta / alpha)) ** 2
