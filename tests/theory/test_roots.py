"""Roots to the last places, whatever the scale, and errors where there is none."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcinj.theory.roots import bracketed_root, falling_root


@given(st.floats(1e-12, 1e12), st.sampled_from([1, 3, 7]))
def test_powers_are_inverted_at_every_scale(x: float, power: int) -> None:
    assert bracketed_root(lambda y: y**power - x**power, x / 1e6, x * 1e3) == pytest.approx(x, rel=1e-15 * 8)


@given(st.floats(1e-9, 1e9))
def test_falling_functions_are_followed_to_their_root(x: float) -> None:
    assert falling_root(lambda y: math.log(x) - math.log(y), x / 3e5) == pytest.approx(x, rel=1e-13)


def test_steps_are_found_to_the_last_places() -> None:
    assert bracketed_root(lambda y: 1.0 if y > math.pi else -1.0, 0.0, 50.0) == pytest.approx(math.pi, rel=5e-16)


def test_few_evaluations_are_needed() -> None:
    calls = []
    bracketed_root(lambda y: calls.append(y) or math.cos(y), 1.0, 2.0)
    assert len(calls) < 15


def test_without_a_sign_change_there_is_no_root() -> None:
    with pytest.raises(ArithmeticError, match="no sign change"):
        bracketed_root(lambda y: y * y + 1, 0.0, 1.0)
    with pytest.raises(ArithmeticError, match="no sign change"):
        falling_root(lambda y: 1.0, 1.0)
