"""What searches behind several earlier layers miss on the streams of results/depth, whose thresholds are proved.

Searches the first streams of each shape anew, as `[[searched]]` does, and prints how many runs reach m* - 1, how many
streams all runs miss, the mean miss in units of m/n, and the earlier layers that fail:
    python experiments/searched_depth_reach.py [--streams 40] [--moves 2000] [--runs 4] [--criterion global] [--n 3]
"""

import argparse
from pathlib import Path

import numpy as np
import pandas

from mcinj.decide.probe.searched_deep import searched_deep
from mcinj.networks import RowStream, sample

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("--streams", type=int, default=40)
options.add_argument("--moves", type=int, default=2000)
options.add_argument("--runs", type=int, default=4)
options.add_argument("--criterion", choices=["regional", "global"], default="regional")
options.add_argument("--n", type=int, nargs="*", help="these n only; default: all from 3 on")
given = options.parse_args()
table = pandas.read_parquet(Path(__file__).resolve().parent.parent / "results" / "depth" / "trials.parquet")
table = table[(table["criterion"] == given.criterion) & table["widths_before"].str.contains(",")]
rows = []
for (n, before), part in table.groupby(["n", "widths_before"]):
    if n < 3 or (given.n and n not in given.n):
        continue
    widths, one, miss, failing, seen = [int(w) for w in before.split(",")], [], [], 0, 0
    for stream in part.sort_values("trial").head(given.streams).itertuples():
        first = sample(n, widths, stream.ensemble, stream.seed)
        last = RowStream(stream.ensemble, widths[-1], stream.seed, layer=len(widths) + 1)
        found = searched_deep(
            last, first, moves=given.moves, runs=given.runs, seed=stream.seed, criterion=given.criterion
        )
        if not pandas.isna(stream.failed_layer):
            failing += 1
            seen += found.failed_layer == stream.failed_layer
            continue
        if found.m_found is None or found.m_found > stream.m_lo:
            raise SystemExit(f"a witness contradicts a proof: {stream.seed} behind {before}")
        one += [run.m_found == stream.m_lo for run in found.runs]
        miss.append((stream.m_lo - found.m_found) / n)
    rows.append([n, before, len(miss), np.mean(one), np.mean(np.array(miss) > 0), np.mean(miss), failing, seen])
names = ["n", "before", "streams", "one_run_reaches", "missed", "miss", "layer_fails", "of_these_found"]
print(pandas.DataFrame(rows, columns=names).round(4).to_string(index=False))
