"""Exact linear algebra on python-flint: rational matrices in, rational vectors out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from mcinj.networks.network import FractionMatrix, FractionVector


def to_flint(rows: Sequence[Sequence[Fraction | int]], columns: int) -> Any:
    """`flint.fmpq_mat` of shape `(len(rows), columns)`."""
    import flint

    return flint.fmpq_mat(len(rows), columns, [flint.fmpq(v.numerator, v.denominator) for row in rows for v in row])


def to_fractions(entries: Iterable[Any]) -> FractionVector:
    """Fractions of flint rationals."""
    return tuple(Fraction(int(v.p), int(v.q)) for v in entries)


def product(a: Any, b: Any) -> FractionMatrix:
    """Rows of the product of two `fmpq_mat`s."""
    c = a * b
    flat, columns = to_fractions(c.entries()), c.ncols()
    return tuple(flat[i * columns : (i + 1) * columns] for i in range(c.nrows()))


def rows_on(weights: Sequence[FractionMatrix], pattern: Sequence[Sequence[bool]]) -> list[FractionMatrix]:
    """Rows of the layers over the inputs where `pattern[k]` says which units of layer k + 1 act.

    `pattern` may be shorter than the network: there are rows of one layer more than it has.
    """
    result = [weights[0]]
    columns = len(weights[0][0])
    for w, active in zip(weights[1:], pattern, strict=False):
        keep = [i for i, on in enumerate(active) if on]
        if keep:
            left = to_flint([[row[i] for i in keep] for row in w], len(keep))
            result.append(product(left, to_flint([result[-1][i] for i in keep], columns)))
        else:
            result.append(tuple((Fraction(0),) * columns for _ in w))
    return result


def rank(rows: Sequence[Sequence[Fraction | int]], columns: int) -> int:
    """Exact rank of the rows."""
    return int(to_flint(rows, columns).rank()) if rows else 0


def is_circuit(rows: Any) -> bool:
    """Whether the rows of a flint matrix have one linear dependence up to scale, with coefficients of one sign."""
    whole = rows.numer_denom()[0] if hasattr(rows, "numer_denom") else rows
    relation, nullity = whole.transpose().nullspace()
    return nullity == 1 and {(relation[i, 0] > 0) - (relation[i, 0] < 0) for i in range(rows.nrows())} in ({1}, {-1})


def null_space(rows: Any) -> Any:
    """Basis of `{z : rows z = 0}` (columns) of an `fmpz_mat`."""
    import flint

    size = rows.ncols()
    if rows.nrows() == 0:
        return flint.fmpz_mat(size, size, [int(i == j) for i in range(size) for j in range(size)])
    matrix, nullity = rows.nullspace()
    return flint.fmpz_mat(size, nullity, [matrix[i, k] for i in range(size) for k in range(nullity)])


def kernel(rows: Sequence[Sequence[Fraction | int]], columns: int) -> list[FractionVector]:
    """A basis of `{d : rows d = 0}`, exact; the unit vectors when there are no rows."""
    if not rows:
        return [tuple(Fraction(int(i == j)) for j in range(columns)) for i in range(columns)]
    reduced, r = to_flint(rows, columns).rref()
    pivots: list[int] = []
    for i in range(r):
        pivots.append(next(j for j in range(pivots[-1] + 1 if pivots else 0, columns) if reduced[i, j] != 0))
    basis = []
    for free in (j for j in range(columns) if j not in set(pivots)):
        vector = [Fraction(0)] * columns
        vector[free] = Fraction(1)
        for i, pivot in enumerate(pivots):
            value = reduced[i, free]
            vector[pivot] = -Fraction(int(value.p), int(value.q))
        basis.append(tuple(vector))
    return basis
