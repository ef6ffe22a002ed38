"""Raising: the sets of a node prove one positive each; circuits prove that some of them together hold one more.

Take the disjoint sets S_1 … S_k of a node, each with a positive row in every open cell, and the free rows L outside of
them. Assume that all of L is negative and that exactly one row of each S_q is positive, and propagate. A circuit whose
rows are assumed or known, but for negative ones in a single set, says that the positive row of that set is among these:
the rest of the set is negative too, and if one row is left it is positive. A circuit without such an exception is a
contradiction. It rests on some rows L' of L and some sets Q, found by going back through the circuits, and proves that

    L' ∪ ⋃_{q ∈ Q} S_q  holds at least |Q| + 1 positive rows in every open cell of the node.

L' and Q are put aside, a *raised group*, and the rest is tried again. When just one positive is missing after that, a
cell with fewer than n positives can only be one where all assumptions of the last, unfinished round hold: they and what
follows from them are facts, and extend the path. (MaxSAT solvers raise lower bounds alike: inconsistent subsets found
by unit propagation, Li, Manyà and Planes, CP 2005.)

Counts of positives are raised, not ranks: searches that prove rank do not come here. Every circuit is proved before it
counts. All of it stays true when rows are appended: sets, L' and the circuits are made of rows at hand.

LOG, a raised step: PLAIN + v for each number v, NUMBER + id for each circuit:

    1, G, then per group: sets, their circuits, steps, the circuits in order; plain sets, their circuits, and
    0: a leaf; or f + 1 and f circuits: what the last round assumes and implies is declared, and the tree goes on

R[4:] are masks (`_L` …), J[1:5] integers: per step its set, per step its circuit, per set its state, per step a mark.
"""

from __future__ import annotations

import numpy as np

from mcinj._jit import njit
from mcinj.decide.layer.arrays import Cells, Ints, Tree
from mcinj.decide.layer.chain import copy_cell, count_of, push
from mcinj.decide.layer.fields import (
    CIRCUITS,
    COUNT,
    FREE,
    INNER,
    KEEP,
    LOGGED,
    NEG,
    NUMBER,
    PLAIN,
    POS,
    ROWS,
    SETS,
    SLOT,
    TAIL,
    TARGET,
    WITH,
)
from mcinj.numeric import cell
from mcinj.numeric.bits import Words, first, has, lowest, put, size

# Masks in R: rows of L, rows assumed or known to be negative, rows known to be positive, two for requests, rows that a
# contradiction rests on; then the rows of each set that may be positive, and those of each step's set before the step.
_L, _DEAD, _ALIVE, _MINUS, _PLUS, _WANT, _REST = range(4, 11)
# Rows of J, and states of a set.
_SET, _CIRCUIT, _STATE, _MARK = range(1, 5)
_LEFT, _TAKEN, _STUCK = 0, 1, 2
# How a round ends.
_STILL, _CONFLICT, _LOST, _FOUND = range(4)


def masks(families: int, rows: int) -> int:
    """Masks that R needs: `families` sets at most, and at most as many steps as rows."""
    return _REST + families + rows


@njit(**INNER)
def _fails(c: Cells, gi: Ints, slot: int) -> bool:
    """Whether the center of a slot is proved to have fewer positives than are wanted."""
    count = count_of(c, gi, slot)
    return bool(0 <= count < gi[TARGET])


