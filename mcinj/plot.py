"""Figures of results: functions that take a table and Axes and return the Axes.

Each takes what `mcinj.load` or `mcinj.run` gives (a `Results`, or a table of trials), and draws on `ax`: Matplotlib's
current axes if left out. They set labels and limits; titles and sizes are the caller's. Where a table holds
several families of series (several laws, criteria or shapes), `family` names one, as the messages list them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcinj.errors import InputError
from mcinj.results import Results

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

    from mcinj.infer import Extrapolation, Family, SeriesCurve, SeriesKey
    from mcinj.theory import Bound

    Table = Results | pandas.DataFrame

__all__ = [
    "active",
    "active_gap",
    "agreement",
    "budget",
    "cells",
    "cells_expected",
    "collapse",
    "depth",
    "gap",
    "limits",
    "margin",
    "margin_gap",
    "median",
    "probe",
    "residuals",
    "scaling",
    "searched",
    "searched_deep",
    "searched_depth",
    "searched_margin",
    "sharpening",
    "transition",
    "verdicts",
    "witnesses",
]


def transition(table: Table, ax: Axes | None = None, *, family: str | None = None, bounds: bool = True) -> Axes:
    """P(m* <= m) against m/n, a curve per n with its pointwise 95 % band; bounds (n → ∞) as vertical lines."""
    from mcinj.show.curves import transition_axes, transition_legend
    from mcinj.show.style import legend_outside

    chosen, levels = _family(table, family)
    curves = _curves(chosen, levels)
    axes = transition_axes(_axes(ax), curves, _bounds(chosen) if bounds else [])
    legend_outside(axes, transition_legend(curves))
    return _typed(axes)


def median(
    table: Table, ax: Axes | None = None, *, family: str | None = None, bounds: bool = True, limit: bool = True
) -> Axes:
    """Median m*/n against n with 95 % intervals, a line per family; n → ∞ in a strip at the side for a single one.

    limit: also extrapolate, where there are sizes enough (a second or two).
    """
    from mcinj.infer import extrapolate_family
    from mcinj.show.curves import median_axes
    from mcinj.show.names import short_names
    from mcinj.show.style import legend_outside

    found, levels = _families(table)
    if family is not None or len(found) == 1:
        chosen, _ = _family(table, family)
        extrapolation = None
        if limit:
            try:
                extrapolation = extrapolate_family(chosen, levels=levels)
            except (InputError, ArithmeticError):  # too few sizes: the figure goes without
                extrapolation = None
        groups = [(short_names([chosen])[0], chosen)]
        return _typed(median_axes(_axes(ax), groups, _bounds(chosen) if bounds else [], extrapolation, levels))
    axes = median_axes(_axes(ax), list(zip(short_names(found), found, strict=True)), levels=levels)
    legend_outside(axes)
    return _typed(axes)


def scaling(table: Table, ax: Axes | None = None, *, family: str | None = None, bounds: bool = True) -> Axes:
    """Medians against 1/n, the envelope of the accepted finite-size fits, and the limit with its total interval."""
    from mcinj.show.scaling import scaling_axes

    chosen, found = _limit(table, family)
    return _typed(scaling_axes(_axes(ax), found, _bounds(chosen) if bounds else [], chosen.ensemble))


def limits(table: Table, ax: Axes | None = None, *, family: str | None = None, bounds: bool = True) -> Axes:
    """The limit of every finite-size fit with its bootstrap interval, one row each."""
    from mcinj.show.scaling import limits_axes

    chosen, found = _limit(table, family)
    return _typed(limits_axes(_axes(ax), found, _bounds(chosen) if bounds else [], chosen.ensemble))


def residuals(table: Table, ax: Axes | None = None, *, family: str | None = None) -> Axes:
    """Residuals of the accepted finite-size fits in standard errors, against n."""
    from mcinj.show.scaling import residual_axes

    return _typed(residual_axes(_axes(ax), _limit(table, family)[1]))


def sharpening(table: Table, ax: Axes | None = None, *, family: str | None = None) -> Axes:
    """Width of the transition (10 % to 90 %) against n, and its power law; `InputError` below four usable sizes."""
    from mcinj.show.collapse import sharpening_axes

    return _typed(sharpening_axes(_axes(ax), _sharp(_family(table, family)[0])))


def collapse(table: Table, ax: Axes | None = None, *, family: str | None = None, exponent: float | None = None) -> Axes:
    """Transition curves about their medians, stretched by n^exponent (default: that of `sharpening`)."""
    from mcinj.show.collapse import collapse_axes

    chosen, levels = _family(table, family)
    curves = _curves(chosen, levels)
    if exponent is None:
        law = _sharp(chosen)
        exponent, curves = law.exponent, [c for c in curves if c.key.n in law.n]
    return _typed(collapse_axes(_axes(ax), curves, exponent))


def gap(table: Table, ax: Axes | None = None) -> Axes:
    """Mean of (m*_global - m*_regional)/n over paired draws, against n; `InputError` where nothing is paired."""
    from mcinj.infer import paired_gaps
    from mcinj.show.deep import gap_axes, gap_lines
    from mcinj.show.style import legend_outside

    found, _ = _families(table)
    lines = gap_lines(paired_gaps(_frame(table)), found)
    if not any(g.gap_lo == g.gap_lo for _, part in lines for g in part):
        raise InputError("the table has no draws of one network by both criteria, regional and global, to be compared")
    axes = gap_axes(_axes(ax), lines)
    legend_outside(axes, "earlier layers, 95 % intervals")
    return _typed(axes)


def depth(table: Table, ax: Axes | None = None) -> Axes:
    """Median threshold of the last layer against the depth, behind earlier layers of the published widths."""
    from mcinj.show.deep import depth_axes, depth_points, plain_values
    from mcinj.show.style import legend_outside

    points = depth_points(_families(table)[0])
    if not points:
        raise InputError("the table has no Gaussian series behind earlier layers of the published widths")
    axes = depth_axes(_axes(ax), points, plain_values(max(p.layers for p in points)))
    legend_outside(axes, "medians, 95 % intervals")
    return _typed(axes)


def probe(table: Table, ax: Axes | None = None) -> Axes:
    """Certified lower bounds on m*/n against n: every stream, and the mean of each budget with its 95 % interval."""
    from mcinj.show.probe import probe_axes

    axes = probe_axes(_axes(ax), _frame(table, "probe"))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=3, title="means, 95 % (Student)")
    return _typed(axes)


def budget(table: Table, ax: Axes | None = None) -> Axes:
    """Mean lower bound on m*/n against the budget of moves, a line per n."""
    from mcinj.show.probe import budget_axes
    from mcinj.show.style import legend_outside

    axes = budget_axes(_axes(ax), _frame(table, "probe"))
    legend_outside(axes, "means, 95 % (Student)")
    return _typed(axes)


def searched(table: Table, ax: Axes | None = None, proved: Table | None = None) -> Axes:
    """Mean searched thresholds m*/n against n, open triangles; proved ones beside them as circles if given."""
    from mcinj.show.searched import searched_axes

    axes = searched_axes(_axes(ax), _frame(table, "searched"), None if proved is None else _frame(proved))
    axes.legend(loc="lower right", title="means, 95 %")
    return _typed(axes)


def agreement(table: Table, ax: Axes | None = None) -> Axes:
    """What the best of j searches misses of the best of all, against j, a line per series of searched thresholds."""
    from mcinj.show.searched import agreement_axes
    from mcinj.show.style import legend_outside

    axes = agreement_axes(_axes(ax), _frame(table, "searched"))
    legend_outside(axes, "means, 95 % (Student)")
    return _typed(axes)


def searched_deep(table: Table, ax: Axes | None = None, layers: int = 2, proved: Table | None = None) -> Axes:
    """Mean searched thresholds of the last of so many layers against 1/n; proved ones as circles if given."""
    from mcinj.show.searched_deep import searched_deep_axes

    own = _frame(table, "searched_deep")
    if "widths_before" not in own or layers not in set(own["widths_before"].str.count(",") + 2):
        raise InputError(f"the table has no searched thresholds of networks with {layers} layers")
    axes = searched_deep_axes(_axes(ax), own, layers, None if proved is None else _frame(proved))
    axes.legend(loc="upper left", title="means, 95 %")
    return _typed(axes)


def searched_depth(table: Table, ax: Axes | None = None) -> Axes:
    """Mean searched thresholds of the last layer against the number of layers, a line per n."""
    from mcinj.show.searched_deep import depth_axes
    from mcinj.show.style import legend_outside

    axes = depth_axes(_axes(ax), _frame(table, "searched_deep"))
    legend_outside(axes, "means, 95 %")
    return _typed(axes)


def active(table: Table, ax: Axes | None = None) -> Axes:
    """Mean least active count over n against m/n, with the ground-state energies."""
    import numpy as np

    from mcinj.show.active import active_axes, active_summary
    from mcinj.theory import ground_state_curve

    summary = active_summary(_frame(table, "active"))
    top = max(float(summary["alpha"].max()), 3.0)
    axes = active_axes(_axes(ax), summary, ground_state_curve(np.linspace(2.0, top, 61)))
    axes.legend(loc="upper left", title="means, 95 % (Student)")
    return _typed(axes)


def active_gap(table: Table, ax: Axes | None = None) -> Axes:
    """Mean least active count minus the 2RSB value, against 1/n."""
    from mcinj.show.active import active_gap_axes, active_summary
    from mcinj.show.style import legend_outside

    axes = active_gap_axes(_axes(ax), active_summary(_frame(table, "active")))
    legend_outside(axes)
    return _typed(axes)


def margin(table: Table, ax: Axes | None = None) -> Axes:
    """Median margins κ* against m/n by n, with the middle 80 % of layers, and the bounds for n → ∞."""
    from mcinj.show.margin import margin_axes, margin_summary

    axes = margin_axes(_axes(ax), margin_summary(_frame(table, "margin")))
    axes.legend(loc="lower right", title="medians; bars: middle 80 % of layers")
    return _typed(axes)


def searched_margin(table: Table, ax: Axes | None = None, proved: Table | None = None) -> Axes:
    """Mean searched margins κ* against m/n by n, enclosed ones as circles if given, and the bounds for n → ∞."""
    from mcinj.show.searched_margin import searched_margin_axes

    own = _frame(table, "searched_margin")
    if "run" not in own:
        raise InputError("the table holds enclosed margins, not searched ones; plot.margin shows them")
    axes = searched_margin_axes(_axes(ax), own, None if proved is None else _frame(proved, "margin"))
    axes.legend(loc="lower right", title="means, 95 %")
    return _typed(axes)


def margin_gap(table: Table, ax: Axes | None = None) -> Axes:
    """Mean margin minus the 2RSB value, against 1/n."""
    from mcinj.show.margin import margin_gap_axes, margin_summary
    from mcinj.show.style import legend_outside

    axes = margin_gap_axes(_axes(ax), margin_summary(_frame(table, "margin")))
    legend_outside(axes)
    return _typed(axes)


def cells(table: Table, ax: Axes | None = None) -> Axes:
    """Observed over expected numbers of low-count cells, with 95 % intervals."""
    from mcinj.show.cells import cells_axes, cells_tests

    return _typed(cells_axes(_axes(ax), cells_tests(_frame(table, "cells"))))


def cells_expected(table: Table, ax: Axes | None = None) -> Axes:
    """Mean number of cells per stream against its exact expectation, on logarithmic scales."""
    from mcinj.show.cells import cells_tests, expected_axes

    axes = expected_axes(_axes(ax), cells_tests(_frame(table, "cells")))
    axes.legend(loc="upper left")
    return _typed(axes)


def verdicts(table: Table, ax: Axes | None = None) -> Axes:
    """How many fixed stacks got which verdict, per shape, criterion and engine."""
    from mcinj.show.stacks import verdict_axes

    return _typed(verdict_axes(_axes(ax), _frame(table, "stacks")))


def witnesses(table: Table, ax: Axes | None = None) -> Axes:
    """Active units of fixed stacks at their witnesses, and the least over all regions where these were enumerated."""
    from mcinj.show.stacks import stacks_active_axes

    return _typed(stacks_active_axes(_axes(ax), _frame(table, "stacks")))


# A column that only the tables of a kind have.
_TELLING = {
    "threshold": "m_lo",
    "probe": "m_found",
    "searched": "run",
    "searched_deep": "failed_layer",
    "active": "active_lo",
    "margin": "margin_lo",
    "searched_margin": "margin_hi",
    "cells": "cells",
    "stacks": "verdict",
}


def _frame(table: Table, kind: str = "threshold") -> pandas.DataFrame:
    frame = table.trials if isinstance(table, Results) else table
    columns = getattr(frame, "columns", None)
    if columns is None:
        raise InputError(f"a plot takes a table of trials or what mcinj.load gives, got {type(table).__name__}")
    if _TELLING[kind] not in columns:
        raise InputError(f"this plot is about trials of the kind {kind}, and the table has no column {_TELLING[kind]}")
    return frame


def _families(table: Table) -> tuple[list[Family], dict[SeriesKey, float]]:
    from mcinj.infer import families
    from mcinj.show.rules import look_levels

    frame = _frame(table)
    if isinstance(table, Results):
        return table.families, look_levels(table.rules)
    if not len(frame):
        raise InputError("the table has no trials to plot")
    return families(frame), {}


def _family(table: Table, name: str | None) -> tuple[Family, dict[SeriesKey, float]]:
    from mcinj.show.names import choose

    found, levels = _families(table)
    return choose(found, name), levels


def _limit(table: Table, name: str | None) -> tuple[Family, Extrapolation]:
    from mcinj.infer import extrapolate_family

    chosen, levels = _family(table, name)
    return chosen, extrapolate_family(chosen, levels=levels)


def _curves(family: Family, levels: dict[SeriesKey, float]) -> list[SeriesCurve]:
    from mcinj.infer import SeriesCurve, curve_of

    return [
        SeriesCurve(key, sample, curve_of(sample, level=levels.get(key, 0.95)))
        for key, sample in zip(family.keys, family.samples, strict=True)
    ]


def _sharp(family: Family) -> Any:
    from mcinj.show.collapse import sharpening as law_of

    law = law_of(family)
    if law is None:
        raise InputError("a transition's sharpening needs at least four sizes n >= 4 with 40 trials or more")
    return law


def _bounds(family: Family) -> list[Bound]:
    from mcinj.show.bounds import bounds_for, for_plot

    return for_plot(bounds_for(family))


def _axes(ax: Axes | None) -> Any:
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.gca()


def _typed(axes: Any) -> Axes:
    found: Axes = axes
    return found
