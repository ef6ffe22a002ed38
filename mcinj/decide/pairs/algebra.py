"""Kernels of equations, pivots and ranks modulo a prime: small matrices in plain arrays, compiled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.decide.deep.store import INNER
from mcinj.numeric.enclosure import UNIT
from mcinj.numeric.residues import PRIME, reduce

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@njit(**INNER)
def dot(a: Floats, b: Floats, n: int) -> float:
    """a·b of n entries, summed in their order."""
    f = 0.0
    for q in range(n):
        f += a[q] * b[q]
    return f


@njit(**INNER)
def null_space(E: Floats, k: int, D: int, Zn: Floats, A: Floats, v: Floats) -> bool:
    """Orthonormal columns Zn (D, D - k) of the kernel of k rows E, by Householder QR of E^T; False if rank is low."""
    # A = E^T (D x k), reflectors stored below the diagonal.
    for i in range(k):
        norm = dot(E[i], E[i], D) ** 0.5
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


@njit(**INNER)
def pivots(F: Floats, d: int, r: int, columns: Ints) -> bool:
    """r columns on which r of the d rows F (overwritten) are independent, by complete pivoting."""
    g = columns.shape[0]
    for c in range(g):
        columns[c] = c
    for c in range(r):
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


@njit(**INNER)
def independent(F: Floats, columns: Ints, r: int, error: float) -> bool:
    """Whether the pivots that `pivots` left in F prove that r rows, known within `error`, are independent there.

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


@njit(**INNER)
def raises_rank(line: Ints, T: Ints, lead: Ints, rank: int, D: int) -> bool:
    """Add `line`, residues modulo 2^31 - 1, to the echelon T of `rank` rows; False if it adds nothing.

    lead[e] is the first column of row e that is not 0.
    """
    for e in range(rank):
        c = lead[e]
        f = line[c]
        if f != 0:
            p = T[e, c]
            f = PRIME - f
            for j in range(D):
                line[j] = reduce(reduce(line[j] * p) + reduce(T[e, j] * f))
    for j in range(D):
        if line[j] != 0:
            for i in range(D):
                T[rank, i] = line[i]
            lead[rank] = j
            return True
    return False
