"""Is a set of signed rows a circuit? By floating point with a rigorous bound, or exactly.

Signed rows `c_0 … c_k` (a row, or its opposite) are a circuit here if `Σ y_i c_i = 0` for some y > 0. Then they cannot
all be negative at one point (Gordan 1873). Code `2 i` is row i, `2 i + 1` its opposite.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from math import lcm

import flint
import numpy as np
import numpy.typing as npt

from mcinj.certify.rational import is_circuit
from mcinj.networks import Network

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_CHUNK = 2048


class Rows:
    """Rows of one layer as the certificate counts them: row 0 the half space, row i >= 1 unit i."""

    def __init__(self, layer: Network) -> None:
        self._layer = layer
        self.n, self.m, self.biased = layer.n, layer.widths[0], layer.has_biases
        self.g = self.n + int(self.biased)

    @cached_property
    def integers(self) -> list[list[int]]:
        """Exact rows (m + 1, g), each times a positive factor."""
        biases = self._layer.exact_biases
        result = [[0] * self.n + [-1] * (self.g - self.n)]
        for i, row in enumerate(self._layer.exact_weights[0]):
            values: list[Fraction] = [*row]
            if self.biased and biases is not None:
                values.append(biases[0][i])
            common = lcm(*(v.denominator for v in values))
            result.append([v.numerator * (common // v.denominator) for v in values])
        return result

    @cached_property
    def floats(self) -> Floats:
        """(m + 1, g): the exact rows times positive factors, each entry within one rounding (or 1e-300 absolutely)."""
        if self._layer.floats_are_exact:
            rows = self._layer.weights[0]
            if self.biased and self._layer.biases is not None:
                rows = np.hstack([rows, self._layer.biases[0][:, None]])
            top = np.zeros((1, self.g))
            top[0, self.n :] = -1.0
            rows = np.vstack([top, rows])
            _, exponent = np.frexp(np.abs(rows).max(axis=1))
            half = exponent // 2
            scaled_rows: Floats = np.ldexp(np.ldexp(rows, -half[:, None]), (half - exponent)[:, None])
            return scaled_rows
        scaled = []
        for row in self.integers:
            top_entry = max(abs(v) for v in row) or 1
            scaled.append([float(Fraction(v, top_entry)) for v in row])
        return np.array(scaled)

    def residues(self, primes: tuple[int, ...]) -> Ints:
        """(primes, m + 1, n) input parts of `integers` modulo each prime."""
        return np.array([[[v % p for v in row[: self.n]] for row in self.integers] for p in primes], dtype=np.int64)

    @cached_property
    def zero(self) -> npt.NDArray[np.bool_]:
        """(m + 1,) rows that are zero altogether."""
        return np.array([not any(row) for row in self.integers])

    @cached_property
    def idle(self) -> npt.NDArray[np.bool_]:
        """(m + 1,) rows that are zero on the inputs: they never add rank."""
        return np.array([not any(row[: self.n]) for row in self.integers])

    def is_circuit(self, codes: Ints) -> bool:
        """Exactly: one dependence up to scale, all coefficients of one sign."""
        part = [[-v for v in self.integers[i >> 1]] if i & 1 else self.integers[i >> 1] for i in codes.tolist()]
        return is_circuit(flint.fmpz_mat(part))

    def are_circuits(self, codes: Ints) -> npt.NDArray[np.bool_]:
        """For sets of g + 1 rows, shape (K, g + 1): which are proved by floating point. False means undecided."""
        signed = np.stack([self.floats, -self.floats], axis=1).reshape(-1, self.g)
        result = np.zeros(len(codes), dtype=bool)
        for k in range(0, len(codes), _CHUNK):
            result[k : k + _CHUNK] = _bounded(signed[codes[k : k + _CHUNK]])
        return result


def _bounded(sets: Floats) -> npt.NDArray[np.bool_]:
    """Which of the sets (K, g + 1, g) of signed rows are circuits, by an a-posteriori bound.

    With B = the last g rows as columns, R ≈ B^-1 and ỹ = -R c_0: if |I - RB| <= δ < 1 row-wise, B is regular and the
    exact y of `B y = -c_0` satisfies |y - ỹ| <= |R|ρ + δ/(1-δ) max(|R|ρ), ρ >= |B ỹ + c_0| (Rump, Acta Numerica 19,
    2010, §10). γ covers the rounding of every sum of g + 1 products in any order, and that of the entries; `tiny` what
    entries and products lose absolutely (1e-300 each), times the number that an entry meets.
    """
    count, size, g = sets.shape
    if count == 0:
        return np.zeros(0, dtype=bool)
    first = sets[:, 0, :, None]
    b = np.ascontiguousarray(sets[:, 1:].transpose(0, 2, 1))
    try:
        r = np.linalg.inv(b)
    except np.linalg.LinAlgError:
        if count == 1:
            return np.zeros(1, dtype=bool)
        half = count // 2
        return np.concatenate([_bounded(sets[:half]), _bounded(sets[half:])])
    gamma = 8 * (size + 4) * 2.0**-53
    tiny = 1e-280
    with np.errstate(all="ignore"):
        y = -(r @ first)
        magnitude, entries = np.abs(r), np.abs(b)
        error = np.abs(np.eye(g) - r @ b).sum(axis=2, keepdims=True)
        error += magnitude @ (gamma * entries.sum(axis=2, keepdims=True) + tiny)
        delta = error.max(axis=(1, 2)) * (1 + 1e-12)
        rho = np.abs(b @ y + first) + gamma * (entries @ np.abs(y) + np.abs(first))
        rho += tiny * (1 + np.abs(y).sum(axis=1, keepdims=True))
        spread = (magnitude @ rho)[:, :, 0]
        bound = (spread + (2 * delta * spread.max(axis=1))[:, None]) * (1 + 1e-9) + tiny
        return np.asarray((delta < 0.5) & (y[:, :, 0] > bound).all(axis=1) & np.isfinite(bound).all(axis=1))
