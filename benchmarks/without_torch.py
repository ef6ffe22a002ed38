"""data-depth's exact halfspace depth without torch, which it imports only for its GPU approximations."""

from __future__ import annotations

import sys
import types
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec


class _Empty(types.ModuleType):
    __path__: list[str] = []  # noqa: RUF012 - a package without modules

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


class _NoTorch(MetaPathFinder, Loader):
    def find_spec(self, fullname, path, target=None):  # type: ignore[no-untyped-def]
        if fullname.split(".")[0] in ("torch", "torchvision"):
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec):  # type: ignore[no-untyped-def]
        return _Empty(spec.name)

    def exec_module(self, module) -> None:  # type: ignore[no-untyped-def]
        pass


sys.meta_path.append(_NoTorch())

from depth.model.multivariate import halfspace  # noqa: E402

__all__ = ["halfspace"]
