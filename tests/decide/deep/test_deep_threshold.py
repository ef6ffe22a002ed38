"""Deep thresholds against verdicts width by width, by other means."""

from __future__ import annotations

import numpy as np
import pytest
from naive.planar import collides
from naive.regions_by_lp import passes_regional_in_the_plane

from mcinj.decide.deep.regions import decide_regional
from mcinj.decide.deep.threshold import deep_threshold
from mcinj.decide.pairs.collision import decide_global
from mcinj.decide.verdict import Certified, Outcome
from mcinj.errors import InputError
from mcinj.networks import Network, RowStream, sample


def full(first: Network, rows: RowStream, m: int) -> Network:
    """The network of width m."""
    return Network([*first.weights, rows.take(m)])


@pytest.mark.parametrize("ensemble", ["gaussian", "uniform", "rademacher"])
def test_regional_threshold_is_where_the_plane_oracle_turns(ensemble: str) -> None:
    checked = 0
    for seed in range(8):
        first, rows = sample(2, (13,), ensemble, seed), RowStream(ensemble, 13, seed, 2)
        found = deep_threshold(rows, first, "regional", premise=rows.premise)
        if found.failed_layer is not None:
            assert not passes_regional_in_the_plane(first)
            continue
        assert found.m_hi is not None
        assert found.m_lo == found.m_hi - 1
        assert passes_regional_in_the_plane(full(first, rows, found.m_hi))
        assert not passes_regional_in_the_plane(full(first, rows, found.m_hi - 1))
        checked += 1
    assert checked >= 2


@pytest.mark.parametrize("widths", [(14,), (14, 13)])
def test_global_threshold_is_where_single_verdicts_turn(widths: tuple[int, ...]) -> None:
    later = 0
    for seed in range(6):
        first, rows = sample(2, widths, seed=seed), RowStream("gaussian", widths[-1], seed, len(widths) + 1)
        regional, found = (deep_threshold(rows, first, c, premise=rows.premise) for c in ("regional", "global"))
        if found.failed_layer is not None:
            assert decide_global(first).outcome is Outcome.NOT_INJECTIVE
            assert found.certified is Certified.EXACT
            continue
        assert found.m_hi is not None
        assert regional.m_hi is not None
        assert found.m_hi >= regional.m_hi
        later += found.m_hi > regional.m_hi
        assert decide_global(full(first, rows, found.m_hi)).outcome is Outcome.INJECTIVE
        assert decide_global(full(first, rows, found.m_hi - 1)).outcome is Outcome.NOT_INJECTIVE
        assert found.witness is not None
        assert found.witness.collides(full(first, rows, found.m_hi - 1))
    assert later >= 1


@pytest.mark.parametrize("ensemble", ["rademacher", "sparse:0.6"])
def test_global_thresholds_out_of_general_position_are_proved(ensemble: str) -> None:
    checked = 0
    for seed in range(6):
        first, rows = sample(2, (13,), ensemble, seed), RowStream(ensemble, 13, seed, 2)
        found = deep_threshold(rows, first, "global")
        if found.failed_layer is not None:
            continue
        assert found.m_hi is not None
        assert found.certified is Certified.EXACT
        assert not collides(full(first, rows, found.m_hi))
        assert collides(full(first, rows, found.m_hi - 1))
        checked += 1
    assert checked >= 2


@pytest.mark.parametrize("criterion", ["regional", "global"])
def test_earlier_layers_may_have_biases(criterion: str) -> None:
    checked = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        weights = sample(2, (9,), seed=seed).weights if seed % 2 else [rng.integers(-3, 4, (9, 2))]
        first, rows = Network(weights, [rng.integers(-2, 3, 9)]), RowStream("gaussian", 9, seed, 2)
        found = deep_threshold(rows, first, criterion)
        if found.failed_layer is not None:
            assert decide_global(first).outcome is Outcome.NOT_INJECTIVE
            continue
        assert found.m_hi is not None
        for m, outcome in ((found.m_hi, Outcome.INJECTIVE), (found.m_hi - 1, Outcome.NOT_INJECTIVE)):
            net = Network([*first.weights, rows.take(m)], [*(first.biases or ()), np.zeros(m)])
            decide = decide_regional if criterion == "regional" else decide_global
            assert decide(net).outcome is outcome
        checked += 1
    assert checked >= 1


def test_a_failing_earlier_layer_is_named() -> None:
    first = sample(3, (7,), seed=0)
    found = deep_threshold(RowStream("gaussian", 7, 0, 2), first, "global")
    assert (found.m_lo, found.m_hi, found.failed_layer) == (None, None, 1)
    assert found.witness is not None
    assert found.witness.collides(first)


def test_budgets_censor_and_stay_below_the_threshold() -> None:
    first, rows = sample(3, (21,), seed=1), RowStream("gaussian", 21, 1, 2)
    whole = deep_threshold(rows, first, "global", premise=rows.premise)
    assert whole.m_hi is not None
    for budget in (0, 1, 10, 60, whole.nodes // 2, whole.nodes - 1):
        part = deep_threshold(rows, first, "global", node_budget=budget, premise=rows.premise)
        assert part.m_hi is None
        assert part.certified is Certified.NONE
        assert part.m_lo is not None
        assert part.m_lo < whole.m_hi
        assert part.nodes <= budget
    last = deep_threshold(rows, first, "global", node_budget=whole.nodes, premise=rows.premise)
    assert last.m_hi == whole.m_hi


def test_bad_input_is_refused() -> None:
    first, rows = sample(2, (9,), seed=0), RowStream("gaussian", 9, 0, 2)
    with pytest.raises(InputError, match="layerwise"):
        deep_threshold(rows, first, "layerwise")
    with pytest.raises(InputError, match="node_budget"):
        deep_threshold(rows, first, "regional", node_budget=-1)
