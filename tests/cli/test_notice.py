"""A terminal is told once that something is compiled; a pipe is not."""

from __future__ import annotations

import logging
import sys

import pytest

from mcinj.cli import notice


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_is_told_once(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logging.getLogger("mcinj.compile")
    monkeypatch.setattr(log, "handlers", [])
    notice.tell_of_compilation()
    notice.tell_of_compilation()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    for name in ("one", "two"):
        log.info("compiling %s", name)
    assert capsys.readouterr().err.count("mcinj warmup") == int(terminal)
