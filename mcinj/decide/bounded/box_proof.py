"""When pairs of boxes are tried in a decision, and what the decision's watch is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcinj.decide.bounded.boxes import BoxPairs
from mcinj.decide.quick.samples import LARGE
from mcinj.decide.watch import current
from mcinj.networks import Network

if TYPE_CHECKING:
    from mcinj.decide.bounded.domain import Domain

_INPUTS = 3  # pairs of boxes have twice as many dimensions
_OUTPUTS = 128  # outputs that are looked at: the others would tell little more
_MOST = 1_000_000  # pairs


@dataclass
class BoxProof:
    """A proof of injectivity by pairs of boxes, tried at most once in a decision.

    Attributes
    ----------
    network, domain
        What is asked.
    smallest
        Weights from which it is tried: smaller networks are decided in less time by their regions.
    """

    network: Network
    domain: Domain | None = None
    smallest: int = LARGE
    tried: bool = False

    def closes(self, limit: int) -> tuple[bool, int]:
        """Whether all pairs are closed, and how many were looked at; at most about `limit`."""
        network, domain = self.network, self.domain
        few = network.n <= _INPUTS and sum(w.size for w in network.weights) >= self.smallest
        if self.tried or not few or limit <= 0:
            return False, 0
        self.tried = True
        watch = current()
        watch.enter("pairs of boxes of inputs")
        limits = (None, None) if domain is None else (domain.low, domain.high)
        pairs = BoxPairs(network, *limits, radius=None if domain is None else domain.radius, outputs=_OUTPUTS)

        def poll() -> None:
            watch.share = pairs.share
            watch.poll(pairs.nodes, pairs.open)

        found = pairs.run(0.0, min(limit, _MOST), poll)
        if found.closed:
            watch.prove(f"outputs differ by at least {found.kappa:.3g} times the distance of the inputs")
        return found.closed, found.nodes
