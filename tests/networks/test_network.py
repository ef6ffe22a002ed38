"""Networks: validation, exact values, digests."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcinj import InputError, Network, Outcome, check, sample

BAD = {
    "no layer": ([], "no layer"),
    "ragged": ([[[1, 2], [3]]], "differ in length"),
    "strings": ([np.array([["a"]])], "dtype"),
    "complex": ([np.array([[1j]])], "complex"),
    "bool": ([np.array([[True]])], "bool"),
    "objects": ([np.array([[None]])], "not numbers"),
    "nan": ([np.array([[np.nan]])], "nan or inf"),
    "signalling nan": ([np.array([[0x7FA00000]], np.uint32).view(np.float32)], "nan or inf"),
    "signalling nan of 16 bits": ([np.array([[0x7D00]], np.uint16).view(np.float16)], "nan or inf"),
    "inf": ([np.array([[1.0, -np.inf]])], "nan or inf"),
    "empty": ([np.zeros((0, 2))], "empty"),
    "no input": ([np.zeros((2, 0))], "empty"),
    "vector": ([np.zeros(3)], "matrix is needed"),
    "chain": ([np.zeros((2, 2)), np.zeros((2, 3))], "needs 2 columns"),
    "one array for all layers": (np.zeros((3, 2)), "list with one matrix per layer"),
    "longdouble": ([np.zeros((2, 2), np.longdouble)], "dtype"),
    "bool among numbers": ([np.array([[Fraction(1, 3), True]])], "not numbers"),
    "masked": ([np.ma.array([[1.0, 2.0]], mask=[[True, False]])], "masked"),
    "huge integers": ([[[10**400]]], "beyond the range"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", BAD)
def test_bad_weights_get_one_clear_line(case: str) -> None:
    weights, words = BAD[case]
    with pytest.raises(InputError) as caught:
        Network(weights)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("biases", [[np.zeros(2)], [np.zeros(3), np.zeros(1)], [np.array([1.0, np.nan, 0.0])]])
def test_bad_biases_are_refused(biases: list[np.ndarray]) -> None:
    with pytest.raises(InputError):
        Network([np.ones((3, 2))], biases)


def test_weights_cannot_be_changed_afterwards() -> None:
    source = np.ones((3, 2))
    network = Network([source])
    source[0, 0] = 7.0
    assert network.weights[0][0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        network.weights[0][0, 0] = 2.0


@given(st.integers(0, 2**32), st.integers(1, 4), st.lists(st.integers(1, 5), min_size=1, max_size=3))
def test_exact_and_float_forward_agree(seed: int, n: int, widths: list[int]) -> None:
    network = sample(n, widths, seed=seed)
    x = np.random.default_rng(seed).standard_normal(n)
    exact = network.exact_forward([Fraction(v) for v in x])
    np.testing.assert_allclose([float(v) for v in exact], network.forward(x), rtol=1e-9, atol=1e-9)


def test_exact_forward_is_plain_fraction_arithmetic() -> None:
    network = Network([[[0.5, -1], [1, 1]], [[2, -3]]], [[Fraction(1, 3), 0], [1]])
    x = (Fraction(2), Fraction(1, 7))
    h1 = Fraction(1, 2) * 2 - Fraction(1, 7) + Fraction(1, 3)
    h2 = 2 + Fraction(1, 7)
    expected = 2 * h1 - 3 * h2 + 1
    assert network.exact_pre_activations(x)[-1] == (expected,)
    assert network.exact_forward(x) == (max(expected, Fraction(0)),)
    assert [p.tolist() for p in network.exact_pattern(x)] == [[1, 1], [-1 if expected < 0 else 1]]


def test_rationals_that_floats_cannot_hold_are_kept() -> None:
    network = Network([[[Fraction(1, 3), 2**60 + 1]]])
    assert not network.floats_are_exact
    assert network.exact_weights[0] == ((Fraction(1, 3), Fraction(2**60 + 1)),)
    assert Network([[[Fraction(1, 2), 3]]]).floats_are_exact


LARGE = st.integers(-(2**66), 2**66) | st.integers(2**53 - 2, 2**53 + 2) | st.integers(-3, 3)
ENTRIES = (
    LARGE
    | st.floats(-1e9, 1e9)
    | st.fractions()
    | st.sampled_from([np.float32(0.1), np.float16(0.1), np.int8(-3), np.uint64(2**64 - 1)])
)


@given(st.integers(1, 3).flatmap(lambda n: st.lists(st.lists(ENTRIES, min_size=n, max_size=n), min_size=1, max_size=4)))
def test_every_number_of_a_list_is_taken_as_it_is(rows: list[list[Any]]) -> None:
    plain = [[int(v) if isinstance(v, np.integer) else v for v in row] for row in rows]
    expected = [[Fraction(*v.as_integer_ratio()) for v in row] for row in plain]
    network = Network([rows], [[row[0] for row in rows]])
    assert [list(row) for row in network.exact_weights[0]] == expected
    assert network.exact_biases is not None
    assert list(network.exact_biases[0]) == [row[0] for row in expected]


def test_whole_numbers_beside_floats_are_not_rounded() -> None:
    big = 2**53  # big + 1 would become big, and the first row parallel to the second
    for one in (1, 1.0):
        rows = [[big + 1, big], [one, one], [-big - 1, -big], [-one, -one]]
        assert check([rows]).verdict is Outcome.INJECTIVE
    assert Network([[[1], [-1]]], [[2**63 + 1, -1]]).exact_biases == ((2**63 + 1, -1),)
    third = np.longdouble(1) / 3
    assert Network([[[Fraction(1, 3), third]]]).exact_weights[0][0][1] == Fraction(*third.as_integer_ratio())


def test_digest_depends_on_values_only() -> None:
    w = sample(3, (5,), seed=1).weights[0]
    digest = Network([w]).digest()
    assert Network([w.tolist()]).digest() == digest
    assert Network([np.asfortranarray(w)]).digest() == digest
    assert Network([w.astype(">f8")]).digest() == digest
    assert Network([np.array([[0.0]])]).digest() == Network([np.array([[-0.0]])]).digest()
    changed = w.copy()
    changed[4, 2] = np.nextafter(changed[4, 2], 9.0)
    assert Network([changed]).digest() != digest
    assert Network([w], [np.zeros(5)]).digest() != digest
    assert Network([w.reshape(3, 5)]).digest() != digest


def test_parts() -> None:
    network = sample(3, (5, 4, 6), seed=2)
    assert network.prefix(2).widths == (5, 4)
    assert network.layer(2).n == 5
    np.testing.assert_array_equal(network.layer(3).weights[0], network.weights[2])
    for bad in (0, 4):
        with pytest.raises(InputError):
            network.prefix(bad)
        with pytest.raises(InputError):
            network.layer(bad)
