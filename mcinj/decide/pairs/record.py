"""The proof about pairs of regions that a certificate of a global pass holds, from a search that found no collision."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj.certify.deep_pairs import PairsProof
from mcinj.certify.deep_regions import Regions
from mcinj.certify.deep_rows import PrefixRows
from mcinj.decide.deep.search import patterns
from mcinj.decide.pairs import group as pg
from mcinj.decide.pairs.few_active import FewActive

Ints = npt.NDArray[np.int64]

_LOG = 1 << 16


def pairs_proof(few: FewActive) -> PairsProof:
    """The proof for the regions of `few`, whose `collision` has said None; weights in general position."""
    return _Recorder(few).proof()


class _Recorder:
    def __init__(self, few: FewActive) -> None:
        self.few, self.search = few, few.search
        model = self.search.model
        self.model, self.st = model, self.search.st
        widths = model.widths
        signs = patterns(few.signs, widths)
        self.regions = Regions(PrefixRows(model.network, model.depth), signs)
        self.base = np.concatenate([[0], np.cumsum(widths)])
        # (region) -> base rows -> bounds, as the file has them.
        self.boxes: list[dict[tuple[int, ...], list[int]]] = [{} for _ in signs]
        self.circuits: list[tuple[int, int, list[int]]] = []

    def proof(self) -> PairsProof:
        few = self.few
        for members in self.regions.groups():
            signs, paths, lengths = few.signs[members], few.paths[members], few.sizes[members, 0]
            count = int(few.sizes[members[0], 1])
            group, bad = pg.make_group(self.st, signs, paths, lengths, count, self.model.biased, record=True)
            closed = {} if bad >= 0 else self._scan(group, members)
            self._pairs(group, members, closed, boxed=bad < 0 and not self.model.rescaled)
        numbers: list[int] = []
        for box in self.boxes:
            numbers.append(len(box))
            for units, bounds in box.items():
                numbers += [*units, len(bounds) // 2, *bounds]
        for _, _, codes in self.circuits:
            numbers += [len(codes), *codes]
        return PairsProof(self.model.depth, np.array(numbers, dtype=np.int64))

    def _scan(self, group: pg.Group, members: Ints) -> dict[tuple[int, int], list[int]]:
        """Contradictions that the search finds, by pairs of positions in the group."""
        counters = np.zeros(8, dtype=np.int64)
        point = np.zeros(2 * self.model.g)
        log = np.zeros(_LOG, dtype=np.int32)
        log[0] = 1
        found: dict[tuple[int, int], list[int]] = {}
        while True:
            status = int(pg.scan(self.st, group, counters, point, log))
            at = 1
            while at < log[0]:
                a, b, size = (int(v) for v in log[at : at + 3])
                codes = [self._code(members, a, b, int(v)) for v in log[at + 3 : at + 3 + size]]
                found[min(a, b), max(a, b)] = codes if a < b else [c ^ 1 for c in codes]
                at += 3 + size
            log[0] = 1
            if status == pg.CLOSED:
                return found

    def _code(self, members: Ints, a: int, b: int, logged: int) -> int:
        """`2 unit + side` of a row of the log of `scan`."""
        signs, hidden = self.regions.signs, self.regions.hidden
        first, second = int(members[a]), int(members[b])
        flips = np.flatnonzero(signs[first, :hidden] != signs[second, :hidden])
        t, side = divmod(logged, 2)
        if t < len(flips):
            return 2 * int(flips[t]) + side
        return 2 * self._unit((first, second)[side], t - len(flips)) + side

    def _unit(self, region: int, t: int) -> int:
        """The unit of a path row, counted through all layers; behind the last: t > 0."""
        row = int(self.few.paths[region, t])
        if row < len(self.model.fence):
            return int(self.base[-1])
        k = int(np.searchsorted(self.st.BASE, row, side="right")) - 1
        return int(self.base[k]) + (row - int(self.st.BASE[k])) // 2

    def _pairs(self, group: pg.Group, members: Ints, closed: dict[tuple[int, int], list[int]], boxed: bool) -> None:
        c, size = group.lo.shape
        used = np.zeros((c, 2 * size), dtype=bool)
        for i, rest in self.regions.ranks_open(members):
            # Column 2 e: the later region is above, 2 e + 1: below.
            apart = np.zeros((len(rest), 2 * size), dtype=bool)
            if boxed:
                apart[:, 0::2] = group.lo[rest] > group.hi[i]
                apart[:, 1::2] = group.lo[i] > group.hi[rest]
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
                codes = closed.get((i, j))
                if codes is None:
                    codes = self._exactly(int(members[i]), int(members[j]))
                self.circuits.append((int(members[i]), int(members[j]), codes))
        for i, a in enumerate(members.tolist()):
            for e in np.flatnonzero(used[i]).tolist():
                value = (group.hi if e & 1 else group.lo)[i, e >> 1]
                units = tuple(self._unit(a, int(t)) for t in group.bases[i, e])
                self.boxes[a].setdefault(units, []).extend([e, int(value.view(np.uint32))])

    def _exactly(self, a: int, b: int) -> list[int]:
        pair = self.few.pair(self.model.network, a, b)
        if pair.decide() is not None:
            raise RuntimeError("a certificate met a collision that the search excluded; please report this network")
        length = int(self.few.sizes[a, 0])
        return [2 * self._unit(a, t) if t < length else 2 * self._unit(b, t - length) + 1 for t in pair.circuit]
