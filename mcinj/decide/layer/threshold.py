"""The threshold width m* of one stream of rows: the least width whose layer is injective."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mcinj.certify.witness import Witness
from mcinj.decide.budget import limit_of
from mcinj.decide.layer import fields as fields
from mcinj.decide.layer.exact import products, rank, small_multiple
from mcinj.decide.layer.frames import Frames
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.stream import EXHAUSTED
from mcinj.decide.verdict import Certified
from mcinj.errors import InputError
from mcinj.networks import Premise

_SLICE = 20_000
_THOROUGH = 14  # from this n on a thorough search of each node pays for streams
_WIDEST = 2048  # about: a stream that has not become injective by then (or by 64 n) is reported as censored


class RowStream(Protocol):
    """Rows of a layer without end."""

    def take(self, m: int) -> npt.NDArray[np.float64]:
        """The first m rows, (m, n); a prefix of what larger m give (up to one positive factor)."""


@dataclass(frozen=True)
class LayerThreshold:
    """Bracket `m_lo < m* <= m_hi` of a one-layer threshold.

    Attributes
    ----------
    m_lo
        Largest width proved not injective, by an exact witness.
    m_hi
        Least width proved injective; None if the node budget (or the widest layer tried) was reached first. If it is
        given, it is m_lo + 1.
    nodes, seconds
        Cost of the whole search; nodes are machine-independent.
    certified
        What m_hi rests on: `exact`, `generic`, or `none` if there is no m_hi.
    point
        Integer point whose active rows, among the first m_lo, have rank below n.
    """

    m_lo: int
    m_hi: int | None
    nodes: int
    seconds: float
    certified: Certified
    point: tuple[int, ...]

    def witness(self, rows: RowStream) -> Witness:
        """Two inputs that collide at width m_lo."""
        found = Layer(np.ascontiguousarray(rows.take(self.m_lo)), len(self.point)).witness_at(list(self.point))
        if found is None:
            raise InputError("these are not the rows that the threshold was found for")
        return found


def one_layer_threshold(
    rows: RowStream,
    n: int,
    *,
    node_budget: int | None = None,
    m_start: int | None = None,
    premise: Premise | None = None,
) -> LayerThreshold:
    """Least m for which `x ↦ ReLU(A_m x)` is injective on R^n, A_m the first m rows of the stream.

    Parameters
    ----------
    rows
        The stream; `take(m)` has shape (m, n).
    n
        Number of inputs.
    node_budget
        Most nodes to enter; then the result is right-censored (`m_hi` None). None: no limit.
    m_start
        Width to start from; it must not be above m*. By default 2n: with fewer rows one of x and -x always has fewer
        than n active ones.
    premise
        What is known of the law of the rows; None: nothing, so that rank is proved at every leaf.
    """
    limit = limit_of(node_budget)
    started = time.perf_counter()
    start = 2 * n if m_start is None else max(m_start, 2 * n)
    search = _Search(rows, n, start, premise)
    search.run(limit)
    point = search.proved_point()
    certified = Certified.NONE
    if search.done:
        certified = Certified.EXACT if search.ranked else Certified.GENERIC
    return LayerThreshold(
        search.width - 1, search.width if search.done else None, search.nodes, time.perf_counter() - started,
        certified, tuple(point),
    )


class _Search:
    """A stream's search; `width` is the present width, everything below it is proved not injective."""

    def __init__(self, rows: RowStream, n: int, start: int, premise: Premise | None) -> None:
        self.rows, self.n, self.width = rows, n, start
        self.have = max(8 * n + 16, 2 * start)
        self.spent = 0
        self.done = False
        self.best: list[int] | None = None
        self._float: npt.NDArray[np.float64] | None = None
        layer = self._layer()
        self.ranked = premise is None or n == 1
        self.frames = self._frames(layer, start)

    def _layer(self) -> Layer:
        return Layer(np.ascontiguousarray(self.rows.take(self.have), dtype=np.float64), self.n)

    def _frames(self, layer: Layer, width: int) -> Frames:
        return Frames(layer, ranked=self.ranked, keep=False, count=width, thorough=self.n >= _THOROUGH)

    @property
    def nodes(self) -> int:
        return self.spent + self.frames.nodes

    def _again(self, width: int, *, ranked: bool | None = None, more: bool = False) -> None:
        """A fresh search at `width`: with more rows at hand, or proving rank."""
        self.spent = self.nodes
        self.width = width
        self.ranked = self.ranked if ranked is None else ranked
        if more:
            self.have *= 2
        self.frames = self._frames(self._layer(), width)

    def run(self, limit: int) -> None:
        while True:
            frames = self.frames
            reason = frames.run_stream(min(limit - self.spent, frames.nodes + _SLICE))
            if frames.witnessed:
                self.best = None
                self._float = frames.best.copy()
                frames.witnessed = False
            self.width = frames.rows
            if frames.is_degenerate() and not self.ranked:
                # An exact dependence: count is not rank. What was found stays true only for witnesses.
                self._again(self.width, ranked=True)
            elif reason == fields.DONE:
                self.done = True
                return
            elif reason == EXHAUSTED:
                if self.have >= max(_WIDEST, 64 * self.n):
                    self.width = self.have + 1
                    return
                self._again(self.have + 1, more=True)
            elif reason == fields.RESOLVE:
                point = frames.resolve()
                if point is not None:
                    self._exact_witness(point)
            elif reason == fields.PAUSED and self.nodes >= limit:
                return

    def _exact_witness(self, point: list[Fraction]) -> None:
        """Jump along a point that only exact arithmetic could find."""
        x = small_multiple(point)
        layer = self.frames.layer
        values = products(layer.integers, x)
        active = [j for j, v in enumerate(values) if v >= 0 and not layer.idle[j]]
        if self._rank([j for j in active if j < self.width]) >= self.n:
            return
        self.best = x
        for k, j in enumerate(active):
            if j >= self.width and self._rank(active[: k + 1]) >= self.n:
                self._again(j + 1)
                return
        self._again(self.have + 1, more=True)

    def _rank(self, rows: list[int]) -> int:
        if len(rows) < self.n:
            return len(rows)
        return rank([self.frames.layer.integers[j] for j in rows])

    def proved_point(self) -> list[int]:
        """An integer point that is a witness at width - 1, checked in integers."""
        m = self.width - 1
        layer = Layer(np.ascontiguousarray(self.rows.take(m), dtype=np.float64), self.n)
        for x in self._candidates(layer):
            values = products(layer.integers, x)
            active = [j for j, v in enumerate(values) if v >= 0 and not layer.idle[j]]
            if len(active) < self.n or rank([layer.integers[j] for j in active]) < self.n:
                return x
        raise RuntimeError("a proved witness could not be made exact; please report this stream")

    def _candidates(self, layer: Layer) -> Iterator[list[int]]:
        if self.best is not None:
            yield self.best
        elif self._float is not None:
            unit = self._float / np.abs(self._float).max()
            for bits in (12, 24, 40, 60, 90, 120):
                yield [round(Fraction(float(v)) * 2**bits) for v in unit]
        if layer.m < 2 * self.n:
            # No search was needed: x or -x has fewer than n active rows.
            rng = np.random.default_rng(0)
            for _ in range(1000):
                x = [int(v) for v in rng.integers(-(2**20), 2**20, self.n)]
                yield x
                yield [-v for v in x]
