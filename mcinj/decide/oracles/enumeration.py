"""Direct enumeration of all regions by LP (HiGHS): slow, plain, shares nothing with the searches it checks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mcinj.certify.rational import rank
from mcinj.decide.deep.affine import LayerRows, first_layer, next_layer, off_the_walls
from mcinj.decide.oracles.highs import silent_model, solve_lp
from mcinj.networks import Network
from mcinj.networks.network import FloatArray

MARGIN = 1e-9


@dataclass(frozen=True)
class Enumeration:
    """What all regions of a network say together.

    regions         number of open regions
    min_active      per layer, the least number of active units in any region
    min_rank        least rank of the Jacobian in any region; n means that the `regional` criterion passes
    """

    regions: int
    min_active: tuple[int, ...]
    min_rank: int


def enumerate_regions(network: Network) -> Enumeration:
    """Visit every open region of a small network (a few hundred thousand at most) without biases or with.

    Sign patterns are extended unit by unit; an extension is kept when an LP finds a point with margin above
    1e-9 (rows scaled to largest entry about 1, `|x|_∞ <= 1`), so thinner regions are missed: this is an oracle
    for networks of moderate size, not a proof.
    """
    regions, least = 0, network.n
    active = list(network.widths)
    for counts, lowest in _regions(network, 1, first_layer(network), [], _start(network)):
        regions += 1
        least = min(least, lowest)
        active = [min(a, c) for a, c in zip(active, counts, strict=True)]
    return Enumeration(regions, tuple(active), least)


def _start(network: Network) -> list[FloatArray]:
    return [np.eye(network.n + 1)[-1]] if network.has_biases else []


def _regions(
    network: Network, k: int, rows: LayerRows, counts: list[int], signed: list[FloatArray]
) -> Iterator[tuple[list[int], int]]:
    lp = _Lp(signed, rows)
    alive = [i for i in range(len(rows.exact)) if any(rows.exact[i])]
    for active in _cells(lp, rows, alive):
        lowest = rank([rows.exact[i][: network.n] for i in active], network.n)
        here = [*counts, len(active)]
        if k == network.depth:
            yield here, lowest
            continue
        on = set(active)
        below = [*signed, *((1.0 if i in on else -1.0) * rows.floats[i] for i in alive)]
        for found, deeper in _regions(network, k + 1, next_layer(network, k, rows, active), here, below):
            yield found, min(lowest, deeper)


def _cells(lp: _Lp, rows: LayerRows, alive: list[int]) -> Iterator[list[int]]:
    """Active sets of all cells of one layer inside the cone of the LP, depth first in the order of the units."""
    first = lp.solve({})
    stack: list[tuple[int, dict[int, int], FloatArray | None]] = [(0, {}, first)]
    while stack:
        depth, signs, x = stack.pop()
        if depth == len(alive):
            yield [i for i, s in signs.items() if s > 0]
            continue
        unit = alive[depth]
        value = 0.0 if x is None else float(rows.floats[unit] @ x)
        for sign in (-1, 1):
            extended = {**signs, unit: sign}
            # The side that the parent's point lies on needs no LP.
            point = x if sign * value > MARGIN else lp.solve(extended)
            if point is not None:
                stack.append((depth + 1, extended, point))


class _Lp:
    """``max t`` over a cone cut by signed rows of one layer; rows come and go by their bounds."""

    def __init__(self, signed: list[FloatArray], rows: LayerRows) -> None:
        self._hs, self._model = silent_model()
        inf = self._hs.kHighsInf
        self._rows, self._signed = rows, np.array(signed).reshape(-1, rows.floats.shape[1])
        self._columns = rows.floats.shape[1]
        for _ in range(self._columns):
            self._model.addVar(-1.0, 1.0)
        self._model.addVar(-inf, 1.0)
        self._model.changeColCost(self._columns, -1.0)
        index = np.arange(self._columns + 1, dtype=np.int32)
        for row in signed:
            self._model.addRow(0.0, inf, len(index), index, np.append(row, -1.0))
        self._offset = len(signed)
        for row in rows.floats:
            self._model.addRow(-inf, inf, len(index), index, np.append(row, -1.0))
            self._model.addRow(-inf, inf, len(index), index, np.append(row, 1.0))
        self._set: dict[int, int] = {}

    def solve(self, signs: dict[int, int]) -> FloatArray | None:
        """A point off all walls of the layer with the given signs, or None."""
        inf = self._hs.kHighsInf
        for i in self._set.keys() | signs.keys():
            now, then = signs.get(i, 0), self._set.get(i, 0)
            if now != then:
                row = self._offset + 2 * i
                self._model.changeRowBounds(row, 0.0 if now > 0 else -inf, inf)
                self._model.changeRowBounds(row + 1, -inf, 0.0 if now < 0 else inf)
        self._set = dict(signs)
        values = solve_lp(self._hs, self._model).col_value
        if values[self._columns] <= MARGIN:
            return None
        return off_the_walls(self._rows, np.array(values[: self._columns]), values[self._columns])
