"""Two cells: can different points of them have one output? The one test of pairs, compiled.

Cells C, C' are cones on which the last layer is linear, with rows Z, Z'. If units S have the same value in both copies,
`Z_S x = Z'_S x'` for x in C, x' in C': equations E of 2g columns. Let F be the hidden units whose side differs. A pair
is closed, always for the closed cones, by

* rank: the kernel of E lies in the diagonal if rank E >= g + rank F; the first is found modulo a prime, for the second
  there is an upper bound;
* a full circuit: q + 1 rows of the cells that on the q-dimensional kernel of E have a positive combination of 0, any q
  of them independent. Only the point 0 is left then. It is looked for in one copy alone, in the quotient by the
  diagonal part `V = {(x, x) : F x = 0}`, on which E and the rows of F vanish (dimension g + rank F, in coordinates that
  determine a vector of V's annihilator), and in both copies. Circuits are proved as in `mcinj.numeric.enclosure`.

Regions with few active units (`few_active`) and closed cells of full patterns (`mcinj.decide.joint`) come to it, each
through a screen of their own; `walk` branches on units that may be equal or positive in neither copy.
"""

from __future__ import annotations

import numpy as np

from mcinj._jit import njit
from mcinj.decide.deep.store import INNER
from mcinj.decide.pairs.algebra import dot, independent, null_space, pivots, raises_rank
from mcinj.decide.pairs.store import (
    BOUND,
    BY_BOTH,
    BY_COPY,
    BY_QUOTIENT,
    BY_RANK,
    CONSTANT,
    MEETS,
    OFF,
    OPEN,
    SAME,
    SPAN,
    UNPROVED,
    WEAK,
    Cells,
    Floats,
    Ints,
    Scratch,
    Walk,
)
from mcinj.numeric import cell
from mcinj.numeric.bits import popcount
from mcinj.numeric.enclosure import LEAST, UNIT, enclose, invert, quality, row_length
from mcinj.numeric.residues import PRIME


@njit(**INNER)
def closed_cone(s: Scratch, E: Floats, k: int, count: int, D: int, point: Floats, closed: int) -> int:
    """Is `{z : E z = 0, S z >= 0}` only 0? `closed` (proved), MEETS (S z > 0 at `point`, floats) or UNPROVED.

    E: k independent rows of D entries, their errors in s.EE; S: the first `count` rows of s.S. Where it is closed,
    s.ids[: D - k + 1] are the rows of S of the circuit.
    """
    q = D - k
    if q < 1 or not null_space(E, k, D, s.Zn, s.A, s.vec[9]):
        return UNPROVED
    W = s.x.shape[0]
    some = 0
    for i in range(count):
        norm = 0.0
        for e in range(q):
            f = 0.0
            for j in range(D):
                f += s.S[i, j] * s.Zn[j, e]
            s.G[some, e] = f
            norm += f * f
        norm = norm**0.5
        if norm < 1e-11:
            continue  # nearly an equation: leaving a row out is sound
        for e in range(q):
            s.G[some, e] /= norm
        for e in range(q, W):
            s.G[some, e] = 0.0
        s.origin[some] = i
        some += 1
    cell.clear(s.M, s.x, s.u, s.ids)
    status, met = cell.settle(s.G, s.required, some, s.M[:q], s.x, s.u, s.ids, s.vec[5], s.vec[6])
    if status == cell.FEASIBLE:
        for j in range(D):
            f = dot(s.Zn[j], s.x, q)
            point[j] = f
        return MEETS
    if status != cell.EMPTY:
        return UNPROVED
    for e in range(q):
        if s.ids[e] < 0:
            return UNPROVED
        s.ids[e] = s.origin[s.ids[e]]
        for j in range(D):
            s.B[k + e, j] = s.S[s.ids[e], j]
        s.BE[k + e] = s.SE[s.ids[e]]
    for r in range(k):
        for j in range(D):
            s.B[r, j] = E[r, j]
        s.BE[r] = s.EE[r]
    last = s.origin[met]
    if not invert(s.B, D, s.inv, s.work):
        return UNPROVED
    top = quality(s.B, s.BE, s.inv, D, s.vec[0], s.vec[4])
    if not top < 0.5 or not enclose(
        s.B, s.BE, s.inv, D, s.vec[0], top, s.S[last], s.SE[last], s.vec[2], s.vec[3], s.vec[4]
    ):
        return UNPROVED
    for e in range(q):
        if not s.vec[2, k + e] + s.vec[3, k + e] < 0.0:
            return UNPROVED
    s.ids[q] = last
    return closed


