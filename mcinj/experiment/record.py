"""What an experiment asks of its record: which rows still hold, which trials are missing, what was set aside."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcinj._version import __version__
from mcinj.errors import InputError
from mcinj.experiment.checks import quarantined_of
from mcinj.experiment.columns import SEARCHES
from mcinj.experiment.config import Experiment, Group, Series, StackSet
from mcinj.experiment.estimate import Part
from mcinj.experiment.searches import ActiveSet, MarginSet, SearchSet
from mcinj.experiment.shards import WHOLE, Shard
from mcinj.experiment.store import TABLE, Imported, Store, has_record, read_parquet
from mcinj.networks import Seed


def open_record(directory: Path, experiment: Experiment, shard: Shard = WHOLE) -> Store:
    """The record of the directory; an empty directory with a committed table starts from that table."""
    first: Imported | None = None
    if not has_record(directory) and (directory / TABLE).exists():
        imported, meta = read_parquet(directory / TABLE)
        wanted = {"name": experiment.name, "seed": str(experiment.seed), "kind": experiment.kind, "shard": str(shard)}
        for key, value in wanted.items():
            if meta.get(key, "") != value:
                raise InputError(
                    f"{directory / TABLE} holds results of another experiment ({key} {meta.get(key, '')[:100]!r}, "
                    f"not {value!r}); choose another --results"
                )
        rows = imported.astype(object).where(~imported.isna(), None)
        aside = quarantined_of(meta)
        # Made whole or not at all: a record without these rows would have them computed, and the table written, anew.
        first = (
            (dict(zip(rows.columns, row, strict=True)) for row in rows.itertuples(index=False, name=None)),
            {"quarantined": aside} if aside else {},
        )
    return Store(directory, experiment.name, experiment.seed, experiment.kind, str(shard), first)


def drop_stale(store: Store, experiment: Experiment) -> None:
    """A row made under another node budget stays if this budget gives the same row; otherwise it is drawn again.

    A draw that ended within its budget ends in the same way under every budget that is not below its nodes.
    """
    if store.kind == "threshold":
        decided = "(failed_layer IS NOT NULL OR (m_hi IS NOT NULL AND m_hi = m_lo + 1))"
    else:
        decided = "verdict <> 'unknown'"
    for group in experiment.groups:
        where, values = where_of(group)
        if not isinstance(group, Series | StackSet):
            _drop_partial(store, group)
            continue
        budget = group.node_budget
        fits = "1" if budget is None else f"nodes <= {int(budget)}"
        store.update(
            f"DELETE FROM trials WHERE {where} AND node_budget IS NOT ? AND NOT ({decided} AND {fits})",
            (*values, budget),
        )
        store.update(
            f"UPDATE trials SET node_budget = ? WHERE {where} AND node_budget IS NOT ?", (budget, *values, budget)
        )


def _drop_partial(store: Store, group: SearchSet) -> None:
    """Trials whose rows are not those that the set asks for (other widths, another budget) are made again."""
    where, values = where_of(group)
    columns = [*group.parts[0], *group.settings]
    wanted = {(*part.values(), *group.settings.values()) for part in group.parts}
    found: dict[int, set[tuple[Any, ...]]] = {}
    for trial, *row in store.select(", ".join(["trial", *columns]), where, values):
        found.setdefault(trial, set()).add(tuple(row))
    for trial in (t for t, rows in found.items() if rows != wanted):
        store.update(f"DELETE FROM trials WHERE {where} AND trial = ?", (*values, trial))


def where_of(group: Group) -> tuple[str, tuple[Any, ...]]:
    """SQL condition of a group's rows, and its values."""
    if isinstance(group, Series):
        return "n = ? AND widths_before = ? AND criterion = ? AND ensemble = ?", group.key
    if isinstance(group, StackSet):
        return "n = ? AND widths = ? AND ensemble = ?", (group.n, _widths(group), group.ensemble)
    return " AND ".join(f"{column} = ?" for column in group.keys), tuple(group.keys.values())


