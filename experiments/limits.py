"""The limit of m*/n of one Gaussian layer, both versions, with and without what goes beyond the plain means.

    python experiments/limits.py        # writes results/one_layer/limits.csv

Version 1 from medians; version 2 from plain means, from means with control variates (results/one_layer/controlled.csv,
experiments/controls.py), with nested streams (results/nested, experiments/nested.py) and with the searched thresholds
of results/searched beyond the proved sizes, where they exist: rows of their own, with what their runs may still miss.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from controls import searched_tables

from mcinj.infer import SearchedMean, extrapolate_family, extrapolate_means, families, means
from mcinj.infer.means import MeanSeries
from mcinj.infer.nested import joined, nested_means
from mcinj.infer.resultants import Controlled, with_controls

RESULTS = Path(__file__).parents[1] / "results"


def searched_means(least: int, controlled: dict[int, Controlled]) -> list[SearchedMean]:
    """Means of searched thresholds at n > least, with control variates where there are any."""
    found = []
    for n, part in searched_tables(least).items():
        from mcinj.infer.searched import summarise_searches

        widths = part.pivot(index="trial", columns="run", values="m_found").dropna().to_numpy(dtype=float)
        if len(widths) < 4:
            continue
        told = summarise_searches(widths)
        mean, se = told.mean, told.se
        if n in controlled:
            mean, se = controlled[n].mean * n, controlled[n].se * n
        found.append(SearchedMean.of_runs(n, len(widths), mean, se, told.gap, told.gap_se))
    return found


def variants() -> dict[str, MeanSeries]:
    """What version 2 is applied to, by name."""
    (family,) = families(pd.read_parquet(RESULTS / "one_layer" / "trials.parquet"))
    proved = max(key.n for key in family.keys)
    plain, searched = means(family.samples), searched_means(proved, {})
    found = {"means": plain}
    path = RESULTS / "nested" / "thresholds.csv"
    if path.exists():
        table = pd.read_csv(path).drop(columns="stream")
        found["means, nested"] = joined(plain, nested_means([int(c) for c in table], table.to_numpy()))
    if searched:
        found["means, searched"] = means(family.samples, searched)
    path = RESULTS / "one_layer" / "controlled.csv"
    if path.exists():
        rows = [Controlled(**row) for row in pd.read_csv(path).to_dict("records")]
        found["means, control variates"] = with_controls(plain, rows)
        if searched:
            sharper = searched_means(proved, {c.n: c for c in rows})
            found["means, control variates, searched"] = with_controls(means(family.samples, sharper), rows)
    return found


def main() -> None:
    """Write the table and print it."""
    (family,) = families(pd.read_parquet(RESULTS / "one_layer" / "trials.parquet"))
    first = extrapolate_family(family)
    rows = [["1", "medians", "", first.estimate, *first.total, first.statistical, first.consistent]]
    for name, points in variants().items():
        for basis, limit in extrapolate_means(points).limits.items():
            rows.append(["2", name, basis, limit.estimate, *limit.total, limit.statistical, limit.consistent])
    columns = ["version", "data", "basis", "limit", "low", "high", "statistical", "consistent"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(6, "half_width", (table["high"] - table["low"]) / 2)
    table.to_csv(RESULTS / "one_layer" / "limits.csv", index=False, float_format="%.5g")
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
