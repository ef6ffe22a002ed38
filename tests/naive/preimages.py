"""All inputs with a given output, region by region, in rationals: no code of the package, no floating point.

A region is a cone with known rays, on which the network is linear (`verdicts.regions`). Outputs are not negative, so a
ray with a positive output where y has none is not part of any solution, and rays without output are the directions
in which solutions go on for ever. What is left is a polytope of coefficients, the hull of its basic solutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations

import flint
from naive.cones import Ray
from naive.verdicts import Cone, Matrix, layers_over_integers, regions

Point = tuple[Fraction, ...]


@dataclass
class Preimages:
    """The set is empty where `points` is, and one input if `points` has one and `unbounded` is False."""

    points: set[Point] = field(default_factory=set)
    unbounded: bool = False

    @property
    def alone(self) -> bool:
        """Whether there is exactly one input."""
        return len(self.points) == 1 and not self.unbounded


class Regions:
    """All regions of a network, to be asked for many outputs; `cells` is None where the first layer loses rank."""

    def __init__(self, weights: Sequence[Matrix], biases: Sequence[Sequence[Fraction]] | None) -> None:
        layers = layers_over_integers(weights, biases)
        self.biased = biases is not None
        self.cells = regions(layers, self.biased, lossy=True)
        self.scale = Fraction(1)
        for k, w in enumerate(weights):
            given = [[*row, *(() if biases is None else (biases[k][i],))] for i, row in enumerate(w)]
            row, i = next(((r, i) for i, r in enumerate(given) if any(r)), (None, 0))
            if self.biased:
                self.scale *= layers[k][-1][-1]
            elif row is not None:
                j = next(j for j, v in enumerate(row) if v)
                self.scale *= layers[k][i][j] / Fraction(row[j])

    def preimages(self, y: Sequence[Fraction]) -> Preimages:
        """All inputs with output y."""
        assert self.cells is not None
        found = Preimages()
        if any(v < 0 for v in y):
            return found
        target = [self.scale * v for v in (*y, *((1,) if self.biased else ()))]
        needed = {j for j, v in enumerate(target) if v}
        for cell in self.cells:
            kept = [r for r in cell if all(j in needed for j, v in enumerate(r.value) if v)]
            if needed <= {j for r in kept for j in needed if r.value[j]}:
                self._add(found, kept, target)
        return found

    def _add(self, found: Preimages, rays: Cone, target: list[Fraction]) -> None:
        live = [r for r in rays if any(r.value)]
        points = set()
        for size in range(len(rays[0].x) + 1 if rays else 1):
            for chosen in combinations(live, size):
                factors = coefficients(chosen, target)
                if factors is not None and min(factors, default=0) >= 0:
                    points.add(self._input(chosen, factors))
        if points:
            found.points |= points
            found.unbounded |= len(live) < len(rays)

    def _input(self, rays: Sequence[Ray], factors: list[Fraction]) -> Point:
        g = len(self.cells[0][0].x)  # type: ignore[index]
        x = [sum((f * r.x[k] for f, r in zip(factors, rays, strict=True)), Fraction(0)) for k in range(g)]
        if self.biased:
            assert x[-1] == 1
            x.pop()
        return tuple(x)


def coefficients(rays: Sequence[Ray], target: list[Fraction]) -> list[Fraction] | None:
    """The combination of the rays' outputs that is the target; None if there is none, or more than one."""
    if not rays:
        return None if any(target) else []
    table = [[Fraction(r.value[j]) for r in rays] + [v] for j, v in enumerate(target)]
    table = [row for row in table if any(row)]
    if len(table) < len(rays):
        return None
    reduced, rank = flint.fmpq_mat([[flint.fmpq(v.numerator, v.denominator) for v in row] for row in table]).rref()
    rows = reduced.tolist()
    if rank != len(rays) or any(rows[k][k] != 1 for k in range(rank)):
        return None
    return [Fraction(int(rows[k][-1].p), int(rows[k][-1].q)) for k in range(rank)]
