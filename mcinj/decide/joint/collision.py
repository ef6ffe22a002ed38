"""Global injectivity for any weights: all pairs of closed cells of the earlier layers.

Let prefix k pass the regional criterion, rank proved. Every input of the domain lies in a closed cell of a full pattern
of layers 1 … k - 1, on which layer k is linear.

Two inputs x, x' of one closed cell cl C with one output are equal: C is convex, so the output is constant between them
(a unit's pre-activation is linear there, and equal or nowhere positive at both ends). Near the middle of the segment
take an open region of C: units that are active there are positive at the middle, so orthogonal to x' - x, or 0 at the
middle and nowhere positive on the segment, so 0 on all of it and orthogonal too. They have rank n: x = x'.

So a collision needs two different cells, and all pairs of closed cells are decided by `mcinj.decide.pairs.walk`. No
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
from mcinj.decide.joint.cells import make_cells
from mcinj.decide.joint.exact import ExactCells
from mcinj.decide.joint.screen import survivors
from mcinj.decide.pairs import store as ps
from mcinj.decide.pairs.driver import PairWalk
from mcinj.decide.pairs.walk import CANDIDATE
from mcinj.decide.verdict import Reason
from mcinj.decide.watch import current
from mcinj.networks import Network

_NEAR = 2  # pairs with at most so many units of different sides are decided first: most collisions are folds
_PAIRS = 1 << 17  # pairs in one list


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
    return Reason.BUDGET if answer is False else answer, joint.nodes


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
        self.cells, self._screen = make_cells(model, regions.signs, paths, lengths)
        self.exact = ExactCells(model, network, self.cells.on, paths, lengths)
        watch = current()
        self.walk = PairWalk(
            self.cells, model.biased, self._answer, lambda used, left: watch.poll(used - nodes, left), nodes
        )

    @property
    def nodes(self) -> int:
        """Nodes entered so far."""
        return self.walk.nodes

    def decide(self, limit: int) -> Witness | bool:
        """A verified collision, True if there is none, False past `limit` nodes."""
        for pairs in self.lists():
            answer = self.walk.run(pairs, limit)
            if answer is not True:
                return answer
        return True

    def lists(self) -> Iterator[npt.NDArray[np.int64]]:
        """All pairs that no unit's sign closes: near ones first, in the order of their distance."""
        count = len(self.cells.lengths)
        room = max(_PAIRS, count)
        farthest = self.cells.on.shape[1]
        for near, far in ((0, _NEAR), (_NEAR, farthest)):
            start = 0
            while start < count:
                out = np.zeros((room, 3), dtype=np.int64)
                found, start = survivors(self._screen, start, near, far, out)
                current().poll()
                yield out[np.argsort(out[:found, 2], kind="stable")]

    def _answer(self, reason: int, a: int, b: int) -> Witness | None:
        """An exact answer to the node at hand (`mcinj.decide.pairs.walk.run`)."""
        si, signs = self.walk.walk.si, self.walk.walk.status.tolist()
        if si[ps.SPAN] < 0:
            si[ps.SPAN] = self.exact.span(a, b)
            if si[ps.SPAN] < si[ps.BOUND]:
                si[ps.REPLY] = ps.AGAIN
                si[ps.DEPTH] -= reason == CANDIDATE
                return None
        point = self.walk.walk.point
        if reason == CANDIDATE:
            answer = self.exact.decide(a, b, self._at_point(signs, a, b, point))
            return answer if isinstance(answer, Witness) else None
        answer = self.exact.decide(a, b, signs)
        if answer is not None and not isinstance(answer, Witness):
            point[:] = answer
            si[ps.REPLY] = ps.BRANCH
            return None
        return answer

    def _at_point(self, signs: list[int], a: int, b: int, point: npt.NDArray[np.float64]) -> list[int]:
        """Free units take the sides that they have at the point."""
        g = self.model.g
        value = self.cells.Z[a] @ point[:g] + self.cells.Z[b] @ point[g:]
        return [
            s if s != ps.FREE else (ps.SAME if v > 0 else ps.OFF) for s, v in zip(signs, value.tolist(), strict=True)
        ]
