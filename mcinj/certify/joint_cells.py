"""Closed cells of full patterns of the earlier layers, and pairs of them, over the integers.

On the closed cell of a pattern of layers 1 … L - 1 the last layer is linear. Two inputs x, x' of two cells have one
output if every last-layer unit is SAME (equal in both and not negative) or OFF (positive in neither). What is known of
the pairs (x, x') is a convex cone: equations, and rows that are nonnegative. A *circuit* is a set of these rows such
that a combination with positive coefficients vanishes where the equations hold: then all of them vanish on the cone,
and become equations. All matrices are exact (FLINT).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import flint
import numpy as np
import numpy.typing as npt

from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.rational import is_circuit, null_space

Signs = npt.NDArray[np.int8]
Line = list[int]

# What is claimed of a last-layer unit on a closed cell: nowhere positive; nothing; nonnegative; positive but at 0.
BELOW, OPEN, WEAK, ABOVE = range(-1, 3)
# What a unit is in a pair.
FREE, SAME, OFF = range(3)

_KEPT = 8_192  # cells whose rows are kept: at n = 4 about 100 MB


class ClosedCells:
    """Closed cells of the earlier layers of a network.

    Attributes
    ----------
    g, biased
        Dimensions with t, and whether there is t.
    hidden, last
        Units of the earlier layers (constant units included) and of the last.
    signs
        `(C, hidden)`: the patterns, +1 and -1.
    kinds
        `(C, last)`: what is proved of the last layer's units; OPEN at first.
    """

    def __init__(self, rows: PrefixRows, signs: Signs) -> None:
        self.g, self.biased, self.widths = rows.g, rows.biased, rows.widths
        self.hidden, self.last = sum(rows.widths[:-1]), rows.widths[-1]
        self.signs = self._with_constants(signs)
        self.kinds = np.full((len(signs), self.last), OPEN, dtype=np.int8)
        # Each layer times a positive integer: this changes no sign, and outputs of all cells by one factor.
        self._weights = [matrix.numer_denom()[0] for matrix in rows.matrices]
        self.lines = lru_cache(maxsize=_KEPT)(self._lines)

    def _with_constants(self, signs: Signs) -> Signs:
        """The patterns with all constant units: a list of regions of earlier layers has none in its last layer, or none
        at all where only the last layer has biases."""
        if not self.biased or signs.shape[1] == self.hidden:
            return signs
        own = [width - 1 for width in self.widths[:-1]]
        step = 0 if signs.shape[1] == sum(own) else 1
        ones = np.ones((len(signs), 1), dtype=np.int8)
        parts, start = [], 0
        for width in own:
            parts += [signs[:, start : start + width], ones]
            start += width + step
        return np.hstack(parts)

    @property
    def reach(self) -> int:
        """Number of rows of a cell: hidden units, last-layer units, and t with biases."""
        return self.hidden + self.last + int(self.biased)

    def _lines(self, c: int) -> list[Line]:
        """Integer rows of cell c: hidden units, with the signs that make them nonnegative; last layer; t."""
        lines: list[Line] = []
        now = self._weights[0]
        start = 0
        for k, width in enumerate(self.widths[:-1]):
            sign = self.signs[c, start : start + width].tolist()
            rows = [[int(v) for v in row] for row in now.tolist()]
            lines += [[s * v for v in row] for s, row in zip(sign, rows, strict=True)]
            kept = [row if s > 0 else [0] * self.g for s, row in zip(sign, rows, strict=True)]
            now = self._weights[k + 1] * flint.fmpz_mat(kept)
            start += width
        lines += [[int(v) for v in row] for row in now.tolist()]
        if self.biased:
            lines.append([0] * (self.g - 1) + [1])
        return lines

    def claim_holds(self, c: int, unit: int, kind: int, rows: Sequence[int]) -> bool:
        """Whether signed rows of the cell (hidden units, t) prove the kind of a last-layer unit there.

        The unit (BELOW: its opposite) is a combination of them with positive coefficients. ABOVE needs g rows: they
        are independent then, so that all of them vanish only at 0.
        """
        lines = self.lines(c)
        if any(self.hidden <= r < self.hidden + self.last for r in rows) or (kind == ABOVE and len(rows) != self.g):
            return False
        own = lines[self.hidden + unit]
        items = [lines[r] for r in rows]
        return is_circuit(flint.fmpz_mat([*items, own if kind == BELOW else [-v for v in own]]))

    def open_pairs(self) -> Iterator[tuple[int, int]]:
        """All pairs a < b of cells that are not `apart`."""
        for a in range(len(self.signs)):
            for b in self.open_after(a):
                yield a, b

    def apart(self, a: int, b: int) -> bool:
        """Whether a unit is ABOVE on one of two cells and BELOW on the other."""
        one, two = self.kinds[a], self.kinds[b]
        return bool((((one == ABOVE) & (two == BELOW)) | ((one == BELOW) & (two == ABOVE))).any())

    def open_after(self, a: int) -> list[int]:
        """Later cells b that are not `apart` from a."""
        mine, others = self.kinds[a], self.kinds[a + 1 :]
        apart = ((others == ABOVE) & (mine == BELOW)).any(axis=1) | ((others == BELOW) & (mine == ABOVE)).any(axis=1)
        return (np.flatnonzero(~apart) + a + 1).tolist()


class CellPair:
    """Points (x, x') of cells a and b with one output, x and x' not 0."""

    def __init__(self, cells: ClosedCells, a: int, b: int) -> None:
        self.cells = cells
        self.lines = (cells.lines(a), cells.lines(b))
        self.status = [_status(*kinds) for kinds in zip(cells.kinds[a].tolist(), cells.kinds[b].tolist(), strict=True)]

    def kernel(self) -> Any:
        """Basis (columns, fmpz_mat) of the space on which the SAME units are equal, and t = t'."""
        cells = self.cells
        equal = [cells.hidden + j for j, s in enumerate(self.status) if s == SAME]
        if cells.biased:
            equal.append(cells.reach - 1)
        left, right = self.lines
        return null_space(flint.fmpz_mat(len(equal), 2 * cells.g, [
            v for r in equal for v in (*left[r], *(-t for t in right[r]))
        ]))  # fmt: skip

    def row(self, code: int) -> Line | None:
        """The nonnegative row `2 r + side`, 2g entries; None if there is none, or if its unit is free."""
        cells, (r, side) = self.cells, divmod(code, 2)
        if r >= cells.reach:
            return None
        line = self.lines[side][r]
        if cells.hidden <= r < cells.hidden + cells.last:
            status = self.status[r - cells.hidden]
            if status == FREE:
                return None
            if status == OFF:
                line = [-v for v in line]
        zero = [0] * cells.g
        return [*zero, *line] if side else [*line, *zero]

    def strict(self, code: int) -> bool:
        """Whether the row is positive: t > 0."""
        return self.cells.biased and code >> 1 == self.cells.reach - 1

    def narrowed(self, kernel: Any, codes: Sequence[int]) -> Any | None:
        """Basis of the part of the kernel where these rows vanish; None unless they are a circuit on the kernel."""
        found = [self.row(code) for code in codes]
        rows = [row for row in found if row is not None]
        if not rows or len(rows) < len(found):
            return None
        projected = flint.fmpz_mat(rows) * kernel
        return kernel * null_space(projected) if is_circuit(projected) else None

    def closed(self, kernel: Any) -> bool:
        """Whether x = x' on the kernel, or x = 0, or x' = 0."""
        g, columns = self.cells.g, kernel.ncols()
        left = [kernel[i, k] for i in range(g) for k in range(columns)]
        right = [kernel[g + i, k] for i in range(g) for k in range(columns)]
        return left == right or not any(left) or not any(right)


def _status(a: int, b: int) -> int:
    """What a unit of these kinds is in every collision: positive in one copy, so in both; or in neither."""
    if BELOW in (a, b):
        return OFF
    return SAME if ABOVE in (a, b) or a == b == WEAK else FREE
