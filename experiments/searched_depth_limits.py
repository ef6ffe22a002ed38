"""Limits of regional thresholds behind one layer as n grows: proved means and searched ones beyond, version 2 of the fit.

    python experiments/searched_depth_limits.py
Proved means come from results/two_layer, searched ones (what they may miss included) from results/searched_depth at
larger n. The procedure was validated on one-layer series (docs/inference.md); that it holds behind a layer is assumed.
"""

from pathlib import Path

import pandas

import mcinj
from mcinj.errors import InputError
from mcinj.infer import SearchedMean, extrapolate_family_means
from mcinj.infer.families import families, group_by_ratios, widths_of

results = Path(__file__).resolve().parent.parent / "results"
summary = mcinj.load(results / "searched_depth").summary
summary = summary[(summary["layers"] == 2) & (summary["streams"] >= 4)].reset_index(drop=True)
proved = pandas.read_parquet(results / "two_layer" / "trials.parquet")
rows = []
for family in families(proved[(proved["criterion"] == "regional") & (proved["n"] <= 6)]):
    known = {key.n: key.widths_before for key in family.keys}
    shapes = [(n, widths_of(before)) for n, before in known.items()]
    shapes += [(int(r.n), widths_of(r.widths_before)) for r in summary.itertuples() if r.n > max(known)]
    beyond = []
    for _, members in group_by_ratios(shapes):
        if 0 not in members:
            continue
        wanted = {(shapes[i][0], ",".join(map(str, shapes[i][1]))) for i in members if i >= len(known)}
        for r in summary.itertuples():
            if (r.n, r.widths_before) in wanted:
                parts = (r.mean * r.n, r.se * r.n, r.miss_gap * r.n, r.miss_gap_se * r.n)
                beyond.append(SearchedMean.of_runs(int(r.n), int(r.streams), *parts))
    sizes = f"proved {', '.join(map(str, known))}; searched {', '.join(str(b.n) for b in beyond) or '-'}"
    try:
        found = extrapolate_family_means(family, searched=beyond)
        rows += [[family.before, name, sizes, limit.estimate, *limit.total] for name, limit in found.limits.items()]
    except InputError as error:
        rows.append([family.before, str(error), sizes, None, None, None])
table = pandas.DataFrame(rows, columns=["behind", "corrections", "n", "limit", "low", "high"])
print(table.round(3).to_string(index=False))
