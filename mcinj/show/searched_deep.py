"""Reports of searched thresholds behind earlier layers: means against 1/n and against depth, beside theory at n → ∞.

The symbol is that of all searched values, an open triangle that points up. Streams of which a run proved that an
earlier layer fails have an infinite m* and are counted apart: means are over the others.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcinj.infer.families import group_by_ratios, ratios_text, widths_of
from mcinj.infer.intervals import student_half
from mcinj.show.groups import groups_by
from mcinj.show.lines import infinity_strip
from mcinj.show.names import law_name
from mcinj.show.searched import finding, told, widths_found
from mcinj.show.style import COLOURS, DASHES, figure, legend_outside, save, shade
from mcinj.theory import Bound
from mcinj.theory.tables import field_table, table

if TYPE_CHECKING:
    import pandas

    from mcinj.show.page import Page

_FEWEST = 3  # streams that are drawn: of two, an interval says nothing
_KEYS = ("n", "widths_before", "ensemble", "moves")
# Depth to which theory is computed behind wide layers, and drawn.
_MOST_LAYERS = 8


def searched_deep_summary(trials: pandas.DataFrame) -> pandas.DataFrame:
    """One row per n, earlier widths, ensemble and budget; columns as in `searched_summary`, and `layers`, `failed`.

    failed: streams of which a run proved that an earlier layer fails, so that no last width passes; all other columns
    are about the rest of the streams, and empty where there is none.
    """
    import pandas

    rows = []
    for key, part in groups_by(trials, *_KEYS):
        lost = set(part.loc[part["failed_layer"].notna(), "trial"])
        widths = widths_found(part[~part["trial"].isin(lost)])
        cost = float(part.groupby("trial")["seconds"].sum().mean())
        shape = {**dict(zip(_KEYS, key, strict=True)), "layers": len(widths_of(key[1])) + 1, "failed": len(lost)}
        what = told(widths, key[0]) if len(widths) else {"runs": part["run"].nunique(), "streams": 0}
        rows.append({**shape, **what, "seconds": cost})
    return pandas.DataFrame(rows)


def _best(summary: pandas.DataFrame) -> pandas.DataFrame:
    """Of several budgets that with most streams, of equals the larger one, which misses less; few streams left out."""
    ordered = summary[summary["streams"] >= _FEWEST].sort_values(["streams", "moves"])
    return ordered.groupby(["n", "widths_before", "ensemble"], as_index=False).tail(1).sort_values("n")


def _series(summary: pandas.DataFrame) -> list[tuple[str, int, str, pandas.DataFrame]]:
    """(name, layers, law, rows by n) of each set of rows that differ in n alone."""
    found = []
    for law, part in summary.groupby("ensemble", sort=True):
        part = part.reset_index(drop=True)
        shapes = [(int(n), widths_of(w)) for n, w in zip(part["n"], part["widths_before"], strict=True)]
        for ratios, members in group_by_ratios(shapes):
            name = "behind " + ", ".join(f"{r} n" for r in ratios_text(ratios).split(", "))
            rows = part.iloc[members]
            found.append((name, len(ratios) + 1, str(law), rows))
    return sorted(found, key=lambda item: (item[1], item[2], float(item[3]["widths_before"].iloc[0].split(",")[0])))


def wide_bounds(layers: int) -> list[Bound]:
    """Theory about the count criterion of this layer at n → ∞: behind wide layers, and the published chain."""
    rows = [b for b in field_table(layers - 1) if b.name.startswith(("plain RDT", "2RSB"))]
    starts = ("published deep table", "plain RDT chain from 6.7004")
    for start in starts:
        rows += [b for b in table(layers) if b.layers == layers and b.theta == 1.0 and b.name.startswith(start)][:1]
    return sorted((b for b in rows if b.known), key=lambda b: b.value)


def criterion_of(trials: pandas.DataFrame) -> str:
    """What was searched for: only tables of collisions tell how many rows are equal."""
    return "global" if "equal" in trials else "regional"


def searched_deep_axes(axes: Any, trials: pandas.DataFrame, layers: int, proved: Any = None) -> Any:
    """Means of searched m*/n of one depth against 1/n, a line per earlier shape; n grows to the right.

    Theory for n → ∞ (there is some for the regional criterion) stands at the right edge, each value named on its line.
    proved: a table of thresholds, those of whose finite ones that are of the same criterion stand beside as filled
    circles, their means. Sets the limits of both axes.
    """
    criterion = criterion_of(trials)
    series = [item for item in _series(_best(searched_deep_summary(trials))) if item[1] == layers]
    laws = sorted({law for _, _, law, _ in series})
    ends: list[float] = []
    for k, (name, _, law, part) in enumerate(series):
        shift = 1.0 + 0.012 * (k - (len(series) - 1) / 2)  # beside one another
        at = shift / part["n"]
        error = [part["mean"] - part["mean_lo"], part["mean_hi"] - part["mean"]]
        colour = COLOURS[k % len(COLOURS)]
        axes.errorbar(
            at, part["mean"], yerr=error, color=colour, marker="^", markersize=6, markerfacecolor="white",
            linewidth=0.9, linestyle=("-", "--", ":", "-.")[k % 4], capsize=2.5,
            label=f"searched, {name}" + ("" if law == "gaussian" else f", {law_name(law)}"),
        )  # fmt: skip
        ends += [*part["mean_lo"], *part["mean_hi"]]
        if proved is None:
            continue
        rows = _proved(proved, set(zip(part["n"], part["widths_before"], strict=True)), law, criterion)
        if len(rows):
            axes.errorbar(
                shift / rows["n"], rows["mean"], yerr=rows["half"], color=colour, marker="o", markersize=4,
                linestyle="none", capsize=2.5, label=f"proved, {name}",
            )  # fmt: skip
            ends += [*(rows["mean"] - rows["half"]), *(rows["mean"] + rows["half"])]
    known = [v for v in ends if np.isfinite(v)]
    bounds = wide_bounds(layers) if layers <= _MOST_LAYERS and criterion == "regional" else []
    low, high = min(known), max([*known, *(b.value for b in bounds)])
    axes.set_ylim(low - 0.06 * (high - low), high + 0.06 * (high - low))
    sizes = sorted({int(n) for *_, part in series for n in part["n"]})
    axes.set_xlim(1.08 / sizes[0], 0.0)
    shown: list[int] = []
    for n in sizes:
        if not shown or 1 / shown[-1] - 1 / n > 0.045 / sizes[0]:  # a figure needs room
            shown.append(n)
    axes.set_xticks([1 / n for n in shown], [f"1/{n}" for n in shown])
    if bounds:
        infinity_strip(axes, bounds, laws)
    axes.set_xlabel("1/n (n grows to the right)")
    axes.set_ylabel(f"mean m*/n of the last layer, {criterion}")
    return axes


def _proved(trials: pandas.DataFrame, shapes: set[tuple[int, str]], law: str, criterion: str) -> pandas.DataFrame:
    """Means of proved finite thresholds of these shapes, with the half-widths of Student's 95 % intervals."""
    import pandas

    own = np.array([shape in shapes for shape in zip(trials["n"], trials["widths_before"], strict=True)], dtype=bool)
    part = trials[own & (trials["ensemble"] == law) & (trials["criterion"] == criterion)]
    part = part[part["m_hi"] == part["m_lo"] + 1]
    ratio = part["m_hi"].astype(float) / part["n"]
    groups = [(n, ratio[part["n"] == n]) for n in sorted(set(part["n"]))]
    rows = [(n, float(values.mean()), student_half(values)) for n, values in groups]
    return pandas.DataFrame(rows, columns=["n", "mean", "half"], dtype=float)


