"""The certificate file: which network, and one proof per layer. The format is described in docs/certificate.md."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcinj.certify.varints import decode, encode
from mcinj.errors import InputError
from mcinj.networks import Network, Premise

MAGIC = b"MCINJC"
VERSION = b"01"  # one proof per layer
DEEP_VERSION = b"02"  # a criterion and one proof or more per prefix
RAISED_VERSION = b"03"  # one proof per layer, with raised steps in its tree
LARGEST = 1 << 30  # bytes; decoded numbers take eight times as much memory
_HEAD = struct.Struct("<6s2s32sI")
_PART = struct.Struct("<Q")

Ints = npt.NDArray[np.int64]

NAMELESS = "it proves counts and does not name what makes them ranks; certificates of that kind are made no more"


class MalformedError(ValueError):
    """The bytes are not a certificate of this version."""


class Cursor:
    """Reads a stream number by number; raises `MalformedError` where it is cut."""

    def __init__(self, stream: Ints, what: str) -> None:
        self.stream, self.what, self.place = stream, what, 0

    def number(self) -> int:
        """The next number."""
        if self.done:
            raise MalformedError(f"{self.what} is cut")
        self.place += 1
        return int(self.stream[self.place - 1])

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.place >= len(self.stream)


def premise_code(premise: Premise | None) -> int:
    """The number by which a file names what it rests on: 1 nothing (ranks), 2 drawn weights, 3 assumed."""
    return 1 if premise is None else {Premise.DRAWN: 2, Premise.ASSUMED: 3}[premise]


def premise_of(code: int) -> Premise | None:
    """Inverse of `premise_code`; raises `MalformedError`."""
    if code == 0:
        raise MalformedError(NAMELESS)
    if code > 3:
        raise MalformedError("the certificate does not say what it rests on")
    return {1: None, 2: Premise.DRAWN, 3: Premise.ASSUMED}[code]


@dataclass(frozen=True, eq=False)
class LayerProof:
    """Proof that one layer is injective.

    Attributes
    ----------
    premise
        None if leaves prove rank n, for these very weights; else they prove count n, and this says why it is rank.
    sizes, rows
        Circuits: their numbers of rows, and the rows one circuit after the other, ascending. `2 i` is unit i assumed
        negative, `2 i + 1` unit i assumed positive; i = 0 is the half space t > 0 of a layer with biases.
    tree
        The tree in preorder: `2 i + 1` branches on unit i (negative child first), `2 k` is a leaf with k circuits,
        whose numbers follow; 1 is a raised step (`mcinj.certify.raising`), whose numbers follow.
    raised
        Whether the tree has raised steps, or may have: a proof of a file of version 03.
    """

    premise: Premise | None
    sizes: Ints
    rows: Ints
    tree: Ints
    raised: bool = False

    @property
    def ranked(self) -> bool:
        """Whether leaves prove rank."""
        return self.premise is None

    def to_bytes(self) -> bytes:
        """The part of the file for this layer."""
        head = np.array([premise_code(self.premise), self.sizes.size, self.rows.size, self.tree.size], dtype=np.int64)
        return b"".join(encode(numbers) for numbers in (head, self.sizes, self.rows, self.tree))

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, raised: bool = False) -> LayerProof:
        """Inverse of `to_bytes`, from a file of version 03 (`raised`) or 01; raises `MalformedError`."""
        try:
            numbers = decode(data)
        except ValueError as error:
            raise MalformedError(str(error)) from None
        if numbers.size < 4:
            raise MalformedError("a layer's proof is cut")
        kind, circuits, rows, tree = (int(v) for v in numbers[:4])
        premise = premise_of(kind)
        if numbers.size != 4 + circuits + rows + tree:
            raise MalformedError("a layer's proof has another length than it says")
        sizes = numbers[4 : 4 + circuits]
        if int(sizes.sum()) != rows:
            raise MalformedError("the circuits have another number of rows than the proof says")
        return cls(premise, sizes, numbers[4 + circuits : 4 + circuits + rows], numbers[4 + circuits + rows :], raised)


def write(network: Network, proofs: Sequence[LayerProof]) -> bytes:
    """Certificate that every layer of `network`, alone, is injective; one proof per layer."""
    if len(proofs) != network.depth:
        raise InputError(f"a certificate needs one proof per layer: {network.depth} layers, {len(proofs)} proofs")
    version = RAISED_VERSION if any(proof.raised for proof in proofs) else VERSION
    return pack(network, version, [proof.to_bytes() for proof in proofs])


def unpack(data: bytes) -> tuple[bytes, str, list[memoryview]]:
    """Version, digest of the network (hex) and parts; raises `MalformedError` for anything but a whole certificate."""
    if len(data) > LARGEST:
        raise MalformedError(f"the certificate has {len(data)} bytes, more than the {LARGEST} that are read")
    if data[: len(MAGIC)] != MAGIC:
        raise MalformedError("this is not a certificate")
    version = data[len(MAGIC) : len(MAGIC) + len(VERSION)]
    if version not in (VERSION, DEEP_VERSION, RAISED_VERSION):
        raise MalformedError(f"the certificate has version {version!r}, this program reads 01, 02 and 03")
    if len(data) < _HEAD.size + 32:
        raise MalformedError("the certificate is cut")
    view = memoryview(data)
    if hashlib.sha256(view[:-32]).digest() != data[-32:]:
        raise MalformedError("the certificate is cut or damaged: its checksum is wrong")
    _, _, digest, count = _HEAD.unpack_from(data)
    place, end = _HEAD.size, len(data) - 32
    parts = []
    for _ in range(count):
        if place + _PART.size > end:
            raise MalformedError("the certificate has fewer layers than it says")
        (length,) = _PART.unpack_from(data, place)
        place += _PART.size
        if length > end - place:
            raise MalformedError("a layer's proof is cut")
        parts.append(view[place : place + length])
        place += length
    if place != end:
        raise MalformedError("the certificate goes on after its last layer")
    return version, digest.hex(), parts


def pack(network: Network, version: bytes, parts: Sequence[bytes]) -> bytes:
    """The file with these parts."""
    body = _HEAD.pack(MAGIC, version, bytes.fromhex(network.digest()), len(parts))
    body += b"".join(_PART.pack(len(part)) + part for part in parts)
    return body + hashlib.sha256(body).digest()


def read(data: bytes) -> tuple[str, list[LayerProof]]:
    """Digest of the network (hex) and the proofs of its layers; raises `MalformedError` for anything else."""
    version, digest, parts = unpack(data)
    if version == DEEP_VERSION:
        raise MalformedError(f"the certificate has version {version!r}, not one proof per layer")
    return digest, [LayerProof.from_bytes(part, version == RAISED_VERSION) for part in parts]


def join(network: Network, certificates: Sequence[bytes]) -> bytes:
    """Certificate of a deep network for `layerwise` from the certificates of its layers, first layer first."""
    proofs = []
    for k, data in enumerate(certificates, 1):
        digest, parts = read(data)
        if len(parts) != 1 or digest != network.layer(k).digest():
            raise InputError(f"certificate {k} is not one of layer {k} of this network")
        proofs.extend(parts)
    return write(network, proofs)
