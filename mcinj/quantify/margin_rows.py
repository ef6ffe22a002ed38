"""The rows of one layer in floats, and values of its margin at points: what all searches for the margin stand on."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from mcinj.decide.deep.scaling import nearest, power_of_two
from mcinj.networks.network import FractionMatrix, FractionVector
from mcinj.numeric.cell import padded
from mcinj.quantify import margin_descent as descent
from mcinj.quantify.margin_cell import Center
from mcinj.quantify.margin_value import Value, bottleneck
from mcinj.quantify.roots import root_above

Floats = npt.NDArray[np.float64]

_STEPS = 40
_WIDEST = 2.0**140  # rows are not told apart in size beyond this by what guides the search


class ScaledRows:
    """Rows, and biases or None, in floats of size about 1, with descents on them and exact values.

    Parameters
    ----------
    rows, biases
        (m, n) exact rows, none of them 0, of rank n, and (m,) exact biases or None.

    Attributes
    ----------
    scale
        No margin of these rows is larger in size.
    low
        A proved lower bound of the margin.
    unit
        A power of two: margins in floats are in units of it.
    A, above
        Rows in that unit, (m, n), and each in a unit of its own, (m, padded n); `SC` (m,) their ratio.
    """

    def __init__(self, rows: FractionMatrix, biases: FractionVector | None) -> None:
        self.rows, self.biases = rows, biases
        m, n = len(rows), len(rows[0])
        self.m, self.n = m, n
        sizes = [Fraction(root_above(sum((v * v for v in row), Fraction(0)))) for row in rows]
        if biases is not None:
            sizes = [s + abs(b) for s, b in zip(sizes, biases, strict=True)]
        rising = sorted(range(m), key=lambda i: sizes[i])
        most = sizes[rising[bottleneck(rows, rising, n) - 1]]
        falling = rising[::-1]
        self.scale = max(most, sizes[falling[bottleneck(rows, falling, n) - 1]])
        # Each row is at least minus its size, so a basis of short rows bounds ρ from below everywhere.
        self.low = -most
        self.unit = power_of_two([self.scale])
        self._units = [power_of_two(row) for row in rows]
        width = padded(n)
        self.width = width
        above = np.array([[nearest(v / p) for v in row] for row, p in zip(rows, self._units, strict=True)])
        sizes_near = [min(max(p / self.unit, Fraction(1 / _WIDEST)), Fraction(_WIDEST)) for p in self._units]
        self.SC = np.array([float(v) for v in sizes_near])
        self.A = np.ascontiguousarray(above * self.SC[:, None])
        self.above = np.zeros((m, width))
        self.above[:, :n] = above
        # Scratch of the descents.
        self.F = np.zeros((3, 5 * width))
        self.C = np.zeros(2 * m + n + width + 2, dtype=np.int64)
        self.L = np.zeros(2 * m + n + width + 2)

    def descend(self, u: Floats) -> Floats:
        """Move the unit vectors u (k, n) (points of the unit ball, if there are biases) to where ρ is locally least.

        In place. Returns ρ there (k,), in floats, in units of `unit`.
        """
        values = np.empty(len(u))
        center = self._scratch()
        if self.biases is None:
            descent.descend_all(self.A, self.SC, -self.above, u, values, _STEPS, center)
        else:
            b = np.array([nearest(v / self.unit) for v in self.biases])
            descent.descend_in_ball(self.A, self.SC, -self.above, b, u, values, _STEPS, center)
        return values

    def _scratch(self) -> Center:
        M, x, u, ids = (array[0] for array in self._state(1))
        return Center(M, x, u, ids, self.F, self.C, self.L)

    def values(self, x: Floats) -> list[Value]:
        """Values at x and at a simpler rational near it."""
        top = np.abs(x).max()
        if not (np.isfinite(top) and top > 0):
            return []
        exact = tuple(Fraction(float(v)) for v in x)
        simple = tuple(Fraction(float(v / top)).limit_denominator(64) for v in x)
        points = [exact]
        if self.biases is None:
            points.append(simple)
        else:
            square = sum((v * v for v in exact), Fraction(0))
            if square > 1:
                points = [tuple(v * (1 - Fraction(1, 2**50)) / Fraction(root_above(square)) for v in exact)]
        return [Value.at(self.rows, self.biases, x) for x in points]

    def _state(self, slots: int) -> tuple[Floats, Floats, Floats, npt.NDArray[np.int64]]:
        return (
            np.zeros((slots, self.n, self.width)),
            np.zeros((slots, self.width)),
            np.zeros((slots, self.width)),
            np.full((slots, self.width), -1, dtype=np.int64),
        )
