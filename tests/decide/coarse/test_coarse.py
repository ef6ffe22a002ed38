"""Coarse cells and their pairs: what is said of them holds at their points, verdicts are those of all regions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from naive import planar
from naive.forward import pre_activations

import mcinj
from mcinj.certify.witness import Witness
from mcinj.decide.coarse import store as cs
from mcinj.decide.coarse.search import Coarse
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.regions import decide_regional
from mcinj.decide.joint.collision import joint_collision
from mcinj.decide.verdict import Reason
from mcinj.networks import Network, sample

LIMIT = 10**7


def with_biases(network: Network, seed: int) -> Network:
    rng = np.random.default_rng(seed)
    return Network(network.weights, [rng.standard_normal(m) for m in network.widths])


def drawn(n: int, widths: tuple[int, ...], seed: int, biased: bool) -> Network:
    network = sample(n, widths, seed=seed)
    return with_biases(network, seed) if biased else network


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(("n", "widths"), [(2, (9, 11)), (2, (7, 8, 9)), (3, (12, 15))])
def test_signs_hold_at_points_of_a_cell(n: int, widths: tuple[int, ...], biased: bool) -> None:
    network = drawn(n, widths, 3, biased)
    coarse = Coarse(DeepModel.of(network), network, LIMIT)
    coarse.pairs()
    tree = coarse.tree
    rng = np.random.default_rng(5)
    points = [[Fraction(float(v)).limit_denominator(1000) for v in x] for x in 3 * rng.standard_normal((150, n))]
    seen = 0
    for x in points:
        levels = pre_activations(network, x)
        hidden = [v for layer in levels[:-1] for v in (*layer, *([Fraction(1)] if biased else []))]
        # Down the tree: a point lies in the child on its side of the row that was added.
        cell = 0
        while True:
            for i, v in enumerate(hidden):
                on, off = (int(bits[cell, i // 64]) >> (i % 64) & 1 for bits in (tree.ON, tree.OFF))
                assert not (on and v < 0)
                assert not (off and v > 0)
            for j, v in enumerate(levels[-1]):
                above, below = (int(bits[cell, j // 64]) >> (j % 64) & 1 for bits in (tree.ABOVE, tree.BELOW))
                assert not (above and v <= 0)
                assert not (below and v > 0)
                seen += above + below
            sides = [int(tree.KID[cell, s]) for s in range(2)]
            child = next((c for c in sides if c >= 0), None)
            if child is None:
                break
            unit, up = divmod(int(tree.PATH[child, tree.LEN[child] - 1]) - int(biased), 2)
            side = hidden[unit] > 0
            assert sides[int(side)] != cs.EMPTY, "a point of a cell that was proved empty"
            assert bool(up) == (sides[1] == child)
            cell = sides[int(side)]
    assert seen > 100


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(("n", "widths", "seeds"), [(2, (11, 12), 6), (2, (9, 10, 10), 4), (3, (17, 18), 2)])
def test_answers_are_those_of_all_regions(n: int, widths: tuple[int, ...], seeds: int, biased: bool) -> None:
    outcomes = set()
    wide = tuple(m + 6 * biased for m in widths)  # a coordinate more takes wider layers
    for seed in range(seeds):
        network = drawn(n, wide, seed, biased)
        if decide_regional(network).outcome != "injective":
            continue
        model = DeepModel.of(network)
        found = Coarse(model, network, LIMIT).pairs()
        expected, _ = joint_collision(model, network, LIMIT)
        if found is None:
            continue  # given up: that is no answer
        assert isinstance(found, Witness) == isinstance(expected, Witness)
        if isinstance(found, Witness):
            assert found.collides(network)
        else:
            assert found is True
            assert expected is True
        if n == 2 and not biased:
            assert planar.collides(network) == isinstance(found, Witness)
        outcomes.add(found is True)
    assert True in outcomes


def test_rank_that_fails_on_one_region_is_found() -> None:
    # Where Q is off, rows of layer 2 come in equal pairs: counts are enough there and ranks are not.
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(12):
        p = rng.standard_normal((9, 2))
        q = rng.standard_normal((1, 2)) + 0.01 * rng.standard_normal((3, 2))
        a, c, d = rng.standard_normal((7, 9)), rng.standard_normal((7, 3)), rng.standard_normal((7, 3))
        network = Network([np.vstack([p, q]), np.vstack([np.hstack([a, c]), np.hstack([a, d])])])
        verdict = mcinj.check(network)
        assert (verdict.verdict == "not_injective") == planar.collides(network)
        outcomes.add(str(verdict.verdict))
    assert outcomes == {"injective", "not_injective"}


def test_nodes_and_budget() -> None:
    network = sample(3, (20, 24), seed=1)
    coarse = Coarse(DeepModel.of(network), network, LIMIT)
    assert coarse.pairs() is True
    assert coarse.nodes < 10_000  # of 72,771 pairs of 382 regions of the first layer
    assert Coarse(DeepModel.of(network), network, 50).pairs() is Reason.BUDGET
    again = Coarse(DeepModel.of(network), network, coarse.nodes)
    assert again.pairs() is True
    assert again.nodes == coarse.nodes


def test_structure_that_defeats_ranks_is_left_to_the_other_way() -> None:
    # f(x) = A |B x|: every collision x, -x, and no rank of two copies is full.
    rng = np.random.default_rng(1)
    b, a = rng.standard_normal((12, 3)), rng.standard_normal((20, 12))
    network = Network([np.vstack([b, -b]), np.hstack([a, a])])
    verdict = mcinj.check(network)
    assert verdict.verdict == "not_injective"
    assert verdict.witness is not None
    assert verdict.witness.collides(network)


def parallel(seed: int, copies: int) -> Network:
    """Units of the second layer in groups of so many multiples of one row, and one opposite to them."""
    rng = np.random.default_rng(seed)
    basis = rng.integers(-3, 4, (2, 2)) + 5 * np.eye(2, dtype=int)
    directions = rng.standard_normal((3, 4))
    second = np.vstack([*(directions * (j + 1) for j in range(copies)), -directions])
    return Network([np.vstack([basis, -basis]), second, rng.standard_normal((16, len(second)))])


@pytest.mark.parametrize("seed", [0, 2, 4, 5, 6])
def test_cells_without_an_interior_do_not_multiply(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of parallel units, patterns that no input has are empty without being so in floats: 2^20 of them went into pairs.
    few, many = (mcinj.check(parallel(seed, copies)) for copies in (1, 6))
    assert many.verdict == "injective"
    assert many.nodes < 20 * few.nodes + 1000
    monkeypatch.setattr("mcinj.decide.coarse.search.Coarse.pairs", lambda self: None)
    assert mcinj.check(parallel(seed, 3)).verdict == "injective"


def mostly_positive(seed: int) -> Network:
    """Few negative weights behind the first layer: bounds decide units of later layers on large cells."""
    rng = np.random.default_rng(seed)
    size, weights = 2, []
    for m in rng.integers(5, 10, int(rng.choice([3, 4]))).tolist():
        w = rng.standard_normal((m, size))
        if weights:
            w = np.abs(w) * np.where(rng.random(w.shape) < 0.15, -1, 1)
        weights.append(np.round(4 * w) if rng.random() < 0.3 else w)
        size = m
    biases = [rng.standard_normal(len(w)) for w in weights] if rng.random() < 0.5 else None
    return Network(weights, biases)


@pytest.mark.parametrize("first", range(0, 100, 10))
def test_complete_cells_have_a_sign_for_every_hidden_unit(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Signs that bounds had proved before a layer was reached were not signs of the pattern afterwards: cells counted as
    # complete, and what took them over read units as not active that were, constant units among them.
    monkeypatch.setattr("mcinj.decide.coarse.search._PATIENCE", 10**9)
    for seed in range(first, first + 10):
        network = mostly_positive(seed)
        model = DeepModel.of(network)
        coarse = Coarse(model, network, 3_000)
        found = coarse.pairs()
        tree = coarse.tree
        for c in range(int(tree.ti[cs.CELLS])):
            if tree.OPEN[c]:
                continue
            assert tree.LAYER[c] == model.depth - 1
            for k, width in enumerate(model.widths[:-1]):
                assert (tree.SG[c, k, :width] != 0).all()
        if found is True:
            assert decide_regional(network).outcome == "injective"
            assert joint_collision(model, network, LIMIT)[0] is True
        elif isinstance(found, Witness):
            assert found.collides(network)
