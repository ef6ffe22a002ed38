"""Rows, bases and linear bounds of a deep proof, in floats with rigorous bounds. Compiled.

A row here stands for an exact one; errors bound the entrywise distance. Weights are within WE of the exact ones, and
not subnormal. Of a product of three or more factors the first may underflow: its absolute error, below LEAST, then
meets the last (`loose` sums these). What the other products lose in that way is less than TINY (see `enclosure`).
"""

from __future__ import annotations

from typing import Any

from mcinj._jit import njit
from mcinj.certify.deep_ops import ACTIVE as STATE_ACTIVE
from mcinj.certify.deep_ops import BITS, INACTIVE, ITSELF, KEEP, ON_BASIS, SHARPENED
from mcinj.certify.deep_state import BASED, CUT, DEPTH, LAYER, LAYERS, LENGTH, OK, ROW_FAULT, TRAIL, Floats, Ints, Walk
from mcinj.certify.enclosure import LEAST, TINY, UNIT, coefficients, invert, spread

_FINE = 1e-9  # rows beyond the first layer must be known this well, relatively; otherwise they are asked for
INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}


@njit(**INNER)
def decide(st: Walk, layer: int, unit: int, sign: int) -> None:
    """Give a unit its sign, until the frame is left."""
    t = st.gi[TRAIL]
    st.SIGN[layer, unit] = sign
    st.TL[t] = layer
    st.TU[t] = unit
    st.gi[TRAIL] = t + 1


@njit(**INNER)
def extend_path(st: Walk, unit: int, sign: int) -> None:
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


@njit(**INNER)
def next_rows(st: Walk) -> bool:
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


@njit(**INNER)
def take_rows(st: Walk, stream: Ints, at: int, basis: int) -> int:
    """Take the g path rows at `at` into a basis, 0 or 1; OK or a fault."""
    g = st.ROWS.shape[2]
    if at + g > stream.shape[0]:
        return CUT
    for k in range(g):
        t = stream[at + k]
        if t >= st.gi[LENGTH]:
            return ROW_FAULT
        for q in range(g):
            st.B[basis, k, q] = st.P[t, q]
        st.BE[basis, k] = st.PE[t]
    return OK


@njit(**INNER)
def inverted(st: Walk, basis: int) -> bool:
    """Invert a basis and bound its error; whether that could be done."""
    good = invert(st.B[basis], st.R[basis], st.work)
    return bool(good and spread(st.B[basis], st.BE[basis], st.R[basis], st.DELTA[basis]))


@njit(**INNER)
def sign_on(st: Walk, basis: int, a: Floats, ae: float) -> int:
    """1 or -1 if all coefficients of the row on an inverted basis are proved positive or negative, else 0."""
    y = st.vec[0]
    bound = st.vec[1]
    if not coefficients(st.B[basis], st.BE[basis], st.R[basis], st.DELTA[basis], a, ae, y, bound):
        return 0
    up = True
    down = True
    for k in range(st.ROWS.shape[2]):
        if not y[k] - bound[k] > 0.0:
            up = False
        if not y[k] + bound[k] < 0.0:
            down = False
    return 1 if up else (-1 if down else 0)


@njit(**INNER)
def sign_on_basis(st: Walk, a: Floats, ae: float) -> int:
    """`sign_on` the basis of the walk, if there is one; the coefficients are in vec."""
    return int(sign_on(st, 0, a, ae)) if st.gi[BASED] == 1 else 0


@njit(**INNER)
def lower_row(st: Walk, layer: int, unit: int, theta: Ints, w: Floats) -> float:
    """w = a lower bound, linear on the cell, of a pre-activation: max(z, 0) >= θ z below positive weights, upper bounds
    below negative ones; its error, or -1 where an upper bound is missing.

    θ = 0 also where a positive coefficient is too small for its relative error: that is sound for each of its paths.
    """
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
    loose = 0.0
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
                    if c * v > TINY:
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
                    loose += top
        low -= 1
    return float((error + 4.0 * UNIT * terms * total + LEAST * loose) * (1.0 + 1e-9) + TINY)


@njit(**INNER)
def upper_row(st: Walk, layer: int, unit: int, w: Floats) -> float:
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


@njit(**INNER)
def _set_upper(st: Walk, h: int, position: int, step: float) -> bool:
    """Upper bound `Σ max(y_k + bound_k, 0) b_k + max(-step, 0) r`, r a path row.

    The coefficients in vec are those of `a + step r`, a the functional to be bounded.
    """
    d = st.gi[DEPTH]
    g = st.ROWS.shape[2]
    error = 0.0
    total = 0.0
    for q in range(g):
        st.UP[d, h, q] = 0.0
    if step < 0.0:
        error = -step * st.PE[position]
        total = -step * (1.0 + st.PE[position])
        for q in range(g):
            st.UP[d, h, q] = -step * st.P[position, q]
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
    st.UE[d, h] = (error + 4.0 * UNIT * (g + 5) * total) * (1.0 + 1e-9) + TINY
    st.UV[d, h] = 1
    return True


