"""Least squares against brute force over all patterns and faces (exact), and against scipy."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive.patterns import Row, affine, least_squares
from scipy.optimize import minimize

import mcinj
from mcinj import InputError, Network, invert
from mcinj.inverse.fit import LeastSquares
from mcinj.inverse.layers import forward


def fit(net: Any, y: Any, **options: Any) -> LeastSquares:
    found = invert(net, y, noisy=True, **options)
    assert found.fit is not None
    assert found.complete is found.fit.proved
    assert not found.impossible
    assert found.x == found.fit.x
    return found.fit


def small(rng: np.random.Generator, n: int, widths: list[int], biased: bool) -> Network:
    sizes = [n, *widths]
    weights = [rng.integers(-2, 3, (b, a)) for a, b in pairwise(sizes)]
    return Network(weights, [rng.integers(-1, 2, m) for m in widths] if biased else None)


def brute(net: Network, y: list[Fraction], slope: Fraction, fence: list[Row], linear: bool = False) -> Fraction:
    """The least |f(x) - y|² over the closures of all patterns of all units."""
    best: Fraction | None = None
    widths = net.widths[:-1] if linear else net.widths
    for flat in product([False, True], repeat=sum(widths)):
        pattern, start = [], 0
        for m in widths:
            pattern.append(flat[start : start + m])
            start += m
        rows = affine(net, tuple(pattern[: net.depth - 1]), slope)
        below = list(fence)
        for signs, layer in zip(pattern, rows, strict=False):
            for on, (g, h) in zip(signs, layer, strict=True):
                below.append(([-v for v in g], -h) if on else (g, h))
        terms = []
        for i, (g, h) in enumerate(rows[-1]):
            a = Fraction(1) if linear or pattern[-1][i] else slope
            terms.append(([a * v for v in g], a * h + y[i]))
        value = least_squares(terms, [], below, net.n)
        if value is not None and (best is None or value < best):
            best = value
    assert best is not None
    return best


SHAPES = [(1, [2]), (1, [4]), (2, [3]), (2, [4]), (3, [3]), (1, [2, 2]), (2, [2, 2]), (2, [3, 1]), (1, [2, 1, 2])]


@given(st.integers(0, 10**6), st.sampled_from(SHAPES), st.booleans(), st.booleans(), st.sampled_from([0.0, 0.25]))
def test_the_minimum_is_that_of_all_patterns(seed: int, shape: Any, biased: bool, boxed: bool, slope: float) -> None:
    rng = np.random.default_rng(seed)
    net = small(rng, shape[0], shape[1], biased)
    y = [Fraction(int(v), 2) for v in rng.integers(-2, 7, net.widths[-1])]
    fence: list[Row] = []
    if boxed:
        for i in range(net.n):
            unit = [Fraction(int(i == j)) for j in range(net.n)]
            fence += [(unit, Fraction(1)), ([-v for v in unit], Fraction(1, 2))]
    found = fit(net, y, slope=slope, domain="box:-0.5,1" if boxed else None)
    assert found.proved
    assert found.squared == brute(net, y, Fraction(slope), fence)
    out = forward(net, found.x, Fraction(slope))
    assert sum((a - b) ** 2 for a, b in zip(out, y, strict=True)) == found.squared
    low, high = found.residual
    assert Fraction(low) ** 2 <= found.squared <= Fraction(high) ** 2
    assert all(g[0] * found.x[0] <= h for g, h in fence[:2])


@given(st.integers(0, 10**6), st.sampled_from([(2, [3]), (1, [2, 2]), (2, [2, 2])]))
def test_linear_last_layers_count_the_linear_distance(seed: int, shape: Any) -> None:
    rng = np.random.default_rng(seed)
    net = small(rng, shape[0], shape[1], True)
    y = [Fraction(int(v), 2) for v in rng.integers(-6, 7, net.widths[-1])]
    found = fit(net.with_linear_last_layer(), y)
    assert found.proved
    assert found.squared == brute(net, y, Fraction(0), [], linear=True)
    assert len(found.pattern[-1]) == len(y)


@pytest.mark.parametrize("seed", range(4))
def test_scipy_finds_nothing_better(seed: int) -> None:
    net = mcinj.sample(3, (7, 6) if seed % 2 else (14,), seed=seed)
    rng = np.random.default_rng(seed)
    y = net.forward(rng.standard_normal(3)) + 0.2 * rng.standard_normal(net.widths[-1])
    found = fit(net, y)
    assert found.proved
    best = min(
        minimize(lambda x: float(np.sum((net.forward(x) - y) ** 2)), rng.standard_normal(3), method="Nelder-Mead").fun
        for _ in range(12)
    )
    assert float(found.squared) <= best + 1e-9
    assert float(found.squared) >= 0


def test_a_minimum_on_a_sphere_is_bracketed() -> None:
    net = mcinj.sample(2, (9,), seed=3)
    y = net.forward([2.0, 1.0])
    found = fit(net, y, domain="ball:1")
    assert sum(v * v for v in found.x) <= 1
    assert not found.proved
    answer = min(
        (
            minimize(
                lambda x: float(np.sum((net.forward(x) - y) ** 2)), start, method="SLSQP",
                constraints={"type": "ineq", "fun": lambda x: 1 - x @ x},
            ).fun
            for start in np.random.default_rng(0).uniform(-0.7, 0.7, (10, 2))
        ),
    )  # fmt: skip
    assert float(found.bound) <= answer + 1e-7
    assert float(found.squared) == pytest.approx(answer, rel=1e-6)
    assert float(found.squared - found.bound) < 1e-6
    wide = fit(net, y, domain="ball:3")
    assert (wide.proved, wide.squared < Fraction(1, 10**20)) == (True, True)


def test_exact_outputs_are_met_exactly() -> None:
    net = mcinj.sample(3, (12, 20), seed=0)
    x = (Fraction(1, 3), Fraction(-2), Fraction(1, 7))
    found = fit(net, list(net.exact_forward(x)))
    assert (found.x, found.squared, found.proved, found.unique) == (x, 0, True, True)


def test_uniqueness_in_the_region() -> None:
    assert fit(Network([[[1, 0], [0, 1]]]), [2, 3]).unique is True
    assert fit(Network([[[1, 1]]]), [2]).unique is False
    assert fit(Network([[[1, 0], [0, 1]]]), [2, 0]).unique is False
    assert fit(Network([[[1, 0], [0, 1], [0, -1]]]), [2, 0, 0]).unique is True
    assert fit(Network([[[0, 0]]]), [1]).unique is False


def test_the_end_of_the_budget_is_said() -> None:
    net = mcinj.sample(4, (24,), seed=1)
    rng = np.random.default_rng(1)
    y = np.abs(rng.standard_normal(24))
    short = fit(net, y, node_budget=5)
    full = fit(net, y)
    assert not short.proved
    assert short.bound <= full.squared <= short.squared
    assert full.proved
    none = fit(net, y, node_budget=0)
    assert (none.bound, none.proved) == (0, False)
    assert fit(mcinj.sample(3, (9, 8), seed=1), y[:8], node_budget=1).bound == 0
    assert not fit(net, y, time_limit=1e-9).proved


@pytest.mark.parametrize("scale", [1e-160, 1e150, 2.0**-1070])
def test_scales(scale: float) -> None:
    rng = np.random.default_rng(0)
    rows, y = rng.integers(-3, 4, (6, 2)), rng.integers(0, 5, 6)
    plain = fit(Network([rows]), y.tolist())
    scaled = fit(Network([rows * scale]), (y * scale).tolist())
    assert plain.proved
    assert float(scaled.squared / Fraction(scale) ** 2) == pytest.approx(float(plain.squared), rel=1e-9)
    assert scaled.proved


@pytest.mark.parametrize("exponent", [-1070, -1000, 1000])
def test_weights_so_small_or_large_that_inputs_leave_the_range_of_floats(exponent: int) -> None:
    rng = np.random.default_rng(1)
    rows, y = rng.integers(-3, 4, (6, 2)).astype(float), [1, 2, 0, 0, 1, 0]
    plain, scaled = fit(Network([rows]), y), fit(Network([np.ldexp(rows, exponent)]), y)
    assert scaled.bound <= plain.squared <= scaled.squared


def test_bad_limits_are_refused() -> None:
    net = Network([[[1.0]]])
    for options in ({"time_limit": 0}, {"node_budget": -1}, {"slope": 2}, {"domain": "x"}):
        with pytest.raises(InputError):
            invert(net, [1], noisy=True, **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="entries"):
        invert(net, [1, 2], noisy=True)
