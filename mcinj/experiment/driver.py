"""Run or resume an experiment: tasks go to a pool of workers, rows come back as they are ready, one process writes."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcinj._version import __version__
from mcinj.errors import InputError
from mcinj.experiment.checks import quarantined_of
from mcinj.experiment.config import Experiment, Group, load, parse
from mcinj.experiment.environment import write_environment
from mcinj.experiment.estimate import Part, estimate
from mcinj.experiment.lock import DirectoryLock
from mcinj.experiment.pools import Event, Here, Local, Pool
from mcinj.experiment.record import (
    drop_stale,
    goal,
    is_undecided,
    key_of,
    missing,
    open_record,
    part_of,
    plan_item,
    release,
    settle_quarantined,
    undecided,
    unknown_rows,
)
from mcinj.experiment.runlog import log, run_log, stoppable
from mcinj.experiment.searches import ActiveSet
from mcinj.experiment.shards import WHOLE, Shard
from mcinj.experiment.store import TABLE, Store, read_table, write_parquet
from mcinj.experiment.tasks import Supply, Task, small
from mcinj.files import make_directory

if TYPE_CHECKING:
    import pandas

COMMIT_SECONDS = 0.5
LOG_SECONDS = 60.0
RATE_SECONDS = 60.0  # the rate shown is that of the last minute
BACKENDS = ("local", "dask", "loky")
# So many trials set aside one after another, with none done in between: the fault is the machine's.
HOPELESS = 10


@dataclass
class Progress:
    """What a display may show; passed to the callback after every batch, and about twice a second.

    total, done     trials of this run (of this shard) and those that the record holds
    new             done since the start
    undecided       rows left undecided by a node budget or a quarantine
    quarantined     trials set aside because their workers died, as dictionaries `key`, `trial`, `deaths`, `cause`
    eta             seconds to go; None while nothing is measured
    guess           the n at which too little was measured for `eta` to be more than a guess
    at_most         a stopping rule may end the run earlier
    """

    total: int
    done: int = 0
    new: int = 0
    undecided: int = 0
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    eta: float | None = None
    guess: tuple[int, ...] = ()
    at_most: bool = False
    workers: int = 0
    _recent: deque[tuple[float, int]] = field(default_factory=deque, repr=False)

    @property
    def rate(self) -> float:
        """New trials per second over the last minute."""
        now = time.monotonic()
        while len(self._recent) > 1 and _due(self._recent[0][0], RATE_SECONDS):
            self._recent.popleft()
        since, new = self._recent[0] if self._recent else (self.started, 0)
        return (self.new - new) / (now - since) if now > since else 0.0

    def tick(self) -> None:
        """Note the count for the rate."""
        if not self._recent or _due(self._recent[-1][0], 1.0):
            self._recent.append((time.monotonic(), self.new))


def run(
    config: Experiment | dict[str, Any] | str | os.PathLike[str],
    *,
    jobs: int | None = None,
    backend: str = "local",
    results: str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
    shard: str | Shard | None = None,
    retry_quarantined: bool = False,
    isolate: bool = False,
    say: Callable[[str], None] | None = None,
) -> pandas.DataFrame:
    """Run or resume an experiment and return its table of trials.

    A worker that dies (killed, out of memory) costs the trial that it was at. That is tried again, and after three
    deaths set aside: its rows say UNKNOWN.

    Parameters
    ----------
    config
        An experiment file (TOML), the same as nested dictionaries, or an `Experiment`.
    jobs
        Worker processes; default: all cores. The table, its `seconds` aside, does not depend on it.
    backend
        `local` or `loky` (processes of this machine: our own, or joblib's until one of them dies), or `dask`
        (several machines: needs the extra `mcinj[dask]`, and a scheduler's address in DASK_SCHEDULER_ADDRESS).
    results
        Directory of the record, default `results/<name>`. Trials that it holds already are not repeated.
    progress
        Called with a `Progress` after every batch.
    shard
        `"3/16"`: only the third of sixteen equal shares of every series, into a directory of its own (default
        `results/<name>.3-of-16`); `mcinj.experiment.merge.merge` joins them.
    retry_quarantined
        Try again the trials that were set aside because their workers died.
    isolate
        With one job, use a worker process too, so that this process survives a trial that dies.
    say
        Called with a sentence where something takes long.

    Returns
    -------
    pandas.DataFrame
        Rows ordered by series and trial, their columns by kind: see `mcinj.experiment.columns.COLUMNS`.

    Raises
    ------
    InputError
        A bad experiment, unwritable results, a directory that another run is writing or that holds another
        experiment's results, a scheduler that does not answer.
    """
    experiment = _experiment(config)
    workers = _jobs(jobs)
    if backend not in BACKENDS:
        raise InputError(f"unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    part = _shard(experiment, shard)
    directory = make_directory(default_results(experiment, part) if results is None else results)
    with stoppable() as stopped, DirectoryLock(directory, say or (lambda _: None)):
        store = open_record(directory, experiment, part)
        try:
            with run_log(directory):
                work = _Run(store, directory, experiment, part, workers, backend, isolate, progress, stopped)
                return work.go(retry_quarantined)
        finally:
            store.close()


def _experiment(config: Experiment | dict[str, Any] | str | os.PathLike[str]) -> Experiment:
    if isinstance(config, Experiment):
        return config
    return parse(config) if isinstance(config, dict) else load(config)


def default_results(experiment: Experiment, shard: Shard) -> Path:
    """Where results go if nothing else is said."""
    suffix = f".{shard.index}-of-{shard.count}" if str(shard) else ""
    return Path("results") / (experiment.name + suffix)


def _shard(experiment: Experiment, shard: str | Shard | None) -> Shard:
    part = WHOLE if shard is None else shard if isinstance(shard, Shard) else Shard.parse(shard)
    if str(part) and any(series.rule for series in experiment.series):
        raise InputError(
            f"experiment {experiment.name} has a stopping rule, which looks at all trials in their order; a shard has "
            "only some: leave out `stop`, or run it in one piece"
        )
    return part


def _jobs(jobs: int | None) -> int:
    if jobs is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise InputError(f"jobs must be a whole number >= 1, got {jobs!r}")
    return jobs


def _due(since: float, seconds: float) -> bool:
    """Whether so many seconds are over, or the clock was set back, as that of a moved virtual machine may be."""
    return not 0 <= time.monotonic() - since < seconds


class _Run:
    """A run under way."""

    def __init__(
        self,
        store: Store,
        directory: Path,
        experiment: Experiment,
        shard: Shard,
        workers: int,
        backend: str,
        isolate: bool,
        progress: Callable[[Progress], None] | None,
        stopped: Callable[[], bool],
    ) -> None:
        self._store, self._directory, self._experiment, self._shard = store, directory, experiment, shard
        self._workers, self._backend, self._isolate = workers, backend, isolate
        self._show = progress or (lambda _: None)
        self._stopped = stopped
        self._state = Progress(total=0)
        self._parts: dict[Group, Part] = {}
        self._pending: list[dict[str, Any]] = []
        self._saved = self._logged = time.monotonic()
        self._given_up = 0

    def go(self, retry_quarantined: bool) -> pandas.DataFrame:
        """All of it: rounds of work until nothing is missing, then the table."""
        store, state = self._store, self._state
        read_table(self._directory)  # for its checks: a damaged record is left as it is
        if retry_quarantined:
            release(store, self._experiment)
        drop_stale(store, self._experiment)
        settle_quarantined(store, self._experiment)
        store.set_note("description", self._experiment.description)
        state.quarantined, state.undecided = quarantined_of(store.meta()), undecided(store)
        remote = self._backend == "dask" and bool(os.environ.get("DASK_SCHEDULER_ADDRESS"))
        log.info(
            "mcinj %s: %s, seed %d, %s, %s with %s workers",
            __version__,
            self._experiment.name,
            self._experiment.seed,
            f"shard {self._shard}" if str(self._shard) else "all trials",
            self._backend,
            "its scheduler's" if remote else self._workers,
        )
        try:
            self._rounds()
        except BaseException as error:
            log.info("ended before its end: %s", " ".join(f"{type(error).__name__} {error}".split()))
            # What is done is worth a table; what went wrong is said, not what the table says about it.
            with suppress(Exception):
                self._export()
            raise
        state.eta, state.guess = 0.0, ()
        self._show(state)
        aside = len(state.quarantined)
        log.info("complete: %d trials, %d undecided, %d quarantined", state.done, state.undecided, aside)
        return self._export()

    def _export(self) -> pandas.DataFrame:
        table, meta = read_table(self._directory)
        write_parquet(table, meta, self._directory / TABLE)
        write_environment(self._directory, jobs=self._workers, backend=self._backend)
        return table

    def _rounds(self) -> None:
        """Without stopping rules this is one round; a rule asks for its next look until it stops."""
        pool: Pool | None = None
        state = self._state
        try:
            while True:
                goals = [(group, *goal(self._store, group)) for group in self._experiment.groups]
                aside = {(tuple(item["key"]), item["trial"]) for item in state.quarantined}
                todo = [(g, missing(self._store, g, self._shard.trials(now), aside)) for g, now, _ in goals]
                self._store.set_note("plan", [plan_item(group, most) for group, _, most in goals])
                left = sum(len(trials) for _, trials in todo)
                state.total = sum(len(self._shard.trials(most)) for _, _, most in goals)
                state.done = sum(len(self._shard.trials(now)) for _, now, _ in goals) - left
                state.at_most = any(now < most for _, now, most in goals)
                if not left:
                    return
                self._show(state)
                log.info("%d of %d trials to do", state.total - state.done, state.total)
                for (group, now, most), (_, trials) in zip(goals, todo, strict=True):
                    self._parts[group] = part_of(self._store, group)
                    later = len(self._shard.trials(most)) - len(self._shard.trials(now))
                    self._parts[group].left = len(trials) + later
                pool = pool or self._pool()
                self._work(pool, Supply(todo, self._experiment.seed, self._workers))
        finally:
            if pool is not None:
                pool.close()
            self._save()

    def _pool(self) -> Pool:
        kinds = tuple(dict.fromkeys(small(group) for group in self._experiment.groups))
        if self._backend == "dask":
            from mcinj.experiment.cluster import Cluster

            return Cluster(self._workers, kinds)
        if self._workers == 1 and not self._isolate:
            return Here()
        if self._backend == "loky":
            from mcinj.experiment.loky import Loky

            return Loky(self._workers, kinds)
        return Local(self._workers, kinds)

    def _work(self, pool: Pool, supply: Supply) -> None:
        out = 0
        waiting: Task | None = None
        while True:
            if self._stopped():
                raise KeyboardInterrupt
            while pool.free() > 0 and (waiting := waiting or supply.next()):
                pool.submit(waiting)
                waiting, out = None, out + 1
            waiting = waiting or supply.next()
            if not out and waiting is None:
                break
            event = pool.next(COMMIT_SECONDS)
            if event is not None:
                out -= 1
                self._take(event, supply)
            if _due(self._saved, COMMIT_SECONDS):
                self._report(pool)
                self._save()
                self._show(self._state)
        self._report(pool)
        self._save()

    def _take(self, event: Event, supply: Supply) -> None:
        task, state, part = event.task, self._state, self._parts[event.task.group]
        if event.cause:
            deaths = supply.died(task)
            first, last = task.trials[0], task.trials[-1]
            log.warning("trials %d to %d of %s: %s", first, last, key_of(task.group), event.cause)
            if deaths:
                self._give_up(task, deaths, event.cause)
            return
        self._given_up = 0
        supply.saw(task, event.seconds)
        self._pending.extend(event.rows)
        state.done += len(task.trials)
        state.new += len(task.trials)
        state.undecided += sum(is_undecided(row) for row in event.rows)
        part.count += len(task.trials)
        part.seconds += event.seconds
        nodes = sum(row.get("nodes", 0) for row in event.rows)
        # Every width of a search for least active counts names the nodes of all.
        part.nodes += nodes // len(task.group.widths) if isinstance(task.group, ActiveSet) else nodes
        part.left -= len(task.trials)

    def _give_up(self, task: Task, deaths: int, cause: str) -> None:
        """Set a trial aside, in one transaction with its UNKNOWN rows."""
        state, trial = self._state, task.trials[0]
        state.quarantined.append({"key": key_of(task.group), "trial": trial, "deaths": deaths, "cause": cause})
        rows = list(unknown_rows(task.group, task.root, trial))
        self._store.add(rows, {"quarantined": state.quarantined})
        state.undecided += sum(is_undecided(row) for row in rows)
        state.done += 1
        self._parts[task.group].left -= 1
        log.warning("trial %d of %s is set aside after %d deaths of its worker", trial, key_of(task.group), deaths)
        self._given_up += 1
        if self._given_up >= HOPELESS:
            raise InputError(
                f"the workers of {HOPELESS} trials in a row died ({cause}); is memory short? try fewer --jobs, and "
                "--retry-quarantined"
            )

    def _report(self, pool: Pool) -> None:
        state = self._state
        state.tick()
        state.workers = pool.workers()
        running = [(self._parts[task.group], len(task.trials), age) for task, age in pool.running()]
        found = estimate(list(self._parts.values()), state.workers or self._workers, running)
        state.eta, state.guess = (None, ()) if found is None else (found.seconds, found.guess)
        if _due(self._logged, LOG_SECONDS):
            self._logged = time.monotonic()
            log.info(
                "%d of %d trials, %.2f trials/s, %s s to go%s, %d undecided, %d quarantined",
                state.done,
                state.total,
                state.rate,
                "?" if state.eta is None else f"{state.eta:.0f}",
                " (a guess)" if state.guess else "",
                state.undecided,
                len(state.quarantined),
            )

    def _save(self) -> None:
        """Commit the rows that have come in."""
        self._saved = time.monotonic()
        if not self._pending:
            return
        speed = {"rate": round(self._state.rate, 6), "workers": self._state.workers, "backend": self._backend}
        self._store.add(self._pending, {"speed": speed})
        self._pending = []


__all__ = ["BACKENDS", "Progress", "default_results", "run"]
