"""Searched thresholds behind earlier layers: the best of several independent searches on one stream.

Regional thresholds by `mcinj.decide.probe.deep`, global ones by `mcinj.decide.probe.collisions`.

As for one layer (`mcinj.decide.probe.searched`): every m_found has an exactly verified witness, so that m* > m_found is
proved; that no wider one exists is estimated from the agreement of the runs. A run may prove that an earlier layer
fails on its own; then no last width passes and m* is infinite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy.typing as npt

from mcinj.certify.witness import Witness
from mcinj.decide.budget import whole
from mcinj.decide.layer.threshold import RowStream
from mcinj.decide.probe.collisions import PairProbe, pair_probe
from mcinj.decide.probe.deep import DeepProbe, deep_probe
from mcinj.decide.verdict import Criterion
from mcinj.errors import InputError
from mcinj.networks import Network, Seed

# Runs draw their numbers below this child of the seed, which no stream of rows uses: layers count from 1.
_RUNS = 0


@dataclass(frozen=True)
class SearchedDeep:
    """Independent searches on one stream of rows behind the same earlier layers.

    Attributes
    ----------
    n
        Inputs.
    runs
        The searches, in their order. They share nothing but the network.
    """

    n: int
    runs: tuple[DeepProbe | PairProbe, ...]

    @property
    def failed_layer(self) -> int | None:
        """First earlier layer that a run proved to fail; None if no run found one."""
        return min((run.failed_layer for run in self.runs if run.failed_layer is not None), default=None)

    @property
    def m_found(self) -> int | None:
        """Largest last width with a verified witness in any run, so that m* > m_found; None where m* is infinite."""
        return None if self.failed_layer is not None else max(run.m_found or 0 for run in self.runs)

    @property
    def m_searched(self) -> float:
        """The searched threshold m_found + 1, infinite where an earlier layer fails: at most m*."""
        return float("inf") if self.m_found is None else float(self.m_found + 1)

    @property
    def agreeing(self) -> int:
        """How many runs found the best width (or, where an earlier layer fails, that it does)."""
        return len(self._best)

    def witness(self, rows: RowStream | npt.ArrayLike, first: Network) -> Witness:
        """Two rational inputs that collide at width m_found, or in the prefix that fails."""
        return self._best[0].witness(rows, first)

    @property
    def _best(self) -> list[DeepProbe | PairProbe]:
        return [r for r in self.runs if r.m_found == self.m_found and (r.m_found is not None or r.failed_layer)]


def searched_deep(
    rows: RowStream | npt.ArrayLike, first: Network, *, moves: int, runs: int = 4, seed: Seed | int | str = 0,
    criterion: Criterion | str = Criterion.REGIONAL,
) -> SearchedDeep:  # fmt: skip
    """Search one stream of last-layer rows behind `first` for its m*, by `runs` independent searches.

    Parameters
    ----------
    rows, first, moves
        As in `mcinj.decide.probe.deep.deep_probe`; a network of any depth.
    runs
        Independent searches; at least 2 for their agreement to say anything.
    seed
        Of the searches: run k draws its numbers below the child (0, k) of it. The same walks on every machine.
    criterion
        "regional", or "global": search for two inputs that collide.

    Raises
    ------
    InputError
        As `deep_probe`; fewer than one run; another criterion.

    Examples
    --------
    >>> from mcinj.networks import RowStream, sample
    >>> first, rows = sample(3, (20,), seed="13/3/0"), RowStream("gaussian", 20, "13/3/0", 2)
    >>> found = searched_deep(rows, first, moves=300, seed="13/3/0")
    >>> found.m_searched, found.agreeing
    (12.0, 4)
    >>> first, rows = sample(3, (20,), seed="13/3/1"), RowStream("gaussian", 20, "13/3/1", 2)
    >>> [searched_deep(rows, first, moves=2000, criterion=name).m_searched for name in ("regional", "global")]
    [14.0, 16.0]

    Source: docs/searched.md.
    """
    count = whole("runs", runs, 1)
    seeds = [Seed.parse(seed).child(_RUNS, k) for k in range(count)]
    if criterion == Criterion.REGIONAL:
        return SearchedDeep(first.n, tuple(deep_probe(rows, first, moves=moves, seed=s) for s in seeds))
    if criterion == Criterion.GLOBAL:
        return SearchedDeep(first.n, tuple(pair_probe(rows, first, moves=moves, seed=s) for s in seeds))
    raise InputError(f"criterion {str(criterion)!r}: search for 'regional' or 'global' thresholds")
