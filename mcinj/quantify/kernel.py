"""The compiled search over partial activation patterns, for questions whose answer grows with the set of active rows.

A node declares some rows active, some inactive. It is *closed* when the declared active rows alone decide it (their
least singular value has reached the incumbent, or their rank is full): whatever the other rows do only adds to them.
Otherwise all rows that are still free are tried inactive. Either there is a point: then a cell is found whose active
rows are just the declared ones, and the caller looks at it. Or there is a Farkas certificate: a positive circuit, whose
free rows cannot all be inactive. The children make the first of them active, or the second and not the first, and so on
(Land and Doig 1960; the same branching decides halfspace depth, Bremner, Fukuda, Rosta 2006).

Signed rows are numbered as in `mcinj.decide.layer.kernel`: row i < `lines` of G is row i declared inactive (-a_i), row
`lines + i` the same declared active. Walls of the domain are rows that are declared active from the start and count for
nothing. A certificate is used only after it is proved (`mcinj.numeric.circuits`), or by the caller exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.numeric import cell
from mcinj.numeric.circuits import proved_basis, proved_integer, proved_on_support
from mcinj.quantify.basis import adjoin

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Signs = npt.NDArray[np.int8]


class Search(NamedTuple):
    """The arrays of a search; `mcinj.quantify.search.PatternSearch` owns them. W is a padded length, D the depth.

    Attributes
    ----------
    gi
        (GLOBALS,) what the search and its caller tell each other.
    tau
        (1,) the incumbent, squared: nodes whose active rows reach it are closed.
    G
        (2 lines, W) signed unit rows.
    A, Q
        (lines, n) rows in floats, and modulo the prime.
    Z
        (lines or 0, g) rows as integers, or (gi[INTEGERS] = 0) 1 where they are not 0.
    M, X, U, IDS
        (D + 1, g, W), (D + 1, W), (D + 1, W), (D + 1, W) centers of the declared patterns (`mcinj.numeric.cell`), with
        the signed rows that are active there; the last one is scratch.
    SIGN
        (D, lines) 0 free, -1 inactive, 1 active.
    GRAM
        (D, n, n) sum of a aᵀ over the active rows.
    BASIS
        (D, n, n) echelon basis of the active rows modulo the prime.
    BR
        (D, lines) free rows of the certificate, in the order of the children.
    FI
        (D, 4) number of children, next child (-1: not visited), active rows, their rank.
    F, J, C, T
        (3, ·), (2 lines,), (·,), (g + 3, g) scratch; C[:gi[FOUND]] is a certificate.
    """

    gi: Ints
    tau: Floats
    G: Floats
    A: Floats
    Q: Ints
    Z: Ints
    M: Floats
    X: Floats
    U: Floats
    IDS: Ints
    SIGN: Signs
    GRAM: Floats
    BASIS: Ints
    BR: Ints
    FI: Ints
    F: Floats
    J: Ints
    C: Ints
    T: Ints


# Why the search comes back.
DONE, PAUSED, LEAF, RESOLVE, GROW = 0, 1, 2, 3, 4
# gi: what the search and its caller tell each other.
NODES, LIMIT, DEPTH, ROWS, RANKED, ANSWER, FOUND, INTEGERS, GLOBALS = 0, 1, 2, 3, 4, 5, 6, 7, 8
# gi[ANSWER], from the caller: nothing yet, the circuit in C[:FOUND] is proved, the node is closed.
OPEN, CIRCUIT, CLOSED = 0, 1, 2
# FI
CHILDREN, NEXT, ACTIVE, RANK = 0, 1, 2, 3

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
def _activate(st: Search, d: int, row: int) -> None:
    """Declare a row active at depth d."""
    A, SIGN, GRAM, FI = st.A, st.SIGN, st.GRAM, st.FI
    n = GRAM.shape[1]
    SIGN[d, row] = 1
    FI[d, ACTIVE] += 1
    for j in range(n):
        for k in range(n):
            GRAM[d, j, k] += A[row, j] * A[row, k]
    FI[d, RANK] = adjoin(st.BASIS[d], FI[d, RANK], st.Q[row])


@njit()
def _settle(st: Search, d: int, slot: int, free: bool) -> tuple[int, int]:
    """Center of the pattern at depth d, with its free rows inactive if `free`, in state `slot`: see `cell.settle`."""
    J = st.J
    lines = st.G.shape[0] // 2
    count = 0
    for i in range(st.gi[ROWS]):
        s = st.SIGN[d, i]
        if s < 0 or (s == 0 and free):
            J[count] = i
            count += 1
        elif s > 0:
            J[count] = lines + i
            count += 1
    return cell.settle(st.G, J, count, st.M[slot], st.X[slot], st.U[slot], st.IDS[slot], st.F[0], st.F[1])


@njit()
def _farkas(st: Search, row: int, slot: int) -> bool:
    """The certificate that `settle` met, as signed rows in C[:gi[FOUND]]; whether it is proved to be a circuit."""
    gi, G, Z, IDS, C = st.gi, st.G, st.Z, st.IDS, st.C
    g = st.M.shape[1]
    r = st.F[0]
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
        return proved_basis(G, row, st.M[slot], IDS[slot], r, st.F[2])
    if Z.shape[0] > 0:
        if gi[INTEGERS] != 0:
            return proved_integer(Z, G.shape[0] // 2, C, count, st.T)
        return proved_on_support(Z, G, C, count)
    return False


@njit()
def advance(st: Search) -> int:
    """Run until the caller is needed.

    DONE: every node is closed. PAUSED: gi[LIMIT] nodes are used up. LEAF: the center in the last slot seems to have
    just the declared active rows active.
    RESOLVE: C[:gi[FOUND]] may be a certificate. GROW: the stack is full. After LEAF and RESOLVE the caller sets
    gi[ANSWER].
    """
    gi, M, X, U, IDS, SIGN, GRAM, BASIS, BR, FI, C = (
        st.gi, st.M, st.X, st.U, st.IDS, st.SIGN, st.GRAM, st.BASIS, st.BR, st.FI, st.C
    )  # fmt: skip
    lines = st.G.shape[0] // 2
    n = st.A.shape[1]
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
                    closed = FI[d, ACTIVE] >= n and positive_definite(GRAM[d], st.tau[0], FI[d, ACTIVE], S)
                if closed:
                    gi[DEPTH] -= 1
                    continue
                if gi[NODES] >= gi[LIMIT]:
                    return PAUSED
                gi[NODES] += 1
                cell.copy(M[d], X[d], U[d], IDS[d], M[last], X[last], U[last], IDS[last])
                status, row = _settle(st, d, last, True)
                if status == cell.UNSURE:
                    gi[FOUND] = 0
                    return RESOLVE
                if status == cell.FEASIBLE:
                    return LEAF
                if not _farkas(st, row, last):
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
                _activate(st, d, BR[d, 0])
                cell.copy(M[d], X[d], U[d], IDS[d], M[last], X[last], U[last], IDS[last])
                status, row = _settle(st, d, last, False)
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
        _activate(st, e, BR[d, k])
        cell.copy(M[d], X[d], U[d], IDS[d], M[e], X[e], U[e], IDS[e])
        status, row = _settle(st, e, e, False)
        if status == cell.EMPTY and _farkas(st, row, e):
            continue
        if status != cell.FEASIBLE:
            # Not proved empty: go on from the parent's center, which is one of fewer rows.
            cell.copy(M[d], X[d], U[d], IDS[d], M[e], X[e], U[e], IDS[e])
        gi[DEPTH] = e
    return DONE
