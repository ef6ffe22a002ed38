"""`mcinj warmup`, and a wheel that brings compiled code along."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mcinj
from mcinj import warm
from mcinj.cli import app
from mcinj.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 5.0  # processor time of a first verdict


@pytest.mark.parametrize("name", list(warm.CASES))
def test_every_case_is_a_question_that_has_an_answer(name: str) -> None:
    warm.CASES[name]()


def test_progress_says_what_is_done_and_what_is_being_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[warm.Progress] = []
    warm.warm_up(1, seen.append, cases=["layers with any rows"])
    assert (seen[0].done, seen[0].total, seen[-1].done) == (0, 1, 1)
    assert seen[0].running == ("layers with any rows",)
    assert seen[-1].running == ()


def test_an_unwritable_folder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(file))
    result = CliRunner().invoke(app, ["warmup"])
    assert isinstance(result.exception, InputError)
    assert "cannot make the directory" in str(result.exception)


def test_ship_replaces_only_what_it_has_made(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(InputError, match="holds files other than compiled kernels"):
        warm.ship(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling builds the wheel (extra dev)")
@pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="pip builds the wheel, and is not here")
def test_a_wheel_with_compiled_code_decides_at_once(tmp_path: Path) -> None:
    """Made from a copy, installed without network or compiler, first verdict timed in processor seconds."""
    source = tmp_path / "source"
    source.mkdir()
    shutil.copytree(ROOT / "mcinj", source / "mcinj", ignore=shutil.ignore_patterns("__pycache__", "_compiled"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    assert warm.ship(source / "mcinj" / "_compiled", 1, cases=["one layer"]) > 10
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    command = ["wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run([*pip, *command], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert any(name.endswith(".kernel") for name in zipfile.ZipFile(wheel).namelist())

    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = ["-m", "pip", "--quiet", "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([str(python), *install], check=True)
    # What it depends on is taken from the environment of the tests.
    where = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    Path(where, "base.pth").write_text(sysconfig.get_path("purelib") + "\n")
    network = mcinj.sample(8, (54,), seed=3)
    mcinj.write_npz(network, tmp_path / "one.npz")
    own = {"PYTHONPATH": "", "NUMBA_CACHE_DIR": str(tmp_path / "cold")}
    code = (
        "import sys, time, mcinj, numba.core.event as e\n"
        "with e.install_recorder('numba:compile') as seen:\n"
        "    verdict = mcinj.check(mcinj.read_network('one.npz'))\n"
        "print(mcinj.__file__, verdict.verdict, len(seen.buffer), time.process_time())\n"
    )
    said = subprocess.run(
        [str(python), "-c", code], cwd=tmp_path, env={**os.environ, **own}, check=True, capture_output=True, text=True
    ).stdout.split()
    assert said[0].startswith(str(home))
    assert said[1] == "injective"
    assert said[2] == "0"
    assert float(said[3]) < SECONDS
    assert not list((tmp_path / "cold").rglob("*.kernel"))
