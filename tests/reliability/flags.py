"""Injectivity of many small layers at once, from the definition, in 64-bit integers: no search, no floats.

Take integer rows in g = 1, 2 or 3 dimensions whose rank is g. They cut space into open cells, and every cell is reached
by a *flag*: a ray r on which g - 1 independent rows vanish; from r into a plane t on which one of these rows still
vanishes; from there off that row, u. A row's sign in the cell is the sign of the first of a.r, a.t, a.u that is not 0.
So the flags of all ordered tuples of rows list every cell (many times over), and a layer is injective iff in every cell
the rows that are positive contain n independent ones. With biases rows are (a, b), cells are those with t > 0, and
independence is that of the a alone. If the rank is below g, so is that of the a, and the layer is not injective.

Entries are at most `LARGEST` in size: then no product below overflows.
"""

from __future__ import annotations

from itertools import combinations, permutations, product

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# In three dimensions a.t is at most 12 LARGEST^4 < 2^63.
LARGEST = 1 << 14


def injective(rows: Integers, biases: Integers | None = None) -> Bools:
    """Whether x -> ReLU(A x + b) is injective, for a stack of matrices `(count, m, n)` and biases `(count, m)`."""
    assert max(np.abs(rows).max(initial=0), 0 if biases is None else np.abs(biases).max(initial=0)) <= LARGEST
    count, m, n = rows.shape
    if m < n:
        return np.zeros(count, bool)
    cuts = rows if biases is None else np.concatenate([rows, biases[..., None]], axis=2)
    if biases is not None:
        half_space = np.zeros((count, 1, n + 1), np.int64)
        half_space[:, 0, n] = 1
        cuts = np.concatenate([cuts, half_space], axis=1)
    full = _independent(rows)
    result = (full != 0).any(axis=1)  # rank n, and with biases rank n + 1 of the rows that cut
    sets = [sum(1 << i for i in chosen) for chosen in combinations(range(m), n)]
    for positive, real in _cells(cuts):
        inside = real if biases is None else real & (positive[:, m])
        active = positive[:, :m] @ (1 << np.arange(m, dtype=np.int64))
        held = np.zeros(count, bool)
        for k, chosen in enumerate(sets):
            held |= full[:, k] & ((active & chosen) == chosen)
        result &= held | ~inside
    return result


def _independent(rows: Integers) -> Bools:
    """Whether each set of n rows is independent: `(count, sets)`."""
    n = rows.shape[2]
    sets = np.array(list(combinations(range(rows.shape[1]), n)))
    picked = rows[:, sets]
    if n == 1:
        return picked[:, :, 0, 0] != 0
    if n == 2:
        return picked[:, :, 0, 0] * picked[:, :, 1, 1] != picked[:, :, 0, 1] * picked[:, :, 1, 0]
    return (picked[:, :, 0] * _cross(picked[:, :, 1], picked[:, :, 2])).sum(axis=2) != 0


def _cross(a: Integers, b: Integers) -> Integers:
    """Vector product along the last axis."""
    x, y = np.moveaxis(a, -1, 0), np.moveaxis(b, -1, 0)
    return np.stack([x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]], axis=-1)


def _cells(rows: Integers):  # type: ignore[no-untyped-def]
    """All flags: which rows are positive, `(count, m)`, and whether the flag exists, `(count,)`."""
    count, m, g = rows.shape
    for chosen in permutations(range(m), g - 1):
        if g == 1:
            steps = [np.ones((count, 1), np.int64)]
        elif g == 2:
            a = rows[:, chosen[0]]
            steps = [np.stack([-a[:, 1], a[:, 0]], axis=1), a]
        else:
            a, b = rows[:, chosen[0]], rows[:, chosen[1]]
            ray = _cross(a, b)
            steps = [ray, _cross(ray, a), a]
        exists = steps[0].any(axis=1)
        if not exists.any():
            continue
        levels = [np.einsum("cmg,cg->cm", rows, step) for step in steps]
        signs = [np.sign(level) for level in levels]
        for turns in product((1, -1), repeat=g):
            sign = turns[-1] * signs[-1]
            for s, turn in zip(signs[-2::-1], turns[-2::-1]):
                sign = np.where(s != 0, turn * s, sign)
            yield sign > 0, exists
