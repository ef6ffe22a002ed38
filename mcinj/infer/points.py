"""The finite-n locations that are extrapolated: one median (or mean) of m*/n per size, with errors and replicates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from mcinj.errors import InputError
from mcinj.infer.bootstrap import crossings, resample_curves
from mcinj.infer.curves import curve_of
from mcinj.infer.quantiles import quantile, standard_error
from mcinj.infer.sample import FloatArray, IntArray, ThresholdSample
from mcinj.infer.series import moments

Statistic = Literal["median", "mean"]

# Below this many trials an interpolated median's error bar is itself a guess, and its weight in a fit with it.
MIN_TRIALS = 10


@dataclass(frozen=True, eq=False)
class LocationSeries:
    """Location of m*/n at several sizes.

    n: shape (sizes,), increasing. alpha: location over n. sigma: its standard error. least, most: location of the
    worst-case curves (equal to alpha without censoring). replicates: bootstrap locations, shape (B, sizes).
    skipped: sizes left out, with the reason.
    """

    n: IntArray
    alpha: FloatArray
    sigma: FloatArray
    least: FloatArray
    most: FloatArray
    replicates: FloatArray
    statistic: Statistic
    skipped: tuple[tuple[int, str], ...] = ()

    def __post_init__(self) -> None:
        shape = self.n.shape
        for name in ("alpha", "sigma", "least", "most"):
            if getattr(self, name).shape != shape:
                raise InputError(f"{name} must have the shape of n, {shape}, got {getattr(self, name).shape}")
        if self.replicates.ndim != 2 or self.replicates.shape[1] != self.n.size:
            raise InputError(f"replicates must have shape (B, {self.n.size}), got {self.replicates.shape}")
        if (np.diff(self.n) <= 0).any():
            raise InputError(f"sizes must increase, got n = {self.n.tolist()}")


def locations(
    samples: Iterable[ThresholdSample],
    *,
    statistic: Statistic = "median",
    resamples: int = 1000,
    seed: int = 0,
    levels: Mapping[int, float] | None = None,
) -> LocationSeries:
    """Locations of the samples of one family (same ensemble, criterion and expansions; different n).

    statistic: "median" (interpolated in m; stands with censored and infinite draws) or "mean" (needs every draw
    exact and finite). Sizes without a finite location, error or replicate are skipped, with the reason. Seeded: the
    replicates of a size depend on `seed`, n and its trials only.

    levels: by n, the level of a single interval that covers with 95 % under a size's stopping rule (Bonferroni over its
    looks, `StoppingRule.look_level`). Errors and replicates of such a size are stretched to match.
    """
    if statistic not in ("median", "mean"):
        raise InputError(f"unknown statistic {statistic!r}: use 'median' or 'mean'")
    rows: list[tuple[int, float, float, float, float]] = []
    boots: list[FloatArray] = []
    skipped: list[tuple[int, str]] = []
    ordered = sorted(samples, key=lambda s: s.n)
    if len({s.n for s in ordered}) != len(ordered):
        raise InputError(f"each size may appear once, got n = {[s.n for s in ordered]}: split the families first")
    for sample in ordered:
        n = sample.n
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(n,)))
        curve = curve_of(sample)
        drawn = resample_curves(sample, curve.m, resamples, rng)
        if statistic == "median":
            estimate = quantile(sample, 0.5, curve=curve)
            value, least, most = estimate.interpolated, estimate.least, estimate.most
            error = standard_error(sample, 0.5, curve=curve)
            early, late = crossings(curve.m, drawn.upper, 0.5), crossings(curve.m, drawn.lower, 0.5)
            # Censored draws move the estimate between the worst cases: shift the middle of both by its offset there.
            share = _share(value, least, most)
            finite = np.isfinite(late)  # early <= late, so both are
            boot = np.full(resamples, np.inf)
            boot[finite] = early[finite] + (late[finite] - early[finite]) * share
        else:
            value, error, _ = moments(sample)
            least = most = value
            boot = drawn.mean
        reason = _unusable(sample, most, error, boot)
        if reason:
            skipped.append((n, reason))
            continue
        stretch = _stretch(levels[n]) if levels and n in levels else 1.0
        rows.append((n, value / n, stretch * error / n, least / n, most / n))
        boots.append((boot if stretch == 1.0 else value + stretch * (boot - value)) / n)
    if not rows:
        raise InputError(f"no size has a usable {statistic}: {dict(skipped)}")
    table = np.array(rows)
    return LocationSeries(
        n=table[:, 0].astype(np.int64),
        alpha=table[:, 1],
        sigma=table[:, 2],
        least=table[:, 3],
        most=table[:, 4],
        replicates=np.column_stack(boots),
        statistic=statistic,
        skipped=tuple(skipped),
    )


def _stretch(level: float) -> float:
    """Normal quantile of a level over that of 95 %."""
    return NormalDist().inv_cdf(0.5 + level / 2) / NormalDist().inv_cdf(0.975)


def _share(value: float, least: float, most: float) -> float:
    """Where the estimate lies between the worst cases, 0 to 1 (0 when they coincide or are open)."""
    if not (math.isfinite(most) and most > least):
        return 0.0
    return min(max((value - least) / (most - least), 0.0), 1.0)


def _unusable(sample: ThresholdSample, most: float, error: float, boot: FloatArray) -> str:
    """Why a size cannot enter a fit; empty when it can."""
    if sample.trials < MIN_TRIALS:
        return f"{sample.trials} trials, fewer than {MIN_TRIALS}"
    if not math.isfinite(most):
        return "no finite location (censored draws, or half of the trials never pass)"
    if not (math.isfinite(error) and error > 0):
        return "no finite, positive standard error"
    if not np.isfinite(boot).all():
        return "some bootstrap resamples have no finite location"
    return ""
