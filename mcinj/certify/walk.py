"""Check of a certificate's tree: does every sign pattern end in a leaf that proves n active units?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.certify.choices import INNER, all_independent
from mcinj.certify.raising import Node, raised_step

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# A determinant that vanishes modulo the first prime by chance (one in 2^31; a proof may have 2^30) has a second one.
PRIMES = (2**31 - 1, 2**31 - 19)
_WORK = 1 << 20  # choices of one row per set that a leaf may have

OK, CUT, BRANCH, CIRCUIT, OVERLAP, SHORT, RANK, LONG, WORK, DECLARED, ASSUMED, RAISED = range(12)

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
    RAISED: "a raised step does not prove what it says",
    DECLARED: "a leaf uses a circuit that its declared-positive units may satisfy",
}


@njit()
def walk(
    tree: Ints,
    start: Ints,
    rows: Ints,
    n: int,
    ranked: bool,
    raised: bool,
    biased: bool,
    idle: Bools,
    zero: Bools,
    residues: Ints,
    used: Bools,
) -> int:
    """Walk the tree in preorder; returns OK or the first fault. Sets `used` for every circuit that a leaf names.

    Circuit c is `rows[start[c]:start[c+1]]` (`2 i`: unit i assumed negative, `2 i + 1`: positive), proved elsewhere.
    `residues`: the rows modulo either of `PRIMES`, (2, m + 1, n). For `ranked` trees each leaf's declared-positive rows
    and any choice of one row per set must have rank n (nonzero modulo a prime), otherwise their number must reach n.
    `raised`: there may be raised steps (`mcinj.certify.raising`), which prove numbers and not ranks.
    """
    lines = residues.shape[1]
    circuits = start.shape[0] - 1
    sign = np.zeros(lines, dtype=np.int8)
    mark = np.full(lines, -1, dtype=np.int64)
    stack = np.zeros(lines + 1, dtype=np.int64)
    members = np.zeros(lines, dtype=np.int64)
    first = np.zeros(lines + 2, dtype=np.int64)
    scratch = np.zeros((n + 2, lines, n), dtype=np.int64)
    at = np.zeros(lines + 2, dtype=np.int64)
    gained = np.zeros(lines + 2, dtype=np.bool_)
    columns = np.zeros((n, n, lines), dtype=np.int64)
    given = np.zeros(lines + 1, dtype=np.bool_)  # entries of the stack that are facts: they have no second child
    node = Node(sign, idle, np.zeros(lines, dtype=np.int64), np.zeros(lines, dtype=np.bool_),
                np.zeros(lines, dtype=np.bool_), np.zeros(lines + 1, dtype=np.int64))  # fmt: skip
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
        closed = False
        if t == 1 and raised and not ranked:
            fault, place, closed = raised_step(tree, place, start, rows, used, node, _declared(stack, sign, depth), n)
            if fault != OK:
                return fault
            if not closed:
                for r in range(lines):
                    if sign[r] == 2 or sign[r] == -2:
                        sign[r] //= 2
                        stack[depth] = r
                        given[depth] = True
                        depth += 1
                continue
        elif t & 1:
            r = t >> 1
            if r < 1 or r >= lines or sign[r] != 0 or zero[r] or (idle[r] and not ranked):
                return BRANCH
            sign[r] = -1
            stack[depth] = r
            given[depth] = False
            depth += 1
            continue
        k = 0 if closed else t >> 1
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
        if not empty and not closed:
            if _declared(stack, sign, depth) + k < n:
                return SHORT
            if ranked:
                fault = _choices(stack, sign, depth, members, first, k, n, residues, scratch, columns, at, gained)
                if fault != OK:
                    return fault
        while depth > 0:
            r = stack[depth - 1]
            if sign[r] < 0 and not given[depth - 1]:
                sign[r] = 1
                break
            sign[r] = 0
            depth -= 1
        if depth == 0:
            return OK if place == tree.shape[0] else LONG


@njit(**INNER)
def _declared(stack: Ints, sign: npt.NDArray[np.int8], depth: int) -> int:
    """How many rows of the path are declared positive."""
    count = 0
    for i in range(depth):
        if sign[stack[i]] > 0:
            count += 1
    return count


@njit(**INNER)
def _clear(row: Ints, by: Ints, pivot: int, prime: int) -> None:
    """row = by[pivot] row - row[pivot] by, modulo the prime; a nonzero multiple of row, less one of `by`."""
    f = row[pivot]
    p = by[pivot]
    for j in range(row.shape[0]):
        row[j] = ((row[j] * p) % prime + (prime - f) * by[j] % prime) % prime


@njit(**INNER)
def _pivot(row: Ints) -> int:
    for j in range(row.shape[0]):
        if row[j] != 0:
            return j
    return -1


@njit(**INNER)
def _parallel(a: Ints, b: Ints, prime: int) -> bool:
    """Whether b is a nonzero multiple of a, or both are zero, modulo the prime."""
    p = _pivot(a)
    if p != _pivot(b):
        return False
    if p >= 0:
        for j in range(p + 1, a.shape[0]):
            if a[j] * b[p] % prime != b[j] * a[p] % prime:
                return False
    return True


@njit(**INNER)
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
    columns: Ints,
    at: Ints,
    gained: Bools,
) -> int:
    """Whether declared rows and any choice of one row per set have rank n.

    First as if all choices were independent, which is quick. If they are not, or seem so, modulo the other prime and
    depth first: the chosen row is cleared from all later sets; `rest` holds rows modulo the declared and chosen ones.
    """
    total = first[k]
    rest = scratch[0]
    basis = scratch[n + 1]
    rank = _declared_rank(stack, sign, depth, members, total, residues[0], PRIMES[0], rest, basis)
    if rank == n:
        return OK
    quick = k == n - rank and _few(first, k) and _spread(rest, total, basis, rank, columns[0])
    if quick and all_independent(columns, first, k, at):
        return OK
    prime = PRIMES[1]
    rank = _declared_rank(stack, sign, depth, members, total, residues[1], prime, rest, basis)
    if rank == n:
        return OK
    if rank + k < n:
        return SHORT
    missing = n - rank
    total = _merged(rest, 0, 0, first, k, prime)
    work = 0
    level = 0
    depth = 0
    at[0] = 0
    gained[0] = False
    while level >= 0:
        rest = scratch[depth]
        low = first[level]
        high = first[level + 1]
        if at[level] == low:
            # A set with a row in the span of those chosen may be met by that row: it adds nothing.
            for i in range(low, high):
                if _pivot(rest[i]) < 0:
                    at[level] = high + 1
                    break
            if at[level] > high:
                level += 1
                if level == k:
                    return RANK
                at[level] = first[level]
                gained[level] = False
                continue
        i = at[level]
        if i >= high:
            level -= 1
            if level >= 0 and gained[level]:
                depth -= 1
                gained[level] = False
            continue
        at[level] += 1
        work += 1
        if work > _WORK:
            return WORK
        known = depth == missing - 1
        for other in range(low, i):
            known = known or _parallel(rest[other], rest[i], prime)
        if known:
            continue
        if level + 1 == k:
            return RANK
        pivot = _pivot(rest[i])
        for m in range(high, total):
            for j in range(n):
                scratch[depth + 1, m, j] = rest[m, j]
            _clear(scratch[depth + 1, m], rest[i], pivot, prime)
        gained[level] = True
        depth += 1
        level += 1
        at[level] = first[level]
        gained[level] = False
    return OK


@njit(**INNER)
def _declared_rank(
    stack: Ints, sign: npt.NDArray[np.int8], depth: int, members: Ints, total: int, residues: Ints, prime: int,
    rest: Ints, basis: Ints,
) -> int:  # fmt: skip
    """Rank of the declared rows, their echelon form in `basis`; `rest`: the members modulo them."""
    n = residues.shape[1]
    for i in range(total):
        for j in range(n):
            rest[i, j] = residues[members[i], j]
    rank = 0
    for d in range(depth):
        r = stack[d]
        if sign[r] < 0 or rank == n:
            continue
        for j in range(n):
            basis[rank, j] = residues[r, j]
        for i in range(rank):
            _clear(basis[rank], basis[i], _pivot(basis[i]), prime)
        pivot = _pivot(basis[rank])
        if pivot < 0:
            continue
        for i in range(total):
            _clear(rest[i], basis[rank], pivot, prime)
        rank += 1
    return rank


@njit(**INNER)
def _few(first: Ints, k: int) -> bool:
    """Whether there are at most `_WORK` choices."""
    work = 1
    for i in range(k):
        work *= first[i + 1] - first[i]
        if work > _WORK:
            return False
    return True


@njit(**INNER)
def _spread(rest: Ints, total: int, basis: Ints, rank: int, out: Ints) -> bool:
    """Write the coordinates that no declared row took, one an array; whether n - rank are left."""
    n = rest.shape[1]
    k = 0
    for j in range(n):
        taken = False
        for i in range(rank):
            taken = taken or _pivot(basis[i]) == j
        if not taken:
            for i in range(total):
                out[k, i] = rest[i, j]
            k += 1
    return bool(k == n - rank)


@njit(**INNER)
def _merged(rest: Ints, total: int, low: int, first: Ints, k: int, prime: int) -> int:
    """Leave one row per direction in each of the k sets; moves `first`, returns the number of rows that are left."""
    for i in range(k):
        high = first[i + 1]
        begin = total
        for m in range(low, high):
            new = True
            for other in range(begin, total):
                if _parallel(rest[other], rest[m], prime):
                    new = False
                    break
            if new:
                for j in range(rest.shape[1]):
                    rest[total, j] = rest[m, j]
                total += 1
        low = high
        first[i + 1] = total
    return total
