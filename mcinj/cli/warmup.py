"""The command that compiles ahead."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcinj.cli.app import app

if TYPE_CHECKING:
    from mcinj.warm import Progress

_PLAIN_SECONDS = 10.0  # between two lines where there is no terminal


@app.command()
def warmup(
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", help="Processes that compile; default: one per core.", min=1)
    ] = None,
    ship: Annotated[
        Path | None,
        typer.Option(
            help="Compile for all processors of this family instead, into this folder: what `make wheel` packs.",
            metavar="DIR",
        ),
    ] = None,
) -> None:
    """Compile everything now, so that no later command has to. Once per machine and version; does no harm twice.

    Example: mcinj warmup
    """
    from rich.console import Console

    from mcinj import warm
    from mcinj.files import make_directory

    line = _Line(Console(stderr=True))
    started = time.perf_counter()
    try:
        if ship is not None:
            count = warm.ship(ship, jobs, line)
            said = f"{count} compiled functions in {ship}"
        else:
            from mcinj._kernel_cache import user_folder

            folder = make_directory(user_folder())
            warm.warm_up(jobs, line)
            said = f"compiled code is in {folder}"
    finally:
        line.close()
    typer.echo(f"{said}; {time.perf_counter() - started:.0f} s")


class _Line:
    """A live line on a terminal, else one at every step and every ten seconds."""

    def __init__(self, console: Any) -> None:
        self._console = console
        self._status: Any = None
        self._last, self._done = float("-inf"), -1

    def __call__(self, state: Progress) -> None:
        text = progress_line(state)
        if self._console.is_terminal:
            if self._status is None:
                self._status = self._console.status("")
                self._status.start()
            self._status.update(text)
        elif state.done != self._done or state.seconds - self._last >= _PLAIN_SECONDS:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)
            self._last, self._done = state.seconds, state.done

    def close(self) -> None:
        """Take the live line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None


def progress_line(state: Progress) -> str:
    """What is done and what is being done.

    >>> from mcinj.warm import Progress
    >>> progress_line(Progress(2, 9, ("one layer", "thresholds"), 61.2))
    '61 s: compiled 2 of 9; now: one layer, thresholds'
    """
    now = f"; now: {', '.join(state.running)}" if state.running else ""
    return f"{state.seconds:.0f} s: compiled {state.done} of {state.total}{now}"
