"""A network put together from the operators of a model file: every tensor is an exact affine function of earlier ReLUs.

A layer of the network is a list of units. A tensor of level k is `rows · y_k + shift`, where y_k are the outputs of
the units of layer k (y_0: the inputs). Affine operators act on `rows` and `shift`; a ReLU makes its tensor's entries
units. Where tensors of different levels meet, as in a skip connection, the lower one is carried through the layers
between: an entry that cannot be negative by a unit of its own, since ReLU(z) = z there, any other by two, since
z = ReLU(z) - ReLU(-z).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError
from mcinj.networks.exact import Array, as_floats, joined, numbers, plus, times
from mcinj.networks.limits import check_weights
from mcinj.networks.rows import Ints, Rows, applied, identity, none, stacked, summed

Floats = npt.NDArray[np.float64]
# From the magnitudes of all tensors so far, and a floor that every operator adds, to those of the next one.
_Magnitude = Callable[[list[Floats], float], Floats]


@dataclass(frozen=True, eq=False)
class Tensor:
    """`rows · y + shift`, in row-major order of `shape`, y being the units of layer `level`.

    `parts`: names of the operators since the last ReLU; `notes`: what is to be said of them; `slot`: its place in the
    record of magnitudes.
    """

    shape: tuple[int, ...]
    level: int
    rows: Rows
    shift: Array | None
    slot: int
    parts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Number of entries."""
        return prod(self.shape)

    @property
    def bare(self) -> bool:
        """Whether every entry is a unit, or an input, to which nothing was applied (not even a matrix that is one)."""
        return not self.parts and self.shift is None and self.rows.plain


class Layer:
    """The units of one layer: rows over the units of the layer before, shifts, slopes of their activations, names."""

    def __init__(self) -> None:
        self.rows: list[Rows] = []
        self.shifts: list[Array] = []
        self.slopes: Floats = np.zeros(0)
        self.names: list[str] = []
        self.notes: list[str] = []
        self.carried: dict[tuple[bytes, tuple[Any, ...]], int] = {}

    @property
    def width(self) -> int:
        """Number of units."""
        return len(self.slopes)

    @property
    def matrix(self) -> Rows:
        """The rows of all units."""
        return stacked(self.rows)

    @property
    def biases(self) -> Array:
        """The shifts of all units."""
        return joined(self.shifts)

    def add(self, rows: Rows, shift: Array | None, slopes: Floats) -> Ints:
        """Append units; returns their places."""
        first = self.width
        self.rows.append(rows)
        self.shifts.append(np.zeros(len(rows)) if shift is None else shift)
        self.slopes = np.concatenate([self.slopes, slopes])
        return np.arange(first, first + len(rows))

    def carry(self, rows: Rows) -> Ints:
        """Places of units with these rows that carry values on; units that are there already are used again."""
        places = np.zeros(len(rows), dtype=np.int64)
        fresh: list[int] = []
        first = self.width
        for i in range(len(rows)):
            a, b = int(rows.starts[i]), int(rows.starts[i + 1])
            key = (rows.columns[a:b].tobytes(), tuple(rows.values[a:b].tolist()))
            if key not in self.carried:
                self.carried[key] = first + len(fresh)
                fresh.append(i)
            places[i] = self.carried[key]
        if fresh:
            self.add(rows.take(np.array(fresh)), None, np.zeros(len(fresh)))
        return places


