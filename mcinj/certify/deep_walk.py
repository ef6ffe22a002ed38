"""The walk through a deep proof, in floats with rigorous bounds; what they do not decide is asked for. Compiled.

Every index that a file can contain is checked before it is used.
"""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.certify.coarse_walk import decide_known, imply, mark, register
from mcinj.certify.deep_leaves import counted, list_region, raised
from mcinj.certify.deep_linear import (
    INNER,
    bounds_end,
    decide,
    declare_zero,
    extend_path,
    inverted,
    lower_row,
    next_rows,
    read_slopes,
    set_bounds,
    sign_on_basis,
    take_rows,
)
from mcinj.certify.deep_ops import (
    BASIS,
    BOUNDS,
    BRANCH,
    COUNTED,
    DECIDE,
    IMPLY,
    LEAF,
    MARK,
    NEXT,
    POSITIVE,
    RAISED,
    RANKED,
    REGION,
    SET,
    SHIFT,
    SINGLE,
)
from mcinj.certify.deep_ops import RANKS as RANKS_BELOW
from mcinj.certify.deep_ranks import next_residues, rank_of
from mcinj.certify.deep_state import (
    ACCEPT,
    ACTIVE,
    ASK,
    BASED,
    BASIS_FAULT,
    BOUND_FAULT,
    BOUNDED,
    COARSE,
    CUT,
    DEPTH,
    DIVIDED,
    ENUMERATE,
    F_ACTIVE,
    F_LAYER,
    F_LENGTH,
    F_SETS,
    F_SIDE,
    F_TRAIL,
    F_UNIT,
    GROW,
    LAYER,
    LAYER_FAULT,
    LAYERS,
    LENGTH,
    LONG,
    LOWERED,
    OK,
    OPCODE,
    PLACE,
    RANKS,
    REGION_FAULT,
    REGIONS,
    ROW_FAULT,
    SET_FAULT,
    SETS,
    SHORT,
    TARGET,
    TRAIL,
    UNDER,
    UNIT_FAULT,
    WHOLE,
    Ints,
    Walk,
)
from mcinj.certify.deep_state import RANKED as RANKED_CELL
from mcinj.certify.enclosure import UNIT, coefficients, invert, spread


@njit(**INNER)
def _circuit(st: Walk, stream: Ints, at: int, size: int, numbers: bool) -> tuple[int, int]:
    """Read the items of a set into C, CE and mask; (where it ends or -1, fault, OK or ASK for its numbers)."""
    p = st.gi[LAYER]
    L = st.gi[LAYERS]
    g = st.ROWS.shape[2]
    for j in range(st.m[L - 1]):
        st.mask[j] = 0
    known = size == g + 1
    for k in range(size):
        if at >= stream.shape[0]:
            return -1, CUT
        v = stream[at]
        at += 1
        if v & 1 == 0:
            t = v >> 1
            if t >= st.gi[LENGTH]:
                return -1, ROW_FAULT
            if known:
                for q in range(g):
                    st.C[k, q] = st.P[t, q]
                st.CE[k] = st.PE[t]
            continue
        unit = v >> 1
        if unit >= st.m[L - 1]:
            return -1, UNIT_FAULT
        st.mask[unit] = 1
        if p < L - 1:
            if st.gi[BOUNDED] == 0:
                return -1, BOUND_FAULT
            at = read_slopes(st, stream, at, st.CUTS)
            if at < 0:
                return -1, CUT
        if known and numbers:
            w = st.vec[2]
            error = lower_row(st, L - 1, unit, st.CUTS, w)
            if error < 0.0:
                return -1, BOUND_FAULT
            top = 0.0
            for q in range(g):
                top = max(top, abs(w[q]))
            if not (top > 0.0 and top < 1e200):
                known = False
                continue
            for q in range(g):
                st.C[k, q] = -w[q] / top
            st.CE[k] = error / top * (1.0 + 1e-9) + 2.0 * UNIT
    if not numbers:
        return at, OK
    if not known:
        return at, ASK
    b = st.B[1]
    be = st.BE[1]
    for k in range(g):
        for q in range(g):
            b[k, q] = st.C[k + 1, q]
        be[k] = st.CE[k + 1]
    if not invert(b, st.R[1], st.work) or not spread(b, be, st.R[1], st.DELTA[1]):
        return at, ASK
    y = st.vec[0]
    bound = st.vec[1]
    if not coefficients(b, be, st.R[1], st.DELTA[1], st.C[0], st.CE[0], y, bound):
        return at, ASK
    for k in range(g):
        if not y[k] + bound[k] < 0.0:
            return at, ASK
    return at, OK


