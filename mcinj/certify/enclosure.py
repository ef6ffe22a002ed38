"""Coefficients of a row on g others with rigorous error bounds: `a = Σ_k y_k b_k`. Compiled.

With R ≈ B^-1, E = I - BR and ỹ = aR, the error is `y - ỹ = ρ R (I - E)^-1`, ρ = a - ỹB. If the columns of |E| sum to at
most δ < 1, then `|y - ỹ|_k <= u_k + δ_k max(u) / (1 - δ)` with u = |ρ||R| (S. M. Rump, *Verification methods*, Acta
Numerica 19, 2010, §10). Rows are known up to entrywise errors, which enter E and ρ; γ covers the rounding of sums.

A float product has, beside its relative error, an absolute one below LEAST where it underflows (or is flushed to 0); a
sum has none. Every bound below adds TINY, more than the absolute errors of all products in it (fewer than 2^90).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit

Floats = npt.NDArray[np.float64]

UNIT = 2.0**-53
LEAST = 2.0**-1022
TINY = 1e-280


@njit()
def invert(b: Floats, r: Floats, work: Floats) -> bool:
    """r ≈ b^-1 by elimination with row pivoting; False if singular. `work` has shape (g, 2 g)."""
    g = b.shape[0]
    for i in range(g):
        for j in range(g):
            work[i, j] = b[i, j]
            work[i, g + j] = 1.0 if i == j else 0.0
    for c in range(g):
        best = c
        for i in range(c + 1, g):
            if abs(work[i, c]) > abs(work[best, c]):
                best = i
        if not abs(work[best, c]) > 1e-200:
            return False
        if best != c:
            for j in range(2 * g):
                t = work[c, j]
                work[c, j] = work[best, j]
                work[best, j] = t
        f = work[c, c]
        for j in range(2 * g):
            work[c, j] /= f
        for i in range(g):
            if i != c and work[i, c] != 0.0:
                f = work[i, c]
                for j in range(2 * g):
                    work[i, j] -= f * work[c, j]
    for i in range(g):
        for j in range(g):
            r[i, j] = work[i, g + j]
    return True


@njit()
def spread(b: Floats, be: Floats, r: Floats, delta: Floats) -> bool:
    """delta[k] >= Σ_l |E_lk| for every B whose row l is within be[l] of b[l]; False unless all are below 1/2."""
    g = b.shape[0]
    gamma = 4.0 * UNIT * (g + 4)
    for k in range(g):
        delta[k] = 0.0
    for i in range(g):
        for k in range(g):
            value = 1.0 if i == k else 0.0
            size = value
            column = 0.0
            for j in range(g):
                h = b[i, j] * r[j, k]
                value -= h
                size += abs(h)
                column += abs(r[j, k])
            delta[k] += abs(value) + gamma * size + be[i] * column + TINY
    for k in range(g):
        delta[k] *= 1.0 + 1e-9
        if not delta[k] < 0.5:
            return False
    return True


@njit()
def coefficients(
    b: Floats, be: Floats, r: Floats, delta: Floats, a: Floats, ae: float, y: Floats, bound: Floats
) -> bool:
    """The exact coefficients lie within `bound` of y; False if nothing can be said. After `spread` said True."""
    g = b.shape[0]
    gamma = 4.0 * UNIT * (g + 4)
    rows = ae
    for k in range(g):
        value = 0.0
        for j in range(g):
            value += a[j] * r[j, k]
        y[k] = value
        bound[k] = 0.0
        rows += abs(value) * be[k]
    for j in range(g):
        value = a[j]
        size = abs(a[j])
        for k in range(g):
            h = y[k] * b[k, j]
            value -= h
            size += abs(h)
        rho = abs(value) + gamma * size + rows * (1.0 + 1e-9) + TINY
        for k in range(g):
            bound[k] += rho * abs(r[j, k])
    most = 0.0
    for k in range(g):
        if not bound[k] < 1e250:
            return False
        most = max(most, bound[k])
    for k in range(g):
        bound[k] = (bound[k] + 2.0 * delta[k] * most) * (1.0 + 1e-9) + TINY
    return True
