"""Executes the snippets of a page from top to bottom, as a reader would, in one folder and one Python session.

* ```` ```python ```` with `>>>`: a doctest (`...` stands for anything). Without: run as it stands.
* ```` ```console ````: each `$ mcinj …` line is run, and what it prints is held against the lines below it; a last line
  `[exit code 1]` is the expected exit code (0 if it is not said). `…` stands for anything.
* ```` ```toml title="mine.toml" ````, or any block with a title: written to that file.

Other blocks (bash, text) are for reading only.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """One fenced block and the line on which it starts."""

    language: str
    title: str | None
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in BLOCK.finditer(text):
        title = re.search(r'title="([^"]+)"', match[2])
        line = text.count("\n", 0, match.start()) + 2
        found.append(Block(match[1], title[1] if title else None, match[3], line))
    return found


def execute(page: Path, folder: Path) -> int:
    """Run a page's snippets in a folder and return how many ran; AssertionError where one does not do what it says."""
    names: dict[str, Any] = {"__name__": "__main__"}
    ran = 0
    with contextlib.chdir(folder):
        for block in blocks(page):
            where = f"{page.name}:{block.line}"
            if block.title is not None:
                Path(block.title).write_text(block.text, encoding="utf-8")
            elif block.language == "console":
                _console(block.text, where)
            elif block.language == "python" and ">>>" in block.text:
                _session(block.text, names, where)
            elif block.language == "python":
                exec(compile(block.text, where, "exec"), names)
            else:
                continue
            ran += 1
    return ran


def _session(text: str, names: dict[str, Any], where: str) -> None:
    test = doctest.DocTestParser().get_doctest(text, names, where, where, 0)
    report = io.StringIO()
    result = doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(test, out=report.write, clear_globs=False)
    assert result.failed == 0, report.getvalue()
    names.update(test.globs)


def _console(text: str, where: str) -> None:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        code = re.search(r"^\[exit code (\d+)\]\n?\Z", expected, re.MULTILINE)
        wanted = expected[: code.start()] if code else expected
        given, status = run(shlex.split(command))
        assert status == (int(code[1]) if code else 0), f"{where}: {command} ended with {status}:\n{given}"
        # doctest's own rule for `…`; a command whose output is not shown may print what it likes.
        matches = doctest.OutputChecker().check_output(wanted.replace("…", "..."), given, FLAGS)
        assert not wanted.strip() or matches, f"{where}: {command} printed\n{given}instead of\n{wanted}"


def run(words: list[str]) -> tuple[str, int]:
    """Run `mcinj …` in this process: standard output and error together, and the exit code."""
    from mcinj.cli import main

    assert words[0] == "mcinj", f"only mcinj is run from pages, not {words[0]}"
    out, before = io.StringIO(), sys.argv
    sys.argv = words
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            main()
    except SystemExit as end:
        return out.getvalue(), int(end.code or 0)
    finally:
        sys.argv = before
    raise AssertionError("the command line did not end")


def quiet() -> None:
    """No windows, and tables as wide as on a page."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ["COLUMNS"] = "100"