@njit(**INNER)
def flips_rank(cells: Cells, s: Scratch, a: int, d: int) -> int:
    """Upper bound of the rank of the rows s.flips[:d] on cell a; exact where residues tell (`Cells.RH`)."""
    g = cells.Z.shape[2]
    if cells.RH.shape[0]:
        rank = 0
        for i in range(d):
            for q in range(g):
                s.line[q] = cells.RH[a, s.flips[i], q]
            if rank < g and raises_rank(s.line, s.T, s.lead, rank, g):
                rank += 1
        return rank
    first = cells.line.shape[0]
    columns = np.uint64(0)
    directions = 0
    others = 0
    for i in range(d):
        f = s.flips[i]
        if f >= first:
            others += 1
            continue
        columns |= cells.columns[f]
        new = True
        for e in range(i):
            if s.flips[e] < first and cells.line[s.flips[e]] == cells.line[f]:
                new = False
                break
        if new:
            directions += 1
    if first and g <= 64:
        directions = min(directions, popcount(columns))
    return int(min(g, directions + others))


@njit(**INNER)
def differences(cells: Cells, s: Scratch, a: int, b: int, d: int, columns: Ints, r: int) -> int:
    """The rows of the d units that differ, of a and of b in turn, b's in r columns; returns how many."""
    g = cells.Z.shape[2]
    for i in range(d):
        f = s.flips[i]
        side = 1.0 if cells.on[a, f] > 0 else -1.0
        for q in range(g):
            s.S[2 * i, q] = side * cells.H[a, f, q]
            s.S[2 * i + 1, q] = 0.0
        for e in range(r):
            s.S[2 * i, g + e] = 0.0
            s.S[2 * i + 1, g + e] = -side * cells.H[b, f, columns[e]]
        s.SE[2 * i] = cells.HE[a, f]
        s.SE[2 * i + 1] = cells.HE[b, f]
    return 2 * d


@njit(**INNER)
def in_quotient(cells: Cells, s: Scratch, a: int, b: int, d: int, r: int, k: int, point: Floats) -> int:
    """`closed_cone` in the quotient by V, with the first k equations: those that vanish on V."""
    g = cells.Z.shape[2]
    error = 0.0
    for i in range(d):
        f = s.flips[i]
        for q in range(g):
            s.F[i, q] = cells.H[a, f, q]
        error = max(error, cells.HE[a, f])
    if not (pivots(s.F, d, r, s.columns) and independent(s.F, s.columns, r, error)):
        return UNPROVED
    for t in range(k):
        for q in range(g):
            s.E2[t, q] = s.E[t, q]
        for e in range(r):
            s.E2[t, g + e] = s.E[t, g + s.columns[e]]
    return closed_cone(s, s.E2, k, differences(cells, s, a, b, d, s.columns, r), g + r, point, BY_QUOTIENT)


@njit(**INNER)
def has_own(cells: Cells, status: Ints, c: int) -> bool:
    """Whether the pair says more of a last-layer unit than is proved of it on cell c."""
    for j in range(status.shape[0]):  # noqa: SIM110
        if cells.kind[c, j] == OPEN and (status[j] == SAME or status[j] == OFF):
            return True
    return False


@njit(**INNER)
def _unit_row(cells: Cells, c: int, j: int, sign: float, at: int, D: int, out: Floats, error: Floats) -> bool:
    """out (D,) = a unit's row on cell c, of unit length, from column `at` on; error[0]. False for rows of zeros."""
    g = cells.Z.shape[2]
    norm = row_length(cells.Z[c, j], g)
    if not norm > LEAST:
        return False
    for q in range(D):
        out[q] = 0.0
    for q in range(g):
        out[at + q] = sign * cells.Z[c, j, q] / norm
    error[0] = cells.ZE[c, j] / norm * (1.0 + 1e-9) + 4.0 * UNIT
    return True


@njit(**INNER)
def copy_rows(cells: Cells, s: Scratch, status: Ints, count: int, c: int, at: int, D: int) -> int:
    """Append what holds in one copy, from column `at` on: its path, the signs of units; returns the new count."""
    g = cells.Z.shape[2]
    for t in range(cells.lengths[c]):
        for q in range(D):
            s.S[count, q] = 0.0
        for q in range(g):
            s.S[count, at + q] = cells.P[c, t, q]
        s.SE[count] = cells.PE[c, t]
        count += 1
    for j in range(status.shape[0]):
        if cells.kind[c, j] != OPEN or not (status[j] == SAME or status[j] == OFF):
            continue
        sign = 1.0 if status[j] == SAME else -1.0
        if _unit_row(cells, c, j, sign, at, D, s.S[count], s.SE[count:]):
            count += 1  # leaving a row out is sound
    return count


