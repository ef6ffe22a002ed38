"""What a network computes, from the definition, in fractions."""

from __future__ import annotations

from fractions import Fraction

from mcinj.networks import Network


def pre_activations(network: Network, x: list[Fraction]) -> list[list[Fraction]]:
    """Pre-activations at x, layer by layer."""
    y, result = x, []
    biases = network.exact_biases or [(Fraction(0),) * m for m in network.widths]
    for w, b in zip(network.exact_weights, biases, strict=True):
        result.append([sum((c * v for c, v in zip(row, y, strict=True)), s) for row, s in zip(w, b, strict=True)])
        y = [max(v, Fraction(0)) for v in result[-1]]
    return result
