"""Layers in exact arithmetic, with ReLUs (slope 0) or leaky ones: forward passes and affine rows on a pattern."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import flint

from mcinj.errors import InputError
from mcinj.inverse.algebra import Matrix, chosen, matrix
from mcinj.networks import Network
from mcinj.networks.network import FractionVector, exact_product


def slope_of(slope: Any) -> Fraction:
    """The slope as a rational; `InputError` unless 0 <= slope < 1."""
    if isinstance(slope, bool) or not isinstance(slope, (int, float, Fraction)) or not math.isfinite(slope):
        raise InputError(f"slope is {slope!r}; give a number, 0 for ReLU or 0 < slope < 1 for leaky ReLU")
    if not 0 <= slope < 1:
        raise InputError(f"the slope of a leaky ReLU lies between 0 and 1, got {float(slope):g}")
    return Fraction(slope)


def pre_activations(network: Network, x: Sequence[Fraction], slope: Fraction) -> list[FractionVector]:
    """Pre-activations of every layer at a rational input."""
    if not slope:
        return network.exact_pre_activations(x)
    v: Sequence[Fraction] = tuple(x)
    result = []
    for k, w in enumerate(network.exact_weights):
        z = exact_product(w, v)
        if network.exact_biases is not None:
            z = tuple(a + b for a, b in zip(z, network.exact_biases[k], strict=True))
        result.append(z)
        v = activated(z, slope)
    return result


def activated(z: Sequence[Fraction], slope: Fraction) -> FractionVector:
    """`max(z, slope z)`, entry by entry."""
    return tuple(max(v, slope * v) for v in z)


def forward(network: Network, x: Sequence[Fraction], slope: Fraction) -> FractionVector:
    """f(x), exactly."""
    return activated(pre_activations(network, x, slope)[-1], slope)


def signs_of(network: Network, x: Sequence[Fraction], slope: Fraction) -> tuple[tuple[int, ...], ...]:
    """Signs (-1, 0, 1) of the pre-activations of every layer."""
    return tuple(tuple((v > 0) - (v < 0) for v in z) for z in pre_activations(network, x, slope))


def before(value: Fraction, slope: Fraction) -> Fraction | None:
    """The greatest pre-activation with this output; None: there is none."""
    if value >= 0:
        return value
    return value / slope if slope else None


def layer_rows(network: Network, k: int) -> Matrix:
    """Rows (W, b) of layer k (from 0), shape `(m_k, m_{k-1} + 1)`."""
    w = network.exact_weights[k]
    biases = network.exact_biases
    b = biases[k] if biases is not None else (Fraction(0),) * len(w)
    return matrix([(*row, c) for row, c in zip(w, b, strict=True)], len(w[0]) + 1)


def after(rows: Matrix, layer: Matrix, active: Sequence[bool], slope: Fraction = Fraction(0)) -> Matrix:
    """Rows over (x, 1) of the next layer, where exactly these units of the layer with `rows` are positive."""
    columns = rows.ncols()
    kept = [i for i, on in enumerate(active) if on or slope]
    last = layer.ncols() - 1
    constant = flint.fmpq_mat(layer.nrows(), columns)
    for i in range(layer.nrows()):
        constant[i, columns - 1] = layer[i, last]
    if not kept:
        return constant
    factor = [flint.fmpq(1) if active[j] else flint.fmpq(slope.numerator, slope.denominator) for j in kept]
    part = flint.fmpq_mat(
        layer.nrows(), len(kept), [layer[i, j] * f for i in range(layer.nrows()) for j, f in zip(kept, factor)]
    )
    return part * chosen(rows, kept) + constant
