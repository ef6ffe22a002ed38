"""Where compiled functions are kept between processes, and which of them may be used.

An entry is one file: the machine code of one function for one signature. Its folder is named after the sources of the
function's file and of all modules of the package that it imports (constants are compiled in), the versions of Python,
numba and llvmlite and numba's settings; its name after the signature and the processor. So an entry is used only where
everything that went into it is the same; there is nothing to update and nothing to invalidate.

Entries are looked for below `NUMBA_CACHE_DIR` or the user's cache directory, then in `mcinj/_compiled`, which a wheel
may carry (`make wheel`): code for any processor of a family from the last ten years. What is found nowhere is compiled
for this very processor and kept for the user; where that is not possible, it is compiled in every process.

Numba's own cache renews a function when its file changes, but not when a function that it calls does; and it makes
ready its typing of all of NumPy, a third of a second, before it looks.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import re
import sys
import uuid
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
from numba.core import config
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult, compile_result
from numba.core.serialize import dumps

from mcinj._kernel_link import library_of

log = logging.getLogger("mcinj.compile")

PACKAGE = Path(__file__).resolve().parent
SHIPPED = PACKAGE / "_compiled"
_IMPORT = re.compile(r"^\s*(?:from|import) +([\w.]+)(?: +import +(\([^)]*\)|[^\n]*))?", re.MULTILINE)
_SETTINGS = ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "DISABLE_INTEL_SVML")

# Processors that shipped code is for: LLVM's name, and the features that a machine must have to run it.
_FAMILIES: dict[str, tuple[str, str]] = {
    "x86_64": (
        "x86-64-v3",
        "avx avx2 bmi bmi2 cx16 f16c fma lzcnt movbe popcnt sahf sse3 sse4.1 sse4.2 ssse3",
    ),
    "aarch64": ("generic", ""),
    "arm64": ("generic", ""),
}


class KernelCache(_Cache):  # type: ignore[misc]
    """The entries of one function, as a dispatcher of numba's asks for them."""

    def __init__(self, function: Any) -> None:
        code = function.__code__
        self._stem = re.sub(r"[^\w.]", "", function.__qualname__) + f"-{code.co_firstlineno}"
        self._digest = digest_of(code.co_filename)
        self._enabled = True

    @property
    def cache_path(self) -> str:
        """The user's folder of this function."""
        return str(user_folder() / self._digest)

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        """Nothing: an entry that exists is right."""

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        """The compiled function for a signature, or None."""
        if not self._enabled:
            return None
        wanted = tuple(sig if isinstance(sig, tuple) else sig.args)
        for path in self._places(wanted, target_context.codegen()):
            try:
                data = path.read_bytes()
            except OSError:
                continue
            found = _restored(data, wanted, target_context)
            if found is not None:
                return found
        log.info("compiling %s for %s", self._stem, wanted)
        return None

    def save_overload(self, sig: Any, cres: CompileResult) -> None:
        """Keep a compiled function, if the folder can be written."""
        if not self._enabled or cres.library.has_dynamic_globals or cres.lifted:
            return
        args = tuple(sig if isinstance(sig, tuple) else sig.args)
        path = user_folder() / self._digest / self._name(args, cres.codegen.magic_tuple())
        part = path.with_name(f"{uuid.uuid4().hex[:16]}.tmp")
        data = _packed(cres)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            part.replace(path)
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _name(self, args: tuple[Any, ...], processor: Any) -> str:
        key = hashlib.sha256(repr((tuple(map(str, args)), _named(processor))).encode()).hexdigest()[:16]
        return f"{self._stem}-{key}.kernel"

    def _places(self, args: tuple[Any, ...], codegen: Any) -> Iterator[Path]:
        processor = codegen.magic_tuple()
        yield user_folder() / self._digest / self._name(args, processor)
        family = _family(processor)
        if family is not None:
            yield SHIPPED / self._digest / self._name(args, family)


