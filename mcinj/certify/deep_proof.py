"""Proof that prefix k of a network has enough active units on every region: content of the file, and its check."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj.certify import deep_ops as ops
from mcinj.certify import deep_state as ds
from mcinj.certify.deep_exact import ExactWalk
from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.format import MalformedError
from mcinj.certify.varints import encode

Ints = npt.NDArray[np.int64]
Signs = npt.NDArray[np.int8]

DEEP = 2  # kind of a part, after 0 and 1 for a layer
_MEMORY = 4 << 30


@dataclass(frozen=True, eq=False)
class DeepProof:
    """Proof about the regions of the first `layers` layers.

    Attributes
    ----------
    layers
        The prefix, from 1.
    target
        Units of its last layer that every region must have active (n), or else be listed (2n, or 2n + 1 with biases).
    ranked
        Whether leaves prove rank n (any weights) or count (weights in general position).
    stream
        The tree: instructions of `deep_ops`.
    """

    layers: int
    target: int
    ranked: bool
    stream: Ints

    def to_bytes(self) -> bytes:
        """The part of the file for this prefix."""
        head = np.array([DEEP, self.layers, self.target, int(self.ranked)], dtype=np.int64)
        return encode(np.concatenate([head, self.stream]))

    @classmethod
    def from_numbers(cls, numbers: Ints) -> DeepProof:
        """Inverse of `to_bytes`, after `decode`; raises `MalformedError`."""
        if numbers.size < 4 or numbers[0] != DEEP or numbers[3] > 1:
            raise MalformedError("a prefix's proof is cut")
        return cls(int(numbers[1]), int(numbers[2]), bool(numbers[3]), numbers[4:].copy())


def check(proof: DeepProof, rows: PrefixRows, listing: bool = False, exact: bool = False) -> str | Signs:
    """What is wrong with the proof, or the signs (R, units of all layers) of the regions that it lists.

    Regions with fewer than `target` active units may be listed only if `listing`.
    """
    judge = ExactWalk(rows, proof.stream, proof.target, proof.ranked, listing)
    if not exact:
        walk = walk_in_floats(proof.stream, ds.new_walk(rows, proof.target, proof.ranked, listing), judge)
        if walk is not None:
            return walk if isinstance(walk, str) else walk.OUT[: int(walk.gi[ds.REGIONS])]
        judge = ExactWalk(rows, proof.stream, proof.target, proof.ranked, listing)
    fault = judge.run()
    if fault != ds.OK:
        return ds.REASONS[fault]
    return np.array(judge.regions, dtype=np.int8).reshape(len(judge.regions), sum(rows.widths))


def walk_in_floats(stream: Ints, walk: ds.Walk, judge: ExactWalk) -> str | ds.Walk | None:
    """A walk through a right proof, at its end, or what is wrong; `judge` decides what floats do not.

    None if they leave so much open that exact arithmetic from the start is cheaper.
    """
    from mcinj.certify import deep_walk  # compiled

    while True:
        reason = int(deep_walk.walk(walk, stream))
        if reason == ds.OK:
            return walk
        if reason == ds.GROW:
            if 2 * walk.UP.nbytes > _MEMORY:
                return "the tree is too deep for the memory that a check may take"
            walk = ds.enlarge(walk)
        elif reason == ds.ASK:
            if judge.steps > 10 * len(stream) + 1_000:
                return None
            if not _ask(judge, walk):
                return ds.REASONS[ds.CLAIM]
            walk.gi[ds.ACCEPT] = 1
        else:
            return ds.REASONS[reason]


def _ask(judge: ExactWalk, walk: ds.Walk) -> bool:
    """Prove the instruction at which the walk stands; hand over what it needs to go on."""
    gi = walk.gi
    place, depth = int(gi[ds.PLACE]), int(gi[ds.DEPTH])
    live = walk.LIVE[: int(gi[ds.ACTIVE])].tolist()
    if not judge.proves(live, walk.FR[:depth, ds.F_SIDE].tolist(), place):
        return False
    op = int(judge.stream[place]) & 15
    here = judge.here
    if op == ops.NEXT:
        p = here.layer
        for i in range(judge.rows.widths[p]):
            rounded([here.rows[i, q] for q in range(judge.rows.g)], walk.ROWS[p, i], walk.ERR[p, i : i + 1])
    elif op == ops.BOUNDS:
        for (k, i), row in here.uppers.items():
            h = int(walk.first[k]) + i
            rounded(row, walk.UP[depth, h], walk.UE[depth, h : h + 1])
            walk.UV[depth, h] = 1
    return True


def rounded(row: list[Any], out: npt.NDArray[np.float64], error: npt.NDArray[np.float64]) -> None:
    """A rational row in floats, with a bound of the entrywise error (0 for a zero row only)."""
    out[:] = [_float(v) for v in row]
    error[0] = 2.0**-51 * float(np.abs(out).max(initial=0.0)) + 1e-290 if any(row) else 0.0


def _float(value: Any) -> float:
    try:
        return float(Fraction(int(value.p), int(value.q)))
    except OverflowError:
        return float("inf")  # never proves anything
