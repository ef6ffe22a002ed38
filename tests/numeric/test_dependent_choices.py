"""Leaves where choices are dependent or parallel: the kernels against all choices, and layers that need them."""

from __future__ import annotations

from itertools import pairwise, product

import flint
import numpy as np
import pytest
from naive.arrangement import cells

from mcinj.certify import verify
from mcinj.certify.choices import all_independent
from mcinj.decide.layer.exact import is_circuit, rank
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.tree import decide_one_layer
from mcinj.decide.verdict import Certified, Outcome, Reason
from mcinj.networks import Network
from mcinj.numeric.choices import WIDEST, YES, Choices, independent, normalised
from mcinj.numeric.circuits import proved_on_support
from mcinj.numeric.residues import PRIME, parallel, spanning


def least_rank(rows: np.ndarray, sets: list[list[int]], declared: list[int] | None = None, prime: int = PRIME) -> int:
    """The least rank modulo the prime of declared rows and one row from each set, by all choices."""
    chosen = ([*(declared or []), *choice] for choice in product(*sets))
    return min(flint.nmod_mat(flint.fmpz_mat(rows[choice].tolist()), prime).rank() for choice in chosen)


def flat(sets: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Members of the sets one after another, and where each set starts."""
    start = np.cumsum([0, *(len(part) for part in sets)]).astype(np.int64)
    return np.array([i for part in sets for i in part], dtype=np.int64), start


def choices_of(rows: np.ndarray) -> Choices:
    """Integer rows, below 2^53 or any whose quotients are floats, as the search has them."""
    floats = rows / np.linalg.norm(rows.astype(float), axis=1, keepdims=True).clip(1e-300)
    E, errors = normalised(floats.astype(float))
    return Choices.of(E, errors, (rows % PRIME).astype(np.int64))


def verdict(rows: np.ndarray, declared: list[int], sets: list[list[int]]) -> int:
    """What the search says of these choices."""
    members, start = flat(sets)
    at = np.zeros(len(sets) + 1, dtype=np.int64)
    lines = np.array(declared, dtype=np.int64)
    return int(independent(choices_of(rows), lines, len(declared), members, start, len(sets), at))


def decided(rows: np.ndarray, declared: list[int], sets: list[list[int]]) -> bool:
    """Whether they are proved to be independent."""
    return verdict(rows, declared, sets) == YES


@pytest.mark.parametrize("digits", [1, 2, 20, 50])
def test_choices_agree_with_all_determinants(digits: int) -> None:
    rng = np.random.default_rng(digits)
    outcomes = {True: 0, False: 0}
    for _ in range(250):
        n = int(rng.integers(1, 8))
        rows = rng.integers(-(2**digits), 2**digits, (3 * n + 2, n), endpoint=True)
        order = [int(i) for i in rng.permutation(len(rows))]
        cut = int(rng.integers(0, n + 1))
        declared, rest = order[:cut], order[cut:]
        sets = []
        for _ in range(n - cut):
            size = int(rng.integers(1, 4)) if len(rest) > 2 * n else 1
            sets.append(rest[:size])
            rest = rest[size:]
        if rng.random() < 0.3 and n > 1:  # one dependent choice among many
            line = [*declared, *(part[-1] for part in sets)]
            rows[line[-1]] = rng.integers(-3, 4, n - 1) @ rows[line[:-1]]
        found = decided(rows, declared, sets)
        assert found == (least_rank(rows, sets, declared) == n)
        outcomes[found] += 1
        if not declared:  # the checker's, modulo its own prime
            members, start = flat(sets)
            v = np.zeros((n, n, len(members)), dtype=np.int64)
            v[0] = (rows[members] % PRIME).T
            assert all_independent(v, start, n, np.zeros(n + 1, dtype=np.int64)) == (least_rank(rows, sets) == n)
    assert outcomes[True] > 20
    assert outcomes[False] > 20


def test_one_dependent_choice_in_large_sets_is_found() -> None:
    rng = np.random.default_rng(5)
    for sets_of in ([2, 40, 45], [3, 4, 20, 17], [3, 2, 3, 15, 20], [70, 60], [2] * 9):
        n = len(sets_of)
        rows = rng.integers(-(2**40), 2**40, (sum(sets_of), n))
        ends = np.cumsum([0, *sets_of])
        sets = [list(range(a, b)) for a, b in pairwise(ends)]
        assert decided(rows, [], sets)
        for _ in range(5):
            choice = [int(rng.choice(part)) for part in sets]
            bad = rows.copy()
            bad[choice[0]] = rng.integers(-3, 4, n - 1) @ rows[choice[1:]]
            assert least_rank(bad, [[i] for i in choice]) < n
            assert not decided(bad, [], sets)


def test_numbers_of_choices_at_the_ends() -> None:
    n = WIDEST + 1
    rows = np.random.default_rng(1).integers(-(2**30), 2**30, (2 * n, n))
    pairs = [[2 * i, 2 * i + 1] for i in range(n)]
    assert not decided(rows, [], pairs)  # too wide: left open, whatever it is
    assert decided(rows, list(range(n)), [])
    assert not decided(rows, list(range(n - 1)), [])  # too few rows
    assert decided(rows, [], [[i] for i in range(n)])
    rows[n - 1] = rows[0]
    assert not decided(rows, [], [[i] for i in range(n)])
    assert not decided(rows, list(range(n)), [])


def test_spanning_agrees_with_all_choices() -> None:
    outcomes = {True: 0, False: 0}
    surplus = 0
    for seed in range(600):
        rng = np.random.default_rng(seed)
        need = int(rng.integers(1, 5))
        count = need + int(rng.integers(0, 4))
        rows = rng.integers(-2, 3, (3 * count + 2, need)) * (rng.random((3 * count + 2, need)) < 0.8)
        residues = (rows % PRIME).astype(np.int64)
        order = rng.permutation(len(rows))
        sets = [sorted(int(i) for i in part) for part in np.split(order[: 2 * count + 1], np.arange(2, 2 * count, 2))]
        members = np.array([i for part in sets for i in part], dtype=np.int64)
        start = np.concatenate([[0], np.cumsum([len(part) for part in sets])]).astype(np.int64)
        scratch = np.zeros((need, need, len(members) + 8), dtype=np.int64)
        lines = [np.zeros(len(sets) + 4, dtype=np.int64) for _ in range(2)]
        expected = least_rank(rows, sets) == need
        found = spanning(residues, members, start, len(sets), need, scratch, *lines, 10**6)
        assert found == expected
        outcomes[found] += 1
        enough = least_rank(rows, sets[:need]) == need
        surplus += found and not enough
        assert not (enough and not found)
        if found and need > 1:
            assert not spanning(residues, members, start, len(sets), need, scratch, *lines, 0)
    assert min(outcomes.values()) > 50
    assert surplus > 20


def test_parallel_rows() -> None:
    rows = np.array([[0, 0], [1, 2], [PRIME - 3, PRIME - 6], [2, 1], [0, 5], [0, 1]], dtype=np.int64)
    same = [(a, b) for a in range(6) for b in range(a) if parallel(rows, a, b)]
    assert same == [(2, 1), (5, 4)]


@pytest.mark.parametrize("far", [PRIME, 2 * PRIME])
def test_rows_that_are_parallel_modulo_the_prime_alone_are_two_choices(far: int) -> None:
    """Where only rows 2 and 3 are active, which are parallel, the rank is 1; modulo the prime they are row 0 too."""
    weights = np.array([[-2 - far, 2 - 6 * far], [9, 2], [-4, 4], [-2, 2], [-1, -7], [11, 2]], dtype=float)
    outcomes = set()
    for seed in range(12):
        order = np.random.default_rng(seed).permutation(6)
        decision = decide_one_layer(Network([weights[order]]))
        outcomes.add(decision.outcome)
    assert outcomes == {Outcome.NOT_INJECTIVE}
    # One row more between them: it is injective, and rows of that kind are still proved.
    assert decide_one_layer(Network([np.vstack([weights, [[-3, 4]]])])).outcome is Outcome.INJECTIVE


def test_rows_that_vanish_or_are_dependent_modulo_the_prime_alone() -> None:
    multiples = np.array([[2, 2], [-6, -2], [1, 0], [1, 1], [1, -3], [3, 0], [-3, -1], [-1, 3], [-2, -3]], dtype=float)
    multiples[[1, 6]] *= 2 * PRIME
    assert np.array_equal(Layer(multiples, 2).residues[1], [PRIME - 3, PRIME - 1])
    p = PRIME
    sums = np.array([
        [1, 1, 1], [p - 1, 1, 2 - 3 * p], [3 * p + 2, 2 - p, 1 - 2 * p], [2, -3, 2], [3, -1, 1], [-2, 0, 1],
        [p + 3, p, 1 - 3 * p], [2 - 2 * p, p - 3, 2 + 3 * p], [-2, -1, -1], [2, -3, -1],
    ], dtype=float)  # fmt: skip
    for rows in (multiples, sums):
        integers = [[int(v) for v in row] for row in rows]
        signs = cells(integers, len(rows[0]))
        least = min(rank([row for row, s in zip(integers, found, strict=True) if s > 0]) for found in signs)
        decision = decide_one_layer(Network([rows]), certificate=True)
        assert (decision.outcome is Outcome.INJECTIVE) == (least == len(rows[0]))
        assert decision.outcome is not Outcome.UNKNOWN
        if decision.certificate is not None:
            assert verify(decision.certificate, Network([rows]), exact=True).accepted


def test_rows_of_small_numbers_stand_for_each_other() -> None:
    rows = np.array([[1, 2], [-2, -4], [3, 1], [0, 0]], dtype=float)
    assert len(set(Layer(rows, 2).alike)) == 1  # no minor reaches the prime
    large = Layer(np.vstack([rows, [[PRIME, 1.0]]]), 2).alike
    assert large[0] == large[1]
    assert len(set(large)) == 4


def test_short_circuits_are_proved_on_their_support_and_nothing_else() -> None:
    proved = {True: 0, False: 0}
    for seed in range(3000):
        rng = np.random.default_rng(seed)
        g, k = 5, int(rng.integers(2, 6))
        columns = rng.choice(g, size=int(rng.integers(1, 5)), replace=False)
        rows = np.zeros((k, g))
        rows[:, columns] = rng.standard_normal((k, len(columns)))
        if rng.random() < 0.3:
            rows = np.round(rows)
        if seed % 2 and k > 1:  # a positive combination of the others, exactly or nearly
            rows[-1] = -(rng.random(k - 1) @ rows[:-1])
        if not rows.any(axis=1).all():
            continue
        units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        lines = np.zeros((2 * k, 8))
        lines[:k, :g], lines[k:, :g] = -units, units
        signs = rng.integers(0, 2, k) * (rng.random() < 0.3)
        codes = np.arange(k) + k * signs
        found = proved_on_support((rows != 0.0).astype(np.int64), lines, codes, k)
        signed = np.where(signs[:, None] > 0, rows, -rows)
        support = int((rows != 0.0).any(axis=0).sum())
        if found:
            assert support == k - 1
            assert is_circuit(_integers(signed))
        elif support == k - 1:
            # Not proved where it is none; thin ones may be left to exact arithmetic.
            proved[False] += 1
        proved[True] += found
    assert proved[True] > 200
    assert proved[False] > 200


def _integers(rows: np.ndarray) -> list[list[int]]:
    result = []
    for row in rows:
        pairs = [float(v).as_integer_ratio() for v in row]
        common = max(q for _, q in pairs)
        result.append([p * (common // q) for p, q in pairs])
    return result


@pytest.mark.parametrize("n", [3, 8, 24, 40])
def test_opposite_pairs_close_at_the_root(n: int) -> None:
    rng = np.random.default_rng(n)
    base = rng.standard_normal((n, n))
    for weights in (np.vstack([np.eye(n), -np.eye(n)]), np.vstack([base, -2.0 * base]), np.vstack([base, -base, base])):
        network = Network([weights])
        decision = decide_one_layer(network, certificate=True)
        assert (decision.outcome, decision.certified) == (Outcome.INJECTIVE, Certified.EXACT)
        assert decision.nodes <= 4
        assert decision.certificate is not None
        for exact in (False, True):
            assert verify(decision.certificate, network, exact).certified == "exact"
    assert decide_one_layer(Network([np.vstack([base, -base[1:]])])).outcome is Outcome.NOT_INJECTIVE


def bands(n: int, channels: int, seed: int) -> np.ndarray:
    """A one-dimensional convolution with filters of three taps."""
    rows = []
    for taps in np.random.default_rng(seed).standard_normal((channels, 3)):
        for i in range(n - 2):
            row = np.zeros(n)
            row[i : i + 3] = taps
            rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(
    ("name", "make", "most"),
    [
        ("sparse", lambda s: _sparse(8, 80, s), 3_000),
        ("convolution", lambda s: bands(8, 16, s), 3_000),
        ("circulant", lambda s: np.vstack([[np.roll(f, i) for i in range(8)] for f in _gauss(16, 8, s)]), 3_000),
    ],
)
def test_layers_with_zeros_are_ordinary(name: str, make, most: int) -> None:  # type: ignore[no-untyped-def]
    """They took more than a million nodes when only as many sets as ranks are missing could close a node."""
    outcomes = set()
    for seed in range(4):
        network = Network([make(seed)])
        decision = decide_one_layer(network, certificate=True, node_budget=most)
        assert decision.outcome is not Outcome.UNKNOWN, (name, seed)
        outcomes.add(decision.outcome)
        if decision.outcome is Outcome.INJECTIVE:
            assert decision.certificate is not None
            assert verify(decision.certificate, network).certified == "exact"
        else:
            assert decision.witness is not None
            assert decision.witness.collides(network)
    assert Outcome.INJECTIVE in outcomes


def _gauss(m: int, n: int, seed: int) -> np.ndarray:
    return np.random.default_rng([m, n, seed]).standard_normal((m, n))


def _sparse(n: int, m: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng([n, m, seed])
    return np.where(rng.random((m, n)) < 0.3, rng.standard_normal((m, n)), 0.0)


@pytest.mark.parametrize("jobs", [1, 2])
def test_weights_built_from_the_prime_are_unknown_at_worst(jobs: int) -> None:
    """Rows that are dependent modulo the prime alone leave the game, and may be missed where all others are decided."""
    p = PRIME
    rows = [
        [2 * p - 3, 3], [3, 2 * p - 3], [3 * p - 1, 3 * p - 3], [0, 1], [0, -2], [-p - 1, 2 * p + 3], [3, -3],
        [-p, p + 3],
    ]  # fmt: skip
    network = Network([np.array(rows, dtype=np.float64)])
    found = decide_one_layer(network, exact=True, certificate=True, jobs=jobs)
    active = ([row for row, s in zip(rows, signs, strict=True) if s > 0] for signs in cells(rows, 2))
    colliding = any(rank(on) < 2 for on in active)
    assert found.outcome is not (Outcome.INJECTIVE if colliding else Outcome.NOT_INJECTIVE)
    if found.outcome is Outcome.UNKNOWN:
        assert found.reason is Reason.RESIDUES
