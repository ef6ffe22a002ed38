"""Stationary points of smooth functions with exact gradients, by Newton's method, ended by the value's own rounding.

The Hessian is a central difference of the exact gradient, so that nothing but its accuracy (about eight digits) is
lost. At a stationary point the value is off by the second order only, ``½ Σ g_i²/|λ_i|`` in the Hessian's
eigenbasis: the *decrement*. Iterations end where it is below one rounding of the value. A gradient that is itself
rounded to δ leaves a decrement of δ²/2λ, the square of a small number; it falls below the value's rounding long
before the gradient's own noise is met, which no limit on the gradient alone can promise on every processor. Where
noise should win all the same, the point is returned with the decrement that is left, and the caller adds it to the
error that it quotes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcinj.theory.roots import falling_root

__all__ = ["Objective", "Sample", "Stationary", "minimum", "stationary"]

Array = NDArray[np.float64]

_DIFFERENCE = 1e-4  # step of the Hessian: truncation 1e-8 and noise 1e-11 of the gradient's scale
_MOST_STEPS = 400
_LARGEST = 2.0  # of a step, in coordinates that are logarithms
_SMALLEST = 1e-12
_NEARLY = 1e-7  # a decrement that noise may leave; above it the point was not found


@dataclass(frozen=True)
class Sample:
    """Value and gradient of a function at a point, and the value's rounding (absolute, one standard error or so).

    Where the function has no finite value, `value` is inf or nan and the rest means nothing.
    """

    value: float
    gradient: Array
    rounding: float

    @property
    def finite(self) -> bool:
        """Whether the point is inside the function's domain."""
        return math.isfinite(self.value) and bool(np.isfinite(self.gradient).all())


Objective = Callable[[Array], Sample]


@dataclass(frozen=True)
class Stationary:
    """A stationary point: where, the value there, and how far the value may be off (decrement plus rounding)."""

    point: Array
    value: float
    error: float


@dataclass(frozen=True)
class _Model:
    """Quadratic model at a point: slopes and curvatures along the eigenvectors (columns) of the Hessian."""

    slopes: Array
    curvatures: Array
    axes: Array

    @property
    def decrement(self) -> float:
        """Change of the value from here to the model's stationary point, every direction counted with its size."""
        flat = self.curvatures == 0
        terms = np.where(flat, np.where(self.slopes == 0, 0.0, math.inf), self.slopes**2)
        return 0.5 * float(np.sum(terms / np.where(flat, 1.0, np.abs(self.curvatures))))

    def newton(self) -> Array:
        """Step to the model's stationary point."""
        return np.asarray(self.axes @ (-self.slopes / self.curvatures))

    def lowest(self, radius: float) -> Array:
        """Step of length at most `radius` to the model's least value there (Moré and Sorensen 1983)."""
        least = float(self.curvatures[0])
        if least > 0:
            step = -self.slopes / self.curvatures
            if np.linalg.norm(step) <= radius:
                return np.asarray(self.axes @ step)

        def along(shift: float) -> Array:
            return np.asarray(-self.slopes / (self.curvatures - min(least, 0.0) + shift))

        tiny = 1e-14 * max(1.0, float(np.abs(self.curvatures).max()))
        if np.linalg.norm(along(tiny)) <= radius:  # no slope along the lowest axis: both ways are as good
            step = along(tiny)
            step[0] += math.sqrt(max(radius**2 - float(step @ step), 0.0))
        else:
            step = along(falling_root(lambda shift: float(np.linalg.norm(along(shift))) - radius, tiny))
        return np.asarray(self.axes @ step)

    def change(self, step: Array) -> float:
        """Change of the model's value along a step."""
        inside = self.axes.T @ step
        return float(self.slopes @ inside + 0.5 * self.curvatures @ inside**2)


