"""Regions with few active last-layer units, and what their pairs decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mcinj.certify.witness import Witness
from mcinj.decide.deep.search import DeepSearch, Regions
from mcinj.decide.pairs import group as pg
from mcinj.decide.pairs.exact import ExactPair
from mcinj.decide.watch import current
from mcinj.networks import Network

_MANY = 500  # regions with one active set, from which their pairs may take long
_NO_LOG = np.zeros(1, dtype=np.int32)


@dataclass
class FewActive:
    """Regions of a prefix with few active last-layer units.

    `search` lends its arrays and its numbering of rows; it must not be the one that is still running.
    """

    search: DeepSearch
    signs: npt.NDArray[np.int8]
    paths: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int64]
    counters: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(8, dtype=np.int64))

    @classmethod
    def of(cls, search: DeepSearch, batches: list[Regions]) -> FewActive:
        """Join batches of a search of the same model and width as `search`."""
        if not batches:
            L, m, _ = search.st.ROWS.shape
            none = np.zeros((0, 2), dtype=np.int64)
            return cls(search, np.zeros((0, L, m), dtype=np.int8), none.astype(np.int32), none)
        joined = Regions.join(batches)
        return cls(search, joined.signs, joined.paths, joined.sizes)

    def groups(self) -> Iterator[npt.NDArray[np.int64]]:
        """Indices of regions with one active set, for every set that two regions share."""
        last = self.search.model.widths[-1]
        if not len(self.signs):
            return
        bits = np.packbits(self.signs[:, -1, :last] > 0, axis=1)
        _, inverse, counts = np.unique(bits, axis=0, return_inverse=True, return_counts=True)
        order = np.argsort(inverse.ravel(), kind="stable")
        start = 0
        for c in counts.tolist():
            if c > 1:
                yield order[start : start + c]
            start += c

    def collision(self, network: Network) -> Witness | None:
        """A verified collision of `network` among the pairs, or None: every pair is closed."""
        st, model = self.search.st, self.search.model
        point = np.zeros(2 * model.g)
        for members in self.groups():
            signs, paths, lengths = self.signs[members], self.paths[members], self.sizes[members, 0]
            watch = current()
            count = int(self.sizes[members[0], 1])
            group, bad = _run(lambda: pg.make_group(st, signs, paths, lengths, count, model.biased), len(signs))  # noqa: B023
            if bad >= 0:
                witness = self._all_exact(network, members)
                if witness is not None:
                    return witness
                continue
            self.counters[4:] = 0
            while True:
                status = int(_run(lambda: pg.scan(st, group, self.counters, point, _NO_LOG), len(signs)))  # noqa: B023
                watch.poll()
                if status == pg.CLOSED:
                    break
                first, second = (int(members[i]) for i in self.counters[6:8])
                pair = self.pair(network, first, second)
                witness = pair.near(point.tolist()) if status == pg.MEETS else None
                if witness is None:
                    witness = pair.decide()
                if witness is not None:
                    return witness
        return None

    def pair(self, network: Network, a: int, b: int) -> ExactPair:
        """Two regions, to be decided exactly."""
        return ExactPair(
            self.search, network, (self.signs[a], self.signs[b]),
            (self.paths[a, : self.sizes[a, 0]], self.paths[b, : self.sizes[b, 0]]),
        )  # fmt: skip

    def _all_exact(self, network: Network, members: npt.NDArray[np.int64]) -> Witness | None:
        for i, a in enumerate(members.tolist()):
            for b in members[:i].tolist():
                current().poll()
                witness = self.pair(network, a, b).decide()
                if witness is not None:
                    return witness
        return None


_Result = TypeVar("_Result")


def _run(work: Callable[[], _Result], regions: int) -> _Result:
    """Compiled work on the pairs of so many regions: many take long."""
    return current().aside(work) if regions > _MANY else work()
