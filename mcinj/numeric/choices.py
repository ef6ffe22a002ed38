"""Is every choice of one row per set independent? A million choices in half a millisecond to one.

A leaf of an exact decision has declared rows and disjoint sets; a region of it has an active row in each set. Rank n is
proved where no choice is dependent on the others and the declared rows: all those determinants must differ from 0. They
are computed in floating point with a bound of every rounding. The few that the bound does not settle are taken modulo a
prime, one by one.

**The bound.** Let e_i be unit rows, known within ρ per entry. Rows are eliminated one after the other, each at its
largest coordinate: `v_j - v_p (u_j / u_p)`. A rounding error δ in coordinate j, which is no pivot yet, is an error δ in
coordinate j of the row in the beginning. So what is computed is exact for rows `e_i + Δ_i`, |Δ_ij| <= ρ + Σ 5 u V (V
the largest entry at each step, u = 2^-53), and by Hadamard's inequality their determinant is within
`n sqrt(n) max|Δ|`, but for a factor near 1, of the one in question. It is the product of the pivots, times what is
left: 4 x 4 determinants a ∧ b ∧ c ∧ d. The products c ∧ d are contracted along (`vectors.contracted`), with a
bound ω of their error. The last steps are done in float32.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.numeric.residues import rank_of
from mcinj.numeric.vectors import (
    INNER,
    TINY,
    Floats,
    Singles,
    cofactors,
    contracted,
    copy,
    copy_three,
    largest,
    least,
    length,
    length_of_six,
    pivot,
    place,
    quotient,
    single,
)

Ints = npt.NDArray[np.int64]

WIDEST = 20  # sets of two rows or more, at most: there are 2^20 choices then
NO, YES, OPEN = range(3)  # some choice is dependent (or looks so modulo the prime), none is, it was not found out
_LEAST = 1e-100  # product of pivots below which nothing is found out
_PAIRS = 256  # pairs of the last two sets, or products of three rows, that are looked at together
_LANES = 32  # their number is filled up to a multiple of this: loops become vector instructions without a rest
_TESTS = 512  # choices that may be taken modulo the prime in one leaf
_U = 2.0**-53
_U32 = 2.0**-24


class Choices(NamedTuple):
    """What `independent` works on.

    Attributes
    ----------
    E
        (n, ≥ m) rows of unit length, one row a column, and `RHO` (≥ m,) the largest error of an entry of each: those of
        the layer times a matrix that does not matter (`normalised`).
    Q
        (≥ m, n) residues of the rows modulo `residues.PRIME`, and `R` (≥ n, n) scratch.
    V
        (≥ 2 + WIDEST, n, ≥ m) scratch: rows modulo those chosen.
    P
        (≥ WIDEST, ·, pairs) scratch: products of pairs modulo those chosen.
    L
        (6, pairs) scratch: such products in float32.
    T
        (4, lanes) scratch: products of three rows in four coordinates.
    D
        (2, n, n) scratch: the rows of one choice.
    SCALE
        (≥ WIDEST + 1,) scratch: products of pivots.
    LINE
        (2, n + 1) scratch: the rows of a choice, how many were taken modulo the prime; the columns of a choice.
    """

    E: Floats
    RHO: Floats
    Q: Ints
    R: Ints
    V: Floats
    P: Floats
    L: Singles
    T: Singles
    D: Floats
    SCALE: Floats
    LINE: Ints

    @classmethod
    def of(cls, E: Floats, RHO: Floats, Q: Ints) -> Choices:
        """Rows as columns of E, shape (n, m), their errors and residues, with room to work."""
        n, m = E.shape
        widest = min(n, WIDEST)
        products = np.zeros((widest, widest * (widest - 1) // 2 + 1, _PAIRS))
        lanes = (np.zeros((6, _PAIRS), dtype=np.float32), np.zeros((4, _PAIRS), dtype=np.float32))
        R = np.zeros((n + 1, n), dtype=np.int64)
        line = np.zeros((2, n + 1), dtype=np.int64)
        return cls(
            E,
            RHO,
            Q,
            R,
            np.zeros((2 + widest, n, m + 16)),
            products,
            *lanes,
            np.zeros((2, n, n + 16)),
            np.zeros(WIDEST + 1),
            line,
        )


class _Part(NamedTuple):
    """Choices to go through: what they have in common, and which pairs of the last two sets are looked at.

    Attributes
    ----------
    members, start, sets, rank
        As `independent` has them. Row `members[k]` is column rank + k.
    base, width
        Columns modulo the declared rows and those of sets of one row, with `width` coordinates and sets left.
    top, bar
        The largest entry of these; what a determinant of all rows must exceed.
    done, pairs, full
        Pairs done before, present ones, their number filled up.
    """

    members: Ints
    start: Ints
    sets: int
    rank: int
    base: Floats
    width: int
    top: float
    bar: float
    done: int
    pairs: int
    full: int


@njit(no_cfunc_wrapper=True, _nrt=False)
def independent(choices: Choices, declared: Ints, rank: int, members: Ints, start: Ints, sets: int, pos: Ints) -> int:
    """Whether the declared rows and every choice of one row per set are independent; they are as many as columns.

    Depth first over the choices with shared prefixes: every choice takes a coordinate along. Of the last two sets the
    products c ∧ d are kept, so that what is left in the end are 4 x 4 determinants.

    Parameters
    ----------
    choices
        The rows.
    declared, rank
        The first `rank` entries are the declared rows, n = rank + sets.
    members, start
        Set l is `members[start[l]:start[l + 1]]`; no row in two sets. Small sets first, for short work.
    pos
        Scratch, at least sets + 1 entries.

    Returns
    -------
    NO, YES or OPEN; OPEN too where more than `WIDEST` sets have two rows or more.
    """
    E, V, line = choices.E, choices.V, choices.LINE
    n = E.shape[0]
    if rank + sets != n:
        return NO
    total = rank + start[sets]
    error = 0.0
    for i in range(total):
        row = declared[i] if i < rank else members[i - rank]
        error = max(error, choices.RHO[row])
        for j in range(n):
            V[0, j, i] = E[j, row]
    # Sets of one row are as good as declared. V[0] and V[1] take turns.
    first = 0
    while first < sets and start[first + 1] - start[first] == 1:
        first += 1
    known = rank + first
    width = sets - first
    if width > WIDEST:
        return OPEN
    now = 0
    scale = 1.0
    line[0, n] = 0
    for i in range(known):
        line[0, i] = declared[i] if i < rank else members[i - rank]
        p = pivot(V[now], i, n - i)
        scale *= abs(V[now, p, i])
        if not scale > _LEAST:
            return OPEN
        error += 5.0 * _U * largest(V[now], n - i, i, total)
        quotient(V[now], V[1 - now], n - i, i, p, i + 1, total)
        now = 1 - now
    choices.SCALE[0] = scale
    top = largest(V[now], width, known, total)
    error += 5.0 * _U * 2.0**width * top  # of all steps to come, in which entries at most double
    bar = 1.1 * n * np.sqrt(float(n)) * error
    if not bar < 0.01:
        return OPEN
    pairs = 1
    if width > 1:
        pairs = (start[sets - 1] - start[sets - 2]) * (start[sets] - start[sets - 1])
    for done in range(0, pairs, _PAIRS):
        count = min(pairs - done, _PAIRS)
        full = (count + _LANES - 1) // _LANES * _LANES
        part = _Part(members, start, sets, rank, V[now], width, top, bar, done, count, full)
        if width == 0:
            return _alone(choices, part)
        if width == 1:
            for i in range(known, total):
                line[1, known] = i
                verdict = _alone(choices, part)
                if verdict != YES:
                    return verdict
            return YES
        _products(part, choices.P[0])
        verdict = _through(choices, part, pos)
        if verdict != YES:
            return verdict
    return YES


@njit(**INNER)
def _alone(choices: Choices, part: _Part) -> int:
    """Whether the choice in LINE is independent, in float64 or modulo the prime; OPEN if too many came to that."""
    line, D = choices.LINE, choices.D
    n = line.shape[1] - 1
    known = n - part.width
    scale = choices.SCALE[0]
    for i in range(part.width):
        for j in range(part.width):
            D[0, j, i] = part.base[j, line[1, known + i]]
    for i in range(part.width):
        v = D[i & 1]
        p = pivot(v, i, part.width - i)
        scale *= abs(v[p, i])
        if not scale > part.bar:
            break
        quotient(v, D[1 - (i & 1)], part.width - i, i, p, i + 1, part.width)
    if scale > part.bar:
        return YES
    if line[0, n] == _TESTS:
        return OPEN
    line[0, n] += 1
    for i in range(known, n):
        line[0, i] = part.members[line[1, i] - part.rank]
    return YES if rank_of(choices.Q, line[0], n, choices.R) == n else NO


@njit(**INNER)
def _pair_alone(choices: Choices, part: _Part, k: int) -> int:
    """The same of the choice with pair k of `part`; its other columns stand in LINE."""
    n = choices.LINE.shape[1] - 1
    middle = part.rank + part.start[part.sets - 1]
    last = part.rank + part.start[part.sets] - middle
    choices.LINE[1, n - 2] = part.rank + part.start[part.sets - 2] + (part.done + k) // last
    choices.LINE[1, n - 1] = middle + (part.done + k) % last
    return _alone(choices, part)


@njit(**INNER)
def _products(part: _Part, w: Floats) -> None:
    """w = c ∧ d for the pairs of `part`, filled up with the first of them."""
    v = part.base
    third = part.rank + part.start[part.sets - 2]
    fourth = part.rank + part.start[part.sets - 1]
    last = part.rank + part.start[part.sets] - fourth
    for a in range(part.width):
        for b in range(a + 1, part.width):
            out = w[place(a, b, part.width)]
            i = third + part.done // last
            j = part.done % last
            for k in range(part.pairs):
                out[k] = v[a, i] * v[b, fourth + j] - v[b, i] * v[a, fourth + j]
                j += 1
                if j == last:
                    j = 0
                    i += 1
            for k in range(part.pairs, part.full):
                out[k] = out[0]


@njit(**INNER)
def _through(choices: Choices, part: _Part, pos: Ints) -> int:
    """Whether no choice of the sets before the last two is dependent with a pair of `part`; their products are P[0]."""
    V, P, L = choices.V, choices.P, choices.L
    start, rank = part.start, part.rank
    first = part.sets - part.width
    end = rank + start[part.sets - 2]
    level = 0
    pos[0] = 0
    while level >= 0:
        at = part.width - level
        v = part.base if level == 0 else V[1 + level]
        w = P[level]
        # Error of a product: entries and errors grow by three at most in each step.
        omega = 3.0**level * _U * part.top * part.top * (4.0 + 7.0 * level)
        if at == 2:
            for k in range(part.pairs):
                if not abs(w[0, k]) > part.bar / choices.SCALE[0] + omega:
                    verdict = _pair_alone(choices, part, k)
                    if verdict != YES:
                        return verdict
            return YES
        low = rank + start[first + level]
        high = rank + start[first + level + 1]
        if at <= 4:
            if level == 0:
                copy(w, L, 6 if at == 4 else 3, part.full)
            verdict = _last(choices, part, at, v, low, high if at == 4 else low, end,
                            part.bar / choices.SCALE[level], omega)  # fmt: skip
            if verdict != YES:
                return verdict
            level -= 1
            continue
        i = low + pos[level]
        if i == high:
            level -= 1
            continue
        pos[level] += 1
        p = pivot(v, i, at)
        choices.SCALE[level + 1] = choices.SCALE[level] * abs(v[p, i])
        if not choices.SCALE[level + 1] > _LEAST:
            return OPEN
        choices.LINE[1, rank + first + level] = i
        quotient(v, V[2 + level], at, i, p, high, end)
        if at == 5:
            contracted(w, L, at, v, i, p, part.full)
        else:
            contracted(w, P[level + 1], at, v, i, p, part.full)
        level += 1
        pos[level] = 0
    return YES


@njit(**INNER)
def _last(choices: Choices, part: _Part, at: int, v: Floats, low: int, middle: int, high: int, bar: float,
          omega: float) -> int:  # fmt: skip
    """In four coordinates: whether no a in v[:, middle:high], b in v[:, low:middle] and pair c ∧ d in L are dependent.

    In three there is no b. Two a at a time meet hundreds of b ∧ c ∧ d in float32. For lengths up to A, B and W and
    η = 2^-24: rounding b, c ∧ d, three products and two sums make an error of 5 η Σ |b| |c ∧ d| in a coordinate, of
    length 5 sqrt(3) η B W at most; rounding a, four products and three sums 5 η A B W. ω, the error of L before it was
    rounded, becomes 2 sqrt(3) A B ω.
    """
    T = choices.T
    full = part.full
    scale = length(v, at, middle, high)
    if at == 4:
        scale *= length(v, 4, low, middle)
    near = np.float32((bar + 4.0 * scale * omega + 15.0 * _U32 * scale * length_of_six(choices.L, full)) * 1.000001
                      + TINY)  # fmt: skip
    b = low
    while True:
        begin = b
        run = 0
        if at == 3:
            copy_three(choices.L, T, full)
            run = part.pairs
        while b < middle and run + full <= T.shape[1]:
            cofactors(choices.L, v, b, T, run, full)
            run += part.pairs  # the rest is overwritten by the next
            b += 1
        lanes = (run + _LANES - 1) // _LANES * _LANES
        for j in range(4):
            for k in range(run, lanes):
                T[j, k] = T[j, 0]
        for i in range(middle, high, 2):
            a = min(i + 1, high - 1)
            if least(T, single(v, i, at), single(v, a, at), lanes) > near:
                continue
            for c in range(i, a + 1):
                verdict = _look(choices, part, at, v, c, begin, run, near)
                if verdict != YES:
                    return verdict
        if b >= middle:
            return YES


@njit(**INNER)
def _look(choices: Choices, part: _Part, at: int, v: Floats, a: int, begin: int, run: int, near: np.float32) -> int:
    """Column a and `run` products in T, of column `begin` and the next with all pairs: those that are near, alone."""
    T, line = choices.T, choices.LINE
    n = line.shape[1] - 1
    x, y, z, t = single(v, a, at)
    for i in range(run):
        k = i % part.pairs
        if abs(x * T[0, i] + y * T[1, i] + z * T[2, i] + t * T[3, i]) > near:
            continue
        line[1, n - 3] = a
        if at == 4:
            line[1, n - 4] = begin + i // part.pairs
        verdict = _pair_alone(choices, part, k)
        if verdict != YES:
            return verdict
    return YES


def normalised(units: Floats) -> tuple[Floats, Floats]:
    """Rows and errors for `Choices`, from the input parts of rows, shape (m, n), each entry known within 3 roundings.

    Rows are multiplied with a matrix R that makes them look the same in all directions, which changes no dependence,
    and divided by their lengths. A product of length n has an error below (n + 4) u Σ |w| |R|, in any order.
    """
    n = units.shape[1]
    R = np.eye(n)
    top = np.abs(units).max(axis=1, initial=0.0)
    busy = top > 1e-200
    units = units / np.where(busy, top, 1.0)[:, None]  # squares of smaller entries leave the range
    if busy.any():
        even = units[busy] / np.linalg.norm(units[busy], axis=1)[:, None]
        values, vectors = np.linalg.eigh(even.T @ even)
        if values[0] > 1e-8 * values[-1]:
            R = vectors / np.sqrt(values)
    size = np.abs(units) @ np.abs(R)
    rows = units @ R
    lengths = np.linalg.norm(rows, axis=1)
    busy &= lengths > 1e-100
    safe = np.where(busy, lengths, 1.0)[:, None]
    # What entries below the range have lost is below 1e-100 after the division by `top`.
    error = np.where(busy, ((n + 8) * _U * size / safe + 1e-100 * n / safe).max(axis=1, initial=0.0), 1.0)
    return np.ascontiguousarray((rows / safe).T), error
