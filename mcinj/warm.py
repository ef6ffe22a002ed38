"""Compile everything ahead, several functions at a time, for this machine or for a wheel.

Compiled functions come into being when they are first called. So this calls them: each case below is a small network
and a question about it, and all that such questions need is kept afterwards (`mcinj._kernel_cache`).
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from mcinj.errors import InputError

_TICK = 0.5  # seconds between two looks at what is running


@dataclass(frozen=True)
class Progress:
    """How far a warm-up is: cases done, all cases, those that are being compiled, seconds since the start."""

    done: int
    total: int
    running: tuple[str, ...]
    seconds: float


def _one_layer() -> None:
    import mcinj

    network = mcinj.sample(8, (54,), seed=3)
    proof = mcinj.check(network, certificate=True).certificate
    mcinj.check(network, exact=True, node_budget=20)
    mcinj.check(mcinj.sample(3, (4,), seed=1))
    _verified(proof, network)


def _one_layer_any_rows() -> None:
    import numpy as np

    import mcinj

    b = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    layer = np.vstack([b, -b, b[:2]])
    _verified(mcinj.check(layer, certificate=True).certificate, mcinj.Network([layer]))
    biased = mcinj.Network([np.vstack([b, -b])], [np.arange(8.0) / 4])
    _verified(mcinj.check(biased, certificate=True).certificate, biased)


def _deep_regional() -> None:
    _deep("regional")


def _deep_global() -> None:
    _deep("global")


def _deep(criterion: str) -> None:
    import mcinj

    network = mcinj.sample(3, (20, 24), seed=3)
    mcinj.check(network, criterion)
    small = mcinj.sample(2, (12, 14), seed=3)
    _verified(mcinj.check(small, criterion, certificate=True).certificate, small)
    mcinj.check(small, criterion, exact=True, node_budget=20_000)


def _deep_any_weights() -> None:
    import numpy as np

    import mcinj

    b = np.array([[2.0, 1.0], [1.0, 3.0], [1.0, 0.0], [1.0, -1.0]])
    first = np.vstack([b, -b])
    second = np.vstack([np.eye(8), -np.ones((1, 8))])
    network = mcinj.Network([first, second])
    _verified(mcinj.check(network, certificate=True).certificate, network)
    mcinj.check(network, "regional")


def _domains() -> None:
    import mcinj

    network = mcinj.sample(2, (10, 12), seed=3)
    for domain in ("box:-1,1", "ball:1"):
        mcinj.check(network, domain=domain, node_budget=20_000)
    mcinj.check(network, slope=0.1, node_budget=20_000)


def _thresholds() -> None:
    import mcinj

    mcinj.threshold(3)
    mcinj.threshold(8, node_budget=2_000)
    for criterion in ("regional", "global", "layerwise"):
        mcinj.threshold(2, (12,), criterion, node_budget=20_000)


def _quantities() -> None:
    import mcinj

    layer = mcinj.sample(3, (20,), seed=3)
    mcinj.margin(layer)
    mcinj.stability(layer)
    mcinj.stability(mcinj.sample(2, (12, 14), seed=3), node_budget=2_000)


def _searches() -> None:
    from mcinj.experiment.searches import (
        ActiveSet,
        CellSet,
        MarginSet,
        ProbeSet,
        SearchedDeepSet,
        SearchedMarginSet,
        SearchedSet,
    )
    from mcinj.experiment.tasks import warm

    law = "gaussian"
    warm([
        ProbeSet(3, law, 10, 1),
        SearchedSet(3, law, 10, 2, 1),
        SearchedDeepSet(3, (12,), law, 10, 2, 1),
        SearchedDeepSet(3, (12,), law, 10, 2, 1, "global"),
        ActiveSet(3, law, (6,), 1, None),
        MarginSet(3, law, (6,), 0.1, 1, None),
        SearchedMarginSet(3, law, (6,), 10, 2, 1),
        CellSet(3, law, (6,), 3, 1),
    ])  # fmt: skip


def _verified(proof: bytes | None, network: Any) -> None:
    from mcinj.certify import verify

    if proof is not None:
        verify(proof, network)


# The longest first, so that no process waits for another at the end.
CASES: dict[str, Callable[[], None]] = {
    "deep networks": _deep_global,
    "one layer": _one_layer,
    "deep networks with any weights": _deep_any_weights,
    "deep networks, region by region": _deep_regional,
    "margins and stability": _quantities,
    "thresholds": _thresholds,
    "domains and leaky ReLUs": _domains,
    "layers with any rows": _one_layer_any_rows,
    "large networks": _searches,
}


def _prepare(environment: dict[str, str]) -> None:
    """First thing in a process: numba reads these when it is imported."""
    os.environ.update(environment)


def _compile(name: str) -> float:
    started = time.perf_counter()
    CASES[name]()
    return time.perf_counter() - started


def warm_up(
    jobs: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    *,
    cases: Iterable[str] = tuple(CASES),
    environment: dict[str, str] | None = None,
) -> None:
    """Compile cases in `jobs` processes (default: one per core), telling how far it is twice a second."""
    order = list(cases)
    count = min(jobs or os.cpu_count() or 1, len(order))
    started = time.perf_counter()
    with ProcessPoolExecutor(count, get_context("spawn"), _prepare, (environment or {},)) as pool:
        rest: dict[Future[float], str] = {pool.submit(_compile, name): name for name in order}
        try:
            while rest:
                done, _ = wait(rest, timeout=_TICK, return_when=FIRST_COMPLETED)
                for future in done:
                    del rest[future]
                    future.result()
                if progress is not None:
                    running = tuple(rest.values())[:count]
                    progress(Progress(len(order) - len(rest), len(order), running, time.perf_counter() - started))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def ship(
    folder: Path,
    jobs: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    *,
    cases: Iterable[str] = tuple(CASES),
) -> int:
    """Compile cases for a family of processors into a folder of a package to be; how many functions it holds.

    Raises
    ------
    InputError
        A processor of no family known (`_kernel_cache.family_of`), or a folder that is not ours to replace.
    """
    import llvmlite.binding as llvm

    from mcinj._kernel_cache import family_of

    triple = llvm.get_process_triple()
    family = family_of(triple)
    if family is None:
        raise InputError(f"there is no family of processors for {triple}: compile on the machine itself")
    if folder.exists() and any(p.suffix != ".kernel" for p in folder.rglob("*") if p.is_file()):
        raise InputError(f"{folder} holds files other than compiled kernels; name another folder")
    with tempfile.TemporaryDirectory(prefix="mcinj-") as work:
        settings = {"NUMBA_CPU_NAME": family[0], "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": work}
        warm_up(jobs, progress, cases=cases, environment=settings)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(Path(work) / "mcinj", folder)
    return sum(1 for _ in folder.rglob("*.kernel"))
