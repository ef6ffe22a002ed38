"""Small networks with structure, by family: `FAMILIES[name](rng)` draws one, near the widths at which they become
injective.

One-layer families are named after their layer kind (`layers.LAYERS`); deep ones have a structure that spans layers, or
`any layers`: each layer of any kind, with biases of any kind.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcinj.networks import Network
from structured.layers import LAYERS, Floats, Rng, gaussian, grid, opposite, powers

Family = Callable[[Rng], Network]


def near(rng: Rng, n: int, deep: bool = False) -> int:
    """A width at which a layer of n inputs may be injective or not."""
    low, high = {1: (2, 5), 2: (5, 13), 3: (9, 18)}[n] if deep else {1: (2, 6), 2: (4, 14), 3: (8, 22), 4: (13, 28)}[n]
    return int(rng.integers(low, high + 1))


def inputs(rng: Rng, biased: bool = False) -> int:
    """1, 2 or 3; mostly 2. With biases there is one more dimension, so 1 or 2."""
    return int(rng.choice([1, 2, 3], p=[0.6, 0.4, 0.0] if biased else [0.08, 0.84, 0.08]))


def biases_for(rng: Rng, weights: list[Floats]) -> list[Floats] | None:
    """Biases of any kind."""
    kind = rng.choice(
        ["gaussian", "small", "positive", "negative", "integers", "equal", "opposite", "last", "first", "some", "zero"]
    )
    result = []
    for k, w in enumerate(weights):
        b = rng.standard_normal(len(w))
        half = b[: len(w) // 2]
        shaped = {
            "gaussian": b,
            "small": 1e-6 * b,
            "positive": np.abs(b),
            "negative": -np.abs(b),
            "integers": np.round(b),
            "equal": np.full(len(w), rng.standard_normal()),
            "opposite": np.concatenate([half, -half, b[2 * len(half) :]]),
            "last": b if k == len(weights) - 1 else 0 * b,
            "first": b if k == 0 else 0 * b,
            "some": np.where(rng.random(len(w)) < 0.5, b, 0.0),
            "zero": 0 * b,
        }
        result.append(shaped[str(kind)])
    return result


def one_layer(kind: str) -> Family:
    """One layer of a kind; one in four with biases."""

    def draw(rng: Rng) -> Network:
        biased = rng.random() < 0.25
        n = int(rng.choice([1, 2, 3, 4], p=[0.5, 0.3, 0.2, 0.0] if biased else [0.05, 0.4, 0.35, 0.2]))
        w = LAYERS[kind](rng, near(rng, n), n)
        return Network([w], biases_for(rng, [w]) if biased else None)

    return draw


def any_layers(rng: Rng) -> Network:
    """Two or three layers, each of any kind."""
    biased = rng.random() < 0.35
    n = inputs(rng, biased)
    kinds = list(LAYERS)
    weights: list[Floats] = []
    size = n
    for _ in range(int(rng.choice([2, 3], p=[0.75, 0.25]))):
        width = near(rng, n, deep=True)
        # Most kinds give a first layer that fails alone; then only that is tested.
        kind = "opposite" if size == n and rng.random() < 0.4 else kinds[rng.integers(len(kinds))]
        weights.append(LAYERS[kind](rng, width, size))
        size = len(weights[-1])
    return Network(weights, biases_for(rng, weights) if biased else None)


def even(rng: Rng) -> Network:
    """W1 = [B; -B], W2 = [A, A]: f(x) = A |B x + b|; every other one with a few rows more."""
    biased = rng.random() < 0.4
    n = inputs(rng, biased)
    k, m = (near(rng, n, True) + 1) // 2, near(rng, n, True)
    b, a = gaussian(rng, k, n), gaussian(rng, m, k)
    extra = int(rng.integers(0, 2) * rng.integers(1, 4))
    first = np.vstack([b, -b, gaussian(rng, extra, n)])
    offset = rng.standard_normal(k)
    biases = [np.concatenate([offset, -offset, rng.standard_normal(extra)]), rng.standard_normal(m)]
    return Network([first, np.hstack([a, a, gaussian(rng, m, extra)])], biases if biased else None)


def odd(rng: Rng) -> Network:
    """W1 = [B; -B], W2 = [A, -A]: the first layer is linear, whatever its ReLUs do."""
    n = inputs(rng)
    k, m = (near(rng, n, True) + 1) // 2, near(rng, n, True)
    b, a = gaussian(rng, k, n), gaussian(rng, m, k)
    return Network([np.vstack([b, -b]), np.hstack([a, -a])])


def pooled(rng: Rng) -> Network:
    """Sum or average pooling of neighbouring or distant units, folded into the next layer."""
    n = inputs(rng)
    k = int(rng.integers(2, 4))
    groups, m = (near(rng, n, True) + 2 * k) // k, near(rng, n, True)
    v = gaussian(rng, m, groups)
    pooling = np.repeat(v, k, axis=1) if rng.random() < 0.5 else np.tile(v, (1, k))
    if rng.random() < 0.5:
        pooling = pooling / k
    kind = ["gaussian", "opposite", "circulant", "rows_and_differences"][rng.integers(4)]
    first = LAYERS[kind](rng, groups * k, n)
    first = np.vstack([first, gaussian(rng, max(groups * k - len(first), 0), n)])[: groups * k]
    return Network([first, pooling])


def swap_then_wide(rng: Rng) -> Network:
    """[w; w with two inputs swapped], then a wide layer of any kind."""
    n = int(rng.choice([2, 3, 4], p=[0.7, 0.2, 0.1]))
    first = LAYERS["swapped_inputs"](rng, {2: 10, 3: 16, 4: 14}[n] + int(rng.integers(0, 5)), n)
    return Network([first, gaussian(rng, {2: 12, 3: 16, 4: 40}[n], len(first))])


def parallel_where_off(rng: Rng) -> Network:
    """W1 = [P; Q], W2 = [[A, C], [A, D]], Q in a narrow cone: where Q is off, rows of layer 2 are equal."""
    n = inputs(rng)
    p = gaussian(rng, near(rng, n, True), n)
    q = gaussian(rng, 1, n) + 1e-2 * gaussian(rng, int(rng.integers(1, 4)), n)
    k = max(near(rng, n, True) * 2 // 3, 1)
    a, c, d = gaussian(rng, k, len(p)), gaussian(rng, k, len(q)), gaussian(rng, k, len(q))
    second = np.vstack([np.hstack([a, c]), np.hstack([a, d])])
    if rng.random() < 0.5:
        second = np.vstack([second, gaussian(rng, k, second.shape[1])])
    return Network([np.vstack([p, q]), second])


def tied(rng: Rng) -> Network:
    """The same square matrix twice or three times behind a first layer."""
    n = inputs(rng)
    m = min(near(rng, n, True), 11)
    w = gaussian(rng, m, m)
    if rng.random() < 0.6:  # most units stay on
        w = np.abs(w) * np.where(rng.random((m, m)) < 0.15, -1, 1) + 2 * np.eye(m)
    return Network([opposite(rng, m, n)[:m], *([w] * int(rng.integers(1, 3)))])


def transposed(rng: Rng) -> Network:
    """An encoder's weights used again, transposed, between two copies of it."""
    n = inputs(rng)
    w = opposite(rng, near(rng, n, True), n)
    return Network([w, np.vstack([w.T, -w.T]), gaussian(rng, near(rng, n, True), 2 * n)])


