"""The limit of m*/n of one Gaussian layer, both versions, with and without what goes beyond the plain means.

    python experiments/limits.py        # writes results/one_layer/limits.csv

Version 1 from medians; version 2 from plain means, from means with control variates (results/one_layer/controlled.csv,
experiments/controls.py), with nested streams (results/nested, experiments/nested.py) and with searched thresholds:
results/searched/means.csv with the columns n, streams, mean, se, miss_lo, miss_hi in units of m/n, where it exists.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mcinj.infer import SearchedMean, extrapolate_family, extrapolate_means, families, means
from mcinj.infer.means import MeanSeries
from mcinj.infer.nested import joined, nested_means
from mcinj.infer.resultants import Controlled, with_controls

RESULTS = Path(__file__).parents[1] / "results"


def searched_means() -> list[SearchedMean]:
    """Means of searched thresholds, none where they were not drawn."""
    path = RESULTS / "searched" / "means.csv"
    if not path.exists():
        return []
    return [SearchedMean(**row) for row in pd.read_csv(path).to_dict("records")]


def variants() -> dict[str, MeanSeries]:
    """What version 2 is applied to, by name."""
    (family,) = families(pd.read_parquet(RESULTS / "one_layer" / "trials.parquet"))
    plain, searched = means(family.samples), searched_means()
    found = {"means": plain}
    controlled = None
    if (RESULTS / "one_layer" / "controlled.csv").exists():
        table = pd.read_csv(RESULTS / "one_layer" / "controlled.csv")
        controlled = [Controlled(**row) for row in table.to_dict("records")]
        found["means, control variates"] = with_controls(plain, controlled)
    path = RESULTS / "nested" / "thresholds.csv"
    if path.exists():
        table = pd.read_csv(path).drop(columns="stream")
        found["means, nested"] = joined(plain, nested_means([int(c) for c in table], table.to_numpy()))
    if searched:
        found["means, searched"] = means(family.samples, searched)
        if controlled is not None:
            found["means, control variates, searched"] = with_controls(found["means, searched"], controlled)
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
