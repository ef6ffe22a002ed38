"""On one activation pattern the next layer's pre-activations are linear in (x, t): exact rows, scaled float rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mcinj.certify.rational import product, to_flint
from mcinj.networks import Network
from mcinj.networks.network import FloatArray, FractionMatrix, FractionVector


@dataclass(frozen=True)
class LayerRows:
    """Pre-activations of one layer on one pattern of the layers before it.

    Biases are made linear by a last coordinate t > 0: the input is x / t.

    Attributes
    ----------
    exact
        Rows, shape `(m_k, n)` or `(m_k, n + 1)` with biases.
    floats
        The same rows, each divided by a positive number so that its largest entry lies in [1/2, 1]; a row that
        vanishes exactly stays zero.
    """

    exact: FractionMatrix
    floats: FloatArray


def first_layer(network: Network) -> LayerRows:
    """Rows of layer 1."""
    rows = network.exact_weights[0]
    if network.has_biases and network.exact_biases is not None:
        rows = tuple((*row, b) for row, b in zip(rows, network.exact_biases[0], strict=True))
    return LayerRows(rows, scaled(rows))


def next_layer(network: Network, k: int, rows: LayerRows, active: Sequence[int]) -> LayerRows:
    """Rows of layer `k + 1` (k 1-based) where exactly the units `active` of layer k, with rows `rows`, are positive."""
    w = network.exact_weights[k]
    columns = len(rows.exact[0])
    if active:
        left = to_flint([[row[i] for i in active] for row in w], len(active))
        exact = product(left, to_flint([rows.exact[i] for i in active], columns))
    else:
        exact = tuple((Fraction(0),) * columns for _ in w)
    if network.has_biases and network.exact_biases is not None:
        exact = tuple((*row[:-1], row[-1] + b) for row, b in zip(exact, network.exact_biases[k], strict=True))
    return LayerRows(exact, scaled(exact))


def scaled(rows: FractionMatrix) -> FloatArray:
    """Float rows divided by the power of two above their largest entry; entries 2^-1000 times smaller become 0."""
    result = np.zeros((len(rows), len(rows[0])))
    for i, row in enumerate(rows):
        top = max(abs(v) for v in row)
        if top:
            scale = power_of_two_above(top)
            result[i] = [float(v / scale) for v in row]
    return result


def power_of_two_above(value: Fraction) -> Fraction:
    """A power of two p with value <= p <= 4 value."""
    return Fraction(2) ** (value.numerator.bit_length() - value.denominator.bit_length() + 1)


def dehomogenised(network: Network, z: FractionVector) -> FractionVector:
    """The input that a point of the cone stands for: `z`, or `z[:-1] / z[-1]` where the network has biases."""
    if not network.has_biases:
        return z
    return tuple(v / z[-1] for v in z[:-1])


def off_the_walls(rows: LayerRows, x: FloatArray, margin: float) -> FloatArray:
    """A point near `x` at which no unit of the layer vanishes; signs that hold with `margin` (rows scaled) are kept.

    Vertices of an LP lie on walls of units that the LP left free; there a collision may be blocked.
    """
    rng = np.random.default_rng(0)
    alive = rows.floats.any(axis=1)
    step = margin / (2.0 * x.size)
    for _ in range(60):
        y = x + step * rng.uniform(-1.0, 1.0, x.shape)
        if np.all(np.abs(rows.floats[alive] @ y) > 1e-6 * step):
            return np.asarray(y, dtype=np.float64)
    return x
