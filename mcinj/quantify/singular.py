"""The least singular value that any activation pattern of a layer has, by branch and bound, with a rigorous enclosure.

`σ* = min σ_min(A_S)` over the open cells that meet the domain, S the units that are active there. A further row raises
no singular value's floor: `σ_min(A_S) >= σ_min(A_T)` for S ⊃ T. So a node of the search whose declared active rows
already reach the incumbent is closed, and every cell gives an incumbent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj.certify.rational import kernel as exact_kernel
from mcinj.certify.rational import to_flint, to_fractions
from mcinj.networks.network import FractionMatrix, FractionVector
from mcinj.quantify import kernel
from mcinj.quantify.roots import LARGEST, root_above, root_below
from mcinj.quantify.search import PatternSearch, Rows

Floats = npt.NDArray[np.float64]
_MOST = Fraction(2) ** 1000


@dataclass(frozen=True)
class Cell:
    """A cell and the input direction that its active rows shorten most.

    Attributes
    ----------
    point
        A point inside, exact: n coordinates (a direction where the layer has neither biases nor domain).
    active
        Its active units, from 0.
    direction
        Rational direction v != 0.
    square
        `|A_S v|² / |v|²` exactly: an upper bound of the square of the least singular value.
    """

    point: FractionVector
    active: tuple[int, ...]
    direction: FractionVector
    square: Fraction


@dataclass(frozen=True)
class LeastSingular:
    """`low <= σ* <= high`, both proved, and the cell that shows `high` (None: no cell below the given bound)."""

    low: float
    high: float
    cell: Cell | None
    nodes: int
    complete: bool


def cell_at(rows: Rows, point: FractionVector, active: Sequence[int]) -> Cell:
    """The cell's least singular direction: of floats, or of the exact null space where the rank is not full."""
    chosen = [rows.rows[i][: rows.n] for i in active]
    integers, scale = to_flint(chosen, rows.n).numer_denom()
    if integers.rank() < rows.n:
        direction = exact_kernel(chosen, rows.n)[0]
    else:
        entries = [int(v) for v in integers.entries()]
        top = max(abs(v) for v in entries)
        v = np.linalg.svd(np.array([v / top for v in entries]).reshape(len(chosen), rows.n))[2][-1]
        direction = _refined(integers, tuple(Fraction(float(x)) for x in v))
    return Cell(point[: rows.n], tuple(active), direction, shortening(integers, direction) / int(scale) ** 2)


def _refined(matrix: Any, direction: FractionVector) -> FractionVector:
    """Inverse iteration over the integers: floats alone miss small singular values of rows of very different sizes."""
    gram = matrix.transpose() * matrix
    square = shortening(matrix, direction)
    for _ in range(6):
        w = to_fractions(gram.solve(_column(direction)).entries())
        # 64 bits of the largest entry are enough, and keep the numbers short.
        top = max(abs(v) for v in w)
        following = tuple(Fraction(round(v / top * 2**64), 2**64) for v in w)
        reached = shortening(matrix, following)
        if not reached < square:
            break
        direction, enough = following, reached > square * Fraction(1_000_000 - 1, 1_000_000)
        square = reached
        if enough:
            break
    return direction


def shortening(matrix: Any, direction: FractionVector) -> Fraction:
    """`|A v|² / |v|²`, exactly; A an `fmpz_mat`."""
    v = _column(direction)
    image = matrix * v
    return Fraction(int((image.transpose() * image)[0, 0]), int((v.transpose() * v)[0, 0]))


def _column(direction: FractionVector) -> Any:
    """The direction times its common denominator, an `fmpz_mat` with one column."""
    return to_flint([[v] for v in direction], 1).numer_denom()[0]


def exceeds(rows: FractionMatrix, n: int, square: Fraction) -> bool:
    """Whether `A^T A - square I` is positive definite, exactly (LDL^T over the rationals)."""
    h = [
        [sum((r[i] * r[j] for r in rows), Fraction(0)) - (square if i == j else 0) for j in range(n)] for i in range(n)
    ]
    for k in range(n):
        if h[k][k] <= 0:
            return False
        for i in range(k + 1, n):
            f = h[i][k] / h[k][k]
            if f:
                h[i] = [a - f * b for a, b in zip(h[i], h[k], strict=True)]
    return True


def least_singular(
    rows: Rows,
    *,
    tolerance: float = 1e-6,
    limit: int,
    below: float = math.inf,
    start: Sequence[tuple[FractionVector, Sequence[int]]] = (),
    meets: Callable[[PatternSearch], FractionVector | None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> LeastSingular:
    """Enclose σ* of `rows`, or show that it is at least `below`.

    Parameters
    ----------
    tolerance
        Relative width aimed at: `low >= (1 - tolerance) high`, unless the limit ends the search first.
    limit
        Most nodes. Beyond it `low` is 0.
    start
        Points with the active units of their cells, checked by the caller.
    meets
        For a domain that its walls do not describe (a ball): a point of the leaf's cell inside of it, None if there is
        none.
    """
    search = PatternSearch(rows)
    search.tau[0] = math.inf
    best: Cell | None = None
    high, beyond = below, False  # beyond: a cell whose value no float holds
    scale = Fraction(search.scale)
    target = Fraction(0)  # square of the lower end, in the search's units

    def aim(value: float) -> None:
        nonlocal target
        if math.isinf(value):
            search.tau[0] = math.inf
            return
        # Regions may be of sizes so different that no float holds the ratio; what no row reaches closes nothing.
        goal = min((Fraction(value) * (1 - Fraction(tolerance)) / scale) ** 2, _MOST)
        search.tau[0] = min(float(goal), search.tau[0])
        target = Fraction(float(search.tau[0]))

    def take(cell: Cell) -> None:
        nonlocal best, high, beyond
        value = root_above(cell.square)
        beyond |= math.isinf(value)
        if value < high:
            best, high = cell, value
            aim(value)

    aim(high)
    for point, active in start:
        take(cell_at(rows, point, active))

    def leaf() -> bool:
        nonlocal target
        active = search.active()
        point = search.point if meets is None else meets(search)
        if point is None:
            return False
        take(cell_at(rows, point, active))
        # The node is closed once its own rows are proved to reach the target, which lies below their value.
        d = int(search.gi[kernel.DEPTH])
        less = 1e-9
        while high > 0 and target > 0:
            if kernel.positive_definite(search.GRAM[d], search.tau[0], len(active), np.empty((rows.n, rows.n))):
                return True
            chosen = tuple(tuple(v / scale for v in rows.rows[i][: rows.n]) for i in active)
            if exceeds(chosen, rows.n, target):
                return True
            search.tau[0] *= 1.0 - less
            less = min(0.5, 4.0 * less)
            target = Fraction(float(search.tau[0]))
        return True

    done = search.run(leaf, limit, lambda: high == 0.0 or (stop is not None and stop()))
    if high == 0.0:
        return LeastSingular(0.0, 0.0, best, search.nodes, True)
    low = root_below(target * scale * scale) if done else 0.0
    if done and best is None and math.isinf(high):
        low = LARGEST if beyond else math.inf  # inf: no cell meets the domain
    return LeastSingular(low, high, best, search.nodes, done)
