"""How work is cut into tasks: the first trials of cheap series early, and code loaded before it is timed."""

from __future__ import annotations

import pytest

import mcinj
from mcinj import InputError
from mcinj.experiment.config import Series, StackSet
from mcinj.experiment.searches import CellSet
from mcinj.experiment.tasks import Supply, Task, small, warm


def series(n: int, before: tuple[int, ...] = ()) -> Series:
    return Series(n, before, "regional", "gaussian", 50, None)


def first(supply: Supply, seconds: dict[int, float], tasks: int) -> list[tuple[int, int]]:
    """(n, number of trials) of the first tasks, done one after another at these seconds a trial."""
    given = []
    for _ in range(tasks):
        task = supply.next()
        assert task is not None
        given.append((task.group.n, len(task.trials)))
        supply.saw(task, seconds[task.group.n] * len(task.trials))
    return given


def test_the_first_trials_of_cheap_series_go_out_early() -> None:
    groups = [series(n) for n in (3, 4, 5, 6)]
    supply = Supply([(g, list(range(50))) for g in groups], 0, 1)
    # n = 5 takes long, so n = 6 is not tried before its turn.
    assert first(supply, {3: 0.1, 4: 0.5, 5: 9.0, 6: 99.0}, 8) == [
        (3, 1), (4, 1), (4, 1), (4, 1), (5, 1), (5, 1), (5, 1), (3, 4),
    ]  # fmt: skip


def test_every_trial_is_given_once() -> None:
    groups = [series(n) for n in (3, 4, 5)]
    supply = Supply([(g, list(range(2 if g.n == 4 else 50))) for g in groups], 0, 2)
    seen: list[tuple[int, int]] = []
    while (task := supply.next()) is not None:
        supply.saw(task, 0.01 * len(task.trials))
        seen += [(task.group.n, t) for t in task.trials]
    assert sorted(seen) == [(n, t) for n in (3, 4, 5) for t in range(2 if n == 4 else 50)]


def test_a_trial_that_comes_back_goes_first() -> None:
    supply = Supply([(series(3), [0, 1]), (series(4), [0])], 0, 1)
    task = supply.next()
    assert task is not None
    assert supply.died(task) == 0
    assert supply.next() == Task(series(3), 0, task.trials)


def test_what_is_warmed_is_the_same_code_and_cheap() -> None:
    deep = small(series(9, (60, 90, 100)))
    assert isinstance(deep, Series)
    assert (deep.n, deep.widths_before, deep.criterion) == (2, (12, 12), "regional")
    assert small(series(3)) == small(series(16))
    stacks = small(StackSet(5, (10, 15), "gaussian", 8, ("regional", "global"), ("tree", "lp"), None, True))
    assert isinstance(stacks, StackSet)
    assert (stacks.count, stacks.engines, stacks.enumerate) == (1, ("tree", "lp"), True)
    cells = small(CellSet(16, "gaussian", (64, 80), 5, 100))
    assert isinstance(cells, CellSet)
    assert (cells.n, cells.widths) == (3, (6,))
    for group in (deep, stacks, cells):
        assert small(group) == group
    # A law that refuses its small relative is not an error yet.
    warm([Series(2, (), "regional", "no such law", 1, None)])
    with pytest.raises(InputError, match="no such law"):
        mcinj.threshold(2, ensemble="no such law")
