"""From the trials table to statements: transition curves, quantiles, finite-size scaling, tests.

Works on tables only (pandas), runs nothing and draws nothing.
"""

from __future__ import annotations

from mcinj.infer.celltest import CellTest, cell_tests, mean_test, overall_p
from mcinj.infer.collapse import WidthScaling, collapse_quality, collapse_table, width_scaling
from mcinj.infer.curves import TransitionCurve, curve_of, transition_curve
from mcinj.infer.families import Family, extrapolate_family, extrapolate_family_means, families
from mcinj.infer.fit_tables import fit_table, fitted_curves, residual_table
from mcinj.infer.means import MeanSeries, SearchedMean, means
from mcinj.infer.paired import Gap, gap_table, paired_gaps
from mcinj.infer.points import LocationSeries, locations
from mcinj.infer.quantiles import QuantileEstimate, TransitionWidth, quantile, standard_error, transition_width
from mcinj.infer.reference import ReferenceSeries, reference_series
from mcinj.infer.regularised import BasisLimit, MeanExtrapolation, extrapolate_means
from mcinj.infer.sample import SeriesKey, ThresholdSample, samples_by_series
from mcinj.infer.scaling import PROCEDURE, Extrapolation, ScalingFit, extrapolate
from mcinj.infer.series import summarise
from mcinj.infer.series_curves import SeriesCurve, curves_by_series
from mcinj.infer.stopping import Decision, FixedCount, WidthTarget, decide, doubling_looks, parse_rule
from mcinj.infer.verdicts import Comparison, Word, compare, comparison_table

__all__ = [
    "PROCEDURE",
    "BasisLimit",
    "CellTest",
    "Comparison",
    "Decision",
    "Extrapolation",
    "Family",
    "FixedCount",
    "Gap",
    "LocationSeries",
    "MeanExtrapolation",
    "MeanSeries",
    "QuantileEstimate",
    "ReferenceSeries",
    "ScalingFit",
    "SearchedMean",
    "SeriesCurve",
    "SeriesKey",
    "ThresholdSample",
    "TransitionCurve",
    "TransitionWidth",
    "WidthScaling",
    "WidthTarget",
    "Word",
    "cell_tests",
    "collapse_quality",
    "collapse_table",
    "compare",
    "comparison_table",
    "curve_of",
    "curves_by_series",
    "decide",
    "doubling_looks",
    "extrapolate",
    "extrapolate_family",
    "extrapolate_family_means",
    "extrapolate_means",
    "families",
    "fit_table",
    "fitted_curves",
    "gap_table",
    "locations",
    "mean_test",
    "means",
    "overall_p",
    "paired_gaps",
    "parse_rule",
    "quantile",
    "reference_series",
    "residual_table",
    "samples_by_series",
    "standard_error",
    "summarise",
    "transition_curve",
    "transition_width",
    "width_scaling",
]
