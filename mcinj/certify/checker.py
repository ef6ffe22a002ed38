"""The independent check of a certificate. Shares no code with the search and trusts nothing in the file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mcinj.certify.circuits import Rows
from mcinj.certify.format import DEEP_VERSION, LayerProof, MalformedError, unpack
from mcinj.certify.position import rows_look_generic
from mcinj.certify.walk import OK, REASONS, walk
from mcinj.networks import Network


@dataclass(frozen=True)
class Verification:
    """Whether a certificate proves its claim for a network, and why (not).

    `certified` is what the proof shows if it is accepted: `exact`, or `generic` (counts; rank follows for weights in
    general position); `none` if it is rejected. `criterion` is what it shows it of: `layerwise`, `regional` or
    `global` (for one layer the three are the same), empty if it is rejected.
    """

    accepted: bool
    reason: str
    certified: str = "none"
    criterion: str = ""


def verify(certificate: bytes, network: Network, exact: bool = False) -> Verification:
    """Check that a certificate proves what it says of `network`: `layerwise`, `regional` or `global`.

    Parameters
    ----------
    certificate
        Content of the file.
    network
        The network that it is for.
    exact
        Use exact arithmetic for every circuit; by default only where floating point with a rigorous bound does not
        decide. Ranks are always exact.

    Returns
    -------
    Verification
        Never raises for bad certificates: they are rejected with a reason.
    """
    try:
        version, digest, parts = unpack(certificate)
        if digest != network.digest():
            return Verification(False, "the certificate is for another network (other weights or shapes)")
        if version == DEEP_VERSION:
            from mcinj.certify.deep_checker import check_parts

            return check_parts(parts, network, exact)
        proofs = [LayerProof.from_bytes(part) for part in parts]
        if len(proofs) != network.depth:
            return Verification(False, f"the certificate has {len(proofs)} layers, the network {network.depth}")
        for k, proof in enumerate(proofs, 1):
            fault = _layer_fault(proof, network.layer(k), exact)
            if fault is not None:
                where = f"layer {k}: " if network.depth > 1 else ""
                return Verification(False, where + fault)
    except MalformedError as error:
        return Verification(False, str(error))
    criterion = "layerwise" if network.depth > 1 else "global"
    shown = "layerwise: every layer, and so the network, is injective; " if network.depth > 1 else ""
    if all(proof.ranked for proof in proofs):
        return Verification(True, shown + "every step is proved", "exact", criterion)
    reason = shown + "counts are proved; rank n follows for weights in general position"
    return Verification(True, reason, "generic", criterion)


def _layer_fault(proof: LayerProof, layer: Network, exact: bool) -> str | None:
    rows = Rows(layer)
    start = np.concatenate([[0], np.cumsum(proof.sizes)])
    if proof.sizes.size and (proof.sizes.min() < 2 or proof.sizes.max() > rows.g + 1):
        return f"a circuit has fewer than 2 or more than {rows.g + 1} rows"
    if proof.rows.size:
        units = proof.rows >> 1
        if units.min() < (0 if rows.biased else 1) or units.max() > rows.m:
            return "a circuit names a unit that does not exist"
        rising = np.diff(proof.rows) > 0
        rising[start[1:-1] - 1] = True
        if not rising.all():
            return "the rows of a circuit are not ascending"
        if rows.zero[units].any():
            return "a circuit names a unit with zero weights"
    if not proof.ranked and (not layer.floats_are_exact or not rows_look_generic(layer.weights[0])):
        return "counts are no proof for these weights: they are not in general position"
    used = np.zeros(proof.sizes.size, dtype=np.bool_)
    fault = walk(
        proof.tree, start.astype(np.int64), proof.rows, rows.n, proof.ranked, rows.biased, rows.idle, rows.zero,
        rows.residues, used,
    )
    if fault != OK:
        return REASONS[int(fault)]
    if not used.all():
        return "a circuit is not used"
    undecided = np.ones(proof.sizes.size, dtype=bool)
    if not exact:
        full = np.flatnonzero(proof.sizes == rows.g + 1)
        sets = proof.rows[start[full][:, None] + np.arange(rows.g + 1)] if full.size else np.zeros((0, rows.g + 1), int)
        undecided[full[rows.are_circuits(sets)]] = False
    for c in np.flatnonzero(undecided):
        if not rows.is_circuit(proof.rows[start[c] : start[c + 1]]):
            return f"set {c} is not a circuit"
    return None
