"""The closed cells of a prefix, and the next layer on each: rows, residues, signs of its units."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from mcinj.decide.deep.model import DeepModel
from mcinj.decide.joint.screen import Screen, classify
from mcinj.decide.pairs.cells import cones_of
from mcinj.decide.pairs.store import ABOVE, BELOW, OPEN, WEAK, Cells, Flags, Floats, Ints, Kinds, Paths, Words
from mcinj.networks.network import FractionMatrix
from mcinj.numeric.residues import PRIME

_EXACT = 32  # products of numbers below 2^16 and 2^31 that add up to less than 2^53
_SLICE = 2_000  # cells between two looks at the outside world


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
