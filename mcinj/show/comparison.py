"""Data against theory, one row per bound: estimate, interval, value, difference, and a word."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcinj.errors import InputError
from mcinj.infer import Extrapolation, Family, SeriesKey, compare, extrapolate_family, quantile
from mcinj.show.bounds import bounds_for
from mcinj.theory import Bound

if TYPE_CHECKING:
    import pandas

COLUMNS = (
    "family",
    "basis",
    "estimate",
    "interval_lo",
    "interval_hi",
    "bound",
    "value",
    "status",
    "origin",
    "difference",
    "verdict",
)


@dataclass(frozen=True)
class FamilyReport:
    """A family with its bounds and, if there are sizes enough, its extrapolation (else why not)."""

    family: Family
    bounds: list[Bound]
    extrapolation: Extrapolation | None
    reason: str

    @property
    def largest(self) -> int:
        """Largest n of the family."""
        return max(key.n for key in self.family.keys)


def examine(family: Family, levels: Mapping[SeriesKey, float] | None = None) -> FamilyReport:
    """Collect what a report says of one family; levels: of single intervals, where series have stopping rules."""
    try:
        limit, reason = extrapolate_family(family, levels=levels), ""
    except InputError as error:
        limit, reason = None, str(error)
    return FamilyReport(family, bounds_for(family), limit, reason)


def comparison_rows(report: FamilyReport, levels: Mapping[SeriesKey, float] | None = None) -> pandas.DataFrame:
    """One row per bound and basis.

    basis `n = N`: the median at the largest n, a fact about that n; bounds are about n → ∞, so the row has a
    difference (value - estimate) and no verdict. basis `n → ∞`: the extrapolated limit with its total
    interval, and the verdict of `mcinj.infer.compare`. levels: of the medians' intervals, where it is not 0.95
    (stopping rules).
    """
    import pandas

    family = report.family
    rows = []
    last = [(key, sample) for key, sample in zip(family.keys, family.samples, strict=True) if key.n == report.largest]
    key, sample = last[0]
    median = quantile(sample, 0.5, level=(levels or {}).get(key, 0.95))
    for bound in report.bounds:
        rows.append(
            [
                family.label,
                f"n = {report.largest}",
                median.alpha,
                median.alpha_lo,
                median.alpha_hi,
                bound.name,
                bound.value,
                bound.status,
                bound.origin,
                bound.value - median.alpha,
                "",
            ]
        )
    if report.extrapolation is not None:
        limit = report.extrapolation
        for bound in report.bounds:
            verdict = compare(limit, bound.name, bound.value, bound.kind)
            rows.append(
                [
                    family.label,
                    "n → ∞",
                    limit.estimate,
                    *limit.total,
                    bound.name,
                    bound.value,
                    bound.status,
                    bound.origin,
                    verdict.difference,
                    verdict.text,
                ]
            )
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def number(value: float, digits: int = 4) -> str:
    """A number for people: fixed digits, `∞` and `–` for what has none."""
    if value != value:
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.{digits}f}"