def _packed(cres: CompileResult) -> bytes:
    """An entry: machine code, what it needs and defines, and the same as bitcode for functions that take it in."""
    library = cres.library
    name, _, (code, bitcode) = library.serialize_using_object_code()
    module = library._final_module
    needs = sorted(f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm."))
    own = (llvm.Linkage.internal, llvm.Linkage.private)
    values = (*module.functions, *module.global_variables)
    defines = {v.name for v in values if not v.is_declaration and v.linkage not in own}
    fndesc = cres.fndesc
    fndesc.typemap = fndesc.calltypes = None  # not needed, and large
    rest = (
        name, code, needs, defines, zlib.compress(bitcode, 6), fndesc, cres.environment, cres.signature,
        tuple(cres.reload_init), tuple(cres._find_referenced_environments()),
    )  # fmt: skip
    body = dumps(rest)
    return hashlib.sha256(body).digest() + bytes(body)


def _restored(data: bytes, wanted: tuple[Any, ...], target_context: Any) -> CompileResult | None:
    """The compiled function of an entry, or None: damaged, for other arguments, or in need of what is not here."""
    if hashlib.sha256(data[32:]).digest() != data[:32]:
        return None
    name, code, needs, defines, bitcode, fndesc, env, signature, reload_init, environments = pickle.loads(data[32:])
    if tuple(signature.args) != wanted:
        return None
    if any(symbol.startswith("NRT_") for symbol in needs):
        _register_runtime()
    if not all(llvm.address_of_symbol(symbol) for symbol in needs):
        return None  # LLVM would end the process
    for initialise in reload_init:
        initialise()
    codegen = target_context.codegen()

    def module() -> Any:
        return llvm.parse_bitcode(zlib.decompress(bitcode))

    library = library_of(codegen, name, code, defines, module)
    entry = target_context.get_executable(library, fndesc, env)
    for environment in environments:
        codegen.set_env(environment.env_name, environment)
    return compile_result(
        typing_context=target_context.typing_context, target_context=target_context, entry_point=entry,
        typing_error=None, type_annotation=None, signature=signature, objectmode=False, lifted=(), fndesc=fndesc,
        library=library, call_helper=None, environment=env, metadata=None, reload_init=list(reload_init),
        referenced_envs=environments,
    )  # fmt: skip


@cache
def _register_runtime() -> None:
    """Let machine code find numba's functions that count references; numba does so when it compiles."""
    from numba.core.runtime import _nrt_python as runtime

    for name, address in runtime.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


def family_of(triple: str) -> tuple[str, str] | None:
    """Name and features of the processors that shipped code is for, None where there are none."""
    return _FAMILIES.get(triple.split("-")[0])


def _family(processor: tuple[str, str, str]) -> tuple[str, str, str] | None:
    """The processor that shipped code was compiled for, if this one runs it."""
    triple, _, features = processor
    family = family_of(triple)
    if family is None or config.CPU_NAME is not None or config.CPU_FEATURES is not None:
        return None  # not known, or the user wants code for a processor of theirs
    if not set(family[1].split()) <= {part[1:] for part in features.split(",") if part.startswith("+")}:
        return None
    return triple, family[0], ""


def _named(processor: tuple[str, str, str]) -> tuple[str, ...]:
    """What names a processor: for a family not the version of the system, which is part of LLVM's name for a Mac."""
    triple, name, features = processor
    family = family_of(triple)
    if family is not None and not features and name == family[0]:
        return triple.split("-")[0], sys.platform, name
    return processor


def user_folder() -> Path:
    """Where compiled code is kept for the user."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    if given:
        base = Path(given)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "mcinj"


@cache
def digest_of(source: str) -> str:
    """The name of everything but signature and processor that a function of this file is compiled from."""
    versions = (numba.__version__, llvmlite.__version__, sys.implementation.cache_tag, sys.byteorder)
    settings = tuple(str(getattr(config, name, None)) for name in _SETTINGS)
    digest = hashlib.sha256(repr((versions, settings)).encode())
    for path in sorted(sources_of(source)):
        name = path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else path.name
        digest.update(name.encode() + b"\0" + _content(path))
    return digest.hexdigest()[:16]


@cache
def sources_of(source: str) -> frozenset[Path]:
    """The file and all modules of the package that it imports, directly or through each other."""
    found: set[Path] = set()
    rest = [Path(source).resolve()]
    while rest:
        path = rest.pop()
        if path not in found:
            found.add(path)
            rest.extend(_imports(path))
    return frozenset(found)


@cache
def _content(source: Path) -> bytes:
    return source.read_bytes()


@cache
def _imports(source: Path) -> tuple[Path, ...]:
    """Modules of the package that `source` imports, at any indentation: constants are compiled in as well."""
    names: set[str] = set()
    for module, items in _IMPORT.findall(_content(source).decode("utf-8")):
        names.add(module)
        names.update(f"{module}.{item}" for item in re.findall(r"\w+", items))
    files = []
    for name in sorted(names):
        head, _, rest = name.partition(".")
        path = PACKAGE.joinpath(*rest.split(".")).with_suffix(".py") if head == PACKAGE.name and rest else None
        if path is not None and path.is_file():
            files.append(path)
    return tuple(files)
