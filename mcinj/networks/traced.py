"""Functions of a network that take a torch module and an example input in its place."""

from __future__ import annotations

import functools
import inspect
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

            read = network_from_module(args[0], example)
            network = read.network
            if read.leaky is not None and _takes_leaky(decide, (network, *rest), kwargs):
                network, kwargs["slope"] = read.leaky.network, read.leaky.slope
            elif kwargs.get("slope"):
                raise InputError("a module says itself which activations it has; leave slope out")
            args = (network, *rest)
        return decide(*args, **kwargs)

    return cast("_Decides[P, R]", call)


def _takes_leaky(decide: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the function decides leaky ReLUs with these arguments, as `check` does for the criterion `global`."""
    signature = inspect.signature(decide)
    if "slope" not in signature.parameters:
        return False
    try:
        given = signature.bind(*args, **kwargs)
    except TypeError:  # said better by the call itself
        return False
    given.apply_defaults()
    asked = given.arguments
    return (
        not asked["slope"]
        and str(asked.get("criterion")) == "global"
        and str(asked.get("engine")) in ("auto", "tree")
        and asked.get("domain") is None
        and not asked.get("certificate")
    )


def _is_module(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.nn.Module)
