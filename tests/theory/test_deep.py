"""The deep chains against two-dimensional quadrature, direct minimisation, samples and the literature."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq, minimize

from mcinj.errors import InputError
from mcinj.theory import deep_chain, deep_plain, deep_plain_unit, partially_lifted, plain_rdt
from mcinj.theory.closed_form import gordon_distance
from mcinj.theory.cone import hidden_layer, optimal_multiplier, optimal_slope


def brute_moments(lam: float, mu: float) -> tuple[float, float, float]:
    """E(g-z)², E[hu], E[u²] by quadrature over the angle, z minimised on both branches at each angle."""

    def at(angle: float) -> tuple[float, float, float]:
        g, h = math.cos(angle), math.sin(angle)
        z = max((g - lam * h / 2) / (1 + mu), 0.0)
        on = (g - z) ** 2 + lam * h * z + mu * z * z
        off = max(g, 0.0) ** 2
        return ((g - z) ** 2, h * z, z * z) if on < off else (off, 0.0, 0.0)

    edges = [
        -math.pi / 2 - math.atan(lam / (2 * (1 + math.sqrt(1 + mu)))),
        -math.pi / 2,
        0,
        math.atan2(2, lam),
    ]
    pieces = [-math.pi, *edges, math.pi / 2, math.pi]
    return tuple(  # type: ignore[return-value]
        sum(quad(lambda x, i=i: at(x)[i], a, b, epsabs=1e-13)[0] for a, b in pairwise(pieces)) / math.pi
        for i in range(3)
    )


@given(st.floats(0.01, 30), st.floats(0.0, 50))
@settings(max_examples=40, deadline=None)
def test_cone_moments_equal_quadrature_over_the_plane(lam: float, mu: float) -> None:
    layer = hidden_layer(lam, mu)
    wanted = brute_moments(lam, mu)
    assert (layer.distance, layer.product, layer.power) == pytest.approx(wanted, abs=1e-9)


def test_cone_moments_agree_with_a_sample() -> None:
    # Five standard errors each, fixed seed: false-alarm rate 2e-6.
    lam, mu = 1.3, 0.4
    g, h = np.random.default_rng(1).standard_normal((2, 500_000))
    z = np.maximum((g - lam * h / 2) / (1 + mu), 0)
    z = np.where((g - z) ** 2 + lam * h * z + mu * z * z < np.maximum(g, 0) ** 2, z, np.minimum(g, 0))
    u = np.maximum(z, 0)
    layer = hidden_layer(lam, mu)
    for sample, value in (((g - z) ** 2, layer.distance), (h * u, layer.product), (u * u, layer.power)):
        assert value == pytest.approx(sample.mean(), abs=5 * sample.std() / math.sqrt(g.size))


def test_the_slope_and_the_distance_rise_together_so_the_stationary_point_is_the_minimum() -> None:
    layers = [optimal_multiplier(lam) for lam in np.geomspace(1e-3, 30, 120)]
    assert np.all(np.diff([layer.slope for layer in layers]) > 0)
    assert np.all(np.diff([layer.distance for layer in layers]) > 0)


@pytest.mark.parametrize("lam", [0.1, 1.0, 4.0])
def test_the_multiplier_of_the_norm_is_unique(lam: float) -> None:
    values = [
        -lam * x.product - 2 * mu * x.power for mu in np.geomspace(1e-6, 1e4, 400) for x in [hidden_layer(lam, mu)]
    ]
    signs = np.sign(values)
    assert (np.diff(signs) != 0).sum() == 1


@pytest.mark.parametrize("distance", [0.02, 0.1, 0.3, 0.45])
def test_the_distance_is_least_among_feasible_splits_of_a_sample(distance: float) -> None:
    """Minimise directly over z on a quadrature of (g, h): fix E[u²] = s, solve the convex dual, scan s."""
    layer = optimal_slope(distance)
    angles = np.linspace(-math.pi, math.pi, 4001)[:-1]
    g, h = np.cos(angles), np.sin(angles)

    def dual(p: np.ndarray, s: float) -> float:  # -(lower bound on E(g-z)² with E u² = s, E hu <= -K√s)
        lam, mu = abs(p[0]), p[1]
        if mu <= -0.999:
            return 1e9
        z = np.maximum((g - lam * h / 2) / (1 + mu), 0)
        cost = np.minimum((g - z) ** 2 + lam * h * z + mu * z * z, np.maximum(g, 0) ** 2)
        return -(2 * cost.mean() + lam * layer.slope * math.sqrt(s) - mu * s)

    best = math.inf
    for s in layer.power * np.array([0.3, 0.6, 0.85, 1.0, 1.2, 1.7, 2.5]):
        start = np.array([layer.lam, layer.mu])
        found = minimize(dual, start, args=(s,), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12})
        assert -found.fun >= distance - 1e-6  # weak duality: no split with this norm is nearer
        best = min(best, -found.fun)
    assert best == pytest.approx(distance, abs=1e-5)


def test_values_of_the_literature() -> None:
    chain = [row.value for row in deep_chain(6.7004, 6)]
    assert chain == pytest.approx([6.7004, 7.53080, 7.42779, 7.32827, 7.23207, 7.13905], abs=1e-5)
    alphas = [6.7004]
    for _ in range(3):
        alphas.append(deep_plain_unit(alphas).value)
    assert alphas[1] == pytest.approx(8.267, abs=5e-4)  # arXiv:2412.19677
    assert alphas[1:] == pytest.approx([8.26673, 9.4714, 10.778], abs=4e-4)  # the specification


def test_the_chain_by_nested_roots_from_the_last_layer_backwards() -> None:
    # The other direction, with other roots: φ̂(K) by brentq over λ, then d_1(α_l) = 1 by brentq over α_l.
    def phi(k: float) -> float:
        lam = brentq(lambda x: optimal_multiplier(x).slope - k, 1e-4, 50, xtol=1e-13)
        return optimal_multiplier(lam).distance

    def d1(alpha_3: float) -> float:
        d = alpha_3 * gordon_distance(alpha_3, 1.5)
        for alpha in (7.4, 6.9):
            d = alpha * phi(math.sqrt(d / alpha))
        return d

    root = brentq(lambda a: d1(a) - 1, 7, 12, xtol=1e-10)
    assert deep_plain([6.9, 7.4], 1.5).value == pytest.approx(root, abs=1e-7)


@pytest.mark.parametrize("alpha", [4.0, 6.7004, 10.0])
def test_the_unit_margin_is_the_global_minimum_over_its_scales(alpha: float) -> None:
    # M_1 = min over γ, τ of γ + τ + α/(4γ) E min_z[(g-z)² + 4γ h u + (γ M_2²/τ) u²] (both roots linearised).
    row = deep_plain_unit([alpha])
    m2 = row.parameters["M2"]

    def linearised(p: np.ndarray) -> float:
        gamma, tau = np.exp(p)
        lam, mu = 4 * gamma, gamma * m2 * m2 / tau
        x = hidden_layer(lam, mu)
        return gamma + tau + alpha / (4 * gamma) * (x.distance + lam * x.product + mu * x.power)

    best = min(
        minimize(linearised, np.log([g, t]), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}).fun
        for g in (0.1, 0.5, 1.5, 4)
        for t in (0.1, 0.5, 1.5, 4)
    )
    assert best == pytest.approx(1, abs=1e-8)


def test_no_earlier_layers_is_plain_rdt() -> None:
    for theta in (0.5, 1, 2):
        assert deep_plain([], theta).value == pytest.approx(plain_rdt(theta).value, abs=1e-12)
        assert deep_plain_unit([], theta).value == pytest.approx(plain_rdt(theta).value, abs=1e-12)


@given(st.lists(st.floats(6.6, 12), min_size=1, max_size=3), st.floats(0.5, 3))
@settings(max_examples=8, deadline=None)
def test_optimised_weights_beat_unit_weights_and_more_positives_need_more_width(
    alphas: list[float], theta: float
) -> None:
    optimised = deep_plain(alphas, theta).value
    assert optimised < deep_plain_unit(alphas, theta).value
    assert optimised < deep_plain(alphas, theta * 1.1).value


@given(st.floats(6.6, 20), st.floats(1.001, 1.5))
@settings(max_examples=10, deadline=None)
def test_a_wider_first_layer_needs_a_slightly_wider_second(alpha: float, factor: float) -> None:
    # More units in the layer before give the adversary more freedom: the bound grows towards the one-layer
    # bound.
    near, far = deep_plain([alpha]).value, deep_plain([alpha * factor]).value
    assert near < far < plain_rdt().value


def test_the_chain_of_eight_layers() -> None:
    chain = deep_chain(6.7004, 8)
    assert [row.layers for row in chain] == list(range(1, 9))
    values = [row.value for row in chain[1:]]
    assert values == sorted(values, reverse=True)
    assert len(deep_chain(6.7004, 1)) == 1
    assert deep_chain(6.7004, 1)[0].value == 6.7004


def test_theta_acts_on_the_last_layer_only() -> None:
    one, two = deep_chain(6.7004, 3), deep_chain(6.7004, 3, theta=2)
    assert [row.value for row in one[:2]] == [row.value for row in two[:2]]
    assert two[2].value > one[2].value + 3
    assert two[2].theta == 2


def test_status_follows_the_weakest_layer() -> None:
    assert {row.status for row in deep_chain(6.7004, 3)} == {"heuristic"}
    assert {row.status for row in deep_chain(plain_rdt().value, 3)} == {"rigorous"}
    assert {row.status for row in deep_chain(partially_lifted().value, 3)} == {"rigorous"}
    assert deep_plain([8.0, 6.0]).status == "heuristic"  # the second layer is not known to pass
    assert deep_plain([8.0, 8.0]).status == "rigorous"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: deep_plain([2.0]), "layer 1 has ratio 2"),
        (lambda: deep_plain([6.7, 1.5]), "layer 2 has ratio 1.5"),
        (lambda: deep_plain([6.7, float("nan")]), "ratio of layer 2 is nan"),
        (lambda: deep_plain([6.7, "a"]), "ratio of layer 2 is 'a'"),
        (lambda: deep_plain("6.7"), "give a list"),
        (lambda: deep_plain(6.7), "give a list"),
        (lambda: deep_plain([7.0] * 8), "at most 7"),
        (lambda: deep_plain([1e9]), "between 2 and a million"),
        (lambda: deep_plain([6.7], 0), "theta is 0"),
        (lambda: deep_plain_unit([1.9]), "layer 1 has ratio 1.9"),
        (lambda: deep_plain_unit([6.7], float("inf")), "theta is inf"),
        (lambda: deep_chain(6.7, 0), "layers is 0"),
        (lambda: deep_chain(6.7, 9), "layers is 9"),
        (lambda: deep_chain(6.7, 2.5), "layers is 2.5"),
        (lambda: deep_chain(1.0, 2), "layer 1 has ratio 1"),
        (lambda: deep_chain(float("nan"), 2), "alpha_1 is nan"),
    ],
)
def test_bad_arguments_are_named(call, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()
