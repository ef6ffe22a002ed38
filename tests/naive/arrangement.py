"""All open cells of a central arrangement, in integers, by its rays: no code of the package, no floating point."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations


def rank(rows):
    """Rank of rows of integers or fractions, by elimination."""
    rows = [[Fraction(v) for v in row] for row in rows]
    found = 0
    for c in range(len(rows[0]) if rows else 0):
        pivot = next((i for i in range(found, len(rows)) if rows[i][c] != 0), None)
        if pivot is None:
            continue
        rows[found], rows[pivot] = rows[pivot], rows[found]
        for i in range(found + 1, len(rows)):
            f = rows[i][c] / rows[found][c]
            rows[i] = [a - f * b for a, b in zip(rows[i], rows[found], strict=True)]
        found += 1
    return found


def _det(rows):
    if not rows:
        return 1
    return sum(
        (-1) ** j * v * _det([r[:j] + r[j + 1 :] for r in rows[1:]]) for j, v in enumerate(rows[0]) if v
    )


def cells(rows, n):
    """Sign vectors (tuples of ±1, 0 for zero rows) of all open cells; the rows are integer lists of rank n."""
    live = [i for i, r in enumerate(rows) if any(r)]
    if n == 0 or not live:
        return {tuple(0 for _ in rows)}
    if n == 1:
        return {tuple((s * r[0] > 0) - (s * r[0] < 0) for r in rows) for s in (1, -1)}
    rays = set()
    for subset in combinations(live, n - 1):
        v = [(-1) ** k * _det([rows[i][:k] + rows[i][k + 1 :] for i in subset]) for k in range(n)]
        if any(v):
            lead = next(abs(t) for t in v if t)
            rays.add(tuple(Fraction(t, lead) for t in v))
    result = set()
    for ray in rays:
        k = next(j for j, t in enumerate(ray) if t)
        for s in (1, -1):
            v = [s * t for t in ray]
            values = [sum(a * b for a, b in zip(r, v, strict=True)) for r in rows]
            zero = [i for i in live if values[i] == 0]
            around = cells([rows[i][:k] + rows[i][k + 1 :] for i in zero], n - 1)
            for local in around:
                signs = [(t > 0) - (t < 0) for t in values]
                for i, t in zip(zero, local, strict=True):
                    signs[i] = t
                result.add(tuple(signs))
    return result


def minimal_active_rank(rows, n, half_space=None):
    """Least rank of the active rows over all open cells (with `half_space·x < 0` if given), on the first n columns."""
    g = len(rows[0])
    everything = [list(r) for r in rows] + ([list(half_space)] if half_space is not None else [])
    if rank(everything) < g:
        return 0
    best = n
    for signs in cells(everything, g):
        if half_space is not None and signs[-1] > 0:
            continue
        best = min(best, rank([r[:n] for r, s in zip(rows, signs, strict=False) if s > 0]))
    return best
