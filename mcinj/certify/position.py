"""Plain relations between weights: what refutes general position, where somebody takes it for granted.

Nothing here proves general position. A network's `premise` says why it may be taken for granted; these screens only
catch a premise that is plainly wrong, and tell the search what to expect.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.networks import Network

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Below this many binary digits per entry exact coincidences between random numbers are not negligible.
DIGITS = 40
PRIME = 2**31 - 1


def network_relation(network: Network) -> str | None:
    """What refutes general position of the weights, in words; None if nothing plain does (which proves nothing).

    Zero entries, parallel rows or columns, three dependent rows. Opposite rows of the last layer, with opposite biases,
    count once: that is how a layer without ReLU is written, and one of the two is active in every open region.
    """
    for k, w in enumerate(network.weights, 1):
        rows = w
        if k == network.depth:
            biases = np.zeros(len(w)) if network.biases is None else network.biases[-1]
            rows = without_opposites(np.column_stack([w, biases]))[:, :-1]
        found = rows_relation(rows, triples=network.floats_are_exact)
        if found is None and len(rows) > 1 and rows.shape[1] > 1 and _parallel(rows.T):
            found = "two columns are parallel"
        if found is not None:
            return f"layer {k}: {found}" if network.depth > 1 else found
    return None


def rows_relation(rows: Floats, triples: bool = True) -> str | None:
    """A plain relation between rows of shape (m, n), in words: a zero entry, two (or three) dependent rows; or None.

    `triples`: look for three dependent rows too, which asks for floats that hold the weights exactly.
    """
    m, n = rows.shape
    if not rows.all():
        return "an entry is 0"
    if m < 2 or n == 1:
        return None
    if _parallel(rows):
        return "two rows are parallel"
    if n == 2 or not triples:
        return None
    forms = np.random.default_rng(2**31 - 1).integers(1, PRIME, (3, n))
    residues = float_residues(rows)
    shadow = np.zeros((m, 3), dtype=np.int64)
    for k in range(n):
        shadow = (shadow + residues[:, k : k + 1] * forms[:, k]) % PRIME
    return "three rows are dependent" if _some_triple(shadow) else None


def rows_look_generic(rows: Floats) -> bool:
    """Whether rows of shape (m, n), n > 1, have many digits and no plain relation: a guess that guides, not a proof."""
    m, n = rows.shape
    if m == 0 or n == 1 or float(np.median(significant_digits(rows))) < DIGITS:
        return False
    return rows_relation(rows) is None


def _parallel(rows: Floats) -> bool:
    """Whether two of the rows, none of them zero, are parallel, exactly; floats say where that may be."""
    unit = rows / np.abs(rows).max(axis=1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    gram = np.abs(unit @ unit.T)
    np.fill_diagonal(gram, 0.0)
    near = rows[gram.max(axis=1, initial=0.0) >= 1 - 1e-12].tolist()
    directions = {tuple(Fraction(v) / Fraction(next(filter(None, row))) for v in row) for row in near}
    return len(directions) < len(near)


def without_opposites(rows: Floats) -> Floats:
    """The rows but the second of every two that are exactly opposite.

    In an open region one of the two is active, so rank is still count.
    """
    seen: set[bytes] = set()
    keep = []
    for i, row in enumerate(rows + 0.0):
        if (0.0 - row).tobytes() in seen:
            seen.discard((0.0 - row).tobytes())
            continue
        seen.add(row.tobytes())
        keep.append(i)
    return rows[keep]


@njit()
def _some_triple(shadow: Ints) -> bool:
    """Whether three of the rows, shape (m, 3), are dependent modulo the prime.

    Seen from one row, two others that are dependent with it have the same direction in the plane that is left. The rows
    are a random projection: dependent triples stay so, others become dependent with probability about m^3 / 2^33.
    """
    m = shadow.shape[0]
    p = np.int64(PRIME)
    ratio = np.zeros(m, dtype=np.int64)
    partial = np.zeros(m + 1, dtype=np.int64)
    below = np.zeros(m, dtype=np.int64)
    above = np.zeros(m, dtype=np.int64)
    for i in range(m):
        a = shadow[i]
        if a[0] == 0:
            return True
        partial[0] = 1
        for j in range(i + 1, m):
            b = shadow[j]
            u = (b[1] * a[0] + (p - b[0]) * a[1]) % p
            v = (b[2] * a[0] + (p - b[0]) * a[2]) % p
            if u == 0:
                return True
            below[j] = u
            above[j] = v
            partial[j - i] = partial[j - i - 1] * u % p
        # One inverse for all (Montgomery's trick): the product's, by Fermat.
        last = m - 1 - i
        inverse = np.int64(1)
        base = partial[last]
        e = p - 2
        while e > 0:
            if e & 1:
                inverse = inverse * base % p
            base = base * base % p
            e >>= 1
        for j in range(m - 1, i, -1):
            ratio[j] = above[j] * (inverse * partial[j - i - 1] % p) % p
            inverse = inverse * below[j] % p
        seen = np.sort(ratio[i + 1 :])
        for j in range(1, seen.shape[0]):
            if seen[j] == seen[j - 1]:
                return True
    return False


def significant_digits(rows: Floats) -> Ints:
    """Binary digits from each row's leading bit to the last bit of each entry (0 for zero entries)."""
    mantissa, exponent = np.frexp(rows)
    whole = (mantissa * 2.0**53).astype(np.int64)
    low = whole & -whole
    trailing = np.where(whole != 0, np.frexp(low.astype(np.float64))[1] - 1, 0)
    top = np.where(whole != 0, exponent, -(2**14)).max(axis=1, keepdims=True, initial=-(2**14))
    return np.where(whole != 0, top - (exponent - 53 + trailing), 0).astype(np.int64)


def float_residues(rows: Floats, prime: int = PRIME) -> Ints:
    """Rows of float64 modulo a prime below 2^31, each times a power of two that makes it integral."""
    mantissa, exponent = np.frexp(rows)
    whole = (mantissa * 2.0**53).astype(np.int64)
    low = np.where(whole != 0, exponent, 2**14).min(axis=1, keepdims=True, initial=2**14)
    shift = np.where(whole != 0, exponent - low, 0)
    powers = np.array([pow(2, k, prime) for k in range(int(shift.max(initial=0)) + 1)], dtype=np.int64)
    return (whole % prime) * powers[shift] % prime
