"""One layer by mixed-integer programming (HiGHS through highspy): a binary per unit, sound M, no ε.

A user's model writes ``a_i x <= M b_i``, ``a_i x >= ε`` when b_i = 1, and has to guess both constants. Here

* M is not guessed. The sign cells are cones, so a witness may be scaled into the box ``|x|_∞ <= 1`` (with biases
  the cone is that of (x, t), t > 0), where ``a_i x + t <= ‖a_i‖_1 + 1``: that bound is the M of row i.
* There is no ε. Positive units need no lower bound (fewer positive units only help a witness), and the margin of
  the negative ones is what is maximised: ``max t`` subject to ``a_i x + t <= (‖a_i‖_1 + 1) b_i``, ``Σ b_i <= n - 1``.
  No cell with fewer than n positive rows exists iff the optimum is 0.
* A point that the solver offers is believed only after exact arithmetic has seen it. If the solver bent a binary
  (a tiny b_i times M), the pattern is refuted by a Farkas certificate, whose rows C satisfy ``Σ_C y_i a_i = 0, y > 0``:
  in every cell one of them is positive, so ``Σ_C b_i >= 1`` is a valid cut and the search goes on.

Rank, not count: a cell may have n positive rows or more and still rank below n if they lie in a hyperplane. So the
second phase goes through the hyperplanes spanned by rows that hold n rows or more (none in general position) and asks
one LP each: can all other rows be negative at once?

HiGHS' optimality is a floating-point claim, so passes are `certified: none`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, islice

import numpy as np

from mcinj.certify.collision import collision_at, rationalise
from mcinj.certify.rational import rank
from mcinj.certify.witness import Witness
from mcinj.decide.deep.affine import LayerRows, dehomogenised, first_layer, off_the_walls, scaled
from mcinj.decide.deep.scaling import is_wide, with_even_columns
from mcinj.decide.oracles.highs import SolverError, silent_model, solve_lp
from mcinj.decide.verdict import Outcome
from mcinj.decide.watch import current
from mcinj.networks import Network
from mcinj.networks.network import FloatArray

# A point realises a pattern when every row off it is below -MARGIN (rows scaled to largest entry about 1, |x| <= 1).
MARGIN = 1e-9
# Hyperplanes are found in floats with this tolerance and confirmed in exact arithmetic.
NEAR = 1e-7
BATCH = 20_000


@dataclass(frozen=True)
class MilpResult:
    """Outcome of `decide_one_layer`; `nodes` are HiGHS' branch-and-bound nodes plus one per LP of the second phase."""

    outcome: Outcome
    nodes: int
    witness: Witness | None = None


def decide_one_layer(network: Network, node_budget: int | None = None) -> MilpResult:
    """Decide injectivity of a one-layer network: any matrix, biases too.

    UNKNOWN past the node budget, when exact arithmetic refuses the only point offered, when HiGHS gives no answer, or
    where no cell is found but entries of a row differ so much in size (2^20, with columns scaled) that cells may be too
    thin for the solver.
    """
    try:
        return _decide_evened(network, node_budget)
    except SolverError:
        return MilpResult(Outcome.UNKNOWN, 0)


def _decide_evened(network: Network, node_budget: int | None) -> MilpResult:
    if not is_wide(network):
        return _decide(network, node_budget)
    even, columns = with_even_columns(network)
    found = _decide(even, node_budget)
    if found.witness is not None:
        points = (found.witness.x, found.witness.x_prime)
        x, other = (tuple(v * c for v, c in zip(point, columns, strict=True)) for point in points)
        return replace(found, witness=Witness(x, other))
    return replace(found, outcome=Outcome.UNKNOWN) if is_wide(even) else found


