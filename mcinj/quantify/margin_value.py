"""The margin of one direction or one point, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from mcinj.certify.rational import rank
from mcinj.networks.network import FractionMatrix, FractionVector, exact_product
from mcinj.quantify.roots import root_above, root_below


def bottleneck(rows: FractionMatrix, order: Sequence[int], n: int) -> int:
    """The least k such that the rows `order[:k]` have rank n; they have it together."""
    low, high = n, len(order)
    while low < high:
        middle = (low + high) // 2
        if rank([rows[i] for i in order[:middle]], n) == n:
            high = middle
        else:
            low = middle + 1
    return low


@dataclass(frozen=True)
class Value:
    """ρ at a point: the largest t such that the rows at t or above have rank n.

    Attributes
    ----------
    x
        The point, exact (n,).
    level
        `ρ(x)`: of rows `a_i·x + b_i`, not divided by any length.
    above
        Rows strictly above the level: their rank is below n.
    square
        `|x|²`, or 1 where points of a ball are meant, not directions: the margin is `level / sqrt(square)`.
    """

    x: FractionVector
    level: Fraction
    above: tuple[int, ...]
    square: Fraction

    @classmethod
    def at(cls, rows: FractionMatrix, biases: FractionVector | None, x: FractionVector) -> Value:
        """Of rows of full rank; with biases x is a point, else a direction != 0."""
        n = len(x)
        values = exact_product(rows, x)
        if biases is not None:
            values = tuple(v + b for v, b in zip(values, biases, strict=True))
        order = sorted(range(len(rows)), key=lambda i: -values[i])
        level = values[order[bottleneck(rows, order, n) - 1]]
        above = tuple(i for i, v in enumerate(values) if v > level)
        square = Fraction(1) if biases is not None else sum((v * v for v in x), Fraction(0))
        return cls(x, level, above, square)

    @property
    def key(self) -> Fraction:
        """The margin's square with its sign: orders values exactly."""
        return self.level * abs(self.level) / self.square

    @property
    def high(self) -> float:
        """The margin, rounded up."""
        key = self.key
        if key == 0:
            return 0.0
        return root_above(key) if key > 0 else -root_below(-key)
