"""What a worker does: some trials of one group; and how the work is cut into such tasks, again after a death."""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mcinj.experiment.config import Group, StackSet
from mcinj.experiment.searches import ActiveSet, CellSet, MarginSet, ProbeSet, SearchedSet, SearchSet

# A task is so many trials that it takes about this long: short enough for a live progress display and for even
# loads at the end, long enough that sending it costs nothing.
TASK_SECONDS = 0.4
# So many deaths of its worker, alone in its task, set a trial aside.
DEATHS = 3


@dataclass(frozen=True)
class Task:
    """Some trials of one group, to be done by one worker in one go."""

    group: Group
    root: int
    trials: tuple[int, ...]


@functools.cache
def warm(kind: str) -> None:
    """Load the compiled search once per process, so that no trial's `seconds` holds it."""
    if kind == "ProbeSet":
        list(ProbeSet(3, "gaussian", 10, 1).rows(0, 0))
    elif kind == "SearchedSet":
        list(SearchedSet(3, "gaussian", 10, 2, 1).rows(0, 0))
    elif kind == "ActiveSet":
        list(ActiveSet(3, "gaussian", (6,), 1, None).rows(0, 0))
    elif kind == "MarginSet":
        list(MarginSet(2, "gaussian", (6,), 0.1, 1, None).rows(0, 0))
    elif kind == "CellSet":
        list(CellSet(3, "gaussian", (6,), 3, 1).rows(0, 0))
    else:
        from mcinj.experiment.trial import threshold

        threshold(2)


def run_task(task: Task) -> tuple[float, list[dict[str, Any]]]:
    """Do a task, in a worker: seconds, rows of the table."""
    warm(type(task.group).__name__)
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
        self._deaths: dict[tuple[Group, int], int] = {}

    def next(self) -> Task | None:
        """The next task; None if none is left to give out."""
        if self._again:
            return self._again.popleft()
        while self._todo and not self._todo[0][1]:
            self._todo.pop(0)
        if not self._todo:
            return None
        group, trials = self._todo[0]
        mean = self._mean.get(group)
        size = 1 if mean is None else int(max(1, min(TASK_SECONDS / max(mean, 1e-6), 5000)))
        # The last trials of a group go out in small tasks, so that no worker waits for another.
        size = max(1, min(size, len(trials) // (2 * self._workers)))
        return Task(group, self._root, tuple(trials.popleft() for _ in range(size)))

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
