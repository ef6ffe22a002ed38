"""Instructions of a tree of coarse cells: signs proved by path rows, marks of last-layer units, and cells. Compiled.

A coarse cell is a closed cone `{x : path rows >= 0}` with signs of some hidden units and marks of last-layer units that
hold on all of it (`mcinj.certify.coarse_proof`).
"""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.certify.deep_linear import INNER, decide, inverted, lower_row, sign_on, sign_on_basis, take_rows, upper_row
from mcinj.certify.deep_state import (
    ABOVE,
    ASK,
    BASED,
    BASIS_FAULT,
    BELOW,
    BOUND_FAULT,
    BOUNDED,
    COARSE,
    DEPTH,
    F_CELL,
    F_SIDE,
    LAYER,
    LAYERS,
    LOWERED,
    OK,
    REGIONS,
    UNIT_FAULT,
    Floats,
    Ints,
    Walk,
)


@njit(**INNER)
def _sign_on_rows(st: Walk, a: Floats, ae: float) -> int:
    """`sign_on` the second basis, which is inverted first."""
    return int(sign_on(st, 1, a, ae)) if inverted(st, 1) else 0


@njit(**INNER)
def imply(st: Walk, stream: Ints, at: int, arg: int, accept: bool) -> int:
    """IMPLY: g path rows decide a unit of the present layer; OK, ASK or a fault."""
    p = st.gi[LAYER]
    unit = arg >> 1
    if unit >= st.m[p] or st.SIGN[p, unit] != 0:
        return UNIT_FAULT
    fault = take_rows(st, stream, at, 1)
    if fault != OK:
        return int(fault)
    sign = 1 if arg & 1 else -1
    if not accept and _sign_on_rows(st, st.ROWS[p, unit], st.ERR[p, unit]) != sign:
        return ASK
    decide(st, p, unit, sign)
    return OK


@njit(**INNER)
def _mark_row(st: Walk, unit: int, above: bool, w: Floats) -> float:
    """w = a lower (`above`) or an upper bound, linear on the cell, of a last-layer unit; its error, -1: none."""
    p = st.gi[LAYER]
    L = st.gi[LAYERS]
    if above or p == L - 1:
        return lower_row(st, L - 1, unit, st.THETA, w)
    # Upper bounds lean on lower ones of the layer before; they are worked out once in a node.
    if p < L - 2 and st.gi[LOWERED] == 0:
        for j in range(st.m[L - 2]):
            h = st.first[L - 2] + j
            st.LE[h] = lower_row(st, L - 2, j, st.THETA, st.LR[h])
            if st.LE[h] < 0.0:
                return -1.0
        st.gi[LOWERED] = 1
    return upper_row(st, L - 1, unit, w)


@njit(**INNER)
def mark(st: Walk, stream: Ints, at: int, arg: int, accept: bool) -> int:
    """MARK: a last-layer unit is positive on the cell but at 0, or nowhere positive; OK, ASK or a fault."""
    L = st.gi[LAYERS]
    unit = arg >> 2
    above = arg & 2 != 0
    if unit >= st.m[L - 1]:
        return UNIT_FAULT
    if st.gi[LAYER] < L - 1 and st.gi[BOUNDED] == 0:
        return BOUND_FAULT
    if arg & 1:
        if st.gi[BASED] == 0:
            return BASIS_FAULT
    else:
        fault = take_rows(st, stream, at, 1)
        if fault != OK:
            return int(fault)
    if not accept:
        w = st.vec[2]
        error = _mark_row(st, unit, above, w)
        if error < 0.0:
            return BOUND_FAULT
        sign = sign_on_basis(st, w, error) if arg & 1 else _sign_on_rows(st, w, error)
        if sign != (1 if above else -1):
            return ASK
    st.MARKS[st.gi[DEPTH], unit] |= ABOVE if above else BELOW
    return OK


@njit(**INNER)
def decide_known(st: Walk) -> None:
    """Units of the present layer whose sign bounds had proved before it was reached."""
    p = st.gi[LAYER]
    if st.gi[COARSE] == 0 or p == st.gi[LAYERS] - 1:
        return
    for i in range(st.m[p]):
        known = st.KNOWN[st.gi[DEPTH], st.first[p] + i]
        if known != 0 and st.SIGN[p, i] == 0:
            decide(st, p, i, known)


@njit(**INNER)
def register(st: Walk, kind: int) -> None:
    """The cell of the present node, with what is known on it, in the list of cells."""
    p = st.gi[LAYER]
    d = st.gi[DEPTH]
    last = st.gi[LAYERS] - 1
    c = st.gi[REGIONS]
    for k in range(last):
        for i in range(st.m[k]):
            h = st.first[k] + i
            s = st.SIGN[k, i]
            if s != 0:
                st.KNOWN[d, h] = s
            elif k > p and st.gi[BOUNDED] != 0 and st.KNOWN[d, h] == 0:
                st.KNOWN[d, h] = st.HS[h]
            st.OUT[c, h] = st.KNOWN[d, h]
    hidden = st.KNOWN.shape[1]
    for j in range(st.m[last]):
        if p == last and st.SIGN[last, j] < 0 and st.MARKS[d, j] == 0:
            st.MARKS[d, j] = BELOW
        st.OUT[c, hidden + j] = st.MARKS[d, j]
    st.KIND[c] = kind
    st.KID[c, 0] = -1
    st.KID[c, 1] = -1
    if d > 0:
        st.KID[st.FR[d - 1, F_CELL], 0 if st.FR[d - 1, F_SIDE] < 0 else 1] = c
    st.FR[d, F_CELL] = c
    st.gi[REGIONS] = c + 1
