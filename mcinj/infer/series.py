"""One row per series: what `summary.csv` holds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mcinj.infer.quantiles import QuantileEstimate, quantile, transition_width
from mcinj.infer.sample import Series, SeriesKey, ThresholdSample
from mcinj.infer.series_curves import curves_by_series

if TYPE_CHECKING:
    import pandas as pd

SUMMARY_COLUMNS = (
    "n",
    "widths_before",
    "criterion",
    "ensemble",
    "trials",
    "censored",
    "failed",
    "median",
    "median_lo",
    "median_hi",
    "median_discrete",
    "median_finite",
    "median_finite_lo",
    "median_finite_hi",
    "mean",
    "mean_se",
    "sd",
    "q10",
    "q90",
    "width",
    "width_lo",
    "width_hi",
    "level",
    "rule",
)


def summarise(
    table: pd.DataFrame,
    *,
    level: float = 0.95,
    rules: Mapping[SeriesKey, str] | None = None,
    series: Sequence[Series] | None = None,
) -> pd.DataFrame:
    """Summary of a trials table, one row per series, in units of m*/n.

    Columns: the series' key; trials, censored, failed (counts); median with its interval (interpolated in m) and
    median_discrete; median_finite with its interval, over the trials in which m* is finite (no earlier layer fails;
    NaN where one always does); mean, its standard error and sd over trials (NaN where a draw is censored or infinite:
    a mean of the others would be biased); q10, q90 (interpolated); width = q90 - q10 with a bootstrap interval; level.

    rules: texts of stopping rules (`mcinj.infer.stopping`) of the series that had one. Such a series is summarised by
    the trials up to its stop, its intervals are valid under the rule, and the column `rule` holds the text.

    series: those of the table (`samples_by_series`), if they are at hand.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    texts = rules or {}
    for item in curves_by_series(table, level=level, rules=rules, series=series):
        key, sample, curve = item.key, item.sample, item.curve
        n = key.n
        middle = quantile(sample, 0.5, level=curve.level, curve=curve)
        finite = _finite_median(sample, curve.level, middle)
        spread = transition_width(sample, level=curve.level)
        mean, se, sd = moments(sample)
        rows.append(
            {
                "n": n,
                "widths_before": key.widths_before,
                "criterion": key.criterion,
                "ensemble": key.ensemble,
                "trials": curve.trials,
                "censored": curve.censored,
                "failed": curve.failed,
                "median": middle.alpha,
                "median_lo": middle.alpha_lo,
                "median_hi": middle.alpha_hi,
                "median_discrete": middle.discrete / n,
                "median_finite": finite[0],
                "median_finite_lo": finite[1],
                "median_finite_hi": finite[2],
                "mean": mean / n,
                "mean_se": se / n,
                "sd": sd / n,
                "q10": quantile(sample, 0.1, level=curve.level, curve=curve).alpha,
                "q90": quantile(sample, 0.9, level=curve.level, curve=curve).alpha,
                "width": spread.width / n,
                "width_lo": spread.lo / n,
                "width_hi": spread.hi / n,
                "level": level,
                "rule": texts.get(key, ""),
            }
        )
    return pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS))


def _finite_median(sample: ThresholdSample, level: float, middle: QuantileEstimate) -> tuple[float, float, float]:
    """Median of m*/n over the trials with finite m*, and its interval; `middle` is the median over all."""
    if sample.failed.any():
        left = np.flatnonzero(~sample.failed)
        if not left.size:
            return math.nan, math.nan, math.nan
        middle = quantile(sample.take(left), 0.5, level=level)
    return middle.alpha, middle.alpha_lo, middle.alpha_hi


def moments(sample: ThresholdSample) -> tuple[float, float, float]:
    """Mean of m*, its standard error, and the standard deviation of m*, in widths.

    All NaN when any draw is censored or infinite; the last two NaN for a single trial.
    """
    if not (sample.exact & ~sample.failed).all():
        return math.nan, math.nan, math.nan
    mean = float(np.mean(sample.high))
    if sample.trials < 2:
        return mean, math.nan, math.nan
    sd = float(np.std(sample.high, ddof=1))
    return mean, sd / math.sqrt(sample.trials), sd
