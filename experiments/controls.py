"""The flagship's means with control variates: rows are drawn again from the recorded seeds, nothing is searched.

    python experiments/controls.py      # writes results/one_layer/controlled.csv; some minutes

`mcinj.infer.resultants` says what is subtracted and why the mean stays. Where results/searched exists, its sizes beyond
the proved ones follow, each threshold the best run's width + 1: means of lower bounds, to be marked as such
(experiments/limits.py does).
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from mcinj.infer.resultants import GRID, ControlledSample, controlled_means, resultants
from mcinj.infer.sample import ThresholdSample
from mcinj.networks import RowStream

RESULTS = Path(__file__).parents[1] / "results" / "one_layer"


def controlled_sample(n: int, part: pd.DataFrame) -> ControlledSample:
    """Control variates of the trials of one size, from their seeds."""
    controls = np.array([resultants(RowStream("gaussian", n, seed).take(max(GRID) * n), n) for seed in part["seed"]])
    return ControlledSample(ThresholdSample.build(part["m_lo"], part["m_hi"], n), controls)


def searched_tables(least: int) -> dict[int, pd.DataFrame]:
    """Searches with n > least, by n: of several budgets of moves that on most streams, of equals the larger one."""
    path = RESULTS.parent / "searched" / "trials.parquet"
    if not path.exists():
        return {}
    table = pd.read_parquet(path)
    table = table[(table["ensemble"] == "gaussian") & (table["n"] > least)]
    found = {}
    for n, part in table.groupby("n"):
        streams = part.groupby("moves")["trial"].nunique()
        found[int(n)] = part[part["moves"] == streams[streams == streams.max()].index.max()]
    return found


def best_runs(part: pd.DataFrame) -> pd.DataFrame:
    """Columns seed, m_lo, m_hi of the best run of each stream."""
    best = part.loc[part.groupby("trial")["m_found"].idxmax()]
    return best.assign(m_lo=best["m_found"], m_hi=best["m_found"] + 1)


def main() -> None:
    """Write the table, one row per size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--least", type=int, default=4, help="smallest n (the extrapolation uses n >= 4)")
    options = parser.parse_args()
    table = pd.read_parquet(RESULTS / "trials.parquet", columns=["n", "seed", "m_lo", "m_hi"])
    parts = [controlled_sample(n, part) for n, part in table.groupby("n") if n >= options.least]
    beyond = searched_tables(int(table["n"].max()))
    parts += [controlled_sample(n, best) for n, part in beyond.items() if len(best := best_runs(part)) >= 4]
    found = pd.DataFrame([asdict(c) for c in controlled_means(parts)])
    found.to_csv(RESULTS / "controlled.csv", index=False, float_format="%.7g")
    print(found.round(4).to_string(index=False))


if __name__ == "__main__":
    main()
