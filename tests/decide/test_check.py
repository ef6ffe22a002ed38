"""`check`: criteria, implications, combinations, bad input."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from mcinj import Criterion, InputError, Network, Outcome, Verdict, Witness, check, sample

B = np.array([[2.0, 1.0], [1.0, 3.0]])
FOLD = np.vstack([B, -B])


def test_layerwise_pass_makes_the_network_injective() -> None:
    deep = Network([FOLD, np.vstack([np.eye(4), -np.eye(4)])])
    verdict = check(deep, "layerwise")
    assert verdict.passed
    assert verdict.network_injective is True
    assert verdict.certified == "exact"
    assert verdict.layer is None


def test_layerwise_failure_names_the_layer_and_its_inputs() -> None:
    deep = Network([FOLD, np.ones((3, 4))])
    verdict = check(deep, "layerwise")
    assert (verdict.verdict, verdict.layer, verdict.network_injective) == (Outcome.NOT_INJECTIVE, 2, None)
    assert verdict.witness is not None
    assert len(verdict.witness.x) == 4
    assert verdict.witness.collides(deep.layer(2))
    first = check(Network([np.ones((3, 2)), np.vstack([np.eye(3), -np.eye(3)])]), "layerwise")
    assert (first.layer, first.network_injective) == (1, False)


def test_layerwise_failure_is_found_behind_an_undecided_layer() -> None:
    deep = Network([sample(3, (30,), seed=2).weights[0], np.ones((2, 30))])
    verdict = check(deep, "layerwise", node_budget=1)
    assert (verdict.verdict, verdict.layer) == (Outcome.NOT_INJECTIVE, 2)


def test_regional_pass_is_necessary_only() -> None:
    verdict = check(Network([FOLD, np.vstack([np.eye(4), -np.eye(4)])]), "regional", engine="lp")
    assert verdict.passed
    assert verdict.network_injective is None


def test_regional_failure_implies_not_injective() -> None:
    network = sample(2, (5, 5), seed=0)
    verdict = check(network, "regional", engine="lp")
    assert (verdict.verdict, verdict.network_injective) == (Outcome.NOT_INJECTIVE, False)
    assert verdict.witness is not None
    assert verdict.witness.collides(network)


def test_one_layer_criteria_are_the_same() -> None:
    network = sample(3, (14,), seed=5)
    verdicts = [check(network, c) for c in Criterion]
    assert len({v.verdict for v in verdicts}) == 1
    assert [v.criterion for v in verdicts] == list(Criterion)
    assert all(v.network_injective is not None for v in verdicts)


def test_accepted_forms_of_a_network() -> None:
    for form in (FOLD, [FOLD], Network([FOLD]), [FOLD.tolist()], (FOLD,)):
        assert check(form).passed
    for bad in (3, "net.npz", None, np.zeros(3), np.zeros((2, 2, 2))):
        with pytest.raises(InputError):
            check(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"criterion": "locally"}, "layerwise, regional, global"),
        ({"engine": "gurobi"}, "auto, tree, lp, milp"),
        ({"node_budget": -1}, "node_budget"),
        ({"node_budget": 1.5}, "node_budget"),
        ({"jobs": 0}, "jobs"),
        ({"engine": "lp", "certificate": True}, "tree"),
    ],
)
def test_bad_options_name_the_remedy(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check(FOLD, **options)  # type: ignore[arg-type]


def test_unavailable_combinations_list_those_that_exist() -> None:
    deep = sample(2, (5, 5))
    with pytest.raises(InputError, match="available there: tree, lp"):
        check(deep, "regional", engine="milp")
    with pytest.raises(InputError, match="available there: tree"):
        check(deep, "global", engine="lp")


def test_json_has_exact_rationals() -> None:
    network = sample(2, (3,), seed=1)
    verdict = check(network)
    assert isinstance(verdict, Verdict)
    data = json.loads(json.dumps(verdict.to_json()))
    assert list(data) == [
        "verdict", "criterion", "layer", "engine", "n", "widths", "certified", "assumption", "reason", "nodes",
        "seconds", "witness", "network_injective", "known",
    ]  # fmt: skip
    witness = Witness.from_json(data["witness"])
    assert witness == verdict.witness
    assert witness.collides(network)
    assert not Witness(witness.x, tuple(-v for v in witness.x)).collides(network)
    assert not Witness(witness.x, witness.x).collides(network)


@pytest.mark.parametrize(
    "bad", [None, {}, {"x": 1, "x_prime": 2}, {"x": ["1/0"], "x_prime": ["1"]}, {"x": ["a"], "x_prime": ["1"]}]
)
def test_bad_witness_records_are_refused(bad: object) -> None:
    with pytest.raises(InputError):
        Witness.from_json(bad)


def test_bounded_domains() -> None:
    shifted = Network([np.eye(2)], [[5.0, 5.0]])
    assert not check(shifted).passed
    inside = check(shifted, domain="box:-1,1")
    assert inside.passed
    assert inside.network_injective is None
    outside = check(shifted, "regional", domain="box:-10,10")
    assert outside.verdict is Outcome.NOT_INJECTIVE
    assert outside.witness is not None
    assert outside.witness.collides(shifted)
    assert all(-10 < v < 10 for v in (*outside.witness.x, *outside.witness.x_prime))
    for bad in ("box", "box:1", "box:2,1", "ball:-1", "cube:1", "box:nan,1"):
        with pytest.raises(InputError):
            check(shifted, domain=bad)
    with pytest.raises(InputError, match="available there: tree"):
        check(shifted, engine="lp", domain="ball:1")


def test_leaky_relu_needs_full_column_rank() -> None:
    assert check(np.eye(2), slope=0.1).passed
    thin = check([[[1.0, 1.0]]], slope=0.1)
    assert (thin.verdict, thin.network_injective) == (Outcome.NOT_INJECTIVE, False)
    for bad in (-0.5, 1.5, float("nan")):
        with pytest.raises(InputError):
            check(np.eye(2), slope=bad)


def test_a_linear_last_layer_is_taken_with_both_signs() -> None:
    network = Network([FOLD, -np.eye(4)])
    linear = network.with_linear_last_layer()
    assert linear.widths == (4, 8)
    x = [Fraction(1, 3), Fraction(-5)]
    top = linear.exact_pre_activations(x)[-1]
    assert top[:4] == network.exact_pre_activations(x)[-1]
    assert top[4:] == tuple(-v for v in top[:4])
    # The ReLU of what is never positive forgets everything.
    assert check(linear).passed
    assert not check(network).passed
