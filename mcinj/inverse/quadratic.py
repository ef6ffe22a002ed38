"""Least squares over a polyhedron, exactly: `min |J w + c|²` with `g·w + e <= 0` for all rows (g, e).

The Karush–Kuhn–Tucker conditions are a linear complementarity problem whose matrix is positive semidefinite. The
least-index criss-cross method (den Hertog, Roos and Terlaky, Linear Algebra Appl. 187, 1993) solves such problems in
finitely many rational pivots, without assumptions on rank or degeneracy. Rows enter it only once they are violated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from mcinj.inverse.algebra import Matrix, chosen, fraction
from mcinj.networks.network import FractionVector

Number = Any  # flint.fmpq
_AT_ONCE = 4  # violated rows that enter at a time


@dataclass(frozen=True)
class Minimum:
    """A minimiser and `|J w + c|²` there."""

    point: FractionVector
    value: Fraction


def least_squares(terms: Matrix, rows: Matrix) -> Minimum | None:
    """A minimiser of the sum of squares of the affine functions `terms` where all of `rows` are <= 0; None: no point.

    Both have d + 1 columns, (g, c) for g·w + c (`mcinj.inverse.algebra`).
    """
    d = terms.ncols() - 1
    problem = _Problem(terms)
    kept: list[int] = []
    while True:
        point = problem.solve(chosen(rows, kept))
        if point is None:
            return None
        column = flint.fmpq_mat(d + 1, 1, [*point, 1])
        values = (rows * column).entries()
        worst = sorted((i for i, v in enumerate(values) if v > 0), key=lambda i: _size(rows, i, values[i]))
        if not worst:
            value = sum((v * v for v in (terms * column).entries()), flint.fmpq(0))
            return Minimum(tuple(fraction(v) for v in point), fraction(value))
        kept += [i for i in worst[:_AT_ONCE] if i not in kept]


def _size(rows: Matrix, i: int, value: Number) -> tuple[Number, int]:
    """Sorts violated rows: most violated first, relative to the row's largest entry (no float may hold the ratio)."""
    top = max(abs(rows[i, j]) for j in range(rows.ncols()))
    return -value / top, i


class _Problem:
    """One objective with changing rows. w = B u + K v: unit vectors B on which J has full column rank, J K = 0."""

    def __init__(self, terms: Matrix) -> None:
        d = terms.ncols() - 1
        self.d = d
        jacobian = flint.fmpq_mat(terms.nrows(), d, [terms[i, j] for i in range(terms.nrows()) for j in range(d)])
        reduced, rank = jacobian.rref() if terms.nrows() and d else (jacobian, 0)
        self.pivots: list[int] = []
        for i in range(rank):
            start = self.pivots[-1] + 1 if self.pivots else 0
            self.pivots.append(next(j for j in range(start, d) if reduced[i, j] != 0))
        free = [j for j in range(d) if j not in set(self.pivots)]
        self.kernel = flint.fmpq_mat(d, len(free))
        for slot, j in enumerate(free):
            self.kernel[j, slot] = 1
            for i, pivot in enumerate(self.pivots):
                self.kernel[pivot, slot] = -reduced[i, j]
        full = flint.fmpq_mat(terms.nrows(), rank, [terms[i, j] for i in range(terms.nrows()) for j in self.pivots])
        constant = flint.fmpq_mat(terms.nrows(), 1, [terms[i, d] for i in range(terms.nrows())])
        if rank:
            self.inverse = (full.transpose() * full).inv()
            self.best = -1 * (self.inverse * (full.transpose() * constant))
        else:
            self.inverse, self.best = flint.fmpq_mat(0, 0), flint.fmpq_mat(0, 1)

    def solve(self, rows: Matrix) -> list[Number] | None:
        """A minimiser w subject to these rows; None if there is no point."""
        k, d, e = rows.nrows(), self.d, self.kernel.ncols()
        if k == 0:
            return self._point(self.best, [flint.fmpq(0)] * e)
        gradients = flint.fmpq_mat(k, d, [rows[i, j] for i in range(k) for j in range(d)])
        on_pivots = flint.fmpq_mat(k, len(self.pivots), [rows[i, j] for i in range(k) for j in self.pivots])
        on_kernel = gradients * self.kernel if e else flint.fmpq_mat(k, 0)
        spread = on_pivots * self.inverse * on_pivots.transpose() if self.pivots else flint.fmpq_mat(k, k)
        at_best = on_pivots * self.best if self.pivots else flint.fmpq_mat(k, 1)
        size = k + 2 * e
        table = [[flint.fmpq(0)] * size for _ in range(size)]
        constants = [-(at_best[i, 0] + rows[i, d]) for i in range(k)] + [flint.fmpq(0)] * (2 * e)
        for i in range(k):
            for j in range(k):
                table[i][j] = spread[i, j]
            for j in range(e):
                table[i][k + j], table[i][k + e + j] = -on_kernel[i, j], on_kernel[i, j]
                table[k + j][i], table[k + e + j][i] = on_kernel[i, j], -on_kernel[i, j]
        z = complementary(table, constants)
        if z is None:
            return None
        multipliers = flint.fmpq_mat(k, 1, z[:k])
        u = self.best
        if self.pivots:
            u = u - self.inverse * (on_pivots.transpose() * multipliers)
        return self._point(u, [z[k + j] - z[k + e + j] for j in range(e)])

    def _point(self, u: Matrix, v: Sequence[Number]) -> list[Number]:
        point = [flint.fmpq(0)] * self.d
        for slot, pivot in enumerate(self.pivots):
            point[pivot] = u[slot, 0]
        if v:
            along = self.kernel * flint.fmpq_mat(len(v), 1, list(v))
            point = [a + along[i, 0] for i, a in enumerate(point)]
        return point


def complementary(table: list[list[Number]], constants: list[Number]) -> list[Number] | None:
    """z >= 0 with M z + q >= 0 and z·(M z + q) = 0 for positive semidefinite M (changed in place); None: infeasible.

    Variable i of a basis is w_i or z_i (`swapped`); a pivot exchanges the two, alone or with those of a second index.
    """
    size = len(constants)
    swapped = [False] * size
    while True:
        k = next((i for i in range(size) if constants[i] < 0), -1)
        if k < 0:
            return [constants[i] if swapped[i] else flint.fmpq(0) for i in range(size)]
        if table[k][k] != 0:
            _pivot(table, constants, k, k)
            swapped[k] = not swapped[k]
            continue
        r = next((j for j in range(size) if table[k][j] > 0), -1)
        if r < 0:
            return None
        # Two exchanges off the diagonal; afterwards rows k and r hold each other's variable.
        _pivot(table, constants, k, r)
        _pivot(table, constants, r, k)
        table[k], table[r] = table[r], table[k]
        constants[k], constants[r] = constants[r], constants[k]
        for row in table:
            row[k], row[r] = row[r], row[k]
        swapped[k], swapped[r] = not swapped[k], not swapped[r]


def _pivot(table: list[list[Number]], constants: list[Number], row: int, column: int) -> None:
    """Exchange the basic variable of a row with the nonbasic one of a column, in `basic = q + table * nonbasic`."""
    pivot = table[row][column]
    new = [-v / pivot for v in table[row]]
    new[column] = 1 / pivot
    shift = -constants[row] / pivot
    for i, line in enumerate(table):
        if i == row or line[column] == 0:
            continue
        factor = line[column]
        table[i] = [a + factor * b for a, b in zip(line, new, strict=True)]
        table[i][column] = factor * new[column]
        constants[i] += factor * shift
    table[row], constants[row] = new, shift
