"""A value that cannot be computed costs its own row: everything else stays as it is."""

from __future__ import annotations

import importlib
import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mcinj.errors import InputError
from mcinj.theory import Bound, ground_state, ground_state_curve, table
from mcinj.theory.cache import cache_folder
from mcinj.theory.figures import plot_bounds_by_depth

# What raises, and the names of rows that rest on it (by the end of the name).
FAILURES = {
    "mcinj.theory.closed_form.first_moment": ("first moment (union bound)",),
    "mcinj.theory.closed_form.euler_characteristic": ("Euler characteristic",),
    "mcinj.theory.closed_form.plain_rdt": ("plain RDT (replica symmetric)", "chain from plain RDT"),
    "mcinj.theory.lifted.partially_lifted": ("partially lifted RDT", "chain from partially lifted RDT"),
    "mcinj.theory.rsb.one_rsb": ("1RSB",),
    "mcinj.theory.rsb.two_rsb": ("2RSB",),
    "mcinj.theory.rsb.full_rsb": ("full RSB (k-step limit)",),
    "mcinj.theory.deep.deep_plain": ("plain RDT chain from 6.7004", "(2n active), plain RDT chain from plain RDT"),
    "mcinj.theory.deep.deep_plain_unit": ("unit-weight RDT chain from 6.7004",),
    "mcinj.theory.lifted_deep.deep_lifted": ("lifted RDT chain from 6.7004", "chain from partially lifted RDT"),
    "mcinj.theory.lifted_deep.two_layer_lifted_unit": ("unit-weight partially lifted RDT from 6.7004",),
    "mcinj.theory.enclosure_deep.deep_plain_enclosed": ("plain RDT chain from plain RDT",),
}
ERRORS = (ArithmeticError("the descent stopped"), RuntimeError(), ZeroDivisionError("division by zero"))


REMEMBERED: dict[Any, Bound] = {}


@pytest.fixture(autouse=True)
def _computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table's own functions, each value computed once in this file."""

    def once(name: str, function: Any) -> Any:
        def remembered(*arguments: Any) -> Bound:
            key = name, *(a if isinstance(a, float) else tuple(a) for a in arguments)
            if key not in REMEMBERED:
                REMEMBERED[key] = function(*arguments)
            return REMEMBERED[key]

        return remembered

    for name in FAILURES:
        module, _, attribute = name.rpartition(".")
        function = getattr(importlib.import_module(module), attribute)
        monkeypatch.setattr(name, once(attribute, function))


@pytest.fixture
def whole(_computed_once: None) -> list[Bound]:
    return table(3, use_cache=False)


@pytest.mark.parametrize("name", FAILURES)
def test_one_value_that_raises_costs_its_own_rows(
    name: str, whole: list[Bound], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = ERRORS[len(name) % len(ERRORS)]

    def fails(*_: Any, **__: Any) -> Bound:
        raise error

    monkeypatch.setattr(name, fails)
    rows = table(3, use_cache=False)
    assert [(row.name, row.layers, row.theta, row.kind, row.laws) for row in rows] == [
        (row.name, row.layers, row.theta, row.kind, row.laws) for row in whole
    ]
    lost = {row.name for row in rows if not row.known}
    own = {"plain RDT chain from plain RDT"} if name.endswith("deep_plain_enclosed") else None
    wanted = own or {row.name for row in whole if row.origin == "computed" and row.name.endswith(FAILURES[name])}
    if name.endswith("deep_plain"):  # the enclosed chain calls the plain one where it was imported
        wanted -= {"plain RDT chain from plain RDT", "partially lifted RDT chain from partially lifted RDT"}
        wanted -= {"partially lifted RDT chain from 6.7004", "unit-weight RDT chain from 6.7004"}
    assert lost == wanted
    for row, before in zip(rows, whole, strict=True):
        if row.known:
            assert row == before
            continue
        assert math.isnan(row.value)
        assert str(error) in row.reason
        assert row.reason
        record = json.loads(json.dumps(row.to_json(), allow_nan=False))
        assert record["value"] is None
        assert {"name", "layers", "value", "status", "source", "reason"} <= record.keys()
        again = Bound.from_json(record)
        assert (again.known, again.reason, again.name) == (False, row.reason, row.name)


def test_a_proof_that_fails_costs_the_enclosure_only(whole: list[Bound], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(bound: Bound) -> Bound:
        raise ArithmeticError("no proof")

    monkeypatch.setattr("mcinj.theory.enclosure.enclosed", fails)
    for row, before in zip(table(1, use_cache=False), whole, strict=False):
        assert row.value == pytest.approx(before.value, abs=2e-10)  # what the proof allows itself
        if before.enclosure is not None:
            assert (row.enclosure, row.reason) == (None, "not enclosed: no proof")


def test_a_table_with_a_missing_value_is_not_remembered(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    def fails() -> Bound:
        raise ArithmeticError("today")

    monkeypatch.setenv("MCINJ_CACHE_DIR", str(tmp_path / "cache"))
    with monkeypatch.context() as patch:
        patch.setattr("mcinj.theory.rsb.two_rsb", fails)
        assert not all(row.known for row in table(1))
        assert not cache_folder().exists()
    assert all(row.known for row in table(1))
    assert len(list(cache_folder().iterdir())) == 1


def test_a_value_without_a_number_needs_a_reason() -> None:
    row = Bound("x", 1, 7.0, "rigorous", "computed", "here")
    with pytest.raises(InputError, match="must be finite"):
        replace(row, value=math.nan)
    with pytest.raises(InputError, match="must be finite"):
        replace(row, value=math.inf, reason="unknown")
    assert not replace(row, value=math.nan, reason="unknown").known


def test_figures_leave_missing_values_out(whole: list[Bound]) -> None:
    from matplotlib import pyplot

    missing = [replace(r, value=math.nan, reason="x") if r.name.startswith("unit-weight RDT") else r for r in whole]
    fig, axes = pyplot.subplots()
    plot_bounds_by_depth(missing, axes)
    assert not any("unit weights" in text for text in axes.get_legend_handles_labels()[1])
    assert len(axes.get_lines()) > 3
    pyplot.close(fig)


def test_ground_states_that_are_lost_are_not_numbers_and_the_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    alphas = [3.0, 6.0, 8.0, 9.0]
    before = ground_state_curve(alphas, use_cache=False)
    descend = ground_state.descend

    def lost(*arguments: Any, **options: Any) -> Any:
        saddle, error = descend(*arguments, **options)
        if saddle.steps == 2 and saddle.chi < 0.03:  # beyond a ratio of about 7
            raise ArithmeticError("lost")
        return saddle, error

    monkeypatch.setattr(ground_state, "descend", lost)
    after = ground_state_curve(alphas)
    assert np.array_equal(before.one_rsb, after.one_rsb)
    assert np.array_equal(before.rs, after.rs)
    gone = np.isnan(after.two_rsb)
    assert list(gone) == [False, False, True, True]
    assert np.array_equal(before.two_rsb[~gone], after.two_rsb[~gone])
    monkeypatch.undo()
    assert np.isfinite(ground_state_curve(alphas).two_rsb).all()  # what was lost is not remembered
