"""Ranks on coarse cells: is a collision of two of them impossible, whatever their undecided units do?

Let T be units of the last layer that are positive on one of two cells. At a collision each has the same value in both
copies. Outputs of hidden units that are decided alike are linear in x - x'; those of others are taken as unknowns. If
the columns of all unknowns are independent on T, then x = x':

* one form has x - x' and, of every unit that is undecided or differs, the difference of its two outputs;
* the other has x, x' and the outputs of undecided units in each copy: independent columns leave only x = x' = 0.

The first with x = x' + u and no unit that differs also gives rank n of the Jacobian on every region of one cell. There
units of the last hidden layer may be gone through instead: 2^e patterns, each with e unknowns less.

Columns are residues modulo `FIELD`: what is independent modulo a prime is independent.
"""

from __future__ import annotations

from mcinj._jit import njit
from mcinj.decide.coarse.store import FAILS, RESIDUES, STEPS, TESTS, TRY, Floats, Ints, Tree
from mcinj.decide.deep.store import INNER
from mcinj.numeric.bits import has, popcount
from mcinj.numeric.field import EXACT_INNER, reduced

# Steps of a certificate: those of `mcinj.certify.coarse_pairs`, which is compiled and not needed otherwise.
BY_DIFFERENCES, BY_BOTH, FIRST, SECOND, JOINT = range(5)


@njit(**EXACT_INNER)
def _add(out: Floats, row: Floats, f: float, count: int) -> None:
    """out += f row, the first `count` entries."""
    for i in range(count):
        out[i] = reduced(out[i] + f * row[i])


@njit(**EXACT_INNER)
def _eliminate(V: Floats, e: int, last: int, count: int) -> bool:
    """Take column e out of columns e + 1 … last - 1; False if it is 0."""
    v = V[e]
    pivot = -1
    for i in range(count):
        if v[i] != 0.0:
            pivot = i
            break
    if pivot < 0:
        return False
    p = v[pivot]
    for j in range(e + 1, last):
        u = V[j]
        f = u[pivot]
        if f != 0.0:
            for i in range(count):
                u[i] = reduced(u[i] * p - v[i] * f)
        elif p != 1.0:
            for i in range(count):
                u[i] = reduced(u[i] * p)
    return True


@njit(**EXACT_INNER)
def _masked(out: Floats, row: Floats, mask: Floats, count: int) -> None:
    for i in range(count):
        out[i] = row[i] * mask[i]


@njit(**EXACT_INNER)
def _minus(out: Floats, row: Floats, mask: Floats, count: int) -> None:
    for i in range(count):
        out[i] = (out[i] - row[i]) * mask[i]
        out[i] = reduced(out[i])


@njit(**INNER)
def residues(t: Tree, a: int, widths: Ints) -> int:
    """Where the residues of cell a are; they are computed if they are not there yet."""
    if t.RID[a] >= 0:
        return int(t.RID[a])
    r = t.ti[RESIDUES]
    t.ti[RESIDUES] = r + 1
    t.RID[a] = r
    L = t.WT.shape[0]
    g = t.V2.shape[0]
    # Rows of all layers over the inputs: what units that are on pass on.
    for k in range(L):
        m0 = widths[k - 1] if k > 0 else g
        m1 = widths[k]
        even = (L - 1 - k) % 2 == 0
        for q in range(g):
            out = t.HR[r, q]
            source = t.RES[r, q]
            if even:
                out = t.RES[r, q]
                source = t.HR[r, q]
            if k == 0:
                for i in range(m1):
                    out[i] = t.WT[0, q, i]
                continue
            for i in range(m1):
                out[i] = 0.0
            for i in range(m0):
                if source[i] != 0.0 and has(t.ON[a], t.FIRST[k - 1] + i):
                    _add(out, t.WT[k, i], source[i], m1)
    # The last layer's response to hidden layers but the last.
    for k in range(L - 2, 0, -1):
        for i in range(widths[k - 1]):
            out = t.RES[r, g + t.FIRST[k - 1] + i]
            for j in range(widths[L - 1]):
                out[j] = 0.0
            for j in range(widths[k]):
                w = t.WT[k, i, j]
                if w != 0.0 and has(t.ON[a], t.FIRST[k] + j):
                    if k == L - 2:
                        _add(out, t.WT[L - 1, j], w, widths[L - 1])
                    else:
                        _add(out, t.RES[r, g + t.FIRST[k] + j], w, widths[L - 1])
    return int(r)


