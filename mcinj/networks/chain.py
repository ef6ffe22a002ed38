"""A chain of affine operators and ReLUs, as a model file lists them, multiplied out exactly into layers."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError
from mcinj.networks.exact import Array, as_floats, numbers, plus, product, times
from mcinj.networks.limits import check_weights
from mcinj.networks.reading import Reading, reading

Evaluate = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


class Chain:
    """Takes operators one by one; every tensor is read as a vector in row-major order, all of its axes included.

    `shape` is the shape of the present tensor. Between two ReLUs the operators are one affine map: `_matrix` (None: the
    identity; one axis: a diagonal; two axes: rows belong to the present tensor) and `_shift` (None: zeros).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        if not all(d > 0 for d in shape):
            raise InputError(f"a tensor has shape {shape}; every axis must have a fixed size of at least 1")
        check_weights([shape], f"an input of shape {shape} has")
        self.shape = shape
        self.inputs = prod(shape)
        self._weights: list[Array] = []
        self._biases: list[Array] = []
        self._names: list[str] = []
        self._steps: list[tuple[str, Array]] = []
        self._matrix: Array | None = None
        self._shift: Array | None = None
        self._parts: list[str] = []

    @property
    def size(self) -> int:
        """Entries of the present tensor."""
        return prod(self.shape)

    def reshape(self, shape: tuple[int, ...]) -> None:
        """The same entries in the same order under another shape."""
        if prod(shape) != self.size or not all(d > 0 for d in shape):
            raise InputError(f"a tensor of shape {self.shape} cannot take the shape {shape}")
        self.shape = shape

    def multiply(self, matrix: Array, shape: tuple[int, ...], name: str) -> None:
        """Apply a matrix `(entries of shape, entries now)`."""
        matrix = numbers(matrix, name)
        self._room(matrix.shape)
        self._steps.append(("multiply", as_floats(matrix)))
        if self._shift is not None:
            self._shift = product(matrix, self._shift[:, None])[:, 0]
        if self._matrix is None:
            self._matrix = matrix
        elif self._matrix.ndim == 1:
            self._matrix = times(matrix, self._matrix[None, :])
        else:
            self._matrix = product(matrix, self._matrix)
        self.shape = shape
        self._parts.append(name)

    def scale(self, factors: Array, name: str) -> None:
        """Multiply entry by entry with constants that broadcast to the present shape."""
        values = self._spread(factors, name)
        self._steps.append(("scale", as_floats(values)))
        if self._shift is not None:
            self._shift = times(values, self._shift)
        if self._matrix is None:
            self._matrix = values
        else:
            self._matrix = times(values if self._matrix.ndim == 1 else values[:, None], self._matrix)
        self._parts.append(name)

    def add(self, constants: Array, name: str) -> None:
        """Add constants that broadcast to the present shape."""
        values = self._spread(constants, name)
        self._steps.append(("add", as_floats(values)))
        self._shift = values if self._shift is None else plus(self._shift, values)
        self._parts.append(name)

    def relu(self, name: str) -> None:
        """End a layer."""
        self._steps.append(("relu", np.zeros(0)))
        if self._weights and not self._linear:
            return  # ReLU of a ReLU
        self._close(name)

    def reading(self, last: str | None = None) -> Reading:
        """The network of all operators so far; `last` as in `mcinj.networks.reading.reading`."""
        linear = self._linear
        if linear:
            self._close("output")
        if not self._weights:
            raise InputError("the file holds no linear layer and no ReLU")
        biases = self._biases if any(np.any(b != 0) for b in self._biases) else None
        return reading(self._weights, biases, self._names, says="linear" if linear else "relu", last=last)

    def magnitude(self, x: npt.NDArray[np.float64], floor: float) -> tuple[npt.NDArray[np.float64], int]:
        """Sums of absolute values that an evaluation at `x` forms, operator by operator, and their number of roundings.

        `floor` is added at every operator. An evaluation with unit roundoff u has an error of at most about
        (roundings · u) times the result.
        """
        a, roundings = np.abs(x) + floor, 1
        with np.errstate(over="ignore", invalid="ignore"):
            for kind, values in self._steps:
                v = np.abs(values)
                if kind == "multiply":
                    a = v @ a + floor
                    roundings += values.shape[1] + 1
                elif kind == "scale":
                    a = v * a + floor
                    roundings += 3
                elif kind == "add":
                    a = a + v
                    roundings += 2
        return a, roundings

    @property
    def _linear(self) -> bool:
        return self._matrix is not None or self._shift is not None

    def _spread(self, values: Array, name: str) -> Array:
        values = numbers(values, name)
        try:
            whole = np.broadcast_to(values, self.shape)
        except ValueError:
            raise InputError(f"{name}: constants of shape {values.shape} change the shape {self.shape}") from None
        return np.asarray(whole).reshape(-1)

    def _room(self, shape: tuple[int, ...]) -> None:
        check_weights([*(w.shape for w in self._weights), shape], "the layers as matrices have")

    def _close(self, name: str) -> None:
        if self._matrix is None or self._matrix.ndim == 1:
            self._room((self.size, self.size))
            diagonal = np.ones(self.size) if self._matrix is None else self._matrix
            self._matrix = np.zeros((self.size, self.size), dtype=diagonal.dtype)
            np.fill_diagonal(self._matrix, diagonal)
        self._weights.append(self._matrix)
        self._biases.append(self._shift if self._shift is not None else np.zeros(self.size))
        self._names.append(" + ".join(self._parts) or name)
        self._matrix, self._shift, self._parts = None, None, []
