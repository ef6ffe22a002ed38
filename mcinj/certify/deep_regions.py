"""Listed regions of a prefix: groups with the same active last-layer units, and rows, in floats and exactly."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import flint
import numpy as np
import numpy.typing as npt

from mcinj.certify.deep_proof import rounded
from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.enclosure import TINY, UNIT

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Regions:
    """Listed regions of a prefix, grouped by their active last-layer units, with their rows."""

    def __init__(self, rows: PrefixRows, signs: npt.NDArray[np.int8]) -> None:
        self.rows, self.signs = rows, signs
        self.last = rows.widths[-1]
        self.hidden = sum(rows.widths[:-1])
        self.g = rows.g
        self._floats: dict[int, tuple[Floats, Floats]] = {}
        self._exact: dict[int, list[Any]] = {}

    def groups(self) -> Iterator[Ints]:
        """Indices of regions with one active set, ascending, for every set that several share; by the first."""
        if not len(self.signs):
            return
        bits = np.packbits(self.signs[:, self.hidden :] > 0, axis=1)
        _, first, inverse = np.unique(bits, axis=0, return_index=True, return_inverse=True)
        label = first[inverse.ravel()]
        order = np.argsort(label, kind="stable")
        for members in np.split(order, np.flatnonzero(np.diff(label[order])) + 1):
            if len(members) > 1:
                yield members

    def equations(self, a: int) -> int:
        """Number of equations of a pair: active units, and t with biases."""
        return int((self.signs[a, self.hidden :] > 0).sum()) + int(self.rows.biased)

    def ranks_open(self, members: Ints) -> Iterator[tuple[int, Ints]]:
        """Per region i of a group the later ones j (both as positions in it) that the rank bound does not close."""
        signs, g, widths = self.signs[members], self.g, self.rows.widths
        up = signs[:, : self.hidden] > 0
        before = up[:, self.hidden - widths[-2] :]
        s = self.equations(int(members[0]))
        for i in range(len(members) - 1):
            flips = (up[i + 1 :] != up[i]).sum(axis=1)
            both = (before[i + 1 :] & before[i]).sum(axis=1)
            one = np.minimum((before[i] & ~before[i + 1 :]).sum(axis=1), g)
            other = np.minimum((~before[i] & before[i + 1 :]).sum(axis=1), g)
            if self.rows.depth == 2:
                both = np.minimum(both, g)
            rank = np.minimum(np.minimum(2 * g, g + flips), both + one + other)
            rest = np.flatnonzero(rank > s) + i + 1
            if len(rest):
                yield i, rest

    def exact(self, a: int) -> list[Any]:
        """Exact rows of every layer on the region (fmpq_mat)."""
        if a not in self._exact:
            if len(self._exact) > 64:
                self._exact.clear()
            rows = self.rows
            result = [rows.matrices[0]]
            place = 0
            for k in range(1, rows.depth):
                active = (self.signs[a, place : place + rows.widths[k - 1]] > 0).tolist()
                result.append(rows.next_rows(k, result[-1], active))
                place += rows.widths[k - 1]
            self._exact[a] = result
        return self._exact[a]

    def floats(self, a: int) -> tuple[Floats, Floats]:
        """Rows of all units (total, g) on the region, and their entrywise errors."""
        if a not in self._floats:
            if len(self._floats) > 4096:
                self._floats.clear()
            self._floats[a] = self._float_rows(a)
        return self._floats[a]

    def _float_rows(self, a: int) -> tuple[Floats, Floats]:
        rows, errors = [self.rows.floats[0][0]], [np.full(self.rows.widths[0], float(self.rows.floats[1][0]))]
        place = 0
        for k in range(1, self.rows.depth):
            w, we = self.rows.floats[0][k], float(self.rows.floats[1][k])
            active = np.flatnonzero(self.signs[a, place : place + self.rows.widths[k - 1]] > 0)
            place += self.rows.widths[k - 1]
            below, error = rows[-1][active], errors[-1][active]
            size = np.maximum(np.abs(below).max(axis=1), error)
            magnitude = np.abs(w[:, active])
            now = w[:, active] @ below
            rounding = 4 * UNIT * (len(active) + 8) * (magnitude @ size)
            bound = (magnitude @ error + we * (size + error).sum() + rounding) * (1 + 1e-9) + TINY
            if not (bound < 1e-9 * np.abs(now).max(axis=1)).all():
                exact = self.exact(a)[k]
                bound = np.zeros(len(w))
                for j in range(len(w)):
                    rounded([exact[j, q] for q in range(self.g)], now[j], bound[j : j + 1])
            rows.append(now)
            errors.append(bound)
        return np.vstack(rows), np.concatenate(errors)

    def exact_row(self, a: int, unit: int) -> list[Any]:
        """Exact signed row of a unit, positive on the region (or zero); behind the last unit, t."""
        if unit == self.hidden + self.last:
            return [flint.fmpq(int(q == self.g - 1)) for q in range(self.g)]
        k = 0
        sign = int(self.signs[a, unit])
        while unit >= self.rows.widths[k]:
            unit -= self.rows.widths[k]
            k += 1
        return [sign * self.exact(a)[k][unit, q] for q in range(self.g)]

    def float_row(self, a: int, unit: int) -> tuple[Floats, float]:
        """`exact_row` in floats, scaled to largest entry about 1, with its error."""
        if unit == self.hidden + self.last:
            return np.eye(self.g)[-1], 0.0
        rows, errors = self.floats(a)
        top = float(np.abs(rows[unit]).max()) or 1.0
        return int(self.signs[a, unit]) * rows[unit] / top, float(errors[unit]) / top * (1 + 1e-9) + 2 * UNIT

    def image(self, a: int) -> tuple[Floats, Floats]:
        """J and its errors, in floats, in the network's own scale."""
        rows, errors = self.floats(a)
        active = np.flatnonzero(self.signs[a, self.hidden :] > 0)
        with np.errstate(over="ignore", under="ignore"):
            scale = np.ldexp(1.0, np.array(self.rows.exponents[-1])[active])
            j = rows[self.hidden + active] * scale[:, None]
            je = errors[self.hidden + active] * scale + TINY
        if self.rows.biased:
            j, je = np.vstack([j, np.eye(self.g)[-1:]]), np.append(je, 0.0)
        return j, je

    def exact_image(self, a: int) -> list[list[Any]]:
        """J, exactly."""
        active = np.flatnonzero(self.signs[a, self.hidden :] > 0).tolist()
        extra = [self.exact_row(a, self.hidden + self.last)] if self.rows.biased else []
        scale = [flint.fmpq(2) ** e for e in self.rows.exponents[-1]]
        return [[self.exact(a)[-1][j, q] * scale[j] for q in range(self.g)] for j in active] + extra

    @cached_property
    def reach(self) -> int:
        """Number of rows that a proof can name."""
        return self.hidden + self.last + int(self.rows.biased)
