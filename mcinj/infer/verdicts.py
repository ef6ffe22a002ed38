"""An extrapolated limit against a theory value: distance in half-widths of its total interval, and a word.

Two questions are kept apart. *As the limit*: is the published value itself where random networks become injective?
*As a bound*: does the limit lie on the side that the bound says? A rigorous upper bound may stand as a bound and be
excluded as the limit: it is true, but not tight. Half-widths, since the total interval is what is validated on series
with known limits; version 1's combined standard error is about half of what it should be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Protocol

from mcinj.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["upper", "lower", "estimate"]

# Half-widths up to which a value counts as supported, and from which on it counts as excluded (three standard errors of
# a normal law with that 95 % interval).
SUPPORTED_WITHIN = 0.5
EXCLUDED_FROM = 1.5


class Limit(Protocol):
    """What is held against a value: an `Extrapolation` or a `BasisLimit`."""

    @property
    def estimate(self) -> float:
        """The limit found."""

    @property
    def total(self) -> tuple[float, float]:
        """Its interval, systematic errors included."""


class Word(StrEnum):
    """What the data say about a claim."""

    SUPPORTED = "supported"
    EXCLUDED = "excluded"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Comparison:
    """A theory value held against an extrapolation.

    difference: value - estimate. half_widths: difference over the half of the total interval on the value's side
    (signed; positive when the value lies above the data). as_limit: the claim "the limit is this value". as_bound: the
    claim of a bound ("the limit is at most / at least this value"), None for an estimate. interval: the total interval.
    """

    name: str
    value: float
    kind: Kind
    difference: float
    half_widths: float
    as_limit: Word
    as_bound: Word | None
    interval: tuple[float, float]

    @property
    def text(self) -> str:
        """One phrase for tables: "as an upper bound supported; as the limit excluded (4.1 half-widths of … away)"."""
        limit = f"as the limit {self.as_limit} ({abs(self.half_widths):.1f} half-widths of the total interval away)"
        if self.as_bound is None:
            return limit
        side = "an upper" if self.kind == "upper" else "a lower"
        return f"as {side} bound {self.as_bound}; {limit}"


def compare(limit: Limit, name: str, value: float, kind: Kind = "estimate") -> Comparison:
    """Hold one theory value against the extrapolated limit.

    As the limit: *supported* within SUPPORTED_WITHIN half-widths of the estimate; *excluded* from EXCLUDED_FROM on;
    otherwise undecided. Several values may be supported at once: the data then do not tell them apart. As a bound:
    supported when the whole total interval lies on its side; excluded from EXCLUDED_FROM on the wrong side.
    """
    if kind not in ("upper", "lower", "estimate"):
        raise InputError(f"unknown kind of theory value {kind!r}: use 'upper', 'lower' or 'estimate'")
    if not math.isfinite(value):
        raise InputError(f"theory value {name!r} must be finite, got {value}")
    difference = value - limit.estimate
    low, high = limit.total
    half = high - limit.estimate if difference > 0 else limit.estimate - low
    distance = difference / half if half > 0 else math.copysign(math.inf, difference) if difference else 0.0
    if abs(distance) <= SUPPORTED_WITHIN:
        as_limit = Word.SUPPORTED
    elif abs(distance) >= EXCLUDED_FROM:
        as_limit = Word.EXCLUDED
    else:
        as_limit = Word.UNDECIDED
    as_bound: Word | None = None
    if kind != "estimate":
        signed = distance if kind == "upper" else -distance  # positive: the estimate lies on the bound's side
        if signed > 1.0:
            as_bound = Word.SUPPORTED
        elif signed <= -EXCLUDED_FROM:
            as_bound = Word.EXCLUDED
        else:
            as_bound = Word.UNDECIDED
    return Comparison(name, float(value), kind, difference, distance, as_limit, as_bound, (low, high))


def comparison_table(limit: Limit, values: Iterable[tuple[str, float, Kind]]) -> pd.DataFrame:
    """One row per (name, value, kind): name, value, kind, difference, half_widths, as_limit, as_bound, text."""
    import pandas as pd

    rows = [compare(limit, name, value, kind) for name, value, kind in values]
    return pd.DataFrame(
        [
            {
                "name": r.name,
                "value": r.value,
                "kind": r.kind,
                "difference": r.difference,
                "half_widths": r.half_widths,
                "as_limit": str(r.as_limit),
                "as_bound": "" if r.as_bound is None else str(r.as_bound),
                "text": r.text,
            }
            for r in rows
        ],
        columns=["name", "value", "kind", "difference", "half_widths", "as_limit", "as_bound", "text"],
    )
