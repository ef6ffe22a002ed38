"""The regional criterion for deep networks: rank n of the Jacobian on every open region of every prefix.

First counts, layer by layer: with prefix k - 1 passed, every region must have n active units of layer k. Fewer are a
failure, for any weights. Enough are a pass where the network has a premise under which count is rank; everywhere else
rank is proved on every region of the whole network, which implies it for its prefixes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mcinj.certify.deep_checker import REGIONAL, write_deep
from mcinj.certify.witness import Witness
from mcinj.decide.bounded.box_proof import BoxProof
from mcinj.decide.budget import limit_of
from mcinj.decide.coarse.search import Coarse
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.record import deep_proof
from mcinj.decide.deep.search import DeepSearch
from mcinj.decide.verdict import Certified, Outcome, Reason
from mcinj.decide.watch import current
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
    reason
        Why the outcome is unknown; None if it is not.
    """

    outcome: Outcome
    layer: int | None
    certified: Certified
    nodes: int
    seconds: float
    witness: Witness | None = None
    certificate: bytes | None = field(default=None, repr=False)
    reason: Reason | None = None


def decide_regional(
    network: Network, *, node_budget: int | None = None, fence: FractionMatrix = (), exact: bool = False,
    certificate: bool = False, boxes: BoxProof | None = None,
) -> DeepDecision:  # fmt: skip
    """Decide rank n of the Jacobian on every open region of every prefix.

    Parameters
    ----------
    network
        Any depth, with or without biases.
    node_budget
        Most nodes to enter, all layers together; beyond it the outcome is UNKNOWN. None: no limit.
    fence
        Rows over (x, t), shape `(·, n + 1)`: only inputs x with `row·(x, 1) > 0` for all of them count.
    exact
        Prove rank on every region also where the network has a premise (`mcinj.networks.Premise`) under which count is
        rank. Networks without one always get that.
    certificate
        Keep the proof of a pass (not with a fence).
    boxes
        Another proof for the same inputs, of more than is asked, tried where counts are proved and rank is open.

    Raises
    ------
    InputError
        A negative node budget.
    """
    started = time.perf_counter()
    counts = count_regions(network, limit_of(node_budget), fence, exact=exact, record=certificate)
    found = counts.decision
    searches, proof = counts.searches, None
    if counts.rank_is_open:
        if boxes is None and not fence:
            boxes = BoxProof(network)
        limit = limit_of(node_budget)
        closed, used = (False, 0) if boxes is None or certificate else boxes.closes(limit - found.nodes)
        if closed:
            found = DeepDecision(Outcome.INJECTIVE, None, Certified.EXACT, found.nodes + used, 0.0)
        else:
            found, searches, proof = rank_regions(network, limit, found.nodes + used, fence, record=certificate)
    if found.outcome is Outcome.INJECTIVE and certificate:
        current().decided = (found, None)
    if certificate and found.outcome is Outcome.INJECTIVE and proof is None:
        premise = network.premise if found.certified is Certified.GENERIC else None
        proof = write_deep(network, REGIONAL, [deep_proof(search) for search in searches], premise)
    return replace(found, seconds=time.perf_counter() - started, certificate=proof)


@dataclass(frozen=True)
class Counts:
    """What counting active units says: the decision so far, and the searches of the prefixes that passed.

    `rank_is_open`: all counts are proved and nothing says that they are ranks; the decision is UNKNOWN then.
    """

    decision: DeepDecision
    searches: list[DeepSearch]
    rank_is_open: bool = False


