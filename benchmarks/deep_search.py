"""Two searches for the regional threshold behind one layer, at equal processor time: heat bath and crude annealing.

The heat bath is `mcinj.decide.probe.deep`. The other anneals a population of 300 inputs by random steps of all scales,
with the number of positive ones among the first m rows as energy; rows are appended when it falls below n. It gets the
processor time that the heat bath used on the same stream, and its widths are believed without an exact check.
    python benchmarks/deep_search.py [--n 5 8 12] [--streams 12] [--ratio 6.7004]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from mcinj.decide.probe.deep import deep_probe
from mcinj.networks import Network, RowStream, Seed, sample

POINTS = 300
# Temperatures of the annealing, in counts, from first to last; steps between two looks at the population.
HOT, COLD, TURN = 1.0, 0.2, 10


def crude(rows: RowStream, first: Network, seconds: float, random: np.random.Generator) -> int:
    """Largest width that an annealed population found a witness for, within so much processor time."""
    n, width = first.n, 2 * first.n
    (layer,) = first.weights

    def counts(x: np.ndarray, width: int) -> np.ndarray:
        return (np.maximum(x @ layer.T, 0.0) @ rows.take(width).T > 0).sum(axis=1)

    x = random.standard_normal((POINTS, n))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    energy, found, step = counts(x, width), 0, 0
    started = time.process_time()
    while (spent := (time.process_time() - started) / seconds) < 1.0:
        scale = 10.0 ** -random.uniform(0.0, 3.0, (POINTS, 1))
        y = x + scale * random.standard_normal((POINTS, n))
        y /= np.linalg.norm(y, axis=1, keepdims=True)
        new = counts(y, width)
        good = random.random(POINTS) < np.exp(np.minimum(energy - new, 0) / (HOT * (COLD / HOT) ** spent))
        x[good], energy[good] = y[good], new[good]
        best = int(energy.argmin())
        if energy[best] < n:
            positive = np.flatnonzero(rows.take(64 * n) @ np.maximum(layer @ x[best], 0.0) > 0)
            found = int(positive[n - 1])
            width = found + 1
            energy = counts(x, width)
        step += 1
        if step % TURN == 0:
            # The worst tenth starts again from the best.
            order = np.argsort(energy)
            few = POINTS // 10
            x[order[-few:]], energy[order[-few:]] = x[order[:few]], energy[order[:few]]
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--n", type=int, nargs="+", default=[5, 8, 12])
    options.add_argument("--streams", type=int, default=12)
    options.add_argument("--ratio", type=float, default=6.7004)
    options.add_argument("--moves", type=int, default=0, help="moves of the heat bath; 0: 20 n^2")
    given = options.parse_args()
    for n in given.n:
        widths, moves = (round(given.ratio * n),), given.moves or 20 * n * n
        bath, rough, spent = [], [], 0.0
        for trial in range(-1, given.streams):
            seed = Seed(19).child(n, trial + 1)
            first, rows = sample(n, widths, seed=seed), RowStream("gaussian", widths[0], seed, layer=2)
            started = time.process_time()
            found = deep_probe(rows, first, moves=moves, seed=seed.child(0))
            seconds = time.process_time() - started
            if found.m_found is None or trial < 0:  # the first one loads what is compiled
                continue
            bath.append(found.m_found)
            rough.append(crude(rows, first, seconds, seed.generator(0, 9)))
            spent += seconds
        short = np.array(bath) - np.array(rough)
        print(
            f"n = {n}, behind {widths[0]}, {moves} moves, {spent / len(bath):.2f} s each, {len(bath)} streams: mean m/n"
            f" {np.mean(bath) / n:.3f} (heat bath), {np.mean(rough) / n:.3f} (crude); wider in {(short > 0).sum()}, "
            f"narrower in {(short < 0).sum()}, by {short.mean() / n:.3f} ± {short.std(ddof=1) / n / len(bath)**0.5:.3f}"
        )  # fmt: skip


if __name__ == "__main__":
    main()
