"""One look for all figures: readable in grey print and for the colour-blind, no display needed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from mcinj.files import atomic_write

# Sizes are told apart by colour (viridis: monotone in lightness), marker and line together.
MARKERS = "osD^vPX<>h*d"
DASHES = ("--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 3)), (0, (1, 3)))
# Okabe & Ito's palette for families, which have no order.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")

_SETTINGS = {
    "figure.figsize": (7.2, 4.6),
    "figure.constrained_layout.use": True,
    "savefig.dpi": 160,
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "mcinj",
    "svg.fonttype": "none",
}


@contextmanager
def figure(**options: Any) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes under the project's settings, closed afterwards; options go to `subplots`."""
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot = importlib.import_module("matplotlib.pyplot")
    with matplotlib.rc_context(_SETTINGS):
        fig, axes = pyplot.subplots(**options)
        try:
            yield fig, axes
        finally:
            pyplot.close(fig)


def shade(position: int, count: int) -> Any:
    """Colour of the `position`-th of `count` ordered curves."""
    cm = importlib.import_module("matplotlib").colormaps["viridis"]
    return cm(0.88 * position / max(count - 1, 1))


def save(fig: Any, folder: Path, name: str) -> list[Path]:
    """Write `name.png` and `name.svg`, each whole or not at all; returns their paths."""
    paths = []
    for suffix in ("png", "svg"):
        buffer = BytesIO()
        # Without the date the same table gives the same file.
        fig.savefig(buffer, format=suffix, metadata={"Date": None} if suffix == "svg" else {"Software": None})
        path = folder / f"{name}.{suffix}"
        with atomic_write(path) as stream:
            stream.write(buffer.getvalue())
        paths.append(path)
    return paths
