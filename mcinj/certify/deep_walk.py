"""The walk through a deep proof, in floats with rigorous bounds; what they do not decide is asked for. Compiled.

Every index that a file can contain is checked before it is used. A row here stands for an exact one: a combination of
exact rows with the float coefficients that were used; errors bound the entrywise distance.
"""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.certify.deep_ops import (
    ACTIVE as STATE_ACTIVE,
)
from mcinj.certify.deep_ops import (
    BASIS,
    BITS,
    BOUNDS,
    BRANCH,
    COUNTED,
    DECIDE,
    INACTIVE,
    ITSELF,
    KEEP,
    NEXT,
    ON_BASIS,
    POSITIVE,
    RANKED,
    REGION,
    SET,
    SHIFT,
    SINGLE,
)
from mcinj.certify.deep_ranks import next_residues, rank_of
from mcinj.certify.deep_state import (
    ACCEPT,
    ACTIVE,
    ASK,
    BASED,
    BASIS_FAULT,
    BOUND_FAULT,
    BOUNDED,
    CUT,
    DECLARED,
    DEPTH,
    ENUMERATE,
    F_ACTIVE,
    F_LAYER,
    F_LENGTH,
    F_SETS,
    F_SIDE,
    F_TRAIL,
    F_UNIT,
    GROW,
    LAYER,
    LAYER_FAULT,
    LAYERS,
    LEAST,
    LENGTH,
    LONG,
    OK,
    OPCODE,
    OVERLAP,
    PLACE,
    RANKS,
    REGION_FAULT,
    REGIONS,
    ROW_FAULT,
    SET_FAULT,
    SETS,
    SHORT,
    TARGET,
    TRAIL,
    UNIT_FAULT,
    Floats,
    Ints,
    Walk,
)
from mcinj.certify.enclosure import TINY, UNIT, coefficients, invert, spread

_FINE = 1e-9  # rows beyond the first layer must be known this well, relatively; otherwise they are asked for
_INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}


@njit(**_INNER)
def _decide(st: Walk, layer: int, unit: int, sign: int) -> None:
    t = st.gi[TRAIL]
    st.SIGN[layer, unit] = sign
    st.TL[t] = layer
    st.TU[t] = unit
    st.gi[TRAIL] = t + 1


@njit(**_INNER)
def _extend_path(st: Walk, unit: int, sign: int) -> None:
    """The row of a unit of the present layer, positive on the cell, scaled to largest entry about 1."""
    p = st.gi[LAYER]
    g = st.ROWS.shape[2]
    t = st.gi[LENGTH]
    top = 0.0
    for q in range(g):
        top = max(top, abs(st.ROWS[p, unit, q]))
    if not top > 0.0:
        top = 1.0
    for q in range(g):
        st.P[t, q] = sign * st.ROWS[p, unit, q] / top
    st.PE[t] = st.ERR[p, unit] / top * (1.0 + 1e-9) + 2.0 * UNIT
    st.gi[LENGTH] = t + 1


@njit(**_INNER)
def _next_rows(st: Walk) -> bool:
    """Rows of the next layer on the pattern; False where floats do not hold one accurately."""
    p = st.gi[LAYER] + 1
    g = st.ROWS.shape[2]
    m0 = st.m[p - 1]
    gamma = 4.0 * UNIT * (m0 + 4)
    good = True
    for j in range(st.m[p]):
        row = st.ROWS[p, j]
        for q in range(g):
            row[q] = 0.0
        error = 0.0
        total = 0.0
        zero = True
        for i in range(m0):
            w = st.W[p, j, i]
            if st.SIGN[p - 1, i] > 0 and (w != 0.0 or st.WE[p] > 0.0):
                size = st.ERR[p - 1, i]
                for q in range(g):
                    size = max(size, abs(st.ROWS[p - 1, i, q]))
                    row[q] += w * st.ROWS[p - 1, i, q]
                error += abs(w) * st.ERR[p - 1, i] + st.WE[p] * (size + st.ERR[p - 1, i])
                total += abs(w) * size
                zero = zero and size == 0.0
        if not zero and not (error == 0.0 and total < st.LIMIT[p, j]):
            error += gamma * total + TINY
        if error > 0.0:
            error *= 1.0 + 1e-9
        top = 0.0
        for q in range(g):
            top = max(top, abs(row[q]))
        st.ERR[p, j] = error
        if error > 0.0 and not error < _FINE * top:
            good = False
    return good


