"""All inputs with a given output, exactly: a search over the activation patterns of the hidden units.

Every input has one pattern: units that are positive, and units that are not. On the inputs of one pattern the network
is affine, so those with f(x) = y are a polyhedron (a *piece*): equations for the units with y_i > 0, inequalities for
those with y_i = 0 and for the hidden units. Positive units give strict inequalities, so the pieces are disjoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from mcinj.decide.deep_domain import Domain
from mcinj.inverse.algebra import Matrix, chosen, fraction, matrix, solutions, stacked
from mcinj.inverse.interior import Interior, relative_interior
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
    """

    point: FractionVector
    directions: tuple[FractionVector, ...]
    inequalities: tuple[tuple[FractionVector, Fraction, bool], ...]
    bounded: bool

    @property
    def dimension(self) -> int:
        """Dimension of the polyhedron."""
        return len(self.directions)

    def holds(self, x: Sequence[Fraction]) -> bool:
        """Whether a rational point lies in the piece, exactly."""
        n = len(x)
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
            "point": [str(v) for v in self.point],
            "directions": [[str(v) for v in d] for d in self.directions],
            "inequalities": [
                {"g": [str(v) for v in g], "h": str(h), "strict": strict} for g, h, strict in self.inequalities
            ],
        }


def layer_rows(network: Network, k: int) -> Matrix:
    """Rows (W, b) of layer k (from 0), shape `(m_k, m_{k-1} + 1)`."""
    w = network.exact_weights[k]
    biases = network.exact_biases
    b = biases[k] if biases is not None else (Fraction(0),) * len(w)
    return matrix([(*row, c) for row, c in zip(w, b, strict=True)], len(w[0]) + 1)


def after(rows: Matrix, layer: Matrix, active: Sequence[bool]) -> Matrix:
    """Rows over (x, 1) of the next layer, where exactly these units of the layer with `rows` are positive."""
    columns = rows.ncols()
    kept = [i for i, on in enumerate(active) if on]
    last = layer.ncols() - 1
    constant = flint.fmpq_mat(layer.nrows(), columns)
    for i in range(layer.nrows()):
        constant[i, columns - 1] = layer[i, last]
    if not kept:
        return constant
    part = flint.fmpq_mat(layer.nrows(), len(kept), [layer[i, j] for i in range(layer.nrows()) for j in kept])
    return part * chosen(rows, kept) + constant


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

    def with_output(self, rows: Matrix, y: Sequence[Fraction]) -> System:
        """The system with ReLU(rows) = y, y >= 0."""
        columns = rows.ncols()
        on = chosen(rows, [i for i, v in enumerate(y) if v > 0])
        for k, v in enumerate(v for v in y if v > 0):
            on[k, columns - 1] = on[k, columns - 1] - flint.fmpq(v.numerator, v.denominator)
        off = chosen(rows, [i for i, v in enumerate(y) if v <= 0])
        return System(stacked([self.equations, on], columns), self.rows, self.strict).with_rows(off, strict=False)

    def solve(self) -> tuple[Matrix, Interior] | None:
        """A map w -> x onto the affine hull of the equations, and the interior over w; None: proved empty."""
        onto = solutions(self.equations)
        if onto is None:
            return None
        inside = relative_interior(self.rows * onto, self.strict)
        return None if inside is None else (onto, inside)


def everything(n: int, domain: Domain | None = None) -> System:
    """No condition, or a box."""
    free = System(flint.fmpq_mat(0, n + 1), flint.fmpq_mat(0, n + 1), frozenset())
    if domain is None:
        return free
    return free.with_rows(matrix([[-v for v in row] for row in domain.fence(n)], n + 1), strict=True)


def peeled(network: Network, y: FractionVector) -> tuple[Network, FractionVector] | None:
    """The shortest prefix whose output is known from y, with it; None: proved that y is no output.

    A layer is taken off where only one vector h >= 0 of its inputs gives its outputs.
    """
    while network.depth > 1:
        inputs = int(network.weights[-1].shape[1])
        # With fewer equations than this the solutions have too many dimensions to ask about.
        if sum(v > 0 for v in y) + _PEELED < inputs:
            break
        nonnegative = [[Fraction(-int(i == j)) for j in range(inputs + 1)] for i in range(inputs)]
        system = everything(inputs).with_rows(matrix(nonnegative, inputs + 1), strict=False)
        system = system.with_output(layer_rows(network, network.depth - 1), y)
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

    def __init__(self, network: Network, y: FractionVector, domain: Domain | None, limit: int) -> None:
        self.network, self.y, self.limit = network, y, limit
        self.layers = [layer_rows(network, k) for k in range(network.depth)]
        self.start = everything(network.n, domain)
        self.nodes = 0
        self.complete = True

    def pieces(self) -> Iterator[Piece]:
        """All pieces; if the limit ends the search, `complete` is false afterwards."""
        stack: list[tuple[int, Matrix, dict[int, bool], System]] = [(0, self.layers[0], {}, self.start)]
        while stack:
            if self.nodes >= self.limit:
                self.complete = False
                return
            self.nodes += 1
            k, rows, signs, system = stack.pop()
            if k == self.network.depth - 1:
                whole = system.with_output(rows, self.y)
                found = whole.solve()
                if found is not None:
                    yield _piece(whole, *found)
                continue
            found = system.solve()
            if found is None:
                continue
            if len(signs) == rows.nrows():
                active = [signs[i] for i in range(len(signs))]
                stack.append((k + 1, after(rows, self.layers[k + 1], active), {}, system))
                continue
            onto, inside = found
            values = inside.values(rows * onto)
            # The unit that is most positive at the point first: its negative side moves the point most.
            unit = max((i for i in range(rows.nrows()) if i not in signs), key=lambda i: values[i])
            row = chosen(rows, [unit])
            stack.append((k, rows, {**signs, unit: False}, system.with_rows(row, strict=False)))
            stack.append((k, rows, {**signs, unit: True}, system.with_rows(-1 * row, strict=True)))


def _piece(system: System, onto: Matrix, inside: Interior) -> Piece:
    """The piece in coordinates of x."""
    full = onto * inside.hull
    n, e = full.nrows() - 1, inside.dimension
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
    bounded = cone is not None and cone.dimension == 0
    return Piece(point, directions, tuple(inequalities), bounded)


def _dot(g: Sequence[Fraction], x: Sequence[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(g, x, strict=True)), Fraction(0))
