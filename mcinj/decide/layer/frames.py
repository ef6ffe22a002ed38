"""The arrays that the compiled search works on, and the exact answers that it asks for."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from mcinj.decide.budget import UNLIMITED
from mcinj.decide.layer import fields as fields
from mcinj.decide.layer import kernel
from mcinj.decide.layer.arrays import Cells, Ranks, Tree
from mcinj.decide.layer.exact import circuit_or_point, is_circuit
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.raising import masks
from mcinj.decide.layer.stream import EXHAUSTED, plant, stream
from mcinj.numeric.bits import to_rows, to_words, words
from mcinj.numeric.cell import padded
from mcinj.numeric.choices import Choices

_SPAN = 4096  # choices of a leaf with more sets than are missing: these are gone through one at a time
_TRIM = 256  # as many times too many choices may a leaf have for its sets to be shrunk
_FIRST_DEPTH = 512  # frames at first; deeper stacks grow


class Frames:
    """One search: its stack, its circuits, its log.

    Parameters
    ----------
    layer
        The rows; `count` of them take part at first (all by default).
    ranked
        Prove rank at every leaf instead of count.
    keep
        Record circuits and tree for a certificate.
    products
        Largest number of choices that a leaf's rank proof may go through before the search branches instead.
    restart
        Nodes up to which a stream's search starts again from the root after a jump (0: never, the fastest).
    thorough
        Look longer for more and smaller sets in each node: half as many nodes in about the same time.
    raises
        Most positives that a node may lack for its bound to be raised (`raising`), where counts are proved; 0:
        never, None: as many as pay, 2 in a thorough search and else 1.
    """

    def __init__(
        self,
        layer: Layer,
        *,
        ranked: bool,
        keep: bool,
        count: int | None = None,
        products: int = 1 << 17,
        restart: int = 0,
        thorough: bool = True,
        raises: int | None = None,
    ) -> None:
        m, g, n = layer.m, layer.g, layer.n
        self.layer, self.ranked, self.keep = layer, ranked, keep
        width, lines, depth = padded(g), (m + 7) // 8 * 8, min(m + 2, _FIRST_DEPTH)
        nw = words(lines)
        gi = np.zeros(fields.GLOBALS, dtype=np.int64)
        gi[fields.LIMIT], gi[fields.ROWS], gi[fields.TARGET] = UNLIMITED, m if count is None else count, n
        gi[fields.KEEP], gi[fields.RANKED], gi[fields.PRODUCT] = keep, ranked, products
        gi[fields.SPAN], gi[fields.TRIM] = min(products, _SPAN), _TRIM
        gi[fields.CAP], gi[fields.HALF] = -1, layer.half_space
        gi[fields.RAISE] = 0 if ranked else raises if raises is not None else 2 if thorough else 1
        # Where bounds are raised or sets trimmed, more swaps cost more than they save.
        gi[fields.LIKELY] = ranked and layer.looks_generic()
        gi[fields.SWAPS] = (2 if gi[fields.RAISE] or gi[fields.LIKELY] else 5) if thorough else 1
        gi[fields.SHRINK] = thorough
        self.gi = gi
        slots = 2 * depth + 2
        self.FI = np.zeros((depth, fields.FIELDS), dtype=np.int64)
        self.G = np.zeros((2 * lines, width))
        self.G[:m], self.G[lines : lines + m] = -layer.units, layer.units
        self.A = np.zeros((g, lines))
        self.A[:, :m] = layer.units[:, :g].T
        self.M = np.zeros((slots, g, width))
        self.X, self.U = np.zeros((slots, width)), np.zeros((slots, width))
        self.IDS = np.full((slots, width), -1, dtype=np.int64)
        self.S = np.zeros((slots, lines))
        self.B = np.zeros((depth, 4, nw), dtype=np.uint64)
        # Where rows may be dependent, a node looks for more sets than the rank that is missing.
        families = n + 1 if gi[fields.LIKELY] or not ranked else 3 * n + 1
        self.PS = np.zeros((depth + 1, families, nw), dtype=np.uint64)
        self.PC = np.zeros((depth + 1, families), dtype=np.int64)
        self.PV = np.zeros((depth + 1, nw), dtype=np.uint64)
        room = 4096 + 64 * n
        self.CIRC = np.zeros((room, 2, nw), dtype=np.uint64)
        self.LOG = np.zeros(room, dtype=np.int64)
        self.R = np.zeros((masks(families, lines), nw), dtype=np.uint64)
        self.idle = to_words(np.flatnonzero(layer.idle), nw)
        self.Q = np.zeros((depth + 1 if ranked else 1, lines, n), dtype=np.int64)
        if ranked:
            self.Q[-1, :m] = self.Q[0, :m] = layer.residues
        E, errors = np.zeros((n, lines) if ranked else (1, 1)), np.ones(lines)
        if ranked:
            E[:, :m], errors[:m] = layer.choices
        self.K = Choices.of(E, errors, self.Q[-1].copy())
        self.alike = np.zeros(lines, dtype=np.int64)
        if ranked and not gi[fields.LIKELY]:  # else no two rows are taken for one
            self.alike[:m] = layer.alike
        self.T = np.zeros((n + 3, lines + g + 2, g), dtype=np.int64)
        self.V = np.zeros((n, n, lines + 8) if ranked else (1, 1, 1), dtype=np.int64)
        self.Z = layer.small_integers
        gi[fields.INTEGERS] = len(self.Z) > 0
        if not len(self.Z) and not layer.support.all():
            self.Z = layer.support.astype(np.int64)
        self.F = np.zeros((6, max(5 * width, lines)))
        self.F[5] = np.arange(self.F.shape[1])
        self.J = np.zeros((5, lines + 3 * n + 8), dtype=np.int64)
        self._circuits: dict[tuple[int, ...], bool] = {}
        self.best = np.zeros(g)
        self.witnessed = False
        self._restart = np.array([restart, 0], dtype=np.int64)
        plant(self.gi, self._cells(), self._tree())

    @property
    def nodes(self) -> int:
        """Nodes entered so far."""
        return int(self.gi[fields.NODES])

    @property
    def rows(self) -> int:
        """Rows that take part at present."""
        return int(self.gi[fields.ROWS])

    def run(self, limit: int) -> int:
        """Advance until `limit` nodes are used up in total or the caller is needed; returns the kernel's reason."""
        self.gi[fields.LIMIT] = limit
        while True:
            reason = kernel.advance(self.gi, self._cells(), self._tree(), self._ranks())
            if reason != fields.GROW:
                return reason
            self._grow()

    def run_stream(self, limit: int) -> int:
        """The same over a growing number of rows (`stream`); `best` and `witnessed` tell of the last witness."""
        self.gi[fields.LIMIT] = limit
        before = self.rows
        while True:
            reason = stream(self.gi, self._cells(), self._tree(), self._ranks(), self.layer.m, self._restart, self.best)
            self.witnessed |= self.rows > before or reason == EXHAUSTED
            if reason != fields.GROW:
                return reason
            self._grow()

    def _cells(self) -> Cells:
        return Cells(
            self.G, self.A, self.M, self.X, self.U, self.IDS, self.S, self.idle, self.Z, self.F, self.J, self.T
        )

    def _tree(self) -> Tree:
        return Tree(self.FI, self.B, self.PS, self.PC, self.PV, self.CIRC, self.LOG, self.R)

    def _ranks(self) -> Ranks:
        return Ranks(self.Q, self.K, self.V, self.alike)

    def _grow(self) -> None:
        # Double whatever is more than half full.
        depth = len(self.FI)
        if self.gi[fields.DEPTH] + 1 >= depth:
            for name in ("FI", "B", "PS", "PC", "PV", "M", "X", "U", "IDS", "S", "Q"):
                old = getattr(self, name)
                if name == "Q" and not self.ranked:
                    continue
                # One or two entries at the end are scratch; the last of Q is that of all rows.
                more = (2 if name in ("M", "X", "U", "IDS", "S") else 1) * depth
                new = np.concatenate([old, np.zeros((more, *old.shape[1:]), dtype=old.dtype)])
                new[-1] = old[-1]
                setattr(self, name, new)
        if 2 * self.gi[fields.CIRCUITS] > len(self.CIRC) - 64 * self.layer.n - 256:
            self._forget()
        if 2 * self.gi[fields.CIRCUITS] > len(self.CIRC) - 64 * self.layer.n - 256:
            self.CIRC = np.concatenate([self.CIRC, np.zeros_like(self.CIRC)])
        if 2 * self.gi[fields.LOGGED] > len(self.LOG) - 64 * self.layer.n - 256:
            self.LOG = np.concatenate([self.LOG, np.zeros_like(self.LOG)])

    def _forget(self) -> None:
        """Drop circuits that neither the log nor a set on the stack names, about a quarter of those that were met."""
        count = int(self.gi[fields.CIRCUITS])
        log = self.LOG[: int(self.gi[fields.LOGGED])]
        named = (log >= fields.NUMBER) & (log < fields.PLAIN)
        used = np.zeros(count, dtype=np.bool_)
        used[log[named] - fields.NUMBER] = True
        frames = range(int(self.gi[fields.DEPTH]) + 1)
        for d in frames:
            used[self.PC[d, : self.FI[d, fields.SETS]]] = True
        number = np.cumsum(used) - 1
        log[named] = number[log[named] - fields.NUMBER] + fields.NUMBER
        for d in frames:
            sets = slice(int(self.FI[d, fields.SETS]))
            self.PC[d, sets] = number[self.PC[d, sets]]
        left = int(used.sum())
        self.CIRC[:left] = self.CIRC[:count][used]
        self.gi[fields.CIRCUITS] = left

    def point(self) -> npt.NDArray[np.float64]:
        """The witness that the kernel found, g entries."""
        return self.X[int(self.gi[fields.SLOT]), : self.layer.g].copy()

    def pass_by(self) -> bool:
        """Go on behind a point whose active rows have rank below n modulo the prime, but not over the rationals.

        False where it is no such point.
        """
        d = int(self.gi[fields.DEPTH])
        if not self.ranked or (self.S[int(self.gi[fields.SLOT]), : self.rows] >= 0.0).sum() < self.layer.n:
            return False
        if self.FI[d, fields.PHASE] == fields.ENTER:
            self.FI[d, fields.PHASE], self.FI[d, fields.TAIL] = fields.EXTEND, 0
        elif self.FI[d, fields.PHASE] == fields.EXTEND:
            self.FI[d, fields.PHASE] = fields.BRANCH
        return True

    def branches(self) -> bool:
        """Whether the frame that the kernel goes on with has a row to branch on."""
        d = int(self.gi[fields.DEPTH])
        return bool(self.B[d, fields.FREE].any() or self.PS[d, : self.FI[d, fields.SETS]].any())

    def resolve(self) -> list[Fraction] | None:
        """Answer a RESOLVE request exactly and let the frame go on.

        A circuit becomes a set of the frame (or closes it). A point guides the branching; it is returned, since it may
        be a witness, and always is one when no free row is left.
        """
        d = int(self.gi[fields.DEPTH])
        circuit: list[int] | None = None
        point: list[Fraction] | None = None
        hint: list[int] = []
        if self.gi[fields.HINT] > 0:
            suggested = self.CIRC[int(self.gi[fields.CIRCUITS])]
            hint = _signed(suggested)
            if not (suggested & ~self.R[:2]).any() and self._is_circuit(hint):
                circuit = hint
        rows = [] if circuit is not None else _signed(self.R[:2])
        if circuit is None and not rows:
            point = [Fraction(1)] * self.layer.g
        elif circuit is None:
            place = {j: i for i, j in enumerate(rows)}
            found, point = circuit_or_point([self._row(j) for j in rows], [place[j] for j in hint if j in place])
            if found is not None:
                circuit = [rows[i] for i in found]
        if circuit is None:
            if point is None:  # pragma: no cover - Gordan's alternative
                raise RuntimeError("neither a circuit nor a point")
            top = max(abs(v) for v in point)
            unit = np.array([float(v / top) for v in point])
            self.S[2 * d + 1] = unit @ self.A
            self.FI[d, fields.TAIL] = 2
            self.FI[d, fields.PHASE] = fields.BRANCH
            return point
        if len(circuit) < self.layer.g + 1:
            self.gi[fields.DEGENERATE] = 1
        self._add(d, circuit)
        return None

    def _row(self, code: int) -> list[int]:
        """Integer row that must be negative: row i for code 2 i, its opposite for 2 i + 1."""
        row = self.layer.integers[code >> 1]
        return [-v for v in row] if code & 1 else row

    def _is_circuit(self, codes: list[int]) -> bool:
        key = tuple(codes)
        known = self._circuits.get(key)
        if known is None:
            known = self._circuits[key] = is_circuit([self._row(j) for j in codes])
        return known

    def _add(self, d: int, circuit: list[int]) -> None:
        number = int(self.gi[fields.CIRCUITS])
        nw = self.R.shape[1]
        self.CIRC[number, 0] = to_words([j >> 1 for j in circuit if not j & 1], nw)
        self.CIRC[number, 1] = to_words([j >> 1 for j in circuit if j & 1], nw)
        if self.keep:
            self.gi[fields.CIRCUITS] += 1
        rest = self.CIRC[number, 0] & ~self.B[d, fields.NEG]
        if not rest.any():
            if self.keep:
                kernel.leaf_of_one(self.gi, self.LOG, number)
            self.gi[fields.DEPTH] -= 1
            return
        q = int(self.FI[d, fields.SETS])
        self.PS[d, q], self.PC[d, q] = rest, number
        self.PV[d] |= rest
        self.FI[d, fields.SETS] = q + 1
        self.FI[d, fields.PHASE] = fields.EXTEND

    def is_degenerate(self) -> bool:
        """Whether an exact dependence of fewer than g + 1 rows was met."""
        return bool(self.gi[fields.DEGENERATE])


def _signed(pair: npt.NDArray[np.uint64]) -> list[int]:
    """Codes of a pair of sets: 2 i for rows assumed negative, 2 i + 1 for rows assumed positive."""
    return sorted([2 * j for j in to_rows(pair[0])] + [2 * j + 1 for j in to_rows(pair[1])])