def minimum(objective: Objective, start: Array, enough: float = 0.0) -> Stationary:
    """A local minimum reached downhill from `start`, by Newton steps inside a region of trust.

    Every accepted step lowers the value (up to its rounding), so that no saddle and no maximum can be an end. Ends
    where the Hessian is positive and the decrement is at most one rounding of the value (or `enough`, if that is
    larger). On the way the Hessian is carried on from step to step; where a step fails, and at the end, it is formed
    anew. Raises `ArithmeticError` if there is no such point within reach.
    """
    u, radius, best = np.array(start, dtype=np.float64), 0.5, math.inf
    here, hessian, fresh = objective(u), _hessian(objective, u), True
    for _ in range(_MOST_STEPS):
        if not here.finite or hessian is None:
            break
        model = _model(here.gradient, hessian)
        convex, decrement = bool(model.curvatures[0] > 0), model.decrement
        # Where the model promises less than roundings can show, values say nothing: the decrement decides.
        blind = convex and decrement <= 64 * here.rounding
        done = convex and decrement <= max(here.rounding, enough)
        if done or blind:
            if not fresh:
                hessian, fresh = _hessian(objective, u), True
                continue
            if done or decrement >= 0.5 * best:
                return Stationary(u, here.value, decrement + here.rounding)
            best = decrement
        step = model.newton() if blind else model.lowest(radius)
        there = objective(u + step)
        promised, gained = -model.change(step), here.value - there.value
        if there.finite and (blind or gained + here.rounding >= 0.05 * promised):
            if gained >= 0.5 * promised and np.linalg.norm(step) > 0.9 * radius:
                radius = min(2 * radius, _LARGEST)
            hessian = _carried_on(hessian, step, there.gradient - here.gradient)
            u, here, fresh = u + step, there, False
        elif not fresh:
            hessian, fresh = _hessian(objective, u), True
        else:
            radius = 0.3 * min(radius, float(np.linalg.norm(step)))
            if radius < _SMALLEST:
                break
    raise ArithmeticError(f"no minimum found downhill of {np.asarray(start).tolist()}; stopped at {u.tolist()}")


def stationary(objective: Objective, start: Array, held: int = 0, reach: float = math.inf) -> Stationary:
    """A point near `start`, of whatever kind, at which the gradient vanishes in all coordinates after the first `held`.

    Newton steps as long as each at least halves the decrement. Raises `ArithmeticError` where they do not, or lead
    farther than `reach` from the start in one coordinate: start nearer then.
    """
    u = np.array(start, dtype=np.float64)
    before = math.inf
    for _ in range(_MOST_STEPS):
        here = objective(u)
        if not here.finite or np.abs(u - start).max() > reach:
            break
        hessian = _hessian(objective, u, held)
        if hessian is None:
            break
        model = _model(here.gradient[held:], hessian)
        decrement = model.decrement
        stalled = not decrement <= 0.5 * before
        if decrement <= here.rounding or (stalled and decrement <= _NEARLY * abs(here.value)):
            return Stationary(u, here.value, decrement + here.rounding)
        if stalled or not math.isfinite(decrement):
            break
        u[held:] += model.newton()
        before = decrement
    raise ArithmeticError(f"no stationary point found near {np.asarray(start).tolist()}")


def _model(gradient: Array, hessian: Array) -> _Model:
    curvatures, axes = np.linalg.eigh(hessian)
    return _Model(axes.T @ gradient, curvatures, axes)


def _hessian(objective: Objective, u: Array, held: int = 0) -> Array | None:
    """Hessian in the coordinates after the first `held`; None where a neighbour has no value."""
    size = u.size - held
    rows = np.empty((size, size))
    for i in range(size):
        shift = np.zeros(u.size)
        shift[held + i] = _DIFFERENCE
        up, down = objective(u + shift), objective(u - shift)
        if not (up.finite and down.finite):
            return None
        rows[i] = (up.gradient - down.gradient)[held:] / (2 * _DIFFERENCE)
    return np.asarray((rows + rows.T) / 2)


def _carried_on(hessian: Array, step: Array, bend: Array) -> Array:
    """The Hessian after a step over which the gradient changed by `bend`: symmetric, of rank one (Broyden 1967)."""
    rest = bend - hessian @ step
    along = float(rest @ step)
    if abs(along) <= 1e-8 * float(np.linalg.norm(rest) * np.linalg.norm(step)):
        return hessian  # also where nothing is to be changed
    return np.asarray(hessian + np.outer(rest, rest) / along)
