"""The prefixes of a network as a deep proof speaks of them: homogeneous rows, exact and in floats with known errors.

With biases, a coordinate t > 0 is appended to the input, and to every hidden layer a unit that equals t. Row i of layer
k is divided by a power of two (undone in the columns of layer k + 1), and inputs whose weights are of very different
sizes are in other units, powers of two (t is not): this changes no sign and no rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import flint
import numpy as np
import numpy.typing as npt

from mcinj.networks import Network

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PRIME = 2**31 - 1
_LEAST = 2.0**-1022  # smaller floats are subnormal
_EVEN = 20  # binary orders of magnitude between inputs that need no other units
_FAR = 2**40
_WHOLE = 2**20  # integers below this: sums of products are exact as long as they stay below 2^52


class PrefixRows:
    """Weights of the first `layers` layers.

    Attributes
    ----------
    n, g
        Inputs, and dimensions with t.
    depth, widths
        Layers, and units per layer with the constant units of hidden layers.
    """

    def __init__(self, network: Network, layers: int) -> None:
        self._network = network.prefix(layers)
        self.biased = any(v for b in self._network.exact_biases or () for v in b)
        self.n, self.depth = network.n, layers
        self.g = self.n + int(self.biased)
        own = self._network.widths
        self.widths = tuple(m + int(self.biased) for m in own[:-1]) + own[-1:]

    @cached_property
    def _scaled(self) -> tuple[list[list[list[Fraction]]], list[list[int]]]:
        """Exact rows per layer, and the exponents by which rows were divided."""
        biases = self._network.exact_biases
        layers: list[list[list[Fraction]]] = []
        exponents: list[list[int]] = []
        before = self._input_exponents
        for k, weights in enumerate(self._network.exact_weights):
            rows = [list(row) for row in weights]
            if self.biased and biases is not None:
                rows = [[*row, b] for row, b in zip(rows, biases[k], strict=True)]
                if k < self.depth - 1:
                    rows.append([Fraction(0)] * (len(rows[0]) - 1) + [Fraction(1)])
            scaled, own = [], []
            for row in rows:
                line = [v * Fraction(2) ** e for v, e in zip(row, before, strict=True)]
                top = max(abs(v) for v in line)
                e = top.numerator.bit_length() - top.denominator.bit_length() if top else 0
                scaled.append([v / Fraction(2) ** e for v in line])
                own.append(e)
            layers.append(scaled)
            exponents.append(own)
            before = own
        return layers, exponents

    @cached_property
    def _input_exponents(self) -> list[int]:
        """Input q is in units of 2^e_q: 0 unless all weights of some input are small in their rows."""
        biases = self._network.exact_biases
        most = [-_FAR] * self.g
        for i, weights in enumerate(self._network.exact_weights[0]):
            row = (*weights, biases[0][i]) if self.biased and biases is not None else weights
            sizes = [v.numerator.bit_length() - v.denominator.bit_length() if v else -_FAR for v in row]
            most = [max(m, size - max(sizes)) if size > -_FAR else m for m, size in zip(most, sizes, strict=True)]
        most = [m if m > -_FAR else 0 for m in most]
        if min(most) >= -_EVEN:
            return [0] * self.g
        own = most[-1] if self.biased else 0
        return [own - m for m in most]

    @property
    def exact(self) -> list[list[list[Fraction]]]:
        """Layer k: `(widths[k], widths[k-1] or g)`."""
        return self._scaled[0]

    @property
    def exponents(self) -> list[list[int]]:
        """Row i of layer k is `2^-exponents[k][i]` times that of the network (for the scaled layer before)."""
        return self._scaled[1]

    @cached_property
    def floats(self) -> tuple[list[Floats], Floats]:
        """Per layer the rows rounded to float64, and a bound of the rounding errors of its entries; none is subnormal.

        Entries are below 2: one rounding is less than 2^-51, and so is what is rounded to 0.
        """
        layers, errors = [], []
        for rows in self.exact:
            w = np.array([[float(v) for v in row] for row in rows])
            w[np.abs(w) < _LEAST] = 0.0
            same = all(Fraction(float(f)) == v for line, row in zip(w, rows, strict=True) for f, v in zip(line, row))
            layers.append(w)
            errors.append(0.0 if same else 2.0**-51)
        return layers, np.array(errors)

    @cached_property
    def sum_limits(self) -> list[Floats]:
        """Per layer and unit: below this sum of absolute products float sums are exact (0: they never are)."""
        exponents = self.exponents
        biases = self._network.exact_biases or ()
        given = [v for w in self._network.exact_weights for row in w for v in row] + [v for b in biases for v in b]
        whole = all(v.denominator == 1 and abs(v) < _WHOLE for v in given) and not any(self._input_exponents)
        return [np.array([np.ldexp(1.0, 52 - e) if whole else 0.0 for e in layer]) for layer in exponents]

    @cached_property
    def residues(self) -> list[Ints] | None:
        """`exact` modulo 2^31 - 1; None if a denominator vanishes there."""
        layers = []
        for rows in self.exact:
            if any(v.denominator % PRIME == 0 for row in rows for v in row):
                return None
            lines = [[v.numerator * pow(v.denominator, -1, PRIME) % PRIME for v in row] for row in rows]
            layers.append(np.array(lines, dtype=np.int64))
        return layers

    @cached_property
    def matrices(self) -> list[Any]:
        """`exact` as `fmpq_mat`s."""
        return [
            flint.fmpq_mat(len(w), len(w[0]), [flint.fmpq(v.numerator, v.denominator) for row in w for v in row])
            for w in self.exact
        ]

    def next_rows(self, layer: int, rows: Any, active: Sequence[bool]) -> Any:
        """Rows (fmpq_mat) of `layer` from those of the layer before, of which only the active units count."""
        kept = [[rows[i, q] if on else flint.fmpq(0) for q in range(self.g)] for i, on in enumerate(active)]
        return self.matrices[layer] * flint.fmpq_mat(kept)
