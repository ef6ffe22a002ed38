"""When may count stand for rank? A screen for weights that are plainly not in general position."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Below this many binary digits per entry exact coincidences between random numbers are not negligible.
DIGITS = 40


def rows_look_generic(rows: Floats) -> bool:
    """No zero entry, enough binary digits, no two parallel rows; rows of shape (m, n), n > 1.

    True is no proof of general position (a row may be an exact combination of two others): it is the licence under
    which a pass is called `generic`. For n = 1 it is False, since rank then costs no more than count.
    """
    m, n = rows.shape
    if m == 0 or n == 1 or not rows.all():
        return False
    if float(np.median(significant_digits(rows))) < DIGITS:
        return False
    unit = rows / np.abs(rows).max(axis=1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    gram = np.abs(unit @ unit.T)
    np.fill_diagonal(gram, 0.0)
    return bool(gram.max(initial=0.0) < 1 - 1e-12)


def significant_digits(rows: Floats) -> Ints:
    """Binary digits from each row's leading bit to the last bit of each entry (0 for zero entries)."""
    mantissa, exponent = np.frexp(rows)
    whole = (mantissa * 2.0**53).astype(np.int64)
    low = whole & -whole
    trailing = np.where(whole != 0, np.frexp(low.astype(np.float64))[1] - 1, 0)
    top = np.where(whole != 0, exponent, -(2**14)).max(axis=1, keepdims=True, initial=-(2**14))
    return np.where(whole != 0, top - (exponent - 53 + trailing), 0).astype(np.int64)
