"""The farthest pair of inputs of a box with equal outputs, from the definition: all vertices of all pairs of patterns.

The distance is a convex function, so on each polyhedron of pairs (x, x') with given patterns and equal outputs its
maximum lies at a vertex. Floats, for a handful of units only.
"""

from __future__ import annotations

from itertools import combinations, product

import numpy as np


def farthest_in_box(weights: list[np.ndarray], biases: list[np.ndarray], low: float, high: float) -> float:
    """max |x - x'| with f(x) = f(x') and x, x' in [low, high]^n, for one or two layers."""
    n = weights[0].shape[1]
    hidden = len(weights[0]) if len(weights) == 2 else 0
    best = 0.0
    for p in product((False, True), repeat=hidden):
        for q in product((False, True), repeat=hidden):
            if q < p:
                continue  # x and x' change places
            for s in product((False, True), repeat=len(weights[-1])):
                best = max(best, _farthest(weights, biases, n, (p, q), np.array(s), low, high))
    return best


def _farthest(weights, biases, n, patterns, last, low, high) -> float:  # type: ignore[no-untyped-def]
    walls, outputs = [], []
    for side, pattern in enumerate(patterns):
        here = slice(side * n, side * n + n)

        def put(rows: np.ndarray, here: slice = here) -> np.ndarray:
            wide = np.zeros((len(rows), 2 * n + 1))
            wide[:, here], wide[:, -1] = rows[:, :-1], rows[:, -1]
            return wide

        rows = np.hstack([weights[0], biases[0][:, None]])
        if pattern:
            on = np.array(pattern)
            walls.append(put(np.where(on, 1.0, -1.0)[:, None] * rows))
            rows = weights[1] @ (rows * on[:, None])
            rows[:, -1] += biases[1]
        walls.append(put(np.where(last, 1.0, -1.0)[:, None] * rows))
        outputs.append(put(rows[last]))
        eye, one = np.eye(n), np.ones((n, 1))
        walls.append(put(np.hstack([eye, -low * one])))
        walls.append(put(np.hstack([-eye, high * one])))
    rows = np.vstack(walls)
    equal = outputs[0] - outputs[1]
    start, span = np.zeros(2 * n), np.eye(2 * n)
    if len(equal):
        start = np.linalg.lstsq(equal[:, :-1], -equal[:, -1], rcond=None)[0]
        if np.abs(equal[:, :-1] @ start + equal[:, -1]).max() > 1e-9:
            return 0.0
        _, sizes, vt = np.linalg.svd(equal[:, :-1])
        span = vt[int((sizes > 1e-10).sum()) :].T
    narrow, offset = rows[:, :-1] @ span, rows[:, :-1] @ start + rows[:, -1]
    if (offset[np.abs(narrow).max(axis=1) < 1e-12] < -1e-9).any():
        return 0.0
    chosen = np.array(list(combinations(range(len(rows)), span.shape[1])))
    square = narrow[chosen]
    good = np.abs(np.linalg.det(square)) > 1e-10
    w = np.linalg.solve(square[good], -offset[chosen[good]][:, :, None])[:, :, 0]
    w = w[(w @ narrow.T + offset >= -1e-7).all(axis=1)]
    if not len(w):
        return 0.0
    v = start + w @ span.T
    return float(np.linalg.norm(v[:, :n] - v[:, n:], axis=1).max())
