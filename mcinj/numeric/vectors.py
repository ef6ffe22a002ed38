"""Vectors modulo others and products of vectors: steps of `choices`, in loops that become vector instructions.

Vectors are columns. The product c ∧ d of vectors of k coordinates has k (k - 1) / 2, one for each two of theirs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mcinj._jit import njit
from mcinj.numeric.extremes import larger, smaller

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

TINY = 1e-36  # more than all that may underflow in float32
INNER: dict[str, Any] = {
    "fastmath": {"nsz", "contract"}, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": False,
}  # fmt: skip


@njit(**INNER)
def largest(v: Floats, rows: int, low: int, high: int) -> float:
    """The largest absolute value of v[:rows, low:high]."""
    top = 0.0
    for j in range(rows):
        line = v[j]
        for i in range(low, high):
            top = larger(top, abs(line[i]))
    return top


@njit(**INNER)
def pivot(v: Floats, i: int, width: int) -> int:
    """The coordinate of `width` in which column i of v is largest."""
    best = 0
    for j in range(1, width):
        if abs(v[j, i]) > abs(v[best, i]):
            best = j
    return best


@njit(**INNER)
def quotient(v: Floats, out: Floats, width: int, i: int, pivot: int, low: int, high: int) -> None:
    """Columns low … high - 1 of `out`: those of v modulo its column i, with one coordinate less."""
    count = (high - low + 15) // 16 * 16  # columns behind the last do no harm, and vector instructions have no rest
    k = 0
    x = v[pivot, low:]
    for j in range(width):
        if j != pivot:
            f = v[j, i] / v[pivot, i]
            y, z = v[j, low:], out[k, low:]
            for h in range(count):
                z[h] = y[h] - f * x[h]
            k += 1


@njit(**INNER)
def place(i: int, j: int, width: int) -> int:
    """Where the coordinate i < j of a product c ∧ d of vectors of `width` coordinates stands."""
    return i * (2 * width - i - 1) // 2 + j - i - 1


@njit(**INNER)
def contracted(w: Floats, out: Floats | Singles, width: int, v: Floats, column: int, pivot: int, count: int) -> None:
    """The products c ∧ d in w modulo column u of v, without coordinate p (the pivot).

    They are w_ab - u_a / u_p w_pb + u_b / u_p w_pa for a < b; w_pb = -w_bp is stored where b < p.
    """
    p = v[pivot, column]
    k = 0
    for a in range(width):
        if a == pivot:
            continue
        x = w[place(min(a, pivot), max(a, pivot), width)]
        for b in range(a + 1, width):
            if b == pivot:
                continue
            y = w[place(min(b, pivot), max(b, pivot), width)]
            of_x = v[b, column] / p if pivot < a else -v[b, column] / p
            of_y = -v[a, column] / p if pivot < b else v[a, column] / p
            z, to = w[place(a, b, width)], out[k]
            for i in range(count):
                to[i] = z[i] + of_x * x[i] + of_y * y[i]
            k += 1


@njit(**INNER)
def copy(w: Floats, out: Singles, rows: int, count: int) -> None:
    """out = w, rounded to float32, and no more than that in the six rows of `out`."""
    for j in range(6):
        y = out[j]
        for i in range(count):
            y[i] = np.float32(0.0)
        if j < rows:
            x = w[j]
            for i in range(count):
                y[i] = np.float32(x[i])


@njit(**INNER)
def copy_three(w: Singles, out: Singles, count: int) -> None:
    """What c ∧ d, in three coordinates, is multiplied with by column a; the fourth is 0."""
    for k in range(count):
        out[0, k], out[1, k], out[2, k], out[3, k] = w[2, k], -w[1, k], w[0, k], np.float32(0.0)


@njit(**INNER)
def length(v: Floats, width: int, low: int, high: int) -> Any:
    """The greatest length of columns low … high - 1."""
    top = 0.0
    for i in range(low, high):
        total = 0.0
        for j in range(width):
            total += v[j, i] * v[j, i]
        top = max(top, total)
    return np.sqrt(top) * 1.000001


@njit(**INNER)
def length_of_six(w: Singles, count: int) -> Any:
    """The greatest length of `count` columns of six coordinates in float32."""
    a, b, c, d, e, f = w[0], w[1], w[2], w[3], w[4], w[5]
    top = np.float32(0.0)
    for i in range(count):
        top = larger(top, a[i] * a[i] + b[i] * b[i] + c[i] * c[i] + d[i] * d[i] + e[i] * e[i] + f[i] * f[i])
    return np.sqrt(float(top)) * 1.00001 + TINY


@njit(**INNER)
def cofactors(w: Singles, v: Floats, b: int, out: Singles, at: int, count: int) -> None:
    """The coordinates of b ∧ c ∧ d for column b of v and `count` pairs c ∧ d, to out[:, at:]."""
    p, q, r, s = single(v, b, 4)
    combined(w[5], w[4], w[3], q, -r, s, out[0, at:], count)
    combined(w[5], w[2], w[1], -p, r, -s, out[1, at:], count)
    combined(w[4], w[2], w[0], p, -q, s, out[2, at:], count)
    combined(w[3], w[1], w[0], -p, q, -r, out[3, at:], count)


@njit(**INNER)
def combined(x: Singles, y: Singles, z: Singles, a: float, b: float, c: float, out: Singles, count: int) -> None:
    """out = a x + b y + c z, the first `count` entries."""
    for i in range(count):
        out[i] = a * x[i] + b * y[i] + c * z[i]


@njit(**INNER)
def single(v: Floats, i: int, width: int) -> tuple[Any, Any, Any, Any]:
    """Column i of v in float32, four coordinates."""
    return (
        np.float32(v[0, i]), np.float32(v[1, i]), np.float32(v[2, i]), np.float32(v[3, i] if width == 4 else 0.0),
    )  # fmt: skip


@njit(**INNER)
def least(t: Singles, a: tuple[Any, Any, Any, Any], b: tuple[Any, Any, Any, Any], count: int) -> Any:
    """The least |Σ_j u_j t_j|, u = a or b, in `count` lanes; all numbers are finite."""
    x, y, z, w = t[0], t[1], t[2], t[3]
    a0, a1, a2, a3 = a
    b0, b1, b2, b3 = b
    least = np.float32(1e38)
    for i in range(count):
        p, q, r, s = x[i], y[i], z[i], w[i]
        least = smaller(least, abs(a0 * p + a1 * q + a2 * r + a3 * s))
        least = smaller(least, abs(b0 * p + b1 * q + b2 * r + b3 * s))
    return least
