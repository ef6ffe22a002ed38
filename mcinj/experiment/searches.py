"""Searches as experiments: witnesses, searched thresholds, least active counts, margins, low-count cells.

Like draws of m*, each trial looks at the stream of rows with the seed root/n/trial; the kinds differ in what they ask.
All are about one layer but for searched thresholds behind earlier ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcinj._version import __version__
from mcinj.networks import RowStream, Seed, sample

if TYPE_CHECKING:
    from mcinj.decide.probe.collisions import PairProbe
    from mcinj.decide.probe.deep import DeepProbe


class OneLayerSet:
    """What sets of one-layer searches share unless they say otherwise: their names, one row per trial, no settings."""

    n: int
    ensemble: str

    @property
    def keys(self) -> dict[str, Any]:
        """Columns that name the set, and their values."""
        return {"n": self.n, "ensemble": self.ensemble}

    @property
    def parts(self) -> tuple[dict[str, Any], ...]:
        """What tells the rows of one trial apart: a trial is one row."""
        return ({},)

    @property
    def settings(self) -> dict[str, Any]:
        """Columns that a kept row must agree in."""
        return {}


class WidthsSet(OneLayerSet):
    """Sets that look at several widths of each stream."""

    widths: tuple[int, ...]

    @property
    def parts(self) -> tuple[dict[str, Any], ...]:
        """What tells the rows of one trial apart: a row per width."""
        return tuple({"m": m} for m in self.widths)


class MovesSet(OneLayerSet):
    """Sets of searches with a budget of moves, which is part of their name."""

    moves: int

    @property
    def keys(self) -> dict[str, Any]:
        """Columns that name the set, and their values."""
        return {**super().keys, "moves": self.moves}


class RunsSet(MovesSet):
    """Sets that search each stream several times."""

    runs: int

    @property
    def parts(self) -> tuple[dict[str, Any], ...]:
        """What tells the rows of one trial apart: a row per run."""
        return tuple({"run": run} for run in range(self.runs))


@dataclass(frozen=True)
class ProbeSet(MovesSet):
    """Witness searches (`mcinj.decide.probe.probe`) at one n with one budget of moves."""

    n: int
    ensemble: str
    moves: int
    trials: int

    def rows(self, root: int, trial: int) -> Iterator[dict[str, Any]]:
        """Rows of the table for one trial."""
        from mcinj.decide.probe.probe import probe

        seed = Seed(root).child(self.n, trial)
        # The walk's own randomness: a path that no stream of rows uses.
        found = probe(RowStream(self.ensemble, self.n, seed), self.n, moves=self.moves, seed=seed.child(0))
        yield {
            **self.keys,
            "trial": trial,
            "seed": str(seed),
            "m_found": found.m_found,
            "seconds": found.seconds,
            "version": __version__,
        }


@dataclass(frozen=True)
class SearchedSet(RunsSet):
    """Searched thresholds (`mcinj.decide.probe.searched`) at one n: several independent witness searches per stream."""

    n: int
    ensemble: str
    moves: int
    runs: int
    trials: int

    def rows(self, root: int, trial: int) -> Iterator[dict[str, Any]]:
        """Rows of the table for one trial."""
        from mcinj.decide.probe.searched import searched

        seed = Seed(root).child(self.n, trial)
        found = searched(RowStream(self.ensemble, self.n, seed), self.n, moves=self.moves, runs=self.runs, seed=seed)
        for run, each in enumerate(found.runs):
            yield {
                **self.keys,
                "trial": trial,
                "run": run,
                "seed": str(seed),
                "m_found": each.m_found,
                "seconds": each.seconds,
                "version": __version__,
            }


@dataclass(frozen=True)
class SearchedDeepSet(RunsSet):
    """Searched thresholds behind earlier layers (`mcinj.decide.probe.searched_deep`), at one n and one shape.

    Trial t looks at the networks of the seed root/n/t, those that `[[threshold]]` draws from.
    """

    n: int
    widths_before: tuple[int, ...]
    ensemble: str
    moves: int
    runs: int
    trials: int
    criterion: str = "regional"

    @property
    def keys(self) -> dict[str, Any]:
        """Columns that name the set, and their values."""
        before = ",".join(str(w) for w in self.widths_before)
        return {"n": self.n, "widths_before": before, "ensemble": self.ensemble, "moves": self.moves}

    def rows(self, root: int, trial: int) -> Iterator[dict[str, Any]]:
        """Rows of the table for one trial; m_found is None where a run proved that an earlier layer fails."""
        from mcinj.decide.probe.searched_deep import searched_deep

        seed = Seed(root).child(self.n, trial)
        first = sample(self.n, self.widths_before, self.ensemble, seed)
        stream = RowStream(self.ensemble, first.widths[-1], seed, layer=first.depth + 1)
        found = searched_deep(stream, first, moves=self.moves, runs=self.runs, seed=seed, criterion=self.criterion)
        for run, each in enumerate(found.runs):
            yield {
                **self.keys,
                "trial": trial,
                "run": run,
                "seed": str(seed),
                "m_found": each.m_found,
                "failed_layer": each.failed_layer,
                **self._of_pair(each),
                "seconds": each.seconds,
                "version": __version__,
            }

    @staticmethod
    def _of_pair(found: DeepProbe | PairProbe) -> dict[str, int]:
        """What is told of a collision besides its width."""
        told = [(name, getattr(found, name, None)) for name in ("equal", "crossed")]
        return {name: value for name, value in told if value is not None}


@dataclass(frozen=True)
class ActiveSet(WidthsSet):
    """Least active counts (`mcinj.decide.layer.active`) at one n and several widths."""

    n: int
    ensemble: str
    widths: tuple[int, ...]
    trials: int
    node_budget: int | None

    @property
    def settings(self) -> dict[str, Any]:
        """Columns that a kept row must agree in."""
        return {"node_budget": self.node_budget}

    def rows(self, root: int, trial: int) -> Iterator[dict[str, Any]]:
        """Rows of the table for one trial; nodes are those of all its widths together, seconds a row's equal share."""
        from mcinj.decide.layer.active import least_active

        seed = Seed(root).child(self.n, trial)
        stream = RowStream(self.ensemble, self.n, seed)
        curve = least_active(stream, self.n, self.widths, node_budget=self.node_budget)
        for item in curve.widths:
            yield {
                **self.keys,
                "m": item.m,
                "trial": trial,
                "seed": str(seed),
                "active_lo": item.low,
                "active_hi": item.high,
                "node_budget": self.node_budget,
                "nodes": curve.nodes,
                "seconds": curve.seconds / len(curve.widths),
                "version": __version__,
            }


