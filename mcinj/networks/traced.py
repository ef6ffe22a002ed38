"""Functions of a network that take a torch module and an example input in its place."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from mcinj.errors import InputError

P = ParamSpec("P")
R = TypeVar("R", covariant=True)


class _Decides(Protocol, Generic[P, R]):
    """A function of a network that also takes a module and an example input in its place."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, module: Callable[..., Any], example_input: Any, *args: Any, **kwargs: Any) -> R: ...


def accepts_modules(decide: Callable[P, R]) -> _Decides[P, R]:
    """Let a function whose first argument is a network be called as `decide(module, example_input, …)` too."""

    @functools.wraps(decide)
    def call(*args: Any, **kwargs: Any) -> Any:
        if args and _is_module(args[0]):
            if "example_input" in kwargs:
                example, rest = kwargs.pop("example_input"), args[1:]
            elif len(args) > 1 and not isinstance(args[1], str):
                example, rest = args[1], args[2:]
            else:
                raise InputError("a torch module needs an example input: check(module, example_input)")
            from mcinj.networks.module import network_from_module

            args = (network_from_module(args[0], example).network, *rest)
        return decide(*args, **kwargs)

    return cast("_Decides[P, R]", call)


def _is_module(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)
