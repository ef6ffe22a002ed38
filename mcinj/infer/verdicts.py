"""An extrapolated limit against a theory value: distance in combined standard errors, and a word.

Two questions are kept apart. *As the limit*: is the published value itself where random networks become injective?
*As a bound*: does the limit lie on the side that the bound says? A rigorous upper bound may stand as a bound and be
excluded as the limit: it is true, but not tight.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from mcinj.errors import InputError
from mcinj.infer.scaling import Extrapolation

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["upper", "lower", "estimate"]

# Combined standard errors up to which a value counts as supported, and from which on it may count as excluded.
SUPPORTED_WITHIN = 1.0
EXCLUDED_FROM = 3.0


class Word(StrEnum):
    """What the data say about a claim."""

    SUPPORTED = "supported"
    EXCLUDED = "excluded"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Comparison:
    """A theory value held against an extrapolation.

    difference: value - estimate. standard_errors: difference over the combined standard error (signed; positive
    when the value lies above the data). as_limit: the claim "the limit is this value". as_bound: the claim of a bound
    ("the limit is at most / at least this value"), None for an estimate. interval: the total interval used.
    """

    name: str
    value: float
    kind: Kind
    difference: float
    standard_errors: float
    as_limit: Word
    as_bound: Word | None
    interval: tuple[float, float]

    @property
    def text(self) -> str:
        """One phrase for tables: "excluded by 4.1 standard errors as the limit; supported as an upper bound"."""
        k = abs(self.standard_errors)
        limit = {
            Word.EXCLUDED: f"excluded by {k:.1f} standard errors",
            Word.SUPPORTED: f"supported ({k:.1f} standard errors away)",
            Word.UNDECIDED: f"undecided ({k:.1f} standard errors away)",
        }[self.as_limit]
        if self.as_bound is None:
            return limit
        side = "an upper" if self.kind == "upper" else "a lower"
        return f"as {side} bound {self.as_bound}; as the limit {limit}"


def compare(extrapolation: Extrapolation, name: str, value: float, kind: Kind = "estimate") -> Comparison:
    """Hold one theory value against the extrapolated limit.

    As the limit: *supported* within SUPPORTED_WITHIN combined standard errors of the estimate; *excluded* when at least
    EXCLUDED_FROM away and outside the total interval; otherwise undecided. Several values may be supported at once: the
    data then do not tell them apart. As a bound: supported when the whole total interval lies on its side;
    excluded when the value lies EXCLUDED_FROM on the wrong side and outside the total interval.
    """
    if kind not in ("upper", "lower", "estimate"):
        raise InputError(f"unknown kind of theory value {kind!r}: use 'upper', 'lower' or 'estimate'")
    if not math.isfinite(value):
        raise InputError(f"theory value {name!r} must be finite, got {value}")
    difference = value - extrapolation.estimate
    error = extrapolation.standard_error
    distance = difference / error if error > 0 else math.copysign(math.inf, difference) if difference else 0.0
    low, high = extrapolation.total
    outside = not low <= value <= high
    if abs(distance) <= SUPPORTED_WITHIN:
        as_limit = Word.SUPPORTED
    elif abs(distance) >= EXCLUDED_FROM and outside:
        as_limit = Word.EXCLUDED
    else:
        as_limit = Word.UNDECIDED
    as_bound: Word | None = None
    if kind != "estimate":
        signed = distance if kind == "upper" else -distance  # positive: the estimate lies on the bound's side
        if outside and signed > 0:
            as_bound = Word.SUPPORTED
        elif outside and signed <= -EXCLUDED_FROM:
            as_bound = Word.EXCLUDED
        else:
            as_bound = Word.UNDECIDED
    return Comparison(name, float(value), kind, difference, distance, as_limit, as_bound, (low, high))


def comparison_table(extrapolation: Extrapolation, values: Iterable[tuple[str, float, Kind]]) -> pd.DataFrame:
    """One row per (name, value, kind): name, value, kind, difference, standard_errors, as_limit, as_bound, text."""
    import pandas as pd

    rows = [compare(extrapolation, name, value, kind) for name, value, kind in values]
    return pd.DataFrame(
        [
            {
                "name": r.name,
                "value": r.value,
                "kind": r.kind,
                "difference": r.difference,
                "standard_errors": r.standard_errors,
                "as_limit": str(r.as_limit),
                "as_bound": "" if r.as_bound is None else str(r.as_bound),
                "text": r.text,
            }
            for r in rows
        ],
        columns=["name", "value", "kind", "difference", "standard_errors", "as_limit", "as_bound", "text"],
    )
