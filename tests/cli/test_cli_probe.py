"""`mcinj probe` as a user meets it."""

from __future__ import annotations

import json
import sys

import pytest

from mcinj.cli import main
from mcinj.networks import RowStream


def run(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mcinj", "probe", *args])
    with pytest.raises(SystemExit) as ended:
        main()
    return 0 if ended.value.code is None else int(ended.value.code)


def test_probe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--n", "5", "--seed", "7/5/0", "--moves", "500", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["moves"] == 500
    x = [int(v) for v in data["x"]]
    rows = RowStream("gaussian", 5, "7/5/0").take(data["m_found"])
    assert sum(sum(float(a) * v for a, v in zip(row, x, strict=True)) >= 0 for row in rows) < 5
    assert run(monkeypatch, "--n", "5", "--seed", "7/5/0", "--moves", "500") == 0
    assert f"m* > {data['m_found']} " in capsys.readouterr().out


def test_bad_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "--n", "5", "--ensemble", "gausian") == 2
    assert "unknown ensemble" in capsys.readouterr().err
    assert run(monkeypatch, "--n", "5", "--seed", "x") == 2


def test_several_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--n", "6", "--seed", "7/6/0", "--moves", "300", "--runs", "3")
    assert run(monkeypatch, *options, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert len(data["runs"]) == 3
    assert data["m_found"] == max(data["runs"])
    assert run(monkeypatch, *options) == 0
    agree = data["runs"].count(data["m_found"])
    text = f"{agree} of 3 independent runs: searched, not proved, that m* = {data['m_found'] + 1}"
    assert text in capsys.readouterr().out
