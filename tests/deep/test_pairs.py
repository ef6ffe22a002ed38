"""Global injectivity against linear programs over all pairs of regions, planted collisions and known passes."""

from __future__ import annotations

import numpy as np
import pytest
from regions_oracle import Floats, arcs, margin, passes_regional_in_the_plane

from mcinj.decide.pairs import decide_global
from mcinj.decide.regions import decide_regional
from mcinj.decide.verdict import Certified, Outcome
from mcinj.networks import Network, sample


def has_pair_in_the_plane(network: Network) -> bool:
    """Whether two different arcs hold inputs with one output: `M_S x = M'_S x'` by linear programs, all pairs."""
    cells = arcs(network)

    def cone(start: float, end: float) -> Floats:
        return np.array([[-np.sin(start), np.cos(start)], [np.sin(end), -np.cos(end)]])

    for i, (a, b, signs, rows) in enumerate(cells):
        for a2, b2, signs2, rows2 in cells[:i]:
            on = signs[-1] > 0
            if not np.array_equal(signs[-1], signs2[-1]) or all(map(np.array_equal, signs, signs2)):
                continue
            inside = np.zeros((4, 4))
            inside[:2, :2], inside[2:, 2:] = cone(a, b), cone(a2, b2)
            if margin(inside, np.hstack([rows[-1][on], -rows2[-1][on]]))[0] > 1e-9:
                return True
    return False


def agrees(network: Network) -> Outcome:
    """Check one network of two inputs against all pairs of arcs."""
    decision = decide_global(network)
    collides = not passes_regional_in_the_plane(network) or any(
        has_pair_in_the_plane(network.prefix(k)) for k in range(2, network.depth + 1)
    )
    assert decision.outcome is (Outcome.NOT_INJECTIVE if collides else Outcome.INJECTIVE)
    if collides:
        assert decision.witness is not None
        assert decision.witness.collides(network)
    else:
        assert decision.certified is Certified.GENERIC
    return decision.outcome


@pytest.mark.parametrize("widths", [(13, 9), (13, 11), (15, 12), (14, 12, 10)])
def test_gaussian_networks_agree_with_all_pairs(widths: tuple[int, ...]) -> None:
    outcomes = {agrees(sample(2, widths, seed=s)) for s in range(16)}
    assert outcomes == {Outcome.INJECTIVE, Outcome.NOT_INJECTIVE}


def test_passing_the_count_criterion_is_not_injectivity() -> None:
    gaps = 0
    for s in range(16):
        net = sample(2, (14, 12), seed=s)
        if decide_regional(net).outcome is Outcome.INJECTIVE and agrees(net) is Outcome.NOT_INJECTIVE:
            gaps += 1
    assert gaps >= 2
