"""Files that are either whole or absent: written under a temporary name, fsynced, renamed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mcinj.errors import InputError


def make_directory(path: str | os.PathLike[str]) -> Path:
    """Create a directory with its parents and check that files can be written to it.

    Raises `InputError` if it cannot be made or written to.
    """
    target = Path(path)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the directory {target}: {error.strerror or error}") from None
    if not os.access(target, os.W_OK | os.X_OK):
        raise InputError(f"the directory {target} is not writable; choose another one")
    return target


@contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb", encoding: str | None = None) -> Iterator[IO]:  # type: ignore[type-arg]
    """Open a temporary file beside `path`; on success fsync and rename it over `path`, else remove it.

    A reader sees the old file or the new one, never a part. Text modes default to UTF-8. Raises `InputError`
    if the folder is missing, not writable or full; `path` is then untouched.
    """
    target = Path(path)
    if "b" not in mode and encoding is None:
        encoding = "utf-8"
    if target.is_dir():
        raise InputError(f"cannot write {target}: it is a directory")
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from None
    try:
        with os.fdopen(handle, mode, encoding=encoding) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, target)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError) and not isinstance(error, InputError):
            raise InputError(f"cannot write {target}: {error.strerror or error}") from None
        raise


def _umask() -> int:
    # The mask can only be read by setting it; mkstemp's 0600 would otherwise surprise users who share results.
    mask = os.umask(0)
    os.umask(mask)
    return mask
