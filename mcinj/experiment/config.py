"""Experiments in TOML, read strictly: an unknown key is named together with the nearest valid one."""

from __future__ import annotations

import difflib
import os
import re
import typing
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from mcinj.decide.verdict import Criterion, Engine
from mcinj.errors import InputError
from mcinj.experiment.blocks import (
    ActiveBlock,
    CellsBlock,
    MarginBlock,
    ProbeBlock,
    SearchedBlock,
    StackBlock,
    ThresholdBlock,
)
from mcinj.experiment.searches import (
    ActiveSet,
    CellSet,
    MarginSet,
    ProbeSet,
    SearchedDeepSet,
    SearchedMarginSet,
    SearchedSet,
    SearchSet,
)
from mcinj.networks import Ensemble, widths_from_expansions

MAX_TRIALS = 10_000_000
MAX_ALL_TRIALS = 100_000_000  # of an experiment: their numbers are held in memory
MAX_WEIGHTS = 100_000_000  # of the layers that a series draws in full: 0.8 GB
MAX_RUNS = 1000  # independent searches of one stream
MAX_FILE = 1_000_000  # bytes


class _File(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    name: str
    description: str = ""
    seed: int = 0
    threshold: list[ThresholdBlock] = []
    stacks: list[StackBlock] = []
    probe: list[ProbeBlock] = []
    searched: list[SearchedBlock] = []
    active: list[ActiveBlock] = []
    margin: list[MarginBlock] = []
    cells: list[CellsBlock] = []


# Kinds of experiments: the name of their blocks, and the type.
_BLOCKS: dict[str, type[msgspec.Struct]] = {
    "threshold": ThresholdBlock,
    "stacks": StackBlock,
    "probe": ProbeBlock,
    "searched": SearchedBlock,
    "active": ActiveBlock,
    "margin": MarginBlock,
    "cells": CellsBlock,
}
Kind = Literal[
    "threshold",
    "stacks",
    "probe",
    "searched",
    "searched_deep",
    "searched_global",
    "active",
    "margin",
    "searched_margin",
    "cells",
]


@dataclass(frozen=True)
class Series:
    """One curve: draws of m* at one n, with one law and one criterion."""

    n: int
    widths_before: tuple[int, ...]
    criterion: str
    ensemble: str
    trials: int
    node_budget: int | None
    rule: str = ""

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


Group = Series | StackSet | SearchSet


@dataclass(frozen=True)
class Experiment:
    """A validated experiment: groups of trials of one kind, in the order of the file."""

    name: str
    description: str
    seed: int
    kind: Kind
    groups: tuple[Group, ...]

    @property
    def series(self) -> tuple[Series, ...]:
        """The series of a threshold experiment."""
        return tuple(g for g in self.groups if isinstance(g, Series))

    @property
    def trials(self) -> int:
        """Draws in all groups (at most, where a stopping rule may end one earlier)."""
        return sum(g.count if isinstance(g, StackSet) else g.trials for g in self.groups)


def load(path: str | os.PathLike[str]) -> Experiment:
    """Read and validate an experiment file; `InputError` names the file, the key and the remedy."""
    source = Path(path)
    try:
        with source.open("rb") as stream:
            text = stream.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error.strerror or error}") from None
    if len(text) > MAX_FILE:
        raise InputError(f"{source} is larger than {MAX_FILE // 1_000_000} MB: no experiment file")
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
    except RecursionError:
        raise InputError("not valid TOML: nested too deeply") from None
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        raise InputError(f"not valid TOML: {str(error)[:200]}") from None
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", raw.name):
        raise InputError(f"name = {raw.name!r}: use letters, digits, '_', '-', '.', it names the results folder")
    if not 0 <= raw.seed < 2**63:
        raise InputError(f"seed = {raw.seed}: give a whole number from 0 to 2^63 - 1")
    given = [k for k in _BLOCKS if getattr(raw, k)]
    if len(given) != 1:
        raise InputError(
            "give blocks of one kind: [[threshold]] (draws of m*), [[stacks]] (fixed shapes), [[probe]] (witness "
            "search), [[searched]] (thresholds by repeated search), [[active]] (least active counts), [[margin]] "
            "(margins) or [[cells]] (numbers of cells)"
            + (f", not {' and '.join(given)}; split the file in one per kind" if given else "")
        )
    groups: list[Group] = []
    for k, block in enumerate(getattr(raw, given[0]), 1):
        groups.extend(_READERS[given[0]](block, f"[[{given[0]}]] {k}"))
    kind = _kind(given[0], groups)
    names = [_name(g) for g in groups]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        what = {"threshold": "series", "stacks": "shape and ensemble"}.get(kind, "trials")
        raise InputError(f"two [[{given[0]}]] blocks describe the same {what} {twice[0]}; merge them")
    experiment = Experiment(raw.name, raw.description, raw.seed, kind, tuple(groups))
    if experiment.trials > MAX_ALL_TRIALS:
        raise InputError(f"{experiment.trials} trials in all; at most {MAX_ALL_TRIALS} fit one file, split it")
    return experiment


