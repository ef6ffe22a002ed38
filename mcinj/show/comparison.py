"""Data against theory, one row per bound: estimate, interval, value, difference, and a word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcinj.errors import InputError
from mcinj.infer import Extrapolation, Family, SeriesKey, compare, extrapolate_family, quantile
from mcinj.show.bounds import about, bounds_for, standing
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
    "laws",
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
    except (InputError, ArithmeticError) as error:  # too few sizes, or a reference series without its limit
        limit, reason = None, str(error)
    return FamilyReport(family, bounds_for(family), limit, reason)


def comparison_rows(report: FamilyReport, levels: Mapping[SeriesKey, float] | None = None) -> pandas.DataFrame:
    """One row per bound and basis.

    basis `n = N`: the median at the largest n, a fact about that n; bounds are about n → ∞, so the row has a
    difference (value - estimate) and no verdict. basis `n → ∞`: the extrapolated limit with its total
    interval, and the verdict of `mcinj.infer.compare`. A value that is not about the family's law is there for
    comparison only, as its status says, and has no verdict; one that could not be computed has the reason in its
    place. levels: of the medians' intervals, where it is not 0.95 (stopping rules).
    """
    import pandas

    family = report.family
    key, sample = next((k, s) for k, s in zip(family.keys, family.samples, strict=True) if k.n == report.largest)
    median = quantile(sample, 0.5, level=(levels or {}).get(key, 0.95))
    bases = [(f"n = {report.largest}", median.alpha, median.alpha_lo, median.alpha_hi)]
    if report.extrapolation is not None:
        bases.append(("n → ∞", report.extrapolation.estimate, *report.extrapolation.total))
    rows = []
    for basis, estimate, low, high in bases:
        for bound in report.bounds:
            text = "" if bound.known else f"not computed: {bound.reason}"
            if report.extrapolation is not None and basis == "n → ∞" and bound.known and about(bound, family.ensemble):
                text = compare(report.extrapolation, bound.name, bound.value, bound.kind).text
            rows.append(
                [
                    family.label,
                    basis,
                    estimate,
                    low,
                    high,
                    bound.name,
                    bound.value,
                    standing(bound, [family.ensemble]),
                    bound.laws,
                    bound.origin,
                    bound.value - estimate,
                    text,
                ]
            )
    return pandas.DataFrame(rows, columns=list(COLUMNS))
