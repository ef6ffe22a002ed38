"""Global injectivity of deep networks: prefixes in order, each by its regions with few active units and their pairs.

With prefix k - 1 injective, a collision of prefix k (generic weights) lies in two open regions with the same active
set S of layer k, |S| < 2n; so those regions are enumerated, grouped by S, and every pair of a group is decided.
"""

from __future__ import annotations

import time
from dataclasses import replace

from mcinj.certify.deep_checker import GLOBAL, write_deep
from mcinj.certify.deep_pairs import PairsProof
from mcinj.certify.deep_proof import DeepProof
from mcinj.certify.format import join
from mcinj.certify.witness import Witness
from mcinj.decide.bounded.box_proof import BoxProof
from mcinj.decide.budget import limit_of
from mcinj.decide.coarse.search import Coarse
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.record import deep_proof
from mcinj.decide.deep.regions import (
    Counts,
    DeepDecision,
    count_regions,
    decide_regional,
    exact_decision,
    rank_regions,
)
from mcinj.decide.deep.search import DeepSearch, Regions
from mcinj.decide.joint.collision import joint_collision
from mcinj.decide.pairs.few_active import FewActive
from mcinj.decide.pairs.record import pairs_proof
from mcinj.decide.verdict import Certified, Outcome, Reason
from mcinj.decide.watch import current
from mcinj.errors import InputError
from mcinj.networks import Network
from mcinj.networks.network import FractionMatrix

Proof = DeepProof | PairsProof

_LOOK = 256  # regions before the first look at pairs


def pair_collision(
    model: DeepModel, network: Network, limit: int, *, proofs: list[Proof] | None = None
) -> tuple[Witness | bool | None, int]:
    """Decide the pairs of `model`, whose earlier prefixes are injective and which passes the regional criterion.

    Returns a verified collision of `network`, True if there is none (weights in general position), None past `limit`
    nodes; and the nodes entered. Pairs are also decided on the way, each time the regions have doubled: where there are
    collisions, there are many. Where the weights are not in general position, True only means that none was found.
    What a certificate needs for True is appended to `proofs`.
    """
    # Without a fixed t the equations are homogeneous: 2n of them leave only 0. With it, 2n + 1 are needed.
    target = 2 * model.g - 1 if model.biased else 2 * model.n
    search = DeepSearch(model, target, enumerate_regions=True, record=proofs is not None)
    batches: list[Regions] = []
    tested = total = 0
    for batch in search.batches(limit):
        if batch is None:
            return None, search.nodes
        batches.append(batch)
        total += len(batch.signs)
        if total >= 2 * tested and total >= _LOOK:
            tested = total
            witness = FewActive.of(model, batches).collision(network)
            if witness is not None:
                return witness, search.nodes
    few = FewActive.of(model, batches)
    witness = few.collision(network) if total > tested else None
    if witness is not None:
        return witness, search.nodes
    if proofs is not None:
        proofs += [deep_proof(search), pairs_proof(few)]
    return True, search.nodes


def decide_global(
    network: Network, *, node_budget: int | None = None, fence: FractionMatrix = (), exact: bool = False,
    certificate: bool = False, boxes: BoxProof | None = None,
) -> DeepDecision:  # fmt: skip
    """Decide whether `f(x) = f(x')` implies `x = x'`.

    Parameters
    ----------
    network
        Any depth, with or without biases. Unless it has a premise (`mcinj.networks.Premise`) under which count is rank,
        rank is proved on all regions and all pairs of closed cells are decided (`mcinj.decide.joint.collision`).
    node_budget
        Most nodes to enter, all layers together; beyond it the outcome is UNKNOWN. None: no limit.
    fence
        Rows over (x, t), shape `(·, n + 1)`: only inputs x with `row·(x, 1) > 0` for all of them count.
    exact
        Decide networks with a premise in that way too: a pass is then `exact`.
    certificate
        Keep the proof of a pass (not with a fence).
    boxes
        Another proof for the same inputs, tried where counts are proved and rank is open; without a fence one is made.

    Raises
    ------
    InputError
        A negative node budget, or a certificate on a fence.
    """
    limit = limit_of(node_budget)
    if certificate and fence:
        raise InputError("there is no certificate for a part of the input space yet; leave it out")
    if network.depth == 1:
        return decide_regional(
            network, node_budget=node_budget, fence=fence, exact=exact, certificate=certificate, boxes=boxes
        )
    if boxes is None and not fence:
        boxes = BoxProof(network)
    started = time.perf_counter()
    counts = count_regions(network, limit, fence, exact=exact, record=certificate)
    if counts.rank_is_open:
        found = _any_weights(network, counts.decision.nodes, limit, fence, certificate, boxes)
    elif counts.decision.outcome is Outcome.INJECTIVE:
        found = _general_position(network, counts, limit, fence, certificate)
    else:
        found = counts.decision
    return replace(found, seconds=time.perf_counter() - started)


