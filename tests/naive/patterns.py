"""Polyhedra of activation patterns by brute force, in rationals: elimination, and least norms over all faces."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import combinations, product

from mcinj.networks import Network

Row = tuple[list[Fraction], Fraction]


def nonempty(equal: list[Row], below: list[Row], strict: list[Row], n: int) -> bool:
    """Whether `g·x = h`, `<= h`, `< h` has a solution, by Fourier and Motzkin's elimination."""
    rows = [(g, h, False) for g, h in below] + [(g, h, True) for g, h in strict]
    rows += [(g, h, False) for g, h in equal] + [([-v for v in g], -h, False) for g, h in equal]
    for j in range(n):
        up = [r for r in rows if r[0][j] > 0]
        down = [r for r in rows if r[0][j] < 0]
        kept = {(tuple(g), h, s) for g, h, s in rows if g[j] == 0}
        for g, h, s in up:
            for g2, h2, s2 in down:
                a, b = -g2[j], g[j]
                mixed = [a * u + b * v for u, v in zip(g, g2, strict=True)]
                scale = max([abs(v) for v in mixed if v], default=Fraction(1))
                kept.add((tuple(v / scale for v in mixed), (a * h + b * h2) / scale, s or s2))
        rows = [(list(g), h, s) for g, h, s in kept]
    return all(h > 0 if s else h >= 0 for _, h, s in rows)


def affine(net: Network, pattern: tuple[tuple[bool, ...], ...], slope: Fraction = Fraction(0)) -> list[list[Row]]:
    """Pre-activations `g·x - h` of all layers on a pattern of the hidden units."""
    n = net.n
    points = [[Fraction(0)] * n] + [[Fraction(int(i == j)) for i in range(n)] for j in range(n)]
    values = []
    for x in points:
        v, layers = list(x), []
        for k, w in enumerate(net.exact_weights):
            b = net.exact_biases[k] if net.exact_biases is not None else [Fraction(0)] * len(w)
            z = [
                sum((a * c for a, c in zip(row, v, strict=True)), Fraction(0)) + t for row, t in zip(w, b, strict=True)
            ]
            layers.append(z)
            v = [t if on else slope * t for t, on in zip(z, (*pattern, (True,) * len(w))[k], strict=True)]
        values.append(layers)
    return [
        [([values[j + 1][k][i] - values[0][k][i] for j in range(n)], -values[0][k][i]) for i in range(m)]
        for k, m in enumerate(net.widths)
    ]


def solve(a: list[list[Fraction]], b: list[Fraction]) -> list[Fraction] | None:
    """Some solution of a x = b by elimination; None: there is none."""
    n = len(a[0]) if a else 0
    rows = [[*r, v] for r, v in zip(a, b, strict=True)]
    pivots: list[int] = []
    for j in range(n):
        k = len(pivots)
        i = next((i for i in range(k, len(rows)) if rows[i][j]), None)
        if i is None:
            continue
        rows[k], rows[i] = rows[i], rows[k]
        rows[k] = [v / rows[k][j] for v in rows[k]]
        for r in range(len(rows)):
            if r != k and rows[r][j]:
                f = rows[r][j]
                rows[r] = [p - f * q for p, q in zip(rows[r], rows[k], strict=True)]
        pivots.append(j)
    if any(r[-1] for r in rows[len(pivots) :]):
        return None
    x = [Fraction(0)] * n
    for k, j in enumerate(pivots):
        x[j] = rows[k][-1]
    return x


def least_squares(terms: list[Row], equal: list[Row], below: list[Row], n: int) -> Fraction | None:
    """`min Σ (g·x - h)²` over terms, subject to `g·x = h`, `g·x <= h`: the least over all faces; None: no point."""
    best: Fraction | None = None
    for size in range(min(n, len(below)) + 1):
        for face in combinations(below, size):
            rows = [*equal, *face]
            # Stationary points: A^T A x + G^T l = A^T b, G x = h.
            gram = [[sum((g[i] * g[j] for g, _ in terms), Fraction(0)) for j in range(n)] for i in range(n)]
            matrix = [[*gram[i], *(g[i] for g, _ in rows)] for i in range(n)]
            matrix += [[*g, *([Fraction(0)] * len(rows))] for g, _ in rows]
            right = [sum((g[i] * h for g, h in terms), Fraction(0)) for i in range(n)] + [h for _, h in rows]
            x = solve(matrix, right)
            if x is None or any(_dot(g, x) > h for g, h in below):
                continue
            value = sum(((_dot(g, x) - h) ** 2 for g, h in terms), Fraction(0))
            best = value if best is None or value < best else best
    return best


def least_norm(equal: list[Row], below: list[Row], n: int) -> Fraction:
    """Least |x|² over a polyhedron that is not empty."""
    unit: list[Row] = [([Fraction(int(i == j)) for j in range(n)], Fraction(0)) for i in range(n)]
    found = least_squares(unit, equal, below, n)
    assert found is not None
    return found


def _dot(g: list[Fraction], x: list[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(g, x[: len(g)], strict=True)), Fraction(0))


def conditions(
    net: Network, y: list[Fraction], slope: Fraction = Fraction(0)
) -> Iterator[tuple[list[Row], list[Row], list[Row]]]:
    """Per pattern of the hidden units the equations, inequalities and strict inequalities of the inputs behind y."""
    for flat in product([False, True], repeat=sum(net.widths[:-1])):
        pattern, start = [], 0
        for m in net.widths[:-1]:
            pattern.append(flat[start : start + m])
            start += m
        rows = affine(net, tuple(pattern), slope)
        below: list[Row] = []
        strict: list[Row] = []
        for signs, layer in zip(pattern, rows, strict=False):
            for on, (g, h) in zip(signs, layer, strict=True):
                if on:
                    strict.append(([-v for v in g], -h))
                else:
                    below.append((g, h))
        equal = []
        for (g, h), v in zip(rows[-1], y, strict=True):
            if v > 0 or slope:
                equal.append((g, h + (v if v > 0 else v / slope if slope else v)))
            else:
                below.append((g, h))
        yield equal, below, strict


def consistent_patterns(net: Network, y: list[Fraction], extra: list[Row] | None = None) -> int:
    """Patterns of the hidden units (positive or not) with an input whose output is y; `extra`: strict conditions."""
    return sum(nonempty(equal, below, strict + (extra or []), net.n) for equal, below, strict in conditions(net, y))


def others(net: Network, y: list[Fraction], x: tuple[Fraction, ...]) -> bool:
    """Whether some input with a coordinate above or below that of x has output y, by brute force."""
    for i, sign in product(range(net.n), (1, -1)):
        g = [Fraction(-sign * int(i == j)) for j in range(net.n)]
        if consistent_patterns(net, y, [(g, -sign * x[i])]):
            return True
    return False
