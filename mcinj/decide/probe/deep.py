"""Witness search behind earlier layers: a certified lower bound on the regional threshold width of a deep stream.

An input next to which the active rows of the last layer have rank below n shows that the network fails the regional
criterion. `deep_probe` looks for inputs that keep this property for as many rows of a stream as possible, by simulated
annealing along lines through the linear pieces (`mcinj.decide.probe.deep_walk`), and checks the best one in exact
arithmetic. Earlier layers are searched first, each as a stream that ends: if one fails, no last width passes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from mcinj.certify.collision import collision_at
from mcinj.certify.witness import Witness
from mcinj.decide.budget import whole
from mcinj.decide.layer.threshold import RowStream
from mcinj.decide.probe.deep_reach import ExactStream, integer_point
from mcinj.decide.probe.deep_walk import (
    EXHAUSTED,
    FOUND,
    STATE,
    TIGHT,
    WIDTH,
    Layers,
    composed_row,
    deep_walk,
    slopes_along,
)
from mcinj.decide.probe.probe import COLD, HOT, MatrixRows, distinct_directions, probe, row_source
from mcinj.errors import InputError
from mcinj.networks import Network, Seed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Earlier layers after the first get a quarter of the moves each: they are far wider than their own thresholds.
_EARLIER = 4
_FREE = 0.02  # share of moves in a direction of no constraint
_WINDOW = 3  # tenths of the hidden units: so many of their breakpoints are followed on either side of an input
_CHUNK = 256  # moves between two looks at the rows
_WIDEST = 64  # rows per input; a witness that outlives them all is as good as any


@dataclass(frozen=True)
class DeepProbe:
    """What a witness search found on one stream of rows behind earlier layers.

    Attributes
    ----------
    n
        Inputs.
    m_found
        Largest last width with a verified witness of the regional criterion, so that m* > m_found; None where an
        earlier layer fails, so that no width passes.
    failed_layer
        1-based earlier layer that fails, by `point`; else None.
    point
        Integer input next to which the active rows have rank below n, checked in integers.
    moves, seconds
        Cost; moves are those of the last layer's search, and machine-independent.
    history
        (moves, width) at improvements the search believed in, before the exact check; looked at every 256 moves.
    """

    n: int
    m_found: int | None
    failed_layer: int | None
    point: tuple[int, ...] = field(repr=False)
    moves: int
    seconds: float
    history: tuple[tuple[int, int], ...] = field(repr=False)

    def witness(self, rows: RowStream | npt.ArrayLike, first: Network) -> Witness:
        """Two rational inputs that collide: in the failing layer's prefix, or at last width m_found."""
        if self.failed_layer is not None:
            network = first.prefix(self.failed_layer)
        else:
            network = Network([*first.exact_weights, row_source(rows).take(self.m_found or 0)])
        found = collision_at(network, [Fraction(v) for v in self.point])
        if found is None:
            raise InputError("these are not the rows that the witness was found for, or its input is no inner point")
        return found[0]


def deep_probe(rows: RowStream | npt.ArrayLike, first: Network, *, moves: int, seed: Seed | int | str = 0) -> DeepProbe:
    """Search a stream of last-layer rows for a witness that survives as many of them as possible.

    Parameters
    ----------
    rows
        A stream (`take(m)` has shape (m, widths[-1] of `first`)), or a matrix of that shape; of a matrix no more than
        its m rows count.
    first
        The earlier layers, without biases.
    moves
        Budget of the walk. A move costs some `2 m_1 m` operations behind one layer of m_1 units.
    seed
        Of the walk, not of the rows.

    Raises
    ------
    InputError
        Wrong shapes, entries that are not finite, earlier layers with biases, a negative budget.

    Examples
    --------
    >>> from mcinj.networks import RowStream, sample
    >>> first, rows = sample(3, (20,), seed="13/3/0"), RowStream("gaussian", 20, "13/3/0", 2)
    >>> deep_probe(rows, first, moves=300).m_found
    11

    Source: docs/searched.md.
    """
    whole("moves", moves, 0)
    if first.biases is not None:
        raise InputError("a witness search looks at networks without biases")
    started = time.perf_counter()
    source = row_source(rows)
    columns = first.widths[-1]
    if source.take(1).shape[1:] != (columns,):
        raise InputError(f"rows have shape {source.take(1).shape[1:]}, expected ({columns},): one entry per unit")
    root = Seed.parse(seed)
    search = _Search(source, first, root.child(0))
    for k in range(1, first.depth + 1):
        lost = _failure(first, k, int(moves), root.child(k))
        if lost is not None:
            # What was found at layer k may be the failure of one before it.
            layer = search.exact.failing_layer(lost) or k
            return DeepProbe(first.n, None, min(layer, k), lost, 0, time.perf_counter() - started, ())
    search.run(int(moves))
    reach, point = search.verified()
    failed = search.exact.failing_layer(point)
    return DeepProbe(
        first.n, None if failed else reach, failed, point, search.spent, time.perf_counter() - started,
        tuple(search.history),
    )  # fmt: skip


