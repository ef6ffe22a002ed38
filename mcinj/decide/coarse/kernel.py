"""Coarse cells, split where they must be, and pairs of them: one compiled loop (`mcinj.decide.coarse.search`).

A cell is split at a hidden unit, layer by layer; its children are made when a pair wants them. What is known of a cell
are signs of hidden units and of last-layer units, proved by the bounds of `mcinj.decide.deep.bounds`.
"""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.decide.coarse.rank import FIRST as FIRST_CELL
from mcinj.decide.coarse.rank import JOINT, closed, full_rank, step
from mcinj.decide.coarse.rank import SECOND as SECOND_CELL
from mcinj.decide.coarse.store import (
    A_CELL,
    CELLS,
    DIAGONAL,
    EMPTY,
    HEAD,
    LIMIT,
    NODES,
    NOTHING,
    OUT,
    STEPS,
    TAKEN,
    TOLD,
    TOP,
    UNKNOWN,
    Floats,
    Ints,
    Tree,
)
from mcinj.decide.deep.bounds import (
    above_row,
    assign,
    block,
    bounds,
    choose_basis,
    dot,
    evaluate,
    forward,
    install,
    lower_row,
    sign_on_basis,
    undo,
)
from mcinj.decide.deep.branching import imply, leans_on, nearest_unit, solve_with
from mcinj.decide.deep.kernel import make_child
from mcinj.decide.deep.log import log_basis, log_bounds, log_mark, log_next
from mcinj.decide.deep.packing import copy_center, set_cut
from mcinj.decide.deep.store import (
    CUTS,
    FIRST,
    INNER,
    LAYER,
    LAYERS,
    LOGGED,
    MET,
    PATH,
    PHASE,
    RECORD,
    RECORDED,
    TRAIL,
    Store,
)
from mcinj.decide.deep.store import UNIT as UNIT_FIELD
from mcinj.numeric.bits import drop, has, popcount, put
from mcinj.numeric.enclosure import row_length

# Why `pairs` returned.
DONE, PAUSED, FULL, GROW, FAILED, TAKE, ASK = range(7)
# What a child is: a cell, empty, or one whose rows are not known well in floats.
_CELL, _NONE, _LOST = range(3)
# Whether a cell is split: it is, rows are not known well in floats, or the caller is to be asked.
_SPLIT, _FAILED, _ASKED = range(3)


@njit(**INNER)
def _complete(st: Store, p: int) -> bool:
    for i in range(st.m[p]):  # noqa: SIM110
        if st.SIGN[p, i] == 0:
            return False
    return True


@njit(**INNER)
def _load(st: Store, t: Tree, a: int) -> bool:
    """Cell a as frame 0 of the search; False where rows of its layer are not known well in floats."""
    L = st.gi[LAYERS]
    p = t.LAYER[a]
    for k in range(L):
        for i in range(st.m[k]):
            st.SIGN[k, i] = t.SG[a, k, i]
    st.gi[TRAIL] = 0
    if t.ti[HEAD] != t.HEAD[a]:
        for k in range(1, p + 1):
            if not block(st, k):
                t.ti[HEAD] = -1
                return False
            install(st, k)
        t.ti[HEAD] = t.HEAD[a]
        st.gi[TRAIL] = 0
        for i in range(st.m[p]):
            st.SIGN[p, i] = t.SG[a, p, i]
    length = t.LEN[a]
    for s in range(length):
        st.PATHS[s] = t.PATH[a, s]
        st.PINDEX[t.PATH[a, s]] = s
    for f in range(st.FI.shape[1]):
        st.FI[0, f] = 0
    st.FI[0, PHASE] = FIRST
    st.FI[0, LAYER] = p
    st.FI[0, PATH] = length
    g = st.FM.shape[1]
    for j in range(st.FX.shape[1]):
        for q in range(g):
            st.FM[0, q, j] = t.CM[a, q, j]
        st.FX[0, j] = t.CX[a, j]
        st.FU[0, j] = t.CU[a, j]
        st.FIDS[0, j] = t.CI[a, j]
    for k in range(p, L - 1):
        for i in range(st.m[k]):
            st.UV[0, k, i] = t.UV[a, k, i]
            if t.UV[a, k, i]:
                st.UE[0, k, i] = t.UE[a, k, i]
                for q in range(g):
                    st.UP[0, k, i, q] = t.UP[a, k, i, q]
    return True


