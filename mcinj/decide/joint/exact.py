"""One pair of closed cells with given signs of units, exactly: a rational collision, or a proof that there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import lcm

import flint
import numpy as np
import numpy.typing as npt

from mcinj.certify.rational import null_space
from mcinj.certify.witness import Witness
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.layer.exact import circuit_or_point, integer_row, primitive
from mcinj.decide.pairs.store import FREE, OFF, SAME
from mcinj.networks import Network

_KEPT = 256  # cells whose exact rows are kept


IntegerRow = tuple[int, ...]
IntegerRows = list[IntegerRow]


@dataclass(frozen=True)
class ExactCell:
    """A closed cell, integer rows: `strict` ones are positive on the domain, `path` ones nonnegative.

    `hidden`: those of the units of earlier layers, each up to a positive factor; `units`: rows of the next layer times
    the positive integers `scales`.
    """

    strict: IntegerRows
    path: IntegerRows
    hidden: IntegerRows
    units: IntegerRows
    scales: tuple[int, ...]


class ExactCells:
    """Exact rows of cells of `model`'s earlier layers, from their active units and path rows."""

    def __init__(
        self, model: DeepModel, network: Network, on: npt.NDArray[np.int8], paths: npt.NDArray[np.int32],
        lengths: npt.NDArray[np.int64],
    ) -> None:  # fmt: skip
        self.model, self.network = model, network
        self._on, self._paths, self._lengths = on, paths, lengths
        self.cell = lru_cache(maxsize=_KEPT)(self._cell)

    def _cell(self, c: int) -> ExactCell:
        model = self.model
        pattern: list[list[bool]] = []
        start = 0
        for width in model.widths[:-1]:
            pattern.append((self._on[c, start : start + width] > 0).tolist())
            start += width
        rows = model.rows(pattern)
        hidden = [_primitive(integer_row(row)) for layer in rows[:-1] for row in layer]
        path = self._paths[c, : self._lengths[c]].tolist()
        walls = sum(index < len(model.fence) for index in path)  # they come first
        lines = [_primitive(integer_row(row)) for row in model.path_rows(path, rows)]
        scales = tuple(lcm(*(v.denominator for v in row)) for row in rows[-1])
        return ExactCell(lines[:walls], lines[walls:], hidden, [tuple(integer_row(row)) for row in rows[-1]], scales)

    def span(self, a: int, b: int) -> int:
        """Rank of the hidden units whose side differs, on cell a."""
        hidden = self.cell(a).hidden
        rows = [list(hidden[i]) for i in np.flatnonzero(self._on[a] != self._on[b]).tolist()]
        return int(flint.fmpz_mat(rows).rank()) if rows else 0

    def decide(self, a: int, b: int, status: Sequence[int]) -> Witness | list[float] | None:
        """A verified collision x in cell a, x' in cell b with these signs, or None: proved that there is none.

        SAME units are equal and nonnegative, OFF ones positive in neither copy, FREE ones are left out: with them, a
        point (x, x') that is no collision may be returned instead, as floats. Of the closed cone of all (x, x') that
        fit, circuits among the inequalities become equations, until what is left has an interior: then its points off
        the diagonal collide, and if its span lies in the diagonal there are none. Points with x = 0 or x' = 0 do not
        count: see `mcinj.decide.joint.collision`.
        """
        g = self.model.g
        left, right = self.cell(a), self.cell(b)
        zero = (0,) * g
        equations: IntegerRows = []
        strict = [(*row, *zero) for row in left.strict] + [(*zero, *row) for row in right.strict]
        rows = [(*row, *zero) for row in left.path] + [(*zero, *row) for row in right.path]
        if self.model.biased:
            equations.append((*zero[:-1], 1, *zero[:-1], -1))
        for j, s in enumerate(status):
            u, v = left.units[j], right.units[j]
            if s == SAME:
                p, q = right.scales[j], left.scales[j]
                equations.append(_primitive((*(p * t for t in u), *(-q * t for t in v))))
                rows.append((*u, *zero))
            elif s == OFF:
                rows.append((*(-t for t in u), *zero))
                rows.append((*zero, *(-t for t in v)))
        rows = [row for row in dict.fromkeys(_primitive(row) for row in rows) if any(row)]
        while True:
            basis = _kernel(equations, 2 * g)
            off = [column for column in basis if column[:g] != column[g:]]
            if not off or not any(any(column[:g]) for column in basis) or not any(any(column[g:]) for column in basis):
                # x = x', or one of them is 0: then (without biases) both lie in one cell, and nothing collides there.
                return None
            span = flint.fmpz_mat([list(entries) for entries in zip(*basis, strict=True)])
            inequalities = flint.fmpz_mat(len(strict) + len(rows), 2 * g, [v for row in [*strict, *rows] for v in row])
            projected = (inequalities * span).tolist()  # none where all inequalities have become equations
            if any(not any(row) for row in projected[: len(strict)]):
                return None
            kept = [i for i, row in enumerate(projected) if any(row)]
            circuit, point = None, [Fraction(0)] * len(basis)
            if kept:
                integers = [[-int(v) for v in projected[i]] for i in kept]
                circuit, found = circuit_or_point(integers)
                point = found or point
            if circuit is not None:
                tight = {kept[i] for i in circuit}
                if any(i < len(strict) for i in tight):
                    return None
                equations.extend(rows[i - len(strict)] for i in tight)
                left_over = set(kept) - tight
                rows = [row for i, row in enumerate(rows, len(strict)) if i in left_over]
                continue
            z = [sum((c * v[j] for c, v in zip(point, basis, strict=True)), Fraction(0)) for j in range(2 * g)]
            if z[:g] == z[g:]:
                z = _aside(z, off[0], [*strict, *rows])
            if not _meets(left, right, status, z):
                top = max(abs(v) for v in z)
                return [float(v / top) for v in z]
            witness = self.model.pair_witness(z, self.network)
            if witness is not None:
                return witness
            if FREE not in status:
                raise RuntimeError("an exact pair of one image failed its check; please report this network")
            top = max(abs(v) for v in z)
            return [float(v / top) for v in z]


