"""Two checkouts of mcinj on the same instances, by turns: nodes and processor seconds, the least of some rounds.

    git worktree add ../before 202fb53
    python benchmarks/versions.py ../before . --rounds 3          # a table; --cases picks some of CASES

Instances are drawn Gaussian networks that both find injective. Every round is a process of its own, whose first
decision, which compiles, is not counted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

# name: (criterion, n, widths, instances)
CASES: dict[str, tuple[str, int, list[int], int]] = {
    "n8": ("global", 8, [54], 5),
    "n10": ("global", 10, [67], 5),
    "n12": ("global", 12, [80], 5),
    "n14": ("global", 14, [94], 5),
    "n16": ("global", 16, [107], 2),
    "n18": ("global", 18, [121], 1),
    "regional5": ("regional", 5, [34, 41], 5),
    "regional6": ("regional", 6, [40, 50], 5),
    "regional7": ("regional", 7, [47, 58], 3),
    "regional8": ("regional", 8, [54, 66], 1),
    "global3": ("global", 3, [20, 24], 5),
    "global4": ("global", 4, [27, 24], 5),
    "global5": ("global", 5, [34, 30], 5),
}


def work(names: list[str]) -> None:
    """In a checkout: prints one JSON line per instance."""
    import mcinj

    for name in names:
        criterion, n, widths, wanted = CASES[name]
        found, seed = 0, 0
        mcinj.check(mcinj.sample(n, widths, seed=10**6), criterion=criterion, node_budget=50)
        while found < wanted and seed < 40:
            network = mcinj.sample(n, widths, seed=seed)
            seed += 1
            start = time.process_time()
            verdict = mcinj.check(network, criterion=criterion)
            seconds = time.process_time() - start
            if verdict.verdict != "injective":
                continue
            found += 1
            weights = hashlib.sha256(b"".join(w.tobytes() for w in network.weights)).hexdigest()[:12]
            print(json.dumps([name, weights, verdict.nodes, seconds]), flush=True)


def measure(tree: Path, names: list[str]) -> dict[tuple[str, str], tuple[int, float]]:
    """Nodes and seconds per instance, of a process in a checkout."""
    command = [sys.executable, str(Path(__file__).resolve()), "--worker", "--cases", *names]
    environment = {**os.environ, "PYTHONPATH": str(tree.resolve()), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    told = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout
    rows: list[list[Any]] = [json.loads(line) for line in told.splitlines()]
    return {(name, weights): (nodes, seconds) for name, weights, nodes, seconds in rows}


def main() -> None:
    """Parse the command line, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="*", type=Path, help="the older checkout, then the newer one")
    parser.add_argument(
        "--cases", nargs="+", choices=CASES, default=[c for c in CASES if c not in ("n18", "regional8")]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.cases)
        return
    if len(options.trees) != 2:
        parser.error("name two checkouts")
    best: list[dict[tuple[str, str], tuple[int, float]]] = [{}, {}]
    for _ in range(options.rounds):
        for side, tree in zip(best, options.trees, strict=True):
            for key, (nodes, seconds) in measure(tree, options.cases).items():
                side[key] = (nodes, min(seconds, side.get(key, (0, float("inf")))[1]))
    print("| case | instances | nodes, before | now | seconds, before | now | before / now, medians | each |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.cases:
        both = [key for key in best[0] if key[0] == name and key in best[1]]
        if not both:
            continue
        nodes = [median(side[key][0] for key in both) for side in best]
        seconds = [median(side[key][1] for key in both) for side in best]
        each = " ".join(f"{best[0][key][1] / best[1][key][1]:.1f}" for key in both)
        print(
            f"| {name} | {len(both)} | {nodes[0]:,.0f} | {nodes[1]:,.0f} | {seconds[0]:.4f} | {seconds[1]:.4f} "
            f"| {seconds[0] / seconds[1]:.2f} | {each} |"
        )


if __name__ == "__main__":
    main()
