"""Whether a cell meets a ball around the origin: exact answers, guided by its least-norm point in floats."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from mcinj.decide.layer.exact import integer_row
from mcinj.networks.network import FractionVector
from mcinj.quantify.roots import root_above
from mcinj.quantify.search import PatternSearch

_TRIES = 4


def point_in_ball(search: PatternSearch, radius: Fraction) -> FractionVector | None:
    """A point of the leaf's cell with `|x| < radius`, its last coordinate 1; None if there is none. Both are proved.

    The ball lies inside of every half space `z·x < radius |z|`. A cell without a point in some of them has none in the
    ball; its least-norm point z names the one that matters. Where floats do not tell, as at a cell that touches the
    ball, that point is found in rationals. With None, `search.excluded` holds rows of the cell that have no common
    point in the ball.
    """
    n = search.n
    point = search.point[:n]
    if _inside(point, radius):
        return search.point
    signed = [[-v for v in row] for row in search.required_rows()]  # positive inside
    top = [max(abs(v) for v in row) or 1 for row in signed]
    c = np.array([[float(Fraction(v, t)) for v in row[:n]] for row, t in zip(signed, top, strict=True)])
    d = -np.array([float(Fraction(row[n], t)) for row, t in zip(signed, top, strict=True)])
    z = _least_norm(c, d)
    for _ in range(_TRIES):
        near = tuple(Fraction(float(v)) for v in z)
        # Just inside the cell from its least-norm point, towards a point that is inside.
        for bits in (2, 5, 10, 20, 30, 40):
            between = _between(near, point, Fraction(1, 2**bits))
            if _inside(between, radius) and search.holds((*between, Fraction(1))):
                return (*between, Fraction(1))
        length = Fraction(root_above(sum((v * v for v in near), Fraction(0))))
        if not length:
            break
        other = search.beyond(integer_row([*near, -radius * length]))
        if other is None:
            return None
        point = tuple(v / other[-1] for v in other[:-1])
        if _inside(point, radius):
            return (*point, Fraction(1))
        z = np.array([float(v) for v in point])
    return _exactly(search, radius, search.point[:n])


def _exactly(search: PatternSearch, radius: Fraction, point: FractionVector) -> FractionVector | None:
    """The same by the least-norm point of the closed cell over the rationals."""
    from mcinj.inverse.algebra import matrix
    from mcinj.inverse.quadratic import least_squares

    n = search.n
    # Over (x, 1), where t = 1 is no condition.
    rows = [row for row in search.required_rows() if any(row[:n])]
    coordinates = [[int(i == j) for j in range(n + 1)] for i in range(n)]
    near = least_squares(matrix(coordinates, n + 1), matrix(rows, n + 1))
    assert near is not None  # the cell has a point
    if near.value >= radius * radius:
        if search.beyond(integer_row([*near.point, -near.value])) is not None:
            raise RuntimeError("a half space that the cell lies beyond holds a point of it; please report this network")
        return None
    step = Fraction(1, 2)
    while True:
        between = _between(near.point, point, step)
        if _inside(between, radius) and search.holds((*between, Fraction(1))):
            return (*between, Fraction(1))
        step /= 2


def _between(x: FractionVector, other: FractionVector, share: Fraction) -> FractionVector:
    return tuple(a + share * (b - a) for a, b in zip(x, other, strict=True))


def _inside(x: FractionVector, radius: Fraction) -> bool:
    return sum((v * v for v in x), Fraction(0)) < radius * radius


def _least_norm(c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """The least-norm point of `{c x >= d}` in floats (Lawson and Hanson 1974, ch. 23); a guess where that fails."""
    from scipy.optimize import nnls

    e = np.vstack([c.T, d])
    f = np.zeros(len(e))
    f[-1] = 1.0
    try:
        u, _ = nnls(e, f)
    except RuntimeError:
        return np.zeros(c.shape[1])
    r = e @ u - f
    if abs(r[-1]) < 1e-14:
        return np.zeros(c.shape[1])
    z = -r[:-1] / r[-1]
    return z if np.isfinite(z).all() else np.zeros(c.shape[1])
