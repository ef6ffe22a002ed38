"""Linear bounds of all units on a cell of partial patterns, composed through the layers, with tracked errors.

On a cone inside the simplicial cone of g independent rows N of its path, a functional `a = N^T c` has
`max(a·x, 0) <= (Σ_t max(c_t, 0) N_t)·x`, with equality on the extreme rays of that cone. From below, max(a·x, 0) is
convex: evaluated as it is, its slopes at a point are cuts. So each last-layer unit has a lower bound that is convex and
piecewise linear in x, and "unit not positive" implies every one of its cuts: Kelley's method on a cell.

A float row here stands for an exact one; errors bound the entrywise distance. Weights are those of `DeepModel.floats`:
within one rounding or within LEAST of the exact ones, with their signs. So a term `w row`, row within e, is off by
`|w| e + γ |w| |row|` and by `LEAST (|row| + e)`, and products by LEAST each (`numeric.enclosure`): the first are summed
with their factors, of the second the sizes, and TINY covers the third.
"""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.certify.deep_ops import ITSELF, KEEP, ON_BASIS
from mcinj.decide.deep.log import log_decide
from mcinj.decide.deep.sharpen import path_coordinates, sharpen, take_upper
from mcinj.decide.deep.store import INNER, INTEGRAL, LAYERS, RANKED, RECORD, SHARPEN, TRAIL, Floats, Store
from mcinj.numeric.enclosure import LEAST, TINY, UNIT, enclose, invert, quality, row_length
from mcinj.numeric.residues import PRIME, reduce

_FAST = {"reassoc", "contract", "arcp", "nsz"}


@njit(**INNER)
def assign(st: Store, layer: int, unit: int, sign: int) -> None:
    """Decide a unit and remember it on the trail."""
    t = st.gi[TRAIL]
    st.SIGN[layer, unit] = sign
    st.TL[t] = layer
    st.TU[t] = unit
    st.gi[TRAIL] = t + 1


@njit(**INNER)
def undo(st: Store, mark: int) -> None:
    """Take back what was decided after `mark`."""
    t = st.gi[TRAIL]
    while t > mark:
        t -= 1
        st.SIGN[st.TL[t], st.TU[t]] = 0
    st.gi[TRAIL] = t


@njit()
def block(st: Store, p: int) -> bool:
    """Rows of layer p on the full pattern of layer p - 1; False where a row's error is not small against the row."""
    g = st.ROWS.shape[2]
    m0 = st.m[p - 1]
    good = True
    for j in range(st.m[p]):
        row = st.ROWS[p, j]
        for q in range(g):
            row[q] = 0.0
        error = 0.0
        total = 0.0
        sizes = 0.0
        for i in range(m0):
            if st.SIGN[p - 1, i] > 0:
                w = st.WR[p, j, i]
                if w != 0.0:
                    h = abs(w)
                    error += h * st.ERR[p - 1, i]
                    total += h * st.SIZE[p - 1, i]
                    sizes += st.SIZE[p - 1, i] + st.ERR[p - 1, i]
                    source = st.ROWS[p - 1, i]
                    for q in range(g):
                        row[q] += w * source[q]
        if sizes > 0.0 and not (st.gi[INTEGRAL] and total < 2.0**52):
            # Otherwise the row is exactly 0, or sums of integers are exact: only errors of rows count.
            error += 2.0 * UNIT * (m0 + 6) * total + LEAST * (sizes + 4.0 * m0 + 16.0)
        error *= 1.0 + 1e-9
        top = 0.0
        for q in range(g):
            top = max(top, abs(row[q]))
        st.ERR[p, j] = error
        st.SIZE[p, j] = top
        st.OWN[p, j] = 0
        if error > 0.0 and not error < 1e-9 * top:
            good = False
    return good


@njit(**INNER)
def block_residues(st: Store, p: int) -> None:
    """Residues of the rows of layer p on the full pattern of layer p - 1."""
    n = st.QR.shape[2]
    for j in range(st.m[p]):
        for q in range(n):
            st.QR[p, j, q] = 0
        for i in range(st.m[p - 1]):
            if st.SIGN[p - 1, i] > 0:
                w = st.Q[p, j, i]
                if w != 0:
                    for q in range(n):
                        st.QR[p, j, q] = (st.QR[p, j, q] + reduce(w * st.QR[p - 1, i, q])) % PRIME


