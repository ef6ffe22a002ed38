"""What is done of an experiment, read from its record while another process may be writing it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcinj.experiment.store import read_table

if TYPE_CHECKING:
    import pandas

# What names a series or a set of trials, by kind of experiment.
_KEYS = {
    "threshold": ["n", "widths_before", "criterion", "ensemble"],
    "stacks": ["n", "widths", "ensemble"],
    "probe": ["n", "ensemble", "moves"],
    "active": ["n", "ensemble"],
    "cells": ["n", "ensemble"],
}


def status_table(directory: str | os.PathLike[str]) -> tuple[str, pandas.DataFrame]:
    """A title line and one row per series: trials done, wanted, undecided, failed earlier, mean seconds.

    Raises `InputError` if the directory holds no record.
    """
    import pandas

    table, meta = read_table(Path(directory))
    kind = meta["kind"]
    keys = _KEYS[kind]
    plan = {tuple(item["key"]): int(item["trials"]) for item in json.loads(meta.get("plan", "[]"))}
    groups: dict[tuple[Any, ...], pandas.DataFrame] = {tuple(k): part for k, part in table.groupby(keys, sort=False)}
    rows = []
    for key in dict.fromkeys([*plan, *groups]):
        part = groups.get(key)
        if part is None:
            rows.append([*key, 0, plan[key], 0, 0, float("nan")])
            continue
        done = part["trial"].nunique()
        failed = 0
        if kind == "stacks":
            undecided = int((part["verdict"] == "unknown").sum())
        elif kind == "active":
            undecided = int(part["active_hi"].isna().sum())
        elif kind != "threshold":
            undecided = 0
        else:
            failed = int(part["failed_layer"].notna().sum())
            known = (part["m_hi"] == part["m_lo"] + 1).fillna(False) | part["failed_layer"].notna()
            undecided = int((~known).sum())
        rows.append([*key, done, plan.get(key, done), undecided, failed, float(part["seconds"].mean())])
    frame = pandas.DataFrame(
        rows, columns=[*keys, "done", "wanted", "undecided", "earlier_layer_fails", "mean_seconds"]
    )
    done, wanted = int(frame["done"].sum()), int(frame["wanted"].sum())
    state = "complete" if done >= wanted else f"{100 * done / max(wanted, 1):.1f} %"
    return f"{meta['name']} (seed {meta['seed']}): {done} of {wanted} trials, {state}", frame
