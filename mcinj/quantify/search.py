"""One search over the activation patterns of a layer: sets up the arrays, answers what needs exact arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from mcinj.certify.collision import rationalise
from mcinj.decide.deep.scaling import nearest, power_of_two
from mcinj.decide.layer.exact import circuit_or_point, integer_row, is_circuit, primitive, products
from mcinj.decide.layer.model import Layer
from mcinj.decide.watch import Pace
from mcinj.networks.network import FractionMatrix, FractionVector
from mcinj.numeric.cell import padded
from mcinj.quantify import kernel

_SLICE = 20_000  # most nodes between two looks at the outside world
_DEPTH = 64  # frames at first; deeper stacks grow


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of one layer over the inputs, or over (x, t) with t = 1, and the walls of its domain.

    Attributes
    ----------
    n
        Number of inputs.
    rows
        (m, g) exact rows; g = n, or n + 1 where there are biases or a domain with them.
    walls
        (w, g) exact rows that are positive on the (open) domain.
    """

    n: int
    rows: FractionMatrix
    walls: FractionMatrix = ()

    @classmethod
    def of(
        cls,
        weights: FractionMatrix,
        biases: FractionVector | None,
        domain: FractionMatrix = (),
        *,
        affine: bool = False,
    ) -> Rows:
        """Rows of `x ↦ Wx + b` on a domain, given by its walls over (x, t); `affine`: later layers have biases."""
        n = len(weights[0])
        if not affine and not domain and (biases is None or not any(biases)):
            return cls(n, tuple(weights))
        offsets = biases or (Fraction(0),) * len(weights)
        top = (*(Fraction(0) for _ in range(n)), Fraction(1))
        return cls(n, tuple((*w, b) for w, b in zip(weights, offsets, strict=True)), (top, *domain))

    @property
    def g(self) -> int:
        """Length of a row."""
        return len(self.rows[0])

    @property
    def affine(self) -> bool:
        """Whether points are (x, 1) and not directions."""
        return self.g > self.n


