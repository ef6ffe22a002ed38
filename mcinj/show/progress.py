"""Progress on the terminal: a live line, or one line now and then where there is no terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

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
        note = f"{state.rate:.1f} trials/s, ETA {duration(state.eta)}, {state.undecided} undecided"
        if self._live is not None:
            if self._task is None:
                self._task = self._live.add_task("trials", total=state.total, note=note)
            self._live.update(self._task, completed=state.done, note=note)
            return
        now = time.monotonic()
        if now - self._last > PLAIN_SECONDS or state.done == state.total:
            self._last = now
            self._console.print(f"{state.done}/{state.total} trials, {note}", highlight=False)


def duration(seconds: float | None) -> str:
    """Seconds for people: `42 s`, `7 min`, `3.2 h`; `?` while unknown."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
