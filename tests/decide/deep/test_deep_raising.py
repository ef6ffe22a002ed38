"""Raised bounds in deep networks: against all regions by linear programs, and against the search without them."""

from __future__ import annotations

import numpy as np
import pytest
from naive.regions_by_lp import arcs, regions

from mcinj.decide.deep import regions as regional
from mcinj.decide.deep import threshold
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.regions import decide_regional
from mcinj.decide.deep.search import DeepSearch, patterns
from mcinj.decide.deep.threshold import deep_threshold
from mcinj.decide.pairs import collision as pairs
from mcinj.decide.pairs.collision import decide_global
from mcinj.networks import Network, RowStream, sample

RAISES = (0, 1, 2, 3)


def holds(network, target, raises):
    """Whether every region has `target` active units in the last layer, as the search finds, and its nodes."""
    search = DeepSearch(DeepModel.of(network), target, raises=raises)
    answer = search.decide(10**6)
    assert answer is not None
    return answer is True, search.nodes


def listed(network, target, raises):
    """The patterns of regions with fewer than `target` active units, as the search lists them, and its nodes."""
    search = DeepSearch(DeepModel.of(network), target, enumerate_regions=True, raises=raises)
    found = []
    for batch in search.batches(10**6):
        assert batch is not None
        found += patterns(batch.signs, search.model.widths).tolist()
    assert len({tuple(s) for s in found}) == len(found)
    few = {tuple(s) for s in found if sum(v > 0 for v in s[-network.widths[-1] :]) < target}
    return few, search.nodes


def integral(seed, widths, n=2):
    """Small integers, with doubled, opposite and dependent rows."""
    rng = np.random.default_rng(seed)
    weights, before = [], n
    for m in widths:
        rows = rng.integers(-2, 3, (m, before))
        some, other = rng.integers(0, m, 2), rng.integers(0, m, 2)
        rows[some] = rng.integers(-1, 3) * rows[other]
        weights.append(rows)
        before = m
    return Network(weights)


def every_region(network):
    """Signs of all regions, by layer: in the plane by cutting the circle, else by linear programs."""
    if network.n == 2 and not network.has_biases:
        return [signs for _, _, signs, _ in arcs(network)]
    return [signs for _, signs, _ in regions(network)]


def with_biases(network, seed):
    rng = np.random.default_rng(seed)
    return Network(network.weights, [0.4 * rng.standard_normal(m) for m in network.widths])


SMALL = [
    *((sample(2, (11, 12), seed=s), f"gaussian {s}") for s in range(25)),
    *((sample(2, (10, 10, 10), seed=s), f"three layers {s}") for s in range(10)),
    *((integral(s, (9, 10)), f"integers {s}") for s in range(25)),
    *((with_biases(sample(2, (6, 6), seed=s), s), f"biases {s}") for s in range(2)),
    *((sample(3, (8, 8), seed=s), f"space {s}") for s in range(2)),
]


def test_counts_agree_with_all_regions():
    saved = 0
    for network, name in SMALL:
        active = [sum(v > 0 for v in signs[-1]) for signs in every_region(network)]
        for target in range(1, network.n + 1):
            before = None
            for raises in RAISES:
                found, nodes = holds(network, target, raises)
                assert found == (min(active) >= target), (name, target, raises)
                before = nodes if before is None else before
                saved += nodes < before
    assert saved > 0


def test_lists_agree_with_all_regions():
    """Targets from below n to beyond the last layer's width: then every region is listed."""
    saved = 0
    for network, name in SMALL[::2]:
        every = [np.concatenate(signs).astype(int) for signs in every_region(network)]
        hidden, last = sum(network.widths[:-1]), network.widths[-1]
        for target in (1, network.n, 2 * network.n, 2 * network.n + 2, last, last + 1):
            few = {tuple(s) for s in every if (s[hidden:] > 0).sum() < target}
            before = None
            for raises in RAISES:
                found, nodes = listed(network, target, raises)
                plain = {tuple(v for k, v in enumerate(s) if not _constant(k, network)) for s in found}
                assert plain == {tuple(1 if v > 0 else -1 for v in s) for s in few}, (name, target, raises)
                before = nodes if before is None else before
                saved += nodes < before
    assert saved > 10


def _constant(k, network):
    """Whether entry k of a pattern is the unit that a hidden layer of a network with biases has more."""
    ends = np.cumsum([m + 1 for m in network.widths[:-1]]) - 1
    return network.has_biases and k in ends


@pytest.mark.parametrize("decide", [decide_regional, decide_global])
def test_larger_networks_agree_with_the_search_without_raising(decide, monkeypatch):
    outcomes, nodes = set(), dict.fromkeys((0, 2), 0)
    cases = [sample(3, (20, 16 + s % 10), seed=s) for s in range(20)]
    cases += [sample(4, (27, 26 + 2 * s), seed=s) for s in range(4)]
    cases += [with_biases(sample(2, (16 + s % 4, 18), seed=s), s) for s in range(8)]
    for network in cases:
        found = []
        for raises in nodes:
            _without(monkeypatch, raises)
            decision = decide(network)
            found.append((decision.outcome, decision.layer))
            nodes[raises] += decision.nodes
            assert decision.witness is None or decision.witness.collides(network)
        assert found[0] == found[1]
        outcomes.add(found[0][0])
    assert len(outcomes) == 2
    assert nodes[2] < nodes[0]


def _without(monkeypatch, raises):
    """Every search of this test raises at this many missing positives."""
    for module in (regional, pairs, threshold):
        monkeypatch.setattr(module, "DeepSearch", lambda *a, **k: DeepSearch(*a, **{"raises": raises, **k}))


@pytest.mark.parametrize("criterion", ["regional", "global"])
def test_thresholds_of_streams_do_not_change(criterion, monkeypatch):
    checked, nodes = 0, dict.fromkeys((0, 2), 0)
    for seed in range(12):
        n = 2 + seed % 2
        first, rows = sample(n, (7 * n,), seed=seed), RowStream("gaussian", 7 * n, seed, 2)
        found = []
        for raises in nodes:
            _without(monkeypatch, raises)
            answer = deep_threshold(rows, first, criterion, premise=rows.premise)
            nodes[raises] += answer.nodes
            found.append((answer.m_lo, answer.m_hi, answer.failed_layer))
        assert found[0] == found[1]
        checked += found[0][1] is not None
    assert checked >= 4
    assert nodes[2] < nodes[0]
