"""Drive the compiled search: exact answers where it asks for them, in slices that an interrupt can end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from mcinj.certify.witness import Witness
from mcinj.decide.layer import fields as fields
from mcinj.decide.layer.exact import small_multiple
from mcinj.decide.layer.frames import Frames
from mcinj.decide.watch import Pace, Watch, current

_STRIDE = 20_000  # nodes between two looks at whether count is rank: a number, so that nodes do not depend on time
_LARGE = 20_000  # entries of a layer from which a single node may take long


class End(Enum):
    """Why a search came back."""

    CLOSED = "every leaf is proved"
    FAILED = "a witness was found"
    LIMIT = "the nodes are used up"
    DEGENERATE = "count is not rank for these weights"
    TASK = "a subtree is handed out"
    PRIME = "rows are dependent modulo the prime, and not over the rationals"


@dataclass(frozen=True)
class Exploration:
    """How a search ended, and its witness."""

    end: End
    witness: Witness | None = None


def explore(frames: Frames, limit: Callable[[], int], watch: Watch | None = None) -> Exploration:
    """Run until the stack is empty, a witness is found, or `limit()` nodes are used up (asked for at every stride).

    `watch`: polled after every slice, but told of no nodes, when several threads share a search; by default the
    current one, which is told.
    """
    shared = watch is not None
    watch = watch or current()
    pace = Pace()
    while True:
        allowed = limit()
        reason = _stride(frames, min(allowed, frames.nodes + _STRIDE), pace, watch, shared)
        if frames.is_degenerate() and not frames.ranked:
            return Exploration(End.DEGENERATE)
        if reason == fields.DONE:
            return Exploration(End.CLOSED)
        if reason == fields.TASK:
            return Exploration(End.TASK)
        if reason == fields.PAUSED and frames.nodes >= allowed:
            return Exploration(End.LIMIT)
        found = None
        if reason == fields.WITNESS:
            found = frames.layer.witness_near(frames.point())
            if found is None and not frames.pass_by():
                raise RuntimeError("a proved witness could not be made exact; please report this network")
        elif reason == fields.RESOLVE:
            point = frames.resolve()
            if point is not None:
                found = frames.layer.witness_at(small_multiple(point))
                if found is None and not frames.branches():
                    # All rows are decided; some left the game as dependent, modulo the prime.
                    return Exploration(End.PRIME)
        if found is not None:
            return Exploration(End.FAILED, found)


def _stride(frames: Frames, stop: int, pace: Pace, watch: Watch, shared: bool) -> int:
    """Run to `stop` nodes in total, in slices of about a tenth of a second; returns the kernel's reason."""
    large = not shared and frames.layer.m * frames.layer.g > _LARGE
    while True:
        before = frames.nodes
        goal = min(stop, before + pace.begin())
        reason = watch.aside(lambda: frames.run(goal)) if large else frames.run(goal)  # noqa: B023
        pace.end(frames.nodes - before)
        if shared:
            watch.poll()
        else:
            _tell(frames, watch, reason)
        if reason != fields.PAUSED or frames.nodes >= stop:
            return reason


def _tell(frames: Frames, watch: Watch, reason: int) -> None:
    depth = int(frames.gi[fields.DEPTH])
    if reason == fields.PAUSED and depth >= 0:
        # The frame on top is about to be entered: its center, and the values of all rows there.
        g = frames.layer.g
        point = frames.X[2 * depth, :g]
        t = float(point[-1]) if frames.layer.half_space else 1.0
        if t > 0.0 and point.any():
            count = int((frames.S[2 * depth, : frames.rows] > 0.0).sum())
            watch.see(1, count, lambda: tuple((point[: frames.layer.n] / t).tolist()))
    watch.poll(frames.nodes, int((frames.FI[: depth + 1, fields.PHASE] <= fields.POSITIVE).sum()))
