"""Findings in words: the sentences at the top of a report of thresholds."""

from __future__ import annotations

from collections.abc import Sequence

from mcinj.infer import Family, compare
from mcinj.infer.verdicts import Word
from mcinj.show.bounds import about
from mcinj.show.comparison import FamilyReport
from mcinj.show.names import family_title
from mcinj.show.tables import interval, number


def threshold_finding(report: FamilyReport) -> str:
    """What was found for one family: the limit if there is one, else the best median; with intervals."""
    family, median = report.family, report.median
    name = family_title(family)
    at = f"at n = {report.basis.n} the median of m*/n is {number(median.alpha, 3)} "
    at += f"{interval(median.alpha_lo, median.alpha_hi)} (95 %, {median.trials:,} trials)"
    if report.extrapolation is None:
        return f"{_capital(name)}: {at}. No limit n → ∞ is read from these sizes: {_short(report.reason)}."
    limit = report.extrapolation
    low, high = limit.total
    sizes = f"n = {min(f.n_min for f in limit.fits)} … {int(limit.points.n.max())}"
    text = (
        f"{_capital(name)}: the median of m*/n tends to {limit.estimate:.2f}, total {100 * limit.level:.0f} % interval "
        f"[{low:.2f}, {high:.2f}], as n → ∞ (extrapolated from {sizes}); {at}."
    )
    if report.second is not None:
        full, logs = report.second.primary, report.second.limits["logs"]
        text += (
            f" Version 2, from the means: {full.estimate:.2f} {interval(*full.total)} with corrections down to n^-2/3, "
            f"{logs.estimate:.2f} {interval(*logs.total)} if there are only logarithms and whole powers."
        )
    told = [
        (bound, compare(limit, bound.name, bound.value, bound.kind))
        for bound in report.bounds
        if bound.known and about(bound, family.ensemble)
    ]
    for lead, chosen in (
        ("Supported as the limit, and not told apart", [b for b, f in told if f.as_limit is Word.SUPPORTED]),
        (
            "They hold as bounds, and are excluded as the limit",
            [b for b, f in told if f.as_limit is Word.EXCLUDED and f.as_bound is Word.SUPPORTED],
        ),
        ("Excluded", [b for b, f in told if f.as_limit is Word.EXCLUDED and f.as_bound is None]),
    ):
        names = _names([f"{b.name.split(' (')[0]} {b.value:.3f}" for b in chosen])
        if names:
            text += f" {lead if len(chosen) > 1 else lead.split(', and not')[0]}: {names}."
    broken = [b.name for b, found in told if found.as_bound is Word.EXCLUDED]
    if broken:
        text += f" The data contradict as a bound: {_names(broken)}."
    return text


def threshold_warnings(reports: Sequence[FamilyReport]) -> list[str]:
    """What takes something back: fits that do not fit, censored draws, networks that fail whatever the last width."""
    found = []
    for report in reports:
        name = family_title(report.family)
        if report.extrapolation is not None and not report.extrapolation.consistent:
            found.append(f"{_capital(name)}: no fit is accepted; look at the residuals before believing the limit.")
        censored = sum(s.censored for s in report.family.samples)
        if censored:
            found.append(
                f"{_capital(name)}: {censored:,} of {_trials(report.family):,} draws ended with their node budget and "
                "are known up to an interval; the curves' dotted lines are their worst cases."
            )
    failed = [(r, sum(int(s.failed.sum()) for s in r.family.samples)) for r in reports]
    lost = [(r, k) for r, k in failed if k]
    if lost:
        shares = [k / _trials(r.family) for r, k in lost]
        some = "all families" if len(lost) == len(reports) else f"{len(lost)} of {len(reports)} families"
        found.append(
            f"In {some} an earlier layer fails by itself in {100 * min(shares):.1f} to {100 * max(shares):.1f} % of "
            "the trials: there m* is infinite, curves level off below 1, and medians include these trials (the "
            "table of all series gives those without them, too)."
        )
    return found


def _trials(family: Family) -> int:
    return sum(s.trials for s in family.samples)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _short(reason: str) -> str:
    """A reason without what is to be done about it."""
    return reason.split("; ")[0].rstrip(".")


def _names(names: Sequence[str]) -> str:
    """Names in a list, the published ones once where a computed value has the same name and digits."""
    return ", ".join(dict.fromkeys(names))