@njit()
def install(st: Store, p: int) -> None:
    """Signed unit rows of layer p in G (but those that the caller has set: OWN).

    Units that vanish on the pattern are decided: never active. Their rows are exactly 0: no error is left.
    """
    g = st.ROWS.shape[2]
    if st.gi[RANKED] and p > 0:
        block_residues(st, p)
    for j in range(st.m[p]):
        if st.OWN[p, j]:
            continue
        norm = row_length(st.ROWS[p, j], g)
        a = st.BASE[p] + 2 * j
        if norm == 0.0:
            zero = st.ERR[p, j] == 0.0
            if zero and st.SIGN[p, j] == 0:
                assign(st, p, j, -1)
            # Some positive multiple of the row is this close to 0.
            for q in range(g):
                st.G[a, q] = 0.0
                st.G[a + 1, q] = 0.0
            st.GE[a] = 0.0 if zero else 1.0
            st.GE[a + 1] = st.GE[a]
            st.NORM[p, j] = 1.0
            continue
        st.NORM[p, j] = norm
        for q in range(g):
            v = st.ROWS[p, j, q] / norm
            st.G[a, q] = -v
            st.G[a + 1, q] = v
        st.GE[a] = st.ERR[p, j] / norm * (1.0 + 1e-9) + 4.0 * UNIT
        st.GE[a + 1] = st.GE[a]


@njit(fastmath=_FAST, **INNER)
def dot(a: Floats, x: Floats, g: int) -> float:
    """a·x of g entries."""
    f = 0.0
    for q in range(g):
        f += a[q] * x[q]
    return f


@njit(fastmath=_FAST, **INNER)
def forward(st: Store, p: int, x: Floats) -> None:
    """val[k, i] = pre-activations at x of layers p and beyond, from the rows of layer p (signs as they are at x)."""
    L = st.gi[LAYERS]
    g = st.ROWS.shape[2]
    for i in range(st.m[p]):
        st.val[p, i] = dot(st.ROWS[p, i], x, g)
    for k in range(p + 1, L):
        out = st.val[k]
        mk = st.m[k]
        for j in range(mk):
            out[j] = 0.0
        for i in range(st.m[k - 1]):
            v = st.val[k - 1, i]
            if v > 0.0:
                wp = st.WP[k, i]
                wm = st.WM[k, i]
                for j in range(mk):
                    out[j] += v * (wp[j] - wm[j])


@njit(fastmath=_FAST, **INNER)
def evaluate(st: Store, d: int, p: int, x: Floats) -> None:
    """low[k, i] <= relu output <= high[k, i] at x for hidden layers from p on; low[L-1, j] <= pre-activation."""
    L = st.gi[LAYERS]
    g = st.ROWS.shape[2]
    if p == L - 1:
        for j in range(st.m[p]):
            st.low[p, j] = dot(st.ROWS[p, j], x, g)
        return
    for i in range(st.m[p]):
        s = st.SIGN[p, i]
        if s < 0:
            st.low[p, i] = 0.0
            st.high[p, i] = 0.0
        else:
            v = dot(st.ROWS[p, i], x, g)
            if s > 0:
                st.low[p, i] = v
                st.high[p, i] = v
            else:
                st.low[p, i] = max(v, 0.0)
                st.high[p, i] = dot(st.UP[d, p, i], x, g)
    for k in range(p + 1, L):
        out = st.low[k]
        mk = st.m[k]
        for j in range(mk):
            out[j] = 0.0
        for i in range(st.m[k - 1]):
            lo = st.low[k - 1, i]
            hi = st.high[k - 1, i]
            if lo == 0.0 and hi == 0.0:
                continue
            wp = st.WP[k, i]
            wm = st.WM[k, i]
            for j in range(mk):
                out[j] += lo * wp[j] - hi * wm[j]
        if k < L - 1:
            for j in range(mk):
                h = st.HS[k, j]
                if h < 0:
                    out[j] = 0.0
                    st.high[k, j] = 0.0
                else:
                    if h == 0 and out[j] < 0.0:
                        out[j] = 0.0
                    st.high[k, j] = dot(st.UP[d, k, j], x, g)


