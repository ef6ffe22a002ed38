"""How the limit n → ∞ was read from the data: fits, residuals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcinj.errors import InputError
from mcinj.infer import (
    Extrapolation,
    Family,
    ScalingFit,
    SeriesCurve,
    WidthScaling,
    collapse_table,
    fitted_curves,
    reference_series,
    residual_table,
    width_scaling,
)
from mcinj.show.bounds import draw_bounds
from mcinj.show.style import MARKERS, shade
from mcinj.theory import Bound

# The form has the colour, the reference series the line and the marker.
_FORM_COLOURS = {"power": "#0072B2", "log": "#D55E00", "poly": "#009E73"}
_REFERENCE_LINES = {"": ("-", "o"), "union": ("-.", "s"), "euler": (":", "^")}


def _look(fit: ScalingFit) -> dict[str, Any]:
    line, marker = _REFERENCE_LINES.get(fit.reference, ("--", "D"))
    return {"color": _FORM_COLOURS.get(fit.form, "0.4") if fit.accepted else "0.7", "linestyle": line, "marker": marker}


def scaling_axes(
    axes: Any, extrapolation: Extrapolation, bounds: list[Bound], ensemble: str = "gaussian", reach: int = 48
) -> Any:
    """Medians against 1/n; every fit from its n_min to n = `reach` and on to its limit; rejected fits are grey.

    ensemble: law of the weights whose medians these are.
    """
    points = extrapolation.points
    # The exact reference series cost seconds each at large n; beyond `reach` the fits are straight enough.
    start = min(fit.n_min for fit in extrapolation.fits)
    grid = np.unique(np.round(np.geomspace(start, max(reach, int(points.n.max())), 24)).astype(int))
    references = {f.reference for f in extrapolation.fits if f.reference}
    table = fitted_curves(extrapolation, grid.tolist(), [reference_series(r, grid.tolist()) for r in references])  # type: ignore[arg-type]
    for fit in extrapolation.fits:
        part = table[(table["fit"] == fit.name) & (table["n"] >= fit.n_min)]
        look = {**_look(fit), "marker": None}
        note = "" if fit.accepted else " (rejected)"
        axes.plot(
            [*(1.0 / part["n"]), 0.0],
            [*part["alpha"], fit.limit],
            linewidth=1.3 if fit.accepted else 0.8,
            label=f"{fit.name}, n ≥ {fit.n_min}: {fit.limit:.2f} ± {fit.se:.2f}{note}",
            **look,
        )
    axes.errorbar(
        1.0 / points.n,
        points.alpha,
        yerr=1.96 * points.sigma,
        color="black",
        marker="o",
        markersize=4,
        linestyle="none",
        capsize=2,
        label="median m*/n, 95 %",
    )
    draw_bounds(axes, bounds, [ensemble], vertical=False)
    # Sizes far below the fitted ones would squeeze what the figure is about.
    shown = points.alpha[points.n >= start - 1]
    heights = [*shown, *(b.value for b in bounds), *(f.limit for f in extrapolation.fits if f.accepted)]
    axes.set_xlim(0.0, 1.1 / max(start - 1, 1))
    axes.set_ylim(min(heights) - 0.3, max(heights) + 0.3)
    axes.set_xlabel("1/n")
    axes.set_ylabel("median threshold ratio m*/n")
    return axes


def residual_axes(axes: Any, extrapolation: Extrapolation) -> Any:
    """Residuals of the accepted fits in standard errors, against n; the looks are those of `scaling_axes`."""
    accepted = [f for f in extrapolation.fits if f.accepted]
    table = residual_table(extrapolation)
    for k, fit in enumerate(accepted):
        part = table[table["fit"] == fit.name]
        axes.plot(
            part["n"] + 0.06 * (k - len(accepted) / 2), part["residual"], markersize=4, linewidth=0.6, **_look(fit)
        )
    axes.axhline(0.0, color="0.25", linewidth=0.8)
    axes.axhspan(-2, 2, color="0.5", alpha=0.1, linewidth=0)
    axes.set_xlabel("inputs n")
    axes.set_ylabel("residual / standard error")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return axes


# At fewer inputs or trials a transition is a few steps, and its width mostly the lattice of widths or noise.
_SHARP_N, _SHARP_TRIALS = 4, 40


def sharpening(family: Family) -> WidthScaling | None:
    """Power law of the transition's width over the sizes with enough trials; None below four such sizes."""
    samples = [
        sample
        for key, sample in zip(family.keys, family.samples, strict=True)
        if key.n >= _SHARP_N and sample.trials >= _SHARP_TRIALS
    ]
    if len(samples) < 4:
        return None
    try:
        found = width_scaling(samples)
    except InputError:  # widths that censoring leaves open
        return None
    return found if len(found.n) >= 4 else None


def sharpening_axes(axes: Any, law: WidthScaling) -> Any:
    """Width of the transition (10 % to 90 %, in m/n) against n in logarithms, with the fitted power law."""
    axes.errorbar(
        law.n, law.width, yerr=1.96 * np.array(law.width_se), color="black", marker="o", markersize=4,
        linestyle="none", capsize=2, label="data, 95 %",
    )  # fmt: skip
    grid = np.geomspace(min(law.n), max(law.n), 50)
    axes.plot(
        grid, law.amplitude * grid**-law.exponent, color="#0072B2",
        label=f"{law.amplitude:.2f} n^-{law.exponent:.3f} (± {1.96 * law.se:.3f})",
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(law.n, [str(n) for n in law.n])
    axes.minorticks_off()
    low, high = min(law.width), max(law.width)
    ticks = [v for v in (0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0) if 0.9 * low <= v <= 1.1 * high]
    axes.set_yticks(ticks, [f"{v:g}" for v in ticks])
    axes.set_xlabel("inputs n")
    axes.set_ylabel("width of the transition, Δm/n")
    axes.legend(loc="upper right", fontsize=8)
    return axes


def collapse_axes(axes: Any, curves: Sequence[SeriesCurve], exponent: float) -> Any:
    """Curves on x = (m/n - median) n^exponent: one master curve if they have a common shape."""
    ordered = sorted(curves, key=lambda c: c.key.n)
    table = collapse_table([c.curve for c in ordered], exponent)
    for k, item in enumerate(ordered):
        part = table[table["n"] == item.key.n]
        axes.plot(
            part["x"], part["p"], color=shade(k, len(ordered)), marker=MARKERS[k % len(MARKERS)], markersize=3,
            linewidth=0.7, label=f"n = {item.key.n}",
        )  # fmt: skip
    inside = table[(table["p"] > 0.002) & (table["p"] < 0.998)]
    axes.set_xlim(float(inside["x"].min()) - 0.2, float(inside["x"].max()) + 0.2)
    axes.set_xlabel(f"(m/n − median) · n^{exponent:.2f}")
    axes.set_ylabel("P(network passes)")
    return axes
