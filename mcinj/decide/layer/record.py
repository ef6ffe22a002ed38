"""From a finished search to the proof that a certificate holds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj.certify.format import LayerProof
from mcinj.decide.layer import fields as fields
from mcinj.decide.layer.frames import Frames
from mcinj.networks import Premise

Ints = npt.NDArray[np.int64]


def layer_proof(frames: Frames, premise: Premise | None) -> LayerProof:
    """The proof of a search that ended with `fields.DONE` and was told to keep it; `premise`: why count is rank."""
    log = frames.LOG[: int(frames.gi[fields.LOGGED])]
    return proof_of(log, frames.CIRC, frames.layer.m, frames.layer.half_space, frames.ranked, premise)


def proof_of(
    log: Ints, circuits: npt.NDArray[np.uint64], m: int, half_space: bool, ranked: bool, premise: Premise | None
) -> LayerProof:
    """Used circuits only, each once, and the tree in the file's numbering of rows and circuits.

    `ranked`: its leaves prove rank; otherwise counts, and `premise` says why they are ranks.
    """
    plain = log >= fields.PLAIN
    named = (log >= fields.NUMBER) & ~plain
    numbers = log[named] - fields.NUMBER
    flat = circuits[numbers].reshape(len(numbers), -1)
    distinct, inverse = np.unique(flat, axis=0, return_inverse=True)
    sides = np.ascontiguousarray(distinct).astype("<u8").view(np.uint8).reshape(len(distinct), 2, -1)
    bits = np.unpackbits(sides, axis=2, bitorder="little", count=m)
    _, codes = np.nonzero(bits.transpose(0, 2, 1).reshape(len(distinct), -1))  # 2 i + side
    shift = 0 if half_space else 1
    tree = np.where(log >= 0, 2 * (log + shift) + 1, 2 * (-1 - log))
    tree[named] = inverse.reshape(-1)
    tree[plain] = log[plain] - fields.PLAIN
    return LayerProof(
        None if ranked else premise, bits.sum(axis=(1, 2), dtype=np.int64), (codes + 2 * shift).astype(np.int64),
        tree.astype(np.int64), bool(plain.any()),
    )  # fmt: skip
