"""What every report writes besides figures: numbers, tables as CSV, and the notes that a record carries."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def folded(summary: pandas.DataFrame) -> pandas.DataFrame:
    """A summary as a page shows it: `x`, `x_lo`, `x_hi` in one column, columns that say the same in every row left out.

    Cells of intervals are pairs (text, number to sort by).
    """
    import pandas

    view: dict[str, list[object] | pandas.Series[Any]] = {}
    for name in map(str, summary.columns):
        low, high = f"{name}_lo", f"{name}_hi"
        if name.endswith(("_lo", "_hi")) and name[:-3] in summary:
            continue
        if low in summary and high in summary:
            rows = zip(summary[name], summary[low], summary[high], strict=True)
            view[name] = [(f"{number(v, 3)} {interval(lo, hi)}", v) for v, lo, hi in rows]
        elif len(summary) == 1 or summary[name].nunique(dropna=False) > 1:
            view[name] = summary[name].reset_index(drop=True)  # with its type: numbers stay numbers
    return pandas.DataFrame(view)
