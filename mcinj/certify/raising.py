"""Replay of a certificate's raised steps: sets that together hold more active units than one each, and what follows.

A step names disjoint sets of units, each by a circuit as a leaf does: each has an active unit in every cell of the
node. A *group* is sets Q and circuits in order. Suppose that exactly one unit of each set of Q is active, and none of
the units outside of them on which the circuits lean (L'). Each circuit but the last leaves the active unit of one set
to fewer units, so that the others of this set are not active, and the last one cannot be: Q and L' hold |Q| + 1 active
units or more.

If declared units, sets and groups make n - 1, then in a cell with fewer than n active units no other unit is active,
and each set that is in no group has one active unit exactly. This, and what circuits make of it, is declared, and the
tree goes on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.certify.choices import INNER

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Faults, numbered as in `mcinj.certify.walk`; a contradiction is none.
OK, CUT, CIRCUIT, OVERLAP, SHORT, DECLARED, ASSUMED, RAISED = 0, 1, 3, 4, 5, 9, 10, 11
CONTRADICTION = -1
_NONE = -1  # owner of a free unit that nothing of this step names; group k leans on it: -2 - k


class Node(NamedTuple):
    """A node of the tree, and what a raised step knows of its units (row 0 is the half space).

    Attributes
    ----------
    sign
        (m + 1,) int8: 1 declared active, -1 not, 0 free.
    idle
        (m + 1,) units that never count.
    owner
        (m + 1,) number of the set that holds a free unit, or a negative one (above).
    dead, kept
        (m + 1,) units of sets that are known not to be active; scratch.
    live
        (m + 2,) how many units of each set may be active.
    """

    sign: npt.NDArray[np.int8]
    idle: Bools
    owner: Ints
    dead: Bools
    kept: Bools
    live: Ints


def new_node(rows: int) -> Node:
    """A node of that many rows: nothing is declared of any unit."""
    flags = np.zeros((3, rows), dtype=np.bool_)
    return Node(
        np.zeros(rows, dtype=np.int8), flags[0], np.zeros(rows, dtype=np.int64), flags[1], flags[2],
        np.zeros(rows + 1, dtype=np.int64),
    )  # fmt: skip


@njit(**INNER)
def _claim(start: Ints, rows: Ints, c: int, node: Node, number: int) -> int:
    """Give the free units of circuit c to set `number`; OK or a fault."""
    node.live[number] = 0
    for j in range(start[c], start[c + 1]):
        r = rows[j] >> 1
        if rows[j] & 1:
            if node.sign[r] <= 0:
                return ASSUMED
        elif node.sign[r] > 0:
            return DECLARED
        elif node.sign[r] == 0:
            if node.idle[r] or node.owner[r] != _NONE:
                return OVERLAP
            node.owner[r] = number
            node.live[number] += 1
    return OK


@njit(**INNER)
def _replay(start: Ints, rows: Ints, c: int, node: Node, low: int, high: int, lean: int) -> int:
    """What circuit c says if sets low … high - 1 have one active unit each: OK, CONTRADICTION or a fault.

    `lean`: the owner of units that may be supposed not active, `_NONE` if no more may.
    """
    chosen = -1
    for j in range(start[c], start[c + 1]):
        r = rows[j] >> 1
        of = node.owner[r]
        inside = low <= of and of < high
        if rows[j] & 1:
            if node.sign[r] <= 0 and not (inside and not node.dead[r] and node.live[of] == 1):
                return ASSUMED
        elif node.sign[r] > 0:
            return DECLARED
        elif node.sign[r] == 0:
            if inside:
                if not node.dead[r]:
                    if chosen >= 0 and chosen != of:
                        return RAISED
                    chosen = of
                    node.kept[r] = True
            elif lean != _NONE and not node.idle[r] and of in (_NONE, lean):
                node.owner[r] = lean
            else:
                return OVERLAP
    if chosen < 0:
        return CONTRADICTION
    for r in range(node.sign.shape[0]):
        if node.owner[r] == chosen and not node.dead[r] and not node.kept[r]:
            node.dead[r] = True
            node.live[chosen] -= 1
        node.kept[r] = False
    return OK


@njit(**INNER)
def _number(tree: Ints, place: int) -> int:
    """The number at a place of the tree, -1 behind its end."""
    return tree[place] if place < tree.shape[0] else -1


@njit(**INNER)
def _sets(
    tree: Ints, place: int, start: Ints, rows: Ints, used: Bools, node: Node, number: int
) -> tuple[int, int, int]:
    """Read a number of sets and their circuits; a fault or OK, the place behind them, the number of the next set."""
    count = _number(tree, place)
    if count < 0 or count > tree.shape[0] - place - 1:
        return CUT, place, number
    if number + count > node.sign.shape[0]:
        return OVERLAP, place, number
    for i in range(place + 1, place + 1 + count):
        c = tree[i]
        if c >= start.shape[0] - 1:
            return CIRCUIT, place, number
        used[c] = True
        fault = _claim(start, rows, c, node, number)
        if fault != OK:
            return fault, place, number
        number += 1
    return OK, place + 1 + count, number


@njit(**INNER)
def _circuits(
    tree: Ints, place: int, count: int, start: Ints, rows: Ints, used: Bools, node: Node, low: int, high: int, lean: int
) -> tuple[int, int]:
    """Replay circuits tree[place : place + count] up to a contradiction: what it is, the place behind."""
    if count > tree.shape[0] - place:
        return CUT, place
    for i in range(place, place + count):
        c = tree[i]
        if c >= start.shape[0] - 1:
            return CIRCUIT, place
        used[c] = True
        result = _replay(start, rows, c, node, low, high, lean)
        if result != OK:
            return result, i + 1
    return OK, place + count


@njit(**INNER)
def raised_step(
    tree: Ints, place: int, start: Ints, rows: Ints, used: Bools, node: Node, positive: int, n: int
) -> tuple[int, int, bool]:
    """Check the step whose numbers begin at `place`, in a node with `positive` units declared active.

    Returns OK or a fault, the place behind it and whether it closes the node. If it does not, `node.sign` has got its
    facts, 2 instead of 1 and -2 instead of -1.
    """
    for r in range(node.sign.shape[0]):
        node.owner[r] = _NONE
        node.dead[r] = False
    groups = _number(tree, place)
    if groups < 0:
        return CUT, place, False
    place += 1
    bound = positive
    low = 0
    for k in range(groups):
        fault, place, high = _sets(tree, place, start, rows, used, node, low)
        if fault != OK:
            return fault, place, False
        count = _number(tree, place)
        if count < 0:
            return CUT, place, False
        end = place + 1 + count
        result, place = _circuits(tree, place + 1, count, start, rows, used, node, low, high, -2 - k)
        if result != CONTRADICTION or place != end:
            return (result if result > OK else RAISED), place, False
        bound += high - low + 1
        low = high
    fault, place, high = _sets(tree, place, start, rows, used, node, low)
    if fault != OK:
        return fault, place, False
    bound += high - low
    count = _number(tree, place)
    if count < 0:
        return CUT, place, False
    if bound < (n if count == 0 else n - 1):
        return SHORT, place, False
    if count == 0:
        return OK, place + 1, True
    for r in range(node.sign.shape[0]):
        if node.sign[r] == 0 and node.owner[r] == _NONE and not node.idle[r]:
            node.sign[r] = -2
    result, place = _circuits(tree, place + 1, count - 1, start, rows, used, node, low, high, _NONE)
    if result != OK:
        return (result if result > OK else RAISED), place, False
    for r in range(node.sign.shape[0]):
        of = node.owner[r]
        if low <= of and of < high:
            if node.dead[r]:
                node.sign[r] = -2
            elif node.live[of] == 1:
                node.sign[r] = 2
    return OK, place, False


@njit()
def checked_step(
    tree: Ints, place: int, start: Ints, rows: Ints, used: Bools, node: Node, positive: int, n: int
) -> tuple[int, int, bool]:
    """`raised_step`, for callers that are not compiled."""
    return raised_step(tree, place, start, rows, used, node, positive, n)
