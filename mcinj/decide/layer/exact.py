"""Exact answers for one layer: circuits, points of thin cells, ranks and witnesses, over the integers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import gcd, lcm

import flint
import numpy as np
import numpy.typing as npt

from mcinj.certify import rational

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
    return bool(rows) and rational.is_circuit(flint.fmpz_mat(rows))


def circuit_or_point(rows: IntegerRows, hint: Iterable[int] = ()) -> tuple[list[int] | None, list[Fraction] | None]:
    """Gordan's alternative, exactly: positions of a positive circuit among the rows, or x with every `row·x < 0`.

    The least-index criss-cross method (Terlaky 1985; Fukuda and Terlaky 1997) on `row_i·x + s_i = -1, s >= 0`: finite
    without any assumption on the rows. `hint`: positions that enter the starting basis first.
    """
    g = len(rows[0])
    zero = next((i for i, row in enumerate(rows) if not any(row)), None)
    order = list(dict.fromkeys([*hint, *range(len(rows))]))
    if zero is not None:
        return [next(i for i in order if not any(rows[i]))], None
    basis = _independent(rows, order)  # of the row space, in the order given
    k = len(basis)
    # x is 0 but in k columns on which the basis rows are independent: all rows are combinations of these.
    columns = range(g) if k == g else _pivots(flint.fmpz_mat([rows[i] for i in basis]))
    part = flint.fmpz_mat([[row[j] for j in columns] for row in rows])
    ones = flint.fmpz_mat(k, 1, [1] * k)
    while True:
        # Basis rows times x are -1, s = 0; another row is `line / scale` times them: s = Σ line / scale - 1.
        square = flint.fmpq_mat(flint.fmpz_mat([[part[i, j] for j in range(k)] for i in basis]))
        inverse, scale = square.inv().numer_denom()
        sums = (part * (inverse * ones)).entries()
        inside = set(basis)
        bad = next((i for i, v in enumerate(sums) if v < scale and i not in inside), -1)
        if bad < 0:
            break
        line = (flint.fmpz_mat(1, k, [part[bad, j] for j in range(k)]) * inverse).entries()
        slots = [t for t in range(k) if line[t] > 0]
        if not slots:
            return sorted([bad, *(basis[t] for t in range(k) if line[t] < 0)]), None
        basis[min(slots, key=lambda slot: basis[slot])] = bad
    x = [Fraction(0)] * g
    for column, value in zip(columns, (inverse * ones).entries(), strict=True):
        x[column] = Fraction(-int(value), int(scale))
    return None, x


def _independent(rows: IntegerRows, order: Sequence[int]) -> list[int]:
    """The first independent rows in an order, as many as there are."""
    g = len(rows[0])
    for count in (2 * g, len(order)):  # almost always the first few do
        tried = order[:count]
        found = _pivots(flint.fmpz_mat([rows[i] for i in tried]).transpose())
        if len(found) == g:
            break
    return [order[i] for i in found]


def _pivots(matrix: flint.fmpz_mat) -> list[int]:
    """Columns that are no combination of those before them."""
    reduced, _, size = matrix.rref()
    found: list[int] = []
    for row in range(size):
        found.append(next(j for j in range(found[-1] + 1 if found else 0, matrix.ncols()) if reduced[row, j] != 0))
    return found


def products(rows: IntegerRows, x: Sequence[int]) -> list[int]:
    """`row·x` over the integers."""
    column = flint.fmpz_mat(len(x), 1, list(x))
    return [int(v) for v in (flint.fmpz_mat(rows) * column).entries()]


def small_multiple(x: Sequence[Fraction]) -> list[int]:
    """The primitive integer vector in the direction of x."""
    return primitive(integer_row(list(x)))
