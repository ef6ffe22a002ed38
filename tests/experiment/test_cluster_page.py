"""The scripts of docs/cluster.md, run as they stand: their tables are those of one run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from docs.pages import DOCS, blocks

import mcinj
from mcinj.experiment.config import load
from mcinj.experiment.store import read_table

pytestmark = pytest.mark.skipif(os.name == "nt", reason="bash")
PAGE = {block.title: block.text for block in blocks(DOCS / "cluster.md") if block.title}
TOML = 'name = "one_layer"\nseed = 4\n[[threshold]]\nn = [2, 3]\ntrials = 30\n'
# Stand-ins for SLURM's commands: a submitted script is started at once, a cancelled one killed.
# Like SLURM, sbatch keeps a copy of the script, since the caller deletes it as soon as sbatch has answered.
SBATCH = """#!/bin/bash
cp "$1" "job-$$.sh" && cp "$1" submitted.sh || exit 1
setsid bash "job-$$.sh" > "job-$$.log" 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = '#!/bin/bash\nfor job in "$@"; do kill -- -"$job" 2> /dev/null; done\ntrue\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with the experiment, and mcinj on the path."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "one_layer.toml").write_text(TOML)
    commands = {"mcinj": f'#!/bin/bash\nexec {sys.executable} -m mcinj "$@"\n', "sbatch": SBATCH, "scancel": SCANCEL}
    (tmp_path / "bin").mkdir()
    for name, text in commands.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def run(place: Path, *command: str, **environment: str) -> str:
    paths = os.pathsep.join([str(Path(mcinj.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    search = os.pathsep.join([str(place / "bin"), os.environ["PATH"]])
    done = subprocess.run(
        command, cwd=place, text=True, capture_output=True, timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": paths, "PATH": search, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def same_as_one_run(place: Path, directory: str) -> None:
    one = mcinj.run(load(place / "experiments" / "one_layer.toml"), jobs=1, results=place / "one")
    found = read_table(place / directory)[0]
    pd.testing.assert_frame_equal(found.drop(columns="seconds"), one.drop(columns="seconds"))


def test_the_array_job_and_its_merge(place: Path) -> None:
    (place / "array.sh").write_text(PAGE["array.sh"])
    (place / "merge.sh").write_text(PAGE["merge.sh"])
    assert "#SBATCH --array=1-8\n" in PAGE["array.sh"]
    for task in range(1, 9):
        run(place, "bash", "array.sh", SLURM_ARRAY_TASK_ID=str(task), SLURM_CPUS_PER_TASK="1")
    assert "report.html" in run(place, "bash", "merge.sh")
    same_as_one_run(place, "results/merged")


def test_workers_as_jobs(place: Path) -> None:
    pytest.importorskip("dask_jobqueue", reason="needs the extra mcinj[slurm]")
    script = PAGE["cluster.py"].replace("JOBS = 16", "JOBS = 2").replace('memory="4GB"', 'memory="1GB"')
    assert script.count("JOBS = 2") == script.count('"1GB"') == 1
    (place / "cluster.py").write_text(script)
    # No node of this cluster but this machine: workers talk over the loopback interface.
    said = run(place, sys.executable, "cluster.py", DASK_JOBQUEUE__SLURM__INTERFACE="lo")
    directives = (
        "#SBATCH -n 1\n",
        "#SBATCH --cpus-per-task=1\n",
        "#SBATCH -t 24:00:00\n",
        "dask_worker",
        "--nthreads 1",
    )
    assert all(text in said for text in directives)
    # What was printed is what was submitted, the worker's name aside.
    sent = (place / "submitted.sh").read_text()
    assert [line for line in sent.split("\n") if "SBATCH" in line] == [s for s in said.split("\n") if "SBATCH" in s]
    assert said.rstrip().endswith("60 rows")
    same_as_one_run(place, "results/one_layer")
