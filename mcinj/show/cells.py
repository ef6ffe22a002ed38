"""Reports of numbers of low-count cells against their exact expectations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcinj.infer import CellTest, cell_tests, overall_p
from mcinj.networks import Ensemble
from mcinj.show.groups import groups_by, size_name
from mcinj.show.style import COLOURS, MARKERS, figure, named, save, shade

if TYPE_CHECKING:
    import pandas

    from mcinj.show.page import Page


def cells_tests(table: pandas.DataFrame) -> list[tuple[tuple[str, int, int], list[CellTest]]]:
    """Tests of every j against N_j(m, n), by (ensemble, n, m); only laws in general position have that expectation."""
    found = []
    for (ensemble, n, m), part in groups_by(table, "ensemble", "n", "m"):
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
        out = (high < 1.0) | (low > 1.0)
        axes.plot(x[out], y[out], "o", markersize=10, markerfacecolor="none", color="0.25", linewidth=0)
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
    entries = named(len(groups), 7)
    for k, group in enumerate(groups):
        items = [t for (ensemble, n, _), found in tests for t in found if (ensemble, n) == group and t.mean > 0]
        axes.plot(
            [t.expected for t in items],
            [t.mean for t in items],
            color=shade(k, len(groups)),
            marker=MARKERS[k % len(MARKERS)],
            markersize=5,
            linewidth=0,
            label=size_name(group[1], group[0]) if k in entries else None,
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


def excluding(tests: list[CellTest], level: float = 0.95) -> str:
    """How many single intervals miss 1, and how many would by chance alone; why the overall p says no more."""
    tested = [t for t in tests if t.tested]
    out = sum(t.ratio_hi < 1.0 or t.ratio_lo > 1.0 for t in tested)
    least = min(t.p_value for t in tested)
    return (
        f"Of {len(tested)} single intervals at {100 * level:.0f} % {out} miss 1 (ringed); by chance alone about "
        f"{(1 - level) * len(tested):.0f} would, and those of one set of streams go together. The least p is "
        f"{least:.2g}; times {len(tested)} tests (Bonferroni, at most 1) it is the overall p, {overall_p(tested):.2g}."
    )


def cells_part(page: Page, table: pandas.DataFrame, figures: Path, suffix: str) -> tuple[list[Path], pandas.DataFrame]:
    """Figures and words of one experiment of cell counts; the figures written, and the summary."""
    tests = cells_tests(table)
    flat = [t for _, items in tests for t in items]
    p = overall_p(flat)
    tested = sum(t.tested for t in flat)
    written: list[Path] = []
    if tested:
        said = excluding(flat)
        verdict = "agree with" if p > 0.01 else "do NOT agree with"
        streams = sum(items[0].streams for _, items in tests if items)
        page.finding(
            f"Numbers of cells in {streams:,} streams {verdict} their exact expectation: overall p = {p:.2g}. {said} "
            "A small p would mean that the engine loses or invents cells."
        )
        with figure(figsize=(10.5, 4.4)) as (fig, axes):
            cells_axes(axes, tests)
            least = min(t.p_value for t in flat if t.tested)
            axes.set_title(
                f"Cells with j active units against their exact expectation: least p of {tested} tests {least:.2g}, "
                f"overall p = {p:.2g}\n(95 % intervals one by one: by chance about {0.05 * tested:.0f} miss 1; "
                "those that do are ringed)"
            )
            written += save(fig, figures, f"cells{suffix}")
        page.picture(
            written[-2],
            "Mean number per stream over N_j(m, n), with 95 % bootstrap-t intervals. The expectation holds exactly at "
            f"every n and m, so an enumeration that loses cells shows as a ratio below 1. {said}",
        )
        with figure(figsize=(6.4, 4.6)) as (fig, axes):
            expected_axes(axes, tests)
            axes.set_title("Observed against expected, all j")
            axes.legend(loc="upper left")
            written += save(fig, figures, f"cells_expected{suffix}")
        page.picture(written[-2], "The same numbers over their whole range, the rare ones included.")
    else:
        page.finding("Numbers of cells: nothing frequent enough to be tested.")
    return written, cells_summary(table)


def cells_summary(table: pandas.DataFrame) -> pandas.DataFrame:
    """One row per ensemble, n, m and j: the mean count against its expectation, with interval and p-values."""
    import pandas

    tests = cells_tests(table)
    p = overall_p([t for _, items in tests for t in items])
    rows = [
        [*key, j, t.streams, t.nonzero, t.expected, t.mean, t.se, t.ratio, t.ratio_lo, t.ratio_hi, t.p_value, p]
        for key, items in tests
        for j, t in enumerate(items)
    ]
    names = ["ensemble", "n", "m", "j", "streams", "streams_with_any", "expected", "mean", "standard_error"]
    names += ["ratio", "ratio_lo", "ratio_hi", "p_value", "overall_p"]
    return pandas.DataFrame(rows, columns=names)


