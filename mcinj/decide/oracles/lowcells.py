"""All cells of one layer with few active rows, enumerated with the search's own kernel: its lie detector.

The expected number of cells with j positives is known exactly (`mcinj.theory.expected_cells`), so an engine that drops
cells shows in these counts. Every count is exact: a cell is counted at a point whose signs are certain in floats, and a
branch is dropped on a proved Farkas combination, or after exact arithmetic where floats do not decide.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.decide.budget import whole
from mcinj.decide.layer.exact import circuit_or_point, float_row
from mcinj.errors import InputError
from mcinj.numeric import cell
from mcinj.numeric.cell import padded_rows
from mcinj.numeric.circuits import proved_basis

_ROOM = 4096


@dataclass(frozen=True)
class CellCounts:
    """Numbers of open cells with 0, 1, …, most positive rows.

    counts: shape (most + 1,). nodes: partial patterns visited. exact: how many of them needed exact arithmetic.
    """

    counts: tuple[int, ...]
    nodes: int
    exact: int
    seconds: float


def count_cells(rows: npt.ArrayLike, most: int) -> CellCounts:
    """Count the open cells of the arrangement of `rows`, shape (m, n), that have at most `most` positive rows.

    Rows of zeros are never positive and cut nothing. Raises `InputError` for a bad shape, numbers that are not finite
    or a negative `most`.

    >>> count_cells([[1.0], [1.0], [-1.0]], 3).counts
    (0, 1, 1, 0)
    """
    matrix = np.asarray(rows, dtype=np.float64)
    if matrix.ndim != 2 or not matrix.size or not np.isfinite(matrix).all():
        raise InputError(f"rows must be a finite matrix of shape (m, n), got shape {matrix.shape}")
    whole("most", most, 0)
    started = time.perf_counter()
    matrix = matrix[matrix.any(axis=1)]
    m, n = matrix.shape
    counts = np.zeros(most + 1, dtype=np.int64)
    if m == 0:
        counts[0] = 1
        return CellCounts(tuple(counts.tolist()), 1, 0, time.perf_counter() - started)
    units = padded_rows(matrix)
    rows_signed = np.vstack([-units, units])
    doubts = np.zeros((_ROOM, m), dtype=np.int8)
    totals = np.zeros(2, dtype=np.int64)
    enough = _visit(rows_signed, m, n, most, counts, doubts, totals)
    while not enough:
        doubts = np.zeros((4 * len(doubts), m), dtype=np.int8)
        counts[:], totals[:] = 0, 0
        enough = _visit(rows_signed, m, n, most, counts, doubts, totals)
    integers = [float_row(row) for row in matrix]
    for signs in doubts[: totals[1]]:
        _exactly(integers, signs.tolist(), most, counts)
    return CellCounts(tuple(counts.tolist()), int(totals[0]), int(totals[1]), time.perf_counter() - started)


def _exactly(rows: list[list[int]], signs: list[int], most: int, counts: npt.NDArray[np.int64]) -> None:
    """Add the cells below a partial pattern (1, -1, 0: undecided), every step in exact arithmetic."""
    positives = sum(s > 0 for s in signs)
    if positives > most:
        return
    # Rows that must be negative at a point; none: any point will do.
    signed = [[-s * v for v in row] for row, s in zip(rows, signs) if s]
    if signed and circuit_or_point(signed)[1] is None:
        return
    undecided = next((i for i, s in enumerate(signs) if not s), -1)
    if undecided < 0:
        counts[positives] += 1
        return
    for sign in (-1, 1):
        _exactly(rows, [*signs[:undecided], sign, *signs[undecided + 1 :]], most, counts)


@njit()
def _visit(
    G: npt.NDArray[np.float64], m: int, n: int, most: int, counts: npt.NDArray[np.int64], doubts: npt.NDArray[np.int8],
    totals: npt.NDArray[np.int64],
) -> bool:  # fmt: skip
    """Depth first over partial patterns. G: rows -a_i, then a_i. False when there are more doubts than room.

    A doubt is a pattern that floats neither prove empty nor show to be a cell; totals: nodes, doubts.
    """
    W = G.shape[1]
    deep = m + 2
    M = np.zeros((deep, n, W))
    X = np.zeros((deep, W))
    U = np.zeros((deep, W))
    IDS = np.full((deep, W), -1, dtype=np.int64)
    signs = np.zeros((deep, m), dtype=np.int8)
    chosen = np.full(deep, -1, dtype=np.int64)
    phase = np.zeros(deep, dtype=np.int64)
    required = np.zeros(m, dtype=np.int64)
    r = np.zeros(W)
    z = np.zeros(W)
    scratch = np.zeros(8 * W)
    s = np.zeros(m)
    d = 0
    while d >= 0:
        if phase[d] == 0:
            totals[0] += 1
            x = X[d]
            pick = -1
            top = -np.inf
            worst = np.inf
            positives = 0
            for i in range(m):
                f = 0.0
                for k in range(n):
                    f += G[m + i, k] * x[k]
                s[i] = f
                if signs[d, i] == 0:
                    if f > top:
                        top = f
                        pick = i
                else:
                    worst = min(worst, f if signs[d, i] > 0 else -f)
                    if signs[d, i] > 0:
                        positives += 1
            if pick < 0:
                size = 0.0
                for k in range(n):
                    size += abs(x[k])
                # Signs are certain: a dot product of unit rows has error below 1e-15 n |x|_1.
                if worst > 1e-13 * size and size < 1e100:
                    counts[positives] += 1
                else:
                    if totals[1] == len(doubts):
                        return False
                    doubts[totals[1]] = signs[d]
                    totals[1] += 1
                d -= 1
                continue
            chosen[d] = pick
            phase[d] = 1
            if positives == most:
                phase[d] = 2  # no further positive row
        elif phase[d] == 5:
            d -= 1
            continue
        # Phases 1, 2: negative child (2: the only one); 3: positive child.
        sign = 1 if phase[d] == 3 else -1
        phase[d] = 3 if phase[d] == 1 else 5
        e = d + 1
        cell.copy(M[d], X[d], U[d], IDS[d], M[e], X[e], U[e], IDS[e])
        i = chosen[d]
        signs[e] = signs[d]
        signs[e, i] = sign
        count = 0
        for j in range(m):
            if signs[e, j] != 0:
                required[count] = j if signs[e, j] < 0 else m + j
                count += 1
        status, row = cell.settle(G, required, count, M[e], X[e], U[e], IDS[e], r, z)
        if status == cell.FEASIBLE:
            phase[e] = 0
            d = e
        elif status != cell.EMPTY or not proved_basis(G, row, M[e], IDS[e], r, scratch):
            if totals[1] == len(doubts):
                return False
            doubts[totals[1]] = signs[e]
            totals[1] += 1
    return True