def key_of(group: Group) -> list[Any]:
    """What names a group in plans: the values of `columns.GROUP_KEYS`."""
    return list(where_of(group)[1])


def _widths(group: StackSet) -> str:
    return ",".join(str(w) for w in group.widths)


def plan_item(group: Group, trials: int) -> dict[str, Any]:
    """What `status`, `merge` and `report` know of a group: its key, its trials, its budget, its stopping rule."""
    item: dict[str, Any] = {"key": key_of(group), "trials": trials}
    budget = getattr(group, "node_budget", None)
    if budget is not None:
        item["node_budget"] = budget
    if isinstance(group, StackSet):
        item["checks"] = len(group.criteria) * len(group.engines)
    if isinstance(group, Series) and group.rule:
        item["rule"] = group.rule
    return item


def goal(store: Store, group: Group) -> tuple[int, int]:
    """(trials wanted at present, trials wanted at most): they differ where a stopping rule has not stopped yet."""
    if isinstance(group, StackSet):
        return group.count, group.count
    if not isinstance(group, Series) or not group.rule:
        return group.trials, group.trials
    from mcinj.infer.sample import ThresholdSample
    from mcinj.infer.stopping import decide, parse_rule

    rule = parse_rule(group.rule)
    where, values = where_of(group)
    rows = sorted(store.select("trial, m_lo, m_hi, failed_layer", where, values), key=lambda row: row[0])
    # Trials count in the order of their numbers: those after a gap are not looked at yet.
    first = next((k for k, row in enumerate(rows) if row[0] != k), len(rows))
    if not first:
        return rule.looks[0], group.trials
    _, m_lo, m_hi, failed = zip(*rows[:first], strict=True)
    decision = decide(rule, ThresholdSample.build(m_lo, m_hi, group.n, failed=failed))
    return (decision.trials, decision.trials) if decision.stop else (decision.wanted, group.trials)


def missing(store: Store, group: Group, wanted: range, aside: set[tuple[tuple[Any, ...], int]]) -> list[int]:
    """Those of the trials wanted that the record does not hold in full and that were not set aside."""
    where, values = where_of(group)
    key = tuple(key_of(group))
    if isinstance(group, StackSet):
        rows = set(store.select("trial, criterion, engine", where, values))
        asked = [(c, e) for c in group.criteria for e in group.engines]
        return [t for t in wanted if any((t, c, e) not in rows for c, e in asked) and (key, t) not in aside]
    held = {t for (t,) in store.select("trial", where, values)}
    return [t for t in wanted if t not in held and (key, t) not in aside]


def undecided(store: Store) -> int:
    """Rows that a budget, or a quarantine, left undecided."""
    where = {
        "threshold": "failed_layer IS NULL AND (m_hi IS NULL OR m_lo IS NULL OR m_hi <> m_lo + 1)",
        "stacks": "verdict = 'unknown'",
        "active": "active_hi IS NULL",
        "margin": "complete = 0",
    }.get(store.kind, "0")
    return int(store.select("COUNT(*)", where)[0][0])


def is_undecided(row: dict[str, Any]) -> bool:
    """The same of one row."""
    if "verdict" in row:
        return bool(row["verdict"] == "unknown")
    if "m_hi" not in row:
        return ("active_hi" in row and row["active_hi"] is None) or row.get("complete") == 0
    return row["failed_layer"] is None and (
        row["m_hi"] is None or row["m_lo"] is None or row["m_hi"] != row["m_lo"] + 1
    )


def part_of(store: Store, group: Group) -> Part:
    """What the record knows of the cost of a group's trials; those set aside cost nothing and tell nothing."""
    where, values = where_of(group)
    # Rows of one trial of least active counts each name the nodes of all.
    nodes = "MAX(nodes)" if store.kind == "active" else "SUM(nodes)"
    if store.kind in SEARCHES:
        nodes = "0"
    trials = f"SELECT trial, SUM(seconds) AS s, {nodes} AS k FROM trials WHERE {where} AND seconds > 0 GROUP BY trial"
    rows = store.query(f"SELECT COUNT(*), SUM(s), SUM(k) FROM ({trials})", values)
    count, seconds, total = rows[0]
    part = new_part(group)
    part.count, part.seconds, part.nodes = int(count), float(seconds or 0.0), int(total or 0)
    return part


