"""The sharpest mean of searched thresholds per size: control variates, and two budgets where streams share them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from mcinj.infer.levels import LEAST, LevelledMean, levelled
from mcinj.infer.resultants import GRID, LAWS, resultants
from mcinj.networks import RowStream
from mcinj.show.groups import groups_by

if TYPE_CHECKING:
    import pandas


def by_trial(part: pandas.DataFrame) -> pandas.DataFrame:
    """Widths found in one series, one row per trial that has all its runs and one column per run."""
    return part.pivot(index="trial", columns="run", values="m_found").dropna().astype(float)


def stream_controls(part: pandas.DataFrame, n: int, ensemble: str, trials: Any) -> Any:
    """Control variates of the named trials of one series, from the seeds of its rows; None for other laws' weights."""
    if ensemble.partition(":")[0] not in LAWS:
        return None
    seeds = part.groupby("trial")["seed"].first().loc[trials]
    return np.array([resultants(_rows(RowStream(ensemble, n, seed), max(GRID) * n), n) for seed in seeds])


def _rows(stream: RowStream, count: int) -> Any:
    """The first rows of a stream that are not zero."""
    most = count
    while True:
        rows = stream.take(most)
        rows = rows[rows.any(axis=1)]
        if len(rows) >= count:
            return rows[:count]
        most *= 2


def level_means(
    table: pandas.DataFrame, *, controls: bool = True, levels: bool = True
) -> Iterator[tuple[str, int, int | None, LevelledMean]]:
    """Per n and law of a table of searches: the law, the budget of most streams (of equals the larger), the larger
    budget if there is one, and the mean. Sizes of fewer than LEAST streams are left out.

    controls, levels: False leaves the control variates, or the larger budget, aside.
    """
    for (ensemble, n), part in groups_by(table, "ensemble", "n"):
        found = {int(moves): by_trial(rows) for (moves,), rows in groups_by(part, "moves")}
        most = max(found, key=lambda moves: (len(found[moves]), moves))
        few = found[most]
        if len(few) < LEAST:
            continue
        more = None
        for moves in sorted(found, reverse=True) if levels else ():
            both = found[moves].index.intersection(few.index)
            if moves > most and len(both) >= LEAST:
                more = moves
                break
        given: dict[str, Any] = {}
        if more is not None:
            both = found[more].index.intersection(few.index)
            given = {"larger": found[more].loc[both].to_numpy(), "shared": few.index.get_indexer(both)}
        told = stream_controls(part, int(n), ensemble, few.index) if controls else None
        yield ensemble, most, more, levelled(int(n), few.to_numpy(), controls=told, **given)


def levels_table(table: pandas.DataFrame) -> pandas.DataFrame:
    """`level_means` as a table, one row per n and law, in units of m/n.

    moves, more_moves: the budgets. mean, se: with control variates (where the law allows them) and with the mean gain
    of the larger budget on the `shared` streams. mean_lo, mean_hi: 95 %, above with the last budget's `miss` added.
    """
    import pandas

    rows = []
    for ensemble, most, more, told in level_means(table):
        values = asdict(told)
        values.pop("level")
        low, high = told.interval
        budgets = {"moves": most, "more_moves": more}
        rows.append({"n": values.pop("n"), "ensemble": ensemble, **budgets, **values, "mean_lo": low, "mean_hi": high})
    return pandas.DataFrame(rows).astype({"more_moves": "Int64"} if rows else {})
