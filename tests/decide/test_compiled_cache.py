"""Compiled code is kept under a name that changes with everything that is compiled in, and used only where it fits."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from numba.core import config
from numba.core.serialize import dumps

import mcinj
from mcinj import _jit, _kernel_cache
from mcinj._jit import njit
from mcinj.decide.watch import Watch, watching
from mcinj.show.watching import state_line

PACKAGE = Path(mcinj.__file__).resolve().parent
HASWELL = _kernel_cache._FAMILIES["x86_64"][1].split()


@njit(no_cpython_wrapper=True)
def below(values: Any, most: Any) -> Any:
    """An inner function: it has no machine code of its own."""
    if most < 0:
        raise ValueError("most is negative")
    return (values < most).sum()


def count(values: Any, most: Any) -> Any:
    return below(values, most) + below(values, 1)


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.kernel"))


def start() -> Any:
    """The function as a process that begins finds it: nothing is compiled."""
    return njit()(count)


def compiled(function: Any) -> int:
    return sum(function.stats.cache_misses.values())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "user"))
    monkeypatch.setattr(_kernel_cache, "SHIPPED", tmp_path / "shipped")
    return tmp_path / "user"


VALUES = np.array([0.0, 1.0, 2.0, 3.0])


def test_a_cold_cache_compiles_once_and_a_warm_one_not_at_all(folder: Path) -> None:
    first = start()
    assert first(VALUES, 2) == 3
    assert first(VALUES, 3) == 4
    assert compiled(first) == 1
    assert len(entries(folder)) == 1
    again = start()
    assert again(VALUES, 2) == 3
    assert compiled(again) == 0
    assert again(VALUES.astype(np.float32), 2) == 3
    assert compiled(again) == 1
    assert len(entries(folder)) == 2


def test_compilation_is_told_to_the_log(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="mcinj.compile"):
        start()(VALUES, 2)
        assert caplog.text.count("compiling count-") == 1
        start()(VALUES, 2)
    assert caplog.text.count("compiling count-") == 1


def test_errors_of_inner_functions_arrive_also_from_the_cache(folder: Path) -> None:
    for function in (start(), start()):
        with pytest.raises(ValueError, match="most is negative"):
            function(VALUES, -1)


def test_code_from_the_cache_is_taken_into_other_functions(folder: Path) -> None:
    assert start()(VALUES, 2) == 3
    cached = start()
    assert cached(VALUES, 2) == 3

    def twice(values: Any, most: Any) -> Any:
        return 2 * cached(values, most)

    assert njit()(twice)(VALUES, 2) == 6
    assert compiled(cached) == 0


def test_a_function_calls_its_own_copy_of_what_it_takes_in(folder: Path) -> None:
    # Otherwise what a call does to the last bit depends on which function a process had compiled before.
    def steps(x: Any) -> Any:
        return 0 if x < 1.0 else 1 + steps_of(0.5 * x)  # not inlined whole, since it calls itself

    steps_of = njit()(steps)

    def both(x: Any) -> Any:
        return steps_of(x) + steps_of(3.0 * x)

    caller: Any = njit()(both)
    assert steps_of(5.0) == 3
    assert caller(5.0) == 7
    (made,) = caller.overloads.values()
    own = {made.fndesc.llvm_func_name, made.fndesc.llvm_cpython_wrapper_name}
    whole = [f for f in made.library._final_module.functions if not f.is_declaration]
    assert {f.name for f in whole if f.linkage != llvm.Linkage.internal} <= own
    assert any(f.name not in own for f in whole)


def test_a_constant_is_not_compiled_for(folder: Path) -> None:
    assert start()(VALUES, 2) == 3
    assert {str(s.args[1]) for s in below.overloads.values() for s in [s.signature]} == {"int64"}


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "another"])
def test_a_damaged_entry_is_compiled_again(folder: Path, damage: str) -> None:
    start()(VALUES, 2)
    (entry,) = entries(folder)
    whole = entry.read_bytes()
    if damage == "another":  # whole, but of another signature
        start()(VALUES.astype(np.float32), 2)
        (other,) = set(entries(folder)) - {entry}
        entry.write_bytes(other.read_bytes())
    else:
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        entry.write_bytes({"empty": b"", "cut": whole[:middle], "flipped": flipped}[damage])
    again = start()
    assert again(VALUES, 2) == 3
    assert compiled(again) == 1
    last = start()
    assert last(VALUES, 2) == 3
    assert compiled(last) == 0


def test_code_in_need_of_what_is_not_here_is_not_loaded(folder: Path) -> None:
    start()(VALUES, 2)
    (entry,) = entries(folder)
    parts = list(pickle.loads(entry.read_bytes()[32:]))
    parts[2] = [*parts[2], "a_function_of_another_world"]
    body = bytes(dumps(tuple(parts)))
    entry.write_bytes(hashlib.sha256(body).digest() + body)
    again = start()
    assert again(VALUES, 2) == 3
    assert compiled(again) == 1


def test_where_nothing_can_be_kept_everything_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a file"
    file.write_text("not a folder")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(file))
    function = start()
    assert function(VALUES, 2) == 3
    assert compiled(function) == 1
    assert file.read_text() == "not a folder"


def test_shipped_code_is_used_by_processors_of_its_family_only(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    triple = "x86_64-unknown-linux-gnu"
    haswell = ",".join(f"+{name}" for name in HASWELL)
    assert _kernel_cache._family((triple, "haswell", haswell)) == (triple, "x86-64-v3", "")
    assert _kernel_cache._family((triple, "nehalem", haswell.replace("+avx2", "-avx2"))) is None
    assert _kernel_cache._family(("riscv64-unknown-linux-gnu", "generic", haswell)) is None
    # As on a machine whose processor is of the family, with code for it beside the package.
    start()(VALUES, 2)
    (entry,) = entries(folder)
    family = (triple, "x86-64-v3", "")
    monkeypatch.setattr(_kernel_cache, "_family", lambda processor: family)
    function = start()
    args = (numba.typeof(VALUES), numba.typeof(2))
    shipped = tmp_path / "shipped" / entry.parent.name / function._cache._name(args, family)
    shipped.parent.mkdir(parents=True)
    entry.rename(shipped)
    assert function(VALUES, 2) == 3
    assert compiled(function) == 0
    assert entries(folder) == []


def test_a_processor_named_by_the_user_gets_its_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    haswell = ",".join(f"+{name}" for name in HASWELL)
    monkeypatch.setattr(config, "CPU_NAME", "haswell")
    assert _kernel_cache._family(("x86_64-unknown-linux-gnu", "haswell", haswell)) is None


def names(source: str) -> set[str]:
    return {path.relative_to(PACKAGE).as_posix() for path in _kernel_cache.sources_of(str(PACKAGE / source))}


OURS = {"_jit.py", "_kernel_cache.py", "_kernel_link.py", "errors.py"}


def test_a_kernel_depends_on_what_it_calls_and_on_the_constants_it_compiles_in() -> None:
    assert {"decide/deep/kernel.py", "numeric/cell.py", "numeric/enclosure.py", "decide/deep/store.py", *OURS} <= names(
        "decide/deep/kernel.py"
    )


def test_the_checker_is_compiled_without_anything_of_the_search() -> None:
    assert names("certify/walk.py") == {"certify/walk.py", "certify/choices.py", "certify/raising.py", *OURS}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of two modules in the place of ours; nothing that was read of ours is remembered."""
    made = tmp_path / "mcinj"
    made.mkdir()
    (made / "search.py").write_text("from mcinj.bounds import SLACK\n")
    (made / "bounds.py").write_text("SLACK = 1\n")
    monkeypatch.setattr(_kernel_cache, "PACKAGE", made)
    forget()
    yield made
    forget()


