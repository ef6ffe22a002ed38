"""Raising: the sets of a node prove one positive unit each; some of them together may be proved to hold one more.

Take the disjoint sets S_1 … S_k of a node, each with a positive unit at every point of the cell, and the free
last-layer units L outside of them. Assume that no unit of L is positive and exactly one of each S_q, and propagate. A
contradiction of path rows and cuts says: somewhere among the units of its cuts one is positive. If those that are not
assumed or known to be inactive are all in one set, then the positive unit of this set is one of these, and the rest of
the set is inactive too. If there are none, all of it is contradictory. It rests on some units L' of L and some sets Q,
found by going back through the contradictions, and proves that

    L' ∪ ⋃_{q ∈ Q} S_q  holds at least |Q| + 1 positive units at every point of the cell.

L' and Q are put aside, a *raised group*, and the rest is tried again. If the groups make up for what is missing, the
node is closed. If just one positive is missing then, all that the last, unfinished round assumed and found holds
wherever fewer than TARGET units are positive, and no other place is looked for. In the last layer these units are
declared negative and their rows extend the path. Before it they have no rows yet, but only cuts, which could be used
below; but nodes that get so far are so rare there that this would save one node in a hundred.

A contradiction counts when it is proved. All of it stays true when units are added to the last layer: then fewer
regions have fewer than TARGET positives. One layer: `mcinj.decide.layer.raising`, where units also have upper bounds,
their rows, so that the one unit that is left of a set takes part in contradictions.

R are masks (`_L` …), J integers: per step its set, per step the number of its contradiction, per set its state, per
step a mark. GROUPS is an instruction in the making: numbers of sets, and -1 - c for a number c.
"""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.decide.deep.bounds import assign, evaluate
from mcinj.decide.deep.log import log_circuit, log_empty, log_raised
from mcinj.decide.deep.packing import assume, clause, copy_center, improve, positive_at, proved, uncovered
from mcinj.decide.deep.store import (
    COUNT,
    ENUMERATE,
    INNER,
    LAYERS,
    MET,
    NOWITNESS,
    PATH,
    RECORDED,
    SETS,
    TARGET,
    Floats,
    Store,
)
from mcinj.numeric import cell
from mcinj.numeric.bits import has, size

# What a node is after `raised`: closed, open with a tail, undecided in floats, with new facts; a candidate is the tail.
CLOSED, TAIL, GAVE_UP, FACTS, CANDIDATE = range(5)
# Masks in R: units of L, units assumed or known to be inactive, these and a set that is tried, units that a
# contradiction rests on; then the units of each set that may be positive, those of a step's set before it, and those of
# its contradiction.
_L, _DEAD, _TRIAL, _WANT, _REST = range(5)
# Rows of J, and states of a set.
_SET, _NUMBER, _STATE, _MARK = range(4)
_LEFT, _TAKEN, _STUCK = 0, 1, 2
# How a round ends.
_STILL, _CONFLICT, _LOST, _FOUND = range(4)


def masks(families: int, units: int) -> int:
    """Masks that R needs: `families` sets at most, and at most as many steps as units, and one."""
    return _REST + families + 2 * units + 2


@njit(**INNER)
def _contradiction(st: Store, d: int, slot: int, step: int, steps: int) -> bool:
    """Write down the contradiction that a slot has met; whether it has units."""
    units = st.R[_REST + st.PS.shape[1] + steps + step]
    log_circuit(st, d, slot, st.gi[MET], st.FI[d, PATH])
    st.J[_NUMBER, step] = st.FI[d, RECORDED] - 1
    return bool(clause(st, slot, units))


@njit(**INNER)
def _is_candidate(st: Store, d: int, p: int, x: Floats) -> bool:
    """Whether fewer than TARGET units seem positive at x, and that is worth an exact check."""
    if st.gi[ENUMERATE] or st.FI[d, NOWITNESS]:
        return False
    count = positive_at(st, p, x)
    return bool(0 <= count < st.gi[TARGET])


