"""From a pair of floats to a pair of rationals with equal outputs, and to rays of such pairs: all exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import flint

from mcinj.certify.witness import Witness
from mcinj.inverse.algebra import Matrix, chosen, fraction, solutions, stacked
from mcinj.inverse.interior import relative_interior
from mcinj.inverse.layers import after, layer_rows
from mcinj.inverse.pair_region import Bits, Patterns
from mcinj.networks import Network
from mcinj.networks.network import FloatArray, FractionVector

# Shares of the way back to a point well inside that are tried where rounding has left the region.
_BACK = (0.0, 2.0**-46, 2.0**-40, 2.0**-34, 2.0**-28, 2.0**-22, 2.0**-16, 2.0**-10, 2.0**-4)


class ExactPairs:
    """Exact pairs of one network; `network` in the units of the search (`mcinj.decide.deep.scaling.in_units_of`)."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.layers = [layer_rows(network, k) for k in range(network.depth)]

    def pair(
        self, patterns: Patterns, v: FloatArray, center: FloatArray, holds: Callable[[FractionVector], bool]
    ) -> Witness | None:
        """A rational pair next to v, (2n,), with equal outputs and both inputs in the domain; None: none was found.

        Where v is one input twice, so may be the pair.

        The equations of the patterns are solved exactly; what rounding breaks of the inequalities, a step towards the
        center mends.
        """
        n = self.network.n
        onto = solutions(self._equations(patterns, [self._rows(h) for h in (patterns.first, patterns.second)]))
        if onto is None:
            return None
        free = _free_columns(onto)
        for back in _BACK:
            w = [flint.fmpq(*float(v[j] * (1.0 - back) + center[j] * back).as_integer_ratio()) for j in free]
            z = [fraction(t) for t in (onto * flint.fmpq_mat(len(w) + 1, 1, [*w, 1])).entries()[:-1]]
            found = Witness(tuple(z[:n]), tuple(z[n:]))
            if not (holds(found.x) and holds(found.x_prime)):
                continue
            if self.network.exact_forward(found.x) == self.network.exact_forward(found.x_prime):
                return found
        return None

    def ray(self, patterns: Patterns, u: Sequence[Fraction]) -> Witness | None:
        """Directions (d, d') with u·(d - d') > 0 along which pairs with these patterns stay such pairs; None: none."""
        n = self.network.n
        sides = [self._rows(h) for h in (patterns.first, patterns.second)]
        equations = _without_constants(self._equations(patterns, sides))
        onto = solutions(equations)
        assert onto is not None  # 0 solves them
        parts = []
        for side, (rows, hidden) in enumerate(zip(sides, (patterns.first, patterns.second), strict=True)):
            for layer, on in zip(rows, (*hidden, patterns.last), strict=True):
                signed = [[-v if on[i] else v for v in row] for i, row in enumerate(layer.tolist())]
                parts.append(_placed(flint.fmpq_mat(layer.nrows(), n + 1, [v for row in signed for v in row]), side, n))
        apart = flint.fmpq_mat(
            1, 2 * n + 1, [flint.fmpq(s * t.numerator, t.denominator) for s in (-1, 1) for t in u] + [0]
        )
        cone = _without_constants(stacked([*parts, apart], 2 * n + 1)) * onto
        inside = relative_interior(cone, frozenset({cone.nrows() - 1}))
        if inside is None:
            return None
        z = inside.values(onto)[:-1]
        return Witness(tuple(z[:n]), tuple(z[n:]))

    def _rows(self, hidden: Sequence[Bits]) -> list[Matrix]:
        """Pre-activations of every layer over (x, 1)."""
        rows = [self.layers[0]]
        for layer, on in zip(self.layers[1:], hidden, strict=True):
            rows.append(after(rows[-1], layer, on.tolist()))
        return rows

    def _equations(self, patterns: Patterns, sides: Sequence[Sequence[Matrix]]) -> Matrix:
        """Rows over (x, x', 1) that vanish where the outputs are equal."""
        n = self.network.n
        on = [i for i, v in enumerate(patterns.last) if v]
        return _placed(chosen(sides[0][-1], on), 0, n) - _placed(chosen(sides[1][-1], on), 1, n)


def ray_holds(network: Network, pair: Witness, ray: Witness) -> bool:
    """Whether f(x + t d) = f(x' + t d') for all t >= 0, by exact arithmetic: no unit changes its side on either ray."""
    ends = []
    for x, d in ((pair.x, ray.x), (pair.x_prime, ray.x_prime)):
        value, slope = list(x), list(d)
        for k, w in enumerate(network.exact_weights):
            step: list[tuple[Fraction, Fraction]] = []
            for i, row in enumerate(w):
                z = _dot(row, value) + (0 if network.exact_biases is None else network.exact_biases[k][i])
                s = _dot(row, slope)
                if z * s < 0:
                    return False
                step.append((z, s) if z > 0 or s > 0 else (Fraction(0), Fraction(0)))
            value, slope = [z for z, _ in step], [s for _, s in step]
        ends.append((value, slope))
    return ends[0] == ends[1]


def _dot(a: Sequence[Fraction], b: Sequence[Fraction]) -> Fraction:
    return sum((s * t for s, t in zip(a, b, strict=True) if s and t), Fraction(0))


def _free_columns(onto: Matrix) -> list[int]:
    """The coordinates of z that w is made of (`mcinj.inverse.algebra.solutions`)."""
    rows: list[list[Any]] = onto.tolist()
    size = onto.ncols()
    return [
        next(i for i, row in enumerate(rows) if row[k] == 1 and sum(v != 0 for v in row) == 1) for k in range(size - 1)
    ]


def _placed(rows: Matrix, side: int, n: int) -> Matrix:
    """Rows over (x, 1) or (x', 1) as rows over (x, x', 1)."""
    result = flint.fmpq_mat(rows.nrows(), 2 * n + 1)
    for i in range(rows.nrows()):
        for j in range(n):
            result[i, side * n + j] = rows[i, j]
        result[i, 2 * n] = rows[i, n]
    return result


def _without_constants(rows: Matrix) -> Matrix:
    last = rows.ncols() - 1
    return flint.fmpq_mat(
        rows.nrows(), last + 1, [rows[i, j] if j < last else 0 for i in range(rows.nrows()) for j in range(last + 1)]
    )
