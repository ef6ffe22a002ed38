"""The regional criterion for deep networks: rank n of the Jacobian on every open region of every prefix.

With prefix k - 1 passed, prefix k passes when every region has n active units of layer k (in general position), or n
independent active rows (always). So layers are decided in order, each by one search (`mcinj.decide.deep_search`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from mcinj.certify.deep_checker import write_regional
from mcinj.certify.witness import Witness
from mcinj.decide.budget import limit_of
from mcinj.decide.deep_model import DeepModel
from mcinj.decide.deep_record import deep_proof
from mcinj.decide.deep_search import DeepSearch
from mcinj.decide.verdict import Certified, Outcome
from mcinj.networks import Network
from mcinj.networks.network import FractionMatrix


@dataclass(frozen=True)
class DeepDecision:
    """Outcome of a criterion on a deep network.

    Attributes
    ----------
    outcome, certified
        See `mcinj.decide.verdict`.
    layer
        1-based layer of a failure (the first whose prefix fails), else None.
    nodes, seconds
        Cost; nodes are machine-independent.
    witness
        Colliding inputs of a failure, verified in exact arithmetic, else None.
    certificate
        Content of the certificate file of a pass, if it was asked for.
    """

    outcome: Outcome
    layer: int | None
    certified: Certified
    nodes: int
    seconds: float
    witness: Witness | None = None
    certificate: bytes | None = field(default=None, repr=False)


def decide_regional(
    network: Network,
    *,
    node_budget: int | None = None,
    fence: FractionMatrix = (),
    exact: bool = False,
    certificate: bool = False,
) -> DeepDecision:
    """Decide whether the Jacobian of every prefix of `network` has rank n on every open region.

    Parameters
    ----------
    network
        Any depth, with or without biases.
    node_budget
        Most nodes to enter, all layers together; beyond it the outcome is UNKNOWN. None: no limit.
    fence
        Rows over (x, t), shape `(·, n + 1)`: only inputs x with `row·(x, 1) > 0` for all of them count.
    exact
        Prove rank on every region also where weights look generic.
    certificate
        Keep the proof of a pass (not with a fence).

    Raises
    ------
    InputError
        A negative node budget.
    """
    decision, searches = search_regional(network, limit_of(node_budget), fence, exact=exact, record=certificate)
    if not certificate or decision.outcome is not Outcome.INJECTIVE:
        return decision
    return replace(decision, certificate=write_regional(network, [deep_proof(search) for search in searches]))


def search_regional(
    network: Network, limit: int, fence: FractionMatrix = (), *, exact: bool = False, record: bool = False
) -> tuple[DeepDecision, list[DeepSearch]]:
    """`decide_regional` with at most `limit` nodes, and the searches of prefixes that passed (`record`: with logs)."""
    started = time.perf_counter()
    nodes = 0

    def decision(
        outcome: Outcome, certified: Certified, layer: int | None = None, witness: Witness | None = None
    ) -> DeepDecision:
        return DeepDecision(outcome, layer, certified, nodes, time.perf_counter() - started, witness)

    proved = True
    searches: list[DeepSearch] = []
    for k in range(1, network.depth + 1):
        model = DeepModel.of(network.prefix(k), fence)
        ranked = exact or not model.looks_generic
        if ranked and model.residues is None:
            return decision(Outcome.UNKNOWN, Certified.NONE), searches
        search = DeepSearch(model, model.n, ranked=ranked, record=record)
        try:
            answer = search.decide(limit - nodes)
        except OverflowError:
            return decision(Outcome.UNKNOWN, Certified.NONE), searches
        nodes += search.nodes
        if answer is None:
            return decision(Outcome.UNKNOWN, Certified.NONE), searches
        if not isinstance(answer, bool):
            witness, layer = answer
            if not witness.collides(network):
                raise RuntimeError("a witness failed its exact check; please report this network")
            return decision(Outcome.NOT_INJECTIVE, Certified.EXACT, layer, witness), searches
        proved = proved and ranked
        searches.append(search)
    return decision(Outcome.INJECTIVE, Certified.EXACT if proved else Certified.GENERIC), searches
