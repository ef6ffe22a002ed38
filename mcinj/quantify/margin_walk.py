"""Heat-bath walk over the corners of a level, compiled: the search behind `mcinj.quantify.margin_searched`.

Rows a_i and a level t cut caps {a_i·u > t} out of the unit sphere. A *corner* is a unit vector u where n - 1
independent rows (the tight ones) are exactly at t. Next to it lie cells with every choice of the tight rows above or
below, so if fewer than n rows are above t at u itself, the margin is below t, and a descent from u finds a lower level.

Releasing one tight row leaves a circle: a plane, on which the other tight rows stay at t, cuts the sphere in it. Each
row that is not constant there is above t on one arc, whose ends are corners: up to 2 (m - n + 2) of them. A move picks
such a circle and then one of its corners with probability proportional to q^(rows above): the heat bath of
`mcinj.decide.probe.walk`, whose rays and lines these are at t = 0.

The tableau S, shape (n, m + n), holds the values of the rows and then the coordinates of v (line 0), on which all tight
rows vanish, and of d_1 … d_(n-1): tight row k has value 1 at d_k and 0 at the others. `at` (m + n,) holds the same of
the corner. Nothing here is a proof; what is found is checked exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.decide.probe.heat_bath import draw

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# What the walk returned with.
SPENT, BELOW, LOST = 0, 1, 2
_FLAT = 1e-18  # squared amplitudes below this count as constant on a circle
_NEVER = 1e-12  # corners of less weight than this, relative to the best of the circle, are not drawn


@njit(error_model="numpy")
def place(S: Floats, at: Floats, t: float, u: Floats) -> bool:
    """Fill `at` with the corner of the tableau's tight rows at level t that is nearer to u; False if there is none."""
    n, width = S.shape
    m = width - n
    for j in range(width):
        s = 0.0
        for k in range(1, n):
            s += S[k, j]
        at[j] = t * s
    vv = 0.0
    va = 0.0
    aa = 0.0
    vu = 0.0
    for j in range(m, width):
        vv += S[0, j] * S[0, j]
        va += S[0, j] * at[j]
        aa += at[j] * at[j]
        vu += S[0, j] * u[j - m]
    rest = va * va - vv * (aa - 1.0)
    if not (rest >= 0.0 and vv > 0.0):
        return False
    # |at + y v| = 1.
    y = (-va + np.sqrt(rest)) / vv if vu >= 0.0 else (-va - np.sqrt(rest)) / vv
    for j in range(width):
        at[j] += y * S[0, j]
    return True


@njit(error_model="numpy")
def crawl(A: Floats, t: float, u: Floats, tight: Ints, Z: Floats) -> bool:
    """Move the unit vector u (n,) along circles, each to its nearest wall, until n - 1 rows of A are at t: tight[1:].

    Z: (circles, n) normal numbers. False if they end first.
    """
    m, n = A.shape
    Q = np.zeros((n, n))  # orthonormal basis of the tight rows
    taken = np.zeros(m, dtype=np.bool_)
    fixed = np.empty(n)
    p = np.empty(n)
    w = np.empty(n)
    have = 0
    for z in range(len(Z)):
        if have == n - 1:
            break
        for j in range(n):
            fixed[j] = 0.0
            w[j] = Z[z, j]
        for k in range(have):
            s = 0.0
            for j in range(n):
                s += Q[k, j] * u[j]
            for j in range(n):
                fixed[j] += s * Q[k, j]
        size = 0.0
        for j in range(n):
            p[j] = u[j] - fixed[j]
            size += p[j] * p[j]
        if not size > _FLAT:
            return False
        for j in range(n):
            Q[have, j] = p[j] / np.sqrt(size)
        for _ in range(2):
            for k in range(have + 1):
                s = 0.0
                for j in range(n):
                    s += Q[k, j] * w[j]
                for j in range(n):
                    w[j] -= s * Q[k, j]
        rest = 0.0
        for j in range(n):
            rest += w[j] * w[j]
        if not rest > 0.0:
            continue
        for j in range(n):
            w[j] *= np.sqrt(size / rest)
        nearest = np.inf
        row = -1
        cx = 1.0
        cy = 0.0
        for i in range(m):
            if taken[i]:
                continue
            a = 0.0
            b = 0.0
            c = t
            for j in range(n):
                a += A[i, j] * p[j]
                b += A[i, j] * w[j]
                c -= A[i, j] * fixed[j]
            square = a * a + b * b
            if square < _FLAT or square <= c * c:
                continue
            root = np.sqrt(square - c * c)
            for sign in (-1.0, 1.0):
                x = (c * a - sign * root * b) / square
                if 1.0 - x < nearest:
                    nearest = 1.0 - x
                    row = i
                    cx = x
                    cy = (c * b + sign * root * a) / square
        if row < 0:
            continue
        for j in range(n):
            u[j] = fixed[j] + cx * p[j] + cy * w[j]
            Q[have, j] = A[row, j]
        for _ in range(2):
            for k in range(have):
                s = 0.0
                for j in range(n):
                    s += Q[k, j] * Q[have, j]
                for j in range(n):
                    Q[have, j] -= s * Q[k, j]
        size = 0.0
        for j in range(n):
            size += Q[have, j] * Q[have, j]
        if not size > _FLAT:
            continue
        for j in range(n):
            Q[have, j] /= np.sqrt(size)
        taken[row] = True
        have += 1
        tight[have] = row
    return bool(have == n - 1)


