"""The table of an experiment: the same for any workers and after any interruption; nothing lost, nothing mixed up."""

from __future__ import annotations

import functools
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mcinj
from mcinj import InputError
from mcinj.experiment.status import status_table
from mcinj.experiment.store import read_table

CONFIG = {
    "name": "small",
    "seed": 9,
    "threshold": [
        {"n": [1, 2, 3], "trials": 40},
        {"n": 4, "trials": 30, "node_budget": 6},
        {"n": 3, "trials": 20, "ensemble": "rademacher"},
    ],
}


def same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return mcinj.run(CONFIG, jobs=1, results=tmp_path_factory.mktemp("reference"))


def test_rows_are_draws_that_anyone_can_repeat(reference: pd.DataFrame) -> None:
    assert len(reference) == 40 * 3 + 30 + 20
    assert list(reference["seed"][:2]) == ["9/1/0", "9/1/1"]
    for row in reference.sample(12, random_state=1).itertuples():
        draw = mcinj.threshold(row.n, (), row.criterion, row.ensemble, row.seed, None if row.n != 4 else 6)
        assert (draw.m_lo, draw.m_hi, draw.nodes) == (
            row.m_lo, None if pd.isna(row.m_hi) else row.m_hi, row.nodes)  # fmt: skip
        if draw.m_star is not None:
            assert mcinj.check(mcinj.sample(row.n, (draw.m_hi,), row.ensemble, row.seed)).passed
            assert draw.m_lo == 0 or not mcinj.check(
                mcinj.sample(row.n, (draw.m_lo,), row.ensemble, row.seed), engine="milp"
            ).passed  # fmt: skip


def test_a_small_budget_censors_and_says_so(reference: pd.DataFrame) -> None:
    four = reference[reference["n"] == 4]
    censored = four["m_hi"].isna() | (four["m_hi"] != four["m_lo"] + 1)
    assert 0 < censored.sum() <= len(four)
    assert (four.loc[censored, "certified"] == "none").all()


@pytest.mark.parametrize("jobs", [2, 8])
def test_number_of_workers_does_not_change_the_table(jobs: int, reference: pd.DataFrame, tmp_path: Path) -> None:
    same(mcinj.run(CONFIG, jobs=jobs, results=tmp_path), reference)
    same(read_table(tmp_path)[0], reference)
    same(pd.read_parquet(tmp_path / "trials.parquet").astype(reference.dtypes), reference)


def test_dask_gives_the_same_table(reference: pd.DataFrame, tmp_path: Path) -> None:
    same(mcinj.run(CONFIG, jobs=2, backend="dask", results=tmp_path), reference)


def test_sigkill_at_several_moments_loses_nothing(reference: pd.DataFrame, tmp_path: Path) -> None:
    script = (
        "import sys, mcinj, time, mcinj.experiment.driver as d\n"
        "d.COMMIT_SECONDS = 0.0\n"
        f"mcinj.run({CONFIG!r}, jobs=1, results=sys.argv[1], progress=lambda p: time.sleep(0.02))\n"
    )
    rng = random.Random(4)
    counts = []
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
        deadline = time.monotonic() + 300  # a cold cache compiles first
        target = (counts[-1] if counts else 0) + rng.randint(1, 25)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
            if _rows(tmp_path) >= target:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
        counts.append(_rows(tmp_path))
    assert counts == sorted(counts)
    assert counts[0] > 0
    same(mcinj.run(CONFIG, jobs=2, results=tmp_path), reference)


def _rows(directory: Path) -> int:
    try:
        with sqlite3.connect(f"file:{directory / 'trials.sqlite'}?mode=ro", uri=True) as db:
            return int(db.execute("SELECT COUNT(*) FROM trials").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_text('name = "long"\n[[threshold]]\nn = 2\ntrials = 50\n[[threshold]]\nn = 11\ntrials = 100000\n')
    results = tmp_path / "results"
    command = [sys.executable, "-m", "mcinj", "run", str(path), "--results", str(results), "--jobs", "1"]
    # A background job starts with the signal ignored, and would hand that on.
    listen = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen)
    deadline = time.monotonic() + 300  # a cold cache compiles first
    while _rows(results) < 30 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "goes on from there" in err
    assert "Traceback" not in err
    assert len(pd.read_parquet(results / "trials.parquet")) >= 30


