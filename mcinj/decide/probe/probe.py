"""Witness search for one layer at sizes beyond any proof: a certified lower bound on the threshold width m*.

A point x with fewer than n positive entries of Ax shows that the layer is not injective. `probe` looks for points that
keep this property for as many rows of a stream as possible, by simulated annealing on the rays of the arrangement
(`mcinj.decide.probe.walk`), and checks the best one in exact arithmetic: m* > m_found is then proved, while m_found
itself says only how far this search came.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj.certify.witness import Witness
from mcinj.decide.budget import whole
from mcinj.decide.layer.exact import float_row, products, rank
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.threshold import RowStream
from mcinj.decide.probe.walk import COUNT, FOUND, LOST, MARK, SIDE, STATE, WIDTH, tableau, walk
from mcinj.errors import InputError
from mcinj.networks import Seed

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Tableau = npt.NDArray[np.float32] | Floats  # float32 while walking

# A ray's weight is q^count; q falls geometrically from the first value to the second over the budget.
HOT, COLD = 0.15, 0.05
DEFAULT_MOVES = 100_000
# The tableau is computed anew after this many moves per input, long before rounding shows.
_REFRESH = 16
_WIDEST = 64  # rows per input; a witness that outlives them all (degenerate rows) is as good as any


@dataclass(frozen=True)
class Probe:
    """What a witness search found on one stream of rows.

    Attributes
    ----------
    n
        Inputs.
    m_found
        Largest width with a verified witness: `ReLU(A_m x)` is not injective for m = m_found, so m* > m_found.
    point
        Integer point x at which the rows among the first m_found that are not negative have rank below n, checked in
        integers.
    moves, seconds
        Cost; moves are machine-independent.
    history
        (moves, width) at each improvement the search believed in, before the exact check.
    """

    n: int
    m_found: int
    point: tuple[int, ...] = field(repr=False)
    moves: int
    seconds: float
    history: tuple[tuple[int, int], ...] = field(repr=False)

    def witness(self, rows: RowStream | npt.ArrayLike) -> Witness:
        """Two rational inputs that collide at width m_found; seconds at n = 100, minutes at n = 300."""
        matrix = row_source(rows).take(self.m_found)
        found = Layer(np.ascontiguousarray(matrix, dtype=np.float64), self.n).witness_at(list(self.point))
        if found is None:
            raise InputError("these are not the rows that the witness was found for")
        return found


def probe(rows: RowStream | npt.ArrayLike, n: int, *, moves: int = DEFAULT_MOVES, seed: Seed | int | str = 0) -> Probe:
    """Search a stream of rows for a witness that survives as many rows as possible.

    Parameters
    ----------
    rows
        A stream (`take(m)` has shape (m, n)), or a matrix of shape (m, n); of a matrix no more than its m rows count.
    n
        Number of inputs.
    moves
        Budget of the walk. A move costs about `2 n m` operations and a partial sort of m numbers: 1 µs at n = 12,
        3.4 µs at n = 40.
    seed
        Of the walk, not of the rows.

    Returns
    -------
    Probe
        Its `m_found` is proved: an exact witness at that width. The same on every machine.

    Raises
    ------
    InputError
        Wrong shapes, entries that are not finite, a negative budget.

    Examples
    --------
    >>> from mcinj.networks import RowStream
    >>> probe(RowStream("gaussian", 6, "7/6/0"), 6, moves=2000).m_found
    29

    Source: docs/probe.md.
    """
    whole("n", n, 1)
    whole("moves", moves, 0)
    started = time.perf_counter()
    source = row_source(rows)
    if source.take(1).shape[1:] != (n,):
        raise InputError(f"rows have shape {source.take(1).shape[1:]}, expected ({n},): one entry per input")
    search = _Search(source, int(n), Seed.parse(seed))
    if n > 1:
        search.run(int(moves))
    m_found, point = search.verified()
    return Probe(int(n), m_found, point, search.spent, time.perf_counter() - started, tuple(search.history))


class MatrixRows:
    """A matrix as a stream that ends."""

    def __init__(self, rows: npt.ArrayLike) -> None:
        try:
            self._rows = np.asarray(rows).astype(np.float64, casting="safe")
        except (TypeError, ValueError):
            raise InputError("rows must be a stream of rows or a matrix of real numbers") from None
        if self._rows.ndim != 2 or not self._rows.size:
            raise InputError(f"rows must be a matrix of shape (m, n), got shape {self._rows.shape}")
        if not np.isfinite(self._rows).all():
            raise InputError("rows contain nan or inf; give finite numbers")

    def take(self, m: int) -> Floats:
        return self._rows[:m]


def row_source(rows: Any) -> RowStream:
    return rows if hasattr(rows, "take") and not isinstance(rows, np.ndarray) else MatrixRows(rows)


def distinct_directions(matrix: Floats) -> Floats:
    """Rows, each times a power of two that brings its largest entry near 1; zero where they add no rank.

    Those are positive multiples of earlier rows, as laws of few values draw them.
    """
    _, exponent = np.frexp(np.abs(matrix).max(axis=1, initial=0.0))
    half = -exponent // 2
    scaled = np.ldexp(np.ldexp(matrix, half[:, None]), (-exponent - half)[:, None])
    size = np.abs(scaled).max(axis=1, keepdims=True)
    directions = np.divide(scaled, size, where=size > 0, out=np.zeros_like(scaled))
    _, first = np.unique(directions + 0.0, axis=0, return_index=True)  # -0.0 is 0.0
    repeated = np.ones(len(scaled), dtype=bool)
    repeated[first] = False
    scaled[repeated] = 0.0
    return np.ascontiguousarray(scaled)


def _fill(rows: Floats, tight: Ints, S: Tableau, mark: int, side: int) -> bool:
    """The tableau S at the ray of `tight` on which row `mark` has the sign `side`; False if they are dependent."""
    if S.dtype == np.float32:
        fine = np.empty(S.shape)
        if not _fill(rows, tight, fine, mark, side):
            return False
        S[:] = fine
        return True
    if not tableau(rows, tight, S):
        return False
    if (S[0, mark] > 0) != (side > 0):
        S[0] = -S[0]
    return True


class _Search:
    """The walk under way on one stream."""

    def __init__(self, rows: RowStream, n: int, seed: Seed) -> None:
        self.rows, self.n = rows, n
        self.spent = 0
        self.history: list[tuple[int, int]] = []
        self._random = seed.generator()
        # Rays that gave a new width, the last ones first tried in the end: (tight rows, marked row, its sign).
        self._found: list[tuple[Ints, int, int]] = []
        self._rows = self._take(4 * n + 16)
        self._exact: list[list[int]] = []  # the same rows as integers, for the exact checks
        self._state = np.zeros(STATE, dtype=np.int64)
        self._state[WIDTH] = min(2 * n, len(self._rows))

    def _take(self, have: int) -> Floats:
        return distinct_directions(np.asarray(self.rows.take(have), dtype=np.float64))

    def run(self, moves: int) -> None:
        n, state = self.n, self._state
        if len(self._rows) < n:
            return  # fewer rows than inputs: any point will do
        tight = self._scatter()
        if tight is None:
            return
        S = np.empty((n, len(self._rows)), dtype=np.float32)
        if not self._settle(S, tight, 0, 1):
            return
        q, cooling = HOT, 1.0
        if moves > 1:
            # Rounded, since the last digit of a power differs between machines.
            cooling = round(float((COLD / HOT) ** (1.0 / moves)), 14)
        best = np.zeros(n, dtype=np.int64)
        mark, side = 0, 1
        while self.spent < moves:
            checkpoint = int(state[FOUND])
            uniform = self._random.random((min(_REFRESH * n, moves - self.spent), 2))
            reason, made, q = walk(S, tight, state, best, q, cooling, uniform)
            self.spent += int(made) if reason != LOST else max(int(made), 1)
            if reason == LOST or not np.isfinite(S[0]).all():
                mark, side = -1, 1
            else:
                mark = int(np.argmax(np.abs(S[0])))
                side = 1 if S[0, mark] > 0 else -1
            if state[FOUND] > checkpoint and not self._confirm(best):
                state[FOUND] = checkpoint
                state[WIDTH] = max(checkpoint + 1, 2 * n)
                if tight.max() >= state[WIDTH]:
                    mark = -1  # not a ray of fewer rows
            if self._ended():
                return
            if state[WIDTH] + n // 2 > len(self._rows):
                wider = self._take(int(1.1 * state[WIDTH]) + n + 16)
                self._rows = wider if len(wider) > len(self._rows) else self._rows
            if S.shape[1] != len(self._rows):
                S = np.empty((n, len(self._rows)), dtype=np.float32)
            if mark < 0 or not self._settle(S, tight, mark, side):
                again = self._scatter()
                if again is None or not self._settle(S, again, 0, 1):
                    return
                tight = again

    def _ended(self) -> bool:
        """Whether the best ray is a witness for every row that there is (of a matrix, or of a degenerate stream)."""
        have = len(self._rows)
        if self._state[FOUND] < have:
            return False
        if have >= _WIDEST * self.n or len(self.rows.take(have + 1)) == have:
            return True
        # More rows: find out how far the ray really goes.
        tight, mark, side = self._found[-1]
        self._rows = self._take(2 * have)
        S = np.empty((self.n, len(self._rows)))
        if not self._settle(S, tight.copy(), mark, side):
            return True
        self._state[FOUND], self._state[WIDTH] = self._reach(S, tight)
        self.history[-1] = (self.spent, int(self._state[FOUND]))
        return self._ended()

    def _scatter(self) -> Ints | None:
        """A random independent set of n - 1 rows (in slots 1 …) among the counted ones, or None if there is none."""
        while True:
            width = int(self._state[WIDTH])
            order = self._random.permutation(width)
            basis: list[int] = []
            # Gram–Schmidt in the drawn order, so that dependent rows are passed over.
            space = np.zeros((0, self.n))
            for i in order:
                v = self._rows[i] - space.T @ (space @ self._rows[i])
                v -= space.T @ (space @ v)
                size = float(np.sqrt(v @ v))
                if size > 1e-6:
                    space = np.vstack([space, v / size])
                    basis.append(int(i))
                if len(basis) == self.n - 1:
                    return np.array([-1, *basis], dtype=np.int64)
            if width == len(self._rows):
                return None
            # These rows leave a plane that no row sees: every such width has a witness.
            self._state[WIDTH] = min(width + 1, len(self._rows))

    def _settle(self, S: Tableau, tight: Ints, mark: int, side: int) -> bool:
        """The tableau at the ray of `tight` on which row `mark` has the sign `side`, and its count."""
        if not _fill(self._rows, tight, S, mark, side):
            return False
        self._state[COUNT] = int(np.count_nonzero(self._positive(S, tight)[: self._state[WIDTH]]))
        return True

    def _positive(self, S: Tableau, tight: Ints) -> npt.NDArray[np.bool_]:
        positive: npt.NDArray[np.bool_] = S[0] > 0
        positive[tight[1:]] = False
        return positive

    def _reach(self, S: Tableau, tight: Ints) -> tuple[int, int]:
        """(largest width at which the ray has fewer than n positives, the width to look at next)."""
        at = np.flatnonzero(self._positive(S, tight))
        have = len(self._rows)
        return (int(at[self.n - 1]), int(at[self.n - 1]) + 1) if len(at) >= self.n else (have, have)

    def _confirm(self, best: Ints) -> bool:
        """Count the new best ray on a fresh tableau, and keep it."""
        mark, side = int(self._state[MARK]), int(self._state[SIDE])
        S = np.empty((self.n, len(self._rows)))
        if not _fill(self._rows, best, S, mark, side):
            return False
        if self._reach(S, best)[0] < self._state[FOUND]:
            return False
        self._found.append((best.copy(), mark, side))
        self.history.append((self.spent, int(self._state[FOUND])))
        return True

    def verified(self) -> tuple[int, tuple[int, ...]]:
        """The best width at which a point passes the exact check, and the point."""
        best, at = 0, (1,) + (0,) * (self.n - 1)
        for (tight, mark, side), (_, believed) in zip(self._found[::-1], self.history[::-1], strict=True):
            if best >= max(believed, 2 * self.n):
                return best, at
            for x in self._points(tight, mark, side):
                reach = self._exact_reach(x)
                if reach > best:
                    best, at = reach, x
                if reach >= believed:
                    break  # the other points are in the same cell
        if best >= 2 * self.n:
            return best, at
        # Below 2n rows one of x and -x always has fewer than n positives.
        for x in self._axes():
            reach = self._exact_reach(x)
            if reach > best:
                best, at = reach, x
        return best, at

    def _axes(self) -> Iterator[tuple[int, ...]]:
        for _ in range(8):
            x = [int(v) for v in self._random.integers(-(2**20), 2**20, self.n)]
            yield tuple(x)
            yield tuple(-v for v in x)

    def _points(self, tight: Ints, mark: int, side: int) -> Iterator[tuple[int, ...]]:
        """Integer points near the ray, in the cell where its tight rows are negative."""
        n = self.n
        have = min(len(self._rows), int(self._state[WIDTH]) + n)
        S = np.empty((n, have + n))
        # The unit vectors as further rows: their values are the coordinates of the ray and of the d_k.
        if not _fill(np.ascontiguousarray(np.vstack([self._rows[:have], np.eye(n)])), tight, S, 0, 1):
            return
        v, directions = S[0, have:], S[1:, have:]
        if (self._rows[mark] @ v) * side < 0:
            v = -v
        for _ in range(2):  # the tight rows vanish at v up to one rounding
            v = v - directions.T @ (self._rows[tight[1:]] @ v)
        inward = -directions.sum(axis=0)
        values, slopes = self._rows[:have] @ v, self._rows[:have] @ inward
        others = np.ones(have, dtype=bool)
        others[tight[1:]] = False
        leaving = others & (values < 0) & (slopes > 0)
        step = float((-values[leaving] / slopes[leaving]).min(initial=np.abs(v).max() / np.abs(inward).max()))
        for share in (0.5, 0.1, 0.9, 0.01, 0.001):
            x = v + share * step * inward
            if np.isfinite(x).all() and x.any():
                yield tuple(float_row(x))

    def _exact_reach(self, x: tuple[int, ...]) -> int:
        """Largest width at which x is a witness: the rows that are not negative there have rank below n. Integers."""
        n, have = self.n, len(self._rows)
        if len(self._exact) != have:
            self._exact = [float_row(row) for row in np.asarray(self.rows.take(have), dtype=np.float64)]
        rows = self._exact
        active = [i for i, v in enumerate(products(rows, list(x))) if v >= 0 and any(rows[i])]
        # The least prefix of the active rows with rank n: n of them in general position.
        low, high = n - 1, len(active)
        if high >= n and rank([rows[i] for i in active[:n]]) == n:
            return active[n - 1]
        if high < n or rank([rows[i] for i in active]) < n:
            return have
        while high - low > 1:
            middle = (low + high) // 2
            if rank([rows[i] for i in active[:middle]]) == n:
                high = middle
            else:
                low = middle
        return active[high - 1]