@njit(**INNER)
def _choose(st: Store, d: int, p: int, slot: int, q: int) -> int:
    """The set with the most positive units at the center of a slot, at least two; of these the smallest; -1: none."""
    last = st.gi[LAYERS] - 1
    evaluate(st, d, p, st.FX[slot])
    best = -1
    most = 0
    for i in range(q):
        if st.J[_STATE, i] != _LEFT:
            continue
        up = 0
        alive = st.R[_REST + i]
        for j in range(st.m[last]):
            if st.low[last, j] > 0.0 and has(alive, j):
                up += 1
        if up >= 2 and 65536 * up - size(alive) > most:
            most = 65536 * up - size(alive)
            best = i
    return best


@njit(**INNER)
def _round(st: Store, d: int, p: int, slot: int, q: int) -> tuple[int, int]:
    """Assume and propagate; returns how it ends and the number of steps, without the contradiction of a _CONFLICT.

    Sets of state _LEFT take part; L is in R.
    """
    NW = st.PS.shape[2]
    m = st.m[st.gi[LAYERS] - 1]
    trial = st.FM.shape[0] - 1
    point = trial - 1
    R = st.R
    before = R[_REST + st.PS.shape[1] :]
    met = before[m:]
    for w in range(NW):
        R[_DEAD, w] = R[_L, w]
        for i in range(q):
            R[_REST + i, w] = st.PS[d, i, w]
    steps = 0
    copy_center(st, slot, point)
    status = assume(st, d, p, point, R[_DEAD])
    if status != 1:
        return _LOST, steps
    while steps < m:
        best = _choose(st, d, p, point, q)
        if best < 0:
            break
        alive = R[_REST + best]
        st.J[_STATE, best] = _STUCK
        for w in range(NW):
            R[_TRIAL, w] = R[_DEAD, w] | alive[w]
        copy_center(st, point, trial)
        status = assume(st, d, p, trial, R[_TRIAL])
        if status != 0:
            continue
        clause(st, trial, met[steps])
        some = False
        fresh = False
        for w in range(NW):
            some = some or alive[w] & met[steps, w] != 0
            fresh = fresh or alive[w] & ~met[steps, w] != 0
        if some and not fresh:
            continue
        _contradiction(st, d, trial, steps, m)
        if not some:
            return _CONFLICT, steps
        st.J[_SET, steps] = best
        for w in range(NW):
            before[steps, w] = alive[w]
            R[_DEAD, w] |= alive[w] & ~met[steps, w]
            alive[w] &= met[steps, w]
        steps += 1
        for i in range(q):
            if st.J[_STATE, i] == _STUCK:
                st.J[_STATE, i] = _LEFT
        status = assume(st, d, p, point, R[_DEAD])
        if status == 0:
            _contradiction(st, d, point, steps, m)
            return _CONFLICT, steps
        if status != 1:
            return _LOST, steps
        if _is_candidate(st, d, p, st.FX[point]):
            for k in range(st.TX.shape[1]):
                st.TX[d, k] = st.FX[point, k]
            return _FOUND, steps
    return _STILL, steps


@njit(**INNER)
def _explain(st: Store, d: int, q: int, steps: int) -> tuple[int, int]:
    """Units that the contradiction behind `steps` rests on, in R[_WANT]; marks steps, takes sets; how many of both."""
    NW = st.PS.shape[2]
    R = st.R
    want = R[_WANT]
    before = R[_REST + st.PS.shape[1] :]
    met = before[st.m[st.gi[LAYERS] - 1] :]
    for w in range(NW):
        want[w] = met[steps, w]
    chosen = 0
    for t in range(steps - 1, -1, -1):
        st.J[_MARK, t] = 0
        for w in range(NW):
            if before[t, w] & ~met[t, w] & want[w] != 0:
                st.J[_MARK, t] = 1
        if st.J[_MARK, t]:
            chosen += 1
            for w in range(NW):
                want[w] |= (met[t, w] & ~before[t, w]) | (st.PS[d, st.J[_SET, t], w] & ~before[t, w])
    taken = 0
    for i in range(q):
        for w in range(NW):
            if st.PS[d, i, w] & want[w] != 0 and st.J[_STATE, i] != _TAKEN:
                st.J[_STATE, i] = _TAKEN
                st.J[_SET, steps + taken] = i
                taken += 1
    return taken, chosen


