"""How far the regional threshold behind one layer lies below that of one layer, and its limit as n grows.

    python experiments/searched_depth_limits.py
Two layers: proved means (results/two_layer) to n = 6, searched ones (results/searched_depth) beyond, over streams whose
first layer passes; series of which too few runs agree (docs/searched.md) are left out. One layer: proved means of
results/one_layer to n = 16. First the differences of the means, in units of m/n, with standard errors; a searched one
may be too large by what the runs miss (`gap`, an estimate). Then the limits by version 2 of the fit, validated on
one-layer series (docs/inference.md): that it holds here is assumed. At last 3 to 6 layers of the published widths,
proved (results/depth) and searched.
"""

from pathlib import Path

import numpy as np
import pandas

import mcinj
from mcinj.errors import InputError
from mcinj.infer import SearchedMean, extrapolate_family_means
from mcinj.infer.families import Family, families, group_by_ratios, widths_of
from mcinj.show.searched import ENOUGH
from mcinj.theory import two_rsb

MOST_PROVED = 6  # eight proved streams at n = 7 are searched ones too
results = Path(__file__).resolve().parent.parent / "results"


def searched_beyond(family: Family, summary: pandas.DataFrame) -> pandas.DataFrame:
    """Rows of the searched summary behind the family's first layer, at larger n than it has."""
    shapes = [(key.n, widths_of(key.widths_before)) for key in family.keys]
    further = summary[summary["n"] > max(key.n for key in family.keys)]
    shapes += [(int(n), widths_of(w)) for n, w in zip(further["n"], further["widths_before"], strict=True)]
    members = next(m for _, m in group_by_ratios(shapes) if 0 in m)
    return further.iloc[[i - len(family.keys) for i in members if i >= len(family.keys)]]


def by_depth(summary: pandas.DataFrame, alone: pandas.DataFrame) -> pandas.DataFrame:
    """How far layers 3 to 6 lie below one layer of the same n, beside the same difference of 2RSB values at n = ∞."""
    proved = pandas.read_parquet(results / "depth" / "trials.parquet")
    proved = proved[(proved["criterion"] == "regional") & (proved["m_hi"] == proved["m_lo"] + 1)]
    found = [
        ("proved", n, len(part), before.count(",") + 2, part["m_hi"].mean() / n, part["m_hi"].astype(float).sem() / n)
        for (n, before), part in proved.groupby(["n", "widths_before"])
    ]
    found += [("searched", r.n, r.streams, r.layers, r.mean, r.se) for r in summary.itertuples()]
    theory = [two_rsb(wide_layers_before=k).value for k in range(6)]
    rows = []
    for what, n, streams, layers, mean, se in sorted(found, key=lambda item: (item[1], item[3], item[0])):
        if layers > 2:  # behind one layer: above
            error = float(np.hypot(se, alone.loc[n, "sem"]))
            below = float(alone.loc[n, "mean"]) - mean
            rows.append([what, n, layers, streams, mean, se, below, error, theory[0] - theory[layers - 1]])
    names = ["what", "n", "layers", "streams", "mean", "se", "below one layer", "error", "2RSB"]
    return pandas.DataFrame(rows, columns=names)


def main() -> None:
    everything = mcinj.load(results / "searched_depth").summary
    everything = everything[(everything["streams"] >= 4) & (everything["reach"] >= ENOUGH)]
    summary = everything[everything["layers"] == 2].sort_values("streams")
    summary = summary.groupby(["n", "widths_before"], as_index=False).tail(1).sort_values("n")
    proved = pandas.read_parquet(results / "two_layer" / "trials.parquet")
    proved = proved[(proved["criterion"] == "regional") & (proved["n"] <= MOST_PROVED)]
    one = pandas.read_parquet(results / "one_layer" / "trials.parquet", columns=["n", "m_lo", "m_hi"])
    one = one[one["m_hi"] == one["m_lo"] + 1]
    alone = (one["m_hi"].astype(float) / one["n"]).groupby(one["n"]).agg(["mean", "sem"])
    gaps, limits = [], []
    for family in families(proved):
        beyond = searched_beyond(family, summary)
        known = [(s.n, s.least[~s.failed] / s.n) for s in family.samples if (s.least == s.most)[~s.failed].all()]
        means = [("proved", n, len(v), v.mean(), v.std(ddof=1) / len(v) ** 0.5, 0.0) for n, v in known]
        means += [("searched", r.n, r.streams, r.mean, r.se, r.miss_gap) for r in beyond.itertuples()]
        differences = []
        for what, n, streams, mean, se, gap in means:
            if n in alone.index:
                error = float(np.hypot(se, alone.loc[n, "sem"]))
                differences.append((n, float(alone.loc[n, "mean"]) - mean, error))
                gaps.append([family.before, what, n, streams, mean, se, *differences[-1][1:], gap])
        _, shift, error = np.array([d for d in differences if d[0] >= 4]).T
        weight = error**-2.0
        common = (weight * shift).sum() / weight.sum()
        chi2 = float((weight * (shift - common) ** 2).sum())
        print(
            f"behind {family.before} n: one layer less two layers {common:.3f} ± {weight.sum() ** -0.5:.3f} if it is "
            f"one number from n = 4 on (chi2 {chi2:.1f}, {len(shift) - 1} degrees of freedom)"
        )
        extra = [
            SearchedMean.of_runs(
                int(r.n), int(r.streams), r.mean * r.n, r.se * r.n, r.miss_gap * r.n, r.miss_gap_se * r.n
            )
            for r in beyond.itertuples()
        ]
        try:
            found = extrapolate_family_means(family, searched=extra)
            limits += [[family.before, name, limit.estimate, *limit.total] for name, limit in found.limits.items()]
        except InputError as reason:
            print(f"behind {family.before} n: no limit, {reason}")
    names = ["behind", "what", "n", "streams", "mean", "se", "below one layer", "error", "gap"]
    print(pandas.DataFrame(gaps, columns=names).round(3).to_string(index=False))
    names = ["behind", "corrections", "limit", "low (95 %)", "high"]
    print(pandas.DataFrame(limits, columns=names).round(2).to_string(index=False))
    print(by_depth(everything, alone).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