@njit(**INNER)
def lower_row(st: Store, d: int, p: int, layer: int, unit: int, w: Floats) -> float:
    """w = a linear lower bound of a pre-activation beyond layer p, tight where `evaluate` was called; its error.

    Outputs are nonnegative, so terms with positive weights may be left out: those too small for relative errors are.
    The coefficients that are left have relative errors only.
    """
    g = st.ROWS.shape[2]
    L = st.gi[LAYERS]
    gamma = 4.0 * UNIT * (st.ROWS.shape[1] + 8) * (L + 1)
    for q in range(g):
        w[q] = 0.0
    if layer == p:
        for q in range(g):
            w[q] = st.ROWS[p, unit, q]
        return float(st.ERR[p, unit])
    error = 0.0
    total = 0.0
    loose = 0.0
    for i in range(st.m[layer]):
        st.coef[layer, i] = 0.0
    st.coef[layer, unit] = 1.0
    for k in range(layer, p, -1):
        for i in range(st.m[k - 1]):
            st.coef[k - 1, i] = 0.0
        for j in range(st.m[k]):
            c = st.coef[k, j]
            if c == 0.0:
                continue
            if k < layer and not (st.HS[k, j] > 0 or (st.HS[k, j] == 0 and st.low[k, j] > 0.0)):
                continue
            line = st.WR[k, j]
            for i in range(st.m[k - 1]):
                v = line[i]
                if v > 0.0:
                    if v > TINY and c * v > TINY:
                        st.coef[k - 1, i] += c * v
                elif v < 0.0:
                    if k - 1 == p:
                        s = st.SIGN[p, i]
                        if s < 0:
                            continue
                    elif st.HS[k - 1, i] < 0:
                        continue
                    f = c * v
                    row = st.UP[d, k - 1, i]
                    top = 0.0
                    for q in range(g):
                        w[q] += f * row[q]
                        top = max(top, abs(row[q]))
                    error -= f * st.UE[d, k - 1, i]
                    total -= f * top
                    loose += (c + 1.0) * (top + st.UE[d, k - 1, i])
    for i in range(st.m[p]):
        c = st.coef[p, i]
        if c != 0.0:
            s = st.SIGN[p, i]
            if s > 0 or (s == 0 and st.low[p, i] > 0.0):
                row = st.ROWS[p, i]
                for q in range(g):
                    w[q] += c * row[q]
                error += c * st.ERR[p, i]
                total += c * st.SIZE[p, i]
    return float((error + gamma * total + LEAST * loose) * (1.0 + 1e-9) + TINY)


@njit(**INNER)
def choose_basis(st: Store, d: int, slot: int) -> tuple[bool, float]:
    """g independent rows of the path in B, BE: the center's active ones, then those of least margin; False if none.

    Fills N (their inverse), vec[0] (delta); returns (found, top).
    """
    g = st.ROWS.shape[2]
    length = st.FI[d, 2]
    x = st.FX[slot]
    order = st.REQ
    key = st.score[1]
    active = 0
    for k in range(g):
        if st.FIDS[slot, k] >= 0:
            order[active] = st.FIDS[slot, k]
            active += 1
    count = active
    for t in range(length):
        row = st.PATHS[t]
        known = False
        for k in range(active):
            if order[k] == row:
                known = True
        if not known:
            v = dot(st.G[row], x, g)
            t2 = count
            while t2 > active and key[t2 - 1] > v:
                key[t2] = key[t2 - 1]
                order[t2] = order[t2 - 1]
                t2 -= 1
            key[t2] = v
            order[t2] = row
            count += 1
    have = 0
    v = st.vec[1]
    for t in range(count):
        if have == g:
            break
        row = order[t]
        for q in range(g):
            v[q] = st.G[row, q]
        for e in range(have):
            f = dot(st.N[e], v, g)
            for q in range(g):
                v[q] -= f * st.N[e, q]
        norm = dot(v, v, g) ** 0.5
        if norm < 1e-3:
            continue
        for q in range(g):
            st.N[have, q] = v[q] / norm
            st.B[have, q] = st.G[row, q]
        st.BE[have] = st.GE[row]
        st.BROW[have] = row
        have += 1
    if have < g or not invert(st.B, g, st.N, st.work):
        return False, 1.0
    top = quality(st.B, st.BE, st.N, g, st.vec[0], st.vec[4])
    return top < 0.5, top


@njit(**INNER)
def sign_on_basis(st: Store, top: float, a: Floats, ea: float) -> int:
    """1 or -1 if `a` is proved nonnegative or nonpositive on the simplicial cone of the basis, else 0; r in vec[2]."""
    g = st.ROWS.shape[2]
    r = st.vec[2]
    bound = st.vec[3]
    if not enclose(st.B, st.BE, st.N, g, st.vec[0], top, a, ea, r, bound, st.vec[4]):
        for k in range(g):
            r[k] = 0.0
            bound[k] = 1e300
        return 0
    up = True
    down = True
    for k in range(g):
        if not r[k] - bound[k] >= 0.0:
            up = False
        if not r[k] + bound[k] <= 0.0:
            down = False
    return 1 if up else (-1 if down else 0)


@njit(**INNER)
def upper_row(st: Store, d: int, layer: int, unit: int, x: Floats) -> None:
    """Replace the unit's upper bound by Σ max(r_t + bound_t, 0) N_t (r, bound in vec) where that is lower at x."""
    if take_upper(st, d, layer, unit, x, 0, 0.0):
        st.FORM[layer, unit] = ON_BASIS


