"""What a larger budget finds beyond the best of all runs of a smaller one, on the streams that both looked at.

A check of the estimated misses where no proof reaches: prints, per n and pair of budgets and in units of m/n, the gain
of the larger budget's best (a part of what the smaller one missed) beside the two estimates of the whole miss:
    python experiments/searched_budgets.py [searched | searched_depth]
"""

import itertools
import sys
from pathlib import Path

import pandas

import mcinj
from mcinj.infer.searched import summarise_searches
from mcinj.show.searched import widths_found

results = Path(__file__).resolve().parent.parent / "results"
table = mcinj.load(results / (sys.argv[1] if len(sys.argv) > 1 else "searched")).trials
if "widths_before" not in table:
    table["widths_before"] = ""
rows = []
for (n, before, law), part in table.groupby(["n", "widths_before", "ensemble"]):
    budgets = sorted(part["moves"].unique())
    for few, many in itertools.pairwise(budgets):
        best = part.groupby(["moves", "trial"])["m_found"].max().unstack("moves")[[few, many]].dropna()
        told = summarise_searches(widths_found(part[(part["moves"] == few) & part["trial"].isin(best.index)]))
        gain = (best[many] - best[few]).astype(float) / n
        rows.append(
            [n, before, law, few, many, len(best), (gain > 0).mean(), (gain < 0).mean(), gain.mean(), gain.sem()]
        )
        rows[-1] += [told.geometric / n, told.gap / n, told.gap_se / n]
names = ["n", "before", "law", "moves", "more_moves", "streams", "gained", "lost", "gain", "gain_se"]
names += ["geometric", "gap", "gap_se"]
print(pandas.DataFrame(rows, columns=names).round(4).to_string(index=False))
