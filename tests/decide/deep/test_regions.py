"""The regional criterion of deep networks against linear programs over all regions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from naive.regions_by_lp import passes_regional, passes_regional_in_the_plane

from mcinj.decide.deep.regions import decide_regional
from mcinj.decide.verdict import Certified, Outcome
from mcinj.networks import Network, sample


def agrees(network: Network) -> bool:
    """Check one network against the oracle; returns whether it passes."""
    decision = decide_regional(network)
    plane = network.n == 2 and not network.has_biases
    expected = passes_regional_in_the_plane(network) if plane else passes_regional(network)
    assert decision.outcome is (Outcome.INJECTIVE if expected else Outcome.NOT_INJECTIVE)
    if not expected:
        assert decision.witness is not None
        assert decision.witness.collides(network)
    return expected


@pytest.mark.parametrize("widths", [(8, 10), (11, 12), (12, 10), (12, 12, 10), (12, 11, 11, 10)])
def test_gaussian_layers_agree_with_all_regions(widths: tuple[int, ...]) -> None:
    passes = [agrees(sample(2, widths, seed=s)) for s in range(60)]
    assert any(passes)
    assert not all(passes)


def test_the_two_oracles_agree() -> None:
    for s in range(3):
        net = sample(2, (8, 9), seed=s)
        assert passes_regional(net) == passes_regional_in_the_plane(net)


def test_three_inputs_agree_with_all_regions() -> None:
    for s in (0, 1):
        agrees(sample(3, (10, 8), seed=s))


@pytest.mark.parametrize("ensemble", ["rademacher", "sparse:0.6", "correlated:0.3", "xavier"])
def test_other_ensembles_agree_with_all_regions(ensemble: str) -> None:
    passes = [agrees(sample(2, (12, 11), ensemble, seed=s)) for s in range(40)]
    assert not all(passes)


def test_biases_agree_with_all_regions() -> None:
    rng = np.random.default_rng(5)
    outcomes = set()
    for s in range(3):
        net = sample(2, (8, 7), seed=s)
        outcomes.add(agrees(Network(net.weights, [0.3 * rng.standard_normal(m) for m in net.widths])))
    assert False in outcomes


def test_layers_that_are_injective_by_construction_pass_exactly() -> None:
    rng = np.random.default_rng(1)
    b1 = rng.integers(-3, 4, (2, 2)) + 5 * np.eye(2, dtype=int)
    b2 = rng.integers(-3, 4, (4, 4)) + 9 * np.eye(4, dtype=int)
    decision = decide_regional(Network([np.vstack([b1, -b1]), np.vstack([b2, -b2])]))
    assert decision.outcome is Outcome.INJECTIVE
    assert decision.certified is Certified.EXACT


def test_a_duplicated_direction_is_not_rank() -> None:
    # Two active units on every region, but parallel ones: count says n, rank says n - 1.
    first = np.vstack([np.eye(2), -np.eye(2)])
    second = np.array([[1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]])
    decision = decide_regional(Network([first, second]))
    assert decision.outcome is Outcome.NOT_INJECTIVE
    assert decision.layer == 2


def test_opposite_rows_with_other_biases_are_both_active() -> None:
    # On the slab |u| < 3 two units are active at least, u + 3 and 3 - u; for large -v they are the only ones: rank 1.
    rng = np.random.default_rng(3)
    u, v = np.linalg.qr(rng.standard_normal((2, 2)))[0]
    slopes = np.concatenate([np.linspace(0.3, 2.0, 8), np.linspace(-2.0, -0.3, 8)])
    first = np.vstack([u, -u, *(v + s * u for s in slopes)])
    net = Network([first], [np.concatenate([[3.0, 3.0], 0.1 * rng.standard_normal(16)])])
    decision = decide_regional(net)
    assert decision.outcome is Outcome.NOT_INJECTIVE
    # Opposite biases: one of the two is active.
    net = Network([np.vstack([u, -u, v, -v])], [[3.0, -3.0, 1.0, -1.0]])
    decision = decide_regional(net)
    assert (decision.outcome, decision.certified) == (Outcome.INJECTIVE, Certified.EXACT)


def test_scale_of_weights_does_not_matter() -> None:
    net = sample(2, (11, 14), seed=3)
    rng = np.random.default_rng(0)
    d = 10.0 ** rng.integers(-150, 150, 11)
    e = 10.0 ** rng.integers(-100, 100, 14)
    scaled = Network([net.weights[0] * d[:, None], (net.weights[1] / d) * e[:, None]])
    assert decide_regional(scaled).outcome is decide_regional(net).outcome


def test_rationals_that_floats_do_not_hold() -> None:
    third = Fraction(1, 3)
    b = [[third, 1], [1, 2 * third]]
    w = [*b, *([-v for v in row] for row in b)]
    c = [[third if i == j else Fraction(0) for j in range(4)] for i in range(4)]
    decision = decide_regional(Network([w, [*c, *([-v for v in row] for row in c)]]))
    assert decision.outcome is Outcome.INJECTIVE
    assert decision.certified is Certified.EXACT


def test_budget_ends_in_unknown() -> None:
    net = sample(4, (27, 33), seed=1)
    full = decide_regional(net)
    assert full.outcome is Outcome.INJECTIVE
    for budget in (0, 1, full.nodes - 1):
        part = decide_regional(net, node_budget=budget)
        assert part.outcome is Outcome.UNKNOWN
        assert part.certified is Certified.NONE
        assert part.nodes <= budget
    assert decide_regional(net, node_budget=full.nodes).outcome is Outcome.INJECTIVE


def test_rows_on_all_of_one_input() -> None:
    assert decide_regional(Network([[[1.0], [-2.0]], [[1.0, 0.5], [0.25, 3.0]]])).outcome is Outcome.INJECTIVE
    decision = decide_regional(Network([[[1.0], [-2.0]], [[1.0, -0.5], [0.25, -3.0]]]))
    assert decision.outcome is Outcome.NOT_INJECTIVE
