"""What a worker does: some trials of one group; and how the work is cut into such tasks, again after a death."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import time
from collections import Counter, deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mcinj.experiment.config import Group, Series, StackSet
from mcinj.experiment.estimate import MEASURED
from mcinj.experiment.searches import MarginSet, SearchSet

# A task is so many trials that it takes about this long: short enough for a live progress display and for even
# loads at the end, long enough that sending it costs nothing.
TASK_SECONDS = 0.4
# The first trials of a series go out early if those of the series before it take no longer: then the time to go is
# measured soon, not guessed.
PILOT_SECONDS = 1.0
# So many deaths of its worker, alone in its task, set a trial aside.
DEATHS = 3


@dataclass(frozen=True)
class Task:
    """Some trials of one group, to be done by one worker in one go."""

    group: Group
    root: int
    trials: tuple[int, ...]


def small(group: Group) -> Group:
    """The cheapest group that runs the same code: its kind, criteria, engines and law, at n = 2 or 3."""
    names = {field.name for field in dataclasses.fields(group)}
    before = getattr(group, "widths_before", ())
    # Widths at which the first layers pass, so that the search of the last one is reached.
    widths = (12,) * min(len(group.widths), 2) if isinstance(group, StackSet) else (6,)
    values: dict[str, Any] = {
        "n": 2 if isinstance(group, Series | StackSet | MarginSet) else 3,
        "trials": 1,
        "count": 1,
        "rule": "",
        "widths": widths,
        "widths_before": (12,) * min(len(before), 2),
        "moves": 10,
        "runs": 2,
        "tolerance": 0.1,
        "node_budget": 10_000,
    }
    return dataclasses.replace(group, **{key: value for key, value in values.items() if key in names})


@functools.cache
def _warm(group: Group) -> None:
    # A law of the user's own may refuse this n; then its first trial loads what it needs.
    with suppress(Exception):
        list(_rows(group, 0, 0))


def warm(groups: Iterable[Group]) -> None:
    """Load the compiled search once per process, or compile it, so that no trial's `seconds` holds it."""
    for group in groups:
        _warm(small(group))


def run_task(task: Task) -> tuple[float, list[dict[str, Any]]]:
    """Do a task, in a worker: seconds, rows of the table."""
    warm([task.group])
    started = time.perf_counter()
    rows: list[dict[str, Any]] = []
    for trial in task.trials:
        try:
            for row in _rows(task.group, task.root, trial):
                # A clock that was set back must not make a record that is refused when it is read.
                rows.append({**row, "seconds": max(row["seconds"], 0.0)})
        except Exception as error:
            error.add_note(f"in trial {trial} of {task.group}, root seed {task.root}")
            raise
    return max(time.perf_counter() - started, 0.0), rows


def _rows(group: Group, root: int, trial: int) -> Iterable[dict[str, Any]]:
    if isinstance(group, SearchSet):
        return group.rows(root, trial)
    if isinstance(group, StackSet):
        from mcinj.experiment.stacks import stack_rows

        return stack_rows(group, root, trial)
    from mcinj.experiment.trial import threshold_row

    return [threshold_row(group, root, trial)]


class Supply:
    """Cuts what is to be done into tasks of about `TASK_SECONDS`, by the speed seen so far.

    A task whose worker died comes back: its trials go out again one by one, so that the next death names its trial,
    and a trial that was alone in `DEATHS` deaths is given up.
    """

    def __init__(self, todo: list[tuple[Group, list[int]]], root: int, workers: int) -> None:
        self._root, self._workers = root, workers
        self._todo = [(group, deque(trials)) for group, trials in todo if trials]
        self._again: deque[Task] = deque()
        self._mean: dict[Group, float] = {}
        self._pilots: Counter[Group] = Counter()
        self._deaths: dict[tuple[Group, int], int] = {}

    def next(self) -> Task | None:
        """The next task; None if none is left to give out."""
        if self._again:
            return self._again.popleft()
        while self._todo and not self._todo[0][1]:
            self._todo.pop(0)
        if not self._todo:
            return None
        pilot = self._pilot()
        if pilot is not None:
            return pilot
        group, trials = self._todo[0]
        mean = self._mean.get(group)
        size = 1 if mean is None else int(max(1, min(TASK_SECONDS / max(mean, 1e-6), 5000)))
        # The last trials of a group go out in small tasks, so that no worker waits for another.
        size = max(1, min(size, len(trials) // (2 * self._workers)))
        return Task(group, self._root, tuple(trials.popleft() for _ in range(size)))

    def _pilot(self) -> Task | None:
        """One of the first trials of a later series, as long as the series before it is known to be cheap."""
        for (before, _), (group, trials) in itertools.pairwise(self._todo):
            if self._mean.get(before, math.inf) > PILOT_SECONDS:
                return None
            if trials and self._pilots[group] < MEASURED:
                self._pilots[group] += 1
                return Task(group, self._root, (trials.popleft(),))
        return None

    def saw(self, task: Task, seconds: float) -> None:
        """Learn from a finished task."""
        mean = seconds / len(task.trials)
        old = self._mean.get(task.group)
        weight = min(1.0, len(task.trials) / 20.0)
        self._mean[task.group] = mean if old is None else (1 - weight) * old + weight * mean

    def died(self, task: Task) -> int:
        """Take back a task whose worker died; the deaths of its trial if it is given up, else 0."""
        if len(task.trials) > 1:
            self._again.extend(Task(task.group, task.root, (trial,)) for trial in task.trials)
            return 0
        key = (task.group, task.trials[0])
        self._deaths[key] = self._deaths.get(key, 0) + 1
        if self._deaths[key] >= DEATHS:
            return self._deaths[key]
        self._again.append(task)
        return 0
