"""The examples of docs/invert.md and of the docstrings give what they say."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest


def test_the_page() -> None:
    page = Path(__file__).parents[2] / "docs" / "invert.md"
    result = doctest.testfile(str(page), module_relative=False)
    assert (result.failed, result.attempted > 3) == (0, True)


@pytest.mark.parametrize("name", ["invert", "vectors"])
def test_docstrings(name: str) -> None:
    result = doctest.testmod(import_module(f"mcinj.inverse.{name}"))
    assert (result.failed, result.attempted > 0) == (0, True)
