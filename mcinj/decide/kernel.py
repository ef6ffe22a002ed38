"""Branch and bound over signs with inherited disjoint circuits, as one compiled loop over an explicit stack.

A node is a set of rows declared negative and one of rows declared positive. It carries a family of disjoint sets of
free rows, each the rest of a proved signed circuit `Σ_C- y_i a_i = Σ_C+ y_i a_i`, y > 0, with `C- ⊂ negative ∪ set` and
`C+ ⊂ positive`: every open cell of the node has a positive row in each set. The node is closed when the declared
positives and the sets together give n positives (for matrices not known to be in general position: when every choice of
one row per set, with the declared rows, has rank n), or when a circuit has no free row left (there is no such cell).
Where counts are proved and one or two positives are missing, circuits may raise the bound (`kernel_raise`).

The loop returns to its caller for everything that needs exact arithmetic, Python or more memory, and can be resumed;
budgets, interrupts, several cores and growing streams of rows all rest on that.

Arrays (D frames; frame d has its center in slot 2d and its tail, the center with all uncovered rows negative too, in
slot 2d + 1; the last slots are scratch; W, MP, NW: padded sizes):

    G (2 MP, W) rows -a_i, then rows a_i      A (g, MP) columns a_i        S (K, MP) values a_i·x of each slot
    M (K, g, W), X, U (K, W), IDS (K, W)                    cell states (`mcinj.decide.cell`)
    B (D, 4, NW)  negative, positive, free rows, rows that the tail was solved with
    PS (D + 1, Y, NW), PC (D + 1, Y), PV (D + 1, NW)   sets, their circuits, their union (room for Y - 1 sets)
    FI (D, FIELDS), gi (GLOBALS,), CIRC (·, 2, NW) C- and C+, LOG (·,), R (·, NW) rows of a request, scratch
    Q (D + 1 or 1, MP, n) residues, the last of all rows   Z (m, g) integer rows or (gi[INTEGERS] = 0) 1
    where they are not 0, or (0, g) if they have no zeros
    K (`kernel_choices.Choices`)   T (·, MP, g), V (n, n, MP), F, J   scratch
"""

from __future__ import annotations

import numpy as np

from mcinj._jit import njit
from mcinj.decide import cell
from mcinj.decide.kernel_bits import drop, first, lowest, put, size
from mcinj.decide.kernel_chain import chain, circuit, copy_cell, is_witness
from mcinj.decide.kernel_choices import OPEN, YES, independent
from mcinj.decide.kernel_fields import (
    BRANCH,
    CAP,
    CIRCUITS,
    COUNT,
    DEPTH,
    DONE,
    ENTER,
    EXTEND,
    FREE,
    GROW,
    HALF,
    HINT,
    INNER,
    KEEP,
    LEAVE,
    LIKELY,
    LIMIT,
    LOGGED,
    NEG,
    NEGATIVE,
    NODES,
    NUMBER,
    PAUSED,
    PHASE,
    POS,
    POSITIVE,
    PRODUCT,
    RAISE,
    RAISING,
    RANKED,
    REFRESH,
    RESOLVE,
    ROW,
    ROWS,
    SETS,
    SHRINK,
    SLOT,
    SPAN,
    SWAP,
    SWAPS,
    TAIL,
    TARGET,
    TASK,
    TRIM,
    USED,
    WITH,
    WITNESS,
)
from mcinj.decide.kernel_raise import Cells, raised
from mcinj.decide.kernel_rank import eliminate, parallel, spanning


@njit(**INNER)
def _smallest_first(ps, pc, level, q, sizes):  # type: ignore[no-untyped-def]
    """Swap the set with the fewest choices among level … q - 1 to place `level`."""
    best = level
    for i in range(level + 1, q):
        if sizes[i] < sizes[best]:
            best = i
    if best != level:
        t = pc[best]
        pc[best] = pc[level]
        pc[level] = t
        t = sizes[best]
        sizes[best] = sizes[level]
        sizes[level] = t
        for w in range(ps.shape[1]):
            b = ps[best, w]
            ps[best, w] = ps[level, w]
            ps[level, w] = b


