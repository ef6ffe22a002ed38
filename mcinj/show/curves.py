"""Transition curves and medians: functions that take and return Axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mcinj.infer import Extrapolation, Family, SeriesCurve, SeriesKey, quantile
from mcinj.show.bounds import draw_bounds
from mcinj.show.style import COLOURS, MARKERS, shade
from mcinj.theory import Bound


def transition_axes(axes: Any, curves: Sequence[SeriesCurve], bounds: list[Bound]) -> Any:
    """P(m* <= m) against m/n, one curve per n with its confidence band, bounds as vertical lines."""
    curves = sorted(curves, key=lambda c: c.key.n)
    for k, item in enumerate(curves):
        curve, colour = item.curve, shade(k, len(curves))
        few = len(curve.m) <= 60
        axes.fill_between(curve.alpha, curve.lo, curve.hi, color=colour, alpha=0.18, linewidth=0, step=None)
        if curve.censored:
            # What censored draws leave open, whichever way they would have ended.
            axes.plot(curve.alpha, curve.p_lower, color=colour, linewidth=0.7, linestyle=":")
            axes.plot(curve.alpha, curve.p_upper, color=colour, linewidth=0.7, linestyle=":")
        note = f" ({curve.censored} censored)" if curve.censored else ""
        axes.plot(
            curve.alpha,
            curve.p,
            color=colour,
            marker=MARKERS[k % len(MARKERS)] if few else None,
            markersize=3.5,
            label=f"n = {item.key.n}, {curve.trials} trials{note}",
        )
    draw_bounds(axes, bounds, {item.key.ensemble for item in curves}, vertical=True)
    axes.set_xlabel("last width per input, m/n")
    axes.set_ylabel("P(network passes)")
    axes.set_ylim(-0.02, 1.02)
    return axes


def transition_range(curves: Sequence[SeriesCurve], bounds: list[Bound]) -> tuple[float, float]:
    """Range of m/n that shows every transition from 0.1 % to the point where it is over, and the bounds near it."""
    lows, highs = [], []
    for item in curves:
        curve = item.curve
        inside = curve.alpha[(curve.p > 0.001) & (curve.p < 0.999 * max(curve.p[-1], 1e-9))]
        span = inside if inside.size else curve.alpha
        lows.append(float(span.min()))
        highs.append(float(span.max()))
    top = max(highs)
    near = [b.value for b in bounds if b.value < 1.6 * top]
    return max(0.0, min(lows) - 0.4), max([top, *near]) + 0.4


def median_axes(
    axes: Any,
    groups: Sequence[tuple[str, Family]],
    bounds: list[Bound],
    extrapolation: Extrapolation | None = None,
    levels: Mapping[SeriesKey, float] | None = None,
) -> Any:
    """Median m*/n against n with order-statistic intervals; one marker per family; the limit's interval at the edge.

    levels: of the intervals of some series, where it is not 0.95 (stopping rules).
    """
    at = levels or {}
    largest = 1
    for k, (name, family) in enumerate(groups):
        points = [
            (key.n, quantile(sample, 0.5, level=at.get(key, 0.95)))
            for key, sample in zip(family.keys, family.samples, strict=True)
        ]
        points = [(n, q) for n, q in points if np.isfinite(q.alpha)]
        if not points:
            continue
        x = np.array([n for n, _ in points], dtype=float)
        y = np.array([q.alpha for _, q in points])
        low = y - np.array([q.alpha_lo for _, q in points])
        high = np.array([q.alpha_hi for _, q in points]) - y
        # Too few trials leave an end open (0 or ∞): such a point is drawn hollow, without a bar.
        vague = ~np.isfinite(high) | (low >= y)
        low, top = np.where(vague, 0.0, low), np.where(vague, 0.0, high)
        # Side by side, but nearer to their own n than to the next.
        offset = 0.0 if len(groups) == 1 else min(0.08, 0.4 / (len(groups) - 1)) * (k - (len(groups) - 1) / 2)
        axes.errorbar(
            x + offset,
            y,
            yerr=[low, top],
            color=COLOURS[k % len(COLOURS)],
            marker=MARKERS[k % len(MARKERS)],
            markersize=5,
            linewidth=1.0,
            capsize=2.5,
            label=name,
        )
        axes.plot(
            x[vague] + offset,
            y[vague],
            color=COLOURS[k % len(COLOURS)],
            marker="o",
            markersize=9,
            linestyle="none",
            markerfacecolor="none",
            label="too few trials for an interval" if vague.any() else None,
        )
        largest = max(largest, int(x.max()))
    draw_bounds(axes, bounds, {family.ensemble for _, family in groups}, vertical=False)
    if extrapolation is not None:
        edge = largest + max(1.0, 0.06 * largest)
        low_end, high_end = extrapolation.total
        axes.errorbar(
            [edge],
            [extrapolation.estimate],
            yerr=[[extrapolation.estimate - low_end], [high_end - extrapolation.estimate]],
            color="#D55E00",
            marker="*",
            markersize=9,
            capsize=4,
            linestyle="none",
            label=f"n → ∞: {extrapolation.estimate:.2f} [{low_end:.2f}, {high_end:.2f}] (extrapolated)",
        )
    axes.set_xlabel("inputs n")
    axes.set_ylabel("median threshold ratio m*/n")
    axes.xaxis.get_major_locator().set_params(integer=True)
    return axes
