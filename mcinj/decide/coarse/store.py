"""The arrays of a tree of coarse cells, a named tuple that compiled code takes, and the integers that name its parts.

A coarse cell is a closed cone on which some hidden units are decided (`mcinj.decide.coarse.search`). Residues are
taken modulo `mcinj.numeric.field.FIELD`, of least absolute value, in float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj.decide.deep.model import DeepModel
from mcinj.numeric import cell
from mcinj.numeric.field import centered

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


# Arrays that have one entry per cell, and their value before there is one.
_PER_CELL = (
    "SG", "LAYER", "HEAD", "PATH", "LEN", "CM", "CX", "CU", "CI", "UP", "UE", "UV", "KID", "OPEN", "SPAN", "ON", "OFF",
    "ABOVE", "BELOW", "RID", "RES", "HR",
)  # fmt: skip


def make_tree(model: DeepModel, padded: int, cells: int, out: int, steps: int) -> Tree:
    """An empty tree with room for so many cells, complete pairs and steps; `padded`: the width of the search's layers.

    Where a denominator is 0 modulo the prime, residues are 0: no rank is proved with them.
    """
    L, g, widths = model.depth, model.g, model.widths
    W = cell.padded(g)
    m = padded
    hidden = sum(widths[:-1])
    WT = np.zeros((L, max(m, g), m))
    for k, r in enumerate(model.field_residues or []):
        WT[k, : r.shape[1], : r.shape[0]] = centered(r)

    def ones(*shape: int) -> Floats:
        return np.zeros((cells, *shape))

    def whole(*shape: int) -> Ints:
        return np.zeros((cells, *shape), dtype=np.int64)

    def bits(count: int) -> Words:
        return np.zeros((cells, (count + 63) // 64), dtype=np.uint64)

    columns = 2 * g + 2 * hidden + 2
    return Tree(
        ti=np.zeros(INTEGERS, dtype=np.int64), SG=np.zeros((cells, L, m), dtype=np.int8), LAYER=whole(), HEAD=whole(),
        PATH=np.zeros((cells, hidden + len(model.fence) + 2), dtype=np.int32), LEN=whole(), CM=ones(g, W), CX=ones(W),
        CU=ones(W), CI=whole(W), UP=ones(L - 1, m, g), UE=ones(L - 1, m),
        UV=np.zeros((cells, L - 1, m), dtype=np.int8), KID=whole(2), OPEN=whole(), SPAN=whole(7),
        ON=bits(hidden), OFF=bits(hidden), ABOVE=bits(widths[-1]), BELOW=bits(widths[-1]),
        RID=whole(), RES=ones(g + hidden - widths[-2], m), HR=ones(g, m), WT=WT,
        FIRST=np.concatenate([[0], np.cumsum(widths[:-1])]).astype(np.int64),
        stack=np.zeros((8 * hidden + 64, 2), dtype=np.int64), out=np.zeros((out, 2), dtype=np.int64),
        steps=np.zeros(steps, dtype=np.int8),
        V=np.zeros((columns, m)), V2=np.zeros((g, m)), mask=np.zeros(m),
    )  # fmt: skip


def grown(tree: Tree) -> Tree:
    """The same tree with room for twice as many cells."""
    used = int(tree.ti[CELLS])

    def double(v: npt.NDArray[Any]) -> npt.NDArray[Any]:
        wider = np.zeros((2 * len(v), *v.shape[1:]), dtype=v.dtype)  # no memory is taken before it is written to
        wider[:used] = v[:used]
        return wider

    return tree._replace(**{name: double(getattr(tree, name)) for name in _PER_CELL})


def bytes_of(tree: Tree) -> int:
    """Size of the arrays that grow with the number of cells."""
    return sum(int(getattr(tree, name).nbytes) for name in _PER_CELL)
