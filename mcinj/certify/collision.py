"""From a point where the Jacobian loses rank to two colliding inputs, in exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from mcinj.certify.rational import kernel, product, rank, rows_on, to_flint
from mcinj.certify.witness import Witness
from mcinj.networks import Network
from mcinj.networks.network import FractionMatrix, FractionVector


def collision_at(network: Network, x: Sequence[Fraction]) -> tuple[Witness, int] | None:
    """A witness near `x` and the first layer whose active rows have rank below n there, or None.

    With S_k the units that are positive at `x` in exact arithmetic, a direction d that the first failing
    layer's active Jacobian maps to 0 leaves `f` unchanged as long as no unit changes its side: the step is
    cut to half of the way to the first change, and the pair is checked by exact evaluation. None means that
    the active rows have rank n at `x` (or that units that vanish exactly at `x` block every direction tried).
    """
    x = tuple(x)
    levels = network.exact_pre_activations(x)
    pattern = [[v > 0 for v in z] for z in levels]
    jacobians = rows_on(network.exact_weights, pattern)
    for k, (jacobian, active) in enumerate(zip(jacobians, pattern, strict=True), 1):
        rows = [row for row, on in zip(jacobian, active, strict=True) if on]
        if rank(rows, network.n) == network.n:
            continue
        basis = kernel(rows, network.n)
        for d in [*basis, *(tuple(-v for v in d) for d in basis)]:
            step = _step(levels[:k], jacobians[:k], d)
            if step is None:
                continue
            witness = Witness(x, tuple(a + step * b for a, b in zip(x, d, strict=True)))
            if witness.collides(network):
                return witness, k
        return None
    return None


def _step(levels: Sequence[FractionVector], jacobians: Sequence[FractionMatrix], d: FractionVector) -> Fraction | None:
    """A positive power of two t such that on [x, x + t d] no unit changes side; None if a unit at 0 turns on."""
    limit: Fraction | None = None
    column = to_flint([[v] for v in d], 1)
    for z, jacobian in zip(levels, jacobians, strict=True):
        slopes = [row[0] for row in product(to_flint(jacobian, len(d)), column)]
        for value, slope in zip(z, slopes, strict=True):
            if value == 0 and slope > 0:
                return None
            if value * slope < 0:
                bound = -value / slope
                limit = bound if limit is None else min(limit, bound)
    if limit is None:
        return Fraction(1)
    # Half the way, rounded down to a power of two: short denominators, and strictly inside.
    exponent = limit.numerator.bit_length() - limit.denominator.bit_length() - 2
    return Fraction(2) ** exponent


def rationalise(x: Sequence[float]) -> FractionVector:
    """The exact rationals of a float vector, scaled by a power of two to largest entry in [1, 2) (any scale)."""
    top = max((abs(float(v)) for v in x), default=0.0)
    if top == 0.0 or not math.isfinite(top):
        return tuple(Fraction(0) for _ in x)
    shift = Fraction(2) ** (1 - math.frexp(top)[1])
    return tuple(Fraction(float(v)) * shift for v in x)
