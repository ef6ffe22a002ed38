"""Replica-symmetry breaking against brute quadrature, difference quotients, and limits."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from mcinj.errors import InputError
from mcinj.theory import full_rsb, k_rsb, one_rsb, partially_lifted, plain_rdt, two_rsb
from mcinj.theory.parisi import Saddle, functional

# Outer Gaussian average: composite Gauss-Legendre, where the code under test uses the trapezoidal rule.
PANEL, PANEL_WEIGHTS = np.polynomial.legendre.leggauss(16)
NODES = (np.arange(-9.75, 10, 0.5)[:, None] + 0.25 * PANEL).ravel()
WEIGHTS = np.tile(0.25 * PANEL_WEIGHTS, 40) * np.exp(-0.5 * NODES**2) / np.sqrt(2 * np.pi)


def mean_exp(mean: np.ndarray, sigma: float, c: float, chi: float) -> np.ndarray:
    """E exp(-c V_χ(mean + σz)) by Gauss-Legendre on the pieces of V: no error functions."""
    s = np.sqrt(2 * chi)
    x, w = np.polynomial.legendre.leggauss(24)
    total = np.zeros_like(mean)
    # Pieces in h: left tail, the ramp, right tail; tails reach 10 standard deviations from every mean.
    far = 10 * sigma + np.abs(mean).max() + s
    for low, high in ((-far, 0.0), (0.0, s), (s, far)):
        parts = max(1, int(np.ceil((high - low) / (2 * sigma))))
        edges = np.linspace(low, high, parts + 1)
        for a, b in pairwise(edges):
            h = 0.5 * (b - a) * x + 0.5 * (a + b)
            v = np.where(h <= 0, 0, np.minimum(h * h / (2 * chi), 1))
            density = np.exp(-0.5 * ((h[None] - mean[:, None]) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
            total += density @ (0.5 * (b - a) * w * np.exp(-c * v))
    return total


def energy_1rsb(q0: float, c: float, chi: float, alpha: float) -> float:
    a = chi + c * (1 - q0)
    entropy = np.log(a / chi) / c + q0 / a
    inner = mean_exp(np.sqrt(q0) * NODES, np.sqrt(1 - q0), c, chi)
    return float(-0.5 * entropy - alpha / c * (WEIGHTS @ np.log(inner)))


def slope(energy: Callable[[np.ndarray], float], p: np.ndarray, i: int, size: float) -> float:
    """Fourth-order difference quotient of the energy for a relative change of p_i (of size `size` per unit)."""
    h = np.zeros(p.size)
    h[i] = 2e-3 * size
    near, far = energy(p + h) - energy(p - h), energy(p + 2 * h) - energy(p - 2 * h)
    return (8 * near - far) / (12 * 2e-3)


def energy_2rsb(p: tuple[float, ...], alpha: float) -> float:
    q0, q1, c1, c2, chi = p
    a = chi + c2 * (1 - q1)
    b = a + c1 * (q1 - q0)
    entropy = np.log(a / chi) / c2 + np.log(b / a) / c1 + q0 / b
    # Gauss-Hermite outside, trapezoid in the middle: other rules than the code under test.
    z = np.linspace(-9, 9, 361)
    weight = np.exp(-0.5 * z * z)
    weight /= weight.sum()
    means = np.sqrt(q0) * NODES[:, None] + np.sqrt(q1 - q0) * z[None]
    table = np.linspace(-15, 15, 2601)
    log_inner = np.log(mean_exp(table, np.sqrt(1 - q1), c2, chi))
    from scipy.interpolate import CubicSpline

    inner = CubicSpline(table, log_inner)(means)
    middle = np.log(np.exp(c1 / c2 * inner) @ weight)
    return float(-0.5 * entropy - alpha / c1 * (WEIGHTS @ middle))


@pytest.mark.parametrize("theta", [0.5, 1.0, 2.0])
def test_one_rsb_reproduces_theta_by_brute_quadrature_and_is_stationary(theta: float) -> None:
    row = one_rsb(theta)
    p = np.array([row.parameters["q0"], row.parameters["c1"], row.parameters["chi"]])
    assert energy_1rsb(*p, row.value) == pytest.approx(theta, abs=1e-9)
    for i in range(3):
        size = min(p[i], 1 - p[i]) if i == 0 else p[i]
        assert abs(slope(lambda x: energy_1rsb(*x, row.value), p, i, size)) < 1e-7


def test_two_rsb_reproduces_theta_by_brute_quadrature_and_is_stationary() -> None:
    row = two_rsb()
    p = np.array([row.parameters[name] for name in ("q0", "q1", "c1", "c2", "chi")])
    assert energy_2rsb(tuple(p), row.value) == pytest.approx(1, abs=1e-8)
    for i in range(5):
        size = min(p[i], 1 - p[i]) if i < 2 else p[i]
        assert abs(slope(lambda x: energy_2rsb(tuple(x), row.value), p, i, size)) < 1e-6


def test_values_of_the_literature() -> None:
    one, two = one_rsb(), two_rsb()
    assert one.value == pytest.approx(6.715697, abs=1e-6)
    assert [one.parameters[k] for k in ("q0", "c1", "chi")] == pytest.approx([0.777231, 3.286658, 0.0533008], abs=2e-6)
    assert two.value == pytest.approx(6.700392, abs=1e-6)  # published as 6.7004, arXiv:2410.20646
    wanted = [0.741098, 0.976634, 2.667325, 5.353317, 0.0356731]
    assert [two.parameters[k] for k in ("q0", "q1", "c1", "c2", "chi")] == pytest.approx(wanted, abs=2e-6)
    assert (two.status, two.origin, two.kind) == ("heuristic", "computed", "estimate")


def test_full_rsb_agrees_with_the_published_value_and_its_error_covers_more_steps() -> None:
    coarse, full = full_rsb(agreement=1e-4), full_rsb()
    assert full.value == pytest.approx(6.698, abs=5e-4)  # arXiv:2302.14112 prints 6.698
    assert coarse.error is not None
    assert full.error is not None
    assert full.error < coarse.error < 1e-4
    assert abs(full.value - coarse.value) < coarse.error
    values = list(full.parameters.values())
    assert len(values) >= 4
    assert full.value < values[-1] < values[0]
    assert values[-2] - values[-1] <= 5e-5


def test_full_rsb_says_so_when_steps_have_not_converged() -> None:
    with pytest.raises(ArithmeticError, match="do not agree"):
        full_rsb(most_steps=5)


def test_more_steps_lower_the_threshold_below_the_lifted_and_plain_bounds() -> None:
    values = [plain_rdt().value, partially_lifted().value] + [k_rsb(k).value for k in (1, 2, 3)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 5


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_gradient_equals_difference_quotients(steps: int) -> None:
    q = np.linspace(0.4, 0.97, steps)
    c = np.linspace(1.5, 6, steps)
    point = np.array([*q, *c, 0.06])

    def at(p: np.ndarray) -> tuple[float, float]:
        f = functional(Saddle(tuple(p[:steps]), tuple(p[steps:-1]), float(p[-1])))
        return f.entropy, f.potential

    f = functional(Saddle(tuple(q), tuple(c), 0.06))
    for i in range(point.size):
        h = np.zeros(point.size)
        h[i] = 1e-5
        up, down = at(point + h), at(point - h)
        assert (up[0] - down[0]) / 2e-5 == pytest.approx(f.entropy_gradient[i], rel=1e-5, abs=1e-7)
        assert (up[1] - down[1]) / 2e-5 == pytest.approx(f.potential_gradient[i], rel=1e-5, abs=1e-7)


def test_a_step_that_does_not_break_changes_nothing() -> None:
    one = functional(Saddle((0.7,), (3.0,), 0.05))
    for q1 in (0.8, 0.95):  # equal tilts on both sides of q1
        two = functional(Saddle((0.7, q1), (3.0, 3.0), 0.05))
        assert two.ratio(1) == pytest.approx(one.ratio(1), abs=1e-11)
    two = functional(Saddle((0.7, 0.7), (1.0, 3.0), 0.05))  # no room for the first tilt
    assert two.ratio(1) == pytest.approx(one.ratio(1), abs=1e-11)


def test_one_step_at_zero_overlap_is_the_lifted_bound() -> None:
    row = partially_lifted()
    saddle = Saddle((0.0,), (row.parameters["c"],), row.parameters["chi"])
    assert functional(saddle).ratio(1) == pytest.approx(row.value, abs=1e-12)


def test_halving_the_grid_changes_nothing() -> None:
    saddle = Saddle((0.72, 0.93, 0.985), (2.4, 3.8, 8.0), 0.03)
    assert functional(saddle, refine=2).ratio(1) == pytest.approx(functional(saddle).ratio(1), abs=1e-9)


@pytest.mark.parametrize("theta", [0.001, 0.3, 5, 100])
def test_rsb_is_found_at_other_thresholds(theta: float) -> None:
    one, two = one_rsb(theta), two_rsb(theta)
    assert 2 < two.value < one.value < plain_rdt(theta).value
    assert energy_1rsb(*one.parameters.values(), one.value) == pytest.approx(theta, rel=1e-8, abs=1e-11)


@pytest.mark.parametrize("theta", [0, -2, float("nan"), float("inf"), "x"])
def test_a_bad_theta_is_refused(theta: object) -> None:
    for function in (one_rsb, two_rsb, full_rsb):
        with pytest.raises(InputError, match="theta is"):
            function(theta)  # type: ignore[arg-type]


def test_bad_steps_and_saddles_are_refused() -> None:
    for steps in (0, 11, 1.5):
        with pytest.raises(InputError, match="steps is"):
            k_rsb(steps)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="must rise"):
        Saddle((0.9, 0.5), (1.0, 2.0), 0.1)
    with pytest.raises(InputError, match="above 0"):
        Saddle((0.5,), (1.0,), 0.0)
    with pytest.raises(InputError, match="k of each"):
        Saddle((0.5,), (1.0, 2.0), 0.1)
