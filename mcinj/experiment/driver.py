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
from mcinj.experiment.config import Experiment, Group, Series, StackSet, load, parse
from mcinj.experiment.environment import write_environment
from mcinj.experiment.searches import ActiveSet, CellSet, ProbeSet, SearchSet
from mcinj.experiment.store import TABLE, Store, read_parquet, read_table, write_parquet
from mcinj.files import make_directory

if TYPE_CHECKING:
    import pandas

# A task is so many trials that it takes about this long: short enough for a live progress display and for even
# loads at the end, long enough that sending it costs nothing.
TASK_SECONDS = 0.4
COMMIT_SECONDS = 0.5
BACKENDS = ("loky", "dask")


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
        Rows ordered by series and trial, their columns by kind: see `mcinj.experiment.store.COLUMNS`.

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
        state = Progress(total=0, undecided=_undecided(store))
        store.set_note("description", experiment.description)
        try:
            # Without stopping rules this is one round; a rule asks for its next look until it stops.
            while True:
                goals = [(group, *_goal(store, group)) for group in experiment.groups]
                todo = [(group, _missing(store, group, goal)) for group, goal, _ in goals]
                store.set_note("plan", [_plan(group, most) for group, _, most in goals])
                left = sum(len(trials) for _, trials in todo)
                state.total = sum(most for _, _, most in goals)
                state.done = sum(goal for _, goal, _ in goals) - left
                if not left:
                    break
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
        if not isinstance(group, Series | StackSet):
            _drop_partial(store, group)
            continue
        budget = group.node_budget
        fits = "1" if budget is None else f"nodes <= {int(budget)}"
        store.update(
            f"DELETE FROM trials WHERE {where} AND node_budget IS NOT ? AND NOT ({decided} AND {fits})",
            (*values, budget),
        )
        store.update(
            f"UPDATE trials SET node_budget = ? WHERE {where} AND node_budget IS NOT ?", (budget, *values, budget)
        )


def _drop_partial(store: Store, group: SearchSet) -> None:
    """Trials whose rows are not those that the set asks for (other widths, another budget) are made again."""
    where, values = _where(group)
    columns = [*group.parts[0], *group.settings]
    wanted = {(*part.values(), *group.settings.values()) for part in group.parts}
    found: dict[int, set[tuple[Any, ...]]] = {}
    for trial, *row in store.select(", ".join(["trial", *columns]), where, values):
        found.setdefault(trial, set()).add(tuple(row))
    for trial in (t for t, rows in found.items() if rows != wanted):
        store.update(f"DELETE FROM trials WHERE {where} AND trial = ?", (*values, trial))


def _where(group: Group) -> tuple[str, tuple[Any, ...]]:
    if isinstance(group, Series):
        return "n = ? AND widths_before = ? AND criterion = ? AND ensemble = ?", group.key
    if isinstance(group, StackSet):
        return "n = ? AND widths = ? AND ensemble = ?", (group.n, _widths(group), group.ensemble)
    return " AND ".join(f"{column} = ?" for column in group.keys), tuple(group.keys.values())


def _widths(group: StackSet) -> str:
    return ",".join(str(w) for w in group.widths)


def _plan(group: Group, trials: int) -> dict[str, Any]:
    """What `status` and `report` know of a group: its key, the trials that it will have, its stopping rule."""
    if isinstance(group, Series):
        rule = {"rule": group.rule} if group.rule else {}
        return {"key": list(group.key), "trials": trials, **rule}
    if isinstance(group, StackSet):
        return {"key": [group.n, _widths(group), group.ensemble], "trials": trials}
    return {"key": list(group.keys.values()), "trials": trials}


def _goal(store: Store, group: Group) -> tuple[int, int]:
    """(trials wanted at present, trials wanted at most): they differ where a stopping rule has not stopped yet."""
    if isinstance(group, StackSet):
        return group.count, group.count
    if not isinstance(group, Series) or not group.rule:
        return group.trials, group.trials
    from mcinj.infer.sample import ThresholdSample
    from mcinj.infer.stopping import decide, parse_rule

    rule = parse_rule(group.rule)
    where, values = _where(group)
    rows = sorted(store.select("trial, m_lo, m_hi, failed_layer", where, values))
    # Trials count in the order of their numbers: those after a gap are not looked at yet.
    first = next((k for k, row in enumerate(rows) if row[0] != k), len(rows))
    if not first:
        return rule.looks[0], group.trials
    _, m_lo, m_hi, failed = zip(*rows[:first], strict=True)
    decision = decide(rule, ThresholdSample.build(m_lo, m_hi, group.n, failed=failed))
    return (decision.trials, decision.trials) if decision.stop else (decision.wanted, group.trials)


