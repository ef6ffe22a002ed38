"""Proof by coarse cells, for any weights: content of the file, and its check.

A coarse cell is a closed cone of inputs with signs of some hidden units (nonnegative, nonpositive on all of it) and
marks of last-layer units (positive but at 0, nowhere positive). The tree divides all inputs into such cells; every
region of the network lies in one cell of each level. What is to be shown, of cells or of pairs of them, is shown by
ranks (`mcinj.certify.coarse_ranks`), by marks, or by the proofs for full patterns; see docs/certificate.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flint
import numpy as np
import numpy.typing as npt

from mcinj.certify import coarse_ranks as cr
from mcinj.certify import deep_state as ds
from mcinj.certify.deep_exact import ExactWalk
from mcinj.certify.deep_proof import walk_in_floats
from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.format import MalformedError
from mcinj.certify.joint_proof import JointProof, check_given, in_order
from mcinj.certify.varints import encode

Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.int8]

COARSE, STEPS = 5, 6  # kinds of parts
BASE, DIGITS = 5, 12  # steps per number of a file: 5^12 < 2^28
_TRIED = 12  # units that are gone through in one cell, at most
_MEMORY = 4 << 30


@dataclass(frozen=True, eq=False)
class CoarseProof:
    """The tree of coarse cells of a network of `layers` layers: instructions of `deep_ops`."""

    layers: int
    stream: Ints

    def to_bytes(self) -> bytes:
        """The part of the file."""
        return encode(np.concatenate([np.array([COARSE, self.layers], dtype=np.int64), self.stream]))

    @classmethod
    def from_numbers(cls, numbers: Ints) -> CoarseProof:
        """Inverse of `to_bytes`, after `decode`; raises `MalformedError`."""
        if numbers.size < 2 or numbers[0] != COARSE:
            raise MalformedError("a proof by coarse cells is cut")
        return cls(int(numbers[1]), numbers[2:].copy())


@dataclass(frozen=True, eq=False)
class StepsProof:
    """What is done with each pair of cells that marks leave open: `steps`, as in `coarse_pairs`, in order."""

    steps: Bits

    def to_bytes(self) -> bytes:
        """The part of the file: twelve steps in a number."""
        padded = np.zeros(-(-len(self.steps) // DIGITS) * DIGITS, dtype=np.int64)
        padded[: len(self.steps)] = self.steps
        packed = padded.reshape(-1, DIGITS) @ BASE ** np.arange(DIGITS, dtype=np.int64)
        return encode(np.concatenate([np.array([STEPS, len(self.steps)], dtype=np.int64), packed]))

    @classmethod
    def from_numbers(cls, numbers: Ints) -> StepsProof:
        """Inverse of `to_bytes`, after `decode`; raises `MalformedError`."""
        if numbers.size < 2 or numbers[0] != STEPS or -(-int(numbers[1]) // DIGITS) != numbers.size - 2:
            raise MalformedError("the steps of pairs of coarse cells are cut")
        count, packed = int(numbers[1]), numbers[2:]
        if packed.size and packed.max() >= BASE**DIGITS:
            raise MalformedError("the steps of pairs of coarse cells are no steps")
        steps = (packed[:, None] // BASE ** np.arange(DIGITS, dtype=np.int64) % BASE).astype(np.int8).ravel()
        if steps[count:].any():
            raise MalformedError("the steps of pairs of coarse cells go on after the last one")
        return cls(steps[:count])


def check_ranks(proof: CoarseProof, rows: PrefixRows, exact: bool) -> str | None:
    """What is wrong with a proof that the Jacobian has rank n on every region, or None."""
    cells = check_tree(proof, rows, exact)
    return cells if isinstance(cells, str) else cells.ranks_fault()


def check_pairs(proof: CoarseProof, steps: StepsProof, joint: JointProof, rows: PrefixRows, exact: bool) -> str | None:
    """What is wrong with a proof that no two inputs have one output, or None."""
    cells = check_tree(proof, rows, exact)
    if isinstance(cells, str):
        return cells
    left = cells.pairs_left(steps.steps)
    if isinstance(left, str):
        return left
    used, pairs = in_order(left)
    return check_given(joint, rows, np.ascontiguousarray(cells.t.STATE[used]), pairs)


def check_tree(proof: CoarseProof, rows: PrefixRows, exact: bool) -> str | CoarseCells:
    """The cells of a right tree, or what is wrong with it."""
    if proof.layers != rows.depth or rows.depth < 2:
        return "the coarse cells are those of another network"
    judge = ExactWalk(rows, proof.stream, rows.n, True, False, coarse=True)
    if not exact:
        found = walk_in_floats(proof.stream, ds.new_walk(rows, rows.n, True, False, coarse=True), judge)
        if isinstance(found, str):
            return found
        if found is not None:
            count = int(found.gi[ds.REGIONS])
            return CoarseCells.of(rows, found.OUT[:count], found.KID[:count], found.KIND[:count])
        judge = ExactWalk(rows, proof.stream, rows.n, True, False, coarse=True)
    fault = judge.run()
    if fault != ds.OK:
        return ds.REASONS[fault]
    known = np.array(judge.regions, dtype=np.int8).reshape(len(judge.regions), sum(rows.widths))
    kids = np.array(judge.kids, dtype=np.int64).reshape(-1, 2)
    return CoarseCells.of(rows, known, kids, np.array(judge.kinds, dtype=np.int64))


class CoarseCells:
    """Cells whose signs and marks are proved; cell 0 holds all inputs."""

    def __init__(self, rows: PrefixRows, t: cr.Cells) -> None:
        self.rows, self.t = rows, t

    @classmethod
    def of(cls, rows: PrefixRows, known: Bits, kids: Ints, kinds: Ints) -> str | CoarseCells:
        """Cells with `known`: signs of hidden units, then marks; a reason where they would take too much memory."""
        L, g, widths = rows.depth, rows.g, rows.widths
        count, hidden, last, m = len(known), sum(widths[:-1]), widths[-1], max(widths)
        if not count:
            return "the tree has no cells"
        deep = hidden - widths[-2] if L > 2 else 0
        if 8 * count * (g * (last + m) + deep * last) > _MEMORY:
            return "there are more coarse cells than the memory that a check may take holds"
        weights = np.zeros((L, m, max(m, g)), dtype=np.int64)
        for k, r in enumerate(rows.residues or []):
            weights[k, : widths[k], : r.shape[1]] = r
        t = cr.Cells(
            m=np.array(widths, dtype=np.int64), n=np.array([rows.n], dtype=np.int64),
            first=np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.int64),
            STATE=np.ascontiguousarray(known[:, :hidden]), MARK=np.ascontiguousarray(known[:, hidden:]),
            KID=kids, KIND=kinds, W=weights, DONE=np.zeros(count, dtype=np.int64),
            R=np.zeros((count, g, last), dtype=np.int64), HR=np.zeros((count, g, m), dtype=np.int64),
            V=np.zeros((count, deep, last), dtype=np.int64),
            A=np.zeros((2 * g + 2 * hidden + 2, m), dtype=np.int64), B=np.zeros((g, m), dtype=np.int64),
            PIV=np.zeros(hidden + 1, dtype=np.int64), T=np.zeros(last, dtype=np.int64),
        )  # fmt: skip
        return cls(rows, t)

    def ranks_fault(self) -> str | None:
        """Rank n on all regions of all cells that are not divided: what is wrong, or None."""
        from mcinj.certify import coarse_pairs as cp  # compiled

        si = np.zeros(8, dtype=np.int64)
        while cp.ranks(self.t, _TRIED, si) == cp.ASK:
            if not self._ranked(int(si[cp.ONE])):
                return "a coarse cell is not shown to have rank n"
            si[cp.SETTLED] = 1
        return None

    def pairs_left(self, steps: Bits) -> str | Ints:
        """Pairs (·, 2) of complete cells that the steps leave for a proof of their own; or what is wrong."""
        from mcinj.certify import coarse_pairs as cp  # compiled

        stack, left = np.zeros((64, 2), dtype=np.int64), np.zeros((64, 2), dtype=np.int64)
        si = cp.new_state()
        while True:
            reason = int(cp.pairs(self.t, steps, stack, left, si))
            if reason == cp.DONE:
                if si[cp.AT] != len(steps):
                    return "the steps of pairs of coarse cells go on after the last pair"
                return left[: int(si[cp.LEFT])]
            if reason == cp.ROOM:
                stack, left = (np.concatenate([v, np.zeros_like(v)]) for v in (stack, left))
            elif reason == cp.ASK:
                if not self._pair_closed(int(si[cp.ONE]), int(si[cp.TWO]), int(si[cp.FORM])):
                    return "a pair of coarse cells is not closed by the rank that is claimed"
                si[cp.SETTLED] = 1
            else:
                return {
                    cp.CUT: "the steps of pairs of coarse cells are cut",
                    cp.UNDIVIDED: "a step divides a coarse cell that is not divided",
                    cp.INCOMPLETE: "a pair is left over whose cells have units without a sign, or are one cell",
                }[reason]

    # The same over the rationals, where residues do not say it.

    def _maps(self, states: list[int]) -> tuple[Any, list[list[Any]]]:
        """Rows of the last layer (fmpq_mat), and its responses to all hidden units, in the order of units."""
        rows, t = self.rows, self.t
        now = rows.matrices[0]
        for k in range(1, rows.depth):
            start = int(t.first[k - 1])
            now = rows.next_rows(k, now, [s > 0 for s in states[start : start + rows.widths[k - 1]]])
        response = rows.matrices[-1]
        columns: list[list[Any]] = []
        for k in range(rows.depth - 2, -1, -1):
            m = rows.widths[k]
            columns = [[response[j, i] for j in range(rows.widths[-1])] for i in range(m)] + columns
            if k > 0:
                on = [states[int(t.first[k]) + i] > 0 for i in range(m)]
                kept = [[response[j, i] if on[i] else flint.fmpq(0) for i in range(m)] for j in range(rows.widths[-1])]
                response = flint.fmpq_mat(kept) * rows.matrices[k]
        return now, columns

    def _independent(self, a: int, b: int, columns: list[list[Any]]) -> bool:
        common = [j for j, (v, w) in enumerate(zip(self.t.MARK[a], self.t.MARK[b], strict=True)) if (v | w) & ds.ABOVE]
        if not columns or len(columns) > len(common):
            return False
        return bool(flint.fmpq_mat([[c[j] for j in common] for c in columns]).rank() == len(columns))

    def _pair_closed(self, a: int, b: int, form: int) -> bool:
        n, g, last, t = self.rows.n, self.rows.g, self.rows.widths[-1], self.t
        one, two = t.STATE[a].tolist(), t.STATE[b].tolist()
        (left, add), (right, other) = self._maps(one), self._maps(two)
        columns = [[left[j, q] for j in range(last)] for q in range(n)]
        if form == cr.DIFFERENCES:
            columns += [add[h] for h, (u, v) in enumerate(zip(one, two, strict=True)) if u == 0 or u != v]
            return self._independent(a, b, columns)
        columns += [[right[j, q] for j in range(last)] for q in range(n)]
        if g > n:
            columns.append([left[j, n] - right[j, n] for j in range(last)])
        final = int(t.first[-2])  # units of the last hidden layer add the same in both
        columns += [add[h] for h, u in enumerate(one) if u == 0 or (h >= final and two[h] == 0)]
        columns += [other[h] for h, v in enumerate(two) if v == 0 and h < final]
        return self._independent(a, b, columns)

    def _ranked(self, a: int) -> bool:
        n, last = self.rows.n, self.rows.widths[-1]
        state = self.t.STATE[a].tolist()
        unknown = [h for h, s in enumerate(state) if s == 0]
        tried = max(n + len(unknown) - int((self.t.MARK[a] & ds.ABOVE != 0).sum()), 0)
        if tried > min(_TRIED, len(unknown)) or (tried and unknown[0] < int(self.t.first[-2])):
            return False
        for pattern in range(1 << tried):
            for e, h in enumerate(unknown[len(unknown) - tried :]):
                state[h] = 1 if pattern >> e & 1 else -1
            rows, columns = self._maps(state)
            free = [columns[h] for h in unknown[: len(unknown) - tried]]
            if not self._independent(a, a, free + [[rows[j, q] for j in range(last)] for q in range(n)]):
                return False
        return True
