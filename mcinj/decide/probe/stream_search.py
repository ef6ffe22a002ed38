"""The frame of searches behind earlier layers: a walk on one stream of rows, and what it found looked at again.

The walk meets rows of the stream as it needs them. Every place at which it believed in a new width is kept, and the
last ones are checked in exact arithmetic in the end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from mcinj.decide.budget import whole
from mcinj.decide.layer.threshold import RowStream
from mcinj.decide.probe.deep_walk import EXHAUSTED, FOUND, STATE, WIDTH
from mcinj.decide.probe.lines import Layers, slopes_along
from mcinj.decide.probe.probe import HOT, distinct_directions, row_source
from mcinj.decide.probe.tight import composed_row
from mcinj.errors import InputError
from mcinj.networks import Network, Seed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Walk = Callable[..., tuple[int, int, float]]

_FREE = 0.02  # share of moves in a direction of no constraint
_WINDOW = 3  # tenths of the hidden units: so many of their breakpoints are followed on either side of an input
_CHUNK = 256  # moves between two looks at the rows
_WIDEST = 64  # rows per input; a witness that outlives them all is as good as any
_NONE = slice(0)
SHARES = (0.5, 0.1, 0.9, 0.01, 0.001)  # of the way that `_inward` leaves


def scaled_layers(earlier: Sequence[Floats], last: Floats) -> Layers:
    """A network as walks want it; every layer times a power of two that brings its entries near 1."""
    return Layers.of([*(np.ldexp(w, -int(np.frexp(np.abs(w).max(initial=0.0))[1])) for w in earlier), last])


def searched_stream(rows: RowStream | npt.ArrayLike, first: Network, moves: int, what: str) -> RowStream:
    """The rows as a stream; `InputError` where `what`, a kind of search, cannot look at them behind `first`."""
    whole("moves", moves, 0)
    if first.biases is not None:
        raise InputError(f"a {what} search looks at networks without biases")
    source, columns = row_source(rows), first.widths[-1]
    shape = source.take(1).shape[1:]
    if shape != (columns,):
        raise InputError(f"rows have shape {shape}, expected ({columns},): one entry per unit")
    return source


class StreamSearch(ABC):
    """A walk under way on one stream.

    Parameters
    ----------
    rows, first, seed
        The stream, the earlier layers, the numbers of the walk.
    walk, dimension
        The compiled walk, and the length of its state: n for an input, 2 n for a pair.
    most, cold
        Handed to the walk: tight rows kept at most; the temperature q that it ends with.
    """

    def __init__(
        self, rows: RowStream, first: Network, seed: Seed, *, walk: Walk, dimension: int, most: int, cold: float
    ) -> None:
        self.rows, self.n = rows, first.n
        self.spent = 0
        self.history: list[tuple[int, int]] = []
        self._walk, self._dimension, self._most, self._cold = walk, dimension, most, cold
        self._earlier = list(first.weights)
        self._random = seed.generator()
        self._have = 0
        self._net = self._take(4 * self.n + 16)
        # Places that gave a new width, and what was tight there; the last ones are tried first in the end.
        self._found: list[tuple[Floats, Ints]] = []
        self._state = np.zeros(STATE, dtype=np.int64)
        self._state[WIDTH] = min(2 * self.n, self._have)

    def _take(self, have: int) -> Layers:
        last = distinct_directions(np.asarray(self.rows.take(have), dtype=np.float64))
        self._have = len(last)
        return self._arrange(scaled_layers(self._earlier, last))

    def run(self, moves: int) -> None:
        """Walk; what is found goes to `history`, believed and not yet checked."""
        n, size, state = self.n, self._dimension, self._state
        x = self._random.random(size) - 0.5
        x /= np.sqrt((x * x).sum())
        tight, kept = np.zeros(size + 1, dtype=np.int64), np.zeros(size + 1, dtype=np.int64)
        best = np.zeros(size)
        q, cooling = HOT, 1.0
        if moves > 1:
            # Rounded, since the last digit of a power differs between machines.
            cooling = round(float((self._cold / HOT) ** (1.0 / moves)), 14)
        lines = max(8, int(self._net.zoff[-2]) * _WINDOW // 10)
        while self.spent < moves:
            net, before = self._net, int(state[FOUND])
            uniform = self._random.random((min(_CHUNK, moves - self.spent), size + 4))
            reason, made, q = self._walk(
                net, x, tight, state, best, kept, q, cooling, self._most, _FREE, lines, uniform
            )  # fmt: skip
            self.spent += int(made)
            if state[FOUND] > before:
                self._found.append((best.copy(), kept[kept >= 0].copy()))
                self.history.append((self.spent, int(state[FOUND])))
            if reason == EXHAUSTED or state[WIDTH] + n // 2 > self._have:
                had = self._have
                wider = self._take(int(1.1 * max(state[WIDTH], had)) + n + 16)
                if self._have == had or self._have > _WIDEST * n + 64:
                    self._have = had
                    if reason == EXHAUSTED:
                        return
                else:
                    self._net = wider
            if reason == EXHAUSTED:
                self._go_on(x, tight)
                self.history[-1] = (self.spent, int(state[FOUND]))

    def verified(self) -> tuple[int, tuple[int, ...]]:
        """The best width at which a place passes the exact check, and that place."""
        best, at = 0, self._nowhere
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
        have = self._have
        reach = self._exact_reach(point, have)
        while reach == have and have < _WIDEST * self.n:
            have = 2 * have
            reach = self._exact_reach(point, have)
        return reach

    def _inward(self, x: Floats, tight: Ints, wanted: Floats, passed: slice = _NONE) -> tuple[Floats, float]:
        """A direction from x in which the tight functionals change by `wanted`, and how far the linear piece holds.

        Negative functionals of the last layer stay negative so far, but for `passed` ones and the tight ones.
        """
        net, size = self._net, self._dimension
        z, base = net.values(x), int(net.zoff[-2])
        inward = np.zeros(size)
        if wanted.any():
            rows, spare = np.empty((len(tight), size)), np.empty((2, max(size, int(net.size.max()))))
            for row, j in zip(rows, tight, strict=True):
                composed_row(net, size, z, j, row, spare)
            inward[:] = np.linalg.lstsq(rows, wanted, rcond=None)[0]
        slope = np.empty(len(z))
        slopes_along(net, z, inward, slope)
        turning = z * slope < 0
        turning[base:] &= z[base:] < 0
        turning[base:][passed] = False
        turning[base + tight] = False
        return inward, float(np.min(-z[turning] / slope[turning], initial=1.0))

    @property
    @abstractmethod
    def _nowhere(self) -> tuple[int, ...]:
        """What stands for a place where nothing was found."""

    @abstractmethod
    def _arrange(self, layers: Layers) -> Layers:
        """The network that the walk lives in."""

    @abstractmethod
    def _go_on(self, x: Floats, tight: Ints) -> None:
        """After all rows at hand: count among the new ones."""

    @abstractmethod
    def _points(self, x: Floats, tight: Ints) -> Iterator[tuple[int, ...]]:
        """Integer places near x, where what is tight at x is strict."""

    @abstractmethod
    def _anywhere(self) -> Iterator[tuple[int, ...]]:
        """Integer places that are tried where the walk found little."""

    @abstractmethod
    def _exact_reach(self, point: tuple[int, ...], have: int) -> int:
        """Largest width ≤ have at which the place shows a failure."""
