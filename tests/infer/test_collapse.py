"""Scaling collapse on laws that collapse by construction."""

from __future__ import annotations

import numpy as np
import pytest

from mcinj.errors import InputError
from mcinj.infer import ThresholdSample, curve_of
from mcinj.infer.collapse import collapse_quality, collapse_table, width_scaling

KAPPA = 0.7


def logistic_sample(n: int, trials: int, rng: np.random.Generator) -> ThresholdSample:
    """m* = ceiling of n (6 - 4/n + z n^-κ), z logistic: widths of m*/n fall as n^-κ."""
    z = rng.logistic(size=trials)
    m = np.ceil(n * (6 - 4 / n + z * n**-KAPPA)).clip(1)
    return ThresholdSample.build(m - 1, m, n)


@pytest.fixture(scope="module")
def samples() -> list[ThresholdSample]:
    rng = np.random.default_rng(12)
    return [logistic_sample(n, 1500, rng) for n in (20, 40, 80, 160)]


def test_the_true_exponent_collapses_and_others_do_not(samples) -> None:
    curves = [curve_of(s) for s in samples]
    right = collapse_quality(curves, KAPPA)
    assert 0.3 < right < 2.0
    assert collapse_quality(curves, KAPPA - 0.3) > 3 * right
    assert collapse_quality(curves, KAPPA + 0.3) > 3 * right
    # One common centre cannot work while the medians drift.
    assert collapse_quality(curves, KAPPA, centre=6.0) > 3 * right


def test_the_widths_power_law_is_recovered(samples) -> None:
    fit = width_scaling(samples)
    assert fit.exponent == pytest.approx(KAPPA, abs=3.5 * fit.se)
    assert fit.se < 0.05
    assert fit.n == (20, 40, 80, 160)


def test_the_collapsed_variable_is_zero_at_the_median(samples) -> None:
    table = collapse_table([curve_of(s) for s in samples], KAPPA)
    for _, part in table.groupby("n"):
        assert np.interp(0.0, part["x"], part["p"]) == pytest.approx(0.5, abs=1e-9)


def test_a_curve_without_a_median_is_named(samples) -> None:
    dead = curve_of(ThresholdSample.build([None] * 3, [None] * 3, 7, failed=[1] * 3))
    with pytest.raises(InputError, match="n = 7"):
        collapse_table([dead], KAPPA)
    with pytest.raises(InputError, match="two curves"):
        collapse_quality([curve_of(samples[0])], KAPPA)
