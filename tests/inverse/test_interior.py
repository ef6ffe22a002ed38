"""Affine hull and relative interior of a polyhedron, against products of intervals in other coordinates."""

from __future__ import annotations

import random
from fractions import Fraction

import flint
import pytest

from mcinj.inverse import interior
from mcinj.inverse.algebra import matrix
from mcinj.inverse.interior import relative_interior

Row = list[Fraction]


def intervals(rng: random.Random, d: int) -> list[tuple[Fraction, Fraction]]:
    """Bounds that hold nothing, one number or more, near 0 and far away."""
    result = []
    for _ in range(d):
        size = rng.choice([1, 1, 10**6, 10**13, 2**1200])
        low = Fraction(rng.randint(-3, 3) * size, rng.choice([1, 1, 3]))
        result.append((low, low + Fraction(rng.choice([-1, 0, 0, 1, 2]), rng.choice([1, 7, 10**15]))))
    return result


def polyhedron(rng: random.Random, bounds: list[tuple[Fraction, Fraction]]) -> list[Row]:
    """Rows (g, c) <= 0 of the product of intervals, in coordinates z with w = B z, among sums of them."""
    d = len(bounds)
    b = flint.fmpz_mat(d, d, [rng.randint(-3, 3) for _ in range(d * d)])
    while b.det() == 0:
        b = flint.fmpz_mat(d, d, [rng.randint(-3, 3) for _ in range(d * d)])
    rows: list[Row] = []
    for j, (low, high) in enumerate(bounds):
        g = [Fraction(int(b[j, k])) for k in range(d)]
        rows += [[*(-v for v in g), low], [*g, -high]]
    implied = []
    for _ in range(rng.randint(0, 6)):
        factors = [rng.choice([0, 0, 1, 1, 2, 5]) for _ in rows]
        implied.append(
            [sum((f * row[k] for f, row in zip(factors, rows, strict=True)), Fraction(0)) for k in range(d + 1)]
        )
        implied[-1][-1] -= rng.choice([0, 0, 0, 1])
    rows += implied
    rng.shuffle(rows)
    return rows


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("seed", range(150))
def test_products_of_intervals(seed: int, exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the guess of a linear program too: the search that takes over then is on its own."""
    rng = random.Random(seed)
    bounds = intervals(rng, rng.randint(1, 4))
    rows = polyhedron(rng, bounds)
    if exact:
        monkeypatch.setattr(interior, "_linear_program", lambda lines: None)
    given = matrix(rows, len(bounds) + 1)
    found = relative_interior(given)
    if any(low > high for low, high in bounds):
        assert found is None
        return
    assert found is not None
    assert found.dimension == sum(low < high for low, high in bounds)
    for i, value in enumerate(found.values(given)):
        assert (value == 0) == (i in found.tight)
        assert value <= 0
    tight = rng.choice(sorted(found.tight)) if found.tight else None
    loose = frozenset(range(len(rows))) - found.tight
    assert relative_interior(given, loose) is not None
    if tight is not None:
        assert relative_interior(given, loose | {tight}) is None


def test_rows_that_vanish_together_only_where_nothing_is() -> None:
    """z + K <= 0, -2z + K <= 0 and their combination: (1, K), (-2, K), (1, -2K) sum up to 0, and have no common zero.

    Found by hand: outputs of a network in floats, inverted, ended in an internal error.
    """
    for k in (1, 10**13, 10**400):
        assert relative_interior(matrix([[1, k], [-2, k], [1, -2 * k]], 2)) is None
