"""Train a small decoder, ask whether it is injective, and draw two latent codes with one output.

    python examples/autoencoder.py [OUTPUT.png]

The data are 6 x 6 images of a bright spot whose position is the latent code (two numbers). An autoencoder
36 -> 6 -> 2 -> 6 -> 36 is trained in plain NumPy; its decoder (2 inputs, ReLU after both layers) is then decided
exactly. Where it is not injective, the picture shows two different codes and the one image that both decode to.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

import mcinj
from mcinj.decide.bounded.decide import Domain, decide_on

SIDE = 6
HIDDEN = 6  # with 8 hidden units the decoder that comes out is injective


def images(rng: np.random.Generator, count: int) -> np.ndarray:
    """Spots at random places, one flattened image per row."""
    centers = rng.uniform(1.0, SIDE - 2.0, (count, 2))
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), indexing="ij"), axis=-1).reshape(-1, 2)
    squared = ((grid[None] - centers[:, None]) ** 2).sum(axis=2)
    return np.exp(-squared / 2.0)


def train(rng: np.random.Generator, steps: int = 3000) -> mcinj.Network:
    """Adam on the reconstruction error; returns the decoder."""
    sizes = [(HIDDEN, SIDE * SIDE), (2, HIDDEN), (HIDDEN, 2), (SIDE * SIDE, HIDDEN)]
    weights = [rng.standard_normal(s) * np.sqrt(2.0 / s[1]) for s in sizes]
    biases = [np.zeros(s[0]) + 0.1 for s in sizes]
    parameters = [*weights, *biases]
    moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
    for step in range(1, steps + 1):
        x = images(rng, 64)
        values, slopes = [x], []
        for k in range(4):
            z = values[-1] @ weights[k].T + biases[k]
            on = np.ones_like(z) if k == 1 else (z > 0).astype(float)  # the code itself is linear
            values.append(z * on)
            slopes.append(on)
        delta = 2.0 * (values[-1] - x) / len(x) * slopes[-1]
        gradients: list[np.ndarray] = [np.empty(0)] * 8
        for k in (3, 2, 1, 0):
            gradients[k], gradients[4 + k] = delta.T @ values[k], delta.sum(axis=0)
            if k:
                delta = delta @ weights[k] * slopes[k - 1]
        for p, g, (m, v) in zip(parameters, gradients, moments, strict=True):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            p -= 0.01 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return mcinj.Network(weights[2:], biases[2:])


def main(output: Path) -> None:
    """Train, decide, draw."""
    decoder = train(np.random.default_rng(0))
    verdict = mcinj.check(decoder, criterion="global")
    print(f"decoder {decoder.n} -> {' -> '.join(map(str, decoder.widths))}: {verdict.verdict} ({verdict.nodes} nodes)")
    if verdict.witness is None:
        return
    codes = [np.array([float(v) for v in x]) for x in (verdict.witness.x, verdict.witness.x_prime)]
    print("exact collision:", verdict.witness.collides(decoder), "codes", *codes, "layer", verdict.layer)
    reach = float(max(np.abs(c).max() for c in codes))
    for half in (reach / 8, reach):
        there = decide_on(decoder, Domain("box", -half, half))
        print(f"on the box |z_i| < {half:.3g}: {there.outcome}")
    figure, (plane, picture) = plt.subplots(1, 2, figsize=(8.0, 3.8), layout="constrained")
    grid = np.linspace(-1.6 * reach, 1.6 * reach, 220)
    lit = np.array([[decoder.forward([a, b]).sum() for a in grid] for b in grid])
    shown = plane.pcolormesh(grid, grid, lit, cmap="Blues", shading="nearest", rasterized=True)
    figure.colorbar(shown, ax=plane, label="sum of the output")
    plane.plot(*codes[0], "o", color="tab:orange", label="x")
    plane.plot(*codes[1], "X", color="tab:red", label="x'")
    plane.set(xlabel="first latent coordinate", ylabel="second latent coordinate", title="two codes …")
    plane.legend()
    shot = picture.imshow(decoder.forward(codes[0]).reshape(SIDE, SIDE), cmap="gray")
    figure.colorbar(shot, ax=picture, label="output")
    picture.set(title="… one output", xticks=[], yticks=[])
    figure.savefig(output, dpi=150)
    print("picture:", output)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("autoencoder.png"))
