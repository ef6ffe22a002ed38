"""A tree of coarse cells: made for a model, and given more room."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj.decide.coarse import store as cs
from mcinj.decide.coarse.store import Floats, Ints, Tree, Words
from mcinj.decide.deep.model import DeepModel
from mcinj.numeric import cell
from mcinj.numeric.field import centered

# Arrays that have one entry per cell, and their value before there is one.
_PER_CELL = (
    "SG", "LAYER", "HEAD", "PATH", "LEN", "CM", "CX", "CU", "CI", "UP", "UE", "UV", "KID", "OPEN", "SPAN", "ON", "OFF",
    "ABOVE", "BELOW", "RID", "RES", "HR",
)  # fmt: skip


def make_tree(model: DeepModel, padded: int, cells: int, out: int, steps: int) -> Tree:
    """An empty tree with room for so many cells, complete pairs and steps; `padded`: the width of the search's layers.

    Where a denominator is 0 modulo the prime, residues are 0: no rank is proved with them.
    """
    L, g, widths = model.depth, model.g, model.widths
    W = cell.padded(g)
    m = padded
    hidden = sum(widths[:-1])
    WT = np.zeros((L, max(m, g), m))
    for k, r in enumerate(model.field_residues or []):
        WT[k, : r.shape[1], : r.shape[0]] = centered(r)

    def ones(*shape: int) -> Floats:
        return np.zeros((cells, *shape))

    def whole(*shape: int) -> Ints:
        return np.zeros((cells, *shape), dtype=np.int64)

    def bits(count: int) -> Words:
        return np.zeros((cells, (count + 63) // 64), dtype=np.uint64)

    columns = 2 * g + 2 * hidden + 2
    return Tree(
        ti=np.zeros(cs.INTEGERS, dtype=np.int64), SG=np.zeros((cells, L, m), dtype=np.int8), LAYER=whole(),
        HEAD=whole(), PATH=np.zeros((cells, hidden + len(model.fence) + 2), dtype=np.int32), LEN=whole(), CM=ones(g, W),
        CX=ones(W), CU=ones(W), CI=whole(W), UP=ones(L - 1, m, g), UE=ones(L - 1, m),
        UV=np.zeros((cells, L - 1, m), dtype=np.int8), KID=whole(2), OPEN=whole(), SPAN=whole(7),
        ON=bits(hidden), OFF=bits(hidden), ABOVE=bits(widths[-1]), BELOW=bits(widths[-1]),
        RID=whole(), RES=ones(g + hidden - widths[-2], m), HR=ones(g, m), WT=WT,
        FIRST=np.concatenate([[0], np.cumsum(widths[:-1])]).astype(np.int64),
        stack=np.zeros((8 * hidden + 64, 2), dtype=np.int64), out=np.zeros((out, 2), dtype=np.int64),
        steps=np.zeros(steps, dtype=np.int8),
        V=np.zeros((columns, m)), V2=np.zeros((g, m)), mask=np.zeros(m),
    )  # fmt: skip


def grown(tree: Tree) -> Tree:
    """The same tree with room for twice as many cells."""
    used = int(tree.ti[cs.CELLS])

    def double(v: npt.NDArray[Any]) -> npt.NDArray[Any]:
        wider = np.zeros((2 * len(v), *v.shape[1:]), dtype=v.dtype)  # no memory is taken before it is written to
        wider[:used] = v[:used]
        return wider

    return tree._replace(**{name: double(getattr(tree, name)) for name in _PER_CELL})


def bytes_of(tree: Tree) -> int:
    """Size of the arrays that grow with the number of cells."""
    return sum(int(getattr(tree, name).nbytes) for name in _PER_CELL)