@njit(**INNER)
def _mask(t: Tree, a: int, b: int, m: int) -> None:
    for j in range(m):
        t.mask[j] = 1.0 if has(t.ABOVE[a], j) or has(t.ABOVE[b], j) else 0.0


@njit(**INNER)
def _respond(t: Tree, r: int, unit: int, layer: int, at: int, m: int) -> None:
    """Column `at` of V: the last layer's response to one hidden unit, numbered over all layers."""
    last = t.WT.shape[0] - 1
    if layer == last - 1:
        _masked(t.V[at], t.WT[last, unit - t.FIRST[layer]], t.mask, m)
    else:
        _masked(t.V[at], t.RES[r, t.V2.shape[0] + unit], t.mask, m)


@njit(**INNER)
def by_differences(t: Tree, a: int, b: int, n: int, widths: Ints) -> bool:
    """Whether columns of x - x' and of the units that are undecided or differ are independent on T."""
    L = t.WT.shape[0]
    m = widths[L - 1]
    r = residues(t, a, widths)
    _mask(t, a, b, m)
    count = 0
    for k in range(L - 1):
        for i in range(widths[k]):
            u = t.FIRST[k] + i
            on = has(t.ON[a], u) and has(t.ON[b], u)
            off = has(t.OFF[a], u) and has(t.OFF[b], u)
            if not on and not off:
                _respond(t, r, u, k, count, m)
                count += 1
    for q in range(n):
        _masked(t.V[count], t.RES[r, q], t.mask, m)
        count += 1
    return all_independent(t, count, m)


@njit(**INNER)
def all_independent(t: Tree, count: int, m: int) -> bool:
    """Whether the first `count` columns of V, of m entries, are independent. They are used up."""
    for e in range(count):  # noqa: SIM110
        if not _eliminate(t.V, e, count, m):
            return False
    return True


@njit(**INNER)
def by_both(t: Tree, a: int, b: int, n: int, widths: Ints) -> bool:
    """Whether columns of x, of x' and of the units that are undecided in either copy are independent on T."""
    L = t.WT.shape[0]
    g = t.V2.shape[0]
    m = widths[L - 1]
    r = residues(t, a, widths)
    s = residues(t, b, widths)
    _mask(t, a, b, m)
    count = 0
    for k in range(L - 1):
        for i in range(widths[k]):
            u = t.FIRST[k] + i
            one = not has(t.ON[a], u) and not has(t.OFF[a], u)
            two = not has(t.ON[b], u) and not has(t.OFF[b], u)
            if one or (two and k == L - 2):
                _respond(t, r, u, k, count, m)
                count += 1
            if two and k < L - 2:
                _respond(t, s, u, k, count, m)
                count += 1
    for q in range(n):
        _masked(t.V[count], t.RES[r, q], t.mask, m)
        _masked(t.V[count + 1], t.RES[s, q], t.mask, m)
        count += 2
    if g > n:  # t is the same in both
        _masked(t.V[count], t.RES[r, n], t.mask, m)
        _minus(t.V[count], t.RES[s, n], t.mask, m)
        count += 1
    return all_independent(t, count, m)


