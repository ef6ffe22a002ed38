"""Is a polyhedron empty, and what is its interior? Exact answers; floating point only guesses where to look.

A polyhedron is `{z : g·z + c <= 0}` for the rows (g, c), some of them strict (< 0). With a coordinate s > 0 its rows
are homogeneous, and Gordan's alternative says: either some (z, s) makes all of them negative, a point of the interior,
or there is a *circuit*, rows of which a combination with positive coefficients vanishes. With the row -s in it, the
polyhedron is empty (Farkas). Without it, all rows of the circuit vanish on the whole polyhedron: they become equations,
coordinates are eliminated, and the question is asked again in fewer dimensions. At the end stand the affine hull and a
point of the relative interior, or a proof that there is no point.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import flint
import numpy as np

from mcinj.decide.layer.exact import circuit_or_point
from mcinj.inverse.algebra import Line, Matrix, chosen, identity, primitive_rows, solutions

_FAR = 10**12  # rows whose constants are this many times larger than their gradients are left to exact arithmetic
_SUPPORT = 1e-9  # multipliers of a linear program below this share of the largest count as zero


@dataclass(frozen=True)
class Interior:
    """Affine hull and relative interior of a polyhedron.

    Attributes
    ----------
    hull
        The map w -> z from Q^e onto the affine hull, a matrix of shape (d + 1, e + 1) (`mcinj.inverse.algebra`).
    point
        w in the relative interior: every row that is not in `tight` is negative there.
    tight
        Rows that vanish on the whole polyhedron.
    """

    hull: Matrix
    point: tuple[Fraction, ...]
    tight: frozenset[int]

    @property
    def dimension(self) -> int:
        """Dimension of the polyhedron."""
        return len(self.point)

    def values(self, rows: Matrix) -> list[Fraction]:
        """Affine functions of z at the point."""
        column = flint.fmpq_mat(
            len(self.point) + 1, 1, [*(flint.fmpq(v.numerator, v.denominator) for v in self.point), 1]
        )
        return [Fraction(int(v.p), int(v.q)) for v in (rows * (self.hull * column)).entries()]


def relative_interior(rows: Matrix, strict: AbstractSet[int] = frozenset()) -> Interior | None:
    """Affine hull and relative interior of `{z : rows <= 0, rows in strict < 0}`; None: proved to be empty."""
    hull = identity(rows.ncols())
    tight: set[int] = set()
    left = list(range(rows.nrows()))
    while True:
        lines = primitive_rows(chosen(rows, left) * hull)
        alive: dict[tuple[int, ...], list[int]] = {}
        for i, line in zip(left, lines, strict=True):
            if any(line[:-1]):
                alive.setdefault(tuple(line), []).append(i)
            elif line[-1] > 0 or (line[-1] == 0 and i in strict):
                return None
            elif line[-1] == 0:
                tight.add(i)
        dimension = hull.ncols() - 1
        if not alive:
            return Interior(hull, (Fraction(0),) * dimension, frozenset(tight))
        keys = [list(key) for key in alive]
        circuit, point = _alternative(keys)
        if point is not None:
            return Interior(hull, tuple(point), frozenset(tight))
        if circuit is None:
            return None
        groups = list(alive.values())
        if any(i in strict for k in circuit for i in groups[k]):
            return None
        step = solutions(flint.fmpq_mat(flint.fmpz_mat([keys[k] for k in circuit])))
        if step is None:  # they vanish wherever all rows hold, and nowhere together
            return None
        hull = hull * step
        left = [i for i in left if i not in tight]


def _alternative(lines: Sequence[Line]) -> tuple[list[int] | None, list[Fraction] | None]:
    """Rows (g, c) with g != 0: (None, z) with all of them negative at z; (circuit, None); (None, None): no z at all.

    A circuit's positive combination is 0: its rows vanish wherever all rows hold, which may be nowhere.
    """
    rows = flint.fmpz_mat([list(line) for line in lines])
    guess = _linear_program(lines)
    hint: list[int] = []
    if guess is not None:
        margin, z, multipliers = guess
        if margin > 0:
            point = _strict_point(rows, z, margin)
            if point is not None:
                return None, point
        hint = np.flatnonzero(multipliers > _SUPPORT * multipliers.max(initial=0.0)).tolist()
        sign = _circuit_sign(lines, hint)
        if sign is not None and sign >= 0:
            return (None, None) if sign > 0 else (hint, None)
    size = len(lines[0])
    last = len(lines)
    circuit, found = circuit_or_point([*map(list, lines), [0] * (size - 1) + [-1]], [*hint, last])
    if found is not None:
        return None, [v / found[-1] for v in found[:-1]]
    return (None, None) if circuit is None or last in circuit else (circuit, None)


def _circuit_sign(lines: Sequence[Line], support: Sequence[int]) -> int | None:
    """Sign of Σ λ c where Σ λ g = 0 with all λ > 0, for rows that have one such relation up to scale; else None.

    1: no z satisfies the rows. 0: all of them vanish wherever they hold.
    """
    if not support:
        return None
    columns = len(lines[0]) - 1
    relation, nullity = flint.fmpz_mat([[lines[i][j] for i in support] for j in range(columns)]).nullspace()
    if nullity != 1:
        return None
    factors = [int(relation[k, 0]) for k in range(len(support))]
    signs = {(v > 0) - (v < 0) for v in factors}
    if signs not in ({1}, {-1}):
        return None
    total = sum(abs(f) * lines[i][-1] for f, i in zip(factors, support, strict=True))
    return (total > 0) - (total < 0)


def _linear_program(lines: Sequence[Line]) -> tuple[float, Any, Any] | None:
    """`max t` with g·z + c + t <= 0, t <= 1, rows scaled to largest gradient 1: (t, z, multipliers) in floats."""
    from scipy.optimize import linprog

    scaled = np.empty((len(lines), len(lines[0])))
    for i, line in enumerate(lines):
        top = max(abs(v) for v in line[:-1])
        scaled[i] = [v / top if abs(v) < _FAR * top else np.inf for v in line]
    if not np.isfinite(scaled).all():
        return None
    d = scaled.shape[1] - 1
    answer = linprog(
        np.append(np.zeros(d), -1.0), A_ub=np.hstack([scaled[:, :d], np.ones((len(lines), 1))]), b_ub=-scaled[:, d],
        bounds=[(None, None)] * d + [(None, 1.0)], method="highs",
    )  # fmt: skip
    if answer.status != 0 or answer.x is None or not np.isfinite(answer.x).all():
        return None
    return float(answer.x[-1]), answer.x[:-1], -np.asarray(answer.ineqlin.marginals)


def _strict_point(rows: Any, z: Any, margin: float) -> list[Fraction] | None:
    """A rational point near z, of few digits, at which all rows are negative; None if rounding finds none."""
    near = max(0, int(np.ceil(-np.log2(margin))))
    for bits in (near, near + 4, near + 12, near + 24, near + 60):
        point = [Fraction(round(Fraction(float(v)) * 2**bits), 2**bits) for v in z]
        if all_negative(rows, point):
            return point
    return None


def all_negative(rows: Any, point: Iterable[Fraction]) -> bool:
    """Whether integer rows (g, c) are negative at a point, exactly."""
    z = [*point, Fraction(1)]
    common = lcm(*(v.denominator for v in z))
    column = flint.fmpz_mat(len(z), 1, [v.numerator * (common // v.denominator) for v in z])
    return all(v < 0 for v in (rows * column).entries())
