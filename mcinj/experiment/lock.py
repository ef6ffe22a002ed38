"""One run per directory: a lock file that names its process, and that a dead process does not leave locked.

On one machine the operating system's own lock on the file decides: it ends with its process, however that ends. Another
machine may not see that lock, so a run also touches its file every few seconds; a file that nobody touches is stale.
No clock is compared with another one.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from mcinj.errors import InputError

LOCK = "run.lock"
TOUCH_SECONDS = 5.0
# A run on another machine is taken for dead after its file has not changed for so long.
STALE_SECONDS = 40.0


class DirectoryLock:
    """Holds `DIR/run.lock` as a context; `InputError` if another run does."""

    def __init__(self, directory: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.path = directory / LOCK
        self._directory, self._say = directory, say
        self._handle = -1
        self._over = threading.Event()

    def __enter__(self) -> DirectoryLock:
        try:
            self._acquire()
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror or error}") from None
        threading.Thread(target=self._touch, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if os.name != "nt":
            with suppress(OSError):
                os.unlink(self.path)
        os.close(self._handle)
        if os.name == "nt":
            with suppress(OSError):
                os.unlink(self.path)

    def _acquire(self) -> None:
        tries = 0
        while True:
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                holder = _read(handle)
                if not _system_lock(handle) or _lives_here(handle, holder):
                    # `status` holds the lock for an instant, to ask.
                    tries += 1
                    if tries < 5:
                        time.sleep(0.1)
                        continue
                    raise InputError(_busy(self._directory, holder))
                if holder and holder.get("host") != socket.gethostname() and self._changes(holder):
                    raise InputError(_busy(self._directory, holder))
                # The file may have been removed by its holder between our opening and locking it.
                if _same(handle, self.path):
                    os.ftruncate(handle, 0)
                    os.lseek(handle, 0, os.SEEK_SET)
                    os.write(handle, (json.dumps({"pid": os.getpid(), "host": socket.gethostname()}) + "\n").encode())
                    os.fsync(handle)
                    self._handle, handle = handle, -1
                    return
            finally:
                if handle >= 0:
                    os.close(handle)

    def _changes(self, holder: dict[str, Any]) -> bool:
        """Watch the file of a run on another machine: whether that still touches it."""
        host = holder.get("host")
        self._say(f"{self.path} names a run on {host}; watching for {STALE_SECONDS:.0f} s whether it lives")
        before = _stamp(self.path)
        end = time.monotonic() + STALE_SECONDS
        while time.monotonic() < end:
            time.sleep(min(1.0, STALE_SECONDS / 4))
            if _stamp(self.path) != before:
                return True
        return False

    def _touch(self) -> None:
        while not self._over.wait(TOUCH_SECONDS):
            with suppress(OSError):
                os.utime(self.path)


def holder_of(directory: Path) -> dict[str, Any] | None:
    """Who runs in a directory now: `pid`, `host`; None if nobody does. Changes nothing."""
    try:
        handle = os.open(directory / LOCK, os.O_RDWR)
    except OSError:
        return None
    try:
        holder = _read(handle)
        here = holder is not None and holder.get("host") == socket.gethostname()
        if holder is None or (here and _system_lock(handle) and not _lives_here(handle, holder)):
            return None
        return holder
    except OSError:
        return None
    finally:
        os.close(handle)


def _read(handle: int) -> dict[str, Any] | None:
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        found = json.loads(os.read(handle, 4096))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _system_lock(handle: int) -> bool:
    """Take the operating system's lock without waiting; True also where a file system has none."""
    if os.name == "nt":
        import msvcrt

        try:
            os.lseek(handle, 1 << 20, os.SEEK_SET)  # a byte behind the text, which stays readable
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            return False
        return True
    import errno
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


def _lives_here(handle: int, holder: dict[str, Any] | None) -> bool:
    """Where the file system has no locks: whether the process that the file names runs on this machine."""
    if os.name == "nt" or holder is None or holder.get("host") != socket.gethostname():
        return False
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    except OSError:
        pid = holder.get("pid")
    try:
        os.kill(pid if isinstance(pid, int) and pid > 0 else os.getpid(), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return pid != os.getpid()


def _same(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False


def _stamp(path: Path) -> tuple[int, int]:
    try:
        # Opening asks a network file system for the file's state instead of its memory of it.
        with path.open("rb") as stream:
            state = os.fstat(stream.fileno())
    except OSError:
        return (0, 0)
    return state.st_mtime_ns, state.st_ino


def _busy(directory: Path, holder: dict[str, Any] | None) -> str:
    who = f"process {holder.get('pid')} on {holder.get('host')}" if holder else "another process"
    return (
        f"{directory} is being written by {who}; wait for it or end it (`mcinj status {directory}` shows how far it "
        "is), or choose another --results"
    )
