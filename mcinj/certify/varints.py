"""Streams of non-negative integers as bytes: LEB128, seven bits per byte, low bits first, vectorised."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_LONGEST = 5  # bytes per number: every number of a certificate is below 2^35
_BLOCK = 1 << 20  # numbers, or bytes, at a time: what vectors need beside them is some ten times as large


def encode(values: npt.NDArray[np.int64]) -> bytes:
    """The numbers, each in as few bytes as possible. Raises `ValueError` outside of 0 … 2^35 - 1."""
    v = np.asarray(values, dtype=np.int64)
    return b"".join(_encode(v[at : at + _BLOCK]) for at in range(0, v.size, _BLOCK))


def _encode(v: npt.NDArray[np.int64]) -> bytes:
    if v.min() < 0 or v.max() >= 1 << (7 * _LONGEST):
        raise ValueError("a number is outside of 0 … 2^35 - 1")
    length = np.ones(v.size, dtype=np.int64)
    for k in range(1, _LONGEST):
        length += v >= 1 << (7 * k)
    end = np.cumsum(length)
    out = np.zeros(int(end[-1]), dtype=np.uint8)
    for k in range(_LONGEST):
        some = length > k
        more = (length[some] > k + 1).astype(np.int64) << 7
        out[(end - length)[some] + k] = ((v[some] >> (7 * k)) & 127) | more
    return out.tobytes()


def decode(data: bytes | memoryview) -> npt.NDArray[np.int64]:
    """Inverse of `encode`; raises `ValueError` for a cut stream, a number of over 35 bits, or padding zeros."""
    raw = np.frombuffer(data, dtype=np.uint8)
    out = np.zeros(int(np.count_nonzero(raw < 128)), dtype=np.int64)
    at = done = 0
    while at < raw.size:
        block = raw[at : at + _BLOCK]
        last = np.flatnonzero(block < 128)
        if last.size == 0 or (at + block.size == raw.size and last[-1] != block.size - 1):
            raise ValueError("the last number is cut" if at + block.size == raw.size else "a number is too long")
        _decode(block, last, out[done : done + last.size])
        at += int(last[-1]) + 1
        done += last.size
    return out


def _decode(raw: npt.NDArray[np.uint8], last: npt.NDArray[np.int64], out: npt.NDArray[np.int64]) -> None:
    """The numbers whose last bytes are raw[last], into `out`, which is 0."""
    first = np.concatenate([[0], last[:-1] + 1])
    length = last - first + 1
    if length.max() > _LONGEST:
        raise ValueError("a number is too long")
    if bool(((raw[last] == 0) & (length > 1)).any()):
        raise ValueError("a number has padding")
    for k in range(int(length.max())):
        some = length > k
        out[some] |= (raw[first[some] + k].astype(np.int64) & 127) << (7 * k)
