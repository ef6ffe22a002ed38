"""A disk cache of computed theory values: JSON, written atomically, never trusted and never in the way.

A record is used only if it names the same equations (a digest of the modules that compute them, and of the
libraries under them) and the same arguments, and reads back as valid values; anything else is recomputed. A
cache that cannot be read or written costs time, not an error. `MCINJ_CACHE_DIR` chooses the folder; otherwise
`XDG_CACHE_HOME`/mcinj or the platform's cache folder is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from mcinj.files import atomic_write

__all__ = ["cache_folder", "equations_version", "remember"]

T = TypeVar("T")

# Modules whose text decides the values; the digest changes with any of them.
_EQUATIONS = (
    "bounds",
    "closed_form",
    "cone",
    "deep",
    "deep_ratio",
    "enclosure",
    "enclosure_deep",
    "field",
    "jets",
    "ground_state",
    "lifted",
    "lifted_deep",
    "lifted_ratio",
    "newton",
    "parisi",
    "published",
    "roots",
    "rsb",
    "tables",
    "wide",
)


def cache_folder() -> Path:
    """Folder of the cache (it may not exist yet)."""
    chosen = os.environ.get("MCINJ_CACHE_DIR")
    if chosen:
        return Path(chosen)
    xdg = os.environ.get("XDG_CACHE_HOME")
    if xdg and os.path.isabs(xdg):
        return Path(xdg) / "mcinj"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/mcinj").expanduser()
    local = os.environ.get("LOCALAPPDATA")
    if sys.platform == "win32" and local:
        return Path(local) / "mcinj"
    return Path("~/.cache/mcinj").expanduser()


@cache
def equations_version() -> str:
    """Digest of the equations' source text and of the numerical libraries' versions."""
    from importlib.metadata import PackageNotFoundError, version

    digest = hashlib.sha256()
    for name in _EQUATIONS:
        digest.update(name.encode() + b"\0" + (Path(__file__).parent / f"{name}.py").read_bytes() + b"\0")
    for package in ("numpy", "scipy", "python-flint"):
        with suppress(PackageNotFoundError):
            digest.update(f"{package} {version(package)}\0".encode())
    return digest.hexdigest()[:16]


def remember(
    name: str,
    arguments: dict[str, Any],
    compute: Callable[[], T],
    encode: Callable[[T], Any],
    decode: Callable[[Any], T],
    keep: Callable[[T], bool] = lambda _: True,
) -> T:
    """`compute()`, or what it gave before for the same `name`, `arguments` and equations.

    `encode` turns the result into JSON data and `decode` back, raising any exception for data it cannot
    accept. A result that `keep` declines is given, but not remembered.
    """
    try:
        key = {"equations": equations_version(), "name": name, "arguments": arguments}
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        path = cache_folder() / f"theory-{name}-{digest}.json"
    except (OSError, RuntimeError):  # no readable source, no home folder: nothing to key or keep
        return compute()
    # Whatever is wrong with a record of ours, the cure is to compute again: hence every exception.
    with suppress(Exception):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["key"] == key:
            return decode(record["data"])
    result = compute()
    if not keep(result):
        return result
    with suppress(Exception):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path, "w") as stream:
            json.dump({"key": key, "data": encode(result)}, stream)
    return result
