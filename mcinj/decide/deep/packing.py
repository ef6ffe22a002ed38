"""Disjoint sets of last-layer units for a node of the compiled search: the family is extended, one set exchanged."""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.decide.deep.bounds import (
    dot,
    evaluate,
    forward,
    lower_row,
    sign_on_basis,
)
from mcinj.decide.deep.log import (
    keep_slopes,
    log_bounds,
    log_circuit,
    log_single,
)
from mcinj.decide.deep.store import (
    COUNT,
    CUTS,
    INNER,
    LAYERS,
    MET,
    PATH,
    POOL,
    RANKED,
    RECORDED,
    REFRESH,
    SETS,
    SHOWN,
    TARGET,
    Floats,
    Store,
    Words,
)
from mcinj.numeric import cell
from mcinj.numeric.bits import first, has, put, size
from mcinj.numeric.enclosure import UNIT, proved_empty
from mcinj.numeric.residues import rank_of


@njit(**INNER)
def positive_at(st: Store, p: int, x: Floats) -> int:
    """Number of last-layer units that are not clearly negative at x; -1 where x is no point to judge at."""
    L = st.gi[LAYERS]
    g = st.ROWS.shape[2]
    norm = 0.0
    for q in range(g):
        norm += abs(x[q])
    if not (norm > 0.0 and norm < 1e100):
        return -1
    forward(st, p, x)
    top = 0.0
    for j in range(st.m[L - 1]):
        top = max(top, abs(st.val[L - 1, j]))
    count = 0
    for j in range(st.m[L - 1]):
        if st.val[L - 1, j] > -1e-13 * top:
            count += 1
    return count


@njit(**INNER)
def copy_center(st: Store, a: int, b: int) -> None:
    """Center state of slot a into slot b."""
    cell.copy(st.FM[a], st.FX[a], st.FU[a], st.FIDS[a], st.FM[b], st.FX[b], st.FU[b], st.FIDS[b])


@njit(**INNER)
def proved(st: Store, slot: int, row: int) -> bool:
    v = st.vec
    return proved_empty(
        st.G, st.GE, row, st.FIDS[slot], st.FM[slot], st.B, st.BE, st.N, v[0], v[2], v[3], v[4], st.work
    )


@njit(**INNER)
def set_cut(st: Store, c: int, w: Floats, error: float) -> bool:
    """Cut c: the unit row of -w; False where w is not large against its error."""
    g = st.ROWS.shape[2]
    norm = dot(w, w, g) ** 0.5
    if not (norm > 1e3 * error and norm < 1e200 and norm > 1e-200):
        return False
    a = st.gi[CUTS] + c
    for q in range(g):
        st.G[a, q] = -w[q] / norm
    st.GE[a] = error / norm * (1.0 + 1e-9) + 4.0 * UNIT
    return True


@njit(**INNER)
def push_set(st: Store, d: int, mask: Words) -> None:
    """Add a set to the family of frame d."""
    q = st.FI[d, SETS]
    for w in range(mask.shape[0]):
        st.PS[d, q, w] = mask[w]
        st.PV[d, w] |= mask[w]
    st.PID[d, q] = st.FI[d, RECORDED] - 1
    st.FI[d, SETS] = q + 1


@njit(**INNER)
def rank_closed(st: Store, d: int) -> bool:
    """Whether the declared positives and the sets of one unit have rank TARGET on the x-part (full earlier pattern)."""
    L = st.gi[LAYERS]
    count = 0
    rows = st.REQ
    for j in range(st.m[L - 1]):
        if st.SIGN[L - 1, j] > 0:
            rows[count] = j
            count += 1
    for i in range(st.FI[d, SETS]):
        if size(st.PS[d, i]) == 1:
            rows[count] = first(st.PS[d, i])
            count += 1
    if count < st.gi[TARGET]:
        return False
    return bool(rank_of(st.QR[L - 1], rows, count, st.QR[L]) >= st.gi[TARGET])


@njit(**INNER)
def singles(st: Store, d: int, p: int, top: float, x: Floats) -> bool:
    """Sets of one unit that the simplicial cone of the basis proves; returns whether the node is closed by count."""
    L = st.gi[LAYERS]
    need = st.gi[TARGET] - st.FI[d, COUNT]
    evaluate(st, d, p, x)
    if p < L - 1:
        log_bounds(st, p)
    mask = st.PS[st.PS.shape[0] - 1, 0]
    for j in range(st.m[L - 1]):
        if st.FI[d, SETS] >= need and st.gi[RANKED] == 0:
            return True
        if st.SIGN[L - 1, j] != 0 or has(st.PV[d], j) or not st.low[L - 1, j] > 0.0:
            continue
        w = st.vec[6]
        error = lower_row(st, d, p, L - 1, j, w)
        if sign_on_basis(st, top, w, error) > 0:
            for k in range(mask.shape[0]):
                mask[k] = 0
            put(mask, j)
            log_single(st, d, j)
            push_set(st, d, mask)
    return bool(st.FI[d, SETS] >= need and st.gi[RANKED] == 0)


@njit(**INNER)
def uncovered(st: Store, d: int, units: Words) -> None:
    """The free last-layer units outside of the family of frame d."""
    last = st.gi[LAYERS] - 1
    for w in range(units.shape[0]):
        units[w] = 0
    for j in range(st.m[last]):
        if st.SIGN[last, j] == 0 and not has(st.PV[d], j):
            put(units, j)


