"""Leaky ReLU, `σ(z) = max(z, a z)` with 0 < a < 1: invertible, so layers of full column rank are injective."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from fractions import Fraction

from mcinj.certify.rational import rank
from mcinj.decide.deep.regions import DeepDecision
from mcinj.decide.pairs.collision import decide_global
from mcinj.decide.verdict import Certified, Outcome
from mcinj.errors import InputError
from mcinj.networks import Network


def decide_leaky(network: Network, slope: float, *, node_budget: int | None = None) -> DeepDecision:
    """Decide whether the network of the same weights with leaky ReLUs is injective.

    If every `A_k` has full column rank, it is (exact). If A_1 has not, it is not. Otherwise collisions are searched
    for in the equivalent ReLU network (`as_relu`).
    """
    if not (math.isfinite(slope) and 0.0 < slope < 1.0):
        raise InputError(f"the slope of a leaky ReLU lies between 0 and 1, got {slope:g}")
    started = time.perf_counter()
    full = [rank(w, len(w[0])) == len(w[0]) for w in network.exact_weights]
    if all(full):
        return DeepDecision(Outcome.INJECTIVE, None, Certified.EXACT, 0, time.perf_counter() - started)
    # Its weights are opposites and multiples of each other: only a pass that is proved for any weights counts.
    found = decide_global(as_relu(network, slope), node_budget=node_budget, exact=True)
    return replace(found, seconds=time.perf_counter() - started)


def as_relu(network: Network, slope: float | Fraction, *, scaled_end: bool = False) -> Network:
    """A ReLU network that collides exactly where the leaky one does: `σ(z) = ReLU(z) - a ReLU(-z)`, widths doubled.

    `scaled_end`: the last layer has units z and -a z, not z and -z, so that singular values are those of the leaky one.
    """
    a = Fraction(slope)
    weights, biases = [], []
    for k, w in enumerate(network.exact_weights):
        rows = [tuple(row) if k == 0 else (*row, *(-a * v for v in row)) for row in w]
        other = -a if scaled_end and k == network.depth - 1 else -1
        weights.append([*rows, *(tuple(other * v for v in row) for row in rows)])
        if network.exact_biases is not None:
            b = network.exact_biases[k]
            biases.append([*b, *(other * v for v in b)])
    return Network(weights, biases or None)
