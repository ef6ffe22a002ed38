"""Theory values in a figure: lines that carry their own names, and a strip at n → ∞ beside the finite sizes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from mcinj.infer import Extrapolation
from mcinj.show.bounds import ELSEWHERE, label, standing
from mcinj.theory import Bound

# Told apart without colour: dashes, darkness and thickness change from one line to the next.
_LOOKS: tuple[dict[str, Any], ...] = (
    {"linestyle": "--", "color": "0.0", "linewidth": 1.5},
    {"linestyle": "-", "color": "0.45", "linewidth": 1.1},
    {"linestyle": ":", "color": "0.0", "linewidth": 1.9},
    {"linestyle": "-", "color": "0.0", "linewidth": 2.2},
    {"linestyle": (0, (9, 3)), "color": "0.5", "linewidth": 1.5},
    {"linestyle": "-.", "color": "0.25", "linewidth": 1.2},
)
LIMIT_COLOUR = "#D55E00"
# Height of a line of the names beside a panel of usual height, in its axes.
_ROW = 0.048


def look(k: int, bound: Bound, ensembles: Collection[str]) -> dict[str, Any]:
    """Properties of the k-th bound's line; pale and thin where the value is about other laws than the data's."""
    found = dict(_LOOKS[k % len(_LOOKS)])
    if standing(bound, ensembles) == ELSEWHERE:
        found |= {"color": "0.6", "linewidth": 1.0}
    # A label that begins with "_" names the line and stays out of legends: its name stands on the line itself.
    return {**found, "label": "_" + label(bound, ensembles), "zorder": 1}


def spread(places: Sequence[float], gap: float, low: float = 0.0, high: float = 1.0) -> list[float]:
    """Places moved apart as little as it takes to be `gap` from one another, in their order, within [low, high].

    >>> spread([0.5, 0.51, 0.9], 0.1)
    [0.455, 0.555, 0.9]
    >>> spread([0.97, 0.99], 0.1)
    [0.9, 1.0]
    """
    groups = [[p, 1.0] for p in sorted(places)]  # centre of a block of labels, how many
    k = 0
    while k < len(groups):
        centre, size = groups[k]
        half = gap * (size - 1) / 2
        groups[k][0] = centre = min(max(centre, low + half), high - half)
        if k and groups[k - 1][0] + gap * (groups[k - 1][1] - 1) / 2 + gap > centre - half + 1e-12:
            before, number = groups.pop(k - 1)
            groups[k - 1] = [(before * number + centre * size) / (number + size), number + size]
            k -= 1
        else:
            k += 1
    return [round(c + gap * (i - (s - 1) / 2), 9) for c, s in groups for i in range(int(s))]


def name_ends(axes: Any, x: float, ends: Sequence[tuple[float, str]], gap: float) -> None:
    """Names right of `axes` for curves that end at x, each given as its value there and its name, `gap` apart.

    Values outside the y-limits, which must be set, are named at the edge.
    """
    low, high = axes.get_ylim()
    ordered = sorted((min(max(value, low), high), text) for value, text in ends)
    places = spread([(value - low) / (high - low) for value, _ in ordered], gap)
    for (value, text), y in zip(ordered, places, strict=True):
        axes.annotate(text, (x, value), (1.02, y), textcoords="axes fraction", fontsize=8, va="center",
                      arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6})  # fmt: skip


def draw_vertical(axes: Any, bounds: Sequence[Bound], ensembles: Collection[str]) -> None:
    """Bounds as vertical lines, named along them; those right of the axes as a note. The x-limits must be set."""
    low, high = axes.get_xlim()
    ordered = sorted(bounds, key=lambda b: b.value)
    inside = [b for b in ordered if low <= b.value <= high]
    for k, bound in enumerate(inside):
        axes.axvline(bound.value, **look(k, bound, ensembles))
    # Names stand on the right of their lines, or where the next line is near, on the left of the first of the two.
    width = 0.026 * (high - low)
    for k, bound in enumerate(inside):
        crowded = k + 1 < len(inside) and inside[k + 1].value - bound.value < 1.2 * width
        axes.annotate(
            label(bound, ensembles, short=True), (bound.value, 0.02), (-2 if crowded else 2, 0),
            xycoords=("data", "axes fraction"), textcoords="offset points", rotation=90,
            ha="right" if crowded else "left", va="bottom", fontsize=7.5,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}, zorder=6,
        )  # fmt: skip
    beyond = [f"{label(b, ensembles, short=True)} →" for b in ordered if b.value > high]
    if beyond:
        axes.text(
            1.0, 1.005, "further right: " + ", ".join(beyond), transform=axes.transAxes, ha="right", va="bottom",
            fontsize=7.5, color="0.3",
        )  # fmt: skip


def infinity_strip(
    axes: Any, bounds: Sequence[Bound], ensembles: Collection[str], extrapolation: Extrapolation | None = None
) -> Any:
    """A narrow panel right of `axes` (y shared) for what is about n → ∞: bounds with their names, and the limit.

    Bounds go on as faint lines through `axes`. Values above or below the range shown are named at the edge, with an
    arrow. The y-limits must be set. Returns the panel's axes.
    """
    low, high = axes.get_ylim()
    strip = axes.inset_axes((1.015, 0.0, 0.10, 1.0), sharey=axes)
    strip.set_xlim(0, 1)
    strip.set_xticks([0.5], ["n → ∞"])
    strip.tick_params(axis="y", left=False, labelleft=False)
    strip.grid(False)
    strip.set_facecolor("0.955")
    strip.spines["left"].set_visible(False)
    names: list[tuple[float, str, str]] = []
    ordered = sorted(bounds, key=lambda b: b.value)
    for k, bound in enumerate(b for b in ordered if low <= b.value <= high):
        style = look(k, bound, ensembles)
        strip.axhline(bound.value, **style)
        axes.axhline(bound.value, **{**style, "alpha": 0.35, "linewidth": 0.8})
        names.append((bound.value, label(bound, ensembles, short=True), "0.0" if style["color"] != "0.6" else "0.45"))
    if extrapolation is not None:
        ends = extrapolation.total
        middle = extrapolation.estimate
        strip.errorbar(
            [0.5], [middle], yerr=[[middle - ends[0]], [ends[1] - middle]], color=LIMIT_COLOUR, marker="*",
            markersize=10, capsize=4, linestyle="none", zorder=5,
        )  # fmt: skip
        text = f"extrapolated {middle:.2f} [{ends[0]:.2f}, {ends[1]:.2f}], total {100 * extrapolation.level:.0f} %"
        names.append((middle, text, LIMIT_COLOUR))
    names.sort(key=lambda item: item[0])
    at = [(value - low) / (high - low) for value, _, _ in names]
    arrow = {"arrowstyle": "-", "color": "0.6", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0}
    for (value, text, colour), y in zip(names, spread(at, _ROW, 0.0, 0.985), strict=True):
        _side_note(strip, text, y, colour, xy=(1.0, value), arrowprops=arrow)
    above, below = [b for b in ordered if b.value > high], [b for b in ordered if b.value < low]
    for k, bound in enumerate(above):
        _side_note(strip, f"↑ {label(bound, ensembles, short=True)}", 1.03 + k * _ROW, "0.35")
    for k, bound in enumerate(reversed(below)):
        _side_note(strip, f"↓ {label(bound, ensembles, short=True)}", -0.03 - k * _ROW, "0.35")
    return strip


def _side_note(strip: Any, text: str, y: float, colour: str, xy: tuple[float, float] = (1.0, 0.0), **more: Any) -> None:
    """A line of text right of the strip, at the height y of its axes; `xy`: where an arrow begins."""
    strip.annotate(
        text, xy, (1.22, y), xycoords=strip.get_yaxis_transform(), textcoords="axes fraction", va="center", ha="left",
        fontsize=7.5, color=colour, annotation_clip=False, **more,
    )  # fmt: skip


def reach(top: float, span: float, bounds: Sequence[Bound]) -> float:
    """How far an axis goes up for bounds: to each that is within `span` of what is shown already."""
    for bound in sorted(bounds, key=lambda b: b.value):
        if top < bound.value <= top + span:
            top = bound.value
    return top
