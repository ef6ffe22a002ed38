"""Pairs of closed cells: can two different points of them have one output? Branch and bound, compiled.

At a collision every unit has equal pre-activations in both cells (SAME), or is positive in neither (OFF). Where the
signs of `cells` do not say which, a node is split. A node is closed, always for the closed cells, by

* rank: the kernel of its equations E lies in the diagonal if rank E >= g + rank (E on the diagonal); the first is found
  modulo a prime, the second is at most the number of hidden units whose side differs (plus one-sided equations);
* a full circuit: q + 1 rows in the q-dimensional kernel of E with a positive combination of 0, any q of them
  independent, leave only the point 0 of the closed cone: in both copies, in the quotient by the diagonal part on which
  the units whose side differs vanish, or in one copy alone.

What neither closes is branched on and in the end handed to the caller, who decides exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mcinj._jit import njit
from mcinj.decide.deep.store import INNER
from mcinj.decide.joint.cells import ABOVE, BELOW, OPEN, WEAK, Cells, Floats, Ints
from mcinj.decide.pairs.kernel import KernelScratch, independent, kernel_scratch, null_space, pivots
from mcinj.numeric import cell
from mcinj.numeric.bits import popcount
from mcinj.numeric.enclosure import LEAST, UNIT, enclose, invert, quality, row_length
from mcinj.numeric.residues import PRIME, reduce

# What a unit is at a node.
NOTHING, SAME, OFF, FREE = range(4)
# Why `run` returned.
DONE, PAUSED, ASK, CANDIDATE = range(4)
# Integers of a run: position in the list of pairs, depth in the tree of one pair, nodes, counts by kind of closing;
# whether the caller answers with a point to branch at; the rank of the units that differ as the caller found it (-1:
# not asked), its upper bound so far, and whether to test the node again with it.
POSITION, DEPTH, NODES, LIMIT, BY_RANK, BY_QUOTIENT, BY_COPY, BY_BOTH, BRANCH, SPAN, BOUND, AGAIN = range(12)
COUNTERS = 16

_CLOSED, _MEETS, _UNPROVED = 0, 1, 2


@njit()
def survivors(cells: Cells, start: int, near: int, far: int, out: Ints) -> tuple[int, int]:
    """Pairs (a, b, sides that differ), b < a, a >= start, near < difference <= far, that no unit's sign closes.

    Returns their number and the next a; whole rows only, and all of `out` must hold a row at least.
    """
    C = cells.sides.shape[0]
    HW = cells.sides.shape[1]
    MW = cells.above.shape[1]
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
                if (cells.above[a, w] & cells.below[b, w]) | (cells.above[b, w] & cells.below[a, w]) != 0:
                    apart = True
                    break
            if apart:
                continue
            d = 0
            for w in range(HW):
                d += popcount(cells.sides[a, w] ^ cells.sides[b, w])
            if near < d <= far:
                out[count, 0] = a
                out[count, 1] = b
                out[count, 2] = d
                count += 1
        a += 1
    return count, a


class Scratch(NamedTuple):
    """Working arrays of `run`: D = 2 g at most, at most `rows` inequalities."""

    E: Floats
    EE: Floats
    E2: Floats
    S: Floats
    SE: Floats
    F: Floats
    columns: Ints
    flips: Ints
    cell: KernelScratch
    origin: Ints
    T: Ints
    lead: Ints
    line: Ints


def make_scratch(cells: Cells) -> Scratch:
    """Arrays for pairs of these cells."""
    m, g = cells.Z.shape[1:]
    K, h = cells.P.shape[1], cells.H.shape[1]
    D, rows = 2 * g, 2 * (K + h + m) + 4
    return Scratch(
        E=np.zeros((D + 1, D)), EE=np.zeros(D + 1), E2=np.zeros((D + 1, D)), S=np.zeros((rows, D)), SE=np.zeros(rows),
        F=np.zeros((h + 1, g)), columns=np.zeros(g, dtype=np.int64), flips=np.zeros(h + 1, dtype=np.int64),
        cell=kernel_scratch(D, rows), origin=np.zeros(rows, dtype=np.int64), T=np.zeros((D + 1, D), dtype=np.int64),
        lead=np.zeros(D + 1, dtype=np.int64), line=np.zeros(D, dtype=np.int64),
    )  # fmt: skip


@njit(**INNER)
def closed_cone(s: Scratch, E: Floats, k: int, count: int, D: int, point: Floats) -> int:
    """Is `{z : E z = 0, S z >= 0}` only 0? _CLOSED (proved), _MEETS (S z > 0 at `point`, floats) or _UNPROVED.

    E: k independent rows of D entries; S: `count` rows, errors in s.EE, s.SE.
    """
    c = s.cell
    q = D - k
    if q < 1 or not null_space(E, k, D, c.Zn, c.A, c.vec[9]):
        return _UNPROVED
    W = c.x.shape[0]
    some = 0
    for i in range(count):
        norm = 0.0
        for e in range(q):
            f = 0.0
            for j in range(D):
                f += s.S[i, j] * c.Zn[j, e]
            c.G[some, e] = f
            norm += f * f
        norm = norm**0.5
        if norm < 1e-11:
            continue  # nearly an equation: leaving a row out is sound
        for e in range(q):
            c.G[some, e] /= norm
        for e in range(q, W):
            c.G[some, e] = 0.0
        c.required[some] = some
        s.origin[some] = i
        some += 1
    cell.clear(c.M, c.x, c.u, c.ids)
    status, met = cell.settle(c.G, c.required, some, c.M[:q], c.x, c.u, c.ids, c.vec[5], c.vec[6])
    if status == cell.FEASIBLE:
        for j in range(D):
            f = 0.0
            for e in range(q):
                f += c.Zn[j, e] * c.x[e]
            point[j] = f
        return _MEETS
    if status != cell.EMPTY:
        return _UNPROVED
    for e in range(q):
        if c.ids[e] < 0:
            return _UNPROVED
        i = s.origin[c.ids[e]]
        for j in range(D):
            c.B[k + e, j] = s.S[i, j]
        c.BE[k + e] = s.SE[i]
    for r in range(k):
        for j in range(D):
            c.B[r, j] = E[r, j]
        c.BE[r] = s.EE[r]
    i = s.origin[met]
    if not invert(c.B, D, c.inv, c.work):
        return _UNPROVED
    top = quality(c.B, c.BE, c.inv, D, c.vec[0], c.vec[4])
    if not top < 0.5 or not enclose(
        c.B, c.BE, c.inv, D, c.vec[0], top, s.S[i], s.SE[i], c.vec[2], c.vec[3], c.vec[4]
    ):
        return _UNPROVED
    for e in range(q):
        if not c.vec[2, k + e] + c.vec[3, k + e] < 0.0:
            return _UNPROVED
    return _CLOSED


@njit(**INNER)
def raises_rank(s: Scratch, rank: int, D: int) -> bool:
    """Add s.line to the echelon s.T of `rank` rows modulo the prime; False if it adds nothing."""
    line = s.line
    for e in range(rank):
        c = s.lead[e]
        f = line[c]
        if f != 0:
            p = s.T[e, c]
            f = PRIME - f
            for j in range(D):
                line[j] = reduce(reduce(line[j] * p) + reduce(s.T[e, j] * f))
    for j in range(D):
        if line[j] != 0:
            for i in range(D):
                s.T[rank, i] = line[i]
            s.lead[rank] = j
            return True
    return False


@njit(**INNER)
def add_row(cells: Cells, s: Scratch, count: int, c: int, j: int, sign: float, at: int, D: int) -> int:
    """Append `sign * z_j >= 0` of cell c, its entries from column `at` on; returns the new count."""
    g = cells.Z.shape[2]
    norm = row_length(cells.Z[c, j], g)
    if not norm > LEAST:
        return count  # leaving a row out is sound
    for q in range(D):
        s.S[count, q] = 0.0
    for q in range(g):
        s.S[count, at + q] = sign * cells.Z[c, j, q] / norm
    s.SE[count] = cells.ZE[c, j] / norm * (1.0 + 1e-9) + 4.0 * UNIT
    return count + 1


@njit(**INNER)
def copy_rows(cells: Cells, s: Scratch, status: Ints, count: int, c: int, at: int, D: int) -> int:
    """Append what holds in one copy: its path and the signs of units; returns the new count."""
    g = cells.Z.shape[2]
    for t in range(cells.lengths[c]):
        for q in range(D):
            s.S[count, q] = 0.0
        for q in range(g):
            s.S[count, at + q] = cells.P[c, t, q]
        s.SE[count] = cells.PE[c, t]
        count += 1
    for j in range(status.shape[0]):
        if cells.kind[c, j] == OPEN and (status[j] == SAME or status[j] == OFF):
            count = add_row(cells, s, count, c, j, 1.0 if status[j] == SAME else -1.0, at, D)
    return count


@njit(**INNER)
def flips_rank(cells: Cells, s: Scratch, a: int, d: int) -> int:
    """Upper bound of the rank of the rows s.flips[:d] on cell a; exact where residues tell (`Cells.RH`)."""
    g = cells.Z.shape[2]
    if cells.RH.shape[0]:
        rank = 0
        for i in range(d):
            for q in range(g):
                s.line[q] = cells.RH[a, s.flips[i], q]
            if rank < g and raises_rank(s, rank, g):
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
    if g <= 64:
        directions = min(directions, popcount(columns))
    return int(min(g, directions + others))


@njit(**INNER)
def spanning(cells: Cells, s: Scratch, a: int, d: int, r: int) -> bool:
    """r of the d rows that differ, in s.F, whose directions are well apart; False if there are not so many."""
    g = cells.Z.shape[2]
    have = 0
    v = s.cell.vec[0]
    for i in range(d):
        if have == r:
            break
        row = cells.H[a, s.flips[i]]
        for q in range(g):
            v[q] = row[q]
        for e in range(have):
            f = 0.0
            for q in range(g):
                f += s.cell.A[e, q] * v[q]
            for q in range(g):
                v[q] -= f * s.cell.A[e, q]
        norm = 0.0
        for q in range(g):
            norm += v[q] ** 2
        norm = norm**0.5
        if norm > 1e-6:
            for q in range(g):
                s.cell.A[have, q] = v[q] / norm
                s.F[have, q] = row[q]
            have += 1
    return have == r


@njit(**INNER)
def test(cells: Cells, s: Scratch, a: int, b: int, status: Ints, constant: bool, si: Ints, point: Floats) -> int:
    """Test one node: _CLOSED, _MEETS (a point of both cells in `point`) or _UNPROVED."""
    g = cells.Z.shape[2]
    m = cells.Z.shape[1]
    D = 2 * g
    d = 0
    for i in range(cells.on.shape[1]):
        if cells.on[a, i] != cells.on[b, i]:
            s.flips[d] = i
            d += 1
    r = si[SPAN] if si[SPAN] >= 0 else flips_rank(cells, s, a, d)
    si[BOUND] = r
    # Equations: first those of both copies (they vanish on V), then one-sided ones.
    rank = 0
    if constant:
        for q in range(D):
            s.line[q] = 0
            s.E[0, q] = 0.0
        s.line[g - 1] = 1
        s.line[D - 1] = PRIME - 1
        s.E[0, g - 1] = 1.0
        s.E[0, D - 1] = -1.0
        s.EE[0] = 0.0
        if raises_rank(s, 0, D):
            rank = 1
    enough = g + r
    for j in range(m):
        if status[j] != SAME:
            continue
        for q in range(g):
            s.line[q] = cells.R[a, j, q]
            v = cells.R[b, j, q]
            s.line[g + q] = PRIME - v if v != 0 else 0
        if not raises_rank(s, rank, D):
            continue
        norm = max(row_length(cells.Z[a, j], g), row_length(cells.Z[b, j], g))
        if not norm > LEAST:
            return _UNPROVED
        for q in range(g):
            s.E[rank, q] = cells.Z[a, j, q] / norm
            s.E[rank, g + q] = -cells.Z[b, j, q] / norm
        s.EE[rank] = max(cells.ZE[a, j], cells.ZE[b, j]) / norm * (1.0 + 1e-9) + 4.0 * UNIT
        rank += 1
        if rank >= enough:
            si[BY_RANK] += 1
            return _CLOSED
    both = rank
    ones = 0
    for j in range(m):
        if status[j] != OFF:
            continue
        for side in range(2):
            c = a if side == 0 else b
            if cells.kind[c, j] != WEAK:
                continue
            at = side * g
            for q in range(D):
                s.line[q] = 0
            for q in range(g):
                s.line[at + q] = cells.R[c, j, q]
            norm = row_length(cells.Z[c, j], g)
            if not norm > LEAST:
                continue
            ones += 1
            if not raises_rank(s, rank, D):
                continue
            for q in range(D):
                s.E[rank, q] = 0.0
            for q in range(g):
                s.E[rank, at + q] = cells.Z[c, j, q] / norm
            s.EE[rank] = cells.ZE[c, j] / norm * (1.0 + 1e-9) + 4.0 * UNIT
            rank += 1
    if ones and rank >= g + min(r + ones, g):
        si[BY_RANK] += 1
        return _CLOSED
    # One copy alone.
    for side in range(2):
        c = a if side == 0 else b
        new = False
        for j in range(m):
            if cells.kind[c, j] == OPEN and (status[j] == SAME or status[j] == OFF):
                new = True
        if new:
            count = copy_rows(cells, s, status, 0, c, 0, g)
            if closed_cone(s, s.E2, 0, count, g, point) == _CLOSED:
                si[BY_COPY] += 1
                return _CLOSED
    # The quotient by V, in coordinates that determine a vector of V's annihilator.
    error = 0.0
    for i in range(d):
        error = max(error, cells.HE[a, s.flips[i]])
    if r < g and spanning(cells, s, a, d, r) and pivots(s.F, r, g, s.columns) and independent(s.F, s.columns, r, error):
        for i in range(d):
            f = s.flips[i]
            side_a = 1.0 if cells.on[a, f] > 0 else -1.0
            for q in range(g):
                s.S[2 * i, q] = side_a * cells.H[a, f, q]
                s.S[2 * i + 1, q] = 0.0
            for e in range(r):
                s.S[2 * i, g + e] = 0.0
                s.S[2 * i + 1, g + e] = -side_a * cells.H[b, f, s.columns[e]]
            s.SE[2 * i] = cells.HE[a, f]
            s.SE[2 * i + 1] = cells.HE[b, f]
        for t in range(both):
            for q in range(g):
                s.E2[t, q] = s.E[t, q]
            for e in range(r):
                s.E2[t, g + e] = s.E[t, g + s.columns[e]]
        if closed_cone(s, s.E2, both, 2 * d, g + r, point) == _CLOSED:
            si[BY_QUOTIENT] += 1
            return _CLOSED
    count = 0
    for i in range(d):
        f = s.flips[i]
        side_a = 1.0 if cells.on[a, f] > 0 else -1.0
        for q in range(g):
            s.S[count, q] = side_a * cells.H[a, f, q]
            s.S[count, g + q] = 0.0
            s.S[count + 1, q] = 0.0
            s.S[count + 1, g + q] = -side_a * cells.H[b, f, q]
        s.SE[count] = cells.HE[a, f]
        s.SE[count + 1] = cells.HE[b, f]
        count += 2
    count = copy_rows(cells, s, status, count, a, 0, D)
    count = copy_rows(cells, s, status, count, b, g, D)
    result = closed_cone(s, s.E, rank, count, D, point)
    if result == _CLOSED:
        si[BY_BOTH] += 1
    return result


@njit(**INNER)
def begin(cells: Cells, a: int, b: int, status: Ints) -> None:
    """What every unit is at the root of a pair that no sign closes."""
    for j in range(status.shape[0]):
        ka = cells.kind[a, j]
        kb = cells.kind[b, j]
        if ka == BELOW or kb == BELOW:
            status[j] = NOTHING if ka == kb else OFF
        elif ka == ABOVE or kb == ABOVE or (ka == WEAK and kb == WEAK):
            # Positive in one, so in both; or nonnegative in both: equal if positive, equal if zero.
            status[j] = SAME
        else:
            status[j] = FREE


@njit(**INNER)
def choose(cells: Cells, a: int, b: int, status: Ints, point: Floats) -> tuple[int, bool]:
    """Free unit to branch on (-1 if none is free), and whether the point tells the outputs apart."""
    g = cells.Z.shape[2]
    best = -1.0
    unit = -1
    apart = False
    size = 0.0
    for q in range(2 * g):
        size = max(size, abs(point[q]))
    for j in range(status.shape[0]):
        if status[j] == NOTHING or status[j] == SAME:
            continue
        va = 0.0
        vb = 0.0
        for q in range(g):
            va += cells.Z[a, j, q] * point[q]
            vb += cells.Z[b, j, q] * point[g + q]
        norm = max(row_length(cells.Z[a, j], g), row_length(cells.Z[b, j], g))
        if not norm > LEAST:
            norm = 1.0
        gap = abs(max(va, 0.0) - max(vb, 0.0)) / norm
        if gap > 1e-9 * size:
            apart = True
        if status[j] == FREE and gap > best:
            best = gap
            unit = j
    return unit, apart


@njit()
def begin_pair(cells: Cells, a: int, b: int, status: Ints) -> None:
    """`begin`, for callers outside of compiled code."""
    begin(cells, a, b, status)


@njit()
def test_node(cells: Cells, s: Scratch, a: int, b: int, status: Ints, constant: bool, si: Ints, point: Floats) -> int:
    """`test`, for callers outside of compiled code: 0 closed, 1 a point, 2 not decided."""
    return int(test(cells, s, a, b, status, constant, si, point))


@njit()
def run(
    cells: Cells, s: Scratch, pairs: Ints, total: int, constant: bool, si: Ints, status: Ints, units: Ints, phase: Ints,
    point: Floats,
) -> int:  # fmt: skip
    """Decide pairs[:total] from where `si` stands; returns DONE, PAUSED (si[LIMIT] nodes), ASK or CANDIDATE.

    ASK: the pair pairs[si[POSITION]] with the units as in `status` wants an exact answer. If the answer is a point of
    the node (in `point`) and some unit is free, set si[BRANCH] = 1; if nothing collides, 0. Call again.
    CANDIDATE: `point` is close to a collision; if it is none, call again. In both cases the caller may instead find the
    rank of the units that differ (si[SPAN]) below si[BOUND] and have the node tested again (si[AGAIN] = 1; of a
    CANDIDATE, take back one level of si[DEPTH]).
    """
    while si[POSITION] < total:
        a = pairs[si[POSITION], 0]
        b = pairs[si[POSITION], 1]
        enter = False
        if si[DEPTH] < 0:
            if si[NODES] >= si[LIMIT]:
                return PAUSED
            begin(cells, a, b, status)
            si[DEPTH] = 0
            si[SPAN] = -1
            enter = True
        while si[DEPTH] >= 0:
            k = si[DEPTH]
            if si[BRANCH]:
                si[BRANCH] = 0
                units[k], _ = choose(cells, a, b, status, point)
                phase[k] = 0
                si[DEPTH] = k + 1
                continue
            if si[AGAIN]:
                # The node as it stands, with the rank that the caller found.
                si[AGAIN] = 0
                enter = True
            if not enter:
                # Next child of frame k - 1, or back.
                if k == 0:
                    si[DEPTH] = -1
                    break
                if phase[k - 1] == 2:
                    status[units[k - 1]] = FREE
                    si[DEPTH] = k - 1
                    continue
                if si[NODES] >= si[LIMIT]:
                    return PAUSED
                status[units[k - 1]] = SAME if phase[k - 1] == 0 else OFF
                phase[k - 1] += 1
            enter = False
            si[NODES] += 1
            result = test(cells, s, a, b, status, constant, si, point)
            if result == _CLOSED:
                continue
            if result == _UNPROVED:
                return ASK
            unit, apart = choose(cells, a, b, status, point)
            if unit < 0:
                return ASK
            units[k] = unit
            phase[k] = 0
            si[DEPTH] = k + 1
            if not apart:
                return CANDIDATE
        si[POSITION] += 1
    return DONE
