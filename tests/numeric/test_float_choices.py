"""Choices whose determinants are near the bound of their rounding: what is settled is right, whatever the scales."""

from __future__ import annotations

from itertools import pairwise, product

import flint
import numpy as np
import pytest

from mcinj.certify import verify
from mcinj.certify.position import float_residues
from mcinj.decide.layer.tree import decide_one_layer
from mcinj.decide.verdict import Certified, Outcome
from mcinj.networks import Network
from mcinj.numeric.choices import NO, OPEN, YES, Choices, independent, normalised


def exact_rank(rows: np.ndarray) -> int:
    """Rank of float rows over the rationals."""
    return int(flint.fmpq_mat([[flint.fmpq(*float(v).as_integer_ratio()) for v in row] for row in rows]).rank())


def verdict(rows: np.ndarray, declared: list[int], sets: list[list[int]]) -> tuple[int, int]:
    """What `independent` says of float rows, and how many choices it took modulo the prime."""
    scaled = rows / np.abs(rows).max(axis=1, keepdims=True)
    E, errors = normalised(scaled / np.linalg.norm(scaled, axis=1, keepdims=True))
    choices = Choices.of(E, errors, float_residues(rows))
    start = np.cumsum([0, *(len(part) for part in sets)]).astype(np.int64)
    members = np.array([i for part in sets for i in part], dtype=np.int64)
    at = np.zeros(len(sets) + 1, dtype=np.int64)
    found = independent(choices, np.array(declared, dtype=np.int64), len(declared), members, start, len(sets), at)
    return int(found), int(choices.LINE[0, -1])


def family(rng: np.random.Generator, n: int, sizes: list[int]) -> tuple[np.ndarray, list[int], list[list[int]]]:
    """Gaussian rows: n - len(sizes) declared ones and sets of the given sizes."""
    rank = n - len(sizes)
    ends = rank + np.cumsum([0, *sizes])
    return (
        rng.standard_normal((int(ends[-1]), n)), list(range(rank)),
        [list(range(int(a), int(b))) for a, b in pairwise(ends)],
    )  # fmt: skip


@pytest.mark.parametrize("power", [*range(2, 18), None])
@pytest.mark.parametrize("sizes", [[3], [2, 3], [2, 3, 3], [2, 3, 4, 5], [2, 2, 3, 3, 4]])
def test_nearly_dependent_choices_end_in_the_right_verdict(power: int | None, sizes: list[int]) -> None:
    """One row of the last set is a combination of a choice and the declared rows, but for 10^-power (None: rounded)."""
    for seed in range(4):
        rng = np.random.default_rng([power or 0, len(sizes), seed])
        n = len(sizes) + int(rng.integers(0, 4))
        if n < 2:
            n = 2
        rows, declared, sets = family(rng, n, sizes)
        chosen = [*declared, *(int(rng.choice(part)) for part in sets)]
        rows[chosen[-1]] = rng.standard_normal(n - 1) @ rows[chosen[:-1]]
        if power is not None:
            rows[chosen[-1]] += 10.0**-power * rng.standard_normal(n)
        if seed % 2:
            rows *= 2.0 ** rng.integers(-900, 900, (len(rows), 1))
        truth = min(exact_rank(rows[[*declared, *choice]]) for choice in product(*sets)) == n
        assert truth or power is None
        found, tests = verdict(rows, declared, sets)
        assert found == (YES if truth else NO)
        if power is not None and power < 9:
            assert tests == 0  # settled in floats
        if power is None or power > 15:
            assert tests > 0  # beyond them


@pytest.mark.parametrize("sizes", [[2, 3], [3, 4, 5], [2, 4, 5, 6], [2, 2, 4, 5, 6]])
def test_exactly_dependent_choices_are_never_passed(sizes: list[int]) -> None:
    for seed in range(60):
        rng = np.random.default_rng([seed, len(sizes)])
        n = len(sizes) + seed % 3
        rows, declared, sets = family(rng, n, sizes)
        rows = np.round(rows * 2**20)
        chosen = [*declared, *(int(rng.choice(part)) for part in sets)]
        kind = seed % 4
        if kind == 0:  # a combination of all of them
            rows[chosen[-1]] = rng.integers(-9, 10, n - 1) @ rows[chosen[:-1]]
        elif kind == 1:  # two parallel rows
            rows[chosen[-1]] = -3.0 * rows[chosen[-2]]
        elif kind == 2:  # three
            rows[chosen[0]] = rows[chosen[-1]] - 7.0 * rows[chosen[-2]] if n > 2 else 5.0 * rows[chosen[-1]]
        else:  # a sum that is a hair away from the others
            rows[chosen[-1]] = rows[chosen[:-1]].sum(axis=0)
        rows *= 2.0 ** rng.integers(-500, 400, (len(rows), 1))
        assert exact_rank(rows[chosen]) < n
        assert verdict(rows, declared, sets)[0] != YES


