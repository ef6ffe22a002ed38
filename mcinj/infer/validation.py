"""Tests of the extrapolation on series whose limits are known: bias of every form, coverage of the intervals.

Two pairs of laws with known limits. *Narrow*: m* drawn so that P(m* > m) is the union bound, respectively the expected
Euler characteristic, where that is below 1. Their medians are the crossings of 1/2 at every n, and their limits
9.088607 and 8.344633. *Broad*: m* normal about the same crossings with standard deviation BROAD_SD √n, about that of
the true law, whose transition is far wider. A ratio fit is never tested on its own reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mcinj.errors import InputError
from mcinj.infer.points import LocationSeries, locations
from mcinj.infer.reference import Interpolation, ReferenceSeries, SeriesName, known_limit, reference_series
from mcinj.infer.sample import FloatArray, IntArray, ThresholdSample
from mcinj.infer.scaling import N_MIN, Extrapolation, extrapolate, fit_from

if TYPE_CHECKING:
    import pandas as pd

# Trials per size of the flagship one-layer experiment: the weights of the exact-series test follow from them.
DESIGN: Mapping[int, int] = {
    **dict.fromkeys(range(2, 10), 20_000),
    10: 10_000,
    11: 4_000,
    12: 2_000,
    13: 500,
    14: 200,
    15: 60,
    16: 20,
}
# Standard deviation of m* assumed for those weights, in widths (the sampled laws below do not use it).
DESIGN_SD = 2.5

# Standard deviation of m* over √n in the first 3,000 trials at each n = 5..9 (1.73, 1.75, 1.78, 1.74, 1.80).
BROAD_SD = 1.75

OTHER: Mapping[SeriesName, SeriesName] = {"union": "euler", "euler": "union"}


def exact_points(
    name: SeriesName,
    n: Sequence[int],
    *,
    level: float = 0.5,
    interpolation: Interpolation = "linear",
    design: Mapping[int, int] = DESIGN,
    resamples: int = 2,
) -> LocationSeries:
    """The exact series as if it were data without noise, with the error bars that the design would give.

    interpolation: "linear", as the data's medians, or "geometric". All replicates equal the series, so that only
    systematic errors remain.
    """
    series = reference_series(name, n, level=level, interpolation=interpolation)
    missing = [k for k in series.n.tolist() if k not in design]
    if missing:
        raise InputError(f"the design has no number of trials for n = {missing}; it has n = {sorted(design)}")
    trials = np.array([design[k] for k in series.n.tolist()], dtype=np.float64)
    sigma = 1.2533 * DESIGN_SD / series.n / np.sqrt(trials)  # of a median: sqrt(pi/2) times that of a mean
    return LocationSeries(
        n=series.n,
        alpha=series.alpha,
        sigma=sigma,
        least=series.alpha,
        most=series.alpha,
        replicates=np.tile(series.alpha, (resamples, 1)),
        statistic="median",
    )


def references_for(name: SeriesName, n: Sequence[int]) -> tuple[ReferenceSeries, ...]:
    """The references allowed when the named series plays the data: the other one."""
    return (reference_series(OTHER[name], n),)


def bias_table(
    n_max: Sequence[int] = (13, 16), n_min: Sequence[int] = (2, 3, 4, 5, 6, 7), *, level: float = 0.5
) -> pd.DataFrame:
    """Bias (limit found minus true limit) of every form and reference on both exact series, without noise.

    One row per series, n_max, form, reference; one column per n_min.
    """
    import pandas as pd

    from mcinj.infer.forms import FORMS

    rows = []
    for name in OTHER:
        for top in n_max:
            sizes = list(range(min(n_min), top + 1))
            points = exact_points(name, sizes, level=level)
            for reference in (None, *references_for(name, sizes)):
                for form in FORMS:
                    row: dict[str, object] = {"series": name, "n_max": top, "form": form}
                    row["reference"] = "" if reference is None else reference.name
                    for start in n_min:
                        found = fit_from(points, form, reference, start).limit
                        row[f"n_min={start}"] = found - known_limit(name)
                    rows.append(row)
    return pd.DataFrame(rows)


def exact_extrapolation(
    name: SeriesName, n_max: int, *, level: float = 0.5, interpolation: Interpolation = "linear"
) -> Extrapolation:
    """The frozen procedure applied to an exact series of sizes N_MIN..n_max, without noise."""
    sizes = list(range(N_MIN, n_max + 1))
    points = exact_points(name, sizes, level=level, interpolation=interpolation)
    return extrapolate(points, references_for(name, sizes))


def sampled_series(
    name: SeriesName, n: int, trials: int, rng: np.random.Generator, *, broad: bool = False
) -> ThresholdSample:
    """Trials of a law whose median is the series at n: P(m* > m) = min(1, expectation(m)), or the broad normal law.

    The narrow law's linearly interpolated median is the series interpolated linearly, exactly; the broad law's is the
    geometrically interpolated series up to 0.01 widths.
    """
    if broad:
        middle = float(reference_series(name, [n]).alpha[0]) * n
        drawn = np.ceil(middle + BROAD_SD * np.sqrt(n) * rng.standard_normal(trials)).clip(1)
    else:
        m, mass = _law(name, n)
        drawn = rng.choice(m, size=trials, p=mass)
    return ThresholdSample.build(drawn - 1, drawn, n)


@lru_cache(maxsize=256)
def _law(name: SeriesName, n: int) -> tuple[IntArray, FloatArray]:
    """Widths and probabilities of the narrow law."""
    from mcinj.theory import expected_euler, union_bound

    expectation = union_bound if name == "union" else expected_euler
    m: IntArray = np.arange(n, 30 * n, dtype=np.int64)
    value = np.array([float(expectation(int(k), n)) for k in m])
    # The Euler expectation is not monotone near m = n: take the least non-increasing law above it.
    survival = np.minimum(np.maximum.accumulate(value[::-1])[::-1], 1.0)
    # P(m* = m) = survival(m-1) - survival(m); what is left beyond 30 n (below 1e-9) goes to the last width.
    mass = -np.diff(np.concatenate(([1.0], survival[:-1], [0.0])))
    return m, np.asarray(mass / mass.sum(), dtype=np.float64)


def sampled_extrapolation(
    name: SeriesName, design: Mapping[int, int], *, seed: int, resamples: int = 300, broad: bool = False
) -> Extrapolation:
    """The whole procedure on sampled trials of a law with a known limit (coverage tests repeat this)."""
    rng = np.random.default_rng(seed)
    samples = [sampled_series(name, n, trials, rng, broad=broad) for n, trials in design.items() if n >= N_MIN]
    points = locations(samples, resamples=resamples, seed=seed)
    return extrapolate(points, references_for(name, [s.n for s in samples]))


def coverage_table(
    experiments: int = 40, *, n_max: int = 16, resamples: int = 200, factor: float = 1.0, broad: bool = False
) -> pd.DataFrame:
    """Coverage of the true limit over repeated sampled experiments of the flagship design, one row per law.

    factor: multiplies the design's numbers of trials. broad: the laws, see the head of this module.

    systematic, total: share of the intervals that cover. estimate_bias, estimate_sd: of the estimates. statistical,
    combined: mean standard errors reported. total_width: mean length of the total interval.
    """
    import pandas as pd

    design = {n: round(factor * trials) for n, trials in DESIGN.items() if n <= n_max}
    rows = []
    for name in OTHER:
        limit = known_limit(name)
        found = [
            sampled_extrapolation(name, design, seed=k, resamples=resamples, broad=broad) for k in range(experiments)
        ]
        estimates = np.array([x.estimate - limit for x in found])
        rows.append(
            {
                "law": name,
                "n_max": n_max,
                "experiments": experiments,
                "systematic": np.mean([x.systematic[0] <= limit <= x.systematic[1] for x in found]),
                "total": np.mean([x.total[0] <= limit <= x.total[1] for x in found]),
                "estimate_bias": estimates.mean(),
                "estimate_sd": estimates.std(ddof=1),
                "statistical": np.mean([x.statistical for x in found]),
                "combined": np.mean([x.standard_error for x in found]),
                "total_width": np.mean([x.total[1] - x.total[0] for x in found]),
            }
        )
    return pd.DataFrame(rows)


def interval_table(
    levels: Sequence[float] = (0.5, 0.05, 0.25, 0.9, 1.5), n_max: Sequence[int] = (13, 16)
) -> pd.DataFrame:
    """The frozen procedure on the exact series without noise: errors of its estimate and of its interval's ends.

    levels: of the crossing. Only 1/2 shaped the procedure; the others have the same limits.
    """
    import pandas as pd

    rows = []
    for level in levels:
        for name in OTHER:
            for top in n_max:
                x, limit = exact_extrapolation(name, top, level=level), known_limit(name)
                low, high = x.systematic
                row: dict[str, object] = {"level": level, "series": name, "n_max": top, "limit": limit}
                row |= {"estimate": x.estimate, "low": low, "high": high, "width": high - low}
                rows.append(row | {"covers": low <= limit <= high})
    return pd.DataFrame(rows)


def main() -> None:
    """Print the tables of docs/inference.md: ``python -m mcinj.infer.validation`` (some minutes)."""
    for title, table in (
        ("Bias of single fits (limit found - true limit), no noise", bias_table()),
        ("The frozen procedure on exact series, no noise", interval_table()),
        ("Coverage on sampled trials, narrow laws, n <= 13", coverage_table(n_max=13)),
        ("Coverage on sampled trials, narrow laws, n <= 16", coverage_table(n_max=16)),
        ("Coverage on sampled trials, broad laws, n <= 13", coverage_table(100, n_max=13, broad=True)),
        ("Coverage on sampled trials, broad laws, n <= 16", coverage_table(100, n_max=16, broad=True)),
        ("The same with four times the trials", coverage_table(100, n_max=16, broad=True, factor=4)),
    ):
        print(f"{title}\n{table.round(3).to_string(index=False)}\n")


if __name__ == "__main__":
    main()
