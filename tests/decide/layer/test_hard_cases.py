"""Thin cells, planted dependences, extreme scales, invariances, budgets, threads and interrupts."""

from __future__ import annotations

import os
import signal
import threading
import time
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from naive.arrangement import cells

from mcinj.certify import verify
from mcinj.decide.layer.exact import circuit_or_point, is_circuit, products, small_multiple
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.tree import decide_one_layer
from mcinj.decide.verdict import Certified, Outcome
from mcinj.errors import InputError
from mcinj.networks import Network, Premise
from mcinj.networks.ensembles import RowStream


def decide(weights, biases=None, **options):
    network = Network([weights], None if biases is None else [biases])
    decision = decide_one_layer(network, certificate=True, **options)
    if decision.outcome is Outcome.NOT_INJECTIVE:
        assert decision.witness.collides(network)
    elif decision.outcome is Outcome.INJECTIVE:
        assert verify(decision.certificate, network).accepted
    return decision


def injective(weights, biases=None, **options):
    decision = decide(weights, biases, **options)
    assert decision.outcome is not Outcome.UNKNOWN
    return decision.outcome is Outcome.INJECTIVE


def gaussian(n, m, seed=0):
    return np.random.default_rng([n, m, seed]).standard_normal((m, n))


@pytest.mark.parametrize("gap", [1e-6, 1e-9, 1e-12, 1e-15])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_only_failure_lies_in_a_thin_cell(n, gap):
    """[B; -B + gap E] fails only where some b_i and its disturbed opposite are both inactive."""
    for seed in range(4):
        rng = np.random.default_rng([n, seed])
        b = rng.standard_normal((n, n))
        e = rng.standard_normal((n, n))
        assert injective(np.vstack([b, -b]))
        assert not injective(np.vstack([b, -b + gap * e]))
        # Closing every gap with one more pair of rows on each side makes it injective again.
        assert injective(np.vstack([b, -b + gap * e, -b, b - gap * e]))


@pytest.mark.parametrize("gap", [1e-7, 1e-10, 1e-13, 1e-15])
def test_nearly_parallel_rows_agree_with_all_cells(gap):
    """Random layers in which every row has a nearly equal or nearly opposite partner, in integers for the oracle."""
    outcomes = set()
    for seed in range(14):
        rng = np.random.default_rng(seed)
        n = 2 + seed % 2
        half = rng.standard_normal((4 + seed % 3, n))
        twins = rng.choice([-1.0, 1.0], (len(half), 1)) * half + gap * rng.standard_normal(half.shape)
        a = np.vstack([half, twins])
        whole = [[int(Fraction(v) * 2**80) for v in row] for row in a.tolist()]
        assert all(Fraction(v, 2**80) == Fraction(w) for r, s in zip(whole, a.tolist()) for v, w in zip(r, s))
        expected = all(sum(s > 0 for s in cell) >= n for cell in cells(whole, n))
        outcomes.add(expected)
        assert injective(a) == expected
    assert False in outcomes


@pytest.mark.parametrize("n", [3, 4, 5])
def test_a_planted_dependence_is_found(n):
    """The last active row is the sum of the n - 1 others, on a dyadic grid of 45 bits: count says n, rank is n - 1."""
    for seed in range(15):
        rng = np.random.default_rng([n, seed])
        grid = np.round(rng.standard_normal((9 * n, n)) * 2.0**44) / 2.0**44
        active = np.vstack([grid[: n - 1], grid[: n - 1].sum(axis=0)])
        # All other rows are turned negative at a point where these n are positive.
        x = np.linalg.lstsq(grid[: n - 1], np.ones(n - 1), rcond=None)[0]
        rest = np.where((grid[n:] @ x > 0)[:, None], -grid[n:], grid[n:])
        weights = np.vstack([active, rest])
        for exact in (False, True):
            assert decide(weights, exact=exact).outcome is Outcome.NOT_INJECTIVE


