"""Proof that no two points of different closed cells have one output, for any weights: content of the file, and check.

Given: rank n on every open region of the network (the ranked proof of its last prefix), and a list of all full patterns
of the earlier layers. Then two different inputs of one closed cell have different outputs (see docs/certificate.md).
Without biases 0 lies in every closed cell, so in a pair of different cells both points are not 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.format import Cursor, MalformedError
from mcinj.certify.joint_cells import ABOVE, BELOW, FREE, OFF, SAME, WEAK, CellPair, ClosedCells
from mcinj.certify.varints import encode

Ints = npt.NDArray[np.int64]
Signs = npt.NDArray[np.int8]

JOINT = 4  # kind of a part
KINDS = (BELOW, WEAK, ABOVE)
_MOST = 4_000_000_000  # pairs, counted twice, that are checked


@dataclass(frozen=True, eq=False)
class JointProof:
    """Signs of last-layer units on the listed cells, then a tree for every pair of cells that these do not close.

    Attributes
    ----------
    layers
        Layers of the network; the cells are those of all but the last.
    stream
        Per cell: number of claims; per claim `3 unit + kind` (0 nowhere positive, 1 nonnegative, 2 positive but at 0),
        ascending, number of rows, rows (hidden units through all layers; t is behind the last layer's units). Then per
        pair, in the order of `ClosedCells.open_after`, a tree in preorder: `2 unit + 1` branches on a free unit (SAME
        first, then OFF), `2 c` is a leaf with c circuits: number of rows, rows `2 row + copy`.
    """

    layers: int
    stream: Ints

    def to_bytes(self) -> bytes:
        """The part of the file."""
        return encode(np.concatenate([np.array([JOINT, self.layers], dtype=np.int64), self.stream]))

    @classmethod
    def from_numbers(cls, numbers: Ints) -> JointProof:
        """Inverse of `to_bytes`, after `decode`; raises `MalformedError`."""
        if numbers.size < 2 or numbers[0] != JOINT:
            raise MalformedError("a proof about pairs of cells is cut")
        return cls(int(numbers[1]), numbers[2:])


def check_joint(proof: JointProof, rows: PrefixRows, signs: Signs) -> str | None:
    """What is wrong with the proof for the network of `rows`, or None; `signs` are those of the earlier layers' cells.

    Raises `MalformedError` where the stream is cut.
    """
    if proof.layers != rows.depth:
        return "the pairs of another network"
    if len(signs) ** 2 > _MOST:
        return f"there are more than {_MOST:.0e} pairs of cells"
    return _Check(proof, ClosedCells(rows, signs)).fault()


def in_order(pairs: Ints) -> tuple[Ints, list[tuple[int, int]]]:
    """The cells in a list of pairs (·, 2), in the order in which they are met, and the pairs as places in it."""
    place: dict[int, int] = {}
    found = [(place.setdefault(a, len(place)), place.setdefault(b, len(place))) for a, b in pairs.tolist()]
    return np.array(list(place), dtype=np.int64), found


def check_given(proof: JointProof, rows: PrefixRows, signs: Signs, pairs: Sequence[tuple[int, int]]) -> str | None:
    """As `check_joint`, for the given pairs of cells alone; `signs` (C, hidden units) of these cells are complete."""
    if proof.layers != rows.depth:
        return "the pairs of another network"
    return _Check(proof, ClosedCells(rows, signs)).fault(pairs)


class _Check:
    def __init__(self, proof: JointProof, cells: ClosedCells) -> None:
        self.cursor = Cursor(proof.stream, "a proof about pairs of cells")
        self.cells = cells

    def fault(self, pairs: Sequence[tuple[int, int]] | None = None) -> str | None:
        cells = self.cells
        for c in range(len(cells.signs)):
            fault = self._claims(c)
            if fault is not None:
                return fault
        for a, b in cells.open_pairs() if pairs is None else pairs:
            if pairs is None or not cells.apart(a, b):
                fault = self._tree(CellPair(cells, a, b))
                if fault is not None:
                    return fault
        return None if self.cursor.done else "a proof about pairs of cells goes on after its last pair"

    def _claims(self, c: int) -> str | None:
        cells = self.cells
        before = -1
        for _ in range(self.cursor.number()):
            unit, kind = divmod(self.cursor.number(), len(KINDS))
            if not before < unit < cells.last:
                return "a sign is claimed of a unit that does not exist, or out of order"
            before = unit
            size = self.cursor.number()
            if size > cells.g:
                return "a claimed sign has too many rows"
            rows = [self.cursor.number() for _ in range(size)]
            if any(r >= cells.reach for r in rows):
                return "a claimed sign names a row that does not exist"
            if not cells.claim_holds(c, unit, KINDS[kind], rows):
                return "a claimed sign of a unit on a cell is not proved"
            cells.kinds[c, unit] = KINDS[kind]
        return None

    def _tree(self, pair: CellPair) -> str | None:
        units: list[int] = []  # branched on, on the way here
        while True:
            number = self.cursor.number()
            if number & 1:
                unit = number >> 1
                if unit >= self.cells.last or pair.status[unit] != FREE:
                    return "a pair branches on a unit that is not free"
                pair.status[unit] = SAME
                units.append(unit)
                continue
            fault = self._leaf(pair, number >> 1)
            if fault is not None:
                return fault
            while units and pair.status[units[-1]] == OFF:
                pair.status[units.pop()] = FREE
            if not units:
                return None
            pair.status[units[-1]] = OFF

    def _leaf(self, pair: CellPair, count: int) -> str | None:
        kernel = pair.kernel()
        strict = False
        for _ in range(count):
            size = self.cursor.number()
            if strict or not 1 <= size <= kernel.ncols() + 1:
                return "a leaf of a pair goes on after it is closed, or has a set of rows that is no circuit"
            codes = [self.cursor.number() for _ in range(size)]
            narrower = pair.narrowed(kernel, codes)
            if narrower is None:
                return "a leaf of a pair has a set of rows that is no circuit"
            kernel = narrower
            strict = any(pair.strict(code) for code in codes)
        if strict or pair.closed(kernel):
            return None
        return "two cells are not shown to have no common output"
