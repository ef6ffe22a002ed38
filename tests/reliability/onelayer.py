"""One-layer networks of up to three inputs, drawn in batches, against `flags.injective`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from naive.verdicts import output
from structured.comparison import CRITERIA

from mcinj import Network
from reliability.flags import LARGEST, Integers, injective

BATCH = 500
Rng = np.random.Generator


def large(rng: Rng, shape: tuple[int, ...]) -> Integers:
    """Entries of 15 bits: hardly a coincidence."""
    return rng.integers(-LARGEST, LARGEST + 1, shape)


def small(rng: Rng, shape: tuple[int, ...]) -> Integers:
    """Entries up to 1, 2 or 4 in size: many coincidences."""
    most = int(rng.choice([1, 2, 4]))
    return rng.integers(-most, most + 1, shape)


def sparse(rng: Rng, shape: tuple[int, ...]) -> Integers:
    """Most entries 0."""
    return large(rng, shape) * (rng.random(shape) < 0.4)


def opposite(rng: Rng, shape: tuple[int, ...]) -> Integers:
    """[B; -D B] with whole numbers D, and rows more if m is odd."""
    rows = large(rng, shape) // 8
    half = shape[1] // 2
    rows[:, half : 2 * half] = -rows[:, :half] * rng.integers(1, 8, (shape[0], half, 1))
    return rows


def related(rng: Rng, shape: tuple[int, ...]) -> Integers:
    """Later rows are sums and differences of earlier ones, copies, opposites or zero."""
    rows = large(rng, shape) // 64
    count, m, n = shape
    every = np.arange(count)
    for j in range(n, m):
        a, b = (rows[every, rng.integers(0, j, count)] * rng.integers(-1, 2, (count, 1)) for _ in range(2))
        rows[:, j] = np.where(np.abs(a + b).max(axis=1, keepdims=True) <= LARGEST // 2, a + b, -a)
    return rows


def nearly_opposite(rng: Rng, shape: tuple[int, ...]) -> Integers:
    """[B; -B] with differences in the last place: cells as thin as these numbers allow."""
    rows = opposite(rng, shape)
    return rows + rng.integers(-1, 2, shape) * (rng.random((shape[0], shape[1], 1)) < 0.5)


KINDS = (large, small, sparse, opposite, related, nearly_opposite)


@dataclass(frozen=True)
class Instance:
    """A layer as the engine sees it, and whether it is injective."""

    name: str
    network: Network
    expected: bool
    criterion: str


def instances(batch: int) -> Iterator[Instance]:
    """Batch number `batch`: the same on every machine. One kind, one shape; one batch in three has biases."""
    rng = np.random.default_rng([14, batch])
    biased = rng.random() < 1 / 3
    n = int(rng.choice([1, 2], p=[0.2, 0.8]) if biased else rng.choice([1, 2, 3], p=[0.05, 0.5, 0.45]))
    # About the widths at which layers become injective.
    low, high = {1: (1, 5), 2: (3, 10), 3: (6, 12)}[n]
    m = int(rng.integers(low, high + 1))
    kind = KINDS[rng.integers(len(KINDS))]
    rows = kind(rng, (BATCH, m, n))
    biases = None
    if biased:
        biases = KINDS[rng.integers(4)](rng, (BATCH, m, 1))[..., 0]
        biases[rng.random(BATCH) < 0.1] = 0
    order = rng.permuted(np.tile(np.arange(m), (BATCH, 1)), axis=1)
    rows = np.take_along_axis(rows, order[..., None], axis=1)
    expected = injective(rows, biases)
    spread = int(rng.choice([0, 0, 0, 4, 40, 250]))
    # Powers of two per row and per input change no verdict and no digit.
    row_units, units = 2.0 ** rng.integers(-spread, spread + 1, (BATCH, m, 1)), np.ones((BATCH, 1, n))
    if rng.random() < 0.5:
        units = 2.0 ** rng.integers(-spread, spread + 1, (BATCH, 1, n))
    for k in range(BATCH):
        w = rows[k] * row_units[k] * units[k]
        b = None if biases is None else [biases[k] * row_units[k, :, 0]]
        name = f"batch {batch}, number {k} ({kind.__name__}, n = {n}, m = {m}{', biases' if biased else ''})"
        yield Instance(name, Network([w], b), bool(expected[k]), CRITERIA[k % 3])


def collides(network: Network, x: tuple[Fraction, ...], y: tuple[Fraction, ...]) -> bool:
    """Whether two different inputs have one output, by plain fractions."""
    weights, biases = network.exact_weights, network.exact_biases
    return tuple(x) != tuple(y) and output(weights, biases, x) == output(weights, biases, y)
