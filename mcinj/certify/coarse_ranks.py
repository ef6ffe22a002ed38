"""Ranks on coarse cells modulo the prime 2^31 - 1: columns independent there are independent. Compiled.

Let s_u be 1 where hidden unit u is known to be nonnegative on cell a, else 0. Its output is `s_u z_u + e_u`, e_u = 0
for units whose sign is known. So the last layer's pre-activations are `R x + Σ_u V_u e_u`: R, V_u from weights and s.
T are units of the last layer that are positive on a or on b but at 0: at a collision they are equal in both copies.

* DIFFERENCES: with the s of a for both copies, units known alike in both differ by nothing else: on T
  `R (x - x') + Σ_u V_u d_u = 0`, u the other units. If these columns are independent, x = x'.
* BOTH: `R x - R' x' + Σ_u V_u e_u - Σ_u V'_u e'_u = 0` on T, u the units not known in a, in b. In the last hidden layer
  V_u = V'_u, and e_u - e'_u is one unknown. If the columns are independent, x = x' = 0; with biases (t is the same in
  both and not 0) there is no collision.
* On one cell, with a direction in the place of x - x', the first gives rank n of the Jacobian on all its regions; some
  units of the last hidden layer may be gone through (s_u = 0, 1) in the place of being unknown.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.certify.deep_linear import INNER

Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.int8]

_P = np.int64(2**31 - 1)
DIFFERENCES, BOTH = range(2)


class Cells(NamedTuple):
    """C coarse cells of a network of L layers of at most m units, H hidden ones, n inputs, g dimensions.

    m, first (L,): widths, numbers of a layer's first hidden unit. n (1,). STATE (C, H): 1, -1 or 0, MARK (C, m_L) as in
    `deep_state`, KID (C, 2), KIND (C,). W (L, m, max(m, g)): residues of the weights, unit by unit, from column to row.
    DONE (C,): whether its residues are there: R (C, g, m_L), HR (C, g, m): those of the last and of the last hidden
    layer's rows; V (C, H, m_L): responses to units of hidden layers but the last. A, B: scratch, PIV (·,) pivots.
    """

    m: Ints
    first: Ints
    n: Ints
    STATE: Bits
    MARK: Bits
    KID: Ints
    KIND: Ints
    W: Ints
    DONE: Bits
    R: Ints
    HR: Ints
    V: Ints
    A: Ints
    B: Ints
    PIV: Ints
    T: Ints


@njit(**INNER)
def _mod(x: int) -> int:
    """x modulo P, for 0 <= x < 2^63."""
    y = (x & _P) + (x >> 31)
    y = (y & _P) + (y >> 31)
    return int(y - _P if y >= _P else y)


@njit(**INNER)
def _inverse(x: int) -> int:
    """The inverse of x, not 0, modulo P: x^(P - 2)."""
    result = 1
    power = x
    e = _P - 2
    while e > 0:
        if e & 1:
            result = _mod(result * power)
        power = _mod(power * power)
        e >>= 1
    return result


@njit(**INNER)
def _take_out(a: Ints, e: int, first: int, last: int, pivot: int, size: int) -> None:
    """Column e times a number is taken from columns first … last - 1, so that entry `pivot` vanishes."""
    inverse = _inverse(a[e, pivot])
    for j in range(first, last):
        if a[j, pivot] != 0:
            f = _P - _mod(a[j, pivot] * inverse)
            for i in range(size):
                a[j, i] = _mod(a[j, i] + f * a[e, i])


@njit(**INNER)
def _pivot(a: Ints, e: int, size: int) -> int:
    for i in range(size):
        if a[e, i] != 0:
            return i
    return -1


@njit(**INNER)
def _independent(a: Ints, count: int, size: int) -> bool:
    """Whether the first `count` columns (they are rows of a), of `size` entries, are independent; they are used up."""
    if count > size:
        return False
    for e in range(count):
        pivot = _pivot(a, e, size)
        if pivot < 0:
            return False
        _take_out(a, e, e + 1, count, pivot, size)
    return True


@njit(**INNER)
def fill(t: Cells, a: int) -> None:
    """The residues of cell a."""
    if t.DONE[a]:
        return
    t.DONE[a] = 1
    L = t.m.shape[0]
    g = t.R.shape[1]
    last = t.m[L - 1]
    now = t.A
    for q in range(g):
        for i in range(t.m[0]):
            now[q, i] = t.W[0, i, q]
    for k in range(1, L):
        if k == L - 1:
            for q in range(g):
                for i in range(t.m[k - 1]):
                    t.HR[a, q, i] = now[q, i]
        for q in range(g):
            for j in range(t.m[k]):
                value = 0
                for i in range(t.m[k - 1]):
                    if t.STATE[a, t.first[k - 1] + i] > 0:
                        value = _mod(value + t.W[k, j, i] * now[q, i])
                t.B[q, j] = value
        for q in range(g):
            for j in range(t.m[k]):
                now[q, j] = t.B[q, j]
    for q in range(g):
        for j in range(last):
            t.R[a, q, j] = now[q, j]
    for k in range(L - 3, -1, -1):
        for i in range(t.m[k]):
            for j in range(last):
                t.V[a, t.first[k] + i, j] = 0
            for u in range(t.m[k + 1]):
                w = t.W[k + 1, u, i]
                if w != 0 and t.STATE[a, t.first[k + 1] + u] > 0:
                    for j in range(last):
                        v = t.W[L - 1, j, u] if k + 1 == L - 2 else t.V[a, t.first[k + 1] + u, j]
                        t.V[a, t.first[k] + i, j] = _mod(t.V[a, t.first[k] + i, j] + w * v)


@njit(**INNER)
def _common(t: Cells, a: int, b: int) -> int:
    """T, the last layer's units that are positive on a or on b; how many."""
    size = 0
    for j in range(t.MARK.shape[1]):
        if (t.MARK[a, j] | t.MARK[b, j]) & 1:
            t.T[size] = j
            size += 1
    return size


