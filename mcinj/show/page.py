"""A self-contained HTML page: text, tables and pictures in one file, nothing loaded from elsewhere."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from mcinj.files import atomic_write
from mcinj.show.tables import number

if TYPE_CHECKING:
    import pandas

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-size: 0.86rem; margin: 0.6rem 0; display: block; overflow-x: auto; }
th, td { padding: 0.2rem 0.6rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th { background: #f3f3f3; } td.text, th.text { text-align: left; white-space: normal; min-width: 8rem; }
img { max-width: 100%; height: auto; } figure { margin: 1rem 0; } figcaption, .note { color: #555; font-size: 0.88rem; }
"""


class Page:
    """Collects parts in order, writes them as one file."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts = [f"<h1>{escape(title)}</h1>"]

    def heading(self, text: str) -> None:
        """A section's title."""
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def text(self, text: str, note: bool = False) -> None:
        """A paragraph."""
        self._parts.append(f'<p class="note">{escape(text)}</p>' if note else f"<p>{escape(text)}</p>")

    def picture(self, path: Path, caption: str) -> None:
        """A PNG, embedded."""
        data = base64.b64encode(path.read_bytes()).decode("ascii")
        self._parts.append(
            f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )

    def table(self, frame: pandas.DataFrame, digits: int = 4) -> None:
        """A table; numbers with fixed digits, missing values as a dash."""
        text = [frame[c].dtype.kind not in "fiu" and str(frame[c].dtype) != "Int64" for c in frame.columns]

        def cell(value: object, is_text: bool, tag: str = "td") -> str:
            shown = number(value, digits) if isinstance(value, float) else str(value)
            return f"<{tag} class='text'>{escape(shown)}</{tag}>" if is_text else f"<{tag}>{escape(shown)}</{tag}>"

        head = "".join(cell(c.replace("_", " "), t, "th") for c, t in zip(frame.columns, text, strict=True))
        lines = [
            "<tr>" + "".join(cell(v, t) for v, t in zip(row, text, strict=True)) + "</tr>"
            for row in frame.itertuples(index=False, name=None)
        ]
        self._parts.append(f"<table><tr>{head}</tr>{''.join(lines)}</table>")

    def write(self, path: Path) -> None:
        """Write the page, whole or not at all."""
        body = "\n".join(self._parts)
        with atomic_write(path, "w") as stream:
            stream.write(
                f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(self._title)}</title>'
                f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
            )