def _missing(store: Store, group: Group, goal: int) -> list[int]:
    """Trials of a group, of the first `goal`, that the record does not hold in full."""
    where, values = _where(group)
    if isinstance(group, StackSet):
        rows = set(store.select("trial, criterion, engine", where, values))
        wanted = [(c, e) for c in group.criteria for e in group.engines]
        return [t for t in range(goal) if any((t, c, e) not in rows for c, e in wanted)]
    held = {t for (t,) in store.select("trial", where, values)}
    return [t for t in range(goal) if t not in held]


def _undecided(store: Store) -> int:
    where = {
        "threshold": "failed_layer IS NULL AND (m_hi IS NULL OR m_lo IS NULL OR m_hi <> m_lo + 1)",
        "stacks": "verdict = 'unknown'",
        "active": "active_hi IS NULL",
    }.get(store.kind, "0")
    return int(store.select("COUNT(*)", where)[0][0])


def _is_undecided(row: dict[str, Any]) -> bool:
    if "verdict" in row:
        return bool(row["verdict"] == "unknown")
    if "failed_layer" not in row:
        return "active_hi" in row and row["active_hi"] is None
    return row["failed_layer"] is None and (
        row["m_hi"] is None or row["m_lo"] is None or row["m_hi"] != row["m_lo"] + 1
    )


@functools.cache
def _warm(kind: str) -> None:
    """Load the compiled search once per process, so that no trial's `seconds` holds it."""
    if kind == "ProbeSet":
        list(ProbeSet(3, "gaussian", 10, 1).rows(0, 0))
    elif kind == "ActiveSet":
        list(ActiveSet(3, "gaussian", (6,), 1, None).rows(0, 0))
    elif kind == "CellSet":
        list(CellSet(3, "gaussian", (6,), 3, 1).rows(0, 0))
    else:
        from mcinj.experiment.trial import threshold

        threshold(2)


def run_task(group: Group, root: int, trials: list[int]) -> tuple[Group, int, float, list[dict[str, Any]]]:
    """Some trials of one group, in a worker: the group, how many, seconds, rows."""
    _warm(type(group).__name__)
    started = time.perf_counter()
    rows: list[dict[str, Any]] = []
    if isinstance(group, SearchSet):
        for trial in trials:
            rows.extend(group.rows(root, trial))
    elif isinstance(group, StackSet):
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
        self.todo, self._root, self._workers = todo, root, workers
        self._cost: dict[int, float] = {}
        self._left = {id(group): len(trials) for group, trials in todo}

    def __iter__(self) -> Iterator[tuple[Group, int, list[int]]]:
        for group, trials in self.todo:
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
        for known, _ in self.todo:
            if known == group:
                self._left[id(known)] -= trials
                mean = seconds / trials
                old = self._cost.get(id(known))
                weight = min(1.0, trials / 20.0)
                self._cost[id(known)] = mean if old is None else (1 - weight) * old + weight * mean

    def eta(self) -> float | None:
        """Seconds to go on all workers; None before the first task ends."""
        known = [(group, self._cost[id(group)]) for group, _ in self.todo if id(group) in self._cost]
        if not known:
            return None
        total = 0.0
        for group, _ in self.todo:
            cost = self._cost.get(id(group))
            total += (_guess(group, known) if cost is None else cost) * self._left[id(group)]
        return total / self._workers


def _guess(group: Group, known: list[tuple[Group, float]]) -> float:
    """Seconds of a trial of a group not yet begun, from the nearest size of its kind (else of any kind) that was."""
    near, cost = min(known, key=lambda item: (_kind(item[0]) != _kind(group), abs(item[0].n - group.n)))
    growth = 3.0 if len(_kind(group)[1]) == 0 else 10.0
    return cost * growth ** (group.n - near.n)


def _kind(group: Group) -> tuple[str, tuple[int, ...], str]:
    """Groups of one kind differ in n: earlier layers by their rough ratios, criterion."""
    if isinstance(group, Series):
        return type(group).__name__, tuple(round(w / group.n) for w in group.widths_before), group.criterion
    return type(group).__name__, (), ""


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

    for kind in {type(group).__name__ for group, _ in tasks.todo}:
        _warm(kind)  # compiled once here, so that the workers find it in the cache instead of compiling side by side
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
