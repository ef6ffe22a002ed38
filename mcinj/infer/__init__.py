"""From the trials table to statements: transition curves, quantiles, finite-size scaling, tests.

Works on tables only (pandas), runs nothing and draws nothing.
"""

from __future__ import annotations

from mcinj.infer.curves import SeriesCurve, TransitionCurve, curve_of, curves_by_series, transition_curve
from mcinj.infer.fit_tables import fit_table, fitted_curves, residual_table
from mcinj.infer.points import LocationSeries, locations
from mcinj.infer.quantiles import QuantileEstimate, TransitionWidth, quantile, standard_error, transition_width
from mcinj.infer.reference import ReferenceSeries, reference_series
from mcinj.infer.sample import SeriesKey, ThresholdSample, samples_by_series
from mcinj.infer.scaling import PROCEDURE, Extrapolation, ScalingFit, extrapolate
from mcinj.infer.series import summarise
from mcinj.infer.verdicts import Comparison, Word, compare, comparison_table

__all__ = [
    "PROCEDURE",
    "Comparison",
    "Extrapolation",
    "LocationSeries",
    "QuantileEstimate",
    "ReferenceSeries",
    "ScalingFit",
    "SeriesCurve",
    "SeriesKey",
    "ThresholdSample",
    "TransitionCurve",
    "TransitionWidth",
    "Word",
    "compare",
    "comparison_table",
    "curve_of",
    "curves_by_series",
    "extrapolate",
    "fit_table",
    "fitted_curves",
    "locations",
    "quantile",
    "reference_series",
    "residual_table",
    "samples_by_series",
    "standard_error",
    "summarise",
    "transition_curve",
    "transition_width",
]
