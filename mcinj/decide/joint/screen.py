"""The screen before pairs of closed cells: signs of the last layer's units on each, and the pairs that they leave."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mcinj._jit import njit
from mcinj.decide.deep.store import INNER
from mcinj.decide.pairs.store import ABOVE, BELOW, Floats, Ints, Kinds, Words
from mcinj.numeric import cell
from mcinj.numeric.bits import popcount
from mcinj.numeric.enclosure import LEAST, UNIT, proved_empty, row_length

_POINTS = 16  # of a cell that are remembered


class Screen(NamedTuple):
    """Sets of C cells as bits: active hidden units, sides (C, HW); units of the next layer that are ABOVE, that are
    BELOW (C, MW)."""

    sides: Words
    above: Words
    below: Words


@njit(**INNER)
def _combined(a: Floats, M: Floats, ids: Ints, g: int) -> bool:
    """Whether floats make `a` a combination of the g active rows with negative coefficients only."""
    for k in range(g):
        if ids[k] < 0:
            return False
        f = 0.0
        for q in range(g):
            f += M[q, k] * a[q]
        if not f < -1e-9:
            return False
    return True


@njit()
def classify(Z: Floats, ZE: Floats, P: Floats, PE: Floats, lengths: Ints, kind: Kinds) -> None:
    """Prove strict signs: a row that is a combination of g path rows with positive coefficients is ABOVE.

    Such a row is positive on the closed cell but at 0. Negative ones are BELOW. Rows that the basis of the cell's
    center proves, or that change their side between points that are known, need no search.
    """
    C, m, g = Z.shape
    K = P.shape[1]
    W = (g + 7) // 8 * 8
    G = np.zeros((K + 1, W))
    GE = np.zeros(K + 1)
    M = np.zeros((g, W))
    x = np.zeros(W)
    u = np.zeros(W)
    ids = np.zeros(W, dtype=np.int64)
    M2 = np.zeros((g, W))
    x2 = np.zeros(W)
    u2 = np.zeros(W)
    ids2 = np.zeros(W, dtype=np.int64)
    required = np.zeros(K + 1, dtype=np.int64)
    vec = np.zeros((6, 2 * W))
    B = np.zeros((g, g))
    BE = np.zeros(g)
    N = np.zeros((g, g))
    work = np.zeros((g, 2 * g))
    known = np.zeros((_POINTS, g))
    for c in range(C):
        length = lengths[c]
        for t in range(length):
            for q in range(g):
                G[t, q] = P[c, t, q]
            GE[t] = PE[c, t]
            required[t] = t
        cell.clear(M, x, u, ids)
        status, _ = cell.settle(G, required, length, M, x, u, ids, vec[0], vec[1])
        if status != cell.FEASIBLE:
            continue
        required[length] = length
        points = 0
        for j in range(m):
            if kind[c, j] == BELOW:
                continue
            norm = row_length(Z[c, j], g)
            value = 0.0
            for q in range(g):
                value += Z[c, j, q] * x[q]
            if not norm > LEAST:
                continue
            s = -1.0 if value > 0.0 else 1.0
            for q in range(g):
                G[length, q] = s * Z[c, j, q] / norm
            GE[length] = ZE[c, j] / norm * (1.0 + 1e-9) + 4.0 * UNIT
            if _combined(G[length], M, ids, g) and proved_empty(
                G, GE, length, ids, M, B, BE, N, vec[2], vec[3], vec[4], vec[5], work
            ):
                kind[c, j] = ABOVE if s < 0.0 else BELOW
                continue
            crosses = False
            for t in range(points):
                v = 0.0
                for q in range(g):
                    v += G[length, q] * known[t, q]
                crosses = crosses or v > 0.0
            if crosses:
                continue  # OPEN, whatever rounding does to the point
            cell.copy(M, x, u, ids, M2, x2, u2, ids2)
            status, met = cell.settle(G, required, length + 1, M2, x2, u2, ids2, vec[0], vec[1])
            if status == cell.FEASIBLE:
                if points < _POINTS:
                    for q in range(g):
                        known[points, q] = x2[q]
                    points += 1
            elif status == cell.EMPTY and proved_empty(
                G, GE, met, ids2, M2, B, BE, N, vec[2], vec[3], vec[4], vec[5], work
            ):
                kind[c, j] = ABOVE if s < 0.0 else BELOW


@njit()
def survivors(screen: Screen, start: int, near: int, far: int, out: Ints) -> tuple[int, int]:
    """Pairs (a, b, sides that differ), b < a, a >= start, near < difference <= far, that no unit's sign closes.

    Returns their number and the next a; whole rows only, and all of `out` must hold a row at least.
    """
    C = screen.sides.shape[0]
    HW = screen.sides.shape[1]
    MW = screen.above.shape[1]
    count = 0
    a = start
    steps = 0
    while a < C:
        if count + a > out.shape[0] or steps > 200_000_000:
            break
        steps += a
        for b in range(a):
            apart = False
            for w in range(MW):
                if (screen.above[a, w] & screen.below[b, w]) | (screen.above[b, w] & screen.below[a, w]) != 0:
                    apart = True
                    break
            if apart:
                continue
            d = 0
            for w in range(HW):
                d += popcount(screen.sides[a, w] ^ screen.sides[b, w])
            if near < d <= far:
                out[count, 0] = a
                out[count, 1] = b
                out[count, 2] = d
                count += 1
        a += 1
    return count, a
