"""The proof about pairs of regions that a certificate of a global pass holds, from a search that found no collision."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj.certify.deep_pairs import PairsProof
from mcinj.certify.deep_regions import Regions
from mcinj.certify.deep_rows import PrefixRows
from mcinj.decide.budget import UNLIMITED
from mcinj.decide.deep.search import patterns
from mcinj.decide.pairs.driver import PairWalk
from mcinj.decide.pairs.few_active import Batch, FewActive
from mcinj.decide.pairs.store import BY_QUOTIENT, LAST, MEETS
from mcinj.decide.watch import current

Ints = npt.NDArray[np.int64]


def pairs_proof(few: FewActive) -> PairsProof:
    """The proof for the regions of `few`, whose `collision` has said None; weights in general position."""
    return _Recorder(few).proof()


class _Recorder:
    def __init__(self, few: FewActive) -> None:
        self.few, self.model = few, few.model
        signs = patterns(few.regions.signs, self.model.widths)
        self.regions = Regions(PrefixRows(self.model.network, self.model.depth), signs)
        # (region) -> base rows -> bounds, as the file has them.
        self.boxes: list[dict[tuple[int, ...], list[int]]] = [{} for _ in signs]
        self.circuits: list[list[int]] = []
        self.exact: list[int] = []  # rows of the circuit that was found last by exact arithmetic

    def proof(self) -> PairsProof:
        for members in self.regions.groups():
            self._pairs(members, self.few.batch([members], record=True))
        numbers: list[int] = []
        for box in self.boxes:
            numbers.append(len(box))
            for units, bounds in box.items():
                numbers += [*units, len(bounds) // 2, *bounds]
        for codes in self.circuits:
            numbers += [len(codes), *codes]
        return PairsProof(self.model.depth, np.array(numbers, dtype=np.int64))

    def _unit(self, region: int, t: int) -> int:
        """The unit of a path row, counted through all layers; behind the last: t > 0."""
        row = int(self.few.regions.paths[region, t]) - len(self.model.fence)
        return row // 2 if row >= 0 else sum(self.model.widths)

    def _pairs(self, members: Ints, batch: Batch) -> None:
        boxes, watch = batch.boxes, current()
        c, size = boxes.lo.shape
        used = np.zeros((c, 2 * size), dtype=bool)
        walk = PairWalk(
            batch.cells, self.model.biased, lambda _, i, j: self._exactly(batch, i, j), lambda nodes, left: watch.poll()
        )
        place = np.argsort(boxes.order)
        for i, rest in self.regions.ranks_open(members):
            # Column 2 e: the later region is above, 2 e + 1: below.
            apart = np.zeros((len(rest), 2 * size), dtype=bool)
            if not self.model.rescaled:
                apart[:, 0::2] = boxes.lo[rest] > boxes.hi[i]
                apart[:, 1::2] = boxes.lo[i] > boxes.hi[rest]
            upper = np.arange(2 * size) ^ 1  # the bound of region i that goes with a column
            done = (apart & used[rest] & used[i, upper]).any(axis=1)
            while True:
                gain = (apart & ~done[:, None]).sum(axis=0)
                e = int(gain.argmax())
                if gain[e] == 0:
                    break
                these = apart[:, e] & ~done
                used[i, upper[e]] = True
                used[rest[these], e] = True
                done |= these
            for j in rest[~done].tolist():
                if place[i] < place[j]:
                    self.circuits.append(self._circuit(batch, walk, i, j))
                else:
                    self.circuits.append([code ^ 1 for code in self._circuit(batch, walk, j, i)])
        for i, a in enumerate(members.tolist()):
            for e in np.flatnonzero(used[i]).tolist():
                value = (boxes.hi if e & 1 else boxes.lo)[i, e >> 1]
                units = tuple(self._unit(a, int(t)) for t in boxes.bases[i, e])
                self.boxes[a].setdefault(units, []).extend([e, int(value.view(np.uint32))])

    def _circuit(self, batch: Batch, walk: PairWalk, i: int, j: int) -> list[int]:
        """Rows `2 unit + side` of regions i, j of the batch that contradict the equations."""
        a, b = (int(batch.members[k]) for k in (i, j))
        length = int(self.few.regions.sizes[a, 0])
        walk.run(np.array([[i, j]]), UNLIMITED)
        last = walk.walk.si[LAST]
        if last < MEETS:
            flips = np.flatnonzero(batch.cells.on[i] != batch.cells.on[j]).tolist()
            columns = self.model.g + (len(flips) if last == BY_QUOTIENT else self.model.g)
            rows = walk.scratch.ids[: columns - int(batch.boxes.equations[0]) + 1].tolist()
        else:
            flips, rows = [], self.exact
        codes = []
        for row in rows:
            t = row - 2 * len(flips)  # behind the units that differ, of a and of b in turn, are the paths of both
            if t < 0:
                codes.append(2 * flips[row // 2] + row % 2)
            else:
                codes.append(2 * self._unit(a, t) if t < length else 2 * self._unit(b, t - length) + 1)
        return codes

    def _exactly(self, batch: Batch, i: int, j: int) -> None:
        pair = self.few.pair(self.model.network, int(batch.members[i]), int(batch.members[j]))
        if pair.decide() is not None:
            raise RuntimeError("a certificate met a collision that the search excluded; please report this network")
        self.exact = list(pair.circuit)
