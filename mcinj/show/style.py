"""One look for all figures: readable in grey print and for the colour-blind, no display needed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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
# No legend is longer: more entries than one can hold in mind are no key.
MOST_ENTRIES = 8

SETTINGS = {
    "figure.figsize": (7.2, 4.6),
    "figure.constrained_layout.use": True,
    "savefig.dpi": 150,
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.title_fontsize": 8.5,
    "lines.linewidth": 1.6,
    "svg.hashsalt": "mcinj",
    "svg.fonttype": "none",
}


@contextmanager
def figure(mosaic: Sequence[Sequence[str]] | None = None, **options: Any) -> Iterator[tuple[Any, Any]]:
    """A figure and its axes under the project's settings; no window, and the caller's backend is left alone.

    mosaic: names of panels by row and column; the axes are then a dictionary. Other options go to `Figure` (figsize)
    and to `subplots` or `subplot_mosaic`.
    """
    matplotlib = importlib.import_module("matplotlib")
    make = importlib.import_module("matplotlib.figure").Figure
    size = {"figsize": options.pop("figsize")} if "figsize" in options else {}
    with matplotlib.rc_context(SETTINGS):
        fig = make(**size)
        yield fig, fig.subplots(**options) if mosaic is None else fig.subplot_mosaic(mosaic, **options)


def shade(position: int, count: int) -> Any:
    """Colour of the `position`-th of `count` ordered curves."""
    cm = importlib.import_module("matplotlib").colormaps["viridis"]
    return cm(0.86 * position / max(count - 1, 1))


def named(count: int, most: int = MOST_ENTRIES) -> set[int]:
    """Which of `count` ordered curves a legend names: all, or `most` of them with the first and the last.

    >>> sorted(named(16))
    [0, 2, 4, 6, 9, 11, 13, 15]
    """
    if count <= most:
        return set(range(count))
    return {round(k * (count - 1) / (most - 1)) for k in range(most)}


def legend_outside(axes: Any, title: str = "") -> None:
    """A legend right of the axes, where it covers nothing."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), title=title or None, alignment="left")


def save(fig: Any, folder: Path, name: str) -> list[Path]:
    """Write `name.png` and `name.svg`, each whole or not at all; returns their paths.

    `Figure.savefig` would draw the figure four times: each time once more for a layout that is known by then.
    """
    from mcinj.show.svg import compact

    agg = importlib.import_module("matplotlib.backends.backend_agg").FigureCanvasAgg(fig)
    fig.set_dpi(SETTINGS["savefig.dpi"])
    layout = fig.get_layout_engine()
    if layout is not None:
        layout.execute(fig)
        fig.set_layout_engine("none")
    agg.draw()
    # Without the date the same table gives the same file.
    svg = importlib.import_module("matplotlib.backends.backend_svg").FigureCanvasSVG(fig)
    buffer = BytesIO()
    with ThreadPoolExecutor(1) as beside:  # without the interpreter's lock
        png = beside.submit(_png, agg)
        svg.print_svg(buffer, metadata={"Date": None})
        text = compact(buffer.getvalue().decode())
    return [_written(folder / f"{name}.png", png.result()), _written(folder / f"{name}.svg", text.encode())]


def _written(path: Path, data: bytes) -> Path:
    with atomic_write(path) as stream:
        stream.write(data)
    return path


def _png(canvas: Any) -> bytes:
    """A PNG with a palette of a drawn canvas (opaque): a third of the bytes, no visible difference."""
    image = importlib.import_module("PIL.Image")
    picture = image.frombytes("RGBA", canvas.get_width_height(physical=True), canvas.buffer_rgba()).convert("RGB")
    small = BytesIO()
    picture.quantize(colors=192, dither=image.Dither.NONE).save(small, format="png", optimize=True)
    return small.getvalue()