@njit(**INNER)
def _keep(st: Store, t: Tree, p: int, c: int) -> None:
    """Frame 1 of the search as cell c."""
    L = st.gi[LAYERS]
    g = st.FM.shape[1]
    for k in range(L - 1):
        for i in range(st.m[k]):
            t.SG[c, k, i] = st.SIGN[k, i]  # beyond layer p: constant units
    t.LAYER[c] = p
    t.LEN[c] = st.FI[1, PATH]
    for s in range(st.FI[1, PATH]):
        t.PATH[c, s] = st.PATHS[s]
    for j in range(st.FX.shape[1]):
        for q in range(g):
            t.CM[c, q, j] = st.FM[1, q, j]
        t.CX[c, j] = st.FX[1, j]
        t.CU[c, j] = st.FU[1, j]
        t.CI[c, j] = st.FIDS[1, j]
    for k in range(p, L - 1):
        for i in range(st.m[k]):
            t.UV[c, k, i] = st.UV[1, k, i]
            if st.UV[1, k, i]:
                t.UE[c, k, i] = st.UE[1, k, i]
                for q in range(g):
                    t.UP[c, k, i, q] = st.UP[1, k, i, q]


@njit(**INNER)
def _strictly_positive(st: Store) -> bool:
    """Whether the functional that `sign_on_basis` has looked at is positive on the closed cone but at 0."""
    for k in range(st.ROWS.shape[2]):  # noqa: SIM110
        if not st.vec[2, k] - st.vec[3, k] > 0.0:
            return False
    return True


@njit(**INNER)
def _row(st: Store, j: int, p: int, above: bool, w: Floats) -> float:
    """w = a linear bound of last-layer unit j on frame 1, from above or from below; its error."""
    last = st.gi[LAYERS] - 1
    if above and p < last:
        return above_row(st, 1, p, last, j, w)
    return lower_row(st, 1, p, last, j, w)


@njit(**INNER)
def _by_basis(st: Store, t: Tree, c: int, p: int, top: float) -> None:
    """Signs of last-layer units on frame 1, cell c, from the simplicial cone of its basis."""
    last = st.gi[LAYERS] - 1
    w = st.vec[6]
    forward(st, p, st.FX[1])
    evaluate(st, 1, p, st.FX[1])
    if p < last:
        log_bounds(st, p)
    for j in range(st.m[last]):
        if has(t.ABOVE[c], j) or has(t.BELOW[c], j):
            continue
        if st.low[last, j] > 0.0:
            error = _row(st, j, p, False, w)
            if sign_on_basis(st, top, w, error) > 0 and _strictly_positive(st):
                log_mark(st, j, True, 1, 0, -1)
                put(t.ABOVE[c], j)
        elif st.val[last, j] < 0.0:
            error = _row(st, j, p, True, w)
            if dot(w, st.FX[1], st.ROWS.shape[2]) < 0.0 and sign_on_basis(st, top, w, error) < 0:
                log_mark(st, j, False, 1, 0, -1)
                put(t.BELOW[c], j)


@njit(**INNER)
def _by_programs(st: Store, t: Tree, c: int, p: int) -> bool:
    """Signs of the other last-layer units, each by a linear program; False: the cell is proved empty.

    Works on the basis, which is of no use after.
    """
    last = st.gi[LAYERS] - 1
    g = st.ROWS.shape[2]
    w = st.vec[6]
    s = st.FM.shape[0] - 1
    forward(st, p, st.FX[1])
    evaluate(st, 1, p, st.FX[1])
    for j in range(st.m[last]):
        if has(t.ABOVE[c], j) or has(t.BELOW[c], j):
            continue
        if p == last and st.SIGN[last, j] < 0:  # 0 on the whole cell
            put(t.BELOW[c], j)
            continue
        up = st.low[last, j] > 0.0
        if not up and not st.val[last, j] < 0.0:
            continue
        error = _row(st, j, p, not up, w)
        if not up:
            for q in range(g):
                w[q] = -w[q]
        # With the row of -w the cell is empty: w > 0 on it but at 0.
        if set_cut(st, 0, w, error) and solve_with(st, 1, s, st.FI[1, PATH], st.gi[CUTS]) == 0:
            if not leans_on(st, 1, s, st.gi[CUTS], st.FI[1, PATH]):
                return False
            log_mark(st, j, up, s, st.gi[MET], st.gi[CUTS])
            put(t.ABOVE[c] if up else t.BELOW[c], j)
    return True


@njit(**INNER)
def _known(st: Store, t: Tree, c: int, p: int) -> None:
    """Decide units of layer p whose sign bounds had proved on cell c, or a cell that holds it, before p was reached.

    What is proved twice may be proved in floats once only. A cell is complete where all units are known (`OPEN`), and
    then the searches that take it over read a full pattern from SIGN: both must say the same.
    """
    for i in range(st.m[p]):
        if p < st.gi[LAYERS] - 1 and st.SIGN[p, i] == 0:
            if has(t.ON[c], t.FIRST[p] + i):
                assign(st, p, i, 1)
            elif has(t.OFF[c], t.FIRST[p] + i):
                assign(st, p, i, -1)


