"""Witness search behind earlier layers: a certified lower bound on the regional threshold width of a deep stream.

An input next to which the active rows of the last layer have rank below n shows that the network fails the regional
criterion. `deep_probe` looks for inputs that keep this property for as many rows of a stream as possible, by simulated
annealing along lines through the linear pieces (`mcinj.decide.probe.deep_walk`), and checks the best one in exact
arithmetic. Earlier layers are searched first, each as a stream that ends: if one fails, no last width passes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from mcinj.certify.collision import collision_at
from mcinj.certify.witness import Witness
from mcinj.decide.layer.threshold import RowStream
from mcinj.decide.probe.deep_reach import ExactStream, integer_point
from mcinj.decide.probe.deep_walk import FOUND, TIGHT, WIDTH, deep_walk
from mcinj.decide.probe.lines import Layers
from mcinj.decide.probe.probe import COLD, MatrixRows, probe, row_source
from mcinj.decide.probe.stream_search import SHARES, StreamSearch, searched_stream
from mcinj.errors import InputError
from mcinj.networks import Network, Seed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Earlier layers after the first get a quarter of the moves each: they are far wider than their own thresholds.
_EARLIER = 4


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
    started = time.perf_counter()
    source = searched_stream(rows, first, moves, "witness")
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
        return first_layer_failure(first, moves, seed)
    search = _Search(MatrixRows(first.weights[layer - 1]), first.prefix(layer - 1), seed)
    search.run(moves // _EARLIER)
    reach, point = search.verified()
    return point if reach >= first.widths[layer - 1] else None


def first_layer_failure(first: Network, moves: int, seed: Seed) -> tuple[int, ...] | None:
    """An input next to which the active rows of the first layer have rank below n, if a search finds one."""
    found = probe(first.weights[0], first.n, moves=moves, seed=seed)
    if found.m_found < first.widths[0]:
        return None
    # `probe` checks the weights as floats; a user's may be fractions.
    exact = ExactStream(first.prefix(1), MatrixRows(np.zeros((1, first.widths[0]))))
    return found.point if exact.failing_layer(found.point) == 1 else None


class _Search(StreamSearch):
    """The walk over inputs under way on one stream."""

    def __init__(self, rows: RowStream, first: Network, seed: Seed) -> None:
        n = first.n
        super().__init__(rows, first, seed, walk=deep_walk, dimension=n, most=n // 2, cold=COLD)
        self.exact = ExactStream(first, rows)

    def run(self, moves: int) -> None:
        """Walk, where there is something to look for."""
        if self.n > 1 and self._have >= self.n:
            super().run(moves)  # else two rays, or fewer rows than inputs: what is tried in the end is enough

    @property
    def _nowhere(self) -> tuple[int, ...]:
        return (1,) + (0,) * (self.n - 1)

    def _arrange(self, layers: Layers) -> Layers:
        return layers

    def _go_on(self, x: Floats, tight: Ints) -> None:
        """After all rows at hand: count among the new ones."""
        state, base = self._state, int(self._net.zoff[-2])
        z = self._net.values(x)[base:]
        z[tight[: state[TIGHT]]] = 0.0
        at = np.flatnonzero(z > 0)
        enough = len(at) >= self.n
        state[FOUND] = int(at[self.n - 1]) if enough else self._have
        state[WIDTH] = min(int(state[FOUND]) + 1, self._have)

    def _exact_reach(self, point: tuple[int, ...], have: int) -> int:
        return self.exact.reach(point, have)

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
        inward, step = self._inward(x, tight, -np.ones(len(tight)))
        for share in SHARES:
            point = integer_point(x + share * step * inward)
            if point is not None:
                yield point
