"""The Jacobian at a point, in fractions: ReLU, or leaky ReLUs of one slope."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from naive.verdicts import Matrix

Gram = list[list[Fraction]]


def gram(
    weights: Sequence[Matrix], biases: Sequence[Sequence[Fraction]] | None, x: Sequence[Fraction],
    slope: Fraction = Fraction(0),
) -> Gram:  # fmt: skip
    """JᵀJ at a point inside of a region."""
    n, h = len(x), list(x)
    rows = [[Fraction(int(i == j)) for j in range(n)] for i in range(n)]
    for k, w in enumerate(weights):
        b = [Fraction(0)] * len(w) if biases is None else biases[k]
        z = [sum((u * v for u, v in zip(row, h)), c) for row, c in zip(w, b)]
        factors = [Fraction(1) if u > 0 else slope for u in z]
        rows = [
            [f * sum((u * r[j] for u, r in zip(row, rows)), Fraction(0)) for j in range(n)]
            for f, row in zip(factors, w)
        ]
        h = [f * u for f, u in zip(factors, z)]
    return [[sum((r[i] * r[j] for r in rows), Fraction(0)) for j in range(n)] for i in range(n)]


def reaches(g: Gram, square: Fraction, strictly: bool = False) -> bool:
    """Whether both (or the only) eigenvalues are at least the square, or above it."""
    a = g[0][0] - square
    if len(g) == 1:
        return a > 0 if strictly else a >= 0
    d = g[1][1] - square
    det = a * d - g[0][1] * g[1][0]
    return (a > 0 and det > 0) if strictly else (a >= 0 and d >= 0 and det >= 0)
