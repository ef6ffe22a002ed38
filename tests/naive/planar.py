"""An exact oracle for two homogeneous coordinates: two inputs without biases, or one input with them (x, t).

Every region is a cone between two rays with rational coordinates, and the network is linear on it. Two closed cones
`a r1 + b r2` and `c s1 + d s2` share an output where `a f(r1) + b f(r2) = c f(s1) + d f(s2)`, a, b, c, d >= 0: a
polyhedral cone whose extreme rays have minimal support, found by trying all supports.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise
from math import gcd, lcm

from mcinj.networks import Network

Ray = tuple[int, int]
Line = list[Fraction]


def primitive(x: Fraction, y: Fraction) -> Ray:
    """The primitive integer vector in the direction of (x, y)."""
    common = lcm(x.denominator, y.denominator)
    a, b = int(x * common), int(y * common)
    divisor = gcd(a, b)
    return a // divisor, b // divisor


def value(network: Network, ray: Ray) -> list[Fraction]:
    """Output at a ray; with biases, of the homogenised network."""
    h: Line = [Fraction(ray[0])] if network.has_biases else [Fraction(v) for v in ray]
    t = Fraction(ray[1])
    for k, w in enumerate(network.exact_weights):
        z = [sum((c * v for c, v in zip(row, h)), Fraction(0)) for row in w]
        if network.exact_biases is not None:
            z = [v + b * t for v, b in zip(z, network.exact_biases[k])]
        h = [max(v, Fraction(0)) for v in z]
    return [*h, t] if network.has_biases else h


def pre_activations(network: Network, ray: Ray, k: int) -> Line:
    """Pre-activations of layer k + 1 at a ray."""
    weights, biases = network.exact_weights, network.exact_biases
    if k == 0:
        h: Line = [Fraction(ray[0])] if network.has_biases else [Fraction(v) for v in ray]
    else:
        h = value(network.prefix(k), ray)[: len(weights[k][0])]
    z = [sum((c * v for c, v in zip(row, h)), Fraction(0)) for row in weights[k]]
    return z if biases is None else [v + b * ray[1] for v, b in zip(z, biases[k])]


def rays_of(network: Network, start: list[Ray]) -> list[Ray]:
    """`start` refined by the zeros of all units: between neighbours the network is linear, last layer included."""
    rays = start
    for k in range(network.depth):
        levels = {ray: pre_activations(network, ray, k) for ray in rays}
        refined = [rays[0]]
        for r, s in pairwise(rays):
            inside = set()
            for u, v in zip(levels[r], levels[s]):
                if u * v < 0:
                    inside.add(primitive(abs(v) * r[0] + abs(u) * s[0], abs(v) * r[1] + abs(u) * s[1]))
            # By angle from r: the determinant with r against that with s.
            between = sorted(inside, key=lambda p: Fraction(r[0] * p[1] - r[1] * p[0], p[0] * s[1] - p[1] * s[0]))
            refined += [*between, s]
        rays = refined
    return rays


def solution(columns: list[Line]) -> Line | None:
    """The kernel vector of these columns if the kernel is one-dimensional, else None."""
    rows = [list(row) for row in zip(*columns)]
    n, pivots, top = len(columns), [], 0
    for c in range(n):
        p = next((i for i in range(top, len(rows)) if rows[i][c]), None)
        if p is None:
            continue
        rows[top], rows[p] = rows[p], rows[top]
        rows[top] = [v / rows[top][c] for v in rows[top]]
        for i in range(len(rows)):
            if i != top and rows[i][c]:
                f = rows[i][c]
                rows[i] = [u - f * v for u, v in zip(rows[i], rows[top])]
        pivots.append(c)
        top += 1
    if len(pivots) != n - 1:
        return None
    free = next(c for c in range(n) if c not in pivots)
    vector = [Fraction(0)] * n
    vector[free] = Fraction(1)
    for i, c in enumerate(pivots):
        vector[c] = -rows[i][free]
    return vector


def collides(network: Network, start: list[Ray] | None = None) -> bool:
    """Whether two different inputs have one output: exactly, all pairs of closed cones.

    `start`: for one input with biases, the ends of an open interval as (numerator, denominator) rays, in order from
    the larger to the smaller; default all inputs.
    """
    open_ends = network.has_biases
    if start is None:
        start = [(1, 0), (0, 1), (-1, 0)] if open_ends else [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 0)]
    rays = rays_of(network, start)
    images = {ray: value(network, ray) for ray in rays}
    if not open_ends and any(not any(image) for image in images.values()):
        return True
    cones = list(pairwise(rays))
    first, last = rays[0], rays[-1]
    for i, a in enumerate(cones):
        for b in cones[: i + 1]:
            if any(
                (all(images[r][j] > 0 for r in p) and not any(images[r][j] for r in q))
                for p, q in ((a, b), (b, a))
                for j in range(network.widths[-1])
            ):
                continue
            columns = [*(images[r] for r in a), *([-v for v in images[r]] for r in b)]
            corners = [*a, *b]
            extreme = []
            for size in range(1, 5):
                for support in combinations(range(4), size):
                    v = solution([columns[e] for e in support])
                    if v is not None and (all(c > 0 for c in v) or all(c < 0 for c in v)):
                        full = [Fraction(0)] * 4
                        for e, c in zip(support, v):
                            full[e] = abs(c)
                        extreme.append(full)

            def points(v: Line, corners: list[Ray] = corners) -> tuple[Line, Line]:
                x = [v[0] * corners[0][e] + v[1] * corners[1][e] for e in (0, 1)]
                return x, [v[2] * corners[2][e] + v[3] * corners[3][e] for e in (0, 1)]

            if not any(points(v)[0] != points(v)[1] for v in extreme):
                continue
            if not open_ends:
                return True
            middle = [sum((v[e] for v in extreme), Fraction(0)) for e in range(4)]
            if all(
                x[1] > 0 and first[0] * x[1] - first[1] * x[0] > 0 and x[0] * last[1] - x[1] * last[0] > 0
                for x in points(middle)
            ):
                return True
    return False


def loses_rank(network: Network) -> bool:
    """Whether the active rows of some layer have rank below n on some open region: the regional criterion, exactly."""
    rays = rays_of(
        network, [(1, 0), (0, 1), (-1, 0)] if network.has_biases else [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 0)]
    )
    for r, s in pairwise(rays):
        middle = (r[0] + s[0], r[1] + s[1])
        rows = [list(row) for row in network.exact_weights[0]]
        on: list[int] = []
        for k in range(network.depth):
            if k:
                rows = [
                    [sum((w[i] * rows[i][q] for i in on), Fraction(0)) for q in range(network.n)]
                    for w in network.exact_weights[k]
                ]
            on = [i for i, v in enumerate(pre_activations(network, middle, k)) if v > 0]
            active = [rows[i] for i in on if any(rows[i])]
            lead = active[0] if active else [Fraction(0)] * network.n
            if not active or (network.n == 2 and all(a[0] * lead[1] == a[1] * lead[0] for a in active)):
                return True
    return False
