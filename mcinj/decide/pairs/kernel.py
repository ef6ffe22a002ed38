"""Pairs of regions with the same active last-layer units: can their images meet? Compiled.

Regions C, C' with active set S and Jacobians M, M' collide when some x in C, x' in C' have `M_S x = M'_S x'`. Let F be
the hidden units whose side differs. The rows of F and of the equations vanish on the diagonal part
`V = {(x, x) : F x = 0}`, so they are tested first, in the quotient by V (dimension g + |F| instead of 2g): in
coordinates that determine a vector of V's annihilator. Then all rows of both cells follow, in 2g dimensions. Each test
is a cell in the kernel of the equations; each closing is a combination `Σ y_i row_i + Σ λ_r equation_r = 0`, y > 0,
proved as in `mcinj.numeric.enclosure`.

Before that, pairs with disjoint image boxes go (`mcinj.decide.pairs.boxes`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.decide.deep.bounds import block, install
from mcinj.decide.deep.store import LAYERS, TRAIL, Floats, Ints, Store
from mcinj.numeric import cell
from mcinj.numeric.enclosure import UNIT, enclose, invert, quality

Signs = npt.NDArray[np.int8]
Paths = npt.NDArray[np.int32]

CLOSED, MEETS, UNPROVED, LOGGED = 0, 1, 2, 3


class RegionRows(NamedTuple):
    """Rows of one region, with entrywise errors: P (K, g), PE (K,) its path (unit length), J (s, g), JE its active
    last-layer units (and the constant output), H (h, g), HE all hidden units."""

    P: Floats
    PE: Floats
    J: Floats
    JE: Floats
    H: Floats
    HE: Floats


class KernelScratch(NamedTuple):
    """Room for `cell_in_kernel`, with vectors of D: a null space Zn by reflectors A, a basis B, BE and its inverse,
    rows G within the kernel, all `required`, and the state M, x, u, ids of their cell (`mcinj.numeric.cell`)."""

    Zn: Floats
    A: Floats
    B: Floats
    BE: Floats
    inv: Floats
    work: Floats
    vec: Floats
    G: Floats
    M: Floats
    x: Floats
    u: Floats
    ids: Ints
    required: Ints


@njit()
def kernel_scratch(D: int, rows: int) -> KernelScratch:
    """Room for `cell_in_kernel` with at most `rows` rows of D."""
    W = (D + 7) // 8 * 8
    return KernelScratch(
        np.zeros((D, D)),
        np.zeros((D, 2 * D + 2)),
        np.zeros((D, D)),
        np.zeros(D),
        np.zeros((D, D)),
        np.zeros((D, 2 * D)),
        np.zeros((10, 2 * W)),
        np.zeros((rows, W)),
        np.zeros((D, W)),
        np.zeros(W),
        np.zeros(W),
        np.zeros(W, dtype=np.int64),
        np.zeros(rows, dtype=np.int64),
    )


@njit()
def rows_of(st: Store, signs: Signs, path: Paths, length: int, constant: bool, region: RegionRows) -> int:
    """Write the rows of one region; returns how many J has, -1 where a row is not accurate enough."""
    P, PE, J, JE, H, HE = region
    L = st.gi[LAYERS]
    g = st.ROWS.shape[2]
    for k in range(L):
        for i in range(st.m[k]):
            st.SIGN[k, i] = signs[k, i]
    for k in range(1, L):
        if not block(st, k):
            return -1
        install(st, k)
    st.gi[TRAIL] = 0
    for t in range(length):
        for q in range(g):
            P[t, q] = st.G[path[t], q]
        PE[t] = st.GE[path[t]]
    h = 0
    for k in range(L - 1):
        for i in range(st.m[k]):
            for q in range(g):
                H[h, q] = st.G[st.BASE[k] + 2 * i + 1, q]
            HE[h] = st.GE[st.BASE[k] + 2 * i + 1]
            h += 1
    s = 0
    for j in range(st.m[L - 1]):
        if signs[L - 1, j] > 0:
            for q in range(g):
                J[s, q] = st.ROWS[L - 1, j, q]
            JE[s] = st.ERR[L - 1, j]
            s += 1
    if constant:
        for q in range(g):
            J[s, q] = 0.0
        J[s, g - 1] = 1.0
        JE[s] = 0.0
        s += 1
    return s


@njit()
def null_space(E: Floats, k: int, D: int, Zn: Floats, A: Floats, v: Floats) -> bool:
    """Orthonormal columns Zn (D, D - k) of the kernel of k rows E, by Householder QR of E^T; False if rank is low."""
    # A = E^T (D x k), reflectors stored below the diagonal.
    for i in range(k):
        norm = 0.0
        for j in range(D):
            norm += E[i, j] ** 2
        norm = norm**0.5
        if not norm > 0.0:
            return False
        for j in range(D):
            A[j, i] = E[i, j] / norm
    for c in range(k):
        norm = 0.0
        for j in range(c, D):
            norm += A[j, c] ** 2
        norm = norm**0.5
        if norm < 1e-11:
            return False
        alpha = -norm if A[c, c] > 0.0 else norm
        vv = 0.0
        for j in range(c, D):
            v[j] = A[j, c]
        v[c] -= alpha
        for j in range(c, D):
            vv += v[j] * v[j]
        for i in range(c, k):
            f = 0.0
            for j in range(c, D):
                f += v[j] * A[j, i]
            f = 2.0 * f / vv
            for j in range(c, D):
                A[j, i] -= f * v[j]
        # Keep the reflector in column k + c.
        for j in range(D):
            A[j, k + c] = v[j] / vv**0.5 if j >= c else 0.0
    for e in range(D - k):
        for j in range(D):
            v[j] = 0.0
        v[k + e] = 1.0
        for c in range(k - 1, -1, -1):
            f = 0.0
            for j in range(c, D):
                f += A[j, k + c] * v[j]
            for j in range(c, D):
                v[j] -= 2.0 * f * A[j, k + c]
        for j in range(D):
            Zn[j, e] = v[j]
    return True


@njit()
def pivots(F: Floats, d: int, g: int, columns: Ints) -> bool:
    """d columns on which the rows F (overwritten) are independent, by complete pivoting."""
    for c in range(g):
        columns[c] = c
    for c in range(d):
        best = 0.0
        pi = c
        pj = c
        for i in range(c, d):
            for j in range(c, g):
                if abs(F[i, columns[j]]) > best:
                    best = abs(F[i, columns[j]])
                    pi = i
                    pj = j
        if not best > 1e-12:
            return False
        t = columns[c]
        columns[c] = columns[pj]
        columns[pj] = t
        for q in range(g):
            f = F[c, q]
            F[c, q] = F[pi, q]
            F[pi, q] = f
        for i in range(c + 1, d):
            f = F[i, columns[c]] / F[c, columns[c]]
            for q in range(g):
                F[i, q] -= f * F[c, q]
    return True


@njit()
def independent(F: Floats, columns: Ints, r: int, error: float) -> bool:
    """Whether the pivots that `pivots` left in F prove that its r rows, known within `error`, are independent there.

    With complete pivoting both factors have inverses below 2^r entrywise, so the least singular value is at least the
    least pivot over r 4^r; it has to exceed the errors of the rows and of the elimination. A pivot is the largest entry
    that is left, so none of the r steps rounds an entry by more than 3 UNIT times the largest pivot.
    """
    least = 1.0
    most = 1.0
    for c in range(r):
        least = min(least, abs(F[c, columns[c]]))
        most = max(most, abs(F[c, columns[c]]))
    return least > r * 4.0**r * (4.0 * UNIT * r * r * most + r * error)


@njit()
def cell_in_kernel(
    E: Floats, EE: Floats, k: int, S: Floats, SE: Floats, count: int, D: int, scratch: KernelScratch, point: Floats
) -> int:
    """Is `{z : E z = 0, S z > 0}` empty? CLOSED (proved), MEETS (point in `point`, floats) or UNPROVED.

    E (k, D), S (count, D) with entrywise errors EE, SE. CLOSED by the rows ids[: D - k + 1] of S.
    """
    Zn, A, B, BE, inv, work, vec, G, M, x, u, ids, required = scratch
    q = D - k
    if q < 1 or not null_space(E, k, D, Zn, A, vec[9]):
        return UNPROVED
    W = x.shape[0]
    for i in range(count):
        norm = 0.0
        for e in range(q):
            f = 0.0
            for j in range(D):
                f += S[i, j] * Zn[j, e]
            G[i, e] = f
            norm += f * f
        norm = norm**0.5
        if norm < 1e-11:
            return UNPROVED
        for e in range(q):
            G[i, e] /= norm
        for e in range(q, W):
            G[i, e] = 0.0
        required[i] = i
    cell.clear(M, x, u, ids)
    status, met = cell.settle(G, required, count, M[:q], x, u, ids, vec[5], vec[6])
    if status == cell.FEASIBLE:
        for j in range(D):
            f = 0.0
            for e in range(q):
                f += Zn[j, e] * x[e]
            point[j] = f
        return MEETS
    if status != cell.EMPTY:
        return UNPROVED
    for e in range(q):
        if ids[e] < 0:
            return UNPROVED
        for j in range(D):
            B[k + e, j] = S[ids[e], j]
        BE[k + e] = SE[ids[e]]
    for r in range(k):
        for j in range(D):
            B[r, j] = E[r, j]
        BE[r] = EE[r]
    if not invert(B, D, inv, work):
        return UNPROVED
    top = quality(B, BE, inv, D, vec[0], vec[4])
    if not top < 0.5 or not enclose(B, BE, inv, D, vec[0], top, S[met], SE[met], vec[2], vec[3], vec[4]):
        return UNPROVED
    for e in range(q):
        if not vec[2, k + e] + vec[3, k + e] < 0.0:
            return UNPROVED
    ids[q] = met
    return CLOSED
