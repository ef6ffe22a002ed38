"""Stopping rules: their text, their order of trials, and coverage under optional stopping."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcinj.errors import InputError
from mcinj.infer import ThresholdSample, quantile
from mcinj.infer.stopping import FixedCount, WidthTarget, decide, doubling_looks, parse_rule

looks = st.lists(st.integers(1, 10_000), min_size=1, max_size=6, unique=True).map(lambda v: tuple(sorted(v)))


@given(st.integers(1, 10**6))
def test_a_fixed_count_reads_back(trials: int) -> None:
    assert parse_rule(FixedCount(trials).text) == FixedCount(trials)


@given(st.floats(1e-6, 10), looks, st.floats(0.5, 0.999))
def test_a_width_target_reads_back(width: float, at: tuple[int, ...], level: float) -> None:
    rule = WidthTarget(width, at, level)
    assert parse_rule(rule.text) == rule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fixed-count",
        "fixed-count trials=x",
        "fixed-count trials=0",
        "width-target width=1",
        "stop when good",
        "width-target width=0.1 level=0.95 looks=5,5",
        "width-target width=-1 level=0.95 looks=5",
    ],
)
def test_bad_rules_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_rule(text)


def sample_of(values: np.ndarray) -> ThresholdSample:
    return ThresholdSample.build(values - 1, values, 10)


def test_a_rule_looks_at_the_first_trials_only() -> None:
    values = np.concatenate((np.full(50, 40), np.full(50, 90)))
    values[:10] += np.arange(10)
    done = decide(WidthTarget(0.5, (50, 100)), sample_of(values))
    assert (done.stop, done.trials) == (True, 50)
    assert done.estimate is not None
    assert done.estimate.discrete == 40
    early = decide(FixedCount(200), sample_of(values))
    assert (early.stop, early.trials, early.wanted, early.estimate) == (False, 0, 200, None)


def test_a_rule_asks_for_more_until_its_last_look() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(30, 90, 400)
    rule = WidthTarget(1e-3, (50, 100, 400))
    some = decide(rule, sample_of(values[:120]))
    assert (some.stop, some.trials, some.wanted) == (False, 100, 400)
    last = decide(rule, sample_of(values))
    assert (last.stop, last.trials) == (True, 400)


def test_the_level_is_split_over_the_looks() -> None:
    rule = WidthTarget(0.1, (10, 20, 30, 40))
    assert rule.look_level(0.95) == pytest.approx(0.9875)
    assert FixedCount(7).look_level(0.95) == 0.95
    assert doubling_looks(50, 300) == (50, 100, 200, 300)


# 500 runs of each kind: coverage below 92.6 % of a 95 % interval has probability < 0.01 if it is exactly 95 %; the
# rule's intervals cover more.
def test_coverage_holds_under_optional_stopping() -> None:
    rng = np.random.default_rng(8)
    law = np.array([0.1, 0.2, 0.25, 0.2, 0.15, 0.1])
    support = np.arange(60, 66)
    truth = float(np.interp(0.5, np.concatenate(([0.0], np.cumsum(law))), np.arange(59, 66)))
    rule = WidthTarget(0.1, (20, 30, 40, 60, 80, 120, 160, 240))
    valid = naive = stopped_early = 0
    for _ in range(500):
        values = rng.choice(support, size=240, p=law)
        done = decide(rule, sample_of(values))
        assert done.estimate is not None
        valid += done.estimate.interpolated_lo <= truth <= done.estimate.interpolated_hi
        stopped_early += done.trials < 240
        plain = quantile(sample_of(values[: done.trials]))
        naive += plain.interpolated_lo <= truth <= plain.interpolated_hi
    assert stopped_early > 100  # the rule does choose its moment
    assert valid >= 470
    assert valid >= naive
