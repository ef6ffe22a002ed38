"""Heat-bath walk through the linear pieces of a deep network, compiled: the search behind `mcinj.decide.probe.deep`.

The state is an input x on the unit sphere and a set of *tight* rows of the last layer, at most n - 1 of them, whose
pre-activations vanish at x. A move releases one of them and follows the line x + t d on which the others stay at zero
in the present linear piece (d is random where that leaves a choice). Along the line all breakpoints of hidden units
are found layer by layer: between two breakpoints of layer k the pre-activations of layer k + 1 are linear in t. So all
zeros of last-layer rows come out in order, with the number of positive rows at each, and one of them is drawn with
probability proportional to q^count: a heat bath as in one layer (`probe_walk`), on a line that bends the network's way.

Beyond the first breakpoint the tight rows leave zero. The new state is brought back by Newton steps, each linear solve
in the piece it has come to, and accepted by Metropolis' rule against the count that the line promised.

Only IEEE operations in a fixed order:
the same walk on every machine. Nothing here is a proof; what is found is checked exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.decide.probe.heat_bath import draw

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# What the walk returned with.
SPENT, EXHAUSTED = 0, 1
# Integers of the walk's state.
WIDTH, COUNT, FOUND, TIGHT = range(4)
STATE = 4
_FAR = 1e3  # lines end here, in units of |x|: what lies beyond is an angle of a thousandth
_NEWTON = 6  # steps at most
_NEAR = 1e-9  # of a tight row, relative to its length
NEVER = 1e-9  # zeros of less weight than this, relative to the best of the line, are not drawn


class Layers(NamedTuple):
    """A network as flat arrays: layer k has size[k] units, at zoff[k]:zoff[k + 1] of a vector of all pre-activations,
    and its weights at woff[k], as rows (out, in) in `R` and as columns (in, out) in `C`."""

    R: Floats
    C: Floats
    woff: Ints
    size: Ints
    zoff: Ints

    @classmethod
    def of(cls, weights: list[Floats]) -> Layers:
        """Weights of all layers, (out, in) each."""
        size = np.array([len(w) for w in weights], dtype=np.int64)
        return cls(
            np.concatenate([np.ascontiguousarray(w).ravel() for w in weights]),
            np.concatenate([np.ascontiguousarray(w.T).ravel() for w in weights]),
            np.concatenate([[0], np.cumsum([w.size for w in weights])]),
            size,
            np.concatenate([[0], np.cumsum(size)]),
        )

    @property
    def have(self) -> int:
        """Rows of the last layer."""
        return int(self.size[-1])

    def values(self, x: Floats) -> Floats:
        """Pre-activations of all layers."""
        z = np.empty(self.zoff[-1])
        forward(self, x, z)
        return z


class Sweep(NamedTuple):
    """Room for `sweep`: values, slopes and next values of all pre-activations; per layer the zeros of the present piece
    and their units, (layers, ≥ widest)."""

    val: Floats
    slope: Floats
    new: Floats
    times: Floats
    units: Ints


class Zeros(NamedTuple):
    """Zeros of last-layer rows on a line: t with its sign, the row, how many other rows that count are positive."""

    at: Floats
    unit: Ints
    key: Ints


class Gradients(NamedTuple):
    """Gradients W = T Q of tight rows, T lower triangular, rows of Q orthonormal; room `spare`, (2, ≥ widest)."""

    W: Floats
    Q: Floats
    T: Floats
    spare: Floats


@njit(error_model="numpy")
def forward(net: Layers, x: Floats, z: Floats) -> None:
    """Pre-activations z of all layers at x."""
    _, C, woff, size, zoff = net
    layers = len(size)
    columns = len(x)
    for k in range(layers):
        out = z[zoff[k] : zoff[k + 1]]
        out[:] = 0.0
        weights = C[woff[k] : woff[k + 1]].reshape((columns, size[k]))
        for i in range(columns):
            h = x[i] if k == 0 else z[zoff[k - 1] + i]
            if k == 0 or h > 0.0:
                for j in range(len(out)):
                    out[j] += h * weights[i, j]
        columns = size[k]


@njit(error_model="numpy")
def slopes_along(net: Layers, z: Floats, d: Floats, s: Floats) -> None:
    """Slopes s of all pre-activations along d in the linear piece that z lies in."""
    _, C, woff, size, zoff = net
    layers = len(size)
    columns = len(d)
    for k in range(layers):
        out = s[zoff[k] : zoff[k + 1]]
        out[:] = 0.0
        weights = C[woff[k] : woff[k + 1]].reshape((columns, size[k]))
        for i in range(columns):
            if k == 0 or z[zoff[k - 1] + i] > 0.0:
                h = d[i] if k == 0 else s[zoff[k - 1] + i]
                for j in range(len(out)):
                    out[j] += h * weights[i, j]
        columns = size[k]


@njit(error_model="numpy")
def composed_row(net: Layers, n: int, z: Floats, j: int, w: Floats, spare: Floats) -> None:
    """w (n,): the gradient of row j of the last layer in the linear piece that z lies in; spare: (2, widest)."""
    R, _, woff, size, zoff = net
    layers = len(size)
    last = layers - 1
    columns = n if last == 0 else size[last - 1]
    here = spare[0]
    for i in range(columns):
        here[i] = R[woff[last] + j * columns + i]
    for k in range(last, 0, -1):
        # here: gradient with respect to the units of layer k - 1
        below = n if k == 1 else size[k - 2]
        there = spare[1] if k % 2 == last % 2 else spare[0]
        here = spare[0] if k % 2 == last % 2 else spare[1]
        there[:below] = 0.0
        weights = R[woff[k - 1] : woff[k]].reshape((size[k - 1], below))
        for i in range(size[k - 1]):
            if z[zoff[k - 1] + i] > 0.0:
                g = here[i]
                for c in range(below):
                    there[c] += g * weights[i, c]
        here = there
    w[:] = here[:n]


@njit(error_model="numpy", no_cpython_wrapper=True)
def orthonormal(rows: Gradients, k: int) -> bool:
    """Rows W[:k] = T Q with T lower triangular and Q[:k] orthonormal; False if they are dependent to rounding."""
    W, Q, T, _ = rows
    n = W.shape[1]
    for a in range(k):
        size = 0.0
        for c in range(n):
            Q[a, c] = W[a, c]
            size += W[a, c] * W[a, c]
        for b in range(a):
            T[a, b] = 0.0
        for _ in range(2):
            for b in range(a):
                f = 0.0
                for c in range(n):
                    f += Q[a, c] * Q[b, c]
                T[a, b] += f
                for c in range(n):
                    Q[a, c] -= f * Q[b, c]
        left = 0.0
        for c in range(n):
            left += Q[a, c] * Q[a, c]
        if not left > 1e-16 * size:
            return False
        left = np.sqrt(left)
        T[a, a] = left
        for c in range(n):
            Q[a, c] /= left
    return True


@njit(error_model="numpy", no_cpython_wrapper=True)
def _order(t: Floats, u: Ints, count: int) -> None:
    """Sort the first entries of t, and u with it (Shell's method)."""
    gap = 1
    while gap < count // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for e in range(gap, count):
            x = t[e]
            y = u[e]
            f = e
            while f >= gap and t[f - gap] > x:
                t[f] = t[f - gap]
                u[f] = u[f - gap]
                f -= gap
            t[f] = x
            u[f] = y
        gap //= 3


@njit(error_model="numpy", no_cpython_wrapper=True)
def _pass_on(net: Layers, up: int, change: float, col: Floats, val: Floats, slope: Floats) -> None:
    """Slopes of layer `up` have changed by change times col: so do those of the layers above, through active units.

    All pieces of these layers end here, so that val is what holds now.
    """
    _, C, woff, size, zoff = net
    delta = np.empty(size[up])
    for j in range(size[up]):
        delta[j] = change * col[j]
    for k in range(up, len(size) - 1):
        rise = np.zeros(size[k + 1])
        weights = C[woff[k + 1] : woff[k + 2]].reshape((size[k], size[k + 1]))
        for j in range(size[k]):
            if val[zoff[k] + j] > 0.0:
                f = delta[j]
                for c in range(len(rise)):
                    rise[c] += f * weights[j, c]
        g = slope[zoff[k + 1] : zoff[k + 2]]
        for c in range(len(rise)):
            g[c] += rise[c]
        delta = rise


@njit(error_model="numpy")
def sweep(
    net: Layers, width: int, skip: npt.NDArray[np.bool_], sign: float, reach: int, z: Floats, s: Floats, room: Sweep,
    zeros: Zeros, e: int,
) -> int:  # fmt: skip
    """Zeros of last-layer rows along one half of the line, from t = 0 on; returns the number of events then known.

    z, s: pre-activations at t = 0 and their slopes; sign: which half. Rows with skip > 0 are left out. They are
    written behind the first e; rows among the first `width` count. The sweep ends at `reach` breakpoints, or with full
    arrays.
    """
    _, C, woff, size, zoff = net
    val, slope, new, times, units = room
    at, unit, key = zeros
    layers = len(size)
    last = layers - 1
    for i in range(len(z)):
        val[i] = z[i]
        slope[i] = s[i] * sign
    count = 0
    for j in range(width):
        if val[zoff[last] + j] > 0.0 and not skip[j]:
            count += 1
    end = np.empty(layers)
    found = np.zeros(layers, dtype=np.int64)
    place = np.zeros(layers, dtype=np.int64)
    now = 0.0
    end[0] = _FAR
    level = 0
    passed = 0
    while True:
        low = zoff[level]
        high = zoff[level + 1] if level < last else zoff[level] + width
        span = end[level] - now
        flips = 0
        v = val[low:high]
        g = slope[low:high]
        w = new[low:high]
        for i in range(high - low):
            w[i] = v[i] + g[i] * span
        for i in range(high - low):
            flips += (w[i] > 0.0) != (v[i] > 0.0)
        t = times[level]
        u = units[level]
        events = 0
        if flips > 0:
            for i in range(high - low):
                if (w[i] > 0.0) != (v[i] > 0.0):
                    t[events] = min(max(now - v[i] / g[i], now), end[level])
                    u[events] = i
                    events += 1
            if events > 1:
                _order(t, u, events)
        found[level] = events
        place[level] = 0
        if level < last:
            end[level + 1] = t[0] if events > 0 else end[level]
            level += 1
            continue
        for f in range(events):
            j = u[f]
            if skip[j]:
                continue
            if e == len(at):
                return e
            rises = w[j] > 0.0
            if not rises:
                count -= 1
            at[e] = t[f] * sign
            unit[e] = j
            key[e] = count
            e += 1
            if rises:
                count += 1
        for i in range(high - low):
            v[i] = w[i]
        now = end[level]
        while level > 0:
            level -= 1
            f = place[level]
            if f < found[level]:
                i = units[level, f]
                base = zoff[level]
                change = slope[base + i] if new[base + i] > 0.0 else -slope[base + i]
                # The unit changes sides: slopes of the layers above change, their values do not.
                up = level + 1
                col = C[woff[up] + i * size[up] : woff[up] + (i + 1) * size[up]]
                g = slope[zoff[up] : zoff[up + 1]]
                for j in range(len(g)):
                    g[j] += change * col[j]
                if up < last:
                    _pass_on(net, up, change, col, val, slope)
                place[level] = f + 1
                passed += 1
                if passed >= reach:
                    return e
                end[level + 1] = times[level, f + 1] if f + 1 < found[level] else end[level]
                level += 1
                break
            for i in range(zoff[level], zoff[level + 1]):
                val[i] = new[i]
        else:
            return e


@njit(error_model="numpy", no_cpython_wrapper=True)
def gradients(net: Layers, n: int, z: Floats, tight: Ints, k: int, rows: Gradients) -> None:
    """W[:k]: gradients of the tight rows where z is."""
    for a in range(k):
        composed_row(net, n, z, tight[a], rows.W[a], rows.spare)


@njit(error_model="numpy", no_cpython_wrapper=True)
def settle(net: Layers, x: Floats, z: Floats, tight: Ints, k: int, rows: Gradients) -> bool:
    """Newton steps of x, of length 1, to a zero of the tight rows; z follows. Whether one was reached."""
    _, _, _, size, zoff = net
    n = len(x)
    base = zoff[len(size) - 1]
    y = np.empty(k)
    for step in range(_NEWTON + 1):
        gradients(net, n, z, tight, k, rows)
        worst = 0.0
        for a in range(k):
            length = 0.0
            for c in range(n):
                length += rows.W[a, c] * rows.W[a, c]
            y[a] = z[base + tight[a]]
            worst = max(worst, abs(y[a]) / np.sqrt(length))
        if worst <= _NEAR:
            return True
        if step == _NEWTON or not worst < 1.0 or not orthonormal(rows, k):
            return False
        for a in range(k):
            f = y[a]
            for b in range(a):
                f -= rows.T[a, b] * y[b]
            y[a] = f / rows.T[a, a]
            for c in range(n):
                x[c] -= y[a] * rows.Q[a, c]
        length = 0.0
        for c in range(n):
            length += x[c] * x[c]
        length = np.sqrt(length)
        if not 1e-3 < length < 1e3:
            return False
        for c in range(n):
            x[c] /= length
        forward(net, x, z)
    return False


@njit(error_model="numpy")
def direction(uniform: Floats, x: Floats, rows: Gradients, k: int, d: Floats) -> bool:
    """d (n,): a unit vector orthogonal to x and rows.Q[:k], from n uniform numbers; False if rounding leaves none."""
    n = len(x)
    for c in range(n):
        d[c] = uniform[c] - 0.5
    for _ in range(2):
        for a in range(k + 1):
            f = 0.0
            for c in range(n):
                f += d[c] * (x[c] if a == k else rows.Q[a, c])
            for c in range(n):
                d[c] -= f * (x[c] if a == k else rows.Q[a, c])
    length = 0.0
    for c in range(n):
        length += d[c] * d[c]
    length = np.sqrt(length)
    if not length > 1e-7:
        return False
    for c in range(n):
        d[c] /= length
    return True


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
