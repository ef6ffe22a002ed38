"""Signs that follow at a node of the compiled search, and the unit to branch on."""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.decide.deep.bounds import (
    assign,
    dot,
    evaluate,
    forward,
)
from mcinj.decide.deep.log import (
    log_circuit,
    log_empty,
    log_imply,
)
from mcinj.decide.deep.packing import copy_center, proved
from mcinj.decide.deep.store import (
    INNER,
    LAYERS,
    MET,
    PATH,
    Floats,
    Store,
)
from mcinj.numeric import cell
from mcinj.numeric.bits import has


@njit(**INNER)
def solve_with(st: Store, source: int, target: int, length: int, row: int) -> int:
    """Center of the path's first `length` rows and `row`, from slot `source` into slot `target`.

    0 proved empty, 1 a center, 2 not decided in floats.
    """
    copy_center(st, source, target)
    for t in range(length):
        st.REQ[t] = st.PATHS[t]
    st.REQ[length] = row
    status, met = cell.settle(
        st.G, st.REQ, length + 1, st.FM[target], st.FX[target], st.FU[target], st.FIDS[target], st.vec[7], st.vec[8]
    )
    st.gi[MET] = met
    if status == cell.FEASIBLE:
        return 1
    return 0 if status == cell.EMPTY and proved(st, target, met) else 2


@njit(**INNER)
def leans_on(st: Store, d: int, slot: int, row: int, length: int) -> bool:
    """Whether the contradiction that `solve_with` met in `slot` leans on `row`; else the cell of frame d is empty."""
    if st.gi[MET] == row:
        return True
    for k in range(st.ROWS.shape[2]):
        if st.FIDS[slot, k] == row:
            return True
    log_circuit(st, d, slot, st.gi[MET], length)
    log_empty(st, d)
    return False


@njit(**INNER)
def imply(st: Store, d: int, p: int, slot: int) -> bool:
    """Decide units of layer p whose other sign is proved impossible on the cell; the chosen basis is lost.

    False: the cell is proved empty.
    """
    length = st.FI[d, PATH]
    s = st.FM.shape[0] - 1
    g = st.ROWS.shape[2]
    for i in range(st.m[p]):
        if st.SIGN[p, i] != 0:
            continue
        v = dot(st.ROWS[p, i], st.FX[slot], g)
        row = st.BASE[p] + 2 * i + (0 if v > 0.0 else 1)
        if solve_with(st, slot, s, length, row) == 0:
            if not leans_on(st, d, s, row, length):
                return False
            log_imply(st, i, 1 if v > 0.0 else -1, s, st.gi[MET], row)
            assign(st, p, i, 1 if v > 0.0 else -1)
    return True


@njit(**INNER)
def choose_unit(st: Store, d: int, p: int, x: Floats) -> int:
    """Unit of layer p to branch on: the one whose relaxation costs the uncovered positive units most at x."""
    L = st.gi[LAYERS]
    forward(st, p, x)
    evaluate(st, d, p, x)
    weight = st.score[2]
    following = st.score[3]
    for j in range(st.m[L - 1]):
        weight[j] = 1.0 if st.val[L - 1, j] > 0.0 and not has(st.PV[d], j) else 0.0
    for k in range(L - 1, p, -1):
        for i in range(st.m[k - 1]):
            f = 0.0
            wp = st.WP[k, i]
            wm = st.WM[k, i]
            if k == L - 1:
                for j in range(st.m[k]):
                    f += wm[j] * weight[j]
            else:
                for j in range(st.m[k]):
                    f += (wm[j] + wp[j]) * weight[j]
            following[i] = f
        for i in range(st.m[k - 1]):
            weight[i] = following[i]
    best = 0.0
    unit = -1
    for i in range(st.m[p]):
        if st.SIGN[p, i] == 0:
            gap = weight[i] * (st.high[p, i] - st.low[p, i])
            if gap > best:
                best = gap
                unit = i
    if unit < 0:
        for i in range(st.m[p]):
            if st.SIGN[p, i] == 0:
                gap = st.high[p, i] - st.low[p, i]
                if unit < 0 or gap > best:
                    best = gap
                    unit = i
    return unit


@njit(**INNER)
def nearest_unit(st: Store, p: int, x: Floats) -> int:
    """Undecided unit of layer p whose hyperplane is nearest to x."""
    g = st.ROWS.shape[2]
    best = 0.0
    unit = -1
    for i in range(st.m[p]):
        if st.SIGN[p, i] == 0:
            v = abs(dot(st.ROWS[p, i], x, g)) / st.NORM[p, i]
            if unit < 0 or v < best:
                best = v
                unit = i
    return unit


@njit(**INNER)
def last_unit(st: Store, d: int, x: Floats, tail: bool) -> int:
    """Undecided unit of the last layer that is most positive at center and tail together; -1 if none is undecided."""
    L = st.gi[LAYERS]
    g = st.ROWS.shape[2]
    best = 0.0
    unit = -1
    for j in range(st.m[L - 1]):
        if st.SIGN[L - 1, j] == 0:
            v = dot(st.ROWS[L - 1, j], x, g)
            if tail:
                v += dot(st.ROWS[L - 1, j], st.TX[d], g)
            v /= st.NORM[L - 1, j]
            if unit < 0 or v > best:
                best = v
                unit = j
    return unit
