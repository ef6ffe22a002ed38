"""Bounds belong to their law, and a bound that cannot be computed costs its own row of a report."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mcinj
from mcinj.cli import main
from mcinj.infer import Family, families
from mcinj.networks import Ensemble, RowStream
from mcinj.networks.laws import ENSEMBLES
from mcinj.show.bounds import ELSEWHERE, about, for_plot, standing
from mcinj.show.comparison import comparison_rows, examine
from mcinj.show.lines import draw_vertical, infinity_strip
from mcinj.show.report import Report, report
from mcinj.theory import Bound, full_rsb, table

ALL = [*ENSEMBLES, "sparse:1", "sparse:0.8", "correlated:0.1"]
ROTATION = {"gaussian", "xavier", "sphere", "sparse:1"}
SYMMETRIC = ROTATION | {"uniform"}


def draws(
    ensemble: str, before: str = "", sizes: tuple[int, ...] = (5, 6, 7, 8, 9), criterion: str = "regional"
) -> Any:
    """A table of trials as `mcinj run` writes it: medians that rise towards 6.7, no search."""
    rng = np.random.default_rng(3)
    rows = []
    for n in sizes:
        for width in np.round(n * (6.7 - 9.0 / n + rng.normal(0, 1.5 / math.sqrt(n), 80))).astype(int):
            rows.append((n, before, criterion, ensemble, max(int(width), 1) - 1, max(int(width), 1), None))
    return pd.DataFrame(
        rows, columns=["n", "widths_before", "criterion", "ensemble", "m_lo", "m_hi", "failed_layer"]
    )  # fmt: skip


def family(ensemble: str, **options: Any) -> Family:
    (found,) = families(draws(ensemble, **options))
    return found


@pytest.mark.parametrize("ensemble", ALL)
def test_each_law_has_the_bounds_that_are_proved_for_it(ensemble: str) -> None:
    for row in table(2):
        wanted = SYMMETRIC if row.name in ("first moment (union bound)", "Euler characteristic") else ROTATION
        assert about(row, ensemble) == (ensemble in wanted), row.name
        assert standing(row, [ensemble]) == (row.status if ensemble in wanted else ELSEWHERE)
    assert standing(table(1)[0], ["gaussian", "rademacher"]) == ELSEWHERE


@pytest.mark.parametrize("ensemble", ALL)
def test_rows_of_rotation_invariant_laws_are_gaussian_rows_up_to_positive_factors(ensemble: str) -> None:
    # Such a factor changes no sign of a row's product with any x: every one-layer value carries over.
    drawn, gaussian = (RowStream(law, 4, 5).take(60) for law in (ensemble, "gaussian"))
    factors = drawn / gaussian
    parallel = bool((factors > 0).all()) and np.allclose(factors, factors[:, :1])
    assert parallel == Ensemble.parse(ensemble).rotation_invariant


@pytest.mark.parametrize("ensemble", ALL)
def test_signs_of_symmetric_rows_are_independent_fair_coins_and_no_row_vanishes(ensemble: str) -> None:
    # What the first moment needs: at fixed x every pattern of signs is equally likely. 5 standard errors, fixed seed.
    law = Ensemble.parse(ensemble)
    rows = RowStream(law, 3, 11).take(40_000)
    signs = np.sign(rows @ np.array([1.0, -1.0, 2.0]))
    fair = abs(signs.mean()) < 0.025 and abs((signs[1:] * signs[:-1]).mean()) < 0.025 and bool((signs != 0).all())
    # Dependent rows show as three rows of rank 2, for laws on few points.
    independent = all(abs(np.linalg.det(rows[k : k + 3])) > 1e-9 for k in range(0, 3000, 3))
    assert (fair and independent) == law.symmetric_rows


@pytest.mark.parametrize("ensemble", ["gaussian", "sphere", "uniform", "rademacher", "sparse:0.8", "correlated:0.5"])
def test_verdicts_are_given_on_values_of_the_own_law_only(ensemble: str) -> None:
    item = examine(family(ensemble))
    rows = comparison_rows(item)
    assert item.extrapolation is not None
    assert item.second is not None
    assert set(rows["basis"]) == {"n = 9", "n → ∞", "n → ∞, version 2"}
    limit = rows[rows["basis"].isin(["n → ∞", "n → ∞, version 2"])]
    own = limit["status"] != ELSEWHERE
    assert own.sum() == 2 * {"gaussian": 11, "sphere": 11, "uniform": 2}.get(ensemble, 0)
    assert limit.loc[own, "verdict"].str.contains("half-widths of the total interval").all()
    assert (limit.loc[~own, "verdict"] == "").all()
    assert np.isfinite(rows["difference"].astype(float)).all()
    assert set(rows["laws"]) == {"rotation-invariant rows", "symmetric rows in general position"}


def test_lines_of_other_laws_are_named_so_and_paler() -> None:
    from matplotlib import pyplot

    plotted = for_plot(table(1))
    for ensembles, expected in (
        (["gaussian"], 0),
        (["uniform"], 3),
        (["rademacher"], 4),
        (["sphere", "sparse:0.5"], 4),
    ):
        fig, axes = pyplot.subplots()
        axes.set(xlim=(6, 10), ylim=(6, 10))
        strip = infinity_strip(axes, plotted, ensembles)
        draw_vertical(axes, plotted, ensembles)
        for lines in (strip.get_lines(), [v for v in axes.get_lines() if len(set(v.get_xdata())) == 1]):
            assert len(lines) == 4
            other = [line for line in lines if ELSEWHERE in str(line.get_label())]
            assert len(other) == expected
            assert all((line.get_color() == "0.6") == (line in other) for line in lines)
            # In grey print: no two of the own law's lines look alike.
            own = [(v.get_linestyle(), v.get_color(), v.get_linewidth()) for v in lines if v not in other]
            assert len(set(own)) == len(own)
            assert not any("rigorous" in str(line.get_label()) for line in other)
        # Every line carries its name, and none stands in a legend.
        texts = [text.get_text() for text in (*axes.texts, *strip.texts)]
        assert all(sum(f"{bound.value:.3f}" in text for text in texts) == 2 for bound in plotted)
        assert not axes.get_legend_handles_labels()[1]
        pyplot.close(fig)


@pytest.mark.parametrize("before", ["8,8", "16", "12,60", "54,9"])
@pytest.mark.parametrize("criterion", ["regional", "global"])
def test_narrow_earlier_layers_cost_the_bounds_and_nothing_else(before: str, criterion: str) -> None:
    # No comparison bounds the layer after so narrow a one.
    item = examine(family("gaussian", before=before, sizes=(8,), criterion=criterion))
    missing = [row for row in item.bounds if not row.known]
    assert missing
    assert all("layer" in row.reason for row in missing)
    rows = comparison_rows(item)
    texts = rows.loc[rows["value"].isna(), "verdict"]
    assert len(texts) == len(missing)
    assert texts.str.startswith("not computed: layer").all()
    assert all(row.known for row in for_plot(item.bounds))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("results") / "small"
    config = {"name": "small", "seed": 2, "threshold": [{"n": [2, 3], "trials": 30}]}
    mcinj.run(config, jobs=1, results=directory)
    return directory


def fails(*_: Any, **__: Any) -> Bound:
    raise ArithmeticError("the descent stopped")


def command(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mcinj", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0)


BROKEN = {
    "mcinj.theory.rsb.two_rsb": "2RSB",
    "mcinj.theory.closed_form.first_moment": "first moment (union bound)",
    "mcinj.theory.closed_form.plain_rdt": "plain RDT (replica symmetric)",
}


@pytest.fixture(scope="module")
def slowest() -> Bound:
    return full_rsb()


@pytest.fixture(scope="module")
def before(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return report([results], tmp_path_factory.mktemp("before"))


@pytest.mark.parametrize("name", BROKEN)
def test_a_report_stands_with_one_bound_missing(
    name: str,
    results: Path,
    before: Report,
    slowest: Bound,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MCINJ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("mcinj.theory.rsb.full_rsb", lambda: slowest)
    monkeypatch.setattr(name, fails)
    made = report([results], tmp_path / "after")
    assert [p.name for p in made.figures] == [p.name for p in before.figures]
    for path in before.page.parent.glob("*.csv"):
        if path.name != "comparison.csv":
            assert path.read_bytes() == (tmp_path / "after" / path.name).read_bytes()
    folders = (before.page.parent, tmp_path / "after")
    was, now = (pd.read_csv(folder / "comparison.csv", dtype={"verdict": object}) for folder in folders)
    lost = now["bound"] == BROKEN[name]
    assert lost.any()
    pd.testing.assert_frame_equal(was[~lost], now[~lost])
    assert now.loc[lost, "value"].isna().all()
    assert (now.loc[lost, "verdict"] == "not computed: the descent stopped").all()
    assert "not computed: the descent stopped" in made.page.read_text(encoding="utf-8")

    assert command("theory", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    (row,) = [r for r in rows if r["name"] == BROKEN[name]]
    assert (row["value"], row["reason"]) == (None, "the descent stopped")
    assert {"name", "layers", "value", "status", "source"} <= row.keys()
    assert sum(r["value"] is None for r in rows) == 1
    assert command("theory") == 0
    assert "not computed: the descent stopped" in " ".join(capsys.readouterr().out.split())
    assert command("report", str(results), "-o", str(tmp_path / "again")) == 0
    assert "report:" in capsys.readouterr().out


def test_a_run_ends_well_without_any_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BROKEN:
        monkeypatch.setattr(name, fails)
    monkeypatch.setattr("mcinj.theory.tables.table", fails)
    (tmp_path / "e.toml").write_text('name = "e"\n[[threshold]]\nn = [1, 2]\ntrials = 3\n')
    assert command("run", str(tmp_path / "e.toml"), "--jobs", "1", "--results", str(tmp_path / "e")) == 0
    assert len(pd.read_parquet(tmp_path / "e" / "trials.parquet")) == 6


def test_ground_states_beside_other_laws_are_for_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import pyplot

    from mcinj.show.active import active_axes, active_summary
    from mcinj.theory import GroundStateCurve, ground_state_curve

    lost = ground_state_curve([3.0, 4.0])
    nothing = np.full(2, np.nan)
    lost = GroundStateCurve(lost.alphas, lost.rs, lost.one_rsb, nothing, dict.fromkeys(lost.parameters, nothing))
    monkeypatch.setattr("mcinj.show.active.ground_state_curve", lambda *_: lost)
    for ensemble in ("gaussian", "uniform"):
        trials = [(2, ensemble, m, t % 3, t % 3) for m in (6, 8) for t in range(5)]
        summary = active_summary(pd.DataFrame(trials, columns=["n", "ensemble", "m", "active_lo", "active_hi"]))
        assert summary["two_rsb"].isna().all()
        assert np.isfinite(summary["rs"]).all()
        fig, axes = pyplot.subplots()
        active_axes(axes, summary, lost)
        labels = [str(v.get_label())[1:] for v in axes.get_lines() if str(v.get_label()).startswith("_e(α)")]
        assert len(labels) == 3
        assert all((ELSEWHERE in text) == (ensemble == "uniform") for text in labels)
        fig.canvas.draw()
        pyplot.close(fig)
