"""One operator of a traced torch module: its arguments by the names of its schema."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.assembly import Assembly, Tensor
from mcinj.networks.ending import Tail
from mcinj.networks.exact import Array, numbers
from mcinj.networks.limits import check_weights
from mcinj.networks.reading import shown
from mcinj.networks.torch import array_of


class Trace(Protocol):
    """What an operator asks of the trace that it is in: torch itself, and what is known of each node of the graph."""

    torch: Any
    values: dict[Any, Any]
    constants: dict[Any, Any]
    names: dict[Any, str]
    example_shape: tuple[int, ...]
    assembly: Assembly


class Call:
    """An operator with its arguments; those that are left out have their defaults."""

    def __init__(self, trace: Trace, node: Any) -> None:
        self.trace, self.node = trace, node
        schema = node.target._schema.arguments
        arguments = {a.name: a.default_value for a in schema if a.has_default_value()}
        self.arguments: dict[str, Any] = (
            arguments | dict(zip((a.name for a in schema), node.args, strict=False)) | node.kwargs
        )

    @property
    def assembly(self) -> Assembly:
        """The network that the module is put into."""
        return self.trace.assembly

    def depends(self, name: str) -> bool:
        """Whether an operand depends on the network's input."""
        return self._is_node(name) and self.arguments[name] in self.trace.values

    def flow(self, name: str) -> Tensor | Tail:
        """An operand that depends on the input."""
        if not self.depends(name):
            raise InputError(f"its operand {name} must be what depends on the network's input")
        value = self.trace.values[self.arguments[name]]
        if not isinstance(value, (Tensor, Tail)):
            raise InputError(f"its operand {name} is no tensor")
        return value

    def tensor(self, name: str) -> Tensor:
        """An operand that depends on the input, before the end of the network."""
        value = self.flow(name)
        if isinstance(value, Tail):
            raise InputError("it comes after the last layer")
        return value

    def values(self, name: str) -> Array:
        """A constant operand; numbers are rounded as torch rounds them."""
        value = self.maybe(name)
        if value is None:
            raise InputError(f"its operand {name} is missing")
        return value

    def maybe(self, name: str) -> Array | None:
        """A constant operand, None if it is left out."""
        value = self.arguments.get(name)
        if value is None:
            return None
        if self._is_node(name) and value in self.trace.constants:
            check_weights([self.trace.constants[value].shape], "an operand has")
            return numbers(array_of(self.trace.constants[value], self.name(name), self.trace.torch), self.name(name))
        if isinstance(value, (bool, int, float)):
            return self.number(name)
        raise InputError(f"the operand {name} is no constant")

    def number(self, name: str) -> Array:
        """A Python number, in the type that torch computes with."""
        value = self.arguments[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"the argument {name} is no number")
        kind = self.node.meta["val"]
        double = (kind[0] if isinstance(kind, (list, tuple)) else kind).dtype == self.trace.torch.float64
        with np.errstate(over="ignore"):
            return numbers(np.asarray(value, dtype=np.float64 if double else np.float32), name)

    def wholes(self, name: str, axes: int) -> list[int]:
        """Whole numbers, one for each axis; a single one is that of all axes."""
        values = self.arguments[name]
        if isinstance(values, int):
            values = [values]
        if not isinstance(values, (list, tuple)) or not all(isinstance(v, int) for v in values):
            raise InputError(f"{name}={values!r} is not supported; give numbers")
        return [int(v) for v in values] * (axes if len(values) == 1 else 1)

    def name(self, name: str) -> str:
        """What the operand is called in the module."""
        value = self.arguments[name]
        return shown(self.trace.names[value] if self._is_node(name) else f"{name} {value}")

    def _is_node(self, name: str) -> bool:
        return isinstance(self.arguments.get(name), self.trace.torch.fx.Node)
