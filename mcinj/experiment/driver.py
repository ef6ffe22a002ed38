"""Run or resume an experiment: seeds go to joblib workers, rows come back as they are ready, one process writes."""

from __future__ import annotations

import functools
import importlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcinj.errors import InputError
from mcinj.experiment.config import Experiment, Series, StackSet, load, parse
from mcinj.experiment.environment import write_environment
from mcinj.experiment.store import TABLE, Store, read_parquet, read_table, write_parquet
from mcinj.files import make_directory

if TYPE_CHECKING:
    import pandas

# A task is so many trials that it takes about this long: short enough for a live progress display and for even
# loads at the end, long enough that sending it costs nothing.
TASK_SECONDS = 0.4
COMMIT_SECONDS = 0.5
BACKENDS = ("loky", "dask")

Group = Series | StackSet


@dataclass
class Progress:
    """What a display may show; passed to the callback after every batch."""

    total: int
    done: int = 0
    new: int = 0
    undecided: int = 0
    started: float = field(default_factory=time.monotonic)
    eta: float | None = None

    @property
    def rate(self) -> float:
        """New trials per second since the start."""
        return self.new / max(time.monotonic() - self.started, 1e-9)


def run(
    config: Experiment | dict[str, Any] | str | os.PathLike[str],
    *,
    jobs: int | None = None,
    backend: str = "loky",
    results: str | os.PathLike[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> pandas.DataFrame:
    """Run or resume an experiment and return its table of trials.

    Parameters
    ----------
    config
        An experiment file (TOML), the same as nested dictionaries, or an `Experiment`.
    jobs
        Worker processes; default: all cores. The table, its `seconds` aside, does not depend on it.
    backend
        `loky` (this machine) or `dask` (several; needs the extra `mcinj[dask]`, and a scheduler's address in
        DASK_SCHEDULER_ADDRESS for a cluster).
    results
        Directory of the record, default `results/<name>`. Trials that it holds already are not repeated.
    progress
        Called with a `Progress` after every batch.

    Returns
    -------
    pandas.DataFrame
        One row per trial, ordered by series and trial: see `mcinj.experiment.store.THRESHOLD_COLUMNS`.

    Raises
    ------
    InputError
        A bad experiment, unwritable results, or a directory that holds another experiment's results.
    """
    experiment = _experiment(config)
    workers = _jobs(jobs)
    if backend not in BACKENDS:
        raise InputError(f"unknown backend {backend!r}; choose one of {', '.join(BACKENDS)}")
    directory = make_directory(Path("results") / experiment.name if results is None else results)
    store = _open(directory, experiment)
    try:
        _drop_stale(store, experiment)
        todo = [(group, _missing(store, group)) for group in experiment.groups]
        left = sum(len(trials) for _, trials in todo)
        state = Progress(total=experiment.trials, done=experiment.trials - left, undecided=_undecided(store))
        plan = [{"key": _label(g), "trials": _count(g)} for g in experiment.groups]
        store.set_note("plan", plan)
        store.set_note("description", experiment.description)
        try:
            if left:
                _work(store, experiment.seed, todo, workers, backend, state, progress)
        finally:
            table, meta = read_table(directory)
            write_parquet(table, meta, directory / TABLE)
            write_environment(directory, jobs=workers, backend=backend)
    finally:
        store.close()
    return table


def _experiment(config: Experiment | dict[str, Any] | str | os.PathLike[str]) -> Experiment:
    if isinstance(config, Experiment):
        return config
    return parse(config) if isinstance(config, dict) else load(config)


def _jobs(jobs: int | None) -> int:
    if jobs is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise InputError(f"jobs must be a whole number >= 1, got {jobs!r}")
    return jobs


def _open(directory: Path, experiment: Experiment) -> Store:
    """The record of the directory; an empty directory with a committed table starts from that table."""
    from mcinj.experiment.store import DATABASE

    fresh = not (directory / DATABASE).exists()
    imported = None
    if fresh and (directory / TABLE).exists():
        imported, meta = read_parquet(directory / TABLE)
        wanted = {"name": experiment.name, "seed": str(experiment.seed), "kind": experiment.kind}
        for key, value in wanted.items():
            if meta.get(key) != value:
                raise InputError(
                    f"{directory / TABLE} holds results of another experiment ({key} {meta.get(key)!r}, "
                    f"not {value!r}); "
                    "choose another --results"
                )
    store = Store(directory, experiment.name, experiment.seed, experiment.kind)
    if imported is not None:
        missing = imported.isna()
        rows = imported.astype(object).where(~missing, None)
        store.add(dict(zip(rows.columns, row, strict=True)) for row in rows.itertuples(index=False, name=None))
    return store


def _drop_stale(store: Store, experiment: Experiment) -> None:
    """A row made under another node budget stays if this budget gives the same row; otherwise it is drawn again.

    A draw that ended within its budget ends in the same way under every budget that is not below its nodes.
    """
    if store.kind == "threshold":
        decided = "(failed_layer IS NOT NULL OR (m_hi IS NOT NULL AND m_hi = m_lo + 1))"
    else:
        decided = "verdict <> 'unknown'"
    for group in experiment.groups:
        where, values = _where(group)
        budget = group.node_budget
        fits = "1" if budget is None else f"nodes <= {int(budget)}"
        store.update(
            f"DELETE FROM trials WHERE {where} AND node_budget IS NOT ? AND NOT ({decided} AND {fits})",
            (*values, budget),
        )
        store.update(
            f"UPDATE trials SET node_budget = ? WHERE {where} AND node_budget IS NOT ?", (budget, *values, budget)
        )


def _where(group: Group) -> tuple[str, tuple[Any, ...]]:
    if isinstance(group, Series):
        return "n = ? AND widths_before = ? AND criterion = ? AND ensemble = ?", group.key
    return "n = ? AND widths = ? AND ensemble = ?", (group.n, _widths(group), group.ensemble)


def _widths(group: StackSet) -> str:
    return ",".join(str(w) for w in group.widths)


def _label(group: Group) -> list[Any]:
    return list(group.key) if isinstance(group, Series) else [group.n, _widths(group), group.ensemble]


def _count(group: Group) -> int:
    return group.trials if isinstance(group, Series) else group.count


def _missing(store: Store, group: Group) -> list[int]:
    """Trials of a group that the record does not hold (for stacks: not with every criterion and engine)."""
    where, values = _where(group)
    if isinstance(group, Series):
        held = {t for (t,) in store.select("trial", where, values)}
        return [t for t in range(group.trials) if t not in held]
    rows = set(store.select("trial, criterion, engine", where, values))
    wanted = [(c, e) for c in group.criteria for e in group.engines]
    return [t for t in range(group.count) if any((t, c, e) not in rows for c, e in wanted)]


def _undecided(store: Store) -> int:
    if store.kind == "threshold":
        where = "failed_layer IS NULL AND (m_hi IS NULL OR m_lo IS NULL OR m_hi <> m_lo + 1)"
    else:
        where = "verdict = 'unknown'"
    return int(store.select("COUNT(*)", where)[0][0])


def _is_undecided(row: dict[str, Any]) -> bool:
    if "verdict" in row:
        return bool(row["verdict"] == "unknown")
    return row["failed_layer"] is None and (
        row["m_hi"] is None or row["m_lo"] is None or row["m_hi"] != row["m_lo"] + 1
    )


@functools.cache
def _warm() -> None:
    """Load the compiled search once per process, so that no trial's `seconds` holds it."""
    from mcinj.experiment.trial import threshold

    threshold(2)


def run_task(group: Group, root: int, trials: list[int]) -> tuple[Group, int, float, list[dict[str, Any]]]:
    """Some trials of one group, in a worker: the group, how many, seconds, rows."""
    _warm()
    started = time.perf_counter()
    rows: list[dict[str, Any]] = []
    if isinstance(group, StackSet):
        from mcinj.experiment.stacks import stack_rows

        for trial in trials:
            rows.extend(stack_rows(group, root, trial))
    else:
        from mcinj.experiment.trial import threshold_row

        rows.extend(threshold_row(group, root, trial) for trial in trials)
    return group, len(trials), time.perf_counter() - started, rows


class _Tasks:
    """Cuts what is to be done into tasks of about `TASK_SECONDS`, by the speed seen so far."""

    def __init__(self, todo: list[tuple[Group, list[int]]], root: int, workers: int) -> None:
        self._todo, self._root, self._workers = todo, root, workers
        self._cost: dict[int, float] = {}
        self._left = {id(group): len(trials) for group, trials in todo}

    def __iter__(self) -> Iterator[tuple[Group, int, list[int]]]:
        for group, trials in self._todo:
            start = 0
            while start < len(trials):
                cost = self._cost.get(id(group))
                size = 1 if cost is None else int(max(1, min(TASK_SECONDS / max(cost, 1e-6), 5000)))
                # The last trials of a group go out in small tasks, so that no worker waits for another.
                size = max(1, min(size, (len(trials) - start) // (2 * self._workers)))
                yield group, self._root, trials[start : start + size]
                start += size

    def saw(self, group: Group, trials: int, seconds: float) -> None:
        """Learn from a finished task."""
        for known, _ in self._todo:
            if known == group:
                self._left[id(known)] -= trials
                mean = seconds / trials
                old = self._cost.get(id(known))
                weight = min(1.0, trials / 20.0)
                self._cost[id(known)] = mean if old is None else (1 - weight) * old + weight * mean

    def eta(self) -> float | None:
        """Seconds to go on all workers; a group not yet begun is taken to cost 3 times the one before per input."""
        total, last = 0.0, None
        for group, _ in self._todo:
            cost = self._cost.get(id(group))
            if cost is None and last is not None:
                cost = last[1] * 3.0 ** max(group.n - last[0], 0)
            if cost is None:
                return None
            last = (group.n, cost)
            total += cost * self._left[id(group)]
        return total / self._workers


def _work(
    store: Store,
    root: int,
    todo: list[tuple[Group, list[int]]],
    workers: int,
    backend: str,
    state: Progress,
    progress: Callable[[Progress], None] | None,
) -> None:
    tasks = _Tasks(todo, root, workers)
    pending: list[dict[str, Any]] = []
    last = time.monotonic()
    if progress is not None:
        progress(state)
    try:
        with _pool(tasks, workers, backend) as finished:
            for group, trials, seconds, rows in finished:
                tasks.saw(group, trials, seconds)
                pending.extend(rows)
                state.done += trials
                state.new += trials
                state.undecided += sum(_is_undecided(row) for row in rows)
                state.eta = tasks.eta()
                if time.monotonic() - last > COMMIT_SECONDS:
                    store.add(pending)
                    pending = []
                    last = time.monotonic()
                    if progress is not None:
                        progress(state)
    finally:
        store.add(pending)
    state.eta = 0.0
    if progress is not None:
        progress(state)


class _Pool(AbstractContextManager["_Pool"]):
    """Results of the tasks in the order in which they end; closing it stops the workers."""

    def __init__(
        self, results: Iterator[Any], stop: Callable[[bool], None], context: AbstractContextManager[Any]
    ) -> None:
        self._results, self._stop, self._context = results, stop, context

    def __enter__(self) -> _Pool:
        return self

    def __iter__(self) -> Iterator[Any]:
        return self._results

    def __exit__(self, *failure: object) -> None:
        self._stop(failure[0] is not None)
        self._context.__exit__(None, None, None)


def _pool(tasks: _Tasks, workers: int, backend: str) -> _Pool:
    if workers == 1 and backend == "loky":
        return _Pool((run_task(*task) for task in tasks), lambda _: None, nullcontext())
    import joblib

    _warm()  # compiled once here, so that the workers find it in the cache instead of compiling side by side
    context: Any
    if backend == "dask":
        client = _dask_client(workers)
        context = joblib.parallel_config(backend="dask")
    else:
        client = None
        # One thread per worker: BLAS would otherwise start one per core in each.
        context = joblib.parallel_config(backend="loky", inner_max_num_threads=1)
    context.__enter__()
    parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered", pre_dispatch="2*n_jobs", batch_size=1)
    results = parallel(joblib.delayed(run_task)(*task) for task in tasks)

    def stop(failed: bool) -> None:
        if client is not None:
            client.close()
        elif failed:
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor().shutdown(wait=False, kill_workers=True)

    return _Pool(iter(results), stop, context)


def _dask_client(workers: int) -> Any:
    try:
        client: Any = importlib.import_module("distributed").Client
    except ImportError:
        raise InputError("the backend dask needs an extra: pip install 'mcinj[dask]'") from None
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    if address:
        return client(address)
    return client(n_workers=workers, threads_per_worker=1, dashboard_address=None)
