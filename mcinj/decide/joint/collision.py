"""Global injectivity for any weights: all pairs of closed cells of the earlier layers.

Let prefix k pass the regional criterion, rank proved. Every input of the domain lies in a closed cell of a full pattern
of layers 1 … k - 1, on which layer k is linear.

Two inputs x, x' of one closed cell cl C with one output are equal: C is convex, so the output is constant between them
(a unit's pre-activation is linear there, and equal or nowhere positive at both ends). Near the middle of the segment
take an open region of C: units that are active there are positive at the middle, so orthogonal to x' - x, or 0 at the
middle and nowhere positive on the segment, so 0 on all of it and orthogonal too. They have rank n: x = x'.

So a collision needs two different cells, and all pairs of closed cells are decided by `mcinj.decide.joint.kernel`. No
weights need to be in general position, and nothing is asked of prefix k - 1. Without biases x = 0 lies in every closed
cell, so in a pair of different cells x and x' are not 0; with biases t = 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from mcinj.certify.witness import Witness
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.search import DeepSearch, Regions
from mcinj.decide.joint import kernel as jk
from mcinj.decide.joint.cells import Cells, make_cells
from mcinj.decide.joint.exact import ExactCells
from mcinj.decide.verdict import Reason
from mcinj.decide.watch import Pace, current
from mcinj.networks import Network

_NEAR = 2  # pairs with at most so many units of different sides are decided first: most collisions are folds
_PAIRS = 1 << 17  # pairs in one list
_SLICE = 5_000  # most nodes between two looks at the outside world


def joint_collision(
    model: DeepModel, network: Network, limit: int, cells: list[Regions] | None = None
) -> tuple[Witness | Literal[True] | Reason, int]:
    """Decide the pairs of cells of `model`, a prefix of `network` that passes the regional criterion with rank proved.

    `cells`: all regions of the earlier layers, if they are known. Returns a verified collision of `network`, True
    (proved: there is none) or why there is no answer; and the nodes: those of the enumeration of cells and of pairs.
    """
    nodes = 0
    try:
        if cells is None:
            earlier = earlier_layers(model)
            current().enter("all regions of the earlier layers")
            # No region has this many active units: all are visited.
            search = DeepSearch(earlier, earlier.widths[-1] + 1, enumerate_regions=True)
            found = list(search.batches(limit))
            nodes = search.nodes
            cells = [batch for batch in found if batch is not None]
            if len(cells) < len(found):
                return Reason.BUDGET, nodes
        if model.residues is None:
            return Reason.PRIME, nodes
        if not cells:
            return True, nodes
        count = sum(len(batch.signs) for batch in cells)
        current().enter(f"the last layer on {count:,} regions of the earlier ones")
        joint = Joint(model, network, cells, nodes)
        current().enter(f"pairs of {count:,} closed regions")
    except OverflowError:
        return Reason.RANGE, nodes
    answer = joint.decide(limit)
    return Reason.BUDGET if answer is None else answer, joint.nodes


def earlier_layers(model: DeepModel) -> DeepModel:
    """All layers but the last, on the same domain and in the same coordinates.

    Where only the last layer has biases, t and constant units are there all the same: paths count rows with them.
    """
    network = model.network.prefix(model.depth - 1)
    if model.biased and not network.has_biases:
        network = Network(network.exact_weights, [np.zeros(m) for m in network.widths])
    return DeepModel(network, model.fence)


class Joint:
    """All pairs of the cells in `batches`; `nodes` counts those of the enumeration too."""

    def __init__(self, model: DeepModel, network: Network, batches: list[Regions], nodes: int) -> None:
        regions = Regions.join(batches)
        paths, lengths = regions.paths, np.ascontiguousarray(regions.sizes[:, 0])
        self.model = model
        self.cells: Cells = make_cells(model, regions.signs, paths, lengths)
        self.exact = ExactCells(model, network, self.cells.on, paths, lengths)
        self.exact_calls = 0
        self.si = np.zeros(jk.COUNTERS, dtype=np.int64)
        self.si[jk.NODES], self.si[jk.SPAN] = nodes, -1
        self._scratch = jk.make_scratch(self.cells)
        self._pace = Pace(most=_SLICE)
        self._first = nodes

    @property
    def nodes(self) -> int:
        """Nodes entered so far."""
        return int(self.si[jk.NODES])

    def decide(self, limit: int) -> Witness | Literal[True] | None:
        """A verified collision, True if there is none, None past `limit` nodes."""
        for pairs in self._lists():
            answer = self.run(pairs, limit)
            if answer is not True:
                return answer
        return True

    def _lists(self) -> Iterator[npt.NDArray[np.int64]]:
        """All pairs that no unit's sign closes: near ones first, in the order of their distance."""
        count = len(self.cells.lengths)
        room = max(_PAIRS, count)
        farthest = self.cells.on.shape[1]
        for near, far in ((0, _NEAR), (_NEAR, farthest)):
            start = 0
            while start < count:
                out = np.zeros((room, 3), dtype=np.int64)
                found, start = jk.survivors(self.cells, start, near, far, out)
                current().poll()
                yield out[np.argsort(out[:found, 2], kind="stable")]

    def run(self, pairs: npt.NDArray[np.int64], limit: int) -> Witness | Literal[True] | None:
        si, cells = self.si, self.cells
        units = cells.Z.shape[1]
        status, stack, phase = (np.zeros(units + 1, dtype=np.int64) for _ in range(3))
        status = status[:units]
        point = np.zeros(2 * self.model.g)
        si[jk.POSITION], si[jk.DEPTH] = 0, -1
        watch = current()
        while True:
            before = self.nodes
            si[jk.LIMIT] = min(limit, before + self._pace.begin())
            reason = jk.run(cells, self._scratch, pairs, len(pairs), self.model.biased, si, status, stack, phase, point)
            self._pace.end(self.nodes - before)
            watch.poll(self.nodes - self._first, len(pairs) - int(si[jk.POSITION]))
            if reason == jk.DONE:
                return True
            if reason == jk.PAUSED:
                if self.nodes >= limit:
                    return None
                continue
            a, b, _ = pairs[si[jk.POSITION]].tolist()
            signs = status.tolist()
            if si[jk.SPAN] < 0:
                si[jk.SPAN] = self.exact.span(a, b)
                if si[jk.SPAN] < si[jk.BOUND]:
                    si[jk.AGAIN] = 1
                    si[jk.DEPTH] -= reason == jk.CANDIDATE
                    continue
            self.exact_calls += 1
            if reason == jk.CANDIDATE:
                answer = self.exact.decide(a, b, self._at_point(signs, a, b, point))
                if isinstance(answer, Witness):
                    return answer
                continue
            answer = self.exact.decide(a, b, signs)
            if isinstance(answer, Witness):
                return answer
            if answer is not None:
                point[:] = answer
                si[jk.BRANCH] = 1

    def _at_point(self, signs: list[int], a: int, b: int, point: npt.NDArray[np.float64]) -> list[int]:
        """Free units take the sides that they have at the point."""
        g = self.model.g
        value = self.cells.Z[a] @ point[:g] + self.cells.Z[b] @ point[g:]
        return [
            s if s != jk.FREE else (jk.SAME if v > 0 else jk.OFF) for s, v in zip(signs, value.tolist(), strict=True)
        ]
