"""Descent on the margin of a direction, in floats: what it finds is checked exactly by the caller.

ρ(u) is the largest t such that rows with `a_i·u >= t` have full rank. At u, let F be the rows above ρ(u), and all rows
in their span. As long as F stays, ρ falls with `max a_i·u` over the other rows.

* Where some x has `a_i·x <= -1` for all others, the best u of this F is that of the least such x: one projection.
* Otherwise the others allow `P = {x : a_i·x <= 1}`, and the best u of this F is that of its longest point, a vertex:
  `x ← projection of β x on P` climbs to one (the convex-concave procedure; Yuille and Rangarajan 2003).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.numeric.cell import clear
from mcinj.quantify import margin_cell as cell
from mcinj.quantify.margin_cell import Center

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LONGER = 4.0  # β
_SPAN = 1e-9  # relative squared distance from a span below which a row counts as inside


@njit()
def value_of(A: Floats, b: Floats, u: Floats, order: Ints, V: Floats, B: Floats, free: npt.NDArray[np.bool_]) -> float:
    """ρ(u) in floats for rows A (m, n) and biases b; -inf: no full rank.

    `free` comes back: the rows outside of the span of those above ρ(u). `V` (m,), `B` (n, n) and `order` are scratch.
    """
    m, n = A.shape
    for i in range(m):
        s = b[i]
        for j in range(n):
            s += A[i, j] * u[j]
        V[i] = -s
    order[:] = np.argsort(V)
    rank = 0
    value = -np.inf
    for p in range(m):
        i = order[p]
        v = A[i].copy()
        size = 0.0
        for j in range(n):
            size += v[j] * v[j]
        for _ in range(2):
            for k in range(rank):
                f = 0.0
                for j in range(n):
                    f += B[k, j] * v[j]
                for j in range(n):
                    v[j] -= f * B[k, j]
        rest = 0.0
        for j in range(n):
            rest += v[j] * v[j]
        if rest > _SPAN * size:
            if rank == n - 1:
                value = -V[i]
                break
            for j in range(n):
                B[rank, j] = v[j] / np.sqrt(rest)
            rank += 1
    for i in range(m):
        size = 0.0
        rest = 0.0
        for j in range(n):
            size += A[i, j] * A[i, j]
        rest = size
        for k in range(rank):
            f = 0.0
            for j in range(n):
                f += B[k, j] * A[i, j]
            rest -= f * f
        free[i] = rest > 10.0 * _SPAN * size
    return value


@njit()
def lowest(A: Floats, SC: Floats, G: Floats, free: npt.NDArray[np.bool_], u: Floats, center: Center) -> bool:
    """Move the unit vector u (n,) to where the largest `a_i·u` of the free rows is locally least; whether it moved.

    A: rows (m, n). G (m, W): rows -A / SC, of length about 1. `center` is scratch.
    """
    m, n = A.shape
    J = np.empty(m, dtype=np.int64)
    H = np.empty(m)
    x = np.empty(n)
    trial = np.empty(n)
    count = 0
    top = 0.0
    level = -np.inf
    for i in range(m):
        top = max(top, SC[i])
        if free[i]:
            J[count] = i
            count += 1
            s = 0.0
            for j in range(n):
                s += A[i, j] * u[j]
            level = max(level, s)
    for i in range(m):
        H[i] = top / SC[i]
    clear(center.M, center.x, center.u, center.ids)
    status, _ = cell.settle(G, H, J, count, n, center, np.inf)
    if status == cell.FEASIBLE:
        for j in range(n):
            x[j] = center.x[j]
    elif level > 0.0:
        # In units in which x has length 1: P = {x : a_i·x <= level}.
        for j in range(n):
            x[j] = u[j]
        for _ in range(60):
            for i in range(m):
                s = 0.0
                for j in range(n):
                    s += G[i, j] * x[j]
                H[i] = -level / SC[i] - _LONGER * s
            clear(center.M, center.x, center.u, center.ids)
            status, _ = cell.settle(G, H, J, count, n, center, np.inf)
            if status != cell.FEASIBLE:
                break
            size = 0.0
            for j in range(n):
                trial[j] = _LONGER * x[j] + center.x[j]
                size += trial[j] * trial[j]
            size = np.sqrt(size)
            if not size > 1.0 + 1e-13:
                break
            for j in range(n):
                x[j] = trial[j] / size
            level /= size
            if level < 1e-12 * top:
                break
    else:
        return False
    size = 0.0
    for j in range(n):
        size += x[j] * x[j]
    if not 0.0 < size < 1e300:
        return False
    size = np.sqrt(size)
    for j in range(n):
        u[j] = x[j] / size
    return True


@njit()
def descend(A: Floats, SC: Floats, G: Floats, u: Floats, steps: int, center: Center) -> float:
    """Lower ρ from the unit vector u, in place, through as many sets F as it takes; returns ρ(u)."""
    m, n = A.shape
    order = np.empty(m, dtype=np.int64)
    V = np.empty(m)
    B = np.empty((n, n))
    b = np.zeros(m)
    free = np.empty(m, dtype=np.bool_)
    best = value_of(A, b, u, order, V, B, free)
    trial = np.empty(n)
    for _ in range(steps):
        for j in range(n):
            trial[j] = u[j]
        if not lowest(A, SC, G, free, trial, center):
            break
        value = value_of(A, b, trial, order, V, B, free)
        if not value < best - 1e-15 * abs(best):
            break
        best = value
        for j in range(n):
            u[j] = trial[j]
    return best


@njit()
def descend_all(A: Floats, SC: Floats, G: Floats, STARTS: Floats, VALUES: Floats, steps: int, center: Center) -> None:
    """`descend` from each row of STARTS, in place."""
    for k in range(len(STARTS)):
        VALUES[k] = descend(A, SC, G, STARTS[k], steps, center)


@njit()
def descend_in_ball(
    A: Floats, SC: Floats, G: Floats, b: Floats, POINTS: Floats, VALUES: Floats, steps: int, center: Center
) -> None:
    """Lower ρ, of rows `a_i·x + b_i`, in the unit ball from each of POINTS (k, n), in place.

    With F fixed the best level is that whose least-norm point is on the sphere: bisection.
    """
    m, n = A.shape
    order = np.empty(m, dtype=np.int64)
    V = np.empty(m)
    B = np.empty((n, n))
    free = np.empty(m, dtype=np.bool_)
    J = np.empty(m, dtype=np.int64)
    H = np.empty(m)
    trial = np.empty(n)
    x = np.empty(n)
    for p in range(len(POINTS)):
        best = value_of(A, b, POINTS[p], order, V, B, free)
        for _ in range(steps):
            count = 0
            size = 0.0
            for i in range(m):
                size = max(size, SC[i] + abs(b[i]))
                if free[i]:
                    J[count] = i
                    count += 1
            down = 1e-3 * size
            low = -np.inf
            high = best
            for _ in range(60):
                level = high - down if low == -np.inf else 0.5 * (low + high)
                for i in range(m):
                    H[i] = (b[i] - level) / SC[i]
                clear(center.M, center.x, center.u, center.ids)
                status, _ = cell.settle(G, H, J, count, n, center, np.inf)
                inside = 0.0
                for j in range(n):
                    inside += center.x[j] * center.x[j]
                if status == cell.FEASIBLE and inside <= 1.0:
                    high = level
                    for j in range(n):
                        x[j] = center.x[j]
                    down *= 2.0
                else:
                    low = level
                if high - low < 1e-14 * size:
                    break
            if high == best:
                break
            for j in range(n):
                trial[j] = x[j]
            value = value_of(A, b, trial, order, V, B, free)
            if not value < best - 1e-15 * size:
                break
            best = value
            for j in range(n):
                POINTS[p, j] = trial[j]
        VALUES[p] = best
