"""Moves of the compiled search: products, the center of more signs, circuits proved, points proved."""

from __future__ import annotations

import numpy as np

from mcinj._jit import njit
from mcinj.decide.layer.arrays import Cells, Floats, Ints
from mcinj.decide.layer.fields import DEGENERATE, FAST, HALF, INNER, INTEGERS, LIKELY, RANKED, ROWS, TARGET
from mcinj.numeric import cell
from mcinj.numeric.bits import Words, has, lowest, put
from mcinj.numeric.circuits import proved_basis, proved_integer, proved_on_support
from mcinj.numeric.extremes import larger, smaller
from mcinj.numeric.residues import rank_of


@njit(fastmath=FAST, **INNER)
def product(A: Floats, x: Floats, out: Floats, m: int) -> None:
    """out = a_i·x for all rows."""
    g = A.shape[0]
    m8 = (m + 7) // 8 * 8
    o = out[:m8]
    for i in range(m8):
        o[i] = 0.0
    j = 0
    while j + 4 <= g:
        x0 = x[j]
        x1 = x[j + 1]
        x2 = x[j + 2]
        x3 = x[j + 3]
        a0 = A[j]
        a1 = A[j + 1]
        a2 = A[j + 2]
        a3 = A[j + 3]
        for i in range(m8):
            o[i] += a0[i] * x0 + a1[i] * x1 + a2[i] * x2 + a3[i] * x3
        j += 4
    while j < g:
        f = x[j]
        a = A[j]
        for i in range(m8):
            o[i] += a[i] * f
        j += 1


@njit(**INNER)
def _worst(s: Floats, side: Floats, mask: Floats, numbers: Floats, rows: int) -> tuple[float, int]:
    """Largest `side_j s_j + mask_j` (how far the most violated row is on the wrong side), its first j, else `rows`."""
    top = -np.inf
    for j in range(rows):
        top = larger(top, side[j] * s[j] + mask[j])
    at = float(rows)
    for j in range(rows):
        at = smaller(at, numbers[j] if side[j] * s[j] + mask[j] == top else at)
    return top, int(at)


@njit(fastmath=FAST, **INNER)
def chain(c: Cells, m: int, slot: int, required: Words, positive: Words) -> tuple[int, int]:
    """Add the rows of `required` (as negative) and `positive` to a slot, most violated first, until none is violated.

    S holds the values at X on entry and on FEASIBLE return. Returns (status, row of G).
    """
    NW = required.shape[0]
    MP = c.A.shape[1]
    M, x, u, ids, s = c.M[slot], c.X[slot], c.U[slot], c.IDS[slot], c.S[slot]
    r, z, mask, side = c.F[0], c.F[1], c.F[2], c.F[3]
    start = True
    for k in range(x.shape[0]):
        if x[k] != 0.0:
            start = False
    rows = (m + 7) // 8 * 8
    for j in range(rows):
        mask[j] = -np.inf
        side[j] = 1.0
    for w in range(NW):
        b = required[w]
        while b != 0:
            mask[64 * w + lowest(b)] = 0.0
            b &= b - np.uint64(1)
        b = positive[w]
        while b != 0:
            mask[64 * w + lowest(b)] = 0.0
            side[64 * w + lowest(b)] = -1.0
            b &= b - np.uint64(1)
    repaired = False
    for _ in range(50 * (m + x.shape[0])):
        worst, j = _worst(s, side, mask, c.F[5], rows)
        if not worst > -cell.SATISFIED:
            return cell.FEASIBLE, -1
        if j >= m:
            return cell.UNSURE, -1
        row = j if side[j] > 0.0 else MP + j
        active = False
        for k in range(M.shape[0]):
            if ids[k] == row:
                active = True
        if active:
            if repaired:
                if worst > -0.5:
                    return cell.UNSURE, row
                mask[j] = -np.inf  # satisfied up to rounding
                continue
            repaired = True
            cell.rebuild(c.G, M, x, u, ids, r, z)
        else:
            repaired = False
            status = cell.add_row(c.G, row, 0.0 if start else -worst, M, x, u, ids, r, z)
            if status != cell.FEASIBLE:
                return status, row
            start = False
        product(c.A, x, s, m)
    return cell.UNSURE, -1