def _meets(left: ExactCell, right: ExactCell, status: Sequence[int], z: Sequence[Fraction]) -> bool:
    """Whether the FREE units have one output at (x, x'), a point of both cells: if not, that is no collision."""
    common = lcm(*(v.denominator for v in z))
    whole = [v.numerator * (common // v.denominator) for v in z]
    g = len(z) // 2
    for j, s in enumerate(status):
        if s == FREE:
            one = sum(c * v for c, v in zip(left.units[j], whole[:g], strict=True))
            two = sum(c * v for c, v in zip(right.units[j], whole[g:], strict=True))
            if max(one, 0) * right.scales[j] != max(two, 0) * left.scales[j]:
                return False
    return True


def _primitive(row: Sequence[int]) -> IntegerRow:
    return tuple(primitive(row))


def _kernel(rows: IntegerRows, columns: int) -> IntegerRows:
    """A basis of `{z : rows z = 0}` in integers."""
    basis = null_space(flint.fmpz_mat(len(rows), columns, [v for row in rows for v in row]))
    return [_primitive([int(basis[i, k]) for i in range(columns)]) for k in range(basis.ncols())]


def _aside(z: list[Fraction], step: IntegerRow, rows: IntegerRows) -> list[Fraction]:
    """z + a multiple of `step` with `row·z > 0` kept for all rows that are positive at z."""
    factor = Fraction(1)
    for row in rows:
        value = sum((c * v for c, v in zip(row, z, strict=True)), Fraction(0))
        slope = sum((c * v for c, v in zip(row, step, strict=True)), 0)
        while value > 0 and value + factor * slope <= 0:
            factor /= 2
    return [v + factor * d for v, d in zip(z, step, strict=True)]
