"""The reference checker: one parametrised margin LP (cvxpy + HiGHS), depth first over activation patterns.

Slow, readable, any depth. It rests on floating-point LPs with a margin tolerance, so its passes are
`certified: none`; its failures carry a witness checked in exact arithmetic, like everybody's.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from mcinj.certify.collision import collision_at, rationalise
from mcinj.certify.rational import rank
from mcinj.certify.witness import Witness
from mcinj.decide.deep.affine import LayerRows, dehomogenised, first_layer, next_layer, off_the_walls
from mcinj.decide.deep.scaling import is_wide
from mcinj.decide.layer.exact import circuit_or_point, integer_row
from mcinj.decide.verdict import Outcome
from mcinj.decide.watch import current
from mcinj.networks import Network
from mcinj.networks.network import FloatArray, FractionVector, exact_product

# A pattern counts as realised when all its signs hold with this margin on |x|_∞ <= 1, rows scaled to largest entry
# about 1. HiGHS works to 1e-7 by default, so it is asked for more.
MARGIN = 1e-8
HIGHS_OPTIONS = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10, "threads": 1}


@dataclass
class Search:
    """What the depth-first search found and what it cost."""

    node_budget: int | None
    nodes: int = 0
    witness: Witness | None = None
    layer: int | None = None
    unresolved: int = 0
    over_budget: bool = False
    ranks: dict[tuple[int, frozenset[int]], int] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        """NOT_INJECTIVE with a witness; UNKNOWN past the budget or with a candidate that exact arithmetic refused."""
        if self.witness is not None:
            return Outcome.NOT_INJECTIVE
        return Outcome.UNKNOWN if self.over_budget or self.unresolved else Outcome.INJECTIVE


class MarginLP:
    """``max t`` subject to ``s∘(A x) >= t``, ``|x|_∞ <= 1``: the signed rows ``s∘A`` are the parameter.

    Built once for the largest number of rows; rows not in use are zero and ask nothing.
    """

    def __init__(self, rows: int, columns: int) -> None:
        cvxpy: Any = importlib.import_module("cvxpy")  # here, not above: it takes two seconds

        self._failed = cvxpy.error.SolverError
        self._signed = cvxpy.Parameter((rows, columns))
        self._used = cvxpy.Parameter(rows, nonneg=True)
        self._x, self._t = cvxpy.Variable(columns), cvxpy.Variable()
        self._problem = cvxpy.Problem(
            cvxpy.Maximize(self._t),
            [self._signed @ self._x >= self._used * self._t, cvxpy.abs(self._x) <= 1, self._t <= 1],
        )

    def solve(self, signed: Sequence[FloatArray]) -> tuple[float, FloatArray] | None:
        """Margin and point of the pattern with the given signed rows; None where the solver gives no answer."""
        used = len(signed)
        matrix = np.zeros(self._signed.shape)
        matrix[:used] = signed
        self._signed.value = matrix
        self._used.value = (np.arange(matrix.shape[0]) < used).astype(float)
        try:
            self._problem.solve(solver="HIGHS", highs_options=HIGHS_OPTIONS)
        except self._failed:
            return None
        if self._x.value is None:
            return None
        return float(self._t.value), np.asarray(self._x.value, dtype=np.float64)


def decide(network: Network, node_budget: int | None = None) -> Search:
    """Decide the `regional` criterion: rank n on every open region. Any depth, any weights, biases too.

    Where entries differ so much in size that cells may be too thin for tolerances (`scaling.is_wide`), and where HiGHS
    gives no answer, the programs are solved in rational arithmetic.
    """
    search = Search(node_budget)
    columns = network.n + int(network.has_biases)
    lp = None if is_wide(network) else MarginLP(sum(network.widths) + int(network.has_biases), columns)
    signed: list[Row] = []
    point = Point(np.zeros(columns))
    if network.has_biases:
        signed.append(Row(np.eye(columns)[-1], tuple(Fraction(int(q == columns - 1)) for q in range(columns))))
        # Without a first row there is no direction to prefer: x = 0, where no unit is positive, is no region.
        point = _solve(lp, signed) or point
    _Walk(network, lp, search).layer(1, first_layer(network), signed, point)
    return search


class Row(NamedTuple):
    """A signed row that is positive: scaled, and exact."""

    floats: FloatArray
    exact: FractionVector


class Point(NamedTuple):
    """A point of a cell; the exact one where programs are exact."""

    x: FloatArray
    z: FractionVector | None = None

    def values(self, rows: LayerRows) -> Sequence[float | Fraction]:
        """Values of all rows."""
        return (rows.floats @ self.x).tolist() if self.z is None else exact_product(rows.exact, self.z)


def _solve(lp: MarginLP | None, signed: Sequence[Row]) -> Point | None:
    """A point at which the rows are positive, or None: there is none (with the margin asked for)."""
    answer = None if lp is None else lp.solve([row.floats for row in signed])
    if answer is not None:
        return Point(answer[1]) if answer[0] > MARGIN else None
    _, z = circuit_or_point([integer_row([-v for v in row.exact]) for row in signed])
    if z is None:
        return None
    top = max(abs(v) for v in z)
    return Point(np.array([float(v / top) for v in z]), tuple(z))


@dataclass
class _Walk:
    network: Network
    lp: MarginLP | None
    search: Search

    def layer(self, k: int, rows: LayerRows, signed: list[Row], point: Point) -> None:
        free = [i for i in range(len(rows.exact)) if any(rows.exact[i])]
        self.node(k, rows, signed, free, (), point)

    def node(
        self, k: int, rows: LayerRows, signed: list[Row], free: list[int], active: tuple[int, ...], point: Point
    ) -> None:
        """All regions below a partial pattern: `signed` rows hold at `point`, `free` units of layer k are undecided."""
        search = self.search
        if search.witness is not None or search.over_budget:
            return
        if search.node_budget is not None and search.nodes >= search.node_budget:
            search.over_budget = True
            return
        search.nodes += 1
        current().poll(search.nodes)
        last = k == self.network.depth
        if last and self.rank(k, rows, active) == self.network.n:
            return
        values = point.values(rows)
        positive = [i for i in free if values[i] > 0]
        start = not point.x.any()
        if (
            (not start or not free)
            and self.rank(k, rows, (*active, *positive)) < self.network.n
            and self.try_witness(rows, signed, point)
        ):
            return
        if not free:
            if self.rank(k, rows, active) < self.network.n:
                search.unresolved += 1
            elif not last:
                self.layer(k + 1, next_layer(self.network, k, rows, sorted(active)), signed, point)
            return
        # Most violated first: the unit that is most positive at the point reached, its negative side before the other.
        unit = max(free, key=lambda i: values[i])
        rest = [i for i in free if i != unit]
        for sign in (-1, 1):
            child = [*signed, Row(sign * rows.floats[unit], tuple(sign * v for v in rows.exact[unit]))]
            there: Point | None = point
            if start or not sign * values[unit] > (MARGIN if point.z is None else 0):
                there = _solve(self.lp, child)
            if there is not None:
                self.node(k, rows, child, rest, (*active, unit) if sign > 0 else active, there)

    def rank(self, k: int, rows: LayerRows, active: tuple[int, ...]) -> int:
        """Exact rank of the x-parts of the active rows."""
        n = self.network.n
        if len(active) < n:
            return len(active) if len(active) == 0 else min(len(active), n - 1)
        chosen = [rows.exact[i][:n] for i in active]
        return rank(chosen, n)

    def try_witness(self, rows: LayerRows, signed: list[Row], point: Point) -> bool:
        if point.z is not None:
            z = point.z
        else:
            margin = min((float(row.floats @ point.x) for row in signed), default=1.0)
            z = rationalise(off_the_walls(rows, point.x, margin).tolist())
        if self.network.has_biases and z[-1] <= 0:
            return False
        found = collision_at(self.network, dehomogenised(self.network, z))
        if found is not None:
            self.search.witness, self.search.layer = found
        return found is not None
