"""The least number of active rows, min_x |S(x)|, of one stream at many widths, each value proved.

With h(m) the least number of positive rows in any open cell of the first m rows, h(m) >= j says that no cell has fewer
than j positives. That is the count criterion with target j instead of n: the one-layer search decides it, over a
growing stream of rows, by the same circuits and the same exact checks (`mcinj.decide.layer.stream`). So for each j
one search gives the least width m_j with h(m_j) >= j, and h(m) = max {j : m_j <= m}, as rows never lower h.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mcinj.decide.budget import limit_of
from mcinj.decide.layer import fields as fields
from mcinj.decide.layer.exact import products, small_multiple
from mcinj.decide.layer.frames import Frames
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.stream import EXHAUSTED
from mcinj.decide.layer.threshold import RowStream
from mcinj.errors import InputError

_SLICE = 20_000


@dataclass(frozen=True)
class LeastActive:
    """Bracket `low <= min_x |S(x)| <= high` over the open cells of the first m rows.

    `low` is proved by a search over all cells, `high` by a cell. They are equal unless the node budget ended first;
    then `high` is None where nothing better than m // 2 is known.
    """

    m: int
    low: int
    high: int | None


@dataclass(frozen=True)
class ActiveCurve:
    """`LeastActive` at each width asked for, and the cost of all together."""

    widths: tuple[LeastActive, ...]
    nodes: int
    seconds: float


def least_active(rows: RowStream, n: int, widths: Sequence[int], *, node_budget: int | None = None) -> ActiveCurve:
    """Least number of positive rows in any open cell, for several widths of one stream.

    Parameters
    ----------
    rows
        The stream; `take(m)` has shape (m, n).
    n
        Number of inputs.
    widths
        Increasing widths m.
    node_budget
        Most nodes for all searches together; None: no limit.

    Examples
    --------
    >>> from mcinj.networks import RowStream
    >>> [(w.m, w.low, w.high) for w in least_active(RowStream("gaussian", 1, 0), 1, [1, 20]).widths]
    [(1, 0, 0), (20, 9, 9)]

    Source: mathematics of the count criterion, with any target (docs/probe.md).
    """
    if not widths or widths[0] < 1 or any(a >= b for a, b in pairwise(widths)):
        raise InputError(f"widths must be increasing whole numbers >= 1, got {list(widths)}")
    limit = limit_of(node_budget)
    started = time.perf_counter()
    last = int(widths[-1])
    matrix = np.ascontiguousarray(rows.take(last), dtype=np.float64)
    if matrix.shape != (last, n):
        raise InputError(f"rows have shape {matrix.shape}, expected ({last}, {n})")
    nodes, proved = 0, [0]  # proved[j] = m_j
    open_from = last + 1  # from this width on the search for the last target was cut off
    while True:
        j = len(proved)
        # With fewer than 2 j rows one of x and -x has fewer than j positives; h grows by at most one per row.
        start = max(2 * j, proved[-1] + 1)
        if start > last:
            break
        search = _Search(matrix, j, start)
        done = search.run(limit - nodes)
        nodes += search.nodes
        if not done:
            open_from = search.width
            break
        if search.width > last:
            break
        proved.append(search.width)
    found = []
    for m in widths:
        low = max(j for j, m_j in enumerate(proved) if m_j <= m)
        found.append(LeastActive(int(m), low, low if m < open_from else None))
    return ActiveCurve(tuple(found), nodes, time.perf_counter() - started)


class _Search:
    """Least width at which every cell has `target` positive rows; `width` grows along proved witnesses."""

    def __init__(self, matrix: npt.NDArray[np.float64], target: int, start: int) -> None:
        # Without rank proofs the search only counts, so the target may exceed n; the layer's n then sizes its arrays.
        self.layer = Layer(matrix, max(matrix.shape[1], target))
        self.target, self.width = target, start
        self.spent = 0
        self.frames = self._frames(start)

    def _frames(self, width: int) -> Frames:
        frames = Frames(self.layer, ranked=False, keep=False, count=width)
        frames.gi[fields.TARGET] = self.target
        return frames

    @property
    def nodes(self) -> int:
        """Nodes entered in all searches."""
        return self.spent + self.frames.nodes

    def run(self, limit: int) -> bool:
        """Whether the width was decided; it is m + 1 if no width up to all m rows passes."""
        while True:
            frames = self.frames
            reason = frames.run_stream(min(limit - self.spent, frames.nodes + _SLICE))
            self.width = frames.rows
            if reason == fields.DONE:
                return True
            if reason == EXHAUSTED:
                self.width = self.layer.m + 1
                return True
            if reason == fields.RESOLVE:
                point = frames.resolve()
                if point is not None and not self._jump(small_multiple(point)):
                    return True
            elif reason == fields.PAUSED and self.nodes >= limit:
                return False

    def _jump(self, x: list[int]) -> bool:
        """Go on at the first width at which x has `target` rows that are not negative; False if there is none."""
        active = [i for i, v in enumerate(products(self.layer.integers, x)) if v >= 0 and not self.layer.idle[i]]
        if sum(i < self.width for i in active) >= self.target:
            return True
        if len(active) < self.target:
            self.width = self.layer.m + 1
            return False
        self.spent = self.nodes
        self.width = active[self.target - 1] + 1
        self.frames = self._frames(self.width)
        return True
