"""The least-norm point of `{x : G_i·x >= H_i}` with any right-hand sides, and proofs that none lies in the unit ball.

The method is that of `mcinj.numeric.cell` (Goldfarb and Idnani, Math. Programming 27, 1983), whose state it shares:
`M X U IDS`. There all right-hand sides are 1, here they are levels of any sign.

The multipliers say when the ball is missed: with λ >= 0 every x of the set has `λ·H <= (Σ λ_i G_i)·x`, which is at most
`|Σ λ_i G_i|` in the unit ball. So `|Σ λ_i G_i| < λ·H` proves that the set has no point there, whatever λ came from.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.numeric.cell import _insert, _project, _remove, _times

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FEASIBLE = 0
EMPTY = 1  # proved: the certificate is in C and L
UNSURE = 2

SLACK = 1e-12  # rows violated by less count as satisfied, multipliers below count as zero
_BEYOND = 1.0 + 1e-14  # squared length from which a proof is tried
_UNIT = 2.0**-53
_TINY = 1e-290
_FAST = {"reassoc", "contract", "arcp", "nsz"}


@njit()
def proved(G: Floats, H: Floats, C: Ints, L: Floats, count: int, n: int) -> bool:
    """Whether no point of the unit ball has `G[C_k]·x >= H[C_k]` for all k < count, by the multipliers `L[:count]`.

    G is exact up to one relative rounding per entry, or 2^-1022 where it underflowed; H is what it is. Sums of `count`
    products, in any order, err by at most (count + 2) u times the sum of their sizes; 2 u (count + 8) covers the rows'
    errors and the bound's own roundings.
    """
    gamma = 2.0 * _UNIT * (count + 8)
    total = 0.0
    size = 0.0
    weight = 0.0
    for k in range(count):
        f = L[k]
        if not f >= 0.0:
            return False
        total += f * H[C[k]]
        size += f * abs(H[C[k]])
        weight += f
    square = 0.0
    for j in range(n):
        v = 0.0
        error = 0.0
        for k in range(count):
            v += L[k] * G[C[k], j]
            error += L[k] * abs(G[C[k], j])
        v = abs(v) + gamma * error + _TINY * weight
        square += v * v
    norm = np.sqrt(square) * (1.0 + 2.0 * _UNIT * (n + 8)) + _TINY
    return bool(norm < total - gamma * size - _TINY * (1.0 + weight))


@njit(fastmath=_FAST)
def recenter(H: Floats, M: Floats, x: Floats, ids: Ints) -> None:
    """The least-norm point with every active row at its level."""
    for j in range(M.shape[0]):
        f = 0.0
        for k in range(M.shape[0]):
            if ids[k] >= 0:
                f += M[j, k] * H[ids[k]]
        x[j] = f


@njit(fastmath=_FAST)
def rebuild(G: Floats, H: Floats, M: Floats, x: Floats, u: Floats, ids: Ints, r: Floats, z: Floats) -> None:
    """Recompute M, x and u from the active rows alone, to undo accumulated rounding."""
    g = M.shape[0]
    W = M.shape[1]
    for j in range(g):
        for k in range(W):
            M[j, k] = 0.0
    for k in range(g):
        row = ids[k]
        if row < 0:
            continue
        ids[k] = -1
        zz = _project(G, G[row], M, ids, r, z)
        if zz < 1e-26:
            u[k] = 0.0
            continue
        _insert(M, r, z, zz, k)
        ids[k] = row
    recenter(H, M, x, ids)
    for k in range(W):
        f = 0.0
        if k < g and ids[k] >= 0:
            for j in range(g):
                f += M[j, k] * x[j]
        u[k] = max(f, 0.0)


@njit(fastmath=_FAST)
def add_row(
    G: Floats, H: Floats, row: int, ax: float, M: Floats, x: Floats, u: Floats, ids: Ints, r: Floats, z: Floats
) -> int:
    """Move the center to that of the set with `G[row]·x >= H[row]` added; `ax` is G[row]·x at the present one.

    As `mcinj.numeric.cell.add_row`. EMPTY is a guess here: r holds the multipliers, `G[row] ≈ Σ_k r_k G[ids_k]`.
    """
    g = M.shape[0]
    W = M.shape[1]
    a = G[row]
    p = 0
    for k in range(g):
        if ids[k] >= 0:
            p += 1
    unew = 0.0
    for _ in range(20 * g + 50):
        zz = 0.0
        size = 1.0
        if p < g:
            zz = _project(G, a, M, ids, r, z)
        else:
            _times(M, a, r)
        for k in range(W):
            size += abs(r[k])
        eps = SLACK * size
        t1 = np.inf
        who = -1
        for k in range(g):
            if ids[k] >= 0 and r[k] > eps:
                t = u[k] / r[k]
                if t < t1:
                    t1 = t
                    who = k
        if p < g and zz > (1e-13 * size) ** 2:
            t2 = (H[row] - ax) / zz
            t = min(t1, t2)
            for k in range(W):
                x[k] += z[k] * t
                u[k] -= r[k] * t
            unew += t
            ax += t * zz
            if t2 <= t1:
                slot = 0
                while ids[slot] >= 0:
                    slot += 1
                _insert(M, r, z, zz, slot)
                u[slot] = unew
                ids[slot] = row
                recenter(H, M, x, ids)
                return FEASIBLE
        else:
            if who < 0:
                return EMPTY
            for k in range(W):
                u[k] -= r[k] * t1
            unew += t1
        _remove(M, who, z)
        u[who] = 0.0
        ids[who] = -1
        p -= 1
    return UNSURE


class Center(NamedTuple):
    """A least-norm point: the state M, x, u, ids of `mcinj.numeric.cell`; (2, ≥ W) scratch F; rows C and multipliers L
    of a certificate, (W + 1,) or longer."""

    M: Floats
    x: Floats
    u: Floats
    ids: Ints
    F: Floats
    C: Ints
    L: Floats


@njit()
def settle(G: Floats, H: Floats, required: Ints, count: int, n: int, center: Center, limit: float) -> tuple[int, int]:
    """Least-norm point of the rows `required[:count]`, from that of some of them.

    Returns (status, k): EMPTY where the unit ball is proved to be missed, with k rows of the certificate in C and their
    multipliers in L; FEASIBLE where a point seems to be found; UNSURE where rounding decides. The proof is tried as
    soon as the squared length, which only grows, is beyond `limit` (inf: never).
    """
    M, x, u, ids, F, C, L = center
    W = x.shape[0]
    r = F[0]
    z = F[1]
    fresh = False
    for _ in range(50 * (count + W)):
        worst = SLACK
        row = -1
        for i in range(count):
            b = G[required[i]]
            f = H[required[i]]
            for k in range(n):
                f -= b[k] * x[k]
            if f > worst:
                worst = f
                row = required[i]
        if row < 0:
            return FEASIBLE, 0
        active = False
        for k in range(n):
            if ids[k] == row:
                active = True
        if active:
            # An active row has drifted away from its level.
            if fresh:
                return (FEASIBLE if worst < 1e-9 else UNSURE), 0
            rebuild(G, H, M, x, u, ids, r, z)
            fresh = True
            continue
        fresh = False
        status = add_row(G, H, row, H[row] - worst, M, x, u, ids, r, z)
        if status == UNSURE:
            return UNSURE, 0
        found = 0
        if status == EMPTY:
            for k in range(n):
                if ids[k] >= 0 and r[k] < 0.0:
                    C[found] = ids[k]
                    L[found] = -r[k]
                    found += 1
            C[found] = row
            L[found] = 1.0
            found += 1
            if limit < np.inf and not proved(G, H, C, L, found, n):
                return UNSURE, 0
            return EMPTY, found
        xx = 0.0
        for k in range(n):
            xx += x[k] * x[k]
        if not xx < 1e30:
            return UNSURE, 0
        if xx > limit:
            for k in range(n):
                if ids[k] >= 0 and u[k] > 0.0:
                    C[found] = ids[k]
                    L[found] = u[k]
                    found += 1
            if proved(G, H, C, L, found, n):
                return EMPTY, found
    return UNSURE, 0
