"""A long decision on the terminal: what is being done and how far it is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcinj.decide.watch import Watch

QUICK = 1.0  # seconds before the first word
PLAIN_SECONDS = 10.0  # between two lines where there is no terminal


class DecisionLine:
    """Callback for the `progress` of `mcinj.check`: a live line on a terminal, else a line now and then.

    Where there is neither a terminal nor the wish to hear (`always`), it only keeps the last state, for a word after an
    interrupt.
    """

    def __init__(self, always: bool = False) -> None:
        self._always = always
        self._console: Any = None
        self._status: Any = None
        self._last = 0.0
        self.watch: Watch | None = None

    def __call__(self, watch: Watch) -> None:
        self.watch = watch
        if watch.elapsed < QUICK and not watch.compiling:
            return
        if self._console is None:  # most decisions end before anything is shown
            from rich.console import Console

            self._console = Console(stderr=True)
        if not self._always and not self._console.is_terminal:
            return
        if self._console.is_terminal:
            if self._status is None:
                self._status = self._console.status("")
                self._status.start()
            self._status.update(state_line(watch))
            return
        now = time.monotonic()
        if now - self._last >= PLAIN_SECONDS:
            self._last = now
            self._console.print(state_line(watch), highlight=False, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Take the live line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def word(self) -> str:
        """How far it came, for one line after an interrupt."""
        if self.watch is None:
            return "before the search began"
        proved = "; ".join(self.watch.proved) or "nothing proved yet"
        return f"{state_line(self.watch)}; {proved}"


@contextmanager
def watched(stage: str) -> Iterator[None]:
    """Show how far a question other than `check` is; after Ctrl-C say so in one line, and raise `Interrupted`."""
    from mcinj.decide.watch import Watch, watching

    line = DecisionLine()
    with watching(Watch(sink=line)) as watch:
        try:
            watch.enter(stage)
            yield
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted after {line.word()}") from None
        finally:
            line.close()


class Interrupted(Exception):
    """Ctrl-C, with how far the question came."""


def state_line(watch: Watch) -> str:
    """Elapsed seconds, stage, nodes, open nodes and the best candidate of a decision, in one line.

    >>> from mcinj.decide.watch import Watch
    >>> state_line(Watch(stage="counts of active units", nodes=1200, open=7))
    '0 s: counts of active units, 1,200 nodes, 7 open'
    """
    parts = [f"{watch.elapsed:.0f} s: " + (_compiling(watch) if watch.compiling else watch.stage)]
    if watch.nodes:
        parts.append(f"{watch.nodes:,} nodes")
    if watch.open:
        parts.append(f"{watch.open:,} open")
    if watch.alone:
        parts.append("layers injective alone: " + " ".join(map(str, watch.alone)))
    if watch.fewest:
        least = min(watch.fewest.values(), key=lambda seen: seen.count)
        parts.append(f"fewest active units seen: {least.count} (layer {least.layer})")
    return ", ".join(parts)


def _compiling(watch: Watch) -> str:
    done, most = watch.compiled
    return f"compiling the search, once on this machine ({done} of up to {most} functions)"
