"""The search for the margin of one layer: sets up the arrays, lowers the level where a leaf asks for it."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from mcinj.decide.layer.exact import integer_row, primitive
from mcinj.decide.watch import Pace
from mcinj.networks.network import FractionMatrix, FractionVector
from mcinj.numeric.residues import PRIME
from mcinj.quantify import margin_descent as descent
from mcinj.quantify import margin_kernel as kernel
from mcinj.quantify.margin_rows import ScaledRows
from mcinj.quantify.margin_value import Value

Floats = npt.NDArray[np.float64]

_SLICE = 4_000  # most nodes between two looks at the clock
_DEPTH = 64  # frames at first; deeper stacks grow
_STARTS = 1_000
_BEST = 6  # ends of descents that are looked at exactly
_BOTH_SIDES = 1e-10  # levels above minus this (in units of the rows) are proved in boxes


class MarginSearch(ScaledRows):
    """Bounds on `min ρ` over unit x (no biases), or over `|x| <= 1` (biases): see `mcinj.quantify.margin_kernel`.

    Attributes
    ----------
    best
        The least value found, exactly; `low` rises as the search goes on.
    """

    def __init__(
        self, rows: FractionMatrix, biases: FractionVector | None, stop: Callable[[], bool] = lambda: False
    ) -> None:
        """`stop`: whether the first values, from above, have had their time."""
        super().__init__(rows, biases)
        self.nodes = 0
        whole = [primitive(integer_row(row)) for row in rows]
        self.Q = np.array([[v % int(PRIME) for v in row] for row in whole], dtype=np.int64)
        self.best = self._start(stop)

    # Values from above.

    def _start(self, stop: Callable[[], bool]) -> Value:
        """The best of axes and of descents from random and from special directions."""
        n = self.n
        rng = np.random.default_rng(0)
        starts = [rng.standard_normal((_STARTS, n)), np.eye(n), -np.eye(n), self.A, -self.A]
        u = np.vstack(starts)
        length = np.sqrt((u * u).sum(axis=1))
        u = np.ascontiguousarray(u[length > 0] / length[length > 0, None])
        points = [tuple(Fraction(sign * (j == k)) for j in range(n)) for sign in (1, -1) for k in range(n)]
        if self.biases is not None:
            points.append((Fraction(0),) * n)
        found: list[Value] = []
        for x in points:
            found.append(Value.at(self.rows, self.biases, x))
            if stop():
                break
        values = np.empty(len(u))
        pace, done = Pace(1, len(u)), 0
        while done < len(u) and not stop():
            following = min(done + pace.begin(), len(u))
            values[done:following] = self.descend(u[done:following])
            pace.end(following - done)
            done = following
        for k in np.argsort(values[:done], kind="stable")[:_BEST]:
            found += self.values(u[k])
        return min(found, key=lambda value: value.key)

    # Proofs from below.

    def _frames(self, depth: int) -> None:
        m, n = self.m, self.n
        self.M, self.X, self.U, self.IDS = self._state(depth + 1)
        self.SIGN = np.zeros((depth, m), dtype=np.int8)
        self.OB, self.REST = np.zeros((depth, n, n)), np.zeros((depth, m))
        self.BASIS = np.zeros((depth, n, n), dtype=np.int64)
        self.LO, self.UP = np.zeros((depth, n)), np.zeros((depth, n))
        self.BR, self.FI = np.zeros((depth, m), dtype=np.int64), np.zeros((depth, 8), dtype=np.int64)
        total = 2 * m + depth * (2 * n - 1)
        self.G, self.H = np.zeros((total, self.width)), np.zeros(total)
        self.G[:m], self.G[m : 2 * m] = -self.above, self.above
        self.J = np.zeros(m + 2 * n, dtype=np.int64)

    def _grow(self) -> None:
        names = ("M", "X", "U", "IDS", "SIGN", "OB", "REST", "BASIS", "LO", "UP", "BR", "FI", "G", "H")
        old = {name: getattr(self, name) for name in names}
        depth = len(self.FI)
        self._frames(2 * depth)
        for name, array in old.items():
            length = len(array) if name in ("G", "H") else depth
            getattr(self, name)[:length] = array[:length]

    def _set_level(self, level: Fraction) -> None:
        """Right-hand sides for ρ >= level, rounded down: what holds for a direction holds for the floats."""
        m = self.m
        biases = self.biases or (Fraction(0),) * m
        longest = 2.0 * self.n + 2.0  # entries of the rows are below 2
        for i, (p, b) in enumerate(zip(self._units, biases, strict=True)):
            h = (level - b) / p
            self.H[i], self.H[m + i] = _below(-h, longest), _below(h, longest)

    def run(self, tolerance: Fraction, limit: int, stop: Callable[[], bool] | None = None) -> bool:
        """Prove `low >= best - tolerance`, where best may fall meanwhile; False where the limit came first.

        `limit`: most nodes in all runs together.
        """
        level = self._target(tolerance)
        while True:
            if level <= self.low:
                return True
            boxed = self.biases is None and level > -Fraction(_BOTH_SIDES) * self.scale
            ended, level = self._prove(level, boxed, tolerance, limit, stop)
            if ended is None:
                continue  # the level fell below 0: no boxes are needed any more
            if ended:
                self.low = max(self.low, level)
            return ended

    def _target(self, tolerance: Fraction) -> Fraction:
        """The level to prove, a multiple of the unit with few digits."""
        t = (Fraction(self.best.high) - tolerance) / self.unit
        return Fraction(math.floor(t * 2**60), 2**60) * self.unit

    def _prove(
        self, level: Fraction, boxed: bool, tolerance: Fraction, limit: int, stop: Callable[[], bool] | None
    ) -> tuple[bool | None, Fraction]:
        """Whether `ρ >= level` is proved everywhere (None: to be tried without boxes), and the level by then."""
        n = self.n
        self._frames(_DEPTH)
        gi = np.zeros(kernel.GLOBALS, dtype=np.int64)
        tau = np.zeros(1)
        self.REST[0] = (self.above * self.above).sum(axis=1)
        self.FI[0, kernel.NEXT] = -1
        self.FI[0, kernel.BOX] = -1
        if boxed:
            self.FI[0, kernel.NEXT], self.FI[0, kernel.KIND] = 0, kernel.BY_FACETS
            self.FI[0, kernel.CHILDREN] = 2 * n
        less = self.scale / 2**40
        self._set_level(level)
        pace = Pace(most=_SLICE)
        while True:
            tau[0] = float(Fraction(self.best.high) / self.unit) * (1 - 1e-12) - 1e-15
            before = int(gi[kernel.NODES])
            gi[kernel.LIMIT] = before + max(0, min(limit - self.nodes, pace.begin()))
            reason = kernel.advance(
                kernel.Search(
                    gi, tau, self.A, self.G, self.H, self.Q, self.M, self.X, self.U, self.IDS, self.SIGN, self.OB,
                    self.REST, self.BASIS, self.LO, self.UP, self.BR, self.FI, self.F, self.J, self.C, self.L,
                )
            )  # fmt: skip
            done = int(gi[kernel.NODES]) - before
            self.nodes += done
            if reason == kernel.DONE:
                return True, level
            if reason == kernel.GROW:
                self._grow()
            elif reason == kernel.PAUSED:
                pace.end(done)
                if self.nodes >= limit:
                    return False, level
            else:
                self._improve(self.X[-1, :n].copy(), self.SIGN[gi[kernel.DEPTH]] <= 0)
                new = min(level, self._target(tolerance))
                if new == level:
                    # Rounding hides the proof: a lower level is easier.
                    new = level - less
                    less *= 4
                level = new
                if boxed and level < -Fraction(_BOTH_SIDES) * self.scale:
                    return None, level
                self._set_level(level)
                self.IDS[:] = -1
                self.M[:], self.X[:], self.U[:] = 0.0, 0.0, 0.0
            if stop is not None and stop():
                return False, level

    def _improve(self, x: Floats, free: npt.NDArray[np.bool_]) -> None:
        """Look for lower values from a leaf's point; `free`: its rows outside of the span of those above."""
        points = [x]
        if self.biases is None:
            size = np.sqrt(x @ x)
            if not 0 < size < np.inf:
                return
            u = np.ascontiguousarray(x / size)
            points = [u]
            v = u.copy()
            if descent.lowest(self.A, self.SC, -self.above, free, v, self._scratch()):
                points.append(v)
        more = np.array(points)
        self.descend(more)
        found = [value for point in (*points, *more) for value in self.values(point)]
        self.best = min([self.best, *found], key=lambda value: value.key)


def _below(value: Fraction, longest: float) -> float:
    """A float at most the value, but for levels below `-longest`, which every row exceeds on the whole ball."""
    if value >= longest:
        return longest
    if value <= -longest:
        return -longest
    if abs(value) < Fraction(1, 2**900):
        return 0.0 if value >= 0 else -(2.0**-900)
    result = float(value)
    return result if Fraction(result) <= value else math.nextafter(result, -math.inf)
