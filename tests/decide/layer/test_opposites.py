"""Passes by opposite rows, without a search: against all cells, by certificates, and where they must not be taken."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.arrangement import minimal_active_rank

import mcinj
from mcinj.certify import verify
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.opposites import opposite_rows
from mcinj.networks import Network


def taken(network: Network) -> bool:
    return opposite_rows(Layer.of(network)) is not None


@st.composite
def paired(draw: Any) -> tuple[list[list[int]], list[int] | None]:
    """Integer rows with opposite ones to most of them, others between, and biases or none."""
    n = draw(st.integers(1, 2) | st.integers(1, 3))
    rows = draw(st.lists(st.lists(st.integers(-2, 2), min_size=n, max_size=n), min_size=n, max_size=4))
    factors = draw(st.lists(st.sampled_from([-3, -2, -1, 1]), min_size=len(rows), max_size=len(rows)))
    rows = rows + [[f * v for v in row] for f, row in zip(factors, rows, strict=True)]
    rows += draw(st.lists(st.lists(st.integers(-2, 2), min_size=n, max_size=n), max_size=2))
    rows = draw(st.permutations(rows))
    biases = draw(st.none() | st.lists(st.integers(-2, 2), min_size=len(rows), max_size=len(rows)))
    return rows, biases


@settings(max_examples=80)
@given(paired())
def test_what_is_taken_passes_in_all_cells_and_verifies(layer: tuple[list[list[int]], list[int] | None]) -> None:
    rows, biases = layer
    n = len(rows[0])
    lifted = rows if biases is None else [[*r, b] for r, b in zip(rows, biases, strict=True)]
    expected = minimal_active_rank(lifted, n, None if biases is None else [0] * n + [-1]) == n
    network = Network([rows], None if biases is None else [biases])
    verdict = mcinj.check(network, certificate=True)
    assert (verdict.verdict == "injective") == expected
    if taken(network):
        assert expected
        assert (verdict.nodes, verdict.certified) == (0, "exact")
        assert verify(verdict.certificate, network, exact=True).accepted
    elif biases is None and len(rows) <= 2 * n:
        # With 2n rows there are no other injective layers (Puthawala et al.).
        assert not expected


@pytest.mark.parametrize("n", [1, 2, 30])
def test_far_more_rows_do_not_hide_the_pairs(n: int) -> None:
    rng = np.random.default_rng(n)
    b = rng.standard_normal((n, n))
    rows = rng.permutation(np.vstack([b, -np.ldexp(b, rng.integers(-3, 4, (n, 1))), rng.standard_normal((3 * n, n))]))
    verdict = mcinj.check(rows, certificate=True)
    assert (verdict.verdict, verdict.nodes) == ("injective", 0)
    assert verify(verdict.certificate, Network([rows]), exact=True).accepted


def test_nearly_opposite_rows_are_not_opposite() -> None:
    b = np.random.default_rng(0).standard_normal((3, 3))
    assert taken(Network([np.vstack([b, -b])]))
    near = -b.copy()
    near[1, 2] = np.nextafter(near[1, 2], 10.0)
    assert not taken(Network([np.vstack([b, near])]))
    assert mcinj.check(np.vstack([b, near])).verdict == "not_injective"
    # A product that is rounded is another direction; as a rational it is not.
    assert not taken(Network([np.vstack([b, -b * 0.1])]))
    exact = [[-Fraction(1, 10) * Fraction(float(v)) for v in row] for row in b]
    assert taken(Network([[*[[Fraction(float(v)) for v in row] for row in b], *exact]]))


def test_biases_must_leave_one_of_the_two_active() -> None:
    rows = [[1, 0], [0, 1], [-2, 0], [0, -1]]
    for biases, verdict in (([1, 0, -2, 0], True), ([1, 0, 3, 5], True), ([1, 0, -3, 0], False)):
        network = Network([rows], [biases])
        assert taken(network) == verdict
        assert (mcinj.check(network).verdict == "injective") == verdict
    # The best of parallel units counts.
    assert taken(Network([[*rows, [2, 0]]], [[-9, 0, -2, 0, 2]]))


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_sizes_far_apart(scale: float) -> None:
    b = np.random.default_rng(1).standard_normal((4, 4))
    rows = np.vstack([b, -b]) * np.where(np.arange(8) % 3 == 0, 2.0**-500, 1.0)[:, None]
    assert taken(Network([rows]))
    assert taken(Network([np.vstack([b, -b]) * 2.0 ** np.round(np.log2(scale))]))
    assert not taken(Network([np.zeros((5, 2))]))


@settings(max_examples=40)
@given(paired(), st.data())
def test_layers_one_by_one(layer: tuple[list[list[int]], list[int] | None], data: Any) -> None:
    """Two layers: passes without a node are those where both have such rows, and each passes in all of its cells."""
    rows, biases = layer
    width = len(rows)
    factors = data.draw(st.lists(st.sampled_from([-2, -1, 1]), min_size=width, max_size=width))
    second = [[int(i == j) for j in range(width)] for i in range(width)]
    second += [[f * v for v in row] for f, row in zip(factors, second, strict=True)]
    network = Network([rows, second], None if biases is None else [biases, [0] * len(second)])
    both = taken(network.layer(1)) and taken(network.layer(2))
    for criterion in ("global", "regional"):
        verdict = mcinj.check(network, criterion, node_budget=0, certificate=True)
        if not both:
            continue
        assert (verdict.verdict, verdict.nodes, verdict.certified) == ("injective", 0, "exact")
        assert verify(verdict.certificate, network, exact=True).accepted
        lifted = rows if biases is None else [[*r, b] for r, b in zip(rows, biases, strict=True)]
        n = len(rows[0])
        assert minimal_active_rank(lifted, n, None if biases is None else [0] * n + [-1]) == n
        assert set(factors) <= {-1, -2}
    if not both and set(factors) <= {-1, -2} and not taken(network.layer(1)):
        assert mcinj.check(network, "regional", node_budget=0).verdict != "injective"


def test_wide_layers_of_opposites_need_no_search() -> None:
    """Seventy inputs: no list of regions has room for 2^70."""
    rng = np.random.default_rng(3)
    layers, columns = [], 70
    for _ in range(2):
        b = np.eye(columns) * rng.choice([1.0, 0.5, 2.0], columns)
        layers.append(rng.permutation(np.concatenate([b, -b])))
        columns *= 2
    for criterion in ("global", "regional", "layerwise"):
        verdict = mcinj.check(layers, criterion, certificate=True)
        assert (verdict.verdict, verdict.certified, verdict.nodes) == ("injective", "exact", 0)
        assert verify(verdict.certificate, Network(layers), exact=True).accepted


def test_a_row_too_few_is_searched() -> None:
    first = [[1, 0], [0, 1], [-1, 0], [0, -1]]
    second = [[int(i == j) for j in range(4)] for i in range(4)]
    opposite = [[-v for v in row] for row in second]
    assert mcinj.check([first, second + opposite]).nodes == 0
    # The outputs depend on h_1 + h_2 + h_4 only.
    blind = mcinj.check([first, [[1, 1, 0, 1], [-1, -1, 0, -1]]])
    assert blind.verdict == "not_injective"
