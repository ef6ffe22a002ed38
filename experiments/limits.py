"""The limit of m*/n of one Gaussian layer, both versions, with and without what goes beyond the plain means.

    python experiments/limits.py              # writes results/one_layer/limits.csv
    python experiments/limits.py --designs    # half-widths that other data would give

Version 1 from medians; version 2 from plain means, from means with control variates (results/one_layer/controlled.csv,
experiments/controls.py), with nested streams (results/nested, experiments/nested.py) and with the searched thresholds
of results/searched beyond the proved sizes (`mcinj.infer.levels`): with what their runs may still miss.

Of the half-width of each interval: `sampling` and `unresolved` (corrections that the sizes cannot tell from the limit)
are 1.96 standard errors of the widest of the three fits and add in quadrature; `miss`, the worst case of what searches
miss, and `n_min`, by which the hull of the three fits is wider than the widest, are added.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

import mcinj
from mcinj.infer import BasisLimit, SearchedMean, extrapolate_family, extrapolate_means, families, means
from mcinj.infer.means import MeanSeries
from mcinj.infer.nested import joined, nested_means
from mcinj.infer.resultants import Controlled, with_controls
from mcinj.infer.sample import ThresholdSample
from mcinj.show.levels import level_means

RESULTS = Path(__file__).parents[1] / "results"
Z = 1.959964


def proved_samples() -> list[ThresholdSample]:
    """The flagship's proved thresholds, one sample per size."""
    (family,) = families(pd.read_parquet(RESULTS / "one_layer" / "trials.parquet"))
    return list(family.samples)


def searched_means(least: int, *, controls: bool, levels: bool) -> list[SearchedMean]:
    """Means of searched thresholds at n > least, with control variates and with two budgets if wanted."""
    table = mcinj.load(RESULTS / "searched").trials
    table = table[(table["ensemble"] == "gaussian") & (table["n"] > least)]
    return [told.as_searched() for _, _, _, told in level_means(table, controls=controls, levels=levels)]


def controlled() -> list[Controlled]:
    """Proved means with control variates."""
    rows = pd.read_csv(RESULTS / "one_layer" / "controlled.csv").to_dict("records")
    return [Controlled(**row) for row in rows]


def variants(samples: list[ThresholdSample]) -> dict[str, MeanSeries]:
    """What version 2 is applied to, by name."""
    proved, plain = max(s.n for s in samples), means(samples)
    table = pd.read_csv(RESULTS / "nested" / "thresholds.csv").drop(columns="stream")
    sharper = controlled()
    return {
        "means": plain,
        "means, nested": joined(plain, nested_means([int(c) for c in table], table.to_numpy())),
        "means, control variates": with_controls(plain, sharper),
        "means, searched": means(samples, searched_means(proved, controls=False, levels=True)),
        "both, one budget": with_controls(means(samples, searched_means(proved, controls=True, levels=False)), sharper),
        "both": with_controls(means(samples, searched_means(proved, controls=True, levels=True)), sharper),
    }


def shares(limit: BasisLimit) -> dict[str, float]:
    """The half-width of an interval by its sources."""
    half = (limit.total[1] - limit.total[0]) / 2
    widest = max(limit.fits, key=lambda fit: Z * fit.se + fit.doubt)
    unresolved = np.sqrt(max(widest.se**2 - widest.statistical**2, 0.0))
    return {
        "half_width": half,
        "sampling": Z * widest.statistical,
        "unresolved": Z * unresolved,
        "miss": widest.doubt,
        "n_min": half - Z * widest.se - widest.doubt,
    }


def limits_table(samples: list[ThresholdSample], points: Mapping[str, MeanSeries]) -> pd.DataFrame:
    """One row per version, data and basis."""
    (family,) = families(pd.read_parquet(RESULTS / "one_layer" / "trials.parquet"))
    first = extrapolate_family(family)
    rows: list[dict[str, object]] = [
        {"version": 1, "data": "medians", "limit": first.estimate, "low": first.total[0], "high": first.total[1],
         "half_width": (first.total[1] - first.total[0]) / 2, "consistent": first.consistent}
    ]  # fmt: skip
    for name, series in points.items():
        for basis, limit in extrapolate_means(series).limits.items():
            ends = {"limit": limit.estimate, "low": limit.total[0], "high": limit.total[1]}
            named = {"version": 2, "data": name, "basis": basis}
            rows.append({**named, **ends, **shares(limit), "consistent": limit.consistent})
    return pd.DataFrame(rows)


