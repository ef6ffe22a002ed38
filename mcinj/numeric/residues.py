"""Ranks inside the search, modulo the prime 2^31 - 1: a minor that is nonzero modulo a prime is nonzero.

Declared-positive rows are factored out: `Q[j]` is row j modulo the span of the declared ones, with zeros at the
pivots taken so far. A row whose residue is zero adds no rank and is dropped from the free rows. That is never unsound:
at worst, with probability about 2^-31 per test, a row is dropped that would have helped to close the node.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.numeric.bits import Words, drop, lowest

Residues = npt.NDArray[np.int64]

PRIME = 2**31 - 1
_P = PRIME


@njit(_nrt=False)
def reduce(v: int) -> int:
    """`v mod 2^31 - 1` for 0 <= v < 2^62."""
    v = (v & _P) + (v >> 31)
    v = (v & _P) + (v >> 31)
    if v >= _P:
        v -= _P
    return v


@njit(_nrt=False)
def inverse(v: int) -> int:
    """1 / v modulo the prime, v not 0, by Fermat."""
    result = 1
    e = PRIME - 2
    while e > 0:
        if e & 1:
            result = reduce(result * v)
        v = reduce(v * v)
        e >>= 1
    return result


@njit(_nrt=False)
def eliminate(Q: Residues, r: int, Q2: Residues, free: Words) -> None:
    """Q2 = Q modulo row r, which is not zero, for the rows in `free`; those that are zero then are dropped from it."""
    n = Q.shape[1]
    pivot = 0
    while Q[r, pivot] == 0:
        pivot += 1
    scale = inverse(Q[r, pivot])
    for w in range(free.shape[0]):
        b = free[w]
        while b != 0:
            i = 64 * w + lowest(b)
            b &= b - np.uint64(1)
            f = _P - reduce(Q[i, pivot] * scale)
            some = False
            for j in range(n):
                v = reduce(Q[i, j] + Q[r, j] * f)
                Q2[i, j] = v
                some |= v != 0
            if not some:
                drop(free, i)


@njit(_nrt=False)
def is_zero(Q: Residues, j: int) -> bool:
    """Whether row j lies in the span of the declared rows."""
    for i in range(Q.shape[1]):  # noqa: SIM110
        if Q[j, i] != 0:
            return False
    return True


@njit(_nrt=False)
def parallel(Q: Residues, a: int, b: int) -> bool:
    """Whether rows a and b are multiples of each other, and not zero."""
    n = Q.shape[1]
    p = 0
    while p < n and Q[a, p] == 0:
        if Q[b, p] != 0:
            return False
        p += 1
    for j in range(p, n):
        if reduce(Q[a, j] * Q[b, p]) != reduce(Q[b, j] * Q[a, p]):
            return False
    return bool(p < n and Q[b, p] != 0)


@njit(_nrt=False)
def rank_of(Q: Residues, rows: Residues, count: int, T: Residues) -> int:
    """Rank of residues Q[rows[:count]]; T is scratch of at least `count` rows."""
    n = Q.shape[1]
    for i in range(count):
        for j in range(n):
            T[i, j] = Q[rows[i], j]
    rank = 0
    for c in range(n):
        pivot = -1
        for i in range(rank, count):
            if T[i, c] != 0:
                pivot = i
                break
        if pivot < 0:
            continue
        if pivot != rank:
            for j in range(n):
                t = T[pivot, j]
                T[pivot, j] = T[rank, j]
                T[rank, j] = t
        p = T[rank, c]
        for i in range(rank + 1, count):
            f = T[i, c]
            if f != 0:
                f = _P - f
                for j in range(c, n):
                    T[i, j] = reduce(reduce(T[i, j] * p) + reduce(T[rank, j] * f))
        rank += 1
        if rank == count:
            break
    return rank


@njit(_nrt=False)
def spanning(
    Q: Residues, members: Residues, start: Residues, sets: int, need: int, V: Residues, pos: Residues,
    gained: Residues, budget: int,
) -> bool:  # fmt: skip
    """Whether every choice of one row from each of `sets` sets has rank `need` in Q; gives up after `budget` choices.

    As `transversals`, but a row that adds nothing to those chosen before passes the turn to the next set. Parallel rows
    are one choice at every level, and a set that holds a row of the span is left out: that row may be the chosen one.
    """
    n = Q.shape[1]
    total = start[sets]
    columns = 0
    for j in range(n):
        some = False
        for i in range(total):
            if Q[members[i], j] != 0:
                some = True
        if some:
            if columns == need:
                return False
            for i in range(total):
                V[0, columns, i] = Q[members[i], j]
            columns += 1
    if columns < need:
        return False
    depth = 0
    level = 0
    pos[0] = start[0]
    gained[0] = 0
    while level >= 0:
        width = need - depth
        v = V[depth]
        low = start[level]
        high = start[level + 1]
        if pos[level] == low:
            useless = False
            for i in range(low, high):
                if _lead(v, i, width) < 0:
                    useless = True
                    break
            if useless:
                pos[level] = high + 1  # nothing to come back for
                gained[level] = 0
                level += 1
                if level == sets:
                    return False
                pos[level] = start[level]
                gained[level] = 0
                continue
        i = pos[level]
        if i >= high:
            level -= 1
            if level >= 0 and gained[level]:
                depth -= 1
                gained[level] = 0
            continue
        pos[level] += 1
        pivot = _lead(v, i, width)
        known = False
        for k in range(low, i):
            if _same_direction(v, k, i, width):
                known = True
                break
        if known or width == 1:
            continue
        budget -= 1
        if budget < 0 or level + 1 == sets:
            return False
        p = v[pivot, i]
        t = V[depth + 1]
        k = 0
        for j in range(width):
            if j != pivot:
                _eliminated(v[j], v[pivot], p, _P - v[j, i], t[k], high, total)
                k += 1
        gained[level] = 1
        depth += 1
        level += 1
        pos[level] = start[level]
        gained[level] = 0
    return True


@njit(_nrt=False)
def _lead(v: Residues, i: int, width: int) -> int:
    """The first column of member i that is not zero, -1 if it is zero."""
    for j in range(width):
        if v[j, i] != 0:
            return j
    return -1


@njit(_nrt=False)
def _same_direction(v: Residues, a: int, b: int, width: int) -> bool:
    """Whether members a and b, neither of them zero, are multiples of each other."""
    p = _lead(v, a, width)
    if p != _lead(v, b, width):
        return False
    same = True
    for j in range(p + 1, width):
        same = same and reduce(v[j, a] * v[p, b]) == reduce(v[j, b] * v[p, a])
    return same


@njit(_nrt=False)
def _eliminated(a: Residues, b: Residues, p: int, q: int, out: Residues, low: int, high: int) -> None:
    """out = a p + b q modulo the prime, on members low … high - 1."""
    for k in range(low, high):
        t = a[k] * p + b[k] * q
        t = (t & _P) + (t >> np.int64(31))
        t = (t & _P) + (t >> np.int64(31))
        out[k] = t - _P if t >= _P else t
