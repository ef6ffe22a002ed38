"""The draws of one series: threshold widths m*, some known only to lie in an interval.

A trial says ``m_lo < m* <= m_hi``: width ``m_lo`` was proved not injective, width ``m_hi`` proved injective. The
draw is exact when ``m_hi == m_lo + 1``. An empty ``m_hi`` is right-censored (the budget ended first, m* may be
infinite); a trial whose earlier layer fails has m* = infinity exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mcinj.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def _nullable(values: ArrayLike | Iterable[Any], name: str) -> FloatArray:
    """Return values as float64 with NaN for every missing entry (None, NaN, pandas.NA)."""
    if hasattr(values, "to_numpy"):
        return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
    try:
        return np.asarray([np.nan if v is None else float(v) for v in np.asarray(values, dtype=object).ravel()])
    except (TypeError, ValueError):
        raise InputError(f"{name} must hold whole numbers or missing values, got {values!r}") from None


@dataclass(frozen=True, eq=False)
class ThresholdSample:
    """Threshold widths of one series of trials, as intervals ``low < m* <= high``.

    Attributes
    ----------
    n: input dimension.
    low: shape (trials,), float; proved not injective. ``inf`` when m* is infinite, -1 when nothing is known.
    high: shape (trials,), float; proved injective. ``inf`` when right-censored or when m* is infinite.
    failed: shape (trials,), bool; an earlier layer fails, so m* is infinite (an exact draw, not a censored one).
    """

    n: int
    low: FloatArray
    high: FloatArray
    failed: BoolArray

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError(f"n must be at least 1, got {self.n}")
        if self.low.ndim != 1 or self.low.shape != self.high.shape or self.low.shape != self.failed.shape:
            shapes = f"{self.low.shape}, {self.high.shape}, {self.failed.shape}"
            raise InputError(f"m_lo, m_hi and failed must be vectors of one length, got shapes {shapes}")
        if self.low.size == 0:
            raise InputError("a series needs at least one trial, got none: run the experiment first")
        if np.isnan(self.low).any() or np.isnan(self.high).any():
            raise InputError("low and high may not be NaN: build the sample with ThresholdSample.build")
        finite = ~self.failed
        bad = finite & ~(self.high > self.low)
        if bad.any():
            k = int(np.flatnonzero(bad)[0])
            raise InputError(
                f"trial {k} has m_lo = {self.low[k]:g} and m_hi = {self.high[k]:g}: m_lo must be less than m_hi "
                "(a width cannot be proved both injective and not); check the table"
            )
        if not np.isinf(self.low[self.failed]).all() or not np.isinf(self.high[self.failed]).all():
            raise InputError("a trial with failed_layer must have empty m_lo and m_hi: m* is infinite there")
        for name, values in (("m_lo", self.low), ("m_hi", self.high)):
            whole = values[np.isfinite(values)]
            if (whole != np.round(whole)).any():
                raise InputError(f"{name} must hold whole numbers, got {whole[whole != np.round(whole)][0]:g}")

    @classmethod
    def build(
        cls,
        m_lo: ArrayLike | Iterable[Any],
        m_hi: ArrayLike | Iterable[Any],
        n: int,
        *,
        failed: ArrayLike | Iterable[Any] | None = None,
    ) -> ThresholdSample:
        """Read the columns of a trials table.

        m_lo, m_hi: whole numbers or missing (None, NaN, pandas.NA), one per trial. failed: per trial, missing,
        False or 0 when no earlier layer fails, else True or the layer's number.

        >>> s = ThresholdSample.build([4, 5, None], [5, None, None], 2, failed=[None, None, 1])
        >>> s.low.tolist(), s.high.tolist(), s.exact.tolist()
        ([4.0, 5.0, inf], [5.0, inf, inf], [True, False, True])
        """
        low, high = _nullable(m_lo, "m_lo"), _nullable(m_hi, "m_hi")
        if failed is None:
            dead = np.zeros(low.shape, dtype=np.bool_)
        else:
            layer = _nullable(failed, "failed")
            dead = ~np.isnan(layer) & (layer != 0)
        if low.shape != high.shape or low.shape != dead.shape:
            raise InputError(f"m_lo, m_hi, failed differ in length: {low.size}, {high.size}, {dead.size}")
        if (dead & ~(np.isnan(low) & np.isnan(high))).any():
            raise InputError("a trial with failed_layer must have empty m_lo and m_hi: m* is infinite there")
        low = np.where(dead, np.inf, np.where(np.isnan(low), -1.0, low))
        high = np.where(np.isnan(high), np.inf, high)
        return cls(int(n), low, high, dead)

    @property
    def trials(self) -> int:
        """Number of trials."""
        return int(self.low.size)

    @property
    def exact(self) -> BoolArray:
        """Which draws of m* are known exactly, shape (trials,); m* = infinity counts as known."""
        return np.asarray(self.failed | (self.high == self.low + 1), dtype=np.bool_)

    @property
    def censored(self) -> int:
        """Number of trials of which m* is known only up to an interval."""
        return int(np.count_nonzero(~self.exact))

    @property
    def least(self) -> FloatArray:
        """Least possible m* of each trial, shape (trials,)."""
        return self.low + 1

    @property
    def most(self) -> FloatArray:
        """Largest possible m* of each trial, shape (trials,), ``inf`` when right-censored."""
        return self.high

    def take(self, index: IntArray) -> ThresholdSample:
        """The sample of the trials at the given positions (repetitions allowed: a bootstrap resample)."""
        return ThresholdSample(self.n, self.low[index], self.high[index], self.failed[index])


def distinct_pairs(first: FloatArray, second: FloatArray) -> tuple[FloatArray, IntArray]:
    """The different pairs (first[i], second[i]), sorted, shape (k, 2), and how often each occurs, shape (k,)."""
    # As complex numbers: sorted in the same order, and ten times as fast as rows.
    pairs = np.ascontiguousarray(np.column_stack((first, second))).view(np.complex128).ravel()
    distinct, counts = np.unique(pairs, return_counts=True)
    return distinct.view(np.float64).reshape(-1, 2), np.asarray(counts, dtype=np.int64)


@dataclass(frozen=True, order=True)
class SeriesKey:
    """What names a series: all trials with the same four values are draws of one m*."""

    n: int
    widths_before: str
    criterion: str
    ensemble: str

    def label(self) -> str:
        """A short name for legends and messages."""
        before = f", after {self.widths_before}" if self.widths_before else ""
        return f"n = {self.n}{before}, {self.criterion}, {self.ensemble}"


SERIES_COLUMNS = ("n", "widths_before", "criterion", "ensemble")


Series = tuple[SeriesKey, ThresholdSample]


def samples_by_series(table: pd.DataFrame) -> list[Series]:
    """Split a trials table into its series, in the order of their keys.

    table: columns n, widths_before, criterion, ensemble, m_lo, m_hi, failed_layer (failed_layer may be absent).
    Raises InputError when a column is missing. Order of rows does not matter.
    """
    needed = (*SERIES_COLUMNS, "m_lo", "m_hi")
    missing = [c for c in needed if c not in table.columns]
    if missing:
        raise InputError(f"the trials table lacks the column(s) {', '.join(missing)}; it has {list(table.columns)}")
    groups: list[Series] = []
    frame = table.assign(widths_before=table["widths_before"].fillna("").astype(str))
    for values, part in frame.groupby(list(SERIES_COLUMNS), sort=True):
        n, before, criterion, ensemble = map(str, values)
        key = SeriesKey(int(n), before, criterion, ensemble)
        failed = part["failed_layer"] if "failed_layer" in part.columns else None
        groups.append((key, ThresholdSample.build(part["m_lo"], part["m_hi"], key.n, failed=failed)))
    return sorted(groups, key=lambda item: item[0])
