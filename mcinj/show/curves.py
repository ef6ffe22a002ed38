"""Transition curves and medians: functions that take and return Axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mcinj.infer import Extrapolation, Family, QuantileEstimate, SeriesCurve, SeriesKey, quantile
from mcinj.show.lines import draw_vertical, infinity_strip, reach
from mcinj.show.style import COLOURS, MARKERS, named, shade
from mcinj.theory import Bound


def transition_axes(axes: Any, curves: Sequence[SeriesCurve], bounds: Sequence[Bound] = ()) -> Any:
    """P(m* <= m) against m/n, one curve per n with its pointwise band, bounds (n → ∞) as vertical lines.

    Sets the limits of both axes. Of more than eight sizes the legend names eight.
    """
    curves = sorted(curves, key=lambda c: c.key.n)
    entries = named(len(curves))
    left, right = transition_range(curves, bounds)
    for k, item in enumerate(curves):
        curve, colour = item.curve, shade(k, len(curves))
        # One width more on either side, so that lines go on to the edge; the rest would be bytes that nobody sees.
        seen = (curve.alpha >= left - 1.0 / item.key.n) & (curve.alpha <= right + 1.0 / item.key.n)
        x = curve.alpha[seen]
        if k in entries:
            axes.fill_between(x, curve.lo[seen], curve.hi[seen], color=colour, alpha=0.18, linewidth=0)
        if curve.censored:
            # What censored draws leave open, whichever way they would have ended.
            axes.plot(x, curve.p_lower[seen], color=colour, linewidth=0.7, linestyle=":")
            axes.plot(x, curve.p_upper[seen], color=colour, linewidth=0.7, linestyle=":")
        note = f", {curve.censored} censored" if curve.censored else ""
        axes.plot(
            x,
            curve.p[seen],
            color=colour,
            marker=MARKERS[k % len(MARKERS)] if k in entries else None,
            markersize=3.5,
            markevery=max(1, len(x) // 20),
            linewidth=1.6 if k in entries else 0.9,
            label=f"n = {item.key.n}: {curve.trials:,} trials{note}" if k in entries else None,
        )
    axes.set_xlim(left, right)
    axes.set_ylim(-0.02, 1.03)
    draw_vertical(axes, bounds, {item.key.ensemble for item in curves})
    axes.set_xlabel("last width per input, m/n")
    axes.set_ylabel("P(network passes)")
    return axes


def transition_legend(curves: Sequence[SeriesCurve]) -> str:
    """Title of the legend: what the bands are, and that some sizes go unnamed."""
    sizes = sorted(c.key.n for c in curves)
    band = f"bands: {100 * min((c.curve.level for c in curves), default=0.95):.4g} %, pointwise"
    return band if len(sizes) <= 8 else f"n = {sizes[0]} … {sizes[-1]}; named, with\n{band}:"


def transition_range(curves: Sequence[SeriesCurve], bounds: Sequence[Bound]) -> tuple[float, float]:
    """Range of m/n that shows every transition from 1 % to 99 %, and the bounds near it.

    One input is left out where larger sizes are there: its long tail is nobody's question.
    """
    lows, highs = [], []
    shown = [c for c in curves if c.key.n > 1] or list(curves)
    for item in shown:
        curve = item.curve
        inside = curve.alpha[(curve.p > 0.01) & (curve.p < 0.99 * max(curve.p[-1], 1e-9))]
        span = inside if inside.size else curve.alpha
        lows.append(float(span.min()))
        highs.append(float(span.max()))
    low, high = min(lows), max(highs)
    span = max(high - low, 0.5)
    return max(0.0, low - 0.06 * span), reach(high, 0.25 * span, bounds) + 0.08 * span


def median_axes(
    axes: Any,
    groups: Sequence[tuple[str, Family]],
    bounds: Sequence[Bound] = (),
    extrapolation: Extrapolation | None = None,
    levels: Mapping[SeriesKey, float] | None = None,
) -> Any:
    """Median m*/n against n with order-statistic intervals, one marker per family; n → ∞ in a strip at the side.

    Bounds and the extrapolated limit stand in the strip; bounds too far off to be shown are named at its edge. One
    input is left out where there are more than three sizes. Sets the limits of both axes.
    levels: of the intervals of some series, where it is not 0.95 (stopping rules).
    """
    at = levels or {}
    heights: list[float] = []
    sizes = {key.n for _, family in groups for key in family.keys}
    skipped = {1} if len(sizes) > 3 else set()
    vague_named = False
    for k, (name, family) in enumerate(groups):
        points = [
            (key.n, quantile(sample, 0.5, level=at.get(key, 0.95)))
            for key, sample in zip(family.keys, family.samples, strict=True)
            if key.n not in skipped
        ]
        points = [(n, q) for n, q in points if np.isfinite(q.alpha)]
        if not points:
            continue
        # Side by side, but nearer to their own n than to the next.
        offset = 0.0 if len(groups) == 1 else min(0.08, 0.4 / (len(groups) - 1)) * (k - (len(groups) - 1) / 2)
        x = np.array([n + offset for n, _ in points])
        y = np.array([q.alpha for _, q in points])
        low, high, vague = _ends([q for _, q in points])
        look = {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)]}
        axes.errorbar(x, y, yerr=[y - low, high - y], markersize=5, linewidth=1.0, capsize=2.5, label=name, **look)
        if vague.any():
            # Too few trials leave an end open (0 or ∞): such a point gets a ring, and no bar.
            axes.plot(
                x[vague], y[vague], color=look["color"], marker="o", markersize=10, linestyle="none",
                markerfacecolor="none", label=None if vague_named else "ring: too few trials for an interval",
            )  # fmt: skip
            vague_named = True
        heights += [*low, *high]
    if extrapolation is not None:
        heights += [extrapolation.estimate, *extrapolation.total]
    if heights:
        span = max(max(heights) - min(heights), 0.8)
        axes.set_ylim(min(heights) - 0.08 * span, reach(max(heights), 0.35 * span, bounds) + 0.08 * span)
    if bounds or extrapolation is not None:
        infinity_strip(axes, bounds, {family.ensemble for _, family in groups}, extrapolation)
    axes.set_xlabel("inputs n" + (" (n = 1 not shown)" if skipped & sizes else ""))
    axes.set_ylabel("median threshold ratio m*/n, 95 % intervals")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return axes


def _ends(found: Sequence[QuantileEstimate]) -> tuple[Any, Any, Any]:
    """Ends of intervals, and which of them an open end makes vague (both ends then are the point)."""
    y = np.array([q.alpha for q in found])
    low, high = np.array([q.alpha_lo for q in found]), np.array([q.alpha_hi for q in found])
    vague = ~np.isfinite(high) | (low <= 0)
    return np.where(vague, y, low), np.where(vague, y, high), vague
