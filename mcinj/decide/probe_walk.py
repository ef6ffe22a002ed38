"""Heat-bath walk over the rays of an arrangement, compiled: the search behind `mcinj.decide.probe`.

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

import numpy as np

from mcinj._jit import njit

# What the walk returned with.
SPENT, EXHAUSTED, LOST = 0, 1, 2
# Integers of the walk's state.
WIDTH, COUNT, FOUND, MARK, SIDE = range(5)
STATE = 5


@njit(error_model="numpy")
def tableau(R, tight, S):  # type: ignore[no-untyped-def]
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
def _exchange(S, tight, k, r):  # type: ignore[no-untyped-def]
    """Row r takes the place of tight row k; the new ray is that at r on line k, times sign(S[k, r]). False if lost."""
    n, have = S.shape
    p0 = S[0, r]
    pk = S[k, r]
    size = p0 * p0 + pk * pk
    if not 1e-200 < size < 1e200:
        return False
    g = 1.0 / size
    h = np.sqrt(g)
    vk = pk * h
    v0 = -p0 * h
    dk = pk * g
    d0 = p0 * g
    for i in range(have):
        a = S[0, i]
        b = S[k, i]
        S[0, i] = vk * a + v0 * b
        S[k, i] = d0 * a + dk * b
    S[0, r] = 0.0
    S[k, r] = 1.0
    for c in range(1, n):
        f = S[c, r]
        if c != k and f != 0.0:
            for i in range(have):
                S[c, i] -= f * S[k, i]
            S[c, r] = 0.0
    tight[k] = r
    return True


@njit(error_model="numpy")
def walk(S, tight, state, best, q, cooling, U):  # type: ignore[no-untyped-def]
    """Make len(U) moves; returns (reason, moves made, q).

    S, tight: present ray, its tight rows below WIDTH. state: WIDTH, the rows counted; COUNT, the positives among them
    at the ray; FOUND, the largest width at which a ray with fewer than n positives was met, with best = its tight rows,
    MARK a row far from zero there and SIDE its sign. U: (moves, 2) uniform numbers. q is multiplied by `cooling` after
    every move. When a ray has fewer than n positives, WIDTH grows until it has n; EXHAUSTED if the rows at hand end
    first. LOST: rounding has taken over; the caller computes the tableau anew.
    """
    n, have = S.shape
    t = np.empty(have)
    row = np.empty(have, dtype=np.int64)
    key = np.empty(have, dtype=np.int64)
    power = np.empty(have + 1)
    power[0] = 1.0
    is_tight = np.zeros(have, dtype=np.bool_)
    for c in range(1, n):
        is_tight[tight[c]] = True
    for done in range(len(U)):
        m = state[WIDTH]
        k = 1 + min(int(U[done, 0] * (n - 1)), n - 2)
        events = 0
        positive = 0
        fixed = 0
        for i in range(m):
            if is_tight[i] and i != tight[k]:
                continue
            a = S[0, i]
            b = S[k, i]
            ratio = -a / b
            if not abs(ratio) < 1e100:
                # The row is (nearly) constant on the line, or zero on all of it: rows that depend on the tight ones.
                if not abs(a) < np.inf or not abs(b) < np.inf:
                    return LOST, done, q
                if a > 0.0:
                    fixed += 1
                elif a < 0.0:
                    fixed += 1 << 32
                continue
            t[events] = ratio
            row[events] = i
            events += 1
            if b < 0.0:
                positive += 1
        here = fixed & 0xFFFFFFFF
        there = fixed >> 32
        if events == 0:
            return LOST, done, q
        order = np.argsort(t[:events])
        free = events - 1
        low = 2 * have
        for e in range(events):
            # Strictly positive rows at the ray where this row vanishes, and at its opposite.
            if S[k, row[order[e]]] > 0.0:
                key[e] = positive
                positive += 1
            else:
                positive -= 1
                key[e] = positive
            low = min(low, key[e] + here, free - key[e] + there)
        top = 0
        total = 0.0
        for e in range(events):
            x = key[e] + here - low
            y = free - key[e] + there - low
            while top < max(x, y) and top < have:
                power[top + 1] = power[top] * q
                top += 1
            total += power[x] + power[y]
        goal = U[done, 1] * total
        chosen = events - 1
        opposite = True
        total = 0.0
        for e in range(events):
            total += power[key[e] + here - low]
            if total > goal:
                chosen = e
                opposite = False
                break
            total += power[free - key[e] + there - low]
            if total > goal:
                chosen = e
                break
        count = free - key[chosen] + there if opposite else key[chosen] + here
        r = row[order[chosen]]
        flip = opposite
        if r != tight[k]:
            if S[k, r] < 0.0:
                flip = not flip
            is_tight[tight[k]] = False
            if not _exchange(S, tight, k, r):  # type: ignore[no-untyped-call]
                return LOST, done, q
            is_tight[r] = True
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
