"""From a finished search to the proof that a certificate holds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj.certify.format import LayerProof
from mcinj.decide.layer import fields as fields
from mcinj.decide.layer.frames import Frames
from mcinj.networks import Premise

Ints = npt.NDArray[np.int64]

_BLOCK = 1 << 15  # circuits at a time: their bits are bytes for a while


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
    used, place = np.unique(log[named] - fields.NUMBER, return_inverse=True)
    distinct, inverse = np.unique(circuits[used].reshape(-1, 2 * circuits.shape[2]), axis=0, return_inverse=True)
    shift = 0 if half_space else 1
    sizes, rows = _signed_rows(distinct, m, shift)
    tree = np.where(log >= 0, 2 * (log + shift) + 1, 2 * (-1 - log))
    tree[named] = inverse.reshape(-1)[place]
    tree[plain] = log[plain] - fields.PLAIN
    return LayerProof(None if ranked else premise, sizes, rows, tree.astype(np.int64, copy=False), bool(plain.any()))


def _signed_rows(circuits: npt.NDArray[np.uint64], m: int, shift: int) -> tuple[Ints, Ints]:
    """How many rows circuits have, and these one circuit after the other, as `LayerProof` numbers them."""
    sizes, rows = [], []
    for at in range(0, len(circuits), _BLOCK):
        block = np.ascontiguousarray(circuits[at : at + _BLOCK]).astype("<u8").view(np.uint8)
        bits = np.unpackbits(block.reshape(len(block), 2, -1), axis=2, bitorder="little", count=m)
        sizes.append(bits.sum(axis=(1, 2), dtype=np.int64))
        codes = np.nonzero(bits.transpose(0, 2, 1).reshape(len(block), -1))[1]  # 2 i + side
        rows.append((codes + 2 * shift).astype(np.int32))
    none = np.zeros(0, dtype=np.int64)
    return np.concatenate([none, *sizes]), np.concatenate([none, *rows], dtype=np.int64)
