"""The compiled search over partial activation patterns, for questions whose answer grows with the set of active rows.

A node declares some rows active, some inactive. It is *closed* when the declared active rows alone decide it (their
least singular value has reached the incumbent, or their rank is full): whatever the other rows do only adds to them.
Otherwise all rows that are still free are tried inactive. Either there is a point: then a cell is found whose active
rows are just the declared ones, and the caller looks at it. Or there is a Farkas certificate: a positive circuit, whose
free rows cannot all be inactive. The children make the first of them active, or the second and not the first, and so on
(Land and Doig 1960; the same branching decides halfspace depth, Bremner, Fukuda, Rosta 2006).

Signed rows are numbered as in `mcinj.decide.kernel`: row i < `lines` of G is row i declared inactive (-a_i), row
`lines + i` the same declared active. Walls of the domain are rows that are declared active from the start and count for
nothing. A certificate is used only after it is proved (`mcinj.decide.kernel_proof`), or by the caller exactly.

Arrays, one entry per depth of the stack where the first axis is `depth`:

========  ======================  =====================================================================================
`M X U`   (depth + 1, ...)        center of the declared pattern (`mcinj.decide.cell`); the last one is scratch
`IDS`     (depth + 1, W) int64    its active signed rows
`SIGN`    (depth, lines) int8     0 free, -1 inactive, 1 active
`GRAM`    (depth, n, n)           sum of a aᵀ over the active rows
`BASIS`   (depth, n, n) int64     echelon basis of the active rows modulo the prime
`BR`      (depth, lines) int64    free rows of the certificate, in the order of the children
`FI`      (depth, 4) int64        number of children, next child (-1: not visited), active rows, their rank
========  ======================  =====================================================================================
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.decide import cell
from mcinj.decide.kernel_proof import proved_basis, proved_integer, proved_on_support

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Signs = npt.NDArray[np.int8]

# Why the search comes back.
DONE, PAUSED, LEAF, RESOLVE, GROW = 0, 1, 2, 3, 4
# gi: what the search and its caller tell each other.
NODES, LIMIT, DEPTH, ROWS, RANKED, ANSWER, FOUND, INTEGERS, GLOBALS = 0, 1, 2, 3, 4, 5, 6, 7, 8
# gi[ANSWER], from the caller: nothing yet, the circuit in C[:FOUND] is proved, the node is closed.
OPEN, CIRCUIT, CLOSED = 0, 1, 2
# FI
CHILDREN, NEXT, ACTIVE, RANK = 0, 1, 2, 3

PRIME = np.int64(2**31 - 1)
_UNIT = 2.0**-53
_TINY = 1e-290


@njit()
def positive_definite(H: Floats, shift: float, terms: int, T: Floats) -> bool:
    """Whether `Σ a aᵀ - shift I` is proved positive definite; H is the sum in floats, `terms` its number of rows.

    H differs from the exact sum by at most 4 u (terms + 4) tr H (entries of the rows within two roundings, products
    and sums in any order), a Cholesky factorisation that runs to its end from a positive definite matrix by at most
    4 u (n + 2) tr H (Rump, BIT 46, 2006). Both are taken off the diagonal first. T is scratch like H.
    """
    n = H.shape[0]
    trace = 0.0
    for j in range(n):
        trace += H[j, j]
    less = shift + 4.0 * _UNIT * (terms + n + 8) * trace + _TINY
    less += 4.0 * _UNIT * less
    for j in range(n):
        for k in range(j + 1):
            s = H[j, k]
            if j == k:
                s -= less
            for i in range(k):
                s -= T[j, i] * T[k, i]
            if j == k:
                if not s > 0.0:
                    return False
                T[j, j] = np.sqrt(s)
            else:
                T[j, k] = s / T[k, k]
    return True


@njit()
def _inverse(a: np.int64) -> np.int64:
    """1/a modulo the prime (extended Euclid)."""
    r0, r1 = PRIME, a % PRIME
    s0, s1 = np.int64(0), np.int64(1)
    while r1 != 0:
        q = r0 // r1
        r0, r1 = r1, r0 - q * r1
        s0, s1 = s1, s0 - q * s1
    return s0 % PRIME


@njit()
def _adjoin(BASIS: Ints, rank: int, row: Ints) -> int:
    """Adjoin a row to an echelon basis modulo the prime (pivots 1, other rows 0 there); its new rank.

    Rows that are independent modulo the prime are independent.
    """
    n = BASIS.shape[1]
    if rank == n:
        return rank
    v = row.copy()
    for k in range(rank):
        p = 0
        while BASIS[k, p] == 0:
            p += 1
        f = v[p]
        if f != 0:
            for j in range(p, n):
                v[j] = (v[j] - f * BASIS[k, j]) % PRIME
    p = 0
    while p < n and v[p] == 0:
        p += 1
    if p == n:
        return rank
    f = _inverse(v[p])
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


@njit()
def _activate(d: int, row: int, A: Floats, Q: Ints, GRAM: Floats, BASIS: Ints, FI: Ints, SIGN: Signs) -> None:
    """Declare a row active at depth d."""
    n = GRAM.shape[1]
    SIGN[d, row] = 1
    FI[d, ACTIVE] += 1
    for j in range(n):
        for k in range(n):
            GRAM[d, j, k] += A[row, j] * A[row, k]
    FI[d, RANK] = _adjoin(BASIS[d], FI[d, RANK], Q[row])


@njit()
def _settle(
    d: int, slot: int, free: bool, gi: Ints, G: Floats, SIGN: Signs, M: Floats, X: Floats, U: Floats, IDS: Ints,
    F: Floats, J: Ints,
) -> tuple[int, int]:  # fmt: skip
    """Center of the pattern at depth d, with its free rows inactive if `free`, in state `slot`: see `cell.settle`."""
    lines = G.shape[0] // 2
    count = 0
    for i in range(gi[ROWS]):
        s = SIGN[d, i]
        if s < 0 or (s == 0 and free):
            J[count] = i
            count += 1
        elif s > 0:
            J[count] = lines + i
            count += 1
    return cell.settle(G, J, count, M[slot], X[slot], U[slot], IDS[slot], F[0], F[1])


@njit()
def _farkas(
    row: int, slot: int, gi: Ints, G: Floats, Z: Ints, M: Floats, IDS: Ints, F: Floats, C: Ints, T: Ints
) -> bool:
    """The certificate that `settle` met, as signed rows in C[:gi[FOUND]]; whether it is proved to be a circuit."""
    g = M.shape[1]
    r = F[0]
    size = 1.0
    for k in range(g):
        size += abs(r[k])
    count = 0
    full = 0
    for k in range(g):
        if IDS[slot, k] >= 0:
            full += 1
            if r[k] < -1e-11 * size:
                C[count] = IDS[slot, k]
                count += 1
    C[count] = row
    count += 1
    gi[FOUND] = count
    if count == g + 1:
        return proved_basis(G, row, M[slot], IDS[slot], r, F[2])
    if Z.shape[0] > 0:
        if gi[INTEGERS] != 0:
            return proved_integer(Z, G.shape[0] // 2, C, count, T)
        return proved_on_support(Z, G, C, count)
    return False


@njit()
def advance(
    gi: Ints, tau: Floats, G: Floats, A: Floats, Q: Ints, Z: Ints, M: Floats, X: Floats, U: Floats, IDS: Ints,
    SIGN: Signs, GRAM: Floats, BASIS: Ints, BR: Ints, FI: Ints, F: Floats, J: Ints, C: Ints, T: Ints,
) -> int:  # fmt: skip
    """Run until the caller is needed.

    DONE: every node is closed. PAUSED: gi[LIMIT] nodes are used up. LEAF: the center in the last slot seems to have
    just the declared active rows active.
    RESOLVE: C[:gi[FOUND]] may be a certificate. GROW: the stack is full. After LEAF and RESOLVE the caller sets
    gi[ANSWER].
    """
    lines = G.shape[0] // 2
    n = A.shape[1]
    last = M.shape[0] - 1
    S = np.empty((n, n))
    while gi[DEPTH] >= 0:
        d = gi[DEPTH]
        if FI[d, NEXT] < 0:
            if gi[ANSWER] == CLOSED:
                gi[ANSWER] = OPEN
                gi[DEPTH] -= 1
                continue
            if gi[ANSWER] == OPEN:
                if gi[RANKED] != 0:
                    closed = FI[d, RANK] == n
                else:
                    closed = FI[d, ACTIVE] >= n and positive_definite(GRAM[d], tau[0], FI[d, ACTIVE], S)
                if closed:
                    gi[DEPTH] -= 1
                    continue
                if gi[NODES] >= gi[LIMIT]:
                    return PAUSED
                gi[NODES] += 1
                cell.copy(M[d], X[d], U[d], IDS[d], M[last], X[last], U[last], IDS[last])
                status, row = _settle(d, last, True, gi, G, SIGN, M, X, U, IDS, F, J)
                if status == cell.UNSURE:
                    gi[FOUND] = 0
                    return RESOLVE
                if status == cell.FEASIBLE:
                    return LEAF
                if not _farkas(row, last, gi, G, Z, M, IDS, F, C, T):
                    return RESOLVE
            gi[ANSWER] = OPEN
            count = 0
            for k in range(gi[FOUND]):
                i = C[k] if C[k] < lines else C[k] - lines
                if SIGN[d, i] == 0:
                    BR[d, count] = i
                    count += 1
            if count == 0:  # the declared pattern is empty
                gi[DEPTH] -= 1
                continue
            if count == 1:  # forced
                _activate(d, BR[d, 0], A, Q, GRAM, BASIS, FI, SIGN)
                cell.copy(M[d], X[d], U[d], IDS[d], M[last], X[last], U[last], IDS[last])
                status, row = _settle(d, last, False, gi, G, SIGN, M, X, U, IDS, F, J)
                if status == cell.FEASIBLE:
                    cell.copy(M[last], X[last], U[last], IDS[last], M[d], X[d], U[d], IDS[d])
                continue
            FI[d, CHILDREN] = count
            FI[d, NEXT] = 0
        k = FI[d, NEXT]
        if k == FI[d, CHILDREN]:
            gi[DEPTH] -= 1
            continue
        if d + 1 == SIGN.shape[0]:
            return GROW
        FI[d, NEXT] = k + 1
        e = d + 1
        for i in range(lines):
            SIGN[e, i] = SIGN[d, i]
        for j in range(n):
            for i in range(n):
                GRAM[e, j, i] = GRAM[d, j, i]
                BASIS[e, j, i] = BASIS[d, j, i]
        FI[e, NEXT] = -1
        FI[e, ACTIVE] = FI[d, ACTIVE]
        FI[e, RANK] = FI[d, RANK]
        for q in range(k):
            SIGN[e, BR[d, q]] = -1
        _activate(e, BR[d, k], A, Q, GRAM, BASIS, FI, SIGN)
        cell.copy(M[d], X[d], U[d], IDS[d], M[e], X[e], U[e], IDS[e])
        status, row = _settle(e, e, False, gi, G, SIGN, M, X, U, IDS, F, J)
        if status == cell.EMPTY and _farkas(row, e, gi, G, Z, M, IDS, F, C, T):
            continue
        if status != cell.FEASIBLE:
            # Not proved empty: go on from the parent's center, which is one of fewer rows.
            cell.copy(M[d], X[d], U[d], IDS[d], M[e], X[e], U[e], IDS[e])
        gi[DEPTH] = e
    return DONE