def _general_position(
    network: Network, counts: Counts, limit: int, fence: FractionMatrix, certificate: bool
) -> DeepDecision:
    """Pairs of regions with few active units, prefix by prefix: all pairs, where count is rank."""
    nodes = counts.decision.nodes
    proofs: list[Proof] | None = [deep_proof(counts.searches[0])] if certificate else None
    for k in range(2, network.depth + 1):
        current().enter(f"regions with few active units and their pairs, layer {k} of {network.depth}")
        answer, used = pair_collision(DeepModel.of(network.prefix(k), fence), network, limit - nodes, proofs=proofs)
        nodes += used
        if answer is None:
            return DeepDecision(Outcome.UNKNOWN, None, Certified.NONE, nodes, 0.0, reason=Reason.BUDGET)
        if isinstance(answer, Witness):
            return DeepDecision(Outcome.NOT_INJECTIVE, k, Certified.EXACT, nodes, 0.0, answer)
    proof = None
    if proofs is not None and network.premise is not None:
        current().decided = (DeepDecision(Outcome.INJECTIVE, None, Certified.GENERIC, nodes, 0.0), None)
        proof = write_deep(network, GLOBAL, proofs, network.premise)
    return DeepDecision(Outcome.INJECTIVE, None, Certified.GENERIC, nodes, 0.0, certificate=proof)


def _any_weights(
    network: Network, nodes: int, limit: int, fence: FractionMatrix, certificate: bool, boxes: BoxProof | None
) -> DeepDecision:
    """Nothing taken for granted, counts proved: every layer alone, or rank on all regions and pairs of closed cells.

    Rank n and no collision of the whole network imply both of every prefix, so only the whole is looked at.
    """
    if not fence:
        layers = _layers_injective(network, certificate)
        if layers is not None:
            proof = join(network, layers) if certificate else None
            return DeepDecision(Outcome.INJECTIVE, None, Certified.EXACT, nodes, 0.0, certificate=proof)
    if boxes is None:
        return _closed_cells(network, nodes, limit, fence, certificate)
    closed, used = boxes.closes(limit - nodes)
    nodes += used
    if not closed:
        return _closed_cells(network, nodes, limit, fence, certificate)
    passed = DeepDecision(Outcome.INJECTIVE, None, Certified.EXACT, nodes, 0.0)
    if not certificate:
        return passed
    # Pairs of boxes leave no certificate: what follows does, if it comes to its end.
    current().decided = (passed, None)
    found = _closed_cells(network, nodes, limit, fence, certificate)
    # A witness is checked exactly: were there one, it would count.
    return passed if found.outcome is Outcome.UNKNOWN else found


def _closed_cells(network: Network, nodes: int, limit: int, fence: FractionMatrix, certificate: bool) -> DeepDecision:
    """Coarse cells; where they do not do, rank on all regions, then pairs of closed cells."""
    current().enter("coarse cells and their pairs")
    coarse = Coarse(DeepModel.of(network, fence), network, limit - nodes, record=certificate)
    found = coarse.pairs()
    nodes += coarse.nodes
    if found is not None:
        decided = exact_decision(found, coarse.layer, nodes)
        if not certificate or decided.outcome is not Outcome.INJECTIVE:
            return decided
        current().decided = (decided, None)
        current().enter("writing the certificate")
        from mcinj.decide.coarse.record import coarse_global

        return replace(decided, certificate=coarse_global(coarse))
    ranked, searches, _ = rank_regions(network, limit, nodes, fence, record=certificate, list_cells=True)
    if ranked.outcome is not Outcome.INJECTIVE:
        return ranked
    answer, used = joint_collision(DeepModel.of(network, fence), network, limit - ranked.nodes, searches[0].cells)
    layer = answer.layer(network) if isinstance(answer, Witness) else None
    decided = exact_decision(answer, layer, ranked.nodes + used)
    if not certificate or decided.outcome is not Outcome.INJECTIVE:
        return decided
    current().decided = (decided, None)
    current().enter("writing the certificate")
    # Found anew, with the proof of every step; it is outside of the node budget.
    from mcinj.decide.joint.record import joint_certificate

    return replace(decided, certificate=joint_certificate(network, deep_proof(searches[0])))


def _layers_injective(network: Network, certificate: bool) -> list[bytes] | None:
    """Certificates, if every layer alone is proved injective on its input space (then the network is); else None."""
    from mcinj.decide.layer.tree import decide_one_layer
    from mcinj.decide.quick.samples import sampled_failure

    watch = current()
    alone = [network.layer(k) for k in range(1, network.depth + 1)]
    for k, layer in enumerate(alone, 1):
        with watch.quietly(f"layer {k} alone"):
            if sampled_failure(layer) is not None:
                return None
    proofs = []
    for k, layer in enumerate(alone, 1):
        with watch.quietly(f"layer {k} alone"):
            decided = decide_one_layer(layer, exact=True, node_budget=100_000, certificate=certificate)
        if decided.outcome is not Outcome.INJECTIVE or decided.certified is not Certified.EXACT:
            return None
        if k not in watch.alone:
            watch.alone.append(k)
        proofs.append(decided.certificate or b"")
    return proofs
