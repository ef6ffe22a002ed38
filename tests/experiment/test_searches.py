"""Experiments of witness searches, least active counts and cells; stopping rules: the same table however it is made."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mcinj
from mcinj import InputError
from mcinj.experiment.config import parse
from mcinj.experiment.merge import merge
from mcinj.experiment.status import status_table
from mcinj.experiment.store import read_table
from mcinj.infer import ThresholdSample, decide, parse_rule
from mcinj.networks import RowStream

PROBE: dict[str, Any] = {
    "name": "p",
    "seed": 7,
    "probe": [{"n": [3, 6], "trials": 6, "moves": [200, 2000]}, {"n": 4, "trials": 3, "ensemble": "uniform"}],
}
SEARCHED: dict[str, Any] = {
    "name": "s",
    "seed": 7,
    "searched": [
        {"n": [3, 6], "trials": 6, "moves": 500, "runs": 3},
        {"n": 4, "trials": 3, "moves": 200, "runs": 2, "ensemble": "uniform"},
    ],
}
SEARCHED_DEEP: dict[str, Any] = {
    "name": "d",
    "seed": 13,
    "searched": [
        {"n": [2, 3], "trials": 8, "moves": 300, "runs": 3, "expansions_before": [6.7004]},
        {"n": 2, "trials": 4, "moves": 300, "runs": 2, "widths_before": [13, 17]},
    ],
}
SEARCHED_GLOBAL: dict[str, Any] = {
    "name": "g",
    "seed": 13,
    "searched": [
        {"n": [2, 3], "trials": 4, "moves": 900, "runs": 2, "expansions_before": [6.7004], "criterion": "global"},
    ],
}
ACTIVE: dict[str, Any] = {
    "name": "a",
    "seed": 7,
    "active": [{"n": [2, 5], "trials": 5, "ratios": [2.0, 4.0, 7.5]}],
}
MARGIN: dict[str, Any] = {
    "name": "m",
    "seed": 7,
    "margin": [{"n": [2, 3], "trials": 5, "ratios": [1.0, 3.0, 6.5], "tolerance": 0.01}],
}
SEARCHED_MARGIN: dict[str, Any] = {
    "name": "w",
    "seed": 7,
    "margin": [{"n": [2, 3], "trials": 5, "ratios": [1.0, 3.0, 6.5], "moves": [20, 400], "runs": 3}],
}
CELLS: dict[str, Any] = {"name": "c", "seed": 7, "cells": [{"n": [3, 4], "trials": 8, "ratios": [4.0], "most": 3}]}
BASE = 'name = "a"\n'
BAD = {
    "[[probe]]\nn = 3\ntrials = 2\nmove = 5": "did you mean 'moves'",
    "[[searched]]\nn = 3\ntrials = 2\nmoves = 5\nruns = 1": "runs = 1: give at least 2",
    "[[searched]]\nn = 3\ntrials = 2\nmoves = 0": "moves = 0",
    "[[searched]]\nn = 3\ntrials = 2": "'moves' is missing",
    "[[searched]]\nn = 3\ntrials = 2\nmoves = 5\nwidths_before = [9]\nexpansions_before = [3.0]": "not both",
    "[[searched]]\nn = 3\ntrials = 2\nmoves = 5\nwidths_before = [0]": "widths_before = 0",
    "[[searched]]\nn = 3\ntrials = 2\nmoves = 5\nwidth_before = [9]": "did you mean 'widths_before'",
    "[[searched]]\nn = 3\ntrials = 2\nmoves = 5\nwidths_before = [20]\n[[searched]]\nn = 3\ntrials = 2\nmoves = 5": (
        "split the file"
    ),
    '[[searched]]\nn = 3\ntrials = 2\nmoves = 5\nwidths_before = [20]\ncriterion = "global"\n'
    "[[searched]]\nn = 3\ntrials = 2\nmoves = 5\nwidths_before = [20]": "two criteria",
    '[[searched]]\nn = 3\ntrials = 2\nmoves = 5\nwidths_before = [20]\ncriterion = "globe"': "did you mean 'global'",
    '[[searched]]\nn = 3\ntrials = 2\nmoves = 5\nwidths_before = [20]\ncriterion = "layerwise"': "layerwise",
    "[[probe]]\nn = 3\ntrials = 2\nmoves = 0": "moves = 0",
    "[[probe]]\nn = [3, 3]\ntrials = 2": "the same trials",
    "[[probe]]\nn = []\ntrials = 2": "empty list",
    "[[active]]\nn = 3\ntrials = 2": "'ratios' is missing",
    "[[active]]\nn = 3\ntrials = 2\nratios = []": "empty list",
    "[[active]]\nn = 3\ntrials = 2\nratios = [0.0]": "ratios = 0",
    "[[active]]\nn = 3\ntrials = 2\nratios = [2.0]\nnode_budget = -1": "node_budget",
    "[[margin]]\nn = 3\ntrials = 2\nratios = [0.5]": "fewer rows than inputs",
    "[[margin]]\nn = 3\ntrials = 2\nratios = [2.0]\ntolerance = 0.0": "tolerance = 0.0",
    "[[margin]]\nn = 3\ntrials = 2\nratios = [2.0]\nmoves = 0": "moves = 0",
    "[[margin]]\nn = 3\ntrials = 2\nratios = [2.0]\nmoves = 9\nruns = 1": "runs = 1: give at least 2",
    "[[margin]]\nn = 3\ntrials = 2\nratios = [2.0]\nmoves = 9\ntolerance = 0.1": "leave tolerance and node_budget out",
    "[[margin]]\nn = 3\ntrials = 2\nratios = [2.0]\nmoves = 9\n[[margin]]\nn = 4\ntrials = 2\nratios = [2.0]": (
        "with and without moves make different tables"
    ),
    "[[cells]]\nn = 0\ntrials = 2\nratios = [2.0]": "n = 0",
    "[[cells]]\nn = 3\ntrials = 2\nratios = [2.0]\nmost = -1": "most = -1",
    '[[cells]]\nn = 3\ntrials = 2\nratios = [2.0]\nensemble = "gausian"': "choose one of gaussian",
    "[[cells]]\nn = 3\ntrials = 2\nratios = [2.0]\n[[probe]]\nn = 3\ntrials = 2": "one kind",
    '[[threshold]]\nn = 3\ntrials = 200\nstop = "width zero"': "no number",
    '[[threshold]]\nn = 3\ntrials = 200\nstop = "width -1"': "positive",
    '[[threshold]]\nn = 3\ntrials = 200\nstop = "when done"': "cannot read the stopping rule",
    '[[threshold]]\nn = 3\ntrials = 200\nstop = "width-target width=0.1 level=0.95 looks=50,100"': "last look",
}


def same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"))


@pytest.mark.parametrize("text", BAD)
def test_bad_blocks(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(BASE + text)
    assert BAD[text] in str(caught.value)
    assert "\n" not in str(caught.value)


KINDS = {
    "probe": PROBE,
    "searched": SEARCHED,
    "searched_deep": SEARCHED_DEEP,
    "searched_global": SEARCHED_GLOBAL,
    "active": ACTIVE,
    "margin": MARGIN,
    "searched_margin": SEARCHED_MARGIN,
    "cells": CELLS,
}


@pytest.mark.parametrize("config", KINDS.values(), ids=KINDS)
def test_same_table_for_any_workers_and_after_a_part(config: dict[str, Any], tmp_path: Path) -> None:
    whole = mcinj.run(config, jobs=1, results=tmp_path / "one")
    same(mcinj.run(config, jobs=2, results=tmp_path / "two"), whole)
    kind = next(k for k, v in config.items() if isinstance(v, list))
    part = {**config, kind: [{**config[kind][0], "trials": 2}]}
    mcinj.run(part, jobs=1, results=tmp_path / "part")
    (tmp_path / "part" / "trials.sqlite").unlink()  # goes on from the committed table
    same(mcinj.run(config, jobs=1, results=tmp_path / "part"), whole)
    same(read_table(tmp_path / "part")[0], whole)
    title, frame = status_table(tmp_path / "part")
    assert "complete" in title
    assert frame["done"].tolist() == frame["wanted"].tolist()
    with pytest.raises(InputError, match="another experiment"):
        mcinj.run({"name": config["name"], "seed": 7, "threshold": [{"n": 1, "trials": 1}]}, results=tmp_path / "one")


def test_probe_rows(tmp_path: Path) -> None:
    table = mcinj.run(PROBE, jobs=1, results=tmp_path)
    assert len(table) == 2 * 2 * 6 + 3
    assert list(table.columns) == ["n", "ensemble", "moves", "trial", "seed", "m_found", "seconds", "version"]
    for row in table.itertuples():
        m_star = mcinj.threshold(row.n, ensemble=row.ensemble, seed=row.seed).m_hi
        assert m_star is not None
        assert row.m_found < m_star
    assert (table[table["moves"] == 2000]["m_found"].mean()) >= table[table["moves"] == 200]["m_found"].mean()


def test_searched_rows_and_other_numbers_of_runs(tmp_path: Path) -> None:
    table = mcinj.run(SEARCHED, jobs=1, results=tmp_path)
    assert len(table) == 3 * 2 * 6 + 2 * 3
    for row in table.itertuples():
        m_star = mcinj.threshold(row.n, ensemble=row.ensemble, seed=row.seed).m_hi
        assert m_star is not None
        assert row.m_found < m_star
    # Streams are those of draws with the same root.
    assert set(table[table["n"] == 6]["seed"]) == {f"7/6/{t}" for t in range(6)}
    more = {**SEARCHED, "searched": [{**SEARCHED["searched"][0], "runs": 4}]}
    again = mcinj.run(more, jobs=1, results=tmp_path)
    both = again.merge(table, on=["n", "ensemble", "moves", "trial", "run"])
    assert len(both) == len(table)
    assert (both["m_found_x"] == both["m_found_y"]).all()
    assert len(again[again["n"] == 6]) == 4 * 6


def test_deep_searched_rows_and_their_shards(tmp_path: Path) -> None:
    table = mcinj.run(SEARCHED_DEEP, jobs=1, results=tmp_path / "whole")
    assert len(table) == 3 * 2 * 8 + 2 * 4
    reached = 0
    for (n, before, seed), part in table.groupby(["n", "widths_before", "seed"]):
        proved = mcinj.threshold(n, [int(w) for w in before.split(",")], seed=seed)
        failed = part["failed_layer"].dropna()
        if proved.failed_layer is not None:
            assert set(failed) <= {proved.failed_layer}
        else:
            assert failed.empty
            assert proved.m_lo is not None
            assert (part["m_found"] <= proved.m_lo).all()
            reached += int((part["m_found"] == proved.m_lo).any())
    assert reached >= 15
    assert set(table[table["n"] == 3]["seed"]) == {f"13/3/{t}" for t in range(8)}
    failing = int(status_table(tmp_path / "whole")[1]["earlier_layer_fails"].sum())
    assert failing == len(table[table["failed_layer"].notna()].groupby(["n", "widths_before", "trial"]))
    for k in (1, 2):
        mcinj.run(SEARCHED_DEEP, jobs=1, results=tmp_path / str(k), shard=f"{k}/2")
    same(merge([tmp_path / "1", tmp_path / "2"], tmp_path / "merged").table, table)


def test_rows_of_global_searches(tmp_path: Path) -> None:
    table = mcinj.run(SEARCHED_GLOBAL, jobs=1, results=tmp_path)
    assert len(table) == 2 * 4 * 2
    reached = 0
    for (n, before, seed), part in table.groupby(["n", "widths_before", "seed"]):
        proved = mcinj.threshold(n, [int(w) for w in before.split(",")], seed=seed, criterion="global")
        assert set(part["failed_layer"].dropna()) <= {proved.failed_layer}
        if proved.failed_layer is None:
            assert (part["m_found"] <= proved.m_lo).all()
            reached += int((part["m_found"] == proved.m_lo).any())
    assert reached >= 6
    decided = table[table["failed_layer"].isna()]
    # Rows beyond n - 1 are equal at inputs in different linear pieces only.
    assert (decided["equal"] < 2 * decided["n"]).all()
    assert (decided.loc[decided["equal"] >= decided["n"], "crossed"] > 0).all()
    assert (decided["equal"] >= decided["n"]).any()


def test_active_rows_and_another_budget(tmp_path: Path) -> None:
    cut = {**ACTIVE, "active": [{**ACTIVE["active"][0], "node_budget": 3}]}
    few = mcinj.run(cut, jobs=1, results=tmp_path)
    assert few["active_hi"].isna().any()
    assert int(status_table(tmp_path)[1]["undecided"].sum()) == int(few["active_hi"].isna().sum())
    table = mcinj.run(ACTIVE, jobs=1, results=tmp_path)
    same(table, mcinj.run(ACTIVE, jobs=1, results=tmp_path / "fresh"))
    assert (table["active_lo"] == table["active_hi"]).all()
    for row in table[table["n"] == 5].itertuples():
        m_star = mcinj.threshold(5, seed=row.seed).m_hi
        assert m_star is not None
        assert (row.active_lo >= 5) == (row.m >= m_star)
    wider = {**ACTIVE, "active": [{**ACTIVE["active"][0], "ratios": [2.0, 3.0]}]}
    again = mcinj.run(wider, jobs=1, results=tmp_path)
    assert sorted(again["m"].unique()) == [4, 6, 10, 15]


def test_margin_rows_and_another_budget(tmp_path: Path) -> None:
    cut = {**MARGIN, "margin": [{**MARGIN["margin"][0], "node_budget": 2}]}
    few = mcinj.run(cut, jobs=1, results=tmp_path)
    assert not few["complete"].all()
    assert int(status_table(tmp_path)[1]["undecided"].sum()) == int((few["complete"] == 0).sum())
    table = mcinj.run(MARGIN, jobs=1, results=tmp_path)
    same(table, mcinj.run(MARGIN, jobs=1, results=tmp_path / "fresh"))
    assert table["complete"].all()
    both = table.merge(few, on=["n", "m", "trial"])
    assert (both["margin_lo_y"] <= both["margin_hi_x"]).all()
    assert (both["margin_lo_x"] <= both["margin_hi_y"]).all()
    for row in table.itertuples():
        rows = RowStream("gaussian", row.n, row.seed).take(row.m)
        if row.n == 2:  # the second largest value is least where two rows change places, or on a fine circle
            angles = np.linspace(0, 2 * np.pi, 20_001)
            values = np.sort(rows @ np.array([np.cos(angles), np.sin(angles)]), axis=0)[-2]
            assert row.margin_lo <= values.min() <= row.margin_hi + 2e-3 * np.abs(rows).max()
        m_star = mcinj.threshold(row.n, seed=row.seed).m_hi
        assert m_star is not None
        assert row.margin_lo <= 0 if row.m < m_star else row.margin_hi >= 0
    # More rows, a larger margin.
    for _, part in table.groupby(["n", "trial"]):
        part = part.sort_values("m")
        assert (part["margin_hi"].to_numpy()[1:] >= part["margin_lo"].to_numpy()[:-1]).all()


def test_searched_margin_rows_are_of_the_same_layers(tmp_path: Path) -> None:
    table = mcinj.run(SEARCHED_MARGIN, jobs=1, results=tmp_path / "searched")
    assert len(table) == 2 * 2 * 5 * 3 * 3
    proved = mcinj.run(MARGIN, jobs=1, results=tmp_path / "proved")
    both = table.merge(proved, on=["n", "ensemble", "m", "trial", "seed"], suffixes=("", "_proved"))
    assert len(both) == len(table)
    assert (both["margin_hi"] >= both["margin_lo"]).all()
    best = both[both["moves"] == 400].groupby(["n", "m", "trial"])[["margin_hi", "margin_hi_proved"]].min()
    assert (best["margin_hi"] <= best["margin_hi_proved"] + 1e-9).all()
    for k in (1, 2):
        mcinj.run(SEARCHED_MARGIN, jobs=1, results=tmp_path / str(k), shard=f"{k}/2")
    same(merge([tmp_path / "1", tmp_path / "2"], tmp_path / "merged").table, table)


def test_cell_rows(tmp_path: Path) -> None:
    table = mcinj.run(CELLS, jobs=1, results=tmp_path)
    assert len(table) == 2 * 8 * 4
    # An independent count of the cells with at most 3 positives of 12 rows, by sampling, which may miss a thin one.
    rng = np.random.default_rng(0)
    for trial in range(3):
        part = table[(table["n"] == 3) & (table["trial"] == trial)]
        rows = RowStream("gaussian", 3, f"7/3/{trial}").take(12)
        signs = np.unique((rng.standard_normal((200_000, 3)) @ rows.T) > 0, axis=0)
        seen = np.bincount(signs.sum(axis=1), minlength=13)
        assert (part.sort_values("j")["cells"].to_numpy() >= seen[:4]).all()
        assert part["cells"].sum() - seen[:4].sum() <= 1


def test_a_stopping_rule_stops_at_a_look_and_is_recorded(tmp_path: Path) -> None:
    config = {"name": "s", "seed": 3, "threshold": [{"n": [2, 3], "trials": 1600, "stop": "width 0.4"}]}
    table = mcinj.run(config, jobs=1, results=tmp_path / "one")
    rule = parse_rule("width-target width=0.4 level=0.95 looks=100,200,400,800,1600")
    full = mcinj.run({**config, "threshold": [{"n": [2, 3], "trials": 1600}]}, jobs=1, results=tmp_path / "full")
    for n in (2, 3):
        done = int((table["n"] == n).sum())
        everything = full[full["n"] == n]
        wanted = decide(rule, ThresholdSample.build(everything["m_lo"], everything["m_hi"], n))
        assert wanted.stop
        assert done == wanted.trials
        assert done in rule.looks[:-1]
    same(mcinj.run(config, jobs=2, results=tmp_path / "two"), table)
    _, meta = read_table(tmp_path / "one")
    assert rule.text in meta["plan"]
    title, frame = status_table(tmp_path / "one")
    assert "complete" in title
    assert (frame["done"] == frame["wanted"]).all()
    # A longer record does not move the stop; the rule looks at the trials up to it only.
    same(mcinj.run(config, jobs=1, results=tmp_path / "full"), full)
    # An interrupted record with gaps ends at the same look.
    with sqlite3.connect(tmp_path / "one" / "trials.sqlite") as db:
        db.execute("DELETE FROM trials WHERE trial % 7 = 3 OR trial > 110")
    db.close()
    same(mcinj.run(config, jobs=1, results=tmp_path / "one"), table)
