"""Thresholds with replica-symmetry breaking: 1RSB, 2RSB, k steps, and the limit of full RSB.

The k-step functional (`parisi`) is a minimum of the ratio α at fixed energy in all its parameters at once:
every Hessian met here is positive definite (docs/theory.md). So Newton steps downhill from an asymmetric start
find the k-step saddle and cannot slide into the (k-1)-step one, which is a saddle with a way down.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mcinj.theory.arguments import positive, threshold, whole
from mcinj.theory.bounds import Bound
from mcinj.theory.newton import Sample, minimum
from mcinj.theory.parisi import Functional, Saddle, functional

__all__ = ["descend", "full_rsb", "k_rsb", "one_rsb", "split", "two_rsb"]

Array = NDArray[np.float64]

_FARTHEST = 30.0  # coordinates beyond are overlaps, tilts or a chi at which nothing can be computed
_ON_THE_WAY = 1e-6  # error of values that only lead to others
_SAFETY = 8  # standard errors of rounding that a quoted error covers
_ONE_STEP = Saddle((0.7,), (3.0,), 0.06)  # a start inside the basin of the 1RSB minimum for θ = 1


def one_rsb(theta: float = 1.0) -> Bound:
    """Width ratio where the 1RSB ground state has θn positives: 6.715697 for θ = 1. Heuristic (replica).

    Source: docs/theory.md §4; arXiv:2302.14112. Parameters q0, c1, chi. Raises `InputError` unless θ is in
    [0.001, 100].
    """
    return k_rsb(1, theta)


def two_rsb(theta: float = 1.0) -> Bound:
    """Width ratio where the 2RSB ground state has θn positives: 6.700392 for θ = 1. Heuristic (replica).

    Equal to the third level of fully lifted RDT, published as 6.7004 (arXiv:2410.20646). Parameters q0, q1,
    c1, c2, chi. Raises `InputError` unless θ is in [0.001, 100].
    """
    return k_rsb(2, theta)


def k_rsb(steps: int, theta: float = 1.0) -> Bound:
    """Width ratio of k steps of replica-symmetry breaking, 1 <= k <= 10. Heuristic, falling in k.

    The error is the change of the value when the grid is halved, plus what the minimisation left and the value's
    rounding. Raises `InputError` unless 1 <= steps <= 10 and θ is in [0.001, 100].
    """
    steps = whole("steps", steps, 1, 10)
    theta = threshold(theta)
    return _bound(*_ladder(steps, theta)[-1], theta)


def full_rsb(theta: float = 1.0, agreement: float = 5e-5, most_steps: int = 10) -> Bound:
    """The limit k -> ∞ of `k_rsb`: 6.69805 for θ = 1. Heuristic (replica).

    k grows from 4 until two successive values agree to `agreement` (k = 7 for θ = 1). They fall like k^-5, so
    that the tail is summed and added; the error quoted is the whole tail. Raises `ArithmeticError` if k =
    `most_steps` (4 to 10) is not enough. Source: Parisi equation of arXiv:2302.14112, whose solution is
    published as 6.698.
    """
    most_steps = whole("most_steps", most_steps, 4, 10)
    theta = threshold(theta)
    agreement = positive("agreement", agreement)
    saddles = _ladder(4, theta)
    values = [functional(saddle).ratio(theta) for saddle, _ in saddles]
    while not 0 <= (fall := values[-2] - values[-1]) <= agreement:
        if len(values) == most_steps:
            raise ArithmeticError(
                f"k-RSB values {values} do not agree to {agreement}; allow more steps or less accuracy"
            )
        saddles.append(_step_further(saddles[-1][0], theta))
        values.append(functional(saddles[-1][0]).ratio(theta))
    steps = len(values)
    # Σ_{j>k} (k/j)^5 of the last fall; the integral from k + 1/2 is the midpoint rule.
    tail = fall * steps**5 / (4 * (steps + 0.5) ** 4)
    parameters = {f"alpha_{k}rsb": value for k, value in enumerate(values, 1)}
    return Bound(
        name="full RSB (k-step limit)",
        layers=1,
        value=values[-1] - tail,
        status="heuristic",
        origin="computed",
        source="Parisi functional, k steps to the limit; docs/theory.md §4; arXiv:2302.14112",
        kind="estimate",
        theta=theta,
        parameters=parameters,
        error=tail + _error(*saddles[-1], theta),
    )


def descend(
    start: Saddle, objective: Callable[[Functional], tuple[float, Array, float]], enough: float = 0.0
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
        value, gradient, rounding = objective(functional(saddle))
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
    c = np.maximum.accumulate(c + 1e-3 * np.arange(k + 1))
    return Saddle(tuple(q.tolist()), tuple(np.exp(c).tolist()), saddle.chi * (0.7 if k == 1 else 0.95))


def _ladder(steps: int, theta: float) -> list[tuple[Saddle, float]]:
    """Saddles for k = 1 … steps at energy `theta`, each with the error that the minimisation left in its ratio."""
    # Reach other energies from θ = 1 by steps small enough to stay in the basin.
    saddle, parts = _ONE_STEP, int(np.ceil(abs(np.log(theta)) / 0.5))
    for level in np.exp(np.log(theta) * np.arange(parts) / max(parts, 1)):
        saddle = descend(saddle, _ratio_at(float(level)), _ON_THE_WAY)[0]
    saddles = [descend(saddle, _ratio_at(theta))]
    while len(saddles) < steps:
        saddles.append(_step_further(saddles[-1][0], theta))
    return saddles


def _step_further(saddle: Saddle, theta: float) -> tuple[Saddle, float]:
    return descend(split(saddle), _ratio_at(theta))


def _ratio_at(theta: float) -> Callable[[Functional], tuple[float, Array, float]]:
    return lambda f: (f.ratio(theta), f.ratio_gradient(theta), f.ratio_rounding(theta))


def _error(saddle: Saddle, left: float, theta: float) -> float:
    """Error of the ratio at a saddle: of the grid, of the minimisation, and of rounding."""
    here = functional(saddle)
    grid = abs(functional(saddle, refine=2).ratio(theta) - here.ratio(theta))
    return grid + left + _SAFETY * here.ratio_rounding(theta)


def _bound(saddle: Saddle, left: float, theta: float) -> Bound:
    value, k = functional(saddle).ratio(theta), saddle.steps
    parameters = {f"q{i}": x for i, x in enumerate(saddle.q)}
    parameters |= {f"c{i}": x for i, x in enumerate(saddle.c, 1)}
    return Bound(
        name=f"{k}RSB",
        layers=1,
        value=value,
        status="heuristic",
        origin="computed",
        source=f"{k}-step replica-symmetry breaking, docs/theory.md §4; arXiv:2302.14112, arXiv:2410.20646",
        kind="estimate",
        theta=theta,
        parameters={**parameters, "chi": saddle.chi},
        error=_error(saddle, left, theta),
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
