"""Several layers that pass one by one by opposite rows, as `[I; -I]` does: without any search, at any width.

If every layer alone is injective on all of its input space, so is the network, and every region has rank n.
"""

from __future__ import annotations

from mcinj.certify.format import LayerProof
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.opposites import opposite_rows, proof_of_opposites
from mcinj.networks import Network


def proofs_of_opposites(network: Network) -> list[LayerProof] | None:
    """One proof per layer, each by opposite rows; None if a layer has none."""
    proofs = []
    for k in range(1, network.depth + 1):
        layer = Layer.of(network.layer(k))
        pairs = opposite_rows(layer)
        if pairs is None:
            return None
        proofs.append(proof_of_opposites(layer, pairs))
    return proofs