def _decide(network: Network, node_budget: int | None) -> MilpResult:
    rows = first_layer(network)
    n = network.n
    if rank([row[:n] for row in rows.exact], n) < n:
        # No cell has rank n, so any point off the walls is a witness.
        point = off_the_walls(rows, np.append(np.zeros(rows.floats.shape[1] - 1), 1.0), 1.0)
        return _judged(network, point, 0)
    cone = _Cone(rows, positive_last=network.has_biases)
    master = _CountModel(rows, n, positive_last=network.has_biases)
    nodes = 0
    while True:
        if node_budget is not None and nodes >= node_budget:
            return MilpResult(Outcome.UNKNOWN, nodes)
        pattern, used = master.solve(None if node_budget is None else node_budget - nodes)
        nodes += used
        if pattern is None and not master.finished:
            return MilpResult(Outcome.UNKNOWN, nodes)
        if pattern is None:
            break
        x, farkas = cone.point(pattern)
        if x is not None:
            return _judged(network, x, nodes)
        master.at_least_one(farkas)
    for flat in _rich_hyperplanes(rows, n):
        if node_budget is not None and nodes >= node_budget:
            return MilpResult(Outcome.UNKNOWN, nodes)
        nodes += 1
        current().poll()
        x, _ = cone.point(flat)
        if x is not None:
            return _judged(network, x, nodes)
    return MilpResult(Outcome.INJECTIVE, nodes)


def _judged(network: Network, x: FloatArray, nodes: int) -> MilpResult:
    found = collision_at(network, dehomogenised(network, rationalise(x.tolist())))
    if found is None:
        return MilpResult(Outcome.UNKNOWN, nodes)
    return MilpResult(Outcome.NOT_INJECTIVE, nodes, found[0])


def _rich_hyperplanes(rows: LayerRows, n: int) -> Iterator[frozenset[int]]:
    """Sets of n or more rows (x-parts) that lie in one hyperplane, each maximal and exact."""
    alive = [i for i in range(len(rows.exact)) if any(rows.exact[i][:n])]
    # With biases a row without weights may be active all the same; it lies in every hyperplane.
    inert = {i for i in range(len(rows.exact)) if any(rows.exact[i]) and not any(rows.exact[i][:n])}
    if n == 1:
        if inert:
            yield frozenset(inert)  # in R^1 the only hyperplane is {0}
        return
    a = scaled(tuple(rows.exact[i][:n] for i in alive))
    a = a / np.abs(a).max(axis=1, keepdims=True)
    probe = np.random.default_rng(0).standard_normal(n)
    seen: set[frozenset[int]] = set()
    subsets = combinations(range(len(alive)), n - 1)
    while block := list(islice(subsets, BATCH)):
        # The normal d of a hyperplane solves (rows; probe) d = e_n; dependent rows span no hyperplane of their own.
        systems = np.concatenate([a[np.array(block)], np.broadcast_to(probe, (len(block), 1, n))], axis=1)
        volume = np.abs(np.linalg.det(systems))
        systems, kept = systems[volume > 1e-13], np.flatnonzero(volume > 1e-13)
        target = np.zeros((len(systems), n, 1))
        target[:, -1] = 1.0
        normals = np.linalg.solve(systems, target)[:, :, 0]
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        near = np.abs(normals @ a.T) < NEAR
        for k in np.flatnonzero(near.sum(axis=1) + len(inert) >= n):
            members = {alive[i] for i in block[kept[k]]}
            for i in np.flatnonzero(near[k]):
                if rank([rows.exact[j][:n] for j in (*members, alive[i])], n) < n:
                    members.add(alive[i])
            flat = frozenset(members | inert)
            if len(flat) >= n and flat not in seen:
                seen.add(flat)
                yield flat