@njit(**INNER)
def raised(st: Store, d: int, p: int, slot: int) -> int:
    """Raise the bound of frame d, which has a tail: CLOSED, TAIL, FACTS or CANDIDATE."""
    NW = st.PS.shape[2]
    R = st.R
    out = st.GROUPS
    q = st.FI[d, SETS]
    missing = st.gi[TARGET] - st.FI[d, COUNT] - q
    uncovered(st, d, R[_L])
    for i in range(q):
        st.J[_STATE, i] = _LEFT
    got = 0
    at = 1
    while True:
        for i in range(q):
            if st.J[_STATE, i] == _STUCK:
                st.J[_STATE, i] = _LEFT
        end, steps = _round(st, d, p, slot, q)
        if end == _FOUND:
            return CANDIDATE
        if end != _CONFLICT:
            break
        taken, chosen = _explain(st, d, q, steps)
        got += 1
        out[at] = -1 - taken
        for i in range(taken):
            out[at + 1 + i] = st.PID[d, st.J[_SET, steps + i]]
        at += 1 + taken
        out[at] = -2 - chosen
        at += 1
        for t in range(steps + 1):
            if t == steps or st.J[_MARK, t]:
                out[at] = st.J[_NUMBER, t]
                at += 1
        if got == missing:
            break
        for w in range(NW):
            R[_L, w] &= ~R[_WANT, w]
    if got < missing - 1 or (got < missing and end != _STILL):
        return TAIL
    last = st.gi[LAYERS] - 1
    if got < missing:
        fresh = False
        for j in range(st.m[last]):
            fresh = fresh or (has(R[_DEAD], j) and st.SIGN[last, j] == 0)
        if p < last or not fresh:
            return TAIL
    out[0] = -1 - got
    head = at
    at += 1
    for i in range(q):
        if st.J[_STATE, i] != _TAKEN:
            out[at] = st.PID[d, i]
            at += 1
    out[head] = head - at
    out[at] = -1
    at += 1
    if got < missing:
        out[at - 1] = -2 - steps
        for t in range(steps):
            out[at] = st.J[_NUMBER, t]
            at += 1
    log_raised(st, at, got < missing)
    if got == missing:
        return CLOSED
    return _declare(st, d, slot, q)


@njit(**INNER)
def _declare(st: Store, d: int, slot: int, q: int) -> int:
    """What the last round assumed and found is inactive: it leaves the sets and extends the path. FACTS or CLOSED."""
    last = st.gi[LAYERS] - 1
    length = st.FI[d, PATH]
    for j in range(st.m[last]):
        if has(st.R[_DEAD], j) and st.SIGN[last, j] == 0:
            assign(st, last, j, -1)
            row = st.BASE[last] + 2 * j
            st.PATHS[length] = row
            st.PINDEX[row] = length
            length += 1
    st.FI[d, PATH] = length
    for w in range(st.PS.shape[2]):
        st.PV[d, w] = 0
        for i in range(q):
            if st.J[_STATE, i] != _TAKEN:
                st.PS[d, i, w] = st.R[_REST + i, w]
            st.PV[d, w] |= st.PS[d, i, w]
    # The center of the smaller cell; where floats do not find it, the old one does as well.
    s = st.FM.shape[0] - 1
    for t in range(length):
        st.REQ[t] = st.PATHS[t]
    copy_center(st, slot, s)
    status, row = cell.settle(st.G, st.REQ, length, st.FM[s], st.FX[s], st.FU[s], st.FIDS[s], st.vec[7], st.vec[8])
    if status == cell.EMPTY and proved(st, s, row):
        log_circuit(st, d, s, row, length)
        log_empty(st, d)
        return CLOSED
    if status == cell.FEASIBLE:
        copy_center(st, s, slot)
    return FACTS


@njit(**INNER)
def improved(st: Store, d: int, p: int, slot: int, raises: int) -> int:
    """`improve`, then `raised` if at most `raises` positives are missing; -1: CLOSED, and that is logged already."""
    status = improve(st, d, p, slot)
    if status != TAIL:
        return status
    if _is_candidate(st, d, p, st.TX[d]):
        return CANDIDATE
    if st.gi[TARGET] - st.FI[d, COUNT] - st.FI[d, SETS] > raises:
        return status
    status = raised(st, d, p, slot)
    return -1 if status == CLOSED else status