class Assembly:
    """Takes operators one by one; `input` is the tensor of all inputs."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        check_shape(shape)
        check_weights([shape], f"an input of shape {shape} has")
        self.inputs = prod(shape)
        self.layers: list[Layer] = []
        self._record: list[_Magnitude] = []
        self._roundings = 1
        self._start: Floats = np.zeros(0)
        slot = self._recorded(lambda _, floor: self._start + floor, 0)
        self.input = Tensor(shape, 0, identity(self.inputs), None, slot)

    def constant(self, values: Array, name: str) -> Tensor:
        """Constants as a tensor."""
        exact = numbers(values, name)
        size = np.abs(as_floats(exact)).reshape(-1)
        slot = self._recorded(lambda _, floor: size, 0)
        return Tensor(tuple(exact.shape), 0, none(exact.size), exact.reshape(-1), slot)

    def reshape(self, t: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The same entries in the same order under another shape."""
        if prod(shape) != t.size or not all(d > 0 for d in shape):
            raise InputError(f"a tensor of shape {t.shape} cannot take the shape {shape}")
        return replace(t, shape=shape)

    def linear(self, t: Tensor, matrix: Rows, shape: tuple[int, ...], name: str) -> Tensor:
        """Apply a matrix `(entries of shape, entries of t)`."""
        import scipy.sparse

        rows = matrix.after(t.rows)
        shift = None if t.shift is None else applied(matrix, t.shift)
        bounds = np.abs(as_floats(matrix.values))
        a = scipy.sparse.csr_matrix((bounds, matrix.columns, matrix.starts), shape=(len(matrix), t.size))
        slot = self._recorded(lambda m, floor: a @ m[t.slot] + floor, int(matrix.counts.max(initial=0)) + 1)
        return self._made(t, shape, rows, shift, slot, name)

    def scale(self, t: Tensor, factors: Array, name: str, roundings: int = 3) -> Tensor:
        """Multiply entry by entry with constants that broadcast to the tensor's shape."""
        values = self._spread(t, factors, name)
        rows = t.rows.scaled(values)
        shift = None if t.shift is None else times(values, t.shift)
        a = np.abs(as_floats(values))
        slot = self._recorded(lambda m, floor: a * m[t.slot] + floor, roundings)
        return self._made(t, t.shape, rows, shift, slot, name)

    def shift(self, t: Tensor, constants: Array, name: str) -> Tensor:
        """Add constants that broadcast to the tensor's shape."""
        values = self._spread(t, constants, name)
        shift = values if t.shift is None else plus(t.shift, values)
        a = np.abs(as_floats(values))
        slot = self._recorded(lambda m, floor: m[t.slot] + a, 2)
        return self._made(t, t.shape, t.rows, shift, slot, name)

    def add(self, tensors: Sequence[Tensor], name: str) -> Tensor:
        """The sum of tensors of one shape."""
        total, *rest = self.level(tensors)
        for t in rest:
            shift = t.shift if total.shift is None else total.shift if t.shift is None else plus(total.shift, t.shift)
            slot = self._recorded(lambda m, floor, a=total.slot, b=t.slot: m[a] + m[b], 2)  # type: ignore[misc]
            parts, notes = _joined(total.parts, t.parts), _joined(total.notes, t.notes)
            total = Tensor(total.shape, total.level, summed(total.rows, t.rows), shift, slot, parts, notes)
        return total if total.parts else replace(total, parts=(name,))

    def gather(self, tensors: Sequence[Tensor], index: Ints, shape: tuple[int, ...]) -> Tensor:
        """The entries `index` (flat) of the tensors, one after the other; -1 stands for a zero."""
        check_shape(shape)
        check_weights([shape], f"a tensor of shape {shape} has")
        level = self.level(tensors)
        rows = stacked([t.rows for t in level]).take(index)
        shift = None
        if any(t.shift is not None for t in level):
            shifts = [np.zeros(t.size) if t.shift is None else t.shift for t in level]
            shift = joined([np.zeros(1), *shifts])[index + 1]
            shift = shift if np.any(shift != 0) else None
        slots = [t.slot for t in level]

        def magnitude(m: list[Floats], floor: float) -> Floats:
            return np.where(index >= 0, np.concatenate([m[s] for s in slots])[index], 0.0)

        slot = self._recorded(magnitude, 0)
        parts = _joined(*(t.parts for t in level))
        return Tensor(shape, level[0].level, rows, shift, slot, parts, _joined(*(t.notes for t in level)))

    def relu(self, t: Tensor, name: str, slopes: float | Floats = 0.0) -> Tensor:
        """ReLUs of all entries, or leaky ones: `max(z, 0) + slope · min(z, 0)`."""
        slope = np.broadcast_to(np.asarray(slopes, dtype=np.float64), t.shape).reshape(-1)
        if (slope == 1).all():
            return t
        if t.level and t.bare and not self.layers[t.level - 1].slopes[t.rows.columns].any():
            return t  # it is nowhere negative
        while len(self.layers) <= t.level:
            self.layers.append(Layer())
        layer = self.layers[t.level]
        layer.names.append(" + ".join(t.parts) or name)
        layer.notes.extend(n for n in t.notes if n not in layer.notes)
        places = layer.add(t.rows, t.shift, slope)
        check_weights([(layer.width,)], "a layer has")
        larger = np.maximum(np.abs(slope), 1.0)
        slot = self._recorded(lambda m, floor: larger * m[t.slot] + floor, 1)
        return Tensor(t.shape, t.level + 1, identity(t.size).shifted(places), None, slot)

    def level(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The tensors in terms of one layer, the last that any of them knows."""
        top = max(t.level for t in tensors)
        return [self._lifted(t, top) for t in tensors]

    def magnitude(self, x: Floats, floor: float, slot: int) -> tuple[Floats, int]:
        """Sums of absolute values that an evaluation at `x` forms, operator by operator, and the number of roundings.

        `floor` is added at every operator, `slot` is the tensor's. An evaluation with unit roundoff u has an error of
        at most about (roundings · u) times the result.
        """
        self._start = np.abs(x)
        values: list[Floats] = []
        with np.errstate(over="ignore", invalid="ignore"):
            for step in self._record[: slot + 1]:
                values.append(step(values, floor))
        return values[slot], self._roundings

    def _lifted(self, t: Tensor, level: int) -> Tensor:
        while t.level < level:
            t = self._once_lifted(t) if len(t.rows.columns) else replace(t, level=level)
        return t

    def _once_lifted(self, t: Tensor) -> Tensor:
        """The tensor in terms of the next layer, which gets units that carry it; as few as there need be."""
        below = self.layers[t.level - 1].slopes == 0 if t.level else np.zeros(self.inputs, dtype=bool)
        rows = t.rows
        used = np.unique(rows.columns)
        single = np.ones(len(rows), dtype=bool)  # rows that cannot be negative
        single[rows.of_entries()[~(below[rows.columns] & (rows.values > 0).astype(bool))]] = False
        filled = rows.counts > 0
        by_units = len(used) + int((~below[used]).sum())
        by_rows = int(filled.sum() + (filled & ~single).sum())
        layer = self.layers[t.level]
        if by_units <= by_rows:
            carrier = np.full(int(used[-1]) + 1, -1)
            carrier[used] = np.arange(len(used))
            carried = identity(len(used)).shifted(used)
            found = Rows(rows.starts, carrier[rows.columns], rows.values).after(_carried(layer, carried, below[used]))
        else:
            index = np.full(len(rows), -1)
            index[filled] = np.arange(int(filled.sum()))
            found = _carried(layer, rows.take(np.flatnonzero(filled)), single[filled]).take(index)
        return replace(t, level=t.level + 1, rows=found)

    def _recorded(self, step: _Magnitude, roundings: int) -> int:
        self._record.append(step)
        self._roundings += roundings
        return len(self._record) - 1

    def _spread(self, t: Tensor, values: Array, name: str) -> Array:
        values = numbers(values, name)
        try:
            whole = np.broadcast_to(values, t.shape)
        except ValueError:
            raise InputError(f"{name}: constants of shape {values.shape} change the shape {t.shape}") from None
        return np.asarray(whole).reshape(-1)

    def _made(
        self, t: Tensor, shape: tuple[int, ...], rows: Rows, shift: Array | None, slot: int, name: str
    ) -> Tensor:
        check_shape(shape)
        shift = shift if shift is not None and np.any(shift != 0) else None
        return Tensor(shape, t.level, rows, shift, slot, _joined(t.parts, (name,) if name else ()), t.notes)


def check_shape(shape: Iterable[int]) -> None:
    """Refuse shapes with an axis that is empty or has no fixed size."""
    if not all(d > 0 for d in shape):
        raise InputError(f"a tensor has shape {tuple(shape)}; every axis must have a fixed size of at least 1")


def _carried(layer: Layer, rows: Rows, single: npt.NDArray[np.bool_]) -> Rows:
    """Each row as a combination of units of `layer`: one unit where it cannot be negative, else two."""
    both = np.flatnonzero(~single)
    plus_places = layer.carry(rows)
    minus_places = layer.carry(rows.take(both).scaled(np.full(len(both), -1.0)))
    counts = np.where(single, 1, 2)
    starts = np.concatenate([[0], np.cumsum(counts)])
    columns, values = np.zeros(starts[-1], dtype=np.int64), np.ones(starts[-1])
    columns[starts[:-1]] = plus_places
    columns[starts[both] + 1], values[starts[both] + 1] = minus_places, -1.0
    return Rows(starts, columns, values)


def _joined(*lists: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for each in lists for part in each))
