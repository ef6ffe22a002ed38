"""Sets of rows as arrays of 64-bit words, for compiled code: no limit on the number of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import types
from numba.extending import intrinsic

from mcinj._jit import njit

Words = npt.NDArray[np.uint64]


@intrinsic  # type: ignore[untyped-decorator]
def popcount(typingctx: Any, word: Any) -> Any:
    """Number of ones of a uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), codegen


@intrinsic  # type: ignore[untyped-decorator]
def lowest(typingctx: Any, word: Any) -> Any:
    """Position of the lowest one of a uint64 (64 if there is none)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        from llvmlite import ir

        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


def words(rows: int) -> int:
    """Words needed for a set of `rows` rows."""
    return max(1, (rows + 63) // 64)


@njit(_nrt=False)
def has(s: Words, j: int) -> bool:
    """Whether row j is in the set."""
    return bool((s[j >> 6] >> np.uint64(j & 63)) & np.uint64(1) != 0)


@njit(_nrt=False)
def put(s: Words, j: int) -> None:
    """Add row j."""
    s[j >> 6] |= np.uint64(1) << np.uint64(j & 63)


@njit(_nrt=False)
def drop(s: Words, j: int) -> None:
    """Remove row j."""
    s[j >> 6] &= ~(np.uint64(1) << np.uint64(j & 63))


@njit(_nrt=False)
def size(s: Words) -> int:
    """Number of rows in the set."""
    k = 0
    for w in range(s.shape[0]):
        k += popcount(s[w])
    return k


@njit(_nrt=False)
def first(s: Words) -> int:
    """The least row of the set, -1 if it is empty."""
    for w in range(s.shape[0]):
        if s[w] != 0:
            return int(64 * w + lowest(s[w]))
    return -1


def to_words(rows: Any, count: int) -> Words:
    """The set of the given row indices, as `count` words."""
    result = np.zeros(count, dtype=np.uint64)
    for j in rows:
        result[j >> 6] |= np.uint64(1) << np.uint64(j & 63)
    return result


def to_rows(s: Words) -> list[int]:
    """The rows of a set in ascending order."""
    rows = []
    for w, word in enumerate(s.tolist()):
        while word:
            low = word & -word
            rows.append(64 * w + low.bit_length() - 1)
            word ^= low
    return rows
