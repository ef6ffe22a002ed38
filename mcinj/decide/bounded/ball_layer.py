"""One layer with biases on a ball `|x| < R`: a search over activation patterns that asks which cells meet the ball.

A cell meets the ball iff its least-norm point is shorter than R, which is decided exactly (`mcinj.quantify.ball`),
contact with the sphere included. Where it does not, a half space that touches the ball gives a circuit, and the search
goes on with the rows in it. With many inputs counts are proved first, on polytopes around the ball
(`mcinj.decide.bounded.ball`): they fail fast, and are enough where count is rank.
"""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

from mcinj.certify.collision import collision_at
from mcinj.certify.rational import rank
from mcinj.certify.witness import Witness
from mcinj.decide.bounded.ball import decide_on_ball
from mcinj.decide.budget import limit_of
from mcinj.decide.deep.regions import DeepDecision, count_regions
from mcinj.decide.verdict import Certified, Outcome, Reason
from mcinj.decide.watch import current
from mcinj.networks import Network
from mcinj.networks.network import FractionMatrix, FractionVector
from mcinj.quantify.ball import point_in_ball
from mcinj.quantify.search import PatternSearch, Rows

_FEW = 8  # inputs up to which ranks alone are proved in less time


def decide_layer_on_ball(
    network: Network, radius: Fraction, box: FractionMatrix, node_budget: int | None, *, exact: bool = False
) -> DeepDecision:
    """Decide whether one layer is injective for |x| < radius; `box`: walls around the ball.

    A pass is exact, for any weights, or generic where the network has a premise and `exact` does not ask for more.
    There is no certificate: nothing of the proof is kept.
    """
    limit, nodes = limit_of(node_budget), 0
    premise = network.premise is not None and not exact
    if premise or network.n > _FEW:
        counted = decide_on_ball(
            lambda fence, left: count_regions(network, limit_of(left), fence, exact=exact).decision,
            network, radius, box, node_budget,
        )  # fmt: skip
        nodes = counted.nodes
        if counted.outcome is not Outcome.UNKNOWN or counted.reason not in (Reason.RANK, Reason.TOUCH):
            return counted
    found = ranks_on_ball(network, radius, box, limit - nodes)
    return replace(found, nodes=found.nodes + nodes)


def ranks_on_ball(network: Network, radius: Fraction, box: FractionMatrix, limit: int) -> DeepDecision:
    """Decide by the ranks of all cells that meet the ball, exactly, within so many nodes."""
    started = time.perf_counter()
    watch = current()
    watch.enter("cells that meet the ball")
    biases = network.exact_biases[0] if network.exact_biases is not None else None
    rows = Rows.of(network.exact_weights[0], biases, box)
    search = PatternSearch(rows, ranked=True)
    found: list[Witness] = []

    def leaf() -> bool:
        watch.poll(search.nodes)
        point = point_in_ball(search, radius)
        if point is None:
            return False
        # The search counts rank modulo a prime, which may be less.
        if rank([rows.rows[i][: rows.n] for i in search.active()], rows.n) < rows.n:
            found.append(_collision(network, point[: rows.n], radius))
        return True

    def stop() -> bool:
        watch.poll(search.nodes)
        return bool(found)

    done = search.run(leaf, limit, stop)
    seconds = time.perf_counter() - started
    if found:
        return DeepDecision(Outcome.NOT_INJECTIVE, 1, Certified.EXACT, search.nodes, seconds, found[0])
    if done:
        return DeepDecision(Outcome.INJECTIVE, None, Certified.EXACT, search.nodes, seconds)
    return DeepDecision(Outcome.UNKNOWN, None, Certified.NONE, search.nodes, seconds, reason=Reason.BUDGET)


def _collision(network: Network, x: FractionVector, radius: Fraction) -> Witness:
    """Two inputs of the ball near x, a point of a cell without full rank."""
    pair = collision_at(network, x)
    if pair is None:
        raise RuntimeError("a cell without full rank gave no collision; please report this network")
    other = pair[0].x_prime
    while not sum((v * v for v in other), Fraction(0)) < radius * radius:
        other = tuple((a + b) / 2 for a, b in zip(x, other, strict=True))
    witness = Witness(x, other)
    if not witness.collides(network):
        raise RuntimeError("a witness failed its exact check; please report this network")
    return witness
