"""Shards of an experiment, for array jobs; and their merger into the table that one run would have made."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mcinj.errors import InputError


@dataclass(frozen=True)
class Shard:
    """Every `count`-th trial of each series, from the `index`-th on (1 … count), so that shards cost alike.

    >>> Shard.parse("3/16").trials(40)
    range(2, 40, 16)
    >>> str(Shard.parse("3/16"))
    '3/16'
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `K/N`, 1 <= K <= N; `InputError` for anything else."""
        found = re.fullmatch(r"([0-9]{1,7})/([0-9]{1,7})", text.strip(), re.ASCII)
        if not found or not 1 <= int(found.group(1)) <= int(found.group(2)):
            raise InputError(f"shard {text!r}: give K/N with 1 <= K <= N, e.g. 3/16 for the third of sixteen")
        return cls(int(found.group(1)), int(found.group(2)))

    def trials(self, goal: int) -> range:
        """Those of the first `goal` trials that belong to it."""
        return range(self.index - 1, goal, self.count)

    def __str__(self) -> str:
        return "" if self.count == 1 else f"{self.index}/{self.count}"


WHOLE = Shard(1, 1)