@njit(**INNER)
def _set_sharpened(st: Walk, h: int, a: Floats, ae: float, number: int) -> bool:
    """Upper bound with one path row r more: `max(a, 0) <= max(a + h r, 0) + max(-h, 0) r` on the cell, for any h.

    h is taken where a coefficient of `a + h r` vanishes; those of a are in vec. `number`: g (position of r) + which.
    """
    g = st.ROWS.shape[2]
    position = number // g
    k = number % g
    r = st.P[position]
    b = st.B[0]
    if not coefficients(b, st.BE[0], st.R[0], st.DELTA[0], r, st.PE[position], st.vec[4], st.vec[5]):
        return False
    f = st.vec[4, k]
    if f == 0.0:
        return False
    step = -st.vec[0, k] / f
    if not abs(step) < 1e100:
        return False
    row = st.vec[3]
    size = abs(step) * (1.0 + st.PE[position])
    for q in range(g):
        row[q] = a[q] + step * r[q]
        size = max(size, abs(a[q]))
    error = (ae + abs(step) * st.PE[position] + 16.0 * UNIT * size) * (1.0 + 1e-9) + TINY
    if not coefficients(b, st.BE[0], st.R[0], st.DELTA[0], row, error, st.vec[0], st.vec[1]):
        return False
    return _set_upper(st, h, position, step)


@njit(**INNER)
def read_slopes(st: Walk, stream: Ints, at: int, theta: Ints) -> int:
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


@njit(**INNER)
def bounds_end(st: Walk, stream: Ints, at: int) -> int:
    """Where a BOUNDS instruction ends; -1 if it is cut. Sets slopes, and states as claimed."""
    p = st.gi[LAYER]
    L = st.gi[LAYERS]
    undecided = 0
    for i in range(st.m[p]):
        if st.SIGN[p, i] == 0:
            undecided += 1
    words = (undecided + BITS - 1) // BITS
    if at + 2 * words > stream.shape[0]:
        return -1
    sharpened = 0
    for c in range(undecided):
        sharpened += (stream[at + words + c // BITS] >> (c % BITS)) & 1
    at = read_slopes(st, stream, at + 2 * words, st.THETA)
    if at < 0:
        return -1
    for k in range(p + 1, L - 1):
        for i in range(st.m[k]):
            if at >= stream.shape[0] or stream[at] >= 12:
                return -1
            state = stream[at] % 3
            if state != INACTIVE and stream[at] // 3 == SHARPENED:
                sharpened += 1
            st.HS[st.first[k] + i] = 1 if state == STATE_ACTIVE else (-1 if state == INACTIVE else 0)
            at += 1
    if at + sharpened > stream.shape[0]:
        return -1
    for k in range(sharpened):
        if stream[at + k] >= st.gi[LENGTH] * st.ROWS.shape[2]:
            return -1
    return at + sharpened


@njit(**INNER)
def set_bounds(st: Walk, stream: Ints, at: int) -> bool:
    """Prove and set what a BOUNDS instruction says; False: not decided in floats. THETA and HS are set already."""
    p = st.gi[LAYER]
    d = st.gi[DEPTH]
    L = st.gi[LAYERS]
    g = st.ROWS.shape[2]
    undecided = 0
    for i in range(st.m[p]):
        if st.SIGN[p, i] == 0:
            undecided += 1
    words = (undecided + BITS - 1) // BITS
    beyond = 0
    for k in range(p + 1, L - 1):
        beyond += st.m[k]
    states = at + 2 * words + (undecided + beyond + BITS - 1) // BITS
    sharp = states + beyond
    count = 0
    for i in range(st.m[p]):
        if st.SIGN[p, i] == 0:
            h = st.first[p] + i
            on_basis = (stream[at + count // BITS] >> (count % BITS)) & 1
            sharpened = (stream[at + words + count // BITS] >> (count % BITS)) & 1
            count += 1
            if on_basis or sharpened:
                sign_on_basis(st, st.ROWS[p, i], st.ERR[p, i])
                if st.gi[BASED] != 1:
                    return False
                if sharpened:
                    if not _set_sharpened(st, h, st.ROWS[p, i], st.ERR[p, i], stream[sharp]):
                        return False
                    sharp += 1
                elif not _set_upper(st, h, 0, 0.0):
                    return False
    at = states
    w = st.vec[2]
    for k in range(p + 1, L - 1):
        for j in range(st.m[k]):
            h = st.first[k] + j
            state = stream[at] % 3
            form = stream[at] // 3
            at += 1
            if k < L - 2 or state == STATE_ACTIVE:
                st.LE[h] = lower_row(st, k, j, st.THETA, st.LR[h])
                if st.LE[h] < 0.0 or (state == STATE_ACTIVE and sign_on_basis(st, st.LR[h], st.LE[h]) <= 0):
                    return False
            if state != INACTIVE and form == KEEP:
                continue
            error = upper_row(st, k, j, w)
            if error < 0.0:
                return False
            s = sign_on_basis(st, w, error)
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
            elif form == ON_BASIS:
                if st.gi[BASED] != 1 or not _set_upper(st, h, 0, 0.0):
                    return False
            else:
                if st.gi[BASED] != 1 or not _set_sharpened(st, h, w, error, stream[sharp]):
                    return False
                sharp += 1
    return True


@njit(**INNER)
def declare_zero(st: Walk) -> None:
    """Units of the present layer whose row is exactly zero are never active."""
    p = st.gi[LAYER]
    for i in range(st.m[p]):
        zero = st.ERR[p, i] == 0.0 and st.SIGN[p, i] == 0
        for q in range(st.ROWS.shape[2]):
            if st.ROWS[p, i, q] != 0.0:
                zero = False
        if zero:
            decide(st, p, i, -1)