def test_a_planted_dependence_of_three_rows_is_found_by_default():
    """n = 8: three dependent rows among the eight that are active in one cell."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        grid = np.round(rng.standard_normal((58, 8)) * 2.0**44) / 2.0**44
        active = np.vstack([grid[:7], grid[0] + grid[1]])
        x = np.linalg.lstsq(grid[:7], np.ones(7), rcond=None)[0]
        rest = np.where((grid[8:] @ x > 0)[:, None], -grid[8:], grid[8:])
        found = decide(np.vstack([active, rest]))
        assert found.outcome is Outcome.NOT_INJECTIVE


def test_dependent_rows_that_pass_by_count_fail_by_rank():
    """Every cell has 2 active rows, but in one of them they are parallel."""
    weights = [[1.0, 0.0], [2.0, 0.0], [-1.0, 1.0], [-1.0, -1.0], [-1.0, 2.0], [-1.0, -2.0]]
    assert not injective(weights)
    assert injective([*weights, [1.0, 1.0], [1.0, -1.0]])


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([[1.0], [-1.0]], True),
        ([[1.0], [1.0]], False),
        ([[0.0]], False),
        ([[1.0, 2.0]], False),
        ([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0], [0.0, 0.0]], True),
        ([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], False),
        (np.vstack([np.eye(6), -np.eye(6)]), True),
        (np.vstack([np.eye(6), -np.eye(6)])[:-1], False),
        (np.zeros((5, 3)), False),
        (np.ones((9, 2)), False),
    ],
)
def test_plain_cases(weights, expected):
    assert injective(weights) == expected


def test_biases_can_break_and_never_add_directions():
    b = gaussian(3, 3)
    assert injective(np.vstack([b, -b]), np.zeros(6))
    assert not injective(np.vstack([b, -b]), -np.ones(6))
    assert injective(np.vstack([b, -b]), np.ones(6))
    assert not injective([[1.0], [0.0]], [0.0, 1.0])


def test_extreme_scales_and_rationals():
    rng = np.random.default_rng(8)
    a = gaussian(4, 34, 2)
    expected = injective(a)
    assert injective(a * np.exp(rng.uniform(-460, 460, (34, 1)))) == expected  # 1e-200 … 1e200
    assert injective(a * 2.0 ** rng.integers(-1000, 1000, (34, 1))) == expected
    rational = [[Fraction(int(v * 10**6), 3 * 10**6) for v in row] for row in a.tolist()]
    assert injective(rational) == injective([[int(v * 10**6) for v in row] for row in a.tolist()])
    huge = [[Fraction(int(v * 10**6)) * 10**300 for v in row] for row in a.tolist()]
    assert injective(huge) == injective([[int(v * 10**6) for v in row] for row in a.tolist()])
    # One row spans the whole range of float64.
    wide = np.vstack([a, [1e300, 1e-300, -1e-300, 5e-324]])
    assert injective(wide) in (True, False)
    assert injective(np.vstack([np.diag([1e300, 1.0, 1e-300]), -np.diag([1e-300, 1e300, 1.0])]))


def test_verdict_does_not_depend_on_order_scale_or_rotation():
    for seed in range(8):
        rng = np.random.default_rng(seed)
        n = 3 + seed % 4
        a = gaussian(n, int(5.5 * n), seed)
        expected = injective(a)
        assert injective(a[rng.permutation(len(a))]) == expected
        assert injective(a * np.exp(rng.uniform(-3, 3, (len(a), 1)))) == expected
        assert injective(a @ np.linalg.qr(rng.standard_normal((n, n)))[0]) == expected
        assert injective(a[:, rng.permutation(n)]) == expected
        assert injective(a, exact=True) == expected
        # Monotone in m: no width below a failure passes.
        if not expected:
            assert not injective(a[:-1])


@pytest.mark.parametrize("ensemble", ["gaussian", "uniform", "xavier", "rademacher", "sphere", "sparse", "correlated"])
def test_default_and_exact_agree_in_every_ensemble(ensemble):
    for seed in range(10):
        n = 2 + seed % 4
        a = RowStream(ensemble, n, seed).take(5 * n + seed)
        plain, exact = decide(a), decide(a, exact=True)
        assert plain.outcome is exact.outcome
        if plain.outcome is Outcome.INJECTIVE:
            assert exact.certified is Certified.EXACT
            assert plain.certified is Certified.EXACT  # n <= 7


def test_a_pass_by_count_says_so():
    a = gaussian(8, 56)
    assert decide(a).certified is Certified.EXACT
    for premise in Premise:
        network = Network([a], premise=premise)
        assert decide_one_layer(network).certified is Certified.GENERIC
        assert decide_one_layer(network, exact=True).certified is Certified.EXACT


def test_expected_number_of_cells_with_few_active_rows():
    """The oracle itself: 2 Σ C(m-1, i) cells, and E N_j = C(m, j) 2^{1-m} Σ C(m-1, i) (5 sigma of 150 draws)."""
    m, n, draws = 7, 3, 150
    counts = np.zeros((draws, m + 1))
    for seed in range(draws):
        whole = [[int(v * 2**40) for v in r] for r in np.random.default_rng(seed).standard_normal((m, n)).tolist()]
        found = cells(whole, n)
        assert len(found) == 2 * sum(comb(m - 1, i) for i in range(n))
        for cell in found:
            counts[seed, sum(s > 0 for s in cell)] += 1
    expected = [comb(m, j) * 2.0 ** (1 - m) * sum(comb(m - 1, i) for i in range(n)) for j in range(m + 1)]
    error = counts.std(axis=0) / np.sqrt(draws)
    assert (np.abs(counts.mean(axis=0) - expected) < 5 * error + 1e-9).all()


def test_budget_is_kept_and_zero_decides_nothing():
    a = gaussian(7, 47, 3)
    full = decide(a)
    for budget in (0, 1, 7, full.nodes - 1):
        part = decide(a, node_budget=budget)
        assert part.outcome is Outcome.UNKNOWN
        assert part.nodes <= budget
        assert part.certificate is None
    assert decide(a, node_budget=full.nodes).outcome is full.outcome
    assert decide([[1.0, 2.0]], node_budget=0).outcome is Outcome.NOT_INJECTIVE  # no search is needed
    with pytest.raises(InputError):
        decide(a, node_budget=-1)


@pytest.mark.parametrize("exact", [False, True])
def test_threads_change_nothing(exact):
    for n, seed in ((3, 0), (6, 1), (8, 0), (8, 2)):
        a = gaussian(n, int(6.3 * n), seed)
        serial = decide(a, exact=exact)
        for jobs in (2, 5):
            shared = decide(a, exact=exact, jobs=jobs)
            assert shared.outcome is serial.outcome
            if serial.outcome is Outcome.INJECTIVE:
                assert (shared.nodes, shared.certificate) == (serial.nodes, serial.certificate)
                assert decide(a, exact=exact, jobs=jobs, node_budget=serial.nodes).outcome is Outcome.INJECTIVE
                short = decide(a, exact=exact, jobs=jobs, node_budget=serial.nodes - 1)
                assert short.outcome is Outcome.UNKNOWN
    with pytest.raises(InputError):
        decide(a, jobs=0)


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_ends_a_long_search(jobs):
    a = gaussian(22, 120)
    decide(gaussian(4, 28), jobs=jobs)  # compiled by now
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts with it ignored
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            decide(a, jobs=jobs)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - started < 60


def test_exact_alternative_of_gordan():
    """Integer rows, full of degeneracy: a circuit or a point, each checked by its definition."""
    kinds = set()
    for seed in range(300):
        rng = np.random.default_rng(seed)
        rows = rng.integers(-2, 3, (int(rng.integers(1, 9)), int(rng.integers(1, 5)))).tolist()
        circuit, point = circuit_or_point(rows, hint=[len(rows) - 1])
        kinds.add(circuit is None)
        if circuit is not None:
            assert is_circuit([rows[i] for i in circuit])
        else:
            assert all(v < 0 for v in products(rows, small_multiple(point)))
    assert kinds == {True, False}


def test_screen_for_general_position():
    a = gaussian(4, 20)
    assert Layer(a, 4).looks_generic()
    assert not Layer(np.vstack([a, 2 * a[:1]]), 4).looks_generic()
    coarse = np.round(a * 2.0**44) / 2.0**44
    assert Layer(coarse, 4).looks_generic()
    assert not Layer(np.vstack([coarse, coarse[3] - coarse[11]]), 4).looks_generic()
    assert not Layer(a.astype(np.float32).astype(float), 4).looks_generic()
    assert not Layer(np.where(a < -1, 0.0, a), 4).looks_generic()


def test_wide_layers_and_deep_stacks(monkeypatch):
    """Thousands of rows; and a stack that has to grow while the search runs."""
    assert not injective(np.abs(gaussian(3, 3000)))
    assert injective(gaussian(3, 3000))
    a = gaussian(6, 40)
    expected = decide(a), decide(a, exact=True)
    monkeypatch.setattr("mcinj.decide.layer.frames._FIRST_DEPTH", 3)
    for before, exact in zip(expected, (False, True)):
        after = decide(a, exact=exact)
        assert (after.outcome, after.nodes, after.certificate) == (before.outcome, before.nodes, before.certificate)
