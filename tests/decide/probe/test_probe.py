"""Witness search against proved thresholds and exact counts made here in plain integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import mcinj
from mcinj import InputError, Network
from mcinj.decide.probe.probe import Probe, probe
from mcinj.decide.probe.walk import BUCKETS, COUNT, STATE, WIDTH, rays_on_line, tableau, walk
from mcinj.networks import RowStream


def active(rows: np.ndarray, x: tuple[int, ...]) -> list[int]:
    """Rows that are not negative at x, in exact rationals."""
    return [i for i, row in enumerate(rows) if sum(Fraction(float(a)) * v for a, v in zip(row, x)) >= 0]


def check(found: Probe, stream: RowStream) -> None:
    rows = stream.take(found.m_found + 1)
    assert len(active(rows[: found.m_found], found.point)) < found.n
    assert len(active(rows, found.point)) >= found.n


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_bounds_are_proved_and_reach_the_threshold(n: int) -> None:
    reached = 0
    for trial in range(12):
        stream = RowStream("gaussian", n, f"7/{n}/{trial}")
        found = probe(stream, n, moves=4000)
        check(found, stream)
        m_star = mcinj.threshold(n, seed=f"7/{n}/{trial}").m_hi
        assert m_star is not None
        assert found.m_found < m_star
        reached += found.m_found == m_star - 1
    assert reached >= 11


def test_twelve_inputs() -> None:
    # m* of the streams 7/12/0 … 7 as proved by branch and bound.
    for trial in range(8):
        m_star = mcinj.threshold(12, seed=f"7/12/{trial}").m_hi
        assert probe(RowStream("gaussian", 12, f"7/12/{trial}"), 12, moves=50_000).m_found + 1 == m_star


def test_large_layers_and_colliding_inputs() -> None:
    stream = RowStream("gaussian", 40, 3)
    found = probe(stream, 40, moves=4000)
    check(found, stream)
    assert found.m_found > 4.5 * 40  # 2000 moves of plain descent end near 4 n
    assert found.witness(stream).collides(Network([stream.take(found.m_found)]))
    wider = found.m_found + 1
    with pytest.raises(InputError, match="not the rows"):
        found.witness(RowStream("gaussian", 40, 4))
    assert not found.witness(stream).collides(Network([stream.take(wider)]))


def test_same_seed_same_walk_and_more_moves() -> None:
    stream = RowStream("uniform", 10, 1)
    a, b = probe(stream, 10, moves=3000), probe(RowStream("uniform", 10, 1), 10, moves=3000)
    assert (a.m_found, a.point, a.moves, a.history) == (b.m_found, b.point, b.moves, b.history)
    assert a.moves == 3000
    assert [w for _, w in a.history] == sorted(w for _, w in a.history)
    assert probe(stream, 10, moves=3000, seed=5).history != a.history


@pytest.mark.parametrize("moves", [0, 1, 7])
def test_tiny_budgets(moves: int) -> None:
    stream = RowStream("gaussian", 6, 2)
    found = probe(stream, 6, moves=moves)
    check(found, stream)
    assert found.m_found >= 11  # below 2n one of x and -x is a witness
    assert found.moves == moves


@pytest.mark.parametrize("ensemble", ["rademacher", "sparse:0.3", "sparse:0.05", "correlated:0.9", "sphere", "xavier"])
def test_other_laws(ensemble: str) -> None:
    for n in (2, 5):
        stream = RowStream(ensemble, n, 8)
        found = probe(stream, n, moves=2000)
        draw = mcinj.threshold(n, ensemble=ensemble, seed=8)
        assert draw.m_hi is None or found.m_found < draw.m_hi
        network = Network([stream.take(found.m_found)])
        assert found.witness(stream).collides(network)


def test_matrices() -> None:
    rng = np.random.default_rng(0)
    narrow = rng.standard_normal((30, 10))
    assert probe(narrow, 10, moves=5000).m_found == 30
    assert probe(narrow[:4], 10, moves=100).m_found == 4
    square = rng.standard_normal((5, 5))
    both = np.vstack([square, -square])
    # Injective, though every width below 10 is not.
    assert probe(both, 5, moves=500).m_found == 9
    assert probe(np.zeros((7, 3)), 3, moves=50).m_found == 7
    assert probe(np.ones((7, 3)), 3, moves=50).m_found == 7
    assert probe([[1, 2], [3, 4]], 2, moves=3).m_found == 2
    scaled = narrow * 10.0 ** rng.uniform(-200, 200, (30, 1))
    assert probe(scaled, 10, moves=5000).m_found == 30


@pytest.mark.parametrize(
    ("rows", "n", "options"),
    [
        (np.ones(3), 3, {}),
        (np.ones((3, 2)), 3, {}),
        (np.full((3, 3), np.nan), 3, {}),
        (np.ones((3, 3)), 0, {}),
        (np.ones((3, 3)), 3, {"moves": -1}),
        (np.ones((3, 3)), 3, {"moves": 1.5}),
        (np.ones((3, 3)), 3, {"seed": -1}),
        ([["a"]], 1, {}),
        (np.ones((3, 3)) * 1j, 3, {}),
        (np.zeros((0, 3)), 3, {}),
    ],
)
def test_bad_input(rows: object, n: int, options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        probe(rows, n, **options)  # type: ignore[arg-type]


def test_a_walk_keeps_its_tableau_and_its_count() -> None:
    rng = np.random.default_rng(3)
    n, m = 6, 40
    rows = rng.standard_normal((m, n))
    tight = np.array([-1, 1, 2, 3, 4, 5])
    fine = np.empty((n, m))
    assert tableau(rows, tight, fine)
    S = fine.astype(np.float32)
    state = np.zeros(STATE, dtype=np.int64)
    state[WIDTH] = m
    best = np.zeros(n, dtype=np.int64)
    for q in (0.9, 0.3, 0.05):
        walk(S, tight, state, best, q, 1.0, rng.random((60, 2)))
        # The ray of the tight rows, from scratch.
        _, _, v = np.linalg.svd(rows[tight[1:]])
        values = rows @ v[-1]
        scale = values @ S[0] / (values @ values)
        np.testing.assert_allclose(S[0], scale * values, atol=1e-4 * abs(scale) * np.abs(values).max())
        others = np.setdiff1d(np.arange(m), tight)
        assert state[COUNT] == np.count_nonzero(S[0][others] > 0)
        np.testing.assert_allclose(S[1:, tight[1:]], np.eye(n - 1), atol=1e-4)


def test_the_walk_samples_the_law_that_it_claims() -> None:
    # n = 2: the rays are the 2 m zeros of the rows on the circle, all on the one line; weights q^count.
    rng = np.random.default_rng(4)
    m, q = 9, 0.6
    rows = rng.standard_normal((m, 2))
    weights = {}
    for i in range(m):
        for sign in (1, -1):
            v = sign * np.array([-rows[i, 1], rows[i, 0]])
            others = np.arange(m) != i
            weights[i, sign] = q ** np.count_nonzero(rows[others] @ v > 0)
    total = sum(weights.values())
    tight = np.array([-1, 0])
    fine = np.empty((2, m))
    tableau(rows, tight, fine)
    S = fine.astype(np.float32)
    state = np.zeros(STATE, dtype=np.int64)
    state[WIDTH] = m
    best = np.zeros(2, dtype=np.int64)
    draws = 4000
    seen = dict.fromkeys(weights, 0)
    for _ in range(draws):
        state[WIDTH] = m
        walk(S, tight, state, best, q, 1.0, rng.random((1, 2)))
        i = int(tight[1])
        v = np.array([-rows[i, 1], rows[i, 0]])
        j = (i + 1) % m
        seen[i, 1 if S[0, j] * (rows[j] @ v) > 0 else -1] += 1
    chi2 = sum((seen[k] - draws * w / total) ** 2 / (draws * w / total) for k, w in weights.items())
    assert chi2 < 45  # 17 degrees of freedom: exceeded with probability 2e-4


def test_repeated_directions_count_once() -> None:
    # Every row three times, at other lengths: rank, and with it m* - 1, is that of the rows taken once.
    rows = RowStream("gaussian", 5, 3).take(60)
    once = probe(rows, 5, moves=4000)
    thrice = np.repeat(rows, 3, axis=0) * np.tile([[1.0], [4.0], [0.125]], (60, 1))
    # The last row of the first width that passes is the first of its three.
    assert probe(thrice, 5, moves=4000).m_found == 3 * once.m_found
    opposite = np.repeat(rows, 2, axis=0) * np.tile([[1.0], [-1.0]], (60, 1))
    assert probe(opposite, 5, moves=4000).m_found == 9  # n pairs of opposite rows have full rank everywhere


@pytest.mark.parametrize("reach", [0, 3, 30])
def test_rays_on_a_line_by_counting_them_one_by_one(reach: int) -> None:
    rng = np.random.default_rng(6)
    n, m = 7, 60
    rows = rng.standard_normal((m, n))
    tight = np.array([-1, 1, 12, 23, 34, 45, 56])
    fine = np.empty((n, m))
    assert tableau(rows, tight, fine)
    work = [np.empty(m, dtype=kind) for kind in (np.float32, np.int64, np.int64, np.int64)]
    for k in range(1, n):
        free_rows = [i for i in range(m) if i == tight[k] or i not in tight]
        counts = {}
        for i in free_rows:
            at = fine[0] - fine[0, i] / fine[k, i] * fine[k]
            others = [j for j in free_rows if j != i]
            counts[i] = (int((at[others] > 0).sum()), int((at[others] < 0).sum()))
        start = min(min(pair) for pair in counts.values())  # as if the present ray were the best one
        u, bucket, row, key = work
        table = np.empty((3, 2 * BUCKETS + 2), dtype=np.int64)
        S = fine.astype(np.float32)
        events, free, here, there = rays_on_line(S, k, m, start, reach, u, bucket, row, key, table)
        listed = {int(row[e]): (int(key[e] + here), int(free - key[e] + there)) for e in range(events)}
        assert len(listed) == events
        assert all(counts[i] == pair for i, pair in listed.items())
        assert {i for i, pair in counts.items() if min(pair) <= start + reach} <= set(listed)
        assert reach or events < len(free_rows)
        at = [fine[0, int(i)] / -fine[k, int(i)] for i in row[:events]]
        assert at == sorted(at)
