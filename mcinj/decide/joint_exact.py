"""One pair of closed cells with the units' signs given, exactly: a rational collision, or a proof that there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from mcinj.certify.rational import kernel, product, to_flint
from mcinj.certify.witness import Witness
from mcinj.decide.deep_model import DeepModel
from mcinj.decide.joint_kernel import NOTHING, SAME
from mcinj.decide.onelayer_exact import circuit_or_point, integer_row
from mcinj.networks import Network
from mcinj.networks.network import FractionMatrix, FractionVector

_KEPT = 256  # cells whose exact rows are kept


@dataclass(frozen=True)
class ExactCell:
    """A closed cell: `strict` rows are positive on the domain, `path` rows nonnegative; `units`: rows of the layer."""

    strict: FractionMatrix
    path: FractionMatrix
    units: FractionMatrix


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
        model, fences = self.model, len(self.model.fence)
        pattern: list[list[bool]] = []
        start = 0
        for width in model.widths[:-1]:
            pattern.append((self._on[c, start : start + width] > 0).tolist())
            start += width
        rows = model.rows(pattern)
        hidden = [row for layer in rows[:-1] for row in layer]
        strict: list[FractionVector] = []
        path: list[FractionVector] = []
        for index in self._paths[c, : self._lengths[c]].tolist():
            if index < fences:
                strict.append(model.fence[index])
            else:
                unit, up = divmod(index - fences, 2)
                path.append(hidden[unit] if up else tuple(-v for v in hidden[unit]))
        return ExactCell(tuple(strict), tuple(path), rows[-1])

    def decide(self, a: int, b: int, status: Sequence[int]) -> Witness | None:
        """A verified collision x in cell a, x' in cell b with these signs, or None: proved that there is none.

        SAME units are equal and nonnegative, OFF ones positive in neither copy. Of the closed cone of all (x, x') that
        fit, circuits among the inequalities become equations, until what is left has an interior: then its points off
        the diagonal collide, and if its span lies in the diagonal there are none.
        """
        g = self.model.g
        left, right = self.cell(a), self.cell(b)
        zero = (Fraction(0),) * g
        equations: list[FractionVector] = []
        rows = [(*row, *zero) for row in left.path] + [(*zero, *row) for row in right.path]
        strict = [(*row, *zero) for row in left.strict] + [(*zero, *row) for row in right.strict]
        if self.model.biased:
            equations.append((*zero[:-1], Fraction(1), *zero[:-1], Fraction(-1)))
        for u, v, s in zip(left.units, right.units, status, strict=True):
            if s == NOTHING:
                continue
            if s == SAME:
                equations.append((*u, *(-t for t in v)))
                rows.append((*u, *zero))
            else:
                rows.append((*(-t for t in u), *zero))
                rows.append((*zero, *(-t for t in v)))
        while True:
            basis = kernel(equations, 2 * g)
            off = [column for column in basis if column[:g] != column[g:]]
            if not off:
                return None
            span = to_flint([list(entries) for entries in zip(*basis, strict=True)], len(basis))
            projected = product(to_flint([*strict, *rows], 2 * g), span) if strict or rows else ()
            if any(not any(row) for row in projected[: len(strict)]):
                return None
            kept = [i for i, row in enumerate(projected) if any(row)]
            if kept:
                integers = [[-v for v in integer_row(projected[i])] for i in kept]
                circuit, point = circuit_or_point(integers)
            else:
                circuit, point = None, [Fraction(0)] * len(basis)
            if circuit is not None or point is None:
                tight = [kept[i] for i in circuit or ()]
                if any(i < len(strict) for i in tight):
                    return None
                equations.extend(rows[i - len(strict)] for i in tight)
                gone = set(range(len(strict), len(projected))) - set(kept) | set(tight)
                rows = [row for i, row in enumerate(rows, len(strict)) if i not in gone]
                continue
            z = [sum((c * v[j] for c, v in zip(point, basis, strict=True)), Fraction(0)) for j in range(2 * g)]
            if z[:g] == z[g:]:
                z = _aside(z, off[0], [*strict, *rows])
            witness = self._witness(z)
            if witness is None:
                raise RuntimeError("an exact pair of one image failed its check; please report this network")
            return witness

    def _witness(self, z: Sequence[Fraction]) -> Witness | None:
        g = self.model.g
        a, b = self.model.input(z[:g]), self.model.input(z[g:])
        if a is None or b is None or not self.model.inside(a) or not self.model.inside(b):
            return None
        witness = Witness(a, b)
        return witness if witness.collides(self.network) else None


def _aside(z: list[Fraction], step: FractionVector, rows: Sequence[FractionVector]) -> list[Fraction]:
    """z + a multiple of `step` with `row·z > 0` kept for all rows that are positive at z."""
    factor = Fraction(1)
    for row in rows:
        value = sum((c * v for c, v in zip(row, z, strict=True)), Fraction(0))
        slope = sum((c * v for c, v in zip(row, step, strict=True)), Fraction(0))
        while value > 0 and value + factor * slope <= 0:
            factor /= 2
    return [v + factor * d for v, d in zip(z, step, strict=True)]