class _CountModel:
    """``max t`` over cells with at most n - 1 positive rows."""

    def __init__(self, rows: LayerRows, n: int, positive_last: bool) -> None:
        self._hs, self._model = silent_model()
        self._m, self._columns = rows.floats.shape
        self._alive = [any(row) for row in rows.exact]
        self.finished = False
        inf = self._hs.kHighsInf
        for _ in range(self._columns):
            self._model.addVar(-1.0, 1.0)
        self._model.addVar(0.0, 1.0)
        self._model.changeColCost(self._columns, -1.0)
        for i in range(self._m):
            self._model.addVar(0.0, 1.0)
            self._model.changeColIntegrality(self._columns + 1 + i, self._hs.HighsVarType.kInteger)
        head = np.arange(self._columns + 1)
        for i in range(self._m):
            if self._alive[i]:
                a = rows.floats[i]
                index = np.append(head, self._columns + 1 + i).astype(np.int32)
                values = np.concatenate([a, [1.0, -(np.abs(a).sum() + 1.0)]])
                self._model.addRow(-inf, 0.0, len(index), index, values)
        if positive_last:
            last = np.array([self._columns - 1, self._columns], dtype=np.int32)
            self._model.addRow(-inf, 0.0, 2, last, np.array([-1.0, 1.0]))
        self._row(range(self._m), -inf, n - 1.0)

    def at_least_one(self, rows: list[int]) -> None:
        self._row(rows, 1.0, self._hs.kHighsInf)

    def _row(self, rows: list[int] | range, low: float, high: float) -> None:
        index = np.array([self._columns + 1 + i for i in rows], dtype=np.int32)
        self._model.addRow(low, high, len(index), index, np.ones(len(index)))

    def solve(self, node_limit: int | None) -> tuple[frozenset[int] | None, int]:
        """Units allowed to be positive in the best cell, or None; and the nodes used. Sets `finished`."""
        watch = current()
        watch.poll()
        if watch.left is not None:
            # HiGHS' limit is that of all its runs together.
            self._model.setOptionValue("time_limit", self._model.getRunTime() + max(watch.left, 0.0))
        if node_limit is not None:
            self._model.setOptionValue("mip_max_nodes", max(node_limit, 1))
        self._model.run()
        watch.poll()
        status = self._model.getModelStatus()
        info = self._model.getInfo()
        used = max(1, int(info.mip_node_count))
        self.finished = status in (self._hs.HighsModelStatus.kOptimal, self._hs.HighsModelStatus.kInfeasible)
        solution = self._model.getSolution()
        offered = info.primal_solution_status == self._hs.SolutionStatus.kSolutionStatusFeasible
        if offered and solution.col_value[self._columns] > MARGIN:
            binaries = solution.col_value[self._columns + 1 :]
            return frozenset(i for i, v in enumerate(binaries) if v > 0.5), used
        return None, used


class _Cone:
    """``max t`` subject to ``a_i x + t <= 0`` for the rows off a pattern: one LP whose row bounds are toggled."""

    def __init__(self, rows: LayerRows, positive_last: bool) -> None:
        self._hs, self._model = silent_model()
        self._rows = rows
        self._m, self._columns = rows.floats.shape
        self._alive = np.array([any(row) for row in rows.exact])
        inf = self._hs.kHighsInf
        for _ in range(self._columns):
            self._model.addVar(-1.0, 1.0)
        self._model.addVar(-inf, 1.0)
        self._model.changeColCost(self._columns, -1.0)
        index = np.arange(self._columns + 1, dtype=np.int32)
        for row in rows.floats:
            self._model.addRow(-inf, inf, len(index), index, np.append(row, 1.0))
        if positive_last:
            last = np.array([self._columns - 1, self._columns], dtype=np.int32)
            self._model.addRow(-inf, 0.0, 2, last, np.array([-1.0, 1.0]))

    def point(self, allowed: frozenset[int]) -> tuple[FloatArray | None, list[int]]:
        """A point off all walls where only `allowed` rows may be positive, or None and a Farkas certificate's rows."""
        inf = self._hs.kHighsInf
        off = [i for i in range(self._m) if self._alive[i] and i not in allowed]
        for i in range(self._m):
            self._model.changeRowBounds(i, -inf, inf)
        for i in off:
            self._model.changeRowBounds(i, -inf, 0.0)
        solution = solve_lp(self._hs, self._model)
        margin = solution.col_value[self._columns]
        if margin > MARGIN:
            return off_the_walls(self._rows, np.array(solution.col_value[: self._columns]), margin), []
        return None, [i for i in off if abs(solution.row_dual[i]) > 1e-9]