@njit(**INNER)
def _describe(st: Store, t: Tree, a: int, c: int) -> int:
    """Work out what is known of frame 1, a child of cell a (or the root: a = c), as cell c.

    Returns _CELL, _NONE: proved empty, or _LOST: as where `_load` says False.
    """
    L = st.gi[LAYERS]
    st.FI[1, RECORDED] = 0
    head = t.HEAD[a]
    p = st.FI[1, LAYER]
    if a != c:
        for w in range(t.ON.shape[1]):
            t.ON[c, w] = t.ON[a, w]
            t.OFF[c, w] = t.OFF[a, w]
        for w in range(t.ABOVE.shape[1]):
            t.ABOVE[c, w] = t.ABOVE[a, w]
            t.BELOW[c, w] = t.BELOW[a, w]
    while True:
        while p < L - 1 and _complete(st, p):
            if not block(st, p + 1):
                t.ti[HEAD] = -1
                return _LOST
            log_next(st)
            install(st, p + 1)
            p += 1
            head = c
            t.ti[HEAD] = c
            st.FI[1, LAYER] = p
            _known(st, t, c, p)
        if p < L - 1:
            # It works on the basis too: the basis is chosen afterwards.
            if not imply(st, 1, p, 1):
                return _NONE
            if _complete(st, p):
                continue
        found, top = choose_basis(st, 1, 1)
        if found:
            log_basis(st)
        if p == L - 1:
            if found:
                _by_basis(st, t, c, p, top)
            if not _by_programs(st, t, c, p):
                return _NONE
            break
        for k in range(p + 1, L - 1):
            for i in range(st.m[k]):
                st.HS[k, i] = 0
        known = found and bounds(st, 1, p, top, st.FX[1])
        if _complete(st, p):
            if known and p + 1 < L - 1:
                log_bounds(st, p)
            continue
        for k in range(p + 1, L - 1):
            for i in range(st.m[k]):
                if not known and st.gi[RECORD]:
                    continue  # a certificate has whole rounds of bounds only
                # Both signs are proved where the cell has no interior: the first one stays, as in a certificate.
                if has(t.ON[c], t.FIRST[k] + i) or has(t.OFF[c], t.FIRST[k] + i):
                    continue
                if st.HS[k, i] > 0:
                    put(t.ON[c], t.FIRST[k] + i)
                elif st.HS[k, i] < 0:
                    put(t.OFF[c], t.FIRST[k] + i)
        if known:
            _by_basis(st, t, c, p, top)
            if not _by_programs(st, t, c, p):
                return _NONE
        break
    for k in range(L - 1):
        for i in range(st.m[k]):
            if st.SIGN[k, i] > 0:
                put(t.ON[c], t.FIRST[k] + i)
                drop(t.OFF[c], t.FIRST[k] + i)
            elif st.SIGN[k, i] < 0:
                put(t.OFF[c], t.FIRST[k] + i)
                drop(t.ON[c], t.FIRST[k] + i)
    _keep(st, t, p, c)
    t.HEAD[c] = head
    t.RID[c] = UNKNOWN
    t.KID[c, 0] = UNKNOWN
    t.KID[c, 1] = UNKNOWN
    decided = 0
    for w in range(t.ON.shape[1]):
        decided += popcount(t.ON[c, w] | t.OFF[c, w])
    t.OPEN[c] = t.FIRST[L - 1] - decided if p < L - 1 else 0
    return _CELL


@njit(**INNER)
def _split(st: Store, t: Tree, a: int) -> int:
    """Make the children that cell a has not; _FAILED as where `_load` says False. There must be room for two cells.

    _ASKED: floats do not decide whether the child in frame 1 of the search is empty. Most often it is, without an
    interior: its unit is parallel to one of the path. The caller says so in ti[TOLD], and this is called again.
    """
    if not _load(st, t, a):
        return _FAILED
    p = t.LAYER[a]
    unit = nearest_unit(st, p, st.FX[0])
    t.SPAN[a, 6] = unit
    for side in range(2):
        if t.KID[a, side] != UNKNOWN:
            continue
        # The first child may have gone on to the next layer: then rows of that are in the search.
        if t.ti[HEAD] != t.HEAD[a] and not _load(st, t, a):
            return _FAILED
        undo(st, 0)
        st.FI[0, UNIT_FIELD] = unit
        told = t.ti[TOLD]
        if told == NOTHING:  # what the caller was asked for is in the log already
            t.SPAN[a, 2 + 2 * side] = t.ti[TAKEN] + st.gi[LOGGED]
        start = t.SPAN[a, 2 + 2 * side]
        status = make_child(st, 0, -1 if side == 0 else 1)
        if status == 2 and told == NOTHING:
            if not row_length(st.ROWS[p, unit], st.ROWS.shape[2]) > 0.0:
                return _FAILED  # both children would be empty, and the cell lost; units that vanish are decided before
            st.FI[1, RECORDED] = 0
            return _ASKED
        t.ti[TOLD] = NOTHING
        c = t.ti[CELLS]
        found = _NONE
        if status == 1 or told == A_CELL:
            found = _describe(st, t, a, c)
        if found == _LOST:
            return _FAILED
        if found == _NONE:
            t.KID[a, side] = EMPTY
            t.SPAN[a, 3 + 2 * side] = t.ti[TAKEN] + st.gi[LOGGED]
            continue
        t.SPAN[c, 0] = start
        t.SPAN[c, 1] = t.ti[TAKEN] + st.gi[LOGGED]
        t.ti[CELLS] = c + 1
        t.KID[a, side] = c
    return _SPLIT


