"""Progress on the terminal: a live line, or one line now and then where there is no terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mcinj.experiment.estimate import duration, guessed

if TYPE_CHECKING:
    from mcinj.experiment.driver import Progress

PLAIN_SECONDS = 10.0


class ProgressLine:
    """Callback for `mcinj.run`; writes to the console given (standard error, so that output can be piped)."""

    def __init__(self, console: Any) -> None:
        self._console = console
        self._live: Any = None
        self._task: Any = None
        self._last = 0.0
        self.state: Progress | None = None
        if console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as RichProgress

            self._live = RichProgress(
                TextColumn("trials"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                console=console,
            )

    def __enter__(self) -> ProgressLine:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, state: Progress) -> None:
        self.state = state
        note = state_note(state)
        if self._live is not None:
            if self._task is None:
                self._task = self._live.add_task("trials", total=state.total, note=note)
            self._live.update(self._task, completed=state.done, note=note)
            return
        now = time.monotonic()
        if now - self._last > PLAIN_SECONDS or state.done == state.total:
            self._last = now
            self._console.print(f"{state.done}/{state.total} trials, {note}", highlight=False, soft_wrap=True)


def state_note(state: Progress) -> str:
    """Rate, time to go and what is undecided, in one line.

    >>> from mcinj.experiment.driver import Progress
    >>> state_note(Progress(total=10, eta=400.0, guess=(8,), undecided=2)).partition(", ")[2]
    'ETA 7 min (a guess: n = 8 not measured yet), 2 undecided'
    """
    rate = state.rate
    speed = f"{rate:.1f} trials/s" if rate >= 0.1 or not rate else f"{rate * 3600:.1f} trials/h"
    most = "at most " if state.at_most and state.eta else ""
    parts = [speed, f"ETA {most}{duration(state.eta)}{guessed(state.guess)}"]
    if state.done < state.total and not state.workers:
        parts = ["starting workers"]
    parts.append(f"{state.undecided} undecided")
    if state.quarantined:
        parts.append(f"{len(state.quarantined)} quarantined")
    return ", ".join(parts)
