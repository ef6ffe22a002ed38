"""`invert` on balls and with leaky ReLUs against brute force over all patterns; what its relaxation must not lose."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive.patterns import conditions, least_norm, nonempty

import mcinj
from mcinj import Network, invert
from mcinj.decide.deep.leaky import as_relu


def small(rng: np.random.Generator, n: int, widths: list[int], biased: bool) -> Network:
    sizes = [n, *widths]
    weights = [rng.integers(-2, 3, (b, a)) for a, b in pairwise(sizes)]
    return Network(weights, [rng.integers(-1, 2, m) for m in widths] if biased else None)


@given(st.integers(0, 10**6), st.sampled_from([(1, [2]), (2, [3]), (2, [2, 2]), (1, [2, 2]), (3, [2])]))
def test_balls_keep_the_pieces_that_meet_them(seed: int, shape: Any) -> None:
    rng = np.random.default_rng(seed)
    net = small(rng, shape[0], shape[1], True)
    y = list(net.exact_forward([Fraction(int(v), 2) for v in rng.integers(-3, 4, net.n)]))
    norms = []
    for equal, below, strict in conditions(net, y, Fraction(0)):
        if nonempty(equal, below, strict, net.n):
            norms.append(least_norm(equal, below + strict, net.n))
    for radius in (0.5, 1.0, 1.5, 2.0):
        found = invert(net, y, domain=f"ball:{radius}")
        inside = [v for v in norms if v < Fraction(radius) ** 2]
        assert len(found.pieces) == len(inside)
        assert found.complete
        for piece in found.pieces:
            assert sum(v * v for v in piece.point) < Fraction(radius) ** 2
            assert piece.bounded
            assert piece.holds(piece.point)


def test_a_ball_that_only_touches_the_solutions_holds_none() -> None:
    net = Network([[[3, 4]]])  # y = 25 on a line at distance 5
    assert invert(net, [25], domain="ball:5").impossible
    found = invert(net, [25], domain="ball:5.000000000000001")
    assert (found.unique, len(found.pieces)) == (False, 1)
    assert found.other is not None
    assert sum(v * v for v in found.other) < Fraction(5.000000000000001) ** 2


@given(st.integers(0, 10**6), st.sampled_from([(1, [2]), (2, [2]), (2, [3]), (2, [2, 2]), (1, [3, 2]), (2, [1, 2])]),
       st.sampled_from([0.5, 0.1]))  # fmt: skip
def test_leaky_networks(seed: int, shape: Any, slope: float) -> None:
    rng = np.random.default_rng(seed)
    net = small(rng, shape[0], shape[1], bool(seed % 2))
    a = Fraction(slope)
    v: Any = [Fraction(int(t), 2) for t in rng.integers(-4, 5, net.n)]
    x = tuple(v)
    for k, w in enumerate(net.exact_weights):
        bias = (Fraction(0),) * len(w) if net.exact_biases is None else net.exact_biases[k]
        z = [sum((p * q for p, q in zip(row, v, strict=True)), Fraction(0)) + b for row, b in zip(w, bias, strict=True)]
        v = [t if t > 0 else a * t for t in z]
    y = list(v)
    if seed % 5 == 0:
        y[0] += 1
    found = invert(net, y, slope=slope)
    count = sum(nonempty(*rows, net.n) for rows in conditions(net, y, a))
    assert found.complete
    # Layers that come off by linear algebra are not searched: then the pieces are fewer and larger.
    assert found.impossible == (count == 0)
    assert len(found.pieces) <= count
    if seed % 5:
        assert sum(piece.holds(x) for piece in found.pieces) == 1
    relu = as_relu(net, slope)
    if found.x is not None and found.other is not None:
        assert found.x != found.other
        assert relu.exact_forward(found.x) == relu.exact_forward(found.other)
    if found.unique:
        assert count == 1


def test_leaky_outputs_of_both_signs_and_linear_last_layers() -> None:
    net = Network([[[1, 0], [0, 1]]])
    found = invert(net, [2, -1], slope=0.25)
    assert found.x == (2, -4)
    assert found.unique is True
    assert found.pattern == ((1, -1),)
    both = Network([[[1, 2], [3, 4]]]).with_linear_last_layer()
    assert invert(both, [5, -7], slope=0.25).x == invert(both, [5, -7]).x


@pytest.mark.parametrize("widths", [(8, 6, 5), (6, 4, 3), (9, 3)])
def test_pieces_of_contracting_networks_are_disjoint_and_hold_the_input(widths: tuple[int, ...]) -> None:
    net = mcinj.sample(2, widths, seed=4)
    rng = np.random.default_rng(0)
    for _ in range(3):
        x = [Fraction(int(v), 4) for v in rng.integers(-8, 9, 2)]
        found = invert(net, list(net.exact_forward(x)))
        assert found.complete
        assert sum(piece.holds(x) for piece in found.pieces) == 1
        patterns = {tuple(tuple(int(s > 0) for s in p) for p in net.exact_pattern(piece.point)[:-1])
                    for piece in found.pieces}  # fmt: skip
        assert len(patterns) == len(found.pieces)
        for one, two in combinations(found.pieces[:6], 2):
            assert not one.holds(two.point)


def test_a_contracting_network_is_pruned() -> None:
    # 1,709 nodes where the output counts only once all hidden units are decided, 233 here.
    net = mcinj.sample(3, (8, 6, 5), seed=1)
    rng = np.random.default_rng(1)
    x = [Fraction(int(v), 4) for v in rng.integers(-8, 9, 3)]
    found = invert(net, list(net.exact_forward(x)), node_budget=600)
    assert (found.complete, len(found.pieces)) == (True, 5)
