"""Heat-bath walk over the rays of an arrangement, compiled: the search behind `mcinj.decide.probe.probe`.

A *ray* is a direction v on which n - 1 independent rows (the tight ones) vanish. Next to it lie cells with every sign
of the tight rows, so the cell with all of them negative has as many positive rows as v has strictly positive ones:
the least count over all cells is the least over all rays. Releasing one tight row leaves a plane of directions, a
*line* of rays: all m - n + 2 rays on it, and their opposites, are found by sorting one ratio per row. A move picks a
line through the present ray and then one of its rays with probability proportional to q^count: the heat bath (Gibbs
sampler) of the law q^count on rays. Cooling, q → 0, is simulated annealing with moves that see some 2 m states each.

The tableau S, shape (n, have), holds the values of all rows at v (line 0) and at d_1 … d_{n-1}: tight row k has value
1 at d_k and 0 at the others. It is updated as in the simplex method. Only IEEE additions, multiplications, divisions
and square roots in a fixed order: the same walk on every machine. Nothing here is a proof; what is found is checked
exactly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit

Floats = npt.NDArray[np.floating[Any]]  # in float32 where that is enough
Ints = npt.NDArray[np.int64]

# What the walk returned with.
SPENT, EXHAUSTED, LOST = 0, 1, 2
# Integers of the walk's state.
WIDTH, COUNT, FOUND, MARK, SIDE = range(5)
STATE = 5
BUCKETS = 64
_NEVER = 1e-6  # rays of less weight than this, relative to the present one, are not drawn
_CONSTANT = np.float32(1.0 - 1e-5)  # |u| of rows that do not change along a line, to rounding


@njit(error_model="numpy")
def tableau(R: Floats, tight: Ints, S: Floats) -> bool:
    """Fill S (n, have) with the tableau of the rows R (have, n) at the ray of tight[1:]; False if they are dependent.

    Gauss–Jordan elimination, the largest pivot first. The sign of the ray is arbitrary.
    """
    n, have = S.shape
    for k in range(n):
        for i in range(have):
            S[k, i] = R[i, k]
    for c in range(1, n):
        r = tight[c]
        best = 0
        for k in range(c, n):
            if abs(S[k, r]) > abs(S[best, r]):
                best = k
        if not abs(S[best, r]) > 1e-12:
            return False
        if best != c:
            for i in range(have):
                a = S[c, i]
                S[c, i] = S[best, i]
                S[best, i] = a
        g = 1.0 / S[c, r]
        for i in range(have):
            S[c, i] *= g
        S[c, r] = 1.0
        for k in range(n):
            f = S[k, r]
            if k != c and f != 0.0:
                for i in range(have):
                    S[k, i] -= f * S[c, i]
                S[k, r] = 0.0
    return True


@njit(error_model="numpy")
def _exchange(S: Floats, tight: Ints, k: int, r: int, spare: Floats) -> bool:
    """Row r takes the place of tight row k; the new ray is that at r on line k, times sign(S[k, r]). False if lost.

    `spare` holds line k meanwhile: that two lines of one array are apart is not seen, and the loop would stay scalar.
    """
    n, have = S.shape
    p0 = np.float64(S[0, r])
    pk = np.float64(S[k, r])
    size = p0 * p0 + pk * pk
    if not 1e-24 < size < 1e24:
        return False
    g = 1.0 / size
    h = np.sqrt(g)
    vk = np.float32(pk * h)
    v0 = np.float32(-p0 * h)
    dk = np.float32(pk * g)
    d0 = np.float32(p0 * g)
    ray = S[0]
    line = S[k]
    for i in range(have):
        a = ray[i]
        b = line[i]
        ray[i] = vk * a + v0 * b
        spare[i] = d0 * a + dk * b
    ray[r] = np.float32(0.0)
    spare[r] = np.float32(1.0)
    for i in range(have):
        line[i] = spare[i]
    for c in range(1, n):
        f = S[c, r]
        if c != k and f != 0.0:
            other = S[c]
            for i in range(have):
                other[i] -= f * spare[i]
            other[r] = np.float32(0.0)
    tight[k] = r
    return True


@njit(error_model="numpy")
def rays_on_line(
    S: Floats, k: int, m: int, c0: int, reach: float, u: Floats, bucket: Ints, row: Ints, key: Ints, table: Ints
) -> tuple[int, int, int, int]:
    """The rays on line k that a heat bath can choose, in their order: (events, free, here, there), events -1 if lost.

    Rows vanish on the line v + t d_k at the ratios t = -S[0]/S[k]; u in [-1, 1] is a monotone function of t.
    Events are put into buckets of u. What a bucket adds and takes away bounds all counts inside, and only buckets with
    counts of at most c0 + reach, and that of the present ray, are sorted. For event e: row[e] vanishes there; key[e] +
    here rows are strictly positive at the ray, free - key[e] + there at its opposite.
    """
    turns, start, filled = table[0], table[1], table[2]
    ray = S[0]
    line = S[k]
    size_a = np.float32(0.0)
    size_b = np.float32(0.0)
    for i in range(0, m, 8):
        size_a += abs(ray[i])
        size_b += abs(line[i])
    scale = size_a / size_b if size_a > 0.0 and size_b > 0.0 else np.float32(1.0)
    for i in range(m):
        a = ray[i]
        b = line[i]
        u[i] = (a if b < 0.0 else -a) / (abs(a) + scale * abs(b))
    for j in range(2 * BUCKETS + 2):
        turns[j] = 0
    one = np.float32(1.0)
    half = np.float32(0.5 * BUCKETS)
    here = 0
    there = 0
    for i in range(m):
        x = u[i]
        if abs(x) < _CONSTANT:
            j = 2 * int((x + one) * half) + (1 if line[i] > 0.0 else 0)
            bucket[i] = j
            turns[j] += 1
        else:
            # Tight; or (nearly) constant on the line, or zero on all of it: rows that depend on the tight ones.
            bucket[i] = 2 * BUCKETS
            a = ray[i]
            if not abs(a) < np.inf or not abs(line[i]) < np.inf:
                return -1, 0, 0, 0
            if a > 0.0:
                here += 1
            elif a < 0.0:
                there += 1
    rising = 0
    falling = 0
    for j in range(BUCKETS):
        falling += turns[2 * j]
        rising += turns[2 * j + 1]
    free = rising + falling - 1
    most = c0 + reach
    home = BUCKETS // 2  # of the present ray, t = 0
    positive = falling
    events = 0
    for j in range(BUCKETS):
        down = turns[2 * j]
        up = turns[2 * j + 1]
        if j == home or positive - down + here <= most or free - positive - up + there <= most:
            start[j] = events
            filled[j] = events
            events += up + down
        else:
            start[j] = -1
        positive += up - down
    start[BUCKETS] = -1
    # Place the events of these buckets, each bucket in the order of u. (First which: few are, and none can foresee it.)
    placed = 0
    for i in range(m):
        key[placed] = i
        placed += 1 if start[bucket[i] >> 1] >= 0 else 0
    for p in range(placed):
        i = key[p]
        j = bucket[i] >> 1
        first = start[j]
        x = u[i]
        e = filled[j]
        filled[j] = e + 1
        while e > first and u[row[e - 1]] > x:
            row[e] = row[e - 1]
            e -= 1
        row[e] = i
    positive = falling
    for j in range(BUCKETS):
        if start[j] < 0:
            positive += turns[2 * j + 1] - turns[2 * j]
            continue
        for e in range(start[j], filled[j]):
            rises = bucket[row[e]] & 1
            key[e] = positive - 1 + rises
            positive += 2 * rises - 1
    return events, free, here, there


@njit(error_model="numpy")
def walk(
    S: Floats, tight: Ints, state: Ints, best: Ints, q: float, cooling: float, U: Floats
) -> tuple[int, int, float]:
    """Make len(U) moves; returns (reason, moves made, q).

    S, tight: present ray, its tight rows below WIDTH. state: WIDTH, the rows counted; COUNT, the positives among them
    at the ray; FOUND, the largest width at which a ray with fewer than n positives was met, with best = its tight rows,
    MARK a row far from zero there and SIDE its sign. U: (moves, 2) uniform numbers. q is multiplied by `cooling` after
    every move. When a ray has fewer than n positives, WIDTH grows until it has n; EXHAUSTED if the rows at hand end
    first. LOST: rounding has taken over; the caller computes the tableau anew.
    """
    n, have = S.shape
    u = np.empty(have, dtype=np.float32)
    bucket = np.empty(have, dtype=np.int64)
    row = np.empty(have, dtype=np.int64)
    key = np.empty(have, dtype=np.int64)
    table = np.empty((3, 2 * BUCKETS + 2), dtype=np.int64)
    power = np.empty(2 * have + 2)
    power[0] = 1.0
    for done in range(len(U)):
        m = state[WIDTH]
        k = 1 + min(int(U[done, 0] * (n - 1)), n - 2)
        # Counts so far above the present one are never drawn: their weights are below the rounding of the sum.
        top = 0
        while power[top] > _NEVER and top < have:
            power[top + 1] = power[top] * q
            top += 1
        count = state[COUNT]
        most = count + top
        events, free, here, there = rays_on_line(S, k, m, count, top, u, bucket, row, key, table)
        if events <= 0:
            return LOST, done, q
        low = most
        for e in range(events):
            low = min(low, key[e] + here, free - key[e] + there)
        while top < most - low:
            power[top + 1] = power[top] * q
            top += 1
        total = 0.0
        for e in range(events):
            x = key[e] + here
            y = free - key[e] + there
            if x <= most:
                total += power[x - low]
            if y <= most:
                total += power[y - low]
        goal = U[done, 1] * total
        r = tight[k]
        opposite = False
        total = 0.0
        for e in range(events):
            x = key[e] + here
            y = free - key[e] + there
            if x <= most:
                r = row[e]
                opposite = False
                count = x
                total += power[x - low]
                if total > goal:
                    break
            if y <= most:
                r = row[e]
                opposite = True
                count = y
                total += power[y - low]
                if total > goal:
                    break
        flip = opposite
        if r != tight[k]:
            if S[k, r] < 0.0:
                flip = not flip
            if not _exchange(S, tight, k, r, u):
                return LOST, done, q
        if flip:
            for i in range(have):
                S[0, i] = -S[0, i]
        q *= cooling
        state[COUNT] = count
        if count < n:
            while m < have and count < n:
                if S[0, m] > 0.0:
                    count += 1
                m += 1
            state[COUNT] = count
            state[FOUND] = m - 1 if count == n else have
            state[WIDTH] = m
            mark = 0
            for i in range(have):
                if abs(S[0, i]) > abs(S[0, mark]):
                    mark = i
            state[MARK] = mark
            state[SIDE] = 1 if S[0, mark] > 0.0 else -1
            for c in range(n):
                best[c] = tight[c]
            if count < n:
                return EXHAUSTED, done + 1, q
    return SPENT, len(U), q