def shared_blocks(rng: Rng) -> Network:
    """Siamese halves: the same layer on both halves of the units."""
    n = inputs(rng)
    k, m = (near(rng, n, True) + 1) // 2, (near(rng, n, True) + 1) // 2
    v = gaussian(rng, m, k)
    second = np.block([[v, 0 * v], [0 * v, v]])
    if rng.random() < 0.5:
        second = np.block([[v, v[:, ::-1]], [v[:, ::-1], v]])
    first = gaussian(rng, 2 * k, n) if rng.random() < 0.5 else opposite(rng, 2 * k, n)
    return Network([first, second])


def residual_blocks(rng: Rng) -> Network:
    """x ↦ [x⁺; x⁻], then I + A or [A; I], then a last layer."""
    n = inputs(rng)
    first = np.vstack([np.eye(n), -np.eye(n)]) if rng.random() < 0.5 else opposite(rng, near(rng, n, True), n)
    m = len(first)
    a = 0.5 * gaussian(rng, m, m)
    middle = a + np.eye(m) if rng.random() < 0.5 else np.vstack([a, np.eye(m)])
    return Network([first, middle, gaussian(rng, near(rng, n, True), len(middle))][: int(rng.integers(2, 4))])


def batch_norm(rng: Rng) -> Network:
    """Batch norm folded into layers of float32: W diag(γ/σ), (b - μ) γ/σ + β, sometimes γ = 0."""
    n = inputs(rng, biased=True)
    weights, biases, size = [], [], n
    for _ in range(int(rng.integers(1, 3))):
        w = LAYERS[["float32", "opposite", "int8"][rng.integers(3)]](rng, near(rng, n, True) + 1, size)
        m = len(w)
        factor = rng.uniform(0.2, 3, m) * np.where(rng.random(m) < 0.1, 0, 1) / np.sqrt(rng.uniform(0.01, 2, m) + 1e-5)
        weights.append(w * factor[:, None])
        biases.append(-0.3 * rng.standard_normal(m) * factor + 0.3 * rng.standard_normal(m))
        size = m
    return Network(weights, biases)


def relabelled_units(rng: Rng) -> Network:
    """Hidden units twice, the second time scaled and permuted, with both undone in the next layer."""
    n = inputs(rng)
    w = gaussian(rng, near(rng, n, True), n)
    d = powers(rng, len(w), 3)
    order = rng.permutation(len(w))
    v, u = grid(rng, near(rng, n, True), len(w)), grid(rng, 1, len(w))
    sign = -1.0 if rng.random() < 0.3 else 1.0
    other = sign * (v / d.T) + u * (rng.random() < 0.5)
    return Network([np.vstack([w, (d * w)[order]]), np.hstack([v, other[:, order]])])