def _failure(first: Network, layer: int, moves: int, seed: Seed) -> tuple[int, ...] | None:
    """An input at which the prefix that ends with this layer fails, if a search finds one."""
    if layer == 1:
        found = probe(first.weights[0], first.n, moves=moves, seed=seed)
        if found.m_found < first.widths[0]:
            return None
        # `probe` checks the weights as floats; a user's may be fractions.
        exact = ExactStream(first.prefix(1), MatrixRows(np.zeros((1, first.widths[0]))))
        return found.point if exact.failing_layer(found.point) == 1 else None
    search = _Search(MatrixRows(first.weights[layer - 1]), first.prefix(layer - 1), seed)
    search.run(moves // _EARLIER)
    reach, point = search.verified()
    return point if reach >= first.widths[layer - 1] else None


def _layers(earlier: Sequence[Floats], last: Floats) -> Layers:
    """A network as the walk wants it; every layer times a power of two that brings its entries near 1."""
    return Layers.of([*(np.ldexp(w, -int(np.frexp(np.abs(w).max(initial=0.0))[1])) for w in earlier), last])


class _Search:
    """The walk under way on one stream."""

    def __init__(self, rows: RowStream, first: Network, seed: Seed) -> None:
        self.rows, self.n = rows, first.n
        self.exact = ExactStream(first, rows)
        self.spent = 0
        self.history: list[tuple[int, int]] = []
        self._earlier = list(first.weights)
        self._random = seed.generator()
        self._net = self._take(4 * self.n + 16)
        # Inputs that gave a new width, and their tight rows; the last ones are tried first in the end.
        self._found: list[tuple[Floats, Ints]] = []
        self._state = np.zeros(STATE, dtype=np.int64)
        self._state[WIDTH] = min(2 * self.n, self._net.have)

    def _take(self, have: int) -> Layers:
        return _layers(self._earlier, distinct_directions(np.asarray(self.rows.take(have), dtype=np.float64)))

    def run(self, moves: int) -> None:
        n, state = self.n, self._state
        if n == 1 or self._net.have < n:
            return  # two rays, or fewer rows than inputs: what is tried in the end is enough
        x = self._random.random(n) - 0.5
        x /= np.sqrt((x * x).sum())
        tight, kept, best = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64), np.zeros(n)
        q, cooling = HOT, 1.0
        if moves > 1:
            # Rounded, since the last digit of a power differs between machines.
            cooling = round(float((COLD / HOT) ** (1.0 / moves)), 14)
        lines = max(8, int(self._net.zoff[-2]) * _WINDOW // 10)
        while self.spent < moves:
            net, before = self._net, int(state[FOUND])
            uniform = self._random.random((min(_CHUNK, moves - self.spent), n + 4))
            reason, made, q = deep_walk(
                net, x, tight, state, best, kept, q, cooling, n // 2, _FREE, lines, uniform
            )  # fmt: skip
            self.spent += int(made)
            if state[FOUND] > before:
                self._found.append((best.copy(), kept[kept >= 0].copy()))
                self.history.append((self.spent, int(state[FOUND])))
            if reason == EXHAUSTED or state[WIDTH] + n // 2 > net.have:
                wider = self._take(int(1.1 * max(state[WIDTH], net.have)) + n + 16)
                if wider.have == net.have or wider.have > _WIDEST * n + 64:
                    if reason == EXHAUSTED:
                        return
                else:
                    self._net = wider
            if reason == EXHAUSTED:
                self._go_on(x, tight)

    def _go_on(self, x: Floats, tight: Ints) -> None:
        """After all rows at hand: count among the new ones."""
        state, base = self._state, int(self._net.zoff[-2])
        z = self._net.values(x)[base:]
        z[tight[: state[TIGHT]]] = 0.0
        at = np.flatnonzero(z > 0)
        enough = len(at) >= self.n
        state[FOUND] = int(at[self.n - 1]) if enough else self._net.have
        state[WIDTH] = min(int(state[FOUND]) + 1, self._net.have)
        self.history[-1] = (self.spent, int(state[FOUND]))

    def verified(self) -> tuple[int, tuple[int, ...]]:
        """The best width at which an input passes the exact check, and that input."""
        best, at = 0, (1,) + (0,) * (self.n - 1)
        for (x, tight), (_, believed) in zip(self._found[::-1], self.history[::-1], strict=True):
            if best >= believed:
                return best, at
            for point in self._points(x, tight):
                reach = self._reach(point)
                if reach > best:
                    best, at = reach, point
                if reach >= believed:
                    break
        if best < 2 * self.n:
            for point in self._anywhere():
                reach = self._reach(point)
                if reach > best:
                    best, at = reach, point
        return best, at

    def _reach(self, point: tuple[int, ...]) -> int:
        have = self._net.have
        reach = self.exact.reach(point, have)
        while reach == have and have < _WIDEST * self.n:
            have = 2 * have
            reach = self.exact.reach(point, have)
        return reach

    def _anywhere(self) -> Iterator[tuple[int, ...]]:
        if self.n == 1:
            yield from ((1,), (-1,))
            return
        for _ in range(8):
            x = [int(v) for v in self._random.integers(-(2**20), 2**20, self.n)]
            yield tuple(x)
            yield tuple(-v for v in x)

    def _points(self, x: Floats, tight: Ints) -> Iterator[tuple[int, ...]]:
        """Integer inputs near x, in the region where its tight rows are negative."""
        net = self._net
        z = net.values(x)
        inward = np.zeros(self.n)
        if len(tight):
            rows, spare = np.empty((len(tight), self.n)), np.empty((2, max(self.n, int(net.size.max()))))
            for row, j in zip(rows, tight, strict=True):
                composed_row(net, self.n, z, j, row, spare)
            inward[:] = np.linalg.lstsq(rows, -np.ones(len(tight)), rcond=None)[0]
        slope = np.empty(len(z))
        slopes_along(net, z, inward, slope)
        base = int(net.zoff[-2])
        turning = z * slope < 0
        turning[base:] &= z[base:] < 0
        turning[base + tight] = False
        step = float(np.min(-z[turning] / slope[turning], initial=1.0))
        for share in (0.5, 0.1, 0.9, 0.01, 0.001):
            point = integer_point(x + share * step * inward)
            if point is not None:
                yield point
