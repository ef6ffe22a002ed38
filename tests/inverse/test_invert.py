"""`invert` against brute force: all activation patterns, exact vertices and rays of every cell."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive.patterns import consistent_patterns, others

import mcinj
from mcinj import InputError, Network, invert


def small(rng: np.random.Generator, n: int, widths: list[int], biased: bool) -> Network:
    """Small integers: duplicate, opposite, zero and dependent rows are common."""
    sizes = [n, *widths]
    weights = [rng.integers(-2, 3, (b, a)) for a, b in pairwise(sizes)]
    return Network(weights, [rng.integers(-1, 2, m) for m in widths] if biased else None)


SHAPES = [
    *((1, [1]), (1, [3]), (2, [2]), (2, [4]), (3, [2]), (3, [5])),
    *((1, [2, 2]), (2, [3, 2]), (2, [2, 3]), (2, [2, 2, 2])),
]


@given(st.integers(0, 10**6), st.sampled_from(SHAPES), st.booleans())
def test_pieces_and_uniqueness_are_those_of_brute_force(seed: int, shape: Any, biased: bool) -> None:
    rng = np.random.default_rng(seed)
    net = small(rng, shape[0], shape[1], biased)
    start = [Fraction(int(v), 2) for v in rng.integers(-4, 5, net.n)]
    y = list(net.exact_forward(start))
    if seed % 3 == 0:
        y[0] += Fraction(1, 2)
    found = invert(net, y)
    assert found.complete
    count = consistent_patterns(net, y)
    assert found.impossible == (count == 0)
    if seed % 3:
        assert any(piece.holds(start) for piece in found.pieces)
    if found.x is not None:
        assert net.exact_forward(found.x) == tuple(y)
        assert found.unique is not others(net, y, found.x)


def test_the_pieces_hold_exactly_the_preimages() -> None:
    rng = np.random.default_rng(5)
    seen = set()
    for _ in range(15):
        net = small(rng, 2, [3, 2], True)
        y = net.exact_forward([Fraction(int(v)) for v in rng.integers(-2, 3, 2)])
        pieces = invert(net, list(y)).pieces
        for x in product([Fraction(v, 2) for v in range(-6, 7)], repeat=2):
            inside = sum(piece.holds(x) for piece in pieces)
            assert inside == int(net.exact_forward(x) == y)
            seen.add(inside)
    assert seen == {0, 1}


def test_a_wide_deep_network_gives_its_input_back() -> None:
    net = mcinj.sample(3, (24, 90), seed=2)
    x = (Fraction(1, 3), Fraction(-2), Fraction(5, 7))
    found = invert(net, list(net.exact_forward(x)))
    assert (found.x, found.unique, found.complete) == (x, True, True)
    rounded = net.forward([float(v) for v in x])
    assert invert(net, rounded).impossible


@pytest.mark.parametrize(("n", "seed"), [(4, 0), (4, 2), (4, 4), (6, 10)])
def test_outputs_in_floats_of_wide_networks_have_no_preimage(n: int, seed: int) -> None:
    """Their rounding leaves the image, whose dimension is n: numbers of hundreds of digits, and contradictions that no
    linear program in floats sees."""
    rng = np.random.default_rng(seed)
    widths = (n, 30 if n == 4 else 40, 60, 90)
    net = Network([rng.standard_normal((b, a)) / a**0.5 for a, b in pairwise(widths)])
    x = rng.standard_normal(n)
    assert invert(net, net.forward(x)).impossible
    assert invert(net, net.exact_forward([Fraction(v) for v in x.tolist()])).x == tuple(map(Fraction, x.tolist()))


@pytest.mark.parametrize("scale", [Fraction(10) ** 200, Fraction(1, 10**200)])
def test_huge_and_tiny_scales(scale: Fraction) -> None:
    rows = [[scale, 0], [0, 1 / scale], [-scale, -scale]]
    found = invert(Network([rows]), [scale, Fraction(3) / scale, 0])
    assert found.x == (1, 3)
    assert found.unique is True
    assert invert(Network([rows]), [scale, 0, 0]).unique is False


def test_inequalities_alone_can_pin_x() -> None:
    net = Network([[[1, 0], [-1, 0], [0, 1], [0, -1]]], [[-2, 2, 5, -5]])
    found = invert(net, [0, 0, 0, 0])
    assert found.x == (2, -5)
    assert found.unique is True


def test_linear_last_layers_take_outputs_of_any_sign() -> None:
    rng = np.random.default_rng(1)
    plain = Network([rng.integers(-3, 4, (5, 2)), rng.integers(-3, 4, (4, 5))])
    net = plain.with_linear_last_layer()
    x = (Fraction(1), Fraction(-2))
    z = plain.exact_pre_activations(x)[-1]
    assert min(z) < 0
    found = invert(net, list(z))
    assert found.x is not None
    assert plain.exact_pre_activations(found.x)[-1] == z
    assert found.pieces == invert(net, list(net.exact_forward(x))).pieces


def test_domains_limits_and_negative_outputs() -> None:
    net = Network([[[1.0], [-1.0]], [[1.0, 1.0]]])  # |x|
    both = invert(net, [3])
    assert sorted(p.point[0] for p in both.pieces) == [-3, 3]
    assert both.unique is False
    assert invert(net, [3], domain="box:0,5").x == (3,)
    assert invert(net, [3], domain="box:0,5").unique is True
    assert invert(net, [3], domain="box:-3,3").impossible  # boxes are open
    first = invert(net, [3], max_pieces=1)
    assert (first.complete, first.unique, len(first.pieces)) == (False, None, 1)
    none = invert(net, [3], node_budget=1)
    assert (none.x, none.impossible, none.complete) == (None, False, False)
    assert invert(net, [-1]).impossible


def test_flat_pieces_say_whether_they_are_bounded() -> None:
    triangle = Network([[[1, 0], [0, 1], [-1, -1]]])
    assert invert(triangle, [0, 0, 0]).unique is True
    wider = Network([[[1, 0], [0, 1], [-1, -1]]], [[0, 0, -1]])
    piece = invert(wider, [0, 0, 0]).pieces[0]
    assert (piece.dimension, piece.bounded) == (2, True)
    half = invert(Network([[[1, 0], [0, 1]]]), [0, 1]).pieces[0]
    assert (half.dimension, half.bounded) == (1, False)


@pytest.mark.parametrize(
    ("y", "word"),
    [([1.0], "entries"), ([1.0, float("nan")], "finite"), ("12", "string"), ([1, "a"], "number"), ([[1, 2]], "number"),
     ([True, 1], "number")],
)  # fmt: skip
def test_bad_outputs_are_refused(y: Any, word: str) -> None:
    with pytest.raises(InputError, match=word):
        invert(Network([[[1.0, 0.0], [0.0, 1.0]]]), y)


def test_bad_options_are_refused() -> None:
    net = Network([[[1.0]]])
    bad = ({"domain": "ball:0"}, {"domain": "box"}, {"max_pieces": 0}, {"node_budget": -1}, {"slope": 1}, {"slope": -1})
    for options in bad:
        with pytest.raises(InputError):
            invert(net, [1], **options)  # type: ignore[arg-type]
