"""Exact verdicts of small networks from the definitions: all regions, all pairs of closed regions, in integers.

No floating point, and no code of the package: a network is given as lists of rational weights and biases. Everything
happens in homogeneous coordinates: with biases (x, t) with t >= 0, and one more unit in every layer that equals t. The
first layer's independent rows cut the space into simplicial cones, all other units cut these further, so every region
of the network is a cone with known rays (`cones.Ray`), on which the network is linear.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import reduce
from math import lcm
from operator import or_

import flint
import numpy as np
from naive.cones import Ray, crossing, dot, halves

Rows = list[list[int]]
Matrix = Sequence[Sequence[Fraction]]
Cone = list[Ray]
Collision = tuple[list[Fraction], list[Fraction]]
NONE = Fraction(0)  # slope of a ReLU


def layers_over_integers(weights: Sequence[Matrix], biases: Sequence[Sequence[Fraction]] | None) -> list[Rows]:
    """One matrix per layer: each scaled by a positive number; with biases they are the last column, t the last row."""
    scaled = []
    for k, w in enumerate(weights):
        rows = [[Fraction(v) for v in row] for row in w]
        if biases is not None:
            rows = [[*row, Fraction(b)] for row, b in zip(rows, biases[k])]
            rows.append([Fraction(0)] * (len(rows[0]) - 1) + [Fraction(1)])
        common = lcm(*(v.denominator for row in rows for v in row))
        scaled.append([[int(v * common) for v in row] for row in rows])
    return scaled


def rank(rows: Sequence[Sequence[int]]) -> int:
    """Rank over the rationals."""
    return int(flint.fmpz_mat([list(row) for row in rows]).rank()) if len(rows) else 0


def independent(rows: Sequence[Sequence[int]]) -> list[int]:
    """Indices of the first rows that are a basis of the row space."""
    chosen: list[int] = []
    for i in range(len(rows)):
        if rank([rows[j] for j in (*chosen, i)]) > len(chosen):
            chosen.append(i)
            if len(chosen) == len(rows[0]):
                break
    return chosen


def simplicial(rows: Rows, positive: Sequence[bool]) -> list[Cone]:
    """The cones that g independent rows (bit i: row i) cut out; `positive` rows have one side only."""
    inverse = flint.fmpq_mat(flint.fmpz_mat(rows)).inv().numer_denom()[0].tolist()
    g, cones = len(rows), []
    for signs in np.ndindex(*(1 if p else 2 for p in positive)):
        rays = []
        for k, s in enumerate(signs):
            column = [int(inverse[i][k]) for i in range(g)]
            d = int(np.gcd.reduce(np.array(column, dtype=object)))
            level = sum(u * v for u, v in zip(rows[k], column))
            turn = (1 if level > 0 else -1) * (-1 if s else 1)
            x = tuple(turn * v // d for v in column)
            rays.append(Ray(x, sum(1 << i for i in range(g) if i != k), x))
        cones.append(rays)
    return cones


def regions(layers: list[Rows], biased: bool, lossy: bool = False, slope: Fraction = NONE) -> list[Cone] | None:
    """All full-dimensional linear regions, rays with outputs; None if the Jacobian loses rank on one of them.

    `lossy`: only if the first layer's rows do; regions on which outputs are fewer are kept. `slope`: see `through`.
    """
    g = len(layers[0][0])
    # With biases the last row, t, is the first to be chosen.
    first = [layers[0][-1], *layers[0][:-1]] if biased else layers[0]
    basis = independent(first)
    if len(basis) < g:
        return None
    cells = simplicial([first[i] for i in basis], [biased and i == 0 for i in basis])
    return through(layers, cells, 1 << g, lossy, slope)


def through(
    layers: list[Rows], cells: list[Cone], bit: int, lossy: bool = False, slope: Fraction = NONE
) -> list[Cone] | None:
    """Cones, with their points as values, cut at all units' walls: see `regions`. `bit`: the first that is free.

    `slope` is that of leaky ReLUs; outputs are then multiplied by its denominator in every layer.
    """
    g = len(layers[0][0])
    for rows in layers:
        matrix = flint.fmpz_mat(rows)
        known: dict[tuple[int, ...], tuple[int, ...]] = {}

        def image(ray: Ray, matrix=matrix, known=known) -> Ray:
            if ray.x not in known:
                column = matrix * flint.fmpz_mat([[v] for v in ray.value])
                known[ray.x] = tuple(int(v) for v in column.entries())
            return Ray(ray.x, ray.tight, known[ray.x])

        following = []
        for cell in cells:
            parts = [[image(r) for r in cell]]
            for j in range(len(rows)):
                parts = [half for part in parts for _, half in halves(part, [r.value[j] for r in part], bit << j)]
            for part in parts:
                rays = [Ray(r.x, r.tight, tuple(activated(v, slope) for v in r.value)) for r in part]
                if not lossy and rank([r.value for r in rays]) < g:
                    return None
                following.append(rays)
        cells = following
        bit <<= len(rows)
    return cells


def activated(v: int, slope: Fraction) -> int:
    """ReLU, or a leaky one, times the slope's denominator."""
    return v * (slope.denominator if v > 0 else slope.numerator)


