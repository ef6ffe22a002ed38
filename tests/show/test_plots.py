"""Figures of `mcinj.plot`, data frames of `mcinj.load`, the sentences of a report, and the page that describes them."""

from __future__ import annotations

import doctest
import importlib
import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest

import mcinj
from mcinj import InputError
from mcinj.infer import families
from mcinj.show.comparison import basis_of, comparison_view, examine, limits_view
from mcinj.show.findings import threshold_finding, threshold_warnings
from mcinj.show.names import family_title, short_names, slugs
from mcinj.show.style import MOST_ENTRIES

matplotlib.use("Agg")
from matplotlib import pyplot as plt

ROOT = Path(__file__).parents[2]


def draws(counts: dict[int, int], before: str = "", **columns: Any) -> pd.DataFrame:
    """Trials as `mcinj run` writes them, so many per n: medians that rise towards 6.7, no search."""
    rng = np.random.default_rng(3)
    rows = []
    for n, count in counts.items():
        for k, width in enumerate(np.round(n * (6.7 - 9.0 / n + rng.normal(0, 1.5 / math.sqrt(n), count))).astype(int)):
            m = max(int(width), 1)
            rows.append({"n": n, "widths_before": before.format(round(6.7004 * n)), "criterion": "regional",
                         "ensemble": "gaussian", "m_lo": m - 1, "m_hi": m, "failed_layer": None, "trial": k,
                         "seed": f"0/{n}/{k}", **columns})  # fmt: skip
    return pd.DataFrame(rows)


ONE = draws(dict.fromkeys(range(4, 16), 60) | {2: 30, 3: 30, 16: 12})
DEEP = pd.concat(
    [draws({2: 40, 3: 40}), draws({2: 40, 3: 40}, "{}"), draws({2: 40, 3: 40}, "{}", criterion="global")]
).reset_index(drop=True)
# The same streams for both criteria; global thresholds lie 0, 1 or 2 widths above.
DEEP.loc[DEEP["criterion"] == "global", ["m_lo", "m_hi"]] += (DEEP["trial"] % 3).to_numpy()[
    (DEEP["criterion"] == "global").to_numpy(), None
]
NAMES = ("transition", "median", "scaling", "limits", "residuals", "sharpening", "collapse")


@pytest.mark.parametrize("name", NAMES)
def test_plots_of_thresholds_take_and_give_axes(name: str) -> None:
    fig, (ax, other) = plt.subplots(1, 2)
    given = getattr(mcinj.plot, name)(ONE, ax=ax)
    assert given is ax
    assert not other.has_data()
    assert ax.get_xlabel()
    fig.canvas.draw()
    legend = ax.get_legend()
    assert legend is None or len(legend.get_texts()) <= MOST_ENTRIES
    plt.close(fig)


def test_plots_of_deep_networks() -> None:
    for name in ("gap", "depth"):
        fig, ax = plt.subplots()
        assert getattr(mcinj.plot, name)(DEEP, ax=ax) is ax
        assert len(ax.get_legend().get_texts()) <= MOST_ENTRIES
        plt.close(fig)
    with pytest.raises(InputError, match="both criteria"):
        mcinj.plot.gap(ONE)


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("probe", ("probe", "budget")),
        ("searched", ("searched", "agreement")),
        ("searched_depth", ("searched_deep", "searched_depth")),
        ("searched_global", ("searched_deep",)),
        ("active", ("active", "active_gap")),
        ("margin", ("margin", "margin_gap")),
        ("margin_searched", ("searched_margin",)),
        ("cells", ("cells", "cells_expected")),
        ("source_5_10_15", ("verdicts", "witnesses")),
    ],
)
def test_plots_and_tables_of_other_kinds(folder: str, names: tuple[str, ...]) -> None:
    results = mcinj.load(ROOT / "results" / folder)
    assert len(results.comparison) == 0
    assert results.families == []
    recorded = pd.read_csv(ROOT / "results" / folder / "summary.csv")
    assert len(results.summary) == len(recorded)
    for name in names:
        fig, ax = plt.subplots()
        assert getattr(mcinj.plot, name)(results, ax=ax) is ax
        fig.canvas.draw()
        legend = ax.get_legend()
        assert legend is None or len(legend.get_texts()) <= MOST_ENTRIES
        plt.close(fig)


