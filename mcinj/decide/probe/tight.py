"""Inputs at which rows of the last layer vanish, compiled: their gradients, Newton steps, directions that keep them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.decide.probe.lines import Layers, forward

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NEWTON = 6  # steps at most
_NEAR = 1e-9  # of a tight row, relative to its length


class Gradients(NamedTuple):
    """Gradients W = T Q of tight rows, T lower triangular, rows of Q orthonormal; room `spare`, (2, ≥ widest)."""

    W: Floats
    Q: Floats
    T: Floats
    spare: Floats


@njit(error_model="numpy")
def composed_row(net: Layers, n: int, z: Floats, j: int, w: Floats, spare: Floats) -> None:
    """w (n,): the gradient of row j of the last layer in the linear piece that z lies in; spare: (2, widest)."""
    R, _, woff, size, zoff = net
    layers = len(size)
    last = layers - 1
    columns = n if last == 0 else size[last - 1]
    here = spare[0]
    for i in range(columns):
        here[i] = R[woff[last] + j * columns + i]
    for k in range(last, 0, -1):
        # here: gradient with respect to the units of layer k - 1
        below = n if k == 1 else size[k - 2]
        there = spare[1] if k % 2 == last % 2 else spare[0]
        here = spare[0] if k % 2 == last % 2 else spare[1]
        there[:below] = 0.0
        weights = R[woff[k - 1] : woff[k]].reshape((size[k - 1], below))
        for i in range(size[k - 1]):
            if z[zoff[k - 1] + i] > 0.0:
                g = here[i]
                for c in range(below):
                    there[c] += g * weights[i, c]
        here = there
    w[:] = here[:n]


@njit(error_model="numpy", no_cpython_wrapper=True)
def orthonormal(rows: Gradients, k: int) -> bool:
    """Rows W[:k] = T Q with T lower triangular and Q[:k] orthonormal; False if they are dependent to rounding."""
    W, Q, T, _ = rows
    n = W.shape[1]
    for a in range(k):
        size = 0.0
        for c in range(n):
            Q[a, c] = W[a, c]
            size += W[a, c] * W[a, c]
        for b in range(a):
            T[a, b] = 0.0
        for _ in range(2):
            for b in range(a):
                f = 0.0
                for c in range(n):
                    f += Q[a, c] * Q[b, c]
                T[a, b] += f
                for c in range(n):
                    Q[a, c] -= f * Q[b, c]
        left = 0.0
        for c in range(n):
            left += Q[a, c] * Q[a, c]
        if not left > 1e-16 * size:
            return False
        left = np.sqrt(left)
        T[a, a] = left
        for c in range(n):
            Q[a, c] /= left
    return True


@njit(error_model="numpy", no_cpython_wrapper=True)
def gradients(net: Layers, n: int, z: Floats, tight: Ints, k: int, rows: Gradients) -> None:
    """W[:k]: gradients of the tight rows where z is."""
    for a in range(k):
        composed_row(net, n, z, tight[a], rows.W[a], rows.spare)


@njit(error_model="numpy", no_cpython_wrapper=True)
def settle(net: Layers, x: Floats, z: Floats, tight: Ints, k: int, rows: Gradients) -> bool:
    """Newton steps of x, of length 1, to a zero of the tight rows; z follows. Whether one was reached."""
    _, _, _, size, zoff = net
    n = len(x)
    base = zoff[len(size) - 1]
    y = np.empty(k)
    for step in range(_NEWTON + 1):
        gradients(net, n, z, tight, k, rows)
        worst = 0.0
        for a in range(k):
            length = 0.0
            for c in range(n):
                length += rows.W[a, c] * rows.W[a, c]
            y[a] = z[base + tight[a]]
            worst = max(worst, abs(y[a]) / np.sqrt(length))
        if worst <= _NEAR:
            return True
        if step == _NEWTON or not worst < 1.0 or not orthonormal(rows, k):
            return False
        for a in range(k):
            f = y[a]
            for b in range(a):
                f -= rows.T[a, b] * y[b]
            y[a] = f / rows.T[a, a]
            for c in range(n):
                x[c] -= y[a] * rows.Q[a, c]
        length = 0.0
        for c in range(n):
            length += x[c] * x[c]
        length = np.sqrt(length)
        if not 1e-3 < length < 1e3:
            return False
        for c in range(n):
            x[c] /= length
        forward(net, x, z)
    return False


@njit(error_model="numpy")
def direction(uniform: Floats, x: Floats, rows: Gradients, k: int, d: Floats) -> bool:
    """d (n,): a unit vector orthogonal to x and rows.Q[:k], from n uniform numbers; False if rounding leaves none."""
    n = len(x)
    for c in range(n):
        d[c] = uniform[c] - 0.5
    for _ in range(2):
        for a in range(k + 1):
            f = 0.0
            for c in range(n):
                f += d[c] * (x[c] if a == k else rows.Q[a, c])
            for c in range(n):
                d[c] -= f * (x[c] if a == k else rows.Q[a, c])
    length = 0.0
    for c in range(n):
        length += d[c] * d[c]
    length = np.sqrt(length)
    if not length > 1e-7:
        return False
    for c in range(n):
        d[c] /= length
    return True
