"""Searched global thresholds against planar geometry, all pairs of regions, proved thresholds, exact forward maps."""

from __future__ import annotations

import doctest
import importlib
from fractions import Fraction

import numpy as np
import pytest
from naive.forward import pre_activations
from naive.planar import collides
from naive.verdicts import passes_global

import mcinj
from mcinj import InputError, Network
from mcinj.decide.probe.collisions import PairProbe, pair_probe
from mcinj.decide.probe.lines import Layers
from mcinj.decide.probe.pair_reach import ExactPairs
from mcinj.decide.probe.pair_walk import doubled
from mcinj.decide.probe.probe import MatrixRows
from mcinj.decide.probe.searched_deep import searched_deep
from mcinj.networks import RowStream, Seed, sample


def drawn(n: int, widths: tuple[int, ...], seed: object, ensemble: str = "gaussian") -> tuple[Network, RowStream]:
    """The earlier layers and the stream behind them that `mcinj.threshold` draws from."""
    first = sample(n, widths, ensemble, seed)  # type: ignore[arg-type]
    return first, RowStream(ensemble, widths[-1], seed, layer=len(widths) + 1)  # type: ignore[arg-type]


def full(first: Network, rows: RowStream, m: int) -> Network:
    return Network([*first.weights, rows.take(m)])


def outputs(network: Network, x: tuple[int, ...]) -> list[Fraction]:
    """By fractions, with none of the package's arithmetic."""
    return [max(v, Fraction(0)) for v in pre_activations(network, [Fraction(v) for v in x])[-1]]


def assert_collides(run: PairProbe, network: Network) -> None:
    x, y = run.pair[: run.n], run.pair[run.n :]
    assert x != y
    assert outputs(network, x) == outputs(network, y)


@pytest.mark.parametrize("widths", [(13,), (12, 13)])
def test_the_best_run_is_the_threshold_of_all_pairs_of_arcs_of_the_plane(widths: tuple[int, ...]) -> None:
    checked = wider = 0
    for seed in range(6):
        first, rows = drawn(2, widths, seed)
        found = searched_deep(rows, first, moves=1500, runs=3, seed=seed, criterion="global")
        if collides(first):
            assert found.m_found is None
            assert found.failed_layer is not None
            continue
        assert found.m_found is not None
        assert collides(full(first, rows, found.m_found))
        assert not collides(full(first, rows, found.m_found + 1))
        regional = searched_deep(rows, first, moves=400, runs=3, seed=seed).m_found
        assert regional is not None
        wider += found.m_found > regional
        checked += 1
    assert checked >= 4
    assert wider >= 2  # pairs in different regions, too


def test_the_best_run_is_the_threshold_of_all_pairs_of_regions_in_space() -> None:
    first, rows = drawn(3, (13,), 4)
    found = searched_deep(rows, first, moves=3000, runs=3, criterion="global")
    assert found.m_found is not None
    for m, passes in ((found.m_found, False), (found.m_found + 1, True)):
        assert passes_global(full(first, rows, m).exact_weights) is passes


@pytest.mark.parametrize(("n", "widths", "moves"), [(2, (13, 17), 2000), (3, (20,), 4000), (3, (20, 25), 4000)])
def test_no_run_contradicts_a_proof_and_the_best_mostly_reaches_it(n: int, widths: tuple[int, ...], moves: int) -> None:
    reached = 0
    for trial in range(6):
        seed = Seed(13).child(n, trial)
        first, rows = drawn(n, widths, seed)
        found = searched_deep(rows, first, moves=moves, runs=3, seed=seed, criterion="global")
        proved = mcinj.threshold(n, widths, seed=seed, criterion="global")
        if found.failed_layer is not None:
            assert proved.failed_layer == found.failed_layer
        else:
            assert proved.failed_layer is None
            assert proved.m_star is not None
            assert found.m_searched <= proved.m_star
        reached += found.m_searched == proved.m_star
        for run in found.runs:
            assert isinstance(run, PairProbe)
            network = first.prefix(run.failed_layer) if run.failed_layer else full(first, rows, run.m_found or 0)
            assert_collides(run, network)
            assert run.witness(rows, first).collides(network)
    assert reached >= 5


