"""Deep searched thresholds against enumeration of regions, proved thresholds, and the network's own values."""

from __future__ import annotations

import doctest
import importlib
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from naive.arrangement import rank
from naive.regions_by_lp import passes_regional, passes_regional_in_the_plane

import mcinj
from mcinj import InputError, Network
from mcinj.decide.probe.deep import deep_probe
from mcinj.decide.probe.deep_reach import ExactStream, integer_point
from mcinj.decide.probe.lines import Layers, Sweep, Zeros, slopes_along, sweep
from mcinj.decide.probe.probe import MatrixRows
from mcinj.decide.probe.searched_deep import searched_deep
from mcinj.networks import RowStream, Seed, sample


def drawn(n: int, widths: tuple[int, ...], seed: object, ensemble: str = "gaussian") -> tuple[Network, RowStream]:
    """The earlier layers and the stream behind them that `mcinj.threshold` draws from."""
    first = sample(n, widths, ensemble, seed)  # type: ignore[arg-type]
    return first, RowStream(ensemble, widths[-1], seed, layer=len(widths) + 1)  # type: ignore[arg-type]


def full(first: Network, rows: RowStream, m: int) -> Network:
    return Network([*first.weights, rows.take(m)])


@pytest.mark.parametrize("widths", [(13,), (12, 13)])
def test_the_best_run_is_the_threshold_of_all_arcs_of_the_plane(widths: tuple[int, ...]) -> None:
    checked = failed = 0
    for seed in range(12):
        first, rows = drawn(2, widths, seed)
        found = searched_deep(rows, first, moves=400, runs=3, seed=seed)
        if not passes_regional_in_the_plane(first):
            assert found.m_found is None
            assert found.m_searched == float("inf")
            failed += 1
            continue
        assert found.failed_layer is None
        assert found.m_found is not None
        assert not passes_regional_in_the_plane(full(first, rows, found.m_found))
        assert passes_regional_in_the_plane(full(first, rows, found.m_found + 1))
        checked += 1
    assert checked >= 6


def test_the_best_run_is_the_threshold_of_all_regions_in_space() -> None:
    first, rows = drawn(3, (14,), 4)
    found = searched_deep(rows, first, moves=600, runs=3)
    assert found.m_found is not None
    assert found.m_found >= 6
    assert not passes_regional(full(first, rows, found.m_found))
    assert passes_regional(full(first, rows, found.m_found + 1))


@pytest.mark.parametrize(("n", "widths"), [(2, (13, 17, 19)), (3, (20,)), (3, (20, 25)), (4, (27,)), (4, (80,))])
def test_the_best_run_is_the_proved_threshold(n: int, widths: tuple[int, ...]) -> None:
    for trial in range(8):
        seed = Seed(13).child(n, trial)
        found = searched_deep(*drawn(n, widths, seed)[::-1], moves=1000, runs=4, seed=seed)
        proved = mcinj.threshold(n, widths, seed=seed)
        assert found.failed_layer == proved.failed_layer
        assert found.m_searched == proved.m_star


@pytest.mark.parametrize("ensemble", ["gaussian", "rademacher", "sparse:0.6", "correlated:0.5"])
@pytest.mark.parametrize("moves", [0, 1, 40])
def test_every_run_is_a_lower_bound_with_a_collision(ensemble: str, moves: int) -> None:
    for trial in range(4):
        seed = Seed(5).child(3, trial)
        first, rows = drawn(3, (22,), seed, ensemble)
        found = searched_deep(rows, first, moves=moves, runs=3, seed=seed)
        proved = mcinj.threshold(3, (22,), ensemble=ensemble, seed=seed)
        for run in found.runs:
            if run.failed_layer is not None:
                assert proved.failed_layer == run.failed_layer
                assert run.witness(rows, first).collides(first.prefix(run.failed_layer))
            elif proved.failed_layer is None:
                assert run.m_found is not None
                assert proved.m_hi is not None
                assert 2 <= run.m_found < proved.m_hi
                assert run.witness(rows, first).collides(full(first, rows, run.m_found))