@njit(**INNER)
def circuit(c: Cells, gi: Ints, slot: int, row: int, required: Words, positive: Words, out: Words) -> bool:
    """Prove the circuit that `chain` met at `row` and write its rows to `out`; False if it could not be proved here.

    All its rows must be among the `required` (negative or assumed to be) and `positive` ones.
    """
    G, Z, scratch, rows, T2 = c.G, c.Z, c.F[4], c.J[0], c.T[c.T.shape[0] - 1]
    M, x, u, ids, r, z = c.M[slot], c.X[slot], c.U[slot], c.IDS[slot], c.F[0], c.F[1]
    g = M.shape[0]
    MP = G.shape[0] // 2
    full = True
    k = 0
    top = 1.0
    for i in range(g):
        top = max(top, abs(r[i]))
    for i in range(g):
        if ids[i] < 0 or not r[i] < -1e-11 * top:
            full = False
        if ids[i] >= 0 and r[i] < -1e-11 * top:
            rows[k] = ids[i]
            k += 1
    rows[k] = row
    k += 1
    for w in range(out.shape[1]):
        out[0, w] = np.uint64(0)
        out[1, w] = np.uint64(0)
    for i in range(k):
        j = rows[i]
        if j < MP:
            put(out[0], j)
            if not has(required, j):
                return False
        else:
            put(out[1], j - MP)
            if not has(positive, j - MP):
                return False
    if gi[INTEGERS]:
        if k < g + 1:
            gi[DEGENERATE] = 1
        if proved_integer(Z, MP, rows, k, T2):
            return True
    elif not full and Z.shape[0] > 0 and proved_on_support(Z, G, rows, k):
        gi[DEGENERATE] = 1
        return True
    if full:
        if proved_basis(G, row, M, ids, r, scratch):
            return True
        # The inverse may have drifted; make it afresh and try once more.
        cell.rebuild(G, M, x, u, ids, r, z)
        for i in range(g):
            r[i] = 0.0
        for j in range(g):
            f = G[row, j]
            for i in range(g):
                r[i] += M[j, i] * f
        if proved_basis(G, row, M, ids, r, scratch):
            return True
    return False


@njit(inline="always", **INNER)  # heavy callees are compiled once for each level that has them
def push(c: Cells, gi: Ints, slot: int, negative: Words, positive: Words, out: Words) -> int:
    """Move the center of a slot until rows are negative and positive: a status; EMPTY has its circuit in `out`."""
    status, row = chain(c, gi[ROWS], slot, negative, positive)
    if status == cell.EMPTY and not circuit(c, gi, slot, row, negative, positive, out):
        return cell.UNSURE
    return status


@njit(**INNER)
def positives(c: Cells, m: int, slot: int) -> int:
    """Rows not proved negative at the center of a slot, ascending, in J[0]; returns their number.

    |x| 1e-12 bounds every rounding error of S for g up to 1000 and of the rows themselves; rows in ZERO do not count.
    """
    s, x, scratch = c.S[slot], c.X[slot], c.J[0]
    norm = 0.0
    for k in range(x.shape[0]):
        norm += abs(x[k])
    eps = 1e-12 * norm
    count = 0
    for j in range(m):
        if not s[j] < -eps and not has(c.ZERO, j):
            scratch[count] = j
            count += 1
    return count


@njit(**INNER)
def count_of(c: Cells, gi: Ints, slot: int) -> int:
    """How many rows are not proved negative at the center of a slot, in J[0]; -1 if it is no point of the layer's."""
    x = c.X[slot]
    norm = 0.0
    for k in range(x.shape[0]):
        norm += abs(x[k])
    if not (norm > 0.0 and norm < 1e100):
        return -1
    if gi[HALF] > 0 and not c.S[slot, 0] < -1e-12 * norm:
        return -1  # outside of the half space of a layer with biases
    return positives(c, gi[ROWS], slot)


@njit(**INNER)
def is_witness(c: Cells, gi: Ints, slot: int, Q: Ints) -> bool:
    """Whether the center of a slot is proved to be a point where the rows that are not negative have rank below n."""
    count = count_of(c, gi, slot)
    n = gi[TARGET]
    if count < n:
        return count >= 0
    if gi[RANKED] == 0 or gi[LIKELY]:
        return False
    return bool(rank_of(Q[Q.shape[0] - 1], c.J[0], count, c.T[0]) < n)


@njit(**INNER)
def copy_cell(c: Cells, a: int, b: int, m: int) -> None:
    """Copy slot a to slot b."""
    cell.copy(c.M[a], c.X[a], c.U[a], c.IDS[a], c.M[b], c.X[b], c.U[b], c.IDS[b])
    s = c.S[a]
    t = c.S[b]
    for j in range(m):
        t[j] = s[j]
