"""Numba's decorator with a type that `mypy --strict` accepts, and the project's settings in one place."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def njit(**options: Any) -> Callable[[F], F]:
    """`numba.njit(cache=True, nogil=True, **options)`.

    Compiled code is cached on disk, so a user pays for compilation once. Strict IEEE arithmetic (no fastmath,
    no contraction beyond what is asked for) is the default since error bounds rest on it.

    Numba renews a cached function when its own file changes, but not when a function that it calls does, and
    a proof must not rest on stale code: the cache lives in a directory named after all of the package's compiled
    sources, below `NUMBA_CACHE_DIR` or the user's cache directory. Where that is not writable nothing is cached.
    """
    settings: dict[str, Any] = {"cache": True, "nogil": True, **options}

    def decorate(function: F) -> F:
        directory = _cache_directory()
        if directory is None:
            settings["cache"] = False
        config: Any = numba.config
        before = config.CACHE_DIR
        config.CACHE_DIR = directory or before
        try:
            compiled: F = numba.njit(**settings)(function)
        finally:
            config.CACHE_DIR = before
        return compiled

    return decorate


@cache
def _cache_directory() -> str | None:
    sources = sorted(
        path for path in Path(__file__).parent.rglob("*.py") if b"_jit import" in path.read_bytes()
    )
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        base = Path(given)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = base / "mcinj" / digest.hexdigest()[:16]
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return str(directory) if os.access(directory, os.W_OK | os.X_OK) else None
