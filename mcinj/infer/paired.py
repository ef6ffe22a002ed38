"""How much wider the last layer must be to pass `global` than to pass `regional`: differences of paired draws.

Trials of one n share their streams over criteria: the same earlier layers, the same rows. So each trial gives a
difference m*_global - m*_regional >= 0, with far less noise than the difference of two medians.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mcinj.errors import InputError
from mcinj.infer.intervals import check_level, student_quantile

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "n",
    "widths_before",
    "ensemble",
    "pairs",
    "gap",
    "gap_lo",
    "gap_hi",
    "no_gap",
    "never",
    "never_global",
    "undecided",
)


@dataclass(frozen=True)
class Gap:
    """Mean of (m*_global - m*_regional)/n over the trials in which both are finite.

    Attributes
    ----------
    n, widths_before, ensemble: the series.
    pairs: trials with both finite and known. gap, gap_lo, gap_hi: mean and its interval, for skewed laws (nan below
        two pairs, or where all are equal).
    no_gap: share of these pairs in which both thresholds are equal.
    never: trials in which neither is ever passed (an earlier layer fails), never_global: in which only `regional` is.
    undecided: trials in which the node budget left one of the two open; they are in none of the other numbers.
    """

    n: int
    widths_before: str
    ensemble: str
    pairs: int
    gap: float
    gap_lo: float
    gap_hi: float
    no_gap: float
    never: int
    never_global: int
    undecided: int


def paired_gaps(table: pd.DataFrame, *, level: float = 0.95) -> list[Gap]:
    """Gaps of all series of deep networks that were drawn with both criteria, sorted by earlier widths and n.

    table: trials; trials are paired by n, earlier widths, ensemble, trial and seed. Raises `InputError` for a pair
    whose global threshold is proved below its regional one: that cannot be, so the table is damaged.
    """
    import pandas as pd

    check_level(level)
    deep = table[table["widths_before"].fillna("").astype(str) != ""]
    on = ["n", "widths_before", "ensemble", "trial", "seed"]
    some = [*on, "m_lo", "m_hi", "failed_layer"]
    both = pd.merge(
        deep.loc[deep["criterion"] == "regional", some],
        deep.loc[deep["criterion"] == "global", some],
        on=on,
        suffixes=("", "_global"),
    )
    gaps = []
    for values, part in both.groupby(["n", "widths_before", "ensemble"], sort=True):
        n, before, ensemble = int(str(values[0])), str(values[1]), str(values[2])
        failed, failed_global = part["failed_layer"].notna().to_numpy(), part["failed_layer_global"].notna().to_numpy()
        exact = _exact(part["m_lo"], part["m_hi"]) | failed
        exact_global = _exact(part["m_lo_global"], part["m_hi_global"]) | failed_global
        known = exact & exact_global
        finite = known & ~failed & ~failed_global
        steps = (part["m_hi_global"].astype("Float64") - part["m_hi"].astype("Float64")).to_numpy(
            float, na_value=math.nan
        )
        steps = steps[finite]
        if (steps < 0).any() or (known & failed & ~failed_global).any():
            raise InputError(
                f"n = {n}, after {before}: a trial passes global before it passes regional; the table is wrong"
            )
        middle, low, high = _mean_interval(steps / n, level)
        gaps.append(
            Gap(
                n=n,
                widths_before=before,
                ensemble=ensemble,
                pairs=int(finite.sum()),
                gap=middle,
                gap_lo=low,
                gap_hi=high,
                no_gap=float((steps == 0).mean()) if steps.size else math.nan,
                never=int((known & failed & failed_global).sum()),
                never_global=int((known & ~failed & failed_global).sum()),
                undecided=int((~known).sum()),
            )
        )
    return sorted(gaps, key=lambda g: ([int(w) / g.n for w in g.widths_before.split(",")], g.n))


def gap_table(gaps: list[Gap]) -> pd.DataFrame:
    """The gaps as a table with the columns of `Gap`."""
    import pandas as pd

    return pd.DataFrame([[getattr(g, c) for c in COLUMNS] for g in gaps], columns=list(COLUMNS))


def _exact(low: pd.Series, high: pd.Series) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    step = high.astype("Float64") - low.astype("Float64")
    return np.asarray((step == 1).fillna(False).to_numpy(bool), dtype=np.bool_)


def _mean_interval(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], level: float
) -> tuple[float, float, float]:
    """Mean with the hull of Student's interval and Hall's for skewed laws (J. R. Stat. Soc. B 54, 1992).

    Gaps are skewed: Student's interval alone covers 91 % at ten values of the law at n = 2, nearly all misses above it.
    Hall's turns the studentised mean into one without skewness by a monotone cubic; both with Student's quantiles. Of
    equal values nothing is known: no interval.
    """
    size = values.size
    if size == 0:
        return math.nan, math.nan, math.nan
    mean, spread = float(values.mean()), float(values.std())
    if size < 2 or spread == 0.0:
        return mean, math.nan, math.nan
    quantile = student_quantile(0.5 + level / 2, size - 1) / math.sqrt(size - 1)
    skew = float(np.mean((values - mean) ** 3)) / spread**3

    def inverse(y: float) -> float:
        """Of u + a u² + a² u³/3 + skew/(6 size), a = skew/3."""
        a, right = skew / 3.0, y - skew / (6.0 * size)
        return right if abs(a) < 1e-6 else (float(np.cbrt(1.0 + 3.0 * a * right)) - 1.0) / a

    low, high = max(quantile, inverse(quantile)), min(-quantile, inverse(-quantile))
    return mean, mean - spread * low, mean - spread * high
