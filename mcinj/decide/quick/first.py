"""Layer 1 of a large network alone, before any search of the whole: cheap where there are few inputs.

Where it confuses two inputs, so does the network. Where it does not, that is known whatever becomes of the rest.
"""

from __future__ import annotations

from mcinj.certify.witness import Witness
from mcinj.decide.bounded.decide import decide_on
from mcinj.decide.bounded.domain import Domain
from mcinj.decide.deep.regions import DeepDecision
from mcinj.decide.layer.tree import LayerDecision, decide_one_layer
from mcinj.decide.quick.samples import LARGE
from mcinj.decide.verdict import Certified, Criterion, Outcome
from mcinj.decide.watch import current
from mcinj.networks import Network

_INPUTS = 12  # with more inputs, ranks of a layer may take longer than all the rest
_NODES = 20_000


def layer_one_first(network: Network, domain: Domain | None, limit: int | None) -> tuple[Witness | None, int]:
    """A collision of the network that arises in layer 1, or None; and the nodes used, at most `limit`.

    An injective layer 1 is noted on the current watch.
    """
    if network.depth == 1 or network.n > _INPUTS or sum(w.size for w in network.weights) < LARGE:
        return None, 0
    first = network.layer(1)
    budget = _NODES if limit is None else min(_NODES, limit)
    watch = current()
    found: LayerDecision | DeepDecision
    with watch.quietly("layer 1 alone"):
        if domain is None:
            found = decide_one_layer(first, exact=True, node_budget=budget)
        else:
            found = decide_on(first, domain, Criterion.REGIONAL, exact=True, node_budget=budget)
    if found.outcome is Outcome.INJECTIVE and found.certified is Certified.EXACT:
        if domain is None:
            watch.alone.append(1)
        watch.prove("layer 1 is injective" if domain is None else "layer 1 is injective on the domain")
    witness = found.witness
    if witness is not None and not witness.collides(network):
        raise RuntimeError("a collision of layer 1 failed its exact check; please report this network")
    return witness, found.nodes
