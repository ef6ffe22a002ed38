"""What a long decision tells while it runs, and when it has to end: a deadline, a stage, and what is known so far.

`check` makes one `Watch` per decision and holds it in a context variable, so that every stage can reach it
(`current()`) without passing it on. A stage says what it does (`enter`) and polls between slices of work (`poll`); past
the deadline a poll raises `TimeUp`, which `check` turns into UNKNOWN. Nothing that a search does depends on the watch:
slices end where a resumable search pauses, so verdict, nodes and witness are the same with any limit that suffices.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mcinj.errors import InputError

_EVERY = 0.1  # seconds between two reports
_SLICE = 0.1  # seconds that a slice of work should take
_JOIN = 0.05  # seconds between two looks at work in another thread

T = TypeVar("T")


class TimeUp(Exception):
    """The time limit is over."""


@dataclass(frozen=True)
class Fewest:
    """The least number of active units of a layer seen at an input, a float candidate until `known` has counted it."""

    layer: int
    count: int
    x: tuple[float, ...]


@dataclass
class Watch:
    """One decision as it goes on.

    Attributes
    ----------
    limit
        Seconds from the start, or None. Compilation, which happens once per machine, is not counted.
    sink
        Called with the watch at most ten times a second, and at every new stage.
    stage
        What is being done, in words.
    nodes, open
        Nodes entered by all stages so far; nodes of the present stage that wait on its stack.
    share
        Share of all pairs of inputs, by volume, that is settled; None where the stage does not know.
    alone
        Layers (from 1) that are proved injective on all of their input space.
    proved
        What is proved so far, in words.
    fewest
        For every layer, the least number of active units seen.
    compiling
        Whether the search is being compiled.
    compiled
        While it is: functions compiled so far, and how many there are at most.
    decided
        The decision, where all that is left is writing its certificate.
    stopped
        Every poll raises `TimeUp` from now on: for threads that search for a decision that has ended.
    strays
        Threads that a `TimeUp` or an interrupt left behind; each ends with its slice of compiled work.
    """

    limit: float | None = None
    sink: Callable[[Watch], None] | None = None
    stage: str = "reading the weights"
    nodes: int = 0
    open: int = 0
    share: float | None = None
    alone: list[int] = field(default_factory=list)
    proved: list[str] = field(default_factory=list)
    fewest: dict[int, Fewest] = field(default_factory=dict)
    compiling: bool = False
    compiled: tuple[int, int] = (0, 0)
    decided: Any = None
    stopped: bool = False
    strays: list[threading.Thread] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)
    _reported: float = 0.0
    _before: int = 0  # nodes of stages that have ended
    _compiled: float = 0.0  # seconds of compilation
    _quiet: int = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    @property
    def working(self) -> float:
        """Seconds since the start without those of compilation, which are on no limit's account."""
        return self.elapsed - self._compiled

    @property
    def quiet(self) -> bool:
        """Whether a part of the decision is being decided by itself."""
        return self._quiet > 0

    @property
    def left(self) -> float | None:
        """Seconds left, None without a limit; negative past it."""
        return None if self.limit is None else self.limit - self.working

    def enter(self, stage: str) -> None:
        """A new stage begins; its nodes count from 0."""
        self._before = self.nodes
        self.open = 0
        self.share = None
        if not self._quiet:
            self.stage = stage
        self._report(always=True)
        self._check()

    def poll(self, nodes: int | None = None, waiting: int = 0) -> None:
        """Between two slices: `nodes` of this stage so far, and how many wait. Raises `TimeUp` past the limit."""
        if nodes is not None:
            self.nodes, self.open = self._before + nodes, waiting
        self._report(always=False)
        self._check()

    def aside(self, work: Callable[[], T]) -> T:
        """Do compiled work (without the interpreter's lock) in another thread, polling meanwhile: one node may be long.

        Where the poll, or an interrupt, ends the waiting, the thread is left to finish its slice on arrays that nobody
        reads any more.
        """
        results: list[T] = []
        errors: list[BaseException] = []

        def run() -> None:
            try:
                results.append(work())
            except BaseException as error:  # handed on to the caller
                errors.append(error)

        thread = threading.Thread(target=run, name="mcinj-slice")
        thread.start()
        try:
            while thread.is_alive():
                thread.join(_JOIN)
                self.poll()
        except BaseException:
            if thread.is_alive():
                self.strays.append(thread)
            raise
        if errors:
            raise errors[0]
        return results[0]

    def prove(self, fact: str) -> None:
        """Something is proved, in words."""
        if fact not in self.proved and not self._quiet:
            self.proved.append(fact)

    def see(self, layer: int, count: int, x: Callable[[], tuple[float, ...]]) -> None:
        """`count` units of a layer are active at an input, in floats; `x` gives it if it is the fewest so far."""
        best = self.fewest.get(layer)
        if not self._quiet and (best is None or count < best.count):
            self.fewest[layer] = Fewest(layer, count, x())

    @contextmanager
    def quietly(self, stage: str) -> Iterator[None]:
        """A part of a stage that is a decision by itself (a layer alone): its facts are not those of the network."""
        if not self._quiet:
            self.enter(stage)
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def _check(self) -> None:
        left = self.left
        if self.stopped or (left is not None and left <= 0.0 and not self.compiling):
            raise TimeUp

    def _report(self, always: bool) -> None:
        if self.sink is None:
            return
        now = time.perf_counter()
        if always or now - self._reported >= _EVERY:
            self._reported = now
            self.sink(self)


