"""Ranks of last-layer rows on a full pattern, modulo the prime 2^31 - 1: independent there, independent. Compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit

Ints = npt.NDArray[np.int64]

_P = np.int64(2**31 - 1)


@njit()
def next_residues(weights: Ints, before: Ints, sign: Ints, wide: int, high: int, after: Ints) -> None:
    """after[j] = Σ weights[j, i] before[i] over the active units i < wide, for j < high."""
    n = before.shape[1]
    for j in range(high):
        for q in range(n):
            after[j, q] = 0
        for i in range(wide):
            if sign[i] > 0 and weights[j, i] != 0:
                for q in range(n):
                    after[j, q] = (after[j, q] + weights[j, i] * before[i, q]) % _P


@njit()
def rank_of(rows: Ints, picked: Ints, count: int, work: Ints) -> int:
    """Rank of rows[picked[:count]]; `work` has at least as many rows as the result plus one."""
    n = rows.shape[1]
    rank = 0
    for c in range(count):
        if rank == n:
            break
        line = work[rank]
        for q in range(n):
            line[q] = rows[picked[c], q]
        for e in range(rank):
            at = 0
            while work[e, at] == 0:
                at += 1
            f = line[at]
            if f != 0:
                lead = work[e, at]
                for q in range(n):
                    line[q] = (line[q] * lead % _P + (_P - f) * work[e, q]) % _P
        for q in range(n):
            if line[q] != 0:
                rank += 1
                break
    return rank
