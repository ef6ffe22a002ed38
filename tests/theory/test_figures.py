"""Figures show the values they are given, name the status of every bound, and are written whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from mcinj.errors import InputError
from mcinj.theory import figures as figures_module
from mcinj.theory import ground_state_curve, table
from mcinj.theory.figures import plot_bounds_by_depth, plot_ground_state, plot_saddle, plot_steps, write_figures

matplotlib.use("Agg")
CURVE_RATIOS = np.linspace(2, 12, 21)


@pytest.fixture
def axes() -> Iterator[Any]:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots()
    yield axes
    pyplot.close(figure)


def lines(axes: Any) -> dict[str, Any]:
    return {line.get_label(): line for line in axes.get_lines() if not line.get_label().startswith("_")}


def test_every_bound_is_drawn_at_its_value_and_named_with_its_status(axes: Any) -> None:
    rows = table(4)
    assert plot_bounds_by_depth(rows, axes) is axes
    drawn = lines(axes)
    assert all(label.endswith(("(rigorous)", "(heuristic)", "(reference)")) for label in drawn)
    published = drawn["published table (reference)"]
    assert list(published.get_ydata()) == [8.267, 9.49, 10.124]
    plain = drawn["optimised, from plain RDT (rigorous)"]
    values = {row.layers: row.value for row in rows if row.name == "plain RDT chain from plain RDT"}
    assert list(plain.get_xdata()) == [1, 2, 3, 4]
    assert list(plain.get_ydata())[1:] == [values[2], values[3], values[4]]


def test_rows_can_be_chosen_by_name(axes: Any) -> None:
    plot_bounds_by_depth(table(3), axes, ["published deep table"])
    assert list(lines(axes)) == ["published table (reference)"]


def test_ground_state_curves_cross_one_at_the_thresholds(axes: Any) -> None:
    curve = ground_state_curve(CURVE_RATIOS)
    assert plot_ground_state(curve, axes) is axes
    labels = list(lines(axes))
    assert any(label.startswith("RS (rigorous)") and "7.65" in label for label in labels)
    assert any(label.startswith("2RSB (heuristic)") and "6.70" in label for label in labels)
    for line in lines(axes).values():
        assert np.array_equal(line.get_xdata(), CURVE_RATIOS)


def test_steps_and_saddles_draw_all_parameters(axes: Any) -> None:
    curve = ground_state_curve(CURVE_RATIOS)
    assert plot_steps(curve, axes) is axes
    assert len(lines(axes)) == 2
    assert np.all(np.concatenate([line.get_ydata() for line in lines(axes).values()]) > 0)
    axes.clear()
    for kind, count in (("q", 3), ("c", 3), ("chi", 2)):
        axes.clear()
        plot_saddle(curve, axes, kind)
        assert len(lines(axes)) == count
    with pytest.raises(InputError, match="kind is 'x'"):
        plot_saddle(curve, axes, "x")


def test_all_figures_are_written_and_reproducible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures_module, "ground_state_curve", lambda: ground_state_curve(CURVE_RATIOS))
    monkeypatch.setattr(figures_module, "table", lambda _: table(4))
    first, second = write_figures(tmp_path / "a"), write_figures(tmp_path / "b")
    assert len(first) == 8
    assert [path.name for path in first] == [path.name for path in second]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes() == two.read_bytes()


def test_the_command_refuses_what_it_cannot_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert figures_module._main([]) == 2
    assert "usage" in capsys.readouterr().err
    assert figures_module._main([str(tmp_path / "file" / "below")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
