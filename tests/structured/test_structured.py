"""Default verdicts on networks with structure against exact enumeration: nothing false, and few unknown.

A share of what `python -m tests.structured` does; the seeds are not those of its default.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from naive import planar, verdicts
from naive.arrangement import cells, minimal_active_rank
from naive.regions_by_lp import passes_regional_in_the_plane

from mcinj import Network, check, sample
from structured.comparison import HONEST, compare
from structured.families import FAMILIES, draw

FIRST_SEED = 1_000_000


@pytest.mark.parametrize("family", FAMILIES)
def test_default_verdicts_agree_with_enumeration(family: str) -> None:
    kinds: Counter[str] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + 4):
        for found in compare(draw(family, seed), certificates=seed % 2 == 0):
            assert found.kind in HONEST, (family, seed, found)
            kinds[found.kind] += 1
    assert kinds["unknown"] <= kinds.total() / 10


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_networks_of_both_kinds(family: str) -> None:
    outcomes = set()
    for seed in range(200):
        net = draw(family, seed)
        if net.n < 3 or net.depth == 1:
            outcomes.add(verdicts.passes_global(net.exact_weights, net.exact_biases))
        if len(outcomes) == 2:
            return
    raise AssertionError(f"{family}: all of 200 networks end with {outcomes}")


@pytest.mark.parametrize(("n", "widths", "seeds"), [(2, (12, 10), 6), (2, (9, 9, 8), 3), (1, (5, 5), 20)])
def test_enumeration_agrees_with_cones_of_two_rays(n: int, widths: tuple[int, ...], seeds: int) -> None:
    outcomes = set()
    for seed in range(seeds):
        net = sample(n, widths, seed=seed)
        if n == 1:
            rng = np.random.default_rng(seed)
            net = Network([rng.integers(-3, 4, w.shape) for w in net.weights], [rng.integers(-3, 4, m) for m in widths])
        elif seed % 2:
            net = Network([np.round(3 * w) for w in net.weights])
        regional = verdicts.passes_regional(net.exact_weights, net.exact_biases)
        found = verdicts.passes_global(net.exact_weights, net.exact_biases)
        assert found == (not planar.collides(net))
        if n == 2:
            assert regional == passes_regional_in_the_plane(net)
        outcomes.add(found)
    assert outcomes == {True, False}


@pytest.mark.parametrize("n", [1, 2, 3])
def test_enumeration_of_one_layer_agrees_with_all_rays_and_with_all_pairs(n: int) -> None:
    outcomes = set()
    for seed in range(60):
        rng = np.random.default_rng([n, seed])
        rows = rng.integers(-2, 3, (int(rng.integers(1, 4 * n + 3)), n))
        weights = Network([rows]).exact_weights
        passes = verdicts.passes_one_layer(weights[0])
        assert passes == (minimal_active_rank(rows.tolist(), n) == n)
        assert passes == verdicts.passes_regional(weights)
        # On a layer that passes there is nothing to find for the pairs of closed cells.
        assert not passes or verdicts.collision(weights) is None
        outcomes.add(passes)
    assert outcomes == {True, False}


def symmetries(turns: bool) -> list[np.ndarray]:
    """3 x 3 pixels moved by the flips, and with `turns` by quarter turns too."""
    pixels = np.arange(9).reshape(3, 3)
    if turns:
        return [np.rot90(p, k).ravel() for p in (pixels, pixels.T) for k in range(4)]
    return [p.ravel() for p in (pixels, pixels[::-1], pixels[:, ::-1], pixels[::-1, ::-1])]


def fails_at_a_symmetric_input(filters: np.ndarray, group: list[np.ndarray]) -> bool:
    """Whether active rows lose rank around an input that the group leaves as it is; the bank is closed under the group.

    There all images of a filter have one sign, that of its sum over the group. Filters whose sum is 0 count as active.
    """
    orbits = sorted({tuple(sorted({int(g[i]) for g in group})) for i in range(9)})
    integers = verdicts.layers_over_integers([Network([filters]).exact_weights[0]], None)[0]
    sums = [[sum(row[i] for i in orbit) for orbit in orbits] for row in integers]
    for signs in cells(sums, len(orbits)):
        active = [[row[i] for i in g] for row, s in zip(integers, signs, strict=True) if s >= 0 for g in group]
        if verdicts.rank(active) < 9:
            return True
    return False


@pytest.mark.parametrize("turns", [False, True])
def test_banks_of_3_x_3_filters_that_fail_at_symmetric_inputs(turns: bool) -> None:
    group, failures = symmetries(turns), 0
    for seed in range(8):
        rng = np.random.default_rng([seed, turns])
        filters = rng.standard_normal((int(rng.integers(6, 11) if turns else rng.integers(12, 18)), 9))
        if fails_at_a_symmetric_input(filters, group):
            failures += 1
            bank = np.vstack([filters[:, g] for g in group])
            verdict = check(bank)
            assert verdict.verdict == "not_injective"
            assert verdict.witness.collides(Network([bank]))
    assert failures >= 5