@njit(**INNER)
def _push_set(st: Walk) -> None:
    k = st.gi[SETS]
    end = st.FROM[k]
    for j in range(st.mask.shape[0]):
        if st.mask[j]:
            st.CODES[end] = 2 * j
            end += 1
    st.FROM[k + 1] = end
    st.gi[SETS] = k + 1


@njit(**INNER)
def _to_child(st: Walk, sign: int) -> None:
    """Enter a child of the top frame: its unit is decided, its row extends the path, bounds are inherited."""
    d = st.gi[DEPTH]
    unit = st.FR[d - 1, F_UNIT]
    p = st.gi[LAYER]
    decide(st, p, unit, sign)
    extend_path(st, unit, sign)
    for h in range(st.UV.shape[1]):
        st.UV[d, h] = st.UV[d - 1, h]
        if st.UV[d, h]:
            st.UE[d, h] = st.UE[d - 1, h]
            for q in range(st.UP.shape[2]):
                st.UP[d, h, q] = st.UP[d - 1, h, q]
    if st.gi[COARSE]:
        for h in range(st.KNOWN.shape[1]):
            st.KNOWN[d, h] = st.KNOWN[d - 1, h]
        for j in range(st.MARKS.shape[1]):
            st.MARKS[d, j] = st.MARKS[d - 1, j]
    st.gi[BASED] = 0
    st.gi[BOUNDED] = 0


@njit(**INNER)
def _back(st: Walk) -> bool:
    """Leave a leaf for the next positive child; False if there is none."""
    while st.gi[DEPTH] > 0:
        f = st.gi[DEPTH] - 1
        if f < st.gi[UNDER] - 1:
            st.gi[UNDER] = 0
        before = st.FR[f, F_TRAIL]
        t = st.gi[TRAIL]
        while t > before:
            t -= 1
            st.SIGN[st.TL[t], st.TU[t]] = 0
        st.gi[TRAIL] = before
        st.gi[LENGTH] = st.FR[f, F_LENGTH]
        st.gi[SETS] = st.FR[f, F_SETS]
        st.gi[LAYER] = st.FR[f, F_LAYER]
        st.gi[ACTIVE] = st.FR[f, F_ACTIVE]
        if st.FR[f, F_SIDE] < 0:
            st.FR[f, F_SIDE] = 1
            _to_child(st, 1)
            return True
        st.gi[DEPTH] = f
    return False


