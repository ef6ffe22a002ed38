"""Proved enclosures of the rigorous one-layer thresholds, in ball arithmetic (python-flint `arb`).

The theorems behind first moment, plain and partially lifted RDT are rigorous; here their numbers are too.
First moment and plain RDT are roots of monotone functions, so the signs at two ends are a proof. Partially
lifted RDT is a stationary value: interval Newton proves that exactly one stationary point lies in a small
box, and a subdivision of all χ > 0 proves that the upper end is a valid bound (`lifting_proves`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mcinj.errors import InputError
from mcinj.theory import jets
from mcinj.theory.arguments import positive, threshold
from mcinj.theory.bounds import Bound

__all__ = ["enclosed", "lifting_proves"]

Ball = Any  # flint.arb, see jets
_PRECISION = 160  # bits
_ALLOWANCE = 1e-10  # how far above the stationary value the lifted bound is proved for all χ
_CELLS = 20_000


def enclosed(bound: Bound) -> Bound:
    """The same bound with a proved `enclosure` and the value moved to its middle.

    For `first_moment`, `plain_rdt` and `partially_lifted`; `InputError` for any other value. Raises
    `ArithmeticError` if the proof fails (it then claims nothing).
    """
    name, theta = bound.name, bound.theta
    if name.startswith("first moment"):
        low, high = _first_moment(bound.value, theta)
    elif name.startswith("plain RDT") or (name.startswith("partially lifted") and bound.parameters["c"] == 0):
        low, high = _plain(bound.value, theta)
    elif name.startswith("partially lifted"):
        low, high = _lifted(bound)
    else:
        raise InputError(f"no enclosure for {name!r}; give first moment, plain or partially lifted RDT")
    return replace(bound, value=low + (high - low) / 2, error=high - low, enclosure=(low, high))


def lifting_proves(alpha: float, theta: float, c: float, r: float) -> bool:
    """Whether tilt c and weight r prove that at ratio `alpha`, w.h.p., no x has at most θn positives.

    The exponent ``θc - c²r²/2 + S(cr) + max_χ [α ln E exp(-cV_χ) - cχr²/2]`` must be negative, where
    ``S(a) = aρ + ln ρ - (ρ²-1)/2``, ``ρ = (a + √(a²+4))/2``. All χ > 0 are covered by cells, each bounded by
    monotonicity (``ln E`` rises in χ) or by the mean value theorem. False means not proved. Any c, r > 0 is
    allowed; the best ones are ``ρ² = 1 + c/χ``, ``r = 1/(χρ)`` at the stationary point.
    """
    from flint import ctx

    alpha, theta = positive("alpha", alpha), threshold(theta)
    c, r = positive("c", c), positive("r", r)
    with ctx.workprec(_PRECISION):
        tilt, weight, ratio = _ball(c), _ball(r), _ball(alpha)
        a = tilt * weight
        rho = (a + (a * a + 4).sqrt()) / 2
        fixed = _ball(theta) * tilt - a * a / 2 + a * rho + rho.log() - (rho * rho - 1) / 2
        price = tilt * weight * weight / 2
        far = float((2 * abs(fixed) / price).upper()) + 1  # beyond, the price of χ alone suffices: ln E <= 0
        cells = [(0.0, far)]
        for _ in range(_CELLS):
            if not cells:
                return True
            low, high = cells.pop()
            if not _negative(ratio, tilt, price, fixed, low, high):
                middle = low + (high - low) / 2
                cells += [(low, middle), (middle, high)]
        return False


def _negative(ratio: Ball, tilt: Ball, price: Ball, fixed: Ball, low: float, high: float) -> bool:
    left, right = _ball(low), _ball(high)
    if fixed + ratio * _log_expectation(tilt, right) - price * left < 0:
        return True
    if low <= 0:
        return False
    # Mean value theorem around the middle, with the derivative's range over the whole cell.
    middle = _ball(low + (high - low) / 2)
    cell = left.union(right)
    root, y = cell.sqrt(), cell + tilt
    mean = _log_expectation(tilt, cell).exp()
    pi = cell.pi()
    # ∂E/∂χ = (c/2χ²) E[h² exp(-ch²/2χ); 0 < h < √2χ], elementary:
    moment = (cell / y) ** 1.5 * y.sqrt().erf() / 2 - (cell / y) * (root * (-y).exp() / pi.sqrt())
    slope = ratio * (tilt / (2 * cell * cell)) * moment / mean - price
    value = fixed + ratio * _log_expectation(tilt, middle) - price * middle
    return bool(value + slope * (cell - middle) < 0)


def _log_expectation(c: Ball, chi: Ball) -> Ball:
    """``ln E exp(-cV_χ) = ln ½[1 + √(χ/(χ+c)) erf √(χ+c) + e^{-c} erfc √χ]``."""
    y = chi + c
    return (((chi / y).sqrt() * y.sqrt().erf() + (-c).exp() * (1 - chi.sqrt().erf()) + 1) / 2).log()


def _first_moment(value: float, theta: float) -> tuple[float, float]:
    # For α > 2 max(1, θ) both entropies fall in α, so one sign change is the root.
    def entropy(x: Ball) -> Ball:
        return -(x * x.log() + (1 - x) * (1 - x).log())

    def exponent(alpha: float) -> Ball:
        ratio = _ball(alpha)
        return entropy(_ball(theta) / ratio) + entropy(1 / ratio) - _ball(2.0).log()

    if not value > 2 * max(1.0, theta) * (1 + 1e-9):
        raise ArithmeticError(f"the first-moment root {value} is not in the range where it is unique")
    return _around(exponent, value)


def _plain(value: float, theta: float) -> tuple[float, float]:
    # In t: α = θ/Q(t) and α c_θ(α) = 1 read θ(1/2 - Q(t) - tφ(t)) = Q(t), where the left rises and the right
    # falls.
    from statistics import NormalDist

    from flint import ctx

    def tail(t: Ball) -> Ball:
        return (1 - (t / _ball(2.0).sqrt()).erf()) / 2

    def residual(t: float) -> Ball:
        x = _ball(t)
        density = (-x * x / 2).exp() / (2 * x.pi()).sqrt()
        return tail(x) - _ball(theta) * (_ball(0.5) - tail(x) - x * density)

    low, high = _around(residual, -NormalDist().inv_cdf(theta / value))
    with ctx.workprec(_PRECISION):
        return _outward(_ball(theta) / tail(_ball(low)), _ball(theta) / tail(_ball(high)))


def _lifted(bound: Bound) -> tuple[float, float]:
    from flint import ctx

    with ctx.workprec(_PRECISION):
        theta = _ball(bound.theta)
        c, chi = _ball(bound.parameters["c"]), _ball(bound.parameters["chi"])
        for _ in range(12):  # plain Newton to full precision; only its end is proved
            step_c, step_chi = _newton(_ratio(c, chi, theta), _ratio(c, chi, theta))
            c, chi = (c - step_c).mid(), (chi - step_chi).mid()
        radius = _ball(2.0) ** (-_PRECISION // 3)
        box_c, box_chi = (c - radius).union(c + radius), (chi - radius).union(chi + radius)
        centre, over = _ratio(c, chi, theta), _ratio(box_c, box_chi, theta)
        step_c, step_chi = _newton(centre, over)
        if not (abs(step_c) < radius and abs(step_chi) < radius):
            raise ArithmeticError("interval Newton did not prove a stationary point of the lifted bound")
        # The stationary point lies in the box: mean value form of the ratio there.
        value = centre.v + over.a * (box_c - c) + over.b * (box_chi - chi)
        low, high = _outward(value, value)
        rho = (1 + c / chi).sqrt()
        weight = float((1 / (chi * rho)).mid())
    high = math.nextafter(high + _ALLOWANCE, math.inf)
    if not lifting_proves(high, bound.theta, float(c), weight):
        raise ArithmeticError(f"the lifted bound {high} was not proved for all χ")
    return low, high


def _ratio(c: Ball, chi: Ball, theta: Ball) -> jets.Jet:
    """Jet of ``α(c, χ) = (θc + ½ ln(1+c/χ)) / (-ln E exp(-cV_χ))`` on a box."""
    x, y = jets.variables(c, chi)
    s = x + y
    tail = jets.erf(jets.sqrt(y)).scale(-1).shift(1)
    mean = jets.sqrt(y / s) * jets.erf(jets.sqrt(s)) + jets.exp(x.scale(-1)) * tail
    cost = jets.log(mean.shift(1).scale(_ball(0.5))).scale(-1)
    gain = x.scale(theta) + (jets.log(s) + jets.log(y).scale(-1)).scale(_ball(0.5))
    return gain / cost


def _newton(centre: jets.Jet, over: jets.Jet) -> tuple[Ball, Ball]:
    """Solve Hessian(box) · step = gradient(centre); the Newton image is centre - step."""
    determinant = over.aa * over.bb - over.ab * over.ab
    return (
        (over.bb * centre.a - over.ab * centre.b) / determinant,
        (over.aa * centre.b - over.ab * centre.a) / determinant,
    )


def _around(falling: Callable[[float], Ball], value: float) -> tuple[float, float]:
    """Neighbouring ends around `value` at which the function is proved positive, then negative."""
    from flint import ctx

    with ctx.workprec(_PRECISION):
        for exponent in range(-50, -30):
            low, high = value - abs(value) * 2.0**exponent, value + abs(value) * 2.0**exponent
            if falling(low) > 0 and falling(high) < 0:
                return low, high
    raise ArithmeticError(f"no proved sign change near {value}")


def _outward(low: Ball, high: Ball) -> tuple[float, float]:
    """Floats below and above both balls: conversion to float rounds to nearest, so step once more."""
    return (
        math.nextafter(float(low.lower()), -math.inf),
        math.nextafter(float(high.upper()), math.inf),
    )


def _ball(x: float) -> Ball:
    from flint import arb

    return arb(x)