@njit(**_INNER)
def _sign(st: Walk, a: Floats, ae: float) -> int:
    """1 or -1 if all coefficients of the row on the basis are proved positive or negative, else 0; they are in vec."""
    g = st.ROWS.shape[2]
    y = st.vec[0]
    bound = st.vec[1]
    if st.gi[BASED] != 1 or not coefficients(st.B[0], st.BE[0], st.R[0], st.DELTA[0], a, ae, y, bound):
        return 0
    up = True
    down = True
    for k in range(g):
        if not y[k] - bound[k] > 0.0:
            up = False
        if not y[k] + bound[k] < 0.0:
            down = False
    return 1 if up else (-1 if down else 0)


@njit(**_INNER)
def _lower(st: Walk, layer: int, unit: int, theta: Ints, w: Floats) -> float:
    """w = a lower bound, linear on the cell, of a pre-activation: max(z, 0) >= θ z below positive weights, upper bounds
    below negative ones; its error, or -1 where an upper bound is missing."""
    p = st.gi[LAYER]
    d = st.gi[DEPTH]
    g = st.ROWS.shape[2]
    for q in range(g):
        w[q] = 0.0
    if layer == p:
        for q in range(g):
            w[q] = st.ROWS[p, unit, q]
        return float(st.ERR[p, unit])
    error = 0.0
    total = 0.0
    terms = 8.0
    for k in range(p, layer):
        for i in range(st.m[k]):
            st.COEF[k, i] = 0.0
        terms += 2.0 * st.m[k]
    st.COEF[layer, unit] = 1.0
    low = layer
    while low >= p:
        for j in range(st.m[low]):
            if low == layer and j != unit:
                continue
            c = st.COEF[low, j]
            if c == 0.0:
                continue
            # c > 0 times the pre-activation of unit j is to be bounded from below.
            if low < layer:
                s = st.SIGN[p, j] if low == p else st.HS[st.first[low] + j]
                if s < 0 or (s == 0 and theta[st.first[low] + j] == 0):
                    continue
            if low == p:
                top = st.ERR[p, j]
                for q in range(g):
                    h = st.ROWS[p, j, q]
                    w[q] += c * h
                    top = max(top, abs(h))
                error += c * st.ERR[p, j]
                total += c * top
                continue
            for i in range(st.m[low - 1]):
                v = st.W[low, j, i]
                e = st.WE[low]
                if v == 0.0 and e == 0.0:
                    continue
                h0 = st.first[low - 1] + i
                s = st.SIGN[p, i] if low - 1 == p else st.HS[h0]
                if s < 0:
                    continue
                if e > 0.0:
                    # The exact weight is within e of v: its part beyond v is bounded by e max(z, 0).
                    if low - 1 == p and s > 0:
                        top = st.ERR[p, i]
                        for q in range(g):
                            top = max(top, abs(st.ROWS[p, i, q]))
                        error += c * e * (top + st.ERR[p, i])
                    else:
                        if st.UV[d, h0] == 0:
                            return -1.0
                        for q in range(g):
                            w[q] -= c * e * st.UP[d, h0, q]
                        top = st.UE[d, h0]
                        for q in range(g):
                            top = max(top, abs(st.UP[d, h0, q]))
                        error += c * e * st.UE[d, h0]
                        total += c * e * top
                if v > 0.0:
                    st.COEF[low - 1, i] += c * v
                elif v < 0.0:
                    f = c * v
                    if low - 1 == p and s > 0:
                        top = st.ERR[p, i]
                        for q in range(g):
                            w[q] += f * st.ROWS[p, i, q]
                            top = max(top, abs(st.ROWS[p, i, q]))
                        error -= f * st.ERR[p, i]
                    else:
                        if st.UV[d, h0] == 0:
                            return -1.0
                        top = st.UE[d, h0]
                        for q in range(g):
                            w[q] += f * st.UP[d, h0, q]
                            top = max(top, abs(st.UP[d, h0, q]))
                        error -= f * st.UE[d, h0]
                    total -= f * top
        low -= 1
    return float((error + 4.0 * UNIT * terms * total) * (1.0 + 1e-9) + TINY)


