"""A walk through pairs from Python: the compiled loop in slices, and whoever answers what needs exactness."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcinj.certify.witness import Witness
from mcinj.decide.pairs import store as ps
from mcinj.decide.pairs.store import Cells, Ints
from mcinj.decide.pairs.walk import DONE, PAUSED, run
from mcinj.decide.watch import Pace

_SLICE = 5_000  # most nodes between two looks at the outside world


class PairWalk:
    """Walks through pairs of these cells; `constant`: whether they have t, the same in both copies.

    `ask(reason, a, b)` answers ASK, POINT and CANDIDATE: with a collision, or by what it leaves in `walk`, see `run`.
    `poll(nodes, left)` is called between two slices, with all nodes so far and the pairs of the list that are left.
    """

    def __init__(
        self, cells: Cells, constant: bool, ask: Callable[[int, int, int], Witness | None],
        poll: Callable[[int, int], None], nodes: int = 0,
    ) -> None:  # fmt: skip
        self.cells, self._ask, self._poll = cells, ask, poll
        self.scratch = ps.make_scratch(cells)
        units, g = cells.Z.shape[1:]
        status, stack, phase = (np.zeros(units + more, dtype=np.int64) for more in (0, 1, 1))
        self.walk = ps.Walk(np.zeros(ps.INTEGERS, dtype=np.int64), status, stack, phase, np.zeros(2 * g))
        self.walk.si[[ps.NODES, ps.CONSTANT, ps.SPAN]] = nodes, constant, -1
        self._pace = Pace(most=_SLICE)

    @property
    def nodes(self) -> int:
        """Nodes entered so far."""
        return int(self.walk.si[ps.NODES])

    def run(self, pairs: Ints, limit: int) -> Witness | bool:
        """A verified collision in these pairs, True if there is none, False past `limit` nodes."""
        si = self.walk.si
        si[ps.POSITION], si[ps.DEPTH] = 0, -1
        while True:
            before = self.nodes
            si[ps.LIMIT] = min(limit, before + self._pace.begin())
            reason = run(self.cells, self.scratch, self.walk, pairs)
            self._pace.end(self.nodes - before)
            self._poll(self.nodes, len(pairs) - int(si[ps.POSITION]))
            if reason == DONE:
                return True
            if reason != PAUSED:
                a, b = pairs[si[ps.POSITION], :2].tolist()
                found = self._ask(reason, a, b)
                if found is not None:
                    return found
            elif self.nodes >= limit:
                return False
