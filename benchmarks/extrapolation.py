"""Coverage of the extrapolation's version 2 on series with known limits, by design and basis (docs/inference.md).

    OMP_NUM_THREADS=1 python benchmarks/extrapolation.py            # writes results/extrapolation.csv; some minutes
    OMP_NUM_THREADS=1 python benchmarks/extrapolation.py --sample   # draws results/sampled_series.csv anew; an hour

Two of the series are sampled, by enumeration of all 2^n sign vectors: ground states of the Sherrington–Kirkpatrick
model (limit 0.763166, Parisi; Crisanti & Rizzo, Phys. Rev. E 65, 2002), and the least number of Gaussian patterns that
no binary perceptron stores, over n (limit 0.8331, Krauth & Mézard 1989; Ding & Sun 2019; Huang 2024): a threshold that
is decided exactly stream by stream, as ours. Each is one data set with its own errors: results/sampled_limits.csv.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import pandas as pd

from mcinj.infer.basis import BASIS_NAMES
from mcinj.infer.coverage import coverage_table
from mcinj.infer.known_series import exact_series, made_up_series, random_laws
from mcinj.infer.means import MeanSeries
from mcinj.infer.regularised import extrapolate_means

RESULTS = Path(__file__).parent / "results"
SAMPLED = RESULTS / "sampled_series.csv"
LIMITS = {"spin-glass ground state": 0.763166, "binary perceptron": 0.8331}
COUNTS = {
    "spin-glass ground state": {**dict.fromkeys(range(4, 11), 300_000), 11: 60_000, 12: 60_000, 13: 30_000, 14: 20_000,
                                15: 12_000, 16: 6_000, 18: 1_500},
    "binary perceptron": {**dict.fromkeys(range(4, 10), 60_000), 10: 25_000, 11: 25_000, 12: 25_000, 13: 10_000,
                          14: 8_000, 15: 5_000, 16: 4_000, 18: 2_000, 20: 1_000},
}  # fmt: skip


def signs(bits: int, n: int) -> np.ndarray:
    """All sign vectors of length n whose entries from `bits` on are +1, shape (2^bits, n)."""
    found = np.ones((2**bits, n), dtype=np.float32)
    for b in range(bits):
        found[:, b] = 1 - 2 * ((np.arange(2**bits) >> b) & 1)
    return found


def ground_states(n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """max_s Σ_{i<j} J_ij s_i s_j / n^{3/2} of `count` Gaussian couplings."""
    i, j = np.triu_indices(n, 1)
    s = signs(n - 1, n)
    pairs = s[:, i] * s[:, j]
    batch = max(1, min(256, int(3e7 // len(pairs))))
    found = []
    for start in range(0, count, batch):
        couplings = rng.standard_normal((i.size, min(batch, count - start))).astype(np.float32)
        found.append((pairs @ couplings).max(axis=0))
    return np.concatenate(found).astype(float) / n**1.5


def perceptrons(n: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Least number of Gaussian patterns that no sign vector stores, over n, `count` times."""
    everyone = signs(n, n)
    found = []
    for _ in range(count):
        alive, patterns = everyone, 0
        while len(alive):
            patterns += 1
            alive = alive[alive @ rng.standard_normal(n).astype(np.float32) > 0]
        found.append(patterns / n)
    return np.array(found)


def sample() -> None:
    """Draw the sampled series and write their means."""
    rng, rows = np.random.default_rng(20261127), []
    for name, draw in (("spin-glass ground state", ground_states), ("binary perceptron", perceptrons)):
        for n, count in COUNTS[name].items():
            x = draw(n, count, rng)
            rows.append([name, n, count, x.mean(), x.std(ddof=1) / math.sqrt(count)])
    pd.DataFrame(rows, columns=["series", "n", "count", "mean", "se"]).to_csv(SAMPLED, index=False)


def sampled_limits() -> pd.DataFrame:
    """The procedure on the sampled series as they are: one row per series, largest n and basis."""
    table, rows = pd.read_csv(SAMPLED), []
    for name, part in table.groupby("series"):
        for most in (12, 14, 16, 18):
            used = part[part["n"] <= most]
            none = np.zeros(len(used))
            points = MeanSeries(
                used["n"].to_numpy(),
                used["mean"].to_numpy(),
                np.diag(used["se"].to_numpy() ** 2),
                none,
                none > 0,
                none + 1,
            )
            for basis, found in extrapolate_means(points).limits.items():
                low, high = found.total
                limit = LIMITS[str(name)]
                rows.append(
                    [name, limit, most, basis, found.estimate, low, high, low <= limit <= high, found.consistent]
                )
    columns = ["series", "limit", "largest n", "basis", "estimate", "low", "high", "covers", "consistent"]
    return pd.DataFrame(rows, columns=columns)


def summary(table: pd.DataFrame) -> str:
    """Per design and basis: half-width, least coverage and share covered, over the series that the basis is for."""
    order = {name: k for k, name in enumerate(BASIS_NAMES)}
    inside = table[table["basis"].map(order) >= table["needs"].map(order)]
    groups = inside.groupby(["role", "design", "basis"], sort=False)
    return groups.agg(series=("share", "size"), half=("half", "mean"), least=("share", "min"),
                      covered=("share", lambda s: (s >= 0.95).mean())).round(3).to_string()  # fmt: skip


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", action="store_true", help="draw the sampled series anew")
    parser.add_argument("--draws", type=int, default=400)
    options = parser.parse_args()
    if options.sample:
        sample()
    table = coverage_table([*exact_series(), *made_up_series(), *random_laws(20)], draws=options.draws)
    table.round(4).to_csv(RESULTS / "extrapolation.csv", index=False)
    print(summary(table))
    limits = sampled_limits().round(4)
    limits.to_csv(RESULTS / "sampled_limits.csv", index=False)
    print(limits.to_string())


if __name__ == "__main__":
    main()
