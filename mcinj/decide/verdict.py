"""The answer of a decision: named outcomes, what proves them, what they cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mcinj.certify.witness import Witness

if TYPE_CHECKING:
    from mcinj.decide.known import Known


class Outcome(StrEnum):
    """What a criterion says of a network."""

    INJECTIVE = "injective"
    NOT_INJECTIVE = "not_injective"
    UNKNOWN = "unknown"


class Criterion(StrEnum):
    """`layerwise`: every layer alone; `regional`: rank n on every region; `global`: the definition."""

    LAYERWISE = "layerwise"
    REGIONAL = "regional"
    GLOBAL = "global"


class Certified(StrEnum):
    """How a pass is proved. A failure is always `exact`: its witness is checked in exact arithmetic.

    `exact`: every step proved for these very weights. `generic`: counts proved, and rank follows from a premise that
    the verdict names: the weights were drawn from a continuous law, or the user assumes general position. `none`: rests
    on floating-point computations.
    """

    EXACT = "exact"
    GENERIC = "generic"
    NONE = "none"


class Reason(StrEnum):
    """Why a decision is UNKNOWN."""

    BUDGET = "the node budget is used up"
    TIME = "the time limit is over"
    RANK = (
        "counts are proved, rank is not, and the node budget is used up; if no coincidence is built into the weights "
        "(tied, repeated or dependent rows), --assume-generic takes count for rank"
    )
    RANGE = "numbers leave the range of float64 on the way"
    PRIME = "a denominator of the weights is divisible by the prime 2147483647, which ranks are taken by"
    RESIDUES = "rows are dependent modulo the prime 2147483647, which ranks are taken by, and not over the rationals"
    TOUCH = "collisions touch the ball from outside, or lie too close to it"


class Engine(StrEnum):
    """`auto` picks the fastest engine that supports the case."""

    AUTO = "auto"
    TREE = "tree"
    LP = "lp"
    MILP = "milp"


@dataclass(frozen=True)
class Verdict:
    """Outcome of one criterion on one network.

    Attributes
    ----------
    verdict
        `Outcome`: the criterion passes, fails, or is undecided within the node budget.
    criterion, engine, certified
        See the enumerations.
    layer
        1-based layer of a failure, else None. For `layerwise` the witness lives in that layer's input space.
    n, widths
        Shape of the network.
    nodes, seconds
        Cost of the search; nodes are machine-independent.
    witness
        Colliding inputs of a failure, verified exactly, else None.
    network_injective
        What the verdict implies for the whole network: True, False or None (nothing).
    certificate
        Proof of a pass as bytes of the certificate file, if the engine gives one and it was asked for.
    assumption
        What a `generic` pass takes for granted, in words; None for every other verdict.
    reason
        Why the outcome is unknown, in words; None if it is not.
    known
        What is known where the outcome is unknown, else None.
    """

    verdict: Outcome
    criterion: Criterion
    engine: Engine
    certified: Certified
    n: int
    widths: tuple[int, ...]
    nodes: int
    seconds: float
    layer: int | None = None
    witness: Witness | None = None
    network_injective: bool | None = None
    certificate: bytes | None = field(default=None, repr=False)
    assumption: str | None = None
    reason: str | None = None
    known: Known | None = None

    @property
    def passed(self) -> bool:
        """Whether the criterion was decided and passes."""
        return self.verdict is Outcome.INJECTIVE

    def to_json(self) -> dict[str, Any]:
        """The object that `mcinj check --json` prints."""
        return {
            "verdict": str(self.verdict),
            "criterion": str(self.criterion),
            "layer": self.layer,
            "engine": str(self.engine),
            "n": self.n,
            "widths": list(self.widths),
            "certified": str(self.certified),
            "assumption": self.assumption,
            "reason": self.reason,
            "nodes": self.nodes,
            "seconds": self.seconds,
            "witness": None if self.witness is None else self.witness.to_json(),
            "network_injective": self.network_injective,
            "known": None if self.known is None else self.known.to_json(),
        }
