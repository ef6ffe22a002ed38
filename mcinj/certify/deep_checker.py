"""The independent check of a certificate of a deep network: `regional` or `global`, prefix by prefix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mcinj.certify.checker import Verification
from mcinj.certify.deep_proof import DeepProof, check
from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.format import DEEP_VERSION, MalformedError, pack
from mcinj.certify.position import rows_look_generic, without_opposites
from mcinj.certify.varints import decode, encode
from mcinj.networks import Network

_CRITERIA = {1: "regional", 2: "global"}


def write_regional(network: Network, proofs: Sequence[DeepProof]) -> bytes:
    """The certificate of a regional pass from the proofs of the prefixes, first layer first."""
    head = encode(np.array([1], dtype=np.int64))
    return pack(network, DEEP_VERSION, [head, *(proof.to_bytes() for proof in proofs)])


def check_parts(parts: Sequence[bytes | memoryview], network: Network, exact: bool) -> Verification:
    """Check a certificate of version 02 for `network`, whose digest it names; raises `MalformedError` for bad parts."""
    numbers = []
    for part in parts:
        try:
            numbers.append(decode(part))
        except ValueError as error:
            raise MalformedError(str(error)) from None
    if not numbers or numbers[0].size != 1 or int(numbers[0][0]) not in _CRITERIA:
        raise MalformedError("the certificate does not say what it proves")
    criterion = _CRITERIA[int(numbers[0][0])]
    if len(numbers) != 1 + network.depth:
        return Verification(False, f"the certificate has {len(numbers) - 1} parts, the network needs {network.depth}")
    exactly = True
    for k in range(1, network.depth + 1):
        proof = DeepProof.from_numbers(numbers[k])
        exactly = exactly and proof.ranked
        fault = _prefix_fault(proof, network, k, exact)
        if fault is not None:
            return Verification(False, f"prefix {k}: {fault}")
    if exactly:
        return Verification(True, f"{criterion}: every step is proved", "exact", criterion)
    reason = f"{criterion}: counts are proved; rank n follows for weights in general position"
    return Verification(True, reason, "generic", criterion)


def looks_generic(network: Network) -> bool:
    """Whether counts may stand for ranks: nothing speaks against general position of any layer's weights."""
    return network.floats_are_exact and all(rows_look_generic(without_opposites(w)) for w in network.weights)


def _prefix_fault(proof: DeepProof, network: Network, k: int, exact: bool) -> str | None:
    rows = PrefixRows(network, k)
    if proof.layers != k or proof.target != rows.n:
        return f"this part is about {proof.target} active units of prefix {proof.layers}"
    if not proof.ranked and not looks_generic(network.prefix(k)):
        return "counts are no proof for these weights: they are not in general position"
    result = check(proof, rows, exact)
    return result if isinstance(result, str) else None
