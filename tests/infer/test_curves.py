"""Transition curves against scipy's estimators, direct maximisation of the likelihood, and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import CensoredData, binomtest, ecdf

from mcinj.errors import InputError
from mcinj.infer import ThresholdSample, curve_of, curves_by_series, transition_curve
from mcinj.infer.intervals import clopper_pearson, dkw_halfwidth, quantile_ranks
from mcinj.infer.turnbull import npmle

draws = st.lists(st.integers(1, 12), min_size=1, max_size=40)
intervals = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 4), st.booleans()), min_size=1, max_size=9)


def from_tuples(rows: list[tuple[int, int, bool]], n: int = 2) -> ThresholdSample:
    """(low, length, right-censored?) to a sample."""
    return ThresholdSample.build([a for a, _, _ in rows], [None if c else a + b for a, b, c in rows], n)


@given(draws)
def test_an_uncensored_curve_is_the_empirical_distribution_function(values: list[int]) -> None:
    c = transition_curve(np.array(values) - 1, values, 3)
    assert c.p == pytest.approx(ecdf(values).cdf.evaluate(c.m), abs=1e-12)
    assert c.p_lower == pytest.approx(c.p_upper, abs=0)
    assert c.p[0] == 0.0
    assert c.p[-1] == pytest.approx(1.0)
    assert c.censored == 0


@given(st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=40))
def test_right_censoring_gives_the_kaplan_meier_estimate(rows: list[tuple[int, bool]]) -> None:
    # A draw m* <= value if seen, m* > value - 1 if not: scipy's convention counts a censoring at c as alive at c,
    # so "m* > c" is a censoring at c.
    seen = [v for v, c in rows if not c]
    lost = [v for v, c in rows if c]
    curve = transition_curve([v - 1 for v in seen] + lost, seen + [None] * len(lost), 2)
    data = CensoredData(uncensored=[float(v) for v in seen], right=[float(v) for v in lost])
    oracle = ecdf(data).cdf
    last = max([v for v, c in rows if not c], default=0)
    inside = curve.m <= max(last, max(v for v, _ in rows))
    assert curve.p[inside] == pytest.approx(oracle.evaluate(curve.m[inside]), abs=2e-3)


def mean_log_likelihood(mass: np.ndarray, inside: np.ndarray) -> float:
    return float(np.mean(np.log(inside @ mass + 1e-300)))


@settings(max_examples=40, deadline=None)
@given(intervals)
def test_the_npmle_attains_the_likelihood_of_a_direct_maximisation(rows: list[tuple[int, int, bool]]) -> None:
    sample = from_tuples(rows)
    # Oracle: put a free mass on every integer 1..13 and on infinity, and let SLSQP climb.
    points = np.append(np.arange(1, 14), np.inf)
    inside = ((points > sample.low[:, None]) & (points <= sample.high[:, None])).astype(float)
    k = points.size
    best = minimize(
        lambda w: -mean_log_likelihood(w / w.sum(), inside), np.full(k, 1 / k), bounds=[(1e-9, 1)] * k, method="SLSQP"
    )
    _, right, mass = npmle(sample)
    ours = np.zeros(k)
    for r, w in zip(right, mass, strict=True):
        ours[np.flatnonzero(points == r)[0]] += w
    assert mass.sum() == pytest.approx(1.0)
    assert mean_log_likelihood(ours, inside) >= -best.fun - 1e-4


@given(intervals)
def test_the_estimate_lies_between_the_worst_cases_and_inside_its_bands(rows: list[tuple[int, int, bool]]) -> None:
    c = curve_of(from_tuples(rows))
    assert (c.p_lower <= c.p).all()
    assert (c.p <= c.p_upper).all()
    assert (c.lo <= c.p_lower).all()
    assert (c.p_upper <= c.hi).all()
    assert (np.diff(c.p) >= 0).all()
    assert (np.diff(c.lo) >= 0).all()
    assert (np.diff(c.hi) >= 0).all()


def test_clopper_pearson_agrees_with_scipy() -> None:
    for k, n in [(0, 7), (3, 7), (7, 7), (250, 1000)]:
        low, high = clopper_pearson(k, n, 0.9)
        oracle = binomtest(k, n).proportion_ci(0.9, method="exact")
        assert (float(low), float(high)) == pytest.approx((oracle.low, oracle.high), abs=1e-10)


def test_quantile_ranks_match_the_published_table_for_the_median() -> None:
    # 95 % order-statistic intervals of the median (Conover 1999, sign test): N: (l, u).
    assert [quantile_ranks(n, 0.5) for n in (5, 6, 9, 20, 50)] == [(0, 6), (1, 6), (2, 8), (6, 15), (18, 33)]


# 400 repetitions, target 95 %: a correct band fails the check (fewer than 364 = 91 %) with probability < 0.0006.
@pytest.mark.parametrize("budget", [None, 4])
def test_pointwise_and_simultaneous_bands_cover_a_known_curve(budget: int | None) -> None:
    rng = np.random.default_rng(20260601)
    law = np.array([0.05, 0.15, 0.3, 0.25, 0.15, 0.1])  # m* = 5..10
    truth = np.cumsum(law)
    everywhere = 0
    pointwise = np.zeros(6)
    for _ in range(400):
        m_star = rng.choice(np.arange(5, 11), size=60, p=law)
        low, high = m_star - 1, m_star.astype(object)
        if budget is not None:  # each trial learns only a random bracket around its m*
            low = m_star - rng.integers(1, budget, 60)
            high = (m_star + rng.integers(0, budget, 60)).astype(object)
            high[rng.random(60) < 0.1] = None
        c = transition_curve(low, high, 2)
        at = np.searchsorted(c.m, np.arange(5, 11)).clip(0, c.m.size - 1)
        pointwise += (c.lo[at] <= truth) & (truth <= c.hi[at])
        everywhere += bool(((c.band_lo[at] <= truth + 1e-12) & (truth <= c.band_hi[at] + 1e-12)).all())
    assert (pointwise >= 364).all()
    assert everywhere >= 364


def test_infinite_thresholds_keep_the_curve_below_one() -> None:
    c = transition_curve([3, 4, None, None], [4, 5, None, None], 2, failed=[None, None, 1, 1])
    assert c.p.tolist() == [0.0, 0.25, 0.5]
    assert (c.failed, c.censored, c.trials) == (2, 0, 4)
    nothing = transition_curve([None], [None], 2, failed=[1])
    assert nothing.p.tolist() == [0.0, 0.0]


def test_a_right_censored_trial_may_still_be_infinite() -> None:
    c = transition_curve([3, 5], [4, None], 2)
    assert c.p_lower.tolist() == [0.0, 0.5, 0.5, 0.5]
    assert c.p_upper.tolist() == [0.0, 0.5, 0.5, 1.0]
    unknown = transition_curve([None], [None], 2)  # an undecided earlier layer: nothing is known
    assert unknown.p_upper[-1] == 1.0
    assert unknown.p_lower[-1] == 0.0


def test_dkw_uses_massarts_constant() -> None:
    assert dkw_halfwidth(100, 0.95) == pytest.approx(0.13581, abs=1e-5)


def test_series_are_split_by_all_four_keys_and_row_order_does_not_matter() -> None:
    table = pd.DataFrame(
        {
            "n": [2, 2, 2, 3],
            "widths_before": ["", "", "5", ""],
            "criterion": ["global"] * 4,
            "ensemble": ["gaussian"] * 4,
            "m_lo": pd.array([3, 4, None, 7], dtype="Int64"),
            "m_hi": pd.array([4, 5, None, 9], dtype="Int64"),
            "failed_layer": pd.array([None, None, 1, None], dtype="Int64"),
        }
    )
    items = curves_by_series(table)
    assert [(i.key.n, i.key.widths_before, i.curve.trials) for i in items] == [(2, "", 2), (2, "5", 1), (3, "", 1)]
    shuffled = curves_by_series(table.iloc[::-1])
    assert [i.key for i in shuffled] == [i.key for i in items]
    assert (shuffled[0].curve.p == items[0].curve.p).all()
    with pytest.raises(InputError, match="m_hi"):
        curves_by_series(table.drop(columns="m_hi"))


@pytest.mark.parametrize(
    ("low", "high", "failed", "word"),
    [
        ([5], [5], None, "less than"),
        ([], [], None, "at least one"),
        ([4.5], [6], None, "whole"),
        ([4, 5], [6], None, "length"),
        ([4], [5], [2], "infinite"),
        (["x"], [5], None, "whole numbers"),
    ],
)
def test_bad_columns_get_one_clear_line(low: list, high: list, failed: list | None, word: str) -> None:
    with pytest.raises(InputError, match=word):
        transition_curve(low, high, 2, failed=failed)
