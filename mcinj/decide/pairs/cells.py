"""Cells as a pair test knows them: rows of all layers on full patterns, in floats, with errors."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np

from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.scaling import nearest, power_of_two
from mcinj.decide.pairs.store import Flags, Floats, Ints, Kinds, Paths
from mcinj.numeric.enclosure import LEAST, TINY, UNIT

_COARSE = Fraction(1, 10**250)  # rows below this are not known well in floats, relatively


class Cones(NamedTuple):
    """The first fields of `Cells`."""

    P: Floats
    PE: Floats
    lengths: Ints
    H: Floats
    HE: Floats
    on: Kinds


def cones_of(
    model: DeepModel, acts: list[Flags], paths: Paths, lengths: Ints, layers: int
) -> tuple[Cones, list[Floats], list[Floats]]:
    """Cells on which the units `acts` (C, ·) of each layer but the last are active; rows of all layers, their errors.

    `paths` (C, ·) are the rows that define a cell: the fence, then two for every unit of the first `layers` layers (not
    active, active).
    """
    rows, errors, bad = rows_of(model, acts)
    for c in np.flatnonzero(bad).tolist():
        exact = model.rows([active[c].tolist() for active in acts])
        for k, layer in enumerate(exact):
            for j, row in enumerate(layer):
                # Of hidden units only directions are used: small rows are scaled. Outputs keep their scale.
                tiny = k < model.depth - 1 and 0 < max(abs(v) for v in row) < _COARSE
                line = np.array([nearest(v / power_of_two(row)) if tiny else nearest(v) for v in row])
                top = float(np.abs(line).max())
                rows[k][c, j] = line
                errors[k][c, j] = 2 * UNIT * top + LEAST if top > 0.0 else 0.0
    units = [_unit(r, e) for r, e in zip(rows[:layers], errors[:layers], strict=True)]
    U = np.concatenate([u for u, _ in units], axis=1)
    UE = np.concatenate([e for _, e in units], axis=1)
    fence = np.zeros((len(model.fence), model.g))
    for i, exact_row in enumerate(model.walls):
        most = max(abs(v) for v in exact_row)
        fence[i] = [float(v / most) for v in exact_row]
        fence[i] /= np.sqrt(fence[i] @ fence[i])
    P, PE = _paths(fence, U, UE, paths, lengths)
    on = np.concatenate(acts, axis=1).astype(np.int8)
    h = on.shape[1]
    H, HE = np.ascontiguousarray(U[:, :h]), np.ascontiguousarray(UE[:, :h])
    return Cones(P, PE, np.ascontiguousarray(lengths), H, HE, on), rows, errors


def rows_of(model: DeepModel, acts: list[Flags]) -> tuple[list[Floats], list[Floats], Flags]:
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
        size = np.where(active, _largest(rows[-1]), 0.0)
        total = size @ np.abs(w).T
        error = np.where(active, errors[-1], 0.0) @ np.abs(w).T * (1.0 + 4 * UNIT * m0)
        sizes = (size + np.where(active, errors[-1], 0.0)).sum(axis=1)
        rounding = 2.0 * UNIT * (m0 + 6) * total + (LEAST * (sizes + 4.0 * m0 + 16.0))[:, None]
        # No rounding where the row is exactly 0, or where sums of integers are exact.
        nothing = ~((size > 0.0).astype(np.int64) @ (w != 0.0).T.astype(np.int64)).astype(bool)
        error = (error + np.where(nothing | (model.integral & (total < 2.0**52)), 0.0, rounding)) * (1.0 + 1e-9)
        bad |= ((error > 0.0) & ~(error < 1e-9 * _largest(following))).any(axis=1)
        rows.append(following)
        errors.append(error)
    return rows, errors, bad


def _largest(rows: Floats) -> Floats:
    """The largest absolute value of each row: of few entries, so column by column."""
    top: Floats = np.abs(rows[:, :, 0])
    for q in range(1, rows.shape[2]):
        np.maximum(top, np.abs(rows[:, :, q]), out=top)
    return top


def _unit(rows: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """Rows of unit length and their errors; rows of zeros stay zero."""
    top = _largest(rows)[:, :, None]
    scaled = rows / np.where(top > 0.0, top, 1.0)
    norm = top * np.sqrt((scaled * scaled).sum(axis=2, keepdims=True))
    norm = np.where(norm > 0.0, norm, 1.0)
    return rows / norm, errors / norm[:, :, 0] * (1.0 + 1e-9) + TINY + 4.0 * UNIT


def _paths(fence: Floats, U: Floats, UE: Floats, paths: Paths, lengths: Ints) -> tuple[Floats, Floats]:
    """Signed unit rows of the paths."""
    C, K, g = len(paths), int(lengths.max()), U.shape[2]
    P, PE = np.zeros((C, K, g)), np.zeros((C, K))
    index = paths[:, :K].astype(np.int64) - len(fence)
    within = np.arange(K) < lengths[:, None]
    c, t = np.nonzero(within & (index < 0))
    P[c, t], PE[c, t] = fence[index[c, t]], 8 * UNIT  # counted from the fence's end
    c, t = np.nonzero(within & (index >= 0))
    unit, up = np.divmod(index[c, t], 2)
    P[c, t] = U[c, unit] * np.where(up == 1, 1.0, -1.0)[:, None]
    PE[c, t] = UE[c, unit]
    return P, PE
