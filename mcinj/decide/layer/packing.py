"""More sets for a node of the compiled search: extend the family, shrink a set, exchange one for better ones."""

from __future__ import annotations

import numpy as np

from mcinj._jit import njit
from mcinj.decide.layer.arrays import Cells, Ints, Ranks, Tree
from mcinj.decide.layer.chain import chain, circuit, copy_cell, is_witness
from mcinj.decide.layer.fields import (
    CIRCUITS,
    COUNT,
    FREE,
    HINT,
    INNER,
    KEEP,
    NEG,
    POS,
    PRODUCT,
    ROWS,
    SETS,
    SHRINK,
    SWAP,
    SWAPS,
    TAIL,
    TARGET,
    TRIM,
    WITH,
)
from mcinj.decide.layer.leaf import closed
from mcinj.numeric import cell
from mcinj.numeric.bits import lowest, size


@njit(**INNER)
def _shrink(c: Cells, t: Tree, gi: Ints, d: int, k: int, q: int, number: int) -> int:
    """Look for a smaller set within set q of family k, the rest of circuit `number`: assume only these rows negative.

    Returns the number of the circuit to use; -1 if the cell turned out to be empty (the last circuit says so).
    """
    PS, PV, CIRC, B, required = t.PS, t.PV, t.CIRC, t.B, t.R[2]
    m = gi[ROWS]
    NW = CIRC.shape[2]
    slot = c.M.shape[0] - 2
    if size(PS[k, q]) < 2:
        return number
    for w in range(NW):
        required[w] = PS[k, q, w] | B[d, NEG, w]
    copy_cell(c, 2 * d, slot, m)
    status, row = chain(c, m, slot, required, B[d, POS])
    if status != cell.EMPTY:
        return number
    other = gi[CIRCUITS]
    if not circuit(c, gi, slot, row, required, B[d, POS], CIRC[other]):
        return number
    smaller = False
    some = False
    for w in range(NW):
        if PS[k, q, w] & ~CIRC[other, 0, w] != 0:
            smaller = True
        if PS[k, q, w] & CIRC[other, 0, w] != 0:
            some = True
    if not smaller:
        return number
    if gi[KEEP]:
        gi[CIRCUITS] += 1
    if not some:
        return -1
    for w in range(NW):
        PV[k, w] &= ~(PS[k, q, w] & ~CIRC[other, 0, w])
        PS[k, q, w] &= CIRC[other, 0, w]
    return int(other)


@njit(**INNER)
def extend(c: Cells, t: Tree, ranks: Ranks, gi: Ints, d: int, k: int, tail: int, warm: int) -> int:
    """Add sets to family k of frame d until it closes the node or all uncovered rows can be negative.

    `warm`: slot of a tail to start from, the frame's own or its parent's; -1 for none.
    Returns 0 feasible (tail set, B[d, WITH] too), 1 closed, 2 empty cell (circuit gi[HINT]), 3 witness in the tail,
    4 not decided in floats (R, gi[HINT] set), 5 there is no room for more sets and rank is not proved.
    """
    FI, B, PS, PC, PV, CIRC, _, R = t
    required, cand = R[2], R[3]
    m = gi[ROWS]
    NW = R.shape[1]
    count = FI[d, COUNT]
    n = gi[TARGET]
    q = FI[d, SETS] if k == d else gi[SWAP]
    result = -1
    while True:
        if q >= n - count:
            if closed(gi, ranks, c.J, d, count, B[d, POS], PS[k], PC[k], q):
                result = 1
                break
            if q + 1 >= PS.shape[1]:
                result = 5
                break
        for w in range(NW):
            cand[w] = B[d, FREE, w] & ~PV[k, w]
            required[w] = cand[w] | B[d, NEG, w]
        usable = warm >= 0
        if usable:
            source = B[d, WITH] if warm == 2 * d + 1 else B[d - 1, WITH]
            for w in range(NW):
                if source[w] & ~required[w] != 0:
                    usable = False
        copy_cell(c, warm if usable else 2 * d, tail, m)
        warm = -1
        if k == d:
            FI[d, TAIL] = 0  # about to be overwritten
        status, row = chain(c, m, tail, required, B[d, POS])
        if status == cell.FEASIBLE:
            if is_witness(c, gi, tail, ranks.Q):
                result = 3
            else:
                result = 0
            if k == d:
                FI[d, TAIL] = 1
                for w in range(NW):
                    B[d, WITH, w] = cand[w]
            break
        proved = False
        if status == cell.EMPTY:
            proved = circuit(c, gi, tail, row, required, B[d, POS], CIRC[gi[CIRCUITS]])
        if not proved:
            for w in range(NW):
                R[0, w] = required[w]
                R[1, w] = B[d, POS, w]
            gi[HINT] = 1 if status == cell.EMPTY else -1
            result = 4
            break
        number = gi[CIRCUITS]
        if gi[KEEP]:
            gi[CIRCUITS] += 1
        some = False
        for w in range(NW):
            PS[k, q, w] = CIRC[number, 0, w] & cand[w]
            if PS[k, q, w] != 0:
                some = True
            PV[k, w] |= PS[k, q, w]
        if some and gi[SHRINK]:
            number = _shrink(c, t, gi, d, k, q, number)
            some = number >= 0
            if not some:
                number = gi[CIRCUITS] - gi[KEEP]
        if not some:
            gi[HINT] = number
            result = 2
            break
        PC[k, q] = number
        q += 1
    if k == d:
        FI[d, SETS] = q
    else:
        gi[SWAP] = q
    return result


