"""Injectivity on a ball `|x| < R` of networks with biases: polytopes around the ball, cut where their collisions are.

A network that passes on a polytope around the ball passes on the ball. A collision (x, x') of the polytope belongs to a
piece: all collisions with the patterns of x and x', a polyhedron. The piece's least `max(|x|, |x'|)` is looked for in
floats: where it is below R, a rational point of the piece near it is a collision inside the ball, checked exactly;
otherwise the half spaces that touch the ball in the directions of the nearest points cut the whole piece off, and the
decision is repeated. Every polytope contains the ball, whatever the floats say, so a pass is proved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil, isqrt

import numpy as np
import numpy.typing as npt

from mcinj.certify.rational import kernel, product, to_flint
from mcinj.certify.witness import Witness
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.regions import DeepDecision
from mcinj.decide.deep.scaling import power_of_two, scaled_row
from mcinj.decide.verdict import Certified, Outcome, Reason
from mcinj.decide.watch import current
from mcinj.networks import Network
from mcinj.networks.network import FractionMatrix, FractionVector

Floats = npt.NDArray[np.float64]

ROUNDS = 200  # decisions on ever smaller polytopes before the answer is UNKNOWN
_BITS = 40  # of the directions of half spaces
_PLANES = 60  # linear programs per piece
_CLOSE = 1e-9  # relative accuracy of the least norm of a piece


def decide_on_ball(
    decide: Callable[[FractionMatrix, int | None], DeepDecision],
    network: Network,
    radius: Fraction,
    box: FractionMatrix,
    node_budget: int | None,
) -> DeepDecision:
    """Decide a criterion for the inputs with `|x| < radius`.

    Parameters
    ----------
    decide
        The decision on a polytope: rows over (x, t) that are positive inside, and the nodes left.
    network
        With biases; `mcinj.decide.deep.scaling.in_units_of` brings the radius near 1, where floats guide well.
    box
        Rows of a box around the ball.
    node_budget
        Most nodes, all rounds together.

    Returns
    -------
    The decision; UNKNOWN past the budget or after `ROUNDS` rounds (collisions that touch the sphere from outside).
    """
    fence = list(box)
    nodes = 0
    seconds = 0.0
    for _ in range(ROUNDS):
        current().poll()
        left = None if node_budget is None else max(node_budget - nodes, 0)
        found = decide(tuple(fence), left)
        nodes += found.nodes
        seconds += found.seconds
        found = replace(found, nodes=nodes, seconds=seconds)
        if found.witness is None:
            return found
        points = [found.witness.x, found.witness.x_prime]
        if not all(_inside(x, radius) for x in points):
            witness, nearest = _nearest(network, found.witness, tuple(fence), radius)
            if witness is not None:
                return replace(found, witness=witness)
            cuts = [_tangent(x, radius) for x in nearest] + [_tangent(x, radius) for x in points]
            # Those of the nearest points cut the piece off; where they do not tell, the witness itself goes.
            new = [row for row in dict.fromkeys(cuts) if row is not None and row not in fence]
            if not new:
                break
            fence.extend(new)
            continue
        return found
    return DeepDecision(Outcome.UNKNOWN, None, Certified.NONE, nodes, seconds, reason=Reason.TOUCH)


def _inside(x: Sequence[Fraction], radius: Fraction) -> bool:
    return sum((v * v for v in x), Fraction(0)) < radius * radius


def _tangent(x: Sequence[Fraction], radius: Fraction) -> FractionVector | None:
    """A row over (x, t), positive on the ball, that is about 0 at radius x / |x|; None where x lies well inside."""
    if _inside(x, radius * (1 - Fraction(1, 10**6))):
        return None
    top = max(abs(v) for v in x)
    point = np.array([float(v / top) for v in x])
    norm = float(np.sqrt(point @ point))
    unit = [Fraction(round(v / norm * 2**_BITS), 2**_BITS) for v in point.tolist()]
    # The least multiple of 2^-80 that is not below |unit|, times radius: |x| < radius implies unit·x < offset.
    whole = ceil(sum((v * v for v in unit), Fraction(0)) * 2**160)
    root = isqrt(whole)
    return (*(-v for v in unit), radius * Fraction(root + int(root * root < whole), 2**80))


def _nearest(
    network: Network, witness: Witness, fence: FractionMatrix, radius: Fraction
) -> tuple[Witness | None, list[FractionVector]]:
    """A verified collision inside the ball of the witness's piece, or the piece's nearest points x, x', about."""
    n = network.n
    rows: list[FractionVector] = []
    last: list[tuple[FractionMatrix, list[bool]]] = []
    zero = (Fraction(0),) * n
    model = DeepModel.of(network)
    for side, x in enumerate((witness.x, witness.x_prime)):
        levels = network.exact_pre_activations(x)
        pattern = [[v > 0 for v in z] + [True] * (k < network.depth - 1) for k, z in enumerate(levels)]
        layers = model.rows(pattern[:-1])
        if model.units is not None:
            inverse = [1 / u for u in model.units]
            layers = [tuple(scaled_row(row, inverse, Fraction(1)) for row in layer) for layer in layers]
        last.append((layers[-1], pattern[-1]))
        signed = list(fence)
        for layer, signs in zip(layers, pattern, strict=True):
            signed += [row if on else tuple(-v for v in row) for row, on in zip(layer, signs, strict=True)]
        rows += [(*r[:n], *zero, r[n]) if side == 0 else (*zero, *r[:n], r[n]) for r in signed]
    equations = [
        (*u[:n], *(-v for v in w[:n])) for u, w, on in zip(last[0][0], last[1][0], last[0][1], strict=True) if on
    ]
    start = (*witness.x, *witness.x_prime)
    column = to_flint([[v] for v in (*start, Fraction(1))], 1)
    values = [v[0] for v in product(to_flint(rows, 2 * n + 1), column)]
    # What vanishes at the witness stays so; what is positive there may shrink to 0 at the nearest point only.
    equations += [row[:-1] for row, v in zip(rows, values, strict=True) if v == 0]
    basis = [scaled_row(b, None, power_of_two(b)) for b in kernel(equations, 2 * n)]
    if not basis:
        return None, [witness.x, witness.x_prime]
    free = [(row, v) for row, v in zip(rows, values, strict=True) if v > 0]
    span = to_flint([list(entries) for entries in zip(*basis, strict=True)], len(basis))
    slopes = product(to_flint([row[:-1] for row, _ in free], 2 * n), span)
    # Each inequality scaled to entries below 2: floats hold them.
    even = [scaled_row((*row, v), None, power_of_two((*row, v))) for row, (_, v) in zip(slopes, free, strict=True)]
    step = _shortest(start, basis, [row[-1] for row in even], tuple(row[:-1] for row in even))
    if step is None:
        return None, [witness.x, witness.x_prime]
    for back in (0, 2.0**-40, 2.0**-30, 2.0**-20, 2.0**-12, 2.0**-7, 2.0**-4, 0.25, 0.5):
        c = [Fraction(float(v) * (1.0 - back)) for v in step]
        z = [s + sum((f * b[j] for f, b in zip(c, basis, strict=True)), Fraction(0)) for j, s in enumerate(start)]
        moved = Witness(tuple(z[:n]), tuple(z[n:]))
        if not _inside(z[:n], radius) or not _inside(z[n:], radius):
            if back:
                break
            continue
        if moved.collides(network):
            return moved, []
    c = [Fraction(float(v)) for v in step]
    z = [s + sum((f * b[j] for f, b in zip(c, basis, strict=True)), Fraction(0)) for j, s in enumerate(start)]
    return None, [tuple(z[:n]), tuple(z[n:])]