@njit(**INNER)
def assume(st: Store, d: int, p: int, s: int, units: Words) -> int:
    """Move the center of slot s on until no lower bound of `units` is > 0 there.

    It must be the center of the path and of cuts of `units`. Cuts are kept, and used again for any units that include
    theirs, until `improve` starts again. Returns 0 contradiction, proved, met by row gi[MET]; 1 done; 2 gave up.
    """
    last = st.gi[LAYERS] - 1
    count = st.FI[d, PATH]
    base = st.gi[CUTS]
    for t in range(count):
        st.REQ[t] = st.PATHS[t]
    for c in range(st.gi[POOL]):
        if has(units, st.CUTUNIT[c]):
            st.REQ[count] = base + c
            count += 1
    while True:
        if count > st.FI[d, PATH]:
            status, row = cell.settle(
                st.G, st.REQ, count, st.FM[s], st.FX[s], st.FU[s], st.FIDS[s], st.vec[7], st.vec[8]
            )
            st.gi[MET] = row
            if status != cell.FEASIBLE:
                return 0 if status == cell.EMPTY and proved(st, s, row) else 2
        evaluate(st, d, p, st.FX[s])
        best = 0.0
        unit = -1
        for j in range(st.m[last]):
            if st.low[last, j] > best and has(units, j):
                best = st.low[last, j]
                unit = j
        if unit < 0:
            return 1
        c = st.gi[POOL]
        if base + c >= st.G.shape[0]:
            return 2
        error = lower_row(st, d, p, last, unit, st.vec[6])
        if not set_cut(st, c, st.vec[6], error):
            return 2
        st.CUTUNIT[c] = unit
        keep_slopes(st, p, c)
        st.gi[POOL] = c + 1
        st.REQ[count] = base + c
        count += 1


@njit(**INNER)
def clause(st: Store, s: int, units: Words) -> bool:
    """The units whose cuts are in the contradiction that slot s has met; False if there are none."""
    base = st.gi[CUTS]
    some = False
    for w in range(units.shape[0]):
        units[w] = 0
    for k in range(-1, st.FM.shape[1]):
        row = st.gi[MET] if k < 0 else st.FIDS[s, k]
        if row >= base:
            put(units, st.CUTUNIT[row - base])
            some = True
    return some


@njit(**INNER)
def extend(st: Store, d: int, p: int, slot: int) -> int:
    """Add sets until the node is closed or a point is reached where every uncovered unit's lower bound is <= 0.

    Returns 0 closed, 1 a tail was reached (in st.TX[d]), 2 gave up.
    """
    s = st.FM.shape[0] - 1
    mask = st.PS[st.PS.shape[0] - 1, 0]
    while st.FI[d, SETS] < st.gi[TARGET] - st.FI[d, COUNT]:
        copy_center(st, slot, s)
        uncovered(st, d, mask)
        status = assume(st, d, p, s, mask)
        if status == 1:
            for q in range(st.TX.shape[1]):
                st.TX[d, q] = st.FX[s, q]
        if status != 0:
            return status
        log_circuit(st, d, s, st.gi[MET], st.FI[d, PATH])
        if not clause(st, s, mask):
            st.gi[SHOWN] = 1
            return 0  # the path alone is contradictory: no such cell
        push_set(st, d, mask)
    return 0


@njit(**INNER)
def refresh(st: Store, d: int, p: int, slot: int) -> int:
    """Take out the set with the most units positive at the tail and extend again; keep what is not worse.

    Returns as `extend` does.
    """
    L = st.gi[LAYERS]
    NW = st.PS.shape[2]
    q = st.FI[d, SETS]
    evaluate(st, d, p, st.TX[d])
    worst = -1
    score = 0
    for i in range(q):
        up = 0
        total = 0
        for j in range(st.m[L - 1]):
            if has(st.PS[d, i], j):
                total += 1
                if st.low[L - 1, j] > 0.0:
                    up += 1
        if total > 1 and up * 65536 + total > score:
            score = up * 65536 + total
            worst = i
    if worst < 0:
        return 1
    D = st.PS.shape[0] - 1
    # Frame D keeps the old family; row 0 of it is scratch for masks, so the copy starts at row 1.
    for i in range(q):
        st.PID[D, i] = st.PID[d, i]
        for w in range(NW):
            st.PS[D, i + 1, w] = st.PS[d, i, w]
    for w in range(NW):
        st.PV[D, w] = st.PV[d, w]
    p2 = 0
    for w in range(NW):
        st.PV[d, w] = 0
    for i in range(q):
        if i != worst:
            st.PID[d, p2] = st.PID[D, i]
            for w in range(NW):
                st.PS[d, p2, w] = st.PS[D, i + 1, w]
                st.PV[d, w] |= st.PS[d, p2, w]
            p2 += 1
    st.FI[d, SETS] = p2
    for k in range(st.TX.shape[1]):
        st.vec[9, k] = st.TX[d, k]
    status = extend(st, d, p, slot)
    if status == 0 or (status == 1 and st.FI[d, SETS] >= q):
        return status
    for i in range(q):
        st.PID[d, i] = st.PID[D, i]
        for w in range(NW):
            st.PS[d, i, w] = st.PS[D, i + 1, w]
    for w in range(NW):
        st.PV[d, w] = st.PV[D, w]
    st.FI[d, SETS] = q
    for k in range(st.TX.shape[1]):
        st.TX[d, k] = st.vec[9, k]
    return 1


@njit(**INNER)
def improve(st: Store, d: int, p: int, slot: int) -> int:
    """`extend`, then rounds of `refresh` while they change something; returns as `extend` does."""
    st.gi[POOL] = 0
    status = extend(st, d, p, slot)
    for _ in range(st.gi[REFRESH]):
        if status != 1:
            break
        status = refresh(st, d, p, slot)
    return status
