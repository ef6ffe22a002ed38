"""Check of a certificate's tree: does every sign pattern end in a leaf that proves n active units?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_P = np.int64(2**31 - 1)
_WORK = 1 << 20  # choices of one row per set that a leaf may have

OK, CUT, BRANCH, CIRCUIT, OVERLAP, SHORT, RANK, LONG, WORK, DECLARED, ASSUMED = range(11)

REASONS = {
    CUT: "the tree is cut",
    BRANCH: "a branch is on a unit that is not free",
    CIRCUIT: "a leaf names a circuit that does not exist",
    OVERLAP: "the sets of a leaf are not disjoint",
    SHORT: "a leaf proves fewer than n active units",
    RANK: "the units of a leaf may be dependent",
    LONG: "the tree goes on after its last leaf",
    WORK: "a leaf has too many choices to check",
    ASSUMED: "a leaf uses a circuit that assumes a unit positive which is not declared so",
    DECLARED: "a leaf uses a circuit that its declared-positive units may satisfy",
}


@njit()
def walk(
    tree: Ints,
    start: Ints,
    rows: Ints,
    n: int,
    ranked: bool,
    biased: bool,
    idle: Bools,
    zero: Bools,
    residues: Ints,
    used: Bools,
) -> int:
    """Walk the tree in preorder; returns OK or the first fault. Sets `used` for every circuit that a leaf names.

    Circuit c is `rows[start[c]:start[c+1]]` (`2 i`: unit i assumed negative, `2 i + 1`: positive), proved elsewhere.
    For `ranked` trees each leaf's declared-positive rows
    and any choice of one row per set must have rank n (nonzero modulo a prime), otherwise their number must reach n.
    """
    lines = residues.shape[0]
    circuits = start.shape[0] - 1
    sign = np.zeros(lines, dtype=np.int8)
    mark = np.full(lines, -1, dtype=np.int64)
    stack = np.zeros(lines + 1, dtype=np.int64)
    members = np.zeros(lines, dtype=np.int64)
    first = np.zeros(lines + 2, dtype=np.int64)
    scratch = np.zeros((n + 2, lines, n), dtype=np.int64)
    at = np.zeros(n + 2, dtype=np.int64)
    if biased:
        sign[0] = -1
    depth = 0
    place = 0
    leaf = 0
    while True:
        if place >= tree.shape[0]:
            return CUT
        t = tree[place]
        place += 1
        if t & 1:
            r = t >> 1
            if r < 1 or r >= lines or sign[r] != 0 or zero[r] or (idle[r] and not ranked):
                return BRANCH
            sign[r] = -1
            stack[depth] = r
            depth += 1
            continue
        k = t >> 1
        if k > tree.shape[0] - place:
            return CUT
        if k > lines:
            return OVERLAP
        leaf += 1
        empty = False
        total = 0
        for i in range(k):
            c = tree[place + i]
            if c >= circuits:
                return CIRCUIT
            used[c] = True
            first[i] = total
            rest = 0
            for j in range(start[c], start[c + 1]):
                r = rows[j] >> 1
                if rows[j] & 1:
                    if sign[r] <= 0:
                        return ASSUMED
                    continue
                if sign[r] < 0:
                    continue
                rest += 1
                if sign[r] > 0:
                    return DECLARED
                if mark[r] == leaf or (idle[r] and not ranked):
                    return OVERLAP
                mark[r] = leaf
                members[total] = r
                total += 1
            if rest == 0:
                empty = True
        first[k] = total
        place += k
        if not empty:
            positive = 0
            for i in range(depth):
                if sign[stack[i]] > 0:
                    positive += 1
            if positive + k < n:
                return SHORT
            if ranked:
                fault = _choices(stack, sign, depth, members, first, k, n, residues, scratch, at)
                if fault != OK:
                    return fault
        while depth > 0:
            r = stack[depth - 1]
            if sign[r] < 0:
                sign[r] = 1
                break
            sign[r] = 0
            depth -= 1
        if depth == 0:
            return OK if place == tree.shape[0] else LONG


@njit()
def _clear(row: Ints, by: Ints, pivot: int) -> None:
    """row = by[pivot] row - row[pivot] by, modulo the prime; a nonzero multiple of row, less one of `by`."""
    f = row[pivot]
    p = by[pivot]
    for j in range(row.shape[0]):
        row[j] = ((row[j] * p) % _P + (_P - f) * by[j] % _P) % _P


@njit()
def _pivot(row: Ints) -> int:
    for j in range(row.shape[0]):
        if row[j] != 0:
            return j
    return -1


@njit()
def _choices(
    stack: Ints,
    sign: npt.NDArray[np.int8],
    depth: int,
    members: Ints,
    first: Ints,
    k: int,
    n: int,
    residues: Ints,
    scratch: Ints,
    at: Ints,
) -> int:
    """Whether declared rows and any choice of one row per set have rank n."""
    work = 1.0
    for i in range(k):
        work *= first[i + 1] - first[i]
    if work > _WORK:
        return WORK
    total = first[k]
    rest = scratch[0]
    for i in range(total):
        for j in range(n):
            rest[i, j] = residues[members[i], j]
    # The declared rows in echelon form, in the last layer of the scratch; they are cleared from the members as we go.
    basis = scratch[n + 1]
    rank = 0
    for d in range(depth):
        r = stack[d]
        if sign[r] < 0 or rank == n:
            continue
        for j in range(n):
            basis[rank, j] = residues[r, j]
        for i in range(rank):
            _clear(basis[rank], basis[i], _pivot(basis[i]))
        pivot = _pivot(basis[rank])
        if pivot < 0:
            continue
        for i in range(total):
            _clear(rest[i], basis[rank], pivot)
        rank += 1
    if rank == n:
        return OK
    if rank + k < n or k > n:
        return SHORT
    level = 0
    at[0] = 0
    while level >= 0:
        i = at[level]
        if i == first[level + 1]:
            level -= 1
            continue
        at[level] += 1
        pivot = _pivot(scratch[level, i])
        if pivot < 0:
            return RANK
        if level == k - 1:
            continue
        for m in range(first[level + 1], total):
            for j in range(n):
                scratch[level + 1, m, j] = scratch[level, m, j]
            _clear(scratch[level + 1, m], scratch[level, i], pivot)
        level += 1
        at[level] = first[level]
    return OK
