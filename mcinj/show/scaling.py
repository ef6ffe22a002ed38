"""How the limit n → ∞ was read from the data: the fits' envelope, their limits, their residuals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mcinj.infer import Extrapolation, ScalingFit, fitted_curves, reference_series, residual_table
from mcinj.show.lines import infinity_strip, look, reach
from mcinj.theory import Bound

# The form has the colour, the reference series the marker.
_FORM_COLOURS = {"power": "#0072B2", "log": "#D55E00", "poly": "#009E73"}
_REFERENCE_MARKERS = {"": "o", "union": "s", "euler": "^"}
# The exact reference series cost seconds each at large n; beyond, the fits are straight enough.
_REACH = 40


def _look(fit: ScalingFit) -> dict[str, Any]:
    return {
        "color": _FORM_COLOURS.get(fit.form, "0.4") if fit.accepted else "0.65",
        "marker": _REFERENCE_MARKERS.get(fit.reference, "D"),
    }


def scaling_axes(
    axes: Any, extrapolation: Extrapolation, bounds: Sequence[Bound] = (), ensemble: str = "gaussian"
) -> Any:
    """Medians against 1/n, n growing to the right, and the envelope of the accepted fits to their limits.

    Rejected fits are thin grey lines. What is about n → ∞ stands in a strip at the right end. Sets the limits of both
    axes. ensemble: law of the weights whose medians these are.
    """
    points = extrapolation.points
    start = min(fit.n_min for fit in extrapolation.fits)
    last = max(_REACH, int(points.n.max()))
    grid = np.unique(np.round(1.0 / np.linspace(1.0 / start, 1.0 / last, 14)).astype(int))
    references = {f.reference for f in extrapolation.fits if f.reference}
    table = fitted_curves(extrapolation, grid.tolist(), [reference_series(r, grid.tolist()) for r in references])  # type: ignore[arg-type]
    lines = {
        fit.name: np.array([*table.loc[table["fit"] == fit.name, "alpha"], fit.limit]) for fit in extrapolation.fits
    }
    x = np.array([*(1.0 / grid), 0.0])
    accepted = [f for f in extrapolation.fits if f.accepted]
    if accepted:
        # Each fit where it is one: from its own n_min on.
        rows = np.array([np.where(x <= 1.0 / f.n_min + 1e-12, lines[f.name], np.nan) for f in accepted])
        axes.fill_between(
            x, np.nanmin(rows, axis=0), np.nanmax(rows, axis=0), color="#0072B2", alpha=0.35, linewidth=0.8,
            label=f"envelope of {len(accepted)} accepted fits",
        )  # fmt: skip
    for k, fit in enumerate(f for f in extrapolation.fits if not f.accepted):
        axes.plot(x, lines[fit.name], color="0.65", linewidth=0.8, label="rejected fits" if k == 0 else None)
    axes.errorbar(
        1.0 / points.n, points.alpha, yerr=1.96 * points.sigma, color="black", marker="o", markersize=4,
        linestyle="none", capsize=2, label=f"{points.statistic} m*/n, 95 %", zorder=4,
    )  # fmt: skip
    # Sizes far below the fitted ones would squeeze what the figure is about.
    near = points.n >= start - 1
    heights = [
        *(points.alpha - 1.96 * points.sigma)[near], *(points.alpha + 1.96 * points.sigma)[near],
        *extrapolation.total, *(f.limit for f in accepted),
    ]  # fmt: skip
    span = max(max(heights) - min(heights), 0.8)
    axes.set_xlim(1.06 / max(start - 1, 1), 0.0)
    axes.set_ylim(min(heights) - 0.06 * span, reach(max(heights), 0.5 * span, bounds) + 0.06 * span)
    ticks = [n for n in (1, 2, 3, 4, 5, 6, 8, 10, 14, 20, 40) if n >= start - 1]
    axes.set_xticks([1.0 / n for n in ticks], [str(n) for n in ticks])
    axes.set_xlabel("inputs n, spaced as 1/n")
    axes.set_ylabel(f"{points.statistic} threshold ratio m*/n")
    infinity_strip(axes, bounds, [ensemble], extrapolation)
    axes.legend(loc="lower right")
    return axes


def limits_axes(
    axes: Any, extrapolation: Extrapolation, bounds: Sequence[Bound] = (), ensemble: str = "gaussian"
) -> Any:
    """The limit of every fit with its bootstrap interval, one row each, beside the bounds and the total interval."""
    low, high = extrapolation.total
    axes.axvspan(low, high, color="#D55E00", alpha=0.12, linewidth=0)
    fits = extrapolation.fits
    for k, fit in enumerate(fits):
        axes.errorbar(
            [fit.limit], [len(fits) - 1 - k], xerr=[[fit.limit - fit.lo], [fit.hi - fit.limit]], markersize=5,
            capsize=2.5, linestyle="none", linewidth=1.2, **_look(fit),
        )  # fmt: skip
    axes.set_yticks(
        range(len(fits) - 1, -1, -1),
        [f"{f.name}, n ≥ {f.n_min}" + ("" if f.accepted else " (rejected)") for f in fits],
        fontsize=8,
    )
    ends = [low, high, *(f.lo for f in fits if f.accepted), *(f.hi for f in fits if f.accepted)]
    span = max(max(ends) - min(ends), 0.2)
    axes.set_xlim(min(ends) - 0.1 * span, max(ends) + 0.1 * span)
    left, right = axes.get_xlim()
    taken = [-math.inf] * 4  # right ends of the names in each row above the axes
    for k, bound in enumerate(sorted(bounds, key=lambda b: b.value)):
        if left <= bound.value <= right:
            axes.axvline(bound.value, **look(k, bound, [ensemble]))
            name = bound.name.split(" (")[0]
            half = 0.0075 * len(name) * (right - left)
            row = next((r for r, end in enumerate(taken) if bound.value - half > end), 0)
            taken[row] = bound.value + half
            axes.annotate(
                name, (bound.value, 1.0), (0, 2 + 9 * row), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="center", fontsize=7.5,
            )  # fmt: skip
    axes.set_ylim(-0.7, len(fits) - 0.3)
    axes.set_xlabel(f"limit of m*/n; shaded: total {100 * extrapolation.level:.0f} % interval")
    return axes


def residual_axes(axes: Any, extrapolation: Extrapolation) -> Any:
    """Residuals of the accepted fits in standard errors, against n, as points; looks as in `limits_axes`."""
    accepted = [f for f in extrapolation.fits if f.accepted]
    table = residual_table(extrapolation)
    for k, fit in enumerate(accepted):
        part = table[table["fit"] == fit.name]
        shift = 0.07 * (k - (len(accepted) - 1) / 2)
        axes.plot(part["n"] + shift, part["residual"], markersize=3.5, linestyle="none", **_look(fit))
    axes.axhline(0.0, color="0.25", linewidth=0.8)
    axes.axhspan(-2, 2, color="0.5", alpha=0.1, linewidth=0)
    axes.set_xlabel("inputs n")
    axes.set_ylabel("residual / standard error")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return axes
