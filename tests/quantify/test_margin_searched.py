"""Searched margins: upper bounds always, the margin itself where all critical points can be enumerated."""

from __future__ import annotations

import doctest
import math
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from naive.margins import by_angles, by_critical_points

import mcinj
from mcinj import InputError
from mcinj.networks import RowStream
from mcinj.quantify import margin_searched, margin_walk
from mcinj.quantify.margin_searched import searched_margin


def exact_level(rows: np.ndarray, x: tuple[Fraction, ...]) -> Fraction:
    """ρ(x) |x| plainly: the largest value t of a row at x such that the rows at t or above have rank n."""
    values = [sum((Fraction(float(a)) * b for a, b in zip(row, x, strict=True)), Fraction(0)) for row in rows]
    for t in sorted(set(values), reverse=True):
        chosen = rows[[v >= t for v in values]]
        if np.linalg.matrix_rank(chosen, tol=1e-9) == len(x):
            return t
    raise AssertionError("rows without full rank")


@pytest.mark.parametrize("seed", range(12))
def test_the_plane_by_all_critical_angles(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((int(rng.integers(3, 14)), 2))
    assert searched_margin(a, moves=300, seed=seed).high == pytest.approx(by_angles(a), abs=1e-9)


@pytest.mark.parametrize(("n", "m"), [(3, 5), (3, 8), (3, 13), (4, 6), (4, 9), (4, 12)])
@pytest.mark.parametrize("seed", range(2))
def test_all_critical_points(n: int, m: int, seed: int) -> None:
    a = np.random.default_rng([n, m, seed]).standard_normal((m, n))
    found = searched_margin(a, moves=600, seed=seed)
    assert found.high == pytest.approx(by_critical_points(a), abs=1e-9)
    assert found.agreeing >= 2


@pytest.mark.parametrize(("n", "ratio"), [(5, 2), (5, 6.7), (6, 4), (6, 8)])
@pytest.mark.parametrize("moves", [1, 30, 1500])
def test_never_below_the_enclosure_and_inside_with_enough_moves(n: int, ratio: float, moves: int) -> None:
    for trial in range(3):
        layer = RowStream("gaussian", n, f"7/{n}/{trial}").take(round(ratio * n))
        proved = mcinj.margin(layer, tolerance=1e-4)
        found = searched_margin(layer, moves=moves, seed=trial)
        assert all(run.high >= proved.lo for run in found.runs)
        if moves == 1500:
            assert found.high <= proved.hi + 1e-9


@pytest.mark.parametrize("n", [3, 12])
def test_the_value_is_that_at_x_exactly(n: int) -> None:
    layer = RowStream("gaussian", n, f"3/{n}").take(5 * n)
    for run in searched_margin(layer, moves=200, runs=2, seed=5).runs:
        assert run.x is not None
        level = exact_level(layer, run.x)
        square = sum((v * v for v in run.x), Fraction(0))
        # high is the least float at or above level / |x|.
        for end, above in ((run.high, True), (math.nextafter(run.high, -math.inf), False)):
            key = Fraction(end) * abs(Fraction(end)) * square
            assert (key >= level * abs(level)) is above


def test_a_corner_of_the_walk_is_one_and_its_moves_keep_it() -> None:
    n, m, t = 4, 20, 0.15
    rng = np.random.default_rng(1)
    a = rng.standard_normal((m, n))
    u = rng.standard_normal(n)
    u /= np.linalg.norm(u)
    tight = np.zeros(n, dtype=np.int64)
    assert margin_walk.crawl(a, t, u, tight, rng.standard_normal((50, n)))
    S, at = np.empty((n, m + n)), np.empty(m + n)
    columns = np.vstack([a, np.eye(n)])
    assert margin_searched.tableau(columns, tight, S)
    assert margin_walk.place(S, at, t, u)
    for _ in range(40):
        x = at[m:]
        assert np.linalg.norm(x) == pytest.approx(1.0, abs=1e-9)
        assert np.allclose(a @ x, at[:m], atol=1e-9)
        assert np.allclose(a[tight[1:]] @ x, t, atol=1e-9)
        assert len(set(tight[1:])) == n - 1
        margin_walk.walk(S, at, tight, t, 0.7, 1.0, rng.random((1, 2)))


def test_the_walk_draws_corners_by_their_counts() -> None:
    """n = 3, one circle after another: in the long run corners have the law q^(rows above)."""
    m, n, t, q = 6, 3, 0.2, 0.6
    rng = np.random.default_rng(4)
    a = rng.standard_normal((m, n))
    weights = {}
    for i, j in combinations(range(m), 2):
        rows = a[[i, j]]
        foot = rows.T @ np.linalg.solve(rows @ rows.T, np.full(2, t))
        rest = 1.0 - foot @ foot
        if rest > 0:
            axis = np.cross(*rows)
            for sign in (1, -1):
                x = foot + sign * np.sqrt(rest) * axis / np.linalg.norm(axis)
                others = [k for k in range(m) if k not in (i, j)]
                weights[(i, j, sign)] = (x, q ** int((a[others] @ x > t).sum()))
    u = rng.standard_normal(n)
    tight = np.zeros(n, dtype=np.int64)
    assert margin_walk.crawl(a, t, u / np.linalg.norm(u), tight, rng.standard_normal((50, n)))
    S, at = np.empty((n, m + n)), np.empty(m + n)
    assert margin_searched.tableau(np.vstack([a, np.eye(n)]), tight, S)
    assert margin_walk.place(S, at, t, u)
    met: dict[tuple[int, int, int], int] = dict.fromkeys(weights, 0)
    steps = 40_000
    for _ in range(steps):
        margin_walk.walk(S, at, tight, t, q, 1.0, rng.random((1, 2)))
        i, j = sorted(tight[1:])
        met[min(((i, j, s) for s in (1, -1)), key=lambda k: np.abs(weights[k][0] - at[m:]).max())] += 1
    total = sum(w for _, w in weights.values())
    for key, count in met.items():
        assert count / steps == pytest.approx(weights[key][1] / total, abs=0.012)


def test_degenerate_layers() -> None:
    assert searched_margin(np.eye(3)[:2], moves=10).high == -math.inf  # fewer rows than inputs
    assert searched_margin(np.zeros((4, 2)), moves=10).high == -math.inf
    flat = searched_margin(np.array([[1, 2, 3], [2, 4, 6], [0, 0, 1], [1, 2, 4]]), moves=10)
    assert flat.high == -math.inf
    assert flat.runs[0].x is None
    assert flat.agreeing == 4
    one = searched_margin(np.array([[2.0], [-1.0], [0.0]]), moves=5)
    assert one.high == 1.0 == by_critical_points(np.array([[2.0], [-1.0]]))
    # Rows of zeros change nothing, a row twice counts once, opposite rows give margin 0.
    a = np.random.default_rng(2).standard_normal((7, 3))
    plain = searched_margin(a, moves=400).high
    assert searched_margin(np.vstack([a, np.zeros((3, 3))]), moves=400).high == pytest.approx(plain, abs=1e-9)
    twice = np.vstack([a, a[:3]])
    assert searched_margin(twice, moves=2000).high == pytest.approx(by_critical_points(twice), abs=1e-9)
    for n in (2, 3):
        assert searched_margin(np.vstack([np.eye(n), -np.eye(n)]), moves=300).high >= 0.0


@pytest.mark.parametrize("exponent", [-900, -300, 300, 900])
def test_scale_goes_through(exponent: int) -> None:
    a = np.random.default_rng(3).standard_normal((12, 3))
    plain = searched_margin(a, moves=200, seed=1)
    scaled = searched_margin(a * 2.0**exponent, moves=200, seed=1)
    assert scaled.high == pytest.approx(plain.high * 2.0**exponent, rel=1e-9)


def test_random_signs_are_bounded_from_above() -> None:
    a = np.sign(np.random.default_rng(5).standard_normal((20, 4)))
    found = searched_margin(a, moves=1000)
    assert found.high >= mcinj.margin(a, tolerance=1e-3).lo


def test_runs_are_their_own_and_repeat() -> None:
    layer = RowStream("gaussian", 10, "7/10/0").take(60)
    few, many = (searched_margin(layer, moves=300, runs=k, seed=9) for k in (2, 4))
    assert [run.high for run in many.runs[:2]] == [run.high for run in few.runs]
    assert few.high == min(run.high for run in few.runs)
    assert searched_margin(layer, moves=300, runs=2, seed=10).runs[0].x != few.runs[0].x


@pytest.mark.parametrize(
    ("layer", "options", "words"),
    [
        (np.eye(2), {"moves": 0}, "moves"),
        (np.eye(2), {"moves": 5, "runs": 0}, "runs"),
        (mcinj.Network([np.eye(2)], [[1, 1]]), {"moves": 5}, "biases"),
        ([np.eye(2), np.eye(2)], {"moves": 5}, "one layer"),
        (np.eye(2) * 1e305, {"moves": 5}, "1e301"),
    ],
)
def test_users_errors(layer: object, options: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        searched_margin(layer, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_the_docstring() -> None:
    assert doctest.testmod(margin_searched).failed == 0
