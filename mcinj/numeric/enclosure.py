"""Proved signs of coefficients: `a = Σ_k r_k b_k` with rows known up to stated errors.

Everything that the deep search closes a node with is one such statement: a cell is empty when a row is a negative
combination of g independent others (Farkas); a functional is nonnegative on a cone when its coefficients on g of the
cone's rows are. Rows carry entrywise error bounds since, beyond the first layer, they are computed.

The bounds are those of an approximate inverse (Rump, Acta Numerica 19, 2010, section 10): with `E = I - M^T B^T`,
`|E|_∞ <= δ < 1` and residual ρ, `|r* - r| <= |M^T||ρ| + δ_k max(|M^T||ρ|) / (1 - δ)`. No rounding is neglected.

A float product is `ab (1 + δ) + η`, |δ| <= UNIT, |η| <= LEAST; a sum has no η. (η would be 2^-1075; it is larger where
a processor or a library takes subnormal numbers for 0.) The relative parts are in the factors γ; the absolute ones of
up to 2^50 products add up to less than TINY, which every bound adds at its end.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UNIT = 2.0**-53
LEAST = 2.0**-1022
TINY = 1e-290
FAILED = 1e300


@njit()
def row_length(a: Floats, g: int) -> float:
    """|a| of g entries, up to rounding, without over- or underflow of squares; 0 for a row of zeros only."""
    top = 0.0
    for q in range(g):
        top = max(top, abs(a[q]))
    if not top > 0.0:
        return 0.0
    f = 0.0
    for q in range(g):
        v = a[q] / top
        f += v * v
    return float(top * f**0.5)


@njit()
def invert(B: Floats, D: int, M: Floats, work: Floats) -> bool:
    """M[:, k] such that `Σ_j B[l, j] M[j, k] ≈ δ_lk`, by Gauss–Jordan with partial pivoting; False where singular.

    `work` has shape (>= D, >= 2 D).
    """
    for i in range(D):
        for j in range(D):
            work[i, j] = B[i, j]
            work[i, D + j] = 0.0
        work[i, D + i] = 1.0
    for c in range(D):
        p = c
        best = abs(work[c, c])
        for i in range(c + 1, D):
            if abs(work[i, c]) > best:
                best = abs(work[i, c])
                p = i
        if not best > 1e-14:
            return False
        if p != c:
            for j in range(2 * D):
                t = work[p, j]
                work[p, j] = work[c, j]
                work[c, j] = t
        f = 1.0 / work[c, c]
        for j in range(2 * D):
            work[c, j] *= f
        for i in range(D):
            if i != c:
                h = work[i, c]
                if h != 0.0:
                    for j in range(2 * D):
                        work[i, j] -= h * work[c, j]
    # work = [I | B^-1], and Σ_j B[l, j] (B^-1)[j, k] = δ_lk.
    for j in range(D):
        for k in range(D):
            M[j, k] = work[j, D + k]
    return True


@njit()
def quality(B: Floats, BE: Floats, M: Floats, D: int, delta: Floats, line: Floats) -> float:
    """delta[k] >= Σ_l |E_kl| for all rows within `BE[l]` of B[l] in every entry; its maximum (FAILED if >= 1/2).

    `line` is scratch of at least 2 D entries.
    """
    gamma = 4.0 * UNIT * (D + 4)
    colsum = line[D : 2 * D]
    error = 0.0
    for j in range(D):
        colsum[j] = 0.0
    for k in range(D):
        delta[k] = 0.0
        error += BE[k]
    for i in range(D):
        for j in range(D):
            colsum[j] += abs(B[i, j])
        for k in range(D):
            line[k] = 0.0
        line[i] = 1.0
        for j in range(D):
            f = B[i, j]
            for k in range(D):
                line[k] -= f * M[j, k]
        for k in range(D):
            delta[k] += abs(line[k])
    for j in range(D):
        h = error + gamma * colsum[j] + TINY
        for k in range(D):
            delta[k] += abs(M[j, k]) * h
    top = 0.0
    for k in range(D):
        delta[k] = delta[k] * (1.0 + 1e-12) + TINY
        if not delta[k] < FAILED:
            return FAILED
        top = max(top, delta[k])
    return top if top < 0.5 else FAILED


@njit()
def enclose(
    B: Floats, BE: Floats, M: Floats, D: int, delta: Floats, top: float, a: Floats, ea: float, r: Floats, bound: Floats,
    line: Floats,
) -> bool:
    """r and bounds such that the exact coefficients of `a` on the rows B lie within `bound` of r.

    `a` is known within `ea` in every entry, B[k] within BE[k]; `delta`, `top` are from `quality`. `line` is scratch of
    at least D entries.
    """
    gamma = 4.0 * UNIT * (D + 4)
    if top >= 0.5:
        return False
    for k in range(D):
        r[k] = 0.0
        bound[k] = 0.0
    for j in range(D):
        f = a[j]
        for k in range(D):
            r[k] += M[j, k] * f
    error = ea
    for k in range(D):
        error += abs(r[k]) * BE[k]
    for j in range(D):
        resid = a[j]
        size = abs(a[j])
        for k in range(D):
            h = r[k] * B[k, j]
            resid -= h
            size += abs(h)
        line[j] = (abs(resid) + gamma * size + error) * (1.0 + 1e-12) + TINY
    worst = 0.0
    for j in range(D):
        f = line[j]
        for k in range(D):
            bound[k] += abs(M[j, k]) * f
    for k in range(D):
        worst = max(worst, bound[k])
    if not worst < FAILED:
        return False
    for k in range(D):
        bound[k] = (bound[k] + 2.0 * delta[k] * worst) * (1.0 + 1e-9) + TINY
    return True


@njit()
def proved_empty(
    G: Floats, GE: Floats, row: int, ids: Ints, M: Floats, B: Floats, BE: Floats, N: Floats, delta: Floats,
    r: Floats, bound: Floats, line: Floats, work: Floats,
) -> bool:
    """Whether G[row] is proved a combination of the rows G[ids] (g of them) with negative coefficients only.

    Then no x has `G_i·x > 0` (nor >= 0 with one of them > 0) for all these rows: the cell is empty. Tries the inverse
    M that the caller has, then a fresh one.
    """
    g = M.shape[0]
    for k in range(g):
        if ids[k] < 0:
            return False
        for j in range(g):
            B[k, j] = G[ids[k], j]
        BE[k] = GE[ids[k]]
    for attempt in range(2):
        if attempt == 0:
            for j in range(g):
                for k in range(g):
                    N[j, k] = M[j, k]
        elif not invert(B, g, N, work):
            return False
        top = quality(B, BE, N, g, delta, line)
        if top < 0.5 and enclose(B, BE, N, g, delta, top, G[row], GE[row], r, bound, line):
            good = True
            certain = False
            for k in range(g):
                if not r[k] + bound[k] < 0.0:
                    good = False
                if r[k] - bound[k] >= 0.0:
                    certain = True
            if good:
                return True
            if certain:
                return False
    return False
