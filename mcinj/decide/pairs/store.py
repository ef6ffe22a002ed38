"""The arrays of a pair test, named tuples that compiled code takes, and the integers that name their parts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj.numeric import cell

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Kinds = npt.NDArray[np.int8]
Paths = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]

# What is proved of a last-layer unit on a closed cell: nowhere positive, nothing, nonnegative, positive but at 0.
BELOW, OPEN, WEAK, ABOVE = range(4)
# What a unit is in a pair: positive in neither copy whatever else is, equal, positive in neither, not decided.
NOTHING, SAME, OFF, FREE = range(4)
# What a test says: closed, by one of four; a point of both cells (floats); or neither.
BY_RANK, BY_COPY, BY_QUOTIENT, BY_BOTH, MEETS, UNPROVED = range(6)


# Integers of a walk, `Walk.si`. Where it stands: the pair in the list, units branched on (-1: before a pair).
# Nodes, and their limit. Whether the cells have a constant t, the same in both copies.
# The rank of the units that differ as the caller found it (-1: not asked), and its upper bound as the test took it.
# What the caller wants next: nothing, branch at `point`, or the same node once more. What the last test has said.
POSITION, DEPTH, NODES, LIMIT, CONSTANT, SPAN, BOUND, REPLY, LAST = range(9)
INTEGERS = 9
GO_ON, BRANCH, AGAIN = range(3)


class Cells(NamedTuple):
    """C cells in g dimensions, h hidden units, m units of the last layer; rows with entrywise errors.

    P (C, K, g), PE (C, K), lengths (C,): unit rows that are nonnegative on the closed cell and define it.
    H (C, h, g), HE (C, h): unit rows of the hidden units. on (C, h): which are active.
    Z (C, m, g), ZE (C, m): rows of the last layer. kind (C, m): what is proved of their signs.
    R (C, m, g): residues of these modulo 2^31 - 1; or empty: then rows are taken for independent.
    Of the first layer's units, line (·,) numbers directions (parallel rows have one number) and columns (·,) the
    nonzero entries as bits; or empty. RH (C, h, g): residues of the hidden rows where they are so small that ranks
    modulo 2^31 - 1 are ranks, else empty.
    """

    P: Floats
    PE: Floats
    lengths: Ints
    H: Floats
    HE: Floats
    on: Kinds
    Z: Floats
    ZE: Floats
    kind: Kinds
    R: Ints
    line: Ints
    columns: Words
    RH: Ints


class Walk(NamedTuple):
    """Where a walk through a list of pairs stands: it can be left at any node, and gone on with.

    si (INTEGERS,): the integers above. status (m,): what each unit of the last layer is at the node. units, phase
    (m + 1,): units branched on, by depth, and how many of their children are begun. point (2 g,): of both cells.
    """

    si: Ints
    status: Ints
    units: Ints
    phase: Ints
    point: Floats


class Scratch(NamedTuple):
    """Room for one test: D = 2 g columns, at most N inequalities. What comes out is in `ids` alone.

    E (D + 1, D), EE (D + 1,): equations, errors; E2 (D + 1, D): those in the quotient. S (N, D), SE (N,): inequalities.
    flips (h + 1,): hidden units whose side differs. F (h + 1, g): their rows, eliminated on the pivots `columns` (g,);
    every (g,): 0 … g - 1. T (D + 1, D), lead (D + 1,), line (D,): an echelon modulo the prime, its pivots, a new row.
    Zn (D, D), A (D, 2 D + 2): a basis of the kernel of E, and reflectors. G (N, W): the inequalities on it, unit rows;
    origin (N,): which of S they are, required (N,): 0 … N - 1. M (D, W), x, u, ids (W,): state of their cell.
    After a full circuit, ids has its rows of S. B (D, D), BE (D,), inv (D, D), work (D, 2 D), vec (10, 2 W): its proof.
    """

    E: Floats
    EE: Floats
    E2: Floats
    S: Floats
    SE: Floats
    flips: Ints
    F: Floats
    columns: Ints
    every: Ints
    T: Ints
    lead: Ints
    line: Ints
    Zn: Floats
    A: Floats
    G: Floats
    origin: Ints
    required: Ints
    M: Floats
    x: Floats
    u: Floats
    ids: Ints
    B: Floats
    BE: Floats
    inv: Floats
    work: Floats
    vec: Floats


def make_scratch(cells: Cells) -> Scratch:
    """Room for pairs of these cells."""
    (_, m, g), h = cells.Z.shape, cells.H.shape[1]
    D, N = 2 * g, 2 * (cells.P.shape[1] + h + m) + 4
    W = cell.padded(D)

    def floats(*shape: int) -> Floats:
        return np.zeros(shape)

    def ints(*shape: int) -> Ints:
        return np.zeros(shape, dtype=np.int64)

    return Scratch(
        E=floats(D + 1, D), EE=floats(D + 1), E2=floats(D + 1, D), S=floats(N, D), SE=floats(N), flips=ints(h + 1),
        F=floats(h + 1, g), columns=ints(g), every=np.arange(g, dtype=np.int64), T=ints(D + 1, D), lead=ints(D + 1),
        line=ints(D), Zn=floats(D, D), A=floats(D, 2 * D + 2), G=floats(N, W), origin=ints(N),
        required=np.arange(N, dtype=np.int64), M=floats(D, W), x=floats(W), u=floats(W), ids=ints(W), B=floats(D, D),
        BE=floats(D), inv=floats(D, D), work=floats(D, 2 * D), vec=floats(10, 2 * W),
    )  # fmt: skip
