"""Collision search behind earlier layers: a certified lower bound on the global threshold width of a deep stream.

Two inputs with one output show that a network is not injective. `pair_probe` looks for pairs that keep colliding for as
many rows of a stream as possible, by annealing along lines through the linear pieces of both
(`mcinj.decide.probe.pair_walk`), and checks the best one in exact arithmetic. Earlier layers are searched first, each
as a stream that ends: if one fails, no last width passes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm

import numpy as np
import numpy.typing as npt

from mcinj.certify.collision import collision_at
from mcinj.certify.witness import Witness
from mcinj.decide.layer.threshold import RowStream
from mcinj.decide.probe.deep import first_layer_failure
from mcinj.decide.probe.deep_walk import FOUND, TIGHT, WIDTH
from mcinj.decide.probe.lines import Layers
from mcinj.decide.probe.pair_reach import ExactPairs
from mcinj.decide.probe.pair_walk import DIFFERENCE, HERE, PER_ROW, THERE, doubled, pair_walk
from mcinj.decide.probe.probe import MatrixRows, row_source
from mcinj.decide.probe.stream_search import SHARES, StreamSearch, searched_stream
from mcinj.errors import InputError
from mcinj.networks import Network, Seed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Earlier layers after the first get a quarter of the moves each: they are far wider than their own thresholds.
_EARLIER = 4
_COLD = 0.02  # temperature that a walk ends with
_VALUES = 1  # values that are tight at once, besides the differences


@dataclass(frozen=True)
class PairProbe:
    """What a collision search found on one stream of rows behind earlier layers.

    Attributes
    ----------
    n
        Inputs.
    m_found
        Largest last width with a verified collision, so that m* > m_found; None where an earlier layer fails, so that
        no width passes.
    failed_layer
        1-based earlier layer after which `pair` has one output, checked in integers; else None.
    pair
        Two integer inputs x, x' one after the other, (2 n,).
    equal, crossed
        Last-layer rows that are positive, and equal, at both inputs (at width m_found); hidden units that are positive
        at one of the two only.
    moves, seconds
        Cost; moves are those of the last layer's search, and machine-independent.
    history
        (moves, width) at improvements the search believed in, before the exact check; looked at every 256 moves.
    """

    n: int
    m_found: int | None
    failed_layer: int | None
    pair: tuple[int, ...] = field(repr=False)
    equal: int
    crossed: int
    moves: int
    seconds: float
    history: tuple[tuple[int, int], ...] = field(repr=False)

    def witness(self, rows: RowStream | npt.ArrayLike, first: Network) -> Witness:
        """The two inputs: they collide in the failing layer's prefix, or at last width m_found."""
        if self.failed_layer is not None:
            network = first.prefix(self.failed_layer)
        else:
            network = Network([*first.exact_weights, row_source(rows).take(self.m_found or 0)])
        inputs = [Fraction(v) for v in self.pair]
        found = Witness(tuple(inputs[: self.n]), tuple(inputs[self.n :]))
        if not found.collides(network):
            raise InputError("these are not the rows that the collision was found for, or nothing was found")
        return found


def pair_probe(rows: RowStream | npt.ArrayLike, first: Network, *, moves: int, seed: Seed | int | str = 0) -> PairProbe:
    """Search a stream of last-layer rows for two inputs that collide for as many of them as possible.

    Parameters
    ----------
    rows, first
        As in `mcinj.decide.probe.deep.deep_probe`.
    moves
        Budget of the walk. A move costs some six times that of a search for regional witnesses.
    seed
        Of the walk, not of the rows.

    Raises
    ------
    InputError
        As `deep_probe`.

    Examples
    --------
    >>> from mcinj.networks import RowStream, sample
    >>> first, rows = sample(3, (20,), seed="13/3/1"), RowStream("gaussian", 20, "13/3/1", 2)
    >>> pair_probe(rows, first, moves=2000).m_found
    15

    Source: docs/searched.md.
    """
    started = time.perf_counter()
    source = searched_stream(rows, first, moves, "collision")
    root = Seed.parse(seed)
    search = _Pairs(source, first, root.child(0))
    for k in range(1, first.depth + 1):
        lost = _failure(first, k, int(moves), root.child(k))
        layer = None if lost is None else search.exact.failing_layer(lost)
        if lost is not None and layer is not None:
            _, crossed = search.exact.describe(lost, 0)
            return PairProbe(first.n, None, layer, lost, 0, crossed, 0, time.perf_counter() - started, ())
    search.run(int(moves))
    reach, pair = search.verified()
    failed = search.exact.failing_layer(pair)
    equal, crossed = search.exact.describe(pair, 0 if failed else reach)
    return PairProbe(
        first.n, None if failed else reach, failed, pair, equal, crossed, search.spent, time.perf_counter() - started,
        tuple(search.history),
    )  # fmt: skip


