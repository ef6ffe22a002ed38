"""Paired gaps between the criteria: a table worked out by hand, coverage on a known law, damaged tables."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from mcinj import InputError
from mcinj.infer import gap_table, paired_gaps
from mcinj.infer.paired import _mean_interval


def trial(
    number: int, criterion: str, m_hi: int | None, *, n: int = 2, failed: int | None = None, lo: int | None = None
) -> dict[str, object]:
    low = lo if lo is not None else (None if m_hi is None else m_hi - 1)
    return {
        "n": n, "widths_before": "13", "ensemble": "gaussian", "trial": number, "seed": f"1/{n}/{number}",
        "criterion": criterion, "m_lo": low, "m_hi": m_hi, "failed_layer": failed,
    }  # fmt: skip


def table_of(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame(rows).astype({"m_lo": "Int64", "m_hi": "Int64", "failed_layer": "Int64"})


def test_a_table_worked_out_by_hand() -> None:
    rows = [
        trial(0, "regional", 5), trial(0, "global", 9),
        trial(1, "regional", 6), trial(1, "global", 6),
        trial(2, "regional", None, failed=1), trial(2, "global", None, failed=1),
        trial(3, "regional", 7), trial(3, "global", None, failed=2),
        trial(4, "regional", 7), trial(4, "global", None, lo=8),  # right-censored
        trial(5, "regional", 7),  # not drawn with global
    ]  # fmt: skip
    (gap,) = paired_gaps(table_of(rows))
    assert (gap.pairs, gap.never, gap.never_global, gap.undecided) == (2, 1, 1, 1)
    # Differences over n: 2 and 0; no skewness, so Student's t with one degree of freedom: 12.7062 errors of 1.
    assert gap.gap == pytest.approx(1.0)
    assert gap.gap_hi == pytest.approx(1.0 + 12.7062, abs=1e-3)
    assert gap.gap_lo == pytest.approx(1.0 - 12.7062, abs=1e-3)
    assert gap.no_gap == 0.5
    assert gap_table([gap]).loc[0, "pairs"] == 2


@pytest.mark.parametrize("size", [10, 20, 60])
def test_the_interval_covers_the_mean_of_a_skewed_law(size: int) -> None:
    """The law of the gap at n = 2: shares of the steps 0, 1, 2, … in 2,942 pairs. Student's covers .91 at 10."""
    shares = np.array([1233, 634, 431, 288, 156, 88, 56, 29, 10, 8, 5, 2, 0, 1, 0, 0, 1])
    mean = float(shares @ np.arange(shares.size)) / shares.sum()
    drawn = np.random.default_rng(5).choice(shares.size, size=(2000, size), p=shares / shares.sum()).astype(float)
    inside = 0
    for values in drawn:
        _, low, high = _mean_interval(values, 0.95)
        inside += low <= mean <= high
    # Binomial(2000, 0.95): below 1,870 with probability 0.002.
    assert inside >= 1870


def test_halls_interval_by_hand() -> None:
    values = np.array([0.0, 0.0, 0.0, 0.0, 5.0])
    mean, low, high = _mean_interval(values, 0.95)
    # Skewness 1.5, mean 1, standard deviation 2; upper end: u + u²/2 + u³/12 + 1.5/30 = -2.776445/2 on the way back.
    u = (1.0 - high) / 2.0
    assert u + 0.5 * u**2 + u**3 / 12 + 0.05 == pytest.approx(-2.776445 / 2, abs=1e-5)
    assert mean == 1.0
    assert low == pytest.approx(1.0 - 2.776445, abs=1e-5)  # here Student's is the wider one below
    assert math.isnan(_mean_interval(np.full(5, 2.0), 0.95)[1])


def test_one_layer_tables_have_no_gaps_and_one_pair_no_interval() -> None:
    rows = [trial(0, "regional", 5), trial(0, "global", 6)]
    (gap,) = paired_gaps(table_of(rows))
    assert gap.gap == 0.5
    assert math.isnan(gap.gap_lo)
    single = table_of(rows).assign(widths_before="")
    assert paired_gaps(single) == []


def test_a_global_threshold_below_the_regional_one_is_refused() -> None:
    with pytest.raises(InputError, match="passes global before"):
        paired_gaps(table_of([trial(0, "regional", 6), trial(0, "global", 5)]))
