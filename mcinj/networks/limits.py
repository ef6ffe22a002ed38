"""How large a network file may be; sizes come from headers and shapes, before anything of that size is allocated."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

from mcinj.errors import InputError

# Exact copies of weights take about 100 bytes and 3 microseconds each: this many are seconds and half a gigabyte.
MAX_WEIGHTS = 4_000_000
# Largest exact matrix product, in entries of factors and result together: 4 s of processor time for 400 x 400 floats.
MAX_PRODUCT = 500_000
# Most numbers that are multiplied or added one by one as rationals: about a microsecond each.
MAX_STEPS = 1_000_000
# Eight bytes per weight leave room for formats that spend more.
MAX_BYTES = 2**28


def check_weights(shapes: Iterable[Iterable[int]], what: str) -> None:
    """Refuse arrays of these shapes together if they hold more than `MAX_WEIGHTS` numbers; `what` begins the line."""
    count = sum(prod(int(d) for d in shape) for shape in shapes)
    if count > MAX_WEIGHTS:
        raise InputError(
            f"{what} {_round(count)} numbers, more than the {MAX_WEIGHTS:,} that are read; "
            "networks of that size are not decided here"
        )


def file_of(path: Any, limit: int = MAX_BYTES) -> Path:
    """The path of a readable file of bearable size."""
    source = Path(path)
    try:
        if source.is_dir():
            raise InputError(f"{source} is a directory; give a file")
        size = source.stat().st_size
        source.open("rb").close()
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise InputError(f"{source} cannot be read: {error}") from None
    if size > limit:
        raise InputError(f"{source} holds {size:,} bytes, more than the {limit >> 20} MiB that are read")
    return source


def _round(count: int) -> str:
    return f"{count:,}" if count < 10**15 else f"about 10^{len(str(count)) - 1}"