def test_ill_conditioned_rows_are_proved_or_left_open() -> None:
    """Rows in a thin cone, columns of very different sizes: nothing is wrong, and little is left open."""
    found = {YES: 0, OPEN: 0}
    for seed in range(120):
        rng = np.random.default_rng(seed)
        rows, declared, sets = family(rng, 6, [2, 3, 4, 5])
        if seed % 3 == 0:
            rows = 1.0 + 10.0 ** -float(rng.integers(1, 12)) * rows
        elif seed % 3 == 1:
            rows *= 2.0 ** rng.integers(-300, 300, 6)
        else:
            rows = np.linalg.qr(rng.standard_normal((6, 6)))[0][rng.integers(0, 6, len(rows))] + 1e-11 * rows
        truth = min(exact_rank(rows[[*declared, *choice]]) for choice in product(*sets)) == 6
        assert truth
        found[verdict(rows, declared, sets)[0]] += 1
    assert found[YES] > found[OPEN]


def test_many_rows_are_too_near_and_the_leaf_is_left_open() -> None:
    rng = np.random.default_rng(3)
    rows, declared, sets = family(rng, 5, [12, 12, 12])
    for part in sets[:2]:
        rows[part] = rows[0] + 1e-17 * rng.standard_normal((12, 5)) + rng.standard_normal((12, 1)) * rows[1]
    assert verdict(rows, declared, sets)[0] in (NO, OPEN)


def flips(n: int, filters: int, seed: int) -> np.ndarray:
    """Filters of n = k x k weights closed under the flips of the square."""
    k = int(n**0.5)
    bank = np.random.default_rng(seed).standard_normal((filters, k, k))
    whole = [bank, bank[:, ::-1], bank[:, :, ::-1], bank[:, ::-1, ::-1]]
    return np.concatenate(whole).reshape(-1, n)


@pytest.mark.parametrize("scale", [1.0, 2.0**-960, 2.0**900])
def test_layers_with_dependent_rows_get_the_verdict_of_exact_arithmetic(scale: float) -> None:
    """A pass is certified and a failure collides, for filters closed under flips and rows with near copies."""
    outcomes = set()
    for seed in range(5):
        layers = [flips(4, 2 + seed, seed) * scale, flips(9, 12, seed) * scale]
        base = np.random.default_rng(seed).standard_normal((12, 3))
        for near in (0.0, 2.0**-30, 2.0**-50):
            layers.append(np.vstack([base, base[:6] * (1.0 + near) + near * base[6:12]]) * scale)
        for rows in layers:
            network = Network([rows])
            decision = decide_one_layer(network, certificate=True, node_budget=20_000)
            outcomes.add(decision.outcome)
            if decision.outcome is Outcome.INJECTIVE:
                assert decision.certified is Certified.EXACT
                assert decision.certificate is not None
                assert verify(decision.certificate, network, True).certified == "exact"
            else:
                assert decision.witness is not None
                assert decision.witness.collides(network)
    assert outcomes == {Outcome.INJECTIVE, Outcome.NOT_INJECTIVE}


@pytest.mark.parametrize("size", [1e-150, 1e-160, 1e-161, 2e-162, 1e-170, 1e-199, 1e-250])
def test_small_input_parts_become_unit_rows_or_are_left_open(size: float) -> None:
    """Squares of their entries leave the range: the bound of a leaf's determinants is one for rows of length 1."""
    rng = np.random.default_rng(3)
    E, errors = normalised(size * rng.uniform(0.8, 1.5, (30, 12)) * rng.choice([-1.0, 1.0], (30, 12)))
    assert (errors == 1.0).all() if size < 1e-200 else (errors < 1e-13).all()
    assert np.allclose(np.linalg.norm(E, axis=0), 0.0 if size < 1e-200 else 1.0, rtol=1e-12)
