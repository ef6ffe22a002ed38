"""What searched thresholds miss on streams with proved thresholds, and what the agreement of the runs says of it.

Joins two results of the same streams and prints, in units of m/n, the true mean miss of the best run and its two
estimates; `missed` and `unique` are shares of streams:
    python experiments/searched_reach.py [searched one_layer] [--runs K]
    python experiments/searched_reach.py searched_laws ensembles
With --runs only the first K runs of each stream are looked at.
"""

import argparse
from pathlib import Path

import pandas

import mcinj
from mcinj.infer.searched import summarise_searches
from mcinj.show.searched import widths_found

options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
options.add_argument("names", nargs="*", default=["searched", "one_layer"], help="searched and proved results")
options.add_argument("--runs", type=int, default=4)
given = options.parse_args()
runs, (searches, proofs) = given.runs, given.names
results = Path(__file__).resolve().parent.parent / "results"
on = ["n", "ensemble", "seed"]
found = mcinj.load(results / searches).trials
proved = pandas.read_parquet(results / proofs / "trials.parquet")
proved = proved.loc[proved["m_hi"] == proved["m_lo"] + 1, [*on, "m_lo"]]
both = found[found["run"] < runs].merge(proved, on=on)
if (both["m_found"] > both["m_lo"]).any():
    raise SystemExit("a witness was verified at a width that is proved injective: one of the tables is wrong")
rows = []
for (n, law, moves), part in both.groupby(["n", "ensemble", "moves"]):
    told = summarise_searches(widths_found(part))
    best = part.groupby("trial").agg(m_found=("m_found", "max"), m_lo=("m_lo", "first"))
    miss = (best["m_lo"] - best["m_found"]).astype(float) / n
    one = float((part["m_found"] == part["m_lo"]).mean())
    rows.append([n, law, moves, told.runs, len(miss), one, (miss > 0).mean(), told.unique, miss.mean(), miss.sem()])
    rows[-1] += [told.geometric / n, told.gap / n, told.gap_se / n]
names = ["n", "law", "moves", "runs", "streams", "one_run_reaches", "missed", "unique", "miss", "miss_se"]
table = pandas.DataFrame(rows, columns=[*names, "geometric", "gap", "gap_se"])
print(table.round(4).to_string(index=False))