@njit(error_model="numpy")
def _circle(S: Floats, at: Floats, k: int, P: Floats, Q: Floats, B: Floats) -> float:
    """The circle of tight row k: center in B, orthonormal directions in P and Q; its radius, -1 if lost.

    All three (m + n,), in the columns of S.
    """
    n, width = S.shape
    m = width - n
    vv = 0.0
    vd = 0.0
    dd = 0.0
    for j in range(m, width):
        vv += S[0, j] * S[0, j]
        vd += S[0, j] * S[k, j]
        dd += S[k, j] * S[k, j]
    f = vd / vv
    rest = dd - f * vd
    if not (vv > 0.0 and rest > _FLAT * dd):
        return -1.0
    a = 1.0 / np.sqrt(rest)
    b = 1.0 / np.sqrt(vv)
    for j in range(width):
        P[j] = (S[k, j] - f * S[0, j]) * a
        Q[j] = S[0, j] * b
    x = 0.0
    y = 0.0
    for j in range(m, width):
        x += P[j] * at[j]
        y += Q[j] * at[j]
    for j in range(width):
        B[j] = at[j] - x * P[j] - y * Q[j]
    return float(np.sqrt(x * x + y * y))


@njit(error_model="numpy")
def _exchange(S: Floats, P: Floats, Q: Floats, k: int, row: int) -> bool:
    """The row takes the place of tight row k, whose circle has directions P and Q; False if lost."""
    n, width = S.shape
    p = P[row]
    q = Q[row]
    square = p * p + q * q
    if not square > _FLAT:
        return False
    g = 1.0 / square
    h = np.sqrt(g)
    for j in range(width):
        S[0, j] = h * (p * Q[j] - q * P[j])
        S[k, j] = g * (p * P[j] + q * Q[j])
    S[0, row] = 0.0
    S[k, row] = 1.0
    for c in range(1, n):
        f = S[c, row]
        if c != k and f != 0.0:
            for j in range(width):
                S[c, j] -= f * S[k, j]
            S[c, row] = 0.0
    return True


@njit(error_model="numpy")
def _sort(position: Floats, events: int, order: Ints, first: Ints) -> None:
    """order[:events] = the events by their positions in [-2, 2]: into one bucket for each, which are then sorted.

    first: scratch (events + 1,).
    """
    wide = 0.25 * events
    for b in range(events + 1):
        first[b] = 0
    for e in range(events):
        first[min(int((position[e] + 2.0) * wide), events - 1) + 1] += 1
    for b in range(events):
        first[b + 1] += first[b]
    # first[b]: where the next event of bucket b goes, at the end where bucket b + 1 starts.
    for e in range(events):
        b = min(int((position[e] + 2.0) * wide), events - 1)
        order[first[b]] = e
        first[b] += 1
    for z in range(1, events):
        e = order[z]
        x = position[e]
        y = z
        while y > 0 and position[order[y - 1]] > x:
            order[y] = order[y - 1]
            y -= 1
        order[y] = e


@njit(error_model="numpy")
def walk(S: Floats, at: Floats, tight: Ints, t: float, q: float, cooling: float, U: Floats) -> tuple[int, int, float]:
    """Make up to len(U) moves at level t; returns (reason, moves made, q).

    U: (moves, 2) uniform numbers. q is multiplied by `cooling` after every move. BELOW: fewer than n rows are above t
    at the corner, the margin is below t. LOST: rounding has taken over; the caller computes the tableau anew.
    """
    n, width = S.shape
    m = width - n
    position = np.empty(2 * m)
    row = np.empty(2 * m, dtype=np.int64)
    X = np.empty(2 * m)
    Y = np.empty(2 * m)
    rises = np.empty(2 * m, dtype=np.bool_)
    above = np.empty(2 * m, dtype=np.int64)
    order = np.empty(2 * m, dtype=np.int64)
    first = np.empty(2 * m + 1, dtype=np.int64)
    B = np.empty(width)
    P = np.empty(width)
    Q = np.empty(width)
    power = np.empty(m + 2)
    fixed = np.zeros(m, dtype=np.bool_)
    for k in range(1, n):
        fixed[tight[k]] = True
    for done in range(len(U)):
        k = 1 + min(int(U[done, 0] * (n - 1)), n - 2)
        own = tight[k]
        radius = _circle(S, at, k, P, Q, B)
        if not radius > 0.0:
            return LOST, done, q
        events = 0
        count = 0  # rows above t at the angle where the circle is cut open
        for i in range(m):
            if fixed[i] and i != own:
                continue
            a = radius * P[i]
            b = radius * Q[i]
            c = t - B[i]
            square = a * a + b * b
            if square <= c * c or square < _FLAT:
                if c < 0.0:
                    count += 1
                continue
            if -a > c:
                count += 1
            root = np.sqrt(square - c * c)
            for sign in (1.0, -1.0):
                # Counterclockwise the row goes above at the first, below at the second.
                x = (c * a + sign * root * b) / square
                y = (c * b - sign * root * a) / square
                position[events] = 1.0 - x if y >= 0.0 else x - 1.0
                X[events] = x
                Y[events] = y
                row[events] = i
                rises[events] = sign > 0.0
                events += 1
        if events == 0:
            return LOST, done, q
        _sort(position, events, order, first)
        least = m + 1
        for z in range(events):
            e = order[z]
            if rises[e]:
                above[e] = count
                count += 1
            else:
                count -= 1
                above[e] = count
            least = min(least, above[e])
        chosen, _ = draw(above, events, least, q, m, _NEVER, U[done, 1], power)
        x = radius * X[chosen]
        y = radius * Y[chosen]
        for j in range(width):
            at[j] = B[j] + x * P[j] + y * Q[j]
        new = row[chosen]
        if new != own:
            if not _exchange(S, P, Q, k, new):
                return LOST, done, q
            fixed[own] = False
            fixed[new] = True
            tight[k] = new
        q *= cooling
        if above[chosen] < n:
            return BELOW, done + 1, q
    return SPENT, len(U), q
