"""Newton's method on functions whose minima and roundings are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcinj.theory.newton import Sample, minimum, stationary

ULP = float(np.finfo(float).eps)


def quadratic(curvatures: np.ndarray, seed: int, noise: float, offset: float) -> Callable[[np.ndarray], Sample]:
    """A rotated parabola about (1, 1, …) with a quartic, its gradient wrong by up to `noise` and its value rounded."""
    axes = np.linalg.qr(np.random.default_rng(seed).standard_normal((curvatures.size, curvatures.size)))[0]
    jitter = np.random.default_rng(seed + 1)

    def sample(u: np.ndarray) -> Sample:
        v = axes.T @ (u - 1)
        value = offset + 0.5 * curvatures @ v**2 + 0.1 * np.sum(v**4) + noise * jitter.uniform(-1, 1)
        gradient = axes @ (curvatures * v + 0.4 * v**3) + noise * jitter.uniform(-1, 1, u.size)
        return Sample(float(value), gradient, max(noise, ULP * abs(offset)))

    return sample


@given(st.integers(1, 8), st.integers(0, 10**6), st.floats(-7, 0), st.floats(-17, -11))
@settings(max_examples=60, deadline=None)
def test_minima_are_found_under_noise_and_the_error_covers_the_distance(
    size: int, seed: int, softest: float, noise: float
) -> None:
    # Curvatures over up to seven decades, noise from nothing to 1e-11 of the value: as of any arithmetic.
    curvatures = np.geomspace(10.0**softest, 3.0, size)
    start = 1 + np.random.default_rng(seed).standard_normal(size)
    found = minimum(quadratic(curvatures, seed, 10.0**noise, 5.0), start)
    assert abs(found.value - 5.0) <= 4 * found.error
    assert found.error < 1e-9


def test_a_descent_leaves_a_saddle_and_a_maximum() -> None:
    # (x² - 1)² + y²: minima at (±1, 0), a saddle at 0 from which no gradient leads away.
    def well(u: np.ndarray) -> Sample:
        x, y = u
        return Sample(float((x * x - 1) ** 2 + y * y), np.array([4 * x * (x * x - 1), 2 * y]), ULP)

    for start in ([0.0, 0.0], [0.0, 0.7], [1e-9, -0.3], [5.0, 5.0], [0.2, 0.0]):
        found = minimum(well, np.array(start))
        assert np.abs(found.point) == pytest.approx([1, 0], abs=1e-7)
        assert found.value < 1e-14


def test_a_curved_valley_is_followed() -> None:
    def valley(u: np.ndarray) -> Sample:
        x, y = u
        value = (1 - x) ** 2 + 100 * (y - x * x) ** 2
        return Sample(float(value), np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)]), ULP)

    assert minimum(valley, np.array([-1.2, 1.0])).point == pytest.approx([1, 1], abs=1e-6)


def test_a_wall_around_the_domain_is_not_crossed() -> None:
    # x - ln x above 0 only.
    def inside(u: np.ndarray) -> Sample:
        x = float(u[0])
        if x <= 0:
            return Sample(math.nan, u, 0.0)
        return Sample(x - math.log(x), np.array([1 - 1 / x]), ULP)

    for start in (1e-3, 0.5, 30.0):
        assert minimum(inside, np.array([start])).point[0] == pytest.approx(1, abs=1e-7)


def test_where_there_is_no_minimum_it_is_said() -> None:
    with pytest.raises(ArithmeticError, match="no minimum"):
        minimum(lambda u: Sample(float(u[0]), np.array([1.0]), 1e-12), np.array([0.0]))
    with pytest.raises(ArithmeticError, match="no minimum"):
        minimum(lambda u: Sample(math.nan, u, 0.0), np.array([0.0]))
    with pytest.raises(ArithmeticError, match="no stationary point"):
        stationary(lambda u: Sample(float(u[0]), np.array([1.0]), 1e-12), np.array([0.0]))
    with pytest.raises(ArithmeticError, match="no stationary point"):  # e^-u falls for ever
        stationary(lambda u: Sample(math.exp(-u[0]), np.array([-math.exp(-u[0])]), 1e-30), np.array([0.0]), reach=9)


def test_noise_above_every_curvature_is_not_taken_for_a_minimum_with_a_small_error() -> None:
    # A gradient whose noise is as large as what it should show: an error at least that of the noise, or no answer.
    try:
        found = minimum(quadratic(np.array([1e-7, 1.0]), 3, 1e-4, 5.0), np.array([3.0, -2.0]))
    except ArithmeticError:
        return
    assert abs(found.value - 5.0) <= 4 * found.error
    assert found.error >= 1e-4


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, -1)])
def test_stationary_points_of_every_kind(signs: tuple[int, int]) -> None:
    a, b = signs

    def saddle(u: np.ndarray) -> Sample:
        x, y = u - 0.3
        return Sample(2 + a * math.cosh(x) + b * y * y + 0.1 * x * y, np.array(
            [a * math.sinh(x) + 0.1 * y, 2 * b * y + 0.1 * x]), 4 * ULP)  # fmt: skip

    found = stationary(saddle, np.array([1.0, -0.5]))
    assert found.point == pytest.approx([0.3, 0.3], abs=1e-8)
    assert found.value == pytest.approx(2 + a, abs=found.error)
    held = stationary(saddle, np.array([1.0, -0.5]), held=1)
    assert held.point == pytest.approx([1.0, 0.3 - 0.1 * 0.7 / (2 * b)], abs=1e-8)
    with pytest.raises(ArithmeticError):
        stationary(saddle, np.array([9.0, -0.5]), reach=1.0)
