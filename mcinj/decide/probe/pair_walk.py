"""Heat-bath walk over pairs of inputs, compiled: the search for collisions behind `mcinj.decide.probe.collisions`.

Two inputs x, x' collide at last width m when every one of the first m rows either is not positive at both, or takes one
value at both. The walk lives in the doubled network, whose input is the pair and whose last layer has three functionals
per row w: the difference w.h(x) - w.h(x') at DIFFERENCE, w.h(x) and w.h(x') behind it, h the outputs of the earlier
layers. The state is a pair on the unit sphere and a set of functionals that vanish there, the *tight* ones. A row is
*open* when it is positive at x or at x' and its difference is not tight; a pair without open rows collides.

A move releases a tight functional, follows a line on which the others stay at zero, lists the zeros of all functionals
along it (`mcinj.decide.probe.lines`), and draws one with probability proportional to q^(open rows): a zero of the
difference of a row that is positive there closes this row, a zero of a value is a place where few rows are positive.
On pieces that differ, differences of up to 2 n - 1 rows can be tight; where x and x' lie in one linear piece, n of them
leave the diagonal alone, and pairs near it are passed over.

Only IEEE operations in a fixed order: the same walk on every machine. Nothing here is a proof.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.decide.probe.deep_walk import COUNT, EXHAUSTED, FOUND, NEVER, SPENT, TIGHT, WIDTH, rooms
from mcinj.decide.probe.heat_bath import draw
from mcinj.decide.probe.lines import Layers, Zeros, forward, slopes_along, sweep
from mcinj.decide.probe.tight import direction, gradients, orthonormal, settle

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Functionals of a row.
DIFFERENCE, HERE, THERE = range(3)
PER_ROW = 3
_APART = 1e-5  # least distance of the two inputs; folds can be thin


def doubled(layers: Layers) -> Layers:
    """The network whose input is a pair: two copies, the last layer with three functionals per row."""
    weights = []
    for k, size in enumerate(layers.size):
        w = layers.R[layers.woff[k] : layers.woff[k + 1]].reshape(size, -1)
        zero = np.zeros_like(w)
        if k < len(layers.size) - 1:
            weights.append(np.block([[w, zero], [zero, w]]))
        else:
            each = np.stack([np.hstack([w, -w]), np.hstack([w, zero]), np.hstack([zero, w])], axis=1)
            weights.append(each.reshape(PER_ROW * len(w), 2 * w.shape[1]))
    return Layers.of(weights)


@njit(error_model="numpy", no_cpython_wrapper=True)
def _distance(x: Floats) -> float:
    """Distance between the two inputs of a pair."""
    n = len(x) // 2
    total = 0.0
    for c in range(n):
        total += (x[c] - x[n + c]) ** 2
    return float(np.sqrt(total))


@njit(error_model="numpy", no_cpython_wrapper=True)
def _mark(tight: Ints, k: int, skip: npt.NDArray[np.bool_], closed: npt.NDArray[np.bool_], on: bool) -> None:
    """Set or clear what the tight functionals fix: rows that they close, and functionals with no zeros to list."""
    for a in range(k):
        row = tight[a] // PER_ROW
        kind = tight[a] % PER_ROW
        skip[tight[a]] = on
        skip[PER_ROW * row] = on
        if kind == DIFFERENCE:
            skip[PER_ROW * row + HERE] = on
            skip[PER_ROW * row + THERE] = on
            closed[row] = on


@njit(error_model="numpy", no_cpython_wrapper=True)
def _open(z: Floats, base: int, begin: int, end: int, closed: npt.NDArray[np.bool_]) -> int:
    """Open rows among begin … end - 1."""
    count = 0
    for j in range(begin, end):
        if not closed[j] and (z[base + PER_ROW * j + HERE] > 0.0 or z[base + PER_ROW * j + THERE] > 0.0):
            count += 1
    return count


@njit(error_model="numpy", no_cpython_wrapper=True)
def _count_along(
    z: Floats, s: Floats, base: int, width: int, closed: npt.NDArray[np.bool_], zeros: Zeros, begin: int, end: int,
    sign: float, up: npt.NDArray[np.bool_],
) -> None:  # fmt: skip
    """Keys of the zeros begin … end - 1 of one half of a line: open rows there; -1 where the zero is of no use."""
    total = 0
    for j in range(width):
        for kind in range(HERE, THERE + 1):
            f = PER_ROW * j + kind
            up[f] = z[base + f] > 0.0
        if not closed[j] and (up[PER_ROW * j + HERE] or up[PER_ROW * j + THERE]):
            total += 1
    for e in range(begin, end):
        f = zeros.unit[e]
        j = f // PER_ROW
        kind = f % PER_ROW
        positive = up[PER_ROW * j + HERE] or up[PER_ROW * j + THERE]
        if kind == DIFFERENCE:
            zeros.key[e] = total - 1 if positive else -1
            continue
        other = up[PER_ROW * j + HERE + THERE - kind]
        # A closed row keeps no zeros here: its functionals are skipped.
        if positive:
            total -= 1
        zeros.key[e] = total + (1 if other else 0)
        up[f] = not up[f]
        if up[f] or other:
            total += 1


@njit(error_model="numpy")
def pair_walk(
    net: Layers, x: Floats, tight: Ints, state: Ints, best: Floats, kept: Ints, q: float, cooling: float, most: int,
    free: float, reach: int, U: Floats,
) -> tuple[int, int, float]:  # fmt: skip
    """Make len(U) moves on the doubled network; returns (reason, moves made, q).

    x: the pair, (2 n,); tight: its tight functionals, TIGHT of them. state: WIDTH, the rows counted; COUNT, the open
    ones among them; FOUND, the largest width at which a pair without open rows was met, that pair in `best` and its
    tight functionals in `kept` (-1 at the end). U: (moves, 2 n + 4) uniform numbers. most: values (not differences)
    that are tight at once; free: the share of moves that release all. When no row is open WIDTH grows until one is;
    EXHAUSTED if the rows at hand end first.
    """
    _, _, _, size, zoff = net
    n = len(x)
    layers = len(size)
    last = layers - 1
    functionals = size[last]
    have = functionals // PER_ROW
    total = zoff[layers]
    base = zoff[last]
    z = np.empty(total)
    s = np.empty(total)
    y = np.empty(total)
    room, zeros, rows = rooms(net, n)
    at, unit, key = zeros
    skip = np.zeros(functionals, dtype=np.bool_)
    up = np.zeros(functionals, dtype=np.bool_)
    closed = np.zeros(have, dtype=np.bool_)
    d = np.empty(n)
    there = np.empty(n)
    chosen = np.empty(n + 1, dtype=np.int64)
    power = np.empty(total + 2)
    forward(net, x, z)
    for a in range(state[TIGHT]):
        z[base + tight[a]] = 0.0
    _mark(tight, state[TIGHT], skip, closed, True)
    state[COUNT] = _open(z, base, 0, state[WIDTH], closed)
    _mark(tight, state[TIGHT], skip, closed, False)
    for done in range(len(U)):
        width = state[WIDTH]
        k = state[TIGHT]
        q *= cooling
        jump = U[done, n] < free
        if jump:
            k = 0
        else:
            # Differences of rows that are positive at neither input close nothing; values are limited in number.
            values = 0
            a = 0
            while a < k:
                row = tight[a] // PER_ROW
                if tight[a] % PER_ROW == DIFFERENCE:
                    keep = z[base + PER_ROW * row + HERE] > 0.0
                else:
                    values += 1
                    keep = values <= most
                if keep:
                    a += 1
                else:
                    k -= 1
                    tight[a] = tight[k]
            # Half of the moves release one of them.
            release = 2.0 * U[done, n + 1]
            if k > 0 and release < 1.0:
                a = min(int(release * k), k - 1)
                k -= 1
                tight[a] = tight[k]
            while k > n - 2:
                k -= 1
        gradients(net, n, z, tight, k, rows)
        while k > 0 and not orthonormal(rows, k):
            k -= 1
        if not direction(U[done], x, rows, k, d):
            continue
        _mark(tight, k, skip, closed, True)
        slopes_along(net, z, d, s)
        events = 0
        for half in range(2):
            sign = 1.0 if half == 0 else -1.0
            before = events
            events = sweep(net, PER_ROW * width, skip, sign, reach, z, s, room, zeros, events)
            _count_along(z, s, base, width, closed, zeros, before, events, sign, up)
        _mark(tight, k, skip, closed, False)
        low = -1
        for e in range(events):
            if key[e] >= 0 and (low < 0 or key[e] < low):
                low = key[e]
        if low < 0:
            if not jump:
                state[TIGHT] = 0
            continue
        pick, top = draw(key, events, low, q, total, NEVER, U[done, n + 2], power)
        length = 0.0
        for c in range(n):
            there[c] = x[c] + at[pick] * d[c]
            length += there[c] * there[c]
        length = np.sqrt(length)
        for c in range(n):
            there[c] /= length
        for a in range(k):
            chosen[a] = tight[a]
        chosen[k] = unit[pick]
        forward(net, there, y)
        held = k + 1
        if not settle(net, there, y, chosen, held, rows) or not _distance(there) > _APART:
            continue
        for a in range(held):
            y[base + chosen[a]] = 0.0
        _mark(chosen, held, skip, closed, True)
        count = _open(y, base, 0, width, closed)
        excess = count - (state[COUNT] if jump else key[pick])
        if excess > 0 and (excess > top or U[done, n + 3] > power[excess]):
            _mark(chosen, held, skip, closed, False)
            continue
        x[:] = there
        z[:] = y
        for a in range(held):
            tight[a] = chosen[a]
        state[TIGHT] = held
        state[COUNT] = count
        if count == 0:
            while width < have and count == 0:
                count = _open(z, base, width, width + 1, closed)
                width += 1
            state[COUNT] = count
            state[FOUND] = width - 1 if count > 0 else have
            state[WIDTH] = width
            best[:] = x
            kept[:] = -1
            for a in range(held):
                kept[a] = tight[a]
        _mark(chosen, held, skip, closed, False)
        if count == 0 and state[FOUND] == have:
            return EXHAUSTED, done + 1, q
    return SPENT, len(U), q
