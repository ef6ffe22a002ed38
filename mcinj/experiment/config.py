"""Experiments in TOML, read strictly: an unknown key is named together with the nearest valid one."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from mcinj.decide.verdict import Criterion, Engine
from mcinj.errors import InputError
from mcinj.networks import Ensemble, widths_from_expansions

MAX_TRIALS = 10_000_000


class ThresholdBlock(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A `[[threshold]]` block: draws of the threshold width m* for every n listed.

    n                   inputs: a number or a list
    trials              draws per n
    expansions_before   expansions of the earlier layers (widths round(α_k n)); none for one layer
    widths_before       the same as widths, instead
    criterion           regional (default), global or layerwise
    ensemble            gaussian (default), uniform, …, sparse:0.1
    node_budget         nodes per draw; past it the draw is interval-censored. None: no limit
    """

    n: int | list[int]
    trials: int
    expansions_before: list[float] = []
    widths_before: list[int] = []
    criterion: str = "regional"
    ensemble: str = "gaussian"
    node_budget: int | None = None


class StackBlock(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A `[[stacks]]` block: fixed shapes, drawn `count` times, each decided by every criterion and engine listed.

    enumerate           also enumerate every activation pattern directly (small shapes only) and compare
    """

    n: int
    count: int
    widths: list[int] = []
    expansions: list[float] = []
    criteria: list[str] = msgspec.field(default_factory=lambda: ["regional"])
    engines: list[str] = msgspec.field(default_factory=lambda: ["auto"])
    ensemble: str = "gaussian"
    node_budget: int | None = None
    enumerate: bool = False


class _File(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: str
    description: str = ""
    seed: int = 0
    threshold: list[ThresholdBlock] = []
    stacks: list[StackBlock] = []


@dataclass(frozen=True)
class Series:
    """One curve: draws of m* at one n, with one law and one criterion."""

    n: int
    widths_before: tuple[int, ...]
    criterion: str
    ensemble: str
    trials: int
    node_budget: int | None

    @property
    def before(self) -> str:
        """Earlier widths as the tables write them: `""` or `"54,67"`."""
        return ",".join(str(w) for w in self.widths_before)

    @property
    def key(self) -> tuple[int, str, str, str]:
        """What names the series in a table."""
        return (self.n, self.before, self.criterion, self.ensemble)


@dataclass(frozen=True)
class StackSet:
    """Networks of one fixed shape and what is to be asked of them."""

    n: int
    widths: tuple[int, ...]
    ensemble: str
    count: int
    criteria: tuple[str, ...]
    engines: tuple[str, ...]
    node_budget: int | None
    enumerate: bool


@dataclass(frozen=True)
class Experiment:
    """A validated experiment. `kind` says whether it draws thresholds or decides fixed stacks."""

    name: str
    description: str
    seed: int
    series: tuple[Series, ...]
    stacks: tuple[StackSet, ...]

    @property
    def kind(self) -> Literal["threshold", "stacks"]:
        return "stacks" if self.stacks else "threshold"

    @property
    def groups(self) -> list[Series | StackSet]:
        """Series or stack sets, in the order of the file."""
        return [*self.series, *self.stacks]

    @property
    def trials(self) -> int:
        """Draws in all series."""
        return sum(s.trials for s in self.series) + sum(s.count for s in self.stacks)


def load(path: str | os.PathLike[str]) -> Experiment:
    """Read and validate an experiment file; `InputError` names the file, the key and the remedy."""
    source = Path(path)
    try:
        text = source.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from None
    try:
        return parse(text)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def parse(text: bytes | str | dict[str, Any]) -> Experiment:
    """Validate the text of an experiment file, or the same as nested dictionaries."""
    try:
        raw = msgspec.convert(text, _File) if isinstance(text, dict) else msgspec.toml.decode(text, type=_File)
    except msgspec.ValidationError as error:
        raise InputError(_explain(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not valid TOML: {error}") from None
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", raw.name):
        raise InputError(f"name = {raw.name!r}: use letters, digits, '_', '-', '.', it names the results folder")
    if not 0 <= raw.seed < 2**63:
        raise InputError(f"seed = {raw.seed}: give a whole number from 0 to 2^63 - 1")
    if bool(raw.threshold) == bool(raw.stacks):
        raise InputError("give [[threshold]] blocks (draws of m*) or [[stacks]] blocks (fixed shapes), one of the two")
    series = tuple(s for k, block in enumerate(raw.threshold, 1) for s in _series(block, f"[[threshold]] {k}"))
    twice = {s.key for i, s in enumerate(series) if s.key in {t.key for t in series[:i]}}
    if twice:
        raise InputError(f"two [[threshold]] blocks describe the same series {sorted(twice)[0]}; merge them")
    stacks = tuple(_stacks(block, f"[[stacks]] {k}") for k, block in enumerate(raw.stacks, 1))
    keys = [(s.n, s.widths, s.ensemble) for s in stacks]
    if len(set(keys)) < len(keys):
        raise InputError("two [[stacks]] blocks describe the same shape and ensemble; merge them")
    return Experiment(raw.name, raw.description, raw.seed, series, stacks)


def _series(block: ThresholdBlock, where: str) -> Iterator[Series]:
    sizes = block.n if isinstance(block.n, list) else [block.n]
    if not sizes:
        raise InputError(f"{where}: n is an empty list; give at least one number of inputs")
    if block.expansions_before and block.widths_before:
        raise InputError(f"{where}: give expansions_before or widths_before, not both")
    for n in sizes:
        _positive(n, f"{where}: n")
        _positive(block.trials, f"{where}: trials", MAX_TRIALS)
        for width in block.widths_before:
            _positive(width, f"{where}: widths_before")
        widths = _located(where, lambda n=n: widths_from_expansions(n, block.expansions_before))
        yield Series(
            n=n,
            widths_before=widths or tuple(block.widths_before),
            criterion=_choice(block.criterion, Criterion, f"{where}: criterion"),
            ensemble=str(_located(where, lambda: Ensemble.parse(block.ensemble))),
            trials=block.trials,
            node_budget=_budget(block.node_budget, where),
        )


def _stacks(block: StackBlock, where: str) -> StackSet:
    _positive(block.n, f"{where}: n")
    _positive(block.count, f"{where}: count", MAX_TRIALS)
    if bool(block.expansions) == bool(block.widths):
        raise InputError(f"{where}: give widths or expansions, one of the two")
    for width in block.widths:
        _positive(width, f"{where}: widths")
    widths = _located(where, lambda: widths_from_expansions(block.n, block.expansions)) or tuple(block.widths)
    return StackSet(
        n=block.n,
        widths=widths,
        ensemble=str(_located(where, lambda: Ensemble.parse(block.ensemble))),
        count=block.count,
        criteria=tuple(_choice(c, Criterion, f"{where}: criteria") for c in block.criteria),
        engines=tuple(_choice(e, Engine, f"{where}: engines") for e in block.engines),
        node_budget=_budget(block.node_budget, where),
        enumerate=block.enumerate,
    )


def _located(where: str, make: Any) -> Any:
    try:
        return make()
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _positive(value: int, what: str, top: int = 2**31) -> None:
    if not 1 <= value <= top:
        raise InputError(f"{what} = {value}: give a whole number from 1 to {top}")


def _budget(value: int | None, where: str) -> int | None:
    if value is not None and value < 0:
        raise InputError(f"{where}: node_budget = {value}: give a whole number >= 0, or leave it out for no limit")
    return value


def _choice(value: str, kind: Any, what: str) -> str:
    names = [str(v) for v in kind]
    if value in names:
        return value
    near = difflib.get_close_matches(value, names, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise InputError(f"{what} = {value!r}: choose one of {', '.join(names)}{hint}")


def _explain(message: str) -> str:
    """msgspec's message with the nearest valid key, and TOML's way to name the place."""
    place = re.search(r" - at `\$\.?([^`]*)`", message)
    path = place.group(1) if place else ""
    text = re.sub(r" - at `.*`", "", message)
    where = f"in [[{path.split('[')[0]}]]: " if path.startswith(("threshold", "stacks")) else ""
    unknown = re.search(r"unknown field `([^`]*)`", text)
    if unknown:
        kind = ThresholdBlock if path.startswith("threshold") else StackBlock if path.startswith("stacks") else _File
        names = [f.name for f in msgspec.structs.fields(kind)]
        near = difflib.get_close_matches(unknown.group(1), names, 1, cutoff=0.0)
        return f"{where}unknown key {unknown.group(1)!r}; did you mean {near[0]!r}? Valid keys: {', '.join(names)}"
    missing = re.search(r"missing required field `([^`]*)`", text)
    if missing:
        return f"{where}the key {missing.group(1)!r} is missing"
    return f"{where}{path.split('.')[-1]}: {text}" if path else text
