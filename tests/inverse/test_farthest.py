"""`farthest` against all vertices of all pairs of patterns, geometry by hand, and exact forward passes."""

from __future__ import annotations

import doctest
import json
import math
import sys
from fractions import Fraction
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from naive.farthest import farthest_in_box

import mcinj
from mcinj import InputError, Network, farthest
from mcinj.certify.witness import Witness
from mcinj.cli import main
from mcinj.inverse.pair_exact import ray_holds


def _collides(net: Network, found: mcinj.Farthest) -> bool:
    assert found.x is not None
    assert found.x_prime is not None
    return found.x != found.x_prime and net.exact_forward(found.x) == net.exact_forward(found.x_prime)


@pytest.mark.parametrize(("n", "widths"), [(2, (3,)), (2, (3, 2)), (3, (4,))])
@pytest.mark.parametrize("seed", range(3))
def test_the_farthest_vertex_of_all_patterns_is_found(n: int, widths: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((m, k)) for m, k in zip(widths, (n, *widths[:-1]), strict=True)]
    biases = [0.5 * rng.standard_normal(m) * (seed > 0) for m in widths]
    net = Network(weights, biases)
    found = farthest(net, domain="box:-1,1")
    truth = farthest_in_box(weights, biases, -1.0, 1.0)
    assert found.distance[0] == pytest.approx(truth, rel=1e-7)
    assert found.distance[0] <= truth * (1 + 1e-9)
    assert _collides(net, found)


@pytest.mark.parametrize("scale", [1.0, 1e-150, 1e150])
def test_scales_of_weights_and_domain_do_not_matter(scale: float) -> None:
    # Nothing is active for x, y <= 0: two corners of that quarter.
    net = Network([[[scale, 0], [0, scale]]])
    found = farthest(net, domain=f"box:{-scale},{scale}", samples=50)
    assert found.distance[0] == pytest.approx(math.sqrt(2) * scale)


def test_a_ball_is_kept_to() -> None:
    # Nothing is active on the quarter x, y <= 0 of the disc; its ends are sqrt(2) R apart.
    net = Network([[[1, 0], [0, 1]]])
    found = farthest(net, domain="ball:3", samples=100)
    assert found.distance[0] == pytest.approx(3 * math.sqrt(2), rel=1e-6)
    assert found.x is not None
    assert found.x_prime is not None
    assert all(sum(v * v for v in x) <= 9 for x in (found.x, found.x_prime))
    assert not found.unbounded
    # One unit alone sees one line of two dimensions: the diameter at its wall, or as far as the other unit lets.
    flat = farthest(Network([[[1, 0], [-1, 0]]]), domain="ball:1", samples=100)
    assert flat.distance[0] == pytest.approx(2.0, rel=1e-6)


def test_without_biases_distances_are_relative() -> None:
    net = Network([[[1, 0], [0, 1], [-1, -1]]])
    found = farthest(net, samples=200)
    assert found.scale_free
    assert found.unbounded
    assert found.relative[0] == pytest.approx(math.sqrt(2), rel=1e-6)
    assert _collides(net, found)


def test_a_ray_without_end_is_proved() -> None:
    net = Network([[[1, 0], [0, 1], [-1, -1]], [[1, 1, 1], [1, -1, 0]]], [[1, 2, 3], [0, 1]])
    found = farthest(net, samples=300)
    assert found.directions is not None
    assert found.x is not None
    assert found.x_prime is not None
    apart = [a - b for a, b in zip(*found.directions, strict=True)]
    assert any(apart)
    for t in (1, 10**6, 10**12):
        far = [[a + t * d for a, d in zip(x, e, strict=True)] for x, e in
               zip((found.x, found.x_prime), found.directions, strict=True)]  # fmt: skip
        assert net.exact_forward(far[0]) == net.exact_forward(far[1])


def test_rays_that_leave_the_region_are_refused() -> None:
    net = Network([[[1, 0], [0, 1]]], [[0, 0]])
    pair = Witness((Fraction(-1), Fraction(1)), (Fraction(-2), Fraction(1)))
    down, up, zero = (Fraction(-1), Fraction(0)), (Fraction(1), Fraction(0)), (Fraction(0), Fraction(0))
    assert ray_holds(net, pair, Witness(down, zero))
    assert not ray_holds(net, pair, Witness(up, zero))
    assert not ray_holds(net, pair, Witness(down, (Fraction(0), Fraction(1))))


