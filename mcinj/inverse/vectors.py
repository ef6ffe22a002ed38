"""Vectors of numbers from files and from text. Nothing is ever unpickled."""

from __future__ import annotations

import os
import re
from fractions import Fraction

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.limits import file_of
from mcinj.networks.optional import first_line

_MOST = 2**24  # bytes


def read_vector(path: str | os.PathLike[str]) -> list[Fraction]:
    """A vector from `.npy` (one-dimensional, real numbers) or from a text file; else `InputError`."""
    source = file_of(path, _MOST)
    if source.suffix.lower() != ".npy":
        try:
            return parse_vector(source.read_text("utf-8"), str(source))
        except UnicodeDecodeError:
            raise InputError(f"{source}: neither .npy nor text; give numbers separated by commas or spaces") from None
    try:
        array = np.load(source, allow_pickle=False)
    except Exception as error:  # numpy has no common base for damaged files
        raise InputError(f"{source} cannot be read as .npy: {first_line(error)}") from None
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "fiu":
        raise InputError(f"{source}: a vector of real numbers is needed")
    if array.dtype.itemsize > 8 or not np.isfinite(array).all():
        raise InputError(f"{source}: every entry must be a finite number of at most 64 bits")
    return [Fraction(v) for v in array.tolist()]


def parse_vector(text: str, what: str) -> list[Fraction]:
    """Numbers separated by commas, semicolons or white space; decimals are the float64 next to them, `2/3` is exact.

    >>> parse_vector("1, 2/3 0.5", "y")
    [Fraction(1, 1), Fraction(2, 3), Fraction(1, 2)]
    """
    result = []
    for part in (p for p in re.split(r"[\s,;]+", text) if p):
        try:
            if re.fullmatch(r"[+-]?[0-9]{1,4000}(/[0-9]{1,4000})?", part):
                result.append(Fraction(part))
            else:
                result.append(Fraction(float(part)))
        except (ValueError, OverflowError, ZeroDivisionError):
            raise InputError(f"{what}: {part[:40]!r} is no finite number; give numbers such as 1,2/3,0.5") from None
    return result
