"""Reports of least active counts against the ground-state curves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcinj.infer.intervals import student_half
from mcinj.networks import Ensemble
from mcinj.show.bounds import ELSEWHERE
from mcinj.show.distance import distance_axes, error_bars, shared_by_sizes
from mcinj.show.groups import groups_by, size_name
from mcinj.show.lines import name_ends
from mcinj.show.style import MARKERS, figure, legend_outside, named, save, shade
from mcinj.theory import GroundStateCurve, ground_state_curve

if TYPE_CHECKING:
    import pandas

    from mcinj.show.page import Page


def active_summary(table: pandas.DataFrame) -> pandas.DataFrame:
    """One row per n, ensemble and m: mean least active count with its 95 % interval, and the ground-state values.

    The latter are about rotation-invariant rows; for other laws they are there for comparison.

    Where a budget left trials undecided, `mean` uses their proved lower ends and is a lower bound; the interval's
    upper end is then missing.
    """
    import pandas
    curve = ground_state_curve(sorted({m / n for n, m in zip(table["n"], table["m"], strict=True)}))
    place = {float(a): k for k, a in enumerate(curve.alphas)}
    rows = []
    for (n, ensemble, m), part in groups_by(table, "n", "ensemble", "m"):
        least = part["active_lo"].to_numpy(dtype=float)
        undecided = int(part["active_hi"].isna().sum())
        size = len(part)
        half = student_half(least) / n
        mean, k = float(least.mean()) / n, place[m / n]
        row = [n, ensemble, m, m / n, size, undecided, mean, mean - half, np.nan if undecided else mean + half]
        row += [least.min() / n, least.max() / n, float((least >= n).mean())]
        rows.append([*row, curve.rs[k], curve.one_rsb[k], curve.two_rsb[k]])
    names = ["n", "ensemble", "m", "alpha", "streams", "undecided", "mean", "mean_lo", "mean_hi"]
    names += ["least", "greatest", "share_at_least_n", "rs", "one_rsb", "two_rsb"]
    return pandas.DataFrame(rows, columns=names)


def active_axes(axes: Any, summary: pandas.DataFrame, curve: GroundStateCurve) -> Any:
    """Mean of min_x |S(x)|/n against m/n with 95 % intervals, and the ground-state energies e(α)."""
    groups = groups_by(summary, "ensemble", "n")
    entries = named(len(groups))
    for k, ((ensemble, n), part) in enumerate(groups):
        axes.errorbar(
            part["alpha"],
            part["mean"],
            yerr=error_bars(part),
            color=shade(k, len(groups)),
            marker=MARKERS[k % len(MARKERS)],
            markersize=4,
            linewidth=0.8,
            capsize=2,
            label=f"{size_name(n, ensemble)}, {part['streams'].max()} streams" if k in entries else None,
        )
    own = all(Ensemble.parse(e).rotation_invariant for e in set(summary["ensemble"]))
    ends: list[tuple[float, str]] = []
    for values, name, status, look in (
        (curve.rs, "RS", "rigorous lower bound", {"color": "0.0", "linestyle": ":", "linewidth": 2.0}),
        (curve.one_rsb, "1RSB", "heuristic", {"color": "0.6", "linestyle": "-", "linewidth": 3.0}),
        (curve.two_rsb, "2RSB", "heuristic", {"color": "0.0", "linestyle": "--", "linewidth": 1.3}),
    ):
        # Named at their ends, not in the legend: a label that begins with "_" stays out of it.
        text = f"e(α), {name} ({status if own else ELSEWHERE})"
        axes.plot(curve.alphas, values, label="_" + text, zorder=1.5, **look)
        if np.isfinite(values[-1]):
            ends.append((float(values[-1]), text + ", n → ∞"))
    low, high = axes.get_ylim()
    name_ends(axes, curve.alphas[-1], ends, 0.05)
    axes.set_ylim(low, high)
    axes.axhline(1.0, color="0.6", linewidth=0.8)
    axes.annotate("injective above", (summary["alpha"].min(), 1.0), fontsize=8, va="bottom", color="0.35")
    axes.set_xlabel("width ratio α = m/n")
    axes.set_ylabel("least active count, min |S(x)| / n")
    return axes


def active_gap_axes(axes: Any, summary: pandas.DataFrame) -> Any:
    """Mean of min_x |S(x)|/n minus the 2RSB value against 1/n, one line per ratio that several n share."""
    shared = shared_by_sizes(summary)
    ratios = [a for a in sorted(shared["alpha"].unique()) if abs(a - round(a)) < 1e-9 and a > 2]
    distance_axes(axes, shared, ratios, "α")
    axes.set_ylabel("min |S(x)| / n  -  e(α) of 2RSB")
    return axes


def active_part(page: Page, table: pandas.DataFrame, figures: Path, suffix: str) -> tuple[list[Path], pandas.DataFrame]:
    """Figures and words of one experiment of least counts; the figures written, and the summary."""
    summary = active_summary(table)
    top = max(float(summary["alpha"].max()), 3.0)
    curve = ground_state_curve(np.linspace(2.0, top, 61))
    page.finding(_active_finding(summary))
    with figure(figsize=(9.6, 4.8)) as (fig, axes):
        active_axes(axes, summary, curve)
        axes.set_title("Least number of active units in any region, proved for every stream")
        axes.legend(loc="upper left", title="means, 95 % (Student)")
        written = save(fig, figures, f"active{suffix}")
    page.picture(
        written[-2],
        "Mean over streams with 95 % intervals (Student). Curves: ground-state energies for n → ∞ and their standing. "
        "A layer is injective where the least count is at least n.",
    )
    with figure(figsize=(8.2, 4.4)) as (fig, axes):
        active_gap_axes(axes, summary)
        axes.set_title("Distance of the mean to the 2RSB curve, 95 % intervals")
        legend_outside(axes)
        written += save(fig, figures, f"active_gap{suffix}")
    page.picture(
        written[-2], "The 2RSB values are for n → ∞; a heuristic that is exact there must be met at the right end."
    )
    undecided = int(summary["undecided"].sum())
    if undecided:
        page.warning(f"{undecided} counts ended with their node budget: their means are lower bounds.")
    return written, summary


def _active_finding(summary: pandas.DataFrame) -> str:
    """The distance to 2RSB at the largest n that has an interval at the ratio that most sizes share."""
    known = summary[(summary["ensemble"] == "gaussian") & summary["mean_hi"].notna() & summary["two_rsb"].notna()]
    known = known[known["two_rsb"] > 0.05]
    streams = int(summary.groupby(["n", "ensemble"])["streams"].max().sum())
    text = f"Least active counts min |S(x)| of {streams:,} streams, proved for each"
    if not len(known):
        return text + "."
    alpha = known["alpha"].value_counts().sort_index().idxmax()
    part = known[known["alpha"] == alpha].sort_values("n")
    told = ", ".join(
        f"{m - e:.2f} ± {hi - m:.2f} at n = {n}"
        for n, m, hi, e in zip(part["n"], part["mean"], part["mean_hi"], part["two_rsb"], strict=True)
    )
    text += f": at α = {alpha:g} the mean over n lies above the 2RSB ground state (n → ∞) by"
    return f"{text} {told} (95 %, Student)."
