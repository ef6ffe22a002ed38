"""The one-layer engine against exhaustive enumeration of cells, known verdicts and invariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.arrangement import cells, minimal_active_rank

from mcinj.decide.layer.tree import decide_one_layer
from mcinj.decide.verdict import Certified, Outcome
from mcinj.networks import Network


def injective(weights, biases=None, **options):
    network = Network([weights], None if biases is None else [biases])
    decision = decide_one_layer(network, **options)
    assert decision.outcome is not Outcome.UNKNOWN
    if decision.outcome is Outcome.NOT_INJECTIVE:
        assert decision.certified is Certified.EXACT
        assert decision.witness.collides(network)
    return decision.outcome is Outcome.INJECTIVE


def integers(low, high, n_max=4, m_max=11):
    return st.integers(1, n_max).flatmap(
        lambda n: st.lists(
            st.lists(st.integers(low, high), min_size=n, max_size=n), min_size=1, max_size=m_max if n < 4 else 9
        )
    )


@settings(max_examples=300, deadline=None, derandomize=True)
@given(integers(-2, 2))
def test_small_integer_layers_agree_with_all_cells(rows):
    assert injective(rows) == (minimal_active_rank(rows, len(rows[0])) == len(rows[0]))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(integers(-1, 1), st.data())
def test_layers_with_opposite_rows_agree_with_all_cells(rows, data):
    """Opposite rows make many degenerate passes, which random integers rarely give."""
    n = len(rows[0])
    signs = data.draw(st.lists(st.sampled_from([-3, -1, 1]), min_size=len(rows), max_size=len(rows)))
    rows = rows + [[s * v for v in r] for s, r in zip(signs, rows, strict=True)]
    rows = rows[: 14 if n < 4 else 10]
    assert injective(rows) == (minimal_active_rank(rows, n) == n)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(integers(-2, 2, n_max=3, m_max=9), st.data())
def test_small_integer_layers_with_biases_agree_with_all_cells(rows, data):
    n = len(rows[0])
    biases = data.draw(st.lists(st.integers(-2, 2), min_size=len(rows), max_size=len(rows)))
    lifted = [[*r, b] for r, b in zip(rows, biases, strict=True)]
    expected = minimal_active_rank(lifted, n, [0] * n + [-1]) == n
    assert injective(rows, biases) == expected


@pytest.mark.parametrize("n", [2, 3, 4])
def test_gaussian_layers_agree_with_all_cells(n):
    seen = set()
    for seed in range(25 if n < 4 else 6):
        rng = np.random.default_rng([n, seed])
        a = rng.standard_normal((int(rng.integers(2 * n, 4 * n + (n < 4) * 4)), n))
        whole = [[int(v * 2**60) for v in r] for r in a.tolist()]  # a fine enough copy: same signs
        least = min(sum(s > 0 for s in c) for c in cells(whole, n))
        seen.add(least >= n)
        assert injective(a) == (least >= n) == injective(a, exact=True)
    assert n == 4 or seen == {True, False}
