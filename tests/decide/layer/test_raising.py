"""Raised bounds count positives: against all cells, against the search without them, for any weights."""

from __future__ import annotations

import numpy as np
import pytest
from naive.arrangement import cells

from mcinj.decide.layer import threshold
from mcinj.decide.layer.exact import products, small_multiple
from mcinj.decide.layer.fields import DONE, RESOLVE, TARGET, WITNESS
from mcinj.decide.layer.frames import Frames
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.threshold import one_layer_threshold
from mcinj.networks import Network, Premise
from mcinj.networks.ensembles import RowStream

OPTIONS = [{}, {"raises": 1}, {"raises": 2, "thorough": False}, {"raises": 3}]


def holds(layer, target, **options):
    """Whether the search finds that every cell has `target` active rows, whatever the weights, and its nodes."""
    frames = Frames(layer, ranked=False, keep=False, **options)
    frames.gi[TARGET] = target
    while True:
        reason = frames.run(10**6)
        if reason != RESOLVE:
            assert reason in (DONE, WITNESS)
            return reason == DONE, frames.nodes
        point = frames.resolve()
        if point is not None:
            values = products(layer.integers, small_multiple(point))
            outside = layer.half_space and values[0] >= 0
            if not outside and sum(v >= 0 and not layer.idle[i] for i, v in enumerate(values)) < target:
                return False, frames.nodes


def integer_rows(rng, n, m):
    """Small integers, with duplicated, opposite and dependent rows."""
    rows = rng.integers(-2, 3, (m, n))
    kind = rng.integers(5)
    some, other = rng.integers(0, m, 3), rng.integers(0, m, 3)
    if kind == 0:
        rows[some] = 2 * rows[other]
    elif kind == 1:
        rows[some] = -rows[other]
    elif kind == 2:
        rows[some] = rows[other] + rows[rng.integers(0, m, 3)]
    elif kind == 3:
        rows = np.vstack([rows[: m // 2], -rows[: m // 2]])
    return rows


@pytest.mark.parametrize("biased", [False, True])
def test_counts_of_integer_layers_agree_with_all_cells(biased):
    raised = 0
    for seed in range(90):
        rng = np.random.default_rng([seed, biased])
        n = int(rng.integers(1, 4 if biased else 5))
        rows = integer_rows(rng, n, int(rng.integers(max(n, 2), 13 if n < 4 else 11)))
        biases = rng.integers(-2, 3, len(rows)) if biased else None
        network = Network([rows.astype(float)], None if biases is None else [biases.astype(float)])
        layer = Layer.of(network)
        if layer.rank() < n:
            continue
        lifted = (rows if biases is None else np.column_stack([rows, biases])).tolist()
        everything = [*lifted, [0] * n + [-1]] if biased else lifted
        signs = [s for s in cells(everything, len(everything[0])) if not biased or s[-1] < 0]
        idle = [not any(r) for r in rows.tolist()]
        least = min(sum(v > 0 and not i for v, i in zip(s, idle, strict=False)) for s in signs)
        for target in range(1, n + 1):
            plain, before = holds(layer, target, raises=0)
            assert plain == (least >= target)
            for options in OPTIONS:
                found, nodes = holds(layer, target, **options)
                assert found == plain, (seed, target, options)
                raised += nodes < before
    assert raised > 8


def test_larger_layers_agree_with_the_search_without_raising():
    outcomes = [0, 0]
    for seed in range(80):
        rng = np.random.default_rng([5, seed])
        n = int(rng.integers(4, 9))
        m = int(rng.integers(5 * n, 7 * n + 1))
        rows = rng.standard_normal((m, n)) if seed % 2 else integer_rows(rng, n, m).astype(float)
        biases = [rng.standard_normal(len(rows))] if seed % 3 == 0 else None
        layer = Layer.of(Network([rows], biases))
        if layer.rank() < n:
            continue
        expected, _ = holds(layer, n, raises=0)
        outcomes[expected] += 1
        for options in OPTIONS:
            assert holds(layer, n, **options)[0] == expected, (seed, options)
    assert min(outcomes) > 10


def test_raising_makes_the_tree_smaller():
    before = after = 0
    for seed in range(6):
        layer = Layer(np.random.default_rng([9, seed]).standard_normal((63, 9)), 9, generic=True)
        plain, nodes = holds(layer, 9, raises=0)
        found, fewer = holds(layer, 9)
        assert plain == found
        before += nodes
        after += fewer
    assert after < before / 2


@pytest.mark.parametrize("n", [2, 4, 6, 8])
def test_thresholds_are_those_of_the_search_without_raising(n, monkeypatch):
    class Plain(Frames):
        def __init__(self, *args, **options):
            super().__init__(*args, **options, raises=0)

    for ensemble in ("gaussian", "uniform", "correlated:0.1"):
        for seed in range(8):
            stream = RowStream(ensemble, n, seed)
            found = one_layer_threshold(stream, n, premise=Premise.DRAWN)
            with monkeypatch.context() as patch:
                patch.setattr(threshold, "Frames", Plain)
                plain = one_layer_threshold(stream, n, premise=Premise.DRAWN)
            assert (found.m_lo, found.m_hi) == (plain.m_lo, plain.m_hi)
            assert found.nodes <= plain.nodes
