"""Branch and bound over signs with inherited disjoint circuits, as one compiled loop over an explicit stack.

A node is a set of rows declared negative and one of rows declared positive. It carries a family of disjoint sets of
free rows, each the rest of a proved signed circuit `Σ_C- y_i a_i = Σ_C+ y_i a_i`, y > 0, with `C- ⊂ negative ∪ set` and
`C+ ⊂ positive`: every open cell of the node has a positive row in each set. The node is closed when the declared
positives and the sets together give n positives (for matrices not known to be in general position: when every choice of
one row per set, with the declared rows, has rank n), or when a circuit has no free row left (there is no such cell).
Where counts are proved and one or two positives are missing, circuits may raise the bound (`raising`).

The loop returns to its caller for everything that needs exact arithmetic, Python or more memory, and can be resumed;
budgets, interrupts, several cores and growing streams of rows all rest on that.

What the arrays are is in `mcinj.decide.layer.arrays`, what their integers mean in `mcinj.decide.layer.fields`.
"""

from __future__ import annotations

import numpy as np

from mcinj._jit import njit
from mcinj.decide.layer.arrays import Cells, Ints, Ranks, Tree
from mcinj.decide.layer.chain import copy_cell, is_witness, push
from mcinj.decide.layer.fields import (
    BRANCH,
    CAP,
    CIRCUITS,
    COUNT,
    DEPTH,
    DONE,
    ENTER,
    EXTEND,
    FREE,
    GROW,
    HINT,
    INNER,
    KEEP,
    LEAVE,
    LIMIT,
    LOGGED,
    NEG,
    NEGATIVE,
    NODES,
    NUMBER,
    PAUSED,
    PHASE,
    POS,
    POSITIVE,
    RAISE,
    RAISING,
    RANKED,
    REFRESH,
    RESOLVE,
    ROW,
    ROWS,
    SETS,
    SLOT,
    TAIL,
    TARGET,
    TASK,
    USED,
    WITNESS,
)
from mcinj.decide.layer.leaf import closed
from mcinj.decide.layer.packing import extend, refresh, trim
from mcinj.decide.layer.raising import raised
from mcinj.numeric import cell
from mcinj.numeric.bits import Words, drop, first, lowest, put, size
from mcinj.numeric.residues import eliminate


