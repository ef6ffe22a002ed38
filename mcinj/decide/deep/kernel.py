"""Branch and bound over partial activation patterns of a deep network, as one compiled loop over an explicit stack.

A node decides units layer by layer: all of layers 1 … p - 1, some of layer p. On its cell (a cone, known by the signed
rows of its path) layer p is linear; units beyond are bounded (`mcinj.decide.deep.bounds`). It carries a family of
disjoint sets of last-layer units, each proved to have a positive unit at every point of the cell: sets hold on every
smaller cell, so children inherit them. The node is closed when the units declared positive and the sets number T: n for
the regional criterion, 2n when regions with fewer active units are enumerated for the global one. A candidate with
fewer than T positive units is handed to the caller, who checks it in exact arithmetic.

Every closing rests on `proved_empty` or `sign_on_basis`. What floats do not prove is handed to the caller (RESOLVE,
BLOCK) or explored further.
"""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.decide.deep.bounds import (
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
from mcinj.decide.deep.log import (
    keep_slopes,
    log_basis,
    log_bounds,
    log_branch,
    log_circuit,
    log_counted,
    log_decide,
    log_empty,
    log_imply,
    log_next,
    log_positive,
    log_ranked,
    log_region,
    log_single,
)
from mcinj.decide.deep.store import (
    BLOCK,
    BUILT,
    COUNT,
    CUTS,
    DEPTH,
    DONE,
    ENTER,
    ENUMERATE,
    FIRST,
    FULL,
    INNER,
    LAYER,
    LAYERS,
    LEAVE,
    LIMIT,
    LISTING,
    LOGFULL,
    LOGGED,
    MARK,
    MET,
    NODE,
    NODES,
    NOWITNESS,
    PATH,
    PAUSED,
    PHASE,
    RANKED,
    RECORD,
    RECORDED,
    REFRESH,
    REGIONS,
    RESOLVE,
    ROOM,
    SECOND,
    SETS,
    SHOWN,
    SLOT,
    TAIL,
    TARGET,
    TRAIL,
    WITNESS,
    Floats,
    Store,
    Words,
)
from mcinj.decide.deep.store import UNIT as UNIT_FIELD
from mcinj.numeric import cell
from mcinj.numeric.bits import drop, first, has, put, size
from mcinj.numeric.enclosure import UNIT, proved_empty
from mcinj.numeric.residues import rank_of

_CLOSED, _OPEN, _FOUND, _ASK = 0, 1, 2, 3


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
def _proved(st: Store, slot: int, row: int) -> bool:
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
def extend(st: Store, d: int, p: int, slot: int) -> int:
    """Add sets until the node is closed or a point is reached where every uncovered unit's lower bound is <= 0.

    Returns 0 closed, 1 a tail was reached (in st.TX[d]), 2 gave up.
    """
    L = st.gi[LAYERS]
    m = st.m[L - 1]
    need = st.gi[TARGET] - st.FI[d, COUNT]
    length = st.FI[d, PATH]
    s = st.FM.shape[0] - 1
    cuts = st.gi[CUTS]
    NW = st.PS.shape[2]
    mask = st.PS[st.PS.shape[0] - 1, 0]
    room = st.G.shape[0] - cuts
    while True:
        if st.FI[d, SETS] >= need:
            return 0
        copy_center(st, slot, s)
        ncut = 0
        for t in range(length):
            st.REQ[t] = st.PATHS[t]
        while True:
            x = st.FX[s]
            evaluate(st, d, p, x)
            best = 0.0
            unit = -1
            for j in range(m):
                if st.low[L - 1, j] > best and st.SIGN[L - 1, j] == 0 and not has(st.PV[d], j):
                    best = st.low[L - 1, j]
                    unit = j
            if unit < 0:
                for q in range(x.shape[0]):
                    st.TX[d, q] = x[q]
                return 1
            if ncut >= room:
                return 2
            error = lower_row(st, d, p, L - 1, unit, st.vec[6])
            if not set_cut(st, ncut, st.vec[6], error):
                return 2
            st.CUTUNIT[ncut] = unit
            keep_slopes(st, p, ncut)
            st.REQ[length + ncut] = cuts + ncut
            ncut += 1
            status, row = cell.settle(
                st.G, st.REQ, length + ncut, st.FM[s], st.FX[s], st.FU[s], st.FIDS[s], st.vec[7], st.vec[8]
            )
            if status == cell.FEASIBLE:
                continue
            if status != cell.EMPTY or not _proved(st, s, row):
                return 2
            log_circuit(st, d, s, row, length)
            for w in range(NW):
                mask[w] = 0
            if row >= cuts:
                put(mask, st.CUTUNIT[row - cuts])
            for k in range(st.FM.shape[1]):
                if st.FIDS[s, k] >= cuts:
                    put(mask, st.CUTUNIT[st.FIDS[s, k] - cuts])
            some = False
            for w in range(NW):
                if mask[w] != 0:
                    some = True
            if not some:
                st.gi[SHOWN] = 1
                return 0  # the path alone is contradictory: no such cell
            push_set(st, d, mask)
            break


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
    status = extend(st, d, p, slot)
    for _ in range(st.gi[REFRESH]):
        if status != 1:
            break
        status = refresh(st, d, p, slot)
    return status


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
    return 0 if status == cell.EMPTY and _proved(st, target, met) else 2


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


@njit(**INNER)
def put_out(st: Store, d: int, layers: int) -> bool:
    """Write the region of frame d, known in the first `layers` layers, to the output; False where it is full."""
    r = st.gi[REGIONS]
    if r >= st.gi[ROOM]:
        return False
    for k in range(layers):
        for i in range(st.m[k]):
            st.OUT_SIGN[r, k, i] = st.SIGN[k, i]
    for q in range(st.ROWS.shape[2]):
        st.OUT_X[r, q] = st.FX[d, q]
    length = st.FI[d, PATH]
    for t in range(length):
        st.OUT_PATH[r, t] = st.PATHS[t]
    st.OUT_N[r, 0] = length
    st.OUT_N[r, 1] = st.FI[d, COUNT]
    st.gi[REGIONS] = r + 1
    return True


@njit(**INNER)
def _log_closed(st: Store, d: int) -> None:
    if st.gi[SHOWN]:
        log_empty(st, d)
    else:
        log_counted(st, d)


@njit(**INNER)
def node(st: Store, d: int) -> tuple[int, int]:
    """Work on frame d: returns (what to do, unit to branch on or reason)."""
    L = st.gi[LAYERS]
    slot = d
    st.FI[d, TAIL] = 0
    st.gi[SHOWN] = 0
    if st.FI[d, COUNT] >= st.gi[TARGET] and st.gi[RANKED] == 0:
        log_counted(st, d)
        return _CLOSED, 0
    while True:
        p = st.FI[d, LAYER]
        if p < L - 1:
            complete = True
            for i in range(st.m[p]):
                if st.SIGN[p, i] == 0:
                    complete = False
                    break
            if complete:
                if st.FI[d, BUILT] != p + 1 and not block(st, p + 1):
                    st.gi[SLOT] = p + 1
                    return _ASK, BLOCK
                if st.gi[LISTING] and p + 1 == L - 1 and not put_out(st, d, L - 1):
                    return _ASK, FULL
                log_next(st)
                install(st, p + 1)
                st.FI[d, LAYER] = p + 1
                st.FI[d, BUILT] = 0
                continue
        x = st.FX[slot]
        if st.gi[ENUMERATE] == 0 and st.FI[d, NOWITNESS] == 0:
            count = positive_at(st, p, x)
            if count >= 0 and count < st.gi[TARGET]:
                st.gi[SLOT] = 0
                return _FOUND, 0
        found, top = choose_basis(st, d, slot)
        if found:
            log_basis(st)
        if p < L - 1:
            if not found or st.gi[RANKED]:
                if found:
                    for i in range(st.m[p]):
                        if st.SIGN[p, i] == 0:
                            s = sign_on_basis(st, top, st.ROWS[p, i], st.ERR[p, i])
                            if s != 0:
                                assign(st, p, i, s)
                                log_decide(st, i, s)
                unit = nearest_unit(st, p, x)
                if unit < 0:
                    continue
                return _OPEN, unit
            if not bounds(st, d, p, top, x):
                unit = nearest_unit(st, p, x)
                if unit < 0:
                    continue
                return _OPEN, unit
            complete = True
            for i in range(st.m[p]):
                if st.SIGN[p, i] == 0:
                    complete = False
                    break
            if complete:
                if p + 1 < L - 1:
                    log_bounds(st, p)
                continue
            if singles(st, d, p, top, x):
                log_counted(st, d)
                return _CLOSED, 0
            status = improve(st, d, p, slot)
            if status == 0:
                _log_closed(st, d)
                return _CLOSED, 0
            if status == 1:
                st.FI[d, TAIL] = 1
                if st.gi[ENUMERATE] == 0 and st.FI[d, NOWITNESS] == 0:
                    count = positive_at(st, p, st.TX[d])
                    if count >= 0 and count < st.gi[TARGET]:
                        st.gi[SLOT] = 1
                        return _FOUND, 0
                return _OPEN, choose_unit(st, d, p, st.TX[d])
            return _OPEN, choose_unit(st, d, p, x)
        # Last layer: every row is linear on the cell.
        tail = False
        if found and singles(st, d, p, top, x):
            log_counted(st, d)
            return _CLOSED, 0
        if st.gi[RANKED]:
            if found and certain(st, d, p, slot):
                log_ranked(st, d)
                return _CLOSED, 0
        else:
            status = 2
            if found:
                status = improve(st, d, p, slot)
            if status == 0:
                _log_closed(st, d)
                return _CLOSED, 0
            if status == 1:
                tail = True
                st.FI[d, TAIL] = 1
                if st.gi[ENUMERATE] == 0 and st.FI[d, NOWITNESS] == 0:
                    count = positive_at(st, p, st.TX[d])
                    if count >= 0 and count < st.gi[TARGET]:
                        st.gi[SLOT] = 1
                        return _FOUND, 0
        unit = -1
        for i in range(st.FI[d, SETS]):
            if size(st.PS[d, i]) == 1:
                unit = first(st.PS[d, i])
                # A set of one unit: it is positive on the whole cell.
                log_positive(st, d, i, unit)
                assign(st, L - 1, unit, 1)
                st.FI[d, COUNT] += 1
                shrink_family(st, d, unit, True)
                break
        if unit >= 0:
            if st.FI[d, COUNT] >= st.gi[TARGET] and st.gi[RANKED] == 0:
                log_counted(st, d)
                return _CLOSED, 0
            continue
        unit = last_unit(st, d, x, tail)
        if unit < 0:
            if st.gi[RANKED] and rank_closed(st, d):
                log_ranked(st, d)
                return _CLOSED, 0
            if st.gi[ENUMERATE]:
                if not put_out(st, d, L):
                    return _ASK, FULL
                log_region(st)
                return _CLOSED, 0
            return _ASK, RESOLVE
        return _OPEN, unit


@njit(**INNER)
def certain(st: Store, d: int, p: int, slot: int) -> bool:
    """Add all sets of one unit that a Farkas combination proves; returns whether rank closes the node (last layer)."""
    L = st.gi[LAYERS]
    length = st.FI[d, PATH]
    s = st.FM.shape[0] - 1
    mask = st.PS[st.PS.shape[0] - 1, 0]
    if rank_closed(st, d):
        return True
    for j in range(st.m[L - 1]):
        if st.FI[d, SETS] >= st.PS.shape[1]:
            break
        if st.SIGN[L - 1, j] != 0 or has(st.PV[d], j) or not dot(st.ROWS[p, j], st.FX[slot], st.ROWS.shape[2]) > 0.0:
            continue
        if solve_with(st, slot, s, length, st.BASE[p] + 2 * j) == 0:
            for k in range(mask.shape[0]):
                mask[k] = 0
            put(mask, j)
            log_circuit(st, d, s, st.gi[MET], length)
            push_set(st, d, mask)
            if rank_closed(st, d):
                return True
    return False


@njit(**INNER)
def shrink_family(st: Store, d: int, unit: int, whole: bool) -> None:
    """Take a decided unit out of the family: with its set (`whole`, it is positive) or alone (it is negative)."""
    NW = st.PS.shape[2]
    q = 0
    for w in range(NW):
        st.PV[d, w] = 0
    for i in range(st.FI[d, SETS]):
        if has(st.PS[d, i], unit):
            if whole:
                continue
            drop(st.PS[d, i], unit)
        st.PID[d, q] = st.PID[d, i]
        for w in range(NW):
            st.PS[d, q, w] = st.PS[d, i, w]
            st.PV[d, w] |= st.PS[d, i, w]
        q += 1
    st.FI[d, SETS] = q


@njit(**INNER)
def make_child(st: Store, d: int, sign: int) -> int:
    """Prepare frame d + 1 with the branching unit decided; 0 empty (proved), 1 ready, 2 not decided in floats."""
    e = d + 1
    p = st.FI[d, LAYER]
    L = st.gi[LAYERS]
    unit = st.FI[d, UNIT_FIELD]
    for k in range(st.FI.shape[1]):
        st.FI[e, k] = st.FI[d, k]
    st.FI[e, PHASE] = ENTER
    st.FI[e, NOWITNESS] = 0
    st.FI[e, BUILT] = 0
    st.FI[e, TAIL] = 0
    NW = st.PS.shape[2]
    for i in range(st.FI[d, SETS]):
        st.PID[e, i] = st.PID[d, i]
        for w in range(NW):
            st.PS[e, i, w] = st.PS[d, i, w]
    for w in range(NW):
        st.PV[e, w] = st.PV[d, w]
    assign(st, p, unit, sign)
    if p == L - 1:
        if sign > 0:
            st.FI[e, COUNT] += 1
            if st.FI[e, COUNT] >= st.gi[TARGET] and st.gi[RANKED] == 0:
                log_counted(st, e)
                return 0
        shrink_family(st, e, unit, sign > 0)
    row = st.BASE[p] + 2 * unit + (1 if sign > 0 else 0)
    length = st.FI[d, PATH]
    st.PATHS[length] = row
    st.PINDEX[row] = length
    st.FI[e, PATH] = length + 1
    for k in range(p, L - 1):
        for i in range(st.m[k]):
            st.UV[e, k, i] = st.UV[d, k, i]
            if st.UV[e, k, i]:
                st.UE[e, k, i] = st.UE[d, k, i]
                for q in range(st.ROWS.shape[2]):
                    st.UP[e, k, i, q] = st.UP[d, k, i, q]
    status = solve_with(st, d, e, length, row)
    if status == 0:
        log_circuit(st, e, e, st.gi[MET], length + 1)
        log_empty(st, e)
    if status != 2:
        return status
    copy_center(st, d, e)
    return 2


@njit()
def advance(st: Store) -> int:
    """Run until the stack is empty or the caller is needed; returns one of the reasons of `deep_store`.

    WITNESS: the candidate is the center (gi[SLOT] = 0) or tail (1) of the top frame. RESOLVE: decide exactly whether
    the cell of frame gi[SLOT] is empty; if that is above the top frame, push it (gi[DEPTH] += 1) unless it is empty.
    BLOCK: exact rows of layer gi[SLOT] are wanted. PAUSED: gi[LIMIT] nodes are used up. FULL: the output is full.
    LOGFULL: the log has more than gi[RECORD] numbers, take them out.
    """
    while st.gi[DEPTH] >= 0:
        d = st.gi[DEPTH]
        phase = st.FI[d, PHASE]
        if phase == ENTER:
            if st.gi[NODES] >= st.gi[LIMIT]:
                return PAUSED
            if st.gi[RECORD] and st.gi[LOGGED] > st.gi[RECORD]:
                return LOGFULL
            st.gi[NODES] += 1
            st.FI[d, PHASE] = NODE
        elif phase == NODE:
            what, value = node(st, d)
            if what == _CLOSED:
                st.gi[DEPTH] = d - 1
            elif what == _OPEN:
                st.FI[d, UNIT_FIELD] = value
                st.FI[d, MARK] = st.gi[TRAIL]
                st.FI[d, PHASE] = FIRST
                log_branch(st, value)
            elif what == _FOUND:
                return WITNESS
            else:
                if value == RESOLVE:
                    st.gi[SLOT] = d
                return value
        elif phase in (FIRST, SECOND):
            undo(st, st.FI[d, MARK])
            st.FI[d, PHASE] = SECOND if phase == FIRST else LEAVE
            status = make_child(st, d, -1 if phase == FIRST else 1)
            if status == 1:
                st.gi[DEPTH] = d + 1
            elif status == 2:
                st.gi[SLOT] = d + 1
                return RESOLVE
        else:
            undo(st, st.FI[d, MARK])
            st.gi[DEPTH] = d - 1
    return DONE
