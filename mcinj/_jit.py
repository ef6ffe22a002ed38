"""Numba's decorator with a type that `mypy --strict` accepts, and the project's settings in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def njit(**options: Any) -> Callable[[F], F]:
    """`numba.njit(cache=True, nogil=True, **options)`.

    Compiled code is cached on disk, so a user pays for compilation once. Strict IEEE arithmetic (no fastmath,
    no contraction beyond what is asked for) is the default since error bounds rest on it.
    """
    settings: dict[str, Any] = {"cache": True, "nogil": True, **options}
    decorator: Callable[[F], F] = numba.njit(**settings)
    return decorator
