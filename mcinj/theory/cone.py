"""One hidden layer in Gordon's comparison: the optimal split of a Gaussian vector, in closed form.

Per hidden unit two independent standard Gaussians meet: g, from the matrix that feeds the layer, and h, from
the matrix that reads it. For multipliers λ > 0 and μ > -1 the problem ``min_z (g-z)² + λ h u + μ u²``, u =
max(z, 0), has u = B/A with A = 1+μ and B = g - λh/2 on a planar cone of (g, h), and u = 0 elsewhere:

    g > 0: active iff B > 0             (cost g² - B²/A against g²),
    g < 0: active iff B > √A |g|        (cost g² - B²/A against 0).

The cone runs from the angle ``-π/2 - atan(λ / (2(1+√A)))`` to ``atan(2/λ)``, measured from the g-axis towards
h. Second moments of a Gaussian on a planar cone are elementary. Source: docs/theory.md §5.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from mcinj.theory.roots import bracketed_root, falling_root

__all__ = ["HiddenLayer", "hidden_layer", "optimal_multiplier", "optimal_slope"]


@dataclass(frozen=True)
class HiddenLayer:
    """Per-unit moments at the optimum for (λ, μ): distance E(g-z)², product E[hu], power E[u²]."""

    lam: float
    mu: float
    distance: float
    product: float
    power: float

    @property
    def slope(self) -> float:
        """``K = -E[hu]/√E[u²]``: the constraint ``E[hu] + K √E[u²] <= 0`` is tight."""
        return -self.product / math.sqrt(self.power)


def hidden_layer(lam: float, mu: float) -> HiddenLayer:
    """Moments of the optimal split for multipliers λ > 0 and μ > -1."""
    a = 1 + mu
    low, high = -math.pi / 2 - math.atan(lam / (2 * (1 + math.sqrt(a)))), math.atan2(2.0, lam)
    # E[r² f(angle)] = (1/π) ∫ f over the angle, since E[r²] = 2 and the angle has density 1/2π.
    turn, wave = (high - low) / 2, (math.sin(2 * high) - math.sin(2 * low)) / 4
    gg, hh = (turn + wave) / math.pi, (turn - wave) / math.pi
    gh = (math.cos(low) ** 2 - math.cos(high) ** 2) / (2 * math.pi)
    rest = math.atan(lam / 2)  # the wedge g > 0, B < 0, where z = 0
    dropped = (rest - math.sin(rest) * math.cos(rest)) / (2 * math.pi)
    # On the cone g - z = (μ g + λ h/2)/A: no cancellation for small λ.
    moved = (mu * mu * gg + mu * lam * gh + lam * lam / 4 * hh) / a**2
    return HiddenLayer(
        lam=lam,
        mu=mu,
        distance=dropped + moved,
        product=(gh - lam / 2 * hh) / a,
        power=(gg - lam * gh + lam * lam / 4 * hh) / a**2,
    )


def optimal_multiplier(lam: float) -> HiddenLayer:
    """The layer at λ whose μ makes the norm term stationary: ``-λ E[hu] = 2μ E[u²]``.

    Derivative of the constraint ``E[hu] + K √E[u²]`` with ``K = -E[hu]/√E[u²]``; one root, μ > 0.
    """

    def residual(mu: float) -> float:
        layer = hidden_layer(lam, mu)
        return -lam * layer.product - 2 * mu * layer.power

    return hidden_layer(lam, falling_root(residual, 1e-18))


@lru_cache(maxsize=1024)
def optimal_slope(distance: float) -> HiddenLayer:
    """The optimal layer with ``E(g-z)² = distance`` in (0, 1/2); its `slope` is the K with φ̂(K) = distance.

    φ̂(K) = min E(g-z)² subject to ``E[hu] + K√E[u²] <= 0`` rises from 0 to 1/2, where u = 0 takes over. Both
    K and the distance rise in λ, so the stationary point is the only one and hence the global minimum.
    """
    low = high = math.sqrt(8 * distance)  # the distance is λ²/8 for small λ, and less for all others
    while optimal_multiplier(high).distance < distance:
        high *= 2
    low /= 2
    return optimal_multiplier(bracketed_root(lambda lam: optimal_multiplier(lam).distance - distance, low, high))
