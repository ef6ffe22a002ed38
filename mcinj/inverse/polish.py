"""The farthest pair of a polyhedron that keeps to a ball, from one next to it: sequential quadratic programming."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mcinj.networks.network import FloatArray

_REPEATS = 4
_ACTIVE = 0.3  # walls nearer than this, for rows of unit length, take part at once; others once they are broken
_ALLOWED = 1e-9  # by how much the walls may be broken


def polished(
    v: FloatArray, walls: FloatArray, equations: FloatArray, radius: float, poll: Callable[[], None]
) -> FloatArray | None:
    """A pair (x, x') near v, shape (2n,), with locally largest |x - x'|; None where the method fails.

    `walls` >= 0 and `equations` = 0 are rows over (x, x', 1); |x| and |x'| are at most `radius`.
    """
    from scipy import optimize

    minimize: Any = optimize.minimize
    n = len(v) // 2
    apart = np.hstack([np.eye(n), -np.eye(n)])
    near = walls[:, :-1] @ v + walls[:, -1] < _ACTIVE

    def room(z: FloatArray) -> FloatArray:
        return radius**2 - np.array([z[:n] @ z[:n], z[n:] @ z[n:]])

    def room_slope(z: FloatArray) -> FloatArray:
        return -2.0 * np.array([np.append(z[:n], np.zeros(n)), np.append(np.zeros(n), z[n:])])

    for _ in range(_REPEATS):
        poll()
        conditions: Any = [{"type": "ineq", "fun": room, "jac": room_slope}, _linear("ineq", walls[near])]
        if len(equations):
            conditions.append(_linear("eq", equations))
        answer = minimize(
            lambda z: -0.5 * float((apart @ z) @ (apart @ z)), v, jac=lambda z: -apart.T @ (apart @ z),
            method="SLSQP", constraints=conditions, options={"maxiter": 100, "ftol": 1e-14},
        )  # fmt: skip
        z = np.asarray(answer.x)
        if not np.isfinite(z).all():
            return None
        broken = walls[:, :-1] @ z + walls[:, -1] < -_ALLOWED
        if not broken.any():
            return z
        if not (broken & ~near).any():
            return None
        near |= broken
    return None


def _linear(kind: str, rows: FloatArray) -> dict[str, Any]:
    return {"type": kind, "fun": lambda z: rows[:, :-1] @ z + rows[:, -1], "jac": lambda z: rows[:, :-1]}
