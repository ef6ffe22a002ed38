"""The ground-state curve: inverse of the thresholds, ordered, and with the slope of its own saddle."""

from __future__ import annotations

import numpy as np
import pytest

from mcinj.errors import InputError
from mcinj.theory import GroundStateCurve, ground_state_curve, one_rsb, plain_rdt, two_rsb


@pytest.fixture(scope="module")
def curve() -> GroundStateCurve:
    return ground_state_curve(np.linspace(2, 12, 41), use_cache=False)


def test_the_curve_rises_from_zero_and_is_ordered(curve: GroundStateCurve) -> None:
    for values in (curve.rs, curve.one_rsb, curve.two_rsb):
        assert values[0] == 0
        assert np.all(np.diff(values) > 0)
    assert np.all(curve.rs[1:] < curve.one_rsb[1:])
    assert np.all(curve.one_rsb[1:] < curve.two_rsb[1:])


@pytest.mark.parametrize("theta", [0.3, 1.0, 2.0])
def test_the_curve_inverts_the_thresholds(theta: float) -> None:
    for function, name in ((plain_rdt, "rs"), (one_rsb, "one_rsb"), (two_rsb, "two_rsb")):
        row = ground_state_curve([function(theta).value], use_cache=False)
        assert getattr(row, name)[0] == pytest.approx(theta, abs=1e-6)


def test_any_order_repeats_and_small_ratios(curve: GroundStateCurve) -> None:
    other = ground_state_curve([9.0, 1.0, 2.0, 4.5, 9.0], use_cache=False)
    assert other.two_rsb[0] == other.two_rsb[4] == pytest.approx(curve.two_rsb[28], abs=1e-9)
    assert curve.alphas[28] == 9.0
    assert list(other.two_rsb[1:3]) == [0, 0]
    assert np.isnan(other.parameters["2rsb.q0"][1])


def test_parameters_are_a_saddle_on_the_curve(curve: GroundStateCurve) -> None:
    p = {name: values[1:] for name, values in curve.parameters.items()}
    assert np.all((p["2rsb.q0"] > 0) & (p["2rsb.q0"] < p["2rsb.q1"]) & (p["2rsb.q1"] < 1))
    assert np.all((p["2rsb.c1"] > 0) & (p["2rsb.c1"] < p["2rsb.c2"]))
    # de/dα = -E F_1 at a saddle: the curve's own slope.
    slope = np.gradient(curve.two_rsb, curve.alphas)[5:-5]
    from mcinj.theory.parisi import Saddle, functional

    for k in (10, 20, 30):
        saddle = Saddle((p["2rsb.q0"][k], p["2rsb.q1"][k]), (p["2rsb.c1"][k], p["2rsb.c2"][k]), float(p["2rsb.chi"][k]))
        assert -functional(saddle).potential == pytest.approx(slope[k - 4], abs=1e-3)


def test_the_cache_returns_the_same_curve() -> None:
    first, second = ground_state_curve([2.0, 3.0, 6.0]), ground_state_curve([2.0, 3.0, 6.0])
    assert np.array_equal(first.two_rsb, second.two_rsb)
    for name, values in first.parameters.items():
        assert np.array_equal(values, second.parameters[name], equal_nan=True)


@pytest.mark.parametrize("alphas", [[], [[3.0]], [float("nan")], [-1.0], [51.0], [float("inf")]])
def test_bad_ratios_are_refused(alphas: list[float]) -> None:
    with pytest.raises(InputError, match="alphas"):
        ground_state_curve(alphas)