def depth_axes(axes: Any, trials: pandas.DataFrame) -> Any:
    """Means of searched m*/n of the last layer against the number of layers, a line per n, with 2RSB at n → ∞.

    Of several shapes of one depth and n that of the narrowest first layer, of these that with most streams.
    """
    summary = _best(searched_deep_summary(trials))
    summary = summary.assign(first=[widths_of(w)[0] for w in summary["widths_before"]])
    summary = summary.sort_values(["first", "streams"], ascending=[True, False])
    summary = summary.groupby(["n", "layers", "ensemble"], as_index=False).head(1)
    groups = [(key, part.sort_values("layers")) for key, part in groups_by(summary, "ensemble", "n") if len(part) > 1]
    for k, ((law, n), part) in enumerate(groups):
        error = [part["mean"] - part["mean_lo"], part["mean_hi"] - part["mean"]]
        axes.errorbar(
            part["layers"] + 0.12 * (k / max(len(groups) - 1, 1) - 0.5), part["mean"], yerr=error,
            color=shade(k, len(groups)), marker="^", markerfacecolor="white", markersize=6, linewidth=0.9,
            linestyle=DASHES[k % len(DASHES)], capsize=2.5,
            label=f"searched, n = {n}" + ("" if law == "gaussian" else f", {law_name(law)}"),
        )  # fmt: skip
    criterion = criterion_of(trials)
    depths = range(int(summary["layers"].min()), min(int(summary["layers"].max()), _MOST_LAYERS) + 1)
    for start, dash in (("2RSB", "-"), ("plain RDT", "--")) if criterion == "regional" else ():
        values = [next(b.value for b in field_table(d - 1) if b.name.startswith(start)) for d in depths]
        axes.plot(list(depths), values, color="0.0", linewidth=1.2, linestyle=dash, label="_" + start)
        axes.annotate(
            f"{start} behind infinitely wide layers, n → ∞", (depths[-1], values[-1]), (0, -14),
            textcoords="offset points", ha="right", fontsize=8,
        )  # fmt: skip
    axes.set_xticks(sorted({int(v) for v in summary["layers"]}))
    axes.set_xlabel("layers")
    axes.set_ylabel(f"mean m*/n of the last layer, {criterion}")
    return axes


