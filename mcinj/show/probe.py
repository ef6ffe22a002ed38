"""Reports of witness searches: how far they come, a lower bound on m*/n for every stream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcinj.infer.intervals import student_half
from mcinj.show.bounds import about, for_plot
from mcinj.show.groups import groups_by, size_name
from mcinj.show.lines import infinity_strip, reach
from mcinj.show.names import law_name
from mcinj.show.style import COLOURS, MARKERS, figure, legend_outside, named, save, shade
from mcinj.theory import table as theory_table

if TYPE_CHECKING:
    import pandas

    from mcinj.show.page import Page


def probe_summary(table: pandas.DataFrame) -> pandas.DataFrame:
    """One row per n, ensemble and budget: proved lower bounds on m*/n over the streams (one-sided data).

    mean_lo, mean_hi: Student's 95 % interval of the mean over streams (nan for a single one).
    """
    import pandas

    rows = []
    for (n, ensemble, moves), part in groups_by(table, "n", "ensemble", "moves"):
        ratio = part["m_found"].to_numpy(dtype=float) / n
        mean, half = float(ratio.mean()), student_half(ratio)
        row = [n, ensemble, moves, len(part), mean, mean - half, mean + half]
        rows.append([*row, ratio.min(), np.median(ratio), ratio.max(), part["seconds"].mean()])
    names = ["n", "ensemble", "moves", "streams", "mean", "mean_lo", "mean_hi", "least", "median", "greatest"]
    return pandas.DataFrame(rows, columns=[*names, "mean_seconds"])


# Student's interval of two values is some ten times their distance long, and says nothing that can be drawn.
FEW = 3


def probe_axes(axes: Any, table: pandas.DataFrame) -> Any:
    """Lower bounds m_found/n < m*/n against n: every stream, and the mean of each budget of moves, with intervals.

    Sets the limits of both axes; bounds stand in a strip at n → ∞, which is what they are about.
    """
    summary = probe_summary(table)
    groups = groups_by(summary, "ensemble", "moves")
    laws = set(table["ensemble"])
    entries = named(len(groups), 7)
    for k, ((ensemble, moves), part) in enumerate(groups):
        colour, shift = COLOURS[k % len(COLOURS)], 1.0 + 0.07 * (k / max(len(groups) - 1, 1) - 0.5)
        streams = table[(table["ensemble"] == ensemble) & (table["moves"] == moves)]
        axes.plot(streams["n"] * shift, streams["m_found"] / streams["n"], "^", color=colour, markersize=3, alpha=0.35,
                  linewidth=0)  # fmt: skip
        half = (part["mean_hi"] - part["mean"]).where(part["streams"] >= FEW)
        name = f"{moves:,} moves" + ("" if len(laws) == 1 else f", {law_name(ensemble)}")
        axes.errorbar(
            part["n"] * shift, part["mean"], yerr=half, color=colour, marker=MARKERS[k % len(MARKERS)], markersize=5,
            linewidth=1.1, capsize=2.5, label=name if k in entries else None,
        )  # fmt: skip
        few = part[part["streams"] < FEW]
        axes.plot(few["n"] * shift, few["mean"], MARKERS[k % len(MARKERS)], color=colour, markerfacecolor="white",
                  markersize=5, zorder=4)  # fmt: skip
    axes.plot([], [], "^", color="0.4", markersize=4, linewidth=0, label="one stream (m* is above, proved)")
    ratio = table["m_found"] / table["n"]
    low, high = float(ratio.min()), float(ratio.max())
    bounds = for_plot(theory_table(1))
    span = max(high - low, 0.8)
    axes.set_ylim(low - 0.06 * span, reach(high, 0.25 * span, bounds) + 0.06 * span)
    axes.set_xscale("log")
    # A figure needs room: sizes less than 12 % beyond the last one named go without.
    ticks: list[int] = []
    for n in sorted(int(v) for v in table["n"].unique()):
        if not ticks or n > 1.12 * ticks[-1]:
            ticks.append(n)
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.minorticks_off()
    infinity_strip(axes, bounds, laws)
    rigorous = [b.value for b in bounds if b.status == "rigorous" and all(about(b, law) for law in laws)]
    if rigorous and high > min(rigorous):
        at = float(table["n"].to_numpy()[int(np.argmax(ratio))])
        axes.annotate(
            "single streams may lie above:\nbounds are about n → ∞", (at, high), (1.5 * at, high), fontsize=8,
            va="center", color="0.25", arrowprops={"arrowstyle": "->", "color": "0.4", "linewidth": 0.8},
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip
    axes.set_xlabel("inputs n (log scale)")
    axes.set_ylabel("width of a verified witness, m/n")
    return axes


def above_bounds(table: pandas.DataFrame) -> str:
    """What to think of streams above a rigorous bound; empty where there is none."""
    own = [b for b in theory_table(1) if b.known and b.status == "rigorous" and b.kind == "upper"]
    told = []
    for (ensemble,), part in groups_by(table, "ensemble"):
        values = [b.value for b in own if about(b, ensemble)]
        if not values:
            continue
        beyond = part[part["m_found"] / part["n"] > min(values)]
        told += [(int(n), int(t)) for n, t in zip(beyond["n"], beyond["trial"], strict=True)]
    if not told:
        return ""
    streams = sorted(set(told))
    sizes = sorted({n for n, _ in streams})
    return (
        f"{len(streams)} stream{'s' if len(streams) > 1 else ''} (n = {', '.join(map(str, sizes))}) with a verified "
        "witness above the least rigorous upper bound. That contradicts nothing: the bounds are about n → ∞, where "
        "m*/n is the same for all streams; at finite n single streams scatter (about 1.75/√n, with a long upper tail)."
    )


def budget_axes(axes: Any, table: pandas.DataFrame) -> Any:
    """Mean lower bound on m*/n against the budget of moves, one line per n, over the streams that all budgets share."""
    groups = [(key, _shared_streams(part)) for key, part in groups_by(table, "ensemble", "n")]
    groups = [(key, part) for key, part in groups if part["moves"].nunique() > 1]
    entries = named(len(groups))
    for k, ((ensemble, n), part) in enumerate(groups):
        by_moves = (part["m_found"] / n).groupby(part["moves"])
        mean = by_moves.mean()
        half = by_moves.apply(student_half).where(by_moves.size() >= FEW)
        axes.errorbar(
            mean.index * 1.03 ** (k - (len(groups) - 1) / 2), mean, yerr=half, color=shade(k, len(groups)),
            marker=MARKERS[k % len(MARKERS)], markersize=5, linewidth=1.2, capsize=2.5,
            label=size_name(n, ensemble) if k in entries else None,
        )  # fmt: skip
    axes.set_xscale("log")
    budgets = sorted(int(v) for v in table["moves"].unique())
    axes.set_xticks(budgets, [f"{v // 1000:,}k" if v % 1000 == 0 else f"{v:,}" for v in budgets])
    axes.minorticks_off()
    axes.set_xlabel("moves (log scale)")
    axes.set_ylabel("mean width of a verified witness, m/n")
    return axes


def _shared_streams(part: pandas.DataFrame) -> pandas.DataFrame:
    """Trials that were searched with every budget of the part, so that budgets are compared on the same streams."""
    counts = part.groupby("trial")["moves"].nunique()
    return part[part["trial"].isin(counts.index[counts == part["moves"].nunique()])]


def probe_part(page: Page, table: pandas.DataFrame, figures: Path, suffix: str) -> tuple[list[Path], pandas.DataFrame]:
    """Figures and words of one experiment of searches; the figures written, and the summary."""
    summary = probe_summary(table)
    most = summary[summary["moves"] == summary.groupby(["n", "ensemble"])["moves"].transform("max")]
    best = most.iloc[int(np.argmax(most["mean"]))]
    page.finding(
        f"{len(table):,} searches, each with a witness verified exactly: m* of its stream is larger than the width "
        f"found. The largest mean of certified m/n is {best['mean']:.2f}"
        + (f" [{best['mean_lo']:.2f}, {best['mean_hi']:.2f}]" if best["mean_lo"] == best["mean_lo"] else "")
        + f" at n = {best['n']} ({best['streams']} streams, {best['moves']:,} moves; 95 %, Student). One-sided data: a "
        "lower bound on every m*, no estimate of it."
    )
    note = above_bounds(table)
    if note:
        page.warning(note)
    with figure(figsize=(10.0, 4.8)) as (fig, axes):
        probe_axes(axes, table)
        axes.set_title("How far a witness search comes: certified lower bounds on m*/n")
        fig.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, title="means, 95 %")
        written = save(fig, figures, f"probe{suffix}")
    page.picture(
        written[-2],
        "Every triangle is one stream of rows and a width at which an exactly verified witness shows that the layer is "
        "not injective: m* lies above it. One-sided data: that a curve falls with n at a fixed budget says something "
        "of the search, not of m*. Means over streams with Student's 95 % intervals; open symbols: fewer than three "
        "streams, no interval. Grey strip: theory values for n → ∞.",
    )
    if table["moves"].nunique() > 1:
        with figure(figsize=(8.2, 4.2)) as (fig, axes):
            budget_axes(axes, table)
            axes.set_title("The same against the budget")
            legend_outside(axes, "means, 95 % (Student)")
            written += save(fig, figures, f"budget{suffix}")
        page.picture(
            written[-2],
            "Mean over the streams searched with every budget, with Student's 95 % intervals over streams (differences "
            "between budgets are on the same streams, and better known than the means): where a line still rises, more "
            "moves find more.",
        )
    return written, summary
