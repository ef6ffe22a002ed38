"""Plain random duality bounds for deep Gaussian networks, optimised and with unit weights.

Layer k has ratio α_k = m_k/n. Gordon's comparison, layer by layer from the last one, reduces the network to
scalar problems (docs/theory.md). `deep_plain` keeps each layer's constraint exactly: ``d_l = α_l c_θ(α_l)``,
``d_k = α_k φ̂(√(d_{k+1}/α_k))``, no region of the last layer has fewer than θn active units when ``d_1 > 1``.
`deep_plain_unit` adds the layers' distances with weight one instead of choosing the best weights, a weaker
bound of the same kind, which explains the published 8.267 of arXiv:2412.19677 for two layers.

Both are solved forwards: at the critical point d_1 = 1 fixes d_2, that d_3, …, and d_l fixes α_l.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from mcinj.errors import InputError
from mcinj.theory.arguments import positive, threshold, whole
from mcinj.theory.bounds import Bound, Status
from mcinj.theory.cone import HiddenLayer, hidden_layer, optimal_slope
from mcinj.theory.deep_ratio import MOST_LAYERS, checked_ratios, last_ratio, plain_ratio, too_narrow
from mcinj.theory.lifted_ratio import lifted_ratio_after
from mcinj.theory.roots import bracketed_root, falling_root

__all__ = [
    "MOST_LAYERS",
    "checked_ratios",
    "deep_chain",
    "deep_plain",
    "deep_plain_unit",
    "plain_ratio",
    "standing",
]

_SAME = 1e-10  # a ratio computed as critical counts as critical
_ERROR = 1e-9  # nested bisections to the last bit; the loss over eight layers stays far below this


def deep_plain(alphas_before: Iterable[float], theta: float = 1.0) -> Bound:
    """Critical ratio α_l of the layer after layers of ratios `alphas_before`, with optimised multipliers.

    Above it every region has more than θn active units in the last layer, with probability tending to 1; the
    earlier layers' own counts are separate conditions (`standing`). Without earlier layers this is
    `plain_rdt`. 7.530795 for (6.7004,). Parameters per hidden layer: d, lambda, mu. Rigorous upper bound
    given layers before.

    Raises `InputError` unless every ratio is finite and large enough for the comparison (the message names
    the layer), at most 7 layers come before, and θ is in [0.001, 100].

    >>> round(deep_plain([6.7004]).value, 5)
    7.5308
    """
    alphas, theta = checked_ratios(alphas_before), threshold(theta)
    value, parameters = plain_ratio(alphas, theta)
    return Bound(
        name="deep plain RDT, optimised",
        layers=len(alphas) + 1,
        value=value,
        status=standing(alphas),
        origin="computed",
        source=f"d_1 = 1 in the chain of docs/theory.md §5 after α = {_listed(alphas)}; Gordon (1988)",
        theta=theta,
        parameters=parameters,
        error=_ERROR,
    )


def deep_plain_unit(alphas_before: Iterable[float], theta: float = 1.0) -> Bound:
    """Critical ratio α_l as `deep_plain`, but with all layers' distances added at unit weight.

    ``M_l = √(α_l c_θ(α_l))``, ``M_k = min_z √(α_k E(g-z)²) + α_k E[hu] + √(α_k E[u²]) M_{k+1}``, critical at
    ``M_1 = 1``. 8.266729 for (6.7004,): the published 8.267. Raises `InputError` as `deep_plain` does.

    >>> round(deep_plain_unit([6.7004]).value, 5)
    8.26673
    """
    alphas, theta = checked_ratios(alphas_before), threshold(theta)
    margin, parameters = 1.0, {"M1": 1.0}
    for k, alpha in enumerate(alphas, 1):
        if alpha <= 2 * margin**2:
            raise InputError(too_narrow(k, alpha, 2 * margin**2))
        layer = _unit_layer(alpha, margin)
        margin = _next_margin(layer)
        parameters |= {f"lambda{k}": layer.lam, f"mu{k}": layer.mu, f"M{k + 1}": margin}
    return Bound(
        name="deep plain RDT, unit weights",
        layers=len(alphas) + 1,
        value=last_ratio(margin**2, theta),
        status=standing(alphas),
        origin="computed",
        source=f"M_1 = 1 in docs/theory.md §5 after α = {_listed(alphas)}; cf. arXiv:2412.19677",
        theta=theta,
        parameters=parameters,
        error=_ERROR,
    )


def deep_chain(alpha_1: float, layers: int, theta: float = 1.0) -> tuple[Bound, ...]:
    """Critical ratios α_1, …, α_l with every earlier layer at its own critical value (`deep_plain`).

    The first entry is the caller's `alpha_1`, quoted; the following ones are computed with count threshold n,
    the last with θn. The status is rigorous if `alpha_1` is at least a rigorous one-layer bound, else
    heuristic. For 6.7004: 7.53080, 7.42779, 7.32827, 7.23207, 7.13905. Raises `InputError` unless alpha_1 >
    2, 1 <= layers <= 8 and θ is in [0.001, 100].

    >>> [round(row.value, 5) for row in deep_chain(6.7004, 3)]
    [6.7004, 7.5308, 7.42779]
    """
    alpha_1 = positive("alpha_1", alpha_1, "give the first layer's ratio m_1/n, a finite number above 2")
    layers = whole("layers", layers, 1, MOST_LAYERS)
    theta = threshold(theta)
    if alpha_1 <= 2:
        raise InputError(too_narrow(1, alpha_1, 2))
    first = Bound(
        name="first layer, given",
        layers=1,
        value=alpha_1,
        status=standing((alpha_1,)),
        origin="published",
        source="argument alpha_1, quoted",
    )
    chain = [first]
    while len(chain) < layers:
        last = len(chain) == layers - 1
        chain.append(deep_plain([row.value for row in chain], theta if last else 1.0))
    return tuple(chain)


def standing(alphas_before: Iterable[float]) -> Status:
    """Status of a deep bound after layers of these ratios: each must pass its own count.

    Rigorous if every ratio is at least the plain or the partially lifted bound after those before it (up to
    rounding); a first layer at a replica value makes the chain heuristic.
    """
    alphas = tuple(alphas_before)
    distance = 1.0
    for k, alpha in enumerate(alphas):
        needed = last_ratio(distance, 1.0)
        if alpha < needed:
            try:
                needed = lifted_ratio_after(alphas[:k], 1.0)
            except ArithmeticError:  # then no bound is known to hold here
                return "heuristic"
        if alpha < needed * (1 - _SAME):
            return "heuristic"
        distance = alpha * optimal_slope(distance / alpha).slope ** 2
    return "rigorous"


def _unit_layer(alpha: float, margin: float) -> HiddenLayer:
    """The optimal hidden layer with ``M_k = margin < √(α/2)``.

    Stationarity of the three terms gives ``λ = 2√(α D)`` and ``μ = M_{k+1} √(D/E[u²])`` with D = E(g-z)². The
    solutions form one curve over ``μ > √(α/2) - 1``, along which M_k rises from 0 to √(α/2), the value of u =
    0.
    """

    def on_curve(mu: float) -> HiddenLayer:
        lam = falling_root(lambda x: 4 * alpha * hidden_layer(x, mu).distance - x * x, 1e-6)
        return hidden_layer(lam, mu)

    def value(mu: float) -> float:
        layer = on_curve(mu)
        root = math.sqrt(alpha * layer.power)
        return math.sqrt(alpha * layer.distance) + alpha * layer.product + root * _next_margin(layer)

    least = math.sqrt(alpha / 2) - 1
    high = 2 * (1 + least)
    while value(high) < margin:
        high *= 2
    low = least + (high - least) / 4
    while value(low) > margin:
        low = least + (low - least) / 4
    return on_curve(bracketed_root(lambda mu: value(mu) - margin, low, high))


def _next_margin(layer: HiddenLayer) -> float:
    return layer.mu * math.sqrt(layer.power / layer.distance)


def _listed(alphas: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{alpha:.6g}" for alpha in alphas) + ")" if alphas else "()"
