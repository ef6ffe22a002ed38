"""What a run was made with, written beside its results."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mcinj.files import atomic_write

PACKAGES = ("mcinj", "numpy", "scipy", "numba", "python-flint", "cvxpy", "highspy", "joblib", "pandas", "pyarrow")


def environment() -> dict[str, Any]:
    """Versions and machine, without names of users, hosts or folders."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "byteorder": sys.byteorder,
        "packages": {name: _version(name) for name in PACKAGES},
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write_environment(directory: Path, **notes: Any) -> None:
    """Write `environment.json` into a results directory."""
    with atomic_write(directory / "environment.json", "w") as stream:
        json.dump({**environment(), **notes}, stream, indent=2)
        stream.write("\n")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
