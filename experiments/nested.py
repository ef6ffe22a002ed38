"""Nested thresholds: the first k columns of one stream of Gaussian rows give m*(k) for every k, each decided exactly.

    python experiments/nested.py --columns 10 --streams 3000     # writes results/nested/thresholds.csv; goes on from it

Thresholds of one stream at neighbouring n are correlated, so that differences over n, which an extrapolation lives on,
are better known than from as many streams per n. `mcinj.infer.nested.nested_means` reads the table.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mcinj.decide.layer.threshold import one_layer_threshold
from mcinj.networks import RowStream, Seed

TABLE = Path(__file__).parents[1] / "results" / "nested" / "thresholds.csv"
LEAST = 4


class Columns:
    """The first k columns of a stream of rows."""

    def __init__(self, stream: RowStream, k: int) -> None:
        self._stream, self._k = stream, k

    def take(self, m: int) -> npt.NDArray[np.float64]:
        """The first m rows, (m, k)."""
        return self._stream.take(m)[:, : self._k]


def nested_thresholds(columns: int, seed: Seed) -> list[int]:
    """m*(k) for k = LEAST … columns; Gaussian entries are in general position whatever columns are taken."""
    stream = RowStream("gaussian", columns, seed)
    found = []
    for k in range(LEAST, columns + 1):
        threshold = one_layer_threshold(Columns(stream, k), k, premise=stream.premise)
        assert threshold.m_hi is not None
        found.append(threshold.m_hi)
    return found


def main() -> None:
    """Draw the streams that the table does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--columns", type=int, default=10)
    parser.add_argument("--streams", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    TABLE.parent.mkdir(exist_ok=True)
    have = sum(1 for _ in TABLE.open()) - 1 if TABLE.exists() else -1
    with TABLE.open("a", newline="") as file:
        writer = csv.writer(file)
        if have < 0:
            writer.writerow(["stream", *range(LEAST, options.columns + 1)])
        for number in range(max(have, 0), options.streams):
            seed = Seed(options.seed).child(options.columns, number)
            writer.writerow([number, *nested_thresholds(options.columns, seed)])
            file.flush()


if __name__ == "__main__":
    main()