@njit(**INNER)
def _choices(Q, members, low, high, apart):  # type: ignore[no-untyped-def]
    """Leave one of members[low:high] per direction of Q (`apart`: they all differ); returns the end of what is left."""
    if apart:
        return high
    end = low
    for i in range(low, high):
        new = True
        for k in range(low, end):
            if parallel(Q, members[k], members[i]):
                new = False
                break
        if new:
            members[end] = members[i]
            end += 1
    return end


@njit(**INNER)
def _closed(gi, c, ps, pc, q, positive, Q, K, V, J):  # type: ignore[no-untyped-def]
    """Whether the declared positives and the sets prove rank n (count n in general position); gi[USED] sets do it.

    Rank is proved with the sets that leave the fewest choices, which come first afterwards: long prefixes of choices
    are then shared. Parallel rows, seen modulo the declared ones, are one choice. Where some choices are dependent,
    more sets than are missing may still do.
    """
    need = gi[TARGET] - c
    if q < need:
        return False
    gi[USED] = need
    if gi[RANKED] == 0 or need <= 0:
        return True
    scratch, start, pos, gained, declared = J[0], J[1], J[2], J[3], J[4]
    sizes = pos
    rank = _members(positive, declared, 0)
    for i in range(q):
        sizes[i] = size(ps[i])
    for merge in range(1 if gi[LIKELY] else 2):
        if merge:
            for i in range(q):
                sizes[i] = _choices(Q, scratch, 0, _members(ps[i], scratch, 0), False)
        total = 0
        work = 1.0
        start[0] = 0
        for level in range(q if merge else need):
            _smallest_first(ps, pc, level, q, sizes)
            if level < need:
                work *= sizes[level]
            total = _choices(Q, scratch, total, _members(ps[level], scratch, total), not merge)
            start[level + 1] = total
        verdict = independent(K, declared, rank, scratch, start, need, pos) if work <= gi[PRODUCT] else OPEN
        if verdict == YES:
            return True
        if merge and (q > need or (verdict == OPEN and work <= gi[PRODUCT])) and spanning(
            Q, scratch, start, q, need, V, pos, gained, gi[SPAN]
        ):
            gi[USED] = q
            return True
    return False


@njit(**INNER)
def _members(s, out, at):  # type: ignore[no-untyped-def]
    """Write the rows of set s to out[at:]; returns the end."""
    for w in range(s.shape[0]):
        b = s[w]
        while b != 0:
            out[at] = 64 * w + lowest(b)
            at += 1
            b &= b - np.uint64(1)
    return at


