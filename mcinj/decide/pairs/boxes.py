"""Image boxes of regions: bounds of normalised outputs, guessed from rays, proved as sums of rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.decide.deep.store import Floats, Ints, Words
from mcinj.decide.pairs.kernel import RegionRows
from mcinj.numeric.enclosure import TINY, UNIT, enclose, invert, quality

Floats32 = npt.NDArray[np.float32]
Ints32 = npt.NDArray[np.int32]

_SLACK = 1e-7


class BoxScratch(NamedTuple):
    """Room for `box_of`: rays V, tight rows Z, values Y, new rays T, TZ, a basis B, BE, its inverse, vectors."""

    V: Floats
    Z: Words
    T: Floats
    TZ: Words
    work: Floats
    inv: Floats
    base: Ints
    B: Floats
    BE: Floats
    vec: Floats
    Y: Floats
    best: Ints


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
def box_of(region: RegionRows, length: int, lo: Floats32, hi: Floats32, scratch: BoxScratch, bases: Ints32) -> None:
    """Proved bounds lo, hi of the s + s(s-1)/2 image coordinates of one region; infinite where nothing is proved.

    `bases` (2 D, g), unless it is empty, gets the rows of P that prove each (lo of c at 2 c, hi at 2 c + 1).
    """
    P, PE, J, JE, _, _ = region
    V, Z, T, TZ, work, inv, base, B, BE, vec, Y, best = scratch
    s, g = J.shape
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
