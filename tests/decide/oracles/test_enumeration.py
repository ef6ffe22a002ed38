"""Direct enumeration against the exact number of cells and against active sets at many inputs."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from mcinj import Network, sample
from mcinj.decide.oracles.enumeration import enumerate_regions


@pytest.mark.parametrize(("n", "m"), [(1, 5), (2, 3), (2, 9), (3, 8), (4, 9), (5, 4)])
def test_number_of_cells_in_general_position(n: int, m: int) -> None:
    found = enumerate_regions(sample(n, (m,), seed=n + m))
    assert found.regions == 2 * sum(comb(m - 1, i) for i in range(n))


def test_least_active_counts_are_never_above_those_at_any_input() -> None:
    rng = np.random.default_rng(1)
    for seed in range(6):
        network = sample(2, (6, 7), seed=seed)
        found = enumerate_regions(network)
        patterns = set()
        least = [6, 7]
        for x in rng.standard_normal((5000, 2)):
            z = network.pre_activations(x)
            patterns.add(tuple(np.concatenate(z) > 0))
            least = [min(a, int((v > 0).sum())) for a, v in zip(least, z, strict=True)]
        assert len(patterns) <= found.regions
        # In the plane regions are wide enough for 5000 inputs to meet nearly all of them.
        assert len(patterns) >= 0.8 * found.regions
        assert all(a <= b for a, b in zip(found.min_active, least, strict=True))


def test_degenerate_rows() -> None:
    b = np.array([[2.0, 1.0], [1.0, 3.0]])
    assert enumerate_regions(Network([np.vstack([b, -b, np.zeros((1, 2)), b])])).min_rank == 2
    assert enumerate_regions(Network([np.zeros((2, 2))])).min_rank == 0
    biased = Network([[[1.0], [-1.0]]], [[1.0, 1.0]])
    assert (enumerate_regions(biased).regions, enumerate_regions(biased).min_active) == (3, (1,))
