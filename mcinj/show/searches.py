"""Reports of one-layer searches: algorithmic thresholds, least active counts, numbers of low-count cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcinj.show.active import active_part
from mcinj.show.cells import cells_part
from mcinj.show.margin import margin_part
from mcinj.show.probe import probe_part
from mcinj.show.searched import searched_part
from mcinj.show.searched_deep import searched_deep_part
from mcinj.show.searched_margin import searched_margin_part

if TYPE_CHECKING:
    import pandas

    from mcinj.show.written import Report

Loaded = list[tuple[str, "pandas.DataFrame", dict[str, str]]]
_PARTS: dict[str, Callable[..., tuple[list[Path], Any]]] = {
    "probe": probe_part,
    "searched": searched_part,
    "searched_deep": searched_deep_part,
    "searched_global": searched_deep_part,
    "active": active_part,
    "margin": margin_part,
    "searched_margin": searched_margin_part,
    "cells": cells_part,
}


def search_report(kind: str, loaded: Loaded, folder: Path, figures: Path) -> Report:
    """Figures, `summary.csv` and the page for experiments of one kind: probe, searched, active, margin or cells."""
    import pandas

    from mcinj.show.page import Page
    from mcinj.show.tables import folded, note, write_csv
    from mcinj.show.written import Report

    page = Page(f"mcinj: {' and '.join(meta.get('name', name) for name, _, meta in loaded)}")
    written: list[Path] = []
    summaries = []
    for k, (name, table, meta) in enumerate(loaded):
        page.heading(meta.get("name", name))
        versions = ", ".join(sorted(table["version"].unique()))
        page.text(f"{note(meta, 'description')} mcinj {versions}, seed {meta.get('seed')}.")
        made, summary = _PARTS[kind](page, table, figures, "" if len(loaded) == 1 else f"_{k + 1}")
        written += made
        page.table(
            folded(summary), "Intervals in brackets; columns that say the same in every row are left out: summary.csv."
        )
        summaries.append(summary if len(loaded) == 1 else summary.assign(experiment=meta.get("name", name)))
    path = write_csv(pandas.concat(summaries, ignore_index=True), folder / "summary.csv")
    page.write(folder / "report.html")
    return Report(folder / "report.html", tuple(written), (path,), pandas.DataFrame())
