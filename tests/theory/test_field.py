"""Thresholds behind infinitely wide layers and at other levels, against quadrature, simulation and limits."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from mcinj.errors import InputError
from mcinj.theory import (
    deep_plain,
    field_table,
    full_rsb,
    k_rsb,
    one_rsb,
    partially_lifted,
    plain_rdt,
    plain_rdt_behind_wide,
    two_rsb,
)
from mcinj.theory.closed_form import gordon_distance
from mcinj.theory.field import Field
from mcinj.theory.parisi import Saddle, functional
from mcinj.theory.wide import mixture, spherical_ground_state


def kernel(q: float, layers: int) -> float:
    """Hidden overlap behind wide layers, as the normalised mean of ReLU(g) ReLU(g'), by quadrature."""
    for _ in range(layers):

        def conditional(g: float, q: float = q) -> float:  # g E[ReLU(qg + √(1-q²) z)]
            width = math.sqrt(1 - q * q)
            return g * (q * g * norm.cdf(q * g / width) + width * norm.pdf(q * g / width)) * norm.pdf(g)

        q = quad(conditional, 0, 12, epsabs=1e-13)[0] / 0.5
    return q


def energy(q0: float, c: float, chi: float, alpha: float, layers: int, level: float) -> float:
    """One step of replica-symmetry breaking with every Gaussian mean by adaptive or Gauss-Legendre quadrature."""
    a = chi + c * (1 - q0)
    entropy = math.log(a / chi) / c + q0 / a
    r0 = kernel(q0, layers)
    sigma, s = math.sqrt(1 - r0), math.sqrt(2 * chi)
    x, w = np.polynomial.legendre.leggauss(80)

    def inner(mean: np.ndarray) -> np.ndarray:
        total = norm.cdf((level - mean) / sigma) + math.exp(-c) * norm.sf((level + s - mean) / sigma)
        h = level + s * (x + 1) / 2
        ramp = np.exp(-c * (h - level) ** 2 / (2 * chi)) * norm.pdf((h - mean[:, None]) / sigma) / sigma
        return np.log(total + ramp @ w * s / 2)

    potential = 0.0
    for low, high in pairwise(np.linspace(-9.5, 9.5, 20)):
        z = 0.5 * (high - low) * x + 0.5 * (low + high)
        potential += 0.5 * (high - low) * float(w @ (inner(math.sqrt(r0) * z) * norm.pdf(z))) / c
    return -0.5 * entropy - alpha * potential


@pytest.mark.parametrize(("layers", "level"), [(1, 0.0), (3, 0.0), (0, -1.5), (0, 0.8), (2, 0.4)])
def test_one_step_reproduces_theta_by_quadrature_and_is_stationary(layers: int, level: float) -> None:
    row = one_rsb(1.0, layers, level)
    p = [row.parameters[name] for name in ("q0", "c1", "chi")]
    assert energy(*p, row.value, layers, level) == pytest.approx(1, abs=1e-7)
    for i in range(3):
        h = 1e-3 * (min(p[i], 1 - p[i]) if i == 0 else p[i])
        up, down = p.copy(), p.copy()
        up[i], down[i] = p[i] + h, p[i] - h
        change = energy(*up, row.value, layers, level) - energy(*down, row.value, layers, level)
        assert abs(change) < 1e-6


def test_one_layer_before_gives_the_value_derived_for_it() -> None:
    assert one_rsb(wide_layers_before=1).value == pytest.approx(6.46266, abs=5e-6)


def test_every_wide_layer_lowers_the_threshold_and_two_steps_lie_below_one() -> None:
    ones, twos = ([k_rsb(k, 1, d).value for d in range(6)] for k in (1, 2))
    assert ones == sorted(ones, reverse=True)
    assert twos == sorted(twos, reverse=True)
    assert all(two < one for one, two in zip(ones, twos, strict=True))
    assert one_rsb(wide_layers_before=1).layers == 2
    assert "behind 2 wide layers" in one_rsb(wide_layers_before=2).name


def test_the_full_limit_behind_a_wide_layer_lies_below_its_steps() -> None:
    full = full_rsb(wide_layers_before=1, agreement=1e-3)
    values = list(full.parameters.values())
    assert values[0] == pytest.approx(6.46266, abs=5e-6)
    assert full.error is not None
    assert full.value < values[-1] < values[0]
    assert full.value == pytest.approx(6.4355, abs=2 * full.error)


@pytest.mark.parametrize("field", [Field(1), Field(3), Field(0, 0.7), Field(1, -1.0)])
def test_the_gradient_equals_difference_quotients(field: Field) -> None:
    point = np.array([0.5, 0.9, 2.0, 5.0, 0.06])

    def at(p: np.ndarray) -> float:
        return functional(Saddle((p[0], p[1]), (p[2], p[3]), float(p[4])), field=field).ratio(1)

    gradient = functional(Saddle((0.5, 0.9), (2.0, 5.0), 0.06), field=field).ratio_gradient(1)
    for i in range(5):
        h = np.zeros(5)
        h[i] = 1e-5
        assert (at(point + h) - at(point - h)) / 2e-5 == pytest.approx(gradient[i], rel=1e-5, abs=1e-6)


def test_overlaps_behind_a_layer_are_those_of_a_wide_random_one() -> None:
    rng = np.random.default_rng(3)
    for q in (0.0, 0.4, 0.95):
        a, b = rng.standard_normal((2, 400_000))
        hidden = np.maximum(a, 0), np.maximum(q * a + math.sqrt(1 - q * q) * b, 0)
        measured = float(hidden[0] @ hidden[1]) / (0.5 * a.size)
        assert Field(1).correlations(np.array([q]))[0][0] == pytest.approx(measured, abs=0.01)
    deep, slope = Field(4).correlations(np.array([0.3, 1.0]))
    assert deep[0] == pytest.approx(kernel(0.3, 4), abs=1e-10)
    assert (deep[1], slope[1]) == (1, 1)


@pytest.mark.parametrize("level", [-2.0, -0.3, 0.0, 0.6, 1.7])
def test_gordon_s_distance_is_that_of_a_long_gaussian_vector(level: float) -> None:
    alpha, size = 1.5 * plain_rdt(level=level).value, 400_000
    g = np.sort(np.random.default_rng(5).standard_normal(size))
    g = g[g > level]
    lowered = g[: g.size - round(size / alpha)]
    assert gordon_distance(alpha, 1.0, level) == pytest.approx(float(np.sum((lowered - level) ** 2)) / size, rel=0.03)
    assert gordon_distance(1 / norm.sf(level), 1.0, level) == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("level", [-2.0, 0.5, 1.5])
def test_the_lifted_bound_is_stationary_and_its_exponent_vanishes(level: float) -> None:
    row = partially_lifted(level=level)
    c, chi = row.parameters["c"], row.parameters["chi"]

    def exponent(c: float, chi: float) -> float:
        s = level + math.sqrt(2 * chi)
        ramp = quad(lambda g: math.exp(-c * (g - level) ** 2 / (2 * chi)) * norm.pdf(g), level, s, epsabs=1e-14)[0]
        mean = norm.cdf(level) + ramp + math.exp(-c) * norm.sf(s)
        return c + 0.5 * math.log1p(c / chi) + row.value * math.log(mean)

    assert exponent(c, chi) == pytest.approx(0, abs=1e-9)
    assert exponent(c, 1.001 * chi) == pytest.approx(exponent(c, chi), abs=1e-5)
    assert one_rsb(level=level).value < row.value < plain_rdt(level=level).value


def test_levels_meet_at_zero_and_rise_between_their_limits() -> None:
    for function in (plain_rdt, partially_lifted, one_rsb, two_rsb):
        near = [function(level=t).value for t in (-1e-4, 0.0, 1e-4)]
        assert near[0] < near[1] < near[2]
        assert near[2] - near[1] == pytest.approx(near[1] - near[0], rel=1e-2)
        values = [function(level=t).value for t in (-3.0, -1.0, 0.0, 1.0, 3.0)]
        assert values == sorted(values)
        # Below every entry all rows count, so that n of them are enough; far above, the one row in 1/Q(t) must.
        assert 1 < values[0] < 1.35
        assert values[-1] > 1 / norm.sf(3.0)


def chen_and_sen(layers: int, begins: float, points: int = 40_000) -> float:
    """The functional of Chen and Sen (2017) for the ground state, order parameter from `begins` on, on a grid.

    The least of ``½(ξ'(0) L + ∫ ξ''(q) b(q) dq + ∫ dq / b(q))`` over falling concave b with b(0) = L is G; the b tried
    is constant up to `begins` and 1/√ξ'' from there on. Derivatives of ξ by differences; q up to 1 - 1e-7.
    """
    u = (np.arange(points) + 0.5) / points
    u = u[(1 - u) ** 4 > 1e-7]
    q = 1 - (1 - u) ** 4
    weights = 4 * (1 - u) ** 3 / points

    def covariance(q: np.ndarray) -> np.ndarray:
        for _ in range(layers):
            q = (np.sqrt((1 - q) * (1 + q)) + q * (math.pi - np.arccos(q))) / math.pi
        return q

    h = 0.03 * (1 - q)
    second = (covariance(q + h) - 2 * covariance(q) + covariance(q - h)) / h**2
    slope_at_0 = float(covariance(np.array([1e-6]))[0] - covariance(np.array([-1e-6]))[0]) / 2e-6
    flat = float(np.interp(begins, q, second)) ** -0.5
    b = np.where(q < begins, flat, second**-0.5)
    return 0.5 * (slope_at_0 * flat + float(weights @ (second * b + 1 / b)))


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_the_ground_state_is_the_least_value_of_chen_and_sen_s_functional(layers: int) -> None:
    ground, q0, error = spherical_ground_state(layers)
    assert error < 1e-10
    assert chen_and_sen(layers, q0) == pytest.approx(ground, abs=2e-4)
    assert min(chen_and_sen(layers, q0 + d) for d in (-0.05, 0.05 * (1 - q0))) > chen_and_sen(layers, q0) - 1e-6
    for q in (0.1, 0.6, 0.99):
        value, first, second = mixture(q, layers)
        h = 1e-5
        up, down = mixture(q + h, layers), mixture(q - h, layers)
        assert value == pytest.approx(kernel(q, layers), abs=1e-9)
        assert first == pytest.approx((up[0] - down[0]) / (2 * h), rel=1e-6)
        assert second == pytest.approx((up[1] - down[1]) / (2 * h), rel=1e-4)
    bends = [mixture(q, layers)[2] ** -0.5 for q in np.linspace(q0, 1 - 1e-6, 200)]
    assert np.all(np.diff(bends, 2) < 0)  # concave: the order parameter is admissible


def test_gordon_behind_wide_layers_lies_between_the_replica_values_and_the_chains() -> None:
    values = [plain_rdt_behind_wide(d).value for d in range(7)]
    assert values == sorted(values, reverse=True)
    assert values[0] == plain_rdt().value
    assert values[1] == pytest.approx(7.588079, abs=1e-6)
    assert all(one_rsb(wide_layers_before=d).value < values[d] for d in range(7))
    # the chain bounds the second layer behind any first one; at infinite width it tends to 7.6477 only
    assert deep_plain([1e6]).value > values[1]
    ahead = plain_rdt_behind_wide(1, level=0.5)
    assert one_rsb(1.0, 1, 0.5).value < ahead.value < plain_rdt(level=0.5).value


def test_the_table_of_a_field_says_what_it_is_about() -> None:
    rows = field_table(2, use_cache=False)
    assert [row.status for row in rows] == ["rigorous", "heuristic", "heuristic"]
    assert all(row.layers == 3 and "behind 2 wide layers" in row.name for row in rows)
    rows = field_table(level=-0.5, use_cache=False)
    assert [row.value for row in rows] == sorted((row.value for row in rows), reverse=True)
    assert len(rows) == 4
    assert field_table(level=-0.5) == field_table(level=-0.5)  # the second one from the cache


@pytest.mark.parametrize("level", [4, -3.5, math.nan, "x", True])
def test_a_bad_level_is_refused(level: object) -> None:
    for function in (plain_rdt, partially_lifted, one_rsb):
        with pytest.raises(InputError, match="level is"):
            function(level=level)


@pytest.mark.parametrize("layers", [-1, 21, 1.5, None])
def test_a_bad_number_of_wide_layers_is_refused(layers: object) -> None:
    for function in (one_rsb, full_rsb):
        with pytest.raises(InputError, match="wide_layers_before is"):
            function(wide_layers_before=layers)  # type: ignore[arg-type]
