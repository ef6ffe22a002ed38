"""The examples of the docstrings run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import mcinj.infer


@pytest.mark.parametrize("name", [m.name for m in pkgutil.iter_modules(mcinj.infer.__path__)])
def test_docstring_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"mcinj.infer.{name}"))
    assert result.failed == 0
