"""Products with constant matrices, and sums over axes, as exact sparse matrices."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.exact import Array
from mcinj.networks.limits import check_weights
from mcinj.networks.rows import Rows, from_dense, from_entries


def times_right(shape: tuple[int, ...], w: Array) -> tuple[Rows, tuple[int, ...]]:
    """Matrix of `x @ w` with NumPy's rules, for x of this shape and a constant w; and the shape of the product."""
    if not w.ndim or not shape or w.shape[max(w.ndim - 2, 0)] != shape[-1] or 0 in w.shape:
        raise InputError(f"a matrix of shape {w.shape} meets {shape[-1] if shape else 1} features")
    if w.ndim == 2 and prod(shape[:-1]) == 1:
        return from_dense(np.ascontiguousarray(w.T)), (*shape[:-1], int(w.shape[1]))
    x = np.arange(prod(shape)).reshape(shape)
    return _product(x if x.ndim > 1 else x[None], w if w.ndim > 1 else w[:, None], x.ndim == 1, w.ndim == 1, False)


def times_left(w: Array, shape: tuple[int, ...]) -> tuple[Rows, tuple[int, ...]]:
    """Matrix of `w @ x` with NumPy's rules."""
    if not w.ndim or not shape or w.shape[-1] != shape[max(len(shape) - 2, 0)] or 0 in w.shape:
        raise InputError(f"a matrix of shape {w.shape} meets a tensor of shape {shape}")
    x = np.arange(prod(shape)).reshape(shape)
    # (w x)^T = x^T w^T, with vectors as columns and rows.
    a = x[:, None] if x.ndim == 1 else x
    b = w[None] if w.ndim == 1 else w
    return _product(np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2), x.ndim == 1, w.ndim == 1, True)


def _product(x: Array, w: Array, thin_x: bool, thin_w: bool, swapped: bool) -> tuple[Rows, tuple[int, ...]]:
    """`x @ w` for the places x of a tensor's entries; `thin`: an operand was a vector; `swapped`: of the transposes."""
    try:
        batch = np.broadcast_shapes(x.shape[:-2], w.shape[:-2])
    except ValueError:
        raise InputError(f"a tensor of shape {x.shape} meets constants of shape {w.shape}") from None
    i, k, j = int(x.shape[-2]), int(x.shape[-1]), int(w.shape[-1])
    check_weights([(*batch, i, k, j)], "a product with a constant matrix has up to")
    full = (*batch, i, k, j)
    columns = np.broadcast_to(x[..., :, :, None], full)
    values = np.broadcast_to(w[..., None, :, :], full)
    places = np.arange(prod(batch) * i * j)
    out = np.swapaxes(places.reshape(*batch, j, i), -1, -2) if swapped else places.reshape(*batch, i, j)
    rows = np.broadcast_to(out[..., :, None, :], full)
    shape = [*batch, *((j, i) if swapped else (i, j))]
    rank = len(shape)
    gone = {rank - 1 if swapped else rank - 2} if thin_x else set()
    gone |= {rank - 2 if swapped else rank - 1} if thin_w else set()
    kept = tuple(int(d) for a, d in enumerate(shape) if a not in gone)
    return from_entries(rows.ravel(), columns.ravel(), values.ravel(), prod(shape)), kept


def over_axes(
    shape: tuple[int, ...], axes: Sequence[int], *, mean: bool, keep: bool
) -> tuple[Rows, tuple[int, ...]]:
    """Matrix of sums or means over axes (all, if none is named), and the shape of what is left."""
    rank = len(shape)
    if not all(-rank <= a < rank for a in axes):
        raise InputError(f"axes {list(axes)} of a tensor of shape {shape}")
    chosen = sorted({a % rank for a in axes}) or list(range(rank))
    kept = [a for a in range(rank) if a not in chosen]
    group = prod(shape[a] for a in chosen)
    places = np.arange(prod(shape)).reshape(shape).transpose(*kept, *chosen).reshape(-1, group)
    value = Fraction(1, group) if mean else Fraction(1)
    values = np.full(places.size, value, dtype=object)
    rows = np.repeat(np.arange(len(places)), group)
    out = tuple(1 if a in chosen else d for a, d in enumerate(shape)) if keep else tuple(shape[a] for a in kept)
    return from_entries(rows, places.ravel(), values, len(places)), out
