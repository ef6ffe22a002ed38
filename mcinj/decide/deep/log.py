"""What the deep search did, as the instructions of a certificate (`mcinj.certify.deep_ops`): compiled.

Nothing is written unless gi[RECORD] is set. The log is emptied by the caller when `advance` returns LOGFULL; gi[LOGGED]
counts numbers even where there is no room for them, so that a lost one cannot go unnoticed.
"""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.certify.deep_ops import (
    BASIS,
    BITS,
    BOUNDS,
    BRANCH,
    COUNTED,
    DECIDE,
    IMPLY,
    MARK,
    NEXT,
    ON_BASIS,
    POSITIVE,
    RAISED,
    RANKED,
    REGION,
    SET,
    SHARPENED,
    SHIFT,
    SINGLE,
)
from mcinj.decide.deep.store import COUNT, CUTS, INNER, LAYERS, LOGGED, RECORD, RECORDED, SETS, TARGET, Ints, Store
from mcinj.numeric.bits import size

# Added to the first number of an instruction, so that a reader of the log knows where it starts.
START = 1 << 30


@njit(**INNER)
def log(st: Store, value: int) -> None:
    """Append one number."""
    at = st.gi[LOGGED]
    if at < st.LOG.shape[0]:
        st.LOG[at] = value
    st.gi[LOGGED] = at + 1


@njit(**INNER)
def _op(st: Store, op: int, argument: int) -> None:
    log(st, START + op + (argument << SHIFT))


@njit(**INNER)
def log_branch(st: Store, unit: int) -> None:
    """A node branches."""
    if st.gi[RECORD]:
        _op(st, BRANCH, unit)


@njit(**INNER)
def log_next(st: Store) -> None:
    """All units of the present layer are decided."""
    if st.gi[RECORD]:
        _op(st, NEXT, 0)


@njit(**INNER)
def log_decide(st: Store, unit: int, sign: int) -> None:
    """The basis decides a unit of the present layer."""
    if st.gi[RECORD]:
        _op(st, DECIDE, 2 * unit + (1 if sign > 0 else 0))


@njit(**INNER)
def log_region(st: Store) -> None:
    """A complete region."""
    if st.gi[RECORD]:
        _op(st, REGION, 0)


@njit(**INNER)
def log_basis(st: Store) -> None:
    """The basis that `choose_basis` found."""
    if st.gi[RECORD]:
        _op(st, BASIS, 0)
        for k in range(st.ROWS.shape[2]):
            log(st, st.PINDEX[st.BROW[k]])


