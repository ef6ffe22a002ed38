"""The log of a run, and the signals that end one: small things around the work."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

LOG = "run.log"
LARGEST = 1_000_000  # bytes, then one older file is kept

log = logging.getLogger("mcinj.run")


class _Quiet(RotatingFileHandler):
    """A full disk is the record's to report, not the log's."""

    def handleError(self, record: logging.LogRecord) -> None:
        pass


@contextmanager
def run_log(directory: Path) -> Iterator[None]:
    """Write what the logger `mcinj.run` says in this thread to `DIR/run.log`."""
    handler = _Quiet(directory / LOG, maxBytes=LARGEST, backupCount=1, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    thread = threading.get_ident()
    handler.addFilter(lambda record: record.thread == thread)
    if log.level == logging.NOTSET:
        log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        handler.close()


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """SIGTERM and SIGHUP act like Ctrl-C; after the first of them the others wait for the clean-up, which is short.

    Only in the main thread, and only where nobody else handles the signal. Yields a function that says whether one
    came: Python drops an exception that a handler raises within a finaliser or a callback of a weak reference, so
    whoever works in a loop asks.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    stopped = False
    report = sys.unraisablehook

    def dropped(what: sys.UnraisableHookArgs) -> None:
        if not (stopped and what.exc_type is KeyboardInterrupt):
            report(what)

    def stop(number: int, frame: Any) -> None:
        nonlocal stopped
        if not stopped:
            stopped = True
            log.info("stopped by %s", signal.Signals(number).name)
            raise KeyboardInterrupt

    old: dict[int, Any] = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            old[number] = signal.signal(number, stop)
    sys.unraisablehook = dropped
    try:
        yield lambda: stopped
    finally:
        sys.unraisablehook = report
        for number, handler in old.items():
            signal.signal(number, handler)
