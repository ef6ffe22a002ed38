"""Margins of small layers, plainly, in floats: by all critical points, from below by hulls, from above by sampling."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.optimize import nnls
from scipy.spatial import ConvexHull


def rho(a: np.ndarray, values: np.ndarray) -> float:
    """The largest t such that rows with values >= t have full rank."""
    n = a.shape[1]
    order = np.argsort(-values)
    for k in range(n, len(a) + 1):
        if np.linalg.matrix_rank(a[order[:k]], tol=1e-9) == n:
            return float(values[order[k - 1]])
    return -np.inf


def by_critical_points(a: np.ndarray) -> float:
    """min ρ over the sphere.

    At a least ρ = t the rows outside of a flat have a_i·u <= t, with equality for E. If t < 0, u is the direction of
    the least-norm point of {a_i·x <= -1}; if t > 0, that of a vertex of {a_i·x <= 1}: either way
    u = ± A_S^T (A_S A_S^T)^{-1} 1 for some independent S in E. If t = 0 some such u is orthogonal to n - 1 rows.
    """
    m, n = a.shape
    points = []
    for k in range(1, n + 1):
        for s in combinations(range(m), k):
            rows = a[list(s)]
            if np.linalg.matrix_rank(rows, tol=1e-9) == k:
                points.append(rows.T @ np.linalg.solve(rows @ rows.T, np.ones(k)))
                if k == n - 1:
                    points.append(np.linalg.svd(rows)[2][-1])
    if n == 1:
        points.append(np.ones(1))
    return min(rho(a, sign * (a @ x)) / float(np.linalg.norm(x)) for x in points for sign in (1, -1))


def by_angles(a: np.ndarray) -> float:
    """min ρ over the circle, n = 2: ρ follows one a_i·u between angles where two are equal; each falls to -|a_i|."""
    angles = [np.arctan2(-r[1], -r[0]) for r in a if r.any()]
    for r, s in combinations(a, 2):
        d = r - s
        if d.any():
            angles += [np.arctan2(d[0], -d[1]), np.arctan2(-d[0], d[1])]
    return min(rho(a, a @ np.array([np.cos(t), np.sin(t)])) for t in angles)


def by_hull(a: np.ndarray) -> float:
    """Polytope bias estimation (Haider, Balazs, Ehler, arXiv:2307.09672), a lower bound; -inf: 0 is not in the hull.

    The facets of the convex hull of the normalised rows give cones that cover all directions. In the cone of a facet
    its n rows are at least their least value there: the least inner product with the other rows of the facet if that
    is not negative, else minus the length of the projection of -a_i onto the cone.
    """
    unit = a / np.linalg.norm(a, axis=1, keepdims=True)
    hull = ConvexHull(unit)
    if (hull.equations[:, -1] >= -1e-9).any():
        return -np.inf
    least = np.inf
    for facet in hull.simplices:
        cone = unit[facet]
        for i in facet:
            value = float((cone @ a[i]).min())
            if value < 0:
                c, _ = nnls(cone.T, -a[i])
                value = -float(np.linalg.norm(cone.T @ c))
            least = min(least, value)
    return least


def by_sampling(a: np.ndarray, samples: int, biases: np.ndarray | None = None, radius: float = 1.0) -> float:
    """Upper bound: the least ρ of random directions, or of random points of a ball; rows in general position."""
    rng = np.random.default_rng(0)
    n = a.shape[1]
    x = rng.standard_normal((samples, n))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    if biases is None:
        return float(np.sort(x @ a.T, axis=1)[:, -n].min())
    x *= radius * np.maximum(rng.uniform(0, 1.3, (samples, 1)), 0).clip(max=1)
    return float(np.sort(x @ a.T + biases, axis=1)[:, -n].min())


def on_ball(a: np.ndarray, b: np.ndarray, radius: float) -> float:
    """min ρ of `a_i·x + b_i` over |x| <= radius, rows in general position.

    Inside, a least maximum is where n + 1 rows are equal; on the sphere, where S rows are and x - c is a combination
    of them (c their common least-norm point for each value, linear in the value).
    """
    m, n = a.shape
    points = []
    for s in combinations(range(m), n + 1):
        system = np.hstack([a[list(s)], -np.ones((n + 1, 1))])
        if np.linalg.matrix_rank(system, tol=1e-9) == n + 1:
            points.append(np.linalg.solve(system, -b[list(s)])[:n])
    for k in range(1, n + 1):
        for s in combinations(range(m), k):
            inverse = np.linalg.pinv(a[list(s)])
            one, zero = inverse @ np.ones(k), inverse @ -b[list(s)]
            # |zero + t one| = radius
            roots = np.roots([one @ one, 2 * one @ zero, zero @ zero - radius**2])
            points += [zero + t.real * one for t in roots if abs(t.imag) < 1e-12]
    inside = [x for x in points if np.linalg.norm(x) <= radius * (1 + 1e-9)]
    return min(float(np.sort(a @ x + b)[-n]) for x in inside)
