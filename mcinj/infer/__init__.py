"""From the trials table to statements: transition curves, quantiles, finite-size scaling, tests.

Works on tables only (pandas), runs nothing and draws nothing.
"""

from __future__ import annotations

from mcinj.infer.curves import SeriesCurve, TransitionCurve, curve_of, curves_by_series, transition_curve
from mcinj.infer.quantiles import QuantileEstimate, TransitionWidth, quantile, standard_error, transition_width
from mcinj.infer.sample import SeriesKey, ThresholdSample, samples_by_series
from mcinj.infer.series import summarise

__all__ = [
    "QuantileEstimate",
    "SeriesCurve",
    "SeriesKey",
    "ThresholdSample",
    "TransitionCurve",
    "TransitionWidth",
    "curve_of",
    "curves_by_series",
    "quantile",
    "samples_by_series",
    "standard_error",
    "summarise",
    "transition_curve",
    "transition_width",
]