def test_searched_and_proved_means_have_symbols_of_their_own() -> None:
    fig, ax = plt.subplots()
    table = mcinj.load(ROOT / "results" / "searched").trials
    mcinj.plot.searched(table[table["n"] <= 20], ax=ax, proved=ONE[ONE["n"] > 6])
    names = {box.get_label(): box.lines[0] for box in ax.containers}
    assert set(names) == {"searched, Gaussian", "proved, Gaussian"}
    searched, proved = names["searched, Gaussian"], names["proved, Gaussian"]
    assert (searched.get_marker(), searched.get_markerfacecolor()) == ("^", "white")
    assert (proved.get_marker(), proved.get_color()) == ("o", "0.2")
    # One point per n, of the budget with most streams.
    assert len(searched.get_xdata()) == table[table["n"] <= 20]["n"].nunique()
    mean = ONE[ONE["n"] == 8]["m_hi"].astype(float).mean() / 8
    assert proved.get_ydata()[list(proved.get_xdata()).index(8)] == pytest.approx(mean)
    plt.close(fig)


def test_deep_searched_means_stand_beside_proved_ones_and_theory() -> None:
    fig, ax = plt.subplots()
    results, exact = (mcinj.load(ROOT / "results" / name) for name in ("searched_depth", "two_layer"))
    mcinj.plot.searched_deep(results, ax=ax, proved=exact)
    names = {box.get_label(): box.lines[0] for box in ax.containers}
    assert {"searched, behind 6.7 n", "searched, behind 20 n", "proved, behind 6.7 n"} <= set(names)
    searched, proved = names["searched, behind 6.7 n"], names["proved, behind 6.7 n"]
    assert (searched.get_marker(), searched.get_markerfacecolor(), proved.get_marker()) == ("^", "white", "o")
    table = exact.trials
    part = table[(table["n"] == 4) & (table["widths_before"] == "27") & (table["criterion"] == "regional")]
    mean = part["m_hi"].dropna().astype(float).mean() / 4
    assert min(abs(proved.get_ydata() - mean)) < 1e-9
    lines = {round(line.get_ydata()[0], 3) for line in ax.lines if len(set(line.get_ydata())) == 1}
    assert {6.44, 7.588, 7.531, 8.267} <= lines
    with pytest.raises(InputError, match="with 9 layers"):
        mcinj.plot.searched_deep(results, layers=9)
    plt.close(fig)


def test_the_current_axes_are_the_default() -> None:
    fig, ax = plt.subplots()
    assert mcinj.plot.transition(ONE) is ax
    plt.close(fig)


def test_bad_tables_are_named() -> None:
    with pytest.raises(InputError, match="3 families; name one of"):
        mcinj.plot.transition(DEEP)
    with pytest.raises(InputError, match="no family 'x'"):
        mcinj.plot.transition(DEEP, family="x")
    with pytest.raises(InputError, match="no column m_found"):
        mcinj.plot.probe(ONE)
    with pytest.raises(InputError, match="got list"):
        mcinj.plot.transition([1, 2])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no trials"):
        mcinj.plot.transition(ONE.head(0))
    with pytest.raises(InputError, match="at least four sizes"):
        mcinj.plot.sharpening(draws({2: 50, 3: 50}))
    with pytest.raises(InputError, match="no such directory"):
        mcinj.load(ROOT / "results" / "none")
    plt.close("all")


def test_bounds_stand_at_infinity_beside_the_data() -> None:
    fig, ax = plt.subplots()
    mcinj.plot.median(ONE[ONE["n"] > 4], ax=ax, limit=False)
    (strip,) = ax.child_axes
    assert [t.get_text() for t in strip.get_xticklabels()] == ["n → ∞"]
    names = " ".join(t.get_text() for t in strip.texts)
    assert all(name in names for name in ("2RSB 6.700", "plain RDT 7.648", "first moment 9.089"))
    # Data fill the axes: bounds far off are named at the edge instead of squeezing them.
    low, high = ax.get_ylim()
    assert low > 4.0
    assert high < 8.5
    plt.close(fig)


def test_the_basis_is_chosen_by_precision() -> None:
    (family,) = families(draws({4: 2000, 6: 2000, 8: 2000, 10: 1500, 16: 8}))
    key, median = basis_of(family)
    assert key.n == 10
    assert median.alpha_hi - median.alpha_lo < 0.2
    # None is precise: the largest that is nearly as good as the best.
    (rough,) = families(draws({2: 30, 3: 30, 4: 30, 5: 5}))
    assert basis_of(rough)[0].n == 4
    (single,) = families(draws({3: 1}))
    assert basis_of(single)[0].n == 3


