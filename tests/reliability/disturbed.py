"""Experiments that are killed, stopped, starved of disk, told wrong times: their tables are those of undisturbed runs.

An instance is one experiment. It is started and disturbed until it is complete, or has been started `STARTS` times;
then the same command is left alone. Nothing that was recorded may be lost on the way; every refusal is one line.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

import mcinj
from mcinj import InputError
from mcinj.experiment.config import load
from mcinj.experiment.lock import holder_of
from mcinj.experiment.store import has_record, read_table
from reliability.verdicts import Outcome

SAME = "the table of an undisturbed run"
STARTS, SECONDS, ENDING, PAUSE = 8, 300.0, 60.0, "0.1"
# Experiments of every kind, of about a hundred trials.
EXPERIMENTS = {
    "thresholds": "[[threshold]]\nn = [2, 3]\ntrials = 50\n",
    "deep thresholds": '[[threshold]]\nn = 2\ntrials = 90\nwidths_before = [9]\ncriterion = "regional"\n',
    "a stopping rule": '[[threshold]]\nn = [2, 3]\ntrials = 400\nstop = "width 1.5"\n',
    "stacks": '[[stacks]]\nn = 2\nwidths = [9]\ncount = 80\ncriteria = ["regional", "layerwise"]\n',
    "probes": "[[probe]]\nn = [3, 4]\ntrials = 45\nmoves = 50\n",
    "active units": "[[active]]\nn = 3\nratios = [3, 4]\ntrials = 90\n",
    "cells": "[[cells]]\nn = 3\nratios = [3, 4]\nmost = 3\ntrials = 90\n",
}
# Runs at the start of every process: slow trials, trials that kill their process, clocks that jump.
HOOK = """
import os, time
if os.environ.get("MCINJ_TEST_CLOCK"):
    import random
    draw = random.Random(os.environ["MCINJ_TEST_CLOCK"])
    shift = {}
    def jumping(name, real=None):
        real = getattr(time, name)
        def read():
            if draw.random() < 0.02:
                shift[name] = draw.choice([-1.0, 1.0]) * 10 ** draw.uniform(-1, 6)
            return real() + shift.get(name, 0.0)
        return read
    for name in ("time", "monotonic", "perf_counter"):
        setattr(time, name, jumping(name))
if os.environ.get("MCINJ_TEST_TRIALS"):
    import mcinj.experiment.tasks as tasks
    real_rows, (pause, *fatal) = tasks._rows, os.environ["MCINJ_TEST_TRIALS"].split()
    def rows(group, root, trial):
        if f"{group.n}:{trial}" in fatal:
            os.kill(os.getpid(), 9)
        time.sleep(float(pause))
        return real_rows(group, root, trial)
    tasks._rows = rows
"""


def start(
    folder: Path, trials: str, *options: str, env: dict[str, str] | None = None, largest: int | None = None
) -> subprocess.Popen[str]:
    """`mcinj run` of `k.toml` into `r`, both in a folder; `trials`: a pause before each, then fatal ones as n:trial.

    largest     most bytes of a file
    """
    (folder / "sitecustomize.py").write_text(HOOK)
    paths = os.pathsep.join([str(folder), str(Path(mcinj.__file__).parents[1])])
    command = [sys.executable, "-m", "mcinj", "run", "k.toml", "--results", "r", "--jobs", "2", *options]
    surroundings = {**os.environ, "PYTHONPATH": paths, "MCINJ_TEST_TRIALS": trials, **(env or {})}

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
        if largest is not None:
            import resource  # not on Windows

            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    return subprocess.Popen(
        command, cwd=folder, env=surroundings, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=prepare,
    )  # fmt: skip


class Faulty(Exception):
    """Something that must not happen to a disturbed run: the outcome's kind, and the particulars."""


