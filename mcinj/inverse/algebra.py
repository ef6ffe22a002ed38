"""Affine functions of rational coordinates as matrices: equations solved, rows in other coordinates.

An affine function g·z + c of z in Q^d is the row (g, c) of d + 1 rationals, a list of them a matrix (`flint.fmpq_mat`).
A map w -> z is a matrix T of shape (d + 1, e + 1) whose last row is (0, …, 0, 1): rows over w are `rows * T`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import flint

Matrix = Any  # flint.fmpq_mat
Line = list[int]


def matrix(rows: Sequence[Sequence[Fraction | int]], columns: int) -> Matrix:
    """A `fmpq_mat` of shape `(len(rows), columns)`."""
    return flint.fmpq_mat(len(rows), columns, [flint.fmpq(v.numerator, v.denominator) for row in rows for v in row])


def identity(size: int) -> Matrix:
    """The identity."""
    return flint.fmpq_mat(size, size, [int(i == j) for i in range(size) for j in range(size)])


def chosen(rows: Matrix, indices: Iterable[int]) -> Matrix:
    """Some rows of a matrix, in the order given."""
    kept = list(indices)
    columns = rows.ncols()
    return flint.fmpq_mat(len(kept), columns, [rows[i, j] for i in kept for j in range(columns)])


def stacked(parts: Sequence[Matrix], columns: int) -> Matrix:
    """Matrices of `columns` columns below each other."""
    total = sum(part.nrows() for part in parts)
    return flint.fmpq_mat(total, columns, [v for part in parts for v in part.entries()])


def fraction(value: Any) -> Fraction:
    """The `Fraction` of a flint rational."""
    return Fraction(int(value.p), int(value.q))


def primitive_rows(rows: Matrix) -> list[Line]:
    """Every row times a positive rational that makes its entries integers without a common divisor."""
    result = []
    for row in rows.tolist():
        common = lcm(*(int(v.q) for v in row))
        line = [int(v.p) * (common // int(v.q)) for v in row]
        divisor = gcd(*line)
        result.append([v // divisor for v in line] if divisor > 1 else line)
    return result


def solutions(equations: Matrix) -> Matrix | None:
    """The map w -> z onto `{z : g·z + c = 0 for all rows}`, one to one; None if there is no z."""
    d = equations.ncols() - 1
    if equations.nrows() == 0:
        return identity(d + 1)
    reduced, r = equations.rref()
    pivots: list[int] = []
    for i in range(r):
        pivots.append(next(j for j in range(pivots[-1] + 1 if pivots else 0, d + 1) if reduced[i, j] != 0))
    if pivots and pivots[-1] == d:
        return None
    taken = set(pivots)
    free = [j for j in range(d) if j not in taken]
    result = flint.fmpq_mat(d + 1, len(free) + 1)
    for slot, j in enumerate(free):
        result[j, slot] = 1
    for i, pivot in enumerate(pivots):
        for slot, j in enumerate(free):
            result[pivot, slot] = -reduced[i, j]
        result[pivot, len(free)] = -reduced[i, d]
    result[d, len(free)] = 1
    return result
