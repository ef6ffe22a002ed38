"""What closes the leaves of a deep proof: disjoint sets, raised steps, complete regions. Compiled."""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.certify.deep_linear import INNER, decide, extend_path
from mcinj.certify.deep_state import (
    CUT,
    DECLARED,
    FAULTS,
    LAYER,
    LAYER_FAULT,
    LAYERS,
    LEAST,
    OK,
    OPCODE,
    OVERLAP,
    RAISED_FAULT,
    RANKS,
    REGIONS,
    SET_FAULT,
    SETS,
    SHORT,
    TARGET,
    Ints,
    Walk,
)
from mcinj.certify.raising import raised_step


@njit(**INNER)
def counted(st: Walk, stream: Ints, at: int, k: int, exactly_one: bool) -> tuple[int, int, int]:
    """The k sets of a leaf: (fault or OK, 1 if one is empty, units proved positive). Their units are in PICK if
    `exactly_one` is asked of each; then the declared positives precede them."""
    last = st.gi[LAYERS] - 1
    m = st.m[last]
    if k > stream.shape[0] - at:
        return CUT, 0, 0
    for i in range(k):
        number = stream[at + i]
        if number >= st.gi[SETS]:
            return SET_FAULT, 0, 0
        some = False
        for c in range(st.FROM[number], st.FROM[number + 1]):
            if st.SIGN[last, st.CODES[c] >> 1] >= 0:
                some = True
                break
        if not some:
            return OK, 1, 0
    count = 0
    for j in range(m):
        st.mask[j] = 0
        if st.SIGN[last, j] > 0:
            st.PICK[count] = j
            count += 1
    if k > m - count:
        return OVERLAP, 0, 0
    for i in range(k):
        number = stream[at + i]
        size = 0
        for c in range(st.FROM[number], st.FROM[number + 1]):
            j = st.CODES[c] >> 1
            if st.SIGN[last, j] >= 0:
                if st.SIGN[last, j] > 0:
                    return DECLARED, 0, 0
                if st.mask[j]:
                    return OVERLAP, 0, 0
                st.mask[j] = 1
                st.PICK[count] = j
                size += 1
        if exactly_one and size != 1:
            return SHORT, 0, 0
        count += 1
    return OK, 0, count


@njit(**INNER)
def raised(st: Walk, stream: Ints, at: int, arg: int) -> tuple[int, int]:
    """Check a raised step, a leaf or one that declares facts: (fault or OK, where it ends)."""
    p = st.gi[LAYER]
    last = st.gi[LAYERS] - 1
    if arg > 1:
        return OPCODE, at
    if st.gi[RANKS] != 0 or (arg == 1 and p != last):
        return LAYER_FAULT, at
    count = 0
    for j in range(st.m[last]):
        st.NODE.sign[j] = st.SIGN[last, j]
        if st.SIGN[last, j] > 0:
            count += 1
    sets = st.gi[SETS]
    fault, at, closed = raised_step(
        stream, at, st.FROM[: sets + 1], st.CODES[: st.FROM[sets]], st.USED, st.NODE, count, st.gi[TARGET]
    )
    if fault != OK:
        return FAULTS[fault], at
    if closed == (arg == 1):
        return RAISED_FAULT, at
    if arg == 1:
        for j in range(st.m[last]):
            if st.NODE.sign[j] == -2:
                decide(st, last, j, -1)
                extend_path(st, j, -1)
    return OK, at


@njit(**INNER)
def list_region(st: Walk) -> bool:
    """Append the region to the list; False if it is not complete or has fewer units active than it must have."""
    last = st.gi[LAYERS] - 1
    r = st.gi[REGIONS]
    count = 0
    h = 0
    for k in range(last + 1):
        for i in range(st.m[k]):
            if st.SIGN[k, i] == 0:
                return False
            if k == last and st.SIGN[k, i] > 0:
                count += 1
            st.OUT[r, h] = st.SIGN[k, i]
            h += 1
    if count < st.gi[LEAST]:
        return False
    st.gi[REGIONS] = r + 1
    return True
