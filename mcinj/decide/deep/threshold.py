"""The threshold width m* of a stream of last-layer rows over given earlier layers, regional and global.

A closed node stays closed when the last layer grows, so one search finds the regional threshold: at every witness the
layer grows until the witness is none, and the search goes on where it stands. A global collision survives until a row
tells its two inputs apart; collisions only go as rows come, so widths are tried upwards from the regional threshold.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mcinj.certify.collision import collision_at
from mcinj.certify.rational import rank
from mcinj.certify.witness import Witness
from mcinj.decide.budget import limit_of
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.regions import decide_regional
from mcinj.decide.deep.search import DeepSearch
from mcinj.decide.joint.collision import joint_collision
from mcinj.decide.pairs.collision import decide_global, pair_collision
from mcinj.decide.verdict import Certified, Criterion, Outcome, Reason
from mcinj.errors import InputError
from mcinj.networks import Network, Premise
from mcinj.networks.network import exact_product

_WIDEST = 64  # times n: a stream that does not pass by then is reported as right-censored


class RowStream(Protocol):
    """Rows of a layer without end."""

    def take(self, m: int) -> npt.NDArray[np.float64]:
        """The first m rows, (m, columns); a prefix of what larger m give (up to one positive factor)."""


@dataclass(frozen=True)
class DeepThreshold:
    """Bracket `m_lo < m* <= m_hi` of a deep threshold.

    Attributes
    ----------
    m_lo
        Largest width proved not to pass, by an exact witness (or for want of n rows); None if an earlier layer fails.
    m_hi
        Least width proved to pass; None if an earlier layer fails or is undecided, or past the node budget.
    failed_layer
        1-based earlier layer that fails (no last width passes), else None.
    nodes, seconds
        Cost; nodes are machine-independent.
    certified
        What m_hi rests on, or the failure of the earlier layer (`exact`); `none` if neither is decided.
    witness
        Collision at width m_lo (or of the earlier layers), if one was needed to prove it.
    """

    m_lo: int | None
    m_hi: int | None
    failed_layer: int | None
    nodes: int
    seconds: float
    certified: Certified
    witness: Witness | None = None


def deep_threshold(
    rows: RowStream, first: Network, criterion: Criterion | str, *, node_budget: int | None = None,
    premise: Premise | None = None,
) -> DeepThreshold:  # fmt: skip
    """Least m for which `first` followed by the first m rows of the stream passes the criterion.

    Parameters
    ----------
    rows
        The stream; `take(m)` has shape (m, widths[-1] of `first`).
    first
        The earlier layers. Where they have biases, rows of the stream have bias 0.
    criterion
        `regional` or `global`.
    node_budget
        Most nodes to enter, everything together. None: no limit.
    premise
        What is known of the law of the stream's rows; None (or none of `first`): nothing, so that rank is proved.

    Raises
    ------
    InputError
        Another criterion, a negative budget.
    """
    rule = Criterion(criterion)
    if rule is Criterion.LAYERWISE:
        raise InputError("deep_threshold decides regional and global; layerwise is one layer at a time")
    limit = limit_of(node_budget)
    started = time.perf_counter()
    decide = decide_regional if rule is Criterion.REGIONAL else decide_global
    earlier = decide(first, node_budget=node_budget)
    if earlier.outcome is Outcome.NOT_INJECTIVE:
        return DeepThreshold(
            None, None, earlier.layer, earlier.nodes, time.perf_counter() - started, Certified.EXACT, earlier.witness
        )
    stream = _Stream(rows, first, limit, earlier.nodes, premise if first.premise is not None else None)
    if earlier.outcome is Outcome.UNKNOWN:
        return stream.result(None, Certified.NONE, started)
    passed, certified = stream.regional()
    if passed and rule is Criterion.GLOBAL:
        passed, certified = stream.pairs()
    # `exact`: rank n of the last prefix implies that of all earlier ones, and its pairs need nothing of them.
    return stream.result(stream.width if passed else None, certified if passed else Certified.NONE, started)


class _Stream:
    """`width` is the present width; everything below it is proved not to pass, by `witness` at width - 1."""

    def __init__(self, rows: RowStream, first: Network, limit: int, nodes: int, premise: Premise | None) -> None:
        self.rows, self.first, self.limit, self.nodes, self.premise = rows, first, limit, nodes, premise
        self.n, self.width = first.n, first.n
        self.witness: Witness | None = None
        self.ranked = False

    def result(self, m_hi: int | None, certified: Certified, started: float) -> DeepThreshold:
        """The bracket as it stands."""
        m_lo = self.width - 1
        if self.witness is not None and not self.witness.collides(self._network(m_lo)):
            raise RuntimeError("a witness failed its exact check; please report this stream")
        return DeepThreshold(
            m_lo, m_hi, None, self.nodes, time.perf_counter() - started, certified, self.witness
        )

    def _network(self, width: int) -> Network:
        biases = self.first.exact_biases
        return Network(
            [*self.first.exact_weights, self.rows.take(width)],
            None if biases is None else [*biases, np.zeros(width)],
            premise=self.premise,
        )

    def regional(self) -> tuple[bool, Certified]:
        """Move `width` to the regional threshold; whether it was reached, and what the pass rests on."""
        room = 12 * self.n + 8
        while True:
            model = DeepModel.of(self._network(room))
            ranked = self.ranked = not model.generic
            if ranked and model.residues is None:
                return False, Certified.NONE
            search = DeepSearch(model, self.n, ranked=ranked, width=self.width)
            before = self.nodes
            while True:
                answer = search.decide(self.limit - before)
                self.nodes = before + search.nodes
                if answer is None:
                    return False, Certified.NONE
                if isinstance(answer, bool):
                    return True, Certified.EXACT if ranked else Certified.GENERIC
                width = self._beyond(answer[0].x, room, ranked)
                if width is None:
                    break
                found = collision_at(self._network(width - 1), answer[0].x)
                if found is None:
                    # Units that vanish exactly at this point block its collisions: go on by one row.
                    found, width = answer, self.width + 1
                self.witness, self.width = found[0], width
                search.grow(width)
            room *= 2
            if room > _WIDEST * self.n + 64:
                return False, Certified.NONE

    def _values(self, x: Sequence[Fraction], room: int) -> list[Fraction]:
        hidden = self.first.exact_forward(x)
        stream = tuple(tuple(Fraction(v) for v in row) for row in self.rows.take(room).tolist())
        return list(exact_product(stream, hidden))

    def _beyond(self, x: Sequence[Fraction], room: int, ranked: bool) -> int | None:
        """Least width above the present one whose active rows at x have rank n (or number n); None beyond `room`."""
        values = self._values(x, room)
        active = [j for j, v in enumerate(values) if v > 0]
        if not ranked:
            return active[self.n - 1] + 1 if len(active) >= self.n else None
        model = DeepModel.of(self._network(room))
        pattern = [[v > 0 for v in z] + [True] * model.biased for z in self.first.exact_pre_activations(x)]
        jacobian = [row[: self.n] for row in model.rows(pattern)[-1]]
        for count in range(self.n, len(active) + 1):
            if rank([jacobian[j] for j in active[:count]], self.n) == self.n:
                return max(active[count - 1] + 1, self.width + 1)
        return None

    def pairs(self) -> tuple[bool, Certified]:
        """Move `width` on to the global threshold."""
        while self.width <= _WIDEST * self.n:
            network = self._network(self.width)
            model = DeepModel.of(network)
            decide = joint_collision if self.ranked else pair_collision
            answer, used = decide(model, network, self.limit - self.nodes)
            self.nodes += used
            if answer is None or isinstance(answer, Reason):
                return False, Certified.NONE
            if isinstance(answer, bool):
                return True, Certified.EXACT if self.ranked else Certified.GENERIC
            self.witness = answer
            room = 2 * self.width
            while True:
                a, b = self._values(answer.x, room), self._values(answer.x_prime, room)
                apart = [j for j in range(room) if max(a[j], 0) != max(b[j], 0)]
                if apart:
                    break
                room *= 2
            self.width = apart[0] + 1
        return False, Certified.NONE
