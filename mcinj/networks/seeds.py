"""Seeds: a root and a path, so that any trial can be drawn again by itself, in any order, by any worker."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from mcinj.errors import InputError


@dataclass(frozen=True)
class Seed:
    """A root and a path of non-negative integers; written `"7/8/3"` for root 7 and path (8, 3).

    The path goes into `SeedSequence`'s `spawn_key`, not its entropy: entropy `[7]` equals `[7, 0]`, so paths
    of different lengths would collide there.

    >>> Seed.parse("7/8/3")
    Seed(root=7, path=(8, 3))
    >>> str(Seed(7).child(8, 3))
    '7/8/3'
    """

    root: int
    path: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for value in (self.root, *self.path):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
                raise InputError(f"a seed is a whole number >= 0 (or root/path such as 7/8/3), got {value!r}")
        for value in self.path:
            if value >= 2**32:
                raise InputError(f"the parts of a seed's path must be below 2^32, got {value}")

    @classmethod
    def parse(cls, value: Seed | int | str) -> Seed:
        """Accept a `Seed`, an integer root, or text such as `"7"` or `"7/8/3"`; else `InputError`."""
        if isinstance(value, Seed):
            return value
        if isinstance(value, str):
            # `isdigit` and `int` accept digits of other scripts; a seed is to be copied, so ASCII only.
            if not re.fullmatch(r"[0-9]+(/[0-9]+)*", value):
                raise InputError(f"a seed is a whole number >= 0 or root/path such as 7/8/3, got {value!r}")
            root, *path = (int(part) for part in value.split("/"))
            return cls(root, tuple(path))
        return cls(value)

    def child(self, *keys: int) -> Seed:
        """The seed below this one at `keys`."""
        return Seed(self.root, (*self.path, *keys))

    def generator(self, *keys: int) -> np.random.Generator:
        """A fresh PCG64 generator for the stream at `keys` below this seed."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.root, spawn_key=(*self.path, *keys))))

    def __str__(self) -> str:
        return "/".join(str(v) for v in (self.root, *self.path))