@njit(_nrt=False)
def advance(gi: Ints, c: Cells, t: Tree, ranks: Ranks) -> int:
    """Run until the stack is empty or the caller is needed; returns one of the reasons above.

    WITNESS: slot gi[SLOT] holds a proved witness. RESOLVE: the caller decides exactly whether rows R[0] can be
    negative and rows R[1] positive (gi[HINT] > 0: CIRC[gi[CIRCUITS]] is a suggested circuit) and writes its answer into
    the frame.
    PAUSED: gi[LIMIT] nodes are used up. GROW: CIRC, LOG or the stack is full. TASK: the frame at depth gi[CAP] is for
    the caller.
    """
    FI, B, PS, PC, PV, CIRC, LOG, R = t
    S, Q = c.S, ranks.Q
    m = gi[ROWS]
    n = gi[TARGET]
    NW = R.shape[1]
    while gi[DEPTH] >= 0:
        d = gi[DEPTH]
        phase = FI[d, PHASE]
        count = FI[d, COUNT]
        if gi[CIRCUITS] + 16 * n + 64 > CIRC.shape[0] or gi[LOGGED] + 16 * n + 64 > LOG.shape[0]:
            return GROW
        if phase == ENTER:
            if gi[NODES] >= gi[LIMIT]:
                return PAUSED
            if d == gi[CAP]:
                return TASK
            gi[NODES] += 1
            if is_witness(c, gi, 2 * d, Q):
                gi[SLOT] = 2 * d
                return WITNESS
            FI[d, PHASE] = EXTEND
            FI[d, TAIL] = 0
        elif phase == EXTEND:
            warm = -1
            if FI[d, TAIL] == 1:
                warm = 2 * d + 1  # a witness that more rows have undone
            elif d > 0 and FI[d - 1, TAIL] == 1:
                warm = 2 * d - 1
            status = extend(c, t, ranks, gi, d, d, 2 * d + 1, warm)
            if status == 1:
                if gi[KEEP]:
                    _leaf(gi, LOG, PC[d], gi[USED])
                gi[DEPTH] -= 1
            elif status == 2:
                if gi[KEEP]:
                    leaf_of_one(gi, LOG, gi[HINT])
                gi[DEPTH] -= 1
            elif status == 3:
                gi[SLOT] = 2 * d + 1
                return WITNESS
            elif status == 4:
                return RESOLVE
            elif status == 5:
                FI[d, PHASE] = BRANCH
            elif gi[RAISE] and n - count - FI[d, SETS] == 1:
                FI[d, PHASE] = RAISING
            else:
                FI[d, PHASE] = REFRESH
        elif phase == REFRESH:
            FI[d, PHASE] = BRANCH
            if gi[RANKED] and FI[d, SETS] >= n - count:
                status = trim(c, t, ranks, gi, d)
            else:
                status = refresh(c, t, ranks, gi, d)
            if status == 1:
                if gi[KEEP]:
                    _leaf(gi, LOG, PC[d], gi[USED])
                gi[DEPTH] -= 1
            elif status == 2:
                if gi[KEEP]:
                    leaf_of_one(gi, LOG, gi[HINT])
                gi[DEPTH] -= 1
            elif status == 3:
                gi[SLOT] = 2 * d + 1
                return WITNESS
            elif 0 < n - count - FI[d, SETS] <= gi[RAISE]:  # where rank is proved, sets may be more than are missing
                FI[d, PHASE] = RAISING
        elif phase == RAISING:
            FI[d, PHASE] = BRANCH
            status = raised(c, t, gi, d)
            if status == 1:
                gi[DEPTH] -= 1
            elif status == 3:
                return WITNESS
        elif phase == BRANCH:
            if d + 1 >= FI.shape[0]:
                return GROW
            row = -1
            forced = 0
            for i in range(FI[d, SETS]):
                if size(PS[d, i]) == 1:
                    row = first(PS[d, i])
                    forced = 1
                    if gi[KEEP]:
                        put_log(gi, LOG, row)
                        leaf_of_one(gi, LOG, PC[d, i])
                    break
            if forced == 0:
                best = -np.inf
                tail = FI[d, TAIL]
                for w in range(NW):
                    b = B[d, FREE, w]
                    while b != 0:
                        j = 64 * w + lowest(b)
                        b &= b - np.uint64(1)
                        v = S[2 * d, j]
                        if tail != 0:
                            v += S[2 * d + 1, j]
                        if v > best or row < 0:
                            best = v
                            row = j
                if row < 0:
                    # No free row, not closed, not a proved witness: only exact arithmetic can tell.
                    for w in range(NW):
                        R[0, w] = B[d, NEG, w]
                        R[1, w] = B[d, POS, w]
                    gi[HINT] = -1
                    return RESOLVE
                if gi[KEEP]:
                    put_log(gi, LOG, row)
            FI[d, ROW] = row
            FI[d, PHASE] = POSITIVE if forced else NEGATIVE
        elif phase == NEGATIVE:
            FI[d, PHASE] = POSITIVE
            row = FI[d, ROW]
            e = d + 1
            _child(t, d, e)
            put(B[e, NEG], row)
            drop(B[e, FREE], row)
            drop(PV[e], row)
            for i in range(FI[e, SETS]):
                drop(PS[e, i], row)
            copy_cell(c, 2 * d, 2 * e, m)
            if S[2 * e, row] > -cell.SATISFIED and _enter(c, t, gi, d, e):
                continue
            if gi[RANKED]:
                _copy_residues(Q[d], Q[e], B[e, FREE])
            gi[DEPTH] = e
        elif phase == POSITIVE:
            FI[d, PHASE] = LEAVE
            row = FI[d, ROW]
            e = d + 1
            _child(t, d, e)
            put(B[e, POS], row)
            drop(B[e, FREE], row)
            FI[e, COUNT] = count + 1
            if gi[RANKED]:
                eliminate(Q[d], row, Q[e], B[e, FREE])
            # Only sets of free rows remain: the set of `row`, and sets that met its span, are gone.
            q = 0
            for w in range(NW):
                PV[e, w] = np.uint64(0)
            for i in range(FI[d, SETS]):
                inside = True
                for w in range(NW):
                    if PS[d, i, w] & ~B[e, FREE, w] != 0:
                        inside = False
                if inside:
                    for w in range(NW):
                        PS[e, q, w] = PS[d, i, w]
                        PV[e, w] |= PS[d, i, w]
                    PC[e, q] = PC[d, i]
                    q += 1
            FI[e, SETS] = q
            if closed(gi, ranks, c.J, e, count + 1, B[e, POS], PS[e], PC[e], q):
                if gi[KEEP]:
                    _leaf(gi, LOG, PC[e], gi[USED])
                continue
            copy_cell(c, 2 * d, 2 * e, m)
            if S[2 * e, row] < cell.SATISFIED and _enter(c, t, gi, d, e):
                continue
            gi[DEPTH] = e
        else:
            gi[DEPTH] -= 1
    return DONE


