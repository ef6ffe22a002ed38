"""All campaigns by name, and which of their outcomes are honest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from reliability import verdicts
from reliability.record import Run
from reliability.verdicts import Outcome

# What may happen without a false statement or a lost row.
HONEST = ("agreed", "unknown", "slow")


@dataclass(frozen=True)
class Campaign:
    """A source of outcomes, from an instance number on."""

    run: Callable[[int], Iterator[Outcome]]


CAMPAIGNS = {
    "one_layer": Campaign(verdicts.one_layer),
    "structured": Campaign(verdicts.structured),
    "deep": Campaign(verdicts.deep),
    "stability": Campaign(verdicts.stability),
    "inversion": Campaign(verdicts.inversion),
}


def bad(run: Run) -> dict[str, int]:
    """Outcomes that should not have happened."""
    return {kind: count for kind, count in run.counts.items() if kind not in HONEST}
