"""One layer as the search wants it: homogenised rows, what counts as rank, and exact witnesses.

`x ↦ ReLU(Wx + b)` on R^n is the part t > 0 of `(x, t) ↦ ReLU(Wx + bt)`; the half space t > 0 is one more row
`(0, -1)`, negative from the start. The layer is injective iff the x-parts of the active rows have rank n on every open
cell in there (the criterion of Puthawala et al., arXiv 2006.08464, and perturbation).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import prod

import flint
import numpy as np
import numpy.typing as npt

from mcinj.certify.position import PRIME, float_residues, rows_look_generic
from mcinj.certify.witness import Witness
from mcinj.decide.deep.scaling import WHOLE, integer_digits, nearest
from mcinj.decide.layer import exact as exact
from mcinj.networks import Network
from mcinj.numeric.cell import padded_rows
from mcinj.numeric.choices import normalised

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Layer:
    """Rows of one layer; with biases, row 0 is the half space and the layer's rows follow.

    Attributes
    ----------
    floats
        (m, g) float64 rows, g = n or n + 1.
    n
        Number of inputs: the rank wanted of the first n columns.
    half_space
        Whether row 0 is the half space t > 0.
    rationals
        The exact rows if float64 does not hold them, else None.
    generic
        Whether count may stand for rank: the network has a premise (`mcinj.networks.Premise`).
    """

    floats: Floats
    n: int
    half_space: bool = False
    rationals: tuple[tuple[Fraction, ...], ...] | None = None
    generic: bool = False

    @classmethod
    def of(cls, network: Network) -> Layer:
        """The rows of a one-layer network."""
        w = network.weights[0]
        exact_rows = None
        if not network.has_biases or network.biases is None:
            if not network.floats_are_exact:
                exact_rows = network.exact_weights[0]
            return cls(w, network.n, False, exact_rows, network.premise is not None)
        top = np.zeros((1, network.n + 1))
        top[0, -1] = -1.0
        rows = np.vstack([top, np.hstack([w, network.biases[0][:, None]])])
        if not network.floats_are_exact and network.exact_biases is not None:
            first = (*(Fraction(0) for _ in range(network.n)), Fraction(-1))
            rest = zip(network.exact_weights[0], network.exact_biases[0], strict=True)
            exact_rows = (first, *((*a, b) for a, b in rest))
        return cls(rows, network.n, True, exact_rows, network.premise is not None)

    @property
    def m(self) -> int:
        """Number of rows, the half space included."""
        return int(self.floats.shape[0])

    @property
    def g(self) -> int:
        """Dimension of the homogenised space."""
        return int(self.floats.shape[1])

    @cached_property
    def integers(self) -> exact.IntegerRows:
        """Exact rows, each scaled to a primitive integer row by a positive factor."""
        if self.rationals is not None:
            return [exact.primitive(exact.integer_row(row)) for row in self.rationals]
        return [exact.float_row(row) for row in self.floats]

    @cached_property
    def input_integers(self) -> exact.IntegerRows:
        """The first n columns of `integers`: what rank is taken of."""
        return [row[: self.n] for row in self.integers]

    @cached_property
    def idle(self) -> npt.NDArray[np.bool_]:
        """Rows that never add rank: zero on the inputs, the half space included."""
        if self.rationals is not None:
            return np.array([not any(row[: self.n]) for row in self.rationals])
        return np.asarray(~self.floats[:, : self.n].any(axis=1))

    @cached_property
    def support(self) -> npt.NDArray[np.bool_]:
        """(m, g) entries that are not 0, exactly."""
        if self.rationals is not None:
            return np.array([[v != 0 for v in row] for row in self.rationals]).reshape(self.m, self.g)
        return np.asarray(self.floats != 0.0)

    @cached_property
    def units(self) -> Floats:
        """(m, W) rows of unit length, padded (`cell.padded_rows`)."""
        if self.rationals is None:
            return padded_rows(self.floats)
        # Floats of very large or small rationals may have left the range: scale each row exactly first.
        rows = []
        for row in self.rationals:
            top = max((abs(v) for v in row), default=Fraction(0)) or Fraction(1)
            rows.append([nearest(v / top) for v in row])
        return padded_rows(np.array(rows))

    @cached_property
    def residues(self) -> Ints:
        """(m, n) input parts modulo 2^31 - 1, each row times a nonzero factor; 0 for those that are idle alone."""
        if self.rationals is not None:
            found = np.array([[v % PRIME for v in row] for row in self.input_integers], dtype=np.int64)
        else:
            found = float_residues(self.floats)[:, : self.n]
        for i in np.flatnonzero(~found.any(axis=1) & ~self.idle):  # all entries are multiples of the prime
            found[i] = [v % PRIME for v in exact.primitive(self.input_integers[i])]
        return found

    @cached_property
    def alike(self) -> Ints:
        """(m,) numbers: rows of one number are parallel modulo others wherever their `residues` are, those others' too.

        What is parallel modulo a prime need not be. But k + 2 rows are dependent if all their minors are 0, and minors
        that vanish modulo the prime are 0 if Hadamard's bound of them is below it: then all rows have one number. Else
        a number is a direction: rows of one are parallel themselves.
        """
        rows = [exact.primitive(row) for row in self.input_integers]
        bound = prod(sorted((max(sum(v * v for v in row), 1) for row in rows), reverse=True)[: self.n])
        if bound < PRIME**2:
            return np.zeros(self.m, dtype=np.int64)
        numbers: dict[tuple[int, ...], int] = {}
        turned = ([-v for v in row] if next((v for v in row if v), 1) < 0 else row for row in rows)
        return np.array([numbers.setdefault(tuple(row), len(numbers)) for row in turned], dtype=np.int64)

    @cached_property
    def choices(self) -> tuple[Floats, Floats]:
        """(n, m) input parts and (m,) their errors as `mcinj.numeric.choices` wants them."""
        return normalised(self.units[:, : self.n])

    @cached_property
    def small_integers(self) -> Ints:
        """(m, g) primitive integer rows if all of them are below 2^20, else shape (0, g)."""
        none = np.zeros((0, self.g), dtype=np.int64)
        if self.rationals is None and integer_digits(self.floats).max(initial=0) > 20:
            return none
        if max((abs(v) for row in self.integers for v in row), default=0) >= WHOLE:
            return none
        return np.array(self.integers, dtype=np.int64).reshape(self.m, self.g)

    def looks_generic(self) -> bool:
        """Whether nothing plain speaks against general position: a guess that guides the search and proves nothing."""
        if self.rationals is not None:
            return False
        rows = self.floats[1:, : self.n] if self.half_space else self.floats
        return rows_look_generic(rows)

    def rank(self) -> int:
        """Exact rank of the input parts; full rank modulo a prime is full rank, and much faster to see."""
        modular = flint.nmod_mat(self.m, self.n, [int(v) for v in self.residues.flat], PRIME)
        return self.n if modular.rank() == self.n else exact.rank(self.input_integers)

    def witness_at(self, x: list[int]) -> Witness | None:
        """A collision near the integer point x of the homogenised space, or None if x does not give one.

        The rows that are not negative at x must have rank below n; then a step along their kernel changes no output.
        """
        if self.half_space and x[-1] <= 0:
            return None
        values = exact.products(self.integers, x)
        active = [i for i, v in enumerate(values) if v >= 0 and not self.idle[i]]
        d = exact.kernel_vector([self.input_integers[i] for i in active], self.n)
        if d is None:
            return None
        scale = x[-1] if self.half_space else 1
        slopes = exact.products(self.input_integers, d)
        step = Fraction(1)
        for v, s in zip(values, slopes, strict=True):
            if s > 0 and v < 0:
                step = min(step, Fraction(-v, s * scale))
        if step < 1:
            # The largest power of two that keeps every inactive row inactive.
            power = (step.denominator // step.numerator).bit_length()
            step = Fraction(1, 2**power)
        point = [Fraction(v, scale) for v in x[: self.n]]
        return Witness(tuple(point), tuple(p + step * t for p, t in zip(point, d, strict=True)))

    def witness_near(self, x: Floats) -> Witness | None:
        """A collision at a rational point near float64 x (g entries), with the smallest denominators that work."""
        top = float(np.abs(x).max())
        if not 0 < top < np.inf:
            return None
        unit = x / top
        values = self.units[:, : self.g] @ unit
        low = np.abs(values[values < 0]).min(initial=1.0)
        start = max(0, int(-np.log2(low)) - 2) if low > 0 else 60
        for bits in (*range(min(start, 60), 60, 3), 80, 110):
            # The float itself is a rational point: the last roundings are exact.
            point = [round(Fraction(float(v)) * 2**bits) for v in unit]
            witness = self.witness_at(point) if any(point) else None
            if witness is not None:
                return witness
        return None