def support(ray: Ray) -> int:
    """A bit for each output that is not 0."""
    return sum(1 << j for j, v in enumerate(ray.value) if v)


def colliding(a: Cone, b: Cone, supports_a: list[int], supports_b: list[int]) -> Cone:
    """The cone of pairs of points of two cones at which the linear maps that they carry agree; no rays if only equal
    points do.

    The maps are injective on their cones and agree on common rays. `supports`: see `support`, one per ray.
    """
    kept_a, kept_b = list(range(len(a))), list(range(len(b)))
    while True:
        # An output that is 0 on one cone is 0 at the other's point, which then lies in a face.
        off_a = ~reduce(or_, (supports_a[i] for i in kept_a), 0)
        off_b = ~reduce(or_, (supports_b[i] for i in kept_b), 0)
        before = len(kept_a) + len(kept_b)
        kept_a = [i for i in kept_a if not supports_a[i] & off_b]
        kept_b = [i for i in kept_b if not supports_b[i] & off_a]
        if not kept_a or not kept_b:
            return []
        if len(kept_a) + len(kept_b) == before:
            break
    a, b = [a[i] for i in kept_a], [b[i] for i in kept_b]
    whole_a, whole_b = {r.x for r in a}, {r.x for r in b}
    if whole_a.issuperset(r.x for r in b) or whole_b.issuperset(r.x for r in a):
        return []  # both points in one closed region, on which the map is injective
    common = whole_a & whole_b
    shared = rank([r.x for r in a if r.x in common])
    images = rank([r.value for r in a] + [r.value for r in b if r.x not in common])
    if images == rank([r.x for r in a]) + rank([r.x for r in b]) - shared:
        return []  # outputs agree only on the span of common rays, and there the points agree too
    g = len(a[0].x)
    zero = (0,) * g
    shift = max(r.tight for r in a).bit_length()
    all_a = (1 << shift) - 1
    all_b = (1 << max(r.tight for r in b).bit_length()) - 1
    pair = [Ray((*r.x, *zero), r.tight | all_b << shift, r.value) for r in a]
    pair += [Ray((*zero, *r.x), all_a | r.tight << shift, tuple(-v for v in r.value)) for r in b]
    equations = set(range(len(a[0].value)))
    while equations and pair:
        levels = {j: [r.value[j] for r in pair] for j in equations}
        equations = {j for j in equations if any(levels[j])}
        if equations:
            j = min(equations, key=lambda j: sum(v > 0 for v in levels[j]) * sum(v < 0 for v in levels[j]))
            pair = crossing(pair, levels[j], 0)
    return [] if all(r.x[:g] == r.x[g:] for r in pair) else pair


def off_diagonal(pair: Cone) -> tuple[list[int], list[int]]:
    """Two different points in the relative interior of a cone of pairs."""
    g = len(pair[0].x) // 2
    # A sum with positive coefficients leaves the diagonal unless they are chosen badly.
    for factor in range(1, 100):
        v = [sum(factor**i * r.x[k] for i, r in enumerate(pair)) for k in range(2 * g)]
        if v[:g] != v[g:]:
            return v[:g], v[g:]
    raise AssertionError("a hundred points of a space on its proper subspace")


