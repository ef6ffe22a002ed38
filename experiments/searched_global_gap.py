"""How much wider the last layer must be for injectivity than for the count criterion, beyond the proved thresholds.

Paired differences (m*_global - m*_regional)/n on the same streams of two-layer networks, with standard errors: proved
ones of results/two_layer, and searched ones, where the global value is the best of the runs of results/searched_global
and the regional one is proved, or else the best of the runs of results/searched_depth. A searched difference can be
wrong either way: each of its two values is a proved lower bound of its own threshold only. `equal` and `crossed` are
means over the best collisions: last-layer rows positive at both inputs, and hidden units positive at one, over n.
    python experiments/searched_global_gap.py
"""

from pathlib import Path

import pandas

import mcinj

KEYS = ["n", "widths_before", "seed"]
results = Path(__file__).resolve().parent.parent / "results"
proved = mcinj.load(results / "two_layer").trials
proved = proved[(proved["m_hi"] == proved["m_lo"] + 1) & proved["failed_layer"].isna()]
by = {name: part[[*KEYS, "m_hi"]] for name, part in proved.groupby("criterion")}


def best(name: str) -> pandas.DataFrame:
    """The best run per stream, of all budgets, where no run proved that an earlier layer fails."""
    table = mcinj.load(results / name).trials
    lost = table.groupby(KEYS)["failed_layer"].transform("count") > 0
    table = table[~lost & ~table["widths_before"].str.contains(",")]
    found = table.sort_values("m_found", kind="stable").groupby(KEYS, as_index=False).tail(1)
    return found.assign(m_hi=found["m_found"] + 1)


def gaps(wider: pandas.DataFrame, narrower: pandas.DataFrame, how: str) -> pandas.DataFrame:
    """Mean paired difference per shape, in units of m/n."""
    both = wider.merge(narrower, on=KEYS, suffixes=("", "_regional"))
    both["gap"] = (both["m_hi"] - both["m_hi_regional"]).astype(float) / both["n"]
    both["global"] = both["m_hi"].astype(float) / both["n"]
    rows = []
    for (n, before), part in both.groupby(["n", "widths_before"]):
        row = {"n": n, "before": before, "global, regional": how, "streams": len(part), "gap": part["gap"].mean()}
        row |= {"se": part["gap"].sem(), "none": (part["gap"] <= 0).mean(), "mean m*/n": part["global"].mean()}
        row |= {name: part[name].mean() / n if name in part else None for name in ("equal", "crossed")}
        rows.append(row)
    return pandas.DataFrame(rows)


pairs, regional = best("searched_global"), best("searched_depth")[[*KEYS, "m_hi"]]
told = [gaps(by["global"], by["regional"], "proved, proved"), gaps(pairs, by["regional"], "searched, proved")]
known = pairs.merge(by["regional"][KEYS], on=KEYS)[KEYS]
beyond = pairs.merge(known, on=KEYS, how="left", indicator=True)
told.append(gaps(beyond[beyond["_merge"] == "left_only"], regional, "searched, searched"))
table = pandas.concat([part for part in told if len(part)], ignore_index=True)
shapes = set(pairs["widths_before"])
print(table[table["before"].isin(shapes)].sort_values(["n", "global, regional"]).round(3).to_string(index=False))
