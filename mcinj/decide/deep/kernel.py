"""Branch and bound over partial activation patterns of a deep network, as one compiled loop over an explicit stack.

A node decides units layer by layer: all of layers 1 … p - 1, some of layer p. On its cell (a cone, known by the signed
rows of its path) layer p is linear; units beyond are bounded (`mcinj.decide.deep.bounds`). It carries a family of
disjoint sets of last-layer units, each proved to have a positive unit at every point of the cell: sets hold on every
smaller cell, so children inherit them. The node is closed when the units declared positive and the sets number T: n for
the regional criterion, 2n when regions with fewer active units are enumerated for the global one. A candidate with
fewer than T positive units is handed to the caller, who checks it in exact arithmetic.

Every closing rests on `proved_empty` or `sign_on_basis`. What floats do not prove is handed to the caller (RESOLVE,
BLOCK) or explored further.
"""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.decide.deep.bounds import (
    assign,
    block,
    bounds,
    choose_basis,
    dot,
    install,
    sign_on_basis,
    undo,
)
from mcinj.decide.deep.branching import choose_unit, last_unit, nearest_unit, solve_with
from mcinj.decide.deep.log import (
    log_basis,
    log_bounds,
    log_branch,
    log_circuit,
    log_counted,
    log_decide,
    log_empty,
    log_next,
    log_positive,
    log_ranked,
    log_region,
)
from mcinj.decide.deep.packing import copy_center, positive_at, push_set, rank_closed, singles
from mcinj.decide.deep.raising import CANDIDATE, FACTS, GAVE_UP, TAIL, improved
from mcinj.decide.deep.store import (
    BLOCK,
    BUILT,
    COUNT,
    DEPTH,
    DONE,
    ENTER,
    ENUMERATE,
    FIRST,
    FULL,
    INNER,
    LAYER,
    LAYERS,
    LEAVE,
    LIMIT,
    LISTING,
    LOGFULL,
    LOGGED,
    MARK,
    MET,
    NODE,
    NODES,
    NOWITNESS,
    PATH,
    PAUSED,
    PHASE,
    RAISES,
    RANKED,
    RECORD,
    REGIONS,
    RESOLVE,
    ROOM,
    SECOND,
    SETS,
    SHOWN,
    SLOT,
    TARGET,
    TRAIL,
    WITNESS,
    Store,
)
from mcinj.decide.deep.store import UNIT as UNIT_FIELD
from mcinj.numeric.bits import drop, first, has, put, size

_CLOSED, _OPEN, _FOUND, _ASK = 0, 1, 2, 3


@njit(**INNER)
def put_out(st: Store, d: int, layers: int) -> bool:
    """Write the region of frame d, known in the first `layers` layers, to the output; False where it is full."""
    r = st.gi[REGIONS]
    if r >= st.gi[ROOM]:
        return False
    for k in range(layers):
        for i in range(st.m[k]):
            st.OUT_SIGN[r, k, i] = st.SIGN[k, i]
    for q in range(st.ROWS.shape[2]):
        st.OUT_X[r, q] = st.FX[d, q]
    length = st.FI[d, PATH]
    for t in range(length):
        st.OUT_PATH[r, t] = st.PATHS[t]
    st.OUT_N[r, 0] = length
    st.OUT_N[r, 1] = st.FI[d, COUNT]
    st.gi[REGIONS] = r + 1
    return True


@njit(**INNER)
def _log_closed(st: Store, d: int) -> None:
    if st.gi[SHOWN]:
        log_empty(st, d)
    else:
        log_counted(st, d)