def count_regions(
    network: Network, limit: int, fence: FractionMatrix = (), *, exact: bool = False, record: bool = False
) -> Counts:
    """Whether every open region of every prefix has n active units, layer by layer; at most `limit` nodes.

    `record`: keep the logs of searches that a certificate needs.
    """
    nodes = 0
    searches: list[DeepSearch] = []

    def decision(outcome: Outcome, certified: Certified = Certified.NONE, **rest: Any) -> DeepDecision:
        return DeepDecision(outcome, rest.pop("layer", None), certified, nodes, 0.0, **rest)

    generic = DeepModel.of(network, fence).generic and not exact
    for k in range(1, network.depth + 1):
        current().enter(f"counts of active units, layer {k} of {network.depth}")
        model = DeepModel.of(network.prefix(k), fence)
        search = DeepSearch(model, model.n, record=record and generic)
        answer = _answer(search, limit - nodes, network)
        nodes += search.nodes
        if isinstance(answer, Reason):
            return Counts(decision(Outcome.UNKNOWN, reason=answer), searches)
        if answer is not True:
            witness, layer = answer
            return Counts(decision(Outcome.NOT_INJECTIVE, Certified.EXACT, layer=layer, witness=witness), searches)
        searches.append(search)
        current().prove(f"every region has at least {network.n} active units in layer {k}")
    if generic:
        return Counts(decision(Outcome.INJECTIVE, Certified.GENERIC), searches)
    return Counts(decision(Outcome.UNKNOWN, reason=Reason.RANK), [], rank_is_open=True)


def rank_regions(
    network: Network, limit: int, nodes: int, fence: FractionMatrix = (), *, record: bool = False,
    list_cells: bool = False,
) -> tuple[DeepDecision, list[DeepSearch], bytes | None]:  # fmt: skip
    """Whether the Jacobian has rank n on every open region, for any weights, after `nodes` of at most `limit` nodes.

    Rank n of the network implies that of every prefix, so that one search does; it is returned if it passed, with the
    full patterns of the earlier layers (`list_cells`). Without them coarse cells are tried first: if these pass, there
    is no search, and with `record` the certificate.
    """
    current().enter("ranks on all regions")
    model = DeepModel.of(network, fence)
    if model.residues is None:
        return DeepDecision(Outcome.UNKNOWN, None, Certified.NONE, nodes, 0.0, reason=Reason.PRIME), [], None
    if model.depth > 1 and not list_cells:
        coarse = Coarse(model, network, limit - nodes, record=record)
        found = coarse.ranks()
        nodes += coarse.nodes
        if found is not None:
            decided, proof = exact_decision(found, coarse.layer, nodes), None
            if found is True:
                current().prove(f"every region has rank {network.n}")
                if record:
                    current().decided = (decided, None)
                    from mcinj.decide.coarse.record import coarse_regional

                    proof = coarse_regional(coarse)
            return decided, [], proof
    search = DeepSearch(model, model.n, ranked=True, list_cells=list_cells and model.depth > 1, record=record)
    answer = _answer(search, limit - nodes, network)
    nodes += search.nodes
    if isinstance(answer, tuple):
        return exact_decision(*answer, nodes), [], None
    if answer is True:
        current().prove(f"every region has rank {network.n}")
    return exact_decision(answer, None, nodes), [search] if answer is True else [], None


def exact_decision(found: Witness | Literal[True] | Reason, layer: int | None, nodes: int) -> DeepDecision:
    """What a search for any weights has found, counts proved before: a collision in a layer, True, or a reason."""
    if isinstance(found, Reason):
        reason = Reason.RANK if found is Reason.BUDGET else found
        return DeepDecision(Outcome.UNKNOWN, None, Certified.NONE, nodes, 0.0, reason=reason)
    if isinstance(found, Witness):
        return DeepDecision(Outcome.NOT_INJECTIVE, layer, Certified.EXACT, nodes, 0.0, found)
    return DeepDecision(Outcome.INJECTIVE, None, Certified.EXACT, nodes, 0.0)


def _answer(search: DeepSearch, limit: int, network: Network) -> tuple[Witness, int] | Literal[True] | Reason:
    """A collision of `network`, checked exactly, with its layer; True for a pass; else why there is no answer."""
    try:
        answer = search.decide(limit)
    except OverflowError:
        return Reason.RANGE
    if answer is None:
        return Reason.BUDGET
    if isinstance(answer, bool):
        return True
    if not answer[0].collides(network):
        raise RuntimeError("a witness failed its exact check; please report this network")
    return answer
