"""Report of fixed stacks: verdicts, active counts, agreement with direct enumeration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcinj.show.style import COLOURS, figure, save

if TYPE_CHECKING:
    import pandas

    from mcinj.show.report import Report

VERDICTS = ("injective", "not_injective", "unknown")
HATCHES = ("", "//", "..")


def verdict_axes(axes: Any, table: pandas.DataFrame) -> Any:
    """How many stacks got which verdict, per shape, criterion and engine."""
    groups = list(table.groupby(["n", "widths", "ensemble", "criterion", "engine"], sort=False))
    bottom = np.zeros(len(groups))
    for verdict, colour, hatch in zip(VERDICTS, COLOURS, HATCHES, strict=False):
        counts = np.array([(part["verdict"] == verdict).sum() for _, part in groups], dtype=float)
        bars = axes.barh(
            range(len(groups)),
            counts,
            left=bottom,
            color=colour,
            hatch=hatch,
            edgecolor="white",
            height=0.6,
            label=verdict.replace("_", " "),
        )
        axes.bar_label(bars, [f"{c:.0f}" if c else "" for c in counts], label_type="center", color="white", fontsize=9)
        bottom += counts
    axes.set_yticks(range(len(groups)), [f"({n}, {w})\n{c}, {e}" for (n, w, _, c, e), _ in groups], fontsize=8)
    axes.set_xlabel("stacks")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    axes.grid(axis="y", visible=False)
    return axes


def active_axes(axes: Any, table: pandas.DataFrame) -> Any:
    """Active units at the witnesses, and the least in any region where the regions were enumerated, per layer."""
    failed = table[table["active_x"] != ""]
    least = table[table["min_active"] != ""].drop_duplicates(["n", "widths", "ensemble", "trial"])
    layers = 1 + int(table["widths"].str.count(",").max())
    n = int(table["n"].max())
    labels = [f"layer {k + 1}\nat x" for k in range(layers)] + [f"layer {k + 1}\nleast" for k in range(layers)]
    data = [[int(t.split(",")[k]) for t in failed["active_x"] if t.count(",") >= k] for k in range(layers)]
    data += [[int(t.split(",")[k]) for t in least["min_active"] if t.count(",") >= k] for k in range(layers)]
    kept = [(text, values) for text, values in zip(labels, data, strict=True) if values]
    rng = np.random.default_rng(0)
    for k, (_, values) in enumerate(kept):
        axes.plot(k + rng.uniform(-0.15, 0.15, len(values)), values, "o", color=COLOURS[k % 2], markersize=4, alpha=0.6)
    axes.axhline(n, color="0.25", linestyle="--", linewidth=1.0, label=f"n = {n}: fewer cannot be injective")
    axes.set_xticks(range(len(kept)), [text for text, _ in kept], fontsize=8)
    axes.set_ylabel("active units")
    axes.legend(loc="best", fontsize=8)
    return axes


def stacks_report(loaded: list[tuple[str, pandas.DataFrame, dict[str, str]]], folder: Path, figures: Path) -> Report:
    """Figures, `summary.csv` and the page for fixed stacks."""
    import pandas

    from mcinj.show.page import Page
    from mcinj.show.report import Report
    from mcinj.show.tables import note, write_csv

    page = Page(f"mcinj: {' and '.join(meta.get('name', name) for name, _, meta in loaded)}")
    written: list[Path] = []
    summaries = []
    for k, (_, table, meta) in enumerate(loaded):
        suffix = "" if len(loaded) == 1 else f"_{k + 1}"
        page.heading(meta.get("name", ""))
        page.text(note(meta, "description"))
        groups = table["n"].astype(str) + table["widths"] + table["criterion"] + table["engine"]
        with figure(figsize=(8.0, 1.6 + 0.55 * groups.nunique())) as (fig, axes):
            verdict_axes(axes, table)
            written += save(fig, figures, f"verdicts{suffix}")
        page.picture(
            written[-2], "Verdicts by shape, criterion and engine. Every 'not injective' has an exact witness."
        )
        if (table["active_x"] != "").any() or (table["min_active"] != "").any():
            with figure(figsize=(6.4, 4.0)) as (fig, axes):
                active_axes(axes, table)
                written += save(fig, figures, f"active{suffix}")
            page.picture(written[-2], "Active units per layer: at the witnesses' x, and the least over all regions.")
        summaries.append(_summary(table).assign(experiment=meta.get("name", "")))
        page.table(summaries[-1].drop(columns="experiment"))
        columns = [
            "n",
            "widths",
            "trial",
            "criterion",
            "engine",
            "verdict",
            "layer",
            "active_x",
            "regions",
            "min_active",
            "enumeration",
        ]
        page.table(table[columns].head(200))
    summary = pandas.concat(summaries, ignore_index=True)
    path = write_csv(summary, folder / "summary.csv")
    page.write(folder / "report.html")
    return Report(folder / "report.html", tuple(written), (path,), pandas.DataFrame())


def _summary(table: pandas.DataFrame) -> pandas.DataFrame:
    import pandas

    rows = []
    for key, part in table.groupby(["n", "widths", "ensemble", "criterion", "engine"], sort=False):
        rows.append(
            [
                *key,
                len(part),
                *((part["verdict"] == v).sum() for v in VERDICTS),
                (part["enumeration"] == "agrees").sum(),
                (part["enumeration"] == "DISAGREES").sum(),
                float(part["seconds"].mean()),
            ]
        )
    names = [
        "n",
        "widths",
        "ensemble",
        "criterion",
        "engine",
        "stacks",
        *VERDICTS,
        "enumeration_agrees",
        "enumeration_disagrees",
        "mean_seconds",
    ]
    return pandas.DataFrame(rows, columns=names)
