"""Tasks done by joblib's processes (loky). They fall together: after a death those of `pools.Local` go on.

When one of loky's workers dies, all of them end, and nobody knows whose task was to blame. So what was under way is
done again by workers that die one by one; a trial that kills its worker is then known.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from mcinj.experiment.config import Group
from mcinj.experiment.pools import ONE_THREAD, Event, Local
from mcinj.experiment.tasks import Task, run_task, warm

log = logging.getLogger("mcinj.run")


class Loky:
    """Worker processes of joblib's reusable executor."""

    def __init__(self, workers: int, kinds: Sequence[Group]) -> None:
        from joblib.externals.loky import get_reusable_executor

        warm(kinds)  # compiled once here, so that the workers find it in the cache instead of compiling side by side
        self._count, self._kinds = workers, kinds
        self._executor: Any = get_reusable_executor(max_workers=workers, env=ONE_THREAD, reuse=False)
        self._events: queue.SimpleQueue[tuple[Task, Future[Any]]] = queue.SimpleQueue()
        self._out: dict[Task, float] = {}
        self._again: list[Task] = []
        self._after: Local | None = None

    def free(self) -> int:
        """Tasks that may be given to it now."""
        if self._after is not None:
            return max(0, self._after.free() - len(self._again))
        return self._count - len(self._out)

    def submit(self, task: Task) -> None:
        """Give it a task."""
        if self._after is not None:
            self._after.submit(task)
            return
        self._out[task] = time.monotonic()
        try:
            future = self._executor.submit(run_task, task)
        except RuntimeError as error:  # a broken executor takes no tasks
            self._fall(error)
            return
        future.add_done_callback(lambda done: self._events.put((task, done)))

    def next(self, timeout: float) -> Event | None:
        """The next end of a task; None if there was none within `timeout` seconds."""
        if self._after is not None:
            while self._again and self._after.free():
                self._after.submit(self._again.pop())
            return self._after.next(min(timeout, 0.2) if self._again else timeout)
        try:
            task, done = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        from joblib.externals.loky.process_executor import BrokenProcessPool

        error = done.exception()
        if isinstance(error, BrokenProcessPool):
            self._fall(error)
            return None
        if isinstance(error, MemoryError):
            del self._out[task]
            return Event(task, cause="out of memory")
        if error is not None:
            raise error
        del self._out[task]
        return Event(task, *done.result())

    def running(self) -> list[tuple[Task, float]]:
        """Tasks given to it, and the seconds since."""
        if self._after is not None:
            return self._after.running()
        now = time.monotonic()
        return [(task, now - since) for task, since in self._out.items()]

    def workers(self) -> int:
        """How many work at present."""
        return self._count if self._after is None else self._after.workers()

    def close(self) -> None:
        """End it and its processes at once."""
        self._executor.shutdown(wait=False, kill_workers=True)
        if self._after is not None:
            self._after.close()

    def _fall(self, error: BaseException) -> None:
        """Go on with workers that die one by one; results that are there already are kept."""
        log.warning("a worker of loky died (%s); going on with workers of our own", type(error).__name__)
        self._again = list(self._out)
        self._out.clear()
        self._executor.shutdown(wait=False, kill_workers=True)
        self._after = Local(self._count, self._kinds)
