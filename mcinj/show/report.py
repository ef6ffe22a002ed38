"""`mcinj report`: figures, summary.csv, comparison.csv and one self-contained page for one or several results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcinj.errors import InputError
from mcinj.experiment.store import read_table
from mcinj.files import make_directory
from mcinj.show.tables import note, write_csv

if TYPE_CHECKING:
    import pandas

    from mcinj.infer import Family, SeriesKey
    from mcinj.show.comparison import FamilyReport


@dataclass(frozen=True)
class Report:
    """Where everything was written, and the comparison with the bounds (empty for fixed stacks)."""

    page: Path
    figures: tuple[Path, ...]
    tables: tuple[Path, ...]
    comparison: pandas.DataFrame


def report(directories: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str] | None = None) -> Report:
    """Make the report of one results directory, or compare several.

    Parameters
    ----------
    directories
        Results of `mcinj run`. Each may still be running.
    output
        Where to write; default: the directory itself, for several the common `results/comparison`.

    Raises
    ------
    InputError
        No trials, unreadable results, an unwritable directory, or fixed stacks and thresholds mixed.
    """
    sources = [Path(d) for d in directories]
    if not sources:
        raise InputError("give at least one results directory")
    loaded = [(source, *read_table(source)) for source in sources]
    for source, table, _ in loaded:
        if not len(table):
            raise InputError(f"{source} holds no finished trial yet; run the experiment first")
    kinds = {meta["kind"] for _, _, meta in loaded}
    if len(kinds) > 1:
        raise InputError(f"one report takes experiments of one kind, got {', '.join(sorted(kinds))}; report them apart")
    default = sources[0] if len(sources) == 1 else Path("results") / "comparison"
    folder = make_directory(default if output is None else output)
    figures = make_directory(folder / "figures")
    if kinds == {"stacks"}:
        from mcinj.show.stacks import stacks_report

        return stacks_report([(s.name, t, m) for s, t, m in loaded], folder, figures)
    kind = kinds.pop()
    if kind != "threshold":
        from mcinj.show.searches import search_report

        return search_report(kind, [(s.name, t, m) for s, t, m in loaded], folder, figures)
    return _thresholds(loaded, folder, figures)


def _thresholds(loaded: list[tuple[Path, pandas.DataFrame, dict[str, str]]], folder: Path, figures: Path) -> Report:
    import pandas

    from mcinj.infer import curve_of, families, summarise
    from mcinj.infer.curves import SeriesCurve
    from mcinj.show.bounds import ELSEWHERE, for_plot
    from mcinj.show.comparison import comparison_rows, examine
    from mcinj.show.curves import median_axes, transition_axes, transition_range
    from mcinj.show.deep import deep_sections
    from mcinj.show.page import Page
    from mcinj.show.rules import look_levels, recorded_rules, stopped_table
    from mcinj.show.scaling import collapse_axes, residual_axes, scaling_axes, sharpening, sharpening_axes
    from mcinj.show.style import figure, save

    several = len(loaded) > 1
    names = [meta.get("name", source.name) for source, _, meta in loaded]
    rules = [recorded_rules(meta) for _, _, meta in loaded]
    loaded = [(source, stopped_table(t, given), meta) for (source, t, meta), given in zip(loaded, rules, strict=True)]
    page = Page(f"mcinj: {' against '.join(names)}")
    for (_, table, meta), name, given in zip(loaded, names, rules, strict=True):
        described = note(meta, "description")
        seconds = float(table["seconds"].sum())
        graded = table["certified"].value_counts().to_dict()
        page.text(
            (f"{name}: " if several else "")
            + (f"{described} " if described else "")
            + f"{len(table)} trials, {seconds:.0f} core-seconds of search; passes certified: "
            + ", ".join(f"{k} {v}" for k, v in sorted(graded.items()))
            + f". mcinj {', '.join(sorted(table['version'].unique()))}, seed {meta.get('seed')}."
        )
        for text in sorted(set(given.values())):
            page.text(
                f"Stopping rule of {sum(t == text for t in given.values())} series: {text}. Intervals and bands of "
                "their curves and medians are valid under it (Bonferroni over the looks).",
                note=True,
            )
    written: list[Path] = []
    parts: list[tuple[pandas.DataFrame, list[Family]]] = []
    examined: list[tuple[str, FamilyReport, dict[SeriesKey, float]]] = []
    comparisons, summaries = [], []
    for (_, table, _), name, given in zip(loaded, names, rules, strict=True):
        summary = summarise(table, rules=given)
        summaries.append(summary.assign(experiment=name) if several else summary)
        members = families(table)
        parts.append((table, members))
        for family in members:
            prefix = f"{name}: " if several else ""
            levels = look_levels(given)
            examined.append((prefix + family.label, examine(family, levels), levels))
    for k, (title, item, levels) in enumerate(examined):
        suffix = "" if len(examined) == 1 else f"_{k + 1}"
        plotted = for_plot(item.bounds)
        curves = [
            SeriesCurve(key, sample, curve_of(sample, level=levels.get(key, 0.95)))
            for key, sample in zip(item.family.keys, item.family.samples, strict=True)
        ]
        page.heading(title)
        with figure() as (fig, axes):
            transition_axes(axes, curves, plotted)
            axes.set_xlim(*transition_range(curves, plotted))
            axes.set_title(f"Transition to injectivity: {title}", fontsize=10)
            _legend(axes)
            written += save(fig, figures, f"transition{suffix}")
        page.picture(
            written[-2],
            "Empirical distribution of the threshold ratio m*/n = probability that a network of last width m passes, "
            "with pointwise 95 % Clopper–Pearson bands; dashed: theory values for n → ∞ and their standing.",
        )
        with figure() as (fig, axes):
            median_axes(axes, [(item.family.label, item.family)], plotted, item.extrapolation, levels)
            axes.set_title(f"Median threshold ratio: {title}", fontsize=10)
            _legend(axes)
            written += save(fig, figures, f"median{suffix}")
        page.picture(
            written[-2], "Median of m*/n (interpolated in m) with 95 % intervals, against n, and theory values."
        )
        if item.extrapolation is not None:
            with figure(ncols=2, figsize=(13.0, 5.0), width_ratios=(3, 2)) as (fig, axes):
                scaling_axes(axes[0], item.extrapolation, plotted, item.family.ensemble)
                residual_axes(axes[1], item.extrapolation)
                axes[0].set_title(f"Finite-size scaling: {title}", fontsize=10)
                fig.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
                written += save(fig, figures, f"scaling{suffix}")
            limit = item.extrapolation
            low, high = limit.total
            page.picture(written[-2], "Fits of several finite-size forms (none privileged) and their residuals.")
            page.text(
                f"Extrapolated limit of the median m*/n: {limit.estimate:.3f}, total 95 % interval "
                f"[{low:.3f}, {high:.3f}] (statistical error {limit.statistical:.3f}, accepted fits between "
                f"{limit.systematic[0]:.3f} and {limit.systematic[1]:.3f}); procedure “{limit.procedure}”. "
                "The curve at each n is data; the limit is an extrapolation."
            )
        else:
            page.text(f"No extrapolation to n → ∞: {item.reason}", note=True)
        sharp = sharpening(item.family)
        if sharp is not None:
            with figure(ncols=2, figsize=(12.0, 4.6)) as (fig, axes):
                sharpening_axes(axes[0], sharp)
                collapse_axes(axes[1], [c for c in curves if c.key.n in sharp.n], sharp.exponent)
                fig.suptitle(f"How the transition sharpens: {title}", fontsize=10)
                fig.legend(*axes[1].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
                written += save(fig, figures, f"collapse{suffix}")
            page.picture(
                written[-2],
                f"Left: the transition's width, from 10 % to 90 %, falls as n^-{sharp.exponent:.2f} "
                f"(± {1.96 * sharp.se:.2f}). Right: the curves about their own medians, stretched by that power.",
            )
        rows = comparison_rows(item, levels)
        comparisons.append(rows)
        if len(rows):
            page.table(rows.drop(columns="family"))
            if ELSEWHERE in set(rows["status"]):
                page.text(
                    f"“{ELSEWHERE}”: the value is about the laws named in its row, {item.family.ensemble} weights are "
                    "not among them, and the data can neither support nor exclude it.",
                    note=True,
                )
        else:
            page.text("There are no theory values for this family.", note=True)
    if len(examined) > 1:
        # Series of two experiments may share a key; the wider interval is valid for both.
        together: dict[SeriesKey, float] = {}
        for _, _, levels in examined:
            together.update({key: max(level, together.get(key, 0.0)) for key, level in levels.items()})
        with figure() as (fig, axes):
            median_axes(axes, [(title, item.family) for title, item, _ in examined], [], levels=together)
            _legend(axes)
            written += save(fig, figures, "medians_compared")
        page.heading("All families together")
        page.picture(written[-2], "Median of m*/n with 95 % intervals against n, by family.")
    pictures, extra = deep_sections(page, parts, folder, figures)
    written += pictures
    summary = pandas.concat(summaries, ignore_index=True)
    page.heading("Series")
    page.table(summary)
    comparison = pandas.concat(comparisons, ignore_index=True)
    tables = [*extra, write_csv(summary, folder / "summary.csv"), write_csv(comparison, folder / "comparison.csv")]
    page.write(folder / "report.html")
    return Report(folder / "report.html", tuple(written), tuple(tables), comparison)


def _legend(axes: Any) -> None:
    """Outside on the right: curves and bounds fill the plot from left to right."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8)
    axes.figure.set_size_inches(9.6, 4.6)
