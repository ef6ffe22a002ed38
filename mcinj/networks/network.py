"""A ReLU network as numbers: float64 weights, the exact rationals behind them, forward passes, patterns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError

FloatArray = npt.NDArray[np.float64]
FractionVector = tuple[Fraction, ...]
FractionMatrix = tuple[FractionVector, ...]


class Premise(StrEnum):
    """Why the weights of a network may be taken to be in general position: what a `generic` verdict rests on."""

    DRAWN = "the weights were drawn from a continuous law"
    ASSUMED = "the weights are in general position, as the user assumes"


@dataclass(frozen=True, eq=False)
class Network:
    """``f = ReLU∘A_l∘…∘ReLU∘A_1`` with ``A_k x = W_k x + b_k``.

    Parameters
    ----------
    weights
        One matrix per layer, `W_k` of shape `(m_k, m_{k-1})` with `m_0 = n`. Arrays of floats or integers, or
        nested sequences of floats, integers and `fractions.Fraction`. A float64 is the rational that it holds.
    biases
        None, or one vector of shape `(m_k,)` per layer.
    premise
        What is known of the law of the weights; None, as for every network that was not drawn by `mcinj.sample`:
        nothing, so that nothing but the numbers themselves may prove a pass.

    Attributes
    ----------
    weights, biases
        Read-only float64 arrays (`biases` is None when there are none).
    exact_weights, exact_biases
        The same numbers as `Fraction`s; they differ from the floats only where the user gave integers or
        fractions that float64 cannot hold.

    Raises
    ------
    InputError
        No layer, an empty layer, shapes that do not chain, nan or inf, complex, string or object entries.

    Examples
    --------
    >>> import mcinj
    >>> net = mcinj.Network([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]])
    >>> net.n, net.widths
    (2, (4,))
    >>> net.forward([3.0, -4.0])
    array([3., 0., 0., 4.])
    """

    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...] | None = None
    premise: Premise | None = None

    def __init__(
        self, weights: Sequence[Any], biases: Sequence[Any] | None = None, *, premise: Premise | None = None
    ) -> None:
        if isinstance(weights, np.ndarray) and weights.dtype != object and weights.ndim == 2:
            raise InputError("weights is one matrix; give a list with one matrix per layer, e.g. Network([A])")
        layers = [_numbers(w, f"W{k}", 2) for k, w in enumerate(weights, 1)]
        if not layers:
            raise InputError("the network has no layer; give at least one weight matrix")
        offsets = None
        if biases is not None:
            offsets = [_numbers(b, f"b{k}", 1) for k, b in enumerate(biases, 1)]
            if len(offsets) != len(layers):
                raise InputError(f"{len(layers)} weight matrices but {len(offsets)} biases; give one per layer")
        for k, (w, _) in enumerate(layers, 1):
            if 0 in w.shape:
                raise InputError(f"W{k} has shape {w.shape}: layer {k} is empty; every width must be at least 1")
            if k > 1 and w.shape[1] != layers[k - 2][0].shape[0]:
                raise InputError(
                    f"W{k} has shape {w.shape} but layer {k - 1} has {layers[k - 2][0].shape[0]} units; "
                    f"W{k} needs {layers[k - 2][0].shape[0]} columns"
                )
            if offsets is not None and offsets[k - 1][0].shape != (w.shape[0],):
                raise InputError(f"b{k} has shape {offsets[k - 1][0].shape}, W{k} needs ({w.shape[0]},)")
        object.__setattr__(self, "weights", tuple(w for w, _ in layers))
        object.__setattr__(self, "biases", None if offsets is None else tuple(b for b, _ in offsets))
        object.__setattr__(self, "premise", premise)
        object.__setattr__(self, "_rational_weights", tuple(r for _, r in layers))
        object.__setattr__(self, "_rational_biases", None if offsets is None else tuple(r for _, r in offsets))

    @property
    def n(self) -> int:
        """Number of inputs."""
        return int(self.weights[0].shape[1])

    @property
    def widths(self) -> tuple[int, ...]:
        """Units per layer, `(m_1, …, m_l)`."""
        return tuple(int(w.shape[0]) for w in self.weights)

    @property
    def depth(self) -> int:
        """Number of layers."""
        return len(self.weights)

    @cached_property
    def has_biases(self) -> bool:
        """Whether any bias differs from zero, were it so little that its float64 does not."""
        if self.biases is None:
            return False
        given = self._rational_biases  # type: ignore[attr-defined]
        return any(bool(b.any()) if r is None else any(r) for b, r in zip(self.biases, given, strict=True))

    @property
    def floats_are_exact(self) -> bool:
        """Whether the float64 arrays hold exactly the numbers that the user gave."""
        rational = [*self._rational_weights, *(self._rational_biases or ())]  # type: ignore[attr-defined]
        return all(r is None for r in rational)

    @cached_property
    def exact_weights(self) -> tuple[FractionMatrix, ...]:
        """Weights as exact rationals, one tuple of rows per layer."""
        given = self._rational_weights  # type: ignore[attr-defined]
        return tuple(r if r is not None else _exact_matrix(w) for w, r in zip(self.weights, given, strict=True))

    @cached_property
    def exact_biases(self) -> tuple[FractionVector, ...] | None:
        """Biases as exact rationals, or None."""
        if self.biases is None:
            return None
        given = self._rational_biases  # type: ignore[attr-defined]
        return tuple(
            r if r is not None else tuple(Fraction(float(v)) for v in b)
            for b, r in zip(self.biases, given, strict=True)
        )

    def prefix(self, layers: int) -> Network:
        """The network of the first `layers` layers."""
        if not 1 <= layers <= self.depth:
            raise InputError(f"a network of {self.depth} layers has no prefix of {layers}")
        return self._part(slice(0, layers))

    def layer(self, k: int) -> Network:
        """Layer `k` (1-based) as a one-layer network on R^{m_{k-1}}."""
        if not 1 <= k <= self.depth:
            raise InputError(f"a network of {self.depth} layers has no layer {k}")
        return self._part(slice(k - 1, k))

    def with_linear_last_layer(self) -> Network:
        """The network whose last layer has no ReLU, as a ReLU network: `[W; -W]` tells as much as `W` does.

        Both networks collide for the same inputs, since `z = ReLU(z) - ReLU(-z)`.
        """
        weights, biases = self.as_given()
        weights[-1] = _both_signs(weights[-1])
        if biases is not None:
            biases[-1] = _both_signs(biases[-1])
        return Network(weights, biases, premise=self.premise)

    def with_premise(self, premise: Premise | None) -> Network:
        """The same network; `premise`: what is known of the law of its weights."""
        return Network(*self.as_given(), premise=premise)

    def _part(self, part: slice) -> Network:
        return Network(*self.as_given(part), premise=self.premise)

    def as_given(self, part: slice = slice(None)) -> tuple[list[Any], list[Any] | None]:
        """Weights and biases of some layers as they were given: floats, or rationals where floats cannot hold them."""
        given = self._rational_weights  # type: ignore[attr-defined]
        weights = [w if r is None else r for w, r in zip(self.weights[part], given[part], strict=True)]
        if self.biases is None:
            return weights, None
        given = self._rational_biases  # type: ignore[attr-defined]
        return weights, [b if r is None else r for b, r in zip(self.biases[part], given[part], strict=True)]

    def pre_activations(self, x: npt.ArrayLike) -> list[FloatArray]:
        """Pre-activations `W_k y_{k-1} + b_k` of every layer at one input `x` of shape `(n,)`, in floats."""
        y = np.asarray(x, dtype=np.float64)
        if y.shape != (self.n,):
            raise InputError(f"an input of this network has shape ({self.n},), got {y.shape}")
        result = []
        for k, w in enumerate(self.weights):
            z = w @ y
            if self.biases is not None:
                z = z + self.biases[k]
            result.append(z)
            y = np.maximum(z, 0.0)
        return result

    def forward(self, x: npt.ArrayLike) -> FloatArray:
        """`f(x)` in float64, shape `(m_l,)`, for one input of shape `(n,)`."""
        return np.maximum(self.pre_activations(x)[-1], 0.0)

    def exact_pre_activations(self, x: Sequence[Fraction | int]) -> list[FractionVector]:
        """Pre-activations of every layer at a rational input, without rounding."""
        y: Sequence[Fraction | int] = tuple(x)
        if len(y) != self.n:
            raise InputError(f"an input of this network has {self.n} coordinates, got {len(y)}")
        result = []
        for k, w in enumerate(self.exact_weights):
            z = exact_product(w, y)
            if self.exact_biases is not None:
                z = tuple(a + b for a, b in zip(z, self.exact_biases[k], strict=True))
            result.append(z)
            y = tuple(max(v, Fraction(0)) for v in z)
        return result

    def exact_forward(self, x: Sequence[Fraction | int]) -> FractionVector:
        """`f(x)` at a rational input, without rounding."""
        return tuple(max(v, Fraction(0)) for v in self.exact_pre_activations(x)[-1])

    def pattern(self, x: npt.ArrayLike) -> list[npt.NDArray[np.int8]]:
        """Activation pattern at `x`: per layer the signs (-1, 0, +1) of the pre-activations, in floats."""
        return [np.sign(z).astype(np.int8) for z in self.pre_activations(x)]

    def exact_pattern(self, x: Sequence[Fraction | int]) -> list[npt.NDArray[np.int8]]:
        """Activation pattern at a rational input, exact."""
        return [np.array([(v > 0) - (v < 0) for v in z], dtype=np.int8) for z in self.exact_pre_activations(x)]

    def digest(self) -> str:
        """SHA-256 (hex) of shapes and exact values: what a certificate names its network by.

        The value does not depend on how the numbers were given (list, float32, big-endian …), nor on the sign
        of zero.
        """
        sha = hashlib.sha256(b"mcinj-network-1\n")
        exact = self.floats_are_exact
        for k, w in enumerate(self.weights):
            parts: list[tuple[str, Any, Any]] = [(f"W{k + 1}", w, self.exact_weights[k] if not exact else None)]
            if self.biases is not None:
                b = self.biases[k]
                parts.append((f"b{k + 1}", b, self.exact_biases[k] if not exact and self.exact_biases else None))
            for name, floats, rationals in parts:
                sha.update(f"{name} {floats.shape}\n".encode())
                if rationals is None:
                    sha.update((np.ascontiguousarray(floats) + 0.0).astype("<f8").tobytes())
                else:
                    sha.update(repr(rationals).encode())
        return sha.hexdigest()


def exact_product(rows: FractionMatrix, x: Sequence[Fraction | int]) -> FractionVector:
    """Exact matrix-vector product.

    Done over integers with a common denominator per vector: sums of `Fraction`s would take a gcd per term.
    """
    import flint

    column = flint.fmpq_mat(len(x), 1, [flint.fmpq(v.numerator, v.denominator) for v in x])
    matrix = flint.fmpq_mat(len(rows), len(x), [flint.fmpq(v.numerator, v.denominator) for row in rows for v in row])
    return tuple(Fraction(int(v.p), int(v.q)) for v in (matrix * column).entries())


def _both_signs(values: Any) -> Any:
    """`[values; -values]` of a float64 array or of nested tuples of rationals; both change sign without rounding."""
    if isinstance(values, np.ndarray):
        return np.concatenate([values, -values])
    return [*values, *(tuple(-v for v in r) if isinstance(r, tuple) else -r for r in values)]


def _exact_matrix(w: FloatArray) -> FractionMatrix:
    return tuple(tuple(Fraction(v) for v in row) for row in w.tolist())


def _numbers(values: Any, name: str, ndim: int) -> tuple[FloatArray, Any]:
    """Float64 array of `values` and, where floats cannot hold them, their exact rationals (else None)."""
    kind = "matrix" if ndim == 2 else "vector"
    try:
        array = np.asarray(values)
        # Beside a float, or one of the other sign, numpy rounds a whole number that floats do not hold.
        if array.dtype.kind == "f" and isinstance(values, (list, tuple)):
            given = np.asarray(values, dtype=object)
            if any(isinstance(v, (int, np.integer)) and abs(int(v)) > 2**53 for v in given.flat):
                array = given
    except (ValueError, TypeError):
        raise InputError(f"{name} is not a {kind}: its rows differ in length") from None
    if np.ma.is_masked(values):
        raise InputError(f"{name} has masked entries; fill them in")
    if array.dtype.kind in "fiu" and array.dtype.itemsize > 8:
        raise InputError(f"{name} has dtype {array.dtype}; give float64, integers or fractions.Fraction")
    if array.ndim != ndim:
        raise InputError(f"{name} has shape {array.shape}; a {kind} is needed")
    rational = None
    if array.dtype.kind == "O":
        numbers = (int, float, Fraction, np.integer, np.floating)
        if not all(isinstance(v, numbers) and not isinstance(v, bool) for v in array.flat):
            raise InputError(f"{name} holds objects that are not numbers; give floats, integers or Fractions")
        if not all(np.isfinite(v) for v in array.flat if isinstance(v, (float, np.floating))):
            raise InputError(f"{name} holds nan or inf; every entry must be finite")
        rational = np.array(
            [Fraction(int(v)) if isinstance(v, np.integer) else Fraction(*v.as_integer_ratio()) for v in array.flat],
            dtype=object,
        ).reshape(array.shape)
    elif array.dtype.kind in "iu":
        if array.dtype.itemsize == 8 and array.size and max(int(array.max()), -int(array.min())) > 2**53:
            rational = np.array([Fraction(int(v)) for v in array.flat], dtype=object).reshape(array.shape)
    elif array.dtype.kind != "f":
        raise InputError(f"{name} has dtype {array.dtype}; give real numbers (float64, float32, integers)")
    try:
        if rational is None:
            with np.errstate(invalid="ignore"):  # of a signalling nan, which is refused below
                floats = array.astype(np.float64)
        else:
            floats = np.array([float(v) for v in rational.flat], dtype=np.float64).reshape(array.shape)
    except OverflowError:
        raise InputError(f"{name} holds numbers beyond the range of float64 (1.8e308); rescale the layer") from None
    if not np.isfinite(floats).all():
        where = np.argwhere(~np.isfinite(floats))[0].tolist()
        raise InputError(f"{name} holds nan or inf (first at {where}); every entry must be finite")
    floats = np.ascontiguousarray(floats)
    floats.setflags(write=False)
    if rational is not None and all(Fraction(f) == r for f, r in zip(floats.flat, rational.flat, strict=True)):
        rational = None
    if rational is None:
        return floats, None
    exact = rational.tolist()
    return floats, tuple(tuple(row) for row in exact) if ndim == 2 else tuple(exact)
