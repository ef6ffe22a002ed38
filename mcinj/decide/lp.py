"""The reference checker: one parametrised margin LP (cvxpy + HiGHS), depth first over activation patterns.

Slow, readable, any depth. It rests on floating-point LPs with a margin tolerance, so its passes are
`certified: none`; its failures carry a witness checked in exact arithmetic, like everybody's.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mcinj.certify.collision import collision_at, rationalise
from mcinj.certify.rational import rank
from mcinj.certify.witness import Witness
from mcinj.decide.affine import LayerRows, dehomogenised, first_layer, next_layer, off_the_walls
from mcinj.decide.verdict import Outcome
from mcinj.networks import Network
from mcinj.networks.network import FloatArray

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

        self._signed = cvxpy.Parameter((rows, columns))
        self._used = cvxpy.Parameter(rows, nonneg=True)
        self._x, self._t = cvxpy.Variable(columns), cvxpy.Variable()
        self._problem = cvxpy.Problem(
            cvxpy.Maximize(self._t),
            [self._signed @ self._x >= self._used * self._t, cvxpy.abs(self._x) <= 1, self._t <= 1],
        )

    def solve(self, signed: Sequence[FloatArray]) -> tuple[float, FloatArray]:
        """Margin and point of the pattern with the given signed rows."""
        used = len(signed)
        matrix = np.zeros(self._signed.shape)
        matrix[:used] = signed
        self._signed.value = matrix
        self._used.value = (np.arange(matrix.shape[0]) < used).astype(float)
        self._problem.solve(solver="HIGHS", highs_options=HIGHS_OPTIONS)
        if self._x.value is None:
            raise RuntimeError(f"HiGHS ended with {self._problem.status} on a feasible, bounded LP")
        return float(self._t.value), np.asarray(self._x.value, dtype=np.float64)


def decide(network: Network, node_budget: int | None = None) -> Search:
    """Decide the `regional` criterion: rank n on every open region. Any depth, any weights, biases too."""
    search = Search(node_budget)
    columns = network.n + int(network.has_biases)
    lp = MarginLP(sum(network.widths) + int(network.has_biases), columns)
    signed: list[Any] = []
    if network.has_biases:
        signed.append(np.eye(columns)[-1])
    margin, x = (1.0, np.zeros(columns)) if not signed else lp.solve(signed)
    # Without a first row there is no direction to prefer: x = 0, where no unit is positive, is no region.
    _Walk(network, lp, search).layer(1, first_layer(network), signed, x, margin)
    return search


@dataclass
class _Walk:
    network: Network
    lp: MarginLP
    search: Search

    def layer(self, k: int, rows: LayerRows, signed: list[FloatArray], x: FloatArray, margin: float) -> None:
        free = [i for i in range(len(rows.exact)) if any(rows.exact[i])]
        self.node(k, rows, signed, free, (), x)

    def node(
        self, k: int, rows: LayerRows, signed: list[FloatArray], free: list[int], active: tuple[int, ...], x: FloatArray
    ) -> None:
        """All regions below a partial pattern: `signed` rows hold at `x`, `free` units of layer k are undecided."""
        search = self.search
        if search.witness is not None or search.over_budget:
            return
        if search.node_budget is not None and search.nodes >= search.node_budget:
            search.over_budget = True
            return
        search.nodes += 1
        last = k == self.network.depth
        if last and self.rank(k, rows, active) == self.network.n:
            return
        values = rows.floats @ x
        positive = [i for i in free if values[i] > 0]
        if (
            (x.any() or not free)
            and self.rank(k, rows, (*active, *positive)) < self.network.n
            and self.try_witness(rows, signed, x)
        ):
            return
        if not free:
            if self.rank(k, rows, active) < self.network.n:
                search.unresolved += 1
            elif not last:
                following = next_layer(self.network, k, rows, sorted(active))
                self.layer(k + 1, following, signed, x, 0.0)
            return
        # Most violated first: the unit that is most positive at the point reached, its negative side before the other.
        unit = max(free, key=lambda i: values[i])
        rest = [i for i in free if i != unit]
        for sign in (-1.0, 1.0):
            child = [*signed, sign * rows.floats[unit]]
            point = x
            if sign * values[unit] <= MARGIN or not x.any():
                margin, point = self.lp.solve(child)
                if margin <= MARGIN:
                    continue
            self.node(k, rows, child, rest, (*active, unit) if sign > 0 else active, point)

    def rank(self, k: int, rows: LayerRows, active: tuple[int, ...]) -> int:
        """Exact rank of the x-parts of the active rows."""
        n = self.network.n
        if len(active) < n:
            return len(active) if len(active) == 0 else min(len(active), n - 1)
        chosen = [rows.exact[i][:n] for i in active]
        return rank(chosen, n)

    def try_witness(self, rows: LayerRows, signed: list[FloatArray], x: FloatArray) -> bool:
        margin = min((float(row @ x) for row in signed), default=1.0)
        point = rationalise(off_the_walls(rows, x, margin).tolist())
        if self.network.has_biases and point[-1] <= 0:
            return False
        found = collision_at(self.network, dehomogenised(self.network, point))
        if found is not None:
            self.search.witness, self.search.layer = found
        return found is not None
