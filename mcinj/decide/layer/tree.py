"""Engine `tree` for one layer: exact decision by branch and bound, every step proved.

`decide_one_layer` is what `mcinj.check` calls. The search itself is `mcinj.decide.layer.kernel`; this module says what
a pass rests on and makes its certificate.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from operator import mul

from mcinj.certify.format import write
from mcinj.certify.witness import Witness
from mcinj.decide.budget import limit_of
from mcinj.decide.deep.scaling import input_units, with_biases, with_even_columns
from mcinj.decide.layer.exact import kernel_vector
from mcinj.decide.layer.frames import Frames
from mcinj.decide.layer.jobs import search_shared
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.opposites import opposite_rows, proof_of_opposites
from mcinj.decide.layer.record import layer_proof, proof_of
from mcinj.decide.layer.search import End, explore
from mcinj.decide.verdict import Certified, Outcome, Reason
from mcinj.decide.watch import current
from mcinj.errors import InputError
from mcinj.networks import Network
from mcinj.networks.network import FractionVector

_SMALL = 7  # up to here rank is proved always: it costs next to nothing


@dataclass(frozen=True)
class LayerDecision:
    """Outcome of one layer; the fields mean what they mean in `mcinj.decide.verdict.Verdict`."""

    outcome: Outcome
    certified: Certified
    nodes: int
    seconds: float
    witness: Witness | None = None
    certificate: bytes | None = None
    reason: Reason | None = None


def decide_one_layer(
    network: Network,
    *,
    node_budget: int | None = None,
    exact: bool = False,
    certificate: bool = False,
    jobs: int = 1,
) -> LayerDecision:
    """Decide whether `x ↦ ReLU(Wx + b)` is injective on R^n.

    Parameters
    ----------
    network
        One layer, any weights, with or without biases.
    node_budget
        Most nodes to enter; beyond it the outcome is UNKNOWN. None: no limit.
    exact
        Prove rank on every leaf, also where the network has a premise (`mcinj.networks.Premise`) under which count is
        rank. Done always for networks without one, and for n <= 7.
    certificate
        Return the proof of a pass as bytes.
    jobs
        Threads that share the search; a verdict and the certificate of a pass do not depend on them. Nodes may, and
        which collision is found.

    Raises
    ------
    InputError
        More than one layer, a negative budget, jobs < 1.
    """
    if network.depth != 1:
        raise InputError(f"decide_one_layer takes one layer, got {network.depth}; use prefix() or layer()")
    limit = limit_of(node_budget)
    if jobs < 1:
        raise InputError(f"jobs is {jobs}; give a number of threads >= 1")
    started = time.perf_counter()
    layer = Layer.of(network)

    def decided(outcome: Outcome, certified: Certified, nodes: int, **rest: object) -> LayerDecision:
        return LayerDecision(outcome, certified, nodes, time.perf_counter() - started, **rest)  # type: ignore[arg-type]

    def failed(witness: Witness | None, nodes: int) -> LayerDecision:
        if witness is None or not witness.collides(network):
            raise RuntimeError("a witness failed its exact check; please report this network")
        return decided(Outcome.NOT_INJECTIVE, Certified.EXACT, nodes, witness=witness)

    if layer.rank() < layer.n:
        return failed(_invisible_direction(layer), 0)
    pairs = opposite_rows(layer)
    if pairs is not None:
        data = write(network, [proof_of_opposites(layer, pairs)]) if certificate else None
        return decided(Outcome.INJECTIVE, Certified.EXACT, 0, certificate=data)
    premise = network.premise if layer.generic and not exact else None
    layer, columns = _evened(network, layer)
    spent = 0
    counted = False
    # Counts first: they fail fast, and say what is known where rank is out of reach.
    for ranked in [True] if layer.n <= _SMALL else [False, True]:
        watch = current()
        watch.enter("ranks of active units" if ranked else "counts of active units")
        proof = None
        keep = certificate and (ranked or premise is not None)
        if jobs == 1:
            frames = Frames(layer, ranked=ranked, keep=keep)
            result = explore(frames, lambda: limit - spent)  # noqa: B023
            nodes = frames.nodes
            if result.end is End.CLOSED and (ranked or premise is not None):
                _settled(layer, spent + nodes, ranked)
            if keep and result.end is End.CLOSED:
                proof = layer_proof(frames, premise)
        else:

            def make(ranked: bool = ranked, keep: bool = keep) -> Frames:
                return Frames(layer, ranked=ranked, keep=keep)

            shared = search_shared(make, jobs, limit - spent)
            result, nodes = shared.exploration, shared.nodes
            if result.end is End.CLOSED and (ranked or premise is not None):
                _settled(layer, spent + nodes, ranked)
            if keep and result.end is End.CLOSED:
                proof = proof_of(shared.log, shared.circuits, layer.m, layer.half_space, ranked, premise)
        spent += nodes
        if result.end is End.CLOSED and (ranked or premise is not None):
            certified = Certified.EXACT if ranked else Certified.GENERIC
            data = None if proof is None else write(network, [proof])
            return decided(Outcome.INJECTIVE, certified, spent, certificate=data)
        if result.end is End.CLOSED:
            watch.prove(f"every input has at least {layer.n} active units")
            counted = True
        if result.end is End.FAILED:
            return failed(_in_units(result.witness, columns), spent)
        if result.end is End.PRIME:
            return decided(Outcome.UNKNOWN, Certified.NONE, spent, reason=Reason.RESIDUES)
        if result.end is End.LIMIT:
            break
        # Counts are proved, or an exact dependence refutes general position: rank must be proved.
    return decided(Outcome.UNKNOWN, Certified.NONE, spent, reason=Reason.RANK if counted else Reason.BUDGET)


def _settled(layer: Layer, nodes: int, ranked: bool) -> None:
    """A pass is decided: past the time limit, only its certificate is missing."""
    watch = current()
    if not watch.quiet:
        certified = Certified.EXACT if ranked else Certified.GENERIC
        watch.decided = (LayerDecision(Outcome.INJECTIVE, certified, nodes, watch.elapsed), None)


def _invisible_direction(layer: Layer) -> Witness | None:
    """A direction that no unit sees, from the origin."""
    d = kernel_vector(layer.input_integers, layer.n)
    return None if d is None else Witness(tuple(Fraction(0) for _ in d), tuple(Fraction(v) for v in d))


def _evened(network: Network, layer: Layer) -> tuple[Layer, FractionVector | None]:
    """The layer over inputs in units that make columns of one size, if they are not, and these units c.

    Up to positive factors of its rows it is `x ↦ f(c∘x)`, c positive, t as it was: rows have the same dependences with
    the same signs, and x-parts the same ranks. So circuits, trees and passes are those of the layer; x stands for c∘x.
    """
    units = input_units(
        lambda: with_biases(network)[0] if layer.half_space else network.exact_weights[0],
        layer.floats[int(layer.half_space) :] if layer.rationals is None else None, layer.half_space,
    )  # fmt: skip
    if units is None:
        return layer, None
    even, columns = with_even_columns(network, units)
    return Layer.of(even), columns


def _in_units(witness: Witness | None, columns: FractionVector | None) -> Witness | None:
    """The collision of the network as given that one of the evened layer stands for."""
    if witness is None or columns is None:
        return witness
    x, other = (tuple(map(mul, point, columns)) for point in (witness.x, witness.x_prime))
    return Witness(x, other)
