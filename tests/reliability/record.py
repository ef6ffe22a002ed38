"""What runs have counted so far: one JSON file per campaign, to which every run appends."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mcinj

FOLDER = Path(__file__).parent / "record"
MOST_FINDINGS = 50
# Parts of the package that compile, decide, prove, read or record: an engine is a state of their sources.
_ENGINE = ("_jit.py", "certify", "decide", "experiment", "inverse", "networks", "numeric", "quantify")


@dataclass
class Run:
    """One run of a campaign: instances `first` up to `after` (exclusive), what came of them, and on what.

    `counts` has one outcome per instance, `also` numbers that are worth telling beside it. Every `engine` begins at
    instance 0. `remark`, written by hand into the record, says what became of what was found.
    """

    campaign: str
    first: int
    after: int
    counts: Counter[str] = field(default_factory=Counter)
    also: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    date: str = field(default_factory=lambda: datetime.datetime.now(datetime.UTC).date().isoformat())
    version: str = mcinj.__version__
    commit: str = field(default_factory=lambda: commit())
    engine: str = field(default_factory=lambda: engine())
    ended: str = ""
    remark: str = ""
    versions: dict[str, str] = field(default_factory=lambda: versions())

    def note(self, text: str) -> None:
        """Keep the particulars of something that should not have happened (the first so many)."""
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(text)


def commit() -> str:
    """The commit of the package's sources; with a + if they differ from it."""
    found = _git("log", "-1", "--format=%h", "--", "mcinj")
    return found + ("+" if _git("status", "--porcelain", "--", "mcinj") else "") if found else "unknown"


def engine() -> str:
    """A digest of the sources that decide: the same on every branch that has them; with a + if they are changed."""
    folders = [f"mcinj/{name}" for name in _ENGINE]
    trees = _git("ls-tree", "HEAD", "--", *folders)
    if not trees:
        return "unknown"
    return hashlib.sha256(trees.encode()).hexdigest()[:7] + (
        "+" if _git("status", "--porcelain", "--", *folders) else ""
    )


def _git(*arguments: str) -> str:
    root = Path(mcinj.__file__).parents[1]
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def versions() -> dict[str, str]:
    """Python, the processor's architecture and the libraries that could matter."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in ("numpy", "scipy", "numba", "python-flint", "onnx", "safetensors", "joblib"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def runs_of(campaign: str, folder: Path = FOLDER) -> list[Run]:
    """All runs of a campaign, oldest first."""
    path = folder / f"{campaign}.json"
    if not path.exists():
        return []
    entries = json.loads(path.read_text())
    return [Run(**{**e, "counts": Counter(e["counts"]), "also": Counter(e["also"])}) for e in entries]


def newest_engine(campaigns: Iterable[str], folder: Path = FOLDER) -> str:
    """The engine of the run that ended last, of all campaigns."""
    runs = [run for name in campaigns for run in runs_of(name, folder)]
    return max(runs, key=lambda run: run.ended or run.date, default=Run("", 0, 0)).engine


def next_instance(campaign: str, engine: str, folder: Path = FOLDER) -> int:
    """The first instance that no run of this engine has had."""
    return max((run.after for run in runs_of(campaign, folder) if run.engine == engine), default=0)


def keep(run: Run, folder: Path = FOLDER) -> None:
    """Append a run, or replace its earlier state (the run of the same first instance on the same engine)."""
    run.ended = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    same = (run.first, run.engine)
    entries = [r for r in runs_of(run.campaign, folder) if (r.first, r.engine) != same] + [run]
    folder.mkdir(exist_ok=True)
    path = folder / f"{run.campaign}.json"
    plain = [{**vars(r), "counts": dict(r.counts), "also": dict(r.also)} for r in entries]
    text = json.dumps(plain, indent=1, sort_keys=True, ensure_ascii=False)
    fresh = path.with_suffix(".tmp")
    with fresh.open("w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
