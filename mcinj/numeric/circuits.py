"""Proofs inside the search: a Farkas combination is used only after it is proved, a witness only after it is.

A *signed circuit* is a set C of signed rows `b_i = ± a_i` with `Σ_C y_i b_i = 0`, y > 0: no point makes all of them
positive (Gordan). The kernel meets candidates as `b_e = Σ_k r_k b_k` with r < 0 in floats.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.numeric.enclosure import enclose, invert, quality

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Each entry of the rows in use is the exact one (times a positive factor of the row) within three roundings, and
# 2^-1022 absolutely where it underflowed. A dot product of length g in any order has relative error g u / (1 - g u);
# 4 u (g + 4) covers it, the entries' own errors and the last roundings of the bound itself. Products and entries that
# underflow add at most 2^-1022 each, times the number that the entry meets: less than _TINY (1 + Σ|r|) in a residual.
_UNIT = 2.0**-53
_TINY = 1e-290


@njit(_nrt=False)
def proved_basis(G: Floats, row: int, M: Floats, ids: Ints, r: Floats, scratch: Floats) -> bool:
    """Whether the exact solution of `G[row] = Σ_k r_k G[ids_k]` (g independent rows) is proved to have all r_k < 0.

    `M` is an approximate inverse of the matrix with rows G[ids_k] (`Σ_j M[j,k] G[ids_l,j] ≈ δ_kl`), r an approximate
    solution. With E = I - M^T B^T, |E|_∞ <= δ < 1 and ρ = G[row] - B^T r, the error of r is at most
    `|M^T||ρ| + δ/(1-δ) max(|M^T||ρ|)` (Rump, Acta Numerica 19, 2010, section 10). Every sum below is an upper bound
    for exact data: no rounding is neglected. `scratch` has at least 5 W entries.
    """
    g = M.shape[0]
    W = M.shape[1]
    gamma = 4.0 * _UNIT * (g + 4)
    a = G[row]
    colsum = scratch[:W]  # Σ_l |b_lj|
    resid = scratch[W : 2 * W]  # bound of |ρ_j|
    line = scratch[2 * W : 3 * W]
    for k in range(g):
        if ids[k] < 0 or not r[k] < 0.0:
            return False
    for j in range(W):
        colsum[j] = 0.0
        resid[j] = a[j]
        line[j] = abs(a[j])
    tiny = _TINY
    for k in range(g):
        b = G[ids[k]]
        f = r[k]
        h = abs(f)
        tiny += _TINY * h
        for j in range(W):
            resid[j] -= f * b[j]
            line[j] += h * abs(b[j])
            colsum[j] += abs(b[j])
    for j in range(g):
        resid[j] = (abs(resid[j]) + gamma * line[j]) * (1.0 + 1e-12) + tiny
    # g_k = Σ_j |M_jk| resid_j, its maximum, and the row sums of |E|.
    delta = scratch[3 * W : 4 * W]
    bound = scratch[4 * W : 5 * W]
    for k in range(W):
        delta[k] = 0.0
        bound[k] = 0.0
    for j in range(g):
        f = resid[j]
        h = gamma * colsum[j] + _TINY
        for k in range(W):
            bound[k] += abs(M[j, k]) * f
            delta[k] += abs(M[j, k]) * h
    for n in range(g):
        b = G[ids[n]]
        for k in range(W):
            line[k] = 0.0
        line[n] = 1.0
        j = 0
        while j + 4 <= g:
            f0 = b[j]
            f1 = b[j + 1]
            f2 = b[j + 2]
            f3 = b[j + 3]
            m0 = M[j]
            m1 = M[j + 1]
            m2 = M[j + 2]
            m3 = M[j + 3]
            for k in range(W):
                line[k] -= f0 * m0[k] + f1 * m1[k] + f2 * m2[k] + f3 * m3[k]
            j += 4
        while j < g:
            f0 = b[j]
            m0 = M[j]
            for k in range(W):
                line[k] -= f0 * m0[k]
            j += 1
        for k in range(W):
            delta[k] += abs(line[k])
    top = 0.0
    worst = 0.0
    for k in range(g):
        top = max(top, delta[k])
        worst = max(worst, bound[k])
    if not (top < 0.5 and worst < 1e300):
        return False
    spread = 2.0 * top * worst + _TINY
    for k in range(g):  # noqa: SIM110
        if not r[k] + (bound[k] + spread) * (1.0 + 1e-9) < 0.0:
            return False
    return True


@njit(_nrt=True)  # it allocates, and callers that do not pass on their settings
def proved_on_support(Z: Ints, G: Floats, rows: Ints, k: int) -> bool:
    """Whether signed unit rows G[rows[:k]], with nonzero entries where Z says so, are proved to form a circuit.

    k rows that live in k - 1 columns (sparse rows, convolutions) are one of full size there: the last is a combination
    of the others, and is proved to have negative coefficients only, if their columns prove independent.
    """
    g = Z.shape[1]
    flip = G.shape[0] // 2
    D = k - 1
    if not 1 <= D <= g:
        return False
    columns = np.empty(D, dtype=np.int64)
    count = 0
    for j in range(g):
        for i in range(k):
            if Z[rows[i] % flip, j] != 0:
                if count == D:
                    return False
                columns[count] = j
                count += 1
                break
    if count < D:
        return False
    B = np.empty((D, D))
    a = np.empty(D)
    for j in range(D):
        for i in range(D):
            B[i, j] = G[rows[i], columns[j]]
        a[j] = G[rows[D], columns[j]]
    errors = np.full(D, 4.0 * _UNIT)
    inverse = np.empty((D, D))
    delta, r, bound = np.empty(D), np.empty(D), np.empty(D)
    line = np.empty(2 * D)
    if not invert(B, D, inverse, np.empty((D, 2 * D))):
        return False
    top = quality(B, errors, inverse, D, delta, line)
    if not top < 0.5 or not enclose(B, errors, inverse, D, delta, top, a, 4.0 * _UNIT, r, bound, line):
        return False
    for i in range(D):  # noqa: SIM110
        if not r[i] + bound[i] < 0.0:
            return False
    return True


@njit(_nrt=False)
def proved_integer(A: Ints, flip: int, rows: Ints, k: int, T: Ints) -> bool:
    """Whether integer rows, `-A[i]` for i = rows[:k], or `A[i - flip]`, form a circuit, exactly in 64 bits.

    True only if their rank is k - 1 and the one dependence has all coefficients of one sign. False also where the
    numbers outgrow 64 bits. `T` is scratch of shape at least (k, g).
    """
    g = A.shape[1]
    if k < 2 or k > g + 1 or k > T.shape[0]:
        return False
    # Columns are the rows of the candidate: T[c] = ± A[·]; fraction-free Gauss–Jordan over the coordinates.
    for c in range(k):
        for j in range(g):
            T[c, j] = -A[rows[c], j] if rows[c] < flip else A[rows[c] - flip, j]
    limit = np.int64(2) ** 30
    previous = np.int64(1)
    done = 0
    for c in range(k - 1):
        pivot = -1
        for j in range(done, g):
            if T[c, j] != 0:
                pivot = j
                break
        if pivot < 0:
            return False  # the first k - 1 rows are dependent: not a circuit
        if pivot != done:
            for i in range(k):
                t = T[i, pivot]
                T[i, pivot] = T[i, done]
                T[i, done] = t
        p = T[c, done]
        if abs(p) >= limit:
            return False
        for j in range(g):
            if j == done:
                continue
            f = T[c, j]
            if abs(f) >= limit:
                return False
            for i in range(c, k):
                v = T[i, j]
                w = T[i, done]
                if abs(v) >= limit or abs(w) >= limit:
                    return False
                T[i, j] = (v * p - w * f) // previous
        # After this step every earlier pivot equals p as well.
        for i in range(c):
            T[i, i] = p
        previous = p
        done += 1
    last = T[k - 1]
    for j in range(done, g):
        if last[j] != 0:
            return False
    # Row k-1 = Σ_c (last[c] / previous) row c: a positive circuit iff every quotient is negative.
    for c in range(k - 1):  # noqa: SIM110
        if last[c] == 0 or (last[c] > 0) == (previous > 0):
            return False
    return True
