"""Least active counts and numbers of low-count cells against all cells by their rays, in integers."""

from __future__ import annotations

import numpy as np
import pytest
from naive import arrangement

import mcinj
from mcinj import InputError
from mcinj.decide.layer.active import least_active
from mcinj.decide.oracles.lowcells import _exactly, count_cells
from mcinj.networks import RowStream
from mcinj.theory import cells as number_of_cells


class Stream:
    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def take(self, m: int) -> np.ndarray:
        return self.rows[:m]


def matrices() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    found = []
    for n, m in [(1, 5), (2, 7), (3, 8), (3, 11), (4, 8)]:
        found.append(rng.integers(-(10**6), 10**6, (m, n)).astype(float))
        found.append(rng.integers(-2, 3, (m, n)).astype(float))
    thin = rng.standard_normal((8, 3))
    thin[4] = thin[0] + 1e-13 * rng.standard_normal(3)
    found.append(np.round(thin * 2.0**60))
    return [a for a in found if np.linalg.matrix_rank(a) == a.shape[1]]


def signs(a: np.ndarray) -> set[tuple[int, ...]]:
    return arrangement.cells([[int(v) for v in row] for row in a], a.shape[1])  # type: ignore[no-any-return]


@pytest.mark.parametrize("a", matrices(), ids=lambda a: f"{a.shape[0]}x{a.shape[1]}")
def test_against_all_cells(a: np.ndarray) -> None:
    m, n = a.shape
    want = np.bincount([sum(v > 0 for v in s) for s in signs(a)], minlength=m + 1)
    assert list(count_cells(a, m).counts) == want.tolist()
    for most in (0, n - 1, n):
        assert list(count_cells(a, most).counts) == want[: most + 1].tolist()
    exact = np.zeros(m + 1, dtype=np.int64)
    live = a[a.any(axis=1)]
    _exactly([[int(v) for v in row] for row in live], [0] * len(live), m, exact)
    assert exact.tolist() == want.tolist()
    full = [k for k in range(1, m + 1) if np.linalg.matrix_rank(a[:k]) == n]
    for item in least_active(Stream(a), n, full).widths:
        least = min(sum(v > 0 for v in s) for s in signs(a[: item.m]))
        assert item.low == item.high == least


def test_all_cells_of_larger_layers() -> None:
    for n, m in [(4, 18), (6, 13)]:
        found = count_cells(RowStream("gaussian", n, 5).take(m), m)
        assert sum(found.counts) == number_of_cells(m, n)
        assert found.counts == found.counts[::-1]  # x and -x


def test_least_count_meets_the_threshold_and_the_cells() -> None:
    for seed in range(5):
        m_star = mcinj.threshold(6, seed=seed).m_hi
        assert m_star is not None
        before, after = least_active(RowStream("gaussian", 6, seed), 6, [m_star - 1, m_star]).widths
        assert (before.low, before.high) == (5, 5)
        assert (after.low, after.high) == (6, 6)
        counts = count_cells(RowStream("gaussian", 6, seed).take(m_star), 6).counts
        assert counts[:6] == (0,) * 6
        assert counts[6] > 0


def test_budget_leaves_a_bracket() -> None:
    widths = [8, 30, 60]
    full = least_active(RowStream("gaussian", 8, 1), 8, widths)
    cut = least_active(RowStream("gaussian", 8, 1), 8, widths, node_budget=full.nodes // 3)
    assert cut.nodes <= full.nodes // 3 + 1
    assert cut.widths[-1].high is None
    assert cut.widths[0] == full.widths[0]
    for a, b in zip(cut.widths, full.widths):
        assert a.low <= b.low
        assert a.high is None or a.high == b.high


def test_bad_input() -> None:
    stream = RowStream("gaussian", 3, 1)
    for widths in ([], [0, 3], [4, 4], [5, 2]):
        with pytest.raises(InputError, match="widths"):
            least_active(stream, 3, widths)
    with pytest.raises(InputError, match="budget"):
        least_active(stream, 3, [4], node_budget=-1)
    with pytest.raises(InputError, match="shape"):
        least_active(stream, 4, [4])
    with pytest.raises(InputError, match="most"):
        count_cells([[1.0]], -1)
    with pytest.raises(InputError, match="finite"):
        count_cells([[np.inf]], 1)
    assert count_cells([[0.0, 0.0]], 2).counts == (1, 0, 0)
