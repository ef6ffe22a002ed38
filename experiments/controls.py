"""The flagship's means with control variates: rows are drawn again from the recorded seeds, nothing is searched.

    python experiments/controls.py                  # writes results/one_layer/controlled.csv, n >= 9; a minute
    python experiments/controls.py --coefficients   # fits the coefficients of mcinj/infer/resultants.py; a minute
    python experiments/controls.py --coverage       # intervals of few streams against proved means; a minute

`mcinj.infer.resultants` says what is subtracted and why the mean stays. Searched sizes: `mcinj.infer.levels`.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

import mcinj
from mcinj.infer.intervals import student_quantile
from mcinj.infer.levels import LevelledMean, levelled
from mcinj.infer.resultants import GRID, ControlledSample, controlled_mean, controlled_means, resultants
from mcinj.infer.sample import ThresholdSample
from mcinj.networks import RowStream
from mcinj.show.levels import by_trial, stream_controls

RESULTS = Path(__file__).parents[1] / "results" / "one_layer"
# Streams per size that fit the coefficients, and that play the truth in the coverage.
FITTED, TRUTH = {10: 10_000, 11: 10_000, 12: 5_400, 13: 1_500}, 5_400


def controlled_sample(n: int, part: pd.DataFrame) -> ControlledSample:
    """Control variates of the trials of one size, from their seeds."""
    controls = np.array([resultants(RowStream("gaussian", n, seed).take(max(GRID) * n), n) for seed in part["seed"]])
    return ControlledSample(ThresholdSample.build(part["m_lo"], part["m_hi"], n), controls)


def coefficients(samples: list[ControlledSample]) -> npt.NDArray[np.float64]:
    """One set for all sizes: least squares within the sizes, each row times √n, which makes their variances equal."""
    x = [np.sqrt(s.sample.n) * (s.controls - s.controls.mean(axis=0)) for s in samples]
    y = [(s.sample.high - s.sample.high.mean()) / np.sqrt(s.sample.n) for s in samples]
    return np.linalg.lstsq(np.concatenate(x), np.concatenate(y), rcond=None)[0]


def coverage(each: ControlledSample, draws: int = 4000) -> pd.DataFrame:
    """Student intervals of few streams, drawn from those of one size, against the mean of all of these."""
    rng, rows = np.random.default_rng(1), []
    truth = controlled_mean(each).mean
    plain = each.sample.high / each.sample.n
    for name, values, mean in (("plain", plain, plain.mean()), ("control variates", each.rest, truth)):
        for size in (12, 44, 240):
            drawn = rng.choice(values, (draws, size))
            half = student_quantile(0.975, size - 1) * drawn.std(axis=1, ddof=1) / np.sqrt(size)
            inside = np.abs(drawn.mean(axis=1) - mean) <= half
            rows.append([each.sample.n, name, size, inside.mean(), half.mean()])
    return pd.DataFrame(rows, columns=["n", "mean", "streams", "coverage of 95 %", "half_width"])


def budgets_coverage(proved: pd.DataFrame, draws: int = 1000, streams: int = 200, shared: int = 40) -> pd.DataFrame:
    """Intervals of one and two budgets, on streams drawn from those with proved thresholds, against their mean m*/n."""
    searches = mcinj.load(RESULTS.parent / "searched").trials
    rng, rows = np.random.default_rng(1), []
    for n in (12, 14):
        part = searches[searches["n"] == n]
        few, more = (by_trial(p).to_numpy() for _, p in part.groupby("moves"))
        controls = stream_controls(part, n, "gaussian", sorted(set(part["trial"])))
        seeds = part.groupby("trial")["seed"].first()
        # The mean over these streams, with the controls that they have: what samples from them are about.
        m_star = proved[proved["n"] == n].set_index("seed").loc[seeds, "m_hi"].to_numpy()
        truth = controlled_mean(ControlledSample.of_best(m_star - 1, n, controls)).mean
        found: dict[str, list[LevelledMean]] = {"small budget": [], "large budget": [], "both": []}
        for _ in range(draws):
            at = rng.integers(0, len(few), streams)
            found["small budget"].append(levelled(n, few[at], controls=controls[at]))
            found["large budget"].append(levelled(n, more[at], controls=controls[at]))
            both = levelled(n, few[at], more[at[:shared]], np.arange(shared), controls=controls[at])
            found["both"].append(both)
        for name, each in found.items():
            ends = np.array([x.interval for x in each])
            inside = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
            bias = np.mean([x.mean for x in each]) - truth
            rows.append([n, name, inside.mean(), np.diff(ends).mean() / 2, bias, np.mean([x.se for x in each])])
    return pd.DataFrame(rows, columns=["n", "budgets", "coverage of 95 %", "half_width", "bias", "se"])


def main() -> None:
    """Write the table, one row per size, or print what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--least", type=int, default=9, help="smallest n; below, plain errors are small enough")
    parser.add_argument("--coefficients", action="store_true")
    parser.add_argument("--coverage", action="store_true")
    options = parser.parse_args()
    table = pd.read_parquet(RESULTS / "trials.parquet", columns=["n", "seed", "m_lo", "m_hi"])
    if options.coefficients:
        fitted = [controlled_sample(n, table[table["n"] == n].head(most)) for n, most in FITTED.items()]
        print(coefficients(fitted).round(3).tolist())
    elif options.coverage:
        parts = [controlled_sample(n, table[table["n"] == n].head(TRUTH)) for n in (8, 12)]
        print(pd.concat([coverage(each) for each in parts]).round(4).to_string(index=False))
        print(budgets_coverage(table).round(4).to_string(index=False))
    else:
        found = controlled_means(controlled_sample(n, p) for n, p in table.groupby("n") if n >= options.least)
        rows = pd.DataFrame([asdict(c) for c in found])
        rows.to_csv(RESULTS / "controlled.csv", index=False, float_format="%.7g")
        print(rows.round(4).to_string(index=False))


if __name__ == "__main__":
    main()
