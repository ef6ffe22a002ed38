"""How the limit n → ∞ was read from the data: fits, residuals."""

from __future__ import annotations

from typing import Any

import numpy as np

from mcinj.infer import Extrapolation, fitted_curves, reference_series, residual_table
from mcinj.show.bounds import draw_bounds
from mcinj.show.style import COLOURS, DASHES, MARKERS
from mcinj.theory import Bound


def scaling_axes(axes: Any, extrapolation: Extrapolation, bounds: list[Bound], reach: int = 48) -> Any:
    """Medians against 1/n with every fit drawn to n = `reach` and on to its limit; rejected fits are thin and grey."""
    points = extrapolation.points
    # The exact reference series cost seconds each at large n; beyond `reach` the fits are straight enough.
    grid = np.unique(np.round(np.geomspace(int(points.n.min()), max(reach, int(points.n.max())), 24)).astype(int))
    references = {f.reference for f in extrapolation.fits if f.reference}
    table = fitted_curves(extrapolation, grid.tolist(), [reference_series(r, grid.tolist()) for r in references])  # type: ignore[arg-type]
    for k, (name, part) in enumerate(table.groupby("fit", sort=False)):
        good = bool(part["accepted"].iloc[0])
        limit = next(f.limit for f in extrapolation.fits if f.name == name)
        axes.plot(
            [*(1.0 / part["n"]), 0.0],
            [*part["alpha"], limit],
            color=COLOURS[k % 6] if good else "0.7",
            linestyle=DASHES[(k // 3) % len(DASHES)] if k >= 3 else "-",
            linewidth=1.3 if good else 0.8,
            label=f"{name}: {limit:.2f}" + ("" if good else " (rejected)"),
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
        label="median m*/n",
    )
    draw_bounds(axes, bounds, vertical=False)
    axes.set_xlim(left=0.0)
    axes.set_xlabel("1/n")
    axes.set_ylabel("median threshold ratio m*/n")
    return axes


def residual_axes(axes: Any, extrapolation: Extrapolation) -> Any:
    """Residuals of the accepted fits in standard errors, against n."""
    accepted = [f.name for f in extrapolation.fits if f.accepted]
    table = residual_table(extrapolation)
    for k, name in enumerate(accepted):
        part = table[table["fit"] == name]
        axes.plot(
            part["n"] + 0.06 * (k - len(accepted) / 2),
            part["residual"],
            color=COLOURS[k % len(COLOURS)],
            marker=MARKERS[k % len(MARKERS)],
            markersize=4,
            linewidth=0.6,
            label=name,
        )
    axes.axhline(0.0, color="0.25", linewidth=0.8)
    axes.axhspan(-2, 2, color="0.5", alpha=0.1, linewidth=0)
    axes.set_xlabel("inputs n")
    axes.set_ylabel("residual / standard error")
    return axes