@njit(**INNER)
def _forget(st: Store, d: int, p: int) -> None:
    """Drop all upper bounds: a certificate has whole rounds of them or none."""
    if st.gi[RECORD]:
        for k in range(p, st.gi[LAYERS] - 1):
            for i in range(st.m[k]):
                st.UV[d, k, i] = 0


@njit(**INNER)
def above_row(st: Store, d: int, p: int, k: int, j: int, w: Floats) -> float:
    """w = a linear upper bound of a pre-activation of layer k > p, from bounds of the layer before it; its error.

    Upper bounds below where the weight is positive, lower ones where it is negative. `bounds` has found those of the
    layers before k, and `evaluate` was called.
    """
    g = st.ROWS.shape[2]
    gamma = 4.0 * UNIT * (st.ROWS.shape[1] + 8)
    for q in range(g):
        w[q] = 0.0
    error = 0.0
    total = 0.0
    loose = 0.0
    for i in range(st.m[k - 1]):
        v = st.WR[k, j, i]
        if v == 0.0:
            continue
        if k - 1 == p:
            s0 = st.SIGN[p, i]
            if s0 < 0:
                continue
            lowest = s0 > 0 or st.low[p, i] > 0.0
            row = st.ROWS[p, i]
            e = st.ERR[p, i]
        else:
            if st.HS[k - 1, i] < 0:
                continue
            lowest = st.HS[k - 1, i] > 0 or st.low[k - 1, i] > 0.0
            row = st.LR[k - 1, i]
            e = st.LE[k - 1, i]
        if v > 0.0:
            row = st.UP[d, k - 1, i]
            e = st.UE[d, k - 1, i]
        elif not lowest:
            continue
        size = 0.0
        for q in range(g):
            w[q] += v * row[q]
            size = max(size, abs(row[q]))
        error += abs(v) * e
        total += abs(v) * size
        loose += size + e
    return float((error + gamma * total + LEAST * loose) * (1.0 + 1e-9) + TINY)


@njit(**INNER)
def bounds(st: Store, d: int, p: int, top: float, x: Floats) -> bool:
    """Upper bounds of all hidden units from layer p on, and the states HS of those beyond it; False if one is missing.

    Decides units of layer p whose sign the simplicial cone proves.
    """
    L = st.gi[LAYERS]
    g = st.ROWS.shape[2]
    for k in range(p, L - 1):
        for i in range(st.m[k]):
            st.FORM[k, i] = KEEP
    if st.gi[SHARPEN]:
        path_coordinates(st, d, x)
    for i in range(st.m[p]):
        if st.SIGN[p, i] == 0:
            s = sign_on_basis(st, top, st.ROWS[p, i], st.ERR[p, i])
            if s != 0:
                assign(st, p, i, s)
                log_decide(st, i, s)
            else:
                upper_row(st, d, p, i, x)
                if st.gi[SHARPEN]:
                    sharpen(st, d, top, st.ROWS[p, i], st.ERR[p, i], p, i, x)
                if st.UV[d, p, i] == 0:
                    _forget(st, d, p)
                    return False
        if st.SIGN[p, i] > 0:
            for q in range(g):
                st.UP[d, p, i, q] = st.ROWS[p, i, q]
            st.UE[d, p, i] = st.ERR[p, i]
            st.UV[d, p, i] = 1
    w = st.vec[6]
    for k in range(p + 1, L - 1):
        evaluate(st, d, p, x)
        for j in range(st.m[k]):
            st.LE[k, j] = lower_row(st, d, p, k, j, st.LR[k, j])
            s = sign_on_basis(st, top, st.LR[k, j], st.LE[k, j])
            st.HS[k, j] = 1 if s > 0 else 0
            error = above_row(st, d, p, k, j, w)
            s = sign_on_basis(st, top, w, error)
            if s < 0:
                st.HS[k, j] = -1
                for q in range(g):
                    st.UP[d, k, j, q] = 0.0
                st.UE[d, k, j] = 0.0
                st.UV[d, k, j] = 1
            elif st.HS[k, j] > 0 or s > 0:
                # max(z, 0) <= the upper bound itself where that is nonnegative.
                if not st.UV[d, k, j] or dot(w, x, g) < dot(st.UP[d, k, j], x, g):
                    for q in range(g):
                        st.UP[d, k, j, q] = w[q]
                    st.UE[d, k, j] = error
                    st.UV[d, k, j] = 1
                    st.FORM[k, j] = ITSELF
            else:
                upper_row(st, d, k, j, x)
                if st.gi[SHARPEN]:
                    sharpen(st, d, top, w, error, k, j, x)
                if st.UV[d, k, j] == 0:
                    _forget(st, d, p)
                    return False
    return True
