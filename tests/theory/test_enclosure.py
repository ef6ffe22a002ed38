"""Enclosures contain the values found by other means, are tight, and refuse what is not proved."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from mcinj.errors import InputError
from mcinj.theory import (
    deep_plain,
    deep_plain_enclosed,
    enclosed,
    enclosure_deep,
    first_moment,
    jets,
    one_rsb,
    partially_lifted,
    plain_rdt,
)
from mcinj.theory.cone import hidden_layer, optimal_multiplier
from mcinj.theory.enclosure import lifting_proves


@pytest.mark.parametrize("theta", [0.3, 1.0, 2.0, 7.0])
def test_enclosures_contain_the_float_values_and_are_tight(theta: float) -> None:
    for bound, width in (
        (first_moment(theta), 1e-12),
        (plain_rdt(theta), 1e-12),
        (partially_lifted(theta), 2e-10),
    ):
        row = enclosed(bound)
        assert row.enclosure is not None
        low, high = row.enclosure
        assert low <= row.value <= high
        assert high - low < width * row.value
        assert low - 1e-12 * high <= bound.value <= high + 1e-12 * high


def test_the_plain_enclosure_brackets_the_root_in_the_original_variable() -> None:
    # α c_1(α) - 1 in the variable α through the incomplete gamma function, at 200 bits.
    row = enclosed(plain_rdt())
    assert row.enclosure is not None
    with ctx.workprec(200):

        def excess(alpha: float) -> arb:
            p = arb(1) / 2 - 1 / arb(alpha)
            low, high = arb(0), arb(10)
            for _ in range(190):  # t with Φ(t) = 1/2 + p, by bisection
                middle = ((low + high) / 2).mid()
                low, high = (middle, high) if (middle / arb(2).sqrt()).erf() / 2 < p else (low, middle)
            half = low * low / 2
            return arb(alpha) * half.gamma_lower(arb(3) / 2, regularized=1) / 2 - 1

        assert excess(row.enclosure[0]) < 0 < excess(row.enclosure[1])


def test_the_lifted_enclosure_brackets_other_evaluations_of_the_minimum() -> None:
    row = enclosed(partially_lifted())
    assert row.enclosure is not None
    low, high = row.enclosure
    c, chi = row.parameters["c"], row.parameters["chi"]
    with ctx.workprec(200):

        def ratio(c: float, chi: float) -> arb:
            def f(h: arb, _: bool) -> arb:
                return (-h * h * (arb(1) / 2 + arb(c) / (2 * arb(chi)))).exp()

            s = (2 * arb(chi)).sqrt()
            root = (2 * arb.pi()).sqrt()
            from flint import acb

            ramp = acb.integral(f, acb(0), acb(s)).real / root
            mean = arb(1) / 2 + ramp + (-arb(c)).exp() * (1 - (s / arb(2).sqrt()).erf()) / 2
            return (arb(c) + (1 + arb(c) / arb(chi)).log() / 2) / -mean.log()

        here = ratio(c, chi)
        assert arb(low) - 1e-12 < here < arb(high)
        for dc, dchi in ((1e-4, 0), (-1e-4, 0), (0, 1e-4), (0, -1e-4)):
            assert ratio(c + dc, chi + dchi) > low


def test_the_proof_holds_above_the_bound_and_fails_below() -> None:
    row = partially_lifted()
    c, chi = row.parameters["c"], row.parameters["chi"]
    r = 1 / (chi * math.sqrt(1 + c / chi))
    assert lifting_proves(row.value + 1e-7, 1, c, r)
    assert lifting_proves(9.0, 1, c, r)
    assert not lifting_proves(row.value - 1e-5, 1, c, r)
    assert not lifting_proves(row.value + 1e-7, 1, 2 * c, r)  # a worse tilt proves less
    assert lifting_proves(8.0, 1, 1.3 * c, r)  # but still something
    assert not lifting_proves(row.value + 1e-7, 1.001, c, r)


def test_the_proof_agrees_with_a_scan_of_the_exponent_in_floats() -> None:
    from mcinj.theory.lifted import log_expectation

    alpha, c, r = 7.7, 0.6, 2.1
    a = c * r
    rho = (a + math.sqrt(a * a + 4)) / 2
    fixed = c - a * a / 2 + a * rho + math.log(rho) - (rho * rho - 1) / 2

    def worst(alpha: float) -> float:
        values = [10 ** (k / 200 - 4) for k in range(1200)]
        return fixed + max(alpha * log_expectation(c, x) - c * x * r * r / 2 for x in values)

    margin = worst(alpha)
    assert lifting_proves(alpha, 1, c, r) == (margin < 0)
    for shifted in (alpha - 0.5, alpha - 0.1, alpha + 0.5):
        assert lifting_proves(shifted, 1, c, r) == (worst(shifted) < 0)


@given(st.floats(0.1, 3), st.floats(0.1, 3))
@settings(max_examples=25, deadline=None)
def test_jets_contain_difference_quotients(a: float, b: float) -> None:
    def value(a: float, b: float) -> float:
        return math.erf(math.sqrt(a * b)) * math.exp(-a) / (1 + math.log(1 + b))

    with ctx.workprec(160):
        x, y = jets.variables(arb(a), arb(b))
        f = jets.erf(jets.sqrt(x * y)) * jets.exp(x.scale(-1)) / jets.log(y.shift(1)).shift(1)
    h = 1e-4
    assert float(f.v) == pytest.approx(value(a, b), rel=1e-12)
    assert float(f.a) == pytest.approx((value(a + h, b) - value(a - h, b)) / (2 * h), abs=1e-5)
    assert float(f.b) == pytest.approx((value(a, b + h) - value(a, b - h)) / (2 * h), abs=1e-5)
    assert float(f.aa) == pytest.approx((value(a + h, b) - 2 * value(a, b) + value(a - h, b)) / h**2, abs=1e-3)
    assert float(f.bb) == pytest.approx((value(a, b + h) - 2 * value(a, b) + value(a, b - h)) / h**2, abs=1e-3)
    mixed = value(a + h, b + h) - value(a + h, b - h) - value(a - h, b + h) + value(a - h, b - h)
    assert float(f.ab) == pytest.approx(mixed / (4 * h * h), abs=1e-3)


def test_other_values_have_no_enclosure() -> None:
    with pytest.raises(InputError, match="no enclosure for '1RSB'"):
        enclosed(one_rsb())


def test_bad_arguments_are_refused() -> None:
    for args in ((0, 1, 1, 1), (8, -1, 1, 1), (8, 1, float("nan"), 1), (8, 1, 1, float("inf"))):
        with pytest.raises(InputError):
            lifting_proves(*args)


@pytest.mark.parametrize(("alphas", "theta"), [((), 1.0), ((6.7004,), 1.0), ((7.0, 8.0), 1.0), ((6.7004,), 2.0)])
def test_deep_enclosures_contain_the_chain(alphas: tuple[float, ...], theta: float) -> None:
    row = deep_plain_enclosed(alphas, theta)
    assert row.enclosure is not None
    low, high = row.enclosure
    assert low < deep_plain(alphas, theta).value < high
    assert high - low < 3e-8 * high


def test_a_wrong_chain_value_is_not_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    for shift, words in ((-1e-6, "not proved at"), (1e-6, "not refuted at")):
        wrong = replace(deep_plain([6.7004]), value=deep_plain([6.7004]).value + shift)
        monkeypatch.setattr(enclosure_deep, "deep_plain", lambda *_, wrong=wrong: wrong)
        with pytest.raises(ArithmeticError, match=words):
            deep_plain_enclosed([6.7004])


@pytest.mark.parametrize("lam", [0.3, 1.3, 4.0])
def test_a_distance_is_proved_below_the_optimum_and_never_above_it(lam: float) -> None:
    layer = optimal_multiplier(lam)
    assert enclosure_deep.distance_proves(layer.slope, layer.distance - 1e-8)
    assert not enclosure_deep.distance_proves(layer.slope, layer.distance + 1e-7)


def test_no_distance_above_that_of_the_empty_split_is_proved() -> None:
    assert not enclosure_deep.distance_proves(0.69, 0.5000001)
    assert not enclosure_deep.distance_proves(0.75, 0.4)  # beyond √½ nothing is claimed


def test_ball_moments_contain_the_float_moments() -> None:
    for lam, mu in ((0.1, 0.0), (1.3, 0.4), (20.0, 50.0), (1.0, -0.5)):
        layer = hidden_layer(lam, mu)
        with ctx.workprec(120):
            balls = enclosure_deep._moments(lam, mu)
        for ball, value in zip(balls, (layer.distance, layer.product, layer.power), strict=True):
            assert float(ball) == pytest.approx(value, rel=1e-11, abs=1e-13)
