"""How far an input of a deep stream is a witness of the regional criterion: signs and ranks over the integers."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

import flint
import numpy as np
import numpy.typing as npt

from mcinj.decide.layer.exact import IntegerRows, float_row, rank
from mcinj.decide.layer.threshold import RowStream
from mcinj.networks import Network

_BLOCK = 16  # rows of the last layer whose gradients are composed at once


class ExactStream:
    """The earlier layers and the rows behind them as integers.

    An earlier layer is multiplied by one positive number, a row of the last layer by another for each: neither changes
    a sign or a rank.
    """

    def __init__(self, first: Network, rows: RowStream) -> None:
        self.n, self.rows = first.n, rows
        self._layers = integer_layers(first)
        self._last: IntegerRows = []

    def failing_layer(self, x: Sequence[int]) -> int | None:
        """First earlier layer whose active rows have rank below n next to x; None if none, or x is no inner point."""
        return self._earlier(x)[0]

    def reach(self, x: Sequence[int], have: int) -> int:
        """Largest width m <= have at which x shows a failure; 0 if x shows nothing.

        The rows that are not negative at x have rank below n: next to x lies a region where these are the only ones
        that may be active. All widths fail where an earlier layer does.
        """
        failed, on, hidden, jacobian = self._earlier(x)
        have = self._grow(have)
        if failed is not None:
            return have
        if jacobian is None or hidden is None:
            return 0
        values = (flint.fmpz_mat(self._last[:have]) * hidden).entries() if have else []
        active = [j for j in range(have) if values[j] >= 0]
        if not on:
            return have
        below = flint.fmpz_mat([[int(jacobian[i, c]) for c in range(self.n)] for i in on])
        found: IntegerRows = []
        for begin in range(0, len(active), _BLOCK):
            block = active[begin : begin + _BLOCK]
            product = flint.fmpz_mat([[self._last[j][i] for i in on] for j in block]) * below
            for k, j in enumerate(block):
                found.append([int(product[k, c]) for c in range(self.n)])
                if len(found) >= self.n and rank(found) == self.n:
                    return j
        return have

    def _grow(self, have: int) -> int:
        """Bring the rows up to `have`; how many of them there are."""
        if len(self._last) < have:
            matrix = np.asarray(self.rows.take(have), dtype=np.float64)
            self._last += [float_row(row) for row in matrix[len(self._last) :]]
        return min(have, len(self._last))

    def _earlier(self, x: Sequence[int]) -> tuple[int | None, list[int], flint.fmpz_mat | None, flint.fmpz_mat | None]:
        """(failing layer, active units of the last earlier layer, its outputs, its Jacobian).

        Without outputs and Jacobian where a layer fails, and where x is on a boundary of linear pieces.
        """
        below = flint.fmpz_mat([[int(v)] for v in x])
        jacobian: flint.fmpz_mat | None = None
        on: list[int] = []
        for k, layer in enumerate(self._layers, 1):
            values = layer * below
            if jacobian is None:
                jacobian = layer
            elif on:
                columns = flint.fmpz_mat([[int(layer[i, j]) for j in on] for i in range(layer.nrows())])
                jacobian = columns * flint.fmpz_mat([[int(jacobian[i, c]) for c in range(self.n)] for i in on])
            else:
                jacobian = flint.fmpz_mat(layer.nrows(), self.n)
            on = []
            for i in range(layer.nrows()):
                if values[i, 0] > 0:
                    on.append(i)
                elif values[i, 0] == 0 and any(jacobian[i, c] != 0 for c in range(self.n)):
                    return None, [], None, None
            rows = [[int(jacobian[i, c]) for c in range(self.n)] for i in on]
            if rank(rows[: self.n]) < self.n and rank(rows) < self.n:
                return k, on, None, None
            below = flint.fmpz_mat([[max(int(values[i, 0]), 0)] for i in range(layer.nrows())])
        return None, on, below, jacobian


def integer_layers(network: Network) -> list[flint.fmpz_mat]:
    """The weights of all layers, each layer times a positive integer."""
    return [flint.fmpz_mat(_integers(w)) for w in network.exact_weights]


def _integers(layer: Sequence[Sequence[Fraction]]) -> IntegerRows:
    """A layer times the least positive integer that makes it integral."""
    common = lcm(*(v.denominator for row in layer for v in row))
    return [[int(v.numerator * (common // v.denominator)) for v in row] for row in layer]


def integer_point(x: npt.NDArray[np.float64]) -> tuple[int, ...] | None:
    """The integer direction of a float vector; None for zero, nan and inf."""
    return tuple(float_row(x)) if np.isfinite(x).all() and x.any() else None
