"""Lower bounds for a layer from its opposite rows alone: cheap, for all inputs, at any width.

Of rows `w` and `-c w`, c > 0, with biases `b` and `-c b`, one is active everywhere but on a hyperplane. So they add at
least `min(1, c²) w wᵀ` to `A_SᵀA_S` in every cell. Their outputs at u = w·h + b and v = w·h' + b differ by at least
`min(1, c²) (u - v)²` in squares where both have one sign, and by `u² + c² v² >= c² (u - v)² / (1 + c²)` (Cauchy and
Schwarz) where u > 0 > v. The latter is the smaller one. For a linear last layer, `[W; -W]`, this is
|W (h - h')|² / 2, twice the square of what σ*/2 gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from mcinj.certify.rational import rank
from mcinj.decide.deep.scaling import nearest, power_of_two
from mcinj.decide.layer.exact import integer_row
from mcinj.networks.network import FractionMatrix, FractionVector
from mcinj.quantify import kernel
from mcinj.quantify.roots import root_above, root_below

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class OppositeBounds:
    """What opposite rows prove of a layer: floats at or below its σ* and its κ; 0 where they do not span the inputs.

    `all_rows`: whether every row belongs to a pair and both of its sides weigh the same. Then all cells have one Gram
    matrix, and `sigma_above` is at or above σ*; otherwise it is inf.
    """

    sigma: float
    kappa: float
    all_rows: bool = False
    sigma_above: float = math.inf


def from_opposites(weights: FractionMatrix, biases: FractionVector | None = None) -> OppositeBounds:
    """Bounds of `x ↦ ReLU(Wx + b)` on all inputs, W (m, n).

    >>> layer = [[Fraction(v) for v in row] for row in ((3, 0), (0, 4), (-3, 0), (0, -4))]
    >>> found = from_opposites(layer)
    >>> round(found.sigma, 6), round(found.kappa, 6), found.all_rows
    (3.0, 2.12132, True)
    >>> found.sigma <= 3 <= found.sigma_above
    True
    """
    n = len(weights[0])
    lines = _lines(weights, biases)
    pairs = [(key[:n], one, two) for key, (one, two) in lines.items() if one and two]
    if len(pairs) < n:
        return OppositeBounds(0.0, 0.0)
    rows = [key for key, _, _ in pairs]
    sigma = _least(rows, [min(one, two) for _, one, two in pairs], n)
    kappa = _least(rows, [one * two / (one + two) for _, one, two in pairs], n)
    if len(pairs) < len(lines) or any(one != two for _, one, two in pairs):
        return OppositeBounds(sigma, kappa)
    return OppositeBounds(sigma, kappa, True, _above(rows, [one for _, one, _ in pairs]))


def spanned_by_opposites(weights: FractionMatrix) -> bool:
    """Whether rows with an opposite one span the inputs: then rows at 0 or above have rank n in every direction."""
    pairs = [key for key, (one, two) in _lines(weights, None).items() if one and two]
    n = len(weights[0])
    return len(pairs) >= n and rank([[Fraction(v) for v in key] for key in pairs], n) == n


def _lines(weights: FractionMatrix, biases: FractionVector | None) -> dict[tuple[int, ...], list[Fraction]]:
    """Lines of the rows, as primitive integers: the squares of the rows' lengths on both sides, in units of the key."""
    lines: dict[tuple[int, ...], list[Fraction]] = {}
    for i, w in enumerate(weights):
        if not any(w):
            continue
        row = [*w, *(() if biases is None else (biases[i],))]
        integers = integer_row(row)
        size = math.gcd(*integers)
        place = next(j for j, v in enumerate(integers) if v)
        side = 0 if integers[place] > 0 else 1
        key = tuple((v if side == 0 else -v) // size for v in integers)
        lines.setdefault(key, [Fraction(0), Fraction(0)])[side] += (row[place] / key[place]) ** 2
    return lines


def two_sided(
    weights: FractionMatrix, biases: FractionVector | None, following: FractionMatrix
) -> tuple[float, FractionMatrix] | None:
    """A hidden layer that keeps both signs of all of its units, as a leaky ReLU does; None if this is no such layer.

    Units `w` and `-w` give p and n, ReLU(z) and ReLU(-z), to a following layer with columns v and `-a v`, a > 0: all
    that it sees is v (p - a n), an activation of z with slopes 1 and a. Returned are a lower bound of
    |g(x) - g(x')| / |x - x'| of these activations g (the least singular value of the rows min(1, a) w), and the
    following weights on them, one column per pair.
    """
    places: dict[tuple[Fraction, ...], list[int]] = {}
    rows = [(*w, *(() if biases is None else (biases[i],))) for i, w in enumerate(weights)]
    pairs = []
    for i, row in enumerate(rows):
        partners = places.get(tuple(-v for v in row))
        if partners:
            pairs.append((partners.pop(), i))
        else:
            places.setdefault(row, []).append(i)
    if 2 * len(pairs) != len(rows):
        return None
    factors = []
    for i, j in pairs:
        ratio = _opposite_ratio([row[i] for row in following], [row[j] for row in following])
        if ratio is None:
            return None
        factors.append(min(Fraction(1), ratio))
    n = len(weights[0])
    keys = [tuple(integer_row(list(weights[i]))) for i, _ in pairs]
    squares = []
    for (i, _), key, factor in zip(pairs, keys, factors, strict=True):
        place = next((k for k, v in enumerate(key) if v), 0)
        squares.append((factor * weights[i][place] / key[place]) ** 2 if any(key) else Fraction(0))
    bound = _least(keys, squares, n) if len(pairs) >= n else 0.0
    return bound, tuple(tuple(row[i] for i, _ in pairs) for row in following)


def _opposite_ratio(one: Sequence[Fraction], two: Sequence[Fraction]) -> Fraction | None:
    """a > 0 with `two = -a one`, or None."""
    place = next((k for k, v in enumerate(one) if v), None)
    if place is None:
        return None
    ratio = -two[place] / one[place]
    return ratio if ratio > 0 and all(b == -ratio * a for a, b in zip(one, two, strict=True)) else None


def _scaled(rows: Sequence[tuple[int, ...]], squares: Sequence[Fraction]) -> tuple[Floats, Fraction]:
    """The rows, the i-th times the root of `squares[i]` rounded down, over a power of two: floats, and that power."""
    factors = [Fraction(root_below(s)) for s in squares]
    scaled = [[f * v for v in row] for f, row in zip(factors, rows, strict=True)]
    scale = power_of_two([v for row in scaled for v in row])
    return np.array([[nearest(v / scale) for v in row] for row in scaled]), scale


def _least(rows: Sequence[tuple[int, ...]], squares: Sequence[Fraction], n: int) -> float:
    """A proved lower bound of the least singular value of the rows, the i-th times the root of `squares[i]`."""
    matrix, scale = _scaled(rows, squares)
    gram = matrix.T @ matrix
    floor, trace = float(np.linalg.eigvalsh(gram)[0]), float(np.trace(gram))
    less = 1e-12
    while floor > less * trace:
        square = floor - less * trace
        if kernel.positive_definite(gram, square, len(rows), np.empty((n, n))):
            return root_below(Fraction(square) * scale**2)
        less *= 4.0
    return 0.0


def _above(rows: Sequence[tuple[int, ...]], squares: Sequence[Fraction]) -> float:
    """An upper bound of the same: the length of the image of one direction, in rationals."""
    direction = [Fraction(float(v)) for v in np.linalg.svd(_scaled(rows, squares)[0])[2][-1]]
    image = Fraction(0)
    for row, square in zip(rows, squares, strict=True):
        image += square * sum(a * d for a, d in zip(row, direction, strict=True)) ** 2
    return root_above(image / sum(d * d for d in direction))
