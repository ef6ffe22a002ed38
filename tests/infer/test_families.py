"""Series are joined across n when one vector of ratios explains their widths."""

from __future__ import annotations

import pandas as pd
import pytest

from mcinj.errors import InputError
from mcinj.infer.families import families


def table(rows: list[tuple[int, str]], ensemble: str = "gaussian") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "n": [n for n, _ in rows],
            "widths_before": [w for _, w in rows],
            "criterion": "regional",
            "ensemble": ensemble,
            "m_lo": pd.array([n for n, _ in rows], dtype="Int64"),
            "m_hi": pd.array([n + 1 for n, _ in rows], dtype="Int64"),
        }
    )


def before(alphas: list[float], n: int) -> str:
    return ",".join(str(round(a * n)) for a in alphas)


def test_three_first_layers_make_three_families() -> None:
    ratios = [[6.7004], [10.0], [20.0]]
    rows = [(n, before(r, n)) for n in range(2, 8) for r in ratios]
    found = families(table(rows))
    assert [f.layers for f in found] == [2, 2, 2]
    for family, ratio in zip(found, ratios, strict=True):
        assert [k.n for k in family.keys] == list(range(2, 8))
        assert [s.n for s in family.samples] == list(range(2, 8))
        assert family.ratios[0][0] <= ratio[0] <= family.ratios[0][1]


def test_depths_and_ensembles_stay_apart() -> None:
    deep = [(n, before([6.7004, 8.267], n)) for n in (2, 3, 4)]
    flat = [(n, "") for n in (2, 3, 4)]
    found = families(pd.concat([table(deep), table(flat), table(flat, "uniform")]))
    assert [(f.layers, f.ensemble, len(f.keys)) for f in found] == [
        (1, "gaussian", 3),
        (1, "uniform", 3),
        (3, "gaussian", 3),
    ]
    assert found[0].label == "gaussian, regional"
    assert found[2].label.startswith("gaussian, regional, after ")


def test_widths_that_no_ratio_explains_are_not_joined() -> None:
    assert len(families(table([(4, "27"), (5, "50")]))) == 2


def test_unreadable_widths_are_named() -> None:
    with pytest.raises(InputError, match="54,67"):
        families(table([(4, "a")]))
