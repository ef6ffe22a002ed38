"""Pairs of regions with the same active last-layer units: can their images meet? Compiled.

Regions C, C' with active set S and Jacobians M, M' collide when some x in C, x' in C' have `M_S x = M'_S x'`. Let F be
the hidden units whose side differs. The rows of F and of the equations vanish on the diagonal part
`V = {(x, x) : F x = 0}`, so they are tested first, in the quotient by V (dimension g + |F| instead of 2g): in
coordinates that determine a vector of V's annihilator. Then all rows of both cells follow, in 2g dimensions. Each test
is a cell in the kernel of the equations; each closing is a combination `Σ y_i row_i + Σ λ_r equation_r = 0`, y > 0,
proved as in `mcinj.decide.deep_proof`.

Before that, pairs with disjoint image boxes go: bounds of `y_r / Σy` and `(y_r - y_q) / Σy` on a cell are guessed from
its extreme rays and proved as nonnegative combinations of its rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.decide import cell
from mcinj.decide.deep_bounds import block, install
from mcinj.decide.deep_proof import TINY, UNIT, enclose, invert, quality
from mcinj.decide.deep_store import LAYERS, TRAIL, Floats, Ints, Store, Words

Signs = npt.NDArray[np.int8]
Paths = npt.NDArray[np.int32]
Floats32 = npt.NDArray[np.float32]
Ints32 = npt.NDArray[np.int32]

CLOSED, MEETS, UNPROVED, LOGGED = 0, 1, 2, 3
_SLACK = 1e-7


@njit()
def rows_of(
    st: Store, signs: Signs, path: Paths, length: int, constant: bool, P: Floats, PE: Floats, J: Floats, JE: Floats,
    H: Floats, HE: Floats,
) -> int:
    """Rows of one region: P its path (unit length), J its active last-layer units (and the constant output), H all
    hidden units; with errors. Returns the number of rows of J, -1 where a row is not accurate enough.
    """
    L = st.gi[LAYERS]
    g = st.ROWS.shape[2]
    for k in range(L):
        for i in range(st.m[k]):
            st.SIGN[k, i] = signs[k, i]
    for k in range(1, L):
        if not block(st, k):
            return -1
        install(st, k)
    st.gi[TRAIL] = 0
    for t in range(length):
        for q in range(g):
            P[t, q] = st.G[path[t], q]
        PE[t] = st.GE[path[t]]
    h = 0
    for k in range(L - 1):
        for i in range(st.m[k]):
            for q in range(g):
                H[h, q] = st.G[st.BASE[k] + 2 * i + 1, q]
            HE[h] = st.GE[st.BASE[k] + 2 * i + 1]
            h += 1
    s = 0
    for j in range(st.m[L - 1]):
        if signs[L - 1, j] > 0:
            for q in range(g):
                J[s, q] = st.ROWS[L - 1, j, q]
            JE[s] = st.ERR[L - 1, j]
            s += 1
    if constant:
        for q in range(g):
            J[s, q] = 0.0
        J[s, g - 1] = 1.0
        JE[s] = 0.0
        s += 1
    return s


@njit()
def rays(
    P: Floats, length: int, V: Floats, Z: Words, T: Floats, TZ: Words, work: Floats, inv: Floats, base: Ints
) -> int:
    """Extreme rays of `{x : P x >= 0}` (a superset), tight rows as bits; -1 where it gives up. Nothing is a proof."""
    g = P.shape[1]
    room = V.shape[0]
    if length > 128 or length < g:
        return -1
    have = 0
    for t in range(length):
        if have == g:
            break
        for q in range(g):
            work[g + 1, q] = P[t, q]
        for _ in range(2):
            for e in range(have):
                f = 0.0
                for q in range(g):
                    f += work[e, q] * work[g + 1, q]
                for q in range(g):
                    work[g + 1, q] -= f * work[e, q]
        norm = 0.0
        for q in range(g):
            norm += work[g + 1, q] ** 2
        norm = norm**0.5
        if norm > 1e-5:
            for q in range(g):
                work[have, q] = work[g + 1, q] / norm
            base[have] = t
            have += 1
    if have < g:
        return -1
    for k in range(g):
        for q in range(g):
            T[k, q] = P[base[k], q]
    if not invert(T, g, inv, work):
        return -1
    count = g
    for k in range(g):
        norm = 0.0
        for q in range(g):
            norm += inv[q, k] ** 2
        norm = norm**0.5
        for q in range(g):
            V[k, q] = inv[q, k] / norm
        Z[k, 0] = 0
        Z[k, 1] = 0
        for e in range(g):
            if e != k:
                Z[k, base[e] >> 6] |= np.uint64(1) << np.uint64(base[e] & 63)
    for t in range(length):
        known = False
        for e in range(g):
            if base[e] == t:
                known = True
        if known:
            continue
        kept = 0
        negative = 0
        for v in range(count):
            f = 0.0
            for q in range(g):
                f += P[t, q] * V[v, q]
            T[v, g] = f
            if f < 0.0:
                negative += 1
        if negative == 0:
            continue
        for v in range(count):
            if T[v, g] >= 0.0:
                continue
            for u in range(count):
                if T[u, g] < 0.0:
                    continue
                z0 = Z[u, 0] & Z[v, 0]
                z1 = Z[u, 1] & Z[v, 1]
                bits = 0
                b = z0
                while b != 0:
                    bits += 1
                    b &= b - np.uint64(1)
                b = z1
                while b != 0:
                    bits += 1
                    b &= b - np.uint64(1)
                if bits < g - 2:
                    continue
                if kept >= TZ.shape[0]:
                    return -1
                norm = 0.0
                for q in range(g):
                    w = T[u, g] * V[v, q] - T[v, g] * V[u, q]
                    T[kept, g + 1 + q] = w
                    norm += w * w
                norm = norm**0.5
                if norm < 1e-14:
                    return -1
                for q in range(g):
                    T[kept, g + 1 + q] /= norm
                TZ[kept, 0] = z0
                TZ[kept, 1] = z1
                TZ[kept, t >> 6] |= np.uint64(1) << np.uint64(t & 63)
                kept += 1
        position = 0
        for v in range(count):
            if T[v, g] >= 0.0:
                if position != v:
                    for q in range(g):
                        V[position, q] = V[v, q]
                    Z[position, 0] = Z[v, 0]
                    Z[position, 1] = Z[v, 1]
                position += 1
        if position + kept > room:
            return -1
        for v in range(kept):
            for q in range(g):
                V[position, q] = T[v, g + 1 + q]
            Z[position, 0] = TZ[v, 0]
            Z[position, 1] = TZ[v, 1]
            position += 1
        count = position
        if count < g:
            return -1
    return int(count)


@njit()
def box_of(
    P: Floats, PE: Floats, length: int, J: Floats, JE: Floats, s: int, lo: Floats32, hi: Floats32, V: Floats, Z: Words,
    T: Floats, TZ: Words, work: Floats, inv: Floats, base: Ints, B: Floats, BE: Floats, vec: Floats, Y: Floats,
    best: Ints, bases: Ints32,
) -> None:  # fmt: skip
    """Proved bounds lo, hi of the s + s(s-1)/2 image coordinates of one region; infinite where nothing is proved.

    `bases` (2 D, g), unless it is empty, gets the rows of P that prove each (lo of c at 2 c, hi at 2 c + 1).
    """
    g = P.shape[1]
    D = s + s * (s - 1) // 2
    for c in range(D):
        lo[c] = -np.inf
        hi[c] = np.inf
        best[2 * c] = -1
        best[2 * c + 1] = -1
    count = rays(P, length, V, Z, T, TZ, work, inv, base)
    if count < 0:
        return
    for v in range(count):
        total = 0.0
        for r in range(s):
            f = 0.0
            for q in range(g):
                f += J[r, q] * V[v, q]
            Y[v, r] = f
            total += f
        if not total > 1e-9:
            return
        for r in range(s):
            Y[v, r] /= total
    total_error = 0.0
    for r in range(s):
        total_error += JE[r]
    size = 0.0
    sums = vec[7]
    for q in range(g):
        f = 0.0
        for r in range(s):
            f += J[r, q]
            size = max(size, abs(J[r, q]))
        sums[q] = f
    gamma = 8.0 * UNIT * (s + 8) * size * s
    for c in range(D):
        low = np.inf
        high = -np.inf
        r1, r2 = c, -1
        if c >= s:
            r1 = 0
            left = c - s
            while left >= s - 1 - r1:
                left -= s - 1 - r1
                r1 += 1
            r2 = r1 + 1 + left
        for v in range(count):
            f = Y[v, r1] - (Y[v, r2] if r2 >= 0 else 0.0)
            if f < low:
                low = f
                best[2 * c] = v
            if f > high:
                high = f
                best[2 * c + 1] = v
        T[2 * c, 0] = low - _SLACK
        T[2 * c + 1, 0] = high + _SLACK
    row = vec[8]
    tight = base
    for v in range(count):
        wanted = False
        for e in range(2 * D):
            if best[e] == v:
                wanted = True
        if not wanted:
            continue
        # Basis at this ray: g - 1 independent tight rows and the row that is farthest from tight.
        have = 0
        far = -1
        farthest = 0.0
        for t in range(length):
            f = 0.0
            for q in range(g):
                f += P[t, q] * V[v, q]
            if f > farthest:
                farthest = f
                far = t
            if have < g - 1 and (Z[v, t >> 6] >> np.uint64(t & 63)) & np.uint64(1) != 0:
                tight[have] = t
                for q in range(g):
                    B[have, q] = P[t, q]
                BE[have] = PE[t]
                have += 1
        if have < g - 1 or far < 0:
            continue
        for q in range(g):
            B[g - 1, q] = P[far, q]
        BE[g - 1] = PE[far]
        tight[g - 1] = far
        if not invert(B, g, inv, work):
            continue
        top = quality(B, BE, inv, g, vec[0], vec[4])
        if not top < 0.5:
            continue
        for e in range(2 * D):
            if best[e] != v:
                continue
            c = e // 2
            r1, r2 = c, -1
            if c >= s:
                r1 = 0
                left = c - s
                while left >= s - 1 - r1:
                    left -= s - 1 - r1
                    r1 += 1
                r2 = r1 + 1 + left
            value = T[e, 0]
            sign = 1.0 if e % 2 == 0 else -1.0
            for q in range(g):
                f = J[r1, q] - (J[r2, q] if r2 >= 0 else 0.0)
                row[q] = sign * (f - value * sums[q])
            error = JE[r1] + (JE[r2] if r2 >= 0 else 0.0) + abs(value) * total_error + gamma * (1.0 + abs(value))
            error += TINY * (1.0 + abs(value))
            if not enclose(B, BE, inv, g, vec[0], top, row, error, vec[2], vec[3], vec[4]):
                continue
            good = True
            for k in range(g):
                if not vec[2, k] - vec[3, k] >= 0.0:
                    good = False
            if good:
                # Rounded outwards: float32 is off by 2^-23 at most for |value| <= 2, and on the open cell y > 0, so
                # that bounds beyond ±1 hold without proof.
                if e % 2 == 0:
                    lo[c] = np.float32(value - 2e-7)
                else:
                    hi[c] = np.float32(value + 2e-7)
                if bases.shape[0] > 0:
                    for k in range(g):
                        bases[e, k] = tight[k]


@njit()
def null_space(E: Floats, k: int, D: int, Zn: Floats, A: Floats, v: Floats) -> bool:
    """Orthonormal columns Zn (D, D - k) of the kernel of k rows E, by Householder QR of E^T; False if rank is low."""
    # A = E^T (D x k), reflectors stored below the diagonal.
    for i in range(k):
        norm = 0.0
        for j in range(D):
            norm += E[i, j] ** 2
        norm = norm**0.5
        if not norm > 0.0:
            return False
        for j in range(D):
            A[j, i] = E[i, j] / norm
    for c in range(k):
        norm = 0.0
        for j in range(c, D):
            norm += A[j, c] ** 2
        norm = norm**0.5
        if norm < 1e-11:
            return False
        alpha = -norm if A[c, c] > 0.0 else norm
        vv = 0.0
        for j in range(c, D):
            v[j] = A[j, c]
        v[c] -= alpha
        for j in range(c, D):
            vv += v[j] * v[j]
        for i in range(c, k):
            f = 0.0
            for j in range(c, D):
                f += v[j] * A[j, i]
            f = 2.0 * f / vv
            for j in range(c, D):
                A[j, i] -= f * v[j]
        # Keep the reflector in column k + c.
        for j in range(D):
            A[j, k + c] = v[j] / vv**0.5 if j >= c else 0.0
    for e in range(D - k):
        for j in range(D):
            v[j] = 0.0
        v[k + e] = 1.0
        for c in range(k - 1, -1, -1):
            f = 0.0
            for j in range(c, D):
                f += A[j, k + c] * v[j]
            for j in range(c, D):
                v[j] -= 2.0 * f * A[j, k + c]
        for j in range(D):
            Zn[j, e] = v[j]
    return True


@njit()
def pivots(F: Floats, d: int, g: int, columns: Ints) -> bool:
    """d columns on which the rows F (overwritten) are independent, by complete pivoting."""
    for c in range(g):
        columns[c] = c
    for c in range(d):
        best = 0.0
        pi = c
        pj = c
        for i in range(c, d):
            for j in range(c, g):
                if abs(F[i, columns[j]]) > best:
                    best = abs(F[i, columns[j]])
                    pi = i
                    pj = j
        if not best > 1e-12:
            return False
        t = columns[c]
        columns[c] = columns[pj]
        columns[pj] = t
        for q in range(g):
            f = F[c, q]
            F[c, q] = F[pi, q]
            F[pi, q] = f
        for i in range(c + 1, d):
            f = F[i, columns[c]] / F[c, columns[c]]
            for q in range(g):
                F[i, q] -= f * F[c, q]
    return True


@njit()
def independent(F: Floats, columns: Ints, r: int, error: float) -> bool:
    """Whether the pivots that `pivots` left in F prove that its r rows, known within `error`, are independent there.

    With complete pivoting both factors have inverses below 2^r entrywise, so the least singular value is at least the
    least pivot over r 4^r; it has to exceed the errors of the rows and of the elimination. A pivot is the largest entry
    that is left, so none of the r steps rounds an entry by more than 3 UNIT times the largest pivot.
    """
    least = 1.0
    most = 1.0
    for c in range(r):
        least = min(least, abs(F[c, columns[c]]))
        most = max(most, abs(F[c, columns[c]]))
    return least > r * 4.0**r * (4.0 * UNIT * r * r * most + r * error)


@njit()
def cell_in_kernel(
    E: Floats, EE: Floats, k: int, S: Floats, SE: Floats, count: int, D: int, Zn: Floats, A: Floats, B: Floats,
    BE: Floats, inv: Floats, work: Floats, vec: Floats, G: Floats, M: Floats, x: Floats, u: Floats, ids: Ints,
    required: Ints, point: Floats,
) -> int:  # fmt: skip
    """Is `{z : E z = 0, S z > 0}` empty? CLOSED (proved), MEETS (point in `point`, floats) or UNPROVED.

    E (k, D), S (count, D) with entrywise errors EE, SE. CLOSED by the rows ids[: D - k + 1] of S.
    """
    q = D - k
    if q < 1 or not null_space(E, k, D, Zn, A, vec[9]):
        return UNPROVED
    W = x.shape[0]
    for i in range(count):
        norm = 0.0
        for e in range(q):
            f = 0.0
            for j in range(D):
                f += S[i, j] * Zn[j, e]
            G[i, e] = f
            norm += f * f
        norm = norm**0.5
        if norm < 1e-11:
            return UNPROVED
        for e in range(q):
            G[i, e] /= norm
        for e in range(q, W):
            G[i, e] = 0.0
        required[i] = i
    cell.clear(M, x, u, ids)
    status, met = cell.settle(G, required, count, M[:q], x, u, ids, vec[5], vec[6])
    if status == cell.FEASIBLE:
        for j in range(D):
            f = 0.0
            for e in range(q):
                f += Zn[j, e] * x[e]
            point[j] = f
        return MEETS
    if status != cell.EMPTY:
        return UNPROVED
    for e in range(q):
        if ids[e] < 0:
            return UNPROVED
        for j in range(D):
            B[k + e, j] = S[ids[e], j]
        BE[k + e] = SE[ids[e]]
    for r in range(k):
        for j in range(D):
            B[r, j] = E[r, j]
        BE[r] = EE[r]
    if not invert(B, D, inv, work):
        return UNPROVED
    top = quality(B, BE, inv, D, vec[0], vec[4])
    if not top < 0.5 or not enclose(B, BE, inv, D, vec[0], top, S[met], SE[met], vec[2], vec[3], vec[4]):
        return UNPROVED
    for e in range(q):
        if not vec[2, k + e] + vec[3, k + e] < 0.0:
            return UNPROVED
    ids[q] = met
    return CLOSED
