"""Drive the compiled search: exact answers where it asks for them, in slices that an interrupt can end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from mcinj.certify.witness import Witness
from mcinj.decide import kernel
from mcinj.decide.kernel_state import Frames
from mcinj.decide.onelayer_exact import small_multiple

_SLICE = 20_000  # nodes between two looks at the outside world: about 0.2 s


class End(Enum):
    """Why a search came back."""

    CLOSED = "every leaf is proved"
    FAILED = "a witness was found"
    LIMIT = "the nodes are used up"
    DEGENERATE = "count is not rank for these weights"
    TASK = "a subtree is handed out"


@dataclass(frozen=True)
class Exploration:
    """How a search ended, and its witness."""

    end: End
    witness: Witness | None = None


def explore(frames: Frames, limit: Callable[[], int]) -> Exploration:
    """Run until the stack is empty, a witness is found, or `limit()` nodes are used up (asked for at every slice)."""
    while True:
        allowed = limit()
        reason = frames.run(min(allowed, frames.nodes + _SLICE))
        if frames.is_degenerate() and not frames.ranked:
            return Exploration(End.DEGENERATE)
        if reason == kernel.DONE:
            return Exploration(End.CLOSED)
        if reason == kernel.TASK:
            return Exploration(End.TASK)
        if reason == kernel.PAUSED and frames.nodes >= allowed:
            return Exploration(End.LIMIT)
        found = None
        if reason == kernel.WITNESS:
            found = frames.layer.witness_near(frames.point())
            if found is None:
                raise RuntimeError("a proved witness could not be made exact; please report this network")
        elif reason == kernel.RESOLVE:
            point = frames.resolve()
            if point is not None:
                found = frames.layer.witness_at(small_multiple(point))
        if found is not None:
            return Exploration(End.FAILED, found)