@njit()
def plant(st: Store, t: Tree) -> bool:
    """The root, cell 0, from frame 0 of a search that has not begun, and the pair of it with itself; False as `pairs`.

    FAILED there means FAILED here.
    """
    copy_center(st, 0, 1)
    for f in range(st.FI.shape[1]):
        st.FI[1, f] = st.FI[0, f]
    for k in range(st.gi[LAYERS] - 1):
        for i in range(st.m[k]):
            st.UV[1, k, i] = 0
    t.HEAD[0] = 0
    t.ti[HEAD] = 0
    if _describe(st, t, 0, 0) != _CELL:
        return False
    t.SPAN[0, 0] = 0
    t.SPAN[0, 1] = st.gi[LOGGED]
    t.ti[CELLS] = 1
    t.ti[TOP] = 1
    t.stack[0, 0] = 0
    t.stack[0, 1] = 0
    return True


@njit(**INNER)
def _push(t: Tree, a: int, b: int) -> None:
    if a >= 0 and b >= 0:
        top = t.ti[TOP]
        t.stack[top, 0] = a
        t.stack[top, 1] = b
        t.ti[TOP] = top + 1


@njit()
def pairs(st: Store, t: Tree, n: int) -> int:
    """Look at the pairs on the stack until none is left; returns one of the reasons.

    With ti[DIAGONAL] cells alone, for rank n on all their regions. FULL: `out` is to be emptied. GROW: there is no room
    for two more cells. PAUSED: ti[LIMIT] nodes are used up. FAILED: rows are not known well in floats. TAKE: the log of
    the search, or the steps, are to be taken out. ASK: is the open cell in frame 1 of the search empty? ti[TOLD] wants
    to know.
    """
    widths: Ints = st.m
    while t.ti[TOP] > 0:
        if t.ti[NODES] >= t.ti[LIMIT]:
            return PAUSED
        if t.ti[OUT] >= t.out.shape[0]:
            return FULL
        if t.ti[CELLS] + 2 > t.KID.shape[0]:
            return GROW
        if t.ti[TOP] + 4 > t.stack.shape[0]:
            return FAILED
        if st.gi[RECORD] and (st.gi[LOGGED] > st.gi[RECORD] or t.ti[STEPS] >= t.steps.shape[0]):
            return TAKE
        top = t.ti[TOP] - 1
        a = t.stack[top, 0]
        b = t.stack[top, 1]
        if t.ti[TOLD] == NOTHING:
            t.ti[NODES] += 1
            if full_rank(t, a, n, widths) if t.ti[DIAGONAL] else closed(t, a, b, n, widths):
                t.ti[TOP] = top
                continue
        if t.OPEN[a] == 0 and t.OPEN[b] == 0:
            if a != b:
                step(t, JOINT)
            t.out[t.ti[OUT], 0] = a
            t.out[t.ti[OUT], 1] = b
            t.ti[OUT] += 1
            t.ti[TOP] = top
            continue
        second = t.OPEN[a] < t.OPEN[b]
        if second:
            a, b = b, a
        if t.KID[a, 0] == UNKNOWN or t.KID[a, 1] == UNKNOWN:
            found = _split(st, t, a)
            if found != _SPLIT:
                return ASK if found == _ASKED else FAILED
        step(t, SECOND_CELL if second else FIRST_CELL)
        t.ti[TOP] = top
        low = t.KID[a, 0]
        high = t.KID[a, 1]
        if a == b:
            if t.ti[DIAGONAL] == 0:
                _push(t, low, high)
            _push(t, low, low)
            _push(t, high, high)
        else:
            _push(t, low, b)
            _push(t, high, b)
    return DONE