@njit(**INNER)
def slopes(st: Store, p: int, out: Ints) -> int:
    """Slopes of the lower bounds as they stand: undecided units of layer p, all hidden units beyond; words used."""
    L = st.gi[LAYERS]
    count = 0
    for k in range(p, L - 1):
        for i in range(st.m[k]):
            if k == p:
                if st.SIGN[p, i] != 0:
                    continue
                up = st.low[p, i] > 0.0
            else:
                up = st.HS[k, i] == 0 and st.low[k, i] > 0.0
            if count % BITS == 0:
                out[count // BITS] = 0
            if up:
                out[count // BITS] |= 1 << (count % BITS)
            count += 1
    return (count + BITS - 1) // BITS


@njit(**INNER)
def keep_slopes(st: Store, p: int, cut: int) -> None:
    """Remember the slopes that a cut has."""
    if st.gi[RECORD]:
        st.CUTBITS[cut, 0] = slopes(st, p, st.CUTBITS[cut, 1:])


@njit(**INNER)
def _log_form(st: Store, p: int, form: int) -> None:
    word = 0
    count = 0
    for i in range(st.m[p]):
        if st.SIGN[p, i] == 0:
            if st.FORM[p, i] == form:
                word |= 1 << (count % BITS)
            count += 1
            if count % BITS == 0:
                log(st, word)
                word = 0
    if count % BITS:
        log(st, word)


@njit(**INNER)
def log_bounds(st: Store, p: int) -> None:
    """What `bounds` did in frame d: upper bounds replaced on the basis, slopes, states and forms beyond layer p."""
    if st.gi[RECORD] == 0:
        return
    L = st.gi[LAYERS]
    _op(st, BOUNDS, 0)
    _log_form(st, p, ON_BASIS)
    _log_form(st, p, SHARPENED)
    scratch = st.CUTBITS[st.CUTBITS.shape[0] - 1, 1:]
    for w in range(slopes(st, p, scratch)):
        log(st, scratch[w])
    for k in range(p + 1, L - 1):
        for i in range(st.m[k]):
            state = 1 if st.HS[k, i] > 0 else (2 if st.HS[k, i] < 0 else 0)
            log(st, state + 3 * st.FORM[k, i])
    for k in range(p, L - 1):
        for i in range(st.m[k]):
            if st.FORM[k, i] == SHARPENED and (k > p or st.SIGN[p, i] == 0):
                log(st, st.SHARP[k, i])


@njit(**INNER)
def log_single(st: Store, d: int, unit: int) -> None:
    """The basis proves that a last-layer unit is positive: a set of one."""
    if st.gi[RECORD]:
        _op(st, SINGLE, unit)
        st.FI[d, RECORDED] += 1


@njit(**INNER)
def _item(st: Store, length: int, row: int) -> None:
    if row >= st.gi[CUTS]:
        c = row - st.gi[CUTS]
        log(st, 2 * st.CUTUNIT[c] + 1)
        for w in range(st.CUTBITS[c, 0]):
            log(st, st.CUTBITS[c, 1 + w])
        return
    t = st.PINDEX[row]
    if t < length and st.PATHS[t] == row:
        log(st, 2 * t)
    else:  # a last-layer unit that is assumed negative
        log(st, row - st.BASE[st.gi[LAYERS] - 1] + 1)


@njit(**INNER)
def log_circuit(st: Store, d: int, slot: int, met: int, length: int) -> None:
    """A contradiction of g + 1 rows; `length` rows are on the path."""
    if st.gi[RECORD] == 0:
        return
    g = st.ROWS.shape[2]
    _op(st, SET, g + 1)
    _item(st, length, met)
    for k in range(g):
        _item(st, length, st.FIDS[slot, k])
    st.FI[d, RECORDED] += 1


@njit(**INNER)
def _other_rows(st: Store, slot: int, met: int, row: int) -> None:
    """Where on the path the g rows are that contradict `row` in a contradiction of g + 1 rows."""
    if met != row:
        log(st, st.PINDEX[met])
    for k in range(st.ROWS.shape[2]):
        if st.FIDS[slot, k] != row:
            log(st, st.PINDEX[st.FIDS[slot, k]])


@njit(**INNER)
def log_imply(st: Store, unit: int, sign: int, slot: int, met: int, row: int) -> None:
    """Path rows decide a unit of the present layer: they contradict `row`, its other sign."""
    if st.gi[RECORD]:
        _op(st, IMPLY, 2 * unit + (1 if sign > 0 else 0))
        _other_rows(st, slot, met, row)


@njit(**INNER)
def log_mark(st: Store, unit: int, above: bool, slot: int, met: int, row: int) -> None:
    """A last-layer unit is positive (`above`) or nowhere positive: path rows contradict `row`; -1: by the basis."""
    if st.gi[RECORD]:
        _op(st, MARK, 4 * unit + (2 if above else 0) + (1 if row < 0 else 0))
        if row >= 0:
            _other_rows(st, slot, met, row)


@njit(**INNER)
def log_empty(st: Store, d: int) -> None:
    """A leaf whose cell the latest set shows to be empty."""
    if st.gi[RECORD]:
        _op(st, COUNTED, 1)
        log(st, st.FI[d, RECORDED] - 1)


@njit(**INNER)
def log_counted(st: Store, d: int) -> None:
    """A leaf closed by declared positives and sets."""
    if st.gi[RECORD] == 0:
        return
    k = st.gi[TARGET] - st.FI[d, COUNT]
    if k < 0:
        k = 0
    if k > st.FI[d, SETS]:
        k = st.FI[d, SETS]
    _op(st, COUNTED, k)
    for i in range(k):
        log(st, st.PID[d, i])


@njit(**INNER)
def log_ranked(st: Store, d: int) -> None:
    """A leaf closed by the rank of declared positives and sets of one unit."""
    if st.gi[RECORD] == 0:
        return
    k = 0
    for i in range(st.FI[d, SETS]):
        if size(st.PS[d, i]) == 1:
            k += 1
    _op(st, RANKED, k)
    for i in range(st.FI[d, SETS]):
        if size(st.PS[d, i]) == 1:
            log(st, st.PID[d, i])


@njit(**INNER)
def log_positive(st: Store, d: int, i: int, unit: int) -> None:
    """Set i of frame d has one unit left: it is positive."""
    if st.gi[RECORD]:
        _op(st, POSITIVE, unit)
        log(st, st.PID[d, i])


@njit(**INNER)
def log_raised(st: Store, count: int, facts: bool) -> None:
    """A raised step, the first numbers of GROUPS: a leaf, or facts."""
    if st.gi[RECORD]:
        _op(st, RAISED, 1 if facts else 0)
        for k in range(count):
            log(st, st.GROUPS[k])
