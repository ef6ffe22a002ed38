"""Packages that only some formats need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mcinj.errors import InputError


def optional(module: str, extra: str) -> Any:
    """Import an optional package, or say how to install it."""
    try:
        return import_module(module)
    except ImportError:
        raise InputError(f"reading this file needs the package {module}: pip install 'mcinj[{extra}]'") from None


def first_line(error: BaseException, width: int = 200) -> str:
    """What a package says of an error, in one line of bearable length."""
    lines = str(error).strip().splitlines()
    text = lines[0].strip() if lines else type(error).__name__
    return text if len(text) <= width else f"{text[: width - 1]}…"