def _kind(block: str, groups: list[Group]) -> Kind:
    """The kind of table: searches of deep networks, by criterion, and searched margins have tables of their own."""
    special: tuple[tuple[type, str], ...] = ((SearchedDeepSet, "earlier layers"), (SearchedMarginSet, "moves"))
    for kind, what in special:
        found = [group for group in groups if isinstance(group, kind)]
        if found and len(found) < len(groups):
            raise InputError(f"[[{block}]] blocks with and without {what} make different tables; split the file")
        criteria = {group.criterion for group in found if isinstance(group, SearchedDeepSet)}
        if len(criteria) > 1:
            raise InputError(f"[[{block}]] blocks of two criteria make different tables; split the file")
        if criteria:
            return "searched_deep" if Criterion.REGIONAL in criteria else "searched_global"
        if found:
            return "searched_margin"
    return typing.cast(Kind, block)


def _name(group: Group) -> tuple[Any, ...]:
    if isinstance(group, Series):
        return group.key
    return (group.n, group.widths, group.ensemble) if isinstance(group, StackSet) else tuple(group.keys.values())


def _series(block: ThresholdBlock, where: str) -> Iterator[Series]:
    for n in _sizes(block.n, where):
        _positive(block.trials, f"{where}: trials", MAX_TRIALS)
        widths = _earlier(n, block, where)
        yield Series(
            n=n,
            widths_before=widths,
            criterion=_choice(block.criterion, Criterion, f"{where}: criterion"),
            ensemble=str(_located(where, lambda: Ensemble.parse(block.ensemble))),
            trials=block.trials,
            node_budget=_budget(block.node_budget, where),
            rule=_located(f"{where}: stop", lambda: _rule(block.stop, block.trials)),
        )


def _earlier(n: int, block: ThresholdBlock | SearchedBlock, where: str) -> tuple[int, ...]:
    """Widths of the earlier layers that a block names."""
    if block.expansions_before and block.widths_before:
        raise InputError(f"{where}: give expansions_before or widths_before, not both")
    for width in block.widths_before:
        _positive(width, f"{where}: widths_before")
    return _widths(n, block.expansions_before, block.widths_before, where)


def _widths(n: int, expansions: list[float], given: list[int], where: str) -> tuple[int, ...]:
    """Widths as given, or by expansions; `InputError` before anybody allocates what does not fit."""
    try:
        widths = _located(where, lambda: widths_from_expansions(n, expansions)) or tuple(given)
    except OverflowError:
        raise InputError(f"{where}: the expansions {expansions} make a layer of infinite width") from None
    weights, columns = 0, n
    for k, width in enumerate(widths, 1):
        weights, columns = weights + width * columns, width
        if weights > MAX_WEIGHTS:
            raise InputError(
                f"{where}: at n = {n} the first {k} layer(s) have {weights:.3g} weights, at most "
                f"{MAX_WEIGHTS:.0e} fit; make them smaller"
            )
    return widths


def _rule(text: str, trials: int) -> str:
    """A stopping rule in its full text; the short form `width W` looks at 100, 200, 400, … and `trials` draws."""
    from mcinj.infer.stopping import WidthTarget, doubling_looks, parse_rule

    if not text:
        return ""
    short = re.fullmatch(r"width\s+(\S+)", text.strip())
    if short:
        try:
            width = float(short.group(1))
        except ValueError:
            raise InputError(f"{text!r} has no number; write e.g. 'width 0.05'") from None
        return WidthTarget(width, doubling_looks(min(100, trials), trials)).text
    rule = parse_rule(text)
    if rule.looks[-1] != trials:
        raise InputError(f"the last look of {text!r} is after {rule.looks[-1]} trials, but trials = {trials}")
    return rule.text


def _probes(block: ProbeBlock, where: str) -> Iterator[ProbeSet]:
    _positive(block.trials, f"{where}: trials", MAX_TRIALS)
    for n in _sizes(block.n, where):
        for moves in _moves(block.moves, where):
            yield ProbeSet(n, _ensemble(block.ensemble, where), moves, block.trials)


def _searched(block: SearchedBlock, where: str) -> Iterator[SearchedSet | SearchedDeepSet]:
    _positive(block.trials, f"{where}: trials", MAX_TRIALS)
    _runs(block.runs, where)
    criterion = _choice(block.criterion, Criterion, f"{where}: criterion")
    if criterion == Criterion.LAYERWISE:
        raise InputError(f"{where}: criterion = 'layerwise': search for regional or global thresholds")
    for n in _sizes(block.n, where):
        for moves in _moves(block.moves, where):
            widths, law = _earlier(n, block, where), _ensemble(block.ensemble, where)
            if widths:
                yield SearchedDeepSet(n, widths, law, moves, block.runs, block.trials, criterion)
            else:
                yield SearchedSet(n, law, moves, block.runs, block.trials)


def _moves(moves: int | list[int], where: str) -> list[int]:
    """The budgets of a block: a number or a list."""
    found = moves if isinstance(moves, list) else [moves]
    for each in found:
        _positive(each, f"{where}: moves", 2**50)
    return found


