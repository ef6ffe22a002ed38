"""What proving rank costs against proving counts (`mcinj.numeric.choices`): nodes and time, in one run.

    python benchmarks/exact.py                       # n = 8, 10, 11, 12
    python benchmarks/exact.py --sizes 10 --budgets 15,17,20

Injective Gaussian layers, m = round(6.7 n), medians. Every instance is searched in turn by each kind of search, so that
another load of the machine meets all of them, and the least processor time of `--repeat` runs counts. `exact` has the
number of choices per leaf that decisions have; `--budgets` adds others, as powers of two.
Writes benchmarks/results/exact.csv.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from mcinj.decide.budget import UNLIMITED
from mcinj.decide.layer.frames import Frames
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.search import End, explore

FIELDS = ("n", "kind", "instances", "nodes", "seconds", "times_counts")


def decided(rows: np.ndarray, ranked: bool, options: dict[str, Any]) -> tuple[bool, int, float]:
    """Verdict, nodes and processor seconds of one search."""
    frames = Frames(Layer(rows, rows.shape[1], generic=not ranked), ranked=ranked, keep=False, **options)
    started = time.process_time()
    end = explore(frames, lambda: UNLIMITED).end
    return end is End.CLOSED, frames.nodes, time.process_time() - started


def compared(n: int, count: int, repeat: int, budgets: list[int]) -> list[dict[str, Any]]:
    """One row a kind: medians over the first `count` injective instances."""
    kinds: dict[str, tuple[bool, dict[str, Any]]] = {"counts": (False, {}), "exact": (True, {})}
    kinds |= {f"exact, 2^{b}": (True, {"products": 1 << b}) for b in budgets}
    found: dict[str, list[tuple[int, float, float]]] = {kind: [] for kind in kinds}
    seed = 0
    while len(found["counts"]) < count:
        rows = np.random.default_rng([n, seed]).standard_normal((round(6.7 * n), n))
        seed += 1
        if not decided(rows, False, {})[0]:
            continue
        best = dict.fromkeys(kinds, (0, np.inf))
        for _ in range(repeat):
            for kind, (ranked, options) in kinds.items():
                closed, nodes, seconds = decided(rows, ranked, options)
                if not closed:
                    raise RuntimeError(f"n = {n}, seed {seed - 1}: the searches disagree")
                best[kind] = (nodes, min(seconds, best[kind][1]))
        for kind, (nodes, seconds) in best.items():
            found[kind].append((nodes, seconds, seconds / best["counts"][1]))
    return [
        dict(zip(FIELDS, (n, kind, count, *(statistics.median(v) for v in zip(*values, strict=True))), strict=True))
        for kind, values in found.items()
    ]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="8,10,11,12", help="numbers of inputs")
    parser.add_argument("--budgets", default="", help="logarithms of other numbers of choices per leaf")
    parser.add_argument("--instances", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each instance")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / "exact.csv")
    chosen = parser.parse_args()
    for ranked in (False, True):
        decided(np.vstack([np.eye(2), -np.eye(2)]), ranked, {})  # compiled by now
    with chosen.results.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for n in (int(v) for v in chosen.sizes.split(",")):
            rows = compared(n, chosen.instances, chosen.repeat, [int(v) for v in chosen.budgets.split(",") if v])
            writer.writerows(rows)
            file.flush()
            for row in rows:
                print(
                    f"n = {n:2} {row['kind']:11} {row['nodes']:9.0f} nodes {row['seconds']:.5f} s, "
                    f"{row['times_counts']:.2f} times counts",
                    flush=True,
                )


if __name__ == "__main__":
    main()
