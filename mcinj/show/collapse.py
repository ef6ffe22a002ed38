"""How a transition sharpens with n: its width's power law, and the curves on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mcinj.errors import InputError
from mcinj.infer import Family, SeriesCurve, WidthScaling, collapse_table, width_scaling
from mcinj.show.style import MARKERS, named, shade

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
        label=f"{law.amplitude:.2f} $n^{{-{law.exponent:.3f}}}$, exponent ± {1.96 * law.se:.3f} (95 %)",
    )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.minorticks_off()
    ticks: list[int] = []
    for n in law.n:
        if not ticks or n > 1.12 * ticks[-1]:
            ticks.append(n)
    axes.set_xticks(ticks, [str(n) for n in ticks])
    # An interval that is open below would take the axis to nothing.
    ends = [(w - 1.96 * s, w + 1.96 * s) for w, s in zip(law.width, law.width_se, strict=True)]
    low = max(min(e[0] for e in ends), 0.6 * min(law.width))
    high = max(max(e[1] for e in ends), law.amplitude * min(law.n) ** -law.exponent)
    axes.set_ylim(0.95 * low, 1.05 * high)
    marks = [v for v in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0) if low <= v <= high]
    axes.set_yticks(marks, [f"{v:g}" for v in marks])
    axes.set_xlabel("inputs n (log scale)")
    axes.set_ylabel("width of the transition in m/n (log scale)")
    axes.legend(loc="lower left")
    return axes


def collapse_axes(axes: Any, curves: Sequence[SeriesCurve], exponent: float) -> Any:
    """Curves on x = (m/n - median) n^exponent: near one master curve if they have about a common shape."""
    ordered = sorted(curves, key=lambda c: c.key.n)
    table = collapse_table([c.curve for c in ordered], exponent)
    entries = named(len(ordered))
    for k, item in enumerate(ordered):
        part = table[table["n"] == item.key.n]
        part = part[(part["p"] > 0.002) & (part["p"] < 0.998)]
        named_look = {"marker": MARKERS[k % len(MARKERS)], "label": f"n = {item.key.n}"} if k in entries else {}
        axes.plot(
            part["x"], part["p"], color=shade(k, len(ordered)), markersize=3, markevery=max(1, len(part) // 20),
            linewidth=0.7, **named_look,
        )  # fmt: skip
    inside = table[(table["p"] > 0.002) & (table["p"] < 0.998)]
    low, high = float(inside["x"].min()), float(inside["x"].max())
    axes.set_xlim(low - 0.2, high + 0.2)
    step = 1 if high - low < 9 else 2
    axes.set_xticks(range(int(np.ceil(low / step)) * step, int(high) + 1, step))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.set_xlabel(f"(m/n − median) · $n^{{{exponent:.2f}}}$")
    axes.set_ylabel("P(network passes)")
    axes.legend(loc="lower right")
    return axes
