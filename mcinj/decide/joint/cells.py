"""The closed cells of a prefix, what is proved of the next layer's units on each, and the pairs that this leaves."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from mcinj._jit import njit
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.store import INNER
from mcinj.decide.pairs.cells import cones_of
from mcinj.decide.pairs.store import (
    ABOVE,
    BELOW,
    OPEN,
    WEAK,
    Cells,
    Flags,
    Floats,
    Ints,
    Kinds,
    Paths,
    Words,
)
from mcinj.networks.network import FractionMatrix
from mcinj.numeric import cell
from mcinj.numeric.bits import popcount
from mcinj.numeric.enclosure import LEAST, UNIT, proved_empty, row_length
from mcinj.numeric.residues import PRIME

_POINTS = 16  # of a cell that are remembered
_EXACT = 32  # products of numbers below 2^16 and 2^31 that add up to less than 2^53
_SLICE = 2_000  # cells between two looks at the outside world


class Screen(NamedTuple):
    """Sets of C cells as bits: active hidden units, sides (C, HW); units of the next layer that are ABOVE, that are
    BELOW (C, MW)."""

    sides: Words
    above: Words
    below: Words


def bits_of(flags: Flags) -> Words:
    """Rows of flags, shape (C, m), as 64-bit words, shape (C, (m + 63) // 64)."""
    c, m = flags.shape
    count = max(1, (m + 63) // 64)
    padded = np.zeros((c, 64 * count), dtype=np.uint8)
    padded[:, :m] = flags
    return np.packbits(padded, axis=1, bitorder="little").view(np.uint64).reshape(c, count)


def make_cells(model: DeepModel, signs: Kinds, paths: Paths, lengths: Ints) -> tuple[Cells, Screen]:
    """Cells of `model`'s earlier layers, the last layer on them.

    `signs` (C, L - 1, ·) are full patterns of the earlier layers (without the last one's constant unit), `paths` (C, ·)
    the rows that define them. Needs `model.residues`.
    """
    widths = model.widths
    acts = []
    for k, width in enumerate(widths[:-1]):
        units = width - int(model.biased)
        active = np.ones((len(signs), width), dtype=bool)
        active[:, :units] = signs[:, k, :units] > 0
        acts.append(active)
    cones, rows, errors = cones_of(model, acts, paths, lengths, model.depth - 1)
    residues = _residues(model, acts)
    kind = np.full((len(signs), widths[-1]), OPEN, dtype=np.int8)
    # Hidden outputs are nonnegative: weights of one sign decide without looking at the cell. Floats keep their signs.
    last = model.floats[-1]
    kind[~(acts[-1].astype(np.int64) @ (last < 0.0).T.astype(np.int64)).astype(bool)] = WEAK
    kind[~(acts[-1].astype(np.int64) @ (last > 0.0).T.astype(np.int64)).astype(bool)] = BELOW
    Z, ZE = np.ascontiguousarray(rows[-1]), np.ascontiguousarray(errors[-1])
    for start in range(0, len(signs), _SLICE):
        part = slice(start, start + _SLICE)
        classify(Z[part], ZE[part], cones.P[part], cones.PE[part], cones.lengths[part], kind[part])
    small = np.concatenate(residues[:-1], axis=1) if _small(rows[:-1], model) else np.zeros((0, 0, 0), dtype=np.int64)
    cells = Cells(
        *cones, Z, ZE, kind, np.ascontiguousarray(residues[-1]), *_directions(model.exact[0]),
        np.ascontiguousarray(small),
    )  # fmt: skip
    return cells, Screen(bits_of(cones.on > 0), bits_of(kind == ABOVE), bits_of(kind == BELOW))


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


def _residues(model: DeepModel, acts: list[Flags]) -> list[Ints]:
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


@njit()
def survivors(screen: Screen, start: int, near: int, far: int, out: Ints) -> tuple[int, int]:
    """Pairs (a, b, sides that differ), b < a, a >= start, near < difference <= far, that no unit's sign closes.

    Returns their number and the next a; whole rows only, and all of `out` must hold a row at least.
    """
    C = screen.sides.shape[0]
    HW = screen.sides.shape[1]
    MW = screen.above.shape[1]
    count = 0
    a = start
    steps = 0
    while a < C:
        if count + a > out.shape[0] or steps > 200_000_000:
            break
        steps += a
        for b in range(a):
            apart = False
            for w in range(MW):
                if (screen.above[a, w] & screen.below[b, w]) | (screen.above[b, w] & screen.below[a, w]) != 0:
                    apart = True
                    break
            if apart:
                continue
            d = 0
            for w in range(HW):
                d += popcount(screen.sides[a, w] ^ screen.sides[b, w])
            if near < d <= far:
                out[count, 0] = a
                out[count, 1] = b
                out[count, 2] = d
                count += 1
        a += 1
    return count, a
