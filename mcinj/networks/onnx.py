"""Networks in `.onnx` files: chains of linear operators and ReLU, convolutions unrolled into matrices."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError
from mcinj.networks.network import Network
from mcinj.networks.state import assemble, file_of, optional

Array = npt.NDArray[Any]

SUPPORTED = (
    "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "Conv", "Relu", "Flatten", "Reshape", "Identity", "Dropout", "Cast",
    "Constant",
)  # fmt: skip
MAX_ENTRIES = 10**8


def read_onnx(path: str | os.PathLike[str]) -> Network:
    """Read a feed-forward ReLU network.

    Supported: one input, one chain of `SUPPORTED` operators with constant weights; the batch axis comes first. Linear
    operators in a row are multiplied out exactly. A last layer without ReLU counts with both signs, `[W; -W]`.
    External data files are refused. Raises `InputError` naming what is not supported, and if onnx is not installed.
    """
    onnx = optional("onnx", "onnx")
    source = file_of(path)
    try:
        model = onnx.load(str(source), load_external_data=False)
    except Exception as error:  # protobuf's DecodeError and others have no common base
        raise InputError(f"{source} cannot be read as ONNX: {str(error).strip() or type(error).__name__}") from None
    if not model.graph.node:
        raise InputError(f"{source} holds no ONNX graph")
    return _Chain(onnx, model.graph, source).network()


class _Chain:
    """Walks the graph; `matrix` (rows: entries of the present tensor, columns: outputs of the last ReLU), `shift`."""

    def __init__(self, onnx: Any, graph: Any, source: Path) -> None:
        self.onnx, self.graph, self.source = onnx, graph, source
        self.constants: dict[str, Array] = {}
        for tensor in graph.initializer:
            self.constants[tensor.name] = self._tensor(tensor)
        inputs = [v for v in graph.input if v.name not in self.constants]
        if len(inputs) != 1 or len(graph.output) != 1:
            self._refuse(f"{len(inputs)} inputs and {len(graph.output)} outputs; one of each is supported")
        dims = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim]
        self.shape = tuple(dims[1:]) if len(dims) > 1 else tuple(dims)
        if not self.shape or not all(d > 0 for d in self.shape):
            self._refuse(f"the input has shape {dims}; all axes but the first (batch) must have a fixed size")
        self.current = inputs[0].name
        self.weights: list[Array] = []
        self.biases: list[Array] = []
        self._identity()

    def _refuse(self, why: str) -> None:
        raise InputError(f"{self.source}: {why}")

    def _tensor(self, tensor: Any) -> Array:
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            self._refuse(f"{tensor.name} lies in another file; save the model in one file")
        try:
            return np.asarray(self.onnx.numpy_helper.to_array(tensor))
        except Exception as error:
            self._refuse(f"{tensor.name} cannot be read: {error}")
            raise

    def _identity(self) -> None:
        self.matrix: Array | None = None  # None: the identity, nothing linear yet
        self.shift: Array | None = None

    def network(self) -> Network:
        """The network of the whole chain."""
        for node in self.graph.node:
            self._step(node)
        if self.current != self.graph.output[0].name:
            self._refuse("the output is not the end of the chain of operators")
        linear = self.matrix is not None or self.shift is not None
        if linear:
            self._close()
        if not self.weights:
            self._refuse("no linear layer")
        biases = self.biases if any(b.any() for b in self.biases) else None
        try:
            return assemble(self.weights, biases, linear=linear)
        except InputError as error:
            raise InputError(f"{self.source}: {error}") from None

    def _close(self) -> None:
        size = int(np.prod(self.shape))
        matrix = self.matrix if self.matrix is not None else np.eye(size)
        self.weights.append(matrix)
        self.biases.append(self.shift if self.shift is not None else np.zeros(size))
        self._identity()

    def _step(self, node: Any) -> None:
        kind = node.op_type
        attributes = {a.name: self.onnx.helper.get_attribute_value(a) for a in node.attribute}
        if kind not in SUPPORTED:
            self._refuse(f"operator {kind} is not supported; supported: {', '.join(SUPPORTED)}")
        if kind == "Constant":
            if "value" not in attributes:
                self._refuse("a Constant without a tensor value is not supported")
            self.constants[node.output[0]] = self._tensor(attributes["value"])
            return
        if all(name in self.constants for name in node.input if name) and kind in ("Identity", "Cast"):
            self.constants[node.output[0]] = self.constants[node.input[0]]
            return
        uses = [i for i, name in enumerate(node.input) if name == self.current]
        others = [self.constants.get(name) for name in node.input if name and name != self.current]
        if len(uses) != 1 or any(c is None for c in others):
            self._refuse(f"{kind} {node.name!r} is not a step of one chain (skip connections are not supported)")
        constants = [c for c in others if c is not None]
        self._apply(kind, attributes, constants, uses[0])
        self.current = node.output[0]

    def _apply(self, kind: str, attributes: dict[str, Any], constants: list[Array], place: int) -> None:
        if kind == "Relu":
            self._close()
        elif kind in ("Flatten", "Reshape"):
            if kind == "Flatten" and attributes.get("axis", 1) != 1:
                self._refuse("Flatten is supported along axis 1 only")
            if kind == "Reshape":
                target = [int(v) for v in constants[0].ravel()][1:]
                size = int(np.prod(self.shape))
                known = int(np.prod([v for v in target if v > 0]))
                self.shape = tuple(size // known if v == -1 else v for v in target)
                if int(np.prod(self.shape)) != size:
                    self._refuse(f"Reshape to {target} does not keep the batch axis first")
            else:
                self.shape = (int(np.prod(self.shape)),)
        elif kind in ("Gemm", "MatMul"):
            self._matmul(kind, attributes, constants, place)
        elif kind == "Conv":
            self._conv(attributes, constants, place)
        elif kind in ("Add", "Sub", "Mul", "Div"):
            self._elementwise(kind, constants[0], place)

    def _matmul(self, kind: str, attributes: dict[str, Any], constants: list[Array], place: int) -> None:
        if place != 0 or len(self.shape) != 1 or constants[0].ndim != 2 or attributes.get("transA", 0):
            self._refuse(f"{kind} is supported as (batch, features) times a constant matrix only")
        w = constants[0] if attributes.get("transB", 0) else constants[0].T
        if w.shape[1] != self.shape[0]:
            self._refuse(f"{kind} with a matrix for {w.shape[1]} features meets {self.shape[0]}")
        alpha, beta = attributes.get("alpha", 1.0), attributes.get("beta", 1.0)
        self._linear(_numbers(w, alpha))
        self.shape = (int(w.shape[0]),)
        if len(constants) > 1:
            self._shift(_numbers(np.broadcast_to(constants[1].ravel(), (w.shape[0],)), beta))

    def _elementwise(self, kind: str, constant: Array, place: int) -> None:
        try:
            # The constant broadcasts against (batch, *shape); its own batch axis, if any, must be 1.
            spread = np.broadcast_to(constant, (1, *self.shape)).reshape(-1)
        except ValueError:
            self._refuse(f"{kind} with a constant of shape {constant.shape} changes the shape {self.shape}")
            raise
        values = _numbers(spread, 1.0)
        if kind in ("Add", "Sub"):
            if kind == "Sub" and place == 1:
                self._linear(-np.eye(len(values)))
            self._shift(-values if kind == "Sub" and place == 0 else values)
            return
        if kind == "Div":
            if place != 0 or not all(v != 0 for v in values):
                self._refuse("Div is supported by nonzero constants only")
            values = np.array([1 / Fraction(v) for v in values], dtype=object)
        scale = np.zeros((len(values), len(values)), dtype=values.dtype)
        np.fill_diagonal(scale, values)
        self._linear(scale)

    def _conv(self, attributes: dict[str, Any], constants: list[Array], place: int) -> None:
        kernel = constants[0]
        if place != 0 or kernel.ndim < 3 or len(self.shape) != kernel.ndim - 1:
            self._refuse(f"Conv with a kernel of shape {kernel.shape} meets an input of shape {self.shape}")
        if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
            self._refuse("Conv with auto_pad is not supported; export explicit pads")
        group = int(attributes.get("group", 1))
        channels, *size = self.shape
        if group < 1 or channels != kernel.shape[1] * group or kernel.shape[0] % group:
            self._refuse(f"Conv with a kernel of shape {kernel.shape} and {group} groups meets {channels} channels")
        axes = len(size)
        strides = list(attributes.get("strides", [1] * axes))
        dilations = list(attributes.get("dilations", [1] * axes))
        pads = list(attributes.get("pads", [0] * 2 * axes))
        out = [
            (size[i] + pads[i] + pads[axes + i] - dilations[i] * (kernel.shape[2 + i] - 1) - 1) // strides[i] + 1
            for i in range(axes)
        ]
        if min(out) < 1:
            self._refuse(f"Conv with a kernel of shape {kernel.shape} leaves nothing of an input of shape {self.shape}")
        features, per_group = int(kernel.shape[0]), int(kernel.shape[0]) // group
        rows, columns = features * int(np.prod(out)), int(np.prod(self.shape))
        if rows * columns > MAX_ENTRIES:
            self._refuse(f"Conv unrolls to a matrix of {rows} x {columns}, too large")
        matrix = np.zeros((features, *out, *self.shape))
        for offset in np.ndindex(*kernel.shape[2:]):
            for at in np.ndindex(*out):
                where = [at[i] * strides[i] + offset[i] * dilations[i] - pads[i] for i in range(axes)]
                if all(0 <= w < s for w, s in zip(where, size, strict=True)):
                    for f in range(features):
                        first = f // per_group * kernel.shape[1]
                        taken = slice(first, first + kernel.shape[1])
                        matrix[(f, *at, taken, *where)] = kernel[(f, slice(None), *offset)]
        self._linear(matrix.reshape(rows, columns))
        self.shape = (features, *out)
        if len(constants) > 1:
            self._shift(_numbers(np.repeat(constants[1].ravel(), int(np.prod(out))), 1.0))

    def _linear(self, matrix: Array) -> None:
        if self.shift is not None:
            self.shift = _product(matrix, self.shift[:, None])[:, 0]
        self.matrix = matrix if self.matrix is None else _product(matrix, self.matrix)

    def _shift(self, values: Array) -> None:
        if self.shift is None or not any(self.shift):
            self.shift = values
        else:
            sums = [Fraction(a) + Fraction(b) for a, b in zip(self.shift, values, strict=True)]
            self.shift = np.array(sums, dtype=object)


def _numbers(values: Array, factor: float) -> Array:
    """Float64 of real numbers; exact fractions where a factor other than 1 multiplies them."""
    if values.dtype.kind not in "fiu":
        raise InputError(f"weights of type {values.dtype} are not supported; export real numbers")
    exact: Array = np.asarray(values, dtype=np.float64)
    if factor == 1.0:
        return exact
    flat = [Fraction(float(v)) * Fraction(float(factor)) for v in exact.ravel()]
    return np.array(flat, dtype=object).reshape(exact.shape)


def _product(a: Array, b: Array) -> Array:
    """Exact product of two matrices, as fractions."""
    import flint

    def rational(m: Array) -> Any:
        entries = [Fraction(v) for v in m.ravel().tolist()]
        return flint.fmpq_mat(m.shape[0], m.shape[1], [flint.fmpq(v.numerator, v.denominator) for v in entries])

    c = rational(a) * rational(b)
    flat = [Fraction(int(v.p), int(v.q)) for v in c.entries()]
    return np.array(flat, dtype=object).reshape(a.shape[0], b.shape[1])
