"""Exact answers for one layer: circuits, points of thin cells, ranks and witnesses, over the integers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import gcd, lcm

import flint
import numpy as np
import numpy.typing as npt

IntegerRows = list[list[int]]


def integer_row(values: Sequence[Fraction]) -> list[int]:
    """The row times the least positive integer that makes it integral."""
    common = lcm(*(v.denominator for v in values)) if values else 1
    return [int(v.numerator * (common // v.denominator)) for v in values]


def primitive(row: Sequence[int]) -> list[int]:
    """The row divided by the greatest common divisor of its entries."""
    divisor = gcd(*row)
    return [v // divisor for v in row] if divisor > 1 else list(row)


def float_row(values: npt.NDArray[np.float64]) -> list[int]:
    """The primitive integer row in the direction of float64 values (each is a dyadic rational)."""
    pairs = [float(v).as_integer_ratio() for v in values]
    common = max(q for _, q in pairs)  # powers of two
    return primitive([p * (common // q) for p, q in pairs])


def rank(rows: IntegerRows) -> int:
    """Rank of integer rows; 0 for none."""
    return flint.fmpz_mat(rows).rank() if rows else 0


def kernel_vector(rows: IntegerRows, n: int) -> list[int] | None:
    """A primitive integer vector d != 0 with `row·d = 0` for all rows, or None if their rank is n."""
    if not rows:
        return [1] + [0] * (n - 1)
    basis, nullity = flint.fmpz_mat(rows).nullspace()
    if nullity == 0:
        return None
    if nullity > 1:
        # A short vector of the lattice that the columns span makes a readable witness.
        columns = flint.fmpz_mat([[int(basis[i, k]) for i in range(n)] for k in range(nullity)]).lll()
        vector = [int(columns[0, i]) for i in range(n)]
    else:
        vector = [int(basis[i, 0]) for i in range(n)]
    divisor = gcd(*vector)
    return [v // divisor for v in vector]


def is_circuit(rows: IntegerRows) -> bool:
    """Whether the rows have exactly one linear dependence (up to scale) and all its coefficients have one sign."""
    if not rows:
        return False
    k = len(rows)
    basis, nullity = flint.fmpz_mat([list(column) for column in zip(*rows)]).nullspace()
    if nullity != 1:
        return False
    signs = {(basis[i, 0] > 0) - (basis[i, 0] < 0) for i in range(k)}
    return signs in ({1}, {-1})


def circuit_or_point(rows: IntegerRows, hint: Iterable[int] = ()) -> tuple[list[int] | None, list[Fraction] | None]:
    """Gordan's alternative, exactly: positions of a positive circuit among the rows, or x with every `row·x < 0`.

    The least-index criss-cross method (Terlaky 1985; Fukuda and Terlaky 1997) on `row_i·x + s_i = -1, s >= 0`: finite
    without any assumption on the rows. `hint`: positions that enter the starting basis first.
    """
    g = len(rows[0])
    order = list(dict.fromkeys([*hint, *range(len(rows))]))
    zero = [i for i in order if not any(rows[i])]
    if zero:
        return [zero[0]], None
    # Basis of the row space, in the order given; x is kept in the span of the basis rows.
    echelon: list[list[flint.fmpq]] = []
    pivots: list[int] = []
    basis: list[int] = []
    for i in order:
        v = [flint.fmpq(t) for t in rows[i]]
        for e, p in zip(echelon, pivots):
            if v[p] != 0:
                f = v[p]
                v = [a - f * b for a, b in zip(v, e)]
        p = next((j for j in range(g) if v[j] != 0), -1)
        if p >= 0:
            f = v[p]
            echelon.append([a / f for a in v])
            pivots.append(p)
            basis.append(i)
        if len(basis) == g:
            break
    k = len(basis)
    matrix = flint.fmpq_mat(flint.fmpz_mat(rows))
    b = flint.fmpq_mat(flint.fmpz_mat([rows[i] for i in basis]))
    # Every row as a combination of basis rows: rows = C b, by solving on the pivot columns.
    columns = sorted(pivots)
    square = flint.fmpq_mat(k, k, [b[i, j] for i in range(k) for j in columns])
    part = flint.fmpq_mat(len(rows), k, [matrix[i, j] for i in range(len(rows)) for j in columns])
    combination = part * square.inv()
    table = {
        i: [combination[i, t] for t in range(k)] for i in range(len(rows)) if i not in set(basis)
    }
    # s_i = -1 - row_i·x and row_t·x = -1 - s_t for basis rows: s_i = (Σ c_it - 1) + Σ c_it s_t.
    const = {i: sum(c, flint.fmpq(-1)) for i, c in table.items()}
    position = list(basis)
    while True:
        bad = min((i for i, v in const.items() if v < 0), default=-1)
        if bad < 0:
            break
        line = table[bad]
        slots = [t for t in range(k) if line[t] > 0]
        if not slots:
            return sorted([bad, *(position[t] for t in range(k) if line[t] < 0)]), None
        t = min(slots, key=lambda slot: position[slot])
        enter, pivot = position[t], line[t]
        # s_bad = β + Σ line_j s_j  →  s_enter = (s_bad - β - Σ_{j≠t} line_j s_j) / pivot
        new = [-v / pivot for v in line]
        new[t] = 1 / pivot
        shift = -const[bad] / pivot
        del table[bad], const[bad]
        for i, c in table.items():
            f = c[t]
            if f != 0:
                table[i] = [a + f * v for a, v in zip(c, new)]
                table[i][t] = f * new[t]
                const[i] += f * shift
        table[enter], const[enter] = new, shift
        position[t] = bad
    # Every s >= 0 with the basis slacks 0: x solves row·x = -1 on the basis.
    b = flint.fmpq_mat(flint.fmpz_mat([rows[i] for i in position]))
    square = flint.fmpq_mat(k, k, [b[i, j] for i in range(k) for j in columns])
    solution = square.inv() * flint.fmpq_mat(k, 1, [flint.fmpq(-1)] * k)
    x = [Fraction(0)] * g
    for place, column in enumerate(columns):
        value = solution[place, 0]
        x[column] = Fraction(int(value.p), int(value.q))
    return None, x


def products(rows: IntegerRows, x: Sequence[int]) -> list[int]:
    """`row·x` over the integers."""
    column = flint.fmpz_mat(len(x), 1, list(x))
    return [int(v) for v in (flint.fmpz_mat(rows) * column).entries()]


def small_multiple(x: Sequence[Fraction]) -> list[int]:
    """The primitive integer vector in the direction of x."""
    return primitive(integer_row(list(x)))