@njit(**_INNER)
def _upper(st: Walk, layer: int, unit: int, w: Floats) -> float:
    """w = an upper bound of a pre-activation beyond the present layer, from the bounds of the layer before; its error,
    or -1 where one is missing."""
    p = st.gi[LAYER]
    d = st.gi[DEPTH]
    g = st.ROWS.shape[2]
    for q in range(g):
        w[q] = 0.0
    error = 0.0
    total = 0.0
    e = st.WE[layer]
    for i in range(st.m[layer - 1]):
        v = st.W[layer, unit, i]
        h0 = st.first[layer - 1] + i
        s = st.SIGN[p, i] if layer - 1 == p else st.HS[h0]
        if s < 0:
            continue
        exact_row = layer - 1 == p and s > 0
        if (v > 0.0 or e > 0.0) and not exact_row:
            if st.UV[d, h0] == 0:
                return -1.0
            f = e + (v if v > 0.0 else 0.0)
            top = st.UE[d, h0]
            for q in range(g):
                w[q] += f * st.UP[d, h0, q]
                top = max(top, abs(st.UP[d, h0, q]))
            error += f * st.UE[d, h0]
            total += f * top
        if exact_row:
            top = st.ERR[p, i]
            for q in range(g):
                w[q] += v * st.ROWS[p, i, q]
                top = max(top, abs(st.ROWS[p, i, q]))
            error += abs(v) * st.ERR[p, i] + e * (top + st.ERR[p, i])
            total += abs(v) * top
        elif v < 0.0 and (s > 0 or st.THETA[h0] != 0):
            row = st.ROWS[p, i] if layer - 1 == p else st.LR[h0]
            own = st.ERR[p, i] if layer - 1 == p else st.LE[h0]
            top = own
            for q in range(g):
                w[q] += v * row[q]
                top = max(top, abs(row[q]))
            error -= v * own
            total -= v * top
    terms = 8.0 + 2.0 * st.m[layer - 1]
    return float((error + 4.0 * UNIT * terms * total) * (1.0 + 1e-9) + TINY)


@njit(**_INNER)
def _set_upper(st: Walk, h: int) -> bool:
    """Upper bound `Σ max(y_k + bound_k, 0) b_k` of the functional whose coefficients are in vec."""
    d = st.gi[DEPTH]
    g = st.ROWS.shape[2]
    error = 0.0
    total = 0.0
    for q in range(g):
        st.UP[d, h, q] = 0.0
    for k in range(g):
        f = st.vec[0, k] + st.vec[1, k]
        if not f < 1e200:
            return False
        if f > 0.0:
            top = st.BE[0, k]
            for q in range(g):
                st.UP[d, h, q] += f * st.B[0, k, q]
                top = max(top, abs(st.B[0, k, q]))
            error += f * st.BE[0, k]
            total += f * top
    st.UE[d, h] = (error + 4.0 * UNIT * (g + 4) * total) * (1.0 + 1e-9) + TINY
    st.UV[d, h] = 1
    return True


