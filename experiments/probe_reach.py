"""How often the witness search reaches m* - 1, the most that there is, on streams with proved thresholds.

Joins the committed tables of probe.toml and one_layer.toml (same streams) and prints one row per n and budget:
    python experiments/probe_reach.py
"""

from pathlib import Path

import pandas

results = Path(__file__).resolve().parent.parent / "results"
on = ["n", "ensemble", "seed"]
found = pandas.read_parquet(results / "probe" / "trials.parquet")
proved = pandas.read_parquet(results / "one_layer" / "trials.parquet")
proved = proved.loc[proved["m_hi"] == proved["m_lo"] + 1, [*on, "m_lo"]]
both = found.merge(proved, on=on)
if (both["m_found"] > both["m_lo"]).any():
    raise SystemExit("a witness was verified at a width that is proved injective: one of the tables is wrong")
both["reached"] = both["m_found"] == both["m_lo"]
table = both.groupby(["n", "moves"])["reached"].agg(streams="size", reached="sum")
print(table.to_string())
