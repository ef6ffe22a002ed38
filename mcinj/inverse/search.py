"""All inputs with a given output, exactly: a search over the activation patterns of the hidden units.

Every input has one pattern: units that are positive, and units that are not. On the inputs of one pattern the network
is affine, so those with f(x) = y are a polyhedron (a *piece*): equations for the units with y_i > 0, inequalities for
those with y_i = 0 and for the hidden units. Positive units give strict inequalities, so the pieces are disjoint.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from mcinj.decide.bounded.domain import Domain
from mcinj.inverse.algebra import Matrix, chosen, fraction, identity, matrix, solutions, stacked
from mcinj.inverse.interior import Interior, relative_interior
from mcinj.inverse.layers import after, before, layer_rows
from mcinj.inverse.quadratic import least_squares
from mcinj.inverse.relax import Relaxation, Unit
from mcinj.networks import Network
from mcinj.networks.network import FractionVector

_PEELED = 16  # dimensions of a layer's solutions up to which it is asked whether they are one point


@dataclass(frozen=True)
class Piece:
    """Inputs of one activation pattern with the output asked for: a polyhedron, exact.

    Attributes
    ----------
    point
        A point of its relative interior.
    directions
        A basis of the directions of its affine hull, as many as its dimension: empty for a single point.
    inequalities
        `(g, h, strict)` with `g·x <= h`, or `g·x < h` where strict; with `point + span(directions)` they describe it.
    bounded
        Whether it is bounded.
    radius
        If not None, only its points with |x| < radius count.
    """

    point: FractionVector
    directions: tuple[FractionVector, ...]
    inequalities: tuple[tuple[FractionVector, Fraction, bool], ...]
    bounded: bool
    radius: Fraction | None = None

    @property
    def dimension(self) -> int:
        """Dimension of the polyhedron."""
        return len(self.directions)

    def holds(self, x: Sequence[Fraction]) -> bool:
        """Whether a rational point lies in the piece, exactly."""
        n = len(x)
        if self.radius is not None and not _dot(x, x) < self.radius**2:
            return False
        if any(_dot(g, x) > h or (strict and _dot(g, x) == h) for g, h, strict in self.inequalities):
            return False
        step = [a - b for a, b in zip(x, self.point, strict=True)]
        if not self.directions:
            return not any(step)
        return bool(matrix([*self.directions, step], n).rank() == len(self.directions))

    def to_json(self) -> dict[str, Any]:
        """Rationals as strings."""
        return {
            "dimension": self.dimension,
            "bounded": self.bounded,
            **({} if self.radius is None else {"radius": str(self.radius)}),
            "point": [str(v) for v in self.point],
            "directions": [[str(v) for v in d] for d in self.directions],
            "inequalities": [
                {"g": [str(v) for v in g], "h": str(h), "strict": strict} for g, h, strict in self.inequalities
            ],
        }


@dataclass(frozen=True)
class System:
    """Affine conditions on x: `equations` = 0, `rows` <= 0, those in `strict` < 0."""

    equations: Matrix
    rows: Matrix
    strict: frozenset[int]

    def with_rows(self, rows: Matrix, strict: bool) -> System:
        """The system with more inequalities."""
        start, columns = self.rows.nrows(), self.rows.ncols()
        more = range(start, start + rows.nrows()) if strict else ()
        return System(self.equations, stacked([self.rows, rows], columns), self.strict | frozenset(more))

    def with_pattern(self, rows: Matrix, active: Sequence[bool]) -> System:
        """The system where exactly these of the rows are positive."""
        on = chosen(rows, [i for i, v in enumerate(active) if v])
        off = chosen(rows, [i for i, v in enumerate(active) if not v])
        return self.with_rows(-1 * on, strict=True).with_rows(off, strict=False)

    def with_output(self, rows: Matrix, y: Sequence[Fraction], slope: Fraction) -> System:
        """The system with σ(rows) = y; for ReLU, y >= 0."""
        columns = rows.ncols()
        fixed = [i for i, v in enumerate(y) if v > 0 or slope]
        on = chosen(rows, fixed)
        for k, i in enumerate(fixed):
            z = before(y[i], slope)
            assert z is not None  # negative outputs of a ReLU are answered before
            on[k, columns - 1] = on[k, columns - 1] - flint.fmpq(z.numerator, z.denominator)
        off = chosen(rows, [i for i in range(len(y)) if i not in set(fixed)])
        return System(stacked([self.equations, on], columns), self.rows, self.strict).with_rows(off, strict=False)

    def solve(self) -> tuple[Matrix, Interior] | None:
        """A map w -> x onto the affine hull of the equations, and the interior over w; None: proved empty."""
        onto = solutions(self.equations)
        if onto is None:
            return None
        inside = relative_interior(self.rows * onto, self.strict)
        return None if inside is None else (onto, inside)


def everything(n: int, domain: Domain | None = None) -> System:
    """No condition, or a box; of a ball nothing (`_in_ball`)."""
    free = System(flint.fmpq_mat(0, n + 1), flint.fmpq_mat(0, n + 1), frozenset())
    if domain is None or domain.shape == "ball":
        return free
    return free.with_rows(matrix([[-v for v in row] for row in domain.fence(n)], n + 1), strict=True)


def peeled(network: Network, y: FractionVector, slope: Fraction) -> tuple[Network, FractionVector] | None:
    """The shortest prefix whose output is known from y, with it; None: proved that y is no output.

    A layer is taken off where only one vector h of its inputs (h >= 0 behind ReLUs) gives its outputs.
    """
    while network.depth > 1:
        inputs = int(network.weights[-1].shape[1])
        # With fewer equations than this the solutions have too many dimensions to ask about.
        if sum(v > 0 or bool(slope) for v in y) + _PEELED < inputs:
            break
        system = everything(inputs)
        if not slope:
            nonnegative = [[Fraction(-int(i == j)) for j in range(inputs + 1)] for i in range(inputs)]
            system = system.with_rows(matrix(nonnegative, inputs + 1), strict=False)
        system = system.with_output(layer_rows(network, network.depth - 1), y, slope)
        onto = solutions(system.equations)
        if onto is None:
            return None
        if onto.ncols() - 1 > _PEELED:
            break
        inside = relative_interior(system.rows * onto, system.strict)
        if inside is None:
            return None
        if inside.dimension > 0:
            break
        network, y = network.prefix(network.depth - 1), tuple(inside.values(onto)[:-1])
    return network, y


class Search:
    """The pieces of `{x : f(x) = y}`, one after the other; `nodes` partial patterns are entered, at most `limit`."""

    def __init__(
        self, network: Network, y: FractionVector, domain: Domain | None, limit: int, slope: Fraction = Fraction(0),
        deadline: float | None = None,
    ) -> None:  # fmt: skip
        self.network, self.y, self.limit, self.slope, self.deadline = network, y, limit, slope, deadline
        self.layers = [layer_rows(network, k) for k in range(network.depth)]
        self.start = everything(network.n, domain)
        self.radius = Fraction(domain.high) if domain is not None and domain.shape == "ball" else None
        self.relaxation = Relaxation(network, y, Fraction(0), domain, slope) if network.depth > 1 else None
        self.nodes = 0
        self.complete = True

    def pieces(self) -> Iterator[Piece]:
        """All pieces; if the limit ends the search, `complete` is false afterwards."""
        stack: list[dict[Unit, bool]] = [{}]
        while stack:
            if self.nodes >= self.limit or (self.deadline is not None and time.perf_counter() > self.deadline):
                self.complete = False
                return
            self.nodes += 1
            signs = stack.pop()
            if self.relaxation is not None:
                point = self.relaxation.look(signs)
                if point is None:
                    continue
                choice = self.relaxation.open_unit(signs, point)
                if choice is not None:
                    unit, on = choice
                    stack.append({**signs, unit: not on})
                    stack.append({**signs, unit: on})
                    continue
            system, rows = on_pattern(self.start, self.layers, signs, self.slope)
            whole = system.with_output(rows, self.y, self.slope)
            found = whole.solve()
            piece = None if found is None else _piece(whole, *found, self.radius)
            if piece is not None:
                yield piece


def on_pattern(
    start: System, layers: Sequence[Matrix], signs: Mapping[Unit, bool], slope: Fraction
) -> tuple[System, Matrix]:
    """The inputs with this pattern of all hidden units, and the rows of the last layer over them."""
    system, rows = start, layers[0]
    for k, layer in enumerate(layers[1:]):
        active = [signs[k, i] for i in range(rows.nrows())]
        system, rows = system.with_pattern(rows, active), after(rows, layer, active, slope)
    return system, rows


def _in_ball(full: Matrix, rows: Matrix, inside: Interior, radius: Fraction) -> tuple[Fraction, ...] | None:
    """w in the relative interior of `{w : rows <= 0}` with |x(w)| < radius, decided by the least-norm point."""
    n = full.nrows() - 1
    near = least_squares(chosen(full, range(n)), rows)
    assert near is not None  # the polyhedron has a relative interior
    if not near.value < radius**2:
        return None
    step = Fraction(1)
    while True:
        # The least-norm point may lie on the boundary: a step into the interior, small enough to stay in the ball.
        w = tuple(a + step * (b - a) for a, b in zip(near.point, inside.point, strict=True))
        x = Interior(full, w, frozenset()).values(chosen(identity(n + 1), range(n)))
        if _dot(x, x) < radius**2:
            return w
        step /= 2


def _piece(system: System, onto: Matrix, inside: Interior, radius: Fraction | None) -> Piece | None:
    """The piece in coordinates of x; None: it does not meet the ball."""
    full = onto * inside.hull
    n, e = full.nrows() - 1, inside.dimension
    if radius is not None:
        w = _in_ball(full, system.rows * full, inside, radius)
        if w is None:
            return None
        inside = Interior(inside.hull, w, inside.tight)
    point = tuple(inside.values(onto)[:-1])
    directions = tuple(tuple(fraction(full[i, k]) for i in range(n)) for k in range(e))
    inequalities = []
    narrowed = system.rows * full
    recession = flint.fmpq_mat(narrowed.nrows(), e + 1)
    for i in range(narrowed.nrows()):
        if not any(narrowed[i, k] != 0 for k in range(e)):
            continue  # constant on the affine hull: it holds there
        row = [fraction(v) for v in chosen(system.rows, [i]).entries()]
        inequalities.append((tuple(row[:-1]), -row[-1], i in system.strict))
        for k in range(e):
            recession[i, k] = narrowed[i, k]
    cone = relative_interior(recession)
    bounded = radius is not None or (cone is not None and cone.dimension == 0)
    return Piece(point, directions, tuple(inequalities), bounded, radius)


def _dot(g: Sequence[Fraction], x: Sequence[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(g, x, strict=True)), Fraction(0))
