"""The cells of a prefix and the next layer on each of them: rows with errors, residues, and signs of its units.

On the closed cell of a full pattern of layers 1 … k - 1, layer k is linear. A unit of it is ABOVE there (positive but
at 0), WEAK (nonnegative), BELOW (nowhere positive) or OPEN (none of these is proved).
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.scaling import nearest, power_of_two
from mcinj.decide.deep.store import INNER
from mcinj.networks.network import FractionMatrix
from mcinj.numeric import cell
from mcinj.numeric.enclosure import LEAST, TINY, UNIT, proved_empty, row_length
from mcinj.numeric.residues import PRIME

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Kinds = npt.NDArray[np.int8]

BELOW, OPEN, WEAK, ABOVE = range(4)
_POINTS = 16  # of a cell that are remembered
_EXACT = 32  # products of numbers below 2^16 and 2^31 that add up to less than 2^53
_SLICE = 2_000  # cells between two looks at the outside world
_COARSE = Fraction(1, 10**250)  # rows below this are not known well in floats, relatively


class Cells(NamedTuple):
    """C cells of a prefix with h hidden units in g dimensions, and the m units of the next layer.

    sides (C, HW): active hidden units as bits; above, below (C, MW): units with these signs. kind (C, m): signs.
    Z (C, m, g), ZE (C, m): rows of the units, entrywise errors; R (C, m, g): their residues modulo 2^31 - 1.
    P (C, K, g), PE (C, K), lengths (C,): unit rows that are nonnegative on the closed cell and define it.
    H (C, h, g), HE (C, h): unit rows of the hidden units. on (C, h): which are active. Of the first layer's units, line
    (·,) numbers directions (parallel rows have one number) and columns (·,) the nonzero entries as bits. RH (C, h, g):
    residues of the hidden rows where they are so small that ranks modulo 2^31 - 1 are ranks, else empty.
    """

    sides: Words
    above: Words
    below: Words
    kind: Kinds
    Z: Floats
    ZE: Floats
    R: Ints
    P: Floats
    PE: Floats
    lengths: Ints
    H: Floats
    HE: Floats
    on: Kinds
    line: Ints
    columns: Words
    RH: Ints


def bits_of(flags: npt.NDArray[np.bool_]) -> Words:
    """Rows of flags, shape (C, m), as 64-bit words, shape (C, (m + 63) // 64)."""
    c, m = flags.shape
    count = max(1, (m + 63) // 64)
    padded = np.zeros((c, 64 * count), dtype=np.uint8)
    padded[:, :m] = flags
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint64).reshape(c, count)


def make_cells(model: DeepModel, signs: npt.NDArray[np.int8], paths: npt.NDArray[np.int32], lengths: Ints) -> Cells:
    """Cells of `model`'s earlier layers, the last layer on them.

    `signs` (C, L - 1, ·) are full patterns of the earlier layers (without the last one's constant unit), `paths` (C, ·)
    the rows that define them: the fence, then two rows per unit (not active, active). Needs `model.residues`.
    """
    L, g, C = model.depth, model.g, len(signs)
    widths = model.widths
    acts = []
    for k in range(L - 1):
        units = widths[k] - int(model.biased)
        active = np.ones((C, widths[k]), dtype=bool)
        active[:, :units] = signs[:, k, :units] > 0
        acts.append(active)
    rows, errors, bad = _rows(model, acts)
    residues = _residues(model, acts)
    for c in np.flatnonzero(bad).tolist():
        exact = model.rows([active[c].tolist() for active in acts])
        for k, layer in enumerate(exact):
            for j, row in enumerate(layer):
                # Of hidden units only directions are used below: small rows are scaled. Outputs keep their scale.
                tiny = k < L - 1 and 0 < max(abs(v) for v in row) < _COARSE
                line = np.array([nearest(v / power_of_two(row)) if tiny else nearest(v) for v in row])
                top = float(np.abs(line).max())
                rows[k][c, j] = line
                errors[k][c, j] = 2 * UNIT * top + LEAST if top > 0.0 else 0.0
    hidden = [_unit(r, e) for r, e in zip(rows[:-1], errors[:-1], strict=True)]
    H = np.ascontiguousarray(np.concatenate([h for h, _ in hidden], axis=1))
    HE = np.ascontiguousarray(np.concatenate([e for _, e in hidden], axis=1))
    fence = np.zeros((len(model.fence), g))
    for i, exact_row in enumerate(model.walls):
        most = max(abs(v) for v in exact_row)
        fence[i] = [float(v / most) for v in exact_row]
        fence[i] /= np.sqrt(fence[i] @ fence[i])
    P, PE = _paths(fence, H, HE, paths, lengths)
    on = np.concatenate(acts, axis=1)
    kind = np.full((C, widths[-1]), OPEN, dtype=np.int8)
    # Hidden outputs are nonnegative: weights of one sign decide without looking at the cell. Floats keep their signs.
    last = model.floats[-1]
    kind[~(acts[-1].astype(np.int64) @ (last < 0.0).T.astype(np.int64)).astype(bool)] = WEAK
    kind[~(acts[-1].astype(np.int64) @ (last > 0.0).T.astype(np.int64)).astype(bool)] = BELOW
    Z, ZE = np.ascontiguousarray(rows[-1]), np.ascontiguousarray(errors[-1])
    lengths = np.ascontiguousarray(lengths)
    for start in range(0, C, _SLICE):
        part = slice(start, start + _SLICE)
        classify(Z[part], ZE[part], P[part], PE[part], lengths[part], kind[part])
    small = np.concatenate(residues[:-1], axis=1) if _small(rows[:-1], model) else np.zeros((0, 0, 0), dtype=np.int64)
    return Cells(
        bits_of(on), bits_of(kind == ABOVE), bits_of(kind == BELOW), kind, Z, ZE, np.ascontiguousarray(residues[-1]),
        P, PE, lengths, H, HE, np.ascontiguousarray(on.astype(np.int8)), *_directions(model.exact[0]),
        np.ascontiguousarray(small),
    )  # fmt: skip


def _directions(rows: FractionMatrix) -> tuple[Ints, Words]:
    """A number per direction (up to sign), and nonzero columns as bits (0 where there are more than 64 columns)."""
    numbers: dict[tuple[Fraction, ...], int] = {}
    line = []
    for row in rows:
        lead = next((v for v in row if v), Fraction(1))
        line.append(numbers.setdefault(tuple(v / lead for v in row), len(numbers)))
    columns = [sum(1 << q for q, v in enumerate(row) if v) if len(row) <= 64 else 0 for row in rows]
    return np.array(line, dtype=np.int64), np.array(columns, dtype=np.uint64)


def _small(rows: list[Floats], model: DeepModel) -> bool:
    """Whether all rows are integers whose minors are below the prime (Hadamard's bound)."""
    if not model.integral:
        return False
    top = max(float(np.abs(r).max(initial=0.0)) for r in rows)
    return bool((top * model.g**0.5) ** model.g < PRIME)


def _rows(
    model: DeepModel, acts: list[npt.NDArray[np.bool_]]
) -> tuple[list[Floats], list[Floats], npt.NDArray[np.bool_]]:
    """Rows of all layers on all cells, entrywise errors, and cells where an error is not small against its row.

    Errors are those of `bounds.block`; matrix products by a library, in any order of summation.
    """
    C, g = len(acts[0]), model.g
    first = model.floats[0]
    rows = [np.broadcast_to(first, (C, *first.shape)).copy()]
    size = np.abs(first).max(axis=1)
    own = np.where((size > 0.0) & (not model.floats_are_exact), 4 * UNIT * size + LEAST, 0.0)
    errors = [np.broadcast_to(own, (C, len(first))).copy()]
    bad = np.zeros(C, dtype=bool)
    for w, active in zip(model.floats[1:], acts, strict=True):
        m0 = w.shape[1]
        masked = np.where(active[:, :, None], rows[-1], 0.0)
        following = np.stack([masked[:, :, q] @ w.T for q in range(g)], axis=2)
        size = np.where(active, np.abs(rows[-1]).max(axis=2), 0.0)
        total = size @ np.abs(w).T
        error = np.where(active, errors[-1], 0.0) @ np.abs(w).T * (1.0 + 4 * UNIT * m0)
        sizes = (size + np.where(active, errors[-1], 0.0)).sum(axis=1)
        rounding = 2.0 * UNIT * (m0 + 6) * total + (LEAST * (sizes + 4.0 * m0 + 16.0))[:, None]
        # No rounding where the row is exactly 0, or where sums of integers are exact.
        nothing = ~((size > 0.0).astype(np.int64) @ (w != 0.0).T.astype(np.int64)).astype(bool)
        error = (error + np.where(nothing | (model.integral & (total < 2.0**52)), 0.0, rounding)) * (1.0 + 1e-9)
        bad |= ((error > 0.0) & ~(error < 1e-9 * np.abs(following).max(axis=2))).any(axis=1)
        rows.append(following)
        errors.append(error)
    return rows, errors, bad


def _residues(model: DeepModel, acts: list[npt.NDArray[np.bool_]]) -> list[Ints]:
    """Residues of all layers' rows, (C, ·, g) each."""
    weights = model.residues
    if weights is None:
        raise ValueError("a denominator of the weights vanishes modulo 2^31 - 1")
    rows = [np.broadcast_to(weights[0], (len(acts[0]), *weights[0].shape))]
    for w, active in zip(weights[1:], acts, strict=True):
        following = np.zeros((len(active), w.shape[0], model.g), dtype=np.int64)
        # Sums of a few products of 16 and 31 bits are exact in floats, in any order.
        for start in range(0, w.shape[1], _EXACT):
            part = slice(start, start + _EXACT)
            high, low = (half.astype(np.float64).T for half in np.divmod(w[:, part], 2**16))
            before = np.where(active[:, part, None], rows[-1][:, part], 0).astype(np.float64)
            for q in range(model.g):
                top = (before[:, :, q] @ high).astype(np.int64) % PRIME
                rest = (before[:, :, q] @ low).astype(np.int64) % PRIME
                following[:, :, q] = (following[:, :, q] + (top * 2**16 + rest)) % PRIME
        rows.append(following)
    return rows


def _unit(rows: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Rows of unit length and their errors; rows of zeros stay zero."""
    top = np.abs(rows).max(axis=2, keepdims=True)
    scaled = rows / np.where(top > 0.0, top, 1.0)
    norm = top * np.sqrt((scaled * scaled).sum(axis=2, keepdims=True))
    norm = np.where(norm > 0.0, norm, 1.0)
    return rows / norm, errors / norm[:, :, 0] * (1.0 + 1e-9) + TINY + 4.0 * UNIT


def _paths(
    fence: Floats, H: Floats, HE: Floats, paths: npt.NDArray[np.int32], lengths: Ints
) -> tuple[Floats, Floats]:
    """Signed unit rows of the paths."""
    C, K, g = len(paths), int(lengths.max()), H.shape[2]
    P, PE = np.zeros((C, K, g)), np.zeros((C, K))
    cells = np.arange(C)
    for t in range(K):
        index = paths[:, t].astype(np.int64)
        valid = t < lengths
        f = valid & (index < len(fence))
        P[f, t], PE[f, t] = fence[index[f]], 8 * UNIT
        h = valid & ~f
        unit, up = np.divmod(index[h] - len(fence), 2)
        P[h, t] = H[cells[h], unit] * np.where(up == 1, 1.0, -1.0)[:, None]
        PE[h, t] = HE[cells[h], unit]
    return P, PE


@njit(**INNER)
def _combined(a: Floats, M: Floats, ids: Ints, g: int) -> bool:
    """Whether floats make `a` a combination of the g active rows with negative coefficients only."""
    for k in range(g):
        if ids[k] < 0:
            return False
        f = 0.0
        for q in range(g):
            f += M[q, k] * a[q]
        if not f < -1e-9:
            return False
    return True


@njit()
def classify(Z: Floats, ZE: Floats, P: Floats, PE: Floats, lengths: Ints, kind: Kinds) -> None:
    """Prove strict signs: a row that is a combination of g path rows with positive coefficients is ABOVE.

    Such a row is positive on the closed cell but at 0. Negative ones are BELOW. Rows that the basis of the cell's
    center proves, or that change their side between points that are known, need no search.
    """
    C, m, g = Z.shape
    K = P.shape[1]
    W = (g + 7) // 8 * 8
    G = np.zeros((K + 1, W))
    GE = np.zeros(K + 1)
    M = np.zeros((g, W))
    x = np.zeros(W)
    u = np.zeros(W)
    ids = np.zeros(W, dtype=np.int64)
    M2 = np.zeros((g, W))
    x2 = np.zeros(W)
    u2 = np.zeros(W)
    ids2 = np.zeros(W, dtype=np.int64)
    required = np.zeros(K + 1, dtype=np.int64)
    vec = np.zeros((6, 2 * W))
    B = np.zeros((g, g))
    BE = np.zeros(g)
    N = np.zeros((g, g))
    work = np.zeros((g, 2 * g))
    known = np.zeros((_POINTS, g))
    for c in range(C):
        length = lengths[c]
        for t in range(length):
            for q in range(g):
                G[t, q] = P[c, t, q]
            GE[t] = PE[c, t]
            required[t] = t
        cell.clear(M, x, u, ids)
        status, _ = cell.settle(G, required, length, M, x, u, ids, vec[0], vec[1])
        if status != cell.FEASIBLE:
            continue
        required[length] = length
        points = 0
        for j in range(m):
            if kind[c, j] == BELOW:
                continue
            norm = row_length(Z[c, j], g)
            value = 0.0
            for q in range(g):
                value += Z[c, j, q] * x[q]
            if not norm > LEAST:
                continue
            s = -1.0 if value > 0.0 else 1.0
            for q in range(g):
                G[length, q] = s * Z[c, j, q] / norm
            GE[length] = ZE[c, j] / norm * (1.0 + 1e-9) + 4.0 * UNIT
            if _combined(G[length], M, ids, g) and proved_empty(
                G, GE, length, ids, M, B, BE, N, vec[2], vec[3], vec[4], vec[5], work
            ):
                kind[c, j] = ABOVE if s < 0.0 else BELOW
                continue
            crosses = False
            for t in range(points):
                v = 0.0
                for q in range(g):
                    v += G[length, q] * known[t, q]
                crosses = crosses or v > 0.0
            if crosses:
                continue  # OPEN, whatever rounding does to the point
            cell.copy(M, x, u, ids, M2, x2, u2, ids2)
            status, met = cell.settle(G, required, length + 1, M2, x2, u2, ids2, vec[0], vec[1])
            if status == cell.FEASIBLE:
                if points < _POINTS:
                    for q in range(g):
                        known[points, q] = x2[q]
                    points += 1
            elif status == cell.EMPTY and proved_empty(
                G, GE, met, ids2, M2, B, BE, N, vec[2], vec[3], vec[4], vec[5], work
            ):
                kind[c, j] = ABOVE if s < 0.0 else BELOW
