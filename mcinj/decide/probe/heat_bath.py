"""The heat bath's draw, compiled: one of several events, each with probability proportional to q^key.

It serves the walks along lines through linear pieces (`deep_walk`, `pair_walk`) and along the circles of a level
(`mcinj.quantify.margin_walk`). `walk` draws rays and their opposites together, in a loop of its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@njit(error_model="numpy")
def draw(
    key: Ints, events: int, low: int, q: float, most: int, never: float, uniform: float, power: Floats
) -> tuple[int, int]:
    """One of the events, and the largest exponent whose power of q is not below `never`, `most` at most.

    low: the least key that counts. Events with a lower one are not drawn, nor those whose key is farther than that
    exponent above it. power: room for `most` + 1 powers of q, which are there afterwards. uniform: in [0, 1).
    """
    top = 0
    power[0] = 1.0
    while top < most and power[top] > never:
        power[top + 1] = power[top] * q
        top += 1
    total = 0.0
    for e in range(events):
        if 0 <= key[e] - low <= top:
            total += power[key[e] - low]
    goal = uniform * total
    pick = 0
    total = 0.0
    for e in range(events):
        if 0 <= key[e] - low <= top:
            total += power[key[e] - low]
            pick = e
            if total > goal:
                break
    return pick, top
