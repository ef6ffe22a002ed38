"""The table, its value objects, its cache, and the cost of importing it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mcinj.theory
from mcinj.errors import InputError
from mcinj.theory import Bound, table
from mcinj.theory import tables as tables_module
from mcinj.theory.cache import cache_folder, equations_version, remember


def by_name(rows: list[Bound], layers: int) -> dict[str, Bound]:
    return {row.name: row for row in rows if row.layers == layers}


def test_one_layer_has_every_row_of_the_specification() -> None:
    rows = by_name(table(1), 1)
    wanted = {
        "first moment (union bound)": ("rigorous", 9.088607),
        "Euler characteristic": ("heuristic", 8.344633),
        "plain RDT (replica symmetric)": ("rigorous", 7.647695),
        "partially lifted RDT": ("rigorous", 7.448639),
        "1RSB": ("heuristic", 6.715697),
        "2RSB": ("heuristic", 6.700392),
    }
    for name, (status, value) in wanted.items():
        assert rows[name].status == status
        assert rows[name].value == pytest.approx(value, abs=1e-6)
        assert rows[name].origin == "computed"
    published = {name: row.value for name, row in rows.items() if row.origin == "published"}
    assert published == {
        "full RSB": 6.698,
        "fully lifted RDT, third level": 6.7004,
        "Puthawala et al., upper": 10.5,
        "Puthawala et al., lower": 3.4,
    }
    for name in ("first moment (union bound)", "plain RDT (replica symmetric)", "partially lifted RDT"):
        assert rows[name].enclosure is not None


def test_deep_rows_hold_computed_and_published_values_side_by_side() -> None:
    rows = table(4)
    for depth, value in ((2, 8.267), (3, 9.49), (4, 10.124)):
        row = by_name(rows, depth)["published deep table"]
        assert (row.value, row.origin, row.status) == (value, "published", "reference")
    for depth, value in ((2, 7.53080), (3, 7.42779), (4, 7.32827)):
        row = by_name(rows, depth)["plain RDT chain from 6.7004"]
        assert (row.origin, row.status) == ("computed", "heuristic")
        assert row.value == pytest.approx(value, abs=1e-5)
    assert by_name(rows, 2)["unit-weight partially lifted RDT from 6.7004"].value == pytest.approx(8.2641, abs=1e-4)


def test_names_are_unique_within_a_depth_and_depths_ascend() -> None:
    rows = table(4)
    assert len({(row.layers, row.name) for row in rows}) == len(rows)
    assert [row.layers for row in rows] == sorted(row.layers for row in rows)


def test_a_shallower_table_is_the_head_of_a_deeper_one() -> None:
    assert table(2) == [row for row in table(4) if row.layers <= 2]


def test_rigorous_chains_stay_above_heuristic_ones() -> None:
    for depth in (2, 3, 4):
        rows = by_name(table(4), depth)
        assert rows["plain RDT chain from plain RDT"].status == "rigorous"
        assert rows["plain RDT chain from plain RDT"].value > rows["plain RDT chain from 6.7004"].value
        lifted = rows["partially lifted RDT chain from partially lifted RDT"]
        assert lifted.status == "rigorous"
        assert lifted.value < rows["plain RDT chain from plain RDT"].value
        assert rows["global condition (2n active), plain RDT chain from plain RDT"].value > lifted.value + 3


@pytest.mark.parametrize("layers", [0, 9, -1, 2.5, "3", None, True])
def test_bad_layers_are_refused(layers: object) -> None:
    with pytest.raises(InputError, match="layers is"):
        table(layers)  # type: ignore[arg-type]


def test_rows_survive_json() -> None:
    for row in table(2):
        record = json.loads(json.dumps(row.to_json(), allow_nan=False))
        assert Bound.from_json(record) == row
        assert {"name", "layers", "value", "status", "source"} <= record.keys()


@pytest.mark.parametrize(
    "change",
    [
        {"status": "sure"},
        {"origin": "x"},
        {"kind": 3},
        {"value": float("nan")},
        {"layers": 0},
        {"enclosure": [10, 11]},
    ],
)
def test_impossible_bounds_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError):
        Bound.from_json({**table(1)[0].to_json(), **change})


@pytest.mark.parametrize("data", [{}, None, [], {"name": "x"}, {"name": "x", "layers": "y"}])
def test_records_that_are_no_bounds_are_refused(data: object) -> None:
    with pytest.raises(InputError):
        Bound.from_json(data)  # type: ignore[arg-type]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """A fresh cache and a table whose computations are counted."""
    calls: list[int] = []

    def compute(layers: int) -> list[Bound]:
        calls.append(layers)
        return [Bound("x", layers, 1.5, "rigorous", "computed", "test")]

    monkeypatch.setenv("MCINJ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(tables_module, "_table", compute)
    return calls


def test_the_second_call_reads_the_cache(counted: list[int]) -> None:
    assert table(3) == table(3)
    assert counted == [3]
    table(2)
    assert counted == [3, 2]


def test_without_the_cache_nothing_is_read_or_written(counted: list[int]) -> None:
    table(3, use_cache=False)
    table(3, use_cache=False)
    assert counted == [3, 3]
    assert not cache_folder().exists()


@pytest.mark.parametrize(
    "garbage", ["", "{", "[]", "null", '{"key": 1}', '{"key": {}, "data": []}', "\x00\xff", '{"data": NaN}']
)
def test_a_corrupt_cache_is_recomputed_and_repaired(counted: list[int], garbage: str) -> None:
    rows = table(3)
    (file,) = cache_folder().iterdir()
    file.write_text(garbage)
    assert table(3) == rows
    assert table(3) == rows
    assert counted == [3, 3]


def test_a_record_with_a_bad_row_is_recomputed(counted: list[int]) -> None:
    rows = table(3)
    (file,) = cache_folder().iterdir()
    record = json.loads(file.read_text())
    record["data"][0]["status"] = "sure"
    file.write_text(json.dumps(record))
    assert table(3) == rows
    assert counted == [3, 3]


def test_other_equations_do_not_read_the_record(counted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    table(3)
    monkeypatch.setattr("mcinj.theory.cache.equations_version", lambda: "other")
    table(3)
    assert counted == [3, 3]


def test_an_unusable_cache_folder_costs_only_time(
    counted: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("MCINJ_CACHE_DIR", str(blocked / "below"))
    assert table(3) == table(3)
    assert counted == [3, 3]
    assert blocked.read_text() == "not a folder"


def test_an_error_of_the_computation_is_not_swallowed() -> None:
    def fail() -> int:
        raise ArithmeticError("no")

    with pytest.raises(ArithmeticError):
        remember("fails", {}, fail, int, int)


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == Path(os.environ["MCINJ_CACHE_DIR"])
    monkeypatch.delenv("MCINJ_CACHE_DIR")
    assert cache_folder() == tmp_path / "mcinj"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the XDG specification says to ignore it
    assert cache_folder().is_absolute()


def test_the_version_names_modules_that_exist() -> None:
    assert len(equations_version()) == 16


def test_importing_the_package_loads_no_heavy_library_and_every_name_resolves() -> None:
    code = (
        "import sys, mcinj.theory as t; t.expected_cells(9, 3, 2); t.plain_rdt();"
        "bad = {'scipy', 'pandas', 'matplotlib', 'flint', 'numba', 'cvxpy'} & set(sys.modules);"
        "assert not bad, bad;"
        "[getattr(t, name) for name in t.__all__]; assert set(t.__all__) <= set(dir(t))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mcinj.theory.nothing  # noqa: B018
