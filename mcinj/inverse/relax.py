"""Which patterns of positive units leave no input near the output? Linear relaxations, refuted exactly.

Over the inputs x and the outputs h of all hidden units, a unit that is not decided yet is only known to give h >= z and
h >= a z (a: the slope, 0 for ReLU), and, on a bounded domain, to lie below its chord. Decided units, the output and the
domain are linear conditions. So units can be decided in any order, those next to the output first, and the output
counts from the start. A linear program in floats proposes rows that contradict each other; exact arithmetic confirms it
or the pattern stays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint
import numpy as np

from mcinj.decide.bounded.domain import Domain
from mcinj.inverse.algebra import Line, matrix, primitive_rows
from mcinj.inverse.layers import before
from mcinj.networks import Network
from mcinj.networks.network import FloatArray, FractionVector
from mcinj.quantify.roots import root_above

Unit = tuple[int, int]  # layer from 0, unit
Row = list[Fraction]

_STRAIN = 1e4  # price of violating rows, where the reward of meeting strict rows is at most 1
_SUPPORT = 1e-9  # multipliers below this share of the largest count as zero
_TINY = 1e-9  # gains of the linear program below this are no gain


@dataclass
class _Rows:
    """Rows (g, c), g·v + c <= 0 (< 0 where strict), as integers and as floats scaled to largest entry 1."""

    lines: list[Line]
    floats: FloatArray
    strict: list[bool]


class Relaxation:
    """The relaxation of `|f_i(x) - y_i| <= radius` for all i, for any partial pattern of the hidden units.

    `linear`: the last layer has no ReLU.
    """

    def __init__(
        self, network: Network, y: FractionVector, radius: Fraction, domain: Domain | None, slope: Fraction,
        linear: bool = False,
    ) -> None:  # fmt: skip
        self.network, self.slope, self.n, self.linear = network, slope, network.n, linear
        hidden = network.widths[:-1]
        self.starts = [network.n + sum(hidden[:k]) for k in range(len(hidden))]
        self.size = network.n + sum(hidden)
        self.units: list[Unit] = [(k, i) for k, m in enumerate(hidden) for i in range(m)]
        self._z = {(k, i): self._pre_activation(k, i) for k, m in enumerate(network.widths) for i in range(m)}
        rows = [] if domain is None else self._fence(domain)
        for unit in self.units:
            z, h = self._z[unit], self._output(unit)
            rows.append((_minus(z, h), False))
            rows.append((_minus(_times(slope, z), h), False))
        rows += self._near(y, radius)
        if domain is not None:
            rows += self._chords(domain)
        self._base = self._ready(rows)
        self._sides = {(unit, on): self._ready(self._side(unit, on)) for unit in self.units for on in (False, True)}
        self._z_floats = _as_floats([self._z[u] for u in self.units])

    def look(self, signs: Mapping[Unit, bool]) -> FloatArray | None:
        """None: proved that no input has this pattern and an output near y; else a point of the relaxation, a guess."""
        parts = [self._base, *(self._sides[unit, on] for unit, on in signs.items())]
        floats = np.vstack([part.floats for part in parts])
        strict = np.concatenate([np.array(part.strict, dtype=bool) for part in parts])
        found = _program(floats, strict)
        if found is None:
            return np.zeros(self.size)
        value, point, multipliers = found
        if value < _TINY:
            lines = [line for part in parts for line in part.lines]
            if contradiction(lines, strict.tolist(), multipliers):
                return None
        return point

    def open_unit(self, signs: Mapping[Unit, bool], point: FloatArray) -> tuple[Unit, bool] | None:
        """The undecided unit whose output at the point is most in excess of its pre-activation's, with its side there.

        Without an excess anywhere: the unit farthest from 0 in the last layer that has undecided ones.
        """
        left = [i for i, u in enumerate(self.units) if u not in signs]
        if not left:
            return None
        z = self._z_floats[left, :-1] @ point + self._z_floats[left, -1]
        h = np.array([point[self.starts[k] + i] for k, i in (self.units[j] for j in left)])
        excess = (h - np.maximum(z, float(self.slope) * z)) / (1.0 + np.abs(h) + np.abs(z))
        worst = int(np.argmax(excess))
        if not excess[worst] > 1e-7:  # also nan
            last = max(self.units[j][0] for j in left)
            worst = max((s for s, j in enumerate(left) if self.units[j][0] == last), key=lambda s: abs(z[s]))
        return self.units[left[worst]], bool(z[worst] > 0)

    def _pre_activation(self, k: int, i: int) -> Row:
        row = [Fraction(0)] * (self.size + 1)
        start = 0 if k == 0 else self.starts[k - 1]
        weights = self.network.exact_weights[k][i]
        row[start : start + len(weights)] = weights
        if self.network.exact_biases is not None:
            row[-1] = self.network.exact_biases[k][i]
        return row

    def _output(self, unit: Unit) -> Row:
        row = [Fraction(0)] * (self.size + 1)
        row[self.starts[unit[0]] + unit[1]] = Fraction(1)
        return row

    def _side(self, unit: Unit, on: bool) -> list[tuple[Row, bool]]:
        z, h = self._z[unit], self._output(unit)
        if on:
            return [(_minus(h, z), False), (_times(Fraction(-1), z), True)]
        return [(_minus(h, _times(self.slope, z)), False), (z, False)]

    def _near(self, y: FractionVector, radius: Fraction) -> list[tuple[Row, bool]]:
        rows = []
        last = self.network.depth - 1
        for i, value in enumerate(y):
            z = self._z[last, i]
            leak = Fraction(1) if self.linear else self.slope
            low, high = before(value - radius, leak), before(value + radius, leak)
            if high is None:  # no output of a ReLU is negative
                rows.append(([Fraction(0)] * self.size + [Fraction(1)], False))
                continue
            rows.append((_shift(z, -high), False))
            if low is not None and (leak or low > 0):
                rows.append((_shift(_times(Fraction(-1), z), low), False))
        return rows

    def _fence(self, domain: Domain) -> list[tuple[Row, bool]]:
        extra = [Fraction(0)] * (self.size - self.n)
        return [([-v for v in row[: self.n]] + extra + [-row[self.n]], True) for row in domain.fence(self.n)]

    def _chords(self, domain: Domain) -> list[tuple[Row, bool]]:
        """Upper bounds of hidden outputs: exact interval arithmetic from the domain on."""
        rows = []
        a = self.slope
        bounds = [(Fraction(domain.low), Fraction(domain.high))] * self.n
        for k in range(self.network.depth - 1):
            following = []
            for i, weights in enumerate(self.network.exact_weights[k]):
                z, h = self._z[k, i], self._output((k, i))
                pairs = [(w * p, w * q) for w, (p, q) in zip(weights, bounds, strict=True)]
                low, high = z[-1] + sum(map(min, pairs)), z[-1] + sum(map(max, pairs))
                if k == 0 and domain.shape == "ball":
                    length = root_above(sum((w * w for w in weights), Fraction(0)))
                    if math.isfinite(length):
                        reach = Fraction(length) * Fraction(domain.high)
                        low, high = max(low, z[-1] - reach), min(high, z[-1] + reach)
                if low >= 0:
                    rows.append((_minus(h, z), False))
                elif high <= 0:
                    rows.append((_minus(h, _times(a, z)), False))
                else:
                    rise = (high - a * low) / (high - low)  # the chord from (low, a low) to (high, high)
                    rows.append((_shift(_minus(h, _times(rise, z)), rise * high - high), False))
                following.append((max(low, a * low), max(high, a * high)))
            bounds = following
        return rows

    def _ready(self, rows: Sequence[tuple[Row, bool]]) -> _Rows:
        lines = primitive_rows(matrix([row for row, _ in rows], self.size + 1)) if rows else []
        return _Rows(lines, _as_floats(lines), [strict for _, strict in rows])


def contradiction(lines: Sequence[Line], strict: Sequence[bool], multipliers: FloatArray) -> bool:
    """Whether rows (g, c) <= 0 (< 0 where strict) are proved to contradict each other by multipliers near these.

    `multipliers` belong to the rows scaled to largest entry 1. Those that the others leave free are taken as they are,
    the others follow exactly from Σ λ g = 0; with all λ >= 0, Σ λ c > 0 is a proof, and so is 0 with a strict λ > 0.
    """
    support: dict[tuple[int, ...], tuple[int, float]] = {}
    for i in np.flatnonzero(multipliers > _SUPPORT * multipliers.max(initial=0.0)).tolist():
        weight = float(multipliers[i])
        opposite = support.pop(tuple(-v for v in lines[i]), None)
        if opposite is None:
            support[tuple(lines[i])] = (i, weight)
        elif strict[i] or strict[opposite[0]]:
            return True  # r < 0 and -r <= 0
        elif opposite[1] > weight:  # what is left of the two halves of an equation
            support[tuple(lines[opposite[0]])] = (opposite[0], opposite[1] - weight)
        elif opposite[1] < weight:
            support[tuple(lines[i])] = (i, weight - opposite[1])
    # Large multipliers first: they become pivots, which small changes of the others leave positive.
    chosen = sorted(support.values(), key=lambda pair: -pair[1])
    if not chosen:
        return False
    columns = len(lines[0]) - 1
    system, common, rank = flint.fmpz_mat([[lines[i][j] for i, _ in chosen] for j in range(columns)]).rref()
    pivots: list[int] = []
    for i in range(rank):
        start = pivots[-1] + 1 if pivots else 0
        pivots.append(next(j for j in range(start, len(chosen)) if system[i, j] != 0))
    free = [j for j in range(len(chosen)) if j not in set(pivots)]
    # Of the integer row, which is its scaled self times `top`.
    factors = {j: Fraction(chosen[j][1]) / (max(map(abs, lines[chosen[j][0]])) or 1) for j in free}
    for i, pivot in enumerate(pivots):
        factors[pivot] = -sum((int(system[i, j]) * factors[j] for j in free), Fraction(0)) / int(common)
    if any(v < 0 for v in factors.values()):
        return False
    total = sum((f * lines[chosen[j][0]][-1] for j, f in factors.items()), Fraction(0))
    return total > 0 or (total == 0 and any(f > 0 and strict[chosen[j][0]] for j, f in factors.items()))


def _minus(a: Row, b: Row) -> Row:
    return [p - q for p, q in zip(a, b, strict=True)]


def _times(factor: Fraction, a: Row) -> Row:
    return [factor * v for v in a]


def _shift(a: Row, constant: Fraction) -> Row:
    return [*a[:-1], a[-1] + constant]


def _as_floats(rows: Sequence[Sequence[Any]]) -> FloatArray:
    """Rows scaled to largest entry 1, in floats."""
    result = np.zeros((len(rows), len(rows[0]) if rows else 0))
    for i, row in enumerate(rows):
        values = [Fraction(v) for v in row]
        top = max(abs(v) for v in values) or Fraction(1)
        result[i] = [float(v / top) for v in values]
    return result


def _program(
    rows: FloatArray, strict: np.ndarray[Any, np.dtype[np.bool_]]
) -> tuple[float, FloatArray, FloatArray] | None:
    """`max s - strain t`, rows <= t, strict rows <= t - s, 0 <= s <= 1, t >= 0: (value, point, multipliers)."""
    from scipy.optimize import linprog

    d = rows.shape[1] - 1
    answer = linprog(
        np.concatenate([np.zeros(d), [-1.0, _STRAIN]]),
        A_ub=np.hstack([rows[:, :d], strict[:, None].astype(float), -np.ones((len(rows), 1))]), b_ub=-rows[:, d],
        bounds=[(None, None)] * d + [(0.0, 1.0), (0.0, None)], method="highs",
    )  # fmt: skip
    if answer.status != 0 or answer.x is None or answer.fun is None or not np.isfinite(answer.x).all():
        return None
    return float(-answer.fun), answer.x[:d], -np.asarray(answer.ineqlin.marginals)