def _shortest(
    start: Sequence[Fraction], basis: Sequence[FractionVector], values: Sequence[Fraction], slopes: FractionMatrix
) -> Floats | None:
    """Steps c with `values + slopes c >= 0` and least max(|x|, |x'|) at `start + Σ c basis`, by cutting planes."""
    from scipy.optimize import linprog

    z = np.array([float(v) for v in start])
    n = len(z) // 2
    columns = np.array([[float(v) for v in b] for b in basis]).T
    unit, _ = np.linalg.qr(columns)
    try:
        back = np.linalg.lstsq(columns, unit, rcond=None)[0]
    except np.linalg.LinAlgError:  # no point to look near: the caller cuts at the witness
        return None
    rows = np.array([[float(v) for v in row] for row in slopes]).reshape(len(values), len(basis)) @ back
    offsets = np.array([float(v) for v in values])
    norms = np.linalg.norm(rows, axis=1)
    keep = norms > 0
    rows, offsets = -rows[keep] / norms[keep, None], offsets[keep] / norms[keep]
    q = unit.shape[1]
    planes = [np.append(unit[:n].T @ d, -1.0) for d in np.vstack([np.eye(n), -np.eye(n)])]
    limits = [-(d @ z[:n]) for d in np.vstack([np.eye(n), -np.eye(n)])]
    best: Floats | None = None
    least = np.inf
    for _ in range(_PLANES):
        current().poll()
        lhs = np.vstack([np.hstack([rows, np.zeros((len(rows), 1))]), *planes])
        answer = linprog(
            np.append(np.zeros(q), 1.0), A_ub=lhs, b_ub=np.concatenate([offsets, limits]),
            bounds=[(None, None)] * q + [(0, None)], method="highs",
        )  # fmt: skip
        if answer.x is None:
            break
        point = z + unit @ answer.x[:q]
        value = 0.0
        for half in (slice(0, n), slice(n, 2 * n)):
            x = point[half]
            size = float(np.sqrt(x @ x))
            value = max(value, size)
            if size > 0.0:
                planes.append(np.append(unit[half].T @ (x / size), -1.0))
                limits.append(-(x / size) @ z[half])
        if value < least:
            least, best = value, answer.x[:q]
        if value <= answer.x[q] * (1.0 + _CLOSE) + 1e-300:
            break
    return None if best is None else np.asarray(back @ best)
