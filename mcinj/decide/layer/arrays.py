"""The arrays that the compiled search works on, in three groups that its functions pass on.

`Frames` (`mcinj.decide.layer.frames`) makes them, keeps them and gives them more room; nothing here owns memory. The
stack has D frames; frame d has its center in slot 2 d and its tail, the center with all uncovered rows negative too, in
slot 2 d + 1. W, MP and NW are padded sizes: of a vector, of the rows, of a set of rows in words.

Two more arrays are passed beside them: `gi`, (GLOBALS,) int64, and `ps`, `pc`, families of sets. What the entries of
integer arrays mean is in `mcinj.decide.layer.fields`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj.numeric.bits import Words
from mcinj.numeric.choices import Choices

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Cells(NamedTuple):
    """The rows, the cells of all slots (`mcinj.numeric.cell`) and scratch.

    Attributes
    ----------
    G
        (2 MP, W) rows -a_i, then rows a_i.
    A
        (g, MP) columns a_i.
    M, X, U, IDS
        (K, g, W), (K, W), (K, W), (K, W) states; the last two slots are scratch.
    S
        (K, MP) values a_i·x of each slot.
    ZERO
        (NW,) rows that are 0 and count for nothing.
    Z
        (m, g) the rows as integers, or (gi[INTEGERS] = 0) 1 where they are not 0, or (0, g) if they have no zeros.
    F, J, T
        (6, ·), (5, ·), (·, ≥ MP, g) scratch, but F[5] = 0, 1, 2, ….
    """

    G: Floats
    A: Floats
    M: Floats
    X: Floats
    U: Floats
    IDS: Ints
    S: Floats
    ZERO: Words
    Z: Ints
    F: Floats
    J: Ints
    T: Ints


class Tree(NamedTuple):
    """The stack, the circuits, the log.

    Attributes
    ----------
    FI
        (D, FIELDS) integers of a frame.
    B
        (D, 4, NW) rows declared negative, declared positive, free, and those that the tail was solved with.
    PS, PC, PV
        (D + 1, Y, NW), (D + 1, Y), (D + 1, NW) disjoint sets, their circuits, their union; room for Y - 1 sets. The
        last family is scratch.
    CIRC
        (·, 2, NW) negative and positive rows of each circuit.
    LOG
        (·,) the tree in preorder.
    R
        (·, NW) rows of a request, and scratch.
    """

    FI: Ints
    B: Words
    PS: Words
    PC: Ints
    PV: Words
    CIRC: Words
    LOG: Ints
    R: Words


class Ranks(NamedTuple):
    """What proofs of rank need; next to nothing where counts are proved.

    Attributes
    ----------
    Q
        (D + 1 or 1, MP, n) residues of all rows modulo those declared positive; the last entry is that of the root.
    K
        Rows for `mcinj.numeric.choices.independent`.
    V
        (n, n, MP) scratch.
    ALIKE
        (MP,) rows with one number are parallel where their residues are (`Layer.alike`).
    """

    Q: Ints
    K: Choices
    V: Ints
    ALIKE: Ints
