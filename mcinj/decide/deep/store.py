"""The arrays of one deep search, as a named tuple that compiled code takes, and the integers that name its parts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

# Why the loop returned.
DONE, WITNESS, PAUSED, RESOLVE, BLOCK, FULL, LOGFULL = range(7)

# gi: global integers.
(
    DEPTH, NODES, LIMIT, TARGET, LAYERS, ENUMERATE, RANKED, REGIONS, SLOT, TRAIL, INTEGRAL, CUTS, REFRESH,
    ROOM, SHARPEN, RECORD, LOGGED, MET, SHOWN, LISTING, RAISES, POOL,
) = range(22)  # fmt: skip
GLOBALS = 32

# FI: integers of a frame.
PHASE, LAYER, PATH, MARK, UNIT, SETS, COUNT, NOWITNESS, BUILT, RECORDED = range(10)
FIELDS = 12
ENTER, NODE, FIRST, SECOND, LEAVE = range(5)


# Functions that only compiled code calls: wrappers that unpack a Store would take most of the compilation. None of them
# allocates, so none counts references.
INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}


class Store(NamedTuple):
    """L layers of at most m (padded) units, g dimensions padded to W, F frames, T = target count, NW words per set.

    gi (GLOBALS,), m (L,) widths. WP, WM (L, m, m): positive and negative parts of the weights, transposed (from unit,
    to unit); WR (L, m, m): the weights by row, layer 1 in the first g columns.
    ROWS (L, m, g), ERR, SIZE (L, m): rows of a layer on the present pattern, entrywise error, largest entry.
    NORM (L, m): their lengths; OWN (L, m): whether the caller has set their rows of G.
    G (·, W), GE (·,): signed unit rows (fence, then two per unit and layer, then cuts).
    BASE (L,): first row of a layer in G. SIGN (L, m): signs decided so far.
    UP (F, L, m, g), UE, UV (F, L, m): linear upper bounds of hidden units on the cell, errors, whether there is one.
    LR (L, m, g), LE (L, m): linear lower bounds of pre-activations beyond the present layer; HS (L, m): units beyond
    it that are proved active (1) or inactive (-1) on the cell.
    FI (F, FIELDS), FM (F+2, g, W), FX, FU, FIDS (F+2, W), TX (F, W): frames, centers and tails.
    PS (F+1, T, NW), PV (F+1, NW): families of sets. PATHS (·,), TL, TU (·,): path rows, trail of decided units.
    OUT_SIGN (R, L, m) int8, OUT_X (R, g), OUT_PATH (R, ·) int32, OUT_N (R, 2): regions found. Q: residues by layer.
    QR (L, m, n): residues of rows on the pattern.
    For certificates (`mcinj.decide.deep.log`): LOG (·,) int32; PID (F+1, T) numbers of the sets; PINDEX (·,) where on
    the path a row of G is; BROW (g,) rows of the basis; FORM (L, m) which upper bounds the latest `bounds` replaced,
    SHARP (L, m) with which path row and breakpoint (position g + coordinate); CUTBITS (·, words + 1) slopes of cuts.
    RQ (·, g), RS (·,): see `sharpen`. R (·, NW), J (4, ·), GROUPS (·,): see `raising`. The others are scratch.
    """

    gi: Ints
    m: Ints
    WP: Floats
    WM: Floats
    WR: Floats
    ROWS: Floats
    ERR: Floats
    SIZE: Floats
    NORM: Floats
    OWN: Ints
    G: Floats
    GE: Floats
    BASE: Ints
    SIGN: Ints
    UP: Floats
    UE: Floats
    UV: Ints
    LR: Floats
    LE: Floats
    HS: Ints
    FI: Ints
    FM: Floats
    FX: Floats
    FU: Floats
    FIDS: Ints
    TX: Floats
    PS: Words
    PV: Words
    PATHS: Ints
    TL: Ints
    TU: Ints
    OUT_SIGN: npt.NDArray[np.int8]
    OUT_X: Floats
    OUT_PATH: npt.NDArray[np.int32]
    OUT_N: Ints
    Q: Ints
    QR: Ints
    B: Floats
    BE: Floats
    N: Floats
    work: Floats
    vec: Floats
    low: Floats
    high: Floats
    val: Floats
    coef: Floats
    score: Floats
    REQ: Ints
    CUTUNIT: Ints
    LOG: npt.NDArray[np.int32]
    PID: Ints
    PINDEX: Ints
    BROW: Ints
    FORM: Ints
    SHARP: Ints
    CUTBITS: Ints
    RQ: Floats
    RS: Floats
    R: Words
    J: Ints
    GROUPS: Ints
