"""Proof that no two regions with the same active last-layer units meet in their images, and its check.

Regions a, b have rows J_a, J_b of the active units (with biases also the constant t). A pair is closed if
* the rank of `[N_a, -N_b]`, N the outputs of the layer before, is at most the number s of equations: the weights of the
  last layer are generic, so equal images have equal N x, and the prefix before is injective; or
* proved bounds of `y_r / Σy` or `(y_r - y_q) / Σy`, y = J x, keep the images apart; or
* signed rows of the regions' units and the equations `J_a x = J_b x'` contradict each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import flint
import numpy as np
import numpy.typing as npt

from mcinj.certify.deep_regions import Regions
from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.enclosure import UNIT, coefficients, invert, spread
from mcinj.certify.format import Cursor, MalformedError
from mcinj.certify.rational import is_circuit
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
        self.cursor = Cursor(proof.stream, "a proof about pairs")
        self.regions, self.exact = regions, exact

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
        return None if self.cursor.done else "a proof about pairs goes on after its last pair"

    def _box(self, a: int) -> dict[int, np.float32] | str:
        regions = self.regions
        g, s = regions.g, regions.equations(a)
        box: dict[int, np.float32] = {}
        for _ in range(self.cursor.number()):
            units = [self.cursor.number() for _ in range(g)]
            if max(units) >= regions.reach:
                return "a basis names a row that does not exist"
            bounds = []
            for _ in range(self.cursor.number()):
                code, bits = self.cursor.number(), self.cursor.number()
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
        size = self.cursor.number()
        if size > 2 * regions.g + 1:
            return "a pair has too many rows"
        codes = [self.cursor.number() for _ in range(size)]
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
        return is_circuit(flint.fmpq_mat(lines) * span)


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
