"""Coverage of the version 2 intervals on series with known limits, at the sizes and errors of real designs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from mcinj.infer.basis import BASIS_NAMES
from mcinj.infer.known_series import KnownSeries
from mcinj.infer.means import MeanSeries
from mcinj.infer.regularised import extrapolate_means
from mcinj.infer.sample import FloatArray

if TYPE_CHECKING:
    import pandas as pd

# Standard deviation of m* over sqrt(n) at large n, in widths, and the limit that sets the scale of relative errors.
_SD, _LIMIT = 1.75, 6.7


def _errors(trials: Mapping[int, int]) -> dict[int, float]:
    return {n: _SD / math.sqrt(n * count) for n, count in trials.items()}


_PROVED = {
    4: 20_000, **dict.fromkeys((5, 6, 7, 8), 100_000), 9: 60_000, 10: 10_100, 11: 15_000, 12: 5_400, 13: 1_500, 14: 400,
    15: 60, 16: 20,
}  # fmt: skip

# Standard errors of m*/n by n: the flagship's proved thresholds; with searched ones of the planned precision and four
# times the proved ones at n = 13 … 16; ten times better all over; a thousand draws at n <= 9 (other ensembles).
DESIGNS: Mapping[str, Mapping[int, float]] = MappingProxyType(
    {
        "proved": _errors(_PROVED),
        "searched": _errors(_PROVED | {13: 6_000, 14: 1_600, 15: 240, 16: 80})
        | {18: 0.01, 20: 0.01, 24: 0.01, 30: 0.02, 40: 0.02},
        "tenfold": {
            n: error / 10
            for n, error in (_errors(_PROVED) | {18: 0.01, 20: 0.01, 24: 0.01, 30: 0.02, 40: 0.02}).items()
        },
        "short": _errors(dict.fromkeys(range(4, 10), 1000)),
    }
)


@dataclass(frozen=True)
class Coverage:
    """One series, design and basis. share: of intervals that hold the limit. bias, half: mean error of the estimate and
    mean half-width, in units in which the limit is 6.7."""

    share: float
    bias: float
    half: float


def coverage(
    limit: float, values: FloatArray, design: Mapping[int, float], *, draws: int = 400, seed: int = 0
) -> dict[str, Coverage]:
    """By basis, coverage over `draws` data sets: values (at the design's sizes, shape (sizes,)) and Gaussian noise.

    Errors are relative: multiplied by limit / 6.7.
    """
    unit = abs(limit) / _LIMIT
    n = np.array(list(design), dtype=np.int64)
    sigma = unit * np.array(list(design.values()))
    rng = np.random.default_rng(seed)
    none = np.zeros(n.size)
    found: dict[str, list[tuple[bool, float, float]]] = {basis: [] for basis in BASIS_NAMES}
    for noise in rng.standard_normal((draws, n.size)):
        points = MeanSeries(n, values + sigma * noise, np.diag(sigma**2), none, none > 0, none + 1.0)
        for basis, result in extrapolate_means(points).limits.items():
            low, high = result.total
            found[basis].append((low <= limit <= high, (result.estimate - limit) / unit, (high - low) / 2 / unit))
    return {basis: Coverage(*(float(v) for v in np.mean(rows, axis=0))) for basis, rows in found.items()}


def coverage_table(
    series: Sequence[KnownSeries],
    designs: Sequence[str] = tuple(DESIGNS),
    *,
    draws: int = 400,
) -> pd.DataFrame:
    """Rows (series, design, basis) with share, bias, half; needs and role of the series."""
    import pandas as pd

    rows = []
    for each in series:
        known = {n: each.value(n) for n in sorted({n for name in designs for n in DESIGNS[name]})}
        for name in designs:
            design = DESIGNS[name]
            values = np.array([known[n] for n in design])
            for basis, result in coverage(each.limit, values, design, draws=draws).items():
                rows.append(
                    {
                        "series": each.name, "needs": each.needs, "role": each.role, "design": name, "basis": basis,
                        "share": result.share, "bias": result.bias, "half": result.half,
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)
