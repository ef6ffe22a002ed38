"""Whether a cell meets a ball around the origin: exact answers, guided by its least-norm point in floats."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from mcinj.decide.onelayer_exact import circuit_or_point, integer_row
from mcinj.networks.network import FractionVector
from mcinj.quantify.roots import root_above
from mcinj.quantify.search import PatternSearch

_TRIES = 12


class Undecided(Exception):
    """The cell touches the ball, or comes closer to it than was tried."""


def point_in_ball(search: PatternSearch, radius: Fraction) -> FractionVector | None:
    """A point of the leaf's cell with `|x| < radius`, None if there is none, both proved; else `Undecided`.

    The ball lies inside of every half space `z·x < radius |z|`. A cell without a point in some of them has none in the
    ball; its least-norm point z names the one that matters.
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
    cuts: list[list[int]] = []
    for _ in range(_TRIES):
        near = tuple(Fraction(float(v)) for v in z)
        # Just inside the cell from its least-norm point, towards a point that is inside.
        for bits in (2, 5, 10, 20, 30, 40):
            t = Fraction(1, 2**bits)
            between = tuple(a + t * (b - a) for a, b in zip(near, point, strict=True))
            if _inside(between, radius) and search.holds((*between, Fraction(1))):
                return (*between, Fraction(1))
        length = Fraction(root_above(sum((v * v for v in near), Fraction(0))))
        if length:
            # Negative where z·x < radius |z|: what `circuit_or_point` wants of a point.
            cuts.append(integer_row([*near, -radius * length]))
        circuit, x = circuit_or_point([*search.required_rows(), *cuts])
        if circuit is not None:
            return None
        assert x is not None  # the alternative of a circuit
        point = tuple(v / x[-1] for v in x[:-1])
        if _inside(point, radius):
            return (*point, Fraction(1))
        z = np.array([float(v) for v in point])
    raise Undecided


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
