"""Searched thresholds against enumeration of all rays in integers, proved thresholds, and their own definition."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import mcinj
from mcinj import InputError, Network
from mcinj.decide.probe.probe import probe
from mcinj.decide.probe.searched import searched
from mcinj.networks import RowStream, Seed


def normals(rows: np.ndarray) -> np.ndarray:
    """Integer vectors orthogonal to every set of n - 1 rows: the signed minors, by Laplace's rule."""

    def minor(square: list[list[int]]) -> int:
        if not square:
            return 1
        rest = [row[1:] for row in square]
        return sum(
            (-1) ** i * square[i][0] * minor(rest[:i] + rest[i + 1 :]) for i in range(len(square)) if square[i][0]
        )

    n = rows.shape[1]
    found = []
    for chosen in combinations(rows.tolist(), n - 1):
        found.append([(-1) ** c * minor([r[:c] + r[c + 1 :] for r in chosen]) for c in range(n)])
    return np.array(found, dtype=object)


def threshold_by_rays(rows: np.ndarray) -> int:
    """Least m for which every ray of the first m rows has n positives; integer rows in general position."""
    n = rows.shape[1]
    for m in range(n, len(rows) + 1):
        values = normals(rows[:m]) @ rows[:m].T.astype(object)
        assert ((values == 0).sum(axis=1) == n - 1).all()
        if min((values > 0).sum(axis=1).min(), (values < 0).sum(axis=1).min()) >= n:
            return m
    raise AssertionError("the matrix is not injective at any width")


@pytest.mark.parametrize(("n", "trials", "have"), [(2, 30, 30), (3, 12, 32), (4, 4, 30)])
def test_the_best_run_is_the_threshold_by_enumeration(n: int, trials: int, have: int) -> None:
    rng = np.random.default_rng(n)
    for trial in range(trials):
        rows = rng.integers(-1000, 1001, (have, n))
        found = searched(rows, n, moves=1500, runs=3, seed=trial)
        assert found.m_searched == threshold_by_rays(rows)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_the_best_run_is_the_proved_threshold(n: int) -> None:
    for trial in range(20):
        seed = f"7/{n}/{trial}"
        found = searched(RowStream("gaussian", n, seed), n, moves=3000, runs=3, seed=seed)
        assert found.m_searched == mcinj.threshold(n, seed=seed).m_hi


@pytest.mark.parametrize("ensemble", ["gaussian", "rademacher", "sparse:0.6", "uniform", "correlated:0.5"])
@pytest.mark.parametrize("moves", [1, 40, 1000])
def test_every_run_is_a_lower_bound(ensemble: str, moves: int) -> None:
    for trial in range(4):
        seed = Seed(5).child(6, trial)
        stream = RowStream(ensemble, 6, seed)
        found = searched(stream, 6, moves=moves, runs=3, seed=seed)
        m_star = mcinj.threshold(6, ensemble=ensemble, seed=seed).m_hi
        assert m_star is not None
        assert all(run.m_found < m_star for run in found.runs)
        assert found.m_found == max(run.m_found for run in found.runs)
        assert found.agreeing == [run.m_found for run in found.runs].count(found.m_found)
        assert found.witness(stream).collides(Network([stream.take(found.m_found)]))


def test_runs_are_independent_of_their_number_and_of_probe() -> None:
    stream = RowStream("gaussian", 8, 1)
    few, many = (searched(stream, 8, moves=500, runs=k, seed=9) for k in (2, 4))
    assert [r.history for r in few.runs] == [r.history for r in many.runs[:2]]
    assert len({r.history for r in many.runs}) == 4
    assert probe(stream, 8, moves=500, seed=9).history not in {r.history for r in many.runs}


@pytest.mark.parametrize("runs", [0, -1, 2.0, True])
def test_bad_runs(runs: object) -> None:
    with pytest.raises(InputError, match="runs must be"):
        searched(np.eye(3), 3, moves=5, runs=runs)  # type: ignore[arg-type]


def test_degenerate_matrices() -> None:
    rng = np.random.default_rng(0)
    square = rng.standard_normal((4, 4))
    both = np.vstack([square, -square, square[:1], np.zeros((2, 4))])
    assert searched(both, 4, moves=400, runs=2).m_searched == 8  # every width below has a witness, this one none
    assert searched(np.zeros((5, 3)), 3, moves=10, runs=2).m_found == 5
    assert searched(square[:2] * 1e-200, 4, moves=10, runs=2).m_found == 2
