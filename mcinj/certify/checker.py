"""The independent check of a certificate. Shares no code with the search and trusts nothing in the file."""

from __future__ import annotations

import numpy as np

from mcinj.certify.circuits import Rows
from mcinj.certify.format import DEEP_VERSION, RAISED_VERSION, LayerProof, MalformedError, unpack
from mcinj.certify.position import network_relation
from mcinj.certify.verification import Verification, accepted
from mcinj.certify.walk import OK, PRIMES, REASONS, walk
from mcinj.networks import Network

_MANY = 1 << 14  # circuits that are looked at together


def verify(certificate: bytes, network: Network, exact: bool = False) -> Verification:
    """Check that a certificate proves what it says of `network`: `layerwise`, `regional` or `global`.

    Parameters
    ----------
    certificate
        Content of the file.
    network
        The network that it is for.
    exact
        Use exact arithmetic for every circuit (by default only where floating point with a rigorous bound does not
        decide; ranks are always exact), and accept only a proof that takes nothing for granted.

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
        proofs = [LayerProof.from_bytes(part, version == RAISED_VERSION) for part in parts]
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
    return accepted(shown, next((proof.premise for proof in proofs if not proof.ranked), None), criterion, exact)


def _layer_fault(proof: LayerProof, layer: Network, exact: bool) -> str | None:
    rows = Rows(layer)
    start = np.concatenate([[0], np.cumsum(proof.sizes)])
    if proof.sizes.size and (proof.sizes.min() < 2 or proof.sizes.max() > rows.g + 1):
        return f"a circuit has fewer than 2 or more than {rows.g + 1} rows"
    if proof.rows.size:
        if proof.rows.min() >> 1 < (0 if rows.biased else 1) or proof.rows.max() >> 1 > rows.m:
            return "a circuit names a unit that does not exist"
        rising = proof.rows[1:] > proof.rows[:-1]
        rising[start[1:-1] - 1] = True
        if not rising.all():
            return "the rows of a circuit are not ascending"
        if rows.zero.any() and rows.zero[proof.rows >> 1].any():
            return "a circuit names a unit with zero weights"
    relation = None if proof.ranked else network_relation(layer)
    if relation is not None:
        return f"counts are no proof for these weights: {relation}"
    used = np.zeros(proof.sizes.size, dtype=np.bool_)
    fault = walk(
        proof.tree, start.astype(np.int64), proof.rows, rows.n, proof.ranked, proof.raised, rows.biased, rows.idle,
        rows.zero, rows.residues(PRIMES), used,
    )
    if fault != OK:
        return REASONS[int(fault)]
    if not used.all():
        return "a circuit is not used"
    undecided = np.ones(proof.sizes.size, dtype=bool)
    if not exact:
        full = np.flatnonzero(proof.sizes == rows.g + 1)
        for at in range(0, full.size, _MANY):
            some = full[at : at + _MANY]
            undecided[some[rows.are_circuits(proof.rows[start[some][:, None] + np.arange(rows.g + 1)])]] = False
    for c in np.flatnonzero(undecided):
        if not rows.is_circuit(proof.rows[start[c] : start[c + 1]]):
            return f"set {c} is not a circuit"
    return None
