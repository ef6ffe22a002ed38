"""Searched thresholds of one layer: the best of several independent witness searches on one stream of rows.

Every run is a `probe`: its width has an exactly verified witness, so that m* > m_found is proved. That no wider witness
exists is not: how often the best of the runs misses m* - 1 is estimated from their agreement, over many streams
(`mcinj.infer.searched`). Such values are called *searched* wherever they appear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy.typing as npt

from mcinj.certify.witness import Witness
from mcinj.decide.budget import whole
from mcinj.decide.layer.threshold import RowStream
from mcinj.decide.probe.probe import Probe, probe
from mcinj.networks import Seed

# Runs draw their numbers below this child of the seed, which no stream of rows and no other search uses.
_RUNS = 1


@dataclass(frozen=True)
class Searched:
    """Independent searches on one stream of rows.

    Attributes
    ----------
    n
        Inputs.
    runs
        The searches, in their order. They share nothing but the rows.
    """

    n: int
    runs: tuple[Probe, ...]

    @property
    def m_found(self) -> int:
        """Largest width with a verified witness in any run: m* > m_found is proved."""
        return max(run.m_found for run in self.runs)

    @property
    def m_searched(self) -> int:
        """The searched threshold m_found + 1: at most m*, and equal to it unless all runs missed."""
        return self.m_found + 1

    @property
    def agreeing(self) -> int:
        """How many runs found the best width."""
        return sum(run.m_found == self.m_found for run in self.runs)

    def witness(self, rows: RowStream | npt.ArrayLike) -> Witness:
        """Two rational inputs that collide at width m_found."""
        return next(run for run in self.runs if run.m_found == self.m_found).witness(rows)


def searched(
    rows: RowStream | npt.ArrayLike, n: int, *, moves: int, runs: int = 4, seed: Seed | int | str = 0
) -> Searched:
    """Search one stream of rows for m* by `runs` independent searches of `moves` moves each.

    Parameters
    ----------
    rows, n, moves
        As in `mcinj.decide.probe.probe.probe`.
    runs
        Independent searches; at least 2 for their agreement to say anything.
    seed
        Of the searches: run k draws its numbers at the child (1, k) of it. The same on every machine.

    Raises
    ------
    InputError
        As `probe`; or fewer than one run.

    Examples
    --------
    >>> from mcinj.networks import RowStream
    >>> found = searched(RowStream("gaussian", 6, "7/6/0"), 6, moves=2000, seed="7/6/0")
    >>> found.m_searched, found.agreeing
    (30, 4)

    Source: docs/searched.md.
    """
    count = whole("runs", runs, 1)
    root = Seed.parse(seed)
    return Searched(int(n), tuple(probe(rows, n, moves=moves, seed=root.child(_RUNS, k)) for k in range(count)))
