"""Regions with few active last-layer units, for weights in general position, and what their pairs decide.

Two regions with the same active units are a pair. Their cells have the active units of the last layer as such that are
the same in both copies, and rows that are taken for independent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mcinj.certify.witness import Witness
from mcinj.decide.budget import UNLIMITED
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.search import Regions
from mcinj.decide.pairs.boxes import Boxes, box_regions, open_pairs
from mcinj.decide.pairs.cells import cones_of
from mcinj.decide.pairs.driver import PairWalk
from mcinj.decide.pairs.exact import ExactPair
from mcinj.decide.pairs.store import ABOVE, BELOW, Cells, Ints
from mcinj.decide.pairs.walk import POINT
from mcinj.decide.watch import current
from mcinj.networks import Network

_FIRST, _MOST = 64, 1_024  # regions, about, whose rows are prepared together: few at first, where most collisions are
_LONG = 500  # regions whose boxes may take long
_PAIRS = 1 << 14  # pairs in one list


@dataclass(frozen=True)
class Batch:
    """Groups of regions: `members` (C,), numbers of the regions in the order of `cells` and `boxes`."""

    members: Ints
    cells: Cells
    boxes: Boxes


@dataclass(frozen=True)
class FewActive:
    """Regions of a prefix `model` with few active last-layer units."""

    model: DeepModel
    regions: Regions

    @classmethod
    def of(cls, model: DeepModel, batches: list[Regions]) -> FewActive:
        """Join batches of a search of this model."""
        if batches:
            return cls(model, Regions.join(batches))
        signs, none = np.zeros((0, model.depth, max(model.widths)), dtype=np.int8), np.zeros((0, 2), dtype=np.int64)
        return cls(model, Regions(signs, np.zeros((0, model.g)), none.astype(np.int32), none))

    def groups(self) -> Iterator[Ints]:
        """Indices of regions with one active set, for every set that two regions share."""
        active = self.regions.signs[:, -1, : self.model.widths[-1]] > 0
        if not len(active):
            return
        _, inverse, counts = np.unique(np.packbits(active, axis=1), axis=0, return_inverse=True, return_counts=True)
        order = np.argsort(inverse.ravel(), kind="stable")
        start = 0
        for c in counts.tolist():
            if c > 1:
                yield order[start : start + c]
            start += c

    def batches(self) -> Iterator[Batch]:
        """All groups."""
        waiting: list[Ints] = []
        count, enough = 0, _FIRST
        for members in self.groups():
            waiting.append(members)
            count += len(members)
            if count >= enough:
                yield self.batch(waiting)
                waiting, count, enough = [], 0, min(2 * enough, _MOST)
        if waiting:
            yield self.batch(waiting)

    def batch(self, groups: Sequence[Ints], record: bool = False) -> Batch:
        """These groups, with boxes; `record`: with the rows that prove boxes."""
        model, members = self.model, np.concatenate(groups)
        signs, sizes = self.regions.signs[members], self.regions.sizes[members]
        C, widths = len(members), model.widths
        acts = [signs[:, k, :width] > 0 for k, width in enumerate(widths[:-1])]
        cones, rows, errors = cones_of(model, acts, self.regions.paths[members], sizes[:, 0], model.depth)
        kind = np.where(signs[:, -1, : widths[-1]] > 0, ABOVE, BELOW).astype(np.int8)
        none, residues = np.zeros(0, dtype=np.int64), np.zeros((0, 0, 0), dtype=np.int64)
        last = np.ascontiguousarray(rows[-1]), np.ascontiguousarray(errors[-1])
        cells = Cells(*cones, *last, kind, residues, none, none.astype(np.uint64), residues)
        edges = np.cumsum([0, *map(len, groups)])
        equations = sizes[edges[:-1], 1] + int(model.biased)
        s = int(equations.max())
        D = s + s * (s - 1) // 2
        lo, hi = np.full((C, D), -np.inf, dtype=np.float32), np.full((C, D), np.inf, dtype=np.float32)
        bases = np.zeros((C if record else 1, 2 * D if record else 0, model.g), dtype=np.int32)
        boxes = Boxes(edges, equations, lo, hi, np.arange(C, dtype=np.int64), bases)
        if C > _LONG:
            current().aside(partial(box_regions, cells, boxes))
        else:
            box_regions(cells, boxes)
        group = np.repeat(np.arange(len(groups)), np.diff(edges))
        return Batch(members, cells, boxes._replace(order=np.lexsort((lo[:, 0], group))))

    def collision(self, network: Network) -> Witness | None:
        """A verified collision of `network` among the pairs, or None: every pair is closed."""
        for batch in self.batches():
            witness = self._collision(network, batch)
            if witness is not None:
                return witness
        return None

    def _collision(self, network: Network, batch: Batch) -> Witness | None:
        def ask(reason: int, a: int, b: int) -> Witness | None:
            pair = self.pair(network, int(batch.members[a]), int(batch.members[b]))
            near = pair.near(walk.walk.point.tolist()) if reason == POINT else None
            return pair.decide() if near is None else near

        watch = current()
        walk = PairWalk(batch.cells, self.model.biased, ask, lambda nodes, left: watch.poll())
        start = np.zeros(3, dtype=np.int64)
        while start[0] < len(batch.boxes.equations):
            pairs = np.zeros((_PAIRS, 2), dtype=np.int64)
            found = open_pairs(batch.cells, batch.boxes, self.model.widths[-2], start, pairs)
            watch.poll()
            answer = walk.run(pairs[:found], UNLIMITED)
            if isinstance(answer, Witness):
                return answer
        return None

    def pair(self, network: Network, a: int, b: int) -> ExactPair:
        """Two regions, to be decided exactly."""
        signs, paths, lengths = self.regions.signs, self.regions.paths, self.regions.sizes[:, 0]
        return ExactPair(self.model, network, (signs[a], signs[b]), (paths[a, : lengths[a]], paths[b, : lengths[b]]))
