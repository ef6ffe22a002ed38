"""A pass without a search: opposite rows that span R^n, as in `[B; -DB; M]`.

Of two units `a·x + b` and `-d a·x + c`, d > 0, one is active everywhere but on a hyperplane if `d b + c >= 0`: their
rows are a positive circuit (Gordan), together with the half space t > 0 if that is not 0. Where such pairs span
R^n, every open cell has active rows of rank n, whatever the other rows are. The search finds its circuits by descent
and may take others, larger ones, of which no choice is proved independent; so pairs are looked for first.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd

import flint
import numpy as np

from mcinj.certify.format import LayerProof
from mcinj.certify.position import PRIME
from mcinj.decide.layer.exact import float_row
from mcinj.decide.layer.model import Ints, Layer

_NEAR = 1e-9  # floats: values of two opposite unit rows along one vector differ by rounding only


def opposite_rows(layer: Layer) -> list[list[int]] | None:
    """Circuits of two opposite rows (and the half space, row 0, where it is needed), n of them, of rank n; or None."""
    near = _candidates(layer)
    if len(near) < 2 * layer.n:
        return None
    best: dict[tuple[int, ...], tuple[Fraction, int]] = {}
    for i in near:
        row = layer.integers[i] if layer.rationals is not None else float_row(layer.floats[i])
        inner = row[: layer.n]
        size = gcd(*inner)
        offset = Fraction(row[-1], size) if layer.half_space else Fraction(0)
        key = tuple(v // size for v in inner)
        if key not in best or best[key][0] < offset:
            best[key] = (offset, i)
    circuits = []
    for key, (offset, i) in best.items():
        other = best.get(tuple(-v for v in key))
        if other is not None and i < other[1] and offset + other[0] >= 0:
            circuits.append([*([0] if offset + other[0] > 0 else []), i, other[1]])
    chosen = _independent(layer.residues[[c[-1] for c in circuits]], layer.n) if len(circuits) >= layer.n else []
    return [circuits[k] for k in chosen] if len(chosen) == layer.n else None


def proof_of_opposites(layer: Layer, circuits: list[list[int]]) -> LayerProof:
    """One leaf: a choice of one row of each pair is n independent rows, since both rows of a pair span one line."""
    # Files number a layer's rows from 1; row 0 is the half space.
    shift = 0 if layer.half_space else 1
    sizes = np.array([len(c) for c in circuits], dtype=np.int64)
    rows = np.array([2 * (i + shift) for c in circuits for i in c], dtype=np.int64)
    return LayerProof(None, sizes, rows, np.array([2 * len(circuits), *range(len(circuits))], dtype=np.int64))


def _candidates(layer: Layer) -> list[int]:
    """Rows that seem to have an opposite one: a guess, in floats, that saves exact arithmetic on all of them."""
    inner = layer.units[:, : layer.n]
    norm = np.sqrt((inner * inner).sum(axis=1))
    there = np.flatnonzero((norm > 0) & ~layer.idle)
    values = (inner[there] @ np.random.default_rng(0).standard_normal(layer.n)) / norm[there]
    order = np.sort(values)
    place = np.searchsorted(order, -values - _NEAR)
    seen = (place < len(order)) & (order[np.minimum(place, len(order) - 1)] <= -values + _NEAR)
    return [int(i) for i in there[seen]]


def _independent(rows: Ints, n: int) -> list[int]:
    """Positions of independent rows, as many as their rank modulo a prime, first come first."""
    columns = flint.nmod_mat(n, len(rows), [int(v) for v in rows.T.flat], PRIME)
    echelon, rank = columns.rref()
    pivots, place = [], 0
    for k in range(int(rank)):
        while int(echelon[k, place]) == 0:
            place += 1
        pivots.append(place)
    return pivots