@pytest.mark.parametrize(("widths", "layer"), [((8,), 1), ((2,), 1), ((14, 4), 2), ((14, 15, 5), 3)])
def test_earlier_layers_that_fail(widths: tuple[int, ...], layer: int) -> None:
    seen = set()
    for seed in range(4):
        first, rows = drawn(3, widths, seed)
        found = searched_deep(rows, first, moves=800, runs=2, seed=seed)
        assert found.failed_layer == mcinj.threshold(3, widths, seed=seed).failed_layer
        assert found.failed_layer is not None
        assert found.m_found is None
        assert found.witness(rows, first).collides(first.prefix(found.failed_layer))
        assert 1 <= found.agreeing <= 2
        seen.add(found.failed_layer)
    assert layer in seen


@pytest.mark.parametrize("widths", [(12,), (14, 13), (15, 14, 16)])
def test_a_line_shows_all_zeros_of_the_last_layer_and_its_counts(widths: tuple[int, ...]) -> None:
    """The sweep against the network's own values at its zeros, between them, and on a grid."""
    rng = np.random.default_rng(len(widths))
    n, have = 4, 15
    network = Network([rng.standard_normal((a, b)) for a, b in zip([*widths, have], [n, *widths], strict=True)])
    net = Layers.of(network.weights)
    seen: set[float] = set()
    for _ in range(40):
        x, d = rng.standard_normal((2, n))
        z = np.concatenate(network.pre_activations(x))
        s = np.empty_like(z)
        slopes_along(net, z, d, s)
        shape = (len(net.size), int(net.size.max()))
        room = Sweep(*np.empty((3, len(z))), np.empty(shape), np.empty(shape, dtype=np.int64))
        at = np.empty(400)
        unit, key = np.empty((2, 400), dtype=np.int64)
        skip, events = np.zeros(have, dtype=np.bool_), 0
        for sign in (1.0, -1.0):
            events = sweep(net, have, skip, sign, 10**9, z, s, room, Zeros(at, unit, key), events)
        for t, j, count in zip(at[:events], unit[:events], key[:events], strict=True):
            y = network.pre_activations(x + t * d)[-1]
            assert abs(y[j]) < 1e-9 * (1 + abs(t)) * np.abs(y).max()
            assert (np.delete(y, j) > 0).sum() == count
        order = np.argsort(at[:events])
        seen.update(np.sign(at[:events]))
        # Between two zeros the signs stay, beside a zero only its row's sign changes.
        ends = np.concatenate([[-900.0], at[order], [900.0]])
        signs = [network.pre_activations(x + t * d)[-1] > 0 for t in (ends[1:] + ends[:-1]) / 2]
        for e, (a, b) in enumerate(pairwise(signs)):
            assert np.flatnonzero(a != b).tolist() == [unit[order[e]]]
        for t in np.tan(np.linspace(-1.5, 1.5, 500)):
            here = signs[int(np.searchsorted(ends, t)) - 1]
            assert (network.pre_activations(x + t * d)[-1] > 0).tolist() == here.tolist()
    assert seen == {1.0, -1.0}


def reach_by_fractions(network: Network, x: list[int]) -> tuple[int | None, int]:
    """(failing earlier layer, last width up to which the rows not negative at x have rank below n), in Fractions."""
    gradients = [[Fraction(int(i == j)) for j in range(network.n)] for i in range(network.n)]
    for k, w in enumerate(network.weights, 1):
        own = [[sum((Fraction(a) * g[c] for a, g in zip(row, gradients, strict=True)), Fraction(0))
                for c in range(network.n)] for row in w.tolist()]  # fmt: skip
        values = [sum((a * b for a, b in zip(g, x, strict=True)), Fraction(0)) for g in own]
        if k == network.depth:
            for m in range(1, len(own) + 1):
                if rank([g for g, v in zip(own[:m], values[:m], strict=True) if v >= 0]) == network.n:
                    return None, m - 1
            return None, len(own)
        gradients = [g if v > 0 else [Fraction(0)] * network.n for g, v in zip(own, values, strict=True)]
        if rank(gradients) < network.n:
            return k, len(network.weights[-1])
    raise AssertionError


@pytest.mark.parametrize("widths", [(9,), (9, 10)])
def test_exact_reach_by_fractions(widths: tuple[int, ...]) -> None:
    rng = np.random.default_rng(7)
    failed = 0
    for _ in range(60):
        shapes = zip([*widths, 12], [3, *widths], strict=True)
        network = Network([rng.integers(-2, 3, shape) / 4.0 for shape in shapes])
        x = rng.integers(-50, 51, 3).tolist()
        stream = ExactStream(network.prefix(len(widths)), MatrixRows(network.weights[-1]))
        if any((z == 0).any() for z in network.pre_activations(np.array(x, dtype=float))[:-1]):
            continue  # an input on a boundary, or a dead unit
        layer, reach = reach_by_fractions(network, x)
        assert stream.failing_layer(x) == layer
        assert stream.reach(x, 12) == reach
        failed += layer is not None
    assert failed >= 2


