"""Numbers as bytes, in blocks: the same bytes and the same refusals wherever a block ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcinj.certify import varints

NUMBERS = st.lists(st.one_of(st.integers(0, 300), st.integers(0, 2**35 - 1)), max_size=40)


def leb128(values: list[int]) -> bytes:
    """The same, number by number."""
    out = bytearray()
    for value in values:
        while value >= 128:
            out.append(128 | (value & 127))
            value >>= 7
        out.append(value)
    return bytes(out)


@given(NUMBERS, st.integers(5, 60))
def test_blocks_do_not_show(values: list[int], block: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(varints, "_BLOCK", block)
        data = varints.encode(np.array(values, dtype=np.int64))
        assert data == leb128(values)
        assert varints.decode(data).tolist() == values


@pytest.mark.parametrize("block", [5, 6, 7, 1000])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x01\x80", "the last number is cut"),
        (b"\x01" * 9 + b"\x80", "the last number is cut"),
        (b"\x01\x80\x80\x80\x80\x80\x01", "a number is too long"),
        (b"\x80" * 30 + b"\x01", "a number is too long"),
        (b"\x01\x81\x00\x01", "a number has padding"),
        (b"\x01" * 4 + b"\x81\x00", "a number has padding"),
    ],
)
def test_what_is_refused(monkeypatch: pytest.MonkeyPatch, block: int, data: bytes, said: str) -> None:
    monkeypatch.setattr(varints, "_BLOCK", block)
    with pytest.raises(ValueError, match=said):
        varints.decode(data)


@pytest.mark.parametrize("value", [-1, 2**35])
def test_numbers_that_have_no_place(value: int) -> None:
    with pytest.raises(ValueError, match="outside of"):
        varints.encode(np.array([1, value]))