class Place:
    """A folder with an experiment, its results and what was found in them so far."""

    def __init__(self, folder: Path, rng: random.Random, also: Counter[str]) -> None:
        self.folder, self.rng, self.also = folder, rng, also
        self.held = 0
        self.disk = small_disk(folder / "r")

    def start(self, *options: str, **more: Any) -> subprocess.Popen[str]:
        return start(self.folder, PAUSE, "-q", *options, **more)

    def rows(self) -> int:
        """Rows recorded so far."""
        try:
            return len(read_table(self.folder / "r")[0])
        except InputError:
            if has_record(self.folder / "r"):
                raise
            return 0

    def end(self, process: subprocess.Popen[str], *codes: int) -> int:
        """Wait for a run that must end with one of these codes, leave no process and lose no row."""
        try:
            _, err = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Faulty("error", f"not ended after {SECONDS:.0f} s") from None
        code = process.returncode
        if code not in codes or "Traceback" in err or (code == 2 and err.strip().count("\n")):
            raise Faulty("error", f"code {code}: {err}")
        now = self.rows()
        if now < self.held:
            raise Faulty("rows lost", f"{now} of {self.held}")
        self.held = now
        return code

    def begun(self, process: subprocess.Popen[str]) -> bool:
        """Wait until a run holds its directory; the lock file of one that was killed is still there."""

        def holds() -> bool:
            holder = holder_of(self.folder / "r")
            return holder is not None and holder.get("pid") == process.pid

        return self.wait(process, 60.0, holds)

    def wait(self, process: subprocess.Popen[str], seconds: float, what: Callable[[], object]) -> bool:
        """Wait until something is so; False if the process ends before."""
        end = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < end:
            if what():
                return True
            time.sleep(0.02)
        return False


