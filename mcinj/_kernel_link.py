"""How compiled functions become machine code: once, as part of the function that Python calls.

Numba optimises each function and makes machine code of it, then takes its optimised code into each caller and does the
same again, level by level: a helper ten calls deep is worked on ten times and more. Here functions that only compiled
functions call stay as they are typed and lowered, and LLVM sees all code of a function that Python calls at once. That
halves the time and changes neither the flags of any operation nor its order: what may be contracted or reassociated is
said by each function's own instructions.
"""

from __future__ import annotations

import gc
import threading
from typing import Any

import llvmlite.binding as llvm
from numba.core import codegen, compiler
from numba.core.environment import lookup_environment

_ENVIRONMENT = "_ZN08NumbaEnv"  # how numba's names of environments begin


class _Library(codegen.JITCodeLibrary):  # type: ignore[misc]
    """The code of a function that Python calls."""

    _linking_libraries: list[Any]
    _shared_module: Any

    def __init__(self, target: Any, name: str) -> None:
        super().__init__(target, name)
        self._bitcode: Any = None  # of code from the cache, until somebody links with it

    def finalize(self) -> None:
        self._linking_libraries = _all_of(self._linking_libraries)
        super().finalize()

    def _optimize_final_module(self) -> None:
        """Then keep what was taken in to itself: each function calls its own copies.

        Linked in, they could be replaced by copies of another function that was emitted before. These are optimised in
        another place; where sums may be reassociated, what a process finds then depended on what it had compiled.
        """
        super()._optimize_final_module()
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.linkonce_odr:
                function.linkage = llvm.Linkage.internal

    def _finalize_specific(self) -> None:
        super()._finalize_specific()
        # Functions taken in have their environments here; numba sets only the function's own.
        for variable in self._final_module.global_variables:
            if variable.name.startswith(_ENVIRONMENT) and not variable.is_declaration:
                environment = lookup_environment(variable.name)
                if environment is not None:
                    self._codegen.set_env(variable.name, environment)

    def _get_module_for_linking(self) -> Any:
        if self._shared_module is None and self._bitcode is not None:
            self._shared_module = self._bitcode()
        return super()._get_module_for_linking()


class _NoEnvironment:
    """The code generator, for code that is not emitted and has no variable for an environment yet."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def set_env(self, name: str, environment: Any) -> None:
        """The library of the function that Python calls does that."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)


class _InnerLibrary(codegen.JITCodeLibrary):  # type: ignore[misc]
    """The code of a function that compiled functions call, to be taken into theirs: not optimised, not emitted."""

    def __init__(self, target: Any, name: str) -> None:
        super().__init__(target, name)
        self._unset = _NoEnvironment(target)

    @property
    def codegen(self) -> Any:
        return self._unset

    def finalize(self) -> None:
        self._raise_if_finalized()
        self._finalize_dynamic_globals()
        self._finalized = True

    def _optimize_functions(self, ll_module: Any) -> None:
        """Not yet: as part of the function that Python calls."""
        ll_module.data_layout = self._codegen._data_layout

    def get_pointer_to_function(self, name: str) -> int:
        """0: there is no machine code, and nobody has to call it."""
        self._ensure_finalized()
        return 0


def _all_of(libraries: list[Any]) -> list[Any]:
    """Libraries to link with, and those that their functions need: an inner library holds its own code only."""
    found: dict[Any, None] = {}
    rest = libraries[::-1]
    while rest:
        library = rest.pop()
        if library not in found:
            found[library] = None
            if isinstance(library, _InnerLibrary):
                rest.extend(library._linking_libraries[::-1])
    return list(found)


_LOCK = threading.Lock()
_running = 0
_collecting = False


def _pause_collection() -> None:
    global _running, _collecting
    with _LOCK:
        if _running == 0:
            _collecting = gc.isenabled()
            gc.disable()
        _running += 1


def _resume_collection() -> None:
    global _running
    with _LOCK:
        _running -= 1
        if _running == 0 and _collecting:
            gc.enable()


class _Compiler(compiler.Compiler):  # type: ignore[misc]
    """Numba's, with one of the libraries above, and without the garbage collector (a tenth of the time)."""

    library: Any = _Library

    def define_pipelines(self) -> Any:
        state = self.state
        if state.library is None:
            state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
        return super().define_pipelines()

    def _compile_core(self) -> Any:
        _pause_collection()
        try:
            return super()._compile_core()
        finally:
            _resume_collection()


class _InnerCompiler(_Compiler):
    library = _InnerLibrary


def supported() -> bool:
    """Whether this numba has what the classes here build on; those from 0.61 to 0.68 do."""
    needed = {
        codegen.JITCodeLibrary: (
            "_finalize_specific", "_get_module_for_linking", "_finalize_dynamic_globals", "_finalize_final_module",
            "_raise_if_finalized", "_ensure_finalized", "_set_compiled_object", "enable_object_caching",
            "_optimize_final_module",
        ),
        compiler.Compiler: ("define_pipelines", "_compile_core"),
        codegen.JitEngine: ("is_symbol_defined",),
    }  # fmt: skip
    return all(hasattr(owner, name) for owner, names in needed.items() for name in names)


def compiler_of(inner: bool) -> Any:
    """The compiler of a function that compiled functions call, or of one that Python calls."""
    return _InnerCompiler if inner else _Compiler


def library_of(target: Any, name: str, code: bytes, symbols: set[str], bitcode: Any) -> Any:
    """A library from machine code: what it defines, and a function that returns its module to link with."""
    library = _Library(target, name)
    library.enable_object_caching()
    library._set_compiled_object(code)
    library._bitcode = bitcode
    target._engine._defined_symbols |= symbols
    library._finalize_final_module()
    return library
