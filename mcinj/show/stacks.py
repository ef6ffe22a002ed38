"""Report of fixed stacks: verdicts, active counts, agreement with direct enumeration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mcinj.show.names import law_name
from mcinj.show.style import figure, save

if TYPE_CHECKING:
    import pandas

    from mcinj.show.page import Page
    from mcinj.show.written import Report

VERDICTS = ("injective", "not_injective", "unknown")
_FILLS = {"injective": "#9ecae1", "not_injective": "#fdd0a2", "unknown": "0.85"}
_HATCHES = {"injective": "", "not_injective": "", "unknown": "//"}
_KEY = ["n", "widths", "ensemble", "criterion", "engine"]


def verdict_axes(axes: Any, table: pandas.DataFrame) -> Any:
    """How many stacks got which verdict, per shape, criterion and engine; the numbers beside the bars."""
    groups = list(table.groupby(_KEY, sort=False))
    bottom = np.zeros(len(groups))
    texts: list[list[str]] = [[] for _ in groups]
    for verdict in VERDICTS:
        counts = np.array([(part["verdict"] == verdict).sum() for _, part in groups], dtype=float)
        axes.barh(
            range(len(groups)), counts, left=bottom, color=_FILLS[verdict], hatch=_HATCHES[verdict], edgecolor="0.25",
            linewidth=0.8, height=0.5, label=verdict.replace("_", " "),
        )  # fmt: skip
        for text, count in zip(texts, counts, strict=True):
            if count:
                text.append(f"{count:.0f} {verdict.replace('_', ' ')}")
        bottom += counts
    for k, text in enumerate(texts):
        axes.annotate(", ".join(text), (bottom[k], k), (4, 0), textcoords="offset points", va="center", fontsize=8.5)
    axes.set_yticks(range(len(groups)), [f"{_shape(n, w)}\n{c}, {e}" for (n, w, _, c, e), _ in groups], fontsize=8)
    axes.set_xlim(0, 1.02 * bottom.max())
    axes.set_xlabel("stacks")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    axes.grid(axis="y", visible=False)
    return axes


def stacks_active_axes(axes: Any, table: pandas.DataFrame) -> Any:
    """How many stacks have how many active units: at the witnesses, and least in any region, per layer.

    A disc's area is the number of stacks, which stands in it. A witness counts for each criterion that it refutes.
    """
    failed = table[table["active_x"] != ""]
    least = table[table["min_active"] != ""].drop_duplicates(["n", "widths", "ensemble", "trial"])
    layers = 1 + int(table["widths"].str.count(",").max())
    columns: list[tuple[str, list[int]]] = []
    for criterion, part in failed.groupby("criterion", sort=True):
        for k in range(layers):
            values = [int(t.split(",")[k]) for t in part["active_x"] if t.count(",") >= k]
            columns.append((f"layer {k + 1} at x\n{criterion}", values))
    for k in range(layers):
        values = [int(t.split(",")[k]) for t in least["min_active"] if t.count(",") >= k]
        columns.append((f"layer {k + 1}, least\nof all regions", values))
    kept = [(text, values) for text, values in columns if values]
    most = max((max(np.unique(v, return_counts=True)[1]) for _, v in kept), default=1)
    for x, (_, values) in enumerate(kept):
        heights, counts = np.unique(values, return_counts=True)
        for y, count in zip(heights, counts, strict=True):
            axes.scatter([x], [y], s=70 + 400 * count / most, color="#cfe3f1", edgecolor="#0072B2", zorder=3)
            axes.annotate(f"{count}", (x, y), ha="center", va="center", fontsize=7.5, zorder=4)
    sizes = sorted({int(n) for n in table["n"]})
    for n in sizes:
        axes.axhline(n, color="0.25", linestyle="--", linewidth=1.0)
        axes.annotate(f"n = {n}: a region with fewer\ncannot be injective", (1.0, n), (4, 0), fontsize=8, va="center",
                      xycoords=axes.get_yaxis_transform(), textcoords="offset points")  # fmt: skip
    axes.set_xticks(range(len(kept)), [text for text, _ in kept], fontsize=8)
    axes.set_xlim(-0.6, len(kept) - 0.4)
    axes.margins(y=0.12)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel("active units")
    axes.grid(axis="x", visible=False)
    return axes


def _shape(n: object, widths: object) -> str:
    return f"({n}, {str(widths).replace(',', ', ')})"


def _stacks_findings(page: Page, table: pandas.DataFrame) -> None:
    """What the verdicts are, one sentence per shape; what takes them back."""
    for (n, widths, ensemble), part in table.groupby(["n", "widths", "ensemble"], sort=False):
        told = []
        for (criterion, engine), rows in part.groupby(["criterion", "engine"], sort=False):
            counts = [((rows["verdict"] == v).sum(), v.replace("_", " ")) for v in VERDICTS]
            said = ", ".join(f"{c} of {len(rows)} {v}" for c, v in counts if c)
            told.append(f"{criterion} ({engine}): {said}")
        page.finding(f"{_shape(n, widths)}, {law_name(str(ensemble))} weights: {'; '.join(told)}.")
    agrees = int((table["enumeration"] == "agrees").sum())
    wrong = int((table["enumeration"] == "DISAGREES").sum())
    if agrees:
        page.finding(f"{agrees} verdicts agree with a direct enumeration of every region.")
    if wrong:
        page.warning(f"{wrong} verdicts DISAGREE with a direct enumeration of all regions: a defect; please report it.")
    unknown = int((table["verdict"] == "unknown").sum())
    if unknown:
        page.warning(f"{unknown} verdicts are unknown: their node budget ended first.")


def stacks_report(loaded: list[tuple[str, pandas.DataFrame, dict[str, str]]], folder: Path, figures: Path) -> Report:
    """Figures, `summary.csv` and the page for fixed stacks."""
    import pandas

    from mcinj.show.page import Page
    from mcinj.show.tables import note, write_csv
    from mcinj.show.written import Report

    page = Page(f"mcinj: {' and '.join(meta.get('name', name) for name, _, meta in loaded)}")
    written: list[Path] = []
    summaries = []
    for k, (_, table, meta) in enumerate(loaded):
        suffix = "" if len(loaded) == 1 else f"_{k + 1}"
        page.heading(f"Verdicts: {meta.get('name', '')}")
        _stacks_findings(page, table)
        described = note(meta, "description")
        if described:
            page.text(described)
        shapes = table.groupby(["n", "widths", "ensemble"])["verdict"].nunique()
        if (shapes > 1).any():
            # Where every stack has the same verdict a sentence says all; bars would be full.
            groups = table[_KEY].drop_duplicates()
            with figure(figsize=(9.0, 1.4 + 0.5 * len(groups))) as (fig, axes):
                verdict_axes(axes, table)
                written += save(fig, figures, f"verdicts{suffix}")
            page.picture(
                written[-2], "Verdicts by shape, criterion and engine. Every “not injective” has an exact witness."
            )
        if (table["active_x"] != "").any() or (table["min_active"] != "").any():
            with figure(figsize=(9.0, 4.4)) as (fig, axes):
                stacks_active_axes(axes, table)
                axes.set_title("Numbers of stacks by their active units")
                written += save(fig, figures, f"active{suffix}")
            page.picture(
                written[-2],
                "Active units per layer: at the witnesses' x, by criterion (they stop at the layer that fails), and, "
                "where the regions were enumerated, the least over all regions. Discs: numbers of stacks.",
            )
        summaries.append(stacks_summary(table).assign(experiment=meta.get("name", "")))
        page.table(summaries[-1].drop(columns="experiment"))
        columns = ["n", "widths", "trial", "criterion", "engine", "verdict", "layer", "active_x"]
        columns += ["regions", "min_active", "enumeration"]
        page.heading(f"Single stacks: {meta.get('name', '')}")
        page.table(table[columns].rename(columns={"active_x": "active at x", "min_active": "least active"}))
    summary = pandas.concat(summaries, ignore_index=True)
    path = write_csv(summary, folder / "summary.csv")
    page.write(folder / "report.html")
    return Report(folder / "report.html", tuple(written), (path,), pandas.DataFrame())


def stacks_summary(table: pandas.DataFrame) -> pandas.DataFrame:
    """One row per shape, law, criterion and engine: numbers of stacks by verdict, and of agreeing enumerations."""
    import pandas

    rows = []
    for key, part in table.groupby(_KEY, sort=False):
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
    names = [*_KEY, "stacks", *VERDICTS, "enumeration_agrees", "enumeration_disagrees", "mean_seconds"]
    return pandas.DataFrame(rows, columns=names)