@njit(**INNER)
def all_patterns(t: Tree, a: int, n: int, tried: int, widths: Ints) -> bool:
    """Whether the Jacobian has rank n on cell a for all signs of `tried` of its undecided units, whatever others do.

    They are of the last hidden layer; all units before it are decided.
    """
    L = t.WT.shape[0]
    m = widths[L - 1]
    k = L - 2
    r = residues(t, a, widths)
    _mask(t, a, a, m)
    first = t.FIRST[k]
    # Unknowns, then the rows over x, then the units that are gone through.
    total = 0
    for i in range(widths[k]):
        if not has(t.ON[a], first + i) and not has(t.OFF[a], first + i):
            total += 1
    free = total - tried
    seen = 0
    units = t.mask  # reused below; entries of V are masked by then
    for i in range(widths[k]):
        if not has(t.ON[a], first + i) and not has(t.OFF[a], first + i):
            at = seen if seen < free else n + seen
            _masked(t.V[at], t.WT[L - 1, i], t.mask, m)
            seen += 1
    for q in range(n):
        _masked(t.V[free + q], t.RES[r, q], t.mask, m)
    seen = 0
    for i in range(widths[k]):
        if not has(t.ON[a], first + i) and not has(t.OFF[a], first + i):
            if seen >= free:
                units[seen - free] = i
            seen += 1
    for e in range(free):
        if not _eliminate(t.V, e, n + total, m):
            return False
    # Rows over x for one pattern after the other, in the order of a Gray code.
    before = 0
    for pattern in range(1 << tried):
        gray = pattern ^ (pattern >> 1)
        change = gray ^ before
        if change:
            e = 0
            while (change >> e) & 1 == 0:
                e += 1
            sign = 1.0 if (gray >> e) & 1 else -1.0
            unit = int(units[e])
            for q in range(n):
                _add(t.V[free + q], t.V[free + n + e], sign * t.HR[r, q, unit], m)
        before = gray
        for q in range(n):
            for i in range(m):
                t.V2[q, i] = t.V[free + q, i]
        for e in range(n):
            if not _eliminate(t.V2, e, n, m):
                return False
    return True


@njit(**INNER)
def apart(t: Tree, a: int, b: int) -> bool:
    """Whether a unit is positive on one cell and nowhere positive on the other."""
    for w in range(t.ABOVE.shape[1]):  # noqa: SIM110
        if (t.ABOVE[a, w] & t.BELOW[b, w]) | (t.ABOVE[b, w] & t.BELOW[a, w]) != 0:
            return True
    return False


@njit(**INNER)
def step(t: Tree, what: int) -> None:
    """Write down what is done with the pair at hand."""
    if t.steps.shape[0]:
        t.steps[t.ti[STEPS]] = what
        t.ti[STEPS] += 1


@njit(**INNER)
def closed(t: Tree, a: int, b: int, n: int, widths: Ints) -> bool:
    """Whether no two different points of two cells (that may be one) have one output."""
    if apart(t, a, b):
        return True
    L = t.WT.shape[0]
    g = t.V2.shape[0]
    hidden = t.FIRST[L - 1]
    alike = 0
    differ = 0
    for w in range(t.ON.shape[1]):
        differ += popcount((t.ON[a, w] & t.OFF[b, w]) | (t.OFF[a, w] & t.ON[b, w]))
        alike += popcount((t.ON[a, w] & t.ON[b, w]) | (t.OFF[a, w] & t.OFF[b, w]))
    have = 0
    for w in range(t.ABOVE.shape[1]):
        have += popcount(t.ABOVE[a, w] | t.ABOVE[b, w])
    if have >= n + hidden - alike:
        t.ti[TESTS] += 1
        if by_differences(t, a, b, n, widths):
            step(t, BY_DIFFERENCES)
            return True
        t.ti[FAILS] += 1
    if a == b or differ < n:
        return False  # x and x' are alike where units that differ vanish: they are not independent
    unknown = 2 * n + (1 if g > n else 0)
    for w in range(t.ON.shape[1]):
        unknown += popcount(~(t.ON[a, w] | t.OFF[a, w]) | ~(t.ON[b, w] | t.OFF[b, w]))
    unknown -= 64 * t.ON.shape[1] - hidden
    if have < unknown:
        return False
    t.ti[TESTS] += 1
    if by_both(t, a, b, n, widths):
        step(t, BY_BOTH)
        return True
    t.ti[FAILS] += 1
    return False


@njit(**INNER)
def full_rank(t: Tree, a: int, n: int, widths: Ints) -> bool:
    """Whether the Jacobian has rank n on every region of cell a."""
    if apart(t, a, a):
        return True
    L = t.WT.shape[0]
    hidden = t.FIRST[L - 1]
    undecided = hidden
    have = 0
    for w in range(t.ON.shape[1]):
        undecided -= popcount(t.ON[a, w] | t.OFF[a, w])
    for w in range(t.ABOVE.shape[1]):
        have += popcount(t.ABOVE[a, w])
    if have < n:
        return False
    tried = max(n + undecided - have, 0)
    if tried > t.ti[TRY] or (tried and t.LAYER[a] < L - 2):
        return False
    t.ti[TESTS] += 1
    if all_patterns(t, a, n, tried, widths) if tried else by_differences(t, a, a, n, widths):
        return True
    t.ti[FAILS] += 1
    return False
