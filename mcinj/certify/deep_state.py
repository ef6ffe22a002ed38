"""The arrays of one walk through a deep proof, and what its integers mean."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.raising import Node, new_node

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.int8]

# gi: where the walk stands.
(
    PLACE, DEPTH, LAYER, TRAIL, LENGTH, SETS, ACTIVE, ACCEPT, BASED, BOUNDED, REGIONS, LAYERS, TARGET, RANKS,
    ENUMERATE, LEAST, COARSE, UNDER, LOWERED,
) = range(19)  # fmt: skip
INTEGERS = 24

# Why the walk returned: accepted, numbers to be decided exactly, room wanted, or a fault.
OK, ASK, GROW = range(3)
(
    CUT, OPCODE, UNIT_FAULT, LAYER_FAULT, ROW_FAULT, BASIS_FAULT, BOUND_FAULT, SET_FAULT, OVERLAP, SHORT, DECLARED,
    LONG, REGION_FAULT, CLAIM, RAISED_FAULT,
) = range(3, 18)  # fmt: skip

REASONS = {
    CUT: "the tree is cut",
    OPCODE: "there is no such instruction",
    UNIT_FAULT: "an instruction names a unit that does not exist or is decided already",
    LAYER_FAULT: "an instruction does not fit the layer that the tree works on",
    ROW_FAULT: "an instruction names a row that is not on its path, or too many of them",
    BASIS_FAULT: "an instruction needs a basis that is not given",
    BOUND_FAULT: "an instruction needs a bound that is not given",
    SET_FAULT: "an instruction names a set that is not proved there",
    OVERLAP: "the sets of a leaf are not disjoint",
    SHORT: "a leaf proves too few active units",
    DECLARED: "a leaf uses a set with a unit that is declared positive",
    LONG: "the tree goes on after its last leaf",
    REGION_FAULT: "a region is listed that is not complete or has fewer than n active units",
    CLAIM: "a claim is wrong, or the numbers do not prove it",
    RAISED_FAULT: "a raised step does not prove what it says",
}
# Faults of a raised step, in the order of `mcinj.certify.raising`.
FAULTS = (OK, CUT, OPCODE, SET_FAULT, OVERLAP, SHORT, OPCODE, OPCODE, OPCODE, DECLARED, RAISED_FAULT, RAISED_FAULT)


class Walk(NamedTuple):
    """L layers of at most m units (padded), g dimensions, H hidden units, F frames.

    gi (24,), m (L,), first (L,): number of a layer's first hidden unit. W (L, m, max(m, g)) weights, WE (L,) their
    errors, LIMIT (L, m) of `sum_limits`. ROWS (L, m, g), ERR (L, m): rows on the present pattern. SIGN (L, m); TL, TU
    the trail of decided units. P (·, g), PE: rows of the path. B, R (2, g, g), BE, DELTA (2, g): the basis, and a
    circuit's. UP (F, H, g), UE, UV (F, H): upper bounds of outputs of hidden units by depth. THETA, CUTS (H,): slopes,
    of the node and of a cut; HS (H,): states. LR (H, g), LE (H,): lower bounds of pre-activations. FR (F, 8): frames.
    FROM (·,), CODES (·,): sets in force, set k is CODES[FROM[k] : FROM[k + 1]], each code twice a unit. USED, NODE:
    see `mcinj.certify.raising`. LIVE (·,): instructions in force. Q (L, m, ·), QR (L + 1, m, n): residues. OUT (R, ·)
    signs of the listed regions. The others are scratch.

    Of a tree of coarse cells OUT (R, H + m_L) are the cells: signs of hidden units, then marks of last-layer units; KID
    (R, 2) the children, -1 where there is none, KIND (R,) what ends there. KNOWN (F, H), MARKS (F, m_L): what is known
    on the cell of a frame.
    """

    gi: Ints
    m: Ints
    first: Ints
    W: Floats
    WE: Floats
    LIMIT: Floats
    ROWS: Floats
    ERR: Floats
    SIGN: Ints
    TL: Ints
    TU: Ints
    P: Floats
    PE: Floats
    B: Floats
    BE: Floats
    R: Floats
    DELTA: Floats
    UP: Floats
    UE: Floats
    UV: Ints
    THETA: Ints
    CUTS: Ints
    HS: Ints
    LR: Floats
    LE: Floats
    COEF: Floats
    FR: Ints
    FROM: Ints
    CODES: Ints
    USED: npt.NDArray[np.bool_]
    NODE: Node
    LIVE: Ints
    Q: Ints
    QR: Ints
    OUT: Bits
    KID: Ints
    KIND: Ints
    KNOWN: Bits
    MARKS: Bits
    C: Floats
    CE: Floats
    vec: Floats
    work: Floats
    mask: Bits
    PICK: Ints
    QW: Ints


# FR: what a frame is to be restored to.
F_UNIT, F_LAYER, F_TRAIL, F_LENGTH, F_SETS, F_ACTIVE, F_SIDE, F_CELL = range(8)
# Marks of last-layer units: positive on the closed cell but at 0, nowhere positive.
ABOVE, BELOW = 1, 2
# What a coarse cell is: divided, not divided, or one with rank n on all of its regions.
DIVIDED, WHOLE, RANKED = range(3)


def new_walk(rows: PrefixRows, target: int, ranked: bool, enumerate_regions: bool, *, coarse: bool = False) -> Walk:
    """The walk at the root of a proof for this prefix; `coarse`: of a tree of coarse cells."""
    L, g, widths = rows.depth, rows.g, rows.widths
    m, total, hidden = max(widths), sum(widths), sum(widths[:-1])
    floats, errors = rows.floats
    residues = rows.residues if ranked else None
    gi = np.zeros(INTEGERS, dtype=np.int64)
    gi[LAYERS], gi[TARGET], gi[ENUMERATE], gi[LEAST] = L, target, enumerate_regions, rows.n
    gi[COARSE] = coarse
    gi[RANKS] = (2 if residues is not None else 1) if ranked else 0
    weights, limit = np.zeros((L, m, max(m, g))), np.zeros((L, m))
    for k in range(L):
        weights[k, : widths[k], : floats[k].shape[1]] = floats[k]
        limit[k, : widths[k]] = rows.sum_limits[k]
    q = np.zeros((L, m, m) if residues is not None and L > 1 else (1, 1, 1), dtype=np.int64)
    qr = np.zeros((L + 1, m, rows.n) if residues is not None else (1, 1, 1), dtype=np.int64)
    if residues is not None:
        qr[0, : widths[0]] = residues[0][:, : rows.n]
        for k in range(1, L):
            q[k, : widths[k], : widths[k - 1]] = residues[k]
    walk = Walk(
        gi=gi, m=np.array(widths, dtype=np.int64), W=weights, WE=errors, LIMIT=limit,
        first=np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.int64),
        ROWS=np.zeros((L, m, g)), ERR=np.zeros((L, m)), SIGN=np.zeros((L, m), dtype=np.int64),
        TL=np.zeros(total + 1, dtype=np.int64), TU=np.zeros(total + 1, dtype=np.int64),
        P=np.zeros((total + 2, g)), PE=np.zeros(total + 2),
        B=np.zeros((2, g, g)), BE=np.zeros((2, g)), R=np.zeros((2, g, g)), DELTA=np.zeros((2, g)),
        UP=np.zeros((4, hidden, g)), UE=np.zeros((4, hidden)), UV=np.zeros((4, hidden), dtype=np.int64),
        THETA=np.zeros(hidden, dtype=np.int64), CUTS=np.zeros(hidden, dtype=np.int64),
        HS=np.zeros(hidden, dtype=np.int64), LR=np.zeros((hidden, g)), LE=np.zeros(hidden),
        COEF=np.zeros((L, m)), FR=np.zeros((total + 2, 8), dtype=np.int64),
        FROM=np.zeros(64, dtype=np.int64), CODES=np.zeros(64 + widths[-1], dtype=np.int64),
        USED=np.zeros(64, dtype=np.bool_), NODE=new_node(widths[-1]), LIVE=np.zeros(256, dtype=np.int64), Q=q, QR=qr,
        OUT=np.zeros((1, total), dtype=np.int8), KID=np.full((1, 2), -1, dtype=np.int64),
        KIND=np.zeros(1, dtype=np.int64), KNOWN=np.zeros((4, hidden), dtype=np.int8),
        MARKS=np.zeros((4, widths[-1]), dtype=np.int8), C=np.zeros((g + 1, g)), CE=np.zeros(g + 1),
        vec=np.zeros((8, max(g, m))), work=np.zeros((g, 2 * g)), mask=np.zeros(widths[-1], dtype=np.int8),
        PICK=np.zeros(widths[-1] + 1, dtype=np.int64), QW=np.zeros((rows.n + 1, rows.n), dtype=np.int64),
    )  # fmt: skip
    walk.ROWS[0, : widths[0]] = floats[0]
    walk.ERR[0] = errors[0]
    if rows.biased:
        walk.P[0, g - 1] = 1.0
        gi[LENGTH] = 1
        for k in range(L - 1):
            walk.SIGN[k, widths[k] - 1] = 1
    for i in range(widths[0]):
        if not any(rows.exact[0][i]):
            walk.SIGN[0, i] = -1
            walk.ROWS[0, i] = 0.0
            walk.ERR[0, i] = 0.0
    return walk


def enlarge(walk: Walk) -> Walk:
    """The same walk with more room where it is about to run out."""
    gi, changed = walk.gi, dict[str, Any]()
    if gi[DEPTH] + 2 >= len(walk.UP):
        changed |= {name: _doubled(getattr(walk, name)) for name in ("UP", "UE", "UV", "KNOWN", "MARKS")}
    if gi[SETS] + 2 >= len(walk.FROM):
        changed |= {name: _doubled(getattr(walk, name)) for name in ("FROM", "USED")}
    if walk.FROM[gi[SETS]] + walk.m[-1] >= len(walk.CODES):
        changed["CODES"] = _doubled(walk.CODES)
    if gi[ACTIVE] + 2 >= len(walk.LIVE):
        changed["LIVE"] = _doubled(walk.LIVE)
    if gi[REGIONS] >= len(walk.OUT):
        changed |= {name: _doubled(getattr(walk, name)) for name in ("OUT", "KID", "KIND")}
    return walk._replace(**changed)


def _doubled(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.concatenate([array, np.zeros_like(array)])
