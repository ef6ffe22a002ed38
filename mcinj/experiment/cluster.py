"""The Dask pool: workers of several machines, or of this one, behind a scheduler."""

from __future__ import annotations

import importlib
import logging
import os
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from mcinj._version import __version__
from mcinj.errors import InputError
from mcinj.experiment.config import Group
from mcinj.experiment.pools import Event
from mcinj.experiment.tasks import Task, run_task, warm

log = logging.getLogger("mcinj.run")

CONNECT_SECONDS = 5
RESULT_SECONDS = 10
# Tasks at each worker thread: one that it does, one that waits, so that it need not wait for us.
QUEUED = 2
_TALKERS = ("distributed", "tornado.application", "asyncio")
_KEEP_GOING = "the finished trials are kept, the same command goes on from there"


def remote_task(version: str, task: Task) -> tuple[float, list[dict[str, Any]]]:
    """Do a task on a worker, if that runs the same version: the rows of one table have one."""
    if version != __version__:
        raise InputError(f"a Dask worker runs mcinj {__version__}, this process {version}; install one version")
    return run_task(task)


class Cluster:
    """Workers of the scheduler at DASK_SCHEDULER_ADDRESS, or of a cluster on this machine.

    The scheduler gives the tasks of a lost worker to another one, and a task up after it has cost several workers.
    """

    def __init__(self, workers: int, kinds: Sequence[Group]) -> None:
        try:
            self._dask: Any = importlib.import_module("distributed")
        except ImportError:
            raise InputError("the backend dask needs an extra: pip install 'mcinj[dask]'") from None
        self._events: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()
        self._tasks: dict[str, tuple[Task, float, Any]] = {}
        self._own: Any = None
        self._client: Any = None
        self._asked, self._threads = -1e9, 0
        # Its own reports of lost connections are long; ours are one line.
        self._levels = {name: logging.getLogger(name).level for name in _TALKERS}
        for name in _TALKERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        address = os.environ.get("DASK_SCHEDULER_ADDRESS", "").strip()
        if address:
            self._client = self._connect(address)
            return
        warm(kinds)
        try:
            self._own = self._dask.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
            self._client = self._dask.Client(self._own)
        except BaseException:
            self.close()
            raise

    def _connect(self, address: str) -> Any:
        """A client of the scheduler at an address; whatever answers there instead, it takes seconds to say so."""
        made: queue.SimpleQueue[Any] = queue.SimpleQueue()

        def connect() -> None:
            try:
                made.put(self._dask.Client(address, timeout=CONNECT_SECONDS, name="mcinj"))
            except BaseException as error:
                made.put(error)

        # Another kind of server may leave the client waiting for ever: that is done aside.
        threading.Thread(target=connect, daemon=True).start()
        try:
            client = made.get(timeout=2 * CONNECT_SECONDS)
        except queue.Empty:
            client = TimeoutError("something answers, but not like a Dask scheduler")
        if not isinstance(client, BaseException):
            return client
        reason = (str(client) or type(client).__name__).splitlines()[0]
        raise InputError(
            f"no Dask scheduler answers at DASK_SCHEDULER_ADDRESS = {address!r} ({reason}); start one with "
            "`dask scheduler` and give its address, e.g. tcp://HOST:8786"
        )

    def free(self) -> int:
        if time.monotonic() - self._asked > 1.0:
            self._asked = time.monotonic()
            before = self._threads
            try:
                known = self._client.scheduler_info(n_workers=-1)["workers"]
                self._threads = sum(worker["nthreads"] for worker in known.values())
            except (OSError, KeyError, TypeError):
                self._threads = 0
            if self._threads != before:
                log.info("the Dask scheduler has %d worker threads", self._threads)
        return max(1, QUEUED * self._threads) - len(self._tasks)

    def submit(self, task: Task) -> None:
        future = self._client.submit(remote_task, __version__, task, pure=False)
        self._tasks[future.key] = (task, time.monotonic(), future)
        self._watch(future)

    def running(self) -> list[tuple[Task, float]]:
        now = time.monotonic()
        return [(task, now - since) for task, since, _ in self._tasks.values()]

    def workers(self) -> int:
        return self._threads

    def next(self, timeout: float) -> Event | None:
        try:
            future, status = self._events.get(timeout=timeout)
        except queue.Empty:
            self._alive()
            return None
        if future.key not in self._tasks:
            return None
        task, _, _ = entry = self._tasks.pop(future.key)
        if status == "cancelled":
            raise InputError(f"the Dask scheduler is gone or dropped the work; {_KEEP_GOING}")
        if status == "error":
            return Event(task, cause=self._cause(future))
        try:
            return Event(task, *future.result(timeout=RESULT_SECONDS))
        except TimeoutError:
            # Its worker died with the result: it is being computed again.
            self._tasks[future.key] = entry
            self._watch(future)
            return None
        except (OSError, self._dask.client.FutureCancelledError) as error:
            raise InputError(f"a result did not arrive from the Dask cluster ({error}); {_KEEP_GOING}") from None
        except self._dask.KilledWorker:
            return Event(task, cause=self._cause(future))

    def _watch(self, future: Any) -> None:
        future.add_done_callback(lambda done: self._events.put((done, done.status)))

    def _cause(self, future: Any) -> str:
        """Why a task ended badly, if that was its worker's death; any other error is raised."""
        error = future.exception(timeout=60)
        if isinstance(error, self._dask.KilledWorker):
            return f"{error.allowed_failures + 1} Dask workers died under it"
        if isinstance(error, MemoryError):
            return "out of memory"
        if isinstance(error, ModuleNotFoundError):
            raise InputError(f"a Dask worker cannot import what it needs ({error}); install mcinj there") from None
        raise error

    def _alive(self) -> None:
        if self._client.status in ("closed", "closing", "connecting"):
            raise InputError(f"the connection to the Dask scheduler is lost; {_KEEP_GOING}")

    def close(self) -> None:
        futures = [future for _, _, future in self._tasks.values()]
        self._tasks = {}
        with suppress(Exception):
            if futures:
                self._client.cancel(futures, force=True)
        with suppress(Exception):
            self._client.close(timeout=2)
        if self._own is not None:
            with suppress(Exception):
                self._own.close(timeout=5)
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