class PatternSearch:
    """Branch and bound over the patterns of `rows` (`mcinj.quantify.kernel`).

    Parameters
    ----------
    rows
        What is searched.
    ranked
        Close a node when its active rows have rank n; otherwise when they are proved to have all singular values above
        `close_above`.

    Attributes
    ----------
    units
        Positions in `rows.rows` of the rows that take part, those that are not 0 on the inputs.
    constant
        Positions of the others that are positive, by their biases.
    excluded
        Set by a leaf's visitor that finds no point of interest: rows without which there might be one (`beyond`).
    scale
        The power of two that the rows' input parts are divided by in `active`, `close_above` and `GRAM`.
    """

    def __init__(self, rows: Rows, *, ranked: bool = False) -> None:
        # Rows that are 0 on the inputs add nothing to any difference of outputs: they do not take part.
        self.units = [i for i, row in enumerate(rows.rows) if any(row[: rows.n])]
        counted = tuple(rows.rows[i] for i in self.units)
        # But what they give to a next layer counts there.
        self.constant = [i for i, row in enumerate(rows.rows) if not any(row[: rows.n]) and any(v > 0 for v in row)]
        self.rows = rows
        m, n, g = len(counted), rows.n, rows.g
        every = (*counted, *rows.walls)
        self.m, self.n, self.g = m, n, g
        total = len(every)
        lines, width = max(8, (total + 7) // 8 * 8), padded(g)
        self.lines = lines
        # Only the shape of a layer's floats counts where it has rationals, and those may be beyond the range of floats.
        layer = Layer(np.zeros((total, g)), n, False, every, False)
        self.layer = layer
        gi = np.zeros(kernel.GLOBALS, dtype=np.int64)
        gi[kernel.ROWS], gi[kernel.RANKED] = total, ranked
        self.gi, self.tau = gi, np.array([np.inf])
        self.scale = power_of_two([v for row in counted for v in row[:n]] or [Fraction(1)])
        A = np.zeros((lines, n))
        A[:m] = np.array([[nearest(v / self.scale) for v in row[:n]] for row in counted]).reshape(m, n)
        Q = np.zeros((lines, n), dtype=np.int64)
        G = np.zeros((2 * lines, width))
        Z = np.zeros((0, g), dtype=np.int64)
        if total:
            Q[:m] = layer.residues[:m]
            G[:total], G[lines : lines + total] = -layer.units, layer.units
            Z = layer.small_integers
            gi[kernel.INTEGERS] = len(Z) > 0
            if not len(Z) and not layer.support.all():
                Z = layer.support.astype(np.int64)
            if len(Z):
                # Signed rows are numbered modulo `lines`.
                Z = np.concatenate([Z, np.zeros((lines - total, g), dtype=np.int64)])
        self.G, self.A, self.Q, self.Z = G, A, Q, Z
        self._frames(min(m + 2, _DEPTH))
        sign = self.SIGN[0]
        sign[m:total] = 1
        self.FI[0, kernel.NEXT] = -1
        self.F = np.zeros((3, max(5 * width, lines)))
        self.J = np.zeros(2 * lines, dtype=np.int64)
        self.C = np.zeros(lines + width + 2, dtype=np.int64)
        self.T = np.zeros((g + 3, g), dtype=np.int64)
        self._circuits: dict[tuple[int, ...], bool] = {}
        self._point: FractionVector | None = None
        self.excluded: list[int] | None = None

    def _frames(self, depth: int) -> None:
        g, width, lines, n = self.g, padded(self.g), self.lines, self.n
        self.M, self.X, self.U = (
            np.zeros((depth + 1, g, width)),
            np.zeros((depth + 1, width)),
            np.zeros((depth + 1, width)),
        )
        self.IDS = np.full((depth + 1, width), -1, dtype=np.int64)
        self.SIGN = np.zeros((depth, lines), dtype=np.int8)
        self.GRAM, self.BASIS = np.zeros((depth, n, n)), np.zeros((depth, n, n), dtype=np.int64)
        self.BR, self.FI = np.zeros((depth, lines), dtype=np.int64), np.zeros((depth, 4), dtype=np.int64)

    def _grow(self) -> None:
        names = ("M", "X", "U", "IDS", "SIGN", "GRAM", "BASIS", "BR", "FI")
        old = {name: getattr(self, name) for name in names}
        depth = len(self.FI)
        self._frames(2 * depth)
        for name, array in old.items():
            getattr(self, name)[:depth] = array[:depth]

    @property
    def nodes(self) -> int:
        """Nodes entered so far."""
        return int(self.gi[kernel.NODES])

    def run(self, leaf: Callable[[], bool], limit: int, stop: Callable[[], bool] | None = None) -> bool:
        """Search until every node is closed (True), or `limit` nodes are used up or `stop()` says so (False).

        `leaf()` is called where a point has just the declared active rows active, or none could be excluded
        (`active`, `point`); it returns whether the node is closed by that. If not, its other cells are visited: some
        free row is active there.
        """
        pace = Pace(most=_SLICE)
        while True:
            before = self.nodes
            self.gi[kernel.LIMIT] = min(limit, before + pace.begin())
            reason = kernel.advance(self._arrays())
            if reason == kernel.DONE:
                return True
            if reason == kernel.PAUSED:
                pace.end(self.nodes - before)
                if self.nodes >= limit or (stop is not None and stop()):
                    return False
            elif reason == kernel.GROW:
                self._grow()
            elif reason == kernel.RESOLVE and self._resolved():
                self.gi[kernel.ANSWER] = kernel.CIRCUIT
            else:
                if reason == kernel.LEAF and not self._exact_point():
                    self.gi[kernel.ANSWER] = kernel.CIRCUIT
                elif leaf():
                    self.gi[kernel.ANSWER] = kernel.CLOSED
                else:
                    free = self.free() if self.excluded is None else self.excluded
                    self.excluded = None
                    self.C[: len(free)] = free
                    self.gi[kernel.FOUND], self.gi[kernel.ANSWER] = len(free), kernel.CIRCUIT
                if stop is not None and stop():
                    return False

    def _arrays(self) -> kernel.Search:
        return kernel.Search(
            self.gi, self.tau, self.G, self.A, self.Q, self.Z, self.M, self.X, self.U, self.IDS, self.SIGN, self.GRAM,
            self.BASIS, self.BR, self.FI, self.F, self.J, self.C, self.T,
        )  # fmt: skip

    def active(self) -> list[int]:
        """Active units if no free one is, positions in `rows.rows`: declared ones, and those that are everywhere."""
        declared = [self.units[i] for i in np.flatnonzero(self.SIGN[self.gi[kernel.DEPTH], : self.m] > 0)]
        return sorted(declared + self.constant)

    def free(self) -> list[int]:
        """Free rows of the present node, as the search numbers them."""
        return [int(i) for i in np.flatnonzero(self.SIGN[self.gi[kernel.DEPTH], : self.m] == 0)]

    @property
    def point(self) -> FractionVector:
        """At a leaf: a point of its cell, checked exactly; n + 1 coordinates (the last 1) if the rows are affine."""
        if self._point is None:
            raise RuntimeError("no point is known here")
        return self._point

    def center(self) -> npt.NDArray[np.float64]:
        """At a leaf: the center of the cell in floats, (g,)."""
        return np.array(self.X[-1, : self.g])

    def _required(self) -> list[int]:
        """Signed rows that the present leaf wants positive."""
        sign = self.SIGN[self.gi[kernel.DEPTH]]
        return [i if sign[i] <= 0 else self.lines + i for i in range(int(self.gi[kernel.ROWS]))]

    def _integer(self, signed: int) -> list[int]:
        """The signed row with its sign turned: negative inside."""
        row = self.layer.integers[signed % self.lines]
        return row if signed < self.lines else [-v for v in row]

    def required_rows(self) -> list[list[int]]:
        """At a leaf: integer rows that are negative just inside of its cell."""
        return [self._integer(i) for i in self._required()]

    def holds(self, x: Sequence[Fraction]) -> bool:
        """At a leaf: whether its cell holds a point, exactly; g coordinates."""
        rows = self.required_rows()
        return not rows or all(v < 0 for v in products(rows, primitive(integer_row(list(x)))))

    def beyond(self, wall: list[int]) -> list[Fraction] | None:
        """At a leaf: a point of its cell where an integer row is negative, (g,), or None if there is none, exactly.

        Then `excluded` holds the rows of a circuit with the wall: one of those that are free is active beyond it.
        """
        required = self._required()
        circuit, x = circuit_or_point([*(self._integer(i) for i in required), wall])
        if circuit is None:
            return x
        self.excluded = [required[k] for k in circuit if k < len(required)]
        return None

    def _accept(self, x: Sequence[Fraction]) -> bool:
        if not self.holds(x):
            return False
        if self.rows.affine:
            self._point = tuple(v / x[-1] for v in x)
        else:
            self._point = tuple(x)
        return True

    def _exact_point(self) -> bool:
        """Whether the leaf has a point, exactly; else C holds a circuit."""
        return self._accept(rationalise(list(self.center()))) or not self._solve(())

    def _resolved(self) -> bool:
        """Whether the leaf is empty, exactly: then C[:FOUND] is a circuit. Otherwise `point` is set."""
        found = int(self.gi[kernel.FOUND])
        candidate = tuple(int(v) for v in self.C[:found])
        if found:
            known = self._circuits.get(tuple(sorted(candidate)))
            if known is None:
                known = is_circuit([self._integer(i) for i in candidate])
                self._circuits[tuple(sorted(candidate))] = known
            if known:
                return True
        return self._solve(candidate)

    def _solve(self, hint: tuple[int, ...]) -> bool:
        """Gordan's alternative for the leaf, exactly; True: a circuit is in C."""
        required = self._required()
        place = {signed: k for k, signed in enumerate(required)}
        circuit, x = circuit_or_point([self._integer(i) for i in required], [place[i] for i in hint if i in place])
        if circuit is None:
            assert x is not None  # the alternative of a circuit
            if not self._accept(x):
                raise RuntimeError("an exact point failed its check; please report this network")
            return False
        self.C[: len(circuit)] = [required[k] for k in circuit]
        self.gi[kernel.FOUND] = len(circuit)
        return True
