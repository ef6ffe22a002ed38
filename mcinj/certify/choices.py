"""Is every choice of one row per set independent modulo the prime 2^31 - 1? In loops over many rows at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit

Ints = npt.NDArray[np.int64]

# Functions that only compiled code calls need no wrapper: that is half of the time of compilation.
INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}

_P = np.int64(2**31 - 1)


@njit(_nrt=False)
def all_independent(v: Ints, start: Ints, count: int, at: Ints) -> bool:
    """Whether every choice of one row from each of `count` sets is independent, in `count` coordinates.

    Depth first: a choice is eliminated from all later sets and takes a coordinate along, until pairs of the last two
    sets remain in the plane.

    Parameters
    ----------
    v
        (≥ count, ≥ count, ≥ rows) residues in [0, 2^31 - 1): v[0, j] is coordinate j of all rows. The rest is scratch.
    start
        Set l is rows start[l] … start[l + 1] - 1.
    at
        Scratch, ≥ count entries.
    """
    total = start[count]
    if count == 1:
        for i in range(total):  # noqa: SIM110
            if v[0, 0, i] == 0:
                return False
        return True
    level = 0
    at[0] = start[0]
    while level >= 0:
        width = count - level
        w = v[level]
        if width == 2:
            if _meet(w[0], w[1], start[level], start[level + 1], total):
                return False
            level -= 1
            continue
        i = at[level]
        if i == start[level + 1]:
            level -= 1
            continue
        at[level] += 1
        pivot = 0
        while pivot < width and w[pivot, i] == 0:
            pivot += 1
        if pivot == width:
            return False
        k = 0
        for j in range(width):
            if j != pivot:
                _eliminated(w[j], w[pivot], w[pivot, i], _P - w[j, i], v[level + 1, k], start[level + 1], total)
                k += 1
        level += 1
        at[level] = start[level]
    return True


@njit(**INNER)
def _eliminated(a: Ints, b: Ints, p: int, q: int, out: Ints, low: int, high: int) -> None:
    """out = a p + b q, entries low … high - 1."""
    for k in range(low, high):
        t = a[k] * p + b[k] * q
        t = (t & _P) + (t >> np.int64(31))
        t = (t & _P) + (t >> np.int64(31))
        out[k] = t - _P if t >= _P else t


@njit(**INNER)
def _meet(a: Ints, b: Ints, low: int, middle: int, high: int) -> bool:
    """Whether a vector (a_i, b_i) of the first set is parallel to one of the second, or zero."""
    for i in range(low, middle):
        p = a[i]
        q = _P - b[i]
        bad = 0
        for k in range(middle, high):
            t = b[k] * p + a[k] * q
            t = (t & _P) + (t >> np.int64(31))
            t = (t & _P) + (t >> np.int64(31))
            bad += (t == 0) | (t == _P)
        if bad > 0:
            return True
    return False
