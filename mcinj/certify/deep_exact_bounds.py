"""Exact bounds of units beyond the layer that a deep proof works on: those of `mcinj.certify.deep_linear`, rational."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import flint
import numpy as np
import numpy.typing as npt

from mcinj.certify import deep_ops as ops
from mcinj.certify import deep_state as ds
from mcinj.certify.deep_rows import PrefixRows

Row = list[Any]  # of flint.fmpq

ZERO = flint.fmpq(0)


class Fault(Exception):
    """A fault of the proof, one of those in `deep_state`."""

    def __init__(self, code: int) -> None:
        super().__init__(ds.REASONS[code])
        self.code = code


@dataclass
class Here:
    """What children inherit; `uppers` maps (layer, unit) to an upper bound of its output that is linear on the cell."""

    layer: int = 0
    signs: list[list[int]] = field(default_factory=list)
    rows: Any = None
    path: list[Row] = field(default_factory=list)
    uppers: dict[tuple[int, int], Row] = field(default_factory=dict)
    sets: list[frozenset[int]] = field(default_factory=list)
    # Of coarse cells: signs known beyond the present layer, marks of last-layer units, the cell's number, and whether
    # this is below a cell whose ranks are being proved.
    known: dict[tuple[int, int], int] = field(default_factory=dict)
    marks: dict[int, int] = field(default_factory=dict)
    cell: int = -1
    under: bool = False

    def copy(self) -> Here:
        return Here(
            self.layer, [list(s) for s in self.signs], self.rows, list(self.path), dict(self.uppers), list(self.sets),
            dict(self.known), dict(self.marks), self.cell, self.under,
        )  # fmt: skip


class ExactBounds:
    """The node at hand: what it inherits (`here`), its basis of path rows, and what its latest bounds say.

    `theta`: hidden units whose output counts as their pre-activation from below; `states`: signs proved beyond the
    layer; both by (layer, unit).
    """

    here: Here

    def __init__(self, rows: PrefixRows, stream: npt.NDArray[np.int64]) -> None:
        self.rows, self.stream = rows, stream

    def _new_node(self) -> None:
        self.basis: list[Row] | None = None
        self.inverse: Any = None
        self.theta: dict[tuple[int, int], int] | None = None
        self.states: dict[tuple[int, int], int] = {}

    def _number(self, place: int) -> int:
        if place >= len(self.stream):
            raise Fault(ds.CUT)
        return int(self.stream[place])

    def _row(self, unit: int) -> Row:
        return [self.here.rows[unit, q] for q in range(self.rows.g)]

    def _coefficients(self, a: Row) -> Row:
        if self.basis is None:
            raise Fault(ds.BASIS_FAULT)
        if self.inverse is None:
            raise Fault(ds.CLAIM)
        y = flint.fmpq_mat([a]) * self.inverse
        return [y[0, k] for k in range(self.rows.g)]

    def _sign(self, a: Row) -> int:
        """1 if the row is positive on the cone of the basis, -1 if it is negative, else 0."""
        return sign_of(self._coefficients(a))

    def _bits(self, at: int, units: list[tuple[int, int]]) -> tuple[int, dict[tuple[int, int], int]]:
        end = at + (len(units) + ops.BITS - 1) // ops.BITS
        words = [self._number(t) for t in range(at, end)]
        return end, {u: words[c // ops.BITS] >> (c % ops.BITS) & 1 for c, u in enumerate(units)}

    def _beyond(self) -> list[tuple[int, int]]:
        widths, p = self.rows.widths, self.here.layer
        return [(k, i) for k in range(p + 1, self.rows.depth - 1) for i in range(widths[k])]

    def _open(self) -> list[tuple[int, int]]:
        p = self.here.layer
        return [(p, i) for i, s in enumerate(self.here.signs[p]) if s == 0]

    def _bounds(self, at: int, prove: bool) -> int:
        here, p, last = self.here, self.here.layer, self.rows.depth - 1
        at, changed = self._bits(at, self._open())
        at, sharpened = self._bits(at, self._open())
        at, self.theta = self._bits(at, [*self._open(), *self._beyond()])
        forms = {}
        for u in self._beyond():
            value = self._number(at)
            at += 1
            if value >= 12:
                raise Fault(ds.CUT)
            forms[u] = value // 3
            self.states[u] = (0, 1, -1)[value % 3]
        steps: dict[tuple[int, int], tuple[int, int]] = {}
        for u in [*self._open(), *self._beyond()]:
            if sharpened.get(u) or (forms.get(u) == ops.SHARPENED and self.states[u] >= 0):
                steps[u] = divmod(self._number(at), self.rows.g)
                at += 1
                if steps[u][0] >= len(here.path):
                    raise Fault(ds.ROW_FAULT)
        for u, bit in changed.items():
            if bit or u in steps:
                here.uppers[u] = self._on_basis(self._row(u[1]), steps.get(u))
        for k in range(p + 1, last):
            for j in range(self.rows.widths[k]):
                state, form = self.states[k, j], forms[k, j]
                if prove and state > 0 and self._sign(self._lower(k, j, self.theta)) <= 0:
                    raise Fault(ds.CLAIM)
                if state < 0:
                    if prove and self._sign(self._upper(k, j)) >= 0:
                        raise Fault(ds.CLAIM)
                    here.uppers[k, j] = [ZERO] * self.rows.g
                elif form != ops.KEEP:
                    w = self._upper(k, j)
                    if form == ops.ITSELF and prove and state == 0 and self._sign(w) <= 0:
                        raise Fault(ds.CLAIM)
                    here.uppers[k, j] = w if form == ops.ITSELF else self._on_basis(w, steps.get((k, j)))
        return at

    def _on_basis(self, a: Row, step: tuple[int, int] | None) -> Row:
        """Upper bound of max(a, 0) on the cone of the basis; a `step` (t, k) adds path row r = t: that of
        `max(a + h r, 0) + max(-h, 0) r`, where coefficient k of `a + h r` vanishes (h = 0 where it never changes)."""
        y = self._coefficients(a)
        out = [ZERO] * self.rows.g
        if step is not None:
            row = self.here.path[step[0]]
            slopes = self._coefficients(row)
            h = -y[step[1]] / slopes[step[1]] if slopes[step[1]] else ZERO
            y = [c + h * f for c, f in zip(y, slopes, strict=True)]
            if h < 0:
                out = [-h * v for v in row]
        for c, b in zip(y, self.basis or []):
            if c > 0:
                out = [v + c * e for v, e in zip(out, b)]
        return out

    def _state(self, layer: int, unit: int) -> int:
        return self.here.signs[layer][unit] if layer == self.here.layer else self.states[layer, unit]

    def _output_below(self, layer: int, unit: int) -> Row:
        """Upper bound of a hidden unit's output."""
        if layer == self.here.layer and self.here.signs[layer][unit] > 0:
            return self._row(unit)
        found = self.here.uppers.get((layer, unit))
        if found is None:
            raise Fault(ds.BOUND_FAULT)
        return found

    def _lower(self, layer: int, unit: int, theta: dict[tuple[int, int], int]) -> Row:
        """Lower bound of a pre-activation: outputs are at least θ times theirs, and at most their upper bounds."""
        p, g = self.here.layer, self.rows.g
        if layer == p:
            return self._row(unit)
        out = [ZERO] * g
        weight: dict[int, Any] = {unit: flint.fmpq(1)}
        for k in range(layer, p, -1):
            below: dict[int, Any] = {}
            for j, c in weight.items():
                for i in range(self.rows.widths[k - 1]):
                    v = self.rows.matrices[k][j, i]
                    s = self._state(k - 1, i)
                    if v == 0 or s < 0:
                        continue
                    if v < 0:
                        out = [a + c * v * b for a, b in zip(out, self._output_below(k - 1, i))]
                    elif s > 0 or theta[k - 1, i]:
                        below[i] = below.get(i, ZERO) + c * v
            weight = below
        for i, c in weight.items():
            out = [a + c * b for a, b in zip(out, self._row(i))]
        return out

    def _upper(self, layer: int, unit: int) -> Row:
        """Upper bound of a pre-activation beyond the present layer."""
        out = [ZERO] * self.rows.g
        theta = self.theta or {}
        for i in range(self.rows.widths[layer - 1]):
            v = self.rows.matrices[layer][unit, i]
            s = self._state(layer - 1, i)
            if v == 0 or s < 0 or (v < 0 and s == 0 and not theta[layer - 1, i]):
                continue
            row = self._output_below(layer - 1, i) if v > 0 else self._lower(layer - 1, i, theta)
            out = [a + v * b for a, b in zip(out, row)]
        return out


def solved(rows: list[Row], a: Row) -> Row | None:
    """The coefficients of a row on others; None where these are dependent."""
    try:
        y = flint.fmpq_mat([a]) * flint.fmpq_mat(rows).inv()
    except ZeroDivisionError:
        return None
    return [y[0, k] for k in range(len(rows))]


def sign_of(y: Row | None) -> int:
    """1 if no coefficient is negative, -1 if none is positive, 0 otherwise, or if all are 0 or there are none."""
    if y is None or not any(y):
        return 0
    return 1 if min(y) >= 0 else (-1 if max(y) <= 0 else 0)