@njit(_nrt=False)
def advance(gi, FI, G, A, M, X, U, IDS, S, B, PS, PC, PV, CIRC, LOG, R, ZERO, Q, K, T, V, Z, F, J):  # type: ignore[no-untyped-def]
    """Run until the stack is empty or the caller is needed; returns one of the reasons above.

    WITNESS: slot gi[SLOT] holds a proved witness. RESOLVE: the caller decides exactly whether rows R[0] can be
    negative and rows R[1] positive (gi[HINT] > 0: CIRC[gi[CIRCUITS]] is a suggested circuit) and writes its answer into
    the frame.
    PAUSED: gi[LIMIT] nodes are used up. GROW: CIRC, LOG or the stack is full. TASK: the frame at depth gi[CAP] is for
    the caller.
    """
    m = gi[ROWS]
    n = gi[TARGET]
    NW = R.shape[1]
    first_row = gi[HALF]  # 1 if row 0 is the half space of a layer with biases, declared negative at the root
    spare = M.shape[0] - 1
    rows = J[0]
    need_words = R[2]
    cand = R[3]
    T2 = T[T.shape[0] - 1]
    while gi[DEPTH] >= 0:
        d = gi[DEPTH]
        phase = FI[d, PHASE]
        c = FI[d, COUNT]
        if gi[CIRCUITS] + 16 * n + 64 > CIRC.shape[0] or gi[LOGGED] + 16 * n + 64 > LOG.shape[0]:
            return GROW
        if phase == ENTER:
            if gi[NODES] >= gi[LIMIT]:
                return PAUSED
            if d == gi[CAP]:
                return TASK
            gi[NODES] += 1
            if is_witness(S[2 * d], X[2 * d], m, gi, ZERO, first_row, Q[Q.shape[0] - 1], T, rows):
                gi[SLOT] = 2 * d
                return WITNESS
            FI[d, PHASE] = EXTEND
            FI[d, TAIL] = 0
        elif phase == EXTEND:
            warm = -1
            if FI[d, TAIL] == 1:
                warm = 2 * d + 1  # a witness that more rows have undone
            elif d > 0 and FI[d - 1, TAIL] == 1:
                warm = 2 * d - 1
            status = _extend(gi, FI, G, A, M, X, U, IDS, S, B, PS, PC, PV, CIRC, R, ZERO, Q, K, T, V, Z, F, J, d, d,
                             2 * d + 1, warm, need_words, cand, T2)
            if status == 1:
                if gi[KEEP]:
                    _leaf(gi, LOG, PC[d], gi[USED])
                gi[DEPTH] -= 1
            elif status == 2:
                if gi[KEEP]:
                    leaf_of_one(gi, LOG, gi[HINT])
                gi[DEPTH] -= 1
            elif status == 3:
                gi[SLOT] = 2 * d + 1
                return WITNESS
            elif status == 4:
                return RESOLVE
            elif status == 5:
                FI[d, PHASE] = BRANCH
            elif gi[RAISE] and n - c - FI[d, SETS] == 1:
                FI[d, PHASE] = RAISING
            else:
                FI[d, PHASE] = REFRESH
        elif phase == REFRESH:
            FI[d, PHASE] = BRANCH
            if gi[RANKED] and FI[d, SETS] >= n - c:
                closed = _trimmed(gi, FI, G, A, M, X, U, IDS, S, B, PS, PC, PV, CIRC, Q, K, V, Z, F, J, d, need_words,
                                  T2)
            else:
                closed = _refresh(gi, FI, G, A, M, X, U, IDS, S, B, PS, PC, PV, CIRC, R, ZERO, Q, K, T, V, Z, F, J, d,
                                  need_words, cand, T2, spare)
            if closed == 1:
                if gi[KEEP]:
                    _leaf(gi, LOG, PC[d], gi[USED])
                gi[DEPTH] -= 1
            elif closed == 2:
                if gi[KEEP]:
                    leaf_of_one(gi, LOG, gi[HINT])
                gi[DEPTH] -= 1
            elif closed == 3:
                gi[SLOT] = 2 * d + 1
                return WITNESS
            elif 0 < n - c - FI[d, SETS] <= gi[RAISE]:  # where rank is proved, there may be more sets than are missing
                FI[d, PHASE] = RAISING
        elif phase == RAISING:
            FI[d, PHASE] = BRANCH
            cells = Cells(G, A, M, X, U, IDS, S, Z, F, J, T2, ZERO)
            closed = raised(cells, gi, FI, B, PS, PC, PV, CIRC, LOG, R, d)
            if closed == 1:
                gi[DEPTH] -= 1
            elif closed == 3:
                return WITNESS
        elif phase == BRANCH:
            if d + 1 >= FI.shape[0]:
                return GROW
            row = -1
            forced = 0
            for i in range(FI[d, SETS]):
                if size(PS[d, i]) == 1:
                    row = first(PS[d, i])
                    forced = 1
                    if gi[KEEP]:
                        put_log(gi, LOG, row)
                        leaf_of_one(gi, LOG, PC[d, i])
                    break
            if forced == 0:
                best = -np.inf
                tail = FI[d, TAIL]
                for w in range(NW):
                    b = B[d, FREE, w]
                    while b != 0:
                        j = 64 * w + lowest(b)
                        b &= b - np.uint64(1)
                        v = S[2 * d, j]
                        if tail != 0:
                            v += S[2 * d + 1, j]
                        if v > best or row < 0:
                            best = v
                            row = j
                if row < 0:
                    # No free row, not closed, not a proved witness: only exact arithmetic can tell.
                    for w in range(NW):
                        R[0, w] = B[d, NEG, w]
                        R[1, w] = B[d, POS, w]
                    gi[HINT] = -1
                    return RESOLVE
                if gi[KEEP]:
                    put_log(gi, LOG, row)
            FI[d, ROW] = row
            FI[d, PHASE] = POSITIVE if forced else NEGATIVE
        elif phase == NEGATIVE:
            FI[d, PHASE] = POSITIVE
            row = FI[d, ROW]
            e = d + 1
            _child(d, e, FI, B, PS, PC, PV)
            put(B[e, NEG], row)
            drop(B[e, FREE], row)
            drop(PV[e], row)
            for i in range(FI[e, SETS]):
                drop(PS[e, i], row)
            copy_cell(M, X, U, IDS, S, 2 * d, 2 * e, m)
            if S[2 * e, row] > -cell.SATISFIED and _enter(gi, G, A, M, X, U, IDS, S, B, CIRC, LOG, Z, F, J, T2, d, e):
                continue
            if gi[RANKED]:
                _copy_residues(Q[d], Q[e], B[e, FREE])
            gi[DEPTH] = e
        elif phase == POSITIVE:
            FI[d, PHASE] = LEAVE
            row = FI[d, ROW]
            e = d + 1
            _child(d, e, FI, B, PS, PC, PV)
            put(B[e, POS], row)
            drop(B[e, FREE], row)
            FI[e, COUNT] = c + 1
            if gi[RANKED]:
                eliminate(Q[d], row, Q[e], B[e, FREE])
            # Only sets of free rows remain: the set of `row`, and sets that met its span, are gone.
            q = 0
            for w in range(NW):
                PV[e, w] = np.uint64(0)
            for i in range(FI[d, SETS]):
                inside = True
                for w in range(NW):
                    if PS[d, i, w] & ~B[e, FREE, w] != 0:
                        inside = False
                if inside:
                    for w in range(NW):
                        PS[e, q, w] = PS[d, i, w]
                        PV[e, w] |= PS[d, i, w]
                    PC[e, q] = PC[d, i]
                    q += 1
            FI[e, SETS] = q
            if _closed(gi, c + 1, PS[e], PC[e], q, B[e, POS], Q[min(e, Q.shape[0] - 1)], K, V, J):
                if gi[KEEP]:
                    _leaf(gi, LOG, PC[e], gi[USED])
                continue
            copy_cell(M, X, U, IDS, S, 2 * d, 2 * e, m)
            if S[2 * e, row] < cell.SATISFIED and _enter(gi, G, A, M, X, U, IDS, S, B, CIRC, LOG, Z, F, J, T2, d, e):
                continue
            gi[DEPTH] = e
        else:
            gi[DEPTH] -= 1
    return DONE


