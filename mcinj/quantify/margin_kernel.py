"""The compiled search that proves `ρ(u) >= t` for all unit u (or all u in the unit ball): one level t, all directions.

ρ(u) is the largest t such that the rows with `a_i·u >= t` have full rank. A node declares some rows *above* t, some
*below*, and is closed when those above have rank n, or when no u is left. Otherwise all other rows are tried below,
but for those in the span of the rows above, which add no rank. If that is proved to be impossible, the proof names rows
of which one must be above: the children make the first of them above, or the second and not the first, and so on. If
not, the node is a *leaf*: a direction where ρ is about t at most, and the caller lowers t.

"No u is left" is the emptiness of `{|x| <= 1, G x >= H}`, proved by multipliers (`margin_cell.proved`). For t < 0 the
ball in place of the sphere gives nothing away. For t > 0 its center is inside, so u is confined to boxes first
(`BOXED`): `u_j = ± max |u_k|` and `l_k <= u_k/|u_j| <= r_k`, where |u| = 1 implies the *secant* row

    Σ_k (l_k + r_k) u_k + (s² + 1 - Σ_k l_k r_k) |u_j| >= 2 s        for any s

(`u_k² <= (l_k + r_k) u_k |u_j| - l_k r_k u_j²`, and `1/|u_j|` is the root of `1 + Σ (u_k/u_j)²`, below its tangent at
s²). A leaf whose center is no better than what is known is cut in half, across the side that its secant row serves
worst. All numbers of a box are dyadic with few digits: its rows are exact.

Rows of G: i < m row i below (-a_i), m + i the same above; then 2 n - 1 rows for each block of a box.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.numeric.cell import clear, copy
from mcinj.quantify import margin_cell as cell
from mcinj.quantify.basis import adjoin, spanned

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Signs = npt.NDArray[np.int8]


class Search(NamedTuple):
    """The arrays of a search; `mcinj.quantify.margin_search` owns them. W is a padded length, D the depth.

    Attributes
    ----------
    gi
        (GLOBALS,) what the search and its caller tell each other.
    tau
        (1,) the least ρ known.
    A
        (m, n) the rows.
    G, H
        (2 m + D (2 n - 1), W) and right-hand sides: i < m row i below (-a_i), m + i the same above, then 2 n - 1 rows
        for each block of a box.
    Q
        (m, n) the rows modulo the prime.
    M, X, U, IDS
        (D + 1, …) center of the declared rows (`mcinj.quantify.margin_cell`) and its active rows of G; the last one is
        scratch.
    SIGN
        (D, m) 0 free, -1 below, 1 above, 2 in the span of the rows above.
    OB
        (D, n, n) orthonormal basis of the rows above, in floats.
    REST
        (D, m) squared distance of the rows from that span, in floats: who is looked at exactly.
    BASIS
        (D, n, n) echelon basis of the rows above, modulo the prime.
    LO, UP
        (D, n) box at block d.
    BR
        (D, m) free rows of the certificate, in the order of the children.
    FI
        (D, 8) integers of a node, see below.
    F, J, C, L
        scratch; C and L are a certificate's rows and multipliers.
    """

    gi: Ints
    tau: Floats
    A: Floats
    G: Floats
    H: Floats
    Q: Ints
    M: Floats
    X: Floats
    U: Floats
    IDS: Ints
    SIGN: Signs
    OB: Floats
    REST: Floats
    BASIS: Ints
    LO: Floats
    UP: Floats
    BR: Ints
    FI: Ints
    F: Floats
    J: Ints
    C: Ints
    L: Floats


# Why the search comes back.
DONE, PAUSED, LEAF, GROW = 0, 1, 2, 3
# gi: what the search and its caller tell each other.
NODES, LIMIT, DEPTH, ANSWER, BOXED, GLOBALS = 0, 1, 2, 3, 4, 5
# gi[ANSWER], from the caller at a leaf: look again (the level was lowered), cut it in half.
OPEN, HALVE = 0, 1
# FI: number of children, next child (-1: not visited), rank, kind of children, block of the box (-1: none), side that
# is cut; of a block: the coordinate j, its sign.
CHILDREN, NEXT, RANK, KIND, BOX, SIDE, AXIS, PLUS = 0, 1, 2, 3, 4, 5, 6, 7
BY_ROWS, BY_FACETS, BY_HALVES = 0, 1, 2

_FREE, _BELOW, _ABOVE, _SPANNED = 0, -1, 1, 2
_NEAR = 1e-7  # squared relative distance from a span below which membership is decided modulo the prime
_NARROW = 2.0**-21  # boxes are not cut further: their rows stay exact


@njit()
def _raise(st: Search, d: int, row: int) -> None:
    """Declare a row above at depth d, and find the free rows in the new span.

    A row that is taken for spanned by mistake is only one condition less on the directions that are left.
    """
    G, Q, OB, REST, BASIS, FI, SIGN = st.G, st.Q, st.OB, st.REST, st.BASIS, st.FI, st.SIGN
    m = SIGN.shape[1]
    n = OB.shape[1]
    SIGN[d, row] = _ABOVE
    rank = FI[d, RANK]
    if rank == n:
        return
    FI[d, RANK] = adjoin(BASIS[d], rank, Q[row])
    if FI[d, RANK] == rank:
        return
    v = G[m + row, :n].copy()
    for _ in range(2):
        for k in range(rank):
            f = 0.0
            for j in range(n):
                f += OB[d, k, j] * v[j]
            for j in range(n):
                v[j] -= f * OB[d, k, j]
    size = 0.0
    for j in range(n):
        size += v[j] * v[j]
    size = np.sqrt(size) + 1e-300
    for j in range(n):
        OB[d, rank, j] = v[j] / size
    for i in range(m):
        f = 0.0
        for j in range(n):
            f += OB[d, rank, j] * G[m + i, j]
        REST[d, i] -= f * f
        if SIGN[d, i] == _FREE and REST[d, i] < _NEAR and spanned(BASIS[d], rank + 1, Q[i]):
            SIGN[d, i] = _SPANNED


@njit()
def _write_box(st: Search, b: int) -> None:
    """Rows of the box of block b."""
    FI, LO, UP, G, H = st.FI, st.LO, st.UP, st.G, st.H
    m, n = st.A.shape
    base = 2 * m + b * (2 * n - 1)
    j = FI[b, AXIS]
    sign = float(FI[b, PLUS])
    square = 1.0
    cross = 0.0
    for k in range(n):
        if k != j:
            square += 0.5 * (LO[b, k] * LO[b, k] + UP[b, k] * UP[b, k])
            cross += LO[b, k] * UP[b, k]
    s = np.rint(np.sqrt(square) * 2.0**20) * 2.0**-20
    at = base
    last = base + 2 * n - 2
    for k in range(n):
        if k == j:
            continue
        for q in range(G.shape[1]):
            G[at, q] = 0.0
            G[at + 1, q] = 0.0
        G[at, k] = 1.0
        G[at, j] = -LO[b, k] * sign
        G[at + 1, k] = -1.0
        G[at + 1, j] = UP[b, k] * sign
        H[at] = 0.0
        H[at + 1] = 0.0
        at += 2
    for q in range(G.shape[1]):
        G[last, q] = 0.0
    for k in range(n):
        if k != j:
            G[last, k] = LO[b, k] + UP[b, k]
    G[last, j] = (s * s + 1.0 - cross) * sign
    H[last] = 2.0 * s


@njit()
def _settle(st: Search, d: int, slot: int, free: bool) -> tuple[int, int]:
    """Center of the rows declared at depth d, with the free rows below if `free`, in state `slot`."""
    J, FI = st.J, st.FI
    m, n = st.A.shape
    count = 0
    for i in range(m):
        s = st.SIGN[d, i]
        if s == _BELOW or (s == _FREE and free):
            J[count] = i
            count += 1
        elif s == _ABOVE:
            J[count] = m + i
            count += 1
    if FI[d, BOX] >= 0:
        base = 2 * m + FI[d, BOX] * (2 * n - 1)
        for k in range(2 * n - 1):
            J[count] = base + k
            count += 1
    center = cell.Center(st.M[slot], st.X[slot], st.U[slot], st.IDS[slot], st.F, st.C, st.L)
    return cell.settle(st.G, st.H, J, count, n, center, 1.0 + 1e-14)


@njit()
def _level(d: int, n: int, A: Floats, x: Floats, SIGN: Signs) -> float:
    """The largest value at x / |x| of rows outside of the span of those above: ρ is at most that."""
    size = 0.0
    for j in range(n):
        size += x[j] * x[j]
    if size == 0.0:
        return np.inf
    top = -np.inf
    for i in range(A.shape[0]):
        if SIGN[d, i] <= 0:
            s = 0.0
            for j in range(n):
                s += A[i, j] * x[j]
            top = max(top, s)
    return float(top / np.sqrt(size))


@njit()
def _worst_side(b: int, n: int, x: Floats, FI: Ints, LO: Floats, UP: Floats) -> int:
    """The side of the box that its secant row serves worst at x; -1: all are too narrow."""
    j = FI[b, AXIS]
    t = abs(x[j]) + 1e-300
    best = -1.0
    side = -1
    for k in range(n):
        width = UP[b, k] - LO[b, k]
        if k == j or width < _NARROW:
            continue
        y = min(max(x[k] / t, LO[b, k]), UP[b, k])
        gap = (y - LO[b, k]) * (UP[b, k] - y) + 1e-3 * width * width
        if gap > best:
            best = gap
            side = k
    return side


@njit()
def advance(st: Search) -> int:
    """Run until the caller is needed.

    DONE: every node is closed, so ρ >= t everywhere. PAUSED: gi[LIMIT] nodes are used up. LEAF: the center in the last
    slot is the node's direction; the caller lowers the level (new H, all centers cleared) or sets gi[ANSWER] to HALVE.
    GROW: the stack is full. A (m, n) are the rows, tau[0] the least ρ known.
    """
    gi, M, X, U, IDS, SIGN, OB, REST, BASIS, LO, UP, BR, FI, C = (
        st.gi, st.M, st.X, st.U, st.IDS, st.SIGN, st.OB, st.REST, st.BASIS, st.LO, st.UP, st.BR, st.FI, st.C
    )  # fmt: skip
    m, n = st.A.shape
    last = M.shape[0] - 1
    while gi[DEPTH] >= 0:
        d = gi[DEPTH]
        if FI[d, NEXT] < 0:
            if FI[d, RANK] == n:
                gi[DEPTH] -= 1
                continue
            if gi[ANSWER] == OPEN:
                if gi[NODES] >= gi[LIMIT]:
                    return PAUSED
                gi[NODES] += 1
                copy(M[d], X[d], U[d], IDS[d], M[last], X[last], U[last], IDS[last])
                status, found = _settle(st, d, last, True)
                if status == cell.EMPTY:
                    count = 0
                    for k in range(found):
                        i = C[k] if C[k] < m else C[k] - m
                        if C[k] < 2 * m and SIGN[d, i] == _FREE:
                            BR[d, count] = i
                            count += 1
                    if count == 0:
                        gi[DEPTH] -= 1
                        continue
                    if count == 1:  # forced
                        _raise(st, d, BR[d, 0])
                        continue
                    FI[d, CHILDREN] = count
                    FI[d, KIND] = BY_ROWS
                    FI[d, NEXT] = 0
                elif FI[d, BOX] < 0 or _level(d, n, st.A, X[last], SIGN) < st.tau[0]:
                    return LEAF
                else:
                    gi[ANSWER] = HALVE
            if gi[ANSWER] == HALVE:
                gi[ANSWER] = OPEN
                side = _worst_side(FI[d, BOX], n, X[last], FI, LO, UP)
                if side < 0:
                    return LEAF
                FI[d, SIDE] = side
                FI[d, CHILDREN] = 2
                FI[d, KIND] = BY_HALVES
                FI[d, NEXT] = 0
        k = FI[d, NEXT]
        if k == FI[d, CHILDREN]:
            gi[DEPTH] -= 1
            continue
        if d + 1 == SIGN.shape[0]:
            return GROW
        FI[d, NEXT] = k + 1
        e = d + 1
        rank = FI[d, RANK]
        for i in range(m):
            SIGN[e, i] = SIGN[d, i]
            REST[e, i] = REST[d, i]
        for j in range(rank):
            for i in range(n):
                OB[e, j, i] = OB[d, j, i]
        for j in range(n):
            for i in range(n):
                BASIS[e, j, i] = BASIS[d, j, i]
        FI[e, NEXT] = -1
        FI[e, RANK] = rank
        FI[e, BOX] = FI[d, BOX]
        if FI[d, KIND] == BY_ROWS:
            for q in range(k):
                SIGN[e, BR[d, q]] = _BELOW
            _raise(st, e, BR[d, k])
            if FI[e, RANK] == n:
                continue
            copy(M[d], X[d], U[d], IDS[d], M[e], X[e], U[e], IDS[e])
        else:
            if FI[d, KIND] == BY_FACETS:
                FI[e, AXIS] = k // 2
                FI[e, PLUS] = 1 - 2 * (k % 2)
                for j in range(n):
                    LO[e, j] = -1.0
                    UP[e, j] = 1.0
            else:
                b = FI[d, BOX]
                side = FI[d, SIDE]
                FI[e, AXIS] = FI[b, AXIS]
                FI[e, PLUS] = FI[b, PLUS]
                for j in range(n):
                    LO[e, j] = LO[b, j]
                    UP[e, j] = UP[b, j]
                middle = 0.5 * (LO[b, side] + UP[b, side])
                if k == 0:
                    UP[e, side] = middle
                else:
                    LO[e, side] = middle
            FI[e, BOX] = e
            _write_box(st, e)
            clear(M[e], X[e], U[e], IDS[e])
        status, _ = _settle(st, e, e, False)
        if status == cell.EMPTY:
            continue
        if status != cell.FEASIBLE:
            clear(M[e], X[e], U[e], IDS[e])
        gi[DEPTH] = e
    return DONE