@njit(**INNER)
def node(st: Store, d: int) -> tuple[int, int]:
    """Work on frame d: returns (what to do, unit to branch on or reason)."""
    L = st.gi[LAYERS]
    slot = d
    st.gi[SHOWN] = 0
    raises = st.gi[RAISES]
    if st.FI[d, COUNT] >= st.gi[TARGET] and st.gi[RANKED] == 0:
        log_counted(st, d)
        return _CLOSED, 0
    while True:
        p = st.FI[d, LAYER]
        if p < L - 1:
            complete = True
            for i in range(st.m[p]):
                if st.SIGN[p, i] == 0:
                    complete = False
                    break
            if complete:
                if st.FI[d, BUILT] != p + 1 and not block(st, p + 1):
                    st.gi[SLOT] = p + 1
                    return _ASK, BLOCK
                if st.gi[LISTING] and p + 1 == L - 1 and not put_out(st, d, L - 1):
                    return _ASK, FULL
                log_next(st)
                install(st, p + 1)
                st.FI[d, LAYER] = p + 1
                st.FI[d, BUILT] = 0
                continue
        x = st.FX[slot]
        if st.gi[ENUMERATE] == 0 and st.FI[d, NOWITNESS] == 0:
            count = positive_at(st, p, x)
            if count >= 0 and count < st.gi[TARGET]:
                st.gi[SLOT] = 0
                return _FOUND, 0
        found, top = choose_basis(st, d, slot)
        if found:
            log_basis(st)
        if p < L - 1:
            if not found or st.gi[RANKED]:
                if found:
                    for i in range(st.m[p]):
                        if st.SIGN[p, i] == 0:
                            s = sign_on_basis(st, top, st.ROWS[p, i], st.ERR[p, i])
                            if s != 0:
                                assign(st, p, i, s)
                                log_decide(st, i, s)
                unit = nearest_unit(st, p, x)
                if unit < 0:
                    continue
                return _OPEN, unit
            if not bounds(st, d, p, top, x):
                unit = nearest_unit(st, p, x)
                if unit < 0:
                    continue
                return _OPEN, unit
            complete = True
            for i in range(st.m[p]):
                if st.SIGN[p, i] == 0:
                    complete = False
                    break
            if complete:
                if p + 1 < L - 1:
                    log_bounds(st, p)
                continue
            if singles(st, d, p, top, x):
                log_counted(st, d)
                return _CLOSED, 0
            status = improved(st, d, p, slot, raises)
            if status <= 0:
                if status == 0:
                    _log_closed(st, d)
                return _CLOSED, 0
            if status == CANDIDATE:
                st.gi[SLOT] = 1
                return _FOUND, 0
            if status != GAVE_UP:
                return _OPEN, choose_unit(st, d, p, st.TX[d])
            return _OPEN, choose_unit(st, d, p, x)
        # Last layer: every row is linear on the cell.
        tail = False
        if found and singles(st, d, p, top, x):
            log_counted(st, d)
            return _CLOSED, 0
        if st.gi[RANKED]:
            if found and certain(st, d, p, slot):
                log_ranked(st, d)
                return _CLOSED, 0
        else:
            status = GAVE_UP
            if found:
                status = improved(st, d, p, slot, raises)
            if status <= 0:
                if status == 0:
                    _log_closed(st, d)
                return _CLOSED, 0
            if status == CANDIDATE:
                st.gi[SLOT] = 1
                return _FOUND, 0
            raises = 0  # what is known now was found with it
            if status == FACTS:
                continue
            tail = status == TAIL
        unit = -1
        for i in range(st.FI[d, SETS]):
            if size(st.PS[d, i]) == 1:
                unit = first(st.PS[d, i])
                # A set of one unit: it is positive on the whole cell.
                log_positive(st, d, i, unit)
                assign(st, L - 1, unit, 1)
                st.FI[d, COUNT] += 1
                shrink_family(st, d, unit, True)
                break
        if unit >= 0:
            if st.FI[d, COUNT] >= st.gi[TARGET] and st.gi[RANKED] == 0:
                log_counted(st, d)
                return _CLOSED, 0
            continue
        unit = last_unit(st, d, x, tail)
        if unit < 0:
            if st.gi[RANKED] and rank_closed(st, d):
                log_ranked(st, d)
                return _CLOSED, 0
            if st.gi[ENUMERATE]:
                if not put_out(st, d, L):
                    return _ASK, FULL
                log_region(st)
                return _CLOSED, 0
            return _ASK, RESOLVE
        return _OPEN, unit


@njit(**INNER)
def certain(st: Store, d: int, p: int, slot: int) -> bool:
    """Add all sets of one unit that a Farkas combination proves; returns whether rank closes the node (last layer)."""
    L = st.gi[LAYERS]
    length = st.FI[d, PATH]
    s = st.FM.shape[0] - 1
    mask = st.PS[st.PS.shape[0] - 1, 0]
    if rank_closed(st, d):
        return True
    for j in range(st.m[L - 1]):
        if st.FI[d, SETS] >= st.PS.shape[1]:
            break
        if st.SIGN[L - 1, j] != 0 or has(st.PV[d], j) or not dot(st.ROWS[p, j], st.FX[slot], st.ROWS.shape[2]) > 0.0:
            continue
        if solve_with(st, slot, s, length, st.BASE[p] + 2 * j) == 0:
            for k in range(mask.shape[0]):
                mask[k] = 0
            put(mask, j)
            log_circuit(st, d, s, st.gi[MET], length)
            push_set(st, d, mask)
            if rank_closed(st, d):
                return True
    return False


