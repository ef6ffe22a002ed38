"""The decorator of compiled functions: a type that `mypy --strict` accepts, and the project's settings in one place."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

from mcinj._kernel_cache import KernelCache, digest_of, sources_of, user_folder
from mcinj._kernel_link import compiler_of, supported
from mcinj.errors import InputError

if numba.config.DISABLE_JIT:
    # NumPy's scalars follow other rules than compiled code, on whose arithmetic proofs rest.
    raise InputError("NUMBA_DISABLE_JIT is set, but the searches are proved as numba compiles them; unset it")

F = TypeVar("F", bound=Callable[..., Any])

_unliteral: Any = numba.types.unliteral
_FUNCTIONS: Counter[Path] = Counter()  # compiled functions of each file that is imported


def njit(**options: Any) -> Callable[[F], F]:
    """`numba.njit(nogil=True, **options)`, kept on disk once it is compiled.

    Strict IEEE arithmetic (no fastmath, no contraction beyond what is asked for) is the default since error bounds rest
    on it. A function with `no_cpython_wrapper` is called by other compiled functions only: it becomes machine code as
    part of them (`_kernel_link`). All others are kept (`_kernel_cache`), under a name that changes with everything that
    is compiled in, since a proof must not rest on stale code.
    """
    inner = bool(options.get("no_cpython_wrapper"))
    settings: dict[str, Any] = {"nogil": True, "no_cfunc_wrapper": True, **options}
    if supported():
        settings["pipeline_class"] = compiler_of(inner)

    def decorate(function: F) -> F:
        _FUNCTIONS[Path(function.__code__.co_filename).resolve()] += 1
        compiled: Any
        if not supported():
            compiled = _plain(function, settings)
        else:
            compiled = numba.njit(**settings)(function)
            _without_literals(compiled)
            if not inner:
                compiled._cache = KernelCache(function)
        typed: F = compiled
        return typed

    return decorate


def _without_literals(compiled: Any) -> None:
    """Let callers that pass a constant use what is compiled for any number, not have it compiled again for theirs."""
    given = compiled.get_call_template

    def template(args: tuple[Any, ...], kws: dict[str, Any]) -> Any:
        return given(tuple(map(_unliteral, args)), {name: _unliteral(value) for name, value in kws.items()})

    compiled.get_call_template = template


def at_most(function: Any) -> int:
    """How many functions of the package are compiled along with one of them, at most; 0 for functions of others."""
    source = function.__code__.co_filename
    if Path(source).resolve() not in _FUNCTIONS:
        return 0
    return sum(_FUNCTIONS[path] for path in sources_of(source))


def _plain(function: Any, settings: dict[str, Any]) -> Any:
    """The same by numba's public means, where a numba to come has changed inside: it compiles longer."""
    folder = user_folder() / digest_of(function.__code__.co_filename)
    config: Any = numba.config
    before = config.CACHE_DIR
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return numba.njit(**settings)(function)
    config.CACHE_DIR = str(folder)
    try:
        return numba.njit(cache=os.access(folder, os.W_OK | os.X_OK), **settings)(function)
    finally:
        config.CACHE_DIR = before
