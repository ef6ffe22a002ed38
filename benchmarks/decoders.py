"""Decoder-sized networks: what `mcinj check` says of them within a time limit, and what that takes.

    python benchmarks/decoders.py [--seconds 60] [--only TEXT] [--results FILE.csv] [--keep FOLDER]

Four shapes, each with Gaussian weights and as the decoder of an autoencoder that is trained here, in plain NumPy, on
synthetic images (28 x 28, one to three bright spots); with and without biases; on the whole space and on a box. Every
decision is a process of its own, so that its memory is its own. Where a decision ends unknown, it is made again on the
premise that count is rank (--assume-generic): the columns that begin with generic.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import mcinj

SIDE = 28
SHAPES = ((2, (64, 128, 784)), (8, (64, 128, 784)), (32, (784,)), (2, (16, 64, 128, 784)))
DOMAINS = (None, "box:-1,1")
FIELDS = (
    "n", "widths", "weights", "biases", "domain", "verdict", "layer", "reason", "nodes", "seconds", "megabytes",
    "known", "generic", "generic_nodes", "generic_seconds",
)  # fmt: skip


def images(rng: np.random.Generator, count: int) -> np.ndarray:
    """Images of one to three spots at random places, flattened, shape (count, 784)."""
    axis = np.arange(SIDE)
    total = np.zeros((count, SIDE, SIDE))
    for k in range(3):
        middle = rng.uniform(4.0, SIDE - 5.0, (count, 2))
        width = rng.uniform(1.5, 4.0, (count, 1))
        bright = rng.uniform(0.3, 1.0, count) * ((k == 0) | (rng.random(count) < 0.4))
        rows = np.exp(-((axis - middle[:, :1]) ** 2) / (2 * width**2))
        columns = np.exp(-((axis - middle[:, 1:]) ** 2) / (2 * width**2))
        total += bright[:, None, None] * rows[:, :, None] * columns[:, None, :]
    return total.reshape(count, -1)


def trained(n: int, widths: tuple[int, ...], biases: bool, steps: int = 600, seed: int = 0) -> mcinj.Network:
    """The decoder n -> widths of an autoencoder (encoder 784 -> 128 -> n), Adam on the squared error.

    The codes are scaled to spread 1/2, so that most of them lie in the box (-1, 1)^n.
    """
    rng = np.random.default_rng(seed)
    sizes = [(128, widths[-1]), (n, 128)]
    sizes += [(m, before) for m, before in zip(widths, (n, *widths[:-1]), strict=True)]
    weights = [rng.standard_normal(s) * np.sqrt(2.0 / s[1]) for s in sizes]
    offsets = [np.full(s[0], 0.05 if k >= 2 else 0.0) for k, s in enumerate(sizes)]
    if not biases:
        offsets = [np.zeros(s[0]) for s in sizes]
    parameters = [*weights, *offsets]
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
    for step in range(1, steps + 1):
        x = images(rng, 64)
        values, slopes = [x], []
        for k, (w, b) in enumerate(zip(weights, offsets, strict=True)):
            z = values[-1] @ w.T + b
            on = np.ones_like(z) if k == 1 else (z > 0).astype(float)  # the code itself is linear
            values.append(z * on)
            slopes.append(on)
        delta = 2.0 * (values[-1] - x) / len(x) * slopes[-1]
        gradients: list[np.ndarray] = [np.empty(0)] * len(parameters)
        for k in range(len(weights) - 1, -1, -1):
            gradients[k] = delta.T @ values[k]
            gradients[len(weights) + k] = delta.sum(axis=0) if biases else np.zeros(len(weights[k]))
            if k:
                delta = delta @ weights[k] * slopes[k - 1]
        for p, grad, (m, v) in zip(parameters, gradients, moments, strict=True):
            m += 0.1 * (grad - m)
            v += 0.001 * (grad * grad - v)
            p -= 0.002 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    x = images(rng, 512)
    codes = np.maximum(x @ weights[0].T + offsets[0], 0.0) @ weights[1].T + offsets[1]
    spread = 2.0 * float(codes.std())
    layers = [w.astype(np.float32) for w in weights[2:]]
    layers[0] = (weights[2] * spread).astype(np.float32)
    return mcinj.Network(layers, [b.astype(np.float32) for b in offsets[2:]] if biases else None)


def gaussian(n: int, widths: tuple[int, ...], biases: bool, seed: int = 0) -> mcinj.Network:
    """Gaussian weights of variance 2 / inputs, biases of standard deviation 0.1, in float32."""
    rng = np.random.default_rng(seed)
    layers, offsets = [], []
    for m, before in zip(widths, (n, *widths[:-1]), strict=True):
        layers.append((rng.standard_normal((m, before)) * np.sqrt(2.0 / before)).astype(np.float32))
        offsets.append((0.1 * rng.standard_normal(m)).astype(np.float32))
    return mcinj.Network(layers, offsets if biases else None)


def decide(file: Path, domain: str | None, seconds: float, generic: bool = False) -> dict[str, object]:
    """One decision in a process of its own: what it printed, its peak memory; killed well past the limit."""
    code = (
        "import json, resource, sys; import mcinj; net = mcinj.read_npz(sys.argv[1]);"
        "v = mcinj.check(net, domain=sys.argv[2] or None, time_limit=float(sys.argv[3]) or None,"
        " assume_generic=sys.argv[4] == 'True');"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024;"
        "print(json.dumps(v.to_json() | {'megabytes': round(peak)}))"
    )
    limit = str(seconds)
    started = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, str(file), domain or "", limit, str(generic)],
            capture_output=True, text=True, timeout=seconds + 240.0, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"verdict": "silent", "seconds": time.perf_counter() - started}
    if done.returncode:
        return {"verdict": "error", "reason": done.stderr.strip().splitlines()[-1], "seconds": 0.0}
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def main() -> None:
    """Build the networks, decide each, print and keep a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="time limit of a decision")
    parser.add_argument("--only", default="", help="only cases whose name holds this text")
    parser.add_argument("--results", type=Path, help="write the table here (CSV)")
    parser.add_argument("--keep", type=Path, help="keep the networks in this folder")
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for n, widths in SHAPES:
        for kind, make in (("gaussian", gaussian), ("trained", trained)):
            for biases in (False, True):
                name = "-".join(map(str, (n, *widths))) + f"-{kind}-{'biases' if biases else 'plain'}"
                for domain in DOMAINS:
                    if given.only not in f"{name} {domain or 'everywhere'}":
                        continue
                    file = folder / f"{name}.npz"
                    if not file.exists():
                        mcinj.write_npz(make(n, widths, biases), file)
                    found = decide(file, domain, given.seconds)
                    row = {key: found.get(key) for key in FIELDS} | {
                        "n": n, "widths": " ".join(map(str, widths)), "weights": kind, "biases": biases,
                        "domain": domain or "everywhere", "seconds": round(float(str(found["seconds"])), 2),
                    }  # fmt: skip
                    row["known"] = json.dumps(found["known"]) if found.get("known") else None
                    if row["verdict"] == "unknown":
                        again = decide(file, domain, given.seconds, generic=True)
                        row |= {"generic": again["verdict"], "generic_nodes": again.get("nodes")}
                        row["generic_seconds"] = round(float(str(again["seconds"])), 2)
                    rows.append(row)
                    print({key: value for key, value in row.items() if value is not None}, flush=True)
    if given.results:
        with given.results.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, FIELDS)
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
