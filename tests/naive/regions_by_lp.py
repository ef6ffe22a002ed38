"""An oracle for small deep networks: all regions and all pairs of regions by linear programs (scipy)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

from mcinj.networks import Network

Floats = npt.NDArray[np.float64]


def margin(rows: Floats, equalities: Floats | None = None) -> tuple[float, Floats]:
    """`max t` with `rows x >= t`, `equalities x = 0`, |x| <= 1; rows scaled to unit length."""
    g = rows.shape[1]
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    lhs = np.hstack([-unit, np.ones((len(rows), 1))])
    equal = None
    if equalities is not None and len(equalities):
        equal = np.hstack([equalities, np.zeros((len(equalities), 1))])
    answer = linprog(
        np.array([0.0] * g + [-1.0]), A_ub=lhs, b_ub=np.zeros(len(rows)),
        A_eq=equal, b_eq=None if equal is None else np.zeros(len(equal)),
        bounds=[(-1, 1)] * g + [(None, 1)], method="highs",
    )  # fmt: skip
    return float(answer.x[-1]), answer.x[:-1]


Region = tuple[Floats, list[Floats], list[Floats]]


def regions(network: Network, thin: float = 1e-9, fence: Floats | None = None) -> list[Region]:
    """All regions: signed rows over (x, t) that hold on it, signs by layer, rows by layer. t > 0 comes first."""
    g = network.n + 1
    start = np.eye(g)[-1:]
    if fence is not None:
        start = np.vstack([start, fence])
    biases = network.biases or [np.zeros(m) for m in network.widths]
    cells: list[tuple[Floats, list[Floats], list[Floats]]] = [(start, [], [])]
    for k, w in enumerate(network.weights):
        following = []
        for signed, signs, rows in cells:
            if k == 0:
                layer = np.hstack([w, biases[0][:, None]])
            else:
                layer = (w * (signs[-1] > 0)) @ rows[-1]
                layer[:, -1] += biases[k]
            partial: list[tuple[Floats, list[float], Floats]] = [(signed, [], margin(signed)[1])]
            for row in layer:
                grown = []
                for constraints, chosen, x in partial:
                    if np.abs(row).max() < 1e-12:
                        grown.append((constraints, [*chosen, -1.0], x))
                        continue
                    for s in (-1.0, 1.0):
                        more = np.vstack([constraints, s * row])
                        if s * (row @ x) > 1e-4 * np.linalg.norm(row):
                            grown.append((more, [*chosen, s], x))
                            continue
                        t, y = margin(more)
                        if t > thin:
                            grown.append((more, [*chosen, s], y))
                partial = grown
            following += [(c, [*signs, np.array(chosen)], [*rows, layer]) for c, chosen, _ in partial]
        cells = following
    return cells


def arcs(network: Network) -> list[tuple[float, float, list[Floats], list[Floats]]]:
    """Regions of a network with two inputs and no biases: arcs (from, to) of angles, signs by layer, rows by layer."""
    cells: list[tuple[float, float, list[Floats], list[Floats]]] = [(0.0, 2 * np.pi, [], [])]
    for k, w in enumerate(network.weights):
        following = []
        for start, end, signs, rows in cells:
            layer = w if k == 0 else (w * (signs[-1] > 0)) @ rows[-1]
            zeros = np.arctan2(-layer[:, 0], layer[:, 1])[np.abs(layer).max(axis=1) > 1e-12]
            turns = np.concatenate([zeros + h * np.pi for h in range(-3, 4)])
            inside = np.sort(turns[(turns > start + 1e-11) & (turns < end - 1e-11)])
            cuts = [start, *inside[np.diff(inside, prepend=-9.0) > 1e-11], end]
            for a, b in pairwise(cuts):
                middle = np.array([np.cos((a + b) / 2), np.sin((a + b) / 2)])
                value = layer @ middle
                scale = np.linalg.norm(layer, axis=1) + 1e-300
                following.append((a, b, [*signs, np.where(value / scale > 1e-13, 1.0, -1.0)], [*rows, layer]))
        cells = following
    return cells


def passes_regional_in_the_plane(network: Network) -> bool:
    """`passes_regional` for two inputs and no biases, without linear programs."""
    for _, _, signs, rows in arcs(network):
        for s, layer in zip(signs, rows, strict=True):
            active = layer[s > 0]
            if len(active) < 2 or np.linalg.matrix_rank(active, tol=1e-10) < 2:
                return False
    return True


def passes_regional(network: Network, fence: Floats | None = None) -> bool:
    """Whether the active rows of every layer have rank n on every region."""
    n = network.n
    for _, signs, rows in regions(network, fence=fence):
        for s, layer in zip(signs, rows, strict=True):
            active = layer[s > 0][:, :n]
            if len(active) < n or np.linalg.matrix_rank(active, tol=1e-9) < n:
                return False
    return True


def has_pair(network: Network, fence: Floats | None = None) -> bool:
    """Whether two different regions hold inputs with the same output (open regions, networks in general position)."""
    cells = regions(network, fence=fence)
    g = network.n + 1
    for i, (c, signs, rows) in enumerate(cells):
        for c2, signs2, rows2 in cells[:i]:
            if not np.array_equal(signs[-1], signs2[-1]):
                continue
            on = signs[-1] > 0
            both = np.vstack([np.hstack([c, np.zeros_like(c)]), np.hstack([np.zeros_like(c2), c2])])
            # One common t for both copies.
            tie = np.zeros((1, 2 * g))
            tie[0, g - 1], tie[0, 2 * g - 1] = 1.0, -1.0
            equal = np.vstack([np.hstack([rows[-1][on], -rows2[-1][on]]), tie])
            if margin(both, equal)[0] > 1e-8:
                return True
    return False