def searched_deep_part(
    page: Page, trials: pandas.DataFrame, figures: Path, suffix: str
) -> tuple[list[Path], pandas.DataFrame]:
    """Figures and words of one experiment of deep searched thresholds; the figures written, and the summary."""
    summary, criterion = searched_deep_summary(trials), criterion_of(trials)
    theory = criterion == "regional"
    for row in summary.to_dict("records"):
        name = f"n = {row['n']}, {law_name(row['ensemble'])}, behind widths {row['widths_before']}"
        page.finding(finding(row, name) if row["streams"] else f"{name}: an earlier layer fails in all streams.")
        if row["failed"] and row["streams"]:
            page.finding(f"{name}: in {row['failed']:,} further streams an earlier layer is proved to fail: m* = ∞.")
    page.warning(
        "Searched, not proved: every m_found has an exactly verified witness, so that m* is at least the searched "
        "value; that no wider witness exists, and that earlier layers pass, is estimated from the agreement of "
        "independent runs (docs/searched.md)."
    )
    written: list[Path] = []
    told_of = _best(summary)
    for layers in sorted(set(told_of["layers"])):
        if told_of.loc[told_of["layers"] == layers, "n"].nunique() < 2:
            continue
        with figure(figsize=(10.0, 4.8)) as (fig, axes):
            searched_deep_axes(axes, trials, int(layers))
            axes.set_title(f"Searched {criterion} thresholds of layer {layers}: means of m*/n")
            fig.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, title="means, 95 %")
            written += save(fig, figures, f"layer_{layers}{suffix}")
        page.picture(
            written[-2],
            "Open triangles: means of searched thresholds over the streams whose earlier layers pass. Intervals at "
            "95 %: from below the sampling error of the mean as it is, from above with the estimated miss (gap) added. "
            f"Sizes with fewer than {_FEWEST} such streams are in the table only."
            + (" Lines: theory for n → ∞; 2RSB and Gordon's plain RDT are behind infinitely wide layers." * theory),
        )
    if told_of["layers"].nunique() > 1:
        with figure(figsize=(8.2, 4.4)) as (fig, axes):
            depth_axes(axes, trials)
            axes.set_title(f"Searched {criterion} thresholds against depth")
            legend_outside(axes, "means, 95 %")
            written += save(fig, figures, f"depth{suffix}")
        page.picture(
            written[-2],
            "Means of searched thresholds of the last layer against the number of layers; at each n the narrowest "
            "first layer that was searched." + " Black lines are for n → ∞ behind infinitely wide layers." * theory,
        )
    return written, summary
