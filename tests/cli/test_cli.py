"""The command line as a user meets it: output, exit codes, one line per error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mcinj
from mcinj import Network, Witness, read_npz, sample, write_npz
from mcinj.cli import main

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Run `mcinj ARGS` in an empty directory: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mcinj", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        code = ended.value.code
        return (0 if code is None else int(code)), captured.out, captured.err

    return run


def test_import_is_light() -> None:
    heavy = ("numpy", "scipy", "pandas", "numba", "cvxpy", "matplotlib", "flint", "highspy", "joblib")
    code = f"import sys, mcinj; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_layer_and_a_report_import_no_more_than_they_need(tmp_path: Path) -> None:
    """Searches of deep networks are a tenth of a second of every warm start, scipy.stats half a second of a report."""
    layer = "mcinj.check(mcinj.sample(3, (30,), seed=1))"
    block = {"name": "k", "seed": 1, "threshold": [{"n": [2, 3], "trials": 40}]}
    results = f"mcinj.run({block!r}, jobs=1, results={str(tmp_path)!r})"
    for what, heavy in (
        (layer, ["mcinj.decide.bounded.decide", "mcinj.decide.coarse.search", "pandas", "scipy.optimize"]),
        (f"{results}; mcinj.report([{str(tmp_path)!r}])", ["scipy.stats", "scipy.optimize"]),
    ):
        code = f"import sys, mcinj; {what}; print([m for m in {heavy!r} if m in sys.modules])"
        for _ in range(2):  # the first one compiles, and computes the bounds
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("asked", ["check s.npz", "threshold --n 3", "probe --n 9"])
def test_searches_that_are_not_compiled_are_refused_in_one_line(tmp_path: Path, asked: str) -> None:
    """NumPy's scalars follow other rules: what is proved of compiled code would not hold."""
    write_npz(sample(3, (12,), seed=1), tmp_path / "s.npz")
    code = f"import sys; sys.argv[1:] = {asked.split()!r}; from mcinj.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "NUMBA_DISABLE_JIT is set" in done.stderr


