"""Thresholds against decisions at both sides, exact laws, and what a stream may do."""

from __future__ import annotations

import numpy as np
import pytest
from naive.arrangement import minimal_active_rank

from mcinj.decide.layer.threshold import one_layer_threshold
from mcinj.decide.layer.tree import decide_one_layer
from mcinj.decide.verdict import Certified, Outcome
from mcinj.errors import InputError
from mcinj.networks import Network
from mcinj.networks.ensembles import RowStream


class Rows:
    """A finite list of rows, repeated without end."""

    def __init__(self, rows):
        self.rows = np.asarray(rows, dtype=float)

    def take(self, m):
        return np.resize(self.rows, (m, self.rows.shape[1]))


@pytest.mark.parametrize("ensemble", ["gaussian", "uniform", "sphere", "rademacher", "sparse:0.4", "correlated:0.1"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_both_sides_are_decided_the_same_way(ensemble, n):
    for seed in range(12):
        stream = RowStream(ensemble, n, seed)
        found = one_layer_threshold(stream, n, premise=stream.premise)
        assert found.certified is (Certified.GENERIC if stream.premise is not None and n > 1 else Certified.EXACT)
        assert found.m_hi == found.m_lo + 1
        below, above = (Network([stream.take(m)]) for m in (found.m_lo, found.m_hi))
        assert found.witness(stream).collides(below)
        assert decide_one_layer(below).outcome is Outcome.NOT_INJECTIVE
        assert decide_one_layer(above).outcome is Outcome.INJECTIVE


def test_integer_streams_agree_with_all_cells():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 4))
        rows = rng.integers(-2, 3, (8 if n == 3 else 12, n))
        found = one_layer_threshold(Rows(np.vstack([rows, np.eye(n), -np.eye(n)])), n)
        whole = np.vstack([rows, np.eye(n, dtype=int), -np.eye(n, dtype=int)]).tolist()
        assert minimal_active_rank(whole[: found.m_hi], n) == n
        if found.m_lo <= len(whole):
            assert minimal_active_rank(whole[: found.m_lo], n) < n
        assert found.certified is Certified.EXACT


def test_law_of_one_input():
    """n = 1: P(m* <= m) = 1 - 2^{1-m}, mean 3; 4000 draws, standard error 0.022, 5 sigma."""
    widths = [one_layer_threshold(RowStream("gaussian", 1, seed), 1).m_hi for seed in range(4000)]
    assert abs(np.mean(widths) - 3) < 0.112
    assert min(widths) == 2


def test_start_and_scaling_and_exactness_do_not_change_the_threshold():
    for seed in range(6):
        stream = RowStream("gaussian", 5, seed)
        rows = stream.take(400)
        plain = one_layer_threshold(stream, 5)
        scaled = Rows(rows * np.exp(np.random.default_rng(seed).uniform(-300, 300, (400, 1))))
        turned = Rows(rows @ np.linalg.qr(np.random.default_rng(seed).standard_normal((5, 5)))[0])
        for other in (
            one_layer_threshold(scaled, 5),
            one_layer_threshold(turned, 5),
            one_layer_threshold(stream, 5, premise=stream.premise),
            one_layer_threshold(stream, 5, m_start=plain.m_lo),
        ):
            assert (other.m_lo, other.m_hi) == (plain.m_lo, plain.m_hi)


def test_budget_censors_and_never_lies():
    stream = RowStream("gaussian", 7, 3)
    full = one_layer_threshold(stream, 7)
    for budget in (0, 1, 5, 20, 60):
        part = one_layer_threshold(stream, 7, node_budget=budget)
        assert part.nodes <= budget
        assert part.m_lo <= full.m_lo
        assert part.m_hi in (None, full.m_hi)
        assert part.witness(stream).collides(Network([stream.take(part.m_lo)]))
    assert one_layer_threshold(stream, 7, node_budget=full.nodes).m_hi == full.m_hi
    with pytest.raises(InputError, match="node_budget"):
        one_layer_threshold(stream, 7, node_budget=-1)


def test_a_stream_that_never_becomes_injective_is_censored():
    found = one_layer_threshold(Rows([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), 2)
    assert found.m_hi is None
    assert found.m_lo >= 100
    assert found.certified is Certified.NONE
