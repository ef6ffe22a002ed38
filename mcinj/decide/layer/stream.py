"""One search over a growing stream of rows, compiled: jump from witness to witness, keep every closed part of the tree.

A closed node stays closed when rows are appended: its circuits are still circuits, its positives still positive. So
when a witness is found at width m, rows are appended until it is none, and the same tree goes on at the new width: the
whole trial costs about as much as one proof.
"""

from __future__ import annotations

import numpy as np

from mcinj._jit import njit
from mcinj.decide.layer.arrays import Cells, Floats, Ints, Ranks, Tree
from mcinj.decide.layer.fields import (
    DEPTH,
    ENTER,
    EXTEND,
    FREE,
    HALF,
    NODES,
    PHASE,
    POS,
    RANKED,
    ROWS,
    SLOT,
    TARGET,
    WITNESS,
)
from mcinj.decide.layer.kernel import advance
from mcinj.numeric.bits import has, put
from mcinj.numeric.residues import PRIME, is_zero, rank_of, reduce

EXHAUSTED = 6  # the witness outlives all rows at hand


@njit()
def plant(gi: Ints, c: Cells, t: Tree) -> None:
    """Make the stack the root of the search over the first gi[ROWS] rows."""
    A, X, S = c.A, c.X, c.S
    FI, B, _, _, PV, _, _, _ = t
    m = gi[ROWS]
    g = A.shape[0]
    for k in range(4):
        for w in range(B.shape[2]):
            B[0, k, w] = np.uint64(0)
    first = 0
    if gi[HALF]:
        put(B[0, 0], 0)
        first = 1
    for k in range(X.shape[1]):
        X[0, k] = 0.0
    x0 = np.zeros(g)
    norm = 0.0
    for j in range(g):
        for i in range(first, m):
            x0[j] -= A[j, i]
        norm += x0[j] * x0[j]
    scale = 1e-6 / np.sqrt(norm) if norm > 0 else 0.0
    # The root's center is 0; values far out against the sum of the rows only say which row comes first.
    for i in range(m):
        v = 0.0
        for j in range(g):
            v += A[j, i] * x0[j]
        S[0, i] = v * scale
        if i >= first and not has(c.ZERO, i):
            put(B[0, FREE], i)
    PV[0, :] = np.uint64(0)
    FI[0, :] = 0
    FI[0, PHASE] = ENTER
    gi[DEPTH] = 0


@njit()
def next_width(gi: Ints, c: Cells, slot: int, have: int, Q: Ints) -> int:
    """Least width at which the center of a slot is no longer a proved witness; -1: it is one with all `have` rows."""
    s, x, scratch = c.S[slot], c.X[slot], c.J[0]
    n = gi[TARGET]
    norm = 0.0
    for k in range(x.shape[0]):
        norm += abs(x[k])
    eps = 1e-12 * norm
    count = 0
    for j in range(have):
        if not s[j] < -eps and not has(c.ZERO, j):
            scratch[count] = j
            count += 1
            if count >= n and (gi[RANKED] == 0 or rank_of(Q[Q.shape[0] - 1], scratch, count, c.T[0]) >= n):
                return int(max(j + 1, gi[ROWS] + 1))
    return -1


@njit()
def append(gi: Ints, c: Cells, t: Tree, Q: Ints, old: int) -> None:
    """Rows old … gi[ROWS] - 1 become free in every frame of the stack, and the last frame extends again."""
    A, X, S = c.A, c.X, c.S
    FI, B = t.FI, t.B
    m = gi[ROWS]
    g = A.shape[0]
    n = gi[TARGET]
    last = Q.shape[0] - 1
    for e in range(gi[DEPTH] + 1):
        for k in range(2 * e, 2 * e + 2):
            for i in range(old, m):
                v = 0.0
                for j in range(g):
                    v += A[j, i] * X[k, j]
                S[k, i] = v
        if gi[RANKED]:
            row = -1
            pivot = -1
            if e > 0:
                for w in range(B.shape[2]):
                    b = B[e, POS, w] & ~B[e - 1, POS, w]
                    if b != 0:
                        row = 64 * w
                        while b != np.uint64(1):
                            b >>= np.uint64(1)
                            row += 1
            if row >= 0:
                for j in range(n):
                    if Q[e - 1, row, j] != 0:
                        pivot = j
                        break
            for i in range(old, m):
                for j in range(n):
                    v = Q[last, i, j] if e == 0 else Q[e - 1, i, j]
                    if pivot >= 0:
                        f = (PRIME - Q[e - 1, i, pivot]) % PRIME
                        v = reduce(reduce(v * Q[e - 1, row, pivot]) + reduce(Q[e - 1, row, j] * f))
                    Q[e, i, j] = v
        for i in range(old, m):
            if not has(c.ZERO, i) and not (gi[RANKED] and is_zero(Q[e], i)):
                put(B[e, FREE], i)
    d = gi[DEPTH]
    if FI[d, PHASE] != ENTER:
        FI[d, PHASE] = EXTEND
    else:
        gi[NODES] -= 1  # it is entered once more


@njit()
def stream(gi: Ints, c: Cells, t: Tree, ranks: Ranks, have: int, restart: Ints, best: Floats) -> int:
    """`kernel.advance` over a growing number gi[ROWS] of the `have` rows in A; returns its reasons or EXHAUSTED.

    `best` receives the last witness: it is one at every width below gi[ROWS] (at `have` if EXHAUSTED). The tree starts
    again as long as it has at most `restart[0]` nodes (counted in restart[1]).
    """
    while True:
        reason = advance(gi, c, t, ranks)
        if reason != WITNESS:
            return reason
        k = gi[SLOT]
        for j in range(best.shape[0]):
            best[j] = c.X[k, j]
        old = gi[ROWS]
        s = c.S[k]
        for i in range(old, have):
            v = 0.0
            for j in range(c.A.shape[0]):
                v += c.A[j, i] * c.X[k, j]
            s[i] = v
        new = next_width(gi, c, k, have, ranks.Q)
        if new < 0:
            return EXHAUSTED
        gi[ROWS] = new
        if gi[NODES] - restart[1] <= restart[0]:
            restart[1] = gi[NODES]
            plant(gi, c, t)
        else:
            append(gi, c, t, ranks.Q, old)
