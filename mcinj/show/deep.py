"""Figures of deep networks: the gap between the two criteria, and thresholds against depth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcinj.errors import InputError
from mcinj.infer import Family, Gap, curve_of, gap_table, paired_gaps, quantile
from mcinj.show.names import behind, law_name
from mcinj.show.style import COLOURS, MARKERS, figure, legend_outside, save, shade
from mcinj.show.tables import write_csv
from mcinj.theory import deep_plain
from mcinj.theory.published import FIRST_LAYER, published

if TYPE_CHECKING:
    import pandas

    from mcinj.show.page import Page

DEPTH_COLUMNS = (
    "n",
    "layers",
    "criterion",
    "widths_before",
    "trials",
    "median",
    "median_lo",
    "median_hi",
    "expansion",
    "published",
    "published_width",
    "passing",
    "passing_lo",
    "passing_hi",
)


@dataclass(frozen=True)
class DepthPoint:
    """One series of a chain: medians in units of n; `passing` is the share that passes at the published width.

    `expansion` is the median threshold over the width before it. `published` is nan where nothing is published.
    """

    n: int
    layers: int
    criterion: str
    widths_before: str
    trials: int
    median: float
    median_lo: float
    median_hi: float
    expansion: float
    published: float
    published_width: float
    passing: float
    passing_lo: float
    passing_hi: float


def depth_points(families: Sequence[Family]) -> list[DepthPoint]:
    """Points of all Gaussian families whose earlier layers have the published ratios, by n, criterion and depth."""
    points = []
    for family in families:
        if family.ensemble != "gaussian" or family.criterion == "layerwise" or not _on_chain(family):
            continue
        value = _published(family.layers)
        for key, sample in zip(family.keys, family.samples, strict=True):
            if key.n < 2:
                continue  # one input: a handful of rows decides, and every ratio is a small whole number
            at, curve = quantile(sample, 0.5), curve_of(sample)
            share = low = high = width = math.nan
            if math.isfinite(value):
                width = round(value * key.n)
                k = min(max(width - int(curve.m[0]), 0), len(curve.m) - 1)
                share, low, high = float(curve.p[k]), float(curve.lo[k]), float(curve.hi[k])
            before = int(key.widths_before.split(",")[-1]) if key.widths_before else key.n
            points.append(
                DepthPoint(
                    key.n, family.layers, family.criterion, key.widths_before, curve.trials, at.alpha, at.alpha_lo,
                    at.alpha_hi, at.interpolated / before, value, width, share, low, high,
                )
            )  # fmt: skip
    return sorted(points, key=lambda p: (p.n, p.criterion, p.layers))


def depth_axes(axes: Any, points: Sequence[DepthPoint], chain: Sequence[float] = ()) -> Any:
    """Median m_l*/n against the depth l with 95 % intervals, one line per n and criterion, beside values for n → ∞.

    chain: plain RDT values behind the published widths for depth 1, 2, …  Values for n → ∞ are open diamonds and stars
    without a line of data's kind, named at their right ends; data have a line, its n and criterion in the legend.
    """
    sizes = sorted({p.n for p in points})
    for k, n in enumerate(sizes):
        for criterion, line in (("regional", "-"), ("global", "--")):
            # One layer: both criteria are the same thing, recorded once.
            part = [p for p in points if p.n == n and (p.criterion == criterion or p.layers == 1)]
            part = sorted((p for p in part if math.isfinite(p.median)), key=lambda p: p.layers)
            if len(part) < 2:
                continue
            below = [p.median - p.median_lo if p.median_lo > 0 else 0.0 for p in part]
            above = [p.median_hi - p.median if math.isfinite(p.median_hi) else 0.0 for p in part]
            axes.errorbar(
                [p.layers + 0.05 * (k - (len(sizes) - 1) / 2) for p in part],
                [p.median for p in part],
                yerr=[below, above],
                color=shade(k, len(sizes)),
                marker=MARKERS[k % len(MARKERS)],
                markerfacecolor="white" if criterion == "global" else None,
                linestyle=line,
                linewidth=1.2,
                markersize=5,
                capsize=2.5,
                label=f"n = {n}, {criterion}",
            )
    deepest = max(p.layers for p in points)
    values = [(k, _published(k)) for k in range(1, deepest + 1) if math.isfinite(_published(k))]
    series = [("published table, n → ∞", values, "D")]
    if len(chain) > 1:
        found = [(k + 1, v) for k, v in enumerate(chain) if math.isfinite(v)]
        series.append(("plain RDT behind these widths\n(regional, n → ∞)", found, "*"))
    for name, found, marker in series:
        axes.plot(*zip(*found, strict=True), color="0.45", marker=marker, markerfacecolor="white", markersize=8,
                  linestyle=":", linewidth=0.9)  # fmt: skip
        end = (found[-1][0], found[-1][1])
        axes.annotate(name, end, (9, 0), textcoords="offset points", va="center", fontsize=8, color="0.25")
    axes.set_xlim(0.7, deepest + 0.4)
    axes.set_xlabel("layers l")
    axes.set_ylabel("median threshold of the last width, m*/n")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return axes


def gap_axes(axes: Any, lines: Sequence[tuple[str, list[Gap]]]) -> Any:
    """Mean of (m*_global - m*_regional)/n against n with its intervals, one line per named list of gaps."""
    for k, (name, part) in enumerate(lines):
        inside = [g for g in part if math.isfinite(g.gap_lo)]
        axes.errorbar(
            [g.n + 0.04 * k for g in inside],
            [g.gap for g in inside],
            yerr=[[g.gap - g.gap_lo for g in inside], [g.gap_hi - g.gap for g in inside]],
            color=COLOURS[k % len(COLOURS)],
            marker=MARKERS[k % len(MARKERS)],
            markersize=5,
            linewidth=1.2,
            capsize=3,
            label=name,
        )
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("inputs n")
    axes.set_ylabel("mean of (m*global − m*regional)/n")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return axes


def deep_sections(
    page: Page, experiments: Sequence[tuple[pandas.DataFrame, Sequence[Family]]], folder: Path, figures: Path
) -> tuple[list[Path], list[Path]]:
    """Add what deep networks have to show to a report, where there are data for it; figures and tables written.

    experiments: table of trials and its families.
    """
    pictures: list[Path] = []
    written: list[Path] = []
    found = [(paired_gaps(table), families) for table, families in experiments]
    gaps = [gap for part, _ in found for gap in part]
    if gaps:
        page.heading("Between the count criterion and injectivity")
        _gap_findings(page, found)
        if any(math.isfinite(g.gap_lo) for g in gaps):
            with figure(figsize=(8.6, 4.4)) as (fig, axes):
                gap_axes(axes, [line for part, families in found for line in gap_lines(part, families)])
                axes.set_title("How much wider the last layer must be to be injective")
                legend_outside(axes, "earlier layers, 95 % intervals")
                pictures += save(fig, figures, "gap")
            page.picture(
                pictures[-2],
                "Paired draws: the same earlier layers and the same rows for both criteria. Mean difference of the two "
                "thresholds over n with 95 % intervals for skewed laws, over the trials in which both are finite.",
            )
        frame = gap_table(gaps)
        page.table(frame)
        written.append(write_csv(frame, folder / "gaps.csv"))
    points = depth_points([family for _, families in experiments for family in families])
    if len({p.layers for p in points}) >= 3:
        import pandas

        chain = plain_values(max(p.layers for p in points))
        with figure(figsize=(9.6, 5.0)) as (fig, axes):
            depth_axes(axes, points, chain)
            axes.set_title("The last layer's threshold behind earlier layers of the published widths")
            legend_outside(axes, "medians, 95 % intervals")
            pictures += save(fig, figures, "depth")
        page.heading("Depth")
        page.picture(
            pictures[-2],
            "Median of the last layer's threshold width over n (interpolated in m, 95 % intervals) against depth. Open "
            "markers, dashed: global injectivity; full markers: the count criterion (regional). Grey, dotted: values "
            "for n → ∞ about the count criterion, published and computed.",
        )
        frame = pandas.DataFrame([[getattr(p, c) for c in DEPTH_COLUMNS] for p in points], columns=list(DEPTH_COLUMNS))
        page.table(frame)
        written.append(write_csv(frame, folder / "depth.csv"))
    return pictures, written


def _gap_findings(page: Page, found: Sequence[tuple[Sequence[Gap], Sequence[Family]]]) -> None:
    """The gap at the largest n of every family that has an interval at most twice as long as its shortest."""
    told = []
    for part, families in found:
        for name, gaps in gap_lines(list(part), families):
            known = [g for g in gaps if math.isfinite(g.gap_lo)]
            if known:
                shortest = min(g.gap_hi - g.gap_lo for g in known)
                best = [g for g in known if g.gap_hi - g.gap_lo <= 2.0 * shortest][-1]
                told.append(
                    f"{name} by {best.gap:.2f} n [{best.gap_lo:.2f}, {best.gap_hi:.2f}] at n = {best.n} "
                    f"({best.pairs:,} pairs)"
                )
    if told:
        page.finding(
            "On the same streams the global criterion needs a wider last layer than the regional one (means of paired "
            f"differences, 95 % intervals): {'; '.join(told)}."
        )


def _on_chain(family: Family) -> bool:
    """Whether the earlier layers have the published ratios (as far as there are any, then the last one of them)."""
    wanted = _earlier(len(family.ratios))
    # The published values are rounded to 3 or 4 digits, and widths to whole numbers.
    return all(lo - 2e-3 <= value <= hi + 2e-3 for value, (lo, hi) in zip(wanted, family.ratios, strict=True))


def _earlier(layers: int) -> list[float]:
    """Published ratios of that many layers; behind the last published one, that one again."""
    known = [value for k in range(1, layers + 1) if math.isfinite(value := _published(k))]
    return known + known[-1:] * (layers - len(known))


def plain_values(layers: int) -> list[float]:
    """The published first layer, then the plain RDT value of each further layer behind the published widths.

    NaN, which a plot leaves out, where a value cannot be computed.
    """
    values = [FIRST_LAYER]
    for k in range(1, layers):
        try:
            values.append(deep_plain(_earlier(k)).value)
        except (InputError, ArithmeticError):
            values.append(math.nan)
    return values


def _published(layers: int) -> float:
    if layers == 1:
        return FIRST_LAYER
    return next((b.value for b in published(layers) if b.name == "published deep table"), math.nan)


def gap_lines(gaps: Sequence[Gap], families: Sequence[Family]) -> list[tuple[str, list[Gap]]]:
    """The gaps of every family of the criterion `global`, by increasing n, with the family's ratios as a name."""
    named = []
    for family in families:
        if family.criterion != "global":
            continue
        keys = {(key.n, key.widths_before, key.ensemble) for key in family.keys}
        members = [gap for gap in gaps if (gap.n, gap.widths_before, gap.ensemble) in keys]
        if members:
            name = behind(family)
            if family.ensemble != "gaussian":
                name = f"{law_name(family.ensemble)}, {name}"
            named.append((name, sorted(members, key=lambda gap: gap.n)))
    return named
