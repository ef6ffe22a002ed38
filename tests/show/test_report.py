"""Reports: tables with the right numbers, pictures that are pictures, one page that needs nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

import mcinj
from mcinj import InputError
from mcinj.infer import families
from mcinj.show.bounds import bounds_for, for_plot
from mcinj.show.progress import duration
from mcinj.show.report import report

matplotlib.use("Agg")
CONFIG = {"name": "curves", "seed": 4, "threshold": [{"n": [1, 2, 3, 4], "trials": 80}]}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("results") / "curves"
    mcinj.run(CONFIG, jobs=1, results=directory)
    return directory


def test_everything_is_made_and_whole(results: Path) -> None:
    made = report([results])
    for name in ("transition", "median"):
        assert (results / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (results / "figures" / f"{name}.svg").read_text()
    page = made.page.read_text()
    assert page.count("<svg") == 2
    # Self-contained: nothing is loaded from anywhere else.
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttp", page)
    assert not list(results.rglob("*.tmp"))


def test_summary_and_comparison_hold_the_data(results: Path) -> None:
    made = report([results])
    table = pd.read_parquet(results / "trials.parquet")
    summary = pd.read_csv(results / "summary.csv")
    assert list(summary["n"]) == [1, 2, 3, 4]
    for row in summary.itertuples():
        draws = table.loc[table["n"] == row.n, "m_hi"] / row.n
        assert row.mean == pytest.approx(draws.mean())
        assert row.median_lo <= row.median <= row.median_hi
        assert abs(row.median - draws.median()) <= 1 / row.n
    rows = made.comparison
    assert set(rows["basis"]) == {"n = 4"}
    np.testing.assert_allclose(rows["difference"], rows["value"] - rows["estimate"])
    plain = rows[rows["bound"].str.startswith("plain RDT")].iloc[0]
    assert plain["value"] == pytest.approx(mcinj.theory.plain_rdt().value)
    assert plain["status"] == "rigorous"


def test_the_same_table_gives_the_same_files(results: Path) -> None:
    first = {p.name: p.read_bytes() for p in report([results]).figures}
    assert {p.name: p.read_bytes() for p in report([results]).figures} == first


def test_several_results_are_compared(results: Path, tmp_path: Path) -> None:
    other = {"name": "signs", "seed": 4, "threshold": [{"n": [2, 3], "trials": 40, "ensemble": "rademacher"}]}
    mcinj.run(other, jobs=1, results=tmp_path / "signs")
    made = report([results, tmp_path / "signs"], tmp_path / "both")
    assert {p.name for p in made.figures if p.suffix == ".png"} == {
        "transition_gaussian.png", "transition_rademacher.png", "medians_compared.png"}  # fmt: skip
    assert set(pd.read_csv(tmp_path / "both" / "summary.csv")["experiment"]) == {"curves", "signs"}


def test_censored_infinite_and_single_draws_can_be_shown(tmp_path: Path) -> None:
    config = {
        "name": "odd",
        "threshold": [
            {"n": 3, "trials": 12, "node_budget": 2},
            {"n": [4], "trials": 1},
            {"n": 2, "trials": 15, "widths_before": [3], "criterion": "layerwise"},
        ],
    }
    table = mcinj.run(config, jobs=1, results=tmp_path)
    assert table["failed_layer"].notna().any()
    made = report([tmp_path])
    assert made.page.exists()
    summary = pd.read_csv(tmp_path / "summary.csv")
    assert summary["failed"].sum() == table["failed_layer"].notna().sum()


def test_a_limit_is_shown_when_there_are_sizes_enough(tmp_path: Path) -> None:
    config = {"name": "limit", "seed": 3, "threshold": [{"n": [1, 2, 5, 6, 7, 8, 9], "trials": 40}]}
    mcinj.run(config, jobs=1, results=tmp_path)
    made = report([tmp_path])
    assert (tmp_path / "figures" / "scaling.png").exists()
    rows = made.comparison
    limit = rows[rows["basis"] == "n → ∞"]
    assert len(limit) == len(rows[rows["basis"] == "n = 9"])
    assert ((limit["interval_lo"] <= limit["estimate"]) & (limit["estimate"] <= limit["interval_hi"])).all()
    assert limit["verdict"].str.contains("half-widths of the total interval").all()


def test_bounds_on_a_plot_are_distinct_and_labelled() -> None:
    table = pd.DataFrame({"n": [3], "widths_before": [""], "criterion": ["global"], "ensemble": ["gaussian"],
                          "m_lo": [9], "m_hi": [10], "failed_layer": [None]})  # fmt: skip
    (family,) = families(table)
    bounds = bounds_for(family)
    plotted = for_plot(bounds)
    values = [b.value for b in plotted]
    assert values == sorted(values)
    assert min(np.diff(values)) > 0.02
    assert {b.status for b in plotted} == {"rigorous", "heuristic"}


def test_two_layer_families_get_bounds_after_their_own_first_layer() -> None:
    frame = {
        "n": [8],
        "criterion": ["regional"],
        "ensemble": ["gaussian"],
        "m_lo": [9],
        "m_hi": [10],
        "failed_layer": [None],
    }
    (published,) = families(pd.DataFrame({**frame, "widths_before": ["54"]}))
    assert any(b.value == 8.267 and b.origin == "published" for b in bounds_for(published))
    (wide,) = families(pd.DataFrame({**frame, "widths_before": ["160"]}))
    names = [b.name for b in bounds_for(wide)]
    assert names
    assert all("after 20" in name for name in names)
    (layerwise,) = families(pd.DataFrame({**frame, "widths_before": ["160"], "criterion": "layerwise"}))
    assert bounds_for(layerwise) == []
    # Count bounds are no bounds on global injectivity.
    (collisions,) = families(pd.DataFrame({**frame, "widths_before": ["54"], "criterion": ["global"]}))
    rows = bounds_for(collisions)
    assert {b.origin for b in rows if b.theta == 1.0} == {"published"}
    assert any(b.theta == 2.0 and b.status == "rigorous" for b in rows)


def test_bad_input(tmp_path: Path, results: Path) -> None:
    with pytest.raises(InputError, match="at least one"):
        report([])
    with pytest.raises(InputError, match="no such directory"):
        report([tmp_path / "none"])
    with pytest.raises(InputError, match="no trials"):
        report([tmp_path])
    (tmp_path / "trials.parquet").write_bytes(b"PAR1 nonsense PAR1")
    with pytest.raises(InputError, match="cannot be read as parquet"):
        report([tmp_path])
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "trials.parquet")
    with pytest.raises(InputError, match="not a trials table"):
        report([tmp_path])


def test_durations() -> None:
    assert [duration(v) for v in (None, 3.2, 600.0, 9000.0)] == ["?", "3 s", "10 min", "2.5 h"]
