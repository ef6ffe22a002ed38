"""One transition curve per series of a trials table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcinj.infer.curves import TransitionCurve, curve_of
from mcinj.infer.sample import Series, SeriesKey, ThresholdSample, samples_by_series
from mcinj.infer.stopping import parse_rule, sample_under

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class SeriesCurve:
    """A series' key, its draws and its transition curve."""

    key: SeriesKey
    sample: ThresholdSample
    curve: TransitionCurve


def curves_by_series(
    table: pd.DataFrame,
    *,
    level: float = 0.95,
    rules: Mapping[SeriesKey, str] | None = None,
    series: Sequence[Series] | None = None,
) -> list[SeriesCurve]:
    """One transition curve per series (n, widths_before, criterion, ensemble) of a trials table, sorted by key.

    rules: texts of the stopping rules of some series. Their samples end at the stop and their curves have the level
    (`curve.level`) at which the bands cover with `level` under the rule. series: those of the table
    (`samples_by_series`), if they are at hand.
    """
    found = []
    for key, sample in samples_by_series(table) if series is None else series:
        part, at = sample_under(parse_rule(rules[key]), sample, level) if rules and key in rules else (sample, level)
        found.append(SeriesCurve(key, part, curve_of(part, level=at)))
    return found
