"""One trial: a draw of the threshold width m*, from a seed and a shape to one row of the table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mcinj._version import __version__
from mcinj.decide.check import check
from mcinj.decide.verdict import Certified, Criterion, Engine, Outcome
from mcinj.errors import InputError
from mcinj.experiment.config import Series
from mcinj.networks import Ensemble, Network, RowStream, Seed, sample


@dataclass(frozen=True)
class Threshold:
    """A draw of m*: the least last width at which the criterion passes, for one stream of last-layer rows.

    Attributes
    ----------
    n, widths_before, criterion, ensemble, seed
        What was drawn; `mcinj.sample(n, (*widths_before, m), ensemble, seed)` draws the same network.
    m_lo
        Largest width proved not to pass (0 is the empty layer, which never does); None where an earlier layer
        fails or is undecided.
    m_hi
        Least width proved to pass; None if there is none (earlier failure) or none was proved (budget).
        m* = m_hi when m_hi = m_lo + 1; otherwise m* lies in (m_lo, m_hi].
    failed_layer
        An earlier layer that already fails: then no last width passes and m* is infinite.
    nodes, seconds
        Cost; nodes are machine-independent.
    certified
        What the pass at m_hi rests on: `exact`, `generic` or `none`.
    engine, version
        Engine, and mcinj's version.
    """

    n: int
    widths_before: tuple[int, ...]
    criterion: str
    ensemble: str
    seed: str
    m_lo: int | None
    m_hi: int | None
    failed_layer: int | None
    nodes: int
    seconds: float
    certified: str
    engine: str
    version: str

    @property
    def m_star(self) -> float | None:
        """The threshold width if it is known: a whole number, `inf` after an earlier failure, else None."""
        if self.failed_layer is not None:
            return float("inf")
        if self.m_lo is not None and self.m_hi == self.m_lo + 1:
            return float(self.m_hi)
        return None

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `--json`."""
        return {**asdict(self), "widths_before": list(self.widths_before)}


def threshold(
    n: int,
    widths_before: Sequence[int] = (),
    criterion: Criterion | str = "regional",
    ensemble: Ensemble | str = "gaussian",
    seed: Seed | int | str = 0,
    node_budget: int | None = None,
) -> Threshold:
    """Draw one threshold width m*: how many rows of the last layer's stream until the criterion passes.

    Parameters
    ----------
    n
        Inputs.
    widths_before
        Widths of the layers before the last one; none for a one-layer network.
    criterion
        `regional`, `global` or `layerwise`; one thing for one layer.
    ensemble, seed
        As in `mcinj.sample`: the networks of one seed share their rows.
    node_budget
        Most search nodes; past it the draw is censored: m* is known to lie in (m_lo, m_hi], or above m_lo.

    Examples
    --------
    >>> import mcinj
    >>> draw = mcinj.threshold(3, seed=5)
    >>> draw.m_hi == draw.m_lo + 1
    True
    >>> str(mcinj.check(mcinj.sample(3, (draw.m_hi,), seed=5)).verdict)
    'injective'

    More rows of the last layer never destroy a pass, so one stream has one threshold.
    """
    started = time.perf_counter()
    try:
        rule = Criterion(criterion)
    except ValueError:
        raise InputError(f"unknown criterion {criterion!r}; choose one of {', '.join(Criterion)}") from None
    if node_budget is not None and (isinstance(node_budget, bool) or node_budget < 0):
        raise InputError(f"node_budget must be a whole number >= 0 or None (no limit), got {node_budget!r}")
    law, root = Ensemble.parse(ensemble), Seed.parse(seed)
    before = sample(n, widths_before, law, root) if len(widths_before) else None
    if before is None:
        sample(n, (1,), law, root)  # for its checks of n
    columns = n if before is None else before.widths[-1]
    stream = RowStream(law, columns, root, layer=len(widths_before) + 1)
    draw = _Draw(rule, stream, node_budget)
    if before is None:
        draw.one_layer(n)
    elif rule is Criterion.LAYERWISE:
        draw.layerwise(before)
    else:
        draw.deep(before)
    return Threshold(
        n=int(n),
        widths_before=tuple(int(w) for w in widths_before),
        criterion=str(rule),
        ensemble=str(law),
        seed=str(root),
        m_lo=draw.m_lo,
        m_hi=draw.m_hi,
        failed_layer=draw.failed_layer,
        nodes=draw.nodes,
        seconds=time.perf_counter() - started,
        certified=str(draw.certified),
        engine=str(Engine.TREE),
        version=__version__,
    )


class _Draw:
    """The draw under way; each method fills in the result."""

    def __init__(self, criterion: Criterion, stream: RowStream, node_budget: int | None) -> None:
        self.criterion, self.stream, self.node_budget = criterion, stream, node_budget
        self.m_lo: int | None = None
        self.m_hi: int | None = None
        self.failed_layer: int | None = None
        self.nodes = 0
        self.certified = Certified.NONE

    def one_layer(self, n: int) -> None:
        from mcinj.decide.layer.threshold import one_layer_threshold

        left = None if self.node_budget is None else max(self.node_budget - self.nodes, 0)
        found = one_layer_threshold(self.stream, n, node_budget=left, premise=self.stream.premise)
        self.m_lo, self.m_hi, self.certified = found.m_lo, found.m_hi, found.certified
        self.nodes += found.nodes

    def layerwise(self, before: Network) -> None:
        """The earlier layers must each be injective; then the last one is a one-layer draw in its own input space."""
        undecided = False
        for k in range(1, before.depth + 1):
            left = None if self.node_budget is None else max(self.node_budget - self.nodes, 0)
            verdict = check(before.layer(k), node_budget=left)
            self.nodes += verdict.nodes
            if verdict.verdict is Outcome.NOT_INJECTIVE:
                self.failed_layer = k
                return
            undecided = undecided or verdict.verdict is Outcome.UNKNOWN
        if not undecided:
            self.one_layer(before.widths[-1])

    def deep(self, before: Network) -> None:
        from mcinj.decide.deep.threshold import deep_threshold

        found = deep_threshold(
            self.stream, before, self.criterion, node_budget=self.node_budget, premise=self.stream.premise
        )
        self.m_lo, self.m_hi, self.failed_layer = found.m_lo, found.m_hi, found.failed_layer
        self.nodes, self.certified = found.nodes, found.certified


def threshold_row(series: Series, root: int, trial: int) -> dict[str, Any]:
    """One row of the trials table: trial number `trial` of a series, with the seed `root/n/trial`.

    Series that share n share their streams of rows, so criteria and ensembles are compared on common draws.
    """
    draw = threshold(
        series.n,
        series.widths_before,
        series.criterion,
        series.ensemble,
        Seed(root).child(series.n, trial),
        series.node_budget,
    )
    return {**asdict(draw), "widths_before": series.before, "trial": trial, "node_budget": series.node_budget}
