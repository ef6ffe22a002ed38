"""Reports of margins: the plane of width ratio and margin, with the law of κ* at each n and the bounds for n → ∞."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcinj.infer.intervals import quantile_ranks, student_half
from mcinj.show.distance import distance_axes, shared_by_sizes
from mcinj.show.groups import groups_by, size_name
from mcinj.show.lines import name_ends
from mcinj.show.style import MARKERS, figure, legend_outside, named, save, shade
from mcinj.theory import field_table

if TYPE_CHECKING:
    import pandas

    from mcinj.show.page import Page

# Rows of `field_table` in their order: short name, standing, look.
_CURVES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("plain RDT", "rigorous", {"color": "0.55", "linestyle": "-", "linewidth": 2.6}),
    ("lifted RDT", "rigorous", {"color": "0.0", "linestyle": ":", "linewidth": 2.0}),
    ("1RSB", "heuristic", {"color": "0.55", "linestyle": "--", "linewidth": 1.4}),
    ("2RSB", "heuristic", {"color": "0.0", "linestyle": "-", "linewidth": 1.0}),
)
_LEVELS = tuple(np.linspace(-3.0, 2.0, 41).tolist())


@lru_cache(maxsize=1)
def level_curves() -> tuple[Any, Any]:
    """Levels (k,) and, in columns by the rows of `field_table`, the ratios m/n at which the margin is that level."""
    ratios = [[bound.value for bound in field_table(level=level)] for level in _LEVELS]
    return np.array(_LEVELS), np.array(ratios)


def level_at(alpha: Any, column: int) -> Any:
    """The margin for n → ∞ at width ratios `alpha`, by the value in that column of `level_curves`; NaN outside."""
    from scipy.interpolate import PchipInterpolator

    levels, ratios = level_curves()
    known = np.isfinite(ratios[:, column])
    curve = PchipInterpolator(np.log(ratios[known, column]), levels[known], extrapolate=False)
    return curve(np.log(np.asarray(alpha, dtype=np.float64)))


def margin_summary(table: pandas.DataFrame) -> pandas.DataFrame:
    """One row per n, ensemble and m: median and mean margin with 95 % intervals, and the values for n → ∞.

    Margins in units of a weight's standard deviation, per unit of |x|; each is the middle of its enclosure, which is at
    most `widest` wide. median_lo, median_hi: order statistics, widened by the enclosures. share_positive: proved
    positive, P(κ* > 0) = P(injective). q10, q90: of the sample. Theory columns are about Gaussian rows
    (NaN for other laws).
    """
    import pandas

    rows = []
    for (n, ensemble, m), part in groups_by(table, "n", "ensemble", "m"):
        low, high = np.sort(part["margin_lo"].to_numpy()), np.sort(part["margin_hi"].to_numpy())
        middle = ((part["margin_lo"] + part["margin_hi"]) / 2).to_numpy()
        # Dependent rows have margin -inf, and of trials set aside nothing is known: no interval of the mean then, and
        # no interpolation between quantiles.
        finite = bool(np.isfinite(middle).all())
        size = len(part)
        first, last = quantile_ranks(size, 0.5)
        ends = (low[first - 1] if first > 0 else np.nan, high[last - 1] if last <= size else np.nan)
        widest = float((part["margin_hi"] - part["margin_lo"]).max())
        half = student_half(middle) + widest / 2 if finite else np.nan
        tails = np.quantile(middle, [0.1, 0.9], method="linear" if finite else "inverted_cdf")
        mean, median = float(middle.mean()), float(np.median(middle))
        theory = [float(level_at(m / n, k)) if ensemble == "gaussian" else np.nan for k in range(len(_CURVES))]
        row = [n, ensemble, m, m / n, size, int((part["complete"] == 0).sum()), median, *ends]
        row += [mean, mean - half, mean + half, *tails.tolist()]
        rows.append([*row, float((low > 0).mean()), float((high > 0).mean()), widest, *theory])
    names = ["n", "ensemble", "m", "alpha", "streams", "undecided", "median", "median_lo", "median_hi"]
    names += ["mean", "mean_lo", "mean_hi", "q10", "q90", "share_positive", "share_positive_most", "widest"]
    return pandas.DataFrame(rows, columns=[*names, "plain_rdt", "lifted_rdt", "one_rsb", "two_rsb"])


def margin_axes(axes: Any, summary: pandas.DataFrame) -> Any:
    """The plane (m/n, t): medians of κ* by n with the range of the middle 80 % of layers, and the bounds for n → ∞.

    Left of and above a series' points more than half of its layers have no margin t.
    """
    groups = groups_by(summary, "ensemble", "n")
    entries = named(len(groups))
    for k, ((ensemble, n), part) in enumerate(groups):
        axes.errorbar(
            part["alpha"] * (1 + 0.008 * (k - len(groups) / 2)),
            part["median"],
            yerr=[part["median"] - part["q10"], part["q90"] - part["median"]],
            color=shade(k, len(groups)),
            marker=MARKERS[k % len(MARKERS)],
            markersize=4,
            linewidth=0.8,
            capsize=2,
            label=f"{size_name(n, ensemble)}, {part['streams'].max()} streams" if k in entries else None,
        )
    bounds_in_plane(axes, "gaussian" in set(summary["ensemble"]))
    return axes


def bounds_in_plane(axes: Any, gaussian: bool) -> None:
    """The plane (m/n, t) around what is drawn there: its axes, the line t = 0, and for Gaussian rows the bounds."""
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    low, high = axes.get_ylim()
    left, right = axes.get_xlim()
    if gaussian:
        levels, ratios = level_curves()
        ends = []
        for column, (name, status, look) in enumerate(_CURVES):
            axes.plot(ratios[:, column], levels, label=f"_{name}", zorder=1.5, **look)
            ends.append((float(level_at(right, column)), f"{name} ({status}), n → ∞"))
        axes.set_ylim(low, high)
        name_ends(axes, right, [(value, text) for value, text in ends if np.isfinite(value)], 0.055)
    axes.set_ylim(low, high)
    axes.set_xlim(left, right)
    axes.annotate("injective above", (0.01, 0.0), (0, 2), xycoords=axes.get_yaxis_transform(),
                  textcoords="offset points", fontsize=8, color="0.35")  # fmt: skip
    axes.set_xlabel("width ratio m/n")
    axes.set_ylabel("margin κ*, |x| = 1, weights of variance 1")


def margin_gap_axes(axes: Any, summary: pandas.DataFrame) -> Any:
    """Mean margin minus the 2RSB margin against 1/n, one line per ratio that several n share."""
    shared = shared_by_sizes(summary[summary["two_rsb"].notna()])
    distance_axes(axes, shared, sorted(shared["alpha"].unique()), "m/n")
    axes.set_ylabel("mean margin minus the 2RSB value")
    return axes


def margin_part(page: Page, table: pandas.DataFrame, figures: Path, suffix: str) -> tuple[list[Path], pandas.DataFrame]:
    """Figures and words of one experiment of margins; the figures written, and the summary."""
    summary = margin_summary(table)
    page.finding(_finding(summary))
    with figure(figsize=(9.6, 5.0)) as (fig, axes):
        margin_axes(axes, summary)
        axes.set_title("Margin of one layer: by how much it is injective, or is not")
        axes.legend(loc="lower right", title="medians; bars: middle 80 % of layers")
        written = save(fig, figures, f"margin{suffix}")
    page.picture(
        written[-2],
        "Points: median margin κ* over streams, each margin enclosed by proof; bars: 10 % to 90 % quantile of layers. "
        "A layer is injective where κ* > 0; with a common bias -t it is where κ* > t. Curves: for n → ∞, and their "
        "standing (docs/theory.md §11).",
    )
    with figure(figsize=(8.2, 4.4)) as (fig, axes):
        margin_gap_axes(axes, summary)
        axes.set_title("Distance of the mean margin to the 2RSB curve, 95 % intervals")
        if axes.get_legend_handles_labels()[1]:
            legend_outside(axes)
        written += save(fig, figures, f"margin_gap{suffix}")
    page.picture(
        written[-2], "The 2RSB values are for n → ∞; a heuristic that is exact there must be met at the right end."
    )
    undecided = int(summary["undecided"].sum())
    if undecided:
        page.warning(f"{undecided} margins ended with their node budget: their enclosures are wider than asked for.")
    return written, summary


def _finding(summary: pandas.DataFrame) -> str:
    """The distance to 2RSB by n at the ratio next to the transition that most sizes share."""
    streams = int(summary.groupby(["n", "ensemble"])["streams"].max().sum())
    text = f"Margins of layers from {streams:,} streams, each enclosed by proof"
    known = summary[summary["two_rsb"].notna() & summary["mean_hi"].notna()]
    if not len(known):
        return text + "."
    counts = known["alpha"].value_counts()
    alpha = min(counts[counts == counts.max()].index, key=lambda a: abs(a - 6.7))
    part = known[known["alpha"] == alpha].sort_values("n")
    told = ", ".join(
        f"{mean:.3f} ± {hi - mean:.3f} at n = {n}"
        for n, mean, hi in zip(part["n"], part["mean"], part["mean_hi"], strict=True)
    )
    limit = f"2RSB, n → ∞: {part['two_rsb'].iloc[0]:.3f}"
    return f"{text}: at m/n = {alpha:g} the mean κ* is {told} (95 %, Student); {limit}."
