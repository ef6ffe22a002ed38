"""A walk through a list of pairs of cells: each is tested, and split where units are not decided.

At a collision every unit has equal pre-activations in both cells (SAME), or is positive in neither (OFF). Where what is
proved of the cells does not say which, a node is split. What neither closes nor splits is handed to the caller, who
decides exactly.
"""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.decide.deep.store import INNER
from mcinj.decide.pairs.kernel import test
from mcinj.decide.pairs.store import (
    ABOVE,
    AGAIN,
    BELOW,
    BRANCH,
    DEPTH,
    FREE,
    GO_ON,
    LAST,
    LIMIT,
    MEETS,
    NODES,
    NOTHING,
    OFF,
    POSITION,
    REPLY,
    SAME,
    SPAN,
    UNPROVED,
    WEAK,
    Cells,
    Ints,
    Scratch,
    Walk,
)
from mcinj.numeric.enclosure import LEAST, row_length

# Why `run` returned.
DONE, PAUSED, ASK, POINT, CANDIDATE = range(5)


@njit(**INNER)
def _begin(cells: Cells, status: Ints, a: int, b: int) -> None:
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
def _choose(cells: Cells, w: Walk, a: int, b: int) -> tuple[int, bool]:
    """Free unit to branch on (-1 if none is free), and whether the point tells the outputs apart."""
    g = cells.Z.shape[2]
    best = -1.0
    unit = -1
    apart = False
    size = 0.0
    for q in range(2 * g):
        size = max(size, abs(w.point[q]))
    for j in range(w.status.shape[0]):
        if w.status[j] == NOTHING or w.status[j] == SAME:
            continue
        va = 0.0
        vb = 0.0
        for q in range(g):
            va += cells.Z[a, j, q] * w.point[q]
            vb += cells.Z[b, j, q] * w.point[g + q]
        norm = max(row_length(cells.Z[a, j], g), row_length(cells.Z[b, j], g))
        if not norm > LEAST:
            norm = 1.0
        gap = abs(max(va, 0.0) - max(vb, 0.0)) / norm
        if gap > 1e-9 * size:
            apart = True
        if w.status[j] == FREE and gap > best:
            best = gap
            unit = j
    return unit, apart


@njit()
def run(cells: Cells, s: Scratch, w: Walk, pairs: Ints) -> int:
    """Decide the pairs (·, >= 2) from where w stands; returns DONE, or

    * PAUSED: si[LIMIT] nodes are entered.
    * ASK, or POINT (w.point meets both cells): the pair at si[POSITION] with the units as in w.status wants an exact
      answer. Nothing collides: call again. A point of the node, in w.point, while a unit is free: si[REPLY] = BRANCH.
    * CANDIDATE: w.point is close to a collision; if it is none, call again.

    In all cases but PAUSED the caller may instead find the rank of the units that differ, si[SPAN], below si[BOUND],
    and have the node tested again: si[REPLY] = AGAIN (after CANDIDATE, take back one level of si[DEPTH]).
    """
    si = w.si
    while si[POSITION] < pairs.shape[0]:
        a = pairs[si[POSITION], 0]
        b = pairs[si[POSITION], 1]
        enter = False
        if si[DEPTH] < 0:
            if si[NODES] >= si[LIMIT]:
                return PAUSED
            _begin(cells, w.status, a, b)
            si[DEPTH] = 0
            si[SPAN] = -1
            enter = True
        while si[DEPTH] >= 0:
            k = si[DEPTH]
            reply = si[REPLY]
            si[REPLY] = GO_ON
            if reply == BRANCH:
                w.units[k], _ = _choose(cells, w, a, b)
                w.phase[k] = 0
                si[DEPTH] = k + 1
                continue
            if not enter and reply != AGAIN:
                # Next child of frame k - 1, or back.
                if k == 0:
                    si[DEPTH] = -1
                    break
                unit = w.units[k - 1]
                if w.phase[k - 1] == 2:
                    w.status[unit] = FREE
                    si[DEPTH] = k - 1
                    continue
                if si[NODES] >= si[LIMIT]:
                    return PAUSED
                w.status[unit] = SAME if w.phase[k - 1] == 0 else OFF
                w.phase[k - 1] += 1
            enter = False
            si[NODES] += 1
            result = test(cells, s, w, a, b)
            si[LAST] = result
            if result < MEETS:
                continue
            if result == UNPROVED:
                return ASK
            unit, apart = _choose(cells, w, a, b)
            if unit < 0:
                return POINT
            w.units[k] = unit
            w.phase[k] = 0
            si[DEPTH] = k + 1
            if not apart:
                return CANDIDATE
        si[POSITION] += 1
    return DONE
