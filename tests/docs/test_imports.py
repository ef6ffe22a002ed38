"""Modules import in one direction: no module needs one that needs it, not even later or for its types."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import mcinj
from mcinj.networks import ensembles, laws

_ROOT = Path(mcinj.__file__).parent
_MODULES = {
    ".".join(("mcinj", *p.relative_to(_ROOT).with_suffix("").parts)).removesuffix(".__init__"): p
    for p in _ROOT.rglob("*.py")
}


def test_no_circles() -> None:
    arrows = {name: {t for t in _named(path) if t != name} for name, path in _MODULES.items()}
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as circle:
        raise AssertionError(" imports ".join(reversed(circle.args[1]))) from None
    assert sum(map(len, arrows.values())) > 1000


def test_ensembles_that_are_named_are_drawn() -> None:
    assert set(laws.ENSEMBLES) == set(ensembles._LAWS)


def _named(path: Path) -> Iterator[str]:
    """Modules of the package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name in _MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in _MODULES:
                    yield whole
                elif node.module in _MODULES:
                    yield str(node.module)
