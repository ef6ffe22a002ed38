"""Thresholds with replica-symmetry breaking: 1RSB, 2RSB, k steps, and the limit of full RSB.

The k-step functional (`parisi`) is a minimum of the ratio α at fixed energy in all its parameters at once:
every Hessian met here is positive definite (docs/theory.md). So Newton steps downhill from an asymmetric start
find the k-step saddle and cannot slide into the (k-1)-step one, which is a saddle with a way down.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mcinj.theory.arguments import positive, threshold, whole
from mcinj.theory.bounds import Bound
from mcinj.theory.field import PLAIN_FIELD, Field
from mcinj.theory.newton import Sample, minimum
from mcinj.theory.parisi import Functional, Saddle, functional

__all__ = ["descend", "full_rsb", "k_rsb", "one_rsb", "split", "two_rsb"]

Array = NDArray[np.float64]

_FARTHEST = 30.0  # coordinates beyond are overlaps, tilts or a chi at which nothing can be computed
_ON_THE_WAY = 1e-6  # error of values that only lead to others
_SAFETY = 8  # standard errors of rounding that a quoted error covers
_LEVEL_STEP = 0.25
_ONE_STEP = Saddle((0.7,), (3.0,), 0.06)  # a start inside the basin of the 1RSB minimum for θ = 1


def one_rsb(theta: float = 1.0, wide_layers_before: int = 0, level: float = 0.0) -> Bound:
    """Width ratio where the 1RSB ground state has θn positives: 6.715697 for θ = 1. Heuristic (replica).

    Source: docs/theory.md §4; arXiv:2302.14112. Parameters q0, c1, chi. Other arguments and errors as in `k_rsb`.
    """
    return k_rsb(1, theta, wide_layers_before, level)


def two_rsb(theta: float = 1.0, wide_layers_before: int = 0, level: float = 0.0) -> Bound:
    """Width ratio where the 2RSB ground state has θn positives: 6.700392 for θ = 1. Heuristic (replica).

    Equal to the third level of fully lifted RDT, published as 6.7004 (arXiv:2410.20646). Parameters q0, q1,
    c1, c2, chi. Other arguments and errors as in `k_rsb`.
    """
    return k_rsb(2, theta, wide_layers_before, level)


def k_rsb(steps: int, theta: float = 1.0, wide_layers_before: int = 0, level: float = 0.0) -> Bound:
    """Width ratio of k steps of replica-symmetry breaking, 1 <= k <= 10. Heuristic, falling in k.

    wide_layers_before: Gaussian layers of infinite width before this one (0 to 20; `field`, docs/theory.md §10); the
    ratio is the last layer's width over the inputs, for the count criterion of that layer. level: a unit counts where
    its pre-activation, of variance 1, exceeds it (-3 to 3): the ratio at which the margin is `level` (§11).

    The error is the change of the value when the grid is halved, plus what the minimisation left and the value's
    rounding. Raises `InputError` for arguments out of these ranges (θ: [0.001, 100]), `ArithmeticError` where no saddle
    is found.
    """
    steps = whole("steps", steps, 1, 10)
    theta = threshold(theta)
    field = Field(wide_layers_before, level)
    return _bound(*_ladder(steps, theta, field)[-1], theta, field)


def full_rsb(
    theta: float = 1.0,
    agreement: float | None = None,
    most_steps: int = 10,
    wide_layers_before: int = 0,
    level: float = 0.0,
) -> Bound:
    """The limit k -> ∞ of `k_rsb`: 6.69805 for θ = 1. Heuristic (replica).

    k grows from 4 until two successive values agree to `agreement` (k = 7 for θ = 1). They fall like k^-5, so that the
    tail is summed and added; the error quoted is the whole tail. Behind wide layers they fall like k^-3 (k = 5 and 6
    differ by 2e-4) and take minutes: `agreement` is 5e-5 for one layer and 5e-4 behind wide ones unless given. Raises
    `ArithmeticError` if k = `most_steps` (4 to 10) is not enough. Other arguments as in `k_rsb`. Source: Parisi
    equation of arXiv:2302.14112, whose solution is published as 6.698.
    """
    most_steps = whole("most_steps", most_steps, 4, 10)
    theta = threshold(theta)
    field = Field(wide_layers_before, level)
    agreement = (5e-4 if field.wide_layers else 5e-5) if agreement is None else positive("agreement", agreement)
    saddles = _ladder(4, theta, field)
    values = [functional(saddle, field=field).ratio(theta) for saddle, _ in saddles]
    while not 0 <= (fall := values[-2] - values[-1]) <= agreement:
        if len(values) == most_steps:
            raise ArithmeticError(
                f"k-RSB values {values} do not agree to {agreement}; allow more steps or less accuracy"
            )
        saddles.append(_step_further(saddles[-1][0], theta, field))
        values.append(functional(saddles[-1][0], field=field).ratio(theta))
    steps = len(values)
    # Σ_{j>k} (k/j)^p of the last fall; the integral from k + 1/2 is the midpoint rule.
    power = 3 if field.wide_layers else 5
    tail = fall * steps**power / ((power - 1) * (steps + 0.5) ** (power - 1))
    parameters = {f"alpha_{k}rsb": value for k, value in enumerate(values, 1)}
    return Bound(
        name=field.named("full RSB (k-step limit)"),
        layers=1 + field.wide_layers,
        value=values[-1] - tail,
        status="heuristic",
        origin="computed",
        source="Parisi functional, k steps to the limit; docs/theory.md §4; arXiv:2302.14112",
        kind="estimate",
        theta=theta,
        parameters=parameters,
        error=tail + _error(*saddles[-1], theta, field),
    )


def descend(
    start: Saddle,
    objective: Callable[[Functional], tuple[float, Array, float]],
    enough: float = 0.0,
    field: Field = PLAIN_FIELD,
) -> tuple[Saddle, float]:
    """The minimum of `objective` over all k-step parameters downhill of `start`, and how far its value may be off.

    objective: value, gradient in q, c, χ, and rounding of the value. enough: a larger error that will do. Raises
    `ArithmeticError` if there is no minimum within reach.
    """

    def sample(u: Array) -> Sample:
        decoded = _decode(u)
        if decoded is None:
            return Sample(math.inf, u, 0.0)
        saddle, jacobian = decoded
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # a step too far has no finite value
            value, gradient, rounding = objective(functional(saddle, field=field))
        return Sample(value, jacobian @ gradient, rounding)

    found = minimum(sample, _encode(start), enough)
    decoded = _decode(found.point)
    assert decoded is not None  # the minimum has a value
    return decoded[0], found.error


def split(saddle: Saddle) -> Saddle:
    """A start for k+1 steps: the k-step profile c(q) resampled, with the last overlap nearer to 1."""
    k = saddle.steps
    gaps = np.log1p(-np.array(saddle.q))
    last = gaps[-1] + 0.8 * (gaps[-1] - gaps[-2] if k > 1 else -1.0)
    at = np.arange(k + 1) / (k + 1)
    q = -np.expm1(np.interp(at, np.append(np.arange(k) / k, 1.0), np.append(gaps, last)))
    middle, wanted = (np.arange(k) + 0.5) / k, (np.arange(k + 1) + 0.5) / (k + 1)
    logs = np.log(saddle.c)
    if k == 1:
        q, c = np.array([saddle.q[0], 1 - 0.1 * (1 - saddle.q[0])]), logs[0] + np.array([-0.2, 0.5])
    else:
        c = np.polyval(np.polyfit(middle, logs, min(2, k - 1)), wanted)
        if np.any(np.diff(c) < 0.05):  # no parabola: behind wide layers the last tilts rise steeply
            c = np.interp(wanted, middle, logs)
            c[-1] += 0.5 * (logs[-1] - logs[-2])
    c = np.maximum.accumulate(c + 1e-3 * np.arange(k + 1))
    return Saddle(tuple(q.tolist()), tuple(np.exp(c).tolist()), saddle.chi * (0.7 if k == 1 else 0.95))


def _ladder(steps: int, theta: float, field: Field) -> list[tuple[Saddle, float]]:
    """Saddles for k = 1 … steps at energy `theta`, each with the error that the minimisation left in its ratio."""
    saddles = [descend(_start(theta, field), _ratio_at(theta), field=field)]
    while len(saddles) < steps:
        saddles.append(_step_further(saddles[-1][0], theta, field))
    return saddles


def _start(theta: float, field: Field) -> Saddle:
    """A start for one step, reached from θ = 1 and level 0 by steps small enough to stay in the basin."""
    saddle, level_zero = _ONE_STEP, replace(field, level=0.0)
    parts = int(np.ceil(abs(np.log(theta)) / 0.5))
    for energy in np.exp(np.log(theta) * np.arange(parts) / max(parts, 1)):
        saddle = descend(saddle, _ratio_at(float(energy)), _ON_THE_WAY, level_zero)[0]
    parts = int(np.ceil(abs(field.level) / _LEVEL_STEP))
    for share in np.arange(parts) / max(parts, 1):
        at = replace(field, level=field.level * float(share))
        saddle = descend(saddle, _ratio_at(theta), _ON_THE_WAY, at)[0]
    return saddle


def _step_further(saddle: Saddle, theta: float, field: Field) -> tuple[Saddle, float]:
    return descend(split(saddle), _ratio_at(theta), field=field)


def _ratio_at(theta: float) -> Callable[[Functional], tuple[float, Array, float]]:
    return lambda f: (f.ratio(theta), f.ratio_gradient(theta), f.ratio_rounding(theta))


def _error(saddle: Saddle, left: float, theta: float, field: Field) -> float:
    """Error of the ratio at a saddle: of the grid, of the minimisation, and of rounding."""
    here = functional(saddle, field=field)
    grid = abs(functional(saddle, refine=2, field=field).ratio(theta) - here.ratio(theta))
    return grid + left + _SAFETY * here.ratio_rounding(theta)


def _bound(saddle: Saddle, left: float, theta: float, field: Field) -> Bound:
    value, k = functional(saddle, field=field).ratio(theta), saddle.steps
    parameters = {f"q{i}": x for i, x in enumerate(saddle.q)}
    parameters |= {f"c{i}": x for i, x in enumerate(saddle.c, 1)}
    return Bound(
        name=field.named(f"{k}RSB"),
        layers=1 + field.wide_layers,
        value=value,
        status="heuristic",
        origin="computed",
        source=f"{k}-step replica-symmetry breaking, docs/theory.md §4; arXiv:2302.14112, arXiv:2410.20646",
        kind="estimate",
        theta=theta,
        parameters={**parameters, "chi": saddle.chi},
        error=_error(saddle, left, theta, field),
    )


def _encode(saddle: Saddle) -> Array:
    """Unconstrained coordinates: logits of (q_i - q_{i-1})/(1 - q_{i-1}), log increments of c, log χ."""
    q = np.array([0.0, *saddle.q])
    share = np.clip(np.diff(q) / (1 - q[:-1]), 1e-12, 1 - 1e-12)
    increments = np.maximum(np.diff(saddle.c, prepend=0.0), 1e-9)
    return np.concatenate([np.log(share / (1 - share)), np.log(increments), [np.log(saddle.chi)]])


def _decode(u: Array) -> tuple[Saddle, Array] | None:
    """Saddle of the coordinates and the matrix d(q, c, χ)/du, transposed (row: coordinate); None out of range."""
    if not np.abs(u).max() < _FARTHEST:
        return None
    k = (u.size - 1) // 2
    share = 1 / (1 + np.exp(-u[:k]))
    left = np.cumprod(1 - share)  # 1 - q_i
    increments, chi = np.exp(u[k : 2 * k]), float(np.exp(u[2 * k]))
    if not (1 - left)[-1] < 1:
        return None
    jacobian = np.zeros((u.size, u.size))
    for j in range(k):
        jacobian[j, j:k] = left[j:] * share[j]  # d(1 - q_i)/du_j = -(1 - q_i) share_j for i >= j
        jacobian[k + j, k + j : 2 * k] = increments[j]
    jacobian[2 * k, 2 * k] = chi
    q = tuple((1 - left).tolist())
    return Saddle(q, tuple(np.cumsum(increments).tolist()), chi), jacobian