@pytest.mark.parametrize("ensemble", ["rademacher", "sparse:0.6", "correlated:0.5"])
@pytest.mark.parametrize("moves", [0, 1, 300])
def test_every_run_is_a_lower_bound_with_a_collision(ensemble: str, moves: int) -> None:
    for trial in range(3):
        seed = Seed(5).child(2, trial)
        first, rows = drawn(2, (16,), seed, ensemble)
        proved = mcinj.threshold(2, (16,), ensemble=ensemble, seed=seed, criterion="global")
        for run in searched_deep(rows, first, moves=moves, runs=2, seed=seed, criterion="global").runs:
            assert isinstance(run, PairProbe)
            if run.failed_layer is not None:
                assert proved.failed_layer == run.failed_layer
                assert_collides(run, first.prefix(run.failed_layer))
            elif proved.failed_layer is None:
                assert run.m_found is not None
                assert proved.m_hi is not None
                assert 1 <= run.m_found < proved.m_hi
                assert_collides(run, full(first, rows, run.m_found))


@pytest.mark.parametrize(("widths", "layer"), [((8,), 1), ((2,), 1), ((20, 6), 2), ((20, 22, 7), 3)])
def test_earlier_layers_that_fail(widths: tuple[int, ...], layer: int) -> None:
    seen = set()
    for seed in range(3):
        first, rows = drawn(3, widths, seed)
        found = searched_deep(rows, first, moves=2000, runs=2, seed=seed, criterion="global")
        assert found.failed_layer is not None
        assert found.m_found is None
        assert found.m_searched == float("inf")
        assert found.witness(rows, first).collides(first.prefix(found.failed_layer))
        seen.add(found.failed_layer)
    assert layer in seen


def test_the_doubled_network_has_three_functionals_per_row() -> None:
    rng = np.random.default_rng(1)
    network = Network([rng.standard_normal(shape) for shape in ((7, 3), (6, 7), (5, 6))])
    net = doubled(Layers.of(network.weights))
    for _ in range(5):
        x, y = rng.standard_normal((2, 3))
        here, there = network.pre_activations(x), network.pre_activations(y)
        values = net.values(np.concatenate([x, y]))
        for k, (a, b) in enumerate(zip(here[:-1], there[:-1], strict=True)):
            assert np.allclose(values[net.zoff[k] : net.zoff[k + 1]], np.concatenate([a, b]))
        last = values[net.zoff[-2] :].reshape(-1, 3)
        assert np.allclose(last, np.stack([here[-1] - there[-1], here[-1], there[-1]], axis=1))


@pytest.mark.parametrize("widths", [(9,), (9, 10)])
def test_exact_reach_by_fractions(widths: tuple[int, ...]) -> None:
    rng = np.random.default_rng(7)
    reaches = set()
    for _ in range(60):
        network = Network(
            [rng.integers(-2, 3, s) / 4.0 for s in zip([*widths, 12], [3, *widths], strict=True)]
        )  # fmt: skip
        pair = tuple(int(v) for v in rng.integers(-3, 4, 6))
        exact = ExactPairs(network.prefix(len(widths)), MatrixRows(network.weights[-1]))
        x, y = pair[:3], pair[3:]
        same = [a == b for a, b in zip(outputs(network, x), outputs(network, y), strict=True)]
        expected = 0 if x == y else ([*same, False].index(False))
        assert exact.reach(pair, 12) == expected
        assert exact.failing_layer((*x, *x)) is None
        early = [
            k for k in range(1, len(widths) + 1) if outputs(network.prefix(k), x) == outputs(network.prefix(k), y)
        ]  # fmt: skip
        assert exact.failing_layer(pair) == (min(early, default=None) if x != y else None)
        here, there = (pre_activations(network, [Fraction(v) for v in p]) for p in (x, y))
        equal = sum(a > 0 and b > 0 for a, b in zip(here[-1], there[-1], strict=True))
        crossed = sum((a > 0) != (b > 0) for s, t in zip(here[:-1], there[:-1]) for a, b in zip(s, t, strict=True))
        assert exact.describe(pair, 12) == (equal, crossed)
        reaches.add(expected)
    assert len(reaches) >= 3