def new_part(group: Group) -> Part:
    """A group as the estimate sees it, nothing measured yet."""
    before = getattr(group, "widths_before", ()) or getattr(group, "widths", ())[:-1] * isinstance(group, StackSet)
    checks = len(group.criteria) * len(group.engines) if isinstance(group, StackSet) else 1
    budget = getattr(group, "node_budget", None)
    family = (
        type(group).__name__,
        tuple(round(w / group.n) for w in before),
        getattr(group, "criterion", ""),
    )
    most = None if budget is None else budget * checks
    # A move costs about n times m multiplications, of which a part hides behind what does not grow.
    return Part(group.n, family, most, deep=bool(before), work=getattr(group, "moves", 0) * group.n)


def unknown_rows(group: Group, root: int, trial: int) -> Iterator[dict[str, Any]]:
    """Rows of a trial that was set aside: UNKNOWN, so that it is counted and never dropped.

    Nothing is proved of it, nor spent on it. Witness searches and cell counts have no undecided rows: there the note in
    the meta data is all.
    """
    shared = {
        "trial": trial,
        "seed": str(Seed(root).child(group.n, trial)),
        "nodes": 0,
        "seconds": 0.0,
        "version": __version__,
    }
    if isinstance(group, Series):
        yield {
            **dict(zip(("n", "widths_before", "criterion", "ensemble"), group.key, strict=True)),
            **shared,
            "m_lo": None,
            "m_hi": None,
            "failed_layer": None,
            "node_budget": group.node_budget,
            "certified": "none",
            "engine": "tree",
        }
    elif isinstance(group, StackSet):
        texts = dict.fromkeys(("x", "x_prime", "active_x", "active_x_prime", "min_active", "enumeration"), "")
        for criterion in group.criteria:
            for engine in group.engines:
                yield {
                    **dict(zip(("n", "widths", "ensemble"), key_of(group), strict=True)),
                    **shared,
                    **texts,
                    "criterion": criterion,
                    "engine": engine,
                    "node_budget": group.node_budget,
                    "verdict": "unknown",
                    "layer": None,
                    "certified": "none",
                    "regions": None,
                }
    elif isinstance(group, ActiveSet):
        for m in group.widths:
            yield {
                **group.keys,
                **shared,
                "m": m,
                "active_lo": 0,
                "active_hi": None,
                "node_budget": group.node_budget,
            }
    elif isinstance(group, MarginSet):
        for m in group.widths:
            yield {
                **group.keys,
                **shared,
                "m": m,
                "margin_lo": -math.inf,
                "margin_hi": math.inf,
                "complete": 0,
                "tolerance": group.tolerance,
                "node_budget": group.node_budget,
            }


def settle_quarantined(store: Store, experiment: Experiment) -> set[tuple[tuple[Any, ...], int]]:
    """Trials that were set aside, as (key, trial); their UNKNOWN rows are there as this experiment wants them."""
    aside = quarantined_of(store.meta())
    groups = {tuple(key_of(group)): group for group in experiment.groups}
    rows = [
        row
        for item in aside
        if tuple(item["key"]) in groups
        for row in unknown_rows(groups[tuple(item["key"])], experiment.seed, item["trial"])
    ]
    if rows:
        store.add(rows)
    return {(tuple(item["key"]), item["trial"]) for item in aside}


def release(store: Store, experiment: Experiment) -> None:
    """Let the trials that were set aside be tried again."""
    groups = {tuple(key_of(group)): group for group in experiment.groups}
    kept = []
    for item in quarantined_of(store.meta()):
        group = groups.get(tuple(item["key"]))
        if group is None:
            kept.append(item)
            continue
        where, values = where_of(group)
        store.update(f"DELETE FROM trials WHERE {where} AND trial = ?", (*values, item["trial"]))
    store.set_note("quarantined", kept)
