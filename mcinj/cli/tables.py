"""Tables on a terminal: numbers and words stay whole at any width, columns that do not fit are named."""

from __future__ import annotations

from typing import Any

_PIPE = 200  # columns where nobody says how many there are
_BETWEEN = 3  # from the text of one column to that of the next
_EDGES = 4  # two more than newer releases of rich need, as many as older ones do


def print_table(frame: Any, digits: int = 4) -> None:
    """Print a DataFrame; text is wrapped between words.

    Where a terminal is too narrow for that, what is the same in all rows is said once, then columns are left out, the
    last first, and named. A pipe gets all of them.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from mcinj.show.tables import number

    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPE)
    numeric = {_title(c) for c in frame.columns if frame[c].dtype.kind in "fiu" or str(frame[c].dtype) == "Int64"}
    columns = {
        _title(c): [number(v, digits) if isinstance(v, float) else str(v) for v in frame[c]] for c in frame.columns
    }
    said = []
    if len(frame) > 1 and _total(_natural(columns)) > console.width:
        alike = {name: cells[0] for name, cells in columns.items() if len(set(cells)) == 1}
        if len(alike) < len(columns):
            columns = {name: cells for name, cells in columns.items() if name not in alike}
            said = [f"{name} {value}" for name, value in alike.items() if value.strip()]
    names = list(columns)
    while len(names) > 1 and _total(_least({name: columns[name] for name in names}, numeric)) > console.width:
        names.pop()
    left_out = list(columns)[len(names) :]
    columns = {name: columns[name] for name in names}
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, width in _fitted(columns, numeric, console.width).items():
        shown.add_column(name, justify="right" if name in numeric else "left", width=width, overflow="fold")
    for row in zip(*columns.values(), strict=True):
        shown.add_row(*row)
    if said:
        console.print(f"In all rows: {', '.join(said)}.", highlight=False, markup=False)
    console.print(shown, highlight=False, markup=False)
    if left_out:
        note = f"No room for: {', '.join(left_out)}. A wider terminal or a pipe shows them."
        console.print(note, highlight=False, markup=False)


def _title(name: object) -> str:
    return str(name).replace("_", " ")


def _natural(columns: dict[str, list[str]]) -> dict[str, int]:
    """Widths without any wrapping."""
    return {name: max(len(text) for text in (name, *cells)) for name, cells in columns.items()}


def _least(columns: dict[str, list[str]], numeric: set[str]) -> dict[str, int]:
    """Widths at which no word and no number is broken."""
    least = {}
    for name, cells in columns.items():
        words = [word for text in (name, *([] if name in numeric else cells)) for word in text.split()]
        least[name] = max([len(word) for word in words] + ([len(text) for text in cells] if name in numeric else [0]))
    return least


def _total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + _BETWEEN * (len(widths) - 1) + _EDGES


def _fitted(columns: dict[str, list[str]], numeric: set[str], room: int) -> dict[str, int]:
    """Widths that fit if any do: the widest column that may be is made narrower, step by step."""
    widths, least = _natural(columns), _least(columns, numeric)
    while _total(widths) > room:
        loose = [name for name in widths if widths[name] > least[name]]
        if not loose:
            break
        widest = max(loose, key=lambda name: widths[name])
        widths[widest] -= 1
    return widths