def test_a_committed_table_is_continued(reference: pd.DataFrame, tmp_path: Path) -> None:
    mcinj.run(CONFIG, jobs=1, results=tmp_path)
    (tmp_path / "trials.sqlite").unlink()
    seconds = read_table(tmp_path)[0]["seconds"]
    more = {**CONFIG, "threshold": [{"n": [1, 2, 3], "trials": 45}, *CONFIG["threshold"][1:]]}  # type: ignore[misc]
    table = mcinj.run(more, jobs=1, results=tmp_path)
    assert len(table) == len(reference) + 15
    old = table[(table["trial"] < 40) | (table["n"] == 4)]
    same(old.reset_index(drop=True), reference)
    # Not one of the old trials was run again.
    assert set(seconds) <= set(table["seconds"])


def test_another_budget_redraws_only_what_it_changes(reference: pd.DataFrame, tmp_path: Path) -> None:
    mcinj.run(CONFIG, jobs=1, results=tmp_path)
    changed = {**CONFIG, "threshold": [*CONFIG["threshold"][:1], {"n": 4, "trials": 30}, CONFIG["threshold"][2]]}  # type: ignore[index]
    table = mcinj.run(changed, jobs=1, results=tmp_path)
    fresh = mcinj.run(changed, jobs=1, results=tmp_path / "fresh")
    same(table, fresh)
    assert not table["m_hi"].isna().any()
    assert (table["m_hi"] == table["m_lo"] + 1).all()


def test_results_of_another_experiment_are_left_alone(tmp_path: Path) -> None:
    mcinj.run(CONFIG, jobs=1, results=tmp_path)
    before = (tmp_path / "trials.sqlite").read_bytes()
    for other in ({**CONFIG, "name": "other"}, {**CONFIG, "seed": 10}):
        with pytest.raises(InputError, match="another experiment"):
            mcinj.run(other, jobs=1, results=tmp_path)
        (tmp_path / "copy").mkdir(exist_ok=True)
        (tmp_path / "copy" / "trials.parquet").write_bytes((tmp_path / "trials.parquet").read_bytes())
        with pytest.raises(InputError, match="another experiment"):
            mcinj.run(other, jobs=1, results=tmp_path / "copy")
    assert (tmp_path / "trials.sqlite").read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to look like one" * 20])
def test_a_damaged_record_is_said_and_kept(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "trials.sqlite").write_bytes(content)
    if not content:
        assert len(mcinj.run({**CONFIG, "threshold": [{"n": 1, "trials": 2}]}, jobs=1, results=tmp_path)) == 2
        return
    with pytest.raises(InputError, match="not a readable record"):
        mcinj.run(CONFIG, jobs=1, results=tmp_path)
    assert (tmp_path / "trials.sqlite").read_bytes() == content


def test_bad_arguments() -> None:
    for options in ({"jobs": 0}, {"backend": "threads"}, {"results": "/proc/nowhere"}):
        with pytest.raises(InputError):
            mcinj.run(CONFIG, **options)  # type: ignore[arg-type]


def test_status_while_running_and_after(tmp_path: Path) -> None:
    seen = []
    mcinj.run(CONFIG, jobs=1, results=tmp_path, progress=lambda p: seen.append(status_table(tmp_path)[1]["done"].sum()))
    title, frame = status_table(tmp_path)
    assert "170 of 170 trials, complete" in title
    assert seen[0] == 0
    assert frame["done"].sum() == frame["wanted"].sum() == 170
    with pytest.raises(InputError, match="no such directory"):
        status_table(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no trials"):
        status_table(tmp_path / "empty")


def test_fixed_stacks_agree_with_enumeration(tmp_path: Path) -> None:
    config: dict[str, Any] = {
        "name": "stacks",
        "seed": 2,
        "stacks": [
            {"n": 2, "widths": [9, 9], "count": 6, "criteria": ["regional", "layerwise"], "engines": ["lp"]},
            {"n": 3, "widths": [14], "count": 4, "criteria": ["global"], "engines": ["tree", "milp", "lp"]},
        ],
    }
    for block in config["stacks"]:
        block["enumerate"] = True
    table = mcinj.run(config, jobs=1, results=tmp_path)
    assert len(table) == 6 * 2 + 4 * 3
    regional = table[table["criterion"] != "layerwise"]
    assert (regional["enumeration"] == "agrees").all()
    assert {"injective", "not_injective"} == set(table["verdict"])
    failed = regional[regional["verdict"] == "not_injective"]
    for row in failed.itertuples():
        least = [int(v) for v in row.active_x.split(",")]
        assert min(least) < row.n
    same(mcinj.run(config, jobs=2, results=tmp_path / "again"), table)