def test_an_injective_layer_has_no_pair_and_that_is_proved() -> None:
    found = farthest(Network([[[1, 0], [0, 1], [-1, 0], [0, -1]]]), samples=50)
    assert (found.x, found.squared, found.injective, found.regions) == (None, 0, True, 0)
    unknown = farthest(mcinj.sample(4, (40,), seed=1), samples=20, node_budget=0)
    assert (unknown.x, unknown.injective) == (None, None)


def test_regions_that_samples_miss_are_reached_by_moving_samples() -> None:
    net = mcinj.sample(8, (30,), seed=2)
    found = farthest(net, domain="box:-1,1", samples=30, starts=2)
    assert found.injective is False
    assert found.distance[0] > 0.1
    assert _collides(net, found)


def test_a_collision_of_two_regions_of_full_rank_is_a_start() -> None:
    # |x| of the first layer's outputs: 1 and -1 meet though every region has rank 1.
    net = Network([[[1.0], [-1.0]], [[1.0, 1.0]]])
    found = farthest(net, domain="box:-1,2", samples=20)
    assert found.squared == 4
    assert farthest(net, samples=20).relative[0] == pytest.approx(2.0, rel=1e-6)


def test_the_answer_is_a_function_of_the_seed() -> None:
    net = mcinj.sample(3, (6,), seed=4)
    a, b = (farthest(net, samples=40, seed="2/1", domain="box:-1,1") for _ in range(2))
    assert (a.x, a.x_prime) == (b.x, b.x_prime)


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    path = tmp_path / "net.npz"
    np.savez(path, W1=np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]), b1=np.ones(3))
    cases = [(["--json"], ""), ([], "at any distance"), (["--domain", "box:-2,2"], "at distance")]
    for options, text in cases:
        monkeypatch.setattr(sys, "argv", ["mcinj", "farthest", str(path), "--samples", "40", *options])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 1
        printed = capsys.readouterr().out
        assert text in printed
        if not text:
            found = json.loads(printed)
            assert found["unbounded"]
            assert len(found["directions"]) == 2


def _polygon(corners: list[tuple[int, int]], start: int) -> Network:
    """A closed walk along a polygon's sides: f(start + k) is corner k, and its first again at the end."""
    closed = np.array([*corners, corners[0]])
    steps = np.diff(closed, axis=0)
    turns = np.vstack([steps[:1], np.diff(steps, axis=0)])
    walls = -(start + np.arange(len(steps)))
    return Network([np.ones((len(steps), 1)), turns.T], [walls, closed[0]])


@pytest.mark.parametrize("start", [0, 1, -2])
@pytest.mark.parametrize(
    "corners", [[(1, 1), (2, 1), (1, 2)], [(1, 1), (3, 1), (4, 2), (2, 3)], [(2, 1), (4, 1), (5, 3), (3, 5), (1, 3)]]
)
def test_ends_of_a_closed_domain_count(corners: list[tuple[int, int]], start: int) -> None:
    # Only the two ends have one output: no pair inside of the open domain, on which `check` passes.
    net, end = _polygon(corners, start), start + len(corners)
    assert net.exact_forward([start]) == net.exact_forward([end])
    assert mcinj.check(net, domain=f"box:{start},{end}").verdict is mcinj.Outcome.INJECTIVE
    assert farthest(net, domain=f"box:{start},{end}").injective is not True
    assert farthest(net, domain=f"box:{start + 0.25},{end - 0.5}").injective is True
    beyond = farthest(net, domain=f"box:{start},{end + 0.5}")
    assert beyond.injective is not True


@pytest.mark.parametrize("low", [1e-310, 5e-324, 1e-300, 1.0])
@pytest.mark.parametrize("high", [1e308, 1.0e10])
@pytest.mark.parametrize("sign", [1, -1])
def test_pairs_lie_in_domains_whose_ends_differ_in_size(low: float, high: float, sign: int) -> None:
    net = Network([[[sign]]], [[-high]])
    ends = sorted((sign * low, sign * high))
    found = farthest(net, domain=f"box:{ends[0]!r},{ends[1]!r}")
    assert _collides(net, found)
    for x in (found.x, found.x_prime):
        assert Fraction(ends[0]) <= x[0] <= Fraction(ends[1])


@pytest.mark.parametrize("options", [{"samples": 0}, {"starts": 0}, {"domain": "cube:1"}, {"node_budget": -1}])
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        farthest(Network([[[1.0]]]), **options)


def test_docstrings() -> None:
    result = doctest.testmod(import_module("mcinj.inverse.farthest"))
    assert (result.failed, result.attempted > 0) == (0, True)