def pairs(cells: list[Cone]) -> Iterator[Cone]:
    """The cones of pairs with one output, of all pairs of closed cells; the map is injective on each cell."""
    width = len(cells[0][0].value)
    always = np.array([[all(r.value[j] for r in c) for j in range(width)] for c in cells])
    never = np.array([[not any(r.value[j] for r in c) for j in range(width)] for c in cells])
    supports = [[support(r) for r in c] for c in cells]
    for i in range(1, len(cells)):
        apart = (always[:i] & never[i]).any(axis=1) | (never[:i] & always[i]).any(axis=1)
        for j in np.flatnonzero(~apart):
            found = colliding(cells[i], cells[j], supports[i], supports[j])
            if found:
                yield found


def first_collision(cells: list[Cone], biased: bool) -> tuple[list[int], list[int]] | None:
    """Two different points with one output among all pairs of closed cells, in homogeneous coordinates."""
    for pair in pairs(cells):
        if not biased or any(r.x[-1] for r in pair):
            return off_diagonal(pair)
    return None


def passes_regional(weights: Sequence[Matrix], biases: Sequence[Sequence[Fraction]] | None = None) -> bool:
    """Whether the Jacobian has rank n on every open region."""
    return regions(layers_over_integers(weights, biases), biases is not None) is not None


def collision(weights: Sequence[Matrix], biases: Sequence[Sequence[Fraction]] | None = None) -> Collision | None:
    """Two inputs with one output of a network whose Jacobian has rank n everywhere; None if it is injective."""
    layers, biased = layers_over_integers(weights, biases), biases is not None
    cells = regions(layers, biased)
    assert cells is not None, "the Jacobian loses rank"
    found = first_collision(cells, biased)
    if found is None:
        return None
    x, y = ([Fraction(v, p[-1] if biased else 1) for v in (p[:-1] if biased else p)] for p in found)
    assert x != y
    assert output(weights, biases, x) == output(weights, biases, y)
    return x, y


def passes_global(weights: Sequence[Matrix], biases: Sequence[Sequence[Fraction]] | None = None) -> bool:
    """Whether different inputs have different outputs."""
    if len(weights) == 1:
        return passes_one_layer(weights[0], None if biases is None else biases[0])
    return passes_regional(weights, biases) and collision(weights, biases) is None


def passes_one_layer(weights: Matrix, biases: Sequence[Fraction] | None = None) -> bool:
    """The regional criterion of one layer, which is injectivity. Cells are left once their active rows have rank n.

    Far out in two opposite directions no row is active in both, so 2n rows that are not 0 are needed.
    """
    if sum(any(row) for row in weights) < 2 * len(weights[0]):
        return False
    (rows,) = layers_over_integers([weights], None if biases is None else [biases])
    g, biased = len(rows[0]), biases is not None
    ordered = [rows[-1], *rows[:-1]] if biased else rows
    basis = independent(ordered)
    if len(basis) < g:
        return False
    n = g - biased
    cells: list[tuple[Cone, list[int]]] = [
        (cone, []) for cone in simplicial([ordered[i] for i in basis], [biased and i == 0 for i in basis])
    ]
    for j, row in enumerate(ordered[1:] if biased else ordered):
        following = []
        for cone, active in cells:
            for sign, rays in halves(cone, [dot(row, r.x) for r in cone], 1 << (g + j)):
                grown = [*active, j] if sign > 0 else active
                if sign < 0 or rank([rows[i][:n] for i in grown]) < n:
                    following.append((rays, grown))
        cells = following
    return not cells


def passes_layerwise(weights: Sequence[Matrix], biases: Sequence[Sequence[Fraction]] | None = None) -> bool:
    """Whether every layer alone is injective on all of its input space."""
    return all(passes_one_layer(w, None if biases is None else biases[k]) for k, w in enumerate(weights))


def output(
    weights: Sequence[Matrix],
    biases: Sequence[Sequence[Fraction]] | None,
    x: Sequence[Fraction],
    slope: Fraction = NONE,
) -> list[Fraction]:
    """f(x), with leaky ReLUs if there is a slope."""
    h = list(x)
    for k, w in enumerate(weights):
        z = [sum((Fraction(a) * v for a, v in zip(row, h)), Fraction(0)) for row in w]
        if biases is not None:
            z = [v + b for v, b in zip(z, biases[k])]
        h = [v if v > 0 else slope * v for v in z]
    return h