@njit(**_INNER)
def _read_slopes(st: Walk, stream: Ints, at: int, theta: Ints) -> int:
    """Slopes of undecided units of the present layer and of all hidden units beyond; where they end, -1: cut."""
    p = st.gi[LAYER]
    L = st.gi[LAYERS]
    count = 0
    for k in range(p, L - 1):
        for i in range(st.m[k]):
            if k == p and st.SIGN[p, i] != 0:
                continue
            place = at + count // BITS
            if place >= stream.shape[0]:
                return -1
            theta[st.first[k] + i] = (stream[place] >> (count % BITS)) & 1
            count += 1
    return int(at + (count + BITS - 1) // BITS)


@njit(**_INNER)
def _bounds_end(st: Walk, stream: Ints, at: int) -> int:
    """Where a BOUNDS instruction ends; -1 if it is cut. Sets slopes, and states as claimed."""
    p = st.gi[LAYER]
    L = st.gi[LAYERS]
    undecided = 0
    for i in range(st.m[p]):
        if st.SIGN[p, i] == 0:
            undecided += 1
    at = _read_slopes(st, stream, at + (undecided + BITS - 1) // BITS, st.THETA)
    if at < 0:
        return -1
    for k in range(p + 1, L - 1):
        for i in range(st.m[k]):
            if at >= stream.shape[0] or stream[at] >= 9:
                return -1
            state = stream[at] % 3
            st.HS[st.first[k] + i] = 1 if state == STATE_ACTIVE else (-1 if state == INACTIVE else 0)
            at += 1
    return at


@njit(**_INNER)
def _bounds(st: Walk, stream: Ints, at: int) -> bool:
    """Prove and set what a BOUNDS instruction says; False: not decided in floats. THETA and HS are set already."""
    p = st.gi[LAYER]
    d = st.gi[DEPTH]
    L = st.gi[LAYERS]
    g = st.ROWS.shape[2]
    count = 0
    for i in range(st.m[p]):
        if st.SIGN[p, i] == 0:
            if (stream[at + count // BITS] >> (count % BITS)) & 1:
                _sign(st, st.ROWS[p, i], st.ERR[p, i])
                if st.gi[BASED] != 1 or not _set_upper(st, st.first[p] + i):
                    return False
            count += 1
    slopes = count
    for k in range(p + 1, L - 1):
        slopes += st.m[k]
    at += (count + BITS - 1) // BITS + (slopes + BITS - 1) // BITS
    w = st.vec[2]
    for k in range(p + 1, L - 1):
        for j in range(st.m[k]):
            h = st.first[k] + j
            state = stream[at] % 3
            form = stream[at] // 3
            at += 1
            if k < L - 2 or state == STATE_ACTIVE:
                st.LE[h] = _lower(st, k, j, st.THETA, st.LR[h])
                if st.LE[h] < 0.0 or (state == STATE_ACTIVE and _sign(st, st.LR[h], st.LE[h]) <= 0):
                    return False
            if state != INACTIVE and form == KEEP:
                continue
            error = _upper(st, k, j, w)
            if error < 0.0:
                return False
            s = _sign(st, w, error)
            if state == INACTIVE:
                if s >= 0:
                    return False
                for q in range(g):
                    st.UP[d, h, q] = 0.0
                st.UE[d, h] = 0.0
                st.UV[d, h] = 1
            elif form == ITSELF:
                if state != STATE_ACTIVE and s <= 0:
                    return False
                for q in range(g):
                    st.UP[d, h, q] = w[q]
                st.UE[d, h] = error
                st.UV[d, h] = 1
            elif form == ON_BASIS and not (st.gi[BASED] == 1 and _set_upper(st, h)):
                return False
    return True


@njit(**_INNER)
def _circuit(st: Walk, stream: Ints, at: int, size: int, numbers: bool) -> tuple[int, int]:
    """Read the items of a set into C, CE and mask; (where it ends or -1, fault, OK or ASK for its numbers)."""
    p = st.gi[LAYER]
    L = st.gi[LAYERS]
    g = st.ROWS.shape[2]
    for j in range(st.m[L - 1]):
        st.mask[j] = 0
    known = size == g + 1
    for k in range(size):
        if at >= stream.shape[0]:
            return -1, CUT
        v = stream[at]
        at += 1
        if v & 1 == 0:
            t = v >> 1
            if t >= st.gi[LENGTH]:
                return -1, ROW_FAULT
            if known:
                for q in range(g):
                    st.C[k, q] = st.P[t, q]
                st.CE[k] = st.PE[t]
            continue
        unit = v >> 1
        if unit >= st.m[L - 1]:
            return -1, UNIT_FAULT
        st.mask[unit] = 1
        if p < L - 1:
            if st.gi[BOUNDED] == 0:
                return -1, BOUND_FAULT
            at = _read_slopes(st, stream, at, st.CUTS)
            if at < 0:
                return -1, CUT
        if known and numbers:
            w = st.vec[2]
            error = _lower(st, L - 1, unit, st.CUTS, w)
            if error < 0.0:
                return -1, BOUND_FAULT
            top = 0.0
            for q in range(g):
                top = max(top, abs(w[q]))
            if not (top > 0.0 and top < 1e200):
                known = False
                continue
            for q in range(g):
                st.C[k, q] = -w[q] / top
            st.CE[k] = error / top * (1.0 + 1e-9) + 2.0 * UNIT
    if not numbers:
        return at, OK
    if not known:
        return at, ASK
    b = st.B[1]
    be = st.BE[1]
    for k in range(g):
        for q in range(g):
            b[k, q] = st.C[k + 1, q]
        be[k] = st.CE[k + 1]
    if not invert(b, st.R[1], st.work) or not spread(b, be, st.R[1], st.DELTA[1]):
        return at, ASK
    y = st.vec[0]
    bound = st.vec[1]
    if not coefficients(b, be, st.R[1], st.DELTA[1], st.C[0], st.CE[0], y, bound):
        return at, ASK
    for k in range(g):
        if not y[k] + bound[k] < 0.0:
            return at, ASK
    return at, OK


@njit(**_INNER)
def _declare_zero(st: Walk) -> None:
    """Units of the present layer whose row is exactly zero are never active."""
    p = st.gi[LAYER]
    for i in range(st.m[p]):
        zero = st.ERR[p, i] == 0.0 and st.SIGN[p, i] == 0
        for q in range(st.ROWS.shape[2]):
            if st.ROWS[p, i, q] != 0.0:
                zero = False
        if zero:
            _decide(st, p, i, -1)


@njit(**_INNER)
def _push_set(st: Walk) -> None:
    k = st.gi[SETS]
    for j in range(st.mask.shape[0]):
        st.SET[k, j] = st.mask[j]
    st.gi[SETS] = k + 1


@njit(**_INNER)
def _to_child(st: Walk, sign: int) -> None:
    """Enter a child of the top frame: its unit is decided, its row extends the path, bounds are inherited."""
    d = st.gi[DEPTH]
    unit = st.FR[d - 1, F_UNIT]
    p = st.gi[LAYER]
    _decide(st, p, unit, sign)
    _extend_path(st, unit, sign)
    for h in range(st.UV.shape[1]):
        st.UV[d, h] = st.UV[d - 1, h]
        if st.UV[d, h]:
            st.UE[d, h] = st.UE[d - 1, h]
            for q in range(st.UP.shape[2]):
                st.UP[d, h, q] = st.UP[d - 1, h, q]
    st.gi[BASED] = 0
    st.gi[BOUNDED] = 0


@njit(**_INNER)
def _back(st: Walk) -> bool:
    """Leave a leaf for the next positive child; False if there is none."""
    while st.gi[DEPTH] > 0:
        f = st.gi[DEPTH] - 1
        mark = st.FR[f, F_TRAIL]
        t = st.gi[TRAIL]
        while t > mark:
            t -= 1
            st.SIGN[st.TL[t], st.TU[t]] = 0
        st.gi[TRAIL] = mark
        st.gi[LENGTH] = st.FR[f, F_LENGTH]
        st.gi[SETS] = st.FR[f, F_SETS]
        st.gi[LAYER] = st.FR[f, F_LAYER]
        st.gi[ACTIVE] = st.FR[f, F_ACTIVE]
        if st.FR[f, F_SIDE] < 0:
            st.FR[f, F_SIDE] = 1
            _to_child(st, 1)
            return True
        st.gi[DEPTH] = f
    return False


@njit(**_INNER)
def _counted(st: Walk, stream: Ints, at: int, k: int, exactly_one: bool) -> tuple[int, int, int]:
    """The k sets of a leaf: (fault or OK, 1 if one is empty, units proved positive). Their units are in PICK if
    `exactly_one` is asked of each; then the declared positives precede them."""
    last = st.gi[LAYERS] - 1
    m = st.m[last]
    if k > stream.shape[0] - at:
        return CUT, 0, 0
    for i in range(k):
        number = stream[at + i]
        if number >= st.gi[SETS]:
            return SET_FAULT, 0, 0
        some = False
        for j in range(m):
            if st.SET[number, j] and st.SIGN[last, j] >= 0:
                some = True
                break
        if not some:
            return OK, 1, 0
    count = 0
    for j in range(m):
        st.mask[j] = 0
        if st.SIGN[last, j] > 0:
            st.PICK[count] = j
            count += 1
    if k > m - count:
        return OVERLAP, 0, 0
    for i in range(k):
        number = stream[at + i]
        size = 0
        for j in range(m):
            if st.SET[number, j] and st.SIGN[last, j] >= 0:
                if st.SIGN[last, j] > 0:
                    return DECLARED, 0, 0
                if st.mask[j]:
                    return OVERLAP, 0, 0
                st.mask[j] = 1
                st.PICK[count] = j
                size += 1
        if exactly_one and size != 1:
            return SHORT, 0, 0
        count += 1
    return OK, 0, count


@njit(**_INNER)
def _list_region(st: Walk) -> bool:
    """Append the region to the list; False if it is not complete or has fewer units active than it must have."""
    last = st.gi[LAYERS] - 1
    r = st.gi[REGIONS]
    count = 0
    h = 0
    for k in range(last + 1):
        for i in range(st.m[k]):
            if st.SIGN[k, i] == 0:
                return False
            if k == last and st.SIGN[k, i] > 0:
                count += 1
            st.OUT[r, h] = st.SIGN[k, i]
            h += 1
    if count < st.gi[LEAST]:
        return False
    st.gi[REGIONS] = r + 1
    return True


@njit()
def walk(st: Walk, stream: Ints) -> int:
    """Go on where the walk stands. OK at the end, ASK: prove the instruction at gi[PLACE] (for NEXT and BOUNDS, set the
    rows) and set gi[ACCEPT]; GROW: more room is wanted; or a fault at gi[PLACE]."""
    g = st.ROWS.shape[2]
    L = st.gi[LAYERS]
    size = stream.shape[0]
    while True:
        place = st.gi[PLACE]
        if place >= size:
            return CUT
        d = st.gi[DEPTH]
        if (
            d + 2 >= st.UP.shape[0]
            or st.gi[SETS] + 2 >= st.SET.shape[0]
            or st.gi[ACTIVE] + 2 >= st.LIVE.shape[0]
            or st.gi[REGIONS] >= st.OUT.shape[0]
        ):
            return GROW
        op = stream[place] & 15
        arg = stream[place] >> SHIFT
        at = place + 1
        p = st.gi[LAYER]
        accept = st.gi[ACCEPT] != 0
        st.gi[ACCEPT] = 0
        leaf = False
        if op == BRANCH:
            if arg >= st.m[p] or st.SIGN[p, arg] != 0:
                return UNIT_FAULT
            st.FR[d, F_UNIT] = arg
            st.FR[d, F_LAYER] = p
            st.FR[d, F_TRAIL] = st.gi[TRAIL]
            st.FR[d, F_LENGTH] = st.gi[LENGTH]
            st.FR[d, F_SETS] = st.gi[SETS]
            st.FR[d, F_ACTIVE] = st.gi[ACTIVE] + 1
            st.FR[d, F_SIDE] = -1
            st.gi[DEPTH] = d + 1
            _to_child(st, -1)
        elif op == NEXT:
            if p >= L - 1:
                return LAYER_FAULT
            for i in range(st.m[p]):
                if st.SIGN[p, i] == 0:
                    return UNIT_FAULT
            if not accept and not _next_rows(st):
                return ASK
            if st.gi[RANKS] == 2:
                next_residues(st.Q[p + 1], st.QR[p], st.SIGN[p], st.m[p], st.m[p + 1], st.QR[p + 1])
            st.gi[LAYER] = p + 1
            st.gi[BASED] = 0
            st.gi[BOUNDED] = 0
            _declare_zero(st)
        elif op == BASIS:
            if at + g > size:
                return CUT
            for k in range(g):
                t = stream[at + k]
                if t >= st.gi[LENGTH]:
                    return ROW_FAULT
                for q in range(g):
                    st.B[0, k, q] = st.P[t, q]
                st.BE[0, k] = st.PE[t]
            good = invert(st.B[0], st.R[0], st.work) and spread(st.B[0], st.BE[0], st.R[0], st.DELTA[0])
            st.gi[BASED] = 1 if good else 2
            at += g
        elif op == DECIDE:
            unit = arg >> 1
            if unit >= st.m[p] or st.SIGN[p, unit] != 0:
                return UNIT_FAULT
            if st.gi[BASED] == 0:
                return BASIS_FAULT
            sign = 1 if arg & 1 else -1
            if not accept and _sign(st, st.ROWS[p, unit], st.ERR[p, unit]) != sign:
                return ASK
            _decide(st, p, unit, sign)
        elif op == BOUNDS:
            if p >= L - 1:
                return LAYER_FAULT
            if st.gi[BASED] == 0:
                return BASIS_FAULT
            at = _bounds_end(st, stream, at)
            if at < 0:
                return CUT
            if not accept and not _bounds(st, stream, place + 1):
                return ASK
            st.gi[BOUNDED] = 1
        elif op == SINGLE:
            if arg >= st.m[L - 1]:
                return UNIT_FAULT
            if st.gi[BASED] == 0:
                return BASIS_FAULT
            if p < L - 1 and st.gi[BOUNDED] == 0:
                return BOUND_FAULT
            if not accept:
                error = _lower(st, L - 1, arg, st.THETA, st.vec[2])
                if error < 0.0:
                    return BOUND_FAULT
                if _sign(st, st.vec[2], error) <= 0:
                    return ASK
            for j in range(st.m[L - 1]):
                st.mask[j] = 0
            st.mask[arg] = 1
            _push_set(st)
        elif op == SET:
            if arg < 2 or arg > g + 1:
                return ROW_FAULT
            at, fault = _circuit(st, stream, at, arg, not accept)
            if fault != OK:
                return fault
            _push_set(st)
        elif op == POSITIVE:
            if p != L - 1:
                return LAYER_FAULT
            if at >= size:
                return CUT
            number = stream[at]
            at += 1
            if number >= st.gi[SETS]:
                return SET_FAULT
            if arg >= st.m[p] or st.SIGN[p, arg] != 0 or not st.SET[number, arg]:
                return UNIT_FAULT
            for j in range(st.m[p]):
                if st.SET[number, j] and j != arg and st.SIGN[p, j] >= 0:
                    return SET_FAULT
            _decide(st, p, arg, 1)
        elif op == COUNTED:
            fault, empty, count = _counted(st, stream, at, arg, False)
            if fault != OK:
                return fault
            if not empty and (st.gi[RANKS] != 0 or count < st.gi[TARGET]):
                return SHORT
            at += arg
            leaf = True
        elif op == RANKED:
            if p != L - 1 or st.gi[RANKS] == 0:
                return LAYER_FAULT
            fault, empty, count = _counted(st, stream, at, arg, True)
            if fault != OK:
                return fault
            if (
                not empty
                and not accept
                and (st.gi[RANKS] == 1 or rank_of(st.QR[p], st.PICK, count, st.QW) < st.gi[TARGET])
            ):
                return ASK
            at += arg
            leaf = True
        elif op == REGION:
            if p != L - 1 or st.gi[ENUMERATE] == 0:
                return LAYER_FAULT
            if not _list_region(st):
                return REGION_FAULT
            leaf = True
        else:
            return OPCODE
        if leaf:
            if not _back(st):
                return OK if at == size else LONG
        else:
            # The children's share of the list begins behind the branch itself.
            k = st.FR[d, F_ACTIVE] - 1 if op == BRANCH else st.gi[ACTIVE]
            st.LIVE[k] = place
            st.gi[ACTIVE] = k + 1
        st.gi[PLACE] = at
