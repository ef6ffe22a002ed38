"""Global injectivity against linear programs over all pairs of regions, planted collisions and known passes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from naive.regions_by_lp import Floats, arcs, has_pair, margin, passes_regional, passes_regional_in_the_plane

from mcinj.certify import verify
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.regions import decide_regional
from mcinj.decide.pairs import cells
from mcinj.decide.pairs.cells import rows_of
from mcinj.decide.pairs.collision import decide_global
from mcinj.decide.pairs.store import Flags
from mcinj.decide.verdict import Certified, Outcome
from mcinj.networks import Network, Premise, sample


def has_pair_in_the_plane(network: Network) -> bool:
    """Whether two different arcs hold inputs with one output: `M_S x = M'_S x'` by linear programs, all pairs."""
    cells = arcs(network)

    def cone(start: float, end: float) -> Floats:
        return np.array([[-np.sin(start), np.cos(start)], [np.sin(end), -np.cos(end)]])

    for i, (a, b, signs, rows) in enumerate(cells):
        for a2, b2, signs2, rows2 in cells[:i]:
            on = signs[-1] > 0
            if not np.array_equal(signs[-1], signs2[-1]) or all(map(np.array_equal, signs, signs2)):
                continue
            inside = np.zeros((4, 4))
            inside[:2, :2], inside[2:, 2:] = cone(a, b), cone(a2, b2)
            if margin(inside, np.hstack([rows[-1][on], -rows2[-1][on]]))[0] > 1e-9:
                return True
    return False


def agrees(network: Network) -> Outcome:
    """Check one network of two inputs against all pairs of arcs."""
    decision = decide_global(network)
    collides = not passes_regional_in_the_plane(network) or any(
        has_pair_in_the_plane(network.prefix(k)) for k in range(2, network.depth + 1)
    )
    assert decision.outcome is (Outcome.NOT_INJECTIVE if collides else Outcome.INJECTIVE)
    if collides:
        assert decision.witness is not None
        assert decision.witness.collides(network)
    else:
        assert decision.certified is Certified.GENERIC
    return decision.outcome


@pytest.mark.parametrize("widths", [(13, 9), (13, 11), (15, 12), (14, 12, 10)])
def test_gaussian_networks_agree_with_all_pairs(widths: tuple[int, ...]) -> None:
    outcomes = {agrees(sample(2, widths, seed=s)) for s in range(16)}
    assert outcomes == {Outcome.INJECTIVE, Outcome.NOT_INJECTIVE}


def test_passing_the_count_criterion_is_not_injectivity() -> None:
    gaps = 0
    for s in range(16):
        net = sample(2, (14, 12), seed=s)
        if decide_regional(net).outcome is Outcome.INJECTIVE and agrees(net) is Outcome.NOT_INJECTIVE:
            gaps += 1
    assert gaps >= 2


@pytest.mark.parametrize("seed", [8, 9, 13])
def test_an_early_collision_is_found_though_the_last_layer_is_always_rich(seed: int) -> None:
    # Every region has 2n active last units, and every region full rank; the first two layers collide.
    net = sample(2, (13, 8, 14), seed=seed)
    assert min(int((signs[-1] > 0).sum()) for _, _, signs, _ in arcs(net)) >= 4
    assert decide_regional(net).outcome is Outcome.INJECTIVE
    decision = decide_global(net)
    assert decision.outcome is Outcome.NOT_INJECTIVE
    assert decision.layer == 2
    assert decision.witness is not None
    assert decision.witness.collides(net)


def test_layers_that_are_injective_by_construction_pass_exactly() -> None:
    rng = np.random.default_rng(7)
    b1, b2 = (rng.integers(-4, 5, (k, k)) + 11 * np.eye(k, dtype=int) for k in (3, 6))
    decision = decide_global(Network([np.vstack([b1, -b1]), np.vstack([b2, -b2])]))
    assert decision.outcome is Outcome.INJECTIVE
    assert decision.certified is Certified.EXACT


@pytest.mark.parametrize("width", [1e-3, 1e-6, 1e-9, 1e-12, 1e-15])
def test_a_failure_in_a_thin_cell_is_found(width: float) -> None:
    # [B; -B'] with B' turned by `width`: less than n units act only between a hyperplane and its turned copy.
    rng = np.random.default_rng(2)
    b = rng.standard_normal((3, 3))
    c = b.copy()
    c[0] += width * rng.standard_normal(3)
    net = Network([np.vstack([b, -c]), rng.standard_normal((30, 6))])
    for decide in (decide_regional, decide_global):
        decision = decide(net)
        assert decision.outcome is Outcome.NOT_INJECTIVE
        assert decision.witness is not None
        assert decision.witness.collides(net)


def test_budgets_end_in_unknown_and_verdicts_repeat() -> None:
    net = sample(3, (20, 20), seed=2)
    full = decide_global(net)
    assert full.outcome is Outcome.INJECTIVE
    again = decide_global(net)
    assert (again.outcome, again.nodes) == (full.outcome, full.nodes)
    for budget in (0, 5, full.nodes - 1):
        part = decide_global(net, node_budget=budget)
        assert part.outcome is Outcome.UNKNOWN
        assert part.nodes <= budget


def test_more_last_rows_never_destroy_a_pass() -> None:
    rng = np.random.default_rng(0)
    for seed in range(8):
        net = sample(2, (14, 11), seed=seed)
        wider = Network([net.weights[0], np.vstack([net.weights[1], rng.standard_normal((2, 14))])])
        if decide_global(net).outcome is Outcome.INJECTIVE:
            assert decide_global(wider).outcome is Outcome.INJECTIVE


def test_scaling_last_rows_and_rotating_inputs_changes_no_verdict() -> None:
    for seed in range(4):
        net = sample(3, (20, 16), seed=seed)
        rng = np.random.default_rng(seed)
        rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        other = Network([net.weights[0] @ rotation, net.weights[1] * rng.uniform(0.1, 9.0, (16, 1))])
        assert decide_global(net).outcome is decide_global(other).outcome


def folded(seed: int, n: int, width: int, shift: float) -> Network:
    """First layer [B; -B], so that regions are few; with biases where `shift` is not 0."""
    rng = np.random.default_rng(seed)
    b, q = rng.standard_normal((n, n)), shift * rng.standard_normal(n)
    weights = [np.vstack([b, -b]), rng.standard_normal((width, 2 * n))]
    if shift == 0.0:
        return Network(weights)
    return Network(weights, [np.concatenate([q, -q]), 0.3 * rng.standard_normal(width)])


@pytest.mark.parametrize(("n", "width", "shift", "seeds"), [(2, 8, 1.0, range(40)), (3, 11, 0.0, range(7))])
def test_biases_and_three_inputs_agree_with_all_pairs(n: int, width: int, shift: float, seeds: range) -> None:
    outcomes = set()
    for seed in seeds:
        net = folded(seed, n, width, shift)
        if decide_regional(net).outcome is not Outcome.INJECTIVE:
            continue
        assert passes_regional(net)
        decision = decide_global(net)
        assert decision.outcome is (Outcome.NOT_INJECTIVE if has_pair(net) else Outcome.INJECTIVE)
        if decision.witness is not None:
            assert decision.witness.collides(net)
        outcomes.add(decision.outcome)
    assert outcomes == {Outcome.INJECTIVE, Outcome.NOT_INJECTIVE} or n == 3


def cancelling(seed: int, width: int) -> Network:
    """Rows of layer 2 that nearly vanish where all units are active, so that floats do not hold them accurately."""
    rng = np.random.default_rng(seed)
    b, c = rng.standard_normal((7, 2)), rng.standard_normal((width, 7))
    first = [b, b + 1e-9 * rng.standard_normal((7, 2)), rng.standard_normal((4, 2))]
    second = [c, -c * (1 + 1e-9), 1e-3 * rng.standard_normal((width, 4))]
    return Network([np.vstack(first), np.hstack(second)], premise=Premise.ASSUMED)


def test_regions_that_floats_do_not_hold_are_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    inaccurate = []

    def watched(model: DeepModel, acts: list[Flags]) -> tuple[list[Floats], list[Floats], Flags]:
        found = rows_of(model, acts)
        inaccurate.append(found[2].any())
        return found

    monkeypatch.setattr(cells, "rows_of", watched)
    outcomes = set()
    for seed, width in itertools.product(range(15), (10, 12)):
        net = cancelling(seed, width)
        inaccurate.clear()
        decision = decide_global(net, certificate=True)
        if any(inaccurate):
            # All pairs of closed cells, for any weights.
            assert decide_global(net, exact=True).outcome is decision.outcome
            outcomes.add(decision.outcome)
        if decision.certificate is not None:
            assert verify(decision.certificate, net).certified == "generic"
        else:
            assert decision.witness is not None
            assert decision.witness.collides(net)
    assert outcomes == {Outcome.INJECTIVE, Outcome.NOT_INJECTIVE}
