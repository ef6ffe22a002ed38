"""What a report adds for deep networks: gaps, depth, and how a transition sharpens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mcinj
from mcinj.infer import families
from mcinj.show.collapse import sharpening
from mcinj.show.deep import depth_points
from mcinj.show.report import report

CONFIG = {
    "name": "deep",
    "seed": 3,
    "threshold": [
        {"n": 2, "trials": 40},
        {"n": 2, "trials": 40, "expansions_before": [6.7004]},
        {"n": 2, "trials": 40, "expansions_before": [6.7004, 1.2338]},
        {"n": 2, "trials": 40, "expansions_before": [6.7004], "criterion": "global"},
    ],
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("results") / "deep"
    mcinj.run(CONFIG, jobs=1, results=directory)
    return directory


def test_a_report_of_deep_networks_shows_gaps_and_depth(results: Path) -> None:
    made = report([results])
    names = {path.name for path in made.figures}
    assert {"gap.png", "gap.svg", "depth.png", "depth.svg"} <= names
    table = pd.read_parquet(results / "trials.parquet")
    before = table["widths_before"].fillna("")
    chosen = table[before == "13"].pivot(index="trial", columns="criterion", values="m_hi").dropna()
    gaps = pd.read_csv(results / "gaps.csv")
    assert len(gaps) == 1
    assert gaps.loc[0, "pairs"] == len(chosen)
    assert gaps.loc[0, "gap"] == pytest.approx(float((chosen["global"] - chosen["regional"]).mean()) / 2)
    depth = pd.read_csv(results / "depth.csv")
    assert depth["layers"].tolist() == [2, 1, 2, 3]
    # The share that passes at the published width, counted by hand: 2 layers, round(2 * 8.267) = 17 units.
    row = depth[(depth["layers"] == 2) & (depth["criterion"] == "regional")].iloc[0]
    regional = table[(before == "13") & (table["criterion"] == "regional")]
    assert row["published_width"] == 17
    assert row["passing"] == pytest.approx(float((regional["m_hi"].fillna(10**6) <= 17).mean()))
    assert "Between the count criterion and injectivity" in made.page.read_text()


def test_a_chain_is_recognised_by_its_ratios(results: Path) -> None:
    table = pd.read_parquet(results / "trials.parquet")
    points = depth_points(families(table.assign(widths_before=table["widths_before"].replace("13", "20"))))
    assert {p.layers for p in points} == {1, 3}


def test_the_sharpening_of_a_known_law_is_found() -> None:
    rng = np.random.default_rng(1)
    rows = []
    for n in (4, 6, 9, 13, 18):
        # m*/n spread as n^-1/2 about 6: the law of large numbers.
        draws = np.rint(n * 6 + 2.0 * np.sqrt(n) * rng.standard_normal(2000)).astype(int)
        rows += [
            {"n": n, "widths_before": "", "criterion": "regional", "ensemble": "gaussian", "m_lo": m - 1, "m_hi": m,
             "failed_layer": None}
            for m in draws
        ]  # fmt: skip
    (family,) = families(pd.DataFrame(rows))
    found = sharpening(family)
    assert found is not None
    # Seeded; the lattice of widths and 2,000 draws leave an error of about 0.03.
    assert found.exponent == pytest.approx(0.5, abs=0.1)