@njit(**INNER)
def _equations(cells: Cells, s: Scratch, w: Walk, a: int, b: int, enough: int) -> int:
    """Independent equations of both copies; returns how many, `enough` where so many close the pair; -1: not known."""
    g = cells.Z.shape[2]
    D = 2 * g
    rank = 0
    if w.si[CONSTANT]:
        for q in range(D):
            s.line[q] = 0
            s.E[0, q] = 0.0
        s.line[g - 1] = 1
        s.line[D - 1] = PRIME - 1
        s.E[0, g - 1] = 1.0
        s.E[0, D - 1] = -1.0
        s.EE[0] = 0.0
        if raises_rank(s.line, s.T, s.lead, 0, D):
            rank = 1
    for j in range(cells.Z.shape[1]):
        if w.status[j] != SAME:
            continue
        if cells.R.shape[0]:
            for q in range(g):
                s.line[q] = cells.R[a, j, q]
                v = cells.R[b, j, q]
                s.line[g + q] = PRIME - v if v != 0 else 0
            if not raises_rank(s.line, s.T, s.lead, rank, D):
                continue
        norm = max(row_length(cells.Z[a, j], g), row_length(cells.Z[b, j], g))
        if not norm > LEAST:
            return -1
        for q in range(g):
            s.E[rank, q] = cells.Z[a, j, q] / norm
            s.E[rank, g + q] = -cells.Z[b, j, q] / norm
        s.EE[rank] = max(cells.ZE[a, j], cells.ZE[b, j]) / norm * (1.0 + 1e-9) + 4.0 * UNIT
        rank += 1
        if rank >= enough:
            break
    return rank


@njit(**INNER)
def _one_sided(cells: Cells, s: Scratch, w: Walk, a: int, b: int, rank: int) -> tuple[int, int]:
    """Equations of one copy: units that are nonnegative there, positive in neither. All equations, and how many new."""
    g = cells.Z.shape[2]
    D = 2 * g
    ones = 0
    for j in range(cells.Z.shape[1]):
        if w.status[j] != OFF:
            continue
        for side in range(2):
            c = a if side == 0 else b
            if cells.kind[c, j] != WEAK or not _unit_row(cells, c, j, 1.0, side * g, D, s.E[rank], s.EE[rank:]):
                continue
            ones += 1
            for q in range(D):
                s.line[q] = 0
            for q in range(g):
                s.line[side * g + q] = cells.R[c, j, q]
            if raises_rank(s.line, s.T, s.lead, rank, D):
                rank += 1
    return rank, ones


@njit(**INNER)
def test(cells: Cells, s: Scratch, w: Walk, a: int, b: int) -> int:
    """Test cells a, b with units as in w.status: BY_RANK … BY_BOTH (closed), MEETS (both at w.point) or UNPROVED."""
    g = cells.Z.shape[2]
    D = 2 * g
    d = 0
    for i in range(cells.on.shape[1]):
        if cells.on[a, i] != cells.on[b, i]:
            s.flips[d] = i
            d += 1
    r = w.si[SPAN] if w.si[SPAN] >= 0 else flips_rank(cells, s, a, d)
    w.si[BOUND] = r
    # First equations that vanish on V, then one-sided ones.
    both = _equations(cells, s, w, a, b, g + r)
    if both < 0:
        return UNPROVED
    if both >= g + r:
        return BY_RANK
    rank, ones = _one_sided(cells, s, w, a, b, both)
    if ones and rank >= g + min(r + ones, g):
        return BY_RANK
    for side in range(2):
        c = a if side == 0 else b
        if has_own(cells, w.status, c):
            count = copy_rows(cells, s, w.status, 0, c, 0, g)
            if closed_cone(s, s.E2, 0, count, g, w.point, BY_COPY) == BY_COPY:
                return BY_COPY
    if r < g and in_quotient(cells, s, a, b, d, r, both, w.point) == BY_QUOTIENT:
        return BY_QUOTIENT
    count = differences(cells, s, a, b, d, s.every, g)
    count = copy_rows(cells, s, w.status, count, a, 0, D)
    count = copy_rows(cells, s, w.status, count, b, g, D)
    return closed_cone(s, s.E, rank, count, D, w.point, BY_BOTH)
