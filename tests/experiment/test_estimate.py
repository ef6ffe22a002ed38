"""The time to go: by hand."""

from __future__ import annotations

import pytest

from mcinj.experiment.estimate import Part, cost_of, duration, estimate, guessed


def part(n: int, count: int = 0, mean: float = 0.0, left: int = 0, **more: int) -> Part:
    return Part(n, "one layer", count=count, seconds=count * mean, left=left, **more)


def test_nothing_measured_and_nothing_left() -> None:
    assert estimate([part(3, left=5)], 1) is None
    found = estimate([part(3)], 1)
    assert found is not None
    assert found.seconds == 0.0


def test_measured_series_are_shared_among_workers() -> None:
    found = estimate([part(3, 10, 2.0, left=30), part(4, 5, 6.0, left=10)], 4)
    assert found is not None
    assert found.seconds == pytest.approx((30 * 2.0 + 10 * 6.0) / 4)
    assert found.guess == ()


def test_one_long_trial_is_not_shared() -> None:
    found = estimate([part(9, 4, 100.0, left=1)], 8)
    assert found is not None
    assert found.seconds == pytest.approx(100.0)


def test_a_series_that_is_not_measured_is_a_guess_by_the_growth_seen() -> None:
    parts = [part(4, 10, 1.0), part(5, 10, 4.0), part(7, left=2)]
    found = estimate(parts, 1)
    assert found is not None
    assert found.seconds == pytest.approx(2 * 4.0 * 4**2)
    assert found.guess == (7,)
    assert guessed(found.guess) == " (a guess: n = 7 not measured yet)"


def test_between_two_sizes_costs_are_geometric_means() -> None:
    parts = [part(4, 10, 1.0), part(6, 10, 9.0)]
    assert cost_of(part(5, left=1), [*parts, part(5, left=1)]) == pytest.approx(3.0)


def test_a_node_budget_bounds_the_guess() -> None:
    small = part(4, 10, 1.0, nodes=10_000)  # 1 ms a node
    large = part(12, left=1, nodes_most=2_000)
    assert cost_of(large, [small, large]) == pytest.approx(2_000 * 1e-3 * 3**3)


def test_running_trials_count_for_what_they_have_taken() -> None:
    done = part(4, 10, 5.0, left=2)
    found = estimate([done], 1, [(done, 1, 3.0)])
    assert found is not None
    assert found.seconds == pytest.approx(10.0 - 3.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "?"), (41.6, "42 s"), (90, "2 min"), (5400, "1.5 h"), (48 * 3600, "2 days"), (1e300, "over 100 years")],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_sizes_known_beforehand_are_used() -> None:
    done = Part(12, "search", count=5, seconds=1.0, work=12_000.0)
    wide = Part(40, "search", left=10, work=40_000_000.0)
    found = estimate([done, wide], 1)
    assert found is not None
    assert found.seconds == pytest.approx(10 * 0.2 * 40_000_000 / 12_000)
    assert found.guess == (40,)
