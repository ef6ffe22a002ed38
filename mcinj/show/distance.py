"""How far means at finite n lie from the 2RSB value, which is about n → ∞: one figure for several quantities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mcinj.show.style import MARKERS, named, shade

if TYPE_CHECKING:
    import pandas


def error_bars(part: pandas.DataFrame) -> list[Any]:
    """Lengths of the bars from `mean` to `mean_lo` and `mean_hi`; 0 where an end is missing."""
    return [(part["mean"] - part["mean_lo"]).fillna(0.0), (part["mean_hi"] - part["mean"]).fillna(0.0)]


def shared_by_sizes(summary: pandas.DataFrame) -> pandas.DataFrame:
    """Gaussian rows at the ratios `alpha` that three or more sizes n share."""
    return summary[summary["ensemble"] == "gaussian"].groupby("alpha").filter(lambda part: len(part) > 2)


def distance_axes(axes: Any, shared: pandas.DataFrame, ratios: Sequence[float], name: str) -> Any:
    """`mean` minus `two_rsb` with 95 % intervals against 1/n, one line per ratio, named `name` = ratio."""
    entries = named(len(ratios))
    for k, alpha in enumerate(ratios):
        part = shared[shared["alpha"] == alpha].sort_values("n")
        axes.errorbar(
            1.0 / part["n"] * (1 + 0.012 * (k - len(ratios) / 2)),
            part["mean"] - part["two_rsb"],
            yerr=error_bars(part),
            color=shade(k, len(ratios)),
            marker=MARKERS[k % len(MARKERS)],
            markersize=4,
            linewidth=0.9,
            capsize=2,
            label=f"{name} = {alpha:g}" if k in entries else None,
        )
    axes.axhline(0.0, color="0.25", linewidth=0.9, linestyle="--")
    axes.annotate("2RSB value", (1.0, 0.0), (2, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points",
                  va="center", fontsize=8)  # fmt: skip
    sizes = sorted(int(n) for n in shared["n"].unique())
    if sizes:
        axes.set_xlim(1.08 / sizes[0], 0.0)
        axes.set_xticks([*(1.0 / n for n in sizes), 0.0], [*map(str, sizes), "∞"])
    axes.set_xlabel("inputs n, spaced as 1/n")
    return axes
