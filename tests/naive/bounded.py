"""Exact verdicts on open boxes and balls, from the definitions: all regions of the closed box, all pairs of them.

As in `verdicts`: no floating point decides, no code of the package. The box is a cone over (x, t), cut by all walls of
the network, so its pieces are those with inside points. A point of a piece lies in the open box if no wall of the box
is tight there; of a cone of colliding pairs, the relative interior does if for every wall some ray does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import combinations
from itertools import product as every
from math import lcm

import flint
import numpy as np
from naive.cones import Ray
from naive.verdicts import Cone, Matrix, layers_over_integers, pairs, rank, through

Point = tuple[Fraction, ...]
_FINE = 2**40


def box_cone(low: Fraction, high: Fraction, n: int) -> Cone:
    """The cone over [low, high]^n x {1}; bits 2i and 2i + 1 of its rays: x_i = low, x_i = high."""
    common = lcm(low.denominator, high.denominator)
    ends = (int(low * common), int(high * common))
    rays = []
    for corner in every((0, 1), repeat=n):
        x = (*(ends[side] for side in corner), common)
        d = int(np.gcd.reduce(np.array(x, dtype=object)))
        x = tuple(v // d for v in x)
        rays.append(Ray(x, sum(1 << (2 * i + side) for i, side in enumerate(corner)), x))
    return rays


class Inside:
    """A network's regions in a box; `cells` with a rank below n are among them.

    `weights`, `biases` (None: zeros) are rational matrices and vectors, `slope` that of leaky ReLUs (0: ReLU).
    """

    def __init__(
        self, weights: Sequence[Matrix], biases: Sequence[Sequence[Fraction]] | None, low: Fraction, high: Fraction,
        slope: Fraction = Fraction(0),
    ) -> None:  # fmt: skip
        self.n = len(weights[0][0])
        self.low, self.high = low, high
        layers = layers_over_integers(weights, biases or [[Fraction(0)] * len(w) for w in weights])
        cells = through(layers, [box_cone(low, high, self.n)], 1 << 2 * self.n, True, slope)
        assert cells is not None
        self.cells = cells
        self.lossy = [c for c in cells if rank([r.value for r in c]) < self.n + 1]

    @property
    def regional(self) -> bool:
        """Whether the Jacobian has rank n on every region of the open box."""
        return not self.lossy

    @property
    def injective(self) -> bool:
        """Whether different inputs of the open box have different outputs."""
        return self.regional and not any(self._in_open_box(pair) for pair in pairs(self.cells))

    def _in_open_box(self, pair: Cone) -> bool:
        g = self.n + 1
        for half in (slice(0, g), slice(g, 2 * g)):
            points = [_point(r.x[half]) for r in pair]
            for i in range(self.n):
                if all(p[i] == self.low for p in points) or all(p[i] == self.high for p in points):
                    return False
        return True

    def regional_in_ball(self, radius: Fraction) -> bool:
        """The same for |x| < radius, a ball inside of the box: a region meets it if its nearest point lies inside."""
        return not any(least(_points(c, self.n), [Fraction(1)] * self.n)[0] < radius**2 for c in self.lossy)

    def injective_in_ball(self, radius: Fraction) -> bool | None:
        """The same of inputs; None where pairs that collide come so close to the ball that this cannot tell."""
        if not self.regional_in_ball(radius):
            return False
        # Regions that are lossy elsewhere are cut off: they do not meet the ball, but pairs need injective ones.
        cells = [c for c in self.cells if c not in self.lossy]
        answers = [_meets(_pairs_of_points(pair, self.n), self.n, radius) for pair in pairs(cells)] if cells else []
        return False if True in answers else None if None in answers else True

    def vertices(self) -> list[Point]:
        """All corners of all regions."""
        return sorted({_point(r.x) for c in self.cells for r in c})


def _point(x: Sequence[int]) -> Point:
    return tuple(Fraction(v, x[-1]) for v in x[:-1])


def _points(rays: Cone, n: int) -> list[Point]:
    return [_point(r.x) for r in rays]


def _pairs_of_points(rays: Cone, n: int) -> list[Point]:
    """(x, x') of pairs of rays over (x, t, x', t')."""
    return [(*_point(r.x[: n + 1]), *_point(r.x[n + 1 :])) for r in rays]


def least(points: Sequence[Point], weights: Sequence[Fraction]) -> tuple[Fraction, Point]:
    """The least Σ weights_i z_i² of the hull of points, and a point where it is: exact, by all simplices of them."""
    best: tuple[Fraction, Point] | None = None
    for z in _stationary(points, weights):
        value = sum((w * v * v for w, v in zip(weights, z)), Fraction(0))
        if best is None or value < best[0]:
            best = value, z
    assert best is not None
    return best


def _stationary(points: Sequence[Point], weights: Sequence[Fraction]) -> Iterator[Point]:
    """Least points of the affine hulls of simplices, as far as they lie in these."""
    for size in range(1, len(points[0]) + 2):
        for chosen in combinations(points, size):
            base, steps = chosen[0], [[b - a for a, b in zip(chosen[0], p)] for p in chosen[1:]]
            if not steps:
                yield base
                continue

            def product(s: Sequence[Fraction], t: Sequence[Fraction]) -> flint.fmpq:
                return _q(sum((w * a * b for w, a, b in zip(weights, s, t)), Fraction(0)))

            gram = flint.fmpq_mat([[product(s, t) for t in steps] for s in steps])
            if gram.rank() < len(steps):
                continue
            right = flint.fmpq_mat([[-product(s, base)] for s in steps])
            shares = [Fraction(int(v.p), int(v.q)) for v in gram.solve(right).entries()]
            if min(shares) >= 0 and sum(shares) <= 1:
                yield tuple(b + sum((f * s[k] for f, s in zip(shares, steps)), Fraction(0)) for k, b in enumerate(base))


def _q(v: Fraction | int) -> flint.fmpq:
    v = Fraction(v)
    return flint.fmpq(v.numerator, v.denominator)


def _meets(points: list[Point], n: int, radius: Fraction) -> bool | None:
    """Whether the hull of pairs has one with |x|, |x'| < radius.

    The greater of the two squares is at least every λ |x|² + (1 - λ) |x'|²; the best λ makes them equal, or is an end.
    """

    def sizes(z: Point) -> tuple[Fraction, Fraction]:
        return sum((v * v for v in z[:n]), Fraction(0)), sum((v * v for v in z[n:]), Fraction(0))

    square = radius**2
    if any(max(sizes(z)) < square for z in points):
        return True
    found: list[Point] = []
    low, high = Fraction(0), Fraction(1)
    share = Fraction(1, 2)
    for trial in range(44):
        # The ends first: often one of the inputs alone stays outside.
        share = (low, high, (low + high) / 2)[min(trial, 2)]
        # λ = 0 or 1 leaves directions free: a little of the other one is added, and the bound stays below.
        weight = min(max(share, Fraction(1, _FINE)), 1 - Fraction(1, _FINE))
        value, z = least(points, [weight] * n + [1 - weight] * n)
        if value >= square:
            return False
        one, two = sizes(z)
        if max(one, two) < square:
            return True
        found.append(z)
        if trial >= 2:
            low, high = (share, high) if one > two else (low, share)
        if high - low < Fraction(1, _FINE):
            break
    for a, b in combinations(found[-4:] + found[:2], 2):
        for k in range(1, 64):
            z = tuple(u + Fraction(k, 64) * (v - u) for u, v in zip(a, b))
            if max(sizes(z)) < square:
                return True
    return None
