"""The arrays of a tree of coarse cells, a named tuple that compiled code takes, and the integers that name its parts.

A coarse cell is a closed cone on which some hidden units are decided (`mcinj.decide.coarse.search`). Residues are
taken modulo `mcinj.numeric.field.FIELD`, of least absolute value, in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

# ti: integers of a tree: cells so far, sets of residues so far, the cell whose pattern the search's rows are for (-1:
# none), pairs on the stack, nodes, their limit, pairs put out, how many hidden units may be gone through, whether only
# cells by themselves are looked at, tests of ranks and how many of them failed; for a certificate: numbers of the
# search's log that are taken out already, and steps in `steps`; what the caller said of the child in question.
CELLS, RESIDUES, HEAD, TOP, NODES, LIMIT, OUT, TRY, DIAGONAL, TESTS, FAILS, TAKEN, STEPS, TOLD = range(14)
# ti[TOLD]: nothing yet, the open cell is empty, it is not.
NOTHING, NO_CELL, A_CELL = range(3)
INTEGERS = 16
# KID: no child yet, and none because the cell is empty.
UNKNOWN, EMPTY = -1, -2


class Tree(NamedTuple):
    """N cells of a network of L layers of at most m units (padded), g dimensions padded to W.

    SG (N, L, m): signs of the hidden units decided so far. LAYER, HEAD (N,): the layer that is being decided, the cell
    at which that began. PATH (N, ·), LEN (N,): rows that define the cell. CM (N, g, W), CX, CU, CI (N, W): center.
    UP (N, L - 1, m, g), UE, UV (N, L - 1, m): upper bounds, see `mcinj.decide.deep.store`. KID (N, 2), OPEN (N,):
    children, hidden units that are not decided. ON, OFF (N, HW): hidden units that are nonnegative, nonpositive; ABOVE,
    BELOW (N, MW): units of the last layer that are positive but at 0, nowhere positive. RID (N,): where its residues
    are, or -1.
    RES (N, g + C, m): residues of the last layer's rows, one coordinate a row, and of its response to units of hidden
    layers but the last; HR (N, g, m): those of the last hidden layer's rows. WT (L, m, m): weights, from unit to unit.
    FIRST (L,): number of a layer's first hidden unit.
    stack (·, 2): pairs to look at; out (·, 2): complete pairs that are not closed. V, V2: scratch.
    For a certificate: SPAN (N, 7): from where to where in the log of the search a cell is described, its two children
    are proved empty, and the unit at which it is divided; steps (·,): what was done with pairs that signs do not close,
    as `mcinj.certify.coarse_pairs` names it (without room: none are written down).
    """

    ti: Ints
    SG: npt.NDArray[np.int8]
    LAYER: Ints
    HEAD: Ints
    PATH: npt.NDArray[np.int32]
    LEN: Ints
    CM: Floats
    CX: Floats
    CU: Floats
    CI: Ints
    UP: Floats
    UE: Floats
    UV: npt.NDArray[np.int8]
    KID: Ints
    OPEN: Ints
    SPAN: Ints
    ON: Words
    OFF: Words
    ABOVE: Words
    BELOW: Words
    RID: Ints
    RES: Floats
    HR: Floats
    WT: Floats
    FIRST: Ints
    stack: Ints
    out: Ints
    steps: npt.NDArray[np.int8]
    V: Floats
    V2: Floats
    mask: Floats
