"""Lower upper bounds: one more row of the path beside the basis.

On the cell every path row b_q is positive. For any h let c' be the coordinates of `a' = a + h b_q` on the basis N. Then

    max(a·x, 0) <= (Σ_t max(c'_t, 0) N_t)·x                  if h >= 0, since a·x <= a'·x,
    max(a·x, 0) <= (Σ_t max(c'_t, 0) N_t)·x - h b_q·x        if h < 0.

At a point x the right side is convex and piecewise linear in h. The row along which it falls most steeply is taken and
the h that lowers it most: one step of coordinate descent on the linear program `max a·z, 0 <= Bz <= Bx`, whose value is
the lowest of all such bounds. Half the nodes of a search go by it; further steps gain next to nothing.
"""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.certify.deep_ops import SHARPENED
from mcinj.decide.deep.store import INNER, PATH, Floats, Store
from mcinj.numeric.enclosure import TINY, UNIT, enclose

_FAST = {"reassoc", "contract", "arcp", "nsz"}
_SLOPE = 0.02  # least slope, relative to its terms, that is followed
_GAIN = 0.01  # least gain, relative to the bound


@njit(fastmath=_FAST, **INNER)
def path_coordinates(st: Store, d: int, x: Floats) -> None:
    """RQ: the path's rows in coordinates of the basis. RS: their values at x; score[0]: those of the basis rows."""
    g = st.ROWS.shape[2]
    for t in range(st.FI[d, PATH]):
        row = st.G[st.PATHS[t]]
        value = 0.0
        for k in range(g):
            st.RQ[t, k] = 0.0
        for q in range(g):
            f = row[q]
            value += f * x[q]
            for k in range(g):
                st.RQ[t, k] += st.N[q, k] * f
        st.RS[t] = value
    for k in range(g):
        value = 0.0
        for q in range(g):
            value += st.B[k, q] * x[q]
        st.score[0, k] = value


@njit(**INNER)
def _steepest(st: Store, length: int, c: Floats) -> tuple[int, float]:
    """Path row along which the bound falls most steeply, in relation to its terms, and the sign of h; -1 if none."""
    g = st.ROWS.shape[2]
    s = st.score[0]
    best = -_SLOPE
    which = -1
    sign = 0.0
    for t in range(length):
        up = 0.0
        down = st.RS[t]
        size = 1e-12
        for k in range(g):
            f = st.RQ[t, k] * s[k]
            size += abs(f)
            if c[k] > 0.0:
                up += f
                down -= f
        if up < best * size:
            best = up / size
            which = t
            sign = 1.0
        if down < best * size:
            best = down / size
            which = t
            sign = -1.0
    return which, sign


@njit(**INNER)
def _step(st: Store, which: int, sign: float, c: Floats) -> tuple[float, int]:
    """|h| at the breakpoint where the slope turns positive (0: it does not, or at once), and its coordinate."""
    g = st.ROWS.shape[2]
    s = st.score[0]
    slope = 0.0 if sign > 0.0 else st.RS[which]
    for k in range(g):
        f = sign * st.RQ[which, k] * s[k]
        if c[k] > 0.0 or (c[k] == 0.0 and f > 0.0):
            slope += f
    at = 0.0
    coordinate = -1
    while slope < 0.0:
        following = 1e300
        for k in range(g):
            f = sign * st.RQ[which, k]
            if f != 0.0:
                b = -c[k] / f
                if b > at and b < following:
                    following = b
                    coordinate = k
        if following >= 1e299:
            return 0.0, -1
        at = following
        for k in range(g):
            f = sign * st.RQ[which, k]
            if f != 0.0 and -c[k] / f == at:
                slope += abs(f) * s[k]
    return at, coordinate


@njit(**INNER)
def take_upper(st: Store, d: int, layer: int, unit: int, x: Floats, row: int, weight: float) -> bool:
    """Take `weight G[row] + Σ max(r_t + bound_t, 0) N_t` (r, bound in vec) for upper bound if that is lower at x."""
    g = st.ROWS.shape[2]
    r = st.vec[2]
    bound = st.vec[3]
    out = st.vec[5]
    error = weight * st.GE[row]
    total = weight
    for q in range(g):
        out[q] = weight * st.G[row, q]
    for k in range(g):
        f = r[k] + bound[k]
        if not f < 1e200:
            return False
        if f > 0.0:
            error += f * st.BE[k]
            total += f
            for q in range(g):
                out[q] += f * st.B[k, q]
    if st.UV[d, layer, unit]:
        new = 0.0
        old = 0.0
        for q in range(g):
            new += out[q] * x[q]
            old += st.UP[d, layer, unit, q] * x[q]
        if old <= new:
            return False
    for q in range(g):
        st.UP[d, layer, unit, q] = out[q]
    st.UE[d, layer, unit] = (error + 4.0 * UNIT * (g + 5) * total) * (1.0 + 1e-9) + TINY
    st.UV[d, layer, unit] = 1
    return True


@njit(**INNER)
def sharpen(st: Store, d: int, top: float, a: Floats, ea: float, layer: int, unit: int, x: Floats) -> None:
    """Replace the unit's upper bound at frame d by one with one more path row where that is lower at x.

    `a` is known within `ea`; vec[2] holds its coordinates on the basis (`sign_on_basis`), RQ and RS are filled.
    Only the choice of the row and of h is unproved; the bound itself follows from them with error bounds.
    """
    g = st.ROWS.shape[2]
    c = st.vec[2]
    which, sign = _steepest(st, st.FI[d, PATH], c)
    if which < 0:
        return
    at, coordinate = _step(st, which, sign, c)
    if at == 0.0:
        return
    s = st.score[0]
    before = 0.0
    after = 0.0 if sign > 0.0 else at * st.RS[which]
    for k in range(g):
        before += max(c[k], 0.0) * s[k]
        after += max(c[k] + at * sign * st.RQ[which, k], 0.0) * s[k]
    if not after < (1.0 - _GAIN) * before:
        return
    h = at * sign
    b = st.PATHS[which]
    row = st.vec[8]
    size = at
    for q in range(g):
        row[q] = a[q] + h * st.G[b, q]
        size = max(size, abs(a[q]))
    error = (ea + at * st.GE[b] + 8.0 * UNIT * size) * (1.0 + 1e-9) + TINY
    bound = st.vec[3]
    if not enclose(st.B, st.BE, st.N, g, st.vec[0], top, row, error, c, bound, st.vec[4]):
        return
    if take_upper(st, d, layer, unit, x, b, max(-h, 0.0)):
        st.FORM[layer, unit] = SHARPENED
        st.SHARP[layer, unit] = which * g + coordinate