def designed(series: MeanSeries, errors: Mapping[int, float], miss: Mapping[int, float], proved: float) -> MeanSeries:
    """The fitted curve at the same and further sizes, with other errors: what such data would give.

    errors, miss: by searched n, standard error and half of the miss interval. proved: factor of the proved errors.
    """
    curve = extrapolate_means(series).primary.fits[0]
    keep = series.take(~series.searched)
    n = np.concatenate((keep.n, np.array(sorted(errors), dtype=np.int64)))
    sigma = np.concatenate((proved * keep.sigma, [errors[k] for k in sorted(errors)]))
    doubt = np.concatenate((keep.doubt, [miss[k] for k in sorted(errors)]))
    return MeanSeries(n, curve.predict(n.astype(float)), np.diag(sigma**2), doubt, n > keep.n.max(), np.ones(n.size))


def designs_table(series: MeanSeries) -> pd.DataFrame:
    """Half-widths for data that we do not have."""
    found = series.searched
    now = dict(zip(series.n[found].tolist(), series.sigma[found].tolist(), strict=True))
    miss = dict(zip(series.n[found].tolist(), series.doubt[found].tolist(), strict=True))
    none = dict.fromkeys(now, 0.0)

    def all_at(sizes: tuple[int, ...], value: float) -> dict[int, float]:
        return dict.fromkeys(sizes, value)

    to_40, to_60, to_100 = (18, 20, 24, 30, 40), (18, 20, 24, 30, 40, 60), (18, 20, 24, 30, 40, 60, 100)
    wanted = {18: 0.01, 20: 0.01, 24: 0.01, 30: 0.02, 40: 0.02}
    cases = {
        "as it is": (now, miss, 1.0),
        "no misses": (now, none, 1.0),
        "half the errors, proved and searched": ({n: s / 2 for n, s in now.items()}, miss, 0.5),
        "both": ({n: s / 2 for n, s in now.items()}, none, 0.5),
        "n = 18, 20, 24 to .01, 30 and 40 to .02, misses to a quarter": (
            wanted, {n: s / 4 for n, s in wanted.items()}, 1.0),
        "n = 18 … 40 to .003, miss 0 … .006": (all_at(to_40, 0.003), all_at(to_40, 0.003), 1.0),
        "n = 18 … 60 to .003, miss 0 … .006": (all_at(to_60, 0.003), all_at(to_60, 0.003), 1.0),
        "n = 18 … 60 to .003, miss 0 … .002": (all_at(to_60, 0.003), all_at(to_60, 0.001), 1.0),
        "n = 18 … 100 to .005, miss 0 … .008": (all_at(to_100, 0.005), all_at(to_100, 0.004), 1.0),
        "n = 18 … 100 to .003, miss 0 … .006": (all_at(to_100, 0.003), all_at(to_100, 0.003), 1.0),
    }  # fmt: skip
    rows = []
    for name, (errors, misses, factor) in cases.items():
        limits = extrapolate_means(designed(series, errors, misses, factor)).limits
        rows.append({"data": name, **{basis: shares(limit)["half_width"] for basis, limit in limits.items()}})
    return pd.DataFrame(rows)


def main() -> None:
    """Write the table and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--designs", action="store_true", help="half-widths that other data would give")
    options = parser.parse_args()
    samples = proved_samples()
    points = variants(samples)
    if options.designs:
        print(designs_table(points["both"]).round(3).to_string(index=False))
        return
    table = limits_table(samples, points)
    table.to_csv(RESULTS / "one_layer" / "limits.csv", index=False, float_format="%.5g")
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
