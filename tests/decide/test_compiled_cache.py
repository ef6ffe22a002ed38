"""Compiled code is kept under a name that changes with everything that is compiled in."""

from __future__ import annotations

from pathlib import Path

import mcinj
from mcinj import _jit

PACKAGE = Path(mcinj.__file__).resolve().parent


def names(source: str) -> set[str]:
    return {path.relative_to(PACKAGE).as_posix() for path in _jit._closure(PACKAGE / source)}


def test_a_kernel_depends_on_what_it_calls_and_on_the_constants_it_compiles_in() -> None:
    assert {
        "decide/deep_kernel.py",
        "decide/cell.py",
        "decide/deep_proof.py",
        "decide/deep_store.py",
        "_jit.py",
    } <= names("decide/deep_kernel.py")


def test_the_checker_is_compiled_without_anything_of_the_search() -> None:
    assert names("certify/walk.py") == {
        "certify/walk.py",
        "certify/choices.py",
        "certify/raising.py",
        "_jit.py",
    }
