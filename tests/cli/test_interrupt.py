"""Ctrl-C during a long decision: one line that says how far it came, exit code 130."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("command", "stage"), [("stability", "cells"), ("margin", "directions")])
def test_an_interrupted_question_says_how_far_it_came(command: str, stage: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "net.npz", W1=np.random.default_rng(3).standard_normal((150, 20)))
    np.savez(tmp_path / "small.npz", W1=np.random.default_rng(3).standard_normal((12, 2)))
    compiled = [sys.executable, "-m", "mcinj", command, "small.npz"]
    subprocess.run(compiled, cwd=tmp_path, capture_output=True, check=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "mcinj", command, "net.npz", "--node-budget", "1000000000"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(12)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=240)  # compiled code ends first
    assert (process.returncode, out) == (130, "")
    assert said.count("\n") == 1
    assert said.startswith("mcinj: interrupted after ")
    assert stage in said


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_an_interrupted_decision_says_how_far_it_came(tmp_path: Path) -> None:
    rows = np.random.default_rng(3).standard_normal((150, 20))  # minutes of search
    np.savez(tmp_path / "net.npz", W1=rows)
    process = subprocess.Popen(
        [sys.executable, "-m", "mcinj", "check", "net.npz", "--progress"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Background jobs of a shell ignore SIGINT, and so would their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr is not None
    end = time.monotonic() + 240  # the search may have to be compiled first
    said = ""
    while "nodes" not in said:
        assert time.monotonic() < end, said
        assert process.poll() is None, said + process.stderr.read()
        said += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "Traceback" not in said + rest
    last = rest.strip().splitlines()[-1]
    assert "nodes" in last
    assert "interrupted" in last
    assert "injective" not in out
