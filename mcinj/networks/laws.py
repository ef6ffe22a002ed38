"""Laws of a user's own: a function that draws a row, known by a name and by a digest of its source.

A law is registered in a running program (`register_ensemble`) or comes with an installed package, under the entry
point group `mcinj.ensembles`. Tables record it as `name@digest`, so that rows of two versions of a function never mix.
Nothing is known of such a law: decisions are exact, and no bound is about it.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from types import CodeType
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike

from mcinj.errors import InputError
from mcinj.networks.network import FloatArray

ENTRY_POINTS = "mcinj.ensembles"
# mcinj's own, drawn by `mcinj.networks.ensembles`.
ENSEMBLES = ("gaussian", "uniform", "xavier", "rademacher", "sphere", "sparse", "correlated")
RowLaw = Callable[[np.random.Generator, int], ArrayLike]
F = TypeVar("F", bound=RowLaw)

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_DIGEST = re.compile(r"[0-9a-f]{12}")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class UserLaw:
    """A registered law. `carried`: worker processes must be sent the function; they cannot find it by themselves."""

    name: str
    function: RowLaw
    digest: str
    carried: bool

    @property
    def text(self) -> str:
        """How tables record it."""
        return f"{self.name}@{self.digest}"

    def rows(self, rng: np.random.Generator, count: int, n: int) -> FloatArray:
        """The next rows of a stream, shape `(count, n)`; `InputError` where the function gives anything else."""
        found = np.empty((count, n))
        for i in range(count):
            try:
                row = np.asarray(self.function(rng, n), dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise InputError(f"the ensemble {self.name} gives no row of numbers: {error}") from None
            if row.shape != (n,) or not np.isfinite(row).all():
                raise InputError(
                    f"the ensemble {self.name} must give a row of {n} finite numbers, got "
                    + (f"the shape {row.shape}" if row.shape != (n,) else "inf or nan")
                )
            found[i] = row
        return found


_KNOWN: dict[str, UserLaw] = {}


@overload
def register_ensemble(name: str, function: F) -> F: ...
@overload
def register_ensemble(name: str, function: None = None) -> Callable[[F], F]: ...
def register_ensemble(name: str, function: RowLaw | None = None) -> Any:
    """Make a law of your own known under a name: from then on it is an ensemble like `gaussian`.

    Parameters
    ----------
    name
        Lower-case letters, digits, `-` and `_`; none of mcinj's own names.
    function
        `function(rng, n)` gives one row: n finite numbers, drawn from the `numpy.random.Generator` that it is given and
        from nothing else. Left out: `register_ensemble` is a decorator.

    Returns
    -------
    The function, or a decorator that gives it back.

    Raises
    ------
    InputError
        A bad name, or a function whose source (with the plain values that it closes over) cannot be known.

    Examples
    --------
    >>> import mcinj
    >>> @mcinj.register_ensemble("laplace")
    ... def laplace(rng, n):
    ...     return rng.laplace(size=n)
    >>> mcinj.sample(3, (12,), "laplace", seed=1).widths
    (12,)
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(f"an ensemble's name has lower-case letters, digits, '-' and '_', got {name!r}")
    if name in ENSEMBLES:
        raise InputError(f"{name} is an ensemble of mcinj's own; choose another name")

    def register(given: RowLaw) -> RowLaw:
        _KNOWN[name] = UserLaw(name, given, source_digest(given), carried=True)
        return given

    return register if function is None else register(function)


def user_law(name: str, digest: str = "") -> UserLaw:
    """The law of that name, with that digest if one is given; `InputError` if there is none."""
    law = _KNOWN.get(name) or _installed(name)
    if law is None:
        raise InputError(
            f"unknown ensemble {name!r}; choose one of {', '.join(ENSEMBLES)}, or register a law of your own "
            "(mcinj.register_ensemble)"
        )
    if digest and law.digest != digest:
        raise InputError(
            f"the ensemble {name}@{digest} is another function than the one known here ({law.text}): its source has "
            "changed; go on with the old source, or start anew"
        )
    return law


def split_text(text: str) -> tuple[str, str] | None:
    """Name and digest of a recorded law, `"student@0123456789ab"`; None for other text."""
    name, at, digest = text.partition("@")
    return (name, digest) if at and _NAME.fullmatch(name) and _DIGEST.fullmatch(digest) else None


def text_of(name: str, digest: str) -> str:
    """`name@digest`; of a law that only this process knows, in a form that takes it along to others."""
    law = _KNOWN.get(name)
    plain = f"{name}@{digest}"
    return CarriedName(plain) if law is not None and law.carried and law.digest == digest else plain


def _installed(name: str) -> UserLaw | None:
    """A law that an installed package offers."""
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS, name=name):
        try:
            function = point.load()
        except Exception as error:  # another package's code
            raise InputError(f"the ensemble {name} of {point.value} cannot be loaded: {error}") from None
        _KNOWN[name] = UserLaw(name, function, source_digest(function), carried=False)
        _LOG.info("ensemble %s from the entry point %s", _KNOWN[name].text, point.value)
        return _KNOWN[name]
    return None


def source_digest(function: Any) -> str:
    """Twelve hexadecimal digits that change with a function's source and with the plain values that it closes over.

    Where no source can be read (a function typed at a prompt), the compiled code stands for it, and the digest then
    belongs to one version of Python. Globals that the function reads are not part of it.
    """
    # Compiled functions and bound methods have code objects too, or what looks like it, and it says nothing of them.
    if not inspect.isfunction(function):
        raise InputError(f"an ensemble is a plain function of a generator and n, got {function!r}")
    code = function.__code__
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        text = repr(_code(code))
    if function.__name__ == "<lambda>":
        text += repr(_code(code))  # a line of source may hold several
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        value = cell.cell_contents
        if not isinstance(value, int | float | str | bool | tuple | type(None)):
            raise InputError(f"an ensemble may close over numbers and text only; {name} is a {type(value).__name__}")
        text += f"\n{name} = {value!r}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _code(code: CodeType) -> tuple[Any, ...]:
    constants = tuple(_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts)
    return code.co_code.hex(), constants, code.co_names


class CarriedName(str):
    """`name@digest` that takes the function along to another process, and is plain text there."""

    __slots__ = ()

    def __copy__(self) -> CarriedName:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> CarriedName:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        name, _, digest = self.partition("@")
        law = _KNOWN.get(name)
        if law is None or law.digest != digest:
            return str, (str.__str__(self),)
        return _arrive, (law.name, law.function, law.digest)


def _arrive(name: str, function: RowLaw, digest: str) -> str:
    known = _KNOWN.get(name)
    if known is None or known.digest != digest:
        known = _KNOWN[name] = UserLaw(name, function, digest, carried=False)
    return known.text
