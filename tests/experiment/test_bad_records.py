"""Damaged and foreign results, and experiment files that try to break the reader: one line each, nothing made up."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mcinj
from mcinj import InputError
from mcinj.experiment.config import load, parse
from mcinj.experiment.status import status_table
from mcinj.experiment.store import read_table
from mcinj.show.report import report

CONFIG = {"name": "f", "seed": 2, "threshold": [{"n": [2, 3], "trials": 6}]}
HEAD = b'name = "a"\n[[threshold]]\n'
BAD_FILES = {
    "infinite width": (HEAD + b"n = 4\ntrials = 3\nexpansions_before = [1e308]", "expansion"),
    "infinite product": (HEAD + b"n = 4\ntrials = 3\nexpansions_before = [1e200, 1e200]", "expansion"),
    "too many weights": (HEAD + b"n = 4\ntrials = 3\nexpansions_before = [1e6, 1e3]", "weights"),
    "too wide": (HEAD + b"n = 4\ntrials = 3\nwidths_before = [2000000000]", "weights"),
    "stacks too wide": (b'name = "a"\n[[stacks]]\nn = 4\ncount = 3\nexpansions = [1e300, 1e300]', "expansion"),
    "deep": (b"x = " + b"[" * 100_000, "not valid TOML"),
    "deep and closed": (b"x = " + b"[" * 50_000 + b"]" * 50_000, "not valid TOML"),
    "deep tables": (b"x = " + b"{a=" * 30_000, "not valid TOML"),
    "long number": (HEAD + b"n = " + b"9" * 10_000, "not valid TOML"),
    "large": (b"#" * 2_000_000, "larger than"),
    "many trials": (HEAD + b"n = %s\ntrials = 10000000" % str([*range(1, 90)]).encode(), "at most"),
    "bytes": (b'name = "\xff"', "not valid TOML"),
    "zeros": (b"\0" * 100, "not valid TOML"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_files_made_to_break_the_reader(name: str, tmp_path: Path) -> None:
    content, word = BAD_FILES[name]
    path = tmp_path / "e.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=word) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_deep_dictionaries_are_refused_too() -> None:
    with pytest.raises(InputError):
        parse({"name": "a", "threshold": [{"n": 2, "trials": 3, "expansions_before": [float("inf")]}]})


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("good")
    mcinj.run(CONFIG, jobs=1, results=directory)
    return directory


def sql(statement: str, *values: Any) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        (directory / "trials.parquet").unlink()
        with sqlite3.connect(directory / "trials.sqlite") as db:
            db.execute(statement, values)
        db.close()

    return change


def table(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path], None]:
    def rewrite(directory: Path) -> None:
        (directory / "trials.sqlite").unlink()
        path = directory / "trials.parquet"
        pq.write_table(change(pq.read_table(path)), path)

    return rewrite


def column(name: str, values: Any, kind: Any = None) -> Callable[[pa.Table], pa.Table]:
    def change(old: pa.Table) -> pa.Table:
        made = pa.array([values] * old.num_rows, kind)
        return old.set_column(old.column_names.index(name), name, made)

    return change


def notes(**changed: bytes) -> Callable[[pa.Table], pa.Table]:
    def change(old: pa.Table) -> pa.Table:
        new = {f"mcinj.{k}".encode(): v for k, v in changed.items()}
        return old.replace_schema_metadata({**old.schema.metadata, **new})

    return change


PUT = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
DAMAGE: dict[str, Callable[[Path], None]] = {
    "text for a number": sql("UPDATE trials SET n = 'abc' WHERE n = 2 AND trial = 3"),
    "null in a key": sql("UPDATE OR IGNORE trials SET trial = NULL WHERE trial = 1"),
    "fraction": sql("UPDATE trials SET m_lo = 1.5"),
    "infinite": sql("UPDATE trials SET nodes = 9e999"),
    "bytes for text": sql("UPDATE trials SET criterion = x'ff'"),
    "text that is not UTF-8": sql("UPDATE trials SET ensemble = CAST(x'fffe' AS TEXT)"),
    "word of another version": sql("UPDATE trials SET certified = 'perhaps'"),
    "negative": sql("UPDATE trials SET nodes = -5"),
    "n = 0": sql("UPDATE trials SET n = 0 WHERE n = 2"),
    "ends crossed": sql("UPDATE trials SET m_hi = 1, m_lo = 5"),
    "seed of another trial": sql("UPDATE trials SET seed = '2/2/1' WHERE n = 2 AND trial = 3"),
    "widths": sql("UPDATE trials SET widths_before = '3,x'"),
    "seconds": sql("UPDATE trials SET seconds = 'long'"),
    "no seconds": sql("UPDATE trials SET seconds = NULL"),
    "another column": sql("ALTER TABLE trials RENAME COLUMN m_lo TO low"),
    "no table": sql("DROP TABLE trials"),
    "no meta data": sql("DROP TABLE meta"),
    "empty meta data": sql("DELETE FROM meta"),
    "another format": sql("UPDATE meta SET value = '2' WHERE key = 'format'"),
    "unknown kind": sql("UPDATE meta SET value = 'songs' WHERE key = 'kind'"),
    "seed": sql("UPDATE meta SET value = 'x' WHERE key = 'seed'"),
    "meta data that are bytes": sql(PUT, "plan", b"\xff\xfe"),
    "meta data that are not UTF-8": sql("INSERT OR REPLACE INTO meta VALUES ('plan', CAST(x'fffe' AS TEXT))"),
    "plan: not JSON": sql(PUT, "plan", "{{"),
    "plan: deep": sql(PUT, "plan", "[" * 100_000),
    "plan: no list": sql(PUT, "plan", "null"),
    "plan: numbers": sql(PUT, "plan", "[1, 2]"),
    "plan: empty item": sql(PUT, "plan", "[{}]"),
    "plan: short key": sql(PUT, "plan", '[{"key": [2], "trials": 3}]'),
    "plan: key types": sql(PUT, "plan", '[{"key": ["2", "", "regional", "gaussian"], "trials": 3}]'),
    "plan: trials": sql(PUT, "plan", '[{"key": [2, "", "regional", "gaussian"], "trials": "3"}]'),
    "plan: huge": sql(PUT, "plan", json.dumps([{"key": [2, "", "regional", "gaussian"], "trials": 10**30}])),
    "plan: rule": sql(
        PUT, "plan", '[{"key": [2, "", "regional", "gaussian"], "trials": 3, "rule": "whim"}]'
    ),
    "quarantine": sql(PUT, "quarantined", '[{"key": [2, "", "regional", "gaussian"], "trial": null}]'),
    "parquet: type": table(column("n", "2")),
    "parquet: null column": table(column("nodes", None)),
    "parquet: list column": table(column("m_lo", [1])),
    "parquet: time": table(column("seed", 1, pa.timestamp("s"))),
    "parquet: column missing": table(lambda old: old.drop_columns(["m_hi"])),
    "parquet: column more": table(lambda old: old.append_column("x", pa.nulls(old.num_rows))),
    "parquet: trials twice": table(lambda old: pa.concat_tables([old, old])),
    "parquet: no meta data": table(lambda old: old.replace_schema_metadata(None)),
    "parquet: not UTF-8": table(notes(name=b"\xff")),
    "parquet: kind": table(notes(kind=b"cells")),
    "parquet: format": table(notes(format=b"7")),
    "parquet: plan": table(notes(plan=b"[{]")),
    "parquet: pandas": table(lambda old: old.replace_schema_metadata({**old.schema.metadata, b"pandas": b"{"})),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_one_line_and_nothing_is_changed(name: str, good: Path, tmp_path: Path) -> None:
    directory = tmp_path / "d"
    shutil.copytree(good, directory)
    DAMAGE[name](directory)
    before = {p.name: p.read_bytes() for p in directory.iterdir()}
    calls: list[Callable[[], object]] = [
        lambda: read_table(directory),
        lambda: status_table(directory),
        lambda: report([directory], None),
        lambda: mcinj.run(CONFIG, jobs=1, results=directory),
    ]
    for call in calls:
        with pytest.raises(InputError) as caught:
            call()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 1000
    trials = [name for name in before if name.startswith("trials")]
    assert {name: (directory / name).read_bytes() for name in trials} == {name: before[name] for name in trials}


def _cuts(size: int) -> list[int]:
    return sorted({*range(0, size, 127), *range(0, size, 512), 1, 15, 16, 17, 99, 100, 101, size - 1})


def test_a_record_cut_anywhere_is_said_or_made_whole(good: Path, tmp_path: Path) -> None:
    whole = (good / "trials.sqlite").read_bytes()
    reference = read_table(good)[0].drop(columns="seconds")
    said = 0
    for cut in _cuts(len(whole)):
        (tmp_path / "trials.sqlite").write_bytes(whole[:cut])
        try:
            made = mcinj.run(CONFIG, jobs=1, results=tmp_path)
        except InputError:
            said += 1
            assert (tmp_path / "trials.sqlite").read_bytes() == whole[:cut], cut
        else:
            pd.testing.assert_frame_equal(made.drop(columns="seconds"), reference)
        for path in tmp_path.iterdir():
            path.unlink()
    assert said > 10


def test_a_table_cut_anywhere_is_said(good: Path, tmp_path: Path) -> None:
    whole = (good / "trials.parquet").read_bytes()
    for cut in range(0, len(whole), 37):
        (tmp_path / "trials.parquet").write_bytes(whole[:cut])
        with pytest.raises(InputError):
            mcinj.run(CONFIG, jobs=1, results=tmp_path)
        assert (tmp_path / "trials.parquet").read_bytes() == whole[:cut]
