"""Data against theory, one row per bound: estimate, interval, value, difference, and a word."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcinj.errors import InputError
from mcinj.infer import (
    Comparison,
    Extrapolation,
    Family,
    QuantileEstimate,
    SeriesKey,
    compare,
    extrapolate_family,
    quantile,
)
from mcinj.show.bounds import about, bounds_for, standing
from mcinj.show.tables import interval, number
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


# A median whose 95 % interval is at most this long, in m/n, is precise enough whatever the others are.
PRECISE = 0.1


@dataclass(frozen=True)
class FamilyReport:
    """A family with its bounds and, if there are sizes enough, its extrapolation (else why not).

    basis, median: the size that stands for the family in comparisons at finite n (`basis_of`), and its median.
    """

    family: Family
    bounds: list[Bound]
    extrapolation: Extrapolation | None
    reason: str
    basis: SeriesKey
    median: QuantileEstimate


def examine(family: Family, levels: Mapping[SeriesKey, float] | None = None) -> FamilyReport:
    """Collect what a report says of one family; levels: of single intervals, where series have stopping rules."""
    try:
        limit, reason = extrapolate_family(family, levels=levels), ""
    except (InputError, ArithmeticError) as error:  # too few sizes, or a reference series without its limit
        limit, reason = None, str(error)
    key, median = basis_of(family, levels)
    return FamilyReport(family, bounds_for(family), limit, reason, key, median)


def basis_of(
    family: Family, levels: Mapping[SeriesKey, float] | None = None
) -> tuple[SeriesKey, QuantileEstimate]:
    """The largest size of enough precision, with its median: what a comparison at finite n is made with.

    Enough: an interval of m*/n at most `PRECISE` long, or at most twice as long as the family's shortest. Precision
    alone decides, never where the median lies.
    """
    at = levels or {}
    found = [
        (key, quantile(sample, 0.5, level=at.get(key, 0.95)))
        for key, sample in zip(family.keys, family.samples, strict=True)
    ]
    # An end that too few trials leave open is 0 or ∞.
    lengths = [q.alpha_hi - q.alpha_lo if 0 < q.alpha_lo < math.inf else math.inf for _, q in found]
    enough = max(PRECISE, 2.0 * min(lengths))
    return max((item for item, long in zip(found, lengths, strict=True) if long <= enough), key=lambda f: f[0].n)


def words(found: Comparison, total: tuple[float, float]) -> str:
    """What the data say of a value, its distance in half-widths of the total interval (on the value's side).

    The total interval is what the procedure's tests are about; the combined standard error is not as well founded.
    """
    far = f"{abs(_half_widths(found, total)):.1f} half-widths of the total interval away"
    limit = f"as the limit {found.as_limit} ({far})"
    if found.as_bound is None:
        return limit
    side = "an upper" if found.kind == "upper" else "a lower"
    return f"as {side} bound {found.as_bound}; {limit}"


def _half_widths(found: Comparison, total: tuple[float, float]) -> float:
    """(value - estimate) over the half of the total interval on the value's side; 0 at the estimate itself."""
    middle = found.value - found.difference
    half = total[1] - middle if found.difference > 0 else middle - total[0]
    if half <= 0:
        return math.copysign(math.inf, found.difference) if found.difference else 0.0
    return found.difference / half


def comparison_rows(report: FamilyReport) -> pandas.DataFrame:
    """One row per bound and basis.

    basis `n = N`: the median at the size of `basis_of`, a fact about that n; bounds are about n → ∞, so the row has a
    difference (value - estimate) and no verdict. basis `n → ∞`: the extrapolated limit with its total interval, and the
    verdict of `mcinj.infer.compare` in `words`. A value that is not about the family's law is there for
    comparison only, as its status says, and has no verdict; one that could not be computed has the reason in its place.
    """
    import pandas

    family, median = report.family, report.median
    bases = [(f"n = {report.basis.n}", median.alpha, median.alpha_lo, median.alpha_hi)]
    if report.extrapolation is not None:
        bases.append(("n → ∞", report.extrapolation.estimate, *report.extrapolation.total))
    rows = []
    for basis, estimate, low, high in bases:
        for bound in report.bounds:
            text = "" if bound.known else f"not computed: {bound.reason}"
            if report.extrapolation is not None and basis == "n → ∞" and bound.known and about(bound, family.ensemble):
                text = words(compare(report.extrapolation, bound.name, bound.value, bound.kind), (low, high))
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


def comparison_view(report: FamilyReport) -> pandas.DataFrame:
    """The comparison as a page shows it: one row per bound, differences to both bases side by side."""
    import pandas

    limit = report.extrapolation
    rows = []
    for bound in report.bounds:
        what = standing(bound, [report.family.ensemble])
        if what == bound.status:
            what += {"upper": " upper bound", "lower": " lower bound", "estimate": " estimate"}[bound.kind]
        row = {
            "value of": bound.name + (" (published)" if bound.origin == "published" else ""),
            "m/n": bound.value,
            "standing": what,
            f"minus median, n = {report.basis.n}": bound.value - report.median.alpha,
        }
        if limit is not None:
            row["minus limit"] = bound.value - limit.estimate
            # What is said, and how far off that is; nothing of values about other laws.
            found = compare(limit, bound.name, bound.value, bound.kind) if bound.known else None
            if found is None or not about(bound, report.family.ensemble):
                row |= {"half-widths": math.nan, "as the limit": "", "as a bound": ""}
            else:
                row |= {
                    "half-widths": _half_widths(found, limit.total),
                    "as the limit": str(found.as_limit),
                    "as a bound": str(found.as_bound or ""),
                }
        if any(not b.known for b in report.bounds):
            row["remark"] = "" if bound.known else f"not computed: {bound.reason}"
        rows.append(row)
    return pandas.DataFrame(rows)


def comparison_caption(report: FamilyReport) -> str:
    """What the differences are to."""
    q = report.median
    text = (
        f"Median m*/n at n = {report.basis.n}: {number(q.alpha, 3)} {interval(q.alpha_lo, q.alpha_hi)}, 95 % (the "
        f"largest n with an interval at most {PRECISE:g}, or twice the shortest, long)"
    )
    if report.extrapolation is not None:
        low, high = report.extrapolation.total
        text += f"; extrapolated limit: {report.extrapolation.estimate:.3f}, total interval {interval(low, high)}; "
        text += "half-widths: the difference to the limit over the half of that interval on the value's side"
    return text + ". All values are about n → ∞."
