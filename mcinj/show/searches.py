"""Reports of one-layer searches: algorithmic thresholds, least active counts, numbers of low-count cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcinj.infer import CellTest, cell_tests, overall_p
from mcinj.networks import Ensemble
from mcinj.show.bounds import ELSEWHERE, draw_bounds, for_plot
from mcinj.show.style import COLOURS, DASHES, MARKERS, figure, save, shade
from mcinj.theory import GroundStateCurve, ground_state_curve
from mcinj.theory import table as theory_table

if TYPE_CHECKING:
    import pandas

    from mcinj.show.page import Page
    from mcinj.show.report import Report

Loaded = list[tuple[str, "pandas.DataFrame", dict[str, str]]]


def _groups(table: pandas.DataFrame, *columns: str) -> list[tuple[Any, pandas.DataFrame]]:
    """Parts of a table by the values of some columns, sorted by them."""
    return [(key, part) for key, part in table.groupby(list(columns), sort=True)]


def probe_summary(table: pandas.DataFrame) -> pandas.DataFrame:
    """One row per n, ensemble and budget: proved lower bounds on m*/n over the streams (one-sided data)."""
    import pandas

    rows = []
    for (n, ensemble, moves), part in _groups(table, "n", "ensemble", "moves"):
        ratio = part["m_found"].to_numpy(dtype=float) / n
        row = [n, ensemble, moves, len(part), ratio.mean(), ratio.min(), np.median(ratio), ratio.max()]
        rows.append([*row, part["seconds"].mean()])
    names = ["n", "ensemble", "moves", "streams", "mean", "least", "median", "greatest", "mean_seconds"]
    return pandas.DataFrame(rows, columns=names)


def probe_axes(axes: Any, table: pandas.DataFrame) -> Any:
    """Lower bounds m_found/n < m*/n against n: every stream, and the mean of each budget of moves."""
    groups = _groups(table, "ensemble", "moves")
    for k, ((ensemble, moves), part) in enumerate(groups):
        colour, shift = COLOURS[k % len(COLOURS)], 1.0 + 0.07 * (k / max(len(groups) - 1, 1) - 0.5)
        ratio = part["m_found"] / part["n"]
        axes.plot(part["n"] * shift, ratio, "^", color=colour, markersize=4, alpha=0.45, linewidth=0)
        mean = ratio.groupby(part["n"]).mean()
        axes.plot(
            mean.index * shift,
            mean,
            color=colour,
            marker=MARKERS[k % len(MARKERS)],
            markersize=5,
            linewidth=1.1,
            label=f"{ensemble}, {moves:,} moves: mean of the streams",
        )
    axes.plot([], [], "^", color="0.4", markersize=4, label="one stream: m* is above, proved")
    draw_bounds(axes, for_plot(theory_table(1)), set(table["ensemble"]), vertical=False)
    axes.set_xscale("log")
    # A figure needs room: sizes less than 12 % beyond the last one named go without.
    ticks: list[int] = []
    for n in sorted(int(v) for v in table["n"].unique()):
        if not ticks or n > 1.12 * ticks[-1]:
            ticks.append(n)
    axes.set_xticks(ticks, [str(n) for n in ticks])
    axes.minorticks_off()
    axes.set_xlabel("inputs n (log scale)")
    axes.set_ylabel("width of a verified witness, m/n")
    return axes


def budget_axes(axes: Any, table: pandas.DataFrame) -> Any:
    """Mean lower bound on m*/n against the budget of moves, one line per n, over the streams that all budgets share."""
    groups = [(key, _shared_streams(part)) for key, part in _groups(table, "ensemble", "n")]
    groups = [(key, part) for key, part in groups if part["moves"].nunique() > 1]
    for k, ((ensemble, n), part) in enumerate(groups):
        mean = (part["m_found"] / n).groupby(part["moves"]).mean()
        axes.plot(
            mean.index,
            mean,
            color=shade(k, len(groups)),
            marker=MARKERS[k % len(MARKERS)],
            markersize=5,
            label=f"n = {n}" if ensemble == "gaussian" else f"n = {n}, {ensemble}",
        )
    axes.set_xscale("log")
    axes.set_xlabel("moves (log scale)")
    axes.set_ylabel("mean width of a verified witness, m/n")
    return axes


def _shared_streams(part: pandas.DataFrame) -> pandas.DataFrame:
    """Trials that were searched with every budget of the part, so that budgets are compared on the same streams."""
    counts = part.groupby("trial")["moves"].nunique()
    return part[part["trial"].isin(counts.index[counts == part["moves"].nunique()])]


def _probe(page: Page, table: pandas.DataFrame, figures: Path, suffix: str) -> tuple[list[Path], pandas.DataFrame]:
    with figure(figsize=(9.6, 4.6)) as (fig, axes):
        probe_axes(axes, table)
        axes.set_title("How far a witness search comes: certified lower bounds on m*/n", fontsize=10)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8)
        written = save(fig, figures, f"probe{suffix}")
    page.picture(
        written[-2],
        "Every triangle is one stream of rows and a width at which an exactly verified witness shows that the layer is "
        "not injective: m* lies above it. One-sided data: that a curve falls with n at a fixed budget says something "
        "of the search, not of m*. Dashed: theory values for n → ∞.",
    )
    if table["moves"].nunique() > 1:
        with figure(figsize=(7.2, 4.2)) as (fig, axes):
            budget_axes(axes, table)
            axes.set_title("The same against the budget", fontsize=10)
            axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8)
            written += save(fig, figures, f"budget{suffix}")
        page.picture(
            written[-2],
            "Mean over the streams searched with every budget: where a line still rises, more moves find more.",
        )
    return written, probe_summary(table)


def active_summary(table: pandas.DataFrame) -> pandas.DataFrame:
    """One row per n, ensemble and m: mean least active count with its 95 % interval, and the ground-state values.

    The latter are about rotation-invariant rows; for other laws they are there for comparison.

    Where a budget left trials undecided, `mean` uses their proved lower ends and is a lower bound; the interval's
    upper end is then missing.
    """
    import pandas
    from scipy.stats import t as student

    curve = ground_state_curve(sorted({m / n for n, m in zip(table["n"], table["m"], strict=True)}))
    place = {float(a): k for k, a in enumerate(curve.alphas)}
    rows = []
    for (n, ensemble, m), part in _groups(table, "n", "ensemble", "m"):
        least = part["active_lo"].to_numpy(dtype=float)
        undecided = int(part["active_hi"].isna().sum())
        size = len(part)
        half = np.nan
        if size > 1:
            half = float(student.ppf(0.975, size - 1) * least.std(ddof=1) / np.sqrt(size)) / n
        mean, k = float(least.mean()) / n, place[m / n]
        row = [n, ensemble, m, m / n, size, undecided, mean, mean - half, np.nan if undecided else mean + half]
        row += [least.min() / n, least.max() / n, float((least >= n).mean())]
        rows.append([*row, curve.rs[k], curve.one_rsb[k], curve.two_rsb[k]])
    names = ["n", "ensemble", "m", "alpha", "streams", "undecided", "mean", "mean_lo", "mean_hi"]
    names += ["least", "greatest", "share_at_least_n", "rs", "one_rsb", "two_rsb"]
    return pandas.DataFrame(rows, columns=names)


def active_axes(axes: Any, summary: pandas.DataFrame, curve: GroundStateCurve) -> Any:
    """Mean of min_x |S(x)|/n against m/n with 95 % intervals, and the ground-state energies e(α)."""
    groups = _groups(summary, "ensemble", "n")
    for k, ((ensemble, n), part) in enumerate(groups):
        axes.errorbar(
            part["alpha"],
            part["mean"],
            yerr=_error_bars(part, 0.0),
            color=shade(k, len(groups)),
            marker=MARKERS[k % len(MARKERS)],
            markersize=4,
            linewidth=0.8,
            capsize=2,
            label=f"n = {n}"
            + ("" if ensemble == "gaussian" else f", {ensemble}")
            + f", {part['streams'].max()} streams",
        )
    own = all(Ensemble.parse(e).rotation_invariant for e in set(summary["ensemble"]))
    for k, (values, name, status) in enumerate(
        [
            (curve.rs, "RS", "rigorous lower bound"),
            (curve.one_rsb, "1RSB", "heuristic"),
            (curve.two_rsb, "2RSB", "heuristic"),
        ]
    ):
        axes.plot(
            curve.alphas,
            values,
            color=("0.45", "#D55E00", "black")[k],
            linestyle=DASHES[k],
            label=f"e(α), {name} ({status if own else ELSEWHERE})",
        )
    axes.axhline(1.0, color="0.6", linewidth=0.8)
    axes.annotate("injective above", (summary["alpha"].min(), 1.0), fontsize=8, va="bottom", color="0.35")
    axes.set_xlabel("width ratio α = m/n")
    axes.set_ylabel("least active count, min |S(x)| / n")
    return axes


def active_gap_axes(axes: Any, summary: pandas.DataFrame) -> Any:
    """Mean of min_x |S(x)|/n minus the 2RSB value against 1/n, one line per ratio that several n share."""
    shared = summary[summary["ensemble"] == "gaussian"].groupby("alpha").filter(lambda part: len(part) > 2)
    ratios = [a for a in sorted(shared["alpha"].unique()) if abs(a - round(a)) < 1e-9 and a > 2]
    for k, alpha in enumerate(ratios):
        part = shared[shared["alpha"] == alpha]
        axes.errorbar(
            1.0 / part["n"] * (1 + 0.012 * (k - len(ratios) / 2)),
            part["mean"] - part["two_rsb"],
            yerr=_error_bars(part, 0.0),
            color=shade(k, len(ratios)),
            marker=MARKERS[k % len(MARKERS)],
            markersize=4,
            linewidth=0.9,
            capsize=2,
            label=f"α = {alpha:g}",
        )
    axes.axhline(0.0, color="0.25", linewidth=0.9, linestyle="--", label="2RSB, n → ∞")
    axes.set_xlim(left=0.0)
    axes.set_xlabel("1/n")
    axes.set_ylabel("min |S(x)| / n  -  e(α) of 2RSB")
    return axes


def _error_bars(part: pandas.DataFrame, missing: float) -> list[Any]:
    low = (part["mean"] - part["mean_lo"]).fillna(missing)
    return [low, (part["mean_hi"] - part["mean"]).fillna(missing)]


def _active(page: Page, table: pandas.DataFrame, figures: Path, suffix: str) -> tuple[list[Path], pandas.DataFrame]:
    summary = active_summary(table)
    top = max(float(summary["alpha"].max()), 3.0)
    curve = ground_state_curve(np.linspace(2.0, top, 61))
    with figure(figsize=(9.6, 4.6)) as (fig, axes):
        active_axes(axes, summary, curve)
        axes.set_title("Least number of active units in any region, proved for every stream", fontsize=10)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8)
        written = save(fig, figures, f"active{suffix}")
    page.picture(
        written[-2],
        "Mean over streams with 95 % intervals (Student). Curves: ground-state energies for n → ∞ and their standing. "
        "A layer is injective where the least count is at least n.",
    )
    with figure(figsize=(7.6, 4.4)) as (fig, axes):
        active_gap_axes(axes, summary)
        axes.set_title("Distance to the 2RSB curve", fontsize=10)
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8)
        written += save(fig, figures, f"active_gap{suffix}")
    page.picture(written[-2], "The 2RSB values are for n → ∞; a heuristic that is exact there must be met at 1/n = 0.")
    undecided = int(summary["undecided"].sum())
    if undecided:
        page.text(f"{undecided} counts ended with their node budget: their means are lower bounds.", note=True)
    return written, summary


def cells_tests(table: pandas.DataFrame) -> list[tuple[tuple[str, int, int], list[CellTest]]]:
    """Tests of every j against N_j(m, n), by (ensemble, n, m); only laws in general position have that expectation."""
    found = []
    for (ensemble, n, m), part in _groups(table, "ensemble", "n", "m"):
        law = Ensemble.parse(ensemble)
        if not law.symmetric_rows:
            continue
        counts = part.pivot(index="trial", columns="j", values="cells")
        if len(counts) > 1:
            levels = [int(j) for j in counts.columns.tolist()]
            tests = cell_tests(int(n), int(m), counts.to_numpy(), levels)
            found.append(((ensemble, int(n), int(m)), tests))
    return found


def cells_axes(axes: Any, tests: list[tuple[tuple[str, int, int], list[CellTest]]]) -> Any:
    """Observed over expected numbers of cells with 95 % intervals, one column per n and m, j from left to right."""
    ticks, labels, start = [], [], 0.0
    rare = 0
    for k, ((ensemble, n, m), items) in enumerate(tests):
        shown = [(j, t) for j, t in enumerate(items) if t.tested]
        rare += len(items) - len(shown)
        if not shown:
            continue
        x = start + np.arange(len(shown))
        y = np.array([t.ratio for _, t in shown])
        low = np.array([t.ratio_lo for _, t in shown])
        high = np.array([t.ratio_hi for _, t in shown])
        finite = [np.where(np.isfinite(v), v, y) for v in (low, high)]
        axes.errorbar(
            x,
            y,
            yerr=[np.maximum(y - finite[0], 0), np.maximum(finite[1] - y, 0)],
            color=COLOURS[k % 2],
            marker=MARKERS[k % 2],
            markersize=4,
            linewidth=0,
            elinewidth=1.2,
            capsize=2,
        )
        for xx, (j, _) in zip(x, shown, strict=True):
            axes.annotate(f"{j}", (xx, 0.0), (0, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
                          ha="center", fontsize=7, color="0.35")  # fmt: skip
        ticks.append(float(x.mean()))
        labels.append(f"n = {n}\nm = {m}" + ("" if ensemble == "gaussian" else f"\n{ensemble}"))
        start = float(x[-1]) + 2.0
    axes.axhline(1.0, color="0.25", linewidth=0.9, linestyle="--")
    axes.set_xticks(ticks, labels, fontsize=8)
    axes.grid(axis="x", visible=False)
    axes.set_ylabel("observed / expected number of cells")
    axes.set_xlabel(f"small figures: j, the number of active units ({rare} combinations too rare to be tested)")
    return axes


def expected_axes(axes: Any, tests: list[tuple[tuple[str, int, int], list[CellTest]]]) -> Any:
    """Mean number of cells per stream against its exact expectation, every j, also the rare ones (log scales)."""
    groups = sorted({(ensemble, n) for (ensemble, n, _), _ in tests})
    for k, group in enumerate(groups):
        items = [t for (ensemble, n, _), found in tests for t in found if (ensemble, n) == group and t.mean > 0]
        axes.plot(
            [t.expected for t in items],
            [t.mean for t in items],
            color=shade(k, len(groups)),
            marker=MARKERS[k % len(MARKERS)],
            markersize=5,
            linewidth=0,
            label=f"n = {group[1]}" + ("" if group[0] == "gaussian" else f", {group[0]}"),
        )
    low, high = axes.get_xlim()
    low, high = max(low, 1e-5), high
    every = [v for _, found in tests for t in found if t.mean > 0 for v in (t.expected, t.mean)]
    low, high = (min(every) / 1.5, max(every) * 1.5) if every else (low, high)
    axes.plot([low, high], [low, high], color="0.25", linestyle="--", linewidth=0.9, label="equal")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("expected cells per stream, N_j(m, n)")
    axes.set_ylabel("observed cells per stream")
    return axes


def _cells(page: Page, table: pandas.DataFrame, figures: Path, suffix: str) -> tuple[list[Path], pandas.DataFrame]:
    import pandas

    tests = cells_tests(table)
    flat = [t for _, items in tests for t in items]
    p = overall_p(flat)
    tested = sum(t.tested for t in flat)
    verdict = f"overall p = {p:.2g} ({tested} tests, Bonferroni)" if tested else "nothing frequent enough to be tested"
    written: list[Path] = []
    if tested:
        with figure(figsize=(10.5, 4.4)) as (fig, axes):
            cells_axes(axes, tests)
            axes.set_title(f"Cells with j active units against their exact expectation: {verdict}", fontsize=10)
            written += save(fig, figures, f"cells{suffix}")
        page.picture(
            written[-2],
            "Mean number per stream over N_j(m, n), with 95 % bootstrap-t intervals. The expectation holds exactly at "
            "every n and m, so an enumeration that loses cells shows as a ratio below 1.",
        )
        with figure(figsize=(6.4, 4.6)) as (fig, axes):
            expected_axes(axes, tests)
            axes.set_title("Observed against expected, all j", fontsize=10)
            axes.legend(loc="upper left", fontsize=8)
            written += save(fig, figures, f"cells_expected{suffix}")
        page.picture(written[-2], "The same numbers over their whole range, the rare ones included.")
    page.text(f"{verdict}. A small p would mean that the engine loses or invents cells.")
    rows = [
        [*key, j, t.streams, t.nonzero, t.expected, t.mean, t.se, t.ratio, t.ratio_lo, t.ratio_hi, t.p_value, p]
        for key, items in tests
        for j, t in enumerate(items)
    ]
    names = ["ensemble", "n", "m", "j", "streams", "streams_with_any", "expected", "mean", "standard_error"]
    names += ["ratio", "ratio_lo", "ratio_hi", "p_value", "overall_p"]
    return written, pandas.DataFrame(rows, columns=names)


_PARTS: dict[str, Callable[..., tuple[list[Path], Any]]] = {"probe": _probe, "active": _active, "cells": _cells}


def search_report(kind: str, loaded: Loaded, folder: Path, figures: Path) -> Report:
    """Figures, `summary.csv` and the page for experiments of one kind: probe, active or cells."""
    import pandas

    from mcinj.show.page import Page
    from mcinj.show.report import Report
    from mcinj.show.tables import note, write_csv

    page = Page(f"mcinj: {' and '.join(meta.get('name', name) for name, _, meta in loaded)}")
    written: list[Path] = []
    summaries = []
    for k, (name, table, meta) in enumerate(loaded):
        page.heading(meta.get("name", name))
        versions = ", ".join(sorted(table["version"].unique()))
        page.text(f"{note(meta, 'description')} mcinj {versions}, seed {meta.get('seed')}.")
        made, summary = _PARTS[kind](page, table, figures, "" if len(loaded) == 1 else f"_{k + 1}")
        written += made
        page.table(summary)
        summaries.append(summary if len(loaded) == 1 else summary.assign(experiment=meta.get("name", name)))
    path = write_csv(pandas.concat(summaries, ignore_index=True), folder / "summary.csv")
    page.write(folder / "report.html")
    return Report(folder / "report.html", tuple(written), (path,), pandas.DataFrame())