def small_disk(directory: Path) -> bool:
    """Mount a disk of 4 MB at a directory, where that is allowed."""
    directory.mkdir()
    if sys.platform != "linux" or os.getuid():
        return False
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(directory)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that a run has started."""
    with suppress(psutil.NoSuchProcess):
        return list(psutil.Process(process.pid).children(recursive=True))
    return []


def gone(processes: list[psutil.Process]) -> None:
    """Nobody is left behind. A worker needs a turn of the processor to see that its parent is gone."""
    _, alive = psutil.wait_procs(processes, timeout=ENDING)
    if alive:
        raise Faulty(
            "error", f"{len(alive)} processes left behind after {ENDING:.0f} s: {[_command(p) for p in alive]}"
        )


def _command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{process.status()}: {' '.join(process.cmdline())[:120]}"
    return "gone"


def kill_parent(place: Place) -> None:
    """SIGKILL at any moment."""
    process = place.start()
    if place.rng.random() < 0.7:  # else perhaps before it has begun
        place.begun(process)
    time.sleep(place.rng.uniform(0.0, 4.0))
    left = family(process)
    process.kill()
    gone(left)
    place.end(process, 0, -signal.SIGKILL)
    place.also["kills of the parent"] += process.returncode != 0


def kill_workers(place: Place) -> None:
    """SIGKILL of workers, of starting ones too, then of the parent."""
    process = place.start()
    for _ in range(place.rng.randint(1, 12)):
        if not place.wait(process, 60.0, lambda: family(process)):
            break
        time.sleep(place.rng.uniform(0.05, 1.0))
        workers = family(process)
        if workers:
            with suppress(psutil.NoSuchProcess):
                place.rng.choice(workers).kill()
                place.also["kills of workers"] += 1
    time.sleep(place.rng.uniform(0.0, 1.0))
    left = family(process)
    process.kill()
    gone(left)
    place.end(process, 0, -signal.SIGKILL)
    place.also["kills of the parent"] += process.returncode != 0


def stop(place: Place) -> None:
    """Ctrl-C, SIGTERM or SIGHUP, once the run has begun."""
    process = place.start()
    if place.begun(process):  # before that, Python itself answers
        time.sleep(place.rng.uniform(0.0, 3.0))
    left = family(process)
    process.send_signal(place.rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
    if place.end(process, 0, 130) == 130:
        place.also["stops by signals"] += 1
    gone(left)


def second_run(place: Place) -> None:
    """Another run on the same directory is refused; the first goes on."""
    process = place.start()
    try:
        if place.begun(process):
            other = place.start()
            code = place.end(other, 0, 2)  # 0: the first had ended
            place.also["second runs refused"] += code == 2
    finally:
        process.kill()
        process.communicate()


def file_limit(place: Place) -> None:
    """No file beyond so many bytes."""
    size = place.rng.choice([place.rng.randint(0, 4096), place.rng.randint(0, 60_000)])
    place.also["file-size limits met"] += place.end(place.start(largest=size), 0, 2) == 2


def full_disk(place: Place) -> None:
    """So many pages are left on the disk."""
    if not place.disk:
        return
    filler = place.folder / "r" / "filler"
    state = os.statvfs(filler.parent)
    fill = max(0, state.f_bavail - place.rng.randint(0, 24)) * state.f_bsize
    with filler.open("wb") as stream:
        if fill:
            os.posix_fallocate(stream.fileno(), 0, fill)
    try:
        place.also["full disks met"] += place.end(place.start(), 0, 2) == 2
    finally:
        filler.unlink()


def read_only(place: Place) -> None:
    """The disk cannot be written to."""
    if not place.disk:
        return
    target = str(place.folder / "r")
    subprocess.run(["mount", "-o", "remount,ro", target], check=True)
    try:
        place.end(place.start(), 2)
        place.also["read-only disks refused"] += 1
    finally:
        subprocess.run(["mount", "-o", "remount,rw", target], check=True)


def jumping_clock(place: Place) -> None:
    """All clocks jump, by up to 11 days in either direction, about once in 50 readings; then SIGKILL."""
    process = place.start(env={"MCINJ_TEST_CLOCK": str(place.rng.random())})
    before = place.held
    place.wait(process, 60.0, lambda: place.rows() > before)
    time.sleep(place.rng.uniform(0.0, 3.0))
    process.kill()
    place.end(process, 0, -signal.SIGKILL)
    place.also["runs with jumping clocks"] += 1


ATTACKS = (
    kill_parent, kill_parent, kill_workers, kill_workers, stop, second_run, file_limit, full_disk, read_only,
    jumping_clock,
)  # fmt: skip


def disturbed(first: int) -> Iterator[Outcome]:
    """Experiments from number `first` on, by turns of every kind."""
    for number in range(first, 1 << 40):
        yield outcome(number)


def outcome(number: int, attacks: tuple[Callable[[Place], None], ...] = ATTACKS) -> Outcome:
    """What became of one experiment."""
    name = list(EXPERIMENTS)[number % len(EXPERIMENTS)]
    also: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as text:
        folder, rng = Path(text), random.Random(f"disturbed {number}")
        (folder / "k.toml").write_text(f'name = "k"\nseed = {number}\n{EXPERIMENTS[name]}')
        reference = mcinj.run(load(folder / "k.toml"), jobs=1, results=folder / "reference")
        place = Place(folder, rng, also)
        try:
            for _ in range(STARTS):
                if place.held == len(reference):
                    break
                rng.choice(attacks)(place)
                also["starts"] += 1
            place.end(start(folder, "0", "-q", "--retry-quarantined"), 0)
            for table in (read_table(folder / "r")[0], pd.read_parquet(folder / "r" / "trials.parquet")):
                same(table.astype(reference.dtypes), reference)
        except Faulty as fault:
            kind, note = fault.args
            return Outcome(kind, f"{name}, number {number}, after {dict(also)}: {note}", dict(also))
        finally:
            if place.disk:
                subprocess.run(["umount", "-l", str(folder / "r")], check=True)
    return Outcome(SAME, "", dict(also))


def same(table: pd.DataFrame, reference: pd.DataFrame) -> None:
    """The two tables agree but for the times that trials took."""
    try:
        pd.testing.assert_frame_equal(table.drop(columns="seconds"), reference.drop(columns="seconds"))
    except AssertionError as error:
        raise Faulty("another table", " ".join(str(error).split())) from None
