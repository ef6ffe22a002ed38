"""Is every choice of one row per set independent? A million choices in a fraction of a millisecond.

A leaf of an exact decision has declared rows and disjoint sets; a region of it has an active row in each set. Rank n is
proved where no choice is dependent on the others and the declared rows: all those determinants must differ from 0.
They are taken modulo the prime 2^26 - 5, in float64: products of two residues of least absolute value are below
2^50, so sums of a few of them are exact, and every processor has vector instructions for such loops. What is not 0
modulo a prime is not 0. An independent choice that vanishes modulo it (probability 1.5e-8 each) only leaves the leaf
open.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FIELD = 2**26 - 5
_P = float(FIELD)
_INVERSE = 1.0 / FIELD
# x + _ROUND - _ROUND is x rounded to an integer, for |x| < 2^51.
_ROUND = 1.5 * 2.0**52

WIDEST = 20  # sets of two rows or more, at most: there are 2^20 choices then
_PAIRS = 256  # pairs of the last two sets that are looked at together


class Choices(NamedTuple):
    """What `independent` works on.

    Attributes
    ----------
    E
        (n, ≥ m) residues of all rows, one row a column (`centered`).
    V
        (≥ 2 + WIDEST, n, ≥ m) scratch: rows modulo those chosen.
    P
        (≥ WIDEST, ·, pairs) scratch: products of pairs modulo those chosen.
    T
        (4, ≥ pairs) scratch: products of three rows in the last four coordinates.
    """

    E: Floats
    V: Floats
    P: Floats
    T: Floats

    @classmethod
    def of(cls, E: Floats) -> Choices:
        """Residues of shape (n, m), with room to work."""
        n, m = E.shape
        widest = min(n, WIDEST)
        products = np.zeros((widest, widest * (widest - 1) // 2 + 1, _PAIRS))
        return cls(E, np.zeros((2 + widest, n, m)), products, np.zeros((4, 8 * _PAIRS)))


# Not "reassoc": `_ROUND` would go. Everything is exact in integers, contracted or not.
_EXACT = {"nnan", "nsz", "contract"}
EXACT_INNER: dict[str, Any] = {"fastmath": _EXACT, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}


@njit(**EXACT_INNER)
def reduced(x: float) -> float:
    """The residue of the integer x, |x| < 2^52, of least absolute value."""
    q = x * _INVERSE + _ROUND
    q -= _ROUND
    return x - q * _P


@njit(**EXACT_INNER)
def _combined(x: Floats, y: Floats, z: Floats, a: float, b: float, c: float, out: Floats, count: int) -> None:
    """out = a x + b y + c z, the first `count` entries."""
    for i in range(count):
        out[i] = reduced(a * x[i] + b * y[i] + c * z[i])


@njit(**EXACT_INNER)
def _zeros(x: Floats, y: Floats, z: Floats, a: float, b: float, c: float, count: int) -> int:
    """How many of a x + b y + c z vanish. (A sum of integers becomes vector instructions, a minimum does not.)"""
    zeros = 0
    for i in range(count):
        zeros += reduced(a * x[i] + b * y[i] + c * z[i]) == 0.0
    return zeros


@njit(**EXACT_INNER)
def _zeros_of_four(t: Floats, a: float, b: float, c: float, d: float, count: int) -> int:
    """How many of a t_0 + b t_1 + c t_2 + d t_3 vanish."""
    x, y, z, w = t[0], t[1], t[2], t[3]
    zeros = 0
    for i in range(count):
        zeros += reduced(a * x[i] + b * y[i] + c * z[i] + d * w[i]) == 0.0
    return zeros


@njit(**EXACT_INNER)
def _pivot(v: Floats, i: int, width: int) -> int:
    """The first of `width` coordinates in which column i of v is not 0, -1 if there is none."""
    for j in range(width):
        if v[j, i] != 0.0:
            return j
    return -1


@njit(**EXACT_INNER)
def _quotient(v: Floats, out: Floats, width: int, i: int, pivot: int, low: int, high: int) -> None:
    """Columns low … high - 1 of `out`: those of v modulo its column i, with one coordinate less."""
    p = v[pivot, i]
    k = 0
    for j in range(width):
        if j != pivot:
            f = v[j, i]
            for h in range(low, high):
                out[k, h] = reduced(v[j, h] * p - v[pivot, h] * f)
            k += 1


@njit(**EXACT_INNER)
def _place(i: int, j: int, width: int) -> int:
    """Where the coordinate i < j of a product c ∧ d of vectors of `width` coordinates stands."""
    return i * (2 * width - i - 1) // 2 + j - i - 1


@njit(**EXACT_INNER)
def _contracted(w: Floats, out: Floats, width: int, v: Floats, i: int, pivot: int, count: int) -> None:
    """The products c ∧ d in w modulo column u = v[:, i], up to a factor, without coordinate p (the pivot).

    They are u_p w_ab - u_a w_pb + u_b w_pa for a < b; w_pb = -w_bp is stored where b < p.
    """
    p = v[pivot, i]
    k = 0
    for a in range(width):
        if a == pivot:
            continue
        x = w[_place(min(a, pivot), max(a, pivot), width)]
        for b in range(a + 1, width):
            if b == pivot:
                continue
            y = w[_place(min(b, pivot), max(b, pivot), width)]
            of_x = v[b, i] if pivot < a else -v[b, i]
            of_y = -v[a, i] if pivot < b else v[a, i]
            _combined(w[_place(a, b, width)], x, y, p, of_x, of_y, out[k], count)
            k += 1


@njit(no_cfunc_wrapper=True, _nrt=False)
def independent(choices: Choices, declared: Ints, rank: int, members: Ints, start: Ints, sets: int, pos: Ints) -> bool:
    """Whether the declared rows and every choice of one row per set are independent; they are as many as columns.

    Depth first over the choices with shared prefixes: every choice takes a coordinate along. Of the last two sets the
    products c ∧ d are kept, so that what is left in the end are 4 x 4 determinants, hundreds in one loop.

    Parameters
    ----------
    choices
        The rows; its residues stay as they are.
    declared, rank
        The first `rank` entries are the declared rows, n = rank + sets.
    members, start
        Set l is `members[start[l]:start[l + 1]]`; no row in two sets. Small sets first, for short work.
    pos
        Scratch, at least sets + 1 entries.

    Returns
    -------
    False too where more than `WIDEST` sets have two rows or more.
    """
    E, V, P = choices.E, choices.V, choices.P
    n = E.shape[0]
    if rank + sets != n:
        return False
    total = rank + start[sets]
    for j in range(n):
        e = E[j]
        for i in range(rank):
            V[0, j, i] = e[declared[i]]
        for i in range(rank, total):
            V[0, j, i] = e[members[i - rank]]
    # Sets of one row are as good as declared. V[0] and V[1] take turns.
    first = 0
    while first < sets and start[first + 1] - start[first] == 1:
        first += 1
    now = 0
    for i in range(rank + first):
        pivot = _pivot(V[now], i, n - i)
        if pivot < 0:
            return False
        _quotient(V[now], V[1 - now], n - i, i, pivot, i + 1, total)
        now = 1 - now
    width = sets - first
    if width == 0:
        return True
    if width > WIDEST:
        return False
    v = V[now]
    if width == 1:
        for i in range(rank + start[first], total):  # noqa: SIM110
            if v[0, i] == 0.0:
                return False
        return True
    third = rank + start[sets - 2]
    fourth = rank + start[sets - 1]
    last = total - fourth
    pairs = (fourth - third) * last
    done = 0
    while done < pairs:
        count = min(pairs - done, P.shape[2])
        _products(v, width, third, fourth, last, done, count, P[0])
        if not _through(V, now, P, choices.T, width, start, first, rank, pos, count):
            return False
        done += count
    return True


@njit(**EXACT_INNER)
def _last_two(v: Floats, w: Floats, low: int, middle: int, high: int, T: Floats, count: int) -> bool:
    """In four coordinates: whether no a and b, columns of two sets of v, and pair c ∧ d in w are dependent."""
    b = middle
    while b < high:
        done = 0
        while b < high and done + count <= T.shape[1]:
            # The coordinates of b ∧ c ∧ d.
            p, q, r, s = v[0, b], v[1, b], v[2, b], v[3, b]
            _combined(w[5], w[4], w[3], q, -r, s, T[0, done:], count)
            _combined(w[5], w[2], w[1], -p, r, -s, T[1, done:], count)
            _combined(w[4], w[2], w[0], p, -q, s, T[2, done:], count)
            _combined(w[3], w[1], w[0], -p, q, -r, T[3, done:], count)
            done += count
            b += 1
        for a in range(low, middle):
            if _zeros_of_four(T, v[0, a], v[1, a], v[2, a], v[3, a], done) > 0:
                return False
    return True


@njit(**EXACT_INNER)
def _products(v: Floats, width: int, third: int, fourth: int, last: int, done: int, count: int, w: Floats) -> None:
    """w = c ∧ d for pairs done … done + count - 1 of the last two sets."""
    for a in range(width):
        for b in range(a + 1, width):
            out = w[_place(a, b, width)]
            i = third + done // last
            j = done % last
            for k in range(count):
                out[k] = reduced(v[a, i] * v[b, fourth + j] - v[b, i] * v[a, fourth + j])
                j += 1
                if j == last:
                    j = 0
                    i += 1


@njit(**EXACT_INNER)
def _through(
    V: Floats, now: int, P: Floats, T: Floats, width: int, start: Ints, first: int, rank: int, pos: Ints, count: int
) -> bool:
    """Whether no choice from the sets before the last two is dependent with one of `count` pairs (P[0])."""
    if width == 2:
        return _zeros(P[0, 0], P[0, 0], P[0, 0], 1.0, 0.0, 0.0, count) == 0
    end = rank + start[first + width - 2]
    level = 0
    pos[0] = 0
    while level >= 0:
        at = width - level
        v = V[now] if level == 0 else V[1 + level]
        w = P[level]
        low = rank + start[first + level]
        high = rank + start[first + level + 1]
        if at == 3:
            for i in range(low, high):
                # u ∧ c ∧ d
                if _zeros(w[0], w[1], w[2], v[2, i], -v[1, i], v[0, i], count) > 0:
                    return False
            level -= 1
            continue
        if at == 4:
            if not _last_two(v, w, low, high, end, T, count):
                return False
            level -= 1
            continue
        i = low + pos[level]
        if i == high:
            level -= 1
            continue
        pos[level] += 1
        pivot = _pivot(v, i, at)
        if pivot < 0:
            return False
        _quotient(v, V[2 + level], at, i, pivot, high, end)
        _contracted(w, P[level + 1], at, v, i, pivot, count)
        level += 1
        pos[level] = 0
    return True


def centered(rows: Ints) -> Floats:
    """(n, m) residues of least absolute value, one row of `rows` (m, n) a column; `rows` are residues modulo FIELD."""
    return np.ascontiguousarray(np.where(rows > FIELD // 2, rows - FIELD, rows).T.astype(np.float64))
