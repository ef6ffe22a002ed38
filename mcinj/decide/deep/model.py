"""A deep network as the deep search wants it: homogenised, scaled floats with known errors, exact rows on a pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mcinj.certify.rational import rows_on
from mcinj.certify.witness import Witness
from mcinj.decide.deep.scaling import (
    Factors,
    factors_for,
    input_units,
    is_held,
    is_whole,
    nearest,
    scaled_layers,
    scaled_row,
    with_biases,
)
from mcinj.networks import Network
from mcinj.networks.network import FloatArray, FractionMatrix, FractionVector
from mcinj.numeric.field import FIELD
from mcinj.numeric.residues import PRIME


@dataclass(frozen=True, eq=False)
class DeepModel:
    """`f` on the cone over its inputs: biases become weights of one more unit per hidden layer that always equals t.

    Attributes
    ----------
    network
        The network as given.
    fence
        Exact rows of shape `(·, g)` over (x, t) that are positive on the domain; with biases the last is `t > 0`.
    """

    network: Network
    fence: FractionMatrix = field(default=())

    @classmethod
    def of(cls, network: Network, fence: FractionMatrix = ()) -> DeepModel:
        """The model on all of R^n, or where the rows of `fence` (shape `(·, n + 1)`, over (x, t)) are positive.

        A fence over a network without biases makes the model biased (with zero biases): scaling an input matters there.
        """
        if fence and not network.has_biases:
            zeros = [np.zeros(m) for m in network.widths]
            network = Network(network.exact_weights, zeros, premise=network.premise)
            return cls(network, (*fence, _last_unit(network.n + 1)))
        if network.has_biases:
            return cls(network, (*fence, _last_unit(network.n + 1)))
        return cls(network)

    @property
    def n(self) -> int:
        """Number of inputs: the rank wanted."""
        return self.network.n

    @property
    def biased(self) -> bool:
        """Whether there is a coordinate t and a constant unit in every hidden layer."""
        return bool(self.fence)

    @property
    def g(self) -> int:
        """Dimension of the homogenised space."""
        return self.n + int(self.biased)

    @property
    def depth(self) -> int:
        """Number of layers."""
        return self.network.depth

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Units per layer, the constant units included."""
        more = int(self.biased)
        return tuple(m + more for m in self.network.widths[:-1]) + self.network.widths[-1:]

    @cached_property
    def exact(self) -> tuple[FractionMatrix, ...]:
        """Homogenised exact weights, layer k of shape `(widths[k], widths[k-1] or g)`, of an equivalent network.

        Equivalent: rows may be scaled by positive factors (`mcinj.decide.deep.scaling`), inputs be in other `units`.
        """
        return self._given if self._factors is None else scaled_layers(self._given, self._factors)

    @cached_property
    def _given(self) -> tuple[FractionMatrix, ...]:
        layers = tuple(with_biases(self.network)) if self.biased else self.network.exact_weights
        if self.units is None:
            return layers
        return (tuple(scaled_row(row, self.units, Fraction(1)) for row in layers[0]), *layers[1:])

    @cached_property
    def units(self) -> FractionVector | None:
        """What one of each coordinate stands for, powers of two (of t: 1); None where all are 1.

        They depend on the first layer alone, so prefixes on one domain have the same coordinates.
        """
        network, m = self.network, self.network.widths[0]
        return input_units(
            lambda: with_biases(network)[0][:m] if self.biased else network.exact_weights[0],
            self._unscaled[0][:m] if network.floats_are_exact else None, self.biased,
        )  # fmt: skip

    @cached_property
    def walls(self) -> FractionMatrix:
        """The rows of `fence` over the model's coordinates."""
        if self.units is None:
            return self.fence
        return tuple(scaled_row(row, self.units, Fraction(1)) for row in self.fence)

    @cached_property
    def floats(self) -> list[FloatArray]:
        """Float weights: those of `exact` within one rounding, or within `scaling.LEAST`; 0 only for 0."""
        if self._factors is None:
            return self._unscaled
        return [np.array([[nearest(v) for v in row] for row in rows]) for rows in self.exact]

    @cached_property
    def floats_are_exact(self) -> bool:
        """Whether `floats` are the numbers of `exact`."""
        return self.network.floats_are_exact if self._factors is None else is_held(self.exact, self.floats)

    @cached_property
    def _unscaled(self) -> list[FloatArray]:
        if not self.biased:
            layers = [np.array(w) for w in self.network.weights]
        else:
            layers = []
            for k, w in enumerate(self.network.weights):
                b = self.network.biases[k] if self.network.biases is not None else np.zeros(len(w))
                rows = np.hstack([w, b[:, None]])
                if k < self.depth - 1:
                    unit = np.zeros((1, rows.shape[1]))
                    unit[0, -1] = 1.0
                    rows = np.vstack([rows, unit])
                layers.append(rows)
        return layers

    @cached_property
    def _factors(self) -> Factors | None:
        floats = self._unscaled if self.units is None else None
        return factors_for(lambda: self._given, floats, self.network.floats_are_exact)

    @property
    def rescaled(self) -> bool:
        """Whether rows were scaled."""
        return self._factors is not None

    @cached_property
    def integral(self) -> bool:
        """Whether all weights are integers below 2^20, so that sums of products of a layer are exact in floats."""
        return self.floats_are_exact and all(is_whole(w) for w in self.floats)

    @cached_property
    def residues(self) -> list[npt.NDArray[np.int64]] | None:
        """Weights modulo 2^31 - 1, or None if a denominator vanishes there."""
        return _residues(self.exact, PRIME)

    @cached_property
    def field_residues(self) -> list[npt.NDArray[np.int64]] | None:
        """Weights modulo `mcinj.numeric.field.FIELD`, or None if a denominator vanishes there."""
        return _residues(self.exact, FIELD)

    @property
    def generic(self) -> bool:
        """Whether count may stand for rank: the network has a premise (`mcinj.networks.Premise`)."""
        return self.network.premise is not None and all(w.shape[1] > 1 for w in self.network.weights)

    def rows(self, pattern: Sequence[Sequence[bool]]) -> list[FractionMatrix]:
        """Exact rows of layers 1 … len(pattern) + 1 on the pattern (units that act, constant units included).

        They are over the model's coordinates (`units`).
        """
        return rows_on(self.exact, pattern)

    def path_rows(self, path: Sequence[int], rows: Sequence[FractionMatrix]) -> list[FractionVector]:
        """Exact rows of a path, positive on the cell: `walls`, then two per unit of all layers (not active, active).

        `rows` are those of the layers on the cell's pattern.
        """
        units = [row for layer in rows for row in layer]
        result = []
        for index in path:
            unit, up = divmod(index - len(self.fence), 2)
            if index < len(self.fence):
                result.append(self.walls[index])
            else:
                result.append(units[unit] if up else tuple(-v for v in units[unit]))
        return result

    def input(self, z: Sequence[Fraction]) -> tuple[Fraction, ...] | None:
        """The input that a point of the homogenised space stands for; None where t <= 0."""
        if self.units is not None:
            z = [v * u for v, u in zip(z, self.units, strict=True)]
        if not self.biased:
            return tuple(z)
        if z[-1] <= 0:
            return None
        return tuple(v / z[-1] for v in z[:-1])

    def pair_witness(self, z: Sequence[Fraction], network: Network) -> Witness | None:
        """The inputs that two points (2g coordinates) stand for, if they lie in the domain and collide in `network`."""
        a, b = self.input(z[: self.g]), self.input(z[self.g :])
        if a is None or b is None or not self.inside(a) or not self.inside(b):
            return None
        witness = Witness(a, b)
        return witness if witness.collides(network) else None

    def inside(self, x: Sequence[Fraction]) -> bool:
        """Whether an input lies in the open domain."""
        return all(
            sum((c * v for c, v in zip(row, (*x, Fraction(1)), strict=True)), Fraction(0)) > 0 for row in self.fence
        )


def _last_unit(columns: int) -> tuple[Fraction, ...]:
    return (*(Fraction(0) for _ in range(columns - 1)), Fraction(1))


def _residues(layers: Sequence[FractionMatrix], prime: int) -> list[npt.NDArray[np.int64]] | None:
    inverse: dict[int, int] = {}
    result = []
    for w in layers:
        rows = []
        for row in w:
            line = []
            for v in row:
                q = v.denominator
                if q not in inverse:
                    if q % prime == 0:
                        return None
                    inverse[q] = pow(q, -1, prime)
                line.append(v.numerator * inverse[q] % prime)
            rows.append(line)
        result.append(np.array(rows, dtype=np.int64))
    return result
