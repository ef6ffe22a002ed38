"""Echelon bases modulo the prime 2^31 - 1: what is independent there is independent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.numeric.residues import PRIME, inverse

Ints = npt.NDArray[np.int64]


@njit()
def _reduced(BASIS: Ints, rank: int, row: Ints) -> Ints:
    """The row modulo the basis."""
    n = BASIS.shape[1]
    v = row.copy()
    for k in range(rank):
        p = 0
        while BASIS[k, p] == 0:
            p += 1
        f = v[p]
        if f != 0:
            for j in range(p, n):
                v[j] = (v[j] - f * BASIS[k, j]) % PRIME
    return v


@njit()
def spanned(BASIS: Ints, rank: int, row: Ints) -> bool:
    """Whether a row lies in the span of the basis, modulo the prime."""
    v = _reduced(BASIS, rank, row)
    for j in range(len(v)):  # noqa: SIM110
        if v[j] != 0:
            return False
    return True


@njit()
def adjoin(BASIS: Ints, rank: int, row: Ints) -> int:
    """Adjoin a row to an echelon basis modulo the prime (pivots 1, other rows 0 there); its new rank.

    Rows that are independent modulo the prime are independent.
    """
    n = BASIS.shape[1]
    if rank == n:
        return rank
    v = _reduced(BASIS, rank, row)
    p = 0
    while p < n and v[p] == 0:
        p += 1
    if p == n:
        return rank
    f = inverse(v[p])
    for j in range(n):
        v[j] = v[j] * f % PRIME
    # Pivots stand in increasing order, so that elimination from the left ends.
    place = rank
    while place > 0:
        q = 0
        while BASIS[place - 1, q] == 0:
            q += 1
        if q < p:
            break
        for j in range(n):
            BASIS[place, j] = BASIS[place - 1, j]
        place -= 1
    for j in range(n):
        BASIS[place, j] = v[j]
    return rank + 1
