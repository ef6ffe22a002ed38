"""The blocks of an experiment file as they are written there: keys, types, defaults."""

from __future__ import annotations

import msgspec


class ThresholdBlock(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A `[[threshold]]` block: draws of the threshold width m* for every n listed.

    n                   inputs: a number or a list
    trials              draws per n
    expansions_before   expansions of the earlier layers (widths round(α_k n)); none for one layer
    widths_before       the same as widths, instead
    criterion           regional (default), global or layerwise
    ensemble            gaussian (default), uniform, …, sparse:0.1
    node_budget         nodes per draw; past it the draw is interval-censored. None: no limit
    stop                "width 0.05": stop at the first look (after 100, 200, 400, … draws) at which the 95 % interval
                        of the median of m*/n is at most that long, `trials` being the most; or the full text of a rule,
                        "width-target width=0.05 level=0.95 looks=100,400,1000" (`mcinj.infer.stopping`)
    """

    n: int | list[int]
    trials: int
    expansions_before: list[float] = []
    widths_before: list[int] = []
    criterion: str = "regional"
    ensemble: str = "gaussian"
    node_budget: int | None = None
    stop: str = ""


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


class ProbeBlock(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A `[[probe]]` block: witness searches, a lower bound on m* per stream, for every n and budget of moves listed."""

    n: int | list[int]
    trials: int
    moves: int | list[int] = 100_000
    ensemble: str = "gaussian"


class SearchedBlock(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A `[[searched]]` block: `runs` independent witness searches on each stream, for every n and budget listed.

    The best run is a proved lower bound of m*; how often it misses is estimated from how the runs agree. With
    expansions_before or widths_before (as in `[[threshold]]`) the rows are those of a layer behind earlier ones, and m*
    is the regional or global threshold, by `criterion`; each of these kinds fills a file of its own.
    """

    n: int | list[int]
    trials: int
    moves: int | list[int]
    runs: int = 4
    ensemble: str = "gaussian"
    expansions_before: list[float] = []
    widths_before: list[int] = []
    criterion: str = "regional"


class ActiveBlock(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An `[[active]]` block: the least active count min_x |S(x)| at widths round(ratio n), for every n listed."""

    n: int | list[int]
    trials: int
    ratios: list[float]
    ensemble: str = "gaussian"
    node_budget: int | None = None


class MarginBlock(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A `[[margin]]` block: the margin κ* at widths round(ratio n), for every n listed, enclosed to `tolerance`.

    tolerance, node_budget: as in `mcinj.margin` (None: 1e-3, no limit). A budget leaves a wider enclosure, which counts
    as undecided. With `moves`, a number or a list, margins are not enclosed but searched, by `runs` independent
    searches of so many moves each: proved upper bounds (`mcinj.quantify.margin_searched`). Such blocks fill a file of
    their own.
    """

    n: int | list[int]
    trials: int
    ratios: list[float]
    ensemble: str = "gaussian"
    tolerance: float | None = None
    node_budget: int | None = None
    moves: int | list[int] | None = None
    runs: int = 4


class CellsBlock(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A `[[cells]]` block: numbers of cells with 0 … `most` (default n) positives at widths round(ratio n)."""

    n: int | list[int]
    trials: int
    ratios: list[float]
    most: int | None = None
    ensemble: str = "gaussian"
