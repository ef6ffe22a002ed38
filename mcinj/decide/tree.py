"""Engine `tree` for one layer: exact decision by branch and bound, every step proved.

`decide_one_layer` is what `mcinj.check` calls. The search itself is `mcinj.decide.kernel`; this module gives it exact
answers where floats do not decide, turns its points into rational witnesses, and says what a pass rests on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from mcinj.certify.format import write
from mcinj.certify.witness import Witness
from mcinj.decide import kernel
from mcinj.decide.kernel_state import Frames
from mcinj.decide.onelayer import Layer
from mcinj.decide.onelayer_exact import small_multiple
from mcinj.decide.onelayer_proof import layer_proof
from mcinj.decide.verdict import Certified, Outcome
from mcinj.errors import InputError
from mcinj.networks import Network

_SLICE = 20_000  # nodes between two looks at the outside world (Ctrl-C): about 0.1 s
_UNLIMITED = 2**62


@dataclass(frozen=True)
class LayerDecision:
    """Outcome of one layer; the fields mean what they mean in `mcinj.decide.verdict.Verdict`."""

    outcome: Outcome
    certified: Certified
    nodes: int
    seconds: float
    witness: Witness | None = None
    certificate: bytes | None = None


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
        Prove rank on every leaf, also where general position is plausible.
    certificate
        Return the proof of a pass as bytes.
    jobs
        Threads that share the search.
    """
    if network.depth != 1:
        raise InputError(f"decide_one_layer takes one layer, got {network.depth}; use prefix() or layer()")
    if node_budget is not None and node_budget < 0:
        raise InputError(f"node_budget is {node_budget}; give a number of nodes >= 0, or None for no limit")
    started = time.perf_counter()
    layer = Layer.of(network)
    limit = _UNLIMITED if node_budget is None else node_budget

    def failed(witness: Witness, nodes: int) -> LayerDecision:
        if not witness.collides(network):
            raise RuntimeError("a witness failed its exact check; please report this network")
        seconds = time.perf_counter() - started
        return LayerDecision(Outcome.NOT_INJECTIVE, Certified.EXACT, nodes, seconds, witness)

    origin = [0] * layer.n + [1] * (layer.g - layer.n)
    if layer.rank() < layer.n:
        # Some direction is invisible to every unit.
        witness = layer.witness_at(origin) or _everywhere(layer)
        return failed(witness, 0)
    ranked = exact or not layer.looks_generic()
    frames = Frames(layer, ranked=ranked, keep=certificate)
    spent = 0
    while True:
        reason = frames.run(min(limit - spent, frames.nodes + _SLICE))
        nodes = spent + frames.nodes
        if frames.is_degenerate() and not ranked:
            # An exact dependence: these weights are not in general position after all, and count is not rank.
            ranked, spent = True, nodes
            frames = Frames(layer, ranked=True, keep=certificate)
        elif reason == kernel.DONE:
            certified = Certified.EXACT if ranked else Certified.GENERIC
            proof = write(network, [layer_proof(frames)]) if certificate else None
            seconds = time.perf_counter() - started
            return LayerDecision(Outcome.INJECTIVE, certified, nodes, seconds, certificate=proof)
        elif reason == kernel.WITNESS:
            found = layer.witness_near(frames.point())
            if found is None:
                raise RuntimeError("a proved witness could not be made exact; please report this network")
            return failed(found, nodes)
        elif reason == kernel.RESOLVE:
            point = frames.resolve()
            if point is not None:
                found = layer.witness_at(small_multiple(point))
                if found is not None:
                    return failed(found, nodes)
        if reason == kernel.PAUSED and nodes >= limit:
            return LayerDecision(Outcome.UNKNOWN, Certified.NONE, nodes, time.perf_counter() - started)


def _everywhere(layer: Layer) -> Witness:
    from fractions import Fraction

    from mcinj.decide.onelayer_exact import kernel_vector

    d = kernel_vector(layer.input_integers, layer.n)
    if d is None:
        raise RuntimeError("the rows have full rank")
    return Witness(tuple(Fraction(0) for _ in d), tuple(Fraction(v) for v in d))