@njit(inline="always", **INNER)
def _round(c: Cells, gi: Ints, B: Words, PS: Words, CIRC: Words, R: Words, q: int, made: int) -> tuple[int, int, int]:
    """Assume and propagate; returns how it ends, the number of steps, and that of circuits at CIRC[gi[CIRCUITS]:].

    Sets of state _LEFT take part; B and PS are the frame's, its rows L are in R. The last circuit is a _CONFLICT's.
    """
    NW = R.shape[1]
    point = c.M.shape[0] - 1
    trial = point - 1
    alive = R[_REST:]
    before = R[_REST + PS.shape[0] :]
    for w in range(NW):
        R[_DEAD, w] = R[_L, w]
        R[_ALIVE, w] = np.uint64(0)
        for i in range(q):
            alive[i, w] = PS[i, w]
    for i in range(q):
        if c.J[_STATE, i] != _TAKEN and size(PS[i]) == 1:
            put(R[_ALIVE], first(PS[i]))
    steps = 0
    while made < 15 * gi[TARGET] and steps < gi[ROWS]:  # `advance` sees to it that CIRC and LOG have room for these
        # The set with the most rows positive at the point, at least two; of these the smallest.
        best = -1
        most = 64
        s = c.S[point]
        for i in range(q):
            if c.J[_STATE, i] != _LEFT:
                continue
            up = 0
            for w in range(NW):
                b = alive[i, w]
                while b != 0:
                    if s[64 * w + lowest(b)] > 0.0:
                        up += 1
                    b &= b - np.uint64(1)
            if up >= 2 and 65536 * up - size(alive[i]) > most:
                most = 65536 * up - size(alive[i])
                best = i
        if best < 0:
            break
        copy_cell(c, point, trial, gi[ROWS])
        for w in range(NW):
            R[_MINUS, w] = B[NEG, w] | R[_DEAD, w] | alive[best, w]
            R[_PLUS, w] = B[POS, w] | R[_ALIVE, w]
        out = CIRC[gi[CIRCUITS] + made]
        c.J[_STATE, best] = _STUCK
        if push(c, gi, trial, R[_MINUS], R[_PLUS], out) != cell.EMPTY:
            continue
        some = False
        fresh = False
        for w in range(NW):
            some = some or alive[best, w] & out[0, w] != 0
            fresh = fresh or alive[best, w] & ~out[0, w] != 0
        if some and not fresh:
            continue
        made += 1
        if not some:
            return _CONFLICT, steps, made
        c.J[_SET, steps] = best
        c.J[_CIRCUIT, steps] = gi[CIRCUITS] + made - 1
        for w in range(NW):
            before[steps, w] = alive[best, w]
            R[_DEAD, w] |= alive[best, w] & ~out[0, w]
            alive[best, w] &= out[0, w]
        steps += 1
        if size(alive[best]) == 1:
            put(R[_ALIVE], first(alive[best]))
        for i in range(q):
            if c.J[_STATE, i] == _STUCK:
                c.J[_STATE, i] = _LEFT
        for w in range(NW):
            R[_MINUS, w] = B[NEG, w] | R[_DEAD, w]
            R[_PLUS, w] = B[POS, w] | R[_ALIVE, w]
        status = push(c, gi, point, R[_MINUS], R[_PLUS], CIRC[gi[CIRCUITS] + made])
        if status == cell.EMPTY:
            return _CONFLICT, steps, made + 1
        if status != cell.FEASIBLE:
            return _LOST, steps, made
        if _fails(c, gi, point):
            return _FOUND, steps, made
    return _STILL, steps, made


@njit(**INNER)
def _rests_on(PS: Words, NEGATIVE: Words, POSITIVE: Words, R: Words, C: Words, q: int, within: Words) -> None:
    """Add what circuit C takes for granted to R[_WANT], but for its negative rows `within`."""
    for w in range(R.shape[1]):
        R[_WANT, w] |= C[0, w] & ~NEGATIVE[w] & ~within[w]
    for w in range(R.shape[1]):
        b = C[1, w] & ~POSITIVE[w]
        while b != 0:
            j = 64 * w + lowest(b)
            b &= b - np.uint64(1)
            # The one row left of its set: all others are negative. (That j itself is wanted takes the set along.)
            for i in range(q):
                if has(PS[i], j):
                    for v in range(R.shape[1]):
                        R[_WANT, v] |= PS[i, v]


@njit(**INNER)
def _explain(c: Cells, B: Words, PS: Words, CIRC: Words, R: Words, q: int, steps: int, last: int) -> tuple[int, int]:
    """Rows that contradiction `last` rests on, in R[_WANT]; marks steps, takes sets; how many sets and steps."""
    NW = R.shape[1]
    before = R[_REST + PS.shape[0] :]
    for w in range(NW):
        R[_WANT, w] = np.uint64(0)
        R[_MINUS, w] = np.uint64(0)
    _rests_on(PS, B[NEG], B[POS], R, CIRC[last], q, R[_MINUS])
    chosen = 0
    for t in range(steps - 1, -1, -1):
        C = CIRC[c.J[_CIRCUIT, t]]
        i = c.J[_SET, t]
        c.J[_MARK, t] = 0
        for w in range(NW):
            if before[t, w] & ~C[0, w] & R[_WANT, w] != 0:
                c.J[_MARK, t] = 1
        if c.J[_MARK, t]:
            chosen += 1
            _rests_on(PS, B[NEG], B[POS], R, C, q, before[t])
            for w in range(NW):
                R[_WANT, w] |= PS[i, w] & ~before[t, w]
    taken = 0
    for i in range(q):
        for w in range(NW):
            if PS[i, w] & R[_WANT, w] != 0 and c.J[_STATE, i] != _TAKEN:
                c.J[_STATE, i] = _TAKEN
                c.J[_SET, steps + taken] = i
                taken += 1
    return taken, chosen