def _failure(first: Network, layer: int, moves: int, seed: Seed) -> tuple[int, ...] | None:
    """Two inputs that collide after the layer, if a search finds them."""
    if layer == 1:
        point = first_layer_failure(first, moves, seed)
        return None if point is None else _beside(first.prefix(1), point)
    search = _Pairs(MatrixRows(first.weights[layer - 1]), first.prefix(layer - 1), seed)
    search.run(moves // _EARLIER)
    reach, pair = search.verified()
    return pair if reach >= first.widths[layer - 1] else None


def _beside(network: Network, point: tuple[int, ...]) -> tuple[int, ...] | None:
    """The point and one near it with the same output, as integers."""
    found = collision_at(network, [Fraction(v) for v in point])
    if found is None:
        return None
    values = (*found[0].x, *found[0].x_prime)
    common = lcm(*(v.denominator for v in values))
    return tuple(int(v * common) for v in values)


class _Pairs(StreamSearch):
    """The walk over pairs under way on one stream."""

    def __init__(self, rows: RowStream, first: Network, seed: Seed) -> None:
        super().__init__(rows, first, seed, walk=pair_walk, dimension=2 * first.n, most=_VALUES, cold=_COLD)
        self.exact = ExactPairs(first, rows)
        self._state[WIDTH] = min(first.n, self._have)  # fewer rows collide everywhere

    @property
    def _nowhere(self) -> tuple[int, ...]:
        return (0,) * (2 * self.n)

    def _arrange(self, layers: Layers) -> Layers:
        return doubled(layers)

    def _go_on(self, x: Floats, tight: Ints) -> None:
        """After all rows at hand: look for open rows among the new ones."""
        state, base = self._state, int(self._net.zoff[-2])
        z = self._net.values(x)[base:]
        held = tight[: state[TIGHT]]
        z[held] = 0.0
        open_rows = (z[HERE::PER_ROW] > 0) | (z[THERE::PER_ROW] > 0)
        open_rows[held[held % PER_ROW == DIFFERENCE] // PER_ROW] = False
        at = np.flatnonzero(open_rows)
        state[FOUND] = int(at[0]) if len(at) else self._have
        state[WIDTH] = min(int(state[FOUND]) + 1, self._have)

    def _exact_reach(self, point: tuple[int, ...], have: int) -> int:
        return self.exact.reach(point, have)

    def _anywhere(self) -> Iterator[tuple[int, ...]]:
        """Two inputs close to each other that the first n - 1 rows do not tell apart, and two far apart."""
        for size in (2.0**-20, 1.0):
            for _ in range(4):
                x, step = self._random.random(self.n) - 0.5, self._random.random(self.n) - 0.5
                pair = self.exact.equalised(np.concatenate([x, x + size * step]), range(min(self.n - 1, self._have)))
                if pair is not None:
                    yield pair

    def _points(self, x: Floats, tight: Ints) -> Iterator[tuple[int, ...]]:
        """Integer pairs near x at which its closed rows are equal and its tight values negative."""
        closing = tight % PER_ROW == DIFFERENCE
        equal = sorted(int(j) // PER_ROW for j in tight[closing])
        inward, step = self._inward(x, tight, np.where(closing, 0.0, -1.0), slice(DIFFERENCE, None, PER_ROW))
        for share in SHARES:
            pair = self.exact.equalised(x + share * step * inward, equal)
            if pair is not None:
                yield pair
