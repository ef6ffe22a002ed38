"""Where tasks are done: in this process, or by worker processes of this machine that may die one by one.

A pool gives back one event per task: its rows, or that its worker died under it. Nothing else is lost with a worker.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from mcinj.errors import InputError
from mcinj.experiment.config import Group
from mcinj.experiment.tasks import Task, run_task, warm
from mcinj.experiment.worker import receive, send

log = logging.getLogger("mcinj.run")

# Workers that end in a row before they are ready: by themselves, or killed. Then the fault is not a trial's.
FAILED_STARTS, KILLED_STARTS = 5, 25
# Numerical libraries would otherwise start a thread per core in every worker.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from mcinj.experiment.worker import main; main()"


@dataclass(frozen=True)
class Event:
    """The end of a task: its seconds and rows, or (`cause` not empty) the death of its worker."""

    task: Task
    seconds: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    cause: str = ""


class Pool(Protocol):
    """What the driver asks of a pool."""

    def free(self) -> int:
        """Tasks that may be given to it now."""

    def submit(self, task: Task) -> None:
        """Give it a task."""

    def next(self, timeout: float) -> Event | None:
        """The next end of a task; None if there was none within `timeout` seconds."""

    def running(self) -> list[tuple[Task, float]]:
        """Tasks given to it, and the seconds since."""

    def workers(self) -> int:
        """How many work at present."""

    def close(self) -> None:
        """End it and its processes at once."""


class Here:
    """One worker: this very process."""

    def __init__(self) -> None:
        self._task: Task | None = None

    def free(self) -> int:
        return int(self._task is None)

    def submit(self, task: Task) -> None:
        self._task = task

    def next(self, timeout: float) -> Event | None:
        if self._task is None:
            return None
        task, self._task = self._task, None
        return Event(task, *run_task(task))

    def running(self) -> list[tuple[Task, float]]:
        return []

    def workers(self) -> int:
        return 1

    def close(self) -> None:
        pass


class _Worker:
    """A worker process, a thread that waits for its answers, and one for its last words."""

    def __init__(self, kinds: Sequence[Group], events: queue.SimpleQueue[tuple[_Worker, Any]]) -> None:
        self.task: Task | None = None
        self.since = time.monotonic()
        self.ready = False
        self._words: list[str] = []
        # A group of its own: Ctrl-C in the terminal is the parent's to handle.
        apart: dict[str, Any] = {"process_group": 0}
        if os.name == "nt":
            apart = {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, json.dumps([p or os.getcwd() for p in sys.path])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **ONE_THREAD},
            **apart,
        )
        self.pid = self._process.pid
        threading.Thread(target=self._listen, args=(events,), daemon=True).start()
        self._last_words = threading.Thread(target=self._hear, daemon=True)
        self._last_words.start()
        self.give(kinds)

    def give(self, message: Any) -> None:
        """Send a message; a dead worker is noticed by its listener."""
        assert self._process.stdin is not None
        with suppress(OSError):
            send(self._process.stdin, message)

    def _listen(self, events: queue.SimpleQueue[tuple[_Worker, Any]]) -> None:
        assert self._process.stdout is not None
        try:
            while True:
                events.put((self, receive(self._process.stdout)))
        except Exception as error:
            events.put((self, ("gone", "" if isinstance(error, EOFError) else repr(error))))

    def _hear(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            text = line.decode(errors="replace").rstrip()
            if text:
                self._words = [*self._words[-30:], text]

    def bury(self) -> str:
        """How a worker that closed its pipe ended, in words."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        self.kill()
        self.join()
        self._last_words.join(timeout=1.0)
        code = self._process.returncode
        for line in self._words:
            log.info("worker %d: %s", self.pid, line)
        if code < 0:
            with suppress(ValueError):
                return f"killed by {signal.Signals(-code).name}"
        said = f": {self._words[-1]}" if self._words else ""
        return f"ended with code {code}{said}"

    def kill(self) -> None:
        """End it, whatever it is doing."""
        with suppress(OSError):
            self._process.kill()

    def join(self) -> None:
        """Wait for its end and let go of its pipes."""
        self._process.wait()
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()


class Local:
    """Worker processes on this machine; a dead one is replaced."""

    def __init__(self, workers: int, kinds: Sequence[Group]) -> None:
        self._kinds = kinds
        self._events: queue.SimpleQueue[tuple[_Worker, Any]] = queue.SimpleQueue()
        self._failed = 0.0
        self._waiting: list[Task] = []
        self._workers: list[_Worker] = []
        warm(kinds)  # compiled once here, so that the workers find it in the cache instead of compiling side by side
        try:
            for _ in range(workers):
                self._workers.append(_Worker(kinds, self._events))
        except BaseException as error:
            self.close()
            if isinstance(error, OSError):
                raise InputError(f"cannot start workers: {error.strerror or error}; try fewer --jobs") from None
            raise

    def free(self) -> int:
        return sum(w.ready and w.task is None for w in self._workers)

    def submit(self, task: Task) -> None:
        worker = next(w for w in self._workers if w.ready and w.task is None)
        worker.task, worker.since = task, time.monotonic()
        worker.give(task)

    def running(self) -> list[tuple[Task, float]]:
        now = time.monotonic()
        return [(w.task, now - w.since) for w in self._workers if w.task is not None]

    def workers(self) -> int:
        return len(self._workers)

    def next(self, timeout: float) -> Event | None:
        try:
            worker, (word, *content) = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if worker not in self._workers:
            return None
        task = worker.task
        if word == "ready":
            worker.ready, self._failed = True, 0.0
            return None
        if word == "gone":
            cause = content[0] or worker.bury()
            worker.kill()
            worker.join()
            self._replace(worker, cause)
            return None if task is None else Event(task, cause=cause)
        assert task is not None
        worker.task = None
        if word == "done":
            return Event(task, *content)
        if word == "died":
            return Event(task, cause=content[0])
        error, trace = content
        log.error("trial(s) %s of %s failed:\n%s", task.trials, task.group, trace)
        raise error

    def _replace(self, worker: _Worker, cause: str) -> None:
        self._workers.remove(worker)
        log.warning("worker %d is gone: %s", worker.pid, cause)
        if not worker.ready:
            self._failed += 1 / (KILLED_STARTS if cause.startswith("killed") else FAILED_STARTS)
        if self._failed >= 0.999:
            raise InputError(f"worker processes end before they are ready ({cause}); is memory short? try fewer --jobs")
        try:
            self._workers.append(_Worker(self._kinds, self._events))
        except OSError as error:
            if not self._workers:
                raise InputError(f"cannot start worker processes: {error.strerror or error}") from None
            log.warning("no new worker: %s; going on with %d", error.strerror or error, len(self._workers))

    def close(self) -> None:
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.join()
