"""What mkdocs cannot do by itself: pages from outside docs/, the command line's reference, links for both places.

In the repository, pages link to each other by their paths there, so that they can be read without the site. `mapped`
gives the site's path of a file of the repository: docs/ is the site's root, everything else keeps its path.
"""

from __future__ import annotations

import inspect
import logging
import posixpath
import re
import sys
from enum import Enum
from pathlib import Path
from typing import Any, get_args

from mkdocs.structure.files import File
from typer.models import ArgumentInfo

ROOT = Path(__file__).parents[1]
OUTSIDE = ("README.md", "results/README.md", "benchmarks/README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff")
SHOWN = ("results/README.md", "benchmarks/README.md", "CHANGELOG.md", "CONTRIBUTING.md")
LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")
log = logging.getLogger("mkdocs.hooks")


def mapped(path: str) -> str:
    """Where a file of the repository is on the site."""
    return path.removeprefix("docs/")


def on_config(config: Any) -> Any:
    """Leave out of the navigation what is not written yet."""
    docs = Path(config.docs_dir)

    def kept(entry: Any) -> Any:
        if isinstance(entry, list):
            return [found for found in map(kept, entry) if found is not None]
        if isinstance(entry, dict):
            ((title, target),) = entry.items()
            inner = kept(target)
            return {title: inner} if inner else None
        there = entry in (*SHOWN, "reference/cli.md") or (docs / entry).exists()
        if not there:
            log.info("not written yet: %s", entry)
        return entry if there else None

    config.nav = kept(config.nav)
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the pages from outside docs/ with their pictures, and the reference of the command line."""
    for page in SHOWN:
        files.append(File.generated(config, page, abs_src_path=str(ROOT / page)))
        for target in {t for _, t, _ in LINK.findall((ROOT / page).read_text(encoding="utf-8"))}:
            _add(files, config, posixpath.normpath(posixpath.join(posixpath.dirname(page), target)))
    for page in Path(config.docs_dir).rglob("*.md"):
        for _, target, _ in LINK.findall(page.read_text(encoding="utf-8")):
            here = posixpath.join("docs", page.relative_to(config.docs_dir).parent.as_posix())
            _add(files, config, posixpath.normpath(posixpath.join(here, target)))
    files.append(File.generated(config, "reference/cli.md", content=command_line()))
    return files


def _add(files: Any, config: Any, path: str) -> None:
    """A picture or table outside docs/ that a page links to."""
    outside = not path.startswith(("docs/", "..", "http"))
    wanted = outside and path.endswith((".png", ".svg", ".csv")) and (ROOT / path).exists()
    if wanted and files.get_file_from_path(path) is None:
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links of the repository into links of the site; what has no page there becomes plain text."""
    uri = page.file.src_uri
    source = uri if uri in SHOWN else f"docs/{uri}"

    def turned(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        if "://" in target or target.startswith("mailto:"):
            return match.group(0)
        there = mapped(posixpath.normpath(posixpath.join(posixpath.dirname(source), target)))
        relative = posixpath.relpath(there, posixpath.dirname(uri) or ".")
        if files.get_file_from_path(there) is None and there in OUTSIDE:
            relative = posixpath.relpath("index.md", posixpath.dirname(uri) or ".")
        return f"{before}{relative}{after}"

    return LINK.sub(turned, markdown)


def command_line() -> str:
    """The reference of the command line, from the application itself."""
    sys.path.insert(0, str(ROOT))
    import mcinj.cli  # noqa: F401 (adds the commands)
    from mcinj.cli.app import app

    parts = [
        "# Command line",
        str(app.info.help),
        "Every command has `--help`. Exit codes: 0 passes or done, 1 fails, 2 bad input (one line says what), "
        "3 unknown, "
        "4 a sound proof that is generic only (`verify --exact`), 70 an internal error, 130 Ctrl-C.",
    ]
    for command in app.registered_commands:
        parts.append(_command(command.name or command.callback.__name__.replace("_", "-"), command.callback))
    return "\n\n".join(parts) + "\n"


def _command(name: str, function: Any) -> str:
    """One command, read from its function's annotations: `Annotated[type, typer.Option(…)]`."""
    text = [paragraph.replace("\n", " ") for paragraph in (inspect.getdoc(function) or "").split("\n\n")]
    told = [f"    {t.removeprefix('Example:').strip()}" if t.startswith("Example:") else t for t in text]
    rows, operands = ["| option | meaning | default |", "|---|---|---|"], []
    for p in inspect.signature(function, eval_str=True).parameters.values():
        kind, told_of = p.annotation.__origin__, p.annotation.__metadata__[0]
        if told_of.hidden:
            continue
        if isinstance(told_of, ArgumentInfo):
            shown = str(told_of.metavar or p.name).upper()
            operands.append(shown if p.default is p.empty else f"[{shown}]")
            names = [shown]
        else:
            names = [d for d in told_of.param_decls or () if d.startswith("-")] or ["--" + p.name.replace("_", "-")]
        choices = [c for k in (kind, *get_args(kind)) if isinstance(k, type) and issubclass(k, Enum) for c in k]
        meaning = str(told_of.help or "")
        if choices:
            meaning += " One of " + ", ".join(f"`{c.value}`" for c in choices) + "."
        default = getattr(p.default, "value", p.default)
        plain = default is not None and not isinstance(default, bool)
        given = "required" if p.default is p.empty else f"`{default}`" if plain else ""
        rows.append(f"| {', '.join(f'`{n}`' for n in names)} | {_cell(meaning)} | {given} |")
    usage = " ".join(["mcinj", name, *operands, "[OPTIONS]"])
    return "\n\n".join([f"## mcinj {name}", f"`{usage}`", *told, "\n".join(rows)])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").strip()