@njit(**INNER)
def _response(t: Cells, a: int, k: int, i: int, to: int, size: int) -> None:
    """Row `to` of A: what unit i of layer k adds to T."""
    L = t.m.shape[0]
    for s in range(size):
        t.A[to, s] = t.W[L - 1, t.T[s], i] if k == L - 2 else t.V[a, t.first[k] + i, t.T[s]]


@njit(**INNER)
def pair_closed(t: Cells, a: int, b: int, form: int) -> bool:
    """Whether the columns of one of the two forms are independent modulo P."""
    L = t.m.shape[0]
    fill(t, a)
    fill(t, b)
    size = _common(t, a, b)
    count = 0
    n = t.n[0]
    g = t.R.shape[1]
    for k in range(L - 1):
        for i in range(t.m[k]):
            one = t.STATE[a, t.first[k] + i]
            two = t.STATE[b, t.first[k] + i]
            if count > size:
                return False
            if form == DIFFERENCES:
                if one == 0 or one != two:
                    _response(t, a, k, i, count, size)
                    count += 1
                continue
            if one == 0 or (two == 0 and k == L - 2):
                _response(t, a, k, i, count, size)
                count += 1
            if two == 0 and k < L - 2:
                _response(t, b, k, i, count, size)
                count += 1
    for q in range(n):
        for s in range(size):
            t.A[count, s] = t.R[a, q, t.T[s]]
        count += 1
        if form == BOTH:
            for s in range(size):
                t.A[count, s] = t.R[b, q, t.T[s]]
            count += 1
    if form == BOTH and g > n:
        for s in range(size):
            t.A[count, s] = _mod(t.R[a, n, t.T[s]] + _P - t.R[b, n, t.T[s]])
        count += 1
    return bool(_independent(t.A, count, size))


@njit(**INNER)
def ranked(t: Cells, a: int, most: int) -> bool:
    """Whether the Jacobian has rank n on every region of cell a, modulo P; at most `most` units are gone through."""
    L = t.m.shape[0]
    n = t.n[0]
    fill(t, a)
    size = _common(t, a, a)
    unknown = 0
    before = 0
    for k in range(L - 1):
        for i in range(t.m[k]):
            if t.STATE[a, t.first[k] + i] == 0:
                unknown += 1
                before += k < L - 2
    tried = max(n + unknown - size, 0)
    if size < n or tried > most or (tried > 0 and before > 0):
        return False
    # Unknowns, then the rows over x, then units that are gone through.
    free = unknown - tried
    seen = 0
    for k in range(L - 1):
        for i in range(t.m[k]):
            if t.STATE[a, t.first[k] + i] == 0:
                _response(t, a, k, i, seen if seen < free else n + seen, size)
                if seen >= free:
                    t.PIV[seen - free] = i
                seen += 1
    for q in range(n):
        for s in range(size):
            t.A[free + q, s] = t.R[a, q, t.T[s]]
    for e in range(free):
        pivot = _pivot(t.A, e, size)
        if pivot < 0:
            return False
        _take_out(t.A, e, e + 1, n + unknown, pivot, size)
    for pattern in range(1 << tried):
        for q in range(n):
            for s in range(size):
                t.B[q, s] = t.A[free + q, s]
            for e in range(tried):
                if (pattern >> e) & 1:
                    f = t.HR[a, q, t.PIV[e]]
                    for s in range(size):
                        t.B[q, s] = _mod(t.B[q, s] + f * t.A[free + n + e, s])
        if not _independent(t.B, n, size):
            return False
    return True
