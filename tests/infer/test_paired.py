"""Paired gaps between the criteria: a table worked out by hand, coverage on a known law, damaged tables."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from mcinj import InputError
from mcinj.infer import gap_table, paired_gaps


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
    # Differences over n: 2 and 0; Student's t with one degree of freedom at 95 %: 12.7062 standard errors of 1.
    assert gap.gap == pytest.approx(1.0)
    assert gap.gap_hi == pytest.approx(1.0 + 12.7062, abs=1e-3)
    assert gap.no_gap == 0.5
    assert gap_table([gap]).loc[0, "pairs"] == 2


def test_the_interval_covers_a_known_mean() -> None:
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(200):
        steps = rng.poisson(2.0, size=60)
        rows = [trial(k, "regional", 5, n=4) for k in range(60)]
        rows += [trial(k, "global", 5 + int(s), n=4) for k, s in enumerate(steps)]
        (gap,) = paired_gaps(table_of(rows))
        inside += gap.gap_lo <= 0.5 <= gap.gap_hi
    # Binomial(200, 0.95): below 180 with probability 0.002.
    assert inside >= 180


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
