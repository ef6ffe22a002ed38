"""The independent check of a certificate of a deep network: `regional` or `global`, prefix by prefix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from mcinj.certify.coarse_proof import CoarseProof, StepsProof, check_ranks
from mcinj.certify.coarse_proof import check_pairs as check_coarse_pairs
from mcinj.certify.deep_pairs import PairsProof, check_pairs
from mcinj.certify.deep_proof import DeepProof, Signs, check
from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.format import DEEP_VERSION, NAMELESS, MalformedError, pack, premise_code, premise_of
from mcinj.certify.joint_proof import JointProof, check_joint
from mcinj.certify.position import network_relation
from mcinj.certify.varints import decode, encode
from mcinj.certify.verification import Verification, accepted
from mcinj.networks import Network, Premise

# What a file proves: counts or ranks of prefixes; pairs of regions too; ranks, cells and pairs of these; coarse cells.
REGIONAL, GLOBAL, JOINT, COARSE_REGIONAL, COARSE_GLOBAL = range(1, 6)
_CRITERIA = {
    REGIONAL: "regional", GLOBAL: "global", JOINT: "global", COARSE_REGIONAL: "regional", COARSE_GLOBAL: "global",
}  # fmt: skip
_SHOWN = {
    "regional": "every region of every prefix has rank n",
    "global": "the network is injective",
}


class Proof(Protocol):
    """A part of the file."""

    def to_bytes(self) -> bytes:
        """Its bytes."""


def write_deep(network: Network, kind: int, proofs: Sequence[Proof], premise: Premise | None = None) -> bytes:
    """The certificate of a deep network's pass, with the proofs that its kind needs:

    * REGIONAL: counts of all prefixes, first layer first; without a premise the ranks of the last alone.
    * GLOBAL: the first layer, then regions and pairs of every longer prefix.
    * JOINT: ranks of the network, cells of its earlier layers, pairs of these.
    * COARSE_REGIONAL: a tree of coarse cells; COARSE_GLOBAL: also steps, and pairs of complete cells.
    """
    head = encode(np.array([kind, premise_code(premise)], dtype=np.int64))
    return pack(network, DEEP_VERSION, [head, *(proof.to_bytes() for proof in proofs)])


def check_parts(parts: Sequence[bytes | memoryview], network: Network, exact: bool) -> Verification:
    """Check a certificate of version 02 for `network`, whose digest it names; raises `MalformedError` for bad parts."""
    numbers = []
    for part in parts:
        try:
            numbers.append(decode(part))
        except ValueError as error:
            raise MalformedError(str(error)) from None
    # Files of before the premise was named have the first number only: they can hold ranks alone.
    head = [int(v) for v in numbers[0]] if numbers else []
    if not 1 <= len(head) <= 2 or head[0] not in _CRITERIA:
        raise MalformedError("the certificate does not say what it proves")
    kind, criterion, rest = head[0], _CRITERIA[head[0]], numbers[1:]
    shown = f"{criterion}: {_SHOWN[criterion]}; "
    premise = premise_of(head[1]) if len(head) == 2 else None
    if kind not in (REGIONAL, GLOBAL):
        fault = _joint_fault(rest, network, exact) if kind == JOINT else _coarse_fault(criterion, rest, network, exact)
        return accepted(shown, None, criterion, exact) if fault is None else Verification(False, fault)
    relation = None if premise is None else network_relation(network)
    if relation is not None:
        return Verification(False, f"counts are no proof for these weights: {relation}")
    wanted = network.depth if criterion == "regional" else 2 * network.depth - 1
    if premise is None and criterion == "global":
        return Verification(False, NAMELESS)
    # Rank n on every region of a network implies it for every prefix: the last proof alone is enough.
    prefixes = range(1, network.depth + 1)
    if premise is None and len(rest) == 1:
        wanted, prefixes = 1, range(network.depth, network.depth + 1)
    if len(rest) != wanted:
        return Verification(False, f"the certificate has {len(rest)} proofs, the network needs {wanted}")
    for k in prefixes:
        proof = DeepProof.from_numbers(rest.pop(0))
        if premise is None and not proof.ranked:
            return Verification(False, NAMELESS)
        rows = PrefixRows(network, k)
        listed = _listed(proof, rows, exact, listing=criterion == "global" and k > 1)
        if isinstance(listed, str):
            return Verification(False, f"prefix {k}: {listed}")
        if criterion == "global" and k > 1:
            pairs = PairsProof.from_numbers(rest.pop(0))
            fault = check_pairs(pairs, rows, listed, exact) if pairs.layers == k else "the pairs of another prefix"
            if fault is not None:
                return Verification(False, f"prefix {k}: {fault}")
    return accepted(shown, premise, criterion, exact)


def _joint_fault(parts: Sequence[npt.NDArray[np.int64]], network: Network, exact: bool) -> str | None:
    """What is wrong with a proof by pairs of closed cells, or None."""
    if len(parts) != 3 or network.depth < 2:
        return f"the certificate has {len(parts)} proofs, a network of {network.depth} layers needs another number"
    whole, earlier = (PrefixRows(network, k) for k in (network.depth, network.depth - 1))
    ranks, cells = (DeepProof.from_numbers(part) for part in parts[:2])
    if (ranks.layers, ranks.target, ranks.ranked) != (whole.depth, whole.n, True):
        return "the ranks that are proved are not those of the whole network"
    found = check(ranks, whole, exact=exact)
    if isinstance(found, str):
        return f"ranks: {found}"
    # Disjoint sets of a layer's m units never number m + 1: nothing is counted, only empty cells are left out.
    if (cells.layers, cells.target, cells.ranked) != (earlier.depth, earlier.widths[-1] + 1, False):
        return "the cells that are listed are not those of the earlier layers"
    listed = check(cells, earlier, listing=True, exact=exact)
    if isinstance(listed, str):
        return f"cells: {listed}"
    fault = check_joint(JointProof.from_numbers(parts[2]), whole, listed)
    return None if fault is None else f"pairs: {fault}"


def _coarse_fault(criterion: str, parts: Sequence[npt.NDArray[np.int64]], network: Network, exact: bool) -> str | None:
    """What is wrong with a proof by coarse cells, or None."""
    if len(parts) != (1 if criterion == "regional" else 3):
        return f"coarse cells: the certificate has {len(parts)} proofs, this criterion needs another number"
    tree, rows = CoarseProof.from_numbers(parts[0]), PrefixRows(network, network.depth)
    if criterion == "regional":
        fault = check_ranks(tree, rows, exact)
    else:
        steps, joint = StepsProof.from_numbers(parts[1]), JointProof.from_numbers(parts[2])
        fault = check_coarse_pairs(tree, steps, joint, rows, exact)
    return None if fault is None else f"coarse cells: {fault}"


def target_of_listing(rows: PrefixRows) -> int:
    """Regions with at least this many active units collide with none: 2n equations leave only 0; with t, 2n + 1."""
    return 2 * rows.g - int(rows.biased)


def _listed(proof: DeepProof, rows: PrefixRows, exact: bool, listing: bool) -> str | Signs:
    """The signs of the listed regions of a right proof, or what is wrong with it."""
    target = target_of_listing(rows) if listing else rows.n
    if proof.layers != rows.depth or proof.target != target or (listing and proof.ranked):
        return f"this proof is about {proof.target} active units of prefix {proof.layers}"
    return check(proof, rows, listing, exact)