@njit(inline="always", **INNER)
def _enter(gi, G, A, M, X, U, IDS, S, B, CIRC, LOG, Z, F, J, T2, d, e):  # type: ignore[no-untyped-def]
    """Move the center of child e to its cell; True if the cell is proved empty, and the leaf logged."""
    m = gi[ROWS]
    status, last = chain(G, A, M[2 * e], X[2 * e], U[2 * e], IDS[2 * e], S[2 * e], B[e, NEG], B[e, POS], m, F[0], F[1],
                          F[3], F[2])
    if status == cell.EMPTY and circuit(G, last, M[2 * e], X[2 * e], U[2 * e], IDS[2 * e], F[0], F[1], Z, F[4], T2,
                                         J[0], CIRC[gi[CIRCUITS]], gi, B[e, NEG], B[e, POS]):
        if gi[KEEP]:
            leaf_of_one(gi, LOG, gi[CIRCUITS])
            gi[CIRCUITS] += 1
        return True
    if status != cell.FEASIBLE:
        # Not proved: keep the parent's center, which is valid for a part of the rows, and go on.
        copy_cell(M, X, U, IDS, S, 2 * d, 2 * e, m)
    return False


@njit(**INNER)
def put_log(gi, LOG, value):  # type: ignore[no-untyped-def]
    """Append one number to the log of the tree."""
    LOG[gi[LOGGED]] = value
    gi[LOGGED] += 1