def test_pairs_are_equalised_in_their_pieces() -> None:
    rng = np.random.default_rng(2)
    first, rows = drawn(4, (20,), 3)
    exact = ExactPairs(first, rows)
    network = full(first, rows, 12)
    for _ in range(20):
        x = rng.standard_normal(4)
        pair = exact.equalised(np.concatenate([x, x + 1e-7 * rng.standard_normal(4)]), [1, 5, 8])
        assert pair is not None
        here, there = (pre_activations(network, [Fraction(v) for v in p])[-1] for p in (pair[:4], pair[4:]))
        assert [here[j] for j in (1, 5, 8)] == [there[j] for j in (1, 5, 8)]
        assert here != there
    assert exact.equalised(np.full(8, np.nan), [1]) is None
    assert exact.equalised(np.zeros(8), []) is None


def test_one_input() -> None:
    for seed in range(10):
        first, rows = drawn(1, (6,), seed)
        found = searched_deep(rows, first, moves=100, runs=2, seed=seed, criterion="global")
        assert found.m_searched == mcinj.threshold(1, (6,), seed=seed, criterion="global").m_star


def test_degenerate_rows() -> None:
    rng = np.random.default_rng(3)
    square = rng.standard_normal((3, 3))
    first = Network([np.vstack([square, -square])])
    # No rows that say anything: every width there is fails.
    assert searched_deep(np.zeros((5, 6)), first, moves=50, runs=2, criterion="global").m_found == 5
    assert searched_deep(np.ones((2, 6)), first, moves=50, runs=2, criterion="global").m_found == 2
    # Copies of rows that suffice add nothing: the last of them is needed, one before it is not.
    doubled_rows = np.repeat(np.eye(6), 2, axis=0)
    assert searched_deep(doubled_rows, first, moves=500, runs=2, criterion="global").m_found == 10
    # Scales of layers and rows are no matter.
    first, rows = drawn(3, (20,), 5)
    scaled = Network([first.weights[0] * 2.0**-600])
    plain = searched_deep(rows.take(40), first, moves=100, runs=2, criterion="global")
    tiny = searched_deep(rows.take(40) * 2.0**300, scaled, moves=100, runs=2, criterion="global")
    assert [r.m_found for r in plain.runs] == [r.m_found for r in tiny.runs]


def test_runs_are_the_same_again_and_independent_of_their_number() -> None:
    first, rows = drawn(4, (27,), 2)
    few, many = (searched_deep(rows, first, moves=600, runs=k, seed=9, criterion="global").runs for k in (2, 4))
    assert [r.history for r in few] == [r.history for r in many[:2]]
    pairs = [r.pair for r in many if isinstance(r, PairProbe)]
    assert [r.pair for r in few if isinstance(r, PairProbe)] == pairs[:2]
    assert len(set(pairs)) == 4


def test_docstring_examples() -> None:
    found = doctest.testmod(importlib.import_module("mcinj.decide.probe.collisions"))
    assert found.attempted >= 2
    assert not found.failed


def test_bad_arguments() -> None:
    first, rows = drawn(3, (20,), 0)
    with pytest.raises(InputError, match="moves must be"):
        pair_probe(rows, first, moves=-1)
    with pytest.raises(InputError, match="one entry per unit"):
        pair_probe(np.eye(3), first, moves=5)
    with pytest.raises(InputError, match="without biases"):
        pair_probe(rows, Network(first.weights, [np.ones(20)]), moves=5)
    with pytest.raises(InputError, match="'layerwise'"):
        searched_deep(rows, first, moves=5, criterion="layerwise")
    found = pair_probe(rows, first, moves=200)
    with pytest.raises(InputError, match="not the rows"):
        found.witness(np.vstack([np.eye(20), -np.eye(20)]), first)
