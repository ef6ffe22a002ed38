"""Control variates and two budgets: expectations by listing, unbiasedness and coverage on laws with known means."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from mcinj import threshold
from mcinj.errors import InputError
from mcinj.infer.levels import levelled
from mcinj.infer.means import SearchedMean, means
from mcinj.infer.resultants import (
    COEFFICIENTS,
    GRID,
    LAWS,
    ControlledSample,
    controlled_means,
    resultants,
    with_controls,
)
from mcinj.infer.sample import ThresholdSample
from mcinj.infer.searched import summarise_searches
from mcinj.networks import RowStream

K = len(COEFFICIENTS)


@pytest.mark.parametrize("ensemble", LAWS)
def test_controls_have_expectation_zero(ensemble: str) -> None:
    n, trials = 4, 1500
    law = "sparse:0.5" if ensemble == "sparse" else ensemble
    streams = [RowStream(law, n, f"3/{k}").take(12 * n) for k in range(trials)]
    controls = np.array([resultants(rows[rows.any(axis=1)], n) for rows in streams])
    errors = controls.std(axis=0) / math.sqrt(trials)
    assert (np.abs(controls.mean(axis=0)) < 4.5 * errors).all()


def test_controls_of_one_input_by_listing_all_signs() -> None:
    """At n = 1 the unit rows are signs: r = S²/m and q = S²/m, whose means over all sign vectors are exact."""
    signs = np.array(list(product((-1.0, 1.0), repeat=max(GRID))))
    found = np.array([resultants(row[:, None], 1) for row in signs])
    assert found.mean(axis=0) == pytest.approx(np.zeros(K), abs=1e-12)
    s = np.cumsum(signs, axis=1)[:, np.array(GRID) - 1]
    assert found[:, : len(GRID)] == pytest.approx(s**2 / np.array(GRID) - 1)
    assert found[:, -len(GRID) :] == pytest.approx(s**2 / np.array(GRID) - 1)


def test_coefficients_explain_thresholds_that_did_not_fit_them() -> None:
    n, trials = 5, 1200
    controls = np.array([resultants(RowStream("gaussian", n, f"3/{k}").take(8 * n), n) for k in range(trials)])
    m = np.array([threshold(n, seed=f"3/{k}").m_hi for k in range(trials)])
    each = ControlledSample(ThresholdSample.build(m - 1, m, n), controls)
    small = ControlledSample(ThresholdSample.build(m[:50] - 1, m[:50], 6), controls[:50])
    found, other = controlled_means([small, each])
    assert found.plain == pytest.approx(m.mean() / n)
    assert 0.55 < found.explained < 0.85
    assert abs(found.mean - found.plain) < 4 * found.plain_se
    assert other.mean == pytest.approx(np.mean(m[:50] / 6) - controls[:50].mean(axis=0) @ np.array(COEFFICIENTS))
    points = means([each.sample, small.sample], [SearchedMean(6, 40, 5.4, 0.05, 0.0, 0.01)])
    sharper = with_controls(points, [found, other])
    assert sharper.alpha[0] == found.mean
    assert sharper.sigma[0] == pytest.approx(found.se * math.sqrt((trials - 1) / (trials - 3)))
    assert sharper.alpha[-1] == points.alpha[-1]  # searched: another mean, left alone


def test_controls_of_wrong_shape_or_censored_draws_are_refused() -> None:
    with pytest.raises(InputError, match="32 rows"):
        resultants(np.ones((10, 4)), 4)
    with pytest.raises(InputError, match="not zero"):
        resultants(np.eye(40)[:, :2], 2)
    sample = ThresholdSample.build([5, 6], [6, None], 2)
    with pytest.raises(InputError, match="exact and finite"):
        ControlledSample(sample, np.zeros((2, K)))
    with pytest.raises(InputError, match=f"one row of {K}"):
        ControlledSample(sample, np.zeros((2, 3)))


def runs(rng: np.random.Generator, top: np.ndarray, power: float) -> np.ndarray:
    """Four runs per stream: each loses a geometric number of widths; streams differ, the harder the larger `power`."""
    p = rng.random((top.size, 1)) ** power
    return top[:, None] - np.minimum(rng.geometric(p, (top.size, 4)) - 1, 30)


def test_two_budgets_cover_where_one_alone_is_far_below() -> None:
    rng, n, inside, alone = np.random.default_rng(5), 20, 0, 0
    miss = []
    for _ in range(400):
        controls = 0.1 * rng.standard_normal((300, K))
        top = np.round(119 + 4 * rng.standard_normal(300) + n * controls @ np.array(COEFFICIENTS))
        few, more = runs(rng, top, 2.0), runs(rng, top[:40], 0.25)
        found = levelled(n, few, more, np.arange(40), controls=controls)
        low, high = found.interval
        inside += low <= 120 / n <= high
        alone += abs(levelled(n, few, controls=controls).mean - 120 / n) <= 1.96 * found.se
        miss.append([found.miss, levelled(n, few).miss])
    assert inside >= 0.95 * 400 - 3 * 4.4
    assert alone < 0.6 * 400
    assert np.mean(miss, axis=0)[0] < 0.5 * np.mean(miss, axis=0)[1]


def test_one_budget_without_controls_is_the_plain_summary() -> None:
    widths = runs(np.random.default_rng(6), np.full(50, 40) + np.arange(50) % 7, 0.5)
    told, found = summarise_searches(widths), levelled(8, widths)
    assert found.mean == pytest.approx(told.mean / 8)
    assert found.se == pytest.approx(told.se / 8 * math.sqrt(49 / 47))
    assert (found.gap, found.gap_se, found.reach) == pytest.approx((told.gap / 8, told.gap_se / 8, told.reach))
    assert (found.shared, found.gain, found.gain_se) == (0, 0.0, 0.0)
    assert found.as_searched() == SearchedMean(8, 50, found.mean, found.se, 0.0, found.miss)


def test_agreement_by_chance_is_not_certainty() -> None:
    """No gain and no gap in ten streams leaves room for both in the eleventh."""
    few = np.tile([20.0, 20.0, 18.0, 20.0], (30, 1)) + np.arange(30)[:, None] % 3
    few[0] = [25, 23, 20, 20]  # the only run alone at its best, two widths above
    found = levelled(10, few, np.repeat(few[:10].max(axis=1)[:, None], 4, axis=1), np.arange(10))
    assert (found.gain, found.gap, found.reach) == (0.0, 0.0, 1.0)
    assert found.gain_se == pytest.approx(2 / 10 / 10)
    assert found.miss > 2 / 11 / 10


def test_what_is_gained_is_counted_from_the_best_of_both() -> None:
    few = np.array([[5, 5], [7, 6], [6, 6], [8, 8], [9, 9]], dtype=float)
    more = np.array([[8, 8], [5, 5], [6, 4], [11, 11]], dtype=float)  # streams 1, 0, 2, 4
    found = levelled(2, few, more, [1, 0, 2, 4])
    assert found.gain == pytest.approx((1 + 0 + 0 + 2) / 4 / 2)
    assert found.mean == pytest.approx((35 / 5 + 1) / 2 + found.gain)


@pytest.mark.parametrize(
    "given", [{"shared": [0, 0, 1, 2]}, {"shared": [0, 1, 2, 30]}, {"shared": [0, 1]}, {"controls": np.zeros((9, 2))}]
)
def test_bad_input(given: dict[str, object]) -> None:
    widths = runs(np.random.default_rng(7), np.full(9, 40), 0.5)
    with pytest.raises(InputError):
        levelled(8, widths, widths[:4], **{"shared": [0, 1, 2, 3], **given})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no usable error"):
        levelled(8, widths[:3])
