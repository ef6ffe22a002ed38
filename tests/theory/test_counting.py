"""Exact counts against exhaustive enumeration, symmetry and closed cases."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from mcinj.errors import InputError
from mcinj.theory import cells, expected_cells, expected_euler, union_bound

SIZES = st.tuples(st.integers(1, 30), st.integers(1, 8))


def sign_vectors(rows: np.ndarray) -> list[tuple[int, ...]]:
    """Sign vectors of the open cells of integer rows in general position, by one feasibility LP each."""
    m, n = rows.shape
    found = []
    for signs in product((-1, 1), repeat=m):
        signed = np.array(signs)[:, None] * rows
        result = linprog(np.zeros(n), A_ub=-signed, b_ub=-np.ones(m), bounds=[(None, None)] * n)
        if result.status == 0:
            found.append(signs)
    return found


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 2), (4, 3), (6, 3), (5, 4), (3, 5)])
def test_cells_equal_exhaustive_enumeration(m: int, n: int) -> None:
    rows = np.random.default_rng(7).integers(-99, 100, (m, n)).astype(float)
    assert len(sign_vectors(rows)) == cells(m, n)


@pytest.mark.parametrize(("m", "n"), [(4, 2), (5, 3)])
def test_expected_cells_are_the_mean_over_all_sign_flips_of_the_rows(m: int, n: int) -> None:
    # Flipping rows permutes sign vectors: the mean over all 2^m flips of one arrangement is the expectation.
    rows = np.random.default_rng(3).integers(-99, 100, (m, n)).astype(float)
    base = np.array(sign_vectors(rows))
    counts = np.zeros(m + 1, dtype=int)
    for flip in product((-1, 1), repeat=m):
        positives = (base * np.array(flip) > 0).sum(axis=1)
        counts += np.bincount(positives, minlength=m + 1)
    for j in range(m + 1):
        assert expected_cells(m, n, j) == Fraction(int(counts[j]), 2**m)


@given(SIZES)
def test_expected_cells_sum_to_the_number_of_cells(size: tuple[int, int]) -> None:
    m, n = size
    assert sum(Fraction(expected_cells(m, n, j)) for j in range(m + 1)) == cells(m, n)


@given(SIZES)
def test_union_bound_is_the_sum_of_expected_cells_below_n(size: tuple[int, int]) -> None:
    m, n = size
    assert union_bound(m, n) == sum(Fraction(expected_cells(m, n, j)) for j in range(n))


@given(st.integers(1, 60))
def test_union_bound_is_exact_for_one_input(m: int) -> None:
    # P(not injective) = 2^{1-m}: all rows of one sign; both rays are counted, so the bound is met.
    assert union_bound(m, 1) == Fraction(2, 2**m)


def test_counts_without_rows_and_beyond_the_rows() -> None:
    assert cells(0, 3) == 1
    assert (expected_cells(0, 3, 0), expected_cells(0, 3, 1)) == (1, 0)
    assert expected_cells(4, 2, 5) == 0


def test_whole_values_are_ints_and_others_fractions() -> None:
    assert type(expected_cells(3, 3, 1)) is int  # 8 cells, C(3,1) of them with one positive row
    assert expected_cells(3, 3, 1) == 3
    assert type(expected_cells(3, 2, 1)) is Fraction


def brute_euler(signs: np.ndarray, most: int) -> int:
    """χ of {x on the circle or sphere: at most `most` positive rows} for an arrangement in R^2 or R^1."""
    inside = (signs > 0).sum(axis=1) <= most
    return int(inside.sum())


@pytest.mark.parametrize("m", [2, 3, 4, 5, 6])
def test_expected_euler_on_the_circle_equals_the_count_of_arcs(m: int) -> None:
    # n = 2. On S^1 the set {at most 1 positive} is closed: χ = (arcs of it) = (its vertices) - (its edges),
    # or 0 for the whole circle. Enumerate one arrangement exactly and average over all flips of its rows.
    angles = np.sort(np.random.default_rng(m).uniform(0, np.pi, m))
    rays = np.concatenate([angles + np.pi / 2, angles - np.pi / 2])  # where a row vanishes
    rays = np.sort(rays % (2 * np.pi))
    middles = (rays + np.append(rays[1:], rays[0] + 2 * np.pi)) / 2
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)

    def signs(points: np.ndarray) -> np.ndarray:
        values = np.stack([np.cos(points), np.sin(points)], axis=1) @ rows.T
        return np.where(np.abs(values) < 1e-9, 0, np.sign(values)).astype(int)

    edges, vertices = signs(middles), signs(rays)
    total = 0
    for flip in product((-1, 1), repeat=m):
        factor = np.array(flip)
        total += brute_euler(vertices * factor, 1) - brute_euler(edges * factor, 1)
    assert expected_euler(m, 2) == Fraction(total, 2**m)


@pytest.mark.parametrize("m", [1, 2, 5, 9])
def test_expected_euler_for_one_input_is_the_expected_number_of_bad_rays(m: int) -> None:
    assert expected_euler(m, 1) == union_bound(m, 1)


def test_expected_euler_of_a_sphere_without_one_cell_is_one() -> None:
    # m = n: only the cell with all n rows positive is missing, and a sphere without an open ball is a ball.
    assert [expected_euler(n, n) for n in range(2, 8)] == [1] * 6


def test_expected_euler_matches_the_faces_of_a_random_arrangement_in_space() -> None:
    # n = 3, m = 5, by vertices, edges and cells of the arrangement on S^2, averaged over all flips.
    m, n = 5, 3
    rows = np.random.default_rng(11).standard_normal((m, n))
    faces: list[tuple[int, tuple[int, ...]]] = [(2, s) for s in sign_vectors(np.round(1000 * rows))]
    rows = np.round(1000 * rows)
    for i in range(m):
        basis = np.linalg.svd(rows[i : i + 1])[2][1:]
        rest = [k for k in range(m) if k != i]
        for s in sign_vectors(rows[rest] @ basis.T):
            full = np.insert(np.array(s), i, 0)
            faces.append((1, tuple(int(v) for v in full)))
    for i, j in combinations(range(m), 2):
        point = np.cross(rows[i], rows[j])
        for side in (1, -1):
            s = np.sign(side * rows @ point)
            s[[i, j]] = 0
            faces.append((0, tuple(int(v) for v in s)))
    dims = np.array([d for d, _ in faces])
    signs = np.array([s for _, s in faces])
    total = 0
    for flip in product((-1, 1), repeat=m):
        inside = (signs * np.array(flip) > 0).sum(axis=1) <= n - 1
        total += int(((-1) ** dims)[inside].sum())
    assert expected_euler(m, n) == Fraction(total, 2**m)


def test_large_counts_are_exact_integers() -> None:
    assert cells(400, 60) == 2 * sum(comb(399, i) for i in range(60))
    # α = 6.67 is below and α = 10 above the first moment's ratio 9.09.
    assert union_bound(400, 60) > 10**9
    assert 0 < union_bound(1200, 120) < Fraction(1, 1000)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: expected_cells(3, 0, 0), "n is 0"),
        (lambda: expected_cells(-1, 2, 0), "m is -1"),
        (lambda: expected_cells(3, 2, -1), "j is -1"),
        (lambda: expected_cells(3.5, 2, 1), "m is 3.5"),
        (lambda: union_bound("7", 2), "m is '7'"),
        (lambda: union_bound(True, 2), "m is True"),
        (lambda: expected_euler(2, 3), "m is 2"),
        (lambda: expected_euler(5, 0), "n is 0"),
    ],
)
def test_bad_arguments_are_named(call, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()


def test_numpy_integers_are_accepted() -> None:
    assert expected_cells(np.int64(7), np.int32(3), np.int8(2)) == expected_cells(7, 3, 2)
