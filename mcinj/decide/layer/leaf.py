"""Whether a family of sets closes a node of the compiled search."""

from __future__ import annotations

import numpy as np

from mcinj._jit import njit
from mcinj.decide.layer.arrays import Ints, Ranks
from mcinj.decide.layer.fields import INNER, LIKELY, PRODUCT, RANKED, SPAN, TARGET, USED
from mcinj.numeric.bits import Words, lowest, size
from mcinj.numeric.choices import OPEN, YES, independent
from mcinj.numeric.residues import parallel, spanning


@njit(**INNER)
def _members(s: Words, out: Ints, at: int) -> int:
    """Write the rows of set s to out[at:]; returns the end."""
    for w in range(s.shape[0]):
        b = s[w]
        while b != 0:
            out[at] = 64 * w + lowest(b)
            at += 1
            b &= b - np.uint64(1)
    return at


@njit(**INNER)
def _smallest_first(ps: Words, pc: Ints, level: int, q: int, sizes: Ints) -> None:
    """Swap the set with the fewest choices among level … q - 1 to place `level`."""
    best = level
    for i in range(level + 1, q):
        if sizes[i] < sizes[best]:
            best = i
    if best != level:
        number = pc[best]
        pc[best] = pc[level]
        pc[level] = number
        count = sizes[best]
        sizes[best] = sizes[level]
        sizes[level] = count
        for w in range(ps.shape[1]):
            b = ps[best, w]
            ps[best, w] = ps[level, w]
            ps[level, w] = b


@njit(**INNER)
def _choices(Q: Ints, alike: Ints, members: Ints, low: int, high: int, apart: bool) -> int:
    """Leave one of members[low:high] per direction of Q (`apart`: they all differ); returns the end of what is left.

    What is parallel modulo the prime need not be: only rows that `alike` lets stand for each other are one choice.
    """
    if apart:
        return high
    end = low
    for i in range(low, high):
        new = True
        for k in range(low, end):
            if alike[members[k]] == alike[members[i]] and parallel(Q, members[k], members[i]):
                new = False
                break
        if new:
            members[end] = members[i]
            end += 1
    return end


@njit(**INNER)
def closed(gi: Ints, ranks: Ranks, J: Ints, d: int, count: int, positive: Words, ps: Words, pc: Ints, q: int) -> bool:
    """Whether `count` declared positives and gi[USED] of q sets prove rank n in frame d (count n, if that is enough).

    Rank is proved with the sets that leave the fewest choices, which come first afterwards: long prefixes of choices
    are then shared. Rows that are parallel modulo the declared ones, and proved to be, are one choice. Where some
    choices are dependent, more sets than are missing may still do.
    """
    need = gi[TARGET] - count
    if q < need:
        return False
    gi[USED] = need
    if gi[RANKED] == 0 or need <= 0:
        return True
    Q = ranks.Q[d]
    scratch, start, pos, gained, declared = J[0], J[1], J[2], J[3], J[4]
    sizes = pos
    rank = _members(positive, declared, 0)
    for i in range(q):
        sizes[i] = size(ps[i])
    for merge in range(1 if gi[LIKELY] else 2):
        if merge:
            for i in range(q):
                sizes[i] = _choices(Q, ranks.ALIKE, scratch, 0, _members(ps[i], scratch, 0), False)
        total = 0
        work = 1.0
        start[0] = 0
        for level in range(q if merge else need):
            _smallest_first(ps, pc, level, q, sizes)
            if level < need:
                work *= sizes[level]
            total = _choices(Q, ranks.ALIKE, scratch, total, _members(ps[level], scratch, total), not merge)
            start[level + 1] = total
        verdict = independent(ranks.K, declared, rank, scratch, start, need, pos) if work <= gi[PRODUCT] else OPEN
        if verdict == YES:
            return True
        if (
            merge
            and (q > need or (verdict == OPEN and work <= gi[PRODUCT]))
            and spanning(Q, scratch, start, q, need, ranks.V, pos, gained, gi[SPAN])
        ):
            gi[USED] = q
            return True
    return False