def test_points_on_a_boundary_show_nothing_and_dead_units_do_not_matter() -> None:
    layer = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    rows = np.array([[1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 4.0, 3.0]])
    inside, boundary = [2, 3], [0, 3]
    assert ExactStream(Network([layer]), MatrixRows(rows)).reach(boundary, 2) == 0
    dead = np.vstack([layer, np.zeros((1, 2))])
    behind = np.hstack([rows, np.ones((2, 1))])
    for network, last in ((Network([layer]), rows), (Network([dead]), behind)):
        assert ExactStream(network, MatrixRows(last)).reach(inside, 2) == 1
        assert ExactStream(network, MatrixRows(last)).failing_layer(inside) is None
    assert integer_point(np.array([np.nan, 1.0])) is None
    assert integer_point(np.zeros(2)) is None


def test_one_input() -> None:
    for seed in range(10):
        first, rows = drawn(1, (6,), seed)
        found = searched_deep(rows, first, moves=20, runs=2, seed=seed)
        assert found.m_searched == mcinj.threshold(1, (6,), seed=seed).m_star
        assert found.agreeing == 2


def test_degenerate_rows() -> None:
    rng = np.random.default_rng(3)
    square = rng.standard_normal((3, 3))
    first = Network([np.vstack([square, -square])])
    assert mcinj.check(first).verdict == "injective"
    # No rows that say anything: every width there is fails.
    assert searched_deep(np.zeros((5, 6)), first, moves=50, runs=2).m_found == 5
    # Fewer rows than inputs, whatever they are.
    assert searched_deep(np.ones((2, 6)), first, moves=50, runs=2).m_found == 2
    # Copies of rows that suffice add nothing: the last of them is needed, one before it is not.
    needed = np.eye(6)
    doubled = np.repeat(needed, 2, axis=0)
    found = searched_deep(doubled, first, moves=200, runs=2)
    assert found.m_found == 10
    assert mcinj.check(Network([*first.weights, doubled[:11]]), "regional").verdict == "injective"
    assert mcinj.check(Network([*first.weights, doubled[:10]]), "regional").verdict == "not_injective"
    # Scales of layers and rows are no matter.
    first, rows = drawn(3, (20,), 5)
    scaled = Network([first.weights[0] * 2.0**-600])
    plain = searched_deep(rows.take(40), first, moves=100, runs=2)
    tiny = searched_deep(rows.take(40) * 2.0**300, scaled, moves=100, runs=2)
    assert [r.m_found for r in plain.runs] == [r.m_found for r in tiny.runs]


def test_runs_are_the_same_again_and_independent_of_their_number() -> None:
    first, rows = drawn(5, (34,), 2)
    few, many = (searched_deep(rows, first, moves=200, runs=k, seed=9) for k in (2, 4))
    assert [r.history for r in few.runs] == [r.history for r in many.runs[:2]]
    assert [r.point for r in few.runs] == [r.point for r in many.runs[:2]]
    assert len({r.point for r in many.runs}) == 4
    other = searched_deep(rows, first, moves=200, runs=2, seed=10)
    assert other.runs[0].point != few.runs[0].point


@pytest.mark.parametrize("name", ["deep", "searched_deep"])
def test_docstring_examples(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"mcinj.decide.probe.{name}"))
    assert found.attempted >= 2
    assert not found.failed


def test_bad_arguments() -> None:
    first, rows = drawn(3, (20,), 0)
    with pytest.raises(InputError, match="moves must be"):
        deep_probe(rows, first, moves=-1)
    with pytest.raises(InputError, match="runs must be"):
        searched_deep(rows, first, moves=5, runs=0)
    with pytest.raises(InputError, match="one entry per unit"):
        deep_probe(np.eye(3), first, moves=5)
    with pytest.raises(InputError, match="without biases"):
        deep_probe(rows, Network(first.weights, [np.ones(20)]), moves=5)
    found = deep_probe(rows, first, moves=200)
    with pytest.raises(InputError, match="not the rows"):
        found.witness(np.vstack([np.eye(20), -np.eye(20)]), first)