def _runs(runs: int, where: str) -> None:
    _positive(runs, f"{where}: runs", MAX_RUNS)
    if runs < 2:
        raise InputError(f"{where}: runs = {runs}: give at least 2, misses are estimated from their agreement")


def _active(block: ActiveBlock, where: str) -> Iterator[ActiveSet]:
    _positive(block.trials, f"{where}: trials", MAX_TRIALS)
    law, budget = _ensemble(block.ensemble, where), _budget(block.node_budget, where)
    for n in _sizes(block.n, where):
        yield ActiveSet(n, law, _ratios(n, block.ratios, where), block.trials, budget)


def _margin(block: MarginBlock, where: str) -> Iterator[MarginSet | SearchedMarginSet]:
    _positive(block.trials, f"{where}: trials", MAX_TRIALS)
    if block.moves is not None and (block.tolerance is not None or block.node_budget is not None):
        raise InputError(f"{where}: with moves margins are searched, not enclosed; leave tolerance and node_budget out")
    tolerance = 1e-3 if block.tolerance is None else block.tolerance
    if not 1e-9 <= tolerance <= 0.5:
        raise InputError(f"{where}: tolerance = {tolerance}: give a share of the rows' length, 1e-9 to 0.5")
    law, budget = _ensemble(block.ensemble, where), _budget(block.node_budget, where)
    for n in _sizes(block.n, where):
        widths = _ratios(n, block.ratios, where)
        if widths[0] < n:
            raise InputError(f"{where}: ratios = {widths[0] / n:g}: fewer rows than inputs have no margin; give >= 1")
        if block.moves is None:
            yield MarginSet(n, law, widths, tolerance, block.trials, budget)
            continue
        _runs(block.runs, where)
        for moves in _moves(block.moves, where):
            yield SearchedMarginSet(n, law, widths, moves, block.runs, block.trials)


def _cells(block: CellsBlock, where: str) -> Iterator[CellSet]:
    _positive(block.trials, f"{where}: trials", MAX_TRIALS)
    if block.most is not None and block.most < 0:
        raise InputError(f"{where}: most = {block.most}: give a whole number >= 0, or leave it out for n")
    for n in _sizes(block.n, where):
        most = n if block.most is None else block.most
        yield CellSet(n, _ensemble(block.ensemble, where), _ratios(n, block.ratios, where), most, block.trials)


def _sizes(n: int | list[int], where: str) -> list[int]:
    sizes = n if isinstance(n, list) else [n]
    if not sizes:
        raise InputError(f"{where}: n is an empty list; give at least one number of inputs")
    for size in sizes:
        _positive(size, f"{where}: n")
    return sizes


def _ratios(n: int, ratios: list[float], where: str) -> tuple[int, ...]:
    """Widths round(ratio n), increasing, each once."""
    if not ratios:
        raise InputError(f"{where}: ratios is an empty list; give at least one width ratio m/n")
    for ratio in ratios:
        if not 0 < ratio <= 1000:
            raise InputError(f"{where}: ratios = {ratio:g}: give width ratios m/n above 0 and at most 1000")
    return tuple(sorted({max(1, round(ratio * n)) for ratio in ratios}))


def _ensemble(text: str, where: str) -> str:
    return str(_located(where, lambda: Ensemble.parse(text)))


def _stacks(block: StackBlock, where: str) -> Iterator[StackSet]:
    _positive(block.n, f"{where}: n")
    _positive(block.count, f"{where}: count", MAX_TRIALS)
    if bool(block.expansions) == bool(block.widths):
        raise InputError(f"{where}: give widths or expansions, one of the two")
    for width in block.widths:
        _positive(width, f"{where}: widths")
    widths = _widths(block.n, block.expansions, block.widths, where)
    yield StackSet(
        n=block.n,
        widths=widths,
        ensemble=str(_located(where, lambda: Ensemble.parse(block.ensemble))),
        count=block.count,
        criteria=tuple(_choice(c, Criterion, f"{where}: criteria") for c in block.criteria),
        engines=tuple(_choice(e, Engine, f"{where}: engines") for e in block.engines),
        node_budget=_budget(block.node_budget, where),
        enumerate=block.enumerate,
    )


_READERS: dict[str, Callable[[Any, str], Iterator[Group]]] = {
    "threshold": _series,
    "stacks": _stacks,
    "probe": _probes,
    "searched": _searched,
    "active": _active,
    "margin": _margin,
    "cells": _cells,
}


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
    where = f"in [[{path.split('[')[0]}]]: " if path.split("[")[0] in _BLOCKS else ""
    unknown = re.search(r"unknown field `([^`]*)`", text)
    if unknown:
        kind = _BLOCKS.get(path.split("[")[0], _File)
        names = [f.name for f in msgspec.structs.fields(kind)]
        near = difflib.get_close_matches(unknown.group(1), names, 1, cutoff=0.0)
        return f"{where}unknown key {unknown.group(1)!r}; did you mean {near[0]!r}? Valid keys: {', '.join(names)}"
    missing = re.search(r"missing required field `([^`]*)`", text)
    if missing:
        return f"{where}the key {missing.group(1)!r} is missing"
    return f"{where}{path.split('.')[-1]}: {text}" if path else text
