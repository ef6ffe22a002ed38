"""Families of series that belong on one finite-size plot: same criterion, ensemble and earlier ratios, different n.

A table names the earlier layers by widths, round(α_k n), not by ratios. Series belong together when one vector of
ratios α explains all their widths, that is, when the intervals [(w - 1/2)/n, (w + 1/2)/n] have a common point.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcinj.errors import InputError
from mcinj.infer.means import SearchedMean, means
from mcinj.infer.points import Statistic, locations
from mcinj.infer.reference import SeriesName, reference_series
from mcinj.infer.regularised import MeanExtrapolation, extrapolate_means
from mcinj.infer.sample import Series, SeriesKey, ThresholdSample, samples_by_series
from mcinj.infer.scaling import N_MIN, Extrapolation, extrapolate

if TYPE_CHECKING:
    import pandas as pd

Ratios = tuple[tuple[float, float], ...]
_SLACK = 1e-9  # α n may round to a half-integer end


@dataclass(frozen=True)
class Family:
    """Series of one family, by increasing n.

    ratios: for each earlier layer the interval (lo, hi) of cumulative ratios m_k/n that gives all the widths; empty
    for one layer.
    """

    criterion: str
    ensemble: str
    ratios: Ratios
    keys: tuple[SeriesKey, ...]
    samples: tuple[ThresholdSample, ...] = field(repr=False)

    @property
    def layers(self) -> int:
        """Depth of the networks, the last layer included."""
        return len(self.ratios) + 1

    @property
    def label(self) -> str:
        """A short name: "gaussian, global" or "gaussian, global, after 6.7"."""
        return f"{self.ensemble}, {self.criterion}" + (f", after {self.before}" if self.ratios else "")

    @property
    def before(self) -> str:
        """The ratios of the earlier layers in few digits: "" or "6.7, 8.3"."""
        return ratios_text(self.ratios)


def ratios_text(ratios: Ratios) -> str:
    """Intervals of ratios in few digits: "" or "6.7, 8.3"."""
    return ", ".join(_shortest(lo, hi) for lo, hi in ratios)


def _shortest(low: float, high: float) -> str:
    """The number with the fewest decimals in an interval, nearest to its middle."""
    for digits in range(6):
        text = f"{(low + high) / 2:.{digits}f}"
        if low <= float(text) <= high:
            return text
    return f"{(low + high) / 2:.6g}"


def families(table: pd.DataFrame, series: Sequence[Series] | None = None) -> list[Family]:
    """Split a trials table into families, sorted by layers, criterion, ensemble and ratios.

    Sizes are assigned from the largest n down, where widths tell ratios apart best; each to the matching family
    with the nearest ratios that has no series of that n yet, else to a new family.
    series: those of the table (`samples_by_series`), if they are at hand.
    """
    groups: dict[tuple[str, str], list[Series]] = {}
    for key, sample in samples_by_series(table) if series is None else series:
        groups.setdefault((key.criterion, key.ensemble), []).append((key, sample))
    result = []
    for (criterion, ensemble), found in groups.items():
        for ratios, members in group_by_ratios([(key.n, widths_of(key.widths_before)) for key, _ in found]):
            keys, samples = zip(*(found[i] for i in members), strict=True)
            result.append(Family(criterion, ensemble, ratios, keys, samples))
    return sorted(result, key=lambda f: (f.layers, f.criterion, f.ensemble, f.ratios))


def group_by_ratios(shapes: Sequence[tuple[int, Sequence[int]]]) -> list[tuple[Ratios, list[int]]]:
    """Shapes (n, earlier widths) that one vector of ratios explains: its intervals, and the shapes by increasing n.

    As in `families`, no two shapes of a group have the same n.

    >>> [members for _, members in group_by_ratios([(6, [40]), (3, [20]), (3, [30])])]
    [[1, 0], [2]]
    """
    groups: dict[int, list[_Growing]] = {}
    for i in sorted(range(len(shapes)), key=lambda i: -shapes[i][0]):
        n, widths = shapes[i]
        bounds = [((w - 0.5 - _SLACK) / n, (w + 0.5 + _SLACK) / n) for w in widths]
        found = groups.setdefault(len(widths), [])
        fitting = [g for g in found if g.accepts(n, bounds)]
        if fitting:
            middle = [(lo + hi) / 2 for lo, hi in bounds]
            best = min(fitting, key=lambda g: g.distance(middle))
        else:
            best = _Growing(bounds)
            found.append(best)
        best.add(i, n, bounds)
    return [(tuple(g.bounds), g.members[::-1]) for found in groups.values() for g in found]


def extrapolate_family(
    family: Family,
    *,
    statistic: Statistic = "median",
    resamples: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    levels: Mapping[SeriesKey, float] | None = None,
) -> Extrapolation:
    """The frozen scaling procedure on one family: with both reference series for one layer, without for deep networks.

    For other one-layer ensembles the references are yardsticks all the same: N_j holds for symmetric rows in general
    position. levels: of single intervals under the stopping rules of some series (see `locations`). Raises InputError
    when there are too few sizes (see scaling.extrapolate).
    """
    at = {key.n: level for key, level in (levels or {}).items() if key in family.keys}
    points = locations(family.samples, statistic=statistic, resamples=resamples, seed=seed, levels=at)
    names: tuple[SeriesName, ...] = ("union", "euler") if family.layers == 1 else ()
    sizes = [int(k) for k in points.n if k >= N_MIN]
    references = [reference_series(name, sizes) for name in names] if sizes else []
    return extrapolate(points, references, level=level)


def extrapolate_family_means(
    family: Family,
    *,
    searched: Iterable[SearchedMean] = (),
    level: float = 0.95,
    levels: Mapping[SeriesKey, float] | None = None,
) -> MeanExtrapolation:
    """Version 2 of the frozen procedure on one family: means over the finite draws (see `means`).

    searched: means of searched thresholds, as further rows. levels: as in `extrapolate_family`. Raises InputError when
    there are too few sizes.
    """
    at = {key.n: level for key, level in (levels or {}).items() if key in family.keys}
    return extrapolate_means(means(family.samples, searched, levels=at), level=level)


def widths_of(text: str) -> list[int]:
    """Earlier widths as the tables write them: "54,67" or ""."""
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise InputError(f"widths_before must be like '54,67', got {text!r}") from None


class _Growing:
    """A family while it is being collected, largest n first."""

    def __init__(self, bounds: list[tuple[float, float]]) -> None:
        self.bounds = bounds
        self.members: list[int] = []
        self.sizes: set[int] = set()

    def accepts(self, n: int, bounds: list[tuple[float, float]]) -> bool:
        return n not in self.sizes and all(max(a, c) <= min(b, d) for (a, b), (c, d) in zip(self.bounds, bounds))

    def distance(self, middle: list[float]) -> float:
        return sum(abs((lo + hi) / 2 - x) for (lo, hi), x in zip(self.bounds, middle))

    def add(self, member: int, n: int, bounds: list[tuple[float, float]]) -> None:
        self.members.append(member)
        self.sizes.add(n)
        self.bounds = [(max(a, c), min(b, d)) for (a, b), (c, d) in zip(self.bounds, bounds)]
