"""A collision of one large layer, exactly: from an input with few active units to a direction none of them sees."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from mcinj.certify.witness import Witness
from mcinj.networks import Network

_BITS = 20  # of the entries of an input


def large_witness(network: Network, x: npt.NDArray[np.float64]) -> Witness | None:
    """A collision at x, rounded, of a layer with fewer active rows than inputs; None where rounding spoils it.

    k active rows have a kernel on any k + 1 coordinates: that of a k by k + 1 integer matrix (FLINT).
    """
    from mcinj.decide.layer.exact import kernel_vector

    top = float(np.abs(x).max())
    if not 0.0 < top < np.inf:
        return None
    whole = np.rint(x / top * 2**_BITS)
    point = [Fraction(int(v)) * Fraction(top) / 2**_BITS for v in whole.tolist()]
    rows, bias = network.exact_weights[0], network.exact_biases
    offsets = bias[0] if bias is not None else (Fraction(0),) * len(rows)
    values = [sum((a * b for a, b in zip(row, point, strict=True)), c) for row, c in zip(rows, offsets, strict=True)]
    active = [i for i, v in enumerate(values) if v >= 0]
    if len(active) >= network.n:
        return None
    chosen = range(len(active) + 1)
    integers = []
    for i in active:
        part = [rows[i][j] for j in chosen]
        common = max(v.denominator for v in part)
        integers.append([int(v * common) for v in part])
    d = kernel_vector(integers, len(active) + 1)
    if d is None:
        return None
    step = Fraction(1)
    for row, v in zip(rows, values, strict=True):
        slope = sum((row[j] * t for j, t in zip(chosen, d, strict=True)), Fraction(0))
        if v < 0 < slope:
            step = min(step, -v / slope)
    if step < 1:
        step = Fraction(1, 2 ** (step.denominator // step.numerator).bit_length())
    moved = tuple(p + step * d[j] if j < len(d) else p for j, p in enumerate(point))
    witness = Witness(tuple(point), moved)
    return witness if witness.collides(network) else None
