"""What raised bounds save (`mcinj.decide.layer.raising`): nodes and time with and without them, in one run.

    python benchmarks/raising.py                       # n = 8, 10, 12, 14 and streams to n = 12, about ten minutes
    python benchmarks/raising.py --sizes 16 --instances 1 --streams ""

Decisions: injective Gaussian layers, m = round(6.7 n), counts, medians. Streams: thresholds of Gaussian rows, means.
Every instance is searched in turn by each kind of search, so that another load of the machine meets all of them, and
the least processor time of `--repeat` runs counts. `packing`: disjoint sets alone, with up to five swaps (streams below
n = 14: one), as the engine did before.
Writes benchmarks/results/raising.csv.
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
from mcinj.decide.layer import threshold
from mcinj.decide.layer.frames import Frames
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.record import layer_proof
from mcinj.decide.layer.search import End, explore
from mcinj.networks import Premise, RowStream

KINDS: dict[str, dict[str, Any]] = {"packing": {"raises": 0}, "gap 1": {"raises": 1}, "gap 2": {"raises": 2}}
FIELDS = ("what", "n", "kind", "instances", "nodes", "seconds", "certificate_bytes")


def decided(rows: np.ndarray, options: dict[str, Any]) -> tuple[bool, int, float]:
    """Verdict, nodes and processor seconds of one search for counts."""
    layer = Layer(rows, rows.shape[1], generic=True)
    frames = Frames(layer, ranked=False, keep=False, **options)
    started = time.process_time()
    end = explore(frames, lambda: UNLIMITED).end
    return end is End.CLOSED, frames.nodes, time.process_time() - started


def certificate_size(rows: np.ndarray, options: dict[str, Any]) -> int:
    """Bytes of the proof."""
    frames = Frames(Layer(rows, rows.shape[1], generic=True), ranked=False, keep=True, **options)
    explore(frames, lambda: UNLIMITED)
    return len(layer_proof(frames, Premise.DRAWN).to_bytes())


def decisions(n: int, count: int, repeat: int) -> list[dict[str, Any]]:
    """One row a kind: medians over the first `count` injective instances."""
    found: dict[str, list[tuple[int, float, int]]] = {kind: [] for kind in KINDS}
    seed = 0
    while len(found["packing"]) < count:
        rows = np.random.default_rng([n, seed]).standard_normal((round(6.7 * n), n))
        seed += 1
        if not decided(rows, KINDS["gap 2"])[0]:
            continue
        best = dict.fromkeys(KINDS, (0, np.inf))
        for _ in range(repeat):
            for kind, options in KINDS.items():
                closed, nodes, seconds = decided(rows, options)
                if not closed:
                    raise RuntimeError(f"n = {n}, seed {seed - 1}: the searches disagree")
                best[kind] = (nodes, min(seconds, best[kind][1]))
        for kind, options in KINDS.items():
            found[kind].append((*best[kind], certificate_size(rows, options)))
    return [
        dict(zip(FIELDS, ("decision", n, kind, count, *(statistics.median(v) for v in zip(*values, strict=True))),
                 strict=True))
        for kind, values in found.items()
    ]  # fmt: skip


def streams(n: int, count: int, repeat: int) -> list[dict[str, Any]]:
    """One row a kind: means over the first `count` streams."""
    found: dict[str, list[tuple[int, float]]] = {kind: [] for kind in KINDS}
    frames = threshold.Frames
    try:
        for seed in range(count):
            widths = set()
            best = dict.fromkeys(KINDS, (0, np.inf))
            for _ in range(repeat):
                for kind, options in KINDS.items():
                    threshold.Frames = lambda *a, _o=options, **k: frames(*a, **k, **_o)  # type: ignore
                    started = time.process_time()
                    result = threshold.one_layer_threshold(RowStream("gaussian", n, seed), n, premise=Premise.DRAWN)
                    best[kind] = (result.nodes, min(time.process_time() - started, best[kind][1]))
                    widths.add(result.m_hi)
            if len(widths) > 1:
                raise RuntimeError(f"n = {n}, stream {seed}: the searches disagree")
            for kind in KINDS:
                found[kind].append(best[kind])
    finally:
        threshold.Frames = frames  # type: ignore[misc]
    return [
        dict(zip(FIELDS, ("stream", n, kind, count, *(statistics.mean(v) for v in zip(*values, strict=True)), ""),
                 strict=True))
        for kind, values in found.items()
    ]  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="8,10,12,14", help="numbers of inputs of decisions")
    parser.add_argument("--instances", type=int, default=5)
    parser.add_argument("--streams", default="4,6,8,10,12", help="numbers of inputs of streams")
    parser.add_argument("--trials", type=int, default=20, help="streams per n (a quarter of them from n = 12 on)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each instance below n = 14")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / "raising.csv")
    chosen = parser.parse_args()
    decided(np.vstack([np.eye(2), -np.eye(2)]), {})  # compiled by now
    threshold.one_layer_threshold(RowStream("gaussian", 2, 0), 2, premise=Premise.DRAWN)
    with chosen.results.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for what, sizes, count in (
            (decisions, chosen.sizes, lambda n: chosen.instances),
            (streams, chosen.streams, lambda n: chosen.trials if n < 12 else max(chosen.trials // 4, 1)),
        ):
            for n in (int(v) for v in sizes.split(",") if v):
                rows = what(n, count(n), chosen.repeat if n < 14 else 1)
                writer.writerows(rows)
                file.flush()
                first = rows[0]
                for row in rows:
                    print(f"{row['what']:8} n = {n:2} {row['kind']:8} {row['nodes']:9.0f} nodes {row['seconds']:.5f} s "
                          f"{row['certificate_bytes']} bytes; nodes / {first['nodes'] / row['nodes']:.2f}, "
                          f"time / {first['seconds'] / row['seconds']:.2f}", flush=True)


if __name__ == "__main__":
    main()
