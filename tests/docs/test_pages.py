"""Every page does what it says: its snippets run, its links and pictures exist, its figures are those it draws."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.pages import DOCS, ROOT, blocks, execute, quiet, run

PAGES = sorted(DOCS.rglob("*.md"))
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
OTHERS = "".join(p.read_text(encoding="utf-8") for p in ROOT.glob("tests/*/test_*.py") if p.parent.name != "docs")


def executable(page: Path) -> bool:
    """Whether a page has snippets that no other test runs (tests of a subject name its page)."""
    has = any(b.language == "console" or (b.language == "python" and ">>>" in b.text) for b in blocks(page))
    return has and page.name not in OTHERS


@pytest.mark.parametrize("page", [p for p in PAGES if executable(p)], ids=lambda p: p.relative_to(DOCS).as_posix())
def test_snippets_do_what_the_page_says(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    quiet()
    assert execute(page, tmp_path) > 0


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda p: p.stem)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [t for t in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in t]
    # The reference of the command line is made when the site is built.
    missing = [t for t in targets if not (page.parent / t).exists() and not t.endswith("reference/cli.md")]
    assert not missing


def test_a_wrong_page_fails(tmp_path: Path) -> None:
    """The test of pages can fail: a wrong output, a wrong exit code, an exception."""
    for text in (
        "```python\n>>> 1 + 1\n3\n```\n",
        "```console\n$ mcinj --version\nmcinj 99\n```\n",
        "```console\n$ mcinj check nothing.npz\n```\n",
        "```python\nraise AssertionError\n```\n",
    ):
        page = tmp_path / "page.md"
        page.write_text(text, encoding="utf-8")
        with pytest.raises(AssertionError):
            execute(page, tmp_path)


def test_commands_run_in_process() -> None:
    assert run(["mcinj", "check", "nothing.npz"])[1] == 2


def test_docstrings_cite_only_what_is_here() -> None:
    """Pages that sources name exist."""
    named = {
        (path, page)
        for folder in ("mcinj", "tests", "benchmarks", "experiments", "examples")
        for path in (ROOT / folder).rglob("*.py")
        for page in re.findall(r"\b(?:docs|spec|seeds)/[\w/]+\.md", path.read_text(encoding="utf-8"))
        if path != Path(__file__)
    }
    assert [(str(p), page) for p, page in sorted(named) if not (ROOT / page).exists()] == []