@njit(inline="always", **INNER)
def _enter(c: Cells, t: Tree, gi: Ints, d: int, e: int) -> bool:
    """Move the center of child e to its cell; True if the cell is proved empty, and the leaf logged."""
    status = push(c, gi, 2 * e, t.B[e, NEG], t.B[e, POS], t.CIRC[gi[CIRCUITS]])
    if status == cell.EMPTY:
        if gi[KEEP]:
            leaf_of_one(gi, t.LOG, gi[CIRCUITS])
            gi[CIRCUITS] += 1
        return True
    if status != cell.FEASIBLE:
        # Not proved: keep the parent's center, which is valid for a part of the rows, and go on.
        copy_cell(c, 2 * d, 2 * e, gi[ROWS])
    return False


@njit(**INNER)
def _copy_residues(Q: Ints, Q2: Ints, free: Words) -> None:
    for w in range(free.shape[0]):
        b = free[w]
        while b != 0:
            i = 64 * w + lowest(b)
            b &= b - np.uint64(1)
            for j in range(Q.shape[1]):
                Q2[i, j] = Q[i, j]


@njit(**INNER)
def _child(t: Tree, d: int, e: int) -> None:
    """Make frame e a copy of frame d, about to be entered."""
    FI, B, PS, PC, PV, _, _, _ = t
    for k in range(3):
        for w in range(B.shape[2]):
            B[e, k, w] = B[d, k, w]
    for w in range(B.shape[2]):
        PV[e, w] = PV[d, w]
    for i in range(FI[d, SETS]):
        PC[e, i] = PC[d, i]
        for w in range(B.shape[2]):
            PS[e, i, w] = PS[d, i, w]
    FI[e, COUNT] = FI[d, COUNT]
    FI[e, SETS] = FI[d, SETS]
    FI[e, PHASE] = ENTER
    FI[e, TAIL] = 0


@njit(**INNER)
def put_log(gi: Ints, LOG: Ints, value: int) -> None:
    """Append one number to the log of the tree."""
    LOG[gi[LOGGED]] = value
    gi[LOGGED] += 1


@njit(**INNER)
def _leaf(gi: Ints, LOG: Ints, ids: Ints, count: int) -> None:
    put_log(gi, LOG, -1 - count)
    for i in range(count):
        put_log(gi, LOG, NUMBER + ids[i])


@njit(_nrt=False)
def leaf_of_one(gi: Ints, LOG: Ints, circuit: int) -> None:
    """Log a leaf that one circuit closes."""
    put_log(gi, LOG, -2)
    put_log(gi, LOG, NUMBER + circuit)