@njit(**INNER)
def _leaf(gi, LOG, ids, count):  # type: ignore[no-untyped-def]
    put_log(gi, LOG, -1 - count)
    for i in range(count):
        put_log(gi, LOG, NUMBER + ids[i])


@njit(_nrt=False)
def leaf_of_one(gi, LOG, circuit):  # type: ignore[no-untyped-def]
    """Log a leaf that one circuit closes."""
    put_log(gi, LOG, -2)
    put_log(gi, LOG, NUMBER + circuit)


@njit(**INNER)
def _copy_residues(Q, Q2, free):  # type: ignore[no-untyped-def]
    for w in range(free.shape[0]):
        b = free[w]
        while b != 0:
            i = 64 * w + lowest(b)
            b &= b - np.uint64(1)
            for j in range(Q.shape[1]):
                Q2[i, j] = Q[i, j]


@njit(**INNER)
def _child(d, e, FI, B, PS, PC, PV):  # type: ignore[no-untyped-def]
    """Make frame e a copy of frame d, about to be entered."""
    for k in range(3):
        for w in range(B.shape[2]):
            B[e, k, w] = B[d, k, w]
    for w in range(B.shape[2]):
        PV[e, w] = PV[d, w]
    for i in range(FI[d, SETS]):
        PC[e, i] = PC[d, i]
        for w in range(B.shape[2]):
            PS[e, i, w] = PS[d, i, w]
    FI[e, COUNT] = FI[d, COUNT]
    FI[e, SETS] = FI[d, SETS]
    FI[e, PHASE] = ENTER
    FI[e, TAIL] = 0


@njit(**INNER)
def _extend(gi, FI, G, A, M, X, U, IDS, S, B, PS, PC, PV, CIRC, R, ZERO, Q, K, T, V, Z, F, J, d, k, tail, warm,
            required, cand, T2):  # type: ignore[no-untyped-def]
    """Add sets to family k of frame d until it closes the node or all uncovered rows can be negative.

    `warm`: slot of a tail to start from, the frame's own or its parent's; -1 for none.
    Returns 0 feasible (tail set, B[d, WITH] too), 1 closed, 2 empty cell (circuit gi[HINT]), 3 witness in the tail,
    4 not decided in floats (R, gi[HINT] set), 5 there is no room for more sets and rank is not proved.
    """
    m = gi[ROWS]
    NW = R.shape[1]
    c = FI[d, COUNT]
    n = gi[TARGET]
    first_row = gi[HALF]
    q = FI[d, SETS] if k == d else gi[SWAP]
    result = -1
    while True:
        if q >= n - c:
            if _closed(gi, c, PS[k], PC[k], q, B[d, POS], Q[min(d, Q.shape[0] - 1)], K, V, J):
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
        copy_cell(M, X, U, IDS, S, warm if usable else 2 * d, tail, m)
        warm = -1
        if k == d:
            FI[d, TAIL] = 0  # about to be overwritten
        status, row = chain(G, A, M[tail], X[tail], U[tail], IDS[tail], S[tail], required, B[d, POS], m, F[0], F[1],
                             F[3], F[2])
        if status == cell.FEASIBLE:
            if is_witness(S[tail], X[tail], m, gi, ZERO, first_row, Q[Q.shape[0] - 1], T, J[0]):
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
            proved = circuit(G, row, M[tail], X[tail], U[tail], IDS[tail], F[0], F[1], Z, F[4], T2, J[0],
                              CIRC[gi[CIRCUITS]], gi, required, B[d, POS])
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
            number = _shrink(gi, G, A, M, X, U, IDS, S, B, PS, PV, CIRC, Z, F, J, d, k, q, required, T2, number)
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


