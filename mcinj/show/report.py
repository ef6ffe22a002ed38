"""`mcinj report`: figures, summary.csv, comparison.csv and one self-contained page for one or several results."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mcinj.errors import InputError
from mcinj.experiment.store import read_table
from mcinj.files import make_directory
from mcinj.show.tables import note, write_csv
from mcinj.show.written import Report

if TYPE_CHECKING:
    import pandas

    from mcinj.infer import Family, SeriesKey
    from mcinj.show.comparison import FamilyReport
    from mcinj.show.page import Page

_LOG = logging.getLogger(__name__)


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

    from mcinj.infer import families, samples_by_series, summarise
    from mcinj.show.comparison import comparison_rows, examine
    from mcinj.show.deep import deep_sections
    from mcinj.show.findings import threshold_finding, threshold_warnings
    from mcinj.show.names import family_title, slugs
    from mcinj.show.page import Page
    from mcinj.show.rules import look_levels, recorded_rules, stopped_table

    several = len(loaded) > 1
    names = [meta.get("name", source.name) for source, _, meta in loaded]
    rules = [recorded_rules(meta) for _, _, meta in loaded]
    loaded = [(source, stopped_table(t, given), meta) for (source, t, meta), given in zip(loaded, rules, strict=True)]
    page = Page(f"mcinj: {' against '.join(names)}")
    parts: list[tuple[pandas.DataFrame, list[Family]]] = []
    examined: list[_Examined] = []
    summaries = []
    for (_, table, _), name, given in zip(loaded, names, rules, strict=True):
        series = samples_by_series(table)
        summary = summarise(table, rules=given, series=series)
        summaries.append(summary.assign(experiment=name) if several else summary)
        members = families(table, series)
        parts.append((table, members))
        levels = look_levels(given)
        for family in members:
            title = family_title(family) + (f" ({name})" if several else "")
            examined.append(_Examined(title, examine(family, levels), levels))
            if examined[-1].item.extrapolation is None:
                _LOG.info("no extrapolation for %s: %s", title, examined[-1].item.reason)
    for each in examined:
        page.finding(threshold_finding(each.item))
    for text in threshold_warnings([each.item for each in examined]):
        page.warning(text)
    written: list[Path] = []
    pictures, extra = deep_sections(page, parts, folder, figures)
    written += pictures
    if len(examined) > 1:
        written += _compared(page, examined, figures)
    endings = slugs([each.item.family for each in examined])
    for each, ending in zip(examined, endings, strict=True):
        written += _family(page, each, figures, ending)
    comparison = pandas.concat([comparison_rows(each.item) for each in examined], ignore_index=True)
    summary = pandas.concat(summaries, ignore_index=True)
    page.heading("All series")
    page.table(_series_view(summary), "Units of m/n; intervals at 95 %. The whole table, in all digits: summary.csv.")
    page.heading("How the data were made")
    for (_, table, meta), name, given in zip(loaded, names, rules, strict=True):
        _origin(page, table, meta, name if several else "", given)
    tables = [*extra, write_csv(summary, folder / "summary.csv"), write_csv(comparison, folder / "comparison.csv")]
    page.write(folder / "report.html")
    return Report(folder / "report.html", tuple(written), tuple(tables), comparison)


@dataclass(frozen=True)
class _Examined:
    """A family as a report shows it: its title, what is known of it, levels of single intervals."""

    title: str
    item: FamilyReport
    levels: dict[SeriesKey, float]


def _family(page: Page, each: _Examined, figures: Path, ending: str) -> list[Path]:
    """The section of one family."""
    from mcinj.infer import curve_of
    from mcinj.infer.series_curves import SeriesCurve
    from mcinj.show.bounds import ELSEWHERE, for_plot
    from mcinj.show.collapse import collapse_axes, sharpening, sharpening_axes
    from mcinj.show.comparison import comparison_caption, comparison_view
    from mcinj.show.curves import median_axes, transition_axes, transition_legend
    from mcinj.show.scaling import limits_axes, residual_axes, scaling_axes
    from mcinj.show.style import figure, legend_outside, save

    item, levels, title = each.item, each.levels, each.title
    family, limit, plotted = item.family, item.extrapolation, for_plot(item.bounds)
    curves = [
        SeriesCurve(key, sample, curve_of(sample, level=levels.get(key, 0.95)))
        for key, sample in zip(family.keys, family.samples, strict=True)
    ]
    written: list[Path] = []
    page.heading(title[:1].upper() + title[1:])
    with figure(figsize=(9.0, 4.4)) as (fig, axes):
        transition_axes(axes, curves, plotted)
        axes.set_title(f"Transition to injectivity: {title}", pad=16)
        legend_outside(axes, transition_legend(curves))
        written += save(fig, figures, f"transition{ending}")
    page.picture(
        written[-2],
        "Distribution of the threshold ratio m*/n: the probability that a network of last width m passes, with "
        "pointwise 95 % Clopper–Pearson bands. Vertical lines: theory values for n → ∞ and their standing.",
    )
    if limit is not None:
        with figure([["a", "b"], ["a", "c"]], figsize=(12.0, 5.6), width_ratios=(1.25, 1)) as (fig, axes):
            scaling_axes(axes["a"], limit, plotted, family.ensemble)
            limits_axes(axes["b"], limit, plotted, family.ensemble)
            residual_axes(axes["c"], limit)
            axes["a"].set_title(f"Finite-size scaling: {title}")
            written += save(fig, figures, f"scaling{ending}")
        low, high = limit.total
        page.picture(
            written[-2],
            "Left: medians and the envelope of all accepted finite-size fits (none privileged). Right: the limit of "
            "each fit with its 95 % bootstrap interval, and the fits' residuals (shaded: two standard errors). Colour: "
            "form; marker: raw data, or ratio to an exactly known series.",
        )
        page.text(
            f"Extrapolated limit of the median m*/n: {limit.estimate:.3f}, total {100 * limit.level:.0f} % interval "
            f"[{low:.3f}, {high:.3f}] (statistical error {limit.statistical:.3f}, accepted fits between "
            f"{limit.systematic[0]:.3f} and {limit.systematic[1]:.3f}); procedure “{limit.procedure}”. "
            "The curve at each n is data; the limit is an extrapolation."
        )
    else:
        page.text(f"No extrapolation to n → ∞: {item.reason}", note=True)
    _versions(page, item)
    view = comparison_view(item)
    if len(view):
        page.table(view, comparison_caption(item))
        if ELSEWHERE in set(view["standing"]):
            page.text(
                f"“{ELSEWHERE}”: the value is about other laws (comparison.csv names them), {family.ensemble} weights "
                "are not among them, and the data can neither support nor exclude it.",
                note=True,
            )
    else:
        page.text("There are no theory values for this family.", note=True)
    if not ending:
        # Of several families the medians stand together in one figure, and the limits in the scaling figures.
        with figure(figsize=(9.0, 4.2)) as (fig, axes):
            median_axes(axes, [(title, family)], plotted, limit, levels)
            axes.set_title(f"Median threshold ratio: {title}")
            written += save(fig, figures, "median")
        page.picture(
            written[-2],
            "Median of m*/n (interpolated in m) with 95 % order-statistic intervals, against n. Grey strip: n → ∞, "
            "theory values with their standing" + (" and the extrapolated limit." if limit is not None else "."),
        )
    sharp = sharpening(family)
    if sharp is not None:
        with figure(ncols=2, figsize=(11.0, 4.2)) as (fig, axes):
            sharpening_axes(axes[0], sharp)
            collapse_axes(axes[1], [c for c in curves if c.key.n in sharp.n], sharp.exponent)
            fig.suptitle(f"How the transition sharpens: {title}", fontsize=10)
            written += save(fig, figures, f"collapse{ending}")
        page.picture(
            written[-2],
            f"Left: the transition's width, from 10 % to 90 %, falls about as n^-{sharp.exponent:.2f} over these sizes "
            f"(± {1.96 * sharp.se:.2f}, 95 %; the exponent drifts with the smallest n taken). Right: the curves about "
            "their own medians, stretched by that power; they agree approximately.",
        )
    return written


def _versions(page: Page, item: FamilyReport) -> None:
    """Both versions of the extrapolation in one table, or why the second is missing."""
    from mcinj.show.comparison import limits_view

    view = limits_view(item)
    if len(view):
        page.table(
            view,
            "Two frozen procedures. Version 1: medians, hull of separate fits from n ≥ 5. Version 2: means, one "
            "regularised fit per set of corrections that the limit may be approached with, hull over fits from n ≥ 4, "
            "5 and 6; its interval is as wide as the assumption allows (docs/inference.md).",
        )
    if item.second is None:
        page.text(f"No limit from means (version 2): {item.second_reason}", note=True)
        return
    share = float(item.second.points.finite.min())
    if share < 1.0:
        page.text(
            f"Means are over networks whose earlier layers pass (at least {100 * share:.1f} % of the trials of each "
            "n); in the others m* is infinite.",
            note=True,
        )


def _compared(page: Page, examined: Sequence[_Examined], figures: Path) -> list[Path]:
    """All families in one figure; more than a legend holds, in a panel per criterion."""
    from mcinj.show.curves import median_axes
    from mcinj.show.names import short_names
    from mcinj.show.style import MOST_ENTRIES, figure, legend_outside, save

    # Series of two experiments may share a key; the wider interval is valid for both.
    together: dict[SeriesKey, float] = {}
    for each in examined:
        together.update({key: max(level, together.get(key, 0.0)) for key, level in each.levels.items()})
    found = [each.item.family for each in examined]
    groups = [found]
    if len(found) > MOST_ENTRIES:
        one = [f for f in found if f.layers == 1]
        criteria = sorted({f.criterion for f in found if f.layers > 1}, reverse=True)
        # One layer knows no difference between the criteria: it belongs to each.
        groups = [[*one, *(f for f in found if f.layers > 1 and f.criterion == c)] for c in criteria] or [found]
    page.heading("All families together")
    with figure(ncols=len(groups), figsize=(9.0 if len(groups) == 1 else 11.0, 4.6), sharey=True, squeeze=False) as (
        fig,
        axes,
    ):
        ends: list[tuple[float, float]] = []
        for panel, members in zip(axes[0], groups, strict=True):
            names = short_names(members)
            if len(set(names)) < len(names) and len(members) == len(examined):
                names = [e.title for e in examined]  # of two experiments
            median_axes(panel, list(zip(names, members, strict=True)), levels=together)
            ends.append(panel.get_ylim())
            if len(groups) == 1:
                legend_outside(panel)
            else:
                panel.set_title(members[-1].criterion)
                panel.legend(loc="best")
        axes[0][0].set_ylim(min(e[0] for e in ends), max(e[1] for e in ends))
        for panel in axes[0][1:]:
            panel.set_ylabel("")
        written = save(fig, figures, "medians_compared")
    page.picture(written[-2], "Median of m*/n with 95 % intervals against n, by family.")
    return written


def _series_view(summary: pandas.DataFrame) -> pandas.DataFrame:
    """The summary as a page shows it: intervals in one column, columns that say the same in every row left out."""
    import pandas

    from mcinj.show.tables import interval, number

    view = pandas.DataFrame({"n": summary["n"]})
    for column, name in (("widths_before", "widths before"), ("criterion", "criterion"), ("ensemble", "law"),
                         ("experiment", "experiment"), ("rule", "stopping rule")):  # fmt: skip
        if column in summary and summary[column].nunique(dropna=False) > 1:
            view[name] = summary[column].astype(str)
    for column in ("trials", "censored", "failed"):
        if column == "trials" or summary[column].any():
            view[column] = summary[column]
    for column in ("median", "median_finite", "width"):
        if column == "median_finite" and not summary["failed"].any():
            continue  # the median itself
        view[column.replace("median_finite", "median, finite m* only")] = [
            (f"{number(v, 3)} {interval(lo, hi)}", v)
            for v, lo, hi in zip(summary[column], summary[f"{column}_lo"], summary[f"{column}_hi"], strict=True)
        ]
    view["mean ± s.e."] = [
        (f"{number(v, 3)} ± {number(se, 3)}" if v == v else "–", v)
        for v, se in zip(summary["mean"], summary["mean_se"], strict=True)
    ]
    view[["s.d.", "10 %", "90 %"]] = summary[["sd", "q10", "q90"]]
    return view


def _origin(
    page: Page, table: pandas.DataFrame, meta: dict[str, str], name: str, given: Mapping[SeriesKey, str]
) -> None:
    """What was run, by what, and under which stopping rules."""
    described = note(meta, "description")
    graded = table["certified"].value_counts().to_dict()
    page.text(
        (f"{name}: " if name else "")
        + (f"{described} " if described else "")
        + f"{len(table):,} trials, {float(table['seconds'].sum()):,.0f} core-seconds of search; passes certified: "
        + ", ".join(f"{k} {v:,}" for k, v in sorted(graded.items()))
        + f". mcinj {', '.join(sorted(table['version'].unique()))}, seed {meta.get('seed')}."
    )
    for text in sorted(set(given.values())):
        page.text(
            f"Stopping rule of {sum(t == text for t in given.values())} series: {text}. Intervals and bands of "
            "their curves and medians are valid under it (Bonferroni over the looks).",
            note=True,
        )
