"""Proved enclosures of the plain deep chain, in ball arithmetic: both ends of ``d_1 = 1``.

The chain rests on φ̂(K) = min E(g-z)² over a set that is not convex, so the float solution alone is not a
proof. Upper bounds on φ̂ are feasible points, evaluated in balls. Lower bounds hold slice by slice: at fixed
E[u²] = s the constraint is linear and every multiplier λ >= 0, μ > -1 gives

    E(g-z)² >= W(λ, μ) + λK√s - μs,     W = E min_z [(g-z)² + λhu + μu²],

which is concave in s, hence least at the ends of a cell of s. All s >= 0 are covered by cells (docs/theory.md
§5).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mcinj.theory.arguments import positive
from mcinj.theory.bounds import Bound
from mcinj.theory.cone import HiddenLayer, hidden_layer, optimal_multiplier
from mcinj.theory.deep import deep_plain
from mcinj.theory.deep_ratio import checked_ratios
from mcinj.theory.roots import bracketed_root, falling_root

__all__ = ["deep_plain_enclosed", "distance_proves"]

Ball = Any  # flint.arb
_PRECISION = 120
_SLACK = 1e-10  # what a proved distance may lose against the float one
_WIDENING = 1e-8  # relative distance of the enclosure's ends from the float value
_LARGEST = 2.0  # above, λ = 0 and μ = -1/2 prove s/2 - 1/2 >= 1/2
_NARROWEST = 1e-9  # a cell that is still not proved at this width will not be


def deep_plain_enclosed(alphas_before: Iterable[float], theta: float = 1.0) -> Bound:
    """`deep_plain` with a proved `enclosure` (relative width 2e-8) of the chain's critical ratio.

    At the upper end the comparison is proved to hold (d_1 > 1), at the lower end it is proved not to. The
    earlier ratios are taken as the exact floats given. Raises as `deep_plain`, and `ArithmeticError` if the
    proof fails.
    """
    alphas = checked_ratios(alphas_before)
    bound = deep_plain(alphas, theta)
    low, high = bound.value * (1 - _WIDENING), bound.value * (1 + _WIDENING)
    if not (_first_distance((*alphas, high), bound.theta, below=True) > 1):
        raise ArithmeticError(f"the chain after {alphas} was not proved at {high}")
    if not (_first_distance((*alphas, low), bound.theta, below=False) < 1):
        raise ArithmeticError(f"the chain after {alphas} was not refuted at {low}")
    return replace(bound, enclosure=(low, high), error=high - low)


def distance_proves(slope: float, distance: float) -> bool:
    """Whether it is proved that ``φ̂(slope) >= distance``: no split nearer than `distance` meets the constraint.

    False means not proved. Raises `InputError` unless both are finite and above 0.
    """
    slope, distance = positive("slope", slope), positive("distance", distance)
    if distance > 0.5 or slope * slope > 0.5:
        return False  # u = 0 is always feasible and has distance 1/2; larger slopes admit nothing else
    cells = [(0.0, _LARGEST)]
    while cells:
        low, high = cells.pop()
        if not _cell_proves(slope, distance, low, high):
            if high - low < _NARROWEST:
                return False
            middle = (low + high) / 2
            cells += [(low, middle), (middle, high)]
    return True


def _first_distance(alphas: tuple[float, ...], theta: float, below: bool) -> Ball:
    """A ball below (`below`) or above d_1 for the chain of ratios `alphas`."""
    from flint import arb, ctx

    with ctx.workprec(_PRECISION):
        d = _last_distance(alphas[-1], theta)
        for alpha in alphas[-2::-1]:
            ratio = (d / arb(alpha)).sqrt()
            edge = ratio.lower() if below else ratio.upper()
            slope = math.nextafter(float(edge), -math.inf if below else math.inf)
            d = arb(alpha) * (_distance_below(slope) if below else _distance_above(slope))
        return d.lower() if below else d.upper()


def _distance_below(slope: float) -> Ball:
    from flint import arb

    lam = _multiplier(slope)
    distance = optimal_multiplier(lam).distance - _SLACK
    return arb(distance) if distance > 0 and distance_proves(slope, distance) else arb(0)


def _distance_above(slope: float) -> Ball:
    """Distance of a feasible split: a stationary one of slightly larger slope."""
    layer = optimal_multiplier(_multiplier(slope) * (1 + _SLACK))
    distance, product, power = _moments(layer.lam, layer.mu)
    half = 0 * distance + 0.5
    return distance if product + _ball(slope) * power.sqrt() < 0 else half


def _multiplier(slope: float) -> float:
    """λ at which the stationary split has this slope (rising from 0 to √½)."""
    high = 1.0
    while optimal_multiplier(high).slope < slope:
        high *= 2
        if high > 1e9:
            raise ArithmeticError(f"no stationary split has slope {slope}")
    return bracketed_root(lambda lam: optimal_multiplier(lam).slope - slope, slope / 2, high)


def _cell_proves(slope: float, distance: float, low: float, high: float) -> bool:
    from flint import ctx

    lam, mu = _multipliers(slope, (low + high) / 2)
    with ctx.workprec(_PRECISION):
        moved, product, power = _moments(lam, mu)
        w = moved + _ball(lam) * product + _ball(mu) * power - _ball(distance)
        gain = _ball(lam) * _ball(slope)
        return all(bool(w + gain * _ball(s).sqrt() - _ball(mu) * _ball(s) > 0) for s in (low, high))


def _multipliers(slope: float, s: float) -> tuple[float, float]:
    """Best λ and μ for E[u²] = s, in floats: any others would be as valid, only weaker.

    μ makes E[u²] = s at given λ (it falls in μ), then λ makes ``E[hu] = -K√s``. Two nested roots in plain
    Python: a library's optimiser would start threads for each of these tiny problems.
    """

    def at_power(lam: float) -> HiddenLayer:
        a = falling_root(lambda x: hidden_layer(lam, x - 1).power - s, 1e-6)
        return hidden_layer(lam, a - 1)

    lam = falling_root(lambda x: at_power(x).product + slope * math.sqrt(s), 1e-6)
    return lam, at_power(lam).mu


def _moments(lam: float, mu: float) -> tuple[Ball, Ball, Ball]:
    """`cone.hidden_layer` in balls: E(g-z)², E[hu], E[u²]."""
    x, y = _ball(lam), _ball(mu)
    a = 1 + y
    pi = a.pi()
    rest = (x / 2).atan()
    high, low = pi / 2 - rest, -pi / 2 - (x / (2 * (1 + a.sqrt()))).atan()
    turn, wave = (high - low) / 2, ((2 * high).sin() - (2 * low).sin()) / 4
    gg, hh = (turn + wave) / pi, (turn - wave) / pi
    gh = (low.cos() ** 2 - high.cos() ** 2) / (2 * pi)
    dropped = (rest - rest.sin() * rest.cos()) / (2 * pi)
    moved = (y * y * gg + y * x * gh + x * x / 4 * hh) / a**2
    return dropped + moved, (gh - x / 2 * hh) / a, (gg - x * gh + x * x / 4 * hh) / a**2


def _last_distance(alpha: float, theta: float) -> Ball:
    """``α c_θ(α)``; t is enclosed by two floats at which Φ is compared with 1 - θ/α."""
    from statistics import NormalDist

    ratio = _ball(alpha)
    wanted = _ball(theta) / ratio
    t = -NormalDist().inv_cdf(theta / alpha)
    ends = []
    for sign in (-1, 1):
        for exponent in range(-50, -30):
            end = t + sign * max(abs(t), 1.0) * 2.0**exponent
            tail = (1 - (_ball(end) / _ball(2.0).sqrt()).erf()) / 2
            if (tail > wanted) if sign < 0 else (tail < wanted):
                ends.append(_ball(end))
                break
    if len(ends) < 2:
        raise ArithmeticError(f"no proved quantile at {theta / alpha}")
    cut = ends[0].union(ends[1])
    density = (-cut * cut / 2).exp() / (2 * cut.pi()).sqrt()
    return ratio * (_ball(0.5) - wanted - cut * density)


def _ball(x: float) -> Ball:
    from flint import arb

    return arb(x)
