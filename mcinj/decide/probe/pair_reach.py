"""How far a pair of inputs of a deep stream collides, over the integers, and pairs that collide near a float pair."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import flint
import numpy as np
import numpy.typing as npt

from mcinj.decide.layer.exact import IntegerRows, float_row
from mcinj.decide.layer.threshold import RowStream
from mcinj.decide.probe.deep_reach import integer_layers
from mcinj.networks import Network

_BLOCK = 16  # rows of the last layer looked at together
_BITS = 40  # of the coordinates that are chosen freely, in units of a pair's length


class ExactPairs:
    """The earlier layers and the rows behind them as integers, each layer and each row times a positive number."""

    def __init__(self, first: Network, rows: RowStream) -> None:
        self.n, self.rows = first.n, rows
        self._layers = integer_layers(first)
        self._last: IntegerRows = []

    def failing_layer(self, pair: Sequence[int]) -> int | None:
        """First earlier layer whose outputs are the same for both inputs; None if none is, or the inputs are equal."""
        x, y = _column(pair[: self.n]), _column(pair[self.n :])
        if x == y:
            return None
        for k, layer in enumerate(self._layers, 1):
            x, y = _positive_part(layer * x), _positive_part(layer * y)
            if x == y:
                return k
        return None

    def reach(self, pair: Sequence[int], have: int) -> int:
        """Largest width m <= have at which the two inputs have the same output; 0 for equal inputs."""
        x, y = _column(pair[: self.n]), _column(pair[self.n :])
        if x == y:
            return 0
        for layer in self._layers:
            x, y = _positive_part(layer * x), _positive_part(layer * y)
        have = self._grow(have)
        for begin in range(0, have, _BLOCK):
            block = range(begin, min(begin + _BLOCK, have))
            rows = flint.fmpz_mat([self._last[j] for j in block])
            for j, a, b in zip(block, (rows * x).entries(), (rows * y).entries(), strict=True):
                if max(a, 0) != max(b, 0):
                    return j
        return have

    def describe(self, pair: Sequence[int], width: int) -> tuple[int, int]:
        """Of the first rows: how many are positive at both inputs. Of the hidden units: how many at one of the two."""
        x, y = _column(pair[: self.n]), _column(pair[self.n :])
        crossed = 0
        for layer in self._layers:
            here, there = layer * x, layer * y
            crossed += sum((a > 0) != (b > 0) for a, b in zip(here.entries(), there.entries(), strict=True))
            x, y = _positive_part(here), _positive_part(there)
        width = self._grow(width)
        if not width:
            return 0, crossed
        rows = flint.fmpz_mat(self._last[:width])
        values = zip((rows * x).entries(), (rows * y).entries(), strict=True)
        return sum(a > 0 and b > 0 for a, b in values), crossed

    def equalised(self, pair: npt.NDArray[np.float64], equal: Sequence[int]) -> tuple[int, ...] | None:
        """An integer pair near a float pair (2 n,) at which these rows take one value, if both pieces hold it.

        Linear algebra in the linear pieces of the two inputs; not checked: `reach` tells. None for a pair that is not
        finite or zero.
        """
        size = float(np.abs(pair).max(initial=0.0))
        if not np.isfinite(size) or not size > 0.0:
            return None
        free = [int(v) for v in np.rint(np.ldexp(pair / size, _BITS))]
        width = self._grow(max(equal, default=-1) + 1)
        wanted = [j for j in equal if j < width]
        if not wanted:
            return tuple(free)
        rows = flint.fmpz_mat([self._last[j] for j in wanted])
        here, there = (rows * self._jacobian(float_row(half)) for half in np.split(pair, 2))
        differences = flint.fmpz_mat(
            [[int(v) for v in a] + [-int(v) for v in b] for a, b in zip(here.table(), there.table(), strict=True)]
        )
        reduced, scale, rank = differences.rref()
        pivots = [next(c for c in range(2 * self.n) if reduced[r, c] != 0) for r in range(rank)]
        point = [v * int(scale) for v in free]
        for r, c in enumerate(pivots):
            rest = sum(int(reduced[r, f]) * v for f, v in enumerate(free) if f not in pivots)
            point[c] = -rest
        sign = 1 if scale > 0 else -1
        common = gcd(*point)
        return tuple(sign * v // common for v in point) if common else None

    def _jacobian(self, x: Sequence[int]) -> flint.fmpz_mat:
        """Of the earlier layers, in the linear piece of an integer input."""
        jacobian, below = None, _column(x)
        for layer in self._layers:
            values = layer * below
            own = layer if jacobian is None else layer * jacobian
            jacobian = flint.fmpz_mat(
                [[int(v) if z > 0 else 0 for v in row] for row, z in zip(own.table(), values.entries(), strict=True)]
            )
            below = _positive_part(values)
        assert jacobian is not None
        return jacobian

    def _grow(self, have: int) -> int:
        """Bring the rows up to `have`; how many of them there are."""
        if len(self._last) < have:
            matrix = np.asarray(self.rows.take(have), dtype=np.float64)
            self._last += [float_row(row) for row in matrix[len(self._last) :]]
        return min(have, len(self._last))


def _column(x: Sequence[int]) -> flint.fmpz_mat:
    return flint.fmpz_mat([[int(v)] for v in x])


def _positive_part(column: flint.fmpz_mat) -> flint.fmpz_mat:
    return flint.fmpz_mat([[max(int(v), 0)] for v in column.entries()])
