"""All open cells of one layer on a domain by linear programs (scipy): an oracle for small layers, in floats."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog

Floats = npt.NDArray[np.float64]


def cells(a: Floats, b: Floats, box: tuple[float, float] | None = None, slack: float = 1e-7) -> Iterator[list[int]]:
    """Active units of every open cell of `x ↦ ReLU(ax + b)` that meets the open box (None: a box of side 2e6)."""
    low, high = (-1e6, 1e6) if box is None else box
    n = a.shape[1]
    norms = np.linalg.norm(a, axis=1)

    def meets(signs: list[int]) -> bool:
        k = len(signs)
        s = np.array(signs, dtype=float)
        lhs = np.hstack([-s[:, None] * a[:k], norms[:k, None]])
        walls = np.vstack([np.hstack([np.eye(n), np.ones((n, 1))]), np.hstack([-np.eye(n), np.ones((n, 1))])])
        rhs = np.concatenate([s * b[:k], np.full(n, high), np.full(n, -low)])
        answer = linprog(
            np.array([0.0] * n + [-1.0]), A_ub=np.vstack([lhs, walls]), b_ub=rhs,
            bounds=[(None, None)] * n + [(None, 1.0)], method="highs",
        )  # fmt: skip
        return answer.status == 0 and answer.x[-1] > slack

    stack: list[list[int]] = [[]]
    while stack:
        signs = stack.pop()
        if len(signs) == len(a):
            yield [i for i, s in enumerate(signs) if s > 0]
            continue
        for s in (-1, 1):
            if norms[len(signs)] == 0.0:
                if s == (1 if b[len(signs)] > 0 else -1):
                    stack.append([*signs, s])
            elif meets([*signs, s]):
                stack.append([*signs, s])


def least_singular(a: Floats, active: list[int]) -> float:
    """The least of the n singular values of the active rows; 0 where there are fewer than n of them."""
    return float(np.linalg.svd(a[active], compute_uv=False)[-1]) if len(active) >= a.shape[1] else 0.0
