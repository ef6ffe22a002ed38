"""Figures of the theory: bounds by depth, ground-state curves, saddle parameters.

Plot functions take data and Axes and return the Axes; titles and limits belong to the caller. All figures at
once, as PNG and SVG::

    python -m mcinj.theory.figures docs/figures
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcinj.errors import InputError
from mcinj.files import atomic_write, make_directory
from mcinj.theory.bounds import Bound
from mcinj.theory.ground_state import GroundStateCurve, ground_state_curve
from mcinj.theory.tables import field_table, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "plot_bounds_by_depth",
    "plot_ground_state",
    "plot_levels",
    "plot_saddle",
    "plot_steps",
    "plot_wide",
    "write_figures",
]

# Okabe and Ito's palette; every series also has its own marker or dashes, for grey print.
_BLUE, _VERMILION, _GREEN, _PINK, _ORANGE, _SKY, _BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)

# Name in the table, label, colour, marker, line.
_BY_DEPTH: tuple[tuple[str, str, str, str, str], ...] = (
    ("unit-weight RDT chain from 6.7004", "unit weights, from 6.7004", _VERMILION, "s", "--"),
    ("published deep table", "published table", _BLACK, "x", ""),
    ("global condition (2n active), plain RDT chain from plain RDT", "2n active, global condition", _PINK, "v", "-."),
    ("plain RDT chain from plain RDT", "optimised, from plain RDT", _BLUE, "o", "-"),
    ("plain RDT chain from 6.7004", "optimised, from 6.7004", _SKY, "D", ":"),
    (
        "partially lifted RDT chain from partially lifted RDT",
        "lifted, from lifted RDT",
        _GREEN,
        "^",
        "-",
    ),
)
_FIRST_ROW = {
    "unit-weight RDT chain from 6.7004": "fully lifted RDT, third level",
    "published deep table": "fully lifted RDT, third level",
    "plain RDT chain from plain RDT": "plain RDT (replica symmetric)",
    "plain RDT chain from 6.7004": "fully lifted RDT, third level",
    "partially lifted RDT chain from partially lifted RDT": "partially lifted RDT",
}
_REPLICA = (("rs", "RS", _BLUE, "-"), ("one_rsb", "1RSB", _ORANGE, "--"), ("two_rsb", "2RSB", _GREEN, "-"))
_STATUS = {"rs": "rigorous", "one_rsb": "heuristic", "two_rsb": "heuristic"}


def plot_bounds_by_depth(rows: Sequence[Bound], axes: Axes, names: Sequence[str] | None = None) -> Axes:
    """Critical ratio against depth for the chains in `rows` (`table`), each labelled with its status.

    `names` selects rows by their names (default: all chains known to the figure). The first layer of a chain
    is the one-layer value that it starts from.
    """
    values = {(row.name, row.layers): row for row in rows if row.known}
    for name, label, colour, marker, line in _BY_DEPTH:
        if names is not None and name not in names:
            continue
        depths = sorted(depth for known, depth in values if known == name)
        points = [values[name, depth] for depth in depths]
        if not points:
            continue
        first = values.get((_FIRST_ROW.get(name, ""), 1))
        if first is not None and first.origin == "computed":
            points, depths = [first, *points], [1, *depths]
        elif first is not None:  # a quoted start is not a value of the chain: hollow and not joined
            axes.plot([1], [first.value], color=colour, marker=marker, markerfacecolor="none", linestyle="none")
        axes.plot(
            depths,
            [point.value for point in points],
            color=colour,
            marker=marker,
            linestyle=line or "none",
            markersize=7 if marker == "x" else 5,
            zorder=4 if marker == "x" else 3,
            label=f"{label} ({points[-1].status})",
        )
    axes.set_xlabel("layers $l$")
    axes.set_ylabel(r"critical ratio $\alpha_l = m_l/n$")
    axes.locator_params(axis="x", integer=True)
    return axes


def plot_ground_state(curve: GroundStateCurve, axes: Axes) -> Axes:
    """Least fraction of positive entries per input against the width ratio, with the level of injectivity."""
    for name, label, colour, line in _REPLICA:
        values = getattr(curve, name)
        crossing = _crossing(curve.alphas, values)
        text = f"{label} ({_STATUS[name]})"
        if crossing is not None:
            text += rf", $e = 1$ at $\alpha = {crossing:.2f}$"
            axes.plot([crossing], [1.0], color=colour, marker="o", markersize=5, zorder=4)
        # 1RSB and 2RSB all but coincide: the dashes go on top.
        axes.plot(curve.alphas, values, color=colour, linestyle=line, label=text, zorder=3.5 if line == "--" else 3)
    axes.axhline(1.0, color=_BLACK, linewidth=0.8, linestyle=":")
    axes.annotate(
        "injective above",
        (curve.alphas[-1], 1.0),
        xytext=(0, 3),
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize=8,
    )
    axes.set_xlabel(r"width ratio $\alpha = m/n$")
    axes.set_ylabel(r"$e(\alpha) = \min_x |S(x)|/n$")
    return axes


def plot_steps(curve: GroundStateCurve, axes: Axes) -> Axes:
    """How far RS and 1RSB lie below 2RSB, relative to 2RSB, on a logarithmic scale."""
    known = curve.two_rsb > 0
    for name, label, colour, line in _REPLICA[:2]:
        shortfall = 1 - getattr(curve, name)[known] / curve.two_rsb[known]
        axes.plot(curve.alphas[known], shortfall, color=colour, linestyle=line, label=f"{label} below 2RSB")
    axes.set_yscale("log")
    axes.set_xlabel(r"width ratio $\alpha = m/n$")
    axes.set_ylabel(r"relative shortfall $1 - e/e_{\mathrm{2RSB}}$")
    return axes


def plot_saddle(curve: GroundStateCurve, axes: Axes, kind: str) -> Axes:
    """Order parameters of 1RSB (dashed) and 2RSB (solid) against the width ratio; `kind`: "q", "c" or "chi".

    Raises `InputError` for another kind.
    """
    labels = {"q": "overlap $q$", "c": "tilt $c$", "chi": r"susceptibility $\chi$"}
    if kind not in labels:
        raise InputError(f"kind is {kind!r}; use one of {', '.join(labels)}")
    colours = {"q0": _BLUE, "q1": _VERMILION, "c1": _BLUE, "c2": _VERMILION, "chi": _GREEN}
    markers = {"q0": "o", "q1": "s", "c1": "o", "c2": "s", "chi": "^"}
    for steps, line in (("1rsb", "--"), ("2rsb", "-")):
        for name, values in curve.parameters.items():
            prefix, _, parameter = name.partition(".")
            if prefix == steps and (parameter == kind or parameter.rstrip("0123456789") == kind):
                symbol = r"\chi" if parameter == "chi" else f"{parameter[0]}_{parameter[1:]}"
                axes.plot(
                    curve.alphas,
                    values,
                    color=colours[parameter],
                    linestyle=line,
                    marker=markers[parameter],
                    markevery=10,
                    markersize=4,
                    markerfacecolor="white" if steps == "1rsb" else colours[parameter],
                    label=f"${symbol}$, {steps[0]}RSB",
                )
    axes.set_xlabel(r"width ratio $\alpha = m/n$")
    axes.set_ylabel(labels[kind])
    return axes


def plot_wide(axes: Axes, most: int = 7) -> Axes:
    """Ratio of the last layer's width to the inputs behind 0 … `most` infinitely wide layers (docs/theory.md §10)."""
    depths = range(most + 1)
    rows = [{row.name.split(",")[0].split(" (")[0]: row.value for row in field_table(depth)} for depth in depths]
    for name, label, colour, marker, line in (
        ("plain RDT", "plain RDT (rigorous)", _BLUE, "o", "-"),
        ("1RSB", "1RSB (heuristic)", _ORANGE, "s", "--"),
        ("2RSB", "2RSB (heuristic)", _GREEN, "^", "-"),
    ):
        axes.plot(depths, [row[name] for row in rows], color=colour, marker=marker, linestyle=line, label=label)
    axes.set(xlabel="infinitely wide layers before", ylabel="last width / inputs, count criterion")
    return axes


