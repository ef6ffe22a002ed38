"""The test of cell counts: level and power on heavy-tailed counts and on true arrangements in the plane."""

from __future__ import annotations

import math
from math import comb

import numpy as np
import pytest

from mcinj.errors import InputError
from mcinj.infer.celltest import MIN_NONZERO, cell_tests, mean_test, overall_p


def clustered(rng: np.random.Generator, streams: int) -> np.ndarray:
    """Counts with mean 0.9 that come in clusters: mostly zero, geometric when not; variance 5 times the mean."""
    return np.where(rng.random(streams) < 0.3, rng.geometric(1 / 3, streams), 0)


# 300 tests at 5 %: the bootstrap-t rejects a true mean about as often as stated; above 9 % has probability < 0.005.
def test_the_level_is_kept_on_clustered_counts() -> None:
    rng = np.random.default_rng(21)
    p = [mean_test(clustered(rng, 300), 0.9, resamples=400, seed=k).p_value for k in range(300)]
    assert np.mean(np.array(p) < 0.05) < 0.09
    assert 0.35 < np.mean(p) < 0.65
    # What the Poisson test of the same totals would do: reject half of the true means.
    totals = np.array([clustered(rng, 300).sum() for _ in range(300)])
    assert np.mean(np.abs(totals - 270) > 1.96 * math.sqrt(270)) > 0.25


def test_a_tenth_too_few_cells_is_noticed() -> None:
    rng = np.random.default_rng(3)
    counts = clustered(rng, 20_000)
    lost = np.array([rng.binomial(c, 0.9) for c in counts])
    assert mean_test(counts, 0.9).p_value > 0.01
    assert mean_test(lost, 0.9).p_value < 0.001


def planar_counts(m: int, streams: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers of cells with j positives of m Gaussian rows in the plane, by walking round the circle. (streams, m+1)"""
    found = np.zeros((streams, m + 1), dtype=np.int64)
    for s in range(streams):
        rows = rng.standard_normal((m, 2))
        angles = np.arctan2(rows[:, 1], rows[:, 0])
        ends = np.sort(np.concatenate((angles + np.pi / 2, angles - np.pi / 2)) % (2 * np.pi))
        middle = (ends + np.append(ends[1:], ends[0] + 2 * np.pi)) / 2
        x = np.column_stack((np.cos(middle), np.sin(middle)))
        found[s] = np.bincount((x @ rows.T > 0).sum(axis=1), minlength=m + 1)
    return found


def test_planar_arrangements_agree_with_the_exact_expectation() -> None:
    m = 7
    counts = planar_counts(m, 1500, np.random.default_rng(5))
    assert (counts.sum(axis=1) == 2 * m).all()
    expected = [comb(m, j) * 2.0 ** (1 - m) * (1 + (m - 1)) for j in range(m + 1)]
    tests = [mean_test(counts[:, j], expected[j], label=f"j={j}") for j in range(m + 1)]
    assert overall_p(tests) > 0.01
    for t in tests[1:]:
        assert t.tested
        assert t.ratio_lo < t.ratio < t.ratio_hi
    same = cell_tests(2, m, counts)
    assert [t.expected for t in same] == pytest.approx(expected)
    assert [t.p_value for t in same[1:]] == [t.p_value for t in tests[1:]]
    assert cell_tests(2, m, counts[:, 2:4], [2, 3])[1].label == "n=2 m=7 j=3"
    with pytest.raises(InputError, match="one j per column"):
        cell_tests(2, m, counts, [1])
    wrong = mean_test(counts[:, 2], expected[3])
    assert wrong.p_value < 0.001
    assert not wrong.ratio_lo <= 1 <= wrong.ratio_hi


def test_too_rare_cells_are_not_tested() -> None:
    rare = np.zeros(1000)
    rare[: MIN_NONZERO - 1] = 1
    t = mean_test(rare, 0.02)
    assert not t.tested
    assert math.isnan(overall_p([t]))
    assert not mean_test(np.full(100, 4), 4.0).tested  # no spread: nothing to studentise


def test_the_overall_value_is_bonferronis() -> None:
    rng = np.random.default_rng(1)
    tests = [mean_test(clustered(rng, 500), 0.9, seed=k) for k in range(4)]
    assert overall_p(tests) == min(1.0, 4 * min(t.p_value for t in tests))


@pytest.mark.parametrize(
    ("counts", "expected"), [([1.0], 1.0), ([[1, 2]], 1.0), ([-1, 2], 1.0), ([1, 2], 0.0), ([1, math.nan], 1.0)]
)
def test_bad_counts_are_refused(counts, expected) -> None:
    with pytest.raises(InputError):
        mean_test(counts, expected)
