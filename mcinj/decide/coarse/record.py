"""From coarse cells that have ended in a pass to the proof that a certificate holds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mcinj.certify.coarse_proof import CoarseProof, StepsProof
from mcinj.certify.deep_checker import COARSE_GLOBAL, COARSE_REGIONAL, write_deep
from mcinj.certify.deep_ops import BRANCH, LEAF, NEXT, RANKS, SHIFT
from mcinj.certify.deep_rows import PrefixRows
from mcinj.certify.joint_cells import ClosedCells
from mcinj.certify.joint_proof import in_order
from mcinj.decide.coarse.search import Coarse
from mcinj.decide.coarse.store import EMPTY, UNKNOWN
from mcinj.decide.deep.log import START
from mcinj.decide.joint.record import joint_proof

Ints = npt.NDArray[np.int64]


def coarse_regional(coarse: Coarse) -> bytes:
    """The certificate of rank n on all regions; `coarse` with `record`, after `ranks` said True."""
    return write_deep(coarse.network, COARSE_REGIONAL, [_tree(coarse)])


def coarse_global(coarse: Coarse) -> bytes:
    """The certificate of a global pass; `coarse` with `record`, after `pairs` said True."""
    model, tree, network = coarse.model, coarse.tree, coarse.network
    left = np.concatenate([*coarse.left, np.zeros((0, 2), dtype=np.int64)])
    used, pairs = in_order(left)
    signs = np.concatenate([tree.SG[used, k, :width] for k, width in enumerate(model.widths[:-1])], axis=1)
    cells = ClosedCells(PrefixRows(network, model.depth), signs)
    joint = joint_proof(cells, model.depth, pairs)
    return write_deep(network, COARSE_GLOBAL, [_tree(coarse), StepsProof(np.concatenate(coarse.steps)), joint])


def _tree(coarse: Coarse) -> CoarseProof:
    """Cells from the root down: what is known of them, then a branch, ranks, or nothing."""
    tree = coarse.tree
    log = coarse.search.log()
    numbers = np.where(log >= START, log - START, log).astype(np.int64)
    pieces: list[Ints] = []
    todo: list[tuple[int, int]] = [(0, 0)]  # a cell and where its own span begins, or that of an empty child
    while todo:
        c, at = todo.pop()
        span = tree.SPAN[c].tolist()
        pieces.append(numbers[span[at] : span[at + 1]])
        if at:
            continue
        if tree.KID[c, 0] != UNKNOWN:
            pieces.append(np.array([BRANCH + (span[6] << SHIFT)]))
            for side in (1, 0):
                kid = int(tree.KID[c, side])
                todo.append((c, 2 + 2 * side) if kid == EMPTY else (kid, 0))
        elif c in coarse.ranked:
            if coarse.ranked[c][0] != NEXT:
                raise RuntimeError("the ranks of a complete cell begin elsewhere; please report this network")
            pieces += [np.array([RANKS]), coarse.ranked[c][1:]]
        else:
            pieces.append(np.array([LEAF]))
    return CoarseProof(coarse.model.depth, np.concatenate(pieces))
