"""Rank on all regions and injectivity for any weights without visiting all regions: coarse cells and pairs of them.

A closed cell on which only some hidden units are decided holds many regions. With T, the units of the last layer that
are proved positive on it, and unknowns for what is undecided, one rank modulo a prime settles all of them
(`mcinj.decide.coarse.rank`), and likewise all collisions of one such cell with another. Cells are split only where that
fails; complete cells (full patterns of the hidden layers) on which it fails go to the searches that need no luck:
`DeepSearch` for rank, `joint` for pairs.

Any two inputs lie in a pair of cells of the tree. Cells are left out where no input fits them strictly; an input on no
unit's hyperplane (there are finitely many in the tree) fits those on one path strictly, down to a leaf; such inputs are
dense, and closed cells, finitely many, hold the limits of what they hold. A pair of a cell with itself that is closed
by rank says too that the Jacobian has rank n on its regions; where all are settled, an input 0 of a network without
biases collides with nothing (`mcinj.decide.joint.collision`), so that inputs other than 0 are enough.

Where weights have structure, ranks may fail everywhere: then coarse cells are given up early.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from mcinj.certify.witness import Witness
from mcinj.decide.coarse import kernel as ck
from mcinj.decide.coarse import store as cs
from mcinj.decide.coarse.tree import bytes_of, grown, make_tree
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.search import DeepSearch, Regions
from mcinj.decide.joint.collision import Joint
from mcinj.decide.verdict import Reason
from mcinj.decide.watch import Pace, current
from mcinj.networks import Network

_TRY = 8  # undecided units whose patterns are gone through, at most
_CELLS = 64  # cells for which there is room at first
_BYTES = 1 << 29  # of a tree beyond which it gets no more room: it is given up
_FIRST, _MOST = 256, 8192  # complete pairs in a batch: few at first, for a collision that is found early
_SLICE = 20_000  # most nodes between two looks at the outside world
_STEPS = 1 << 16  # steps of a certificate that wait in the tree
_CHECK = 4_096  # nodes after which the share of failed ranks is looked at
_PATIENCE = 500  # failed ranks and pairs left over before coarse cells may be given up
_SHARE = 0.25  # of failed ranks among all, at which they are


class _GivenUp(Exception):
    """Coarse cells do not do here."""


class Coarse:
    """The cells of `model`, a network of at least two layers whose regions all have n active units.

    Parameters
    ----------
    model, network
        The network; witnesses are checked on `network`.
    limit
        Most nodes: pairs of cells that are looked at, and those of the other searches.
    record
        Keep what a certificate needs (`mcinj.decide.coarse.record`).
    """

    def __init__(self, model: DeepModel, network: Network, limit: int, *, record: bool = False) -> None:
        self.model, self.network, self.limit, self.record = model, network, limit, record
        self.search = DeepSearch(model, model.n, record=record)
        self.tree = make_tree(model, self.search.st.SIGN.shape[1], _CELLS, _MOST, _STEPS if record else 0)
        self._ranks: DeepSearch | None = None
        # For a certificate: steps, the logs of ranks on complete cells, and pairs of complete cells.
        self.steps: list[npt.NDArray[np.int8]] = []
        self.ranked: dict[int, npt.NDArray[np.int64]] = {}
        self.left: list[npt.NDArray[np.int64]] = []
        self._others = 0
        self.layer: int | None = model.depth

    @property
    def nodes(self) -> int:
        """Nodes so far."""
        return int(self.tree.ti[cs.NODES]) + self._others + (0 if self._ranks is None else self._ranks.nodes)

    def ranks(self) -> Witness | Literal[True] | Reason | None:
        """Rank n on all regions: a verified collision, True, a reason; None where coarse cells do not do."""
        return self._answer(diagonal=True)

    def pairs(self) -> Witness | Literal[True] | Reason | None:
        """Rank n and injectivity, answers as those of `ranks`."""
        return self._answer(diagonal=False)

    def _answer(self, *, diagonal: bool) -> Witness | Literal[True] | Reason | None:
        try:
            for found in self._left_over(diagonal):
                same = found[:, 0] == found[:, 1]
                answer = self._rank_on(found[same, 0])
                if answer is True and not same.all():
                    answer = self._joint(found[~same])
                if answer is not True:
                    return answer
        except _GivenUp:
            return None
        except OverflowError:
            return Reason.RANGE
        return Reason.BUDGET if self.tree.ti[cs.TOP] else True

    def _left_over(self, diagonal: bool) -> Iterator[npt.NDArray[np.int64]]:
        """Batches of pairs of complete cells that are not closed."""
        if self.model.field_residues is None or self.model.residues is None:
            raise _GivenUp
        ti, room, watch, pace = self.tree.ti, _FIRST, current(), Pace(most=_SLICE)
        out = self.tree.out
        ti[cs.TRY], ti[cs.DIAGONAL] = _TRY, diagonal
        if not ck.plant(self.search.st, self.tree):
            raise _GivenUp
        left = 0
        while True:
            before = int(ti[cs.NODES])
            # Slices depend on time, and what comes out must not: it is given up at multiples of _CHECK or full batches.
            check = (before // _CHECK + 1) * _CHECK
            ti[cs.LIMIT] = min(self.limit - self.nodes + before, before + pace.begin(), check)
            reason = ck.pairs(self.search.st, self.tree._replace(out=out[:room]), self.model.n)
            pace.end(int(ti[cs.NODES]) - before)
            watch.poll(self.nodes, int(ti[cs.TOP]))
            failed = int(ti[cs.FAILS]) + left + int(ti[cs.OUT])
            judged = reason in (ck.FULL, ck.DONE) or int(ti[cs.NODES]) == check
            if reason == ck.FAILED or (judged and failed > _PATIENCE and failed > _SHARE * int(ti[cs.TESTS])):
                raise _GivenUp
            if reason in (ck.TAKE, ck.DONE):
                self._take()
            if reason == ck.ASK:
                ti[cs.TOLD] = cs.NO_CELL if self.search.point_of(1) is None else cs.A_CELL
            elif reason == ck.GROW:
                if bytes_of(self.tree) > _BYTES:
                    raise _GivenUp
                self.tree = grown(self.tree)
            elif reason == ck.FULL or (reason == ck.DONE and ti[cs.OUT]):
                found = out[: int(ti[cs.OUT])].copy()
                left += len(found)
                ti[cs.OUT] = 0
                room = min(2 * room, _MOST)
                yield found
            elif reason == ck.DONE or self.nodes >= self.limit:
                return

    def _take(self) -> None:
        """Take what is written down for a certificate."""
        if self.record:
            ti = self.tree.ti
            ti[cs.TAKEN] += self.search.take_log()
            self.steps.append(self.tree.steps[: int(ti[cs.STEPS])].copy())
            ti[cs.STEPS] = 0

    def _rank_on(self, cells: npt.NDArray[np.int64]) -> Witness | Literal[True] | Reason:
        """Rank n on complete cells, each by its own search."""
        if not len(cells):
            return True
        tree = self.tree
        if self._ranks is None:
            self._ranks = DeepSearch(self.model, self.model.n, ranked=True, record=self.record)
        for c in cells.tolist():
            self._ranks.begin_at(tree.SG[c], tree.PATH[c, : int(tree.LEN[c])])
            answer = self._ranks.decide(self._ranks.nodes + self.limit - self.nodes)
            if answer is None:
                return Reason.BUDGET
            if not isinstance(answer, bool):
                witness, self.layer = answer
                return witness
            if self.record:
                from mcinj.decide.deep.record import pruned

                # The search begins in the last hidden layer, all of whose units are decided.
                self.ranked[c] = pruned(self._ranks, self.model.depth - 2)
        return True

    def _joint(self, pairs: npt.NDArray[np.int64]) -> Witness | Literal[True] | Reason:
        """Pairs of complete cells."""
        tree = self.tree
        used, index = np.unique(pairs, return_inverse=True)
        sizes = np.stack([tree.LEN[used], np.zeros_like(used)], axis=1)
        regions = Regions(tree.SG[used, : self.model.depth - 1], tree.CX[used], tree.PATH[used], sizes)
        if self.record:
            self.left.append(pairs)
        joint = Joint(self.model, self.network, [regions], 0)
        listed = np.ascontiguousarray(np.sort(index.reshape(-1, 2), axis=1)[:, ::-1])
        answer = joint.walk.run(listed, self.limit - self.nodes)
        self._others += joint.nodes
        if isinstance(answer, Witness):
            self.layer = answer.layer(self.network)
        return Reason.BUDGET if answer is False else answer
