"""Proof that no two regions with the same active last-layer units meet in their images, and its check.

Regions a, b have rows J_a, J_b of the active units (with biases also the constant t). A pair is closed if
* the rank of `[N_a, -N_b]`, N the outputs of the layer before, is at most the number s of equations: the weights of the
  last layer are generic, so equal images have equal N x, and the prefix before is injective; or
* proved bounds of `y_r / Σy` or `(y_r - y_q) / Σy`, y = J x, keep the images apart; or
* signed rows of the regions' units and the equations `J_a x = J_b x'` contradict each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import flint
import numpy as np
import numpy.typing as npt

from mcinj.certify.deep_proof import rounded
from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.enclosure import TINY, UNIT, coefficients, invert, spread
from mcinj.certify.format import MalformedError
from mcinj.certify.varints import encode

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

PAIRS = 3  # kind of a part
_MOST = 4_000_000_000  # pairs, counted twice, that are checked


@dataclass(frozen=True, eq=False)
class PairsProof:
    """Boxes of the regions, in their order, then circuits of the pairs that need one, in the order of `open_pairs`.

    Attributes
    ----------
    layers
        The prefix, from 2.
    stream
        Per region: number of bases; per basis: g units, number of bounds; per bound: `2 coordinate + upper`, bits of a
        float32. Then per pair: number of rows, rows `2 unit + side`. Units are counted through all layers; the number
        behind the last unit is the row t > 0.
    """

    layers: int
    stream: Ints

    def to_bytes(self) -> bytes:
        """The part of the file."""
        return encode(np.concatenate([np.array([PAIRS, self.layers], dtype=np.int64), self.stream]))

    @classmethod
    def from_numbers(cls, numbers: Ints) -> PairsProof:
        """Inverse of `to_bytes`, after `decode`; raises `MalformedError`."""
        if numbers.size < 2 or numbers[0] != PAIRS:
            raise MalformedError("a proof about pairs is cut")
        return cls(int(numbers[1]), numbers[2:])


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


def coordinate(c: int, s: int) -> tuple[int, int]:
    """The image coordinate of number c: (r, -1) for y_r, (r, q) for y_r - y_q, r < q."""
    if c < s:
        return c, -1
    left, r = c - s, 0
    while left >= s - 1 - r:
        left -= s - 1 - r
        r += 1
    return r, r + 1 + left


def check_pairs(proof: PairsProof, rows: PrefixRows, signs: npt.NDArray[np.int8], exact: bool = False) -> str | None:
    """What is wrong with the proof for regions with these signs, or None."""
    return _Check(proof, Regions(rows, signs), exact).fault()


class _Check:
    def __init__(self, proof: PairsProof, regions: Regions, exact: bool) -> None:
        self.stream, self.regions, self.exact = proof.stream, regions, exact
        self.place = 0

    def _number(self) -> int:
        if self.place >= len(self.stream):
            raise MalformedError("a proof about pairs is cut")
        self.place += 1
        return int(self.stream[self.place - 1])

    def fault(self) -> str | None:
        regions = self.regions
        if sum(len(members) ** 2 for members in regions.groups()) > _MOST:
            return f"there are more than {_MOST:.0e} pairs of regions"
        boxes = []
        for a in range(len(regions.signs)):
            found = self._box(a)
            if isinstance(found, str):
                return found
            boxes.append(found)
        for members in regions.groups():
            s = regions.equations(int(members[0]))
            size = s + s * (s - 1) // 2
            low = np.full((len(members), size), -np.inf, dtype=np.float32)
            high = np.full((len(members), size), np.inf, dtype=np.float32)
            for i, a in enumerate(members.tolist()):
                for e, value in boxes[a].items():
                    (high if e & 1 else low)[i, e >> 1] = value
            for i, rest in regions.ranks_open(members):
                apart = ((low[rest] > high[i]) | (low[i] > high[rest])).any(axis=1)
                for j in rest[~apart].tolist():
                    fault = self._pair(int(members[i]), int(members[j]))
                    if fault is not None:
                        return fault
        return None if self.place == len(self.stream) else "a proof about pairs goes on after its last pair"

    def _box(self, a: int) -> dict[int, np.float32] | str:
        regions = self.regions
        g, s = regions.g, regions.equations(a)
        box: dict[int, np.float32] = {}
        for _ in range(self._number()):
            units = [self._number() for _ in range(g)]
            if max(units) >= regions.reach:
                return "a basis names a row that does not exist"
            bounds = []
            for _ in range(self._number()):
                code, bits = self._number(), self._number()
                value = np.array([bits & 0xFFFFFFFF], dtype=np.uint32).view(np.float32)[0]
                if code >= s * (s + 1) or bits >= 2**32 or not np.isfinite(value):
                    return "a bound is none of an image coordinate"
                bounds.append((code, value))
            if not self._bounds_hold(a, units, bounds):
                return "a bound of an image is not proved"
            box.update(bounds)
        return box

    def _bounds_hold(self, a: int, units: list[int], bounds: list[tuple[int, np.float32]]) -> bool:
        regions = self.regions
        s = regions.equations(a)
        if not self.exact:
            j, je = regions.image(a)
            b, be = _basis([regions.float_row(a, u) for u in units])
            solver = _Solver(b, be)
            sums, size = j.sum(axis=0), float(np.abs(j).max(initial=0.0))
            gamma = 16 * UNIT * (s + 8) * size * s
            proved = solver.good
            for code, value in bounds:
                if not proved:
                    break
                r, q = coordinate(code >> 1, s)
                sign, v = (-1.0 if code & 1 else 1.0), float(value)
                functional = sign * (j[r] - (j[q] if q >= 0 else 0.0) - v * sums)
                error = float(je[r] + (je[q] if q >= 0 else 0.0) + abs(v) * je.sum() + gamma * (1 + abs(v)))
                proved = solver.positive(functional, error * (1 + 1e-9))
            if proved:
                return True
        image = regions.exact_image(a)
        basis = flint.fmpq_mat([regions.exact_row(a, u) for u in units])
        try:
            inverse = basis.inv()
        except ZeroDivisionError:
            return False
        total = [sum((row[k] for row in image), flint.fmpq(0)) for k in range(regions.g)]
        for code, value in bounds:
            r, q = coordinate(code >> 1, s)
            exact_value = flint.fmpq(*float(value).as_integer_ratio())
            line = [
                x - (image[q][k] if q >= 0 else 0) - exact_value * t
                for k, (x, t) in enumerate(zip(image[r], total, strict=True))
            ]
            y = (flint.fmpq_mat([line]) * inverse).entries()
            if not all((c <= 0) if code & 1 else (c >= 0) for c in y):
                return False
        return True

    def _pair(self, a: int, b: int) -> str | None:
        regions = self.regions
        size = self._number()
        if size > 2 * regions.g + 1:
            return "a pair has too many rows"
        codes = [self._number() for _ in range(size)]
        if codes and max(codes) >= 2 * regions.reach:
            return "a pair names a row that does not exist"
        if (self.exact or not self._floats_close(a, b, codes)) and not self._exactly_closed(a, b, codes):
            return "two regions with the same active units are not shown to have disjoint images"
        return None

    def _floats_close(self, a: int, b: int, codes: list[int]) -> bool:
        regions, g = self.regions, self.regions.g
        (ja, ea), (jb, eb) = regions.image(a), regions.image(b)
        flips = np.flatnonzero(regions.signs[a, : regions.hidden] != regions.signs[b, : regions.hidden])
        s, d = len(ja), len(flips)
        columns: Ints | None = np.arange(g, dtype=np.int64)
        if len(codes) != 2 * g - s + 1:
            # In the quotient by {(x, x): the hidden units that differ vanish}: only their rows, d coordinates of x'.
            if d >= g or len(codes) != g + d - s + 1 or not {c >> 1 for c in codes} <= set(flips.tolist()):
                return False
            f, fe = _basis([regions.float_row(a, int(u)) for u in flips])
            columns = _pivots(f)
            if columns is None or not _Solver(np.ascontiguousarray(f[:, columns]), fe).good:
                return False
        lines = []
        for code in codes:
            row, error = regions.float_row((a, b)[code & 1], code >> 1)
            zero = np.zeros(g)
            lines.append((np.concatenate([row, zero[columns]] if code & 1 == 0 else [zero, row[columns]]), error))
        for r in range(s):
            top = float(max(np.abs(ja[r]).max(), np.abs(jb[r]).max())) or 1.0
            error = float(max(ea[r], eb[r])) / top * (1 + 1e-9) + 2 * UNIT
            lines.append((np.concatenate([ja[r] / top, -jb[r][columns] / top]), error))
        matrix, errors = _basis(lines[1:])
        if matrix.shape[0] != matrix.shape[1]:
            return False
        # A row is a negative combination of the others and any one of the equations.
        return _Solver(matrix, errors).negative(lines[0][0], lines[0][1], len(codes) - 1)

    def _exactly_closed(self, a: int, b: int, codes: list[int]) -> bool:
        regions, g = self.regions, self.regions.g
        equations = [
            [*r, *(-v for v in t)] for r, t in zip(regions.exact_image(a), regions.exact_image(b), strict=True)
        ]
        matrix = flint.fmpq_mat(equations)
        if not codes:
            return bool(matrix.rank() == 2 * g)
        zero = [flint.fmpq(0)] * g
        lines = []
        for code in codes:
            row = regions.exact_row((a, b)[code & 1], code >> 1)
            lines.append([*row, *zero] if code & 1 == 0 else [*zero, *row])
        kernel, free = matrix.numer_denom()[0].nullspace()
        if free == 0:
            return True
        span = flint.fmpq_mat([[kernel[i, k] for k in range(free)] for i in range(2 * g)])
        relations, nullity = (flint.fmpq_mat(lines) * span).transpose().numer_denom()[0].nullspace()
        signs = {(relations[i, 0] > 0) - (relations[i, 0] < 0) for i in range(len(codes))}
        return nullity == 1 and signs in ({1}, {-1})


class _Solver:
    """Coefficients on given rows (D, D), with bounds."""

    def __init__(self, b: Floats, be: Floats) -> None:
        size = len(b)
        self.b, self.be, self.r, self.delta = b, be, np.zeros((size, size)), np.zeros(size)
        self.good = bool(
            np.isfinite(b).all() and invert(b, self.r, np.zeros((size, 2 * size))) and spread(b, be, self.r, self.delta)
        )
        self.y, self.bound = np.zeros(size), np.zeros(size)

    def _solve(self, a: Floats, ae: float) -> bool:
        return self.good and bool(coefficients(self.b, self.be, self.r, self.delta, a, ae, self.y, self.bound))

    def positive(self, a: Floats, ae: float) -> bool:
        return self._solve(a, ae) and bool((self.y > self.bound).all())

    def negative(self, a: Floats, ae: float, count: int) -> bool:
        """Whether the first `count` coefficients are negative."""
        return self._solve(a, ae) and bool((self.y + self.bound < 0)[:count].all())


def _basis(lines: list[tuple[Floats, float]]) -> tuple[Floats, Floats]:
    return np.ascontiguousarray([row for row, _ in lines]), np.array([error for _, error in lines])


def _pivots(f: Floats) -> npt.NDArray[np.int64] | None:
    """Columns on which the rows are independent, by complete pivoting; None if they look dependent."""
    f = f.copy()
    columns = []
    free = list(range(len(f)))
    for _ in range(len(f)):
        i, j = divmod(int(np.abs(f[free]).argmax()), f.shape[1])
        i = free[i]
        if not abs(f[i, j]) > 1e-12:
            return None
        columns.append(j)
        free.remove(i)
        for k in free:
            f[k] -= f[k, j] / f[i, j] * f[i]
            f[k, j] = 0.0
    return np.array(columns, dtype=np.int64)