@njit(inline="always", **INNER)
def trim(c: Cells, t: Tree, ranks: Ranks, gi: Ints, d: int) -> int:
    """Shrink inherited sets of a node that lacks none but has too many choices: more rows are declared by now.

    Returns 1 if rank is proved, 2 if circuit gi[HINT] shows that there is no such cell, else 0.
    """
    FI, PS, PC = t.FI, t.PS, t.PC
    need = gi[TARGET] - FI[d, COUNT]
    work = 1.0
    for i in range(need):
        work *= size(PS[d, i])
    if work > gi[TRIM] * float(gi[PRODUCT]):
        return 0
    for i in range(need - 1, -1, -1):  # the largest first: `closed` has sorted them
        before = size(PS[d, i])
        number = _shrink(c, t, gi, d, d, i, PC[d, i])
        if number < 0:
            gi[HINT] = gi[CIRCUITS] - gi[KEEP]
            return 2
        PC[d, i] = number
        work *= size(PS[d, i]) / before
        if size(PS[d, i]) < before and work <= gi[PRODUCT] and closed(
            gi, ranks, c.J, d, FI[d, COUNT], t.B[d, POS], PS[d], PC[d], FI[d, SETS]
        ):
            return 1
    return 0


@njit(inline="always", **INNER)
def refresh(c: Cells, t: Tree, ranks: Ranks, gi: Ints, d: int) -> int:
    """Swap out the set with the most rows positive at the tail and extend again; keep what is not worse.

    Once, or several times while two or more sets are missing. Returns 1 if the sets close the node, 2 if circuit
    gi[HINT] does, 3 if a witness is found (in the tail slot), else 0.
    """
    FI, B, PS, PC, PV, _, _, R = t
    m = gi[ROWS]
    NW = R.shape[1]
    D = FI.shape[0]
    spare = c.M.shape[0] - 1
    need = gi[TARGET] - FI[d, COUNT]
    tried = np.uint64(0)
    one = np.uint64(1)
    for swap in range(gi[SWAPS]):
        q = FI[d, SETS]
        if swap > 0 and need - q < 2:
            return 0
        worst = -1
        score = -1
        s = c.S[2 * d + 1]
        for i in range(q):
            total = 0
            up = 0
            for w in range(NW):
                b = PS[d, i, w]
                while b != 0:
                    total += 1
                    if s[64 * w + lowest(b)] > 0.0:
                        up += 1
                    b &= b - one
            v = up * 65536 + total
            if v > score and (tried >> np.uint64(i & 63)) & one == 0:
                score = v
                worst = i
        if worst < 0 or size(PS[d, worst]) < 2:
            return 0
        p = 0
        for w in range(NW):
            PV[D, w] = np.uint64(0)
        for i in range(q):
            if i != worst:
                PC[D, p] = PC[d, i]
                for w in range(NW):
                    PS[D, p, w] = PS[d, i, w]
                    PV[D, w] |= PS[d, i, w]
                p += 1
        gi[SWAP] = p
        status = extend(c, t, ranks, gi, d, D, spare, 2 * d + 1)
        if status == 2:
            return 2
        if status == 3:
            copy_cell(c, spare, 2 * d + 1, m)
            for w in range(NW):
                B[d, WITH, w] = B[d, FREE, w] & ~PV[D, w]
            return 3
        p = gi[SWAP]
        if status != 1 and (status != 0 or p < q):
            return 0
        for i in range(p):
            PC[d, i] = PC[D, i]
            for w in range(NW):
                PS[d, i, w] = PS[D, i, w]
        for w in range(NW):
            PV[d, w] = PV[D, w]
        FI[d, SETS] = p
        if status == 1:
            return 1
        copy_cell(c, spare, 2 * d + 1, m)
        for w in range(NW):
            B[d, WITH, w] = B[d, FREE, w] & ~PV[d, w]
        # The sets behind the removed one move up; the new ones at the end are not swapped again.
        place = np.uint64(worst & 63)
        tried = (tried & ((one << place) - one)) | ((tried >> place >> one) << place)
        for k in range(q - 1, p):
            tried |= one << np.uint64(k & 63)
    return 0
