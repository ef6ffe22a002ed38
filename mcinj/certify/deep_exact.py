"""The walk through a deep proof in rational arithmetic: the reference, and the judge of what floats leave open.

Its bounds are in `mcinj.certify.deep_exact_bounds`.
"""

from __future__ import annotations

from collections.abc import Iterable

import flint
import numpy as np
import numpy.typing as npt

from mcinj.certify import deep_ops as ops
from mcinj.certify import deep_state as ds
from mcinj.certify.deep_exact_bounds import ZERO, ExactBounds, Fault, Here, Row, sign_of, solved
from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.raising import checked_step, new_node
from mcinj.certify.rational import is_circuit


class ExactWalk(ExactBounds):
    """A walk through `stream`; `target`, `ranked`, `enumerate_regions` as the proof says.

    Of a tree of coarse cells, `regions` are the cells, `kids` and `kinds` as in `deep_state`.
    """

    def __init__(
        self,
        rows: PrefixRows,
        stream: npt.NDArray[np.int64],
        target: int,
        ranked: bool,
        enumerate_regions: bool,
        *,
        coarse: bool = False,
    ) -> None:
        super().__init__(rows, stream)
        self.target, self.ranked, self.listing, self.coarse = target, ranked, enumerate_regions, coarse
        self.regions: list[list[int]] = []
        self.kids: list[list[int]] = []
        self.kinds: list[int] = []
        self.steps = 0
        self.restart()

    def restart(self) -> None:
        """Back to the root."""
        rows = self.rows
        self._done: list[tuple[int, int]] = []
        here = self.here = Here(signs=[[0] * m for m in rows.widths], rows=rows.matrices[0])
        self.stack: list[tuple[Here, int]] = []
        self.side = 0
        if rows.biased:
            here.path.append([ZERO] * rows.n + [flint.fmpq(1)])
            for k in range(rows.depth - 1):
                here.signs[k][-1] = 1
        self._declare_zero()
        self._new_node()

    def run(self) -> int:
        """Prove everything; OK or a fault."""
        place = 0
        try:
            while place >= 0:
                place = self.step(place, prove=True)
        except Fault as fault:
            return fault.code
        return ds.OK

    def proves(self, live: Iterable[int], sides: Iterable[int], place: int) -> bool:
        """Whether the instruction at `place` is right, where those at `live` are in force (proved, to these sides)."""
        side = iter(sides)
        wanted = [(at, next(side) if self.stream[at] & 15 == ops.BRANCH else 0) for at in live]
        known = len(self._done)
        if self._done != wanted[:known]:
            self.restart()
            known = 0
        try:
            for at, child in wanted[known:]:
                self.steps += 1
                self.step(at, prove=False)
                if child > 0:
                    self._child(1)
            self.step(place, prove=True)
        except Fault:
            return False
        # After a leaf the state is that of another node.
        self._done = [*wanted, (place, 0)]
        return True

    # One instruction.

    def step(self, place: int, prove: bool) -> int:
        """Carry out the instruction at `place`; where the next one is, -1 after the last leaf."""
        value = self._number(place)
        op, arg = value & 15, value >> ops.SHIFT
        here, p, last = self.here, self.here.layer, self.rows.depth - 1
        at = place + 1
        cells = self.coarse and not here.under
        if op > ops.REGION and (op == ops.RAISED) == self.coarse:
            raise Fault(ds.OPCODE)
        if op == ops.BRANCH:
            self._undecided(p, arg)
            if cells:
                self._register(ds.DIVIDED)
            self.stack.append((here.copy(), arg))
            self._enter(arg, -1)
        elif op == ops.NEXT:
            if p >= last:
                raise Fault(ds.LAYER_FAULT)
            if 0 in here.signs[p]:
                raise Fault(ds.UNIT_FAULT)
            here.rows = self.rows.next_rows(p + 1, here.rows, [s > 0 for s in here.signs[p]])
            here.layer += 1
            self._declare_zero()
            for (k, i), sign in here.known.items():
                if k == here.layer < last and here.signs[k][i] == 0:
                    here.signs[k][i] = sign
            self._new_node()
        elif op == ops.BASIS:
            self.basis = []
            for k in range(self.rows.g):
                t = self._number(at + k)
                if t >= len(here.path):
                    raise Fault(ds.ROW_FAULT)
                self.basis.append(here.path[t])
            at += self.rows.g
            try:
                self.inverse = flint.fmpq_mat(self.basis).inv()
            except ZeroDivisionError:
                self.inverse = None
        elif op == ops.DECIDE:
            self._undecided(p, arg >> 1)
            sign = 1 if arg & 1 else -1
            if prove and self._sign(self._row(arg >> 1)) != sign:
                raise Fault(ds.CLAIM)
            here.signs[p][arg >> 1] = sign
        elif op == ops.BOUNDS:
            if p >= last:
                raise Fault(ds.LAYER_FAULT)
            if self.basis is None:
                raise Fault(ds.BASIS_FAULT)
            at = self._bounds(at, prove)
        elif op == ops.SINGLE:
            if arg >= self.rows.widths[last]:
                raise Fault(ds.UNIT_FAULT)
            if p < last and self.theta is None:
                raise Fault(ds.BOUND_FAULT)
            if prove and self._sign(self._lower(last, arg, self.theta or {})) <= 0:
                raise Fault(ds.CLAIM)
            here.sets.append(frozenset([arg]))
        elif op == ops.SET:
            at = self._set(at, arg, prove)
        elif op == ops.POSITIVE:
            if p != last:
                raise Fault(ds.LAYER_FAULT)
            number = self._number(at)
            at += 1
            self._undecided(p, arg)
            if self._rest(number) != {arg}:
                raise Fault(ds.SET_FAULT)
            here.signs[p][arg] = 1
        elif op == ops.IMPLY:
            self._undecided(p, arg >> 1)
            at, rows = self._path_rows(at)
            sign = 1 if arg & 1 else -1
            if prove and sign_of(solved(rows, self._row(arg >> 1))) != sign:
                raise Fault(ds.CLAIM)
            here.signs[p][arg >> 1] = sign
        elif op == ops.RAISED:
            at = self._raised(at, arg)
            if arg == 0:
                return self._back(at)
        elif op == ops.MARK:
            at = self._mark(at, arg, prove)
        elif op == ops.LEAF:
            if not cells:
                raise Fault(ds.LAYER_FAULT)
            self._register(ds.WHOLE)
            return self._back(at)
        elif op == ops.RANKS:
            if not cells or p != last:
                raise Fault(ds.LAYER_FAULT)
            self._register(ds.RANKED)
            here.under = True
        elif op in (ops.COUNTED, ops.RANKED, ops.REGION):
            if op == ops.RANKED and cells:
                raise Fault(ds.LAYER_FAULT)
            at = self._region(at) if op == ops.REGION else self._leaf(at, arg, op == ops.RANKED, prove)
            return self._back(at)
        else:
            raise Fault(ds.OPCODE)
        return at

    def _undecided(self, layer: int, unit: int) -> None:
        if unit >= self.rows.widths[layer] or self.here.signs[layer][unit] != 0:
            raise Fault(ds.UNIT_FAULT)

    def _declare_zero(self) -> None:
        here, p = self.here, self.here.layer
        for i in range(self.rows.widths[p]):
            if here.signs[p][i] == 0 and not any(self._row(i)):
                here.signs[p][i] = -1

    def _enter(self, unit: int, sign: int) -> None:
        here = self.here
        self.side = 0 if sign < 0 else 1
        here.signs[here.layer][unit] = sign
        here.path.append([sign * v for v in self._row(unit)])
        self._new_node()

    def _child(self, sign: int) -> None:
        self.here, unit = self.stack[-1][0].copy(), self.stack[-1][1]
        self._enter(unit, sign)

    def _back(self, at: int) -> int:
        if not self.stack:
            if at != len(self.stream):
                raise Fault(ds.LONG)
            return -1
        self.here, unit = self.stack.pop()
        self._enter(unit, 1)
        return at

    # Coarse cells.

    def _path_rows(self, at: int) -> tuple[int, list[Row]]:
        """The g path rows named at `at`, and where they end."""
        names = [self._number(at + k) for k in range(self.rows.g)]
        if any(t >= len(self.here.path) for t in names):
            raise Fault(ds.ROW_FAULT)
        return at + self.rows.g, [self.here.path[t] for t in names]

    def _mark(self, at: int, arg: int, prove: bool) -> int:
        here, last = self.here, self.rows.depth - 1
        unit, above = arg >> 2, bool(arg & 2)
        if unit >= self.rows.widths[last]:
            raise Fault(ds.UNIT_FAULT)
        if here.layer < last and self.theta is None:
            raise Fault(ds.BOUND_FAULT)
        if arg & 1:
            if self.basis is None:
                raise Fault(ds.BASIS_FAULT)
            rows = self.basis
        else:
            at, rows = self._path_rows(at)
        if prove:
            exact = above or here.layer == last
            y = solved(rows, self._lower(last, unit, self.theta or {}) if exact else self._upper(last, unit))
            # Above: g independent rows, all with positive coefficients: it is 0 only where all of them are, at 0.
            if y is None or not (min(y) > 0 if above else max(y) <= 0):
                raise Fault(ds.CLAIM)
        here.marks[unit] = here.marks.get(unit, 0) | (ds.ABOVE if above else ds.BELOW)
        return at

    def _register(self, kind: int) -> None:
        """The cell of the present node, with what is known on it, in the list of cells."""
        here, last = self.here, self.rows.depth - 1
        for k in range(last):
            for i, s in enumerate(here.signs[k]):
                found = s or here.known.get((k, i), 0) or (self.states.get((k, i), 0) if k > here.layer else 0)
                if found:
                    here.known[k, i] = found
        if here.layer == last:
            for j, s in enumerate(here.signs[last]):
                if s < 0 and j not in here.marks:
                    here.marks[j] = ds.BELOW
        hidden = [here.known.get((k, i), 0) for k in range(last) for i in range(self.rows.widths[k])]
        self.regions.append([*hidden, *(here.marks.get(j, 0) for j in range(self.rows.widths[last]))])
        self.kids.append([-1, -1])
        self.kinds.append(kind)
        parent, here.cell = here.cell, len(self.kids) - 1  # children begin with the number of their parent
        if parent >= 0:
            self.kids[parent][self.side] = here.cell

    # Sets and leaves.

    def _set(self, at: int, size: int, prove: bool) -> int:
        here, g, last = self.here, self.rows.g, self.rows.depth - 1
        if not 2 <= size <= g + 1:
            raise Fault(ds.ROW_FAULT)
        items: list[Row] = []
        units = []
        for _ in range(size):
            value = self._number(at)
            at += 1
            if value & 1 == 0:
                if value >> 1 >= len(here.path):
                    raise Fault(ds.ROW_FAULT)
                items.append(here.path[value >> 1])
                continue
            unit = value >> 1
            if unit >= self.rows.widths[last]:
                raise Fault(ds.UNIT_FAULT)
            theta: dict[tuple[int, int], int] = {}
            if here.layer < last:
                if self.theta is None:
                    raise Fault(ds.BOUND_FAULT)
                at, theta = self._bits(at, [*self._open(), *self._beyond()])
            units.append(unit)
            items.append([-v for v in self._lower(last, unit, theta)] if prove else [ZERO] * g)
        # With no row of the path, all of them could vanish together unless they span the space.
        if prove and (not is_circuit(flint.fmpq_mat(items)) or (len(units) == size and size <= g)):
            raise Fault(ds.CLAIM)
        here.sets.append(frozenset(units))
        return at

    def _rest(self, number: int) -> frozenset[int]:
        """Units of a set that are not declared negative."""
        if number >= len(self.here.sets):
            raise Fault(ds.SET_FAULT)
        signs = self.here.signs[-1]
        return frozenset(j for j in self.here.sets[number] if signs[j] >= 0)

    def _leaf(self, at: int, k: int, ranked: bool, prove: bool) -> int:
        here, last = self.here, self.rows.depth - 1
        if ranked and (here.layer != last or not self.ranked):
            raise Fault(ds.LAYER_FAULT)
        if k > len(self.stream) - at:
            raise Fault(ds.CUT)
        rests = [self._rest(self._number(at + i)) for i in range(k)]
        at += k
        if any(not rest for rest in rests):
            return at
        positive = [j for j, s in enumerate(here.signs[last]) if s > 0]
        together = [j for rest in rests for j in rest]
        if len(set(together)) < len(together):
            raise Fault(ds.OVERLAP)
        if not set(together).isdisjoint(positive):
            raise Fault(ds.DECLARED)
        if not ranked:
            if self.ranked or len(positive) + k < self.target:
                raise Fault(ds.SHORT)
            return at
        if len(together) != k:
            raise Fault(ds.SHORT)
        rows = [self._row(j)[: self.rows.n] for j in [*positive, *together]]
        if prove and (not rows or flint.fmpq_mat(rows).rank() < self.target):
            raise Fault(ds.CLAIM)
        return at

    def _raised(self, at: int, arg: int) -> int:
        """A raised step, which takes no numbers but those of sets: the same code as for one layer."""
        here, last = self.here, self.rows.depth - 1
        if arg > 1:
            raise Fault(ds.OPCODE)
        if self.ranked or (arg == 1 and here.layer != last):
            raise Fault(ds.LAYER_FAULT)
        start = np.cumsum([0, *map(len, here.sets)])
        codes = np.array([2 * j for units in here.sets for j in units], dtype=np.int64)
        node = new_node(self.rows.widths[last])
        node.sign[:] = here.signs[last]
        used = np.zeros(len(start), dtype=np.bool_)
        count = sum(s > 0 for s in here.signs[last])
        fault, at, closed = checked_step(self.stream, at, start, codes, used, node, count, self.target)
        if fault != ds.OK or closed == (arg == 1):
            raise Fault(ds.FAULTS[fault] if fault != ds.OK else ds.RAISED_FAULT)
        for j in np.flatnonzero(node.sign == -2).tolist() if arg else []:
            here.signs[last][j] = -1
            here.path.append([-v for v in self._row(j)])
        return int(at)

    def _region(self, at: int) -> int:
        signs = self.here.signs
        if self.here.layer != self.rows.depth - 1 or not self.listing:
            raise Fault(ds.LAYER_FAULT)
        if any(0 in s for s in signs) or sum(s > 0 for s in signs[-1]) < self.rows.n:
            raise Fault(ds.REGION_FAULT)
        self.regions.append([s for layer in signs for s in layer])
        return at