def plot_levels(axes: Axes, levels: Sequence[float] = tuple(np.linspace(-2, 2, 33).tolist())) -> Axes:
    """Ratio m/n at which the margin of one Gaussian layer is `levels`, inputs of norm 1 (docs/theory.md §11)."""
    rows = [field_table(level=level) for level in levels]
    for place, label, colour, line in (
        (0, "plain RDT (rigorous)", _BLUE, "-"),
        (1, "partially lifted RDT (rigorous)", _PINK, ":"),
        (2, "1RSB (heuristic)", _ORANGE, "--"),
        (3, "2RSB (heuristic)", _GREEN, "-"),
    ):
        axes.plot([row[place].value for row in rows], levels, color=colour, linestyle=line, label=label)
    axes.axhline(0, color=_BLACK, linewidth=0.7)
    axes.set(xlabel="m / n", ylabel="margin t, inputs of norm 1", xscale="log")
    return axes


def write_figures(folder: str | Path) -> list[Path]:
    """Write all theory figures to `folder` as PNG and SVG; returns the paths. Raises `InputError` if it cannot."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    target = make_directory(folder)
    rows, curve = table(8), ground_state_curve()
    settings: Any = {
        "font.size": 10,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "lines.linewidth": 1.6,
        "savefig.dpi": 160,
        "svg.hashsalt": "mcinj",
        "svg.fonttype": "none",
    }
    paths: list[Path] = []
    with matplotlib.rc_context(settings):
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(10.5, 4.8), layout="constrained")
        plot_bounds_by_depth(rows, left).set_title("All upper bounds of the regional criterion")
        left.set_ylim(6, 19)
        left.legend(loc="upper left")
        near = [name for name, *_ in _BY_DEPTH if name.startswith(("plain", "partially"))]
        plot_bounds_by_depth(rows, right, near).set_title("Optimised multipliers, enlarged")
        right.set_ylim(6.9, 7.7)
        right.legend(loc="lower left")
        paths += _save(figure, target, "bounds_by_depth")

        figure, (left, right) = pyplot.subplots(1, 2, figsize=(10.5, 4.4), layout="constrained")
        plot_ground_state(curve, left).set_title("Ground state of one Gaussian layer")
        left.legend(loc="upper left")
        plot_steps(curve, right).set_title("What each step of symmetry breaking adds")
        right.legend(loc="lower right")
        paths += _save(figure, target, "ground_state")

        figure, (left, right) = pyplot.subplots(1, 2, figsize=(10.5, 4.4), layout="constrained")
        plot_wide(left).set_title("Behind infinitely wide layers")
        left.legend(loc="lower left")
        plot_levels(right).set_title("Margin of one layer")
        right.legend(loc="upper left")
        paths += _save(figure, target, "wide_and_margin")

        figure, panels = pyplot.subplots(1, 3, figsize=(12.5, 4.0), layout="constrained")
        for axes, kind in zip(panels, ("q", "c", "chi"), strict=True):
            plot_saddle(curve, axes, kind)
            axes.legend(loc="center right" if kind == "q" else "upper right")
        panels[2].set_yscale("log")
        figure.suptitle("Saddle of the ground state (replica method, heuristic)")
        paths += _save(figure, target, "saddle_parameters")
    return paths


def _crossing(alphas: np.ndarray[Any, Any], values: np.ndarray[Any, Any]) -> float | None:
    """Ratio at which rising values pass 1, by linear interpolation; None if they do not."""
    return float(np.interp(1.0, values, alphas)) if values[0] < 1 < values[-1] else None


def _save(figure: Any, folder: Path, name: str) -> list[Path]:
    from matplotlib import pyplot

    paths = []
    for suffix in ("png", "svg"):
        buffer = BytesIO()
        # Neither date nor version: the same values give the same file.
        metadata = {"Date": None} if suffix == "svg" else {"Software": None}
        figure.savefig(buffer, format=suffix, metadata=metadata)
        paths.append(folder / f"{name}.{suffix}")
        with atomic_write(paths[-1]) as stream:
            stream.write(buffer.getvalue())
    pyplot.close(figure)
    return paths


def _main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m mcinj.theory.figures FOLDER", file=sys.stderr)
        return 2
    try:
        for path in write_figures(arguments[0]):
            print(path)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
