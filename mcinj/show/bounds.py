"""Which theory values belong to a family of series, and which of them a plot has room for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace

from mcinj.infer import Family
from mcinj.networks import Ensemble
from mcinj.theory import Bound, deep_plain, deep_plain_unit, table
from mcinj.theory.bounds import computed_or_not
from mcinj.theory.published import FIRST_LAYER

# Depth of `mcinj.theory.table`.
MOST_LAYERS = 8
ELSEWHERE = "Gaussian value, for comparison"

# Substrings of names, in the order in which a plot takes them; the rest is in the tables.
_PLOTTED = (
    "first moment",
    "plain RDT (replica",
    "partially lifted RDT",
    "2RSB",
    "published deep table",
    "plain RDT chain",
    "unit-weight RDT chain",
    "plain RDT after",
    "unit-weight RDT after",
    "global condition",
)


def bounds_for(family: Family) -> list[Bound]:
    """Theory values for the family's depth, criterion and earlier ratios; those not computed say why.

    Rows of `mcinj.theory.table` are about chains in which every earlier layer is at its critical value. For other
    first layers the plain RDT value after the family's own ratios is computed instead.
    """
    layers = family.layers
    if family.criterion == "layerwise" and layers > 1:
        return []
    # The chains of the table end at some depth; networks may be deeper.
    rows = [row for row in table(layers) if row.layers == layers] if layers <= MOST_LAYERS else []
    if layers > 1:
        published = all(lo <= r <= hi for (lo, hi), r in zip(family.ratios[:1], [FIRST_LAYER], strict=False))
        if not published or layers > 2:
            rows = [r for r in rows if layers > 2 and published and r.origin == "published"]
            ratios = [(lo + hi) / 2 for lo, hi in family.ratios]
            text = ", ".join(f"{r:.4g}" for r in ratios)
            rows.append(_after(f"plain RDT after {text}", lambda: deep_plain(ratios), layers))
            rows.append(_after(f"unit-weight RDT after {text}", lambda: deep_plain_unit(ratios), layers))
            if family.criterion == "global":
                name = f"global condition (2n active) after {text}"
                rows.append(_after(name, lambda: deep_plain(ratios, theta=2.0), layers, 2.0))
    if layers > 1 and family.criterion == "global":
        # The count bounds (theta = 1) are about the regional criterion; a network may pass it and still collide. What
        # is published as an injectivity capacity is shown as published.
        return [row for row in rows if row.theta == 2.0 or row.origin == "published"]
    return [row for row in rows if row.theta == 1.0]


def _after(name: str, compute: Callable[[], Bound], layers: int, theta: float = 1.0) -> Bound:
    blank = Bound(name, layers, math.nan, "rigorous", "computed", "docs/theory.md", theta=theta, reason="not computed")
    return computed_or_not(lambda: replace(compute(), name=name), blank)


def about(bound: Bound, ensemble: str) -> bool:
    """Whether the value is about weights of this law."""
    law = Ensemble.parse(ensemble)
    return law.rotation_invariant if bound.laws == "rotation-invariant rows" else law.symmetric_rows


def standing(bound: Bound, ensembles: Iterable[str]) -> str:
    """The value's status for weights of these laws, or that it is none of theirs."""
    return bound.status if all(about(bound, ensemble) for ensemble in ensembles) else ELSEWHERE


def for_plot(bounds: list[Bound], most: int = 5) -> list[Bound]:
    """The bounds that a plot draws: one per kind, the tightest-known ones, at most `most`."""
    chosen: list[Bound] = []
    for text in _PLOTTED:
        for row in bounds:
            if row.known and row.name.startswith(text) and all(abs(row.value - c.value) > 0.02 for c in chosen):
                chosen.append(row)
                break
    return sorted(chosen[:most], key=lambda row: row.value)


def label(bound: Bound, ensembles: Iterable[str], short: bool = False) -> str:
    """Name, value and standing, for the bound's line in a figure; `short`: "Gaussian" for a value about other laws."""
    name, what = bound.name.split(" (")[0], standing(bound, ensembles)
    return f"{name} {bound.value:.3f} ({'Gaussian' if short and what == ELSEWHERE else what})"
