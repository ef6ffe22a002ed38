"""Pairs of coarse cells, from the pair of the root with itself down to pairs that are closed. Compiled."""

from __future__ import annotations

import numpy as np

from mcinj._jit import njit
from mcinj.certify.coarse_ranks import Bits, Cells, Ints, pair_closed, ranked
from mcinj.certify.deep_linear import INNER
from mcinj.certify.deep_state import DIVIDED, RANKED

# Why `pairs` returned; ASK: the rank of the pair and form in si must be judged over the rationals.
DONE, ASK, ROOM, CUT, UNDIVIDED, INCOMPLETE = range(6)
# What a pair's step says: closed by one of two forms, first or second cell divided, left for a proof of its own.
BY_DIFFERENCES, BY_BOTH, FIRST, SECOND, JOINT = range(5)
# si: pairs on the stack, steps read, pairs left, the pair and form that are asked for, and whether that is settled.
TOP, AT, LEFT, ONE, TWO, FORM, SETTLED = range(7)


def new_state() -> Ints:
    """The integers of a walk over pairs that has not begun."""
    si = np.zeros(8, dtype=np.int64)
    si[TOP] = 1
    return si


@njit(**INNER)
def apart(t: Cells, a: int, b: int) -> bool:
    """Whether a unit is positive on one cell but at 0, and nowhere positive on the other."""
    found = 0
    for j in range(t.MARK.shape[1]):
        found |= (t.MARK[a, j] & (t.MARK[b, j] >> 1)) | (t.MARK[b, j] & (t.MARK[a, j] >> 1))
    return found & 1 != 0


@njit(**INNER)
def _complete(t: Cells, a: int) -> bool:
    for h in range(t.STATE.shape[1]):  # noqa: SIM110
        if t.STATE[a, h] == 0:
            return False
    return True


@njit()
def pairs(t: Cells, steps: Bits, stack: Ints, left: Ints, si: Ints) -> int:
    """Go on with the pairs on the stack; DONE when none is left, ROOM: `stack` or `left` is full, ASK, or a fault."""
    while si[TOP] > 0:
        if si[TOP] + 4 > stack.shape[0] or si[LEFT] >= left.shape[0]:
            return ROOM
        a = stack[si[TOP] - 1, 0]
        b = stack[si[TOP] - 1, 1]
        if apart(t, a, b) or (a == b and t.KIND[a] == RANKED):
            si[TOP] -= 1
            continue
        if si[AT] >= steps.shape[0]:
            return CUT
        step = steps[si[AT]]
        if step in (BY_DIFFERENCES, BY_BOTH):
            if not si[SETTLED] and not pair_closed(t, a, b, step):
                si[ONE] = a
                si[TWO] = b
                si[FORM] = step
                return ASK
            si[SETTLED] = 0
            si[TOP] -= 1
        elif step == JOINT:
            if a == b or not _complete(t, a) or not _complete(t, b):
                return INCOMPLETE
            left[si[LEFT], 0] = a
            left[si[LEFT], 1] = b
            si[LEFT] += 1
            si[TOP] -= 1
        else:
            c = a if step == FIRST else b
            o = b if step == FIRST else a
            if t.KIND[c] != DIVIDED:
                return UNDIVIDED
            top = si[TOP] - 1
            if a == b and t.KID[c, 0] >= 0 and t.KID[c, 1] >= 0:
                stack[top, 0] = t.KID[c, 0]
                stack[top, 1] = t.KID[c, 1]
                top += 1
            for side in range(2):
                child = t.KID[c, side]
                if child < 0:
                    continue
                if a == b:
                    stack[top, 0] = child
                    stack[top, 1] = child
                else:
                    stack[top, 0] = child
                    stack[top, 1] = o
                top += 1
            si[TOP] = top
        si[AT] += 1
    return DONE


@njit()
def ranks(t: Cells, most: int, si: Ints) -> int:
    """Rank n on all cells that are not divided, from cell si[AT] on; DONE, or ASK for cell si[ONE]."""
    while si[AT] < t.KIND.shape[0]:
        a = si[AT]
        whole = t.KIND[a] != DIVIDED and t.KIND[a] != RANKED
        if whole and not si[SETTLED] and not apart(t, a, a) and not ranked(t, a, most):
            si[ONE] = a
            return ASK
        si[SETTLED] = 0
        si[AT] = a + 1
    return DONE