def test_both_versions_of_the_limit_stand_side_by_side() -> None:
    (family,) = families(ONE)
    item = examine(family)
    assert item.extrapolation is not None
    assert item.second is not None
    view = limits_view(item)
    assert view["version"].tolist() == ["1", "2", "2", "2"]
    assert view["limit"].tolist()[0] == item.extrapolation.estimate
    assert view["limit"].tolist()[2] == item.second.primary.estimate
    assert "the answer" in view["assumed"].tolist()[2]
    low, high = item.second.primary.total
    said = threshold_finding(item)
    assert f"Version 2, from the means: {item.second.primary.estimate:.2f} [{low:.3f}, {high:.3f}]" in said
    two = comparison_view(item).set_index("value of").loc["2RSB"]
    assert two["minus limit (2)"] == pytest.approx(6.70039 - item.second.primary.estimate, abs=1e-4)
    (short,) = families(draws({2: 50, 3: 50}))
    assert limits_view(examine(short)).empty
    assert "at least 5 sizes" in examine(short).second_reason


def test_what_was_found_is_said_with_intervals() -> None:
    (family,) = families(ONE)
    item = examine(family)
    text = threshold_finding(item)
    assert item.extrapolation is not None
    assert f"tends to {item.extrapolation.estimate:.2f}" in text
    assert f"[{item.extrapolation.total[0]:.2f}, {item.extrapolation.total[1]:.2f}]" in text
    view = comparison_view(item)
    assert len(view) == len(item.bounds)
    chosen = view[view["value of"] == "2RSB"].iloc[0]
    assert chosen["minus limit"] == pytest.approx(6.70039 - item.extrapolation.estimate, abs=1e-4)
    (short,) = families(draws({2: 50, 3: 50}))
    assert "No limit n → ∞" in threshold_finding(examine(short))


def test_what_takes_a_finding_back_is_said() -> None:
    table = draws({2: 50, 3: 50}, "{}")
    table["failed_layer"] = table["failed_layer"].astype(object)
    table.loc[:4, ["m_lo", "m_hi"]] = None
    table.loc[:4, "failed_layer"] = 1
    table.loc[10:12, "m_hi"] = None
    said = " ".join(threshold_warnings([examine(family) for family in families(table)]))
    assert "3 of 100 draws ended with their node budget" in said
    assert "5.0 to 5.0 %" in said


def test_networks_deeper_than_the_table_of_bounds_have_a_report() -> None:
    (family,) = families(draws({2: 30}, ",".join(["30"] * 11)))
    bounds = examine(family).bounds
    assert bounds
    assert all(row.layers == 12 for row in bounds)


def test_names_tell_families_apart() -> None:
    found = families(DEEP)
    assert len(set(short_names(found))) == len(set(slugs(found))) == 3
    assert all(slug.isascii() and " " not in slug and "/" not in slug for slug in slugs(found))
    assert slugs(families(ONE)) == [""]
    assert family_title(families(ONE)[0]) == "one Gaussian layer"
    laws = pd.concat([ONE, ONE.assign(ensemble="rademacher"), ONE.assign(ensemble="student@0123456789ab")])
    assert short_names(families(laws)) == ["Gaussian", "±1", "student"]
    # Two experiments may hold the same family.
    assert len(set(slugs([*found, *found]))) == 6


def test_the_page_about_the_api_and_the_docstrings() -> None:
    options = doctest.ELLIPSIS
    result = doctest.testfile(str(ROOT / "docs" / "api.md"), module_relative=False, optionflags=options)
    assert result.failed == 0
    assert result.attempted > 30
    for name in ("show.svg", "show.lines", "show.style", "show.names", "show.tables", "networks.laws"):
        found = doctest.testmod(importlib.import_module(f"mcinj.{name}"))
        assert found.attempted
        assert found.failed == 0


def test_results_give_both_limits() -> None:
    results = mcinj.load(ROOT / "results" / "ensembles")
    first, second = results.limit("uniform"), results.limit_of_means("uniform")
    assert first.procedure == "mcinj scaling 1"
    assert second.procedure == "mcinj scaling 2.1"
    low, high = second.primary.total
    assert low < 6.7 < high
    with pytest.raises(InputError, match="at least 5 sizes"):
        results.limit_of_means("sparse 0.45")
