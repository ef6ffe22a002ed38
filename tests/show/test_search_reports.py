"""Reports of searches and of experiments with a stopping rule: what the numbers are, that every figure is there."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mcinj
from mcinj import InputError
from mcinj.experiment.store import read_table
from mcinj.infer import SeriesKey, ThresholdSample, quantile, summarise
from mcinj.show.report import report
from mcinj.show.rules import look_levels, recorded_rules, stopped_table
from mcinj.show.searched_margin import calibration
from mcinj.theory import expected_cells, ground_state_curve, plain_rdt, two_rsb

CONFIGS: dict[str, dict[str, Any]] = {
    "probe": {"name": "p", "seed": 7, "probe": [{"n": [3, 5], "trials": 3, "moves": [100, 400]}]},
    "searched": {"name": "s", "seed": 7, "searched": [{"n": [3, 5], "trials": 5, "moves": 60, "runs": 3}]},
    "searched_deep": {
        "name": "d",
        "seed": 13,
        "searched": [
            {"n": [2, 3], "trials": 12, "moves": 60, "runs": 3, "expansions_before": [4.0]},
            {"n": 3, "trials": 5, "moves": 60, "runs": 2, "expansions_before": [6.7004, 1.2338]},
        ],
    },
    "searched_global": {
        "name": "g",
        "seed": 13,
        "searched": [
            {"n": [2, 3], "trials": 6, "moves": 300, "runs": 2, "expansions_before": [6.7004], "criterion": "global"},
            {"n": 2, "trials": 3, "moves": 300, "runs": 2, "widths_before": [13, 17], "criterion": "global"},
        ],
    },
    "active": {"name": "a", "seed": 7, "active": [{"n": [2, 3, 4], "trials": 30, "ratios": [2.0, 3.0, 5.0]}]},
    "margin": {"name": "m", "seed": 7, "margin": [{"n": [2, 3, 4], "trials": 8, "ratios": [2.0, 6.0]}]},
    "searched_margin": {
        "name": "w",
        "seed": 7,
        "margin": [{"n": [2, 3, 4], "trials": 8, "ratios": [2.0, 6.0], "moves": [10, 60], "runs": 3}],
    },
    "cells": {"name": "c", "seed": 7, "cells": [{"n": [2, 3], "trials": 60, "ratios": [3.0]}]},
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_reports(kind: str, tmp_path: Path) -> None:
    table = mcinj.run(CONFIGS[kind], jobs=1, results=tmp_path)
    made = report([tmp_path])
    assert len(made.figures) == (6 if kind == "searched_margin" else 4)
    assert all(path.stat().st_size > 5000 for path in made.figures)
    assert {path.suffix for path in made.figures} == {".png", ".svg"}
    assert "<svg" in made.page.read_text(encoding="utf-8")
    summary = pd.read_csv(tmp_path / "summary.csv")
    if kind == "probe":
        part = table[(table["n"] == 5) & (table["moves"] == 400)]
        row = summary[(summary["n"] == 5) & (summary["moves"] == 400)].iloc[0]
        assert row["mean"] == pytest.approx(part["m_found"].mean() / 5)
        assert row["least"] * 5 == part["m_found"].min()
    elif kind == "searched":
        best = table[table["n"] == 5].groupby("trial")["m_found"].max()
        row = summary[summary["n"] == 5].iloc[0]
        assert row["mean"] == pytest.approx((best.mean() + 1) / 5)
        assert row["se"] == pytest.approx(best.std() / 5 / np.sqrt(5))
        assert row["mean_lo"] < row["mean"] < row["mean_hi"]
        assert "Searched, not proved" in made.page.read_text(encoding="utf-8")
    elif kind == "searched_deep":
        part = table[(table["n"] == 2) & (table["widths_before"] == "8")]
        lost = set(part[part["failed_layer"].notna()]["trial"])
        best = part[~part["trial"].isin(lost)].groupby("trial")["m_found"].max().astype(float)
        row = summary[(summary["n"] == 2) & (summary["widths_before"] == "8")].iloc[0]
        assert row["failed"] == len(lost) > 0
        assert row["streams"] == 12 - len(lost)
        assert row["mean"] == pytest.approx((best.mean() + 1) / 2)
        assert summary["layers"].tolist() == [2, 2, 3]
        text = made.page.read_text(encoding="utf-8")
        assert "Searched, not proved" in text
        assert "2RSB, behind 1 wide layer 6.440 (heuristic)" in text
        assert "published deep table 8.267 (reference)" in text
    elif kind == "searched_margin":
        part = table[(table["n"] == 3) & (table["m"] == 18) & (table["moves"] == 60)]
        best = part.groupby("trial")["margin_hi"].min()
        row = summary[(summary["n"] == 3) & (summary["m"] == 18) & (summary["moves"] == 60)].iloc[0]
        assert row["mean"] == pytest.approx(best.mean(), abs=1e-8)
        assert row["se"] == pytest.approx(best.std() / np.sqrt(8), abs=1e-8)
        assert row["mean_lo"] < row["mean"] < row["mean_hi"]
        assert row["share_positive"] == (best > 0).mean()
        ordered = np.sort(part.pivot(index="trial", columns="run", values="margin_hi").to_numpy(), axis=1)
        assert row["miss_gap"] == pytest.approx((ordered[:, 1] - ordered[:, 0]).mean(), abs=1e-8)
        assert "Searched, not proved" in made.page.read_text(encoding="utf-8")
    elif kind == "searched_global":
        part = table[(table["n"] == 3) & table["failed_layer"].isna()]
        best = part.groupby("trial")["m_found"].max().astype(float)
        row = summary[summary["n"] == 3].iloc[0]
        assert row["mean"] == pytest.approx((best.mean() + 1) / 3)
        text = made.page.read_text(encoding="utf-8")
        assert "Searched global thresholds of layer 2" in text
        assert "2RSB" not in text  # theory is about the count criterion
    elif kind == "margin":
        row = summary[(summary["n"] == 3) & (summary["m"] == 18)].iloc[0]
        part = table[(table["n"] == 3) & (table["m"] == 18)]
        middle = (part["margin_lo"] + part["margin_hi"]) / 2
        assert row["median"] == pytest.approx(middle.median())
        assert row["median_lo"] == pytest.approx(part["margin_lo"].min())  # of 8, the least and the largest
        assert row["median_hi"] == pytest.approx(part["margin_hi"].max())
        assert row["share_positive"] == (part["margin_lo"] > 0).mean()
        for name, value in (("plain_rdt", plain_rdt), ("two_rsb", two_rsb)):  # the curve and the equation
            assert value(level=row[name]).value == pytest.approx(6.0, abs=0.01)
    elif kind == "active":
        row = summary[(summary["n"] == 4) & (summary["m"] == 12)].iloc[0]
        least = table[(table["n"] == 4) & (table["m"] == 12)]["active_lo"] / 4
        half = 2.045 * least.std() / np.sqrt(30)  # Student's t, 29 degrees of freedom
        assert row["mean"] == pytest.approx(least.mean())
        assert row["mean_hi"] - row["mean"] == pytest.approx(half, rel=1e-3)
        assert row["rs"] == pytest.approx(float(ground_state_curve([3.0]).rs[0]))
        assert row["share_at_least_n"] == (least >= 1).mean()
    else:
        for row in summary.itertuples():
            part = table[(table["n"] == row.n) & (table["j"] == row.j)]
            assert row.expected == pytest.approx(float(expected_cells(row.m, row.n, row.j)))
            assert row.mean == pytest.approx(part["cells"].mean())
        assert summary["overall_p"].iloc[0] > 1e-3
    assert "report of several" not in made.page.read_text(encoding="utf-8")


def test_margins_of_dependent_rows_are_told_without_noise(tmp_path: Path) -> None:
    block = {"n": [2, 3], "trials": 8, "ratios": [1.5, 4.0], "ensemble": "sparse:0.4", "tolerance": 0.01}
    table = mcinj.run({"name": "m", "seed": 1, "margin": [block]}, jobs=1, results=tmp_path)
    assert np.isneginf(table["margin_lo"]).any()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        report([tmp_path])
    summary = pd.read_csv(tmp_path / "summary.csv")
    for row in summary.itertuples():
        part = table[(table["n"] == row.n) & (table["m"] == row.m)]
        middle = np.sort((part["margin_lo"] + part["margin_hi"]) / 2)
        if np.isneginf(middle[0]):
            assert np.isnan(row.mean_lo)
            assert row.q10 == pytest.approx(middle[0])  # 10 % of 8: the least
            assert row.q90 == pytest.approx(middle[-1])


def test_searched_margins_beside_enclosed_ones(tmp_path: Path) -> None:
    searched = mcinj.run(CONFIGS["searched_margin"], jobs=1, results=tmp_path / "searched")
    proved = mcinj.run(CONFIGS["margin"], jobs=1, results=tmp_path / "proved")
    found = calibration(searched, proved).set_index(["n", "m", "moves"])
    assert len(found) == 3 * 2 * 2
    assert (found["below"] == 0).all()
    both = searched[searched["moves"] == 10].merge(proved, on=["n", "m", "trial"], suffixes=("", "_proved"))
    best = both[(both["n"] == 4) & (both["m"] == 24)].groupby("trial")[["margin_hi", "margin_hi_proved"]].min()
    excess = best["margin_hi"] - best["margin_hi_proved"]
    assert found.loc[(4, 24, 10), "miss"] == pytest.approx(excess.mean(), abs=1e-8)
    assert found.loc[(4, 24, 10), "missed"] == (excess > 1e-9).mean() > 0
    # A searched value below the enclosure would be seen.
    lying = searched.assign(margin_hi=searched["margin_hi"] - 1.0)
    assert (calibration(lying, proved)["below"] > 0).all()
    axes = mcinj.plot.searched_margin(searched, proved=proved)
    labels = axes.get_legend_handles_labels()[1]
    assert labels == ["searched, n = 2", "searched, n = 3", "searched, n = 4", *(f"proved, n = {n}" for n in (2, 3, 4))]
    with pytest.raises(InputError, match=r"plot\.margin"):
        mcinj.plot.searched_margin(proved)


def test_a_lying_enumeration_is_found(tmp_path: Path) -> None:
    from mcinj.show.cells import cells_tests

    config = {"name": "c", "seed": 7, "cells": [{"n": 3, "trials": 1500, "ratios": [4.0]}]}
    table = mcinj.run(config, jobs=1, results=tmp_path)
    honest = [t.p_value for _, items in cells_tests(table) for t in items if t.tested]
    rng = np.random.default_rng(0)
    lost = table.assign(cells=rng.binomial(table["cells"], 0.85))
    lying = [t.p_value for _, items in cells_tests(lost) for t in items if t.tested]
    assert min(honest) > 0.005
    assert min(lying) < 0.002


def test_laws_without_that_expectation_are_left_out(tmp_path: Path) -> None:
    blocks = [{"n": 2, "trials": 30, "ratios": [3.0], "ensemble": e} for e in ("rademacher", "correlated:0.5")]
    mcinj.run({"name": "c", "seed": 1, "cells": blocks}, jobs=1, results=tmp_path)
    made = report([tmp_path])
    assert made.figures == ()
    assert "nothing frequent enough" in made.page.read_text(encoding="utf-8")


def test_kinds_do_not_mix(tmp_path: Path) -> None:
    for kind in ("probe", "cells"):
        mcinj.run(CONFIGS[kind], jobs=1, results=tmp_path / kind)
    with pytest.raises(InputError, match="one kind"):
        report([tmp_path / "probe", tmp_path / "cells"])


def test_intervals_under_a_stopping_rule(tmp_path: Path) -> None:
    rule = "width-target width=1.0 level=0.95 looks=50,100,200,400"
    full = mcinj.run({"name": "s", "seed": 3, "threshold": [{"n": 3, "trials": 400}]}, jobs=1, results=tmp_path / "f")
    config = {"name": "s", "seed": 3, "threshold": [{"n": 3, "trials": 400, "stop": rule}, {"n": 2, "trials": 40}]}
    table = mcinj.run(config, jobs=1, results=tmp_path / "s")
    _, meta = read_table(tmp_path / "s")
    key = SeriesKey(3, "", "regional", "gaussian")
    assert recorded_rules(meta) == {key: rule}
    stop = int((table["n"] == 3).sum())
    assert stop in (50, 100, 200)
    # The same from a record that goes on: trials after the stop do not count.
    assert len(stopped_table(full, {key: rule})) == stop
    want = full[full["trial"] < stop]
    sample = ThresholdSample.build(want["m_lo"], want["m_hi"], 3)
    each = quantile(sample, 0.5, level=1 - 0.05 / 4)
    assert look_levels({key: rule}) == {key: pytest.approx(1 - 0.05 / 4)}
    summary = summarise(full, rules={key: rule}).iloc[0]
    assert (summary["trials"], summary["level"], summary["rule"]) == (stop, 0.95, rule)
    assert (summary["median_lo"], summary["median_hi"]) == (each.alpha_lo, each.alpha_hi)
    plain = quantile(sample, 0.5)
    assert each.alpha_hi - each.alpha_lo > plain.alpha_hi - plain.alpha_lo
    made = report([tmp_path / "s"])
    rows = pd.read_csv(tmp_path / "s" / "summary.csv", keep_default_na=False)
    assert rows["rule"].tolist() == ["", rule]
    assert float(rows["median_lo"][1]) == pytest.approx(each.alpha_lo)
    assert "Stopping rule of 1 series" in made.page.read_text(encoding="utf-8")
    row = made.comparison[made.comparison["basis"] == "n = 3"].iloc[0]
    assert row["interval_lo"] == pytest.approx(each.alpha_lo)
