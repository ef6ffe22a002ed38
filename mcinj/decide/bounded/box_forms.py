"""What a network does on boxes: linear forms with proved errors, many boxes at a time.

On a box every pre-activation is `c + J δ ± e`, δ the displacement from the center. A unit whose sign is fixed keeps
that form; another one is enclosed between `λ z` and `λ z + μ` (Singh et al., NeurIPS 2018). Roundings are part of `e`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcinj.networks import Network

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

UNIT = 2.0**-53
TINY = 1e-290
_RANGE = 1e60  # sizes of layers, their products, also with the domain, beyond which squares might leave floats


@dataclass(frozen=True)
class Weights:
    """One layer in floats, with what bounds its roundings.

    Attributes
    ----------
    w, size
        Weights (m, m0), and their absolute values.
    b
        Biases (m,), or None.
    rows, columns
        Upper bounds of the absolute row sums (m,), and of the largest absolute column sum.
    gamma
        Relative error of a sum of m0 products in any order, with one more rounding per weight for its float64.
    linear
        Units (m,) without a ReLU: each stands for two opposite outputs, which tell z / √2 between them.
    """

    w: Floats
    size: Floats
    b: Floats | None
    rows: Floats
    columns: float
    gamma: float
    linear: Flags

    @classmethod
    def of(cls, network: Network, unit: float = 1.0, size: float = 1.0) -> tuple[Weights, ...] | None:
        """All layers of `u ↦ f(unit u)`, unit a power of two, |u| about `size`; None where numbers lie far from 1."""
        found = []
        gain, reach = 1.0, size
        for k, w in enumerate(network.weights):
            b = None if not network.has_biases or network.biases is None else network.biases[k]
            linear = np.zeros(len(w), dtype=bool)
            # Before the unit: an underflow makes rows opposite that are not.
            if k == network.depth - 1 and network.floats_are_exact:
                w, b, linear = _merged(w, b)
            w = w * unit if k == 0 else w
            with np.errstate(over="ignore"):
                own = float(np.abs(w).sum(axis=1).max())
            gain, reach = gain * own, reach * own
            top = 1.0 if b is None else float(np.abs(b).max(initial=0.0)) or 1.0
            if not all(1.0 / _RANGE < v < _RANGE for v in (own, gain, reach, top)):
                return None
            more = 1.0 + 4.0 * UNIT * (max(w.shape) + 2)
            entries = np.abs(w)
            rows, columns = entries.sum(axis=1) * more, float(entries.sum(axis=0).max()) * more
            found.append(cls(w, entries, b, rows, columns, 2.0 * UNIT * (w.shape[1] + 8), linear))
        return tuple(found)

    def every(self, step: int) -> Weights:
        """Every `step`-th unit only."""
        b = None if self.b is None else self.b[::step]
        return Weights(
            self.w[::step].copy(), self.size[::step].copy(), b, self.rows[::step], self.columns, self.gamma,
            self.linear[::step],
        )  # fmt: skip


def _merged(w: Floats, b: Floats | None) -> tuple[Floats, Floats | None, Flags]:
    """Outputs with opposite ones as one linear output: `(ReLU(u) - ReLU(v))² + (ReLU(-u) - ReLU(-v))² >= (u - v)² / 2`.

    This is what a linear last layer looks like (`Network.with_linear_last_layer`).
    """
    rows = w if b is None else np.concatenate([w, b[:, None]], axis=1)
    places: dict[bytes, list[int]] = {}
    single: list[int] = []
    pairs: list[int] = []
    for i, row in enumerate(rows):
        partners = places.get((0.0 - row).tobytes())  # 0.0 - 0.0 is 0.0, not -0.0
        if partners:
            pairs.append(partners.pop())
        else:
            places.setdefault((row + 0.0).tobytes(), []).append(i)
    single = sorted(i for left in places.values() for i in left)
    # A relative rounding, which gamma has room for, on the safe side.
    factor = 0.5**0.5 * (1.0 - 4.0 * UNIT)
    order = np.array(single + pairs, dtype=np.int64)
    linear = np.arange(len(order)) >= len(single)
    scale = np.where(linear, factor, 1.0)
    return w[order] * scale[:, None], None if b is None else b[order] * scale, linear


@dataclass(frozen=True)
class Boxes:
    """N boxes: center and radius (N, n), and t (N,), which multiplies the biases, up to `spread` (N,).

    Inputs are `u = x t`: a box of a domain has t = 1 and no spread.
    """

    center: Floats
    radius: Floats
    t: Floats
    spread: Floats

    def __len__(self) -> int:
        return len(self.center)

    def take(self, index: npt.NDArray[np.int64] | Flags) -> Boxes:
        """Some of the boxes."""
        return Boxes(self.center[index], self.radius[index], self.t[index], self.spread[index])


@dataclass(frozen=True)
class Forms:
    """Outputs on N boxes, and the ranges of all pre-activations.

    Attributes
    ----------
    low, high
        Per layer (N, m).
    c, e
        Center and error of the outputs (N, m).
    J
        Their slopes (N, m, n + 1), the last in t.
    slope, gap
        Per layer (N, m): outputs lie between `slope z` and `slope z + gap`.
    rounding
        Bound of what roundings add up to in any output (N,).
    """

    low: list[Floats]
    high: list[Floats]
    c: Floats
    J: Floats
    e: Floats
    slope: list[Floats]
    gap: list[Floats]
    rounding: Floats

    def take(self, index: npt.NDArray[np.int64]) -> Forms:
        """Those of some boxes."""
        low, high, slope, gap = ([v[index] for v in part] for part in (self.low, self.high, self.slope, self.gap))
        return Forms(low, high, self.c[index], self.J[index], self.e[index], slope, gap, self.rounding[index])


def forms(layers: tuple[Weights, ...], boxes: Boxes) -> Forms:
    """The network on boxes."""
    N, n = boxes.center.shape
    r = np.concatenate([boxes.radius, boxes.spread[:, None]], axis=1)
    moving = bool(boxes.spread.any())
    c, e = boxes.center, np.zeros((N, n))
    J = np.zeros((N, n + 1, n))  # slopes first: products with weights act on the last axis
    J[:, :n] = np.eye(n)
    lows, highs, slopes, gaps = [], [], [], []
    rounding = np.zeros(N)
    for layer in layers:
        size = np.abs(c) + np.einsum("nqm,nq->nm", np.abs(J), r) + e
        most = size.max(axis=1) * (1.0 + 1e-12)
        zc, zJ = c @ layer.w.T, J @ layer.w.T
        ze = e @ layer.size.T + (layer.gamma * most[:, None]) * layer.rows + TINY
        if layer.b is not None:
            zc = zc + boxes.t[:, None] * layer.b
            if moving:
                zJ[:, n] += layer.b
            ze = ze + 8.0 * UNIT * (boxes.t + boxes.spread)[:, None] * np.abs(layer.b)
        reach = (np.einsum("nqm,nq->nm", np.abs(zJ), r) + ze) * (1.0 + 1e-12)
        low, high = zc - reach, zc + reach
        low, high = low - 4.0 * UNIT * np.abs(low), high + 4.0 * UNIT * np.abs(high)
        lows.append(low)
        highs.append(high)
        crossing = (low < 0.0) & (high > 0.0) & ~layer.linear
        fixed = ((low >= 0.0) | layer.linear).astype(float)
        slope = np.where(crossing, high / np.where(crossing, high - low, 1.0), fixed)
        slope = np.minimum(slope, 1.0)
        # 0 <= ReLU(z) - slope z <= gap
        gap = np.where(crossing, np.maximum(-slope * low, (1.0 - slope) * high) * (1.0 + 8.0 * UNIT) + TINY, 0.0)
        c, J = slope * zc + gap / 2, slope[:, None, :] * zJ
        e = slope * ze + gap / 2
        size = np.abs(c) + reach + gap
        e = e + 8.0 * UNIT * size
        slopes.append(slope)
        gaps.append(gap)
        rounding = float(layer.rows.max()) * (rounding + layer.gamma * most) + TINY
        if layer.b is not None:
            rounding = rounding + 8.0 * UNIT * (boxes.t + boxes.spread) * float(np.abs(layer.b).max())
        rounding = (rounding + 8.0 * UNIT * size.max(axis=1)) * (1.0 + 1e-12)
    return Forms(lows, highs, c, J.transpose(0, 2, 1), e, slopes, gaps, rounding)
