"""What searched thresholds miss on streams with proved thresholds, and what the agreement of the runs says of it.

Joins two results of the same streams and prints, in units of m/n, the true mean miss of the best run and its two
estimates; `missed` and `unique` are shares of streams:
    python experiments/searched_reach.py [searched one_layer] [--runs K]
    python experiments/searched_reach.py searched_laws ensembles
    python experiments/searched_reach.py searched_depth two_layer
    python experiments/searched_reach.py searched_global two_layer
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
found = mcinj.load(results / searches).trials
found = found[found["run"] < runs]
on = [name for name in ("n", "widths_before", "ensemble", "seed") if name in found]
proved = pandas.read_parquet(results / proofs / "trials.parquet")
if "widths_before" in on:
    proved = proved[proved["criterion"] == ("global" if "equal" in found else "regional")]
    # Networks whose earlier layers fail: how many of them the runs found out, and that they claim no others.
    lost = found.groupby(on, as_index=False).agg(told=("failed_layer", "count"))
    lost = lost.merge(proved[[*on, "failed_layer"]], on=on)
    if (lost["told"].gt(0) & lost["failed_layer"].isna()).any():
        raise SystemExit("an earlier layer is both proved to fail and proved to pass: one of the tables is wrong")
    lost = lost[lost["failed_layer"].notna()]
    print(f"earlier layers fail in {len(lost)} of the proved streams; the runs found {(lost['told'] > 0).sum()}")
    found = found.merge(proved.loc[proved["failed_layer"].isna(), on], on=on)
else:
    found["widths_before"] = ""
proved = proved.loc[proved["m_hi"] == proved["m_lo"] + 1, [*on, "m_lo"]]
both = found.merge(proved, on=on)
if (both["m_found"] > both["m_lo"]).any():
    raise SystemExit("a witness was verified at a width that is proved injective: one of the tables is wrong")
rows = []
for (n, before, law, moves), part in both.groupby(["n", "widths_before", "ensemble", "moves"]):
    told = summarise_searches(widths_found(part))
    best = part.groupby("trial").agg(m_found=("m_found", "max"), m_lo=("m_lo", "first"))
    miss = (best["m_lo"] - best["m_found"]).astype(float) / n
    one = float((part["m_found"] == part["m_lo"]).mean())
    rows.append([n, before, law, moves, told.runs, len(miss), one, (miss > 0).mean(), told.unique])
    rows[-1] += [miss.mean(), miss.sem(), told.geometric / n, told.gap / n, told.gap_se / n]
names = ["n", "before", "law", "moves", "runs", "streams", "one_run_reaches", "missed", "unique", "miss", "miss_se"]
table = pandas.DataFrame(rows, columns=[*names, "geometric", "gap", "gap_se"])
print(table.round(4).to_string(index=False))
