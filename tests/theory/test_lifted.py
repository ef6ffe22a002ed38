"""Partially lifted RDT, one layer and deep, against quadrature, samples and difference quotients."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from mcinj.errors import InputError
from mcinj.theory import (
    deep_lifted,
    deep_plain,
    deep_plain_unit,
    partially_lifted,
    plain_rdt,
    two_layer_lifted_unit,
)
from mcinj.theory.lifted import lifted_ratio, lifting_helps, log_expectation, outermost
from mcinj.theory.lifted_ratio import _hidden, _rule, unit_ratio

RULE = _rule(1)


def brute_log_expectation(c: float, chi: float) -> float:
    s = math.sqrt(2 * chi)

    def integrand(h: float) -> float:
        return math.exp(-0.5 * h * h - c * min(h * h / (2 * chi), 1)) / math.sqrt(2 * math.pi)

    ramp = quad(integrand, 0, s, epsabs=1e-14)[0]
    flat = quad(integrand, s, s + 12, epsabs=1e-14)[0]
    return math.log(0.5 + ramp + flat)


@given(st.floats(1e-3, 20), st.floats(1e-3, 5))
@settings(max_examples=50)
def test_the_expectation_equals_adaptive_quadrature(c: float, chi: float) -> None:
    assert log_expectation(c, chi) == pytest.approx(brute_log_expectation(c, chi), rel=1e-9, abs=1e-12)


def test_the_value_of_the_literature_and_its_parameters() -> None:
    row = partially_lifted()
    assert row.value == pytest.approx(7.448639, abs=1e-6)
    assert row.parameters["c"] == pytest.approx(0.7085, abs=1e-4)
    assert row.parameters["chi"] == pytest.approx(0.2785, abs=1e-4)
    assert (row.status, row.kind) == ("rigorous", "upper")


@pytest.mark.parametrize("theta", [0.4, 1.0, 2.0, 10.0])
def test_the_value_is_a_minimum_of_the_brute_ratio(theta: float) -> None:
    row = partially_lifted(theta)
    c, chi = row.parameters["c"], row.parameters["chi"]

    def ratio(c: float, chi: float) -> float:
        return (theta * c + 0.5 * math.log1p(c / chi)) / -brute_log_expectation(c, chi)

    assert ratio(c, chi) == pytest.approx(row.value, abs=1e-9)
    for factor in (0.9, 0.99, 1.01, 1.1):
        assert ratio(c * factor, chi) > row.value
        assert ratio(c, chi * factor) > row.value


def test_lifting_never_loses_and_vanishes_where_it_does_not_help() -> None:
    for theta in (0.05, 0.1, 0.2):
        assert partially_lifted(theta).value == plain_rdt(theta).value
        assert partially_lifted(theta).parameters["c"] == 0
    for theta in (0.3, 1, 3):
        assert partially_lifted(theta).value < plain_rdt(theta).value


def test_a_vanishing_tilt_is_plain_rdt() -> None:
    chi = plain_rdt().parameters["t"] ** 2 / 2
    assert lifted_ratio(1e-7, chi, 1.0) == pytest.approx(plain_rdt().value, abs=1e-6)


def brute_hidden(eta: float, a: float, kappa: float) -> float:
    """ln E exp(-min_z …) over a polar grid in closed radius, the minimum over z taken on both branches."""

    def weight(angle: float) -> float:
        g, h = math.cos(angle), math.sin(angle)
        off = eta * max(g, 0) ** 2  # the best z <= 0
        z = max((eta * g - a * h / 2) / (eta + kappa), 0.0)  # the best z >= 0
        on = eta * (g - z) ** 2 + a * h * z + kappa * z * z
        return 1 / (1 + 2 * min(off, on)) / (2 * math.pi)

    pieces = np.linspace(-math.pi, math.pi, 200)
    return math.log(sum(quad(weight, x, y, epsabs=1e-14)[0] for x, y in pairwise(pieces)))


@pytest.mark.parametrize("p", [(0.98, 0.76, 0.43), (0.03, 0.11, 0.03), (3.0, 0.5, 1.0), (0.2, 0.5, 0.7)])
def test_the_hidden_exponent_and_its_derivatives(p: tuple[float, float, float]) -> None:
    log, *slopes = _hidden(*p, RULE)
    assert log == pytest.approx(brute_hidden(*p), abs=1e-9)
    for i, slope in enumerate(slopes):
        up, down = list(p), list(p)
        up[i], down[i] = p[i] * (1 + 1e-5), p[i] * (1 - 1e-5)
        assert slope == pytest.approx((_hidden(*up, RULE)[0] - _hidden(*down, RULE)[0]) / (2e-5 * p[i]), rel=1e-6)


def test_an_infinite_expectation_is_not_given_a_value() -> None:
    # A large weight with a small price κ of the norm: w < -1/2 on some directions, and E exp(-w) = ∞.
    assert _hidden(0.2, 2.0, 0.7, RULE)[0] == math.inf


def test_the_hidden_exponent_agrees_with_a_sample() -> None:
    # Five standard errors, fixed seed: false-alarm rate 6e-7.
    eta, a, kappa = 0.98, 0.76, 0.43
    g, h = np.random.default_rng(2).standard_normal((2, 400_000))
    z = np.maximum((eta * g - a * h / 2) / (eta + kappa), 0)
    w = np.minimum(eta * np.maximum(g, 0) ** 2, eta * (g - z) ** 2 + a * h * z + kappa * z * z)
    kept = np.exp(-w)
    error = 5 * kept.std() / math.sqrt(g.size)
    assert math.exp(_hidden(eta, a, kappa, RULE)[0]) == pytest.approx(kept.mean(), abs=error)


def test_the_outermost_exponent_and_its_derivatives() -> None:
    b, nu = 1.02, 0.617
    log, d_b, d_nu = outermost(b, nu)
    assert log == pytest.approx(brute_log_expectation(b * nu, nu / 2), abs=1e-12)
    assert d_b == pytest.approx((outermost(b + 1e-5, nu)[0] - outermost(b - 1e-5, nu)[0]) / 2e-5, rel=1e-7)
    assert d_nu == pytest.approx((outermost(b, nu + 1e-5)[0] - outermost(b, nu - 1e-5)[0]) / 2e-5, rel=1e-7)


def test_one_layer_is_the_one_layer_bound() -> None:
    for theta in (0.1, 1.0, 2.0):
        assert deep_lifted([], theta).value == pytest.approx(partially_lifted(theta).value, abs=1e-9)


def brute_two_layers(x: np.ndarray, alpha_1: float, theta: float) -> float:
    """α_2 at Ψ = 0 for two layers with free weights, from the brute integrals."""
    eta, b, a, nu = x
    kappa = a * a * (0.5 + 0.25 / b)
    gain = 0.5 * math.log1p(2 * eta) + theta * b * nu + alpha_1 * brute_hidden(eta, a, kappa)
    return gain / -brute_log_expectation(b * nu, nu / 2)


def test_two_layers_with_free_weights() -> None:
    row = deep_lifted([6.7004])
    assert row.value == pytest.approx(7.41, abs=3e-3)  # an earlier rough search
    x = np.array(list(row.parameters.values()))
    assert brute_two_layers(x, 6.7004, 1.0) == pytest.approx(row.value, abs=1e-8)
    for i in range(4):
        h = np.zeros(4)
        h[i] = 1e-3 * x[i]
        near = brute_two_layers(x + h, 6.7004, 1) - brute_two_layers(x - h, 6.7004, 1)
        far = brute_two_layers(x + 2 * h, 6.7004, 1) - brute_two_layers(x - 2 * h, 6.7004, 1)
        assert abs(8 * near - far) / 12e-3 < 1e-6


def test_two_layers_with_unit_weights_explain_the_published_value() -> None:
    row = two_layer_lifted_unit(6.7004)
    assert row.value == pytest.approx(8.264, abs=5e-4)  # arXiv:2412.19677
    assert row.value == pytest.approx(8.2641, abs=5e-5)  # the specification
    assert row.parameters["c"] == pytest.approx(0.1, abs=0.02)
    # Any other common weight, with the inner variables stationary, is worse.
    from scipy.optimize import root

    start = np.log(np.array(list(row.parameters.values())))
    for factor in (0.8, 0.9, 1.1, 1.2):
        held = start[:1] + math.log(factor)
        rest = root(
            lambda v, held=held: unit_ratio(np.append(held, v), 6.7004, 1.0, RULE).gradient[1:], start[1:], tol=1e-12
        ).x
        assert unit_ratio(np.append(held, rest), 6.7004, 1.0, RULE).value > row.value


@pytest.mark.parametrize("alphas", [(6.7004,), (6.7004, 7.408), (7.2, 7.5, 7.4), (9.0,)])
def test_lifting_never_loses_in_deep_networks(alphas: tuple[float, ...]) -> None:
    assert deep_lifted(alphas).value <= deep_plain(alphas).value + 1e-12
    assert two_layer_lifted_unit(alphas[0]).value <= deep_plain_unit(alphas[:1]).value + 1e-12


def test_the_exponent_is_the_largest_over_slices_and_the_least_over_multipliers() -> None:
    # Rigour needs, at the optimal weights, a maximum over the norm s and the scales η_1, b, each with its
    # multipliers κ and ν minimised: scan them at the optimum (scale 1) of the two-layer bound.
    from scipy.optimize import minimize_scalar

    row = deep_lifted([6.7004])
    eta, b, a2, _ = row.parameters.values()
    alpha_2 = row.value
    rho = math.sqrt(1 + 2 * eta)
    a1 = rho - 1 / rho  # stationary first weight: ρ² - a ρ - 1 = 0
    fixed = a1 * rho + math.log(rho) - (rho * rho - 1) / 2 - a1 * a1 / 2

    def psi(s: float, eta: float, b: float) -> float:
        def over_kappa(kappa: float) -> float:
            return kappa * s + 6.7004 * _hidden(eta, a2, kappa, RULE)[0]

        def over_nu(x: float) -> float:
            return b * x + alpha_2 * outermost(b, x)[0]

        least = minimize_scalar(over_kappa, bounds=(1e-6, 200), method="bounded", options={"xatol": 1e-9}).fun
        cut = minimize_scalar(over_nu, bounds=(1e-9, 40), method="bounded", options={"xatol": 1e-9}).fun
        return fixed - a1 * a1 / (4 * eta) - a2 * a2 * s * (0.5 + 0.25 / b) + least + cut

    kappa = a2 * a2 * (0.5 + 0.25 / b)
    s = -6.7004 * _hidden(eta, a2, kappa, RULE)[3]
    assert psi(s, eta, b) == pytest.approx(0, abs=1e-8)
    for ds in (0.3, 0.7, 1, 1.4, 3):
        for de in (0.2, 0.7, 1, 1.4, 5):
            for db in (0.2, 0.7, 1, 1.4, 5):
                if (ds, de, db) != (1, 1, 1):
                    assert psi(s * ds, eta * de, b * db) < 1e-9


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="theta is 0"):
        partially_lifted(0)
    with pytest.raises(InputError, match="layer 1 has ratio 1"):
        deep_lifted([1.5])
    with pytest.raises(InputError, match="alpha_1 is -3"):
        two_layer_lifted_unit(-3)


def test_lifting_starts_to_help_where_its_first_order_says() -> None:
    # Just above the threshold the tilt is small, and the gain is of second order in the distance.
    assert not lifting_helps(0.2267)
    gains = []
    for theta in (0.2277, 0.2287, 0.2307):
        row, plain = partially_lifted(theta), plain_rdt(theta)
        gains.append(math.sqrt(plain.value - row.value))
        assert row.error is not None
        assert row.parameters["c"] > 0
    start = 0.2277 - 0.001 * gains[0] / (gains[1] - gains[0])  # where the gain vanishes, by linear extrapolation
    assert not lifting_helps(start - 2e-5)
    assert lifting_helps(start + 2e-5)


@pytest.mark.parametrize("theta", [0.226, 0.22672, 0.22674, 0.22676, 0.2268, 0.227, 0.24])
def test_near_that_threshold_the_error_covers_what_a_scan_of_tilts_finds(theta: float) -> None:
    # Tilts from 1e-3 on, each with the best χ: below them roundings are as large as the gain.
    row = partially_lifted(theta)
    chi = plain_rdt(theta).parameters["t"] ** 2 / 2
    grid = chi * np.linspace(0.9, 1.1, 401)
    scan = min(lifted_ratio(c, x, theta) for c in np.geomspace(1e-3, 0.3, 40) for x in grid)
    assert row.error is not None
    assert row.error < 1e-8
    assert row.value <= min(scan, plain_rdt(theta).value) + row.error + 1e-12


@pytest.mark.parametrize(("alphas", "theta"), [((6.7004,), 1.0), ((6.7004,), 30.0), ((7.2, 7.5, 7.4), 30.0)])
def test_the_quoted_error_covers_a_far_finer_quadrature(alphas: tuple[float, ...], theta: float) -> None:
    # At θ = 30 the integrand has a pole beside the interval: 64 nodes are wrong by 1e-2 there.
    from mcinj.theory.lifted_ratio import _optimised

    row = deep_lifted(alphas, theta)
    assert row.error is not None
    assert row.error < 1e-10
    at = _optimised(np.log(np.array(list(row.parameters.values()))), alphas, theta, _rule(300))
    assert at.value == pytest.approx(row.value, abs=row.error)
    assert np.abs(at.gradient).max() < 1e-8 * row.value


@pytest.mark.parametrize("alpha", [2.05, 2.5, 6.7004, 50.0, 1e3, 1e5])
def test_deep_lifting_is_found_behind_any_first_layer(alpha: float) -> None:
    for theta in (0.3, 1.0, 5.0):
        assert deep_lifted([alpha], theta).value <= deep_plain([alpha], theta).value
    if alpha < 100:  # beyond, unit weights bound nothing of interest
        assert two_layer_lifted_unit(alpha).value <= deep_plain_unit([alpha]).value