@njit(**INNER)
def _shrink(gi, G, A, M, X, U, IDS, S, B, PS, PV, CIRC, Z, F, J, d, k, q, required, T2, number):  # type: ignore[no-untyped-def]
    """Look for a smaller set within set q of family k, the rest of circuit `number`: assume only these rows negative.

    Returns the number of the circuit to use; -1 if the cell turned out to be empty (the last circuit says so).
    """
    m = gi[ROWS]
    NW = CIRC.shape[2]
    slot = M.shape[0] - 2
    if size(PS[k, q]) < 2:
        return number
    for w in range(NW):
        required[w] = PS[k, q, w] | B[d, NEG, w]
    copy_cell(M, X, U, IDS, S, 2 * d, slot, m)
    status, row = chain(G, A, M[slot], X[slot], U[slot], IDS[slot], S[slot], required, B[d, POS], m, F[0], F[1], F[3],
                         F[2])
    if status != cell.EMPTY:
        return number
    other = gi[CIRCUITS]
    if not circuit(G, row, M[slot], X[slot], U[slot], IDS[slot], F[0], F[1], Z, F[4], T2, J[0], CIRC[other], gi,
                    required, B[d, POS]):
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
    return other


@njit(inline="always", **INNER)
def _trimmed(gi, FI, G, A, M, X, U, IDS, S, B, PS, PC, PV, CIRC, Q, K, V, Z, F, J, d, required, T2):  # type: ignore[no-untyped-def]
    """Shrink inherited sets of a node that lacks none but has too many choices: more rows are declared by now.

    Returns 1 if rank is proved, 2 if circuit gi[HINT] shows that there is no such cell, else 0.
    """
    need = gi[TARGET] - FI[d, COUNT]
    work = 1.0
    for i in range(need):
        work *= size(PS[d, i])
    if work > gi[TRIM] * float(gi[PRODUCT]):
        return 0
    for i in range(need - 1, -1, -1):  # the largest first: `_closed` has sorted them
        before = size(PS[d, i])
        number = _shrink(gi, G, A, M, X, U, IDS, S, B, PS, PV, CIRC, Z, F, J, d, d, i, required, T2, PC[d, i])
        if number < 0:
            gi[HINT] = gi[CIRCUITS] - gi[KEEP]
            return 2
        PC[d, i] = number
        work *= size(PS[d, i]) / before
        if size(PS[d, i]) < before and work <= gi[PRODUCT] and _closed(
            gi, FI[d, COUNT], PS[d], PC[d], FI[d, SETS], B[d, POS], Q[min(d, Q.shape[0] - 1)], K, V, J
        ):
            return 1
    return 0


@njit(inline="always", **INNER)
def _refresh(gi, FI, G, A, M, X, U, IDS, S, B, PS, PC, PV, CIRC, R, ZERO, Q, K, T, V, Z, F, J, d, required, cand, T2,
             spare):  # type: ignore[no-untyped-def]
    """Swap out the set with the most rows positive at the tail and extend again; keep what is not worse.

    Once, or several times while two or more sets are missing. Returns 1 if the sets close the node, 2 if circuit
    gi[HINT] does, 3 if a witness is found (in the tail slot), else 0.
    """
    m = gi[ROWS]
    NW = R.shape[1]
    D = FI.shape[0]
    need = gi[TARGET] - FI[d, COUNT]
    tried = np.uint64(0)
    one = np.uint64(1)
    for swap in range(gi[SWAPS]):
        q = FI[d, SETS]
        if swap > 0 and need - q < 2:
            return 0
        worst = -1
        score = -1
        s = S[2 * d + 1]
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
        status = _extend(gi, FI, G, A, M, X, U, IDS, S, B, PS, PC, PV, CIRC, R, ZERO, Q, K, T, V, Z, F, J, d, D, spare,
                         2 * d + 1, required, cand, T2)
        if status == 2:
            return 2
        if status == 3:
            copy_cell(M, X, U, IDS, S, spare, 2 * d + 1, m)
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
        copy_cell(M, X, U, IDS, S, spare, 2 * d + 1, m)
        for w in range(NW):
            B[d, WITH, w] = B[d, FREE, w] & ~PV[d, w]
        # The sets behind the removed one move up; the new ones at the end are not swapped again.
        i = np.uint64(worst & 63)
        tried = (tried & ((one << i) - one)) | ((tried >> i >> one) << i)
        for k in range(q - 1, p):
            tried |= one << np.uint64(k & 63)
    return 0
