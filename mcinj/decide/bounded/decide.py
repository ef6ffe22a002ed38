"""Injectivity on a bounded set of inputs: a box or a ball.

A box is a set of rows over (x, t) that the search keeps positive. A ball is decided by the least-norm points of cells
(one layer, `mcinj.decide.bounded.ball_layer`) or on polytopes around it (`mcinj.decide.bounded.ball`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

from mcinj.certify.witness import Witness
from mcinj.decide.bounded.ball import decide_on_ball
from mcinj.decide.bounded.box_proof import BoxProof
from mcinj.decide.bounded.domain import Domain
from mcinj.decide.deep.regions import DeepDecision, decide_regional
from mcinj.decide.deep.scaling import in_units_of, power_of_two
from mcinj.decide.pairs.collision import decide_global
from mcinj.decide.verdict import Criterion, Outcome
from mcinj.errors import InputError
from mcinj.networks import Network

_FAR = 2**20  # domains larger than this, or smaller than its inverse, are brought near 1


def decide_on(
    network: Network, domain: Domain, criterion: Criterion | str = "global", *, node_budget: int | None = None,
    exact: bool = False,
) -> DeepDecision:  # fmt: skip
    """Decide `regional` or `global` for the inputs inside of a domain; any depth >= 1.

    One layer on a ball is decided exactly, contact with the sphere included (`mcinj.decide.bounded.ball_layer`). For
    several layers the outcome is UNKNOWN where collisions outside of the ball touch it, or come closer than a number of
    polytopes can tell (`mcinj.decide.bounded.ball`). `exact`: as in `mcinj.check`.
    """
    rule = Criterion(criterion)
    if rule is Criterion.LAYERWISE:
        raise InputError("layerwise asks for all inputs of every layer; a domain goes with regional or global")
    started = time.perf_counter()
    if domain.low < 0 < domain.high and not network.has_biases:
        # Homogeneous: what holds near 0, which lies inside, holds everywhere.
        if network.depth == 1:
            found = _whole_layer(network, node_budget, exact)
        else:
            decide = decide_regional if rule is Criterion.REGIONAL else decide_global
            found = decide(network, node_budget=node_budget, exact=exact)
        return replace(found, witness=_shrunk(found, domain), seconds=time.perf_counter() - started)
    decide = decide_regional if rule is Criterion.REGIONAL or network.depth == 1 else decide_global
    size = power_of_two([Fraction(domain.low), Fraction(domain.high)])
    unit = Fraction(1) if Fraction(1, _FAR) < size < _FAR else size
    inner = network if unit == 1 else in_units_of(network, unit)
    boxes = BoxProof(network, domain)
    if domain.shape == "box":
        found = decide(inner, node_budget=node_budget, fence=domain.fence(network.n, unit), exact=exact, boxes=boxes)
    elif network.depth == 1:
        from mcinj.decide.bounded.ball_layer import decide_layer_on_ball

        radius = Fraction(domain.high) / unit
        found = decide_layer_on_ball(inner, radius, domain.fence(network.n, unit), node_budget, exact=exact)
    else:
        found = decide_on_ball(
            lambda fence, left: decide(inner, node_budget=left, fence=fence, exact=exact, boxes=boxes),
            inner, Fraction(domain.high) / unit, domain.fence(network.n, unit), node_budget,
        )  # fmt: skip
    witness = None if found.witness is None else _times(found.witness, unit)
    return replace(found, witness=witness, seconds=time.perf_counter() - started)


def _whole_layer(network: Network, node_budget: int | None, exact: bool) -> DeepDecision:
    """One layer on all inputs, by its own search, which is much faster than that of deep networks."""
    from mcinj.decide.layer.tree import decide_one_layer

    found = decide_one_layer(network, node_budget=node_budget, exact=exact)
    failed = found.outcome is Outcome.NOT_INJECTIVE
    return DeepDecision(
        found.outcome, 1 if failed else None, found.certified, found.nodes, found.seconds, found.witness,
        reason=found.reason,
    )  # fmt: skip


def _times(witness: Witness, factor: Fraction) -> Witness:
    return Witness(tuple(factor * v for v in witness.x), tuple(factor * v for v in witness.x_prime))


def _shrunk(found: DeepDecision, domain: Domain) -> Witness | None:
    """The witness, scaled into the domain (the network has no biases, 0 lies inside)."""
    witness = found.witness
    if witness is None:
        return None
    factor = Fraction(1)
    while not all(domain.holds(tuple(factor * v for v in x)) for x in (witness.x, witness.x_prime)):
        factor /= 2
    return _times(witness, factor)
