"""What is done of an experiment, how fast, and what is left: read from its record, also while a run is writing it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcinj.experiment.checks import plan_of, quarantined_of
from mcinj.experiment.columns import GROUP_KEYS, SEARCHES
from mcinj.experiment.estimate import Part, cost_of, duration, estimate, guessed
from mcinj.experiment.lock import holder_of
from mcinj.experiment.shards import WHOLE, Shard
from mcinj.experiment.store import read_table

if TYPE_CHECKING:
    import pandas


def status_table(directory: str | os.PathLike[str]) -> tuple[str, pandas.DataFrame]:
    """A title (two lines) and one row per series.

    Columns: what names the series; trials `done`, `wanted`, rows `undecided` (by a node budget or a quarantine), trials
    `quarantined`, `earlier_layer_fails` (a layer before the last is not injective); `seconds_per_trial` and `time_left`
    as text, `–` while nothing is known, `~` before a guess. Raises `InputError` if the directory holds no record.
    """
    import pandas

    table, meta = read_table(Path(directory))
    kind = meta["kind"]
    keys = list(GROUP_KEYS[kind])
    plan = {tuple(item["key"]): item for item in plan_of(meta)}
    shard = Shard.parse(meta["shard"]) if meta.get("shard") else WHOLE
    aside = [tuple(item["key"]) for item in quarantined_of(meta)]
    groups: dict[tuple[Any, ...], pandas.DataFrame] = {
        tuple(k) if isinstance(k, tuple) else (k,): part for k, part in table.groupby(keys, sort=False)
    }
    speed = _speed(meta)
    workers = max(1, int(speed.get("workers", 0)))
    rows, parts = [], []
    for key in dict.fromkeys([*plan, *groups]):
        rows_of = table.iloc[:0] if key not in groups else groups[key]
        done = int(rows_of["trial"].nunique())
        if kind in (*SEARCHES, "cells"):
            done += aside.count(key)  # these kinds have no row that says UNKNOWN
        item = plan.get(key)
        wanted = len(shard.trials(item["trials"])) if item else done
        part = _part(kind, key, item or {}, rows_of)
        part.left = max(wanted - done, 0)
        parts.append(part)
        undecided, failed = _undecided(kind, rows_of)
        rows.append([*key, done, wanted, undecided, aside.count(key), failed])
    frame = pandas.DataFrame(rows, columns=[*keys, "done", "wanted", "undecided", "quarantined", "earlier_layer_fails"])
    frame["seconds_per_trial"] = [f"{part.mean:.4f}" if part.count else "–" for part in parts]
    frame["time_left"] = [_left(part, parts, workers) for part in parts]
    done, wanted = int(frame["done"].sum()), int(frame["wanted"].sum())
    complete = bool((frame["done"] >= frame["wanted"]).all())
    state = "complete" if complete else f"{100 * done / max(wanted, 1):.1f} %"
    which = f", shard {shard}" if str(shard) else ""
    title = f"{meta['name']} (seed {meta['seed']}{which}): {done} of {wanted} trials, {state}"
    return f"{title}\n{_state(Path(directory), complete, parts, workers, speed)}", frame


def _speed(meta: dict[str, str]) -> dict[str, float]:
    """Rate and workers of the last run, as it noted them; empty where it did not."""
    try:
        found = json.loads(meta.get("speed", "{}"))
        return {key: float(found[key]) for key in ("rate", "workers") if 0 <= float(found.get(key, -1)) < 1e9}
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return {}


def _part(kind: str, key: tuple[Any, ...], item: dict[str, Any], rows: pandas.DataFrame) -> Part:
    """Cost so far of one series; rows of quarantined trials took no time and tell nothing."""
    names = dict(zip(GROUP_KEYS[kind], key, strict=True))
    n = int(names["n"])
    widths = [int(w) for w in str(names.get("widths_before", names.get("widths", ""))).split(",") if w]
    before = widths[:-1] if kind == "stacks" else widths
    family = (tuple(round(w / n) for w in before), names.get("criterion", ""))
    budget = item.get("node_budget")
    most = None if budget is None else budget * item.get("checks", 1)
    rows = rows[rows["seconds"] > 0]
    nodes = 0
    if "nodes" in rows:
        # Every width of a search for least active counts names the nodes of all.
        nodes = int((rows.groupby("trial")["nodes"].max() if kind == "active" else rows["nodes"]).sum())
    return Part(n, family, most, bool(before), rows["trial"].nunique(), float(rows["seconds"].sum()), nodes,
                work=int(names.get("moves", 0)) * n)  # fmt: skip


def _undecided(kind: str, rows: pandas.DataFrame) -> tuple[int, int]:
    """Rows undecided, and trials whose earlier layer fails."""
    if kind == "stacks":
        return int((rows["verdict"] == "unknown").sum()), 0
    if kind == "active":
        return int(rows["active_hi"].isna().sum()), 0
    if kind == "margin":
        return int((rows["complete"] == 0).sum()), 0
    if kind in ("searched_deep", "searched_global"):
        return 0, int(rows.loc[rows["failed_layer"].notna(), "trial"].nunique())
    if kind != "threshold":
        return 0, 0
    failed = rows["failed_layer"].notna()
    known = (rows["m_hi"] == rows["m_lo"] + 1).fillna(False) | failed
    return int((~known).sum()), int(failed.sum())


def _left(part: Part, parts: list[Part], workers: int) -> str:
    if not part.left:
        return "0 s"
    if not any(p.count for p in parts):
        return "–"
    text = duration(part.left * cost_of(part, parts) / workers)
    return text if part.measured else f"~{text}"


def _state(directory: Path, complete: bool, parts: list[Part], workers: int, speed: dict[str, float]) -> str:
    """Whether a run is under way, its rate, and the time to go."""
    holder = holder_of(directory)
    if holder:
        words = f"running (process {holder.get('pid')} on {holder.get('host')})"
        if speed.get("rate"):
            words += f", {speed['rate']:.3g} trials/s on {workers} workers"
    else:
        words = "not running" if not complete else "nothing left to do"
    if complete:
        return words
    left = estimate(parts, workers)
    if left is None:
        return f"{words}; nothing measured yet"
    return f"{words}; ETA {duration(left.seconds)} on {workers} worker(s){guessed(left.guess)}"
