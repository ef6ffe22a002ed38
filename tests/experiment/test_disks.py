"""Full and read-only disks, and clocks that jump: the table of an undisturbed run, or one line and a way on."""

from __future__ import annotations

import errno
import os
import random
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import mcinj
from mcinj import InputError
from mcinj.experiment import driver, store
from mcinj.experiment.status import status_table
from mcinj.experiment.store import has_record, read_table
from mcinj.show.report import report

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX disks")
CONFIG: dict[str, Any] = {"name": "k", "seed": 9, "threshold": [{"n": [2, 3], "trials": 120}]}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return mcinj.run(CONFIG, jobs=1, results=tmp_path_factory.mktemp("reference"))


@pytest.fixture(autouse=True)
def every_batch_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "COMMIT_SECONDS", 0.0)


def same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"))


def refused(call: Callable[[], object]) -> str:
    """The line of a refusal; empty if there was none."""
    try:
        call()
    except InputError as error:
        line = str(error)
    else:
        return ""
    assert "\n" not in line
    return line


def few_pages(monkeypatch: pytest.MonkeyPatch, pages: int) -> None:
    """SQLite meets a full disk after so many pages."""
    connect = sqlite3.connect

    def limited(*arguments: Any, **options: Any) -> sqlite3.Connection:
        db = connect(*arguments, **options)
        db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    monkeypatch.setattr(store.sqlite3, "connect", limited)


def test_a_disk_that_is_full_after_any_number_of_pages(
    reference: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = []
    for pages in range(1, 100):
        directory = tmp_path / str(pages)
        with monkeypatch.context() as patch:
            few_pages(patch, pages)
            line = refused(lambda directory=directory: mcinj.run(CONFIG, jobs=1, results=directory))
        if not line:
            break
        assert "full" in line
        assert "goes on" in line
        kept.append(len(read_table(directory)[0]) if has_record(directory) else 0)
        same(mcinj.run(CONFIG, jobs=1, results=directory), reference)
    assert len(kept) > 5
    assert 0 < kept[-1] < len(reference)


CALLS = ("fsync", "replace", "write", "ftruncate", "open")


@pytest.mark.parametrize("name", CALLS)
def test_no_space_at_any_call(
    name: str, reference: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failed = getattr(os, name), 0
    for k in range(30):
        directory, calls = tmp_path / str(k), 0

        def call(*arguments: Any, k: int = k, directory: Path = directory, **options: Any) -> Any:
            nonlocal calls
            ours = name != "open" or str(directory) in str(arguments[0])
            calls += ours
            if ours and calls == k + 1:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, name, call)
            line = refused(lambda directory=directory: mcinj.run(CONFIG, jobs=1, results=directory))
        if calls <= k:
            assert not line
            break
        failed += 1
        assert not line or "No space left" in line, line
        assert not list(directory.glob("*.tmp"))
        same(mcinj.run(CONFIG, jobs=1, results=directory), reference)
        assert not list(directory.glob(".*"))
    else:
        pytest.fail("every run failed")
    assert failed


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB, where mounting is allowed."""
    from reliability.disturbed import small_disk

    target = tmp_path / "disk"
    if not small_disk(target):
        pytest.skip("mounting is not allowed here")
    try:
        yield target
    finally:
        subprocess.run(["umount", "-l", str(target)], check=True)


def test_a_real_disk_with_any_number_of_pages_left(reference: pd.DataFrame, disk: Path) -> None:
    met = 0
    for pages in range(60):
        directory, filler = disk / f"r{pages}", disk / "filler"
        state = os.statvfs(disk)
        with filler.open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, (state.f_bavail - pages) * state.f_bsize)
        line = refused(lambda directory=directory: mcinj.run(CONFIG, jobs=1, results=directory))
        filler.unlink()
        same(mcinj.run(CONFIG, jobs=1, results=directory), reference)
        for path in directory.iterdir():
            path.unlink()
        if not line:
            break
        met += 1
    assert met > 5


def test_a_read_only_disk(reference: pd.DataFrame, disk: Path) -> None:
    mcinj.run(CONFIG, jobs=1, results=disk / "r")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    same(read_table(disk / "r")[0], reference)
    assert "complete" in status_table(disk / "r")[0]
    for call in (
        lambda: mcinj.run(CONFIG, jobs=1, results=disk / "r"),
        lambda: mcinj.run(CONFIG, jobs=1, results=disk / "new"),
        lambda: report([disk / "r"], None),
    ):
        assert "Read-only" in refused(call) or "not writable" in refused(call)


@pytest.mark.skipif(hasattr(os, "getuid") and os.getuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_directory(tmp_path: Path) -> None:
    mcinj.run(CONFIG, jobs=1, results=tmp_path / "r")
    (tmp_path / "r").chmod(0o555)
    try:
        assert "not writable" in refused(lambda: mcinj.run(CONFIG, jobs=1, results=tmp_path / "r"))
        assert "complete" in status_table(tmp_path / "r")[0]
        assert "cannot write" in refused(lambda: report([tmp_path / "r"], None))
    finally:
        (tmp_path / "r").chmod(0o755)


def test_a_committed_table_is_taken_over_whole_or_not_at_all(
    reference: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record with a part of its rows would have the others drawn again, and the table written over."""
    mcinj.run(CONFIG, jobs=1, results=tmp_path)
    pages = (tmp_path / "trials.sqlite").stat().st_size // 4096
    (tmp_path / "trials.sqlite").unlink()
    whole = (tmp_path / "trials.parquet").read_bytes()
    seconds = set(read_table(tmp_path)[0]["seconds"])
    for few in range(1, pages):
        with monkeypatch.context() as patch:
            few_pages(patch, few)
            assert "full" in refused(lambda: mcinj.run(CONFIG, jobs=1, results=tmp_path))
        assert not has_record(tmp_path)
        assert (tmp_path / "trials.parquet").read_bytes() == whole
        same(read_table(tmp_path)[0], reference)
    table = mcinj.run(CONFIG, jobs=1, results=tmp_path)
    same(table, reference)
    assert set(table["seconds"]) == seconds


def jumping(clock: Callable[[], float], rng: random.Random) -> Callable[[], float]:
    """A clock that is wrong by up to eleven days, either way, at every fifth reading."""
    return lambda: clock() + (rng.uniform(-1, 1) * 10 ** rng.uniform(0, 6) if rng.random() < 0.2 else 0.0)


def test_clocks_that_jump(reference: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(6):
        rng = random.Random(seed)
        with monkeypatch.context() as patch:
            for name in ("time", "monotonic", "perf_counter"):
                patch.setattr(time, name, jumping(getattr(time, name), rng))
            table = mcinj.run(CONFIG, jobs=1, results=tmp_path / str(seed), progress=lambda p: p.rate)
            title, _ = status_table(tmp_path / str(seed))
        same(table, reference)
        same(read_table(tmp_path / str(seed))[0], reference)
        assert (table["seconds"] >= 0).all()
        assert "complete" in title
