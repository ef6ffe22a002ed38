"""One operator of an ONNX graph: what it is applied to, and its attributes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.assembly import Assembly, Tensor
from mcinj.networks.ending import Tail
from mcinj.networks.exact import Array, numbers
from mcinj.networks.limits import check_weights
from mcinj.networks.optional import first_line
from mcinj.networks.reading import shown

FLOATS: dict[str, np.dtype[Any]] = {
    "FLOAT": np.dtype(np.float32), "DOUBLE": np.dtype(np.float64), "FLOAT16": np.dtype(np.float16)
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Constant:
    """Constants of the file, and the type that it computes them in; `values` are exact and may need more than that."""

    values: Array
    dtype: np.dtype[Any]

    @classmethod
    def of(cls, values: Array) -> Constant:
        """Constants as they are stored."""
        return cls(values, values.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the constants."""
        return tuple(int(d) for d in self.values.shape)

    @property
    def whole(self) -> bool:
        """Whether they are integers or truth values."""
        return self.values.dtype.kind in "iub"


@dataclass(frozen=True, eq=False)
class Flow:
    """A tensor that depends on the input, and its type in the file."""

    tensor: Tensor | Tail
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the tensor."""
        return self.tensor.shape


Value = Constant | Flow


class Graph(Protocol):
    """What an operator asks of the graph that it is in: onnx, the version of the operators, types by code."""

    onnx: Any
    opset: int
    types: dict[int, np.dtype[Any]]
    assembly: Assembly


class Call:
    """An operator with its operands."""

    def __init__(self, graph: Graph, node: Any, attributes: dict[str, Any], inputs: Sequence[Value | None]) -> None:
        self.graph, self.node, self.attributes, self.inputs = graph, node, attributes, list(inputs)
        self.op = str(node.op_type)

    @property
    def assembly(self) -> Assembly:
        """The network that the graph is put into."""
        return self.graph.assembly

    @property
    def name(self) -> str:
        """Name for what is printed: a constant operand tells more than the operator's own name, often a number."""
        pairs = zip(self.node.input, self.inputs, strict=True)
        named = [name for name, value in pairs if isinstance(value, Constant)]
        return f"{self.op} {shown(named[0] if named else self.node.name or self.node.output[0])}"

    @property
    def flows(self) -> list[Flow]:
        """The operands that depend on the input."""
        return [v for v in self.inputs if isinstance(v, Flow)]

    def has(self, i: int) -> bool:
        """Whether operand i is given."""
        return i < len(self.inputs) and self.inputs[i] is not None

    def flow(self, i: int) -> Flow:
        """Operand i, which must depend on the input."""
        value = self.inputs[i] if i < len(self.inputs) else None
        if not isinstance(value, Flow):
            raise InputError(f"its operand {i + 1} must be what depends on the network's input")
        return value

    def tensor(self, i: int) -> Tensor:
        """Operand i as a tensor before the end of the network."""
        tensor = self.flow(i).tensor
        if isinstance(tensor, Tail):
            raise InputError("it comes after the last layer")
        return tensor

    def constant(self, i: int) -> Constant:
        """Operand i, which must be constant."""
        value = self.inputs[i] if i < len(self.inputs) else None
        if not isinstance(value, Constant):
            raise InputError(f"its operand {i + 1} must be constant")
        return value

    def values(self, i: int) -> Array:
        """Operand i as exact constants of the same type as the tensor that they meet."""
        constant = self.constant(i)
        for flow in self.flows:
            if flow.dtype != constant.dtype:
                raise InputError(f"an operand has the type {constant.dtype}, the tensor it meets {flow.dtype}")
        check_weights([constant.shape], "an operand has")
        return numbers(constant.values, self.name)

    def same_type(self) -> None:
        """Refuse tensors of different types, which the standard does not define."""
        if len({f.dtype for f in self.flows}) > 1:
            raise InputError("its operands have different types")

    def out(self, tensor: Tensor | Tail) -> list[Value]:
        """A result of the operands' type."""
        return [Flow(tensor, self.flows[0].dtype)]

    def number(self, name: str, default: float) -> float:
        """A number among the attributes."""
        value = float(self.attributes.get(name, default))
        if not math.isfinite(value):
            raise InputError(f"{name} is {value}; it must be finite")
        return value

    def whole(self, name: str, default: int) -> int:
        """A whole number among the attributes."""
        return int(self.attributes.get(name, default))

    def wholes(self, name: str, default: Sequence[int]) -> list[int]:
        """Whole numbers among the attributes."""
        return [int(v) for v in self.attributes.get(name, default)]

    def text(self, name: str, default: str) -> str:
        """A text among the attributes."""
        value = self.attributes.get(name, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def indices(self, i: int) -> list[int]:
        """Operand i as a list of whole numbers."""
        constant = self.constant(i)
        if constant.values.dtype.kind not in "iu" or constant.values.ndim > 1 or constant.values.size > 1000:
            raise InputError(f"its operand {i + 1} is no list of whole numbers")
        return [int(v) for v in constant.values.reshape(-1)]

    def evaluated(self, feeds: Sequence[Array | None]) -> list[Array]:
        """What onnx's reference evaluator gives for this operator alone."""
        from mcinj.networks.onnx_evaluator import evaluator_of

        onnx = self.graph.onnx
        names = [name if value is not None else "" for name, value in zip(self.node.input, feeds, strict=True)]
        node = onnx.NodeProto()
        node.CopyFrom(self.node)
        del node.input[:]
        node.input.extend(f"i{k}" if name else "" for k, name in enumerate(names))
        tensors = [onnx.helper.make_tensor_value_info(n, 1, None) for n in node.input if n]
        ends = [onnx.helper.make_tensor_value_info(n, 1, None) for n in node.output if n]
        graph = onnx.helper.make_graph([node], "one", tensors, ends)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", self.graph.opset)])
        given = {f"i{k}": value for k, value in enumerate(feeds) if value is not None}
        try:
            evaluator = evaluator_of(onnx, model)
            with np.errstate(all="ignore"):
                made: list[Any] = evaluator.run(None, given)
        except Exception as error:  # the evaluator's errors have no common base
            raise InputError(f"onnx's reference evaluator fails on it: {first_line(error)}") from None
        results = iter(made)
        return [np.asarray(next(results)) if n else np.zeros(0) for n in node.output]


def tensor_of(onnx: Any, tensor: Any) -> Array:
    """The numbers of a tensor of the file."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise InputError("a constant lies in another file; save the model in one file")
    check_weights([tensor.dims], f"{shown(tensor.name)} holds")
    try:
        values = np.asarray(onnx.numpy_helper.to_array(tensor))
    except Exception as error:
        raise InputError(f"{shown(tensor.name)} cannot be read: {first_line(error)}") from None
    if values.dtype == object:  # text
        raise InputError(f"{shown(tensor.name)} holds no numbers")
    return values
