"""Residues modulo a prime in float64: every processor has vector instructions for them.

The prime is 2^26 - 5. Products of two residues of least absolute value are below 2^50, so sums of a few of them are
exact. What is not 0 modulo a prime is not 0; what is independent modulo a prime is independent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit

FIELD = 2**26 - 5
_P = float(FIELD)
_INVERSE = 1.0 / FIELD
# x + _ROUND - _ROUND is x rounded to an integer, for |x| < 2^51.
_ROUND = 1.5 * 2.0**52

# Not "reassoc": `_ROUND` would go. Everything is exact in integers, contracted or not.
_EXACT = {"nnan", "nsz", "contract"}
EXACT_INNER: dict[str, Any] = {"fastmath": _EXACT, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False}


@njit(**EXACT_INNER)
def reduced(x: float) -> float:
    """The residue of the integer x, |x| < 2^52, of least absolute value."""
    q = x * _INVERSE + _ROUND
    q -= _ROUND
    return x - q * _P


def centered(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """(n, m) residues of least absolute value, one row of `rows` (m, n) a column; `rows` are residues modulo FIELD."""
    return np.ascontiguousarray(np.where(rows > FIELD // 2, rows - FIELD, rows).T.astype(np.float64))
