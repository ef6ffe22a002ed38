"""Searched margins of one layer: the best of several independent searches, at sizes beyond any proof.

Each run is an annealed heat bath on the corners of a level (`mcinj.quantify.margin_walk`): where it finds fewer than n
rows above the level, a descent (`mcinj.quantify.margin_descent`) lowers the level, and the walk goes on from there.
What a run returns is the value of ρ at a rational point, rounded up: a proved upper bound of the margin κ*. That
nothing lower exists is *not proved*: how much the best run misses is estimated from the agreement of the runs
(`mcinj.infer.searched`). Such values are called *searched* wherever they appear.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj.certify.rational import rank
from mcinj.decide.budget import whole
from mcinj.decide.check import as_network
from mcinj.decide.probe.walk import tableau
from mcinj.errors import InputError
from mcinj.networks import Network, Seed
from mcinj.networks.network import FractionVector
from mcinj.quantify.margin import LARGEST
from mcinj.quantify.margin_rows import ScaledRows
from mcinj.quantify.margin_value import Value
from mcinj.quantify.margin_walk import BELOW, LOST, crawl, place, walk

Floats = npt.NDArray[np.float64]

# Runs draw their numbers below this child of the seed, which no stream of rows and no other search uses.
_RUNS = 2
# The weight q of one row more above the level, at the first move and at the last.
_WARM, _COLD = 0.35, 0.05
# At negative margins the best cells are caps with few corners or none. So the walk stays above the best level by this
# share of it, and descends from all cells that it meets there.
_SLACK = 0.12
_REFRESH = 200  # moves between two fresh tableaus
_SAME = 1e-9  # runs whose values differ by less (as a share of `scale`) found the same


@dataclass(frozen=True)
class MarginRun:
    """One search: `high` is proved to be at least κ*, and ρ is at most that at `x` (exact; None if ρ is -inf)."""

    high: float
    x: FractionVector | None
    seconds: float


@dataclass(frozen=True)
class SearchedMargin:
    """Independent searches for the margin of one layer.

    Attributes
    ----------
    n, m
        Inputs and units.
    scale
        No margin of these rows is larger in size; 0 where they do not have rank n.
    runs
        The searches, in their order. They share nothing but the layer.
    """

    n: int
    m: int
    scale: float
    runs: tuple[MarginRun, ...]

    @property
    def high(self) -> float:
        """The searched margin: at least κ*, and equal to it (but for rounding) unless all runs missed."""
        return min(run.high for run in self.runs)

    @property
    def agreeing(self) -> int:
        """How many runs found the least value."""
        return sum(run.high <= self.high + _SAME * self.scale for run in self.runs)


def searched_margin(
    layer: Network | Sequence[Any] | npt.NDArray[Any], *, moves: int, runs: int = 4, seed: Seed | int | str = 0
) -> SearchedMargin:
    """Search for the margin of one layer by `runs` independent searches of `moves` moves each.

    Parameters
    ----------
    layer
        As in `mcinj.margin`: one layer without biases.
    moves
        Of each run. A start from a new point counts as n moves, a descent as 2 n.
    runs
        Independent searches; at least 2 for their agreement to say anything.
    seed
        Of the searches: run k draws its numbers at the child (2, k) of it.

    Raises
    ------
    InputError
        Several layers, biases, numbers beyond 1e301; fewer than one run or move.

    Examples
    --------
    >>> import mcinj
    >>> found = searched_margin(mcinj.sample(6, (40,), seed=1), moves=1000)
    >>> f"{found.high:.4f}", found.agreeing
    ('0.0393', 4)

    Notes
    -----
    The walk counts rows, the margin asks for their rank: the same for rows in general position. Where many rows are
    dependent (random signs) searched values are still proved upper bounds, but often far from the margin.

    Source: docs/margin.md.
    """
    net = as_network(layer)
    if net.depth > 1:
        raise InputError(f"a margin is that of one layer; this network has {net.depth}: give one, network.layer(1)")
    if net.has_biases:
        raise InputError("margins of layers with biases are not searched; mcinj.margin encloses them on a ball")
    length, count, root = whole("moves", moves, 1), whole("runs", runs, 1), Seed.parse(seed)
    rows = tuple(row for row in net.exact_weights[0] if any(row))
    if max((abs(v) for row in rows for v in row), default=Fraction(0)) > LARGEST:
        raise InputError("weights beyond 1e301: divide the layer by a power of two")
    if rank(rows, net.n) < net.n:
        return SearchedMargin(net.n, net.widths[0], 0.0, (MarginRun(-math.inf, None, 0.0),) * count)
    scaled = ScaledRows(rows, None)
    found = []
    for k in range(count):
        started = time.perf_counter()
        best = _Run(scaled, length, root.child(_RUNS, k).generator()).answer()
        found.append(MarginRun(best.high, best.x, time.perf_counter() - started))
    return SearchedMargin(net.n, net.widths[0], float(scaled.scale), tuple(found))


class _Run:
    """One search and what is left of its moves; levels in units of `ScaledRows.unit`."""

    def __init__(self, rows: ScaledRows, moves: int, random: np.random.Generator) -> None:
        self.rows, self.moves, self.left, self.random = rows, moves, moves, random
        m, n = rows.m, rows.n
        self.columns = np.vstack([rows.A, np.eye(n)])  # a tableau's columns: values of rows, coordinates
        self.S, self.at = np.empty((n, m + n)), np.empty(m + n)
        self.tight = np.zeros(n, dtype=np.int64)
        self.seen: set[bytes] = set()  # cells, by the rows above the level, that a descent started from
        self.u = self._direction()
        self.level = float(rows.descend(self.u[None])[0])

    def answer(self) -> Value:
        """The best value, exactly."""
        if self.rows.n == 1:
            u = np.array([[1.0], [-1.0]])
            return min((v for x in u for v in self.rows.values(x)), key=lambda value: value.key)
        cooling = (_COLD / _WARM) ** (1.0 / self.moves)
        while self.left > 0:
            t = self._walk_level()
            if self._start(t):
                self._walk(t, cooling)
        return min(self.rows.values(self.u), key=lambda value: value.key)

    def _walk_level(self) -> float:
        return self.level + _SLACK * max(0.0, -self.level)

    def _direction(self) -> Floats:
        u = self.random.standard_normal(self.rows.n)
        direction: Floats = u / np.sqrt((u * u).sum())
        return direction

    def _start(self, t: float) -> bool:
        """A corner of level t near the best direction, or near another one where that has none."""
        rows, n = self.rows, self.rows.n
        for near in (self.u, self._direction()):
            self.left -= n
            u = near.copy()
            circles = self.random.standard_normal((20 * n, n))
            if crawl(rows.A, t, u, self.tight, circles) and self._stand(t, u):
                return True
        return False

    def _stand(self, t: float, near: Floats) -> bool:
        """A fresh tableau of the tight rows, at their corner next to the direction `near`."""
        return tableau(self.columns, self.tight, self.S) and place(self.S, self.at, t, near)

    def _walk(self, t: float, cooling: float) -> None:
        """Move at level t until the best level falls far enough for another one, or rounding or the budget ends it."""
        m = self.rows.m
        while self.left > 0:
            q = _WARM * cooling ** (self.moves - self.left)
            uniform = self.random.random((min(_REFRESH, self.left), 2))
            reason, done, _ = walk(self.S, self.at, self.tight, t, q, cooling, uniform)
            self.left -= max(done, 1)
            if reason == LOST:
                return
            if reason == BELOW:
                self._descend(t)
                if self._walk_level() < t - 1e-12:
                    return
            elif not self._stand(t, self.at[m:].copy()):
                return

    def _descend(self, t: float) -> None:
        """Lower the best level from the present corner, once for each cell."""
        m = self.rows.m
        cell = np.packbits(self.at[:m] > t + 1e-9).tobytes()
        if cell in self.seen:
            return
        self.seen.add(cell)
        self.left -= 2 * self.rows.n
        u = self.at[m:] / np.sqrt((self.at[m:] * self.at[m:]).sum())
        level = float(self.rows.descend(u[None])[0])
        if level < self.level - 1e-12:
            self.level, self.u = level, u