_CURRENT: ContextVar[Watch | None] = ContextVar("mcinj_watch", default=None)


def current() -> Watch:
    """The watch of the decision that is running, or one that watches nothing."""
    return _CURRENT.get() or Watch()


@contextmanager
def watching(watch: Watch) -> Iterator[Watch]:
    """Make a watch the current one, and note when numba compiles meanwhile."""
    from numba.core import event

    token = _CURRENT.set(watch)
    try:
        with event.install_listener("numba:compile", _listener(watch)):
            yield watch
    finally:
        _CURRENT.reset(token)


@contextmanager
def attended() -> Iterator[Watch]:
    """The watch of what is running or, where nothing watches, a new one; either way it notes when numba compiles."""
    watch = _CURRENT.get()
    if watch is not None:
        yield watch
    else:
        with watching(Watch()) as watch:
            yield watch


class Allowance:
    """The seconds that a question may work from now on (None: any), of which its stages have shares."""

    def __init__(self, watch: Watch, seconds: float | None) -> None:
        self.watch, self.seconds, self._begun = watch, seconds, watch.working

    @property
    def left(self) -> float | None:
        """Seconds left, None without a limit; negative past it."""
        return None if self.seconds is None else self._begun + self.seconds - self.watch.working

    def over(self, share: float) -> bool:
        """Between two slices: whether this share of them has passed."""
        self.watch.poll()
        return self.seconds is not None and self.watch.working - self._begun > share * self.seconds


def _listener(watch: Watch) -> Any:
    from numba.core import event

    from mcinj._jit import at_most

    class Compilation(event.Listener):  # type: ignore[misc]
        """Functions compile the functions that they call: the outermost counts."""

        depth = 0
        since = 0.0

        def __init__(self) -> None:
            self.seen: set[Any] = set()

        def on_start(self, event: Any) -> None:
            self.depth += 1
            if self.depth == 1:
                self.since = time.perf_counter()
                self.seen.clear()
                watch.compiling, watch.compiled = True, (0, at_most(event.data["dispatcher"].py_func))
                watch._report(always=True)

        def on_end(self, event: Any) -> None:
            self.depth -= 1
            function = event.data["dispatcher"].py_func
            if at_most(function):
                self.seen.add(function)
                watch.compiled = (len(self.seen), watch.compiled[1])
            if self.depth == 0:
                watch._compiled += time.perf_counter() - self.since
                watch.compiling = False
            watch._report(always=self.depth == 0)

    return Compilation()


class Pace:
    """How much work a slice takes, so that it lasts about a tenth of a second: learned from the slices before.

    >>> pace = Pace(16)
    >>> pace.size
    16
    """

    def __init__(self, first: int = 16, most: int = 20_000) -> None:
        self.size, self._most = first, most
        self._since = 0.0

    def begin(self) -> int:
        """A slice begins; how much it may do."""
        self._since = time.perf_counter()
        return self.size

    def end(self, done: int) -> None:
        """It ended after so much work; the next takes up to four times as much."""
        taken = time.perf_counter() - self._since
        fits = int(max(done, 1) * _SLICE / taken) if taken > 0.0 else self._most
        self.size = max(1, min(fits, 4 * self.size, self._most))


def time_limit_of(seconds: Any) -> float | None:
    """A time limit that a user gave, or `InputError`."""
    if seconds is None:
        return None
    good = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not good or not seconds > 0 or seconds == float("inf"):
        raise InputError(f"time_limit must be a number of seconds > 0, or None (no limit), got {seconds!r}")
    return float(seconds)
