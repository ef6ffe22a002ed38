"""The screen before pairs of regions with the same active last-layer units: boxes of their images, and ranks.

A box has bounds of normalised outputs, guessed from extreme rays and proved as nonnegative combinations of rows. Ranks:
the equations of a pair have full rank on what lies below them, almost surely, so enough of them leave only x = x'.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.decide.deep.store import INNER
from mcinj.decide.pairs.algebra import dot
from mcinj.decide.pairs.store import ABOVE, Cells, Floats, Ints, Words
from mcinj.numeric.bits import has, popcount, put
from mcinj.numeric.enclosure import TINY, UNIT, enclose, invert, quality

Floats32 = npt.NDArray[np.float32]
Ints32 = npt.NDArray[np.int32]

_SLACK = 1e-7
_RAYS = 1024  # per region; more than this and its box stays infinite
_BOXED = 5  # groups at least this large get boxes
_STEPS = 50_000_000  # pairs that are looked at in one call


class Boxes(NamedTuple):
    """Image boxes of C regions in groups with the same s equations each; infinite where nothing is proved.

    edges (G + 1,): where each group begins, and C. equations (G,): s, its active units and the constant t with biases.
    lo, hi (C, D): bounds of s + s (s - 1) / 2 coordinates, of the largest s. order (C,): each group by the first of lo.
    bases (C, 2 D, g): path rows that prove them (lo of c at 2 c, hi at 2 c + 1); (1, 0, g) where nobody asks.
    """

    edges: Ints
    equations: Ints
    lo: Floats32
    hi: Floats32
    order: Ints
    bases: Ints32


class BoxScratch(NamedTuple):
    """Room for `box_regions`: image J, JE of a region; rays V, tight rows Z, values Y; new rays T, TZ; a basis B, BE,
    its inverse, vectors."""

    J: Floats
    JE: Floats
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


@njit(**INNER)
def _rays(
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
                f = dot(work[e], work[g + 1], g)
                for q in range(g):
                    work[g + 1, q] -= f * work[e, q]
        norm = dot(work[g + 1], work[g + 1], g) ** 0.5
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
                put(Z[k], base[e])
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
            f = dot(P[t], V[v], g)
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
                if popcount(z0) + popcount(z1) < g - 2:
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
                put(TZ[kept], t)
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


@njit(**INNER)
def _coordinate(c: int, s: int) -> tuple[int, int]:
    """The image coordinate of number c: (r, -1) for y_r, (r, q) for y_r - y_q, r < q."""
    if c < s:
        return c, -1
    r = 0
    left = c - s
    while left >= s - 1 - r:
        left -= s - 1 - r
        r += 1
    return r, r + 1 + left


@njit(**INNER)
def _box_of(cells: Cells, a: int, s: int, boxes: Boxes, scratch: BoxScratch) -> None:
    """Bounds of the image coordinates of region a, which has s equations."""
    P, PE, length = cells.P[a], cells.PE[a], cells.lengths[a]
    lo, hi, bases = boxes.lo[a], boxes.hi[a], boxes.bases[a if boxes.bases.shape[0] > 1 else 0]
    J, JE, V, Z, T, TZ, work, inv, base, B, BE, vec, Y, best = scratch
    g = P.shape[1]
    have = 0
    for j in range(cells.Z.shape[1]):
        if cells.kind[a, j] == ABOVE:
            for q in range(g):
                J[have, q] = cells.Z[a, j, q]
            JE[have] = cells.ZE[a, j]
            have += 1
    if have < s:  # the constant output
        for q in range(g):
            J[have, q] = 0.0
        J[have, g - 1] = 1.0
        JE[have] = 0.0
    D = s + s * (s - 1) // 2
    for c in range(2 * D):
        best[c] = -1
    count = _rays(P, length, V, Z, T, TZ, work, inv, base)
    if count < 0:
        return
    for v in range(count):
        total = 0.0
        for r in range(s):
            f = dot(J[r], V[v], g)
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
        r1, r2 = _coordinate(c, s)
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
            f = dot(P[t], V[v], g)
            if f > farthest:
                farthest = f
                far = t
            if have < g - 1 and has(Z[v], t):
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
            r1, r2 = _coordinate(c, s)
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
def box_regions(cells: Cells, boxes: Boxes) -> None:
    """The boxes of all regions, but their order."""
    g = cells.P.shape[2]
    s = boxes.equations.max()
    D = boxes.lo.shape[1]
    scratch = BoxScratch(
        np.zeros((s, g)),
        np.zeros(s),
        np.zeros((_RAYS, g)),
        np.zeros((_RAYS, 2), dtype=np.uint64),
        np.zeros((max(_RAYS, 2 * D + 2), 2 * g + 2)),
        np.zeros((_RAYS, 2), dtype=np.uint64),
        np.zeros((g + 2, 2 * g)),
        np.zeros((g, g)),
        np.zeros(g, dtype=np.int64),
        np.zeros((g, g)),
        np.zeros(g),
        np.zeros((9, 2 * g + cells.P.shape[1])),
        np.zeros((_RAYS, s)),
        np.zeros(2 * D + 2, dtype=np.int64),
    )
    for k in range(boxes.equations.shape[0]):
        if boxes.edges[k + 1] - boxes.edges[k] >= _BOXED:
            for a in range(boxes.edges[k], boxes.edges[k + 1]):
                _box_of(cells, a, boxes.equations[k], boxes, scratch)


@njit()
def open_pairs(cells: Cells, boxes: Boxes, before: int, start: Ints, out: Ints) -> int:
    """Pairs (a, b) of one group, as many as `out` (·, 2) holds, that neither boxes nor ranks close; returns how many.

    start (3,): a group, and positions in it of the first and the second region; moved on, to (G, ·, ·) at the end.
    `before`: units of the last hidden layer.
    """
    g = cells.P.shape[2]
    h = cells.on.shape[1]
    count = 0
    steps = 0
    while start[0] < boxes.equations.shape[0]:
        s = boxes.equations[start[0]]
        order = boxes.order[boxes.edges[start[0]] : boxes.edges[start[0] + 1]]
        while start[1] < order.shape[0]:
            a = order[start[1]]
            start[2] = max(start[2], start[1] + 1)
            while start[2] < order.shape[0]:
                b = order[start[2]]
                if boxes.lo[b, 0] > boxes.hi[a, 0]:
                    break
                if count == out.shape[0] or steps == _STEPS:
                    return count
                steps += 1
                start[2] += 1
                apart = False
                for e in range(s + s * (s - 1) // 2):
                    if boxes.lo[b, e] > boxes.hi[a, e] or boxes.lo[a, e] > boxes.hi[b, e]:
                        apart = True
                        break
                if apart:
                    continue
                d = 0
                both = 0
                one = 0
                other = 0
                for i in range(h):
                    u = cells.on[a, i]
                    v = cells.on[b, i]
                    if u != v:
                        d += 1
                    if i >= h - before:
                        both += u & v
                        one += u & ~v
                        other += v & ~u
                # Rank of [N, -N'] from above: the equations have full rank on what lies below it, almost surely.
                highest = min(2 * g, g + d)
                highest = min(highest, both + min(one, g) + min(other, g))
                if before == h:
                    highest = min(highest, min(both, g) + min(one, g) + min(other, g))
                if s < highest:
                    out[count, 0] = a
                    out[count, 1] = b
                    count += 1
            start[1] += 1
            start[2] = 0
        start[0] += 1
        start[1] = 0
    return count
