"""All pairs of one group of regions (same active last-layer units): prepare rows and boxes, sweep, test. Compiled."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mcinj._jit import njit
from mcinj.decide.deep.store import LAYERS, Floats, Ints, Store
from mcinj.decide.pairs.boxes import BoxScratch, Floats32, Ints32, box_of
from mcinj.decide.pairs.kernel import (
    CLOSED,
    LOGGED,
    MEETS,
    UNPROVED,
    Paths,
    RegionRows,
    Signs,
    cell_in_kernel,
    independent,
    kernel_scratch,
    pivots,
    rows_of,
)
from mcinj.numeric.enclosure import LEAST, UNIT, row_length

_RAYS = 1024  # per region; more than this and its box stays infinite
BOXED = 5  # groups at least this large get boxes

# Counters of a scan.
PAIRS, BOXES, RANKS, TESTS, POSITION_A, POSITION_B, FIRST_REGION, SECOND_REGION = range(8)


class Group(NamedTuple):
    """Regions of one group: signs (c, L, m), path rows P (c, K, g) and lengths, last-layer rows J (c, s, g), hidden
    rows H (c, h, g), their errors PE, JE, HE, proved boxes lo, hi (c, D), sweep order (c,); bases (c, 2 D, g): path
    rows that prove them (for certificates only)."""

    signs: Signs
    lengths: Ints
    P: Floats
    PE: Floats
    J: Floats
    JE: Floats
    H: Floats
    HE: Floats
    lo: Floats32
    hi: Floats32
    order: Ints
    bases: Ints32


@njit()
def prepare(st: Store, paths: Paths, constant: bool, boxes: bool, group: Group) -> int:
    """Fill the arrays of a group but its order; returns -1, or a region whose rows are not held accurately enough."""
    signs, lengths, P, PE, J, JE, H, HE, lo, hi, _, bases = group
    g = st.ROWS.shape[2]
    s = J.shape[1]
    D = lo.shape[1]
    scratch = BoxScratch(
        np.zeros((_RAYS, g)),
        np.zeros((_RAYS, 2), dtype=np.uint64),
        np.zeros((max(_RAYS, 2 * D + 2), 2 * g + 2)),
        np.zeros((_RAYS, 2), dtype=np.uint64),
        np.zeros((g + 2, 2 * g)),
        np.zeros((g, g)),
        np.zeros(g, dtype=np.int64),
        np.zeros((g, g)),
        np.zeros(g),
        np.zeros((9, 2 * g + P.shape[1])),
        np.zeros((_RAYS, s)),
        np.zeros(2 * D + 2, dtype=np.int64),
    )
    for a in range(signs.shape[0]):
        region = RegionRows(P[a], PE[a], J[a], JE[a], H[a], HE[a])
        if rows_of(st, signs[a], paths[a], lengths[a], constant, region) != s:
            return a
        if boxes:
            box_of(region, lengths[a], lo[a], hi[a], scratch, bases[a if bases.shape[0] > 1 else 0])
    return -1


@njit()
def _log_pair(log: Ints32, a: int, b: int, ids: Ints, size: int, d: int, length: int) -> None:
    at = log[0]
    log[at] = a
    log[at + 1] = b
    log[at + 2] = size
    for e in range(size):
        row = ids[e]
        if row >= 2 * d:  # path rows: those of a, then those of b
            row -= 2 * d
            row = 2 * (d + row) if row < length else 2 * (d + row - length) + 1
        log[at + 3 + e] = row
    log[0] = at + 3 + size


@njit()
def scan(st: Store, group: Group, counters: Ints, point: Floats, log: Ints32) -> int:
    """Test pairs from where the counters stand: CLOSED at the end, MEETS with a candidate in `point`, UNPROVED.

    The pair in question is in counters[FIRST_REGION], counters[SECOND_REGION]; calling again goes on behind it. If
    `log` has more than one entry, each closed cell is written behind its first log[0] numbers: the regions, the number
    of rows, rows (2 (d + path row) + side or, for hidden units that differ, 2 f + side); LOGGED where it is full.
    """
    L = st.gi[LAYERS]
    g = st.ROWS.shape[2]
    c, s = group.J.shape[0], group.J.shape[1]
    D = group.lo.shape[1]
    K = group.P.shape[1]
    h = group.H.shape[1]
    size = 2 * g
    most = 2 * h + 2 * K
    E = np.zeros((s, size))
    EE = np.zeros(s)
    E2 = np.zeros((s, size))
    SR = np.zeros((most, size))
    SE = np.zeros(most)
    F = np.zeros((h + 1, g))
    columns = np.zeros(g, dtype=np.int64)
    flips = np.zeros(h + 1, dtype=np.int64)
    side = np.zeros(h + 1)
    scratch = kernel_scratch(size, most)
    ids = scratch.ids
    while counters[POSITION_A] < c:
        ia = counters[POSITION_A]
        a = group.order[ia]
        if counters[POSITION_B] <= ia:
            counters[POSITION_B] = ia + 1
        while counters[POSITION_B] < c:
            b = group.order[counters[POSITION_B]]
            if group.lo[b, 0] > group.hi[a, 0]:
                break
            if log.shape[0] > 1 and log[0] + 2 * size + 8 > log.shape[0]:
                return LOGGED
            counters[POSITION_B] += 1
            counters[PAIRS] += 1
            apart = False
            for e in range(D):
                if group.lo[b, e] > group.hi[a, e] or group.lo[a, e] > group.hi[b, e]:
                    apart = True
                    break
            if apart:
                continue
            counters[BOXES] += 1
            d = 0
            at = 0
            both = 0
            one = 0
            other = 0
            for k in range(L - 1):
                for i in range(st.m[k]):
                    sa = group.signs[a, k, i]
                    sb = group.signs[b, k, i]
                    if sa != sb:
                        flips[d] = at
                        side[d] = sa
                        d += 1
                    if k == L - 2:
                        if sa > 0 and sb > 0:
                            both += 1
                        elif sa > 0:
                            one += 1
                        elif sb > 0:
                            other += 1
                    at += 1
            # Rank of [N, -N'] from above: the equations have full rank on what lies below it, almost surely.
            highest = min(2 * g, g + d)
            highest = min(highest, both + min(one, g) + min(other, g))
            if L == 2:
                highest = min(highest, min(both, g) + min(one, g) + min(other, g))
            if s >= highest:
                counters[RANKS] += 1
                continue
            counters[TESTS] += 1
            counters[FIRST_REGION] = a
            counters[SECOND_REGION] = b
            for r in range(s):
                norm = max(row_length(group.J[a, r], g), row_length(group.J[b, r], g))
                if not norm > LEAST:
                    return UNPROVED
                for q in range(g):
                    E[r, q] = group.J[a, r, q] / norm
                    E[r, g + q] = -group.J[b, r, q] / norm
                EE[r] = max(group.JE[a, r], group.JE[b, r]) / norm * (1.0 + 1e-9) + 4.0 * UNIT
            status = MEETS
            if d < g:
                for i in range(d):
                    for q in range(g):
                        F[i, q] = group.H[a, flips[i], q]
                worst = 0.0
                for i in range(d):
                    worst = max(worst, group.HE[a, flips[i]])
                if pivots(F, d, g, columns) and independent(F, columns, d, worst):
                    for i in range(d):
                        for q in range(g):
                            SR[2 * i, q] = side[i] * group.H[a, flips[i], q]
                            SR[2 * i + 1, q] = 0.0
                        for e in range(d):
                            SR[2 * i, g + e] = 0.0
                            SR[2 * i + 1, g + e] = -side[i] * group.H[b, flips[i], columns[e]]
                        SE[2 * i] = group.HE[a, flips[i]]
                        SE[2 * i + 1] = group.HE[b, flips[i]]
                    for r in range(s):
                        for q in range(g):
                            E2[r, q] = E[r, q]
                        for e in range(d):
                            E2[r, g + e] = E[r, g + columns[e]]
                    status = cell_in_kernel(E2, EE, s, SR, SE, 2 * d, g + d, scratch, point)
                if status == CLOSED:
                    if log.shape[0] > 1:
                        _log_pair(log, a, b, ids, g + d - s + 1, d, 2 * d)
                    continue
            count = 0
            for i in range(d):
                for q in range(g):
                    SR[count, q] = side[i] * group.H[a, flips[i], q]
                    SR[count, g + q] = 0.0
                    SR[count + 1, q] = 0.0
                    SR[count + 1, g + q] = -side[i] * group.H[b, flips[i], q]
                SE[count] = group.HE[a, flips[i]]
                SE[count + 1] = group.HE[b, flips[i]]
                count += 2
            for t in range(group.lengths[a]):
                for q in range(g):
                    SR[count, q] = group.P[a, t, q]
                    SR[count, g + q] = 0.0
                SE[count] = group.PE[a, t]
                count += 1
            for t in range(group.lengths[b]):
                for q in range(g):
                    SR[count, q] = 0.0
                    SR[count, g + q] = group.P[b, t, q]
                SE[count] = group.PE[b, t]
                count += 1
            status = cell_in_kernel(E, EE, s, SR, SE, count, 2 * g, scratch, point)
            if status != CLOSED:
                return status
            if log.shape[0] > 1:
                _log_pair(log, a, b, ids, size - s + 1, d, group.lengths[a])
        counters[POSITION_A] += 1
        counters[POSITION_B] = 0
    return CLOSED


def make_group(
    st: Store, signs: Signs, paths: Paths, lengths: Ints, count: int, constant: bool, record: bool = False
) -> tuple[Group, int]:
    """Arrays of one group with `count` active units; second, -1 or a region that floats do not hold accurately."""
    c, g = len(signs), st.ROWS.shape[2]
    s = count + int(constant)
    K = int(lengths.max())
    hidden = int(st.m[:-1].sum())
    D = s + s * (s - 1) // 2
    lo = np.full((c, D), -np.inf, dtype=np.float32)
    hi = np.full((c, D), np.inf, dtype=np.float32)
    P, PE = np.zeros((c, K, g)), np.zeros((c, K))
    J, JE = np.zeros((c, s, g)), np.zeros((c, s))
    H, HE = np.zeros((c, hidden, g)), np.zeros((c, hidden))
    bases = np.zeros((c if record else 1, 2 * D if record else 0, g), dtype=np.int32)
    unsorted = np.arange(c, dtype=np.int64)
    group = Group(signs, lengths, P, PE, J, JE, H, HE, lo, hi, unsorted, bases)
    bad = int(prepare(st, paths, constant, c >= BOXED, group))
    return group._replace(order=np.argsort(lo[:, 0], kind="stable").astype(np.int64)), bad


__all__ = ["BOXES", "CLOSED", "LOGGED", "MEETS", "PAIRS", "RANKS", "TESTS", "UNPROVED", "Group", "make_group", "scan"]
