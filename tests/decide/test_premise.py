"""What a pass may rest on: the numbers, a known law, or the user's word. Nothing else makes counts ranks."""

from __future__ import annotations

import numpy as np
import pytest

from mcinj import InputError, Network, check, sample
from mcinj.certify import verify
from mcinj.certify.position import network_relation, rows_relation
from mcinj.decide.verdict import Certified, Outcome, Reason
from mcinj.networks import Ensemble, Premise, RowStream

CONTINUOUS = ("gaussian", "uniform", "xavier", "sphere", "correlated:0.4", "sparse:1")


@pytest.mark.parametrize("ensemble", [*CONTINUOUS, "rademacher", "sparse:0.9"])
def test_draws_have_a_premise_where_their_law_is_continuous(ensemble: str) -> None:
    premise = Premise.DRAWN if ensemble in CONTINUOUS else None
    network = sample(3, (20, 24), ensemble, seed=1)
    assert network.premise is premise
    assert network.prefix(1).premise is network.layer(2).premise is premise
    assert network.with_linear_last_layer().premise is premise
    assert RowStream(ensemble, 3, 1).premise is premise
    assert (Ensemble.parse(ensemble).in_general_position) == (premise is not None)
    # The same numbers from elsewhere say nothing of their law.
    assert Network(network.weights).premise is None


@pytest.mark.parametrize(("n", "widths"), [(8, (58,)), (3, (20, 24)), (2, (13, 14, 14))])
@pytest.mark.parametrize("criterion", ["layerwise", "regional", "global"])
def test_a_premise_is_named_wherever_a_pass_rests_on_it(n: int, widths: tuple[int, ...], criterion: str) -> None:
    if criterion == "layerwise" and len(widths) > 1:
        pytest.skip("random layers of these widths are not injective one by one")
    drawn = next(net for s in range(99) if check(net := sample(n, widths, seed=s), criterion).passed)
    for network, options, premise in (
        (drawn, {}, Premise.DRAWN),
        (drawn, {"exact": True}, None),
        (Network(drawn.weights), {}, None),
        (Network(drawn.weights), {"assume_generic": True}, Premise.ASSUMED),
    ):
        verdict = check(network, criterion, certificate=True, **options)  # type: ignore[arg-type]
        assert verdict.passed
        grade = Certified.EXACT if premise is None else Certified.GENERIC
        assert verdict.certified is grade
        assert verdict.assumption == (None if premise is None else str(premise))
        assert verdict.to_json()["assumption"] == verdict.assumption
        assert verdict.certificate is not None
        for exact in (False, True):
            found = verify(verdict.certificate, network, exact)
            assert (found.certified, found.assumption) == (str(grade), verdict.assumption)
            assert found.accepted == (premise is None or not exact)
            assert premise is None or str(premise) in found.reason


def test_a_budget_says_how_far_it_came() -> None:
    network = Network(next(net for s in range(99) if check(net := sample(3, (20, 24), seed=s)).passed).weights)
    counts = check(network, assume_generic=True, criterion="regional").nodes
    whole = check(network).nodes
    few, more = check(network, node_budget=counts - 1), check(network, node_budget=whole - 1)
    assert (few.verdict, few.reason) == (Outcome.UNKNOWN, Reason.BUDGET)
    assert (more.verdict, more.reason) == (Outcome.UNKNOWN, Reason.RANK)
    assert few.certified is more.certified is Certified.NONE
    assert check(network, node_budget=whole).reason is None
    wide = Network(next(net for s in range(99) if check(net := sample(9, (64,), seed=s)).passed).weights)
    assert check(wide, node_budget=check(wide).nodes - 1).reason == Reason.RANK
    assert check(wide, node_budget=0).reason == Reason.BUDGET


def test_assumptions_that_are_plainly_false_are_refused() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((20, 3)), rng.standard_normal((24, 20))
    coarse = rng.integers(1, 2**20, (20, 3)).astype(float)
    cases = {
        "layer 1: two rows are parallel": [np.vstack([first[:10], -2 * first[:10]]), second],
        "layer 1: three rows are dependent": [np.vstack([coarse[:19], coarse[:1] + coarse[1:2]]), second],
        "layer 2: two columns are parallel": [first, np.repeat(second[:, :10], 2, axis=1)],
        "layer 2: an entry is 0": [first, np.where(np.arange(20) == 5, 0.0, second)],
    }
    for relation, weights in cases.items():
        assert network_relation(Network(weights)) == relation
        with pytest.raises(InputError, match=relation):
            check(weights, assume_generic=True)
    with pytest.raises(InputError, match="give one of the two"):
        check([first], assume_generic=True, exact=True)
    # Float32 weights, scales of rows and columns, and a last layer without ReLU are no relation.
    scales = 2.0 ** rng.integers(-300, 300, 20)
    for weights in (
        [first.astype(np.float32), second.astype(np.float32)],
        [first * scales[:, None], second / scales],
        [first, np.vstack([second, -second])],
    ):
        assert network_relation(Network(weights)) is None
    assert rows_relation(np.array([[1.0], [2.0]])) is None  # one input: every row that is not 0 has rank 1


def test_even_functions_and_pooling_are_no_pass() -> None:
    """f(x) = A |B x| has f(x) = f(-x); sums of equal weights lose what they pool. Counts alone pass most of them."""
    counted = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        b, a = rng.standard_normal((12, 2)), rng.standard_normal((9, 12))
        network = Network([np.vstack([b, -b]), np.hstack([a, a])])
        verdict = check(network)
        assert verdict.verdict is Outcome.NOT_INJECTIVE
        assert verdict.witness is not None
        assert verdict.witness.collides(network)
        counted += check(network.with_premise(Premise.DRAWN)).passed
    assert counted > 0
