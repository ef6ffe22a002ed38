"""From the log of a finished deep search to the proof that a certificate holds: only what leaves use is kept."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.certify.deep_ops import (
    BASIS,
    BOUNDS,
    BRANCH,
    COUNTED,
    DECIDE,
    NEXT,
    POSITIVE,
    RAISED,
    RANKED,
    REGION,
    SET,
    SHIFT,
    SINGLE,
)
from mcinj.certify.deep_proof import DeepProof
from mcinj.decide.deep.log import START
from mcinj.decide.deep.search import DeepSearch

Ints = npt.NDArray[np.int64]


@njit()
def _is_leaf(op: int, argument: int) -> bool:
    return op in (COUNTED, RANKED, REGION) or (op == RAISED and argument == 0)


def deep_proof(search: DeepSearch) -> DeepProof:
    """The proof of a search with `record` that ended in a pass, or that listed its regions."""
    return DeepProof(search.model.depth, search.target, search.ranked, pruned(search, 0))


def pruned(search: DeepSearch, layer: int) -> Ints:
    """The instructions of a search with `record` that is done, and began in a layer: those that leaves use."""
    log = search.log()
    first = np.flatnonzero(log >= START).astype(np.int64)
    numbers = np.where(log >= START, log - START, log).astype(np.int64)
    bounds = np.append(first, len(log)).astype(np.int64)
    depth = int(sum(search.model.widths)) + 3
    keep = np.zeros(len(first), dtype=np.bool_)
    _mark(numbers, bounds, layer, search.model.depth, depth, keep)
    return _renumbered(numbers, bounds, depth, keep)


@njit()
def _mark(log: Ints, bounds: Ints, p: int, layers: int, depth: int, keep: npt.NDArray[np.bool_]) -> None:
    """Keep the tree, sets that a leaf uses, bounds that one of these may use, bases of claims, bounds and sets."""
    count = bounds.shape[0] - 1
    proved = np.zeros(count + 1, dtype=np.int64)  # instructions that proved the sets in force
    sets = 0
    frame_sets = np.zeros(depth, dtype=np.int64)
    frame_layer = np.zeros(depth, dtype=np.int64)
    second = np.zeros(depth, dtype=np.bool_)
    top = 0
    layer = np.zeros(count, dtype=np.int64)
    level = np.zeros(count, dtype=np.int64)
    for i in range(count):
        at = bounds[i]
        op = log[at] & 15
        layer[i] = p
        level[i] = top
        keep[i] = op not in (SET, SINGLE, BASIS, BOUNDS)
        if op == NEXT:
            p += 1
        elif op == BRANCH:
            frame_sets[top] = sets
            frame_layer[top] = p
            second[top] = False
            top += 1
        elif op in (SET, SINGLE):
            proved[sets] = i
            sets += 1
        elif op == POSITIVE:
            keep[proved[log[at + 1]]] = True
        elif op in (COUNTED, RANKED, REGION, RAISED):
            for k in range(at + 1, bounds[i + 1]):
                if log[k] >= 0:  # not a number in a raised step
                    keep[proved[log[k]]] = True
            while top > 0 and _is_leaf(op, log[at] >> SHIFT):
                sets = frame_sets[top - 1]
                p = frame_layer[top - 1]
                if not second[top - 1]:
                    second[top - 1] = True
                    break
                top -= 1
    # Backwards: how many kept sets rest on bounds in what follows of the same subtree; and whether a basis is needed.
    users = np.zeros(depth + 1, dtype=np.int64)
    below = 0
    needed = False
    for i in range(count - 1, -1, -1):
        at = bounds[i]
        op = log[at] & 15
        # users[l]: in the part of the present subtree at depth l (and deeper) that follows.
        if level[i] > below:
            for k in range(below + 1, level[i] + 1):
                users[k] = 0
        below = level[i]
        if op == BRANCH:
            users[below] += users[below + 1]
            users[below + 1] = 0
            needed = False
        elif op == NEXT or _is_leaf(op, log[at] >> SHIFT):
            needed = False
        elif op == SINGLE and keep[i]:
            needed = True
            if layer[i] < layers - 1:
                users[below] += 1
        elif op == SET and keep[i]:
            if bounds[i + 1] - at > 1 + (log[at] >> SHIFT):  # items with slopes: cuts
                users[below] += 1
        elif op == DECIDE:
            needed = True
        elif op == BOUNDS:
            keep[i] = users[below] > 0
            needed = needed or keep[i]
        elif op == BASIS:
            keep[i] = needed
            needed = False


@njit()
def _renumbered(log: Ints, bounds: Ints, depth: int, keep: npt.NDArray[np.bool_]) -> Ints:
    """The kept instructions; sets are numbered among the kept ones."""
    count = bounds.shape[0] - 1
    out = np.zeros(log.shape[0], dtype=np.int64)
    size = 0
    number = np.zeros(count + 1, dtype=np.int64)
    sets = 0
    new = 0
    frames = np.zeros((depth, 2), dtype=np.int64)
    second = np.zeros(depth, dtype=np.bool_)
    top = 0
    for i in range(count):
        at = bounds[i]
        op = log[at] & 15
        if op in (SET, SINGLE):
            number[sets] = new
            sets += 1
            if keep[i]:
                new += 1
        if not keep[i]:
            continue
        named = op in (POSITIVE, COUNTED, RANKED, RAISED)
        for k in range(at, bounds[i + 1]):
            if named and k > at:
                out[size] = number[log[k]] if log[k] >= 0 else -1 - log[k]
            else:
                out[size] = log[k]
            size += 1
        if op == BRANCH:
            frames[top, 0] = sets
            frames[top, 1] = new
            second[top] = False
            top += 1
        elif _is_leaf(op, log[at] >> SHIFT):
            while top > 0:
                sets = frames[top - 1, 0]
                new = frames[top - 1, 1]
                if not second[top - 1]:
                    second[top - 1] = True
                    break
                top -= 1
    return out[:size].copy()
