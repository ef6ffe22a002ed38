"""`mcinj invert` as a user meets it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mcinj.cli import main


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.npz"
    np.savez(path, W1=np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))
    return path


def run(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mcinj", "invert", *args])
    with pytest.raises(SystemExit) as ended:
        main()
    return 0 if ended.value.code is None else int(ended.value.code)


def test_outputs_from_text_and_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], net: Path, tmp_path: Path
) -> None:
    assert run(monkeypatch, str(net), "--y", "2,1/3,0", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["x"], data["unique"], data["complete"]) == (["2", "1/3"], True, True)
    np.save(tmp_path / "y.npy", [2.0, 0.0, 0.0])
    assert run(monkeypatch, str(net), str(tmp_path / "y.npy")) == 1
    assert "other inputs" in capsys.readouterr().out
    (tmp_path / "y.csv").write_text("2\n3\n1\n")
    assert run(monkeypatch, str(net), str(tmp_path / "y.csv")) == 1
    assert "no input" in capsys.readouterr().out
    assert run(monkeypatch, str(net), "--y", "2,3,0", "--last", "linear") == 1
    assert run(monkeypatch, str(net), "--y", "2,3,-5", "--last", "linear") == 0
    assert run(monkeypatch, str(net), "--y", "2,3,0", "--node-budget", "0") == 3


def test_bad_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], net: Path, tmp_path: Path
) -> None:
    pickled = tmp_path / "p.npy"
    np.save(pickled, np.array([{}, 1], dtype=object), allow_pickle=True)
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    cases = [[], ["--y", "1,2"], ["--y", "1,nan,2"], ["--y", "1,1/0,2"], ["--y", "a"], [str(tmp_path / "none.npy")],
             [str(pickled)], [str(tmp_path / "bytes.txt")], [str(pickled), "--y", "1"]]  # fmt: skip
    for case in cases:
        assert run(monkeypatch, str(net), *case) == 2, case
        error = capsys.readouterr().err
        assert error.startswith("mcinj: ")
        assert error.count("\n") == 1


def test_least_squares_slopes_and_balls(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], net: Path
) -> None:
    # With both first units active x = (2, 3) misses the third output by 1; any other pattern misses the second by 3.
    assert run(monkeypatch, str(net), "--y", "2,3,1", "--least-squares", "--json") == 0
    fit = json.loads(capsys.readouterr().out)["fit"]
    assert (fit["x"], fit["squared"], fit["proved"]) == (["2", "3"], "1", True)
    assert run(monkeypatch, str(net), "--y", "2,3,1", "--least-squares") == 0
    assert "no input comes nearer (proved)" in capsys.readouterr().out
    # Leaky units of slope 1/2 give 2, -3/2, 1 at (2, -3).
    assert run(monkeypatch, str(net), "--y", "2,-3/2,1", "--slope", "0.5", "--json") == 0
    assert json.loads(capsys.readouterr().out)["x"] == ["2", "-3"]
    assert run(monkeypatch, str(net), "--y", "2,3,0", "--domain", "ball:4") == 0
    assert run(monkeypatch, str(net), "--y", "2,3,0", "--domain", "ball:3.5") == 1  # |x|² = 13 > 49/4
    capsys.readouterr()
    for case in (["--slope", "-1"], ["--domain", "ball:-1"], ["--time-limit", "-1"]):
        assert run(monkeypatch, str(net), "--y", "2,3,0", *case) == 2, case
        assert capsys.readouterr().err.count("\n") == 1
