"""Numba's decorator with a type that `mypy --strict` accepts, and the project's settings in one place."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba

_IMPORT = re.compile(r"^\s*(?:from|import) +([\w.]+)(?: +import +(\([^)]*\)|[^\n]*))?", re.MULTILINE)

F = TypeVar("F", bound=Callable[..., Any])


def njit(**options: Any) -> Callable[[F], F]:
    """`numba.njit(cache=True, nogil=True, **options)`.

    Compiled code is cached on disk, so a user pays for compilation once. Strict IEEE arithmetic (no fastmath,
    no contraction beyond what is asked for) is the default since error bounds rest on it.

    Numba renews a cached function when its own file changes, but not when a function that it calls does, and
    a proof must not rest on stale code: the cache lives in a directory named after the function's file and all
    modules of the package that it imports, below `NUMBA_CACHE_DIR` or the user's cache directory. Where that
    is not writable nothing is cached.
    """
    settings: dict[str, Any] = {"cache": True, "nogil": True, **options}

    def decorate(function: F) -> F:
        directory = _cache_directory(function.__code__.co_filename)
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
def _cache_directory(source: str) -> str | None:
    package = Path(__file__).parent
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(_closure(Path(source).resolve())):
        name = path.relative_to(package).as_posix() if path.is_relative_to(package) else path.name
        digest.update(name.encode() + b"\0" + path.read_bytes())
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


def _closure(source: Path) -> frozenset[Path]:
    """The file and all modules of the package that it imports, directly or through each other."""
    found: set[Path] = set()
    rest = [source]
    while rest:
        path = rest.pop()
        if path not in found:
            found.add(path)
            rest.extend(_imports(path))
    return frozenset(found)


@cache
def _imports(source: Path) -> tuple[Path, ...]:
    """Modules of the package that `source` imports, at any indentation: constants are compiled in as well."""
    package = Path(__file__).resolve().parent
    names: set[str] = set()
    for module, items in _IMPORT.findall(source.read_text(encoding="utf-8")):
        names.add(module)
        names.update(f"{module}.{item}" for item in re.findall(r"\w+", items))
    files = []
    for name in sorted(names):
        head, _, rest = name.partition(".")
        path = package.joinpath(*rest.split(".")).with_suffix(".py") if head == package.name and rest else None
        if path is not None and path.is_file():
            files.append(path)
    return tuple(files)
