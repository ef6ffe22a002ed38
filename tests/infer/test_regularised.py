"""Scaling version 2: its frozen constants, the fit against an independent solver, doubts, nested sizes, coverage."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest

from mcinj.errors import InputError
from mcinj.infer.basis import BASES, BASIS_NAMES, N_MINS, PROCEDURE_2, SCALES, TERMS, corrections
from mcinj.infer.coverage import DESIGNS, coverage
from mcinj.infer.known_series import (
    birthday,
    chi_mean,
    coupons,
    exact_series,
    hermitian_edge,
    increasing_subsequence,
    made_up_series,
    narrow_mean,
    random_energies,
    random_laws,
    wendel_quantile,
    wishart_edge,
)
from mcinj.infer.means import MeanSeries, SearchedMean, means
from mcinj.infer.nested import joined, nested_means
from mcinj.infer.regularised import MIN_SIZES, P_CONSISTENT, PRIMARY, extrapolate_means, fit_basis
from mcinj.infer.sample import ThresholdSample

N = np.arange(4, 17)


def series(alpha: np.ndarray, sigma: np.ndarray | float, n: np.ndarray = N, doubt: float = 0.0) -> MeanSeries:
    errors = np.broadcast_to(np.asarray(sigma, dtype=float), n.shape)
    return MeanSeries(
        n, np.asarray(alpha), np.diag(errors**2), np.full(n.size, doubt), np.zeros(n.size, bool), np.ones(n.size)
    )


def test_the_procedure_is_frozen() -> None:
    """Whoever changes one of these makes a version 3, with a new validation, and keeps this one beside it."""
    assert PROCEDURE_2 == "mcinj scaling 2.1"
    assert PRIMARY == "full"
    assert dict(SCALES) == {
        "n^-1/2": 0.4, "n^-2/3": 0.8, "ln n/n": 0.5, "n^-1": 1.5, "n^-4/3": 1.0, "ln n/n^2": 1.4, "n^-2": 0.7,
        "n^-3": 0.7,
    }  # fmt: skip
    logs = {"ln n/n", "n^-1", "ln n/n^2", "n^-2", "n^-3"}
    assert {k: set(v) for k, v in BASES.items()} == {
        "logs": logs, "full": logs | {"n^-2/3", "n^-4/3"}, "wide": logs | {"n^-2/3", "n^-4/3", "n^-1/2"},
    }  # fmt: skip
    assert (N_MINS, MIN_SIZES, P_CONSISTENT) == ((4, 5, 6), 5, 0.01)
    at_eight = {
        "n^-1/2": 8**-0.5, "n^-2/3": 0.25, "ln n/n": math.log(8) / 8, "n^-1": 0.125, "n^-4/3": 1 / 16,
        "ln n/n^2": math.log(8) / 64, "n^-2": 1 / 64, "n^-3": 1 / 512,
    }  # fmt: skip
    assert {k: float(f(np.array([8.0]))[0]) for k, f in TERMS.items()} == pytest.approx(at_eight)


@pytest.mark.parametrize("basis", BASIS_NAMES)
def test_the_fit_is_least_squares_with_the_prior_as_further_data(basis: str) -> None:
    rng = np.random.default_rng(3)
    sigma = 0.01 + 0.002 * N
    y = 6.7 - 8.0 / N + sigma * rng.standard_normal(N.size)
    fit = fit_basis(series(y, sigma), basis, 5)
    keep = N >= 5
    terms = np.mean(np.abs(y[keep])) * corrections(basis, N[keep].astype(float))
    k = terms.shape[1]
    # Rows: the data over their errors; then each amplitude, in units of its scale, is 0 ± 1.
    design = np.vstack(
        (np.column_stack((np.ones(keep.sum()), terms)) / sigma[keep, None], np.hstack((np.zeros((k, 1)), np.eye(k))))
    )
    rhs = np.concatenate((y[keep] / sigma[keep], np.zeros(k)))
    solution, rest, _, _ = np.linalg.lstsq(design, rhs, rcond=None)
    assert fit.limit == pytest.approx(solution[0], abs=1e-8)
    assert fit.se == pytest.approx(math.sqrt(np.linalg.inv(design.T @ design)[0, 0]), rel=1e-6)
    assert fit.chi2 == pytest.approx(float(rest[0]), rel=1e-6)
    assert fit.fitted == pytest.approx(solution[0] + terms @ solution[1:], abs=1e-8)
    assert fit.predict(fit.n) == pytest.approx(fit.fitted, abs=1e-9)
    assert fit.weights.sum() == pytest.approx(1.0)
    assert fit.statistical < fit.se


def test_a_flat_series_has_its_value_as_the_limit_and_units_do_not_matter() -> None:
    flat = extrapolate_means(series(np.full(N.size, 2.0), 1e-6))
    for found in flat.limits.values():
        assert found.estimate == pytest.approx(2.0, abs=1e-6)
    y = 6.7 - 8.0 / N
    one, many = extrapolate_means(series(y, 0.01)).primary, extrapolate_means(series(100 * y, 1.0)).primary
    assert many.estimate == pytest.approx(100 * one.estimate)
    assert many.total == pytest.approx(tuple(100 * end for end in one.total))


def test_n_min_is_part_of_the_interval_and_assumptions_cost() -> None:
    found = extrapolate_means(series(6.7 - 8.0 / N, 0.01))
    for limit in found.limits.values():
        assert [fit.n_min for fit in limit.fits] == [4, 5, 6]
        ends = [fit.interval(0.95) for fit in limit.fits]
        assert limit.total == (min(e[0] for e in ends), max(e[1] for e in ends))
        assert limit.estimate == pytest.approx(np.median([fit.limit for fit in limit.fits]))
    lengths = [found.limits[name].total[1] - found.limits[name].total[0] for name in ("logs", "full", "wide")]
    assert lengths == sorted(lengths)
    assert found.primary is found.limits["full"]
    assert not found.searched


def test_doubts_move_the_limit_at_most_by_what_is_said() -> None:
    y = 6.7 - 8.0 / N
    wide = fit_basis(series(y, 0.01, doubt=0.02), "full", 4)
    assert wide.doubt == pytest.approx(0.02 * np.abs(wide.weights).sum())
    # The worst case is attained: shifts by ± 0.02 with the signs of the weights.
    shifted = float(wide.weights @ (y + 0.02 * np.sign(wide.weights)))
    assert shifted - wide.limit == pytest.approx(wide.doubt)
    low, high = wide.interval(0.95)
    assert high - low == pytest.approx(2 * (1.959964 * wide.se + wide.doubt))


def test_weights_under_doubts_are_the_best_and_never_lengthen_an_interval() -> None:
    n = np.array([*N, 20, 30])
    sigma = np.array([*(0.01 + 0.001 * N), 0.02, 0.02])
    doubt = np.array([*np.zeros(N.size), 0.01, 0.03])
    y = 6.7 - 8.0 / n
    points = MeanSeries(n, y, np.diag(sigma**2), doubt, doubt > 0, np.ones(n.size))
    fit = fit_basis(points, "full", 4)
    half = 1.959964 * fit.se + fit.doubt
    variance = np.diag(sigma**2) + (t := np.mean(y) * corrections("full", n.astype(float))) @ t.T
    # Local search with another method: no small step along Σ w = const improves.
    for i in range(n.size):
        for j in range(n.size):
            for step in (1e-3, 1e-2):
                w = fit.weights + step * ((np.arange(n.size) == i).astype(float) - (np.arange(n.size) == j))
                assert 1.959964 * math.sqrt(w @ variance @ w) + np.abs(w) @ doubt >= half * (1 - 1e-5)
    without = fit_basis(points.take(doubt == 0), "full", 4)
    assert half < 1.959964 * without.se
    # A row that nothing is known of changes nothing (its size enters the prior's scale, a little).
    lost = MeanSeries(n, y, np.diag(sigma**2), 100 * doubt, doubt > 0, np.ones(n.size))
    blind = fit_basis(lost, "full", 4)
    assert blind.se == pytest.approx(without.se, rel=0.05)
    assert np.abs(blind.weights[doubt > 0]).max() < 1e-3


def test_data_that_no_term_can_explain_are_marked_and_stretched() -> None:
    y = 6.7 - 8.0 / N
    smooth, zigzag = extrapolate_means(series(y, 0.01)), extrapolate_means(series(y + 0.5 * (-1.0) ** N, 0.01))
    assert smooth.primary.consistent
    assert not zigzag.primary.consistent
    assert zigzag.primary.standard_error > 10 * smooth.primary.standard_error


def test_means_of_known_draws_with_infinite_and_censored_ones() -> None:
    draws = [20, 22, 24, 26, 28, 30, 20, 22, 24, 26, 28, 30]
    plain = ThresholdSample.build([d - 1 for d in draws], draws, 4)
    lost = ThresholdSample.build([*(d - 1 for d in draws), None], [*draws, None], 5, failed=[None] * 12 + [1])
    between = ThresholdSample.build([d - 3 for d in draws], draws, 6)  # m* in {d - 2, d - 1, d}
    open_end = ThresholdSample.build([*(d - 1 for d in draws), 30], [*draws, None], 7)
    few = ThresholdSample.build([5] * 9, [6] * 9, 8)
    found = means([few, open_end, between, lost, plain])
    assert found.n.tolist() == [4, 5, 6]
    assert found.alpha == pytest.approx([25 / 4, 25 / 5, 24 / 6])
    assert found.finite == pytest.approx([1, 12 / 13, 1])
    assert found.doubt == pytest.approx([0, 0, 1 / 6])
    assert found.sigma[0] == pytest.approx(math.sqrt(np.var(draws, ddof=1) / 12 * 11 / 9) / 4)
    assert [n for n, _ in found.skipped] == [7, 8]
    # Five looks: each interval at 99 %, 2.5758 standard errors instead of 1.9600.
    assert means([plain], levels={4: 0.99}).sigma[0] / found.sigma[0] == pytest.approx(2.5758 / 1.9600, rel=1e-4)
    with pytest.raises(InputError, match="once"):
        means([plain, plain])
    with pytest.raises(InputError, match="no size"):
        means([few])


def test_searched_means_are_rows_of_their_own() -> None:
    rng = np.random.default_rng(8)
    samples = []
    for n in range(4, 11):
        m = np.ceil(6.7 * n - 8 + 1.75 * math.sqrt(n) * rng.standard_normal(4000)).astype(int)
        samples.append(ThresholdSample.build(m - 1, m, n))
    far = [SearchedMean.of_runs(n, 300, 6.7 * n - 7.5 - 0.1, 0.2, 0.08, 0.04) for n in (10, 20, 40)]
    assert far[1].miss_hi == pytest.approx((0.08 + 1.959964 * 0.04) / 20)
    assert far[1].se == pytest.approx(0.2 / 20 * math.sqrt(299 / 297))
    with pytest.raises(InputError, match="at least 4"):
        SearchedMean.of_runs(40, 3, 250.0, 1.0, 0.0, 0.0)
    points = means(samples, far)
    assert points.n.tolist() == [4, 5, 6, 7, 8, 9, 10, 10, 20, 40]
    assert points.searched.tolist() == [False] * 7 + [True] * 3
    assert points.alpha[-1] == pytest.approx(far[2].mean + far[2].miss_hi / 2)
    without, with_them = extrapolate_means(means(samples)), extrapolate_means(points)
    assert with_them.searched
    assert with_them.primary.total[0] < 6.7 < with_them.primary.total[1]
    assert with_them.primary.standard_error < 0.6 * without.primary.standard_error
    with pytest.raises(InputError, match="upwards"):
        SearchedMean(20, 100, 6.2, 0.01, -0.01, 0.01)
    with pytest.raises(InputError, match="finite"):
        SearchedMean(20, 100, math.nan, 0.01, 0.0, 0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": np.full(13, np.nan)}, "finite"),
        ({"covariance": np.zeros((13, 13))}, "positive"),
        ({"covariance": np.eye(12)}, "shape"),
        ({"doubt": np.full(13, -1.0)}, "at least 0"),
        ({"n": N[::-1]}, "increasing"),
        ({"searched": np.zeros(2, bool)}, "shape"),
    ],
)
def test_wrong_means_are_refused(change: dict[str, np.ndarray], message: str) -> None:
    right = {
        "n": N, "alpha": 6.7 - 8.0 / N, "covariance": np.eye(13), "doubt": np.zeros(13), "searched": np.zeros(13, bool),
        "finite": np.ones(13),
    }  # fmt: skip
    with pytest.raises(InputError, match=message):
        MeanSeries(**(right | change))


def test_too_few_sizes_are_refused_with_the_remedy() -> None:
    short = np.arange(2, 8)
    with pytest.raises(InputError, match="at least 5 sizes n >= 4"):
        extrapolate_means(series(6.7 - 8.0 / short, 0.01, short))
    with pytest.raises(InputError, match="unknown basis"):
        corrections("sqrt", np.array([4.0]))


# Known series against formulas of another kind.


def test_wendels_median_is_exact_and_its_mean_is_a_waiting_time() -> None:
    assert [wendel_quantile(n, 0.5) for n in (1, 2, 7, 16, 40)] == pytest.approx([2.0] * 5)
    # At n = 2, m symmetric points lie in a half-plane with probability 2 m / 2^m: 1/2 at 4, 5/16 at 5.
    assert 2 * wendel_quantile(2, 0.6) == pytest.approx(4 + 0.1 / (0.5 - 5 / 16))


def test_edges_of_one_by_one_and_sampled_matrices() -> None:
    assert wishart_edge(1, 0) == pytest.approx(1.0)  # exponential
    assert wishart_edge(1, 4) == pytest.approx(5.0)  # gamma
    assert hermitian_edge(1) == pytest.approx(0.0, abs=1e-10)
    rng = np.random.default_rng(2)
    z = (rng.standard_normal((40_000, 3, 5)) + 1j * rng.standard_normal((40_000, 3, 5))) / math.sqrt(2)
    top = np.linalg.eigvalsh(z @ z.conj().transpose(0, 2, 1))[:, -1] / 3
    assert wishart_edge(3, 2) == pytest.approx(top.mean(), abs=4 * top.std() / 200)
    h = z[:, :, :3]
    h = (h + h.conj().transpose(0, 2, 1)) / math.sqrt(2)
    top = np.linalg.eigvalsh(h)[:, -1] / math.sqrt(3)
    assert hermitian_edge(3) == pytest.approx(top.mean(), abs=4 * top.std() / 200)


def longest(p: tuple[int, ...]) -> int:
    best = [1] * len(p)
    for i in range(len(p)):
        best[i] = 1 + max((best[j] for j in range(i) if p[j] < p[i]), default=0)
    return max(best, default=0)


def test_increasing_subsequences_by_listing_all_permutations() -> None:
    total = sum(
        math.exp(-1.0) / math.factorial(k) ** 2 * sum(longest(p) for p in permutations(range(k))) for k in range(8)
    )
    assert increasing_subsequence(1) == pytest.approx(total, abs=1e-3)  # 8 letters and more: less than 1e-4 of weight


def test_maxima_and_birthdays_by_hand() -> None:
    assert coupons(1, 0.5) == pytest.approx(2.0)
    assert coupons(2, 0.5) == pytest.approx(2 + 2 - 4 / 3)  # the larger of two: sum less the smaller, miss 1/4
    assert random_energies(1, 2.0) == pytest.approx(1 / math.sqrt(math.pi))
    assert birthday(2) * math.sqrt(2) == pytest.approx(2.5)
    assert chi_mean(1) == pytest.approx(math.sqrt(2 / math.pi))
    # One input: two cells, each without positives with probability 2^-m.
    assert narrow_mean("union", 1) == pytest.approx(1 + sum(min(1.0, 2.0 / 2**m) for m in range(1, 40)))


@pytest.mark.parametrize(
    "each", [s for s in exact_series() if s.name.startswith(("Wendel", "coup", "length", "birth"))]
)
def test_known_series_head_for_their_limits(each) -> None:
    near, far = abs(each.value(30) - each.limit), abs(each.value(120) - each.limit)
    assert far <= 0.75 * near + 1e-9


CHEAP = ("Wendel, mean", "Wendel, median", "coupons, C(3n, n)", "increasing subsequence", "mean of the union law")


@pytest.mark.parametrize("name", CHEAP)
def test_the_full_basis_covers_known_limits(name: str) -> None:
    (each,) = (s for s in exact_series() if s.name == name)
    found = coverage(each.limit, each.at(list(DESIGNS["proved"])), DESIGNS["proved"], draws=60)
    assert found["full"].share >= 0.95
    assert found["wide"].share >= 0.95
    if each.needs == "logs":
        assert found["logs"].share >= 0.95
    assert found["full"].half < 0.35


def test_logs_alone_miss_an_edge_and_the_full_basis_a_square_root() -> None:
    """What the assumptions are worth: without the term that a law has, the interval does not cover."""
    design = DESIGNS["searched"]
    laws = {s.name: s.at(list(design)) for s in made_up_series()}
    edge, root = (coverage(6.7, laws[f"6.7 + {k}"], design, draws=40) for k in ("n^-2/3 against 1/n", "n^-1/2"))
    assert edge["logs"].share < 0.5 < 0.95 <= edge["full"].share
    assert root["full"].share < 0.9 < 0.95 <= root["wide"].share


def test_random_laws_pass_near_the_data() -> None:
    found = random_laws(5, seed=3)
    assert all(abs(law.value(5) - 5.3) < 0.2 and abs(law.value(11) - 5.9) < 0.2 for law in found)
    assert all(law.value(10**9) == pytest.approx(6.7, abs=1e-4) for law in found)


def test_nested_streams_sharpen_differences_and_the_limit() -> None:
    rng = np.random.default_rng(4)
    sizes = np.arange(4, 13)
    # A random walk over n with correlations like those of nested columns.
    steps = rng.standard_normal((400, sizes.size)) * np.where(sizes == 4, 3.5, 1.8)
    m = 6.7 * sizes - 8.0 + np.cumsum(steps, axis=1)
    nested = nested_means(sizes.tolist(), m)
    assert nested.alpha == pytest.approx(m.mean(axis=0) / sizes)
    assert nested.covariance == pytest.approx(np.cov((m / sizes).T) / 400 * 399 / 397)
    apart = MeanSeries(
        nested.n, nested.alpha, np.diag(np.diag(nested.covariance)), nested.doubt, nested.searched, nested.finite
    )
    assert fit_basis(nested, "logs", 4).statistical < fit_basis(apart, "logs", 4).statistical
    both = joined(nested, series(6.7 - 8.0 / N, 0.01))
    assert both.n.tolist() == sorted([*sizes.tolist(), *N.tolist()])
    first, second = np.flatnonzero(both.n == 4)
    assert both.covariance[first, second] == 0.0  # independent series
    assert both.covariance[first, np.flatnonzero(both.n == 5)[0]] == nested.covariance[0, 1]
    with pytest.raises(InputError, match="draw more"):
        nested_means(sizes.tolist(), m[:18])
    with pytest.raises(InputError, match="columns"):
        nested_means([4, 5], m)