def forget() -> None:
    for function in (_kernel_cache.digest_of, _kernel_cache.sources_of, _kernel_cache._content, _kernel_cache._imports):
        function.cache_clear()


def test_stale_code_has_another_name(package: Path) -> None:
    source = str(package / "search.py")
    before = _kernel_cache.digest_of(source)
    (package / "bounds.py").write_text("SLACK = 2\n")
    forget()
    assert _kernel_cache.digest_of(source) != before
    (package / "bounds.py").write_text("SLACK = 1\n")
    forget()
    assert _kernel_cache.digest_of(source) == before


@pytest.mark.parametrize(
    ("owner", "name", "value"), [(numba, "__version__", "0.0"), (config, "OPT", 1), (config, "BOUNDSCHECK", 1)]
)
def test_code_of_other_versions_and_settings_has_another_name(
    package: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, value: Any
) -> None:
    source = str(package / "search.py")
    before = _kernel_cache.digest_of(source)
    monkeypatch.setattr(owner, name, value)
    forget()
    assert _kernel_cache.digest_of(source) != before


def test_a_numba_that_has_changed_inside_compiles_by_its_public_means(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_jit, "supported", lambda: False)

    def plus(x: Any) -> Any:
        return x + 1

    function: Any = njit()(plus)
    assert function(1) == 2
    assert list(folder.rglob("*.nbc"))
    again: Any = njit()(plus)
    assert again(1) == 2
    assert compiled(again) == 0


def test_how_far_compilation_is_counts_the_functions_of_the_package() -> None:
    from mcinj.decide.layer import kernel

    advance: Any = kernel.advance
    assert 40 < _jit.at_most(advance.py_func) < 150
    assert _jit.at_most(Path.exists) == 0


def test_a_watch_sees_how_far_compilation_is(folder: Path) -> None:
    states: list[tuple[bool, tuple[int, int], str]] = []
    watch = Watch(sink=lambda w: states.append((w.compiling, w.compiled, state_line(w))))
    with watching(watch):
        assert start()(VALUES.astype(np.int16), 2) == 3
    most = _jit.at_most(count)
    assert most >= 2
    assert states[0][:2] == (True, (0, most))
    assert f"compiling the search, once on this machine (0 of up to {most} functions)" in states[0][2]
    assert states[-1][:2] == (False, (2, most))
    assert watch.left is None
    with watching(watch):
        start()(VALUES.astype(np.int16), 2)
    assert states[-1][1] == (2, most)  # nothing was compiled