def low_rank_middle(rng: Rng) -> Network:
    """A middle layer U V of low rank, in integers of 12 bits."""
    n = inputs(rng)
    first = opposite(rng, near(rng, n, True), n)
    r = n + int(rng.integers(0, 3))
    u, v = (rng.integers(-(2**12), 2**12, s) for s in ((near(rng, n, True) + 2, r), (r, len(first))))
    return Network([first, (u @ v).astype(np.float64)])


def sums_of_units(rng: Rng) -> Network:
    """Rows of layer 2 that are sums or differences of rows and of copies with permuted units."""
    n = inputs(rng)
    first = gaussian(rng, near(rng, n, True), n) if rng.random() < 0.5 else opposite(rng, near(rng, n, True), n)
    b = grid(rng, max(near(rng, n, True) * 2 // 3, 1), len(first))
    return Network([first, np.vstack([b, np.roll(b, 1, axis=0) - b, b[: len(b) // 2, ::-1]])])


def absolute_values(rng: Rng) -> Network:
    """Layers of |.|: [B; -B] folded by [C, C], twice."""
    n = inputs(rng, biased := bool(rng.random() < 0.5))
    b = gaussian(rng, (near(rng, n, True) + 1) // 2, n)
    c = gaussian(rng, (near(rng, n, True) + 1) // 2, len(b))
    weights = [np.vstack([b, -b]), np.vstack([np.hstack([c, c]), np.hstack([-c, -c])])]
    offsets = [np.concatenate([v, -v]) for v in (rng.standard_normal(len(b)), rng.standard_normal(len(c)))]
    return Network(weights, offsets if biased else None)


def skewed_units(rng: Rng) -> Network:
    """Units scaled by powers of ten, undone (with rounding) in the next layer."""
    n = inputs(rng)
    w, v = opposite(rng, near(rng, n, True), n), gaussian(rng, near(rng, n, True), 1)
    v = gaussian(rng, len(v), len(w))
    d = 10.0 ** rng.integers(-9, 10, len(w))
    return Network([w * d[:, None], v / d])


def every_channel_twice(rng: Rng) -> Network:
    """A convolution over two positions, all channels used by a second one: circulant blocks, two layers."""
    channels = int(rng.integers(2, 6))
    a, b = rng.standard_normal((2, channels, 1))
    first = np.block([[a, b], [b, a]])
    c, d = rng.standard_normal((2, int(rng.integers(2, 7)), channels))
    return Network([first, np.block([[c, d], [d, c]])])


def doubling(rng: Rng) -> Network:
    """Layers that are injective one by one, or nearly: [B; -B] and a row more or less, then twice as many rows."""
    n = int(rng.choice([1, 2], p=[0.3, 0.7]))
    weights: list[Floats] = []
    size = n
    for _ in range(2):
        kinds = ["opposite", "opposite_scaled", "nearly_opposite", "both_signs_of_inputs", "rotations", "related_rows"]
        w = LAYERS[kinds[rng.integers(len(kinds))]](rng, 2 * size, size)
        w = np.vstack([w, gaussian(rng, int(rng.integers(0, 2)), size)])
        if rng.random() < 0.2:
            w = w[rng.random(len(w)) > 0.1]
        weights.append(w)
        size = len(w)
        if not size:
            return doubling(rng)
    return Network(weights, biases_for(rng, weights) if rng.random() < 0.3 else None)


def filter_bank(rng: Rng) -> Network:
    """2 x 2 filters closed under flips, quarter turns or both."""
    pixels = np.arange(4).reshape(2, 2)
    flips = [pixels, pixels[:, ::-1], pixels[::-1], pixels[::-1, ::-1]]
    turns = [np.rot90(pixels, k) for k in range(4)]
    group = [flips, turns, turns + [t.T for t in turns], flips[:2]][rng.integers(4)]
    w = gaussian(rng, max(1, round(near(rng, 4) / len(group))), 4)
    return Network([np.vstack([w[:, np.ravel(g)] for g in group])])


FAMILIES: dict[str, Family] = {
    **{f"one layer, {kind.replace('_', ' ')}": one_layer(kind) for kind in LAYERS},
    **{
        f.__name__.replace("_", " "): f
        for f in (
            even, odd, pooled, swap_then_wide, parallel_where_off, tied, transposed, shared_blocks, residual_blocks,
            batch_norm, relabelled_units, low_rank_middle, sums_of_units, absolute_values, skewed_units,
            every_channel_twice, filter_bank, doubling, any_layers,
        )
    },
}  # fmt: skip


def draw(family: str, seed: int) -> Network:
    """Network `seed` of a family: the same on every computer."""
    return FAMILIES[family](np.random.default_rng([seed, *family.encode()]))
