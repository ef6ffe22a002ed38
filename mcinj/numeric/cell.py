"""The cell: the min-norm point of `{x : G_i·x >= 1}`, updated one signed row at a time (Goldfarb–Idnani).

A partial sign pattern is a set of signed rows `G_i` (`+a_i` or `-a_i`, unit norm). Its *center* is the least-norm x
with `G_i·x >= 1` for all of them; its margin is `1/|x|`. The dual active-set method of Goldfarb and Idnani
(Math. Programming 27, 1983) moves the center when a row is added: a few steps on an active set of at most g rows, or a
Farkas combination on at most g + 1 rows that shows the cell to be empty. The transposed pseudo-inverse of the active
rows is updated instead of refactorised.

Nothing here is a proof. A caller that closes a node proves the Farkas combination first (`mcinj.numeric.circuits`,
or exactly); a caller that reports a point checks it.

State of one cell, plain arrays so that a search can keep thousands of them and copy them slot by slot:

=========  ===============  ==========================================================================================
`M`        (g, W) float64   column k = k-th column of the pseudo-inverse of the active rows, 0 where slot k is free
`x`        (W,)  float64    center; entries g… are 0
`u`        (W,)  float64    multipliers: `x = Σ_k u_k G[ids_k]`, u >= 0
`ids`      (W,)  int64      row of slot k, -1 where free
=========  ===============  ==========================================================================================

`W = padded(g)` is g rounded up to a multiple of 8 and `G` has shape (rows, W), its padding 0: every inner loop then
runs over whole vector registers. There is no limit on g or on the number of rows. `r` and `z` are scratch, shape (W,).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.numeric.extremes import smaller

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FEASIBLE = 0
EMPTY = 1  # r holds the Farkas multipliers: G[row] ≈ Σ_k r_k G[ids_k] with r_k <= 0, so y_row = 1, y_k = -r_k
UNSURE = 2  # rounding decides; the caller must resolve the cell exactly or go on without an answer

SATISFIED = 1.0 - 1e-9  # a row with G_i·x at least this counts as satisfied
SLACK = 1e-12  # multipliers below this count as zero
HUGE = 1e13  # centers farther out than this have lost their meaning in float64 (margin 1e-13)

# Search arithmetic may be reassociated into vector form: its results are never trusted.
_FAST = {"reassoc", "contract", "arcp", "nsz"}


def padded(g: int) -> int:
    """`g` rounded up to a multiple of 8, the length of the state's vectors."""
    return max(8, (g + 7) // 8 * 8)


def padded_rows(rows: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Signed rows, shape (m, g), normalised and padded to (m, W); rows of zeros stay zero.

    Each entry is the exact one times a positive number that is common to its row, within two relative roundings, or
    within 2^-1022 where it is that small.
    """
    a = np.asarray(rows, dtype=np.float64)
    m, g = a.shape
    result = np.zeros((m, padded(g)))
    top = np.abs(a).max(axis=1, initial=0.0)
    _, exponent = np.frexp(top)
    # Two exact scalings: one alone could overflow for rows near the ends of the float64 range.
    half = -exponent // 2
    scaled = np.ldexp(np.ldexp(a, half[:, None]), (-exponent - half)[:, None])
    norm = np.sqrt((scaled * scaled).sum(axis=1))
    result[:, :g] = scaled / np.where(norm > 0, norm, 1.0)[:, None]
    return result


@njit(fastmath=_FAST, _nrt=False)
def clear(M: Floats, x: Floats, u: Floats, ids: Ints) -> None:
    """Make the state that of the whole space: x = 0, nothing active."""
    for j in range(M.shape[0]):
        for k in range(M.shape[1]):
            M[j, k] = 0.0
    for k in range(x.shape[0]):
        x[k] = 0.0
        u[k] = 0.0
        ids[k] = -1


@njit(fastmath=_FAST, _nrt=False)
def copy(
    M: Floats, x: Floats, u: Floats, ids: Ints, M2: Floats, x2: Floats, u2: Floats, ids2: Ints
) -> None:
    """Copy the first state into the second."""
    W = x.shape[0]
    for j in range(M.shape[0]):
        for k in range(W):
            M2[j, k] = M[j, k]
    for k in range(W):
        x2[k] = x[k]
        u2[k] = u[k]
        ids2[k] = ids[k]


@njit(fastmath=_FAST, _nrt=False)
def _times(M: Floats, a: Floats, r: Floats) -> None:
    """r = M^T a, four rows at a time: the loop is bound by loads and stores of r."""
    g = M.shape[0]
    W = M.shape[1]
    for k in range(W):
        r[k] = 0.0
    j = 0
    while j + 4 <= g:
        f0 = a[j]
        f1 = a[j + 1]
        f2 = a[j + 2]
        f3 = a[j + 3]
        m0 = M[j]
        m1 = M[j + 1]
        m2 = M[j + 2]
        m3 = M[j + 3]
        for k in range(W):
            r[k] += f0 * m0[k] + f1 * m1[k] + f2 * m2[k] + f3 * m3[k]
        j += 4
    while j < g:
        f0 = a[j]
        m0 = M[j]
        for k in range(W):
            r[k] += f0 * m0[k]
        j += 1


@njit(fastmath=_FAST, _nrt=False)
def _subtract(G: Floats, a: Floats, ids: Ints, g: int, r: Floats, z: Floats) -> float:
    """z = a - Σ r_k G[ids_k], four rows at a time; returns |z|². A free slot, where r is 0, takes row 0."""
    W = a.shape[0]
    for j in range(W):
        z[j] = a[j]
    k = 0
    while k + 4 <= g:
        f0 = r[k]
        f1 = r[k + 1]
        f2 = r[k + 2]
        f3 = r[k + 3]
        b0 = G[max(ids[k], 0)]
        b1 = G[max(ids[k + 1], 0)]
        b2 = G[max(ids[k + 2], 0)]
        b3 = G[max(ids[k + 3], 0)]
        for j in range(W):
            z[j] -= f0 * b0[j] + f1 * b1[j] + f2 * b2[j] + f3 * b3[j]
        k += 4
    while k < g:
        f0 = r[k]
        b0 = G[max(ids[k], 0)]
        for j in range(W):
            z[j] -= f0 * b0[j]
        k += 1
    zz = 0.0
    for j in range(W):
        zz += z[j] * z[j]
    return zz


@njit(fastmath=_FAST, _nrt=False)
def _project(G: Floats, a: Floats, M: Floats, ids: Ints, r: Floats, z: Floats) -> float:
    """r = M^T a, z = a - Σ r_k G[ids_k]; returns |z|² after a second pass where the first one cancelled."""
    g = M.shape[0]
    _times(M, a, r)
    zz = _subtract(G, a, ids, g, r, z)
    if zz < 1e-4:
        for k in range(g):
            f = 0.0
            if ids[k] >= 0:
                for j in range(g):
                    f += M[j, k] * z[j]
            if f != 0.0:
                r[k] += f
        zz = _subtract(G, a, ids, g, r, z)
    return zz


@njit(fastmath=_FAST, _nrt=False)
def _insert(M: Floats, r: Floats, z: Floats, zz: float, slot: int) -> None:
    W = M.shape[1]
    f0 = 1.0 / zz
    for j in range(M.shape[0]):
        f = z[j] * f0
        for k in range(W):
            M[j, k] -= r[k] * f
        M[j, slot] = f


@njit(fastmath=_FAST, _nrt=False)
def _remove(M: Floats, slot: int, z: Floats) -> None:
    g = M.shape[0]
    W = M.shape[1]
    vv = 0.0
    for k in range(W):
        z[k] = 0.0
    for j in range(g):
        f = M[j, slot]
        vv += f * f
        for k in range(W):
            z[k] += M[j, k] * f
    if vv <= 0.0:
        return
    iv = 1.0 / vv
    for j in range(g):
        f = M[j, slot] * iv
        for k in range(W):
            M[j, k] -= z[k] * f
        M[j, slot] = 0.0


@njit(fastmath=_FAST, _nrt=False)
def rebuild(G: Floats, M: Floats, x: Floats, u: Floats, ids: Ints, r: Floats, z: Floats) -> None:
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
    recenter(M, x)
    for k in range(W):
        f = 0.0
        if k < g and ids[k] >= 0:
            for j in range(g):
                f += M[j, k] * x[j]
        u[k] = max(f, 0.0)


@njit(fastmath=_FAST, _nrt=False)
def recenter(M: Floats, x: Floats) -> None:
    """x = M·1: the min-norm point with every active row at exactly 1."""
    for j in range(M.shape[0]):
        f = 0.0
        for k in range(M.shape[1]):
            f += M[j, k]
        x[j] = f


@njit(fastmath={"nsz"}, error_model="numpy", _nrt=False)
def _first_to_vanish(u: Floats, r: Floats, W: int, eps: float) -> tuple[float, int]:
    """The least u_k / r_k with r_k > eps, k < W, and its first k; inf and W if there is none."""
    least = np.inf
    for k in range(W):
        least = smaller(least, u[k] / r[k] if r[k] > eps else np.inf)
    at = W
    if least < np.inf:
        for k in range(W):
            at = min(at, k if r[k] > eps and u[k] / r[k] == least else W)
    return least, at


@njit(fastmath=_FAST, _nrt=False)
def add_row(
    G: Floats, row: int, ax: float, M: Floats, x: Floats, u: Floats, ids: Ints, r: Floats, z: Floats
) -> int:
    """Move the center to that of the cell with `G[row]·x >= 1` added; `ax` is G[row]·x at the present center.

    Returns FEASIBLE (the center satisfies the row with equality, rows that left the active set may now be violated: see
    `settle`), EMPTY (r holds the Farkas multipliers, the state is still valid for the rows that are active in it) or
    UNSURE.
    """
    g = M.shape[0]
    W = M.shape[1]
    if ax >= SATISFIED:
        return FEASIBLE
    a = G[row]
    p = 0
    slot = -1
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
        t1, who = _first_to_vanish(u, r, W, eps)
        if p < g and zz > (1e-13 * size) ** 2:
            t2 = (1.0 - ax) / zz
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
                recenter(M, x)
                xx = 0.0
                for k in range(W):
                    xx += x[k] * x[k]
                if not xx < HUGE * HUGE:
                    return UNSURE
                return FEASIBLE
        else:
            if who == W:
                return EMPTY
            for k in range(W):
                u[k] -= r[k] * t1
            unew += t1
        _remove(M, who, z)
        u[who] = 0.0
        ids[who] = -1
        p -= 1
    return UNSURE


@njit(fastmath=_FAST, _nrt=False)
def settle(
    G: Floats, required: Ints, count: int, M: Floats, x: Floats, u: Floats, ids: Ints, r: Floats, z: Floats
) -> tuple[int, int]:
    """Center of the cell of the rows `required[:count]` (int64 indices into G), from the present center.

    The present center must be that of a subset of them. Adds the most violated row until none is. Returns
    (status, row): FEASIBLE; EMPTY with the row that met the contradiction (multipliers in r as in `add_row`); UNSURE.
    """
    W = x.shape[0]
    for _ in range(50 * (count + W)):
        worst = SATISFIED
        row = -1
        for i in range(count):
            b = G[required[i]]
            f = 0.0
            for k in range(W):
                f += b[k] * x[k]
            if f < worst:
                worst = f
                row = required[i]
        if row < 0:
            return FEASIBLE, -1
        for k in range(M.shape[0]):
            if ids[k] == row:
                # An active row has drifted away from equality.
                rebuild(G, M, x, u, ids, r, z)
                worst = 0.0
                b = G[row]
                for j in range(W):
                    worst += b[j] * x[j]
                if worst < 0.5:
                    return UNSURE, row
                break
        if worst >= SATISFIED:
            continue
        active = False
        for k in range(M.shape[0]):
            if ids[k] == row:
                active = True
        if active:
            return FEASIBLE, -1  # satisfied up to the rounding of this center
        status = add_row(G, row, worst, M, x, u, ids, r, z)
        if status != FEASIBLE:
            return status, row
    return UNSURE, -1
