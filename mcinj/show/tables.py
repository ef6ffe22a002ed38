"""What every report writes besides figures: numbers, tables as CSV, and the notes that a record carries."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

from mcinj.files import atomic_write

if TYPE_CHECKING:
    import pandas


def write_csv(frame: pandas.DataFrame, path: Path) -> Path:
    """Write a table whole or not at all; returns the path."""
    with atomic_write(path, "w") as stream:
        stream.write(frame.to_csv(index=False, lineterminator="\n"))
    return path


def note(meta: dict[str, str], key: str) -> str:
    """A text of the record's metadata, empty where there is none."""
    try:
        return str(json.loads(meta[key]))
    except (KeyError, ValueError):
        return ""


def number(value: float, digits: int = 4) -> str:
    """A number for people: fixed digits, `∞` and `–` for what has none."""
    if value != value:
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.{digits}f}"


def interval(low: float, high: float, digits: int = 3) -> str:
    """An interval for people.

    >>> interval(1.0, float("inf"))
    '[1.000, ∞]'
    """
    return f"[{number(low, digits)}, {number(high, digits)}]"