@dataclass(frozen=True)
class MarginSet(WidthsSet):
    """Margins (`mcinj.margin`) at one n and several widths."""

    n: int
    ensemble: str
    widths: tuple[int, ...]
    tolerance: float
    trials: int
    node_budget: int | None

    @property
    def settings(self) -> dict[str, Any]:
        """Columns that a kept row must agree in."""
        return {"tolerance": self.tolerance, "node_budget": self.node_budget}

    def rows(self, root: int, trial: int) -> Iterator[dict[str, Any]]:
        """Rows of the table for one trial: the first m rows of its stream, for every width m."""
        from mcinj.quantify.margin import margin

        seed = Seed(root).child(self.n, trial)
        stream = RowStream(self.ensemble, self.n, seed)
        for m in self.widths:
            started = time.perf_counter()
            found = margin(stream.take(m), tolerance=self.tolerance, node_budget=self.node_budget)
            yield {
                **self.keys,
                "m": m,
                "trial": trial,
                "seed": str(seed),
                "margin_lo": found.lo,
                "margin_hi": found.hi,
                "complete": int(found.complete),
                "tolerance": self.tolerance,
                "node_budget": self.node_budget,
                "nodes": found.nodes,
                "seconds": time.perf_counter() - started,
                "version": __version__,
            }


@dataclass(frozen=True)
class SearchedMarginSet(MovesSet):
    """Searched margins (`mcinj.quantify.margin_searched`) at one n and several widths of each stream.

    Trial t looks at the layers of the seed root/n/t, those that blocks without moves enclose.
    """

    n: int
    ensemble: str
    widths: tuple[int, ...]
    moves: int
    runs: int
    trials: int

    @property
    def parts(self) -> tuple[dict[str, Any], ...]:
        """What tells the rows of one trial apart: a row per width and run."""
        return tuple({"m": m, "run": run} for m in self.widths for run in range(self.runs))

    def rows(self, root: int, trial: int) -> Iterator[dict[str, Any]]:
        """Rows of the table for one trial: for every width m the runs on its first m rows."""
        from mcinj.quantify.margin_searched import searched_margin

        seed = Seed(root).child(self.n, trial)
        stream = RowStream(self.ensemble, self.n, seed)
        for m in self.widths:
            found = searched_margin(stream.take(m), moves=self.moves, runs=self.runs, seed=seed.child(m))
            for run, each in enumerate(found.runs):
                yield {
                    **self.keys,
                    "m": m,
                    "trial": trial,
                    "run": run,
                    "seed": str(seed),
                    "margin_hi": each.high,
                    "seconds": each.seconds,
                    "version": __version__,
                }


@dataclass(frozen=True)
class CellSet(WidthsSet):
    """Numbers of cells with 0 … most positive rows (`mcinj.decide.oracles.lowcells`) at one n and several widths."""

    n: int
    ensemble: str
    widths: tuple[int, ...]
    most: int
    trials: int

    @property
    def parts(self) -> tuple[dict[str, Any], ...]:
        """What tells the rows of one trial apart: a row per width and number of positives."""
        return tuple({"m": m, "j": j} for m in self.widths for j in range(self.most + 1))

    def rows(self, root: int, trial: int) -> Iterator[dict[str, Any]]:
        """Rows of the table for one trial; nodes and exact are those of the width, seconds a row's share."""
        from mcinj.decide.oracles.lowcells import count_cells

        seed = Seed(root).child(self.n, trial)
        stream = RowStream(self.ensemble, self.n, seed)
        for m in self.widths:
            started = time.perf_counter()
            found = count_cells(stream.take(m), self.most)
            seconds = time.perf_counter() - started
            for j, cells in enumerate(found.counts):
                yield {
                    **self.keys,
                    "m": m,
                    "j": j,
                    "trial": trial,
                    "seed": str(seed),
                    "cells": cells,
                    "nodes": found.nodes,
                    "exact": found.exact,
                    "seconds": seconds / len(found.counts),
                    "version": __version__,
                }


SearchSet = ProbeSet | SearchedSet | SearchedDeepSet | ActiveSet | MarginSet | SearchedMarginSet | CellSet