@njit(**INNER)
def raised(c: Cells, tree: Tree, gi: Ints, d: int) -> int:
    """Raise the bound of frame d, which has a tail: 1 closed, 3 witness in slot gi[SLOT], else 0, facts declared."""
    FI, B, PS, PC, PV, CIRC, LOG, R = tree
    NW = R.shape[1]
    q = FI[d, SETS]
    missing = gi[TARGET] - FI[d, COUNT] - q
    point = c.M.shape[0] - 1
    keep = gi[KEEP] != 0
    made = 0
    got = 0
    at = gi[LOGGED]
    start = at
    if keep:
        LOG[at] = PLAIN + 1
        at += 2
    copy_cell(c, 2 * d + 1, point, gi[ROWS])
    for w in range(NW):
        R[_L, w] = B[d, FREE, w] & ~PV[d, w]
    for i in range(q):
        c.J[_STATE, i] = _LEFT
    while True:
        for i in range(q):
            if c.J[_STATE, i] == _STUCK:
                c.J[_STATE, i] = _LEFT
        end, steps, made = _round(c, gi, B[d], PS[d], CIRC, R, q, made)
        if end == _FOUND:
            gi[SLOT] = point
            return 3
        if end != _CONFLICT:
            break
        last = gi[CIRCUITS] + made - 1
        taken, chosen = _explain(c, B[d], PS[d], CIRC, R, q, steps, last)
        got += 1
        if keep:
            LOG[at] = PLAIN + taken
            for i in range(taken):
                LOG[at + 1 + i] = NUMBER + PC[d, c.J[_SET, steps + i]]
            at += 1 + taken
            LOG[at] = PLAIN + chosen + 1
            at += 1
            for t in range(steps):
                if c.J[_MARK, t]:
                    LOG[at] = NUMBER + c.J[_CIRCUIT, t]
                    at += 1
            LOG[at] = NUMBER + last
            at += 1
        if got == missing:
            break
        for w in range(NW):
            R[_L, w] &= ~R[_WANT, w]
            R[_MINUS, w] = B[d, NEG, w] | R[_L, w]
        copy_cell(c, 2 * d, point, gi[ROWS])
        if push(c, gi, point, R[_MINUS], B[d, POS], CIRC[gi[CIRCUITS] + made]) != cell.FEASIBLE:
            return 0
    forced = got == missing - 1 and end == _STILL
    if got < missing and not forced:
        return 0
    if keep:
        LOG[start + 1] = PLAIN + got
        head = at
        at += 1
        for i in range(q):
            if c.J[_STATE, i] != _TAKEN:
                LOG[at] = NUMBER + PC[d, i]
                at += 1
        LOG[head] = PLAIN + at - head - 1
        LOG[at] = PLAIN
        at += 1
        if forced:
            LOG[at - 1] += steps + 1
            for t in range(steps):
                LOG[at] = NUMBER + c.J[_CIRCUIT, t]
                at += 1
        gi[LOGGED] = at
        gi[CIRCUITS] += made
    if not forced:
        return 1
    _declare(c, tree, gi, d)
    return 0


@njit(**INNER)
def _declare(c: Cells, tree: Tree, gi: Ints, d: int) -> None:
    """What the last round assumed and found becomes the path of frame d, its point center and tail."""
    FI, B, PS, PC, PV, _, _, R = tree
    NW = R.shape[1]
    alive = R[_REST:]
    p = 0
    for w in range(NW):
        B[d, NEG, w] |= R[_DEAD, w]
        B[d, POS, w] |= R[_ALIVE, w]
        B[d, FREE, w] &= ~(R[_DEAD, w] | R[_ALIVE, w])
        B[d, WITH, w] = np.uint64(0)
        PV[d, w] = np.uint64(0)
    for i in range(FI[d, SETS]):
        met = False
        for w in range(NW):
            met = met or alive[i, w] & R[_ALIVE, w] != 0
        if met:
            FI[d, COUNT] += 1
            continue
        PC[d, p] = PC[d, i]
        for w in range(NW):
            PS[d, p, w] = alive[i, w]
            PV[d, w] |= alive[i, w]
        p += 1
    FI[d, SETS] = p
    point = c.M.shape[0] - 1
    copy_cell(c, point, 2 * d, gi[ROWS])
    copy_cell(c, point, 2 * d + 1, gi[ROWS])
    FI[d, TAIL] = 1
