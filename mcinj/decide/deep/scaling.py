"""Rows of layers, scaled exactly by positive factors, so that floats hold them and products of them stay in range.

Row i of layer k is divided by a factor f > 0, column i of layer k + 1 is multiplied by it: ReLU(f z) = f ReLU(z), so no
pattern, no sign and no rank changes, and the last layer's outputs change by one factor per unit. Factors are powers of
two (the range is kept), or whatever makes small integers of the rows (sums of their products are exact).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import gcd, lcm

import numpy as np
import numpy.typing as npt

from mcinj.networks import Network
from mcinj.networks.network import FloatArray, FractionMatrix, FractionVector

Factors = list[list[Fraction]]

# Least normal float: smaller ones lose digits, and some processors and libraries take them for 0.
LEAST = 2.0**-1022
# Integers below this count as small: sums of their products are exact in floats (deep) or in 64 bits (one layer).
WHOLE = 2**20
# Binary exponents of entries that need no scaling, and of products of entries, one per layer.
_ENTRY, _PRODUCT = 120, 480
_WIDE = 20
_FAR = 2**40


def nearest(value: Fraction) -> float:
    """The float nearest to a number below 2^1023 in size; what underflows becomes ±`LEAST`: only 0 becomes 0.

    So the relative error is at most 2^-53, or the absolute one at most `LEAST`, and the sign is kept.
    """
    result = float(value)
    if value and abs(result) < LEAST:
        return LEAST if value > 0 else -LEAST
    return result


def power_of_two(row: Sequence[Fraction]) -> Fraction:
    """A power of two p with `p / 2 < max |row| < 2 p`; 1 for a row of zeros."""
    top = max(abs(v) for v in row)
    return Fraction(2) ** _size(top) if top else Fraction(1)


def content(row: Sequence[Fraction]) -> Fraction:
    """The greatest number of which all entries are integer multiples; 1 for a row of zeros."""
    common = lcm(*(v.denominator for v in row))
    divisor = gcd(*(v.numerator * (common // v.denominator) for v in row))
    return Fraction(divisor, common) if divisor else Fraction(1)


def scaled_row(row: Sequence[Fraction], before: Sequence[Fraction] | None, factor: Fraction) -> FractionVector:
    """The row with its columns times `before`, divided by `factor`."""
    if before is None:
        return tuple(row) if factor == 1 else tuple(v / factor for v in row)
    return tuple(v * c / factor for v, c in zip(row, before, strict=True))


def scaled_layers(layers: Sequence[FractionMatrix], factors: Factors) -> tuple[FractionMatrix, ...]:
    """The layers with row i of layer k divided by `factors[k][i]`, undone in the columns of the next layer."""
    result = []
    before: list[Fraction] | None = None
    for rows, own in zip(layers, factors, strict=True):
        result.append(tuple(scaled_row(row, before, f) for row, f in zip(rows, own, strict=True)))
        before = own
    return tuple(result)


def factors_for(
    exact: Callable[[], Sequence[FractionMatrix]], floats: Sequence[FloatArray] | None, held: bool
) -> Factors | None:
    """How to scale layers: to small integers if that can be, to largest entries near 1 if the range asks for it.

    `floats` are the layers, rounded unless `held`; `exact` makes the rationals where they are needed. None: no need
    (where there are floats).
    """
    if floats is None:
        return _to_integers(exact()) or _even_factors(exact())
    if held and all(is_whole(w) for w in floats):
        return None
    if not held or bool((integer_digits(floats[0]) < WHOLE.bit_length()).all()):
        found = _to_integers(exact())
        if found is not None:
            return found
    if _in_range([_exponents(w) for w in floats] if held else [_exact_exponents(rows) for rows in exact()], floats):
        return None
    return _even_factors(exact())


def _even_factors(layers: Sequence[FractionMatrix]) -> Factors:
    """Powers of two that bring the largest entries of all rows near 1."""
    result: Factors = []
    before: list[Fraction] | None = None
    for rows in layers:
        before = [power_of_two(scaled_row(row, before, Fraction(1))) for row in rows]
        result.append(before)
    return result


def is_whole(rows: FloatArray) -> bool:
    """Whether all entries are integers below `WHOLE`."""
    return bool(np.all(rows == np.rint(rows)) and np.abs(rows).max(initial=0.0) < WHOLE)


def _to_integers(layers: Sequence[FractionMatrix]) -> Factors | None:
    """Factors that make integers below `WHOLE` of all rows, or None."""
    result: Factors = []
    before: list[Fraction] | None = None
    for rows in layers:
        own = []
        for row in rows:
            line = scaled_row(row, before, Fraction(1))
            f = content(line)
            if any(abs(v) >= WHOLE * f for v in line):
                return None
            own.append(f)
        result.append(own)
        before = own
    return result


def _in_range(exponents: Sequence[tuple[int, int]], floats: Sequence[FloatArray]) -> bool:
    """Whether entries, and products of one entry per layer times the units summed over, stay far from the ends."""
    up = down = 0
    for (low, high), w in zip(exponents, floats, strict=True):
        if low < -_ENTRY or high > _ENTRY:
            return False
        up += max(high, 0) + len(w[0]).bit_length()
        down += max(-low, 0)
    return up <= _PRODUCT and down <= _PRODUCT


def _exponents(w: FloatArray) -> tuple[int, int]:
    """Least and greatest e of entries in [2^(e-1), 2^e), and 0."""
    exponents = np.frexp(w[w != 0.0])[1]
    return int(exponents.min(initial=0)), int(exponents.max(initial=0))


def _exact_exponents(rows: FractionMatrix) -> tuple[int, int]:
    sizes = [_size(v) for row in rows for v in row if v]
    return min(sizes, default=0), max(sizes, default=0) + 1


def integer_digits(rows: FloatArray) -> npt.NDArray[np.int64]:
    """Binary digits of the largest entry of each row once it is a primitive integer row (0 for a row of zeros)."""
    mantissa, exponent = np.frexp(rows)
    whole = np.abs((mantissa * 2.0**53).astype(np.int64))
    low = whole & -whole
    odd = np.where(whole != 0, whole // np.where(low != 0, low, 1), 0)
    exponent = exponent + np.where(whole != 0, np.frexp(low.astype(np.float64))[1] - 1, 0)
    common = np.gcd.reduce(odd, axis=1, keepdims=True)
    odd //= np.where(common != 0, common, 1)
    least = np.where(whole != 0, exponent, 2**14).min(axis=1, keepdims=True, initial=2**14)
    digits = np.where(whole != 0, np.frexp(odd.astype(np.float64))[1] + exponent - least, 0)
    return np.asarray(digits.max(axis=1, initial=0), dtype=np.int64)


def is_held(layers: Sequence[FractionMatrix], floats: Sequence[FloatArray]) -> bool:
    """Whether the floats are exactly the numbers of the layers."""
    return all(
        Fraction(f) == v
        for w, rows in zip(floats, layers, strict=True)
        for line, row in zip(w.tolist(), rows, strict=True)
        for f, v in zip(line, row, strict=True)
    )


def with_biases(network: Network) -> list[FractionMatrix]:
    """Exact rows over the outputs of the layer before and t: biases, and a unit that equals t in hidden layers."""
    layers: list[FractionMatrix] = []
    biases = network.exact_biases
    for k, w in enumerate(network.exact_weights):
        b = biases[k] if biases is not None else (Fraction(0),) * len(w)
        rows = [(*row, c) for row, c in zip(w, b, strict=True)]
        if k < network.depth - 1:
            rows.append((*(Fraction(0) for _ in w[0]), Fraction(1)))
        layers.append(tuple(rows))
    return layers


def is_wide(network: Network) -> bool:
    """Whether entries of a row differ by more than a factor of 2^20 in size, once all rows have largest entries near 1.

    Programs with tolerances then take thin cells for empty ones.
    """
    layers = with_biases(network) if network.has_biases else network.exact_weights
    for rows in scaled_layers(layers, _even_factors(layers)):
        for row in rows:
            sizes = [_size(v) for v in row if v]
            if max(sizes, default=0) - min(sizes, default=0) > _WIDE:
                return True
    return False


def input_units(
    exact: Callable[[], FractionMatrix], floats: FloatArray | None, homogenised: bool
) -> FractionVector | None:
    """Powers of two c such that rows over x / c have entries of one size, as far as that goes; None where they have.

    `floats` are the exact rows, if floats hold them. Of `homogenised` rows the last column is t, which keeps its scale.
    """
    if floats is None:
        sizes, there = _sizes(exact())
    else:
        sizes, there = np.frexp(floats)[1].astype(np.int64), floats != 0.0
    top = np.where(there, sizes, -_FAR).max(axis=1, keepdims=True)
    of_columns = np.where(there, sizes - top, -_FAR).max(axis=0)
    if of_columns[there.any(axis=0)].min(initial=0) >= -_WIDE:
        return None
    return _column_factors(exact(), homogenised)


def _column_factors(rows: FractionMatrix, homogenised: bool) -> FractionVector:
    """The binary logarithms of entries are fitted by means of rows and columns, in turn: least squares."""
    sizes, there = _sizes(rows)
    left, right = (np.maximum(there.sum(axis=axis, keepdims=True), 1) for axis in (1, 0))
    columns = np.zeros((1, len(rows[0])))
    for _ in range(30):
        own = ((sizes - columns) * there).sum(axis=1, keepdims=True) / left
        columns = ((sizes - own) * there).sum(axis=0, keepdims=True) / right
    columns -= columns[0, -1 if homogenised else 0]
    return tuple(Fraction(2) ** -round(v) for v in columns[0].tolist())


def _sizes(rows: FractionMatrix) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    sizes = np.array([[_size(v) if v else 0 for v in row] for row in rows], dtype=np.int64)
    return sizes, np.array([[bool(v) for v in row] for row in rows])


def with_even_columns(network: Network, units: FractionVector | None = None) -> tuple[Network, FractionVector]:
    """One layer as `x ↦ f(c∘x)` up to positive factors of its outputs, largest entries of rows near 1; and n numbers c.

    `units` are those of `input_units`, if they are known: with biases there is one more, 1, for t.
    """
    n = network.n
    rows = with_biases(network)[0] if network.has_biases else network.exact_weights[0]
    c = units or _column_factors(rows, network.has_biases)
    even = [scaled_row(row, c, Fraction(1)) for row in rows]
    even = [scaled_row(row, None, power_of_two(row)) for row in even]
    biases = [[row[n] for row in even]] if network.has_biases else None
    return Network([[row[:n] for row in even]], biases), tuple(c[:n])


def in_units_of(network: Network, unit: Fraction) -> Network:
    """The network `x ↦ f(unit x)` up to the scales of its outputs, with the largest entries of all rows near 1."""
    layers = with_biases(network)
    layers[0] = tuple((*(v * unit for v in row[:-1]), row[-1]) for row in layers[0])
    layers = list(scaled_layers(layers, _even_factors(layers)))
    parts = [rows[:width] for rows, width in zip(layers, network.widths, strict=True)]
    return Network([[row[:-1] for row in rows] for rows in parts], [[row[-1] for row in rows] for rows in parts])


def _size(value: Fraction) -> int:
    return value.numerator.bit_length() - value.denominator.bit_length()
