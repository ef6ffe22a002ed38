"""One decision on several cores: the top of the tree is searched first, its subtrees are shared out among threads.

Every subtree is searched exactly as the serial search would do it, so a pass, its nodes and its certificate are those
of the serial search, whatever the number of threads: results are read off in the serial order, and the node budget is
charged in that order too. What ends a search, a witness or a dependence, may be met in the top before its subtrees.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt

from mcinj.decide.layer import fields as fields
from mcinj.decide.layer.frames import Frames
from mcinj.decide.layer.search import End, Exploration, explore
from mcinj.decide.watch import current

_PER_JOB = 12  # subtrees per thread, for balance
_DEEPEST = 14


@dataclass(frozen=True)
class Shared:
    """Outcome of a shared search; `log` and `circuits` as in `Frames`, whole."""

    exploration: Exploration
    nodes: int
    log: npt.NDArray[np.int64]
    circuits: npt.NDArray[np.uint64]


@dataclass(frozen=True)
class _Part:
    exploration: Exploration
    nodes: int
    log: npt.NDArray[np.int64]
    circuits: npt.NDArray[np.uint64]


def search_shared(make: Callable[[], Frames], jobs: int, limit: int) -> Shared:
    """Search with `jobs` threads; `make` gives fresh frames, `limit` is the node budget."""
    for depth in range(4, _DEEPEST + 1, 2):
        top = make()
        tasks, before, result = _split(top, depth, limit)
        if result.end is not End.CLOSED or not tasks or len(tasks) >= _PER_JOB * jobs or depth == _DEEPEST:
            break
    log = top.LOG[: int(top.gi[fields.LOGGED])].copy()
    circuits = top.CIRC[: int(top.gi[fields.CIRCUITS])].copy()
    if result.end is not End.CLOSED or not tasks:
        return Shared(result, top.nodes, log, circuits)
    parts = _run(make, tasks, before, top.nodes, jobs, limit)
    # Read off in the serial order: the first subtree that ends otherwise decides.
    nodes = 0
    for k, part in enumerate(parts):
        if part is None:
            raise RuntimeError("a subtree was not searched")
        if before[k] + nodes + part.nodes > limit:
            return Shared(Exploration(End.LIMIT), limit, log, circuits)
        nodes += part.nodes
        if part.exploration.end is not End.CLOSED:
            return Shared(part.exploration, before[k] + nodes, log, circuits)
    if top.nodes + nodes > limit:
        return Shared(Exploration(End.LIMIT), limit, log, circuits)
    done = [part for part in parts if part is not None]
    log, circuits = _join(log, circuits, done)
    return Shared(Exploration(End.CLOSED), top.nodes + nodes, log, circuits)


def _split(top: Frames, depth: int, limit: int) -> tuple[list[_Snapshot], list[int], Exploration]:
    """Search down to `depth`; subtrees below become tasks, `before` the nodes of the top up to each."""
    top.gi[fields.CAP] = depth
    tasks: list[_Snapshot] = []
    before: list[int] = []
    while True:
        result = explore(top, lambda: limit)
        if result.end is not End.TASK:
            return tasks, before, result
        tasks.append(_Snapshot.of(top))
        before.append(top.nodes)
        if top.keep:
            top.LOG[int(top.gi[fields.LOGGED])] = fields.ELSEWHERE + len(tasks) - 1
            top.gi[fields.LOGGED] += 1
        top.gi[fields.DEPTH] -= 1


def _run(
    make: Callable[[], Frames], tasks: list[_Snapshot], before: list[int], top_nodes: int, jobs: int, limit: int
) -> list[_Part | None]:
    """Search all tasks; those after one that decides against a pass need not be finished."""
    parts: list[_Part | None] = [None] * len(tasks)
    stop = threading.Event()
    last = [len(tasks)]  # tasks from here on are not needed
    idle: SimpleQueue[Frames] = SimpleQueue()
    watch = current()
    for _ in range(jobs):
        idle.put(make())

    def allowance(k: int) -> int:
        if stop.is_set() or k > last[0]:
            return 0
        used = sum(p.nodes for p in parts[:k] if p is not None)
        return limit - before[k] - used

    def work(k: int) -> _Part:
        frames = idle.get()
        try:
            tasks[k].load(frames)
            exploration = explore(frames, lambda: allowance(k), watch)
            log = frames.LOG[: int(frames.gi[fields.LOGGED])].copy()
            return _Part(exploration, frames.nodes, log, frames.CIRC[: int(frames.gi[fields.CIRCUITS])].copy())
        finally:
            idle.put(frames)

    with ThreadPoolExecutor(jobs) as pool:
        pending: dict[Future[_Part], int] = {pool.submit(work, k): k for k in range(len(tasks))}
        try:
            while pending:
                finished, _ = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
                watch.poll(top_nodes + sum(part.nodes for part in parts if part is not None), len(pending))
                for future in finished:
                    k = pending.pop(future)
                    parts[k] = future.result()
                    if parts[k].exploration.end is not End.CLOSED:  # type: ignore[union-attr]
                        last[0] = min(last[0], k)
        except BaseException:
            stop.set()
            watch.stopped = True
            for future in pending:
                future.cancel()
            raise
    return parts


@dataclass(frozen=True)
class _Snapshot:
    """A frame that is about to be entered, with its parent's tail: all that the subtree depends on."""

    arrays: tuple[npt.NDArray[np.generic], ...]
    circuits: npt.NDArray[np.uint64]

    @classmethod
    def of(cls, f: Frames) -> _Snapshot:
        d = int(f.gi[fields.DEPTH])
        pair, slots = slice(d - 1, d + 1), slice(2 * d - 2, 2 * d + 1)
        ranked = (f.Q[pair].copy(),) if f.ranked else ()
        q = int(f.FI[d, fields.SETS])
        arrays = (
            f.FI[pair].copy(),
            f.M[slots].copy(),
            f.X[slots].copy(),
            f.U[slots].copy(),
            f.IDS[slots].copy(),
            f.S[slots].copy(),
            f.B[pair].copy(),
            f.PS[d].copy(),
            f.PV[d].copy(),
            *ranked,
        )
        return cls(arrays, f.CIRC[f.PC[d, :q]].copy())

    def load(self, f: Frames) -> None:
        """Make this the only work of `f`: the parent at depth 0, finished, and the frame at depth 1."""
        integers, m, x, u, ids, s, b, ps, pv, *ranked = self.arrays
        f.FI[:2], f.M[:3], f.X[:3], f.U[:3], f.IDS[:3] = integers, m, x, u, ids
        f.S[:3], f.B[:2], f.PS[1], f.PV[1] = s, b, ps, pv
        if ranked:
            f.Q[:2] = ranked[0]
        q = len(self.circuits)
        f.CIRC[:q] = self.circuits
        f.PC[1, :q] = np.arange(q)
        f.FI[0, fields.PHASE] = fields.LEAVE
        f.gi[fields.DEPTH], f.gi[fields.NODES], f.gi[fields.LOGGED] = 1, 0, 0
        f.gi[fields.CIRCUITS] = q


def _join(
    log: npt.NDArray[np.int64], circuits: npt.NDArray[np.uint64], parts: list[_Part]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Put the subtrees' logs in their places; their circuits follow those of the top."""
    pieces = []
    shift = len(circuits)
    last = 0
    for place in np.flatnonzero(log >= fields.ELSEWHERE):
        part = parts[int(log[place]) - fields.ELSEWHERE]
        own = part.log.copy()
        own[(own >= fields.NUMBER) & (own < fields.PLAIN)] += shift
        shift += len(part.circuits)
        pieces += [log[last:place], own]
        last = int(place) + 1
    pieces.append(log[last:])
    return np.concatenate(pieces), np.concatenate([circuits, *(part.circuits for part in parts)])


__all__ = ["Shared", "search_shared"]
