"""A deep network along a line, compiled: where its last layer's rows vanish, in order.

Along a line x + t d all breakpoints of hidden units are found layer by layer: between two breakpoints of layer k the
pre-activations of layer k + 1 are linear in t. So all zeros of last-layer rows come out in order, with the number of
positive rows at each. Only IEEE operations in a fixed order; nothing here is a proof.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FAR = 1e3  # lines end here, in units of |x|: what lies beyond is an angle of a thousandth


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
