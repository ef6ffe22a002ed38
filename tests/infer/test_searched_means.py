"""Order statistics of repeated searches against their definition, and the extrapolations where they are exact."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from mcinj import InputError
from mcinj.infer.searched import best_of, summarise_searches


def test_best_of_is_the_mean_over_all_sets_of_runs() -> None:
    found = np.random.default_rng(1).integers(0, 9, (5, 6))
    best = best_of(found)
    for row, means in zip(found, best, strict=True):
        for j in range(1, 7):
            assert means[j - 1] == pytest.approx(np.mean([max(chosen) for chosen in combinations(row, j)]))


def draws(rng: np.random.Generator, streams: int, runs: int, power: float) -> tuple[np.ndarray, np.ndarray]:
    """Streams whose top width m* - 1 = 10 a run reaches with probability u^power, u uniform; else it finds 9."""
    p = rng.random(streams) ** power
    return 9 + (rng.random((streams, runs)) < p[:, None]), np.full(streams, 11)


def test_geometric_is_exact_for_equal_probabilities() -> None:
    found = 9 + (np.random.default_rng(2).random((400_000, 4)) < 0.5)
    result = summarise_searches(found)
    assert result.geometric == pytest.approx(0.5**4, abs=0.003)
    assert result.gap > result.geometric
    assert result.mean + 0.5**4 == pytest.approx(11.0, abs=0.003)
    assert result.unique == pytest.approx(4 * 0.5**4, abs=0.003)
    assert result.reach == pytest.approx(0.5 + 0.5**4, abs=0.003)  # all four agree where none reaches the top


def test_gap_is_exact_for_uniform_probabilities() -> None:
    found, m_star = draws(np.random.default_rng(3), 400_000, 4, 1.0)
    result = summarise_searches(found)
    missed = m_star.mean() - result.mean
    assert missed == pytest.approx(0.2, abs=0.003)  # E (1 - p)^4
    assert result.gap == pytest.approx(missed, abs=4 * result.gap_se)
    assert result.unique == pytest.approx(missed, abs=0.003)
    assert result.geometric < missed


def test_more_easy_streams_than_uniform_keep_the_truth_between_the_two() -> None:
    found, m_star = draws(np.random.default_rng(4), 400_000, 5, 0.5)
    result = summarise_searches(found)
    missed = m_star.mean() - result.mean
    assert result.geometric < missed < result.gap


def test_coverage_of_the_interval() -> None:
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(400):
        m_star = 100 + rng.poisson(20, 60)
        p = rng.random((60, 1)) ** 0.7
        lost = rng.geometric(p, (60, 4)) - 1
        low, high = summarise_searches(m_star[:, None] - 1 - np.minimum(lost, 30)).interval
        inside += low <= 120 <= high
    assert inside >= 0.95 * 400 - 3 * 4.4


def test_agreement_leaves_nothing_to_miss() -> None:
    result = summarise_searches([[7, 7, 7], [9, 9, 9]])
    assert (result.mean, result.geometric, result.gap, result.unique) == (9.0, 0.0, 0.0, 0.0)
    assert result.single == 0.0
    one = summarise_searches([[7, 8]])
    assert np.isnan(one.se)
    assert one.mean == 9.0
    assert np.isnan(one.geometric)  # two runs show no ratio of gains


@pytest.mark.parametrize("found", [[1, 2], [[1], [2]], [[]], [[1.0, float("nan")]], [["a", "b"]], [[[1, 2]]]])
def test_bad_input(found: object) -> None:
    with pytest.raises(InputError):
        summarise_searches(found)  # type: ignore[arg-type]


def test_bad_level() -> None:
    with pytest.raises(InputError, match="level"):
        summarise_searches([[1, 2]], level=1.0)
