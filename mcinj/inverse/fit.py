"""Inputs whose outputs come nearest to a noisy y, in least squares: exact minima of regions, and a proof for the whole.

On one activation pattern the squared distance `|f(x) - y|²` is a convex quadratic function on a polyhedron, and its
minimum there is rational (`mcinj.inverse.quadratic`). Over all patterns it is not convex: units are decided one after
the other, and patterns are dropped whose bound is no better than what is known.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np

from mcinj.decide.bounded.domain import Domain
from mcinj.inverse.algebra import Matrix, chosen, matrix, solutions, stacked
from mcinj.inverse.interior import relative_interior
from mcinj.inverse.layers import activated, layer_rows, pre_activations, signs_of
from mcinj.inverse.quadratic import Minimum, least_squares
from mcinj.inverse.relax import Relaxation, Unit
from mcinj.inverse.search import System, everything, on_pattern
from mcinj.inverse.starts import starts
from mcinj.networks import Network
from mcinj.networks.network import FractionVector
from mcinj.quantify.roots import root_above, root_below

_CUTS = 12  # tangent planes of a ball per minimum
_KEPT = 200  # of them over all
_MOVES = 20  # regions that a descent may pass


@dataclass(frozen=True)
class LeastSquares:
    """An input whose output is near y.

    Attributes
    ----------
    x
        Rational. It minimises `|f(x) - y|` over the closure of its region (and of the domain); on a ball whose sphere
        holds that minimum, nearly.
    squared
        `|f(x) - y|²`, exact.
    bound
        No input of the domain has a smaller `|f(x) - y|²`: proved.
    unique
        Whether x is the only minimiser in its region, by rank and inequalities; None: not decided (on a sphere).
    pattern
        Signs (-1, 0, 1) of the pre-activations of every layer at x; of a linear last layer those of its outputs.
    nodes, seconds
        Cost.
    """

    x: FractionVector
    squared: Fraction
    bound: Fraction
    unique: bool | None
    pattern: tuple[tuple[int, ...], ...]
    nodes: int
    seconds: float

    @property
    def proved(self) -> bool:
        """Whether x is proved to be a global minimum; else it is one of its region only."""
        return self.bound == self.squared

    @property
    def residual(self) -> tuple[float, float]:
        """Floats below and above `|f(x) - y|`."""
        return root_below(self.squared), root_above(self.squared)

    @property
    def active(self) -> tuple[tuple[int, ...], ...]:
        """Positive units of every layer at x, from 0."""
        return tuple(tuple(i for i, s in enumerate(signs) if s > 0) for signs in self.pattern)

    def to_json(self) -> dict[str, Any]:
        """The object that `mcinj invert --least-squares --json` prints; rationals are strings."""
        return {
            "x": [str(v) for v in self.x],
            "squared": str(self.squared),
            "bound": str(self.bound),
            "residual": list(self.residual),
            "proved": self.proved,
            "unique": self.unique,
            "active": [list(units) for units in self.active],
            "pattern": [list(signs) for signs in self.pattern],
            "nodes": self.nodes,
            "seconds": self.seconds,
        }


def fitted(
    network: Network, y: FractionVector, domain: Domain | None, slope: Fraction, limit: int, deadline: float | None,
    linear: bool = False,
) -> LeastSquares:  # fmt: skip
    """The least-squares answer of `mcinj.invert(…, noisy=True)`; `linear`: the last layer has no ReLU."""
    started = time.perf_counter()
    search = _Search(network, y, domain, slope, limit, deadline, linear)
    guess = np.array([float(v) if abs(v) < 10**300 else 1e300 for v in y])
    for x in starts(network, guess, domain, float(slope), linear):
        search.descend(tuple(Fraction(float(v)) for v in x))
    bound = search.run()
    search.descend(search.x)
    return LeastSquares(
        search.x, search.cost, min(bound, search.cost), search.alone(), signs_of(network, search.x, slope),
        search.nodes, time.perf_counter() - started,
    )  # fmt: skip


class _Search:
    """Branch and bound over the units; `x` and `cost` are the best so far."""

    def __init__(
        self, network: Network, y: FractionVector, domain: Domain | None, slope: Fraction, limit: int,
        deadline: float | None, linear: bool,
    ) -> None:  # fmt: skip
        self.network, self.y, self.domain, self.slope, self.linear = network, y, domain, slope, linear
        self.limit, self.deadline = limit, deadline
        self.layers = [layer_rows(network, k) for k in range(network.depth)]
        self.radius = Fraction(domain.high) if domain is not None and domain.shape == "ball" else None
        self.start = everything(network.n, domain)
        if domain is not None and domain.shape == "ball":
            fence = matrix([[-v for v in row] for row in domain.fence(network.n)], network.n + 1)
            self.start = self.start.with_rows(fence, strict=False)
        self.cuts = flint.fmpq_mat(0, network.n + 1)
        self.nodes = 0
        low = Fraction(0) if domain is None else Fraction(domain.low)
        high = Fraction(0) if domain is None else Fraction(domain.high)
        self.x: FractionVector = ((low + high) / 2,) * network.n
        self.cost = self.value(self.x)

    def value(self, x: FractionVector) -> Fraction:
        """`|f(x) - y|²`."""
        z = pre_activations(self.network, x, self.slope)[-1]
        out = z if self.linear else activated(z, self.slope)
        return sum(((a - b) ** 2 for a, b in zip(out, self.y, strict=True)), Fraction(0))

    def offer(self, x: FractionVector) -> bool:
        """Take an input that is better than what is known."""
        x = self._inside(x)
        cost = self.value(x)
        if cost < self.cost:
            self.x, self.cost = x, cost
            return True
        return False

    def descend(self, x: FractionVector) -> None:
        """From region to region, to the minimum of each, while that gets better."""
        x = self._inside(x)
        self.offer(x)
        cost = self.value(x)
        for _ in range(_MOVES):
            system, rows, last = self._region(x)
            found = self._minimum(self._terms(rows, last), self._with_signs(system, rows, last))
            if found is None:
                return
            x = self._inside(found.point)
            better = self.value(x)
            self.offer(x)
            if better >= cost:
                return
            cost = better

    def run(self) -> Fraction:
        """A proved lower bound of the minimum."""
        hidden: list[dict[Unit, bool]] = [{}]
        relaxation, at = None, None
        left = self.cost
        while hidden:
            if self.cost == 0:
                return self.cost
            if self._ended():
                return Fraction(0)
            self.nodes += 1
            signs = hidden.pop()
            if self.network.depth > 1:
                if relaxation is None or at != self.cost:
                    # Any input that is at least as good has every |f_i(x) - y_i| <= radius.
                    radius = Fraction(min(root_above(self.cost), 1e300))
                    if radius**2 < self.cost:
                        return Fraction(0)
                    relaxation, at = self._relaxation(radius), self.cost
                point = relaxation.look(signs)
                if point is None:
                    continue
                choice = relaxation.open_unit(signs, point)
                if choice is not None:
                    unit, on = choice
                    hidden += [{**signs, unit: not on}, {**signs, unit: on}]
                    continue
            left = min(left, self._last_layer(signs))
            if left == 0:
                return left
        return min(left, self.cost)

    def _last_layer(self, signs: Mapping[Unit, bool]) -> Fraction:
        """A lower bound on one pattern of the hidden units: the units of the last layer are decided one by one."""
        system, rows = on_pattern(self.start, self.layers, signs, self.slope)
        first = dict.fromkeys(range(len(self.y)), True) if self.linear else {}
        stack: list[tuple[dict[int, bool], Fraction]] = [(first, Fraction(0))]
        left: Fraction | None = None
        while stack:
            if self._ended():
                return min([bound for _, bound in stack] + ([] if left is None else [left]))
            self.nodes += 1
            last, _ = stack.pop()
            # No ReLU comes nearer to a negative output than 0 does.
            constant = sum((v * v for i, v in enumerate(self.y) if i not in last and self._hopeless(v)), Fraction(0))
            found = self._minimum(self._terms(rows, last), self._with_signs(system, rows, last))
            if found is None:
                continue
            bound = found.value + constant
            self.offer(found.point)
            if bound >= self.cost:
                continue
            z = pre_activations(self.network, found.point, self.slope)[-1]
            excess = {
                i: (max(z[i], self.slope * z[i]) - v) ** 2 - (v * v if self._hopeless(v) else 0)
                for i, v in enumerate(self.y)
                if i not in last
            }
            unit = max(excess, key=lambda i: excess[i], default=None)
            if unit is None or excess[unit] == 0:
                # Met, but the point is not in the ball: what is left is the distance to the sphere.
                left = bound if left is None else min(left, bound)
                continue
            on = z[unit] > 0
            stack += [({**last, unit: not on}, bound), ({**last, unit: on}, bound)]
        return self.cost if left is None else left

    def _relaxation(self, radius: Fraction) -> Relaxation:
        return Relaxation(self.network, self.y, radius, self.domain, self.slope, self.linear)

    def alone(self) -> bool | None:
        """Whether x is the only minimiser of its region."""
        system, rows, last = self._region(self.x)
        terms = self._terms(rows, last)
        column = flint.fmpq_mat(len(self.x) + 1, 1, [*(flint.fmpq(v.numerator, v.denominator) for v in self.x), 1])
        values = terms * column
        for i in range(terms.nrows()):
            terms[i, len(self.x)] = terms[i, len(self.x)] - values[i, 0]
        onto = solutions(terms)
        if onto is None:
            raise RuntimeError("a least-squares point is not on its own level set; please report this network")
        inside = relative_interior(self._with_signs(system, rows, last) * onto)
        if inside is None or inside.dimension == 0:
            return True if inside is not None else None
        if self.radius is not None and not sum((v * v for v in self.x), Fraction(0)) < (self.radius * _NEARLY) ** 2:
            return None
        return False

    def _region(self, x: FractionVector) -> tuple[System, Matrix, dict[int, bool]]:
        z = pre_activations(self.network, x, self.slope)
        hidden = {(k, i): v > 0 for k, layer in enumerate(z[:-1]) for i, v in enumerate(layer)}
        system, rows = on_pattern(self.start, self.layers, hidden, self.slope)
        return system, rows, {i: v > 0 or self.linear for i, v in enumerate(z[-1])}

    def _terms(self, rows: Matrix, last: Mapping[int, bool]) -> Matrix:
        """f_i - y_i for the decided units."""
        columns = rows.ncols()
        result = flint.fmpq_mat(len(last), columns)
        for k, (i, on) in enumerate(last.items()):
            factor = flint.fmpq(1) if on else flint.fmpq(self.slope.numerator, self.slope.denominator)
            for j in range(columns):
                result[k, j] = factor * rows[i, j]
            result[k, columns - 1] = result[k, columns - 1] - flint.fmpq(self.y[i].numerator, self.y[i].denominator)
        return result

    def _with_signs(self, system: System, rows: Matrix, last: Mapping[int, bool]) -> Matrix:
        """The closed conditions on x."""
        if self.linear:
            return system.rows
        on = chosen(rows, [i for i, v in last.items() if v])
        off = chosen(rows, [i for i, v in last.items() if not v])
        return stacked([system.rows, -1 * on, off], rows.ncols())

    def _minimum(self, terms: Matrix, rows: Matrix) -> Minimum | None:
        """The minimum over a polyhedron; on a ball over planes around it, so that its value is a lower bound."""
        found = least_squares(terms, stacked([rows, self.cuts], rows.ncols()))
        for _ in range(_CUTS if self.radius is not None else 0):
            assert self.radius is not None
            if found is None or sum((v * v for v in found.point), Fraction(0)) <= self.radius**2:
                break
            normal = [Fraction(float(v)) for v in found.point]
            length = Fraction(root_above(sum((v * v for v in normal), Fraction(0))))
            cut = matrix([[*normal, -self.radius * length]], rows.ncols())
            recent = range(max(0, self.cuts.nrows() - _KEPT), self.cuts.nrows())
            self.cuts = stacked([chosen(self.cuts, recent), cut], rows.ncols())
            found = least_squares(terms, stacked([rows, self.cuts], rows.ncols()))
        return found

    def _inside(self, x: Sequence[Fraction]) -> FractionVector:
        """The input, drawn into the ball where it lies outside."""
        if self.radius is None:
            return tuple(x)
        square = sum((v * v for v in x), Fraction(0))
        if square <= self.radius**2:
            return tuple(x)
        factor = self.radius * _NEARLY / Fraction(root_above(square))
        return tuple(v * factor for v in x)

    def _hopeless(self, v: Fraction) -> bool:
        return v < 0 and not self.slope

    def _ended(self) -> bool:
        return self.nodes >= self.limit or (self.deadline is not None and time.perf_counter() > self.deadline)


_NEARLY = 1 - Fraction(1, 2**50)