def test_all_public_names_exist() -> None:
    assert all(getattr(mcinj, name) is not None for name in mcinj.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        mcinj.nonsense  # noqa: B018


def test_version_and_help(cli: Cli) -> None:
    assert cli("--version") == (0, f"mcinj {mcinj.__version__}\n", "")
    code, out, _ = cli("--help")
    assert code == 0
    for command in ("run", "status", "report", "check", "verify", "threshold", "sample", "theory", "export"):
        assert command in out
        code, text, _ = cli(command, "--help")
        assert code == 0
        assert f"Example: mcinj {command}" in text


def test_sample_check_verify(cli: Cli, tmp_path: Path) -> None:
    assert cli("sample", "--n", "3", "--widths", "21", "--seed", "2", "-o", "a.npz")[0] == 0
    assert read_npz(tmp_path / "a.npz").digest() == sample(3, (21,), seed=2).digest()
    code, out, _ = cli("check", "a.npz", "--certificate", "a.cert")
    assert code == 0
    assert "passes" in out
    assert cli("verify", "a.cert", "a.npz")[0] == 0
    assert cli("verify", "a.cert", "a.npz", "--exact")[0] == 0
    cli("sample", "--n", "3", "--widths", "21", "--seed", "3", "-o", "b.npz")
    code, out, _ = cli("verify", "a.cert", "b.npz")
    assert (code, out.split(":")[0]) == (1, "rejected")
    (tmp_path / "a.cert").write_bytes((tmp_path / "a.cert").read_bytes()[:-1])
    assert cli("verify", "a.cert", "a.npz")[0] == 1
    assert cli("verify", "a.cert", "none.npz")[0] == 2


def test_a_file_of_unknown_law_is_decided_exactly_unless_the_user_assumes(cli: Cli, tmp_path: Path) -> None:
    write_npz(sample(3, (20, 24), seed=1), tmp_path / "a.npz")
    code, out, _ = cli("check", "a.npz", "--json")
    assert (code, json.loads(out)["certified"], json.loads(out)["assumption"]) == (0, "exact", None)
    nodes = json.loads(out)["nodes"]
    code, out, _ = cli("check", "a.npz", "--json", "--node-budget", str(nodes - 1))
    assert (code, json.loads(out)["verdict"]) == (3, "unknown")
    assert "--assume-generic" in json.loads(out)["reason"]
    code, out, _ = cli("check", "a.npz", "--node-budget", str(nodes - 1))
    assert (code, "undecided: counts are proved, rank is not" in out) == (3, True)
    code, out, _ = cli("check", "a.npz", "--assume-generic", "--certificate", "a.cert")
    assert (code, "as the user assumes" in out) == (0, True)
    code, out, _ = cli("verify", "a.cert", "a.npz")
    assert (code, "as the user assumes" in out) == (0, True)
    assert cli("verify", "a.cert", "a.npz", "--exact")[0] == 4
    assert cli("check", "a.npz", "--assume-generic", "--exact")[0] == 2
    w = np.random.default_rng(0).standard_normal((9, 3))
    write_npz(Network([np.vstack([w, -w]), np.random.default_rng(1).standard_normal((20, 18))]), tmp_path / "b.npz")
    code, out, error = cli("check", "b.npz", "--assume-generic")
    assert (code, out) == (2, "")
    assert "layer 1: two rows are parallel" in error


def test_deep_passes_are_written_and_verified(cli: Cli, tmp_path: Path) -> None:
    cli("sample", "--n", "2", "--widths", "13,16", "--seed", "1", "-o", "a.npz")
    for criterion in ("regional", "global"):
        code, out, _ = cli("check", "a.npz", "--criterion", criterion, "--certificate", "a.cert")
        assert (code, "certificate: a.cert" in out) == (0, True)
        code, out, _ = cli("verify", "a.cert", "a.npz")
        assert (code, out.startswith(f"accepted: {criterion}: ")) == (0, True)
        assert "taken for granted: the weights were drawn from a continuous law" in out
        assert "certified: generic" in out
        code, out, _ = cli("verify", "a.cert", "a.npz", "--exact")
        assert (code, out.startswith(f"not accepted as exact: {criterion}: ")) == (4, True)
        assert cli("check", "a.npz", "--criterion", criterion, "--exact", "--certificate", "a.cert")[0] == 0
        code, out, _ = cli("verify", "a.cert", "a.npz", "--exact")
        assert (code, out.startswith(f"accepted: {criterion}: ")) == (0, True)
    cli("sample", "--n", "2", "--widths", "13,16", "--seed", "2", "-o", "b.npz")
    assert cli("verify", "a.cert", "b.npz")[0] == 1
    (tmp_path / "a.cert").write_bytes(b"MCINJC02" + bytes(100))
    assert cli("verify", "a.cert", "a.npz")[0] == 1
    code, out, err = cli("check", "a.npz", "--domain", "box:-1,1", "--certificate", "a.cert")
    assert (code, len(err.splitlines())) == (2, 1)


def test_a_linear_last_layer_is_verified_as_it_was_checked(cli: Cli) -> None:
    cli("sample", "--n", "2", "--widths", "13,5", "--seed", "1", "-o", "a.npz")
    assert cli("check", "a.npz", "--criterion", "regional", "--last", "linear", "--certificate", "a.cert")[0] == 0
    assert cli("verify", "a.cert", "a.npz", "--last", "linear")[0] == 0
    assert cli("verify", "a.cert", "a.npz")[0] == 1


def test_check_failure_gives_a_witness(cli: Cli) -> None:
    cli("sample", "--n", "3", "--expansions", "2", "-o", "a.npz")
    code, out, _ = cli("check", "a.npz", "--json")
    data = json.loads(out)
    assert (code, data["verdict"], data["network_injective"], data["widths"]) == (1, "not_injective", False, [6])
    assert Witness.from_json(data["witness"]).collides(read_npz("a.npz"))
    code, out, err = cli("check", "a.npz", "--certificate", "a.cert")
    assert code == 1
    assert "x' =" in out
    assert "no certificate written" in err
    assert not Path("a.cert").exists()


def test_check_unknown(cli: Cli) -> None:
    cli("sample", "--n", "4", "--widths", "27", "-o", "a.npz")
    code, out, _ = cli("check", "a.npz", "--node-budget", "0", "--json")
    assert (code, json.loads(out)["verdict"]) == (3, "unknown")


def test_threshold(cli: Cli) -> None:
    code, out, _ = cli("threshold", "--n", "3", "--seed", "1/2", "--json")
    data = json.loads(out)
    assert code == 0
    assert data["m_hi"] == data["m_lo"] + 1
    assert data["seed"] == "1/2"
    assert mcinj.check(sample(3, (data["m_hi"],), seed="1/2")).passed
    assert f"m* = {data['m_hi']} " in cli("threshold", "--n", "3", "--seed", "1/2")[1]
    assert "m* = ∞: layer 1" in cli("threshold", "--n", "3", "--widths-before", "4", "--criterion", "layerwise")[1]
    assert "m* is above" in cli("threshold", "--n", "5", "--node-budget", "1")[1]


def test_theory(cli: Cli) -> None:
    code, out, _ = cli("theory", "--json")
    rows = json.loads(out)
    assert code == 0
    assert {"name", "layers", "value", "status", "source"} <= set(rows[0])
    assert any(abs(r["value"] - 7.647695) < 1e-6 and r["status"] == "rigorous" for r in rows)
    assert "7.647695" in cli("theory")[1]


def test_run_status_report_export(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "e.toml").write_text('name = "e"\n[[threshold]]\nn = [1, 2]\ntrials = 20\n')
    code, out, err = cli("run", "e.toml", "--jobs", "1")
    assert code == 0
    assert "40/40 trials" in err
    assert "next: mcinj report results/e" in out
    assert "40 of 40 trials, complete" in cli("status", "results/e")[1]
    code, out, _ = cli("report", "results/e")
    assert code == 0
    assert out.rstrip().endswith("report: results/e/report.html")
    code, out, _ = cli("export", "results/e")
    lines = out.splitlines()
    assert (code, len(lines), lines[0].split(",")[0]) == (0, 41, "n")
    assert cli("export", "results/e", "--format", "csv", "-o", "t.csv")[1] == ""
    assert (tmp_path / "t.csv").read_text() == out
    assert cli("export", "results/e", "--format", "parquet", "-o", "t.parquet")[0] == 0
    assert len(pd.read_parquet("t.parquet")) == 40
    assert cli("export", "results/e", "--format", "parquet")[0] == 2
    assert json.loads((tmp_path / "results/e/environment.json").read_text())["packages"]["numpy"]


def bad_files(folder: Path) -> None:
    """Files that a command must refuse."""
    (folder / "typo.toml").write_text('name = "e"\n[[threshold]]\nn = 2\ntrails = 20\n')
    (folder / "text.npz").write_text("hello")
    np.savez(folder / "pickled.npz", W1=np.array([None, 1], dtype=object))
    np.savez(folder / "shapes.npz", W1=np.ones((3, 2)), W2=np.ones((2, 2)))
    np.savez(folder / "nan.npz", W1=np.full((3, 2), np.nan))
    np.savez(folder / "complex.npz", W1=np.ones((3, 2)) * 1j)
    np.savez(folder / "strings.npz", W1=np.array([["a"]]))
    np.savez(folder / "empty.npz", W1=np.ones((0, 2)))
    (folder / "file").write_text("")
    write_npz(Network([np.ones((3, 2)), np.ones((3, 3))]), folder / "deep.npz")
    (folder / "ok.toml").write_text('name = "e"\n[[threshold]]\nn = 1\ntrials = 1\n')


BAD = [
    ("check", "none.npz"),
    ("check", "text.npz"),
    ("check", "pickled.npz"),
    ("check", "shapes.npz"),
    ("check", "nan.npz"),
    ("check", "complex.npz"),
    ("check", "strings.npz"),
    ("check", "empty.npz"),
    ("check", "."),
    ("check", "deep.npz", "--criterion", "regional", "--engine", "milp"),
    ("check", "deep.npz", "--node-budget", "-1"),
    ("check", "deep.npz", "--certificate", "none/x.cert"),
    ("verify", "none.cert", "deep.npz"),
    ("verify", "file", "none.npz"),
    ("run", "none.toml"),
    ("run", "typo.toml"),
    ("run", "ok.toml", "--jobs", "0"),
    ("run", "ok.toml", "--results", "file"),
    ("run", "ok.toml", "--results", "file/below"),
    ("status", "none"),
    ("report", "none"),
    ("export", "none"),
    ("sample", "--n", "3", "-o", "x.npz"),
    ("sample", "--n", "3", "--widths", "3", "--expansions", "2", "-o", "x.npz"),
    ("sample", "--n", "3", "--widths", "a,b", "-o", "x.npz"),
    ("sample", "--n", "3", "--widths", "3", "--ensemble", "gausian", "-o", "x.npz"),
    ("sample", "--n", "3", "--widths", "3", "-o", "none/x.npz"),
    ("sample", "--n", "3", "--widths", "3", "--seed", "-1", "-o", "x.npz"),
    ("threshold", "--n", "3", "--node-budget", "-2"),
    ("threshold", "--n", "3", "--widths-before", "0"),
    ("theory", "--layers", "9"),
    ("theory", "--layers", "0"),
]


@pytest.mark.parametrize("args", BAD, ids=" ".join)
def test_bad_input_is_one_line_and_code_2(args: tuple[str, ...], cli: Cli, tmp_path: Path) -> None:
    bad_files(tmp_path)
    before = sorted(p.name for p in tmp_path.rglob("*"))
    code, out, err = cli(*args)
    assert code == 2
    assert out == ""
    assert err.startswith("mcinj: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "args", [("check",), ("frobnicate",), ("threshold", "--n", "0"), ("check", "a", "--engine", "x")]
)
def test_wrong_usage_is_code_2(args: tuple[str, ...], cli: Cli) -> None:
    code, _, err = cli(*args)
    assert code == 2
    assert "Traceback" not in err


def test_internal_errors_are_code_70(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("mcinj.networks.readers.file_of", broken)
    code, _, err = cli("check", "a.npz")
    assert code == 70
    assert err.count("\n") == 1
    assert "RuntimeError: two lines" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument"), (["x.npz", "--samples", "0"], "--samples"),
        (["x.npz", "--samples", "few"], "--samples"),
        (["x.npz", "--nope"], "--nope"), (["x.npz", "--seed"], "--seed"),
    ],
)  # fmt: skip
def test_the_parsers_errors_are_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["mcinj", "coverage", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    out, error = capsys.readouterr()
    assert (ended.value.code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith("mcinj: ")
    assert words in error