@njit()
def walk(st: Walk, stream: Ints) -> int:
    """Go on where the walk stands. OK at the end, ASK: prove the instruction at gi[PLACE] (for NEXT and BOUNDS, set the
    rows) and set gi[ACCEPT]; GROW: more room is wanted; or a fault at gi[PLACE]."""
    g = st.ROWS.shape[2]
    L = st.gi[LAYERS]
    size = stream.shape[0]
    while True:
        place = st.gi[PLACE]
        if place >= size:
            return CUT
        d = st.gi[DEPTH]
        if (
            d + 2 >= st.UP.shape[0]
            or st.gi[SETS] + 2 >= st.FROM.shape[0]
            or st.FROM[st.gi[SETS]] + st.m[L - 1] >= st.CODES.shape[0]
            or st.gi[ACTIVE] + 2 >= st.LIVE.shape[0]
            or st.gi[REGIONS] >= st.OUT.shape[0]
        ):
            return GROW
        op = stream[place] & 15
        arg = stream[place] >> SHIFT
        at = place + 1
        p = st.gi[LAYER]
        accept = st.gi[ACCEPT] != 0
        st.gi[ACCEPT] = 0
        leaf = False
        cells = st.gi[COARSE] != 0 and st.gi[UNDER] == 0
        if op > REGION and (op == RAISED) == (st.gi[COARSE] != 0):
            return OPCODE
        if op == BRANCH:
            if arg >= st.m[p] or st.SIGN[p, arg] != 0:
                return UNIT_FAULT
            if cells:
                register(st, DIVIDED)
            st.FR[d, F_UNIT] = arg
            st.FR[d, F_LAYER] = p
            st.FR[d, F_TRAIL] = st.gi[TRAIL]
            st.FR[d, F_LENGTH] = st.gi[LENGTH]
            st.FR[d, F_SETS] = st.gi[SETS]
            st.FR[d, F_ACTIVE] = st.gi[ACTIVE] + 1
            st.FR[d, F_SIDE] = -1
            st.gi[DEPTH] = d + 1
            _to_child(st, -1)
        elif op == NEXT:
            if p >= L - 1:
                return LAYER_FAULT
            for i in range(st.m[p]):
                if st.SIGN[p, i] == 0:
                    return UNIT_FAULT
            if not accept and not next_rows(st):
                return ASK
            if st.gi[RANKS] == 2:
                next_residues(st.Q[p + 1], st.QR[p], st.SIGN[p], st.m[p], st.m[p + 1], st.QR[p + 1])
            st.gi[LAYER] = p + 1
            st.gi[BASED] = 0
            st.gi[BOUNDED] = 0
            declare_zero(st)
            decide_known(st)
        elif op == BASIS:
            fault = take_rows(st, stream, at, 0)
            if fault != OK:
                return fault
            st.gi[BASED] = 1 if inverted(st, 0) else 2
            at += g
        elif op == DECIDE:
            unit = arg >> 1
            if unit >= st.m[p] or st.SIGN[p, unit] != 0:
                return UNIT_FAULT
            if st.gi[BASED] == 0:
                return BASIS_FAULT
            sign = 1 if arg & 1 else -1
            if not accept and sign_on_basis(st, st.ROWS[p, unit], st.ERR[p, unit]) != sign:
                return ASK
            decide(st, p, unit, sign)
        elif op == BOUNDS:
            if p >= L - 1:
                return LAYER_FAULT
            if st.gi[BASED] == 0:
                return BASIS_FAULT
            at = bounds_end(st, stream, at)
            if at < 0:
                return CUT
            if not accept and not set_bounds(st, stream, place + 1):
                return ASK
            st.gi[BOUNDED] = 1
            st.gi[LOWERED] = 0
        elif op == SINGLE:
            if arg >= st.m[L - 1]:
                return UNIT_FAULT
            if st.gi[BASED] == 0:
                return BASIS_FAULT
            if p < L - 1 and st.gi[BOUNDED] == 0:
                return BOUND_FAULT
            if not accept:
                error = lower_row(st, L - 1, arg, st.THETA, st.vec[2])
                if error < 0.0:
                    return BOUND_FAULT
                if sign_on_basis(st, st.vec[2], error) <= 0:
                    return ASK
            for j in range(st.m[L - 1]):
                st.mask[j] = 0
            st.mask[arg] = 1
            _push_set(st)
        elif op == SET:
            if arg < 2 or arg > g + 1:
                return ROW_FAULT
            at, fault = _circuit(st, stream, at, arg, not accept)
            if fault != OK:
                return fault
            _push_set(st)
        elif op == POSITIVE:
            if p != L - 1:
                return LAYER_FAULT
            if at >= size:
                return CUT
            number = stream[at]
            at += 1
            if number >= st.gi[SETS]:
                return SET_FAULT
            if arg >= st.m[p] or st.SIGN[p, arg] != 0:
                return UNIT_FAULT
            named = False
            for c in range(st.FROM[number], st.FROM[number + 1]):
                j = st.CODES[c] >> 1
                if j == arg:
                    named = True
                elif st.SIGN[p, j] >= 0:
                    return SET_FAULT
            if not named:
                return UNIT_FAULT
            decide(st, p, arg, 1)
        elif op == COUNTED:
            fault, empty, count = counted(st, stream, at, arg, False)
            if fault != OK:
                return fault
            if not empty and (st.gi[RANKS] != 0 or count < st.gi[TARGET]):
                return SHORT
            at += arg
            leaf = True
        elif op == RANKED:
            if p != L - 1 or st.gi[RANKS] == 0 or cells:
                return LAYER_FAULT
            fault, empty, count = counted(st, stream, at, arg, True)
            if fault != OK:
                return fault
            if (
                not empty
                and not accept
                and (st.gi[RANKS] == 1 or rank_of(st.QR[p], st.PICK, count, st.QW) < st.gi[TARGET])
            ):
                return ASK
            at += arg
            leaf = True
        elif op == REGION:
            if p != L - 1 or st.gi[ENUMERATE] == 0:
                return LAYER_FAULT
            if not list_region(st):
                return REGION_FAULT
            leaf = True
        elif op == RAISED:
            fault, at = raised(st, stream, at, arg)
            if fault != OK:
                return fault
            leaf = arg == 0
        elif op == IMPLY:
            fault = imply(st, stream, at, arg, accept)
            if fault != OK:
                return int(fault)
            at += g
        elif op == MARK:
            fault = mark(st, stream, at, arg, accept)
            if fault != OK:
                return int(fault)
            at += 0 if arg & 1 else g
        elif op == LEAF:
            if not cells:
                return LAYER_FAULT
            register(st, WHOLE)
            leaf = True
        elif op == RANKS_BELOW:
            if not cells or p != L - 1:
                return LAYER_FAULT
            register(st, RANKED_CELL)
            st.gi[UNDER] = d + 1
        else:
            return OPCODE
        if leaf:
            if not _back(st):
                return OK if at == size else LONG
        else:
            # The children's share of the list begins behind the branch itself.
            k = st.FR[d, F_ACTIVE] - 1 if op == BRANCH else st.gi[ACTIVE]
            st.LIVE[k] = place
            st.gi[ACTIVE] = k + 1
        st.gi[PLACE] = at
