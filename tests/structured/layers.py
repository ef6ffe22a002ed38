"""Layers with structure, as users' networks have them. `layer(rng, m, n)`: about m rows over n inputs.

Base weights have 53 random bits unless a kind says otherwise. What is meant to hold exactly (a sum of rows, a repeated
weight) holds exactly in float64: by copying numbers, by scaling with powers of two, or on a grid of 44 bits. Where a
framework would round (quantisation, batch norm), it is rounded: then rows are nearly dependent.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rng = np.random.Generator


def gaussian(rng: Rng, m: int, n: int) -> Floats:
    return rng.standard_normal((m, n))


def grid(rng: Rng, m: int, n: int) -> Floats:
    """Gaussian numbers on a grid of 2^-44, so that sums of a few are exact."""
    return np.round(rng.standard_normal((m, n)) * 2.0**44) / 2.0**44


def powers(rng: Rng, m: int, spread: int) -> Floats:
    """A column of powers of two."""
    return 2.0 ** rng.integers(-spread, spread + 1, (m, 1))


def opposite(rng: Rng, m: int, n: int) -> Floats:
    """[B; -B]"""
    b = gaussian(rng, (m + 1) // 2, n)
    return np.vstack([b, -b])


def opposite_scaled(rng: Rng, m: int, n: int) -> Floats:
    """[B; -DB], D powers of two."""
    b = gaussian(rng, (m + 1) // 2, n)
    return np.vstack([b, -b * powers(rng, len(b), 4)])


def nearly_opposite(rng: Rng, m: int, n: int) -> Floats:
    """[B; -DB], D rounded: pairs of rows enclose cones of a few units in the last place."""
    b = gaussian(rng, (m + 1) // 2, n)
    return np.vstack([b, -b * rng.uniform(0.1, 10, (len(b), 1))])


def related_rows(rng: Rng, m: int, n: int) -> Floats:
    """Each row is new, or a copy, the opposite, a multiple, a sum or a difference of earlier rows, or zero."""
    rows = list(grid(rng, n, n))
    while len(rows) < m:
        a, b = rows[rng.integers(len(rows))], rows[rng.integers(len(rows))]
        new = grid(rng, 1, n)[0]
        rows.append([new, new, a, -a, 2 * a, a + b, a - b, -a - b, 0 * a][rng.integers(9)])
    return np.array([rows[i] for i in rng.permutation(len(rows))])


def rows_and_differences(rng: Rng, m: int, n: int) -> Floats:
    """B and the differences of its successive rows."""
    b = grid(rng, (m + 1) // 2, n)
    return np.vstack([b, np.roll(b, 1, axis=0) - b])


def dependent(rng: Rng, m: int, n: int) -> Floats:
    """One row is the sum of n - 1 others."""
    b = grid(rng, max(m, n + 1), n)
    b[-1] = b[: max(n - 1, 1)].sum(axis=0)
    return b


def swapped_inputs(rng: Rng, m: int, n: int) -> Floats:
    """[w; w with two inputs swapped]"""
    w = gaussian(rng, (m + 1) // 2, n)
    order = np.arange(n)
    if n > 1:
        i, j = rng.choice(n, 2, replace=False)
        order[[i, j]] = j, i
    return np.vstack([w, w[:, order]])


def all_orders(rng: Rng, m: int, n: int) -> Floats:
    """Rows closed under all permutations of up to three inputs."""
    moved = min(n, 3)
    orders = [[*p, *range(moved, n)] for p in permutations(range(moved))]
    w = gaussian(rng, max(1, round(m / len(orders))), n)
    return np.vstack([w[:, p] for p in orders])


def reflections(rng: Rng, m: int, n: int) -> Floats:
    """Rows closed under changes of sign of one or two inputs."""
    signs = [np.ones(n), np.where(np.arange(n) == 0, -1.0, 1.0)]
    if n > 1 and rng.random() < 0.5:
        signs += [s * np.where(np.arange(n) == 1, -1.0, 1.0) for s in signs]
    w = gaussian(rng, max(1, round(m / len(signs))), n)
    return np.vstack([w * s for s in signs])


def circulant(rng: Rng, m: int, n: int) -> Floats:
    """Cyclic convolutions: channels, each with all cyclic shifts of a filter of full or smaller size."""
    size = int(rng.integers(min(2, n), n + 1))
    rows = []
    for _ in range(max(1, round(m / n))):
        w = np.concatenate([rng.standard_normal(size), np.zeros(n - size)])
        rows += [np.roll(w, k) for k in range(n)]
    return np.array(rows)


def toeplitz(rng: Rng, m: int, n: int) -> Floats:
    """Convolutions with zeros around the input."""
    size, rows = int(rng.integers(2, 4)), []
    for _ in range(max(1, round(m / (n + size - 1)))):
        w = rng.standard_normal(size)
        for k in range(-(size - 1), n):
            rows.append([w[i - k] if 0 <= i - k < size else 0.0 for i in range(n)])
    return np.array(rows)


def two_groups(rng: Rng, m: int, n: int) -> Floats:
    """A group convolution: every row sees one of two groups of inputs."""
    w, split = gaussian(rng, m, n), (n + 1) // 2
    w[: m // 2, split:] = 0
    w[m // 2 :, :split] = 0 if n > 1 else w[m // 2 :, :split]
    return w


def permutation_symmetric(rng: Rng, m: int, n: int) -> Floats:
    """Deep sets: every channel maps x_i to a x_i + b Σ x."""
    blocks = [a * np.eye(n) + b * np.ones((n, n)) for a, b in rng.standard_normal((max(1, round(m / n)), 2))]
    return np.vstack(blocks)


def rotations(rng: Rng, m: int, n: int) -> Floats:
    """Complex numbers: blocks [[a, -b], [b, a]]."""
    if n % 2:
        return opposite(rng, m, n)
    z = rng.standard_normal(((m + 1) // 2, n // 2, 2))
    return np.vstack([np.stack([z[..., 0], -z[..., 1]], -1).reshape(len(z), n),
                      np.stack([z[..., 1], z[..., 0]], -1).reshape(len(z), n)])  # fmt: skip


def residual(rng: Rng, m: int, n: int) -> Floats:
    """[W; I], a skip connection."""
    return np.vstack([gaussian(rng, max(m - n, 1), n), np.eye(n)])


def both_signs_of_inputs(rng: Rng, m: int, n: int) -> Floats:
    """[W; I; -I]"""
    return np.vstack([gaussian(rng, max(m - 2 * n, 1), n), np.eye(n), -np.eye(n)])


def low_rank(rng: Rng, m: int, n: int) -> Floats:
    """U V with integers of 20 bits, rank between 1 and n (mostly n - 1 or n)."""
    r = max(1, n - int(rng.integers(0, 2)))
    u, v = rng.integers(-(2**20), 2**20, (m, r)), rng.integers(-(2**20), 2**20, (r, n))
    return (u @ v).astype(np.float64)


def quantised(rng: Rng, m: int, n: int, bits: int) -> Floats:
    """Whole numbers times a float32 scale, one for all or one per row, rounded to float32 as a file holds them."""
    w = gaussian(rng, m, n).astype(np.float32)
    top = np.abs(w).max(axis=1, keepdims=True) if rng.random() < 0.5 else np.abs(w).max()
    scale = (top / (2 ** (bits - 1) - 1)).astype(np.float32)
    return np.asarray(np.float32(1) * np.round(w / scale) * scale, dtype=np.float32).astype(np.float64)


def int4(rng: Rng, m: int, n: int) -> Floats:
    return quantised(rng, m, n, 4)


def int8(rng: Rng, m: int, n: int) -> Floats:
    return quantised(rng, m, n, 8)


def float32(rng: Rng, m: int, n: int) -> Floats:
    return gaussian(rng, m, n).astype(np.float32).astype(np.float64)


def float16(rng: Rng, m: int, n: int) -> Floats:
    return gaussian(rng, m, n).astype(np.float16).astype(np.float64)


def bfloat16(rng: Rng, m: int, n: int) -> Floats:
    bits = gaussian(rng, m, n).astype(np.float32).view(np.uint32)
    return (bits & np.uint32(0xFFFF0000)).view(np.float32).astype(np.float64)


def signs_times_scalar(rng: Rng, m: int, n: int) -> Floats:
    return 0.3 * rng.choice([-1.0, 1.0], (m, n))


def integers_times_scalar(rng: Rng, m: int, n: int) -> Floats:
    """Small integers times 0.1: products are rounded, so multiples are not exact."""
    return 0.1 * rng.integers(-4, 5, (m, n))


def integers(rng: Rng, m: int, n: int) -> Floats:
    return rng.integers(-2, 3, (m, n)).astype(np.float64)


def codebook(rng: Rng, m: int, n: int) -> Floats:
    """Weight clustering: all weights from a few random numbers and their opposites."""
    book = rng.standard_normal(int(rng.integers(2, 5)))
    return rng.choice(np.concatenate([book, -book]), (m, n))


def sparse(rng: Rng, m: int, n: int) -> Floats:
    return np.where(rng.random((m, n)) < rng.choice([0.3, 0.6]), gaussian(rng, m, n), 0.0)


def orthogonal(rng: Rng, m: int, n: int) -> Floats:
    """Blocks of orthonormal rows."""
    return np.vstack([np.linalg.qr(gaussian(rng, n, n))[0] for _ in range(max(1, round(m / n)))])


def skewed_scales(rng: Rng, m: int, n: int) -> Floats:
    """Rows and columns of very different sizes."""
    return gaussian(rng, m, n) * 10.0 ** rng.uniform(-12, 12, (m, 1)) * 10.0 ** rng.uniform(-6, 6, n)


def equal_columns(rng: Rng, m: int, n: int) -> Floats:
    """Sum pooling of inputs: neighbouring columns are equal, unless there are too few."""
    k = 2 if n >= 4 and n % 2 == 0 else 1
    return np.repeat(gaussian(rng, m, n // k), k, axis=1)


def zero_rows_and_columns(rng: Rng, m: int, n: int) -> Floats:
    """Pruned units and inputs (a pruned input only where many are left)."""
    w = gaussian(rng, m, n)
    w[rng.random(m) < 0.2] = 0
    if n > 3:
        w[:, rng.random(n) < 0.2] = 0
    return w


def narrow(rng: Rng, m: int, n: int) -> Floats:
    """Half of the rows in a narrow cone."""
    k = (m + 1) // 2
    return np.vstack([gaussian(rng, 1, n) + 1e-3 * gaussian(rng, k, n), gaussian(rng, m - k, n)])


def mostly_positive(rng: Rng, m: int, n: int) -> Floats:
    """Nonnegative weights, and the opposites of some rows."""
    w = np.abs(gaussian(rng, m, n))
    return np.where(rng.random((m, 1)) < 0.3, -w, w)


LAYERS: dict[str, Callable[[Rng, int, int], Floats]] = {
    f.__name__: f
    for f in (
        gaussian, opposite, opposite_scaled, nearly_opposite, related_rows, rows_and_differences, dependent,
        swapped_inputs, all_orders, reflections, circulant, toeplitz, two_groups, permutation_symmetric, rotations,
        residual, both_signs_of_inputs, low_rank, int4, int8, float32, float16, bfloat16, signs_times_scalar,
        integers_times_scalar, integers, codebook, sparse, orthogonal, skewed_scales, equal_columns,
        zero_rows_and_columns, narrow, mostly_positive,
    )
}  # fmt: skip
