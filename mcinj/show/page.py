"""A self-contained HTML page: findings, contents, text, tables and pictures in one file; nothing else is loaded."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcinj.files import atomic_write
from mcinj.show.svg import embedded
from mcinj.show.tables import number

if TYPE_CHECKING:
    import pandas

_DIGITS = 3
_SHORT = 16  # characters: a word, or an interval of two numbers


@dataclass
class _Section:
    title: str
    anchor: str
    parts: list[dict[str, Any]] = field(default_factory=list)


class Page:
    """Collects findings and sections in order, and renders them by the template as one file."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._findings: list[str] = []
        self._warnings: list[str] = []
        self._sections: list[_Section] = []
        self._figures = 0

    def finding(self, text: str) -> None:
        """A sentence for the top: what was found, with its interval."""
        self._findings.append(text)

    def warning(self, text: str) -> None:
        """A sentence for the top that takes something back: censored draws, too few trials."""
        self._warnings.append(text)

    def heading(self, text: str) -> None:
        """Begin a section."""
        plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "section"
        taken = {s.anchor for s in self._sections} | {"findings"}
        anchor = next(a for a in (plain, *(f"{plain}-{k}" for k in range(2, 10_000))) if a not in taken)
        self._sections.append(_Section(text, anchor))

    def text(self, text: str, note: bool = False) -> None:
        """A paragraph."""
        self._add(kind="note" if note else "text", text=text)

    def picture(self, path: Path, caption: str) -> None:
        """A figure: the SVG beside or at `path`, inline."""
        self._figures += 1
        title = escape(caption, quote=True)
        svg = embedded(path.with_suffix(".svg").read_text(encoding="utf-8"), f"f{self._figures}-", title)
        self._add(kind="picture", svg=svg, caption=caption)

    def table(self, frame: pandas.DataFrame, caption: str = "", digits: int = _DIGITS, most: int = 400) -> None:
        """A sortable table: numbers with fixed digits, missing values as a dash; of a long one the first `most` rows.

        A cell may be a pair (text, number): shown as the text, sorted by the number.
        """
        text = [_is_text(frame[c]) for c in frame.columns]
        rows = [[_cell(v, digits) for v in row] for row in frame.head(most).itertuples(index=False, name=None)]
        # A column of words and intervals needs no room to wrap, and a wide table no more than it needs.
        short = [all(len(row[k]["shown"]) <= _SHORT for row in rows) for k in range(len(text))]
        columns = [
            {"name": str(c).replace("_", " "), "kind": ("short" if brief else "text") if is_text else ""}
            for c, is_text, brief in zip(frame.columns, text, short, strict=True)
        ]
        left = len(frame) - len(rows)
        self._add(kind="table", columns=columns, rows=rows, caption=caption, left=left)

    def render(self) -> str:
        """The page's HTML."""
        from jinja2 import Environment, PackageLoader

        environment = Environment(
            loader=PackageLoader("mcinj.show"), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )
        return environment.get_template("report.html.j2").render(
            title=self._title, findings=self._findings, warnings=self._warnings, sections=self._sections
        )

    def write(self, path: Path) -> None:
        """Write the page, whole or not at all."""
        text = self.render()
        with atomic_write(path, "w") as stream:
            stream.write(text)

    def _add(self, **part: Any) -> None:
        if not self._sections:
            self.heading("Overview")
        self._sections[-1].parts.append(part)


def _is_text(column: pandas.Series[Any]) -> bool:
    if column.dtype.kind in "fiub" or str(column.dtype) == "Int64":
        return False
    return not all(isinstance(v, tuple) for v in column)


def _cell(value: Any, digits: int) -> dict[str, Any]:
    """What is shown, and what it is sorted by (None: by what is shown)."""
    if isinstance(value, tuple):
        return {"shown": value[0], "sort": _key(value[1])}
    if isinstance(value, float):
        return {"shown": number(value, digits), "sort": _key(value)}
    shown = "–" if str(value) == "<NA>" else str(value)
    return {"shown": shown, "sort": None}


def _key(value: float) -> str:
    """A number as JavaScript reads it."""
    if math.isfinite(value):
        return f"{value:.12g}"
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
