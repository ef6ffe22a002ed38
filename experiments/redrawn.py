"""A sample of every committed series, drawn again from its seeds with today's engine and compared with the table.

    python experiments/redrawn.py [--per 10] [--most 0.2]     # writes results/redrawn.csv; some minutes

Thresholds, verdicts, least active counts and cell counts are facts about their rows and must be equal. Enclosures of
margins must overlap. What a search found depends on its random path: rows of an earlier engine may differ, and are
counted. Trials that took longer than `--most` seconds are passed over.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

import mcinj
from mcinj.experiment.columns import SEARCHES
from mcinj.experiment.config import StackSet, load
from mcinj.experiment.tasks import Task, run_task

ROOT = Path(__file__).parents[1]
# Columns that say what a trial gave, by kind of experiment.
FACTS = {
    "threshold": ["m_lo", "m_hi", "failed_layer"],
    "stacks": ["verdict"],
    "active": ["active_lo", "active_hi"],
    "cells": ["cells"],
    "margin": ["margin_lo", "margin_hi"],
    "probe": ["m_found"],
    "searched": ["m_found"],
    "searched_deep": ["m_found", "failed_layer"],
    "searched_global": ["m_found", "failed_layer", "equal", "crossed"],
    "searched_margin": ["margin_hi"],
}
# Columns that may differ: cost, witnesses, and what an enumeration of all regions found, which takes minutes.
OTHER = ["seconds", "nodes", "version", "certified", "node_budget", "x", "x_prime", "active_x", "active_x_prime"]
OTHER += ["regions", "min_active", "enumeration"]


def same(old: pd.DataFrame, new: pd.DataFrame, kind: str) -> pd.Series:
    """Whether each row of the same trial says the same."""
    if kind == "margin":
        return (old["margin_lo"] <= new["margin_hi"]) & (new["margin_lo"] <= old["margin_hi"])
    if kind == "searched_margin":
        return (old["margin_hi"] - new["margin_hi"]).abs() <= 1e-9
    equal = [(old[name] == new[name]) | (old[name].isna() & new[name].isna()) for name in FACTS[kind]]
    return pd.concat(equal, axis=1).fillna(False).all(axis=1)


def compared(name: str, per: int, most: float) -> list[dict[str, object]]:
    """One row per group of an experiment."""
    experiment, found = load(ROOT / "experiments" / f"{name}.toml"), mcinj.load(ROOT / "results" / name)
    kind, table, rng = found.kind, found.trials, np.random.default_rng(1)
    rows: list[dict[str, object]] = []
    for group in experiment.groups:
        part = table
        for column in ("n", "ensemble", "criterion", "moves", "widths_before"):
            if column in table and hasattr(group, column):
                value = getattr(group, column)
                part = part[part[column] == (",".join(map(str, value)) if isinstance(value, tuple) else value)]
        cost = part.groupby("trial")["seconds"].sum()
        quick = cost.index[cost <= most].to_numpy()
        if not quick.size:
            continue
        trials = tuple(int(t) for t in rng.choice(quick, min(per, quick.size), replace=False))
        asked = replace(group, enumerate=False) if isinstance(group, StackSet) else group
        _, again = run_task(Task(asked, experiment.seed, trials))
        new = pd.DataFrame(again)
        key = [c for c in new.columns if c in part and c not in OTHER and c not in FACTS[kind]]
        # In a table of some hundred thousand rows only those of the drawn trials are compared.
        both = part[part["trial"].isin(trials)].merge(new, on=key, suffixes=("", "_again"))
        fresh = both[[f"{c}_again" for c in FACTS[kind]]].rename(columns=lambda c: c.removesuffix("_again"))
        agree = same(both, fresh, kind)
        rows.append({"results": name, "kind": kind, "n": group.n, "trials": len(trials), "rows": len(new),
                     "compared": len(both), "same": int(agree.sum())})  # fmt: skip
    return rows


def main() -> None:
    """Write the table; exit with an error if a fact differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="results to look at; all by default")
    parser.add_argument("--per", type=int, default=10, help="trials per series")
    parser.add_argument("--most", type=float, default=0.2, help="seconds that a trial may have taken")
    options = parser.parse_args()
    rows = []
    for path in sorted((ROOT / "experiments").glob("*.toml")):
        wanted = not options.names or path.stem in options.names
        if wanted and (ROOT / "results" / path.stem / "trials.parquet").exists():
            rows += compared(path.stem, options.per, options.most)
            print(path.stem, flush=True)
    table = pd.DataFrame(rows)
    total = table.groupby(["results", "kind"], as_index=False)[["trials", "rows", "compared", "same"]].sum()
    if not options.names:
        total.to_csv(ROOT / "results" / "redrawn.csv", index=False)
    print(total.to_string(index=False))
    facts = total[~total["kind"].isin(SEARCHES)]
    if (facts["same"] < facts["rows"]).any() or (total["compared"] < total["rows"]).any():
        raise SystemExit("today's engine says otherwise: see the table")


if __name__ == "__main__":
    main()
