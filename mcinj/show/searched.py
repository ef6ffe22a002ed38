"""Reports of searched thresholds: means over streams, how the runs agree, what they may still miss.

Searched values have a symbol of their own, an open triangle that points up: each is a proved lower bound of its m*, and
that nothing wider exists is estimated. Proved thresholds, where a figure shows both, are filled circles.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcinj.infer.intervals import student_half
from mcinj.infer.resultants import ControlledSample, controlled_mean
from mcinj.infer.searched import Searches, best_of, summarise_searches
from mcinj.show.bounds import for_plot
from mcinj.show.groups import groups_by, size_name
from mcinj.show.levels import by_trial, levels_table, stream_controls
from mcinj.show.lines import infinity_strip, reach
from mcinj.show.names import law_name
from mcinj.show.style import COLOURS, MARKERS, figure, legend_outside, named, save, shade
from mcinj.show.tables import folded
from mcinj.theory import table as theory_table

# With a smaller share of runs at the best width the misses are underestimated (docs/searched.md, Calibration).
ENOUGH = 0.6

if TYPE_CHECKING:
    import pandas

    from mcinj.show.page import Page


def widths_found(part: pandas.DataFrame) -> Any:
    """Widths of one series as a matrix (streams, runs); streams in the order of their trials."""
    return by_trial(part).to_numpy()


def searched_summary(table: pandas.DataFrame) -> pandas.DataFrame:
    """One row per n, ensemble and budget, in units of m/n.

    mean: of the searched thresholds (m_found + 1 of the best run), an estimate of the mean m*/n from below; se its
    standard error. controlled, controlled_se: with control variates, an estimate of the same mean (nan for laws that
    have none; `mcinj.infer.resultants`). mean_lo, mean_hi: 95 % interval of the mean m*/n, with the gap added from
    above. miss_geometric, miss_gap: two extrapolations of what all runs still miss. unique: share of streams whose best
    width only one run reached. reach: share of runs that found the best of their stream; below 0.6 the misses are
    underestimated. single: mean shortfall of one run against the best. seconds: per stream.
    """
    import pandas

    rows = []
    for (n, ensemble, moves), part in groups_by(table, "n", "ensemble", "moves"):
        cost = float(part.groupby("trial")["seconds"].sum().mean())
        widths = by_trial(part)
        row = {"n": n, "ensemble": ensemble, "moves": moves, **told(widths.to_numpy(), n), "seconds": cost}
        controls = stream_controls(part, n, ensemble, widths.index)
        sharper = (
            None if controls is None else controlled_mean(ControlledSample.of_best(widths.max(axis=1), n, controls))
        )
        row["controlled"] = math.nan if sharper is None else sharper.mean
        row["controlled_se"] = math.nan if sharper is None else sharper.se
        rows.append(row)
    return pandas.DataFrame(rows)


def told(widths: Any, n: int) -> dict[str, float]:
    """What the runs of one series say, lengths in units of m/n: columns of a summary, from shape (streams, runs)."""
    found: Searches = summarise_searches(widths)
    low, high = found.interval
    lengths = {
        "mean": found.mean,
        "se": found.se,
        "mean_lo": low,
        "mean_hi": high,
        "miss_geometric": found.geometric,
        "miss_gap": found.gap,
        "miss_gap_se": found.gap_se,
        "single": found.single,
    }
    return {
        "runs": found.runs,
        "streams": found.streams,
        **{name: value / n for name, value in lengths.items()},
        "reach": found.reach,
        "unique": found.unique,
        "unique_high": found.unique_high,
    }


def searched_axes(axes: Any, table: pandas.DataFrame, proved: pandas.DataFrame | None = None) -> Any:
    """Mean searched thresholds m/n against n with their intervals, and means of proved ones if their table is given.

    Sizes of a few streams and more stand at the mean of `levels_table`, with control variates and two budgets. Bounds
    stand in a strip at n → ∞, which is what they are about. Sets the limits of both axes.
    """
    summary = _points(table)
    laws = sorted(set(summary["ensemble"]), key=lambda law: (law != "gaussian", law))
    ends = [float(summary["mean_lo"].min()), float(summary["mean_hi"].max())]
    for k, law in enumerate(laws):
        part = summary[summary["ensemble"] == law]
        # Beside the proved means, and beside one another.
        shift = 1.0 + 0.03 * (k / max(len(laws) - 1, 1) - 0.5) * (len(laws) > 1) + 0.015 * (proved is not None)
        error = [part["mean"] - part["mean_lo"], part["mean_hi"] - part["mean"]]
        axes.errorbar(
            part["n"] * shift, part["mean"], yerr=error, color=COLOURS[k % len(COLOURS)], marker="^", markersize=6,
            markerfacecolor="white", linewidth=0.9, linestyle=":", capsize=2.5,
            label=f"searched, {law_name(law)}" if len(laws) > 1 or proved is not None else "searched",
        )  # fmt: skip
    if proved is not None:
        for k, law in enumerate(laws):
            part = proved[(proved["ensemble"] == law) & (proved["m_hi"] == proved["m_lo"] + 1)]
            if not len(part):
                continue
            ratio = part["m_hi"].astype(float) / part["n"]
            mean = ratio.groupby(part["n"]).mean()
            half = ratio.groupby(part["n"]).apply(student_half)
            colour = "0.2" if len(laws) == 1 else COLOURS[k % len(COLOURS)]
            axes.errorbar(
                mean.index, mean, yerr=half, color=colour, marker="o", markersize=4, linestyle="none", capsize=2.5,
                label=f"proved, {law_name(law)}",
            )  # fmt: skip
            ends += [float((mean - half).min()), float((mean + half).max())]
    low, high = min(v for v in ends if np.isfinite(v)), max(v for v in ends if np.isfinite(v))
    bounds = for_plot(theory_table(1))
    span = max(high - low, 0.8)
    axes.set_ylim(low - 0.06 * span, reach(high, 0.5 * span, bounds) + 0.06 * span)
    axes.set_xscale("log")
    ticks: list[int] = []
    shown = set(summary["n"]) | (set() if proved is None else set(proved["n"]))
    for n in sorted(int(v) for v in shown):
        if not ticks or n > 1.1 * ticks[-1]:  # a figure needs room
            ticks.append(n)
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.minorticks_off()
    infinity_strip(axes, bounds, laws)
    axes.set_xlabel("inputs n (log scale)")
    axes.set_ylabel("mean threshold ratio m*/n")
    return axes


def _points(table: pandas.DataFrame) -> pandas.DataFrame:
    """One mean with its interval per law and n: that of `levels_table`, the plain one of streams too few for it."""
    import pandas

    plain = searched_summary(table).sort_values(["streams", "moves"]).groupby(["n", "ensemble"], as_index=False).tail(1)
    columns = ["ensemble", "n", "mean", "mean_lo", "mean_hi"]
    both = pandas.concat([plain, levels_table(table)])[columns]
    return both.groupby(["ensemble", "n"], as_index=False).tail(1).sort_values(["ensemble", "n"])


def agreement_axes(axes: Any, table: pandas.DataFrame) -> Any:
    """What the best of j runs misses of the best of all, on average, against j; one line per series."""
    groups = groups_by(table, "ensemble", "n", "moves")
    entries = named(len(groups))
    top = 2
    for k, ((ensemble, n, moves), part) in enumerate(groups):
        best = best_of(widths_found(part))
        short = (best[:, -1:] - best[:, :-1]) / n
        top = max(top, short.shape[1])
        mean, half = short.mean(axis=0), np.array([student_half(column) for column in short.T])
        at = np.arange(1, len(mean) + 1) + 0.12 * (k / max(len(groups) - 1, 1) - 0.5)
        axes.errorbar(
            at, mean, yerr=half, color=shade(k, len(groups)), marker=MARKERS[k % len(MARKERS)], markersize=5,
            linewidth=1.2, capsize=2.5,
            label=f"{size_name(n, ensemble)}, {moves:,} moves" if k in entries else None,
        )  # fmt: skip
    axes.set_ylim(bottom=0.0)
    axes.set_xticks(range(1, top + 1))
    axes.set_xlabel("runs j")
    axes.set_ylabel("best of all minus best of j, m/n")
    return axes


def searched_part(
    page: Page, table: pandas.DataFrame, figures: Path, suffix: str
) -> tuple[list[Path], pandas.DataFrame]:
    """Figures and words of one experiment of searched thresholds; the figures written, and the summary."""
    summary = searched_summary(table)
    for row in summary.to_dict("records"):
        size = f"n = {row['n']}, {law_name(row['ensemble'])}"
        page.finding(finding(row, size))
    page.warning(
        "Searched, not proved: every m_found has an exactly verified witness, so that m* is at least the searched "
        "value; that no wider witness exists is estimated from the agreement of independent runs (docs/searched.md)."
    )
    with figure(figsize=(10.0, 4.8)) as (fig, axes):
        searched_axes(axes, table)
        axes.set_title("Searched thresholds: means of m*/n")
        fig.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, title="means, 95 %")
        written = save(fig, figures, f"searched{suffix}")
    page.picture(
        written[-2],
        "Open triangles: means of searched thresholds, the best of several independent searches per stream, with "
        "control variates and with what a larger budget gains on some of the streams. Intervals at 95 %: from below "
        "the sampling error, from above with the estimated miss (gap) added. Grey strip: theory values for n → ∞.",
    )
    levels = levels_table(table)
    if len(levels):
        page.table(
            folded(levels),
            "Sharpest means: the budget of most streams, with control variates, plus the gain of a larger budget on "
            "the shared streams; miss is the upper limit of what that one misses (docs/searched.md).",
        )
    with figure(figsize=(8.2, 4.2)) as (fig, axes):
        agreement_axes(axes, table)
        axes.set_title("How the runs agree")
        legend_outside(axes, "means, 95 % (Student)")
        written += save(fig, figures, f"agreement{suffix}")
    page.picture(
        written[-2],
        "What the best of j runs misses of the best of all runs, averaged over streams and over the sets of j runs. "
        "Where a line is at zero before its end, further runs would find nothing more.",
    )
    return written, summary


def finding(row: Mapping[Hashable, Any], series: str) -> str:
    """What one row of a summary says of the series of that name."""
    least = "no value" if np.isnan(row["miss_geometric"]) else f"{row['miss_geometric']:.3f}"
    text = (
        f"{series}: mean searched m*/n {row['mean']:.3f} ± {row['se']:.3f} "
        f"(standard error), {row['streams']:,} streams, best of {row['runs']} runs of {row['moves']:,} moves. "
        f"{100 * row['reach']:.0f} % of the runs found the best of their stream, in {100 * row['unique']:.0f} % of the "
        f"streams only one did. Estimated miss between {least} (geometric) and {row['miss_gap']:.3f} ± "
        f"{row['miss_gap_se']:.3f} (gap); mean m*/n with both errors, 95 %: "
        f"[{row['mean_lo']:.3f}, {row['mean_hi']:.3f}]."
    )
    return text if row["reach"] >= ENOUGH else f"{text} Too few runs agree for the misses to be bounded so."
