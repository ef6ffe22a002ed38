"""Data against theory, one row per bound: estimate, interval, value, difference, and a word."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcinj.errors import InputError
from mcinj.infer import (
    BasisLimit,
    Extrapolation,
    Family,
    MeanExtrapolation,
    QuantileEstimate,
    SeriesKey,
    compare,
    extrapolate_family,
    extrapolate_family_means,
    quantile,
)
from mcinj.infer.verdicts import Limit
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
    second: version 2 of the limit, from means, with the reason where there is none.
    """

    family: Family
    bounds: list[Bound]
    extrapolation: Extrapolation | None
    reason: str
    basis: SeriesKey
    median: QuantileEstimate
    second: MeanExtrapolation | None = None
    second_reason: str = ""


def examine(family: Family, levels: Mapping[SeriesKey, float] | None = None) -> FamilyReport:
    """Collect what a report says of one family; levels: of single intervals, where series have stopping rules."""
    try:
        limit, reason = extrapolate_family(family, levels=levels), ""
    except (InputError, ArithmeticError) as error:  # too few sizes, or a reference series without its limit
        limit, reason = None, str(error)
    try:
        second, why = extrapolate_family_means(family, levels=levels), ""
    except InputError as error:
        second, why = None, str(error)
    key, median = basis_of(family, levels)
    return FamilyReport(family, bounds_for(family), limit, reason, key, median, second, why)


def basis_of(family: Family, levels: Mapping[SeriesKey, float] | None = None) -> tuple[SeriesKey, QuantileEstimate]:
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


def comparison_rows(report: FamilyReport) -> pandas.DataFrame:
    """One row per bound and basis.

    basis `n = N`: the median at the size of `basis_of`, a fact about that n; bounds are about n → ∞, so the row has a
    difference (value - estimate) and no verdict. basis `n → ∞`: the extrapolated limit with its total interval, and the
    verdict of `mcinj.infer.compare`; `n → ∞, version 2`: the same of the means' extrapolation (full basis). A value
    that is not about the family's law is there for comparison only, as its status says, and has no verdict; one that
    could not be computed has the reason in its place.
    """
    import pandas

    family, median = report.family, report.median
    limits: dict[str, Limit] = {}
    if report.extrapolation is not None:
        limits["n → ∞"] = report.extrapolation
    if report.second is not None:
        limits["n → ∞, version 2"] = report.second.primary
    bases = [(f"n = {report.basis.n}", median.alpha, median.alpha_lo, median.alpha_hi)]
    bases += [(basis, limit.estimate, *limit.total) for basis, limit in limits.items()]
    rows = []
    for basis, estimate, low, high in bases:
        for bound in report.bounds:
            text = "" if bound.known else f"not computed: {bound.reason}"
            if basis in limits and bound.known and about(bound, family.ensemble):
                text = compare(limits[basis], bound.name, bound.value, bound.kind).text
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
        if report.extrapolation is not None:
            row |= _verdict(bound, report.extrapolation, report.family.ensemble, "")
        if report.second is not None:
            row |= _verdict(bound, report.second.primary, report.family.ensemble, " (2)")
        if any(not b.known for b in report.bounds):
            row["remark"] = "" if bound.known else f"not computed: {bound.reason}"
        rows.append(row)
    return pandas.DataFrame(rows)


def _verdict(bound: Bound, limit: Limit, ensemble: str, suffix: str) -> dict[str, float | str]:
    """What is said of a value, and how far off it is; nothing of values about other laws."""
    found = compare(limit, bound.name, bound.value, bound.kind) if bound.known else None
    told = found is not None and about(bound, ensemble)
    return {
        f"minus limit{suffix}": bound.value - limit.estimate,
        f"half-widths{suffix}": found.half_widths if told and found else math.nan,
        f"as the limit{suffix}": str(found.as_limit) if told and found else "",
        f"as a bound{suffix}": str(found.as_bound or "") if told and found else "",
    }


ASSUMED = {
    "logs": "corrections ln n/n, 1/n and smaller: what counting gives",
    "full": "also n^-2/3 and n^-4/3: edges of spectra, mean-field spin glasses",
    "wide": "also n^-1/2",
}


def limits_view(report: FamilyReport) -> pandas.DataFrame:
    """Both versions of the extrapolation side by side, version 2 under each assumption; empty without any."""
    import pandas

    rows: list[tuple[str, str, str, Extrapolation | BasisLimit, bool]] = []
    if report.extrapolation is not None:
        limit = report.extrapolation
        rows.append(("1", "medians", f"hull of {len(limit.fits)} three-parameter fits", limit, limit.consistent))
    if report.second is not None:
        for name, found in report.second.limits.items():
            mark = f"{name}: {ASSUMED[name]}" + (" (the answer)" if found is report.second.primary else "")
            rows.append(("2", "means", mark, found, found.consistent))
    return pandas.DataFrame(
        [
            {
                "version": version,
                "of": what,
                "assumed": assumed,
                "limit": limit.estimate,
                "95 %": interval(*limit.total),
                "half-width": (limit.total[1] - limit.total[0]) / 2.0,
                "statistical error": limit.statistical,
                "fits": "" if consistent else "not consistent with the data",
            }
            for version, what, assumed, limit, consistent in rows
        ]
    )


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
    if report.second is not None:
        found = report.second.primary
        text += f"; (2): version 2, from means, {found.estimate:.3f} {interval(*found.total)}"
    return text + ". All values are about n → ∞."
