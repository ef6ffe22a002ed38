"""Injectivity on boxes and balls, linear last layers and leaky ReLUs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from naive.regions_by_lp import passes_regional

from mcinj.decide.bounded.decide import decide_on
from mcinj.decide.bounded.domain import Domain
from mcinj.decide.deep.leaky import as_relu, decide_leaky
from mcinj.decide.pairs.collision import decide_global
from mcinj.decide.verdict import Certified, Outcome
from mcinj.errors import InputError
from mcinj.networks import Network, Premise, sample


def biased(seed: int, widths: tuple[int, ...], size: float) -> Network:
    rng = np.random.default_rng(seed)
    net = sample(2, widths, seed=seed)
    return Network(net.weights, [size * rng.standard_normal(m) for m in widths])


def test_regional_on_a_box_agrees_with_all_regions_of_the_box() -> None:
    outcomes = set()
    for seed in range(6):
        net = biased(seed, (7, 6), 1.0)
        domain = Domain("box", -0.5, 0.6)
        fence = np.array([[float(v) for v in row] for row in domain.fence(2)])
        decision = decide_on(net, domain, "regional")
        assert (decision.outcome is Outcome.INJECTIVE) == passes_regional(net, fence)
        if decision.witness is not None:
            assert decision.witness.collides(net)
            assert domain.holds(decision.witness.x)
            assert domain.holds(decision.witness.x_prime)
        outcomes.add(decision.outcome)
    assert len(outcomes) == 2


def test_a_collision_outside_of_the_box_does_not_count() -> None:
    # |x| from ReLU(x) + ReLU(-x) with a unit that tells signs apart only beyond 1.
    net = Network([[[1.0], [-1.0]], [[1.0, 1.0], [1.0, 0.0]]], [[0.0, 0.0], [0.0, -1.0]])
    whole = decide_on(net, Domain.parse("box:-2,2"))
    assert whole.outcome is Outcome.NOT_INJECTIVE
    assert whole.witness is not None
    assert whole.witness.collides(net)
    inside = decide_on(net, Domain.parse("box:1,2"), "regional")
    assert inside.outcome is Outcome.INJECTIVE
    # On (1, 3/2) both units are active and the first alone is injective.
    assert decide_on(net, Domain.parse("box:1,1.5"), "regional").certified is Certified.EXACT


def test_global_on_a_box_grows_with_the_box() -> None:
    order = [Outcome.INJECTIVE, Outcome.NOT_INJECTIVE]
    seen = set()
    for seed in range(6):
        net = biased(seed, (11, 12), 1.0)
        verdicts = [decide_on(net, Domain("box", -r, r)).outcome for r in (0.05, 0.5, 100.0)]
        assert [order.index(v) for v in verdicts] == sorted(order.index(v) for v in verdicts)
        whole = decide_global(net).outcome
        if verdicts[-1] is Outcome.NOT_INJECTIVE:
            assert whole is Outcome.NOT_INJECTIVE
        seen |= set(verdicts)
    assert len(seen) == 2


def test_a_ball_of_a_network_without_biases_is_everything() -> None:
    net = sample(2, (9, 9), seed=1)
    decision = decide_on(net, Domain.parse("ball:0.001"))
    assert decision.outcome is decide_global(net).outcome
    if decision.witness is not None:
        assert decision.witness.collides(net)
        assert max(abs(v) for v in decision.witness.x) < Fraction(1, 1000)


def fold(center: float, angle: float) -> Network:
    """|u - center| and v, in coordinates u, v turned by `angle`: inputs u and 2 center - u collide."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    first = np.vstack([turn[0], -turn[0], turn[1], -turn[1]])
    last = [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    return Network([first, last], [[-center, center, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize("angle", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("criterion", ["regional", "global"])
@pytest.mark.parametrize("factor", [0.5, 0.8, 0.999, 1 - 1e-9, 1 + 1e-9, 1.001, 1.3, 5.0])
def test_a_fold_is_seen_from_balls_that_it_cuts(angle: float, criterion: str, factor: float) -> None:
    # Every region has rank 2, so the regional criterion passes; the box around the ball is cut from factor 0.71 on.
    net = fold(0.75, angle)
    decision = decide_on(net, Domain("ball", -0.75 * factor, 0.75 * factor), criterion)
    collides = criterion == "global" and factor > 1
    assert decision.outcome is (Outcome.NOT_INJECTIVE if collides else Outcome.INJECTIVE)
    assert decision.certified is Certified.EXACT
    if collides:
        assert decision.witness is not None
        assert decision.witness.collides(net)
        for x in (decision.witness.x, decision.witness.x_prime):
            assert sum(v * v for v in x) < Fraction(0.75 * factor) ** 2


def test_a_ball_that_touches_the_fold_holds_no_collision() -> None:
    assert decide_on(fold(0.75, 0.0), Domain.parse("ball:0.75")).outcome is Outcome.INJECTIVE


def test_a_region_that_loses_rank_is_seen_from_balls_that_meet_it() -> None:
    # Constant where u > 1 and v > 1 (turned by 0.4): the ball meets that corner from radius sqrt(2) on.
    turn = np.array([[np.cos(0.4), np.sin(0.4)], [-np.sin(0.4), np.cos(0.4)]])
    rows = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]]
    first = -np.array(rows) @ turn
    net = Network([first], [[1.0, 1.0, 1.0, 3.0, 3.0]])
    for radius in (0.5, 1.2):
        assert decide_on(net, Domain("ball", -radius, radius)).outcome is Outcome.INJECTIVE
    for radius in (1.5, 4.0):
        decision = decide_on(net, Domain("ball", -radius, radius))
        assert decision.outcome is Outcome.NOT_INJECTIVE


def test_balls_lie_between_boxes() -> None:
    seen = set()
    for seed in range(8):
        net = biased(seed, (11, 12), 1.0)
        previous = Outcome.INJECTIVE
        for r in (0.05, 0.2, 0.5, 1.0, 3.0):
            ball = decide_on(net, Domain("ball", -r, r))
            assert ball.outcome is not Outcome.UNKNOWN
            if decide_on(net, Domain("box", -r, r)).outcome is Outcome.INJECTIVE:
                assert ball.outcome is Outcome.INJECTIVE
            if decide_on(net, Domain("box", -0.7 * r, 0.7 * r)).outcome is Outcome.NOT_INJECTIVE:
                assert ball.outcome is Outcome.NOT_INJECTIVE
            # Larger balls hold the collisions of smaller ones.
            assert previous is Outcome.INJECTIVE or ball.outcome is Outcome.NOT_INJECTIVE
            previous = ball.outcome
            seen.add(ball.outcome)
    assert seen == {Outcome.INJECTIVE, Outcome.NOT_INJECTIVE}


def test_budgets_cover_all_polytopes_of_a_ball() -> None:
    net, domain = fold(0.75, 0.3), Domain("ball", -0.74, 0.74)
    full = decide_on(net, domain)
    assert full.outcome is Outcome.INJECTIVE
    for budget in (0, 10, full.nodes - 1):
        part = decide_on(net, domain, node_budget=budget)
        assert part.outcome is Outcome.UNKNOWN
        assert part.nodes <= budget
    assert decide_on(net, domain, node_budget=full.nodes).outcome is Outcome.INJECTIVE


@pytest.mark.parametrize("text", ["", "box", "box:1", "box:2,1", "ball:-1", "ball:nan", "cube:1,2", "box:a,b"])
def test_bad_domains_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        Domain.parse(text)


def test_a_linear_last_layer_is_both_signs() -> None:
    rng = np.random.default_rng(3)
    first = sample(2, (14,), seed=3).weights[0]
    last = rng.standard_normal((4, 14))
    # 2n linear outputs of an injective layer: injective, almost surely; n - 1 of them: never.
    assert decide_global(Network([first])).outcome is Outcome.INJECTIVE
    enough = decide_global(Network([first, np.vstack([last, -last])]))
    assert enough.outcome is Outcome.INJECTIVE
    assert enough.certified is Certified.EXACT
    drawn = decide_global(Network([first, np.vstack([last, -last])], premise=Premise.DRAWN))
    assert (drawn.outcome, drawn.certified) == (Outcome.INJECTIVE, Certified.GENERIC)
    few = decide_global(Network([first, np.vstack([last[:1], -last[:1]])]))
    assert few.outcome is Outcome.NOT_INJECTIVE


def test_leaky_relu_is_injective_where_columns_are_independent() -> None:
    rng = np.random.default_rng(0)
    net = Network([rng.standard_normal((3, 2)), rng.standard_normal((4, 3))])
    assert decide_leaky(net, 0.1).outcome is Outcome.INJECTIVE
    flat = Network([[[1.0, 2.0], [2.0, 4.0]]])
    assert decide_leaky(flat, 0.1).outcome is Outcome.NOT_INJECTIVE
    with pytest.raises(InputError):
        decide_leaky(net, 1.5)


def test_leaky_layers_that_lose_columns_are_decided() -> None:
    # Three leaky units of two inputs into two outputs: the columns are dependent, so only the search decides.
    rng = np.random.default_rng(4)
    outcomes = set()
    for _ in range(12):
        net = Network([rng.integers(-3, 4, (3, 2)), rng.integers(-3, 4, (2, 3))])
        decision = decide_leaky(net, 0.5)
        # Of three units at most 2 x 3 cells; the output is injective iff all Jacobians' determinants have one sign.
        signs = set()
        for angle in np.linspace(0.0, 2 * np.pi, 2001):
            z = net.weights[0] @ [np.cos(angle), np.sin(angle)]
            slopes = np.where(z > 0, 1.0, 0.5)
            signs.add(int(np.sign(np.round(np.linalg.det(net.weights[1] @ (slopes[:, None] * net.weights[0])), 9))))
        assert decision.outcome is (Outcome.INJECTIVE if len(signs) == 1 and 0 not in signs else Outcome.NOT_INJECTIVE)
        outcomes.add(decision.outcome)
    assert outcomes == {Outcome.INJECTIVE, Outcome.NOT_INJECTIVE}


def test_leaky_units_of_opposite_sign_fold() -> None:
    # σ(x) + σ(-x) = 0.9 |x| at slope 0.1.
    net = Network([[[1], [-1]], [[1, 1]]])
    decision = decide_leaky(net, 0.1)
    assert decision.outcome is Outcome.NOT_INJECTIVE
    assert decision.witness is not None
    equivalent = as_relu(net, 0.1)
    assert decision.witness.collides(equivalent)
    x = 0.7
    leaky = np.array([max(x, 0.1 * x), max(-x, -0.1 * x)])
    np.testing.assert_allclose(equivalent.forward([x])[0], leaky.sum())
