"""Roots against finite-n exact counts, samples, other forms of the equations, and the literature."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from mcinj.errors import InputError
from mcinj.theory import euler_characteristic, expected_euler, first_moment, plain_rdt, union_bound
from mcinj.theory.closed_form import gordon_distance


def growth_rate(count: Callable[[int, int], int | Fraction], alpha: Fraction, n: int) -> float:
    """Exponential rate per n of an exact count, from n, 2n, 4n, free of factors n^b and constants."""

    def log(size: int) -> float:
        value = abs(Fraction(count(int(alpha * size), size)))
        return math.log(value.numerator) - math.log(value.denominator)

    return (log(4 * n) - 2 * log(2 * n) + log(n)) / n


def test_first_moment_is_where_the_exact_union_bound_stops_growing() -> None:
    assert growth_rate(union_bound, Fraction("9.08"), 50) > 0 > growth_rate(union_bound, Fraction("9.10"), 50)
    assert 9.08 < first_moment().value < 9.10


def test_euler_characteristic_is_where_its_exact_expectation_stops_growing() -> None:
    low, high = Fraction("8.34"), Fraction("8.36")
    assert growth_rate(expected_euler, low, 50) > 0 > growth_rate(expected_euler, high, 50)
    assert 8.34 < euler_characteristic().value < 8.36


def test_values_of_the_literature() -> None:
    # arXiv:2302.14112 quotes 7.65 and 8.34, arXiv:2006.08464 bounds by 10.5.
    assert first_moment().value == pytest.approx(9.088607, abs=1e-6)
    assert euler_characteristic().value == pytest.approx(8.344633, abs=1e-6)
    assert plain_rdt().value == pytest.approx(7.647695, abs=1e-6)


def test_standing() -> None:
    assert (first_moment().status, first_moment().kind) == ("rigorous", "upper")
    assert (euler_characteristic().status, euler_characteristic().kind) == ("heuristic", "estimate")
    assert (plain_rdt().status, plain_rdt().origin) == ("rigorous", "computed")


@given(st.floats(0.05, 20))
def test_first_moment_satisfies_the_entropy_equation_in_nats_at_any_theta(theta: float) -> None:
    def h(x: float) -> float:
        return -x * math.log(x) - (1 - x) * math.log1p(-x)

    root = brentq(lambda a: h(theta / a) + h(1 / a) - math.log(2), 2 * max(1, theta), 1e4, xtol=1e-12)
    assert first_moment(theta).value == pytest.approx(root, abs=1e-9)


def test_first_moment_with_two_n_active_matches_the_exact_count_at_that_threshold() -> None:
    def count(m: int, n: int) -> Fraction:
        positives = sum(math.comb(m, j) for j in range(2 * n))
        return Fraction(positives * 2 * sum(math.comb(m - 1, i) for i in range(n)), 2**m)

    assert growth_rate(count, Fraction("13.20"), 50) > 0 > growth_rate(count, Fraction("13.24"), 50)
    assert 13.20 < first_moment(2).value < 13.24


def test_gordon_distance_equals_the_distance_of_a_sorted_sample() -> None:
    # False-alarm rate below 1e-6 per case (5 standard errors), fixed seed.
    size = 400_000
    for alpha, theta in [(3.0, 1.0), (7.65, 1.0), (7.65, 2.0), (2.5, 0.2)]:
        sample = np.random.default_rng(5).standard_normal(size)
        positive = np.sort(sample[sample > 0])
        drop = positive[: max(0, positive.size - int(size * theta / alpha))]
        error = 5 * math.sqrt((drop**4).sum() + 4 * drop.max(initial=0) ** 4 * size) / size
        assert (drop**2).sum() / size == pytest.approx(gordon_distance(alpha, theta), abs=error)


@given(st.floats(0.05, 20))
def test_plain_rdt_solves_the_integral_form_of_the_distance(theta: float) -> None:
    # c = E[g²; 0 < g < t] through the chi-square distribution with 3 degrees of freedom.
    from scipy.stats import chi2

    alpha = plain_rdt(theta).value
    t = norm.isf(theta / alpha)
    assert alpha * 0.5 * chi2.cdf(t * t, 3) == pytest.approx(1, abs=1e-9)


@given(st.floats(0.05, 10), st.floats(1.01, 2))
def test_more_positives_wanted_need_more_width(theta: float, factor: float) -> None:
    assert first_moment(theta).value < first_moment(theta * factor).value
    assert plain_rdt(theta).value < plain_rdt(theta * factor).value
    assert plain_rdt(theta).value < first_moment(theta).value or theta > 5


@pytest.mark.parametrize("theta", [0, -1, 1e-4, 101, float("nan"), float("inf"), "1", None, True])
@pytest.mark.parametrize("function", [first_moment, plain_rdt])
def test_a_bad_theta_is_refused(function: Callable[..., object], theta: object) -> None:
    with pytest.raises(InputError, match="theta is"):
        function(theta)
