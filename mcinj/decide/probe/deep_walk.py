"""Heat-bath walk through the linear pieces of a deep network, compiled: the search behind `mcinj.decide.probe.deep`.

The state is an input x on the unit sphere and a set of *tight* rows of the last layer, at most n - 1 of them, whose
pre-activations vanish at x. A move releases one of them and follows the line x + t d on which the others stay at zero
in the present linear piece (d is random where that leaves a choice). All zeros of last-layer rows along it are listed
(`lines.sweep`), with the number of positive rows at each, and one of them is drawn with probability proportional to
q^count: a heat bath as in one layer (`walk`), on a line that bends the network's way.

Beyond the first breakpoint the tight rows leave zero. The new state is brought back by Newton steps (`tight.settle`),
each linear solve in the piece it has come to, and accepted by Metropolis' rule against the count that the line
promised.

Only IEEE operations in a fixed order: the same walk on every machine. Nothing here is a proof; what is found is
checked exactly.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.decide.probe.heat_bath import draw
from mcinj.decide.probe.lines import Layers, Sweep, Zeros, forward, slopes_along, sweep
from mcinj.decide.probe.tight import Gradients, direction, gradients, orthonormal, settle

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# What the walk returned with.
SPENT, EXHAUSTED = 0, 1
# Integers of the walk's state.
WIDTH, COUNT, FOUND, TIGHT = range(4)
STATE = 4
NEVER = 1e-9  # zeros of less weight than this, relative to the best of the line, are not drawn


@njit(error_model="numpy")
def rooms(net: Layers, n: int) -> tuple[Sweep, Zeros, Gradients]:
    """Room for a walk whose state has n coordinates."""
    _, _, _, size, zoff = net
    layers = len(size)
    total = zoff[layers]
    widest = max(n, size.max())
    capacity = 8 * size[layers - 1] + 64
    return (
        Sweep(
            np.empty(total),
            np.empty(total),
            np.empty(total),
            np.empty((layers, widest)),
            np.empty((layers, widest), dtype=np.int64),
        ),
        Zeros(np.empty(capacity), np.empty(capacity, dtype=np.int64), np.empty(capacity, dtype=np.int64)),
        Gradients(np.empty((n, n)), np.empty((n, n)), np.empty((n, n)), np.empty((2, widest))),
    )


@njit(error_model="numpy")
def deep_walk(
    net: Layers, x: Floats, tight: Ints, state: Ints, best: Floats, kept: Ints, q: float, cooling: float, most: int,
    free: float, reach: int, U: Floats,
) -> tuple[int, int, float]:  # fmt: skip
    """Make len(U) moves; returns (reason, moves made, q).

    x, tight: the present input and its tight rows, TIGHT of them. state: WIDTH, the rows counted; COUNT, the positives
    among them that are not tight; FOUND, the largest width at which an input with fewer than n was met, that input in
    `best` and its tight rows in `kept` (-1 at the end). U: (moves, n + 4) uniform numbers. most: tight rows kept at
    most; free: the share of moves that release all. When an input has fewer than n positives, WIDTH grows until it has
    n; EXHAUSTED if the rows at hand end first.
    """
    _, _, _, size, zoff = net
    n = len(x)
    layers = len(size)
    last = layers - 1
    have = size[last]
    total = zoff[layers]
    z = np.empty(total)
    o = np.empty(n)
    oz = np.empty(total)
    s = np.empty(total)
    y = np.empty(total)
    room, zeros, rows = rooms(net, n)
    at, unit, key = zeros
    skip = np.zeros(have, dtype=np.bool_)
    d = np.empty(n)
    there = np.empty(n)
    chosen = np.empty(n, dtype=np.int64)
    power = np.empty(total + 2)
    forward(net, x, z)
    base = zoff[last]
    for a in range(state[TIGHT]):
        z[base + tight[a]] = 0.0
    state[COUNT] = 0
    for j in range(state[WIDTH]):
        if z[base + j] > 0.0:
            state[COUNT] += 1
    for done in range(len(U)):
        width = state[WIDTH]
        k = state[TIGHT]
        q *= cooling
        # Now and then a line of no constraint, through x or through its opposite; all directions are on one of them.
        jump = U[done, n] < free
        o[:] = x
        oz[:] = z
        if jump:
            k = 0
            if U[done, n] < 0.5 * free:
                for c in range(n):
                    o[c] = -x[c]
                forward(net, o, oz)
        elif k > most:
            a = min(int(U[done, n + 1] * k), k - 1)
            tight[a] = tight[k - 1]
            k -= 1
        # A direction on which the tight rows stay.
        gradients(net, n, oz, tight, k, rows)
        while k > 0 and not orthonormal(rows, k):
            k -= 1
        if not jump:
            state[TIGHT] = k
        if not direction(U[done], o, rows, k, d):
            state[TIGHT] = max(state[TIGHT] - 1, 0)
            continue
        for a in range(k):
            skip[tight[a]] = True
        slopes_along(net, oz, d, s)
        events = 0
        for half in range(2):
            sign = 1.0 if half == 0 else -1.0
            events = sweep(net, width, skip, sign, reach, oz, s, room, zeros, events)
        for a in range(k):
            skip[tight[a]] = False
        if events == 0:
            if not jump:
                state[TIGHT] = 0
            continue
        low = key[0]
        for e in range(events):
            low = min(low, key[e])
        pick, top = draw(key, events, low, q, total, NEVER, U[done, n + 2], power)
        length = 0.0
        for c in range(n):
            there[c] = o[c] + at[pick] * d[c]
            length += there[c] * there[c]
        length = np.sqrt(length)
        for c in range(n):
            there[c] /= length
        for a in range(k):
            chosen[a] = tight[a]
        chosen[k] = unit[pick]
        forward(net, there, y)
        held = k + 1
        if not settle(net, there, y, chosen, held, rows):
            # The tight rows cannot be kept: only the new one.
            held = 1
            chosen[0] = unit[pick]
            for c in range(n):
                there[c] = (o[c] + at[pick] * d[c]) / length
            forward(net, there, y)
            if not settle(net, there, y, chosen, held, rows):
                continue
        for a in range(held):
            y[base + chosen[a]] = 0.0
        count = 0
        for j in range(width):
            if y[base + j] > 0.0:
                count += 1
        # A line with no tight rows need not hold the present input: then its count is what a move must better.
        excess = count - (state[COUNT] if jump else key[pick])
        if excess > 0 and (excess > top or U[done, n + 3] > power[excess]):
            continue
        x[:] = there
        z[:] = y
        for a in range(held):
            tight[a] = chosen[a]
        state[TIGHT] = held
        state[COUNT] = count
        if count < n:
            while width < have and count < n:
                if z[base + width] > 0.0:
                    count += 1
                width += 1
            state[COUNT] = count
            state[FOUND] = width - 1 if count == n else have
            state[WIDTH] = width
            best[:] = x
            kept[:] = -1
            for a in range(held):
                kept[a] = tight[a]
            if count < n:
                return EXHAUSTED, done + 1, q
    return SPENT, len(U), q