@njit(**INNER)
def shrink_family(st: Store, d: int, unit: int, whole: bool) -> None:
    """Take a decided unit out of the family: with its set (`whole`, it is positive) or alone (it is negative)."""
    NW = st.PS.shape[2]
    q = 0
    for w in range(NW):
        st.PV[d, w] = 0
    for i in range(st.FI[d, SETS]):
        if has(st.PS[d, i], unit):
            if whole:
                continue
            drop(st.PS[d, i], unit)
        st.PID[d, q] = st.PID[d, i]
        for w in range(NW):
            st.PS[d, q, w] = st.PS[d, i, w]
            st.PV[d, w] |= st.PS[d, i, w]
        q += 1
    st.FI[d, SETS] = q


@njit(**INNER)
def make_child(st: Store, d: int, sign: int) -> int:
    """Prepare frame d + 1 with the branching unit decided; 0 empty (proved), 1 ready, 2 not decided in floats."""
    e = d + 1
    p = st.FI[d, LAYER]
    L = st.gi[LAYERS]
    unit = st.FI[d, UNIT_FIELD]
    for k in range(st.FI.shape[1]):
        st.FI[e, k] = st.FI[d, k]
    st.FI[e, PHASE] = ENTER
    st.FI[e, NOWITNESS] = 0
    st.FI[e, BUILT] = 0
    NW = st.PS.shape[2]
    for i in range(st.FI[d, SETS]):
        st.PID[e, i] = st.PID[d, i]
        for w in range(NW):
            st.PS[e, i, w] = st.PS[d, i, w]
    for w in range(NW):
        st.PV[e, w] = st.PV[d, w]
    assign(st, p, unit, sign)
    if p == L - 1:
        if sign > 0:
            st.FI[e, COUNT] += 1
            if st.FI[e, COUNT] >= st.gi[TARGET] and st.gi[RANKED] == 0:
                log_counted(st, e)
                return 0
        shrink_family(st, e, unit, sign > 0)
    row = st.BASE[p] + 2 * unit + (1 if sign > 0 else 0)
    length = st.FI[d, PATH]
    st.PATHS[length] = row
    st.PINDEX[row] = length
    st.FI[e, PATH] = length + 1
    for k in range(p, L - 1):
        for i in range(st.m[k]):
            st.UV[e, k, i] = st.UV[d, k, i]
            if st.UV[e, k, i]:
                st.UE[e, k, i] = st.UE[d, k, i]
                for q in range(st.ROWS.shape[2]):
                    st.UP[e, k, i, q] = st.UP[d, k, i, q]
    status = solve_with(st, d, e, length, row)
    if status == 0:
        log_circuit(st, e, e, st.gi[MET], length + 1)
        log_empty(st, e)
    if status != 2:
        return status
    copy_center(st, d, e)
    return 2


@njit()
def advance(st: Store) -> int:
    """Run until the stack is empty or the caller is needed; returns one of the reasons of `store`.

    WITNESS: the candidate is the center (gi[SLOT] = 0) or tail (1) of the top frame. RESOLVE: decide exactly whether
    the cell of frame gi[SLOT] is empty; if that is above the top frame, push it (gi[DEPTH] += 1) unless it is empty.
    BLOCK: exact rows of layer gi[SLOT] are wanted. PAUSED: gi[LIMIT] nodes are used up. FULL: the output is full.
    LOGFULL: the log has more than gi[RECORD] numbers, take them out.
    """
    while st.gi[DEPTH] >= 0:
        d = st.gi[DEPTH]
        phase = st.FI[d, PHASE]
        if phase == ENTER:
            if st.gi[NODES] >= st.gi[LIMIT]:
                return PAUSED
            if st.gi[RECORD] and st.gi[LOGGED] > st.gi[RECORD]:
                return LOGFULL
            st.gi[NODES] += 1
            st.FI[d, PHASE] = NODE
        elif phase == NODE:
            what, value = node(st, d)
            if what == _CLOSED:
                st.gi[DEPTH] = d - 1
            elif what == _OPEN:
                st.FI[d, UNIT_FIELD] = value
                st.FI[d, MARK] = st.gi[TRAIL]
                st.FI[d, PHASE] = FIRST
                log_branch(st, value)
            elif what == _FOUND:
                return WITNESS
            else:
                if value == RESOLVE:
                    st.gi[SLOT] = d
                return value
        elif phase in (FIRST, SECOND):
            undo(st, st.FI[d, MARK])
            st.FI[d, PHASE] = SECOND if phase == FIRST else LEAVE
            status = make_child(st, d, -1 if phase == FIRST else 1)
            if status == 1:
                st.gi[DEPTH] = d + 1
            elif status == 2:
                st.gi[SLOT] = d + 1
                return RESOLVE
        else:
            undo(st, st.FI[d, MARK])
            st.gi[DEPTH] = d - 1
    return DONE
