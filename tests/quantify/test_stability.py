"""`mcinj.stability` against all cells by linear programs, exact formulas, and sampling from above."""

from __future__ import annotations

import doctest
import json
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.bounded import Inside
from naive.cells_by_lp import cells, least_singular
from naive.jacobians import gram, reaches
from naive.verdicts import layers_over_integers
from naive.verdicts import regions as all_regions

import mcinj
from mcinj.quantify.pairs import ratio_squared
from mcinj.quantify.roots import root_above, root_below


def shown(found: mcinj.Stability, net: mcinj.Network, domain: str | None = None) -> None:
    """What the upper ends are shown by, in exact arithmetic."""
    assert 0 <= found.sigma_lo <= found.sigma_hi
    assert 0 <= found.kappa_lo <= found.kappa_hi <= found.sigma_hi
    assert found.x is not None
    assert found.direction is not None
    pattern = tuple(tuple(int(i) for i in np.flatnonzero(level > 0)) for level in net.exact_pattern(found.x))
    assert pattern == found.pattern
    step = Fraction(1, 2**200)
    moved = tuple(a + step * b for a, b in zip(found.x, found.direction, strict=True))
    assert ratio_squared(net, found.x, moved) == found.sigma_squared[1] <= Fraction(found.sigma_hi) ** 2
    assert found.sigma_squared[0] <= found.sigma_squared[1]
    assert found.kappa_squared[1] is not None
    assert found.kappa_squared[0] <= found.kappa_squared[1] <= Fraction(found.kappa_hi) ** 2
    if found.pair is not None:
        assert ratio_squared(net, found.pair.x, found.pair.x_prime) == found.kappa_squared[1]
        assert ratio_squared(net, found.pair.x, found.pair.x_prime) <= Fraction(found.kappa_hi) ** 2
    if domain is not None:
        from mcinj.decide.bounded.domain import Domain

        place = Domain.parse(domain)
        assert place.holds(found.x)
        assert found.pair is None or (place.holds(found.pair.x) and place.holds(found.pair.x_prime))


@pytest.mark.parametrize(("n", "m", "seed"), [(1, 3, 0), (2, 9, 1), (2, 5, 2), (3, 14, 3), (3, 16, 4)])
def test_one_layer_is_the_least_of_all_cells(n: int, m: int, seed: int) -> None:
    net = mcinj.sample(n, (m,), seed=seed)
    a = net.weights[0]
    truth = min(least_singular(a, active) for active in cells(a, np.zeros(m)))
    found = mcinj.stability(net)
    shown(found, net)
    assert found.complete
    assert found.sigma_lo <= truth * (1 + 1e-12)
    assert found.sigma_hi >= truth * (1 - 1e-9)
    assert found.sigma_hi - found.sigma_lo <= 2e-6 * found.sigma_hi


@pytest.mark.parametrize("domain", [None, "box:-1,1", "box:0.25,0.75"])
@pytest.mark.parametrize("seed", range(3))
def test_biases_and_boxes(domain: str | None, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((10, 2)), rng.standard_normal(10)
    net = mcinj.Network([a], [b])
    box = None if domain is None else tuple(float(v) for v in domain[4:].split(","))
    truth = min(least_singular(a, active) for active in cells(a, b, box))
    found = mcinj.stability(net, domain=domain)
    shown(found, net, domain)
    assert found.complete
    assert found.sigma_lo <= truth * (1 + 1e-9) + 1e-12
    assert found.sigma_hi >= truth * (1 - 1e-9)
    if truth > 1e-9:
        assert found.sigma_hi - found.sigma_lo <= 2e-6 * found.sigma_hi


@pytest.mark.parametrize("radius", [0.3, 1.0, 4.0])
def test_balls_lie_between_their_boxes(radius: float) -> None:
    rng = np.random.default_rng(7)
    net = mcinj.Network([rng.standard_normal((16, 2))], [rng.standard_normal(16)])
    ball = mcinj.stability(net, domain=f"ball:{radius}")
    shown(ball, net, f"ball:{radius}")
    outer = mcinj.stability(net, domain=f"box:{-radius},{radius}")
    inner = mcinj.stability(net, domain=f"box:{-radius / 1.5},{radius / 1.5}")
    assert outer.sigma_lo <= ball.sigma_hi
    assert ball.sigma_lo <= inner.sigma_hi
    # Sampled cells, from above.
    x = rng.standard_normal((4000, 2))
    x *= radius * np.sqrt(rng.uniform(0, 1, (4000, 1))) / np.linalg.norm(x, axis=1, keepdims=True)
    patterns = np.unique(x @ net.weights[0].T + net.biases[0] > 0, axis=0)
    least = min(least_singular(net.weights[0], np.flatnonzero(p).tolist()) for p in patterns)
    assert ball.sigma_lo <= least * (1 + 1e-12)
    assert ball.sigma_hi == pytest.approx(least, rel=1e-5) or ball.sigma_hi < least


def test_exact_formulas() -> None:
    # [B; -B] holds B in every cell, up to signs of rows: one singular value for all of them.
    b = np.array([[2.0, 1.0], [1.0, 3.0]])
    found = mcinj.stability(np.vstack([b, -b]))
    truth = np.linalg.svd(b, compute_uv=False)[-1]
    assert found.sigma_lo <= truth <= found.sigma_hi * (1 + 1e-15)
    # |x| on one axis: κ of x ↦ (x⁺, x⁻) is 1/√2, by x = -x'.
    line = mcinj.stability([[[1], [-1]]])
    assert (line.sigma_hi, line.kappa_hi) == (1.0, pytest.approx(2**-0.5, rel=1e-9))
    assert line.kappa_lo == pytest.approx(2**-0.5, rel=1e-9)


@pytest.mark.parametrize("network", [[[[1, 0], [0, 1], [-1, -1]]], [[[1, 2]]], [[[0, 0], [0, 0]]]])
def test_what_is_not_injective_has_zero_and_a_collision(network: list[list[list[int]]]) -> None:
    net = mcinj.Network(network)
    found = mcinj.stability(net)
    assert (found.sigma_lo, found.sigma_hi, found.kappa_lo, found.kappa_hi, found.complete) == (0, 0, 0, 0, True)
    assert found.pair is not None
    assert found.pair.collides(net)


def regions(net: mcinj.Network, samples: int) -> float:
    """Least singular value of the Jacobian at sampled inputs."""
    rng = np.random.default_rng(1)
    least = np.inf
    for x in rng.standard_normal((samples, net.n)):
        jacobian, h = np.eye(net.n), x
        for k, w in enumerate(net.weights):
            level = w @ h + (0 if net.biases is None else net.biases[k])
            jacobian, h = (level > 0)[:, None] * (w @ jacobian), np.maximum(level, 0)
        least = min(least, float(np.linalg.svd(jacobian, compute_uv=False)[-1]))
    return least


@pytest.mark.parametrize("biased", [False, True])
def test_two_layers_from_above_and_by_layers(biased: bool) -> None:
    rng = np.random.default_rng(3)
    weights = [rng.standard_normal((15, 2)), rng.standard_normal((20, 15))]
    biases = [rng.standard_normal(15), rng.standard_normal(20)] if biased else None
    net = mcinj.Network(weights, biases)
    found = mcinj.stability(net)
    shown(found, net)
    assert found.complete
    sampled = regions(net, 5000)
    assert found.sigma_lo <= sampled * (1 + 1e-9)
    if not biased:  # cones: samples see nearly all of them
        assert found.sigma_hi == pytest.approx(sampled, rel=1e-6)
        assert found.sigma_lo > 0
        assert found.layers[0][0] <= mcinj.stability(net.layer(1)).sigma_hi


def test_a_budget_leaves_a_true_answer() -> None:
    net = mcinj.sample(6, (40,), seed=0)
    full = mcinj.stability(net)
    for budget in (0, 10, 300, 3000):
        part = mcinj.stability(net, node_budget=budget)
        assert part.sigma_lo <= full.sigma_hi
        assert full.sigma_lo <= part.sigma_hi
        assert part.nodes <= budget
    assert not mcinj.stability(net, node_budget=10).complete


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(-2, 2), min_size=2, max_size=2), min_size=1, max_size=7))
def test_small_integers_with_duplicate_opposite_and_zero_rows(rows: list[list[int]]) -> None:
    a = np.array(rows, dtype=float)
    truth = min(least_singular(a, active) for active in cells(a, np.zeros(len(a))))
    found = mcinj.stability(a)
    assert found.complete
    assert found.sigma_lo <= truth + 1e-9
    assert abs(found.sigma_hi - truth) <= 1e-7


@pytest.mark.parametrize("scale", [Fraction(1, 2**900), Fraction(2**900), Fraction(1, 3)])
def test_scale_goes_through(scale: Fraction) -> None:
    base = [[Fraction(v) for v in row] for row in ((2, 1), (1, 3), (-2, 1), (-1, -3), (1, -1))]
    one = mcinj.stability([base])
    other = mcinj.stability([[[scale * v for v in row] for row in base]])
    assert other.complete
    assert Fraction(other.sigma_lo) <= scale * Fraction(one.sigma_hi)
    assert Fraction(other.sigma_hi) >= scale * Fraction(one.sigma_lo)
    assert other.sigma_hi - other.sigma_lo <= 2e-6 * other.sigma_hi


@pytest.mark.parametrize("seed", range(4))
def test_rows_of_very_different_sizes_end_with_a_true_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((14, 3)) * 2.0 ** rng.integers(-30, 30, (14, 1)) * 2.0 ** rng.integers(-30, 30, (1, 3))
    found = mcinj.stability(a, tolerance=1e-3, time_limit=60)
    shown(found, mcinj.Network([a]))
    assert found.seconds < 60
    assert (found.sigma_hi == 0) == (mcinj.check(a).verdict == "not_injective")
    assert not found.complete or found.sigma_lo >= (1 - 4e-3) * found.sigma_hi


@given(st.fractions(min_value=0), st.integers(-300, 300))
def test_roots_are_rounded_to_their_side(value: Fraction, exponent: int) -> None:
    square = value * Fraction(2) ** exponent
    low, high = root_below(square), root_above(square)
    assert Fraction(low) ** 2 <= square <= Fraction(high) ** 2
    assert high - low <= 1e-15 * high


def test_opposite_rows_bound_a_wide_layer_without_a_search() -> None:
    rows = np.diag(np.arange(2.0, 32.0))
    layer = np.vstack([rows, -rows])
    found = mcinj.stability(layer, node_budget=50)
    assert found.complete
    assert found.sigma_lo <= 2 <= found.sigma_hi
    assert found.sigma_lo > 2 * (1 - 1e-6)
    assert found.kappa_lo <= found.sigma_lo
    # One row of the pair is shorter: then a search has to say more.
    layer[0] *= 2
    found = mcinj.stability(layer, node_budget=50, tolerance=0.5)
    assert found.sigma_lo <= 2 <= found.sigma_hi


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tolerance": 2}, "tolerance"),
        ({"node_budget": -1}, "node_budget"),
        ({"time_limit": 0}, "time_limit"),
        ({"domain": "box:1,0"}, "empty"),
    ],
)
def test_users_errors(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(mcinj.InputError, match=words):
        mcinj.stability(np.eye(2), **arguments)


def test_the_page_and_the_docstring() -> None:
    page = Path(__file__).parents[2] / "docs" / "stability.md"
    result = doctest.testfile(str(page), module_relative=False)
    assert (result.failed, result.attempted > 2) == (0, True)
    result = doctest.testmod(import_module("mcinj.quantify.stability"))
    assert (result.failed, result.attempted > 1) == (0, True)


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mcinj.cli import main

    file = tmp_path / "a.npz"
    mcinj.write_npz(mcinj.sample(2, (9,), seed=1), file)

    def call(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr("sys.argv", ["mcinj", "stability", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return (end.value.code, *capsys.readouterr())

    code, out, _ = call(str(file))
    assert code == 0
    assert "lower Lipschitz constant: between" in out
    exact = mcinj.stability(mcinj.read_npz(file)).sigma_squared[1]
    assert f", at most {exact}\n" in call(str(file), "--rational")[1]
    code, out, _ = call(str(file), "--json", "--domain", "box:-1,1")
    found = json.loads(out)
    assert (code, found["complete"]) == (0, True)
    assert found["sigma_lo"] <= found["sigma_hi"]
    code, out, error = call(str(file), "--domain", "circle:1")
    assert (code, out, error.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("n", "widths", "domain"), [(2, (13, 16), None), (2, (16, 20, 24), "box:-1,1"), (3, (24, 32), None)]
)
def test_several_layers_of_few_inputs_have_a_bound(n: int, widths: tuple[int, ...], domain: str | None) -> None:
    rng = np.random.default_rng(0)
    network = mcinj.sample(n, widths, seed=1)
    found = mcinj.stability(network, domain=domain)
    assert 0 < found.kappa_lo <= found.kappa_hi
    assert found.kappa_lo <= found.sigma_hi
    x, d = rng.uniform(-0.9, 0.9, (4000, n)), rng.standard_normal((4000, n)) * 10 ** rng.uniform(-3, -1.2, (4000, 1))
    ratios = [
        np.linalg.norm(network.forward(a + e) - network.forward(a)) / np.linalg.norm(e)
        for a, e in zip(x, d, strict=True)
    ]
    assert found.kappa_lo <= min(ratios) * (1 + 1e-9)


def _constant_units(rng: np.random.Generator, kind: str) -> mcinj.Network:
    """Small integers with biases in some layers only, or hidden units without weights: pruned ones."""
    n = int(rng.integers(1, 3))
    sizes = [n, *(int(rng.integers(n + 1, 6)) for _ in range(int(rng.integers(2, 4))))]
    weights = [rng.integers(-3, 4, s) for s in zip(sizes[1:], sizes)]
    biases = [rng.integers(-2, 3, m) for m in sizes[1:]]
    if kind == "biases of later layers":
        biases[0][:] = 0
    elif kind == "biases of the last layer":
        for b in biases[:-1]:
            b[:] = 0
    else:
        for w, b in zip(weights[:-1], biases):
            w[rng.random(len(w)) < 0.4] = 0
            b += kind == "constant units"
    return mcinj.Network(weights, biases)


@pytest.mark.parametrize(
    "kind", ["biases of later layers", "biases of the last layer", "pruned units", "constant units"]
)
@pytest.mark.parametrize("domain", [None, "box:-1,2"])
def test_units_that_are_constant_pass_on_their_biases(kind: str, domain: str | None) -> None:
    """Least singular values of all regions, from points inside of them."""
    seen = set()
    for seed in range(25):
        net = _constant_units(np.random.default_rng(seed), kind)
        weights, biases = net.exact_weights, net.exact_biases
        if domain is None:
            cells = all_regions(layers_over_integers(weights, biases), True, lossy=True)
        else:
            cells = Inside(weights, biases, Fraction(-1), Fraction(2)).cells
        found = mcinj.stability(net, domain=domain)
        if cells is None:  # layer 1 loses rank
            assert found.sigma_hi == 0
            continue
        centers = [[sum(r.x[i] for r in c) / Fraction(sum(r.x[-1] for r in c)) for i in range(net.n)] for c in cells]
        grams = [gram(weights, biases, x) for x in centers]
        assert all(reaches(g, Fraction(found.sigma_lo) ** 2) for g in grams)
        assert not all(reaches(g, Fraction(found.sigma_hi) ** 2, strictly=True) for g in grams)
        shown(found, net, domain)
        seen.add(found.sigma_lo > 0)
    assert True in seen


@pytest.mark.parametrize("domain", ["box:-1.7e308,1.7e308", "box:-1.7e308,1e308", "box:1e308,1.7e308", "ball:1.7e308"])
@pytest.mark.parametrize("widths", [(3,), (3, 4)])
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.filterwarnings("error")
def test_the_widest_domains(domain: str, widths: tuple[int, ...], n: int) -> None:
    """Farther apart than the largest float."""
    rng = np.random.default_rng(n)
    sizes = (n, *widths)
    net = mcinj.Network(
        [rng.integers(-3, 4, s) for s in zip(sizes[1:], sizes)], [rng.integers(1, 4, m) for m in widths]
    )
    found = mcinj.stability(net, domain=domain)
    assert (found.sigma_lo > 0) == (mcinj.check(net, "regional", domain=domain).verdict is mcinj.Outcome.INJECTIVE)
    assert found.sigma_lo <= found.sigma_hi
    assert 0 <= mcinj.coverage(net, domain=domain, samples=20).share <= 1
    mcinj.farthest(net, domain=domain, samples=20)


@pytest.mark.parametrize("exponent", [-300, -900])
def test_collisions_in_tiny_domains_are_shown(exponent: int) -> None:
    size = 2.0**exponent
    net = mcinj.Network([[[1, 0], [0, 1], [1, 1]]], [[1, -1, -1]])  # of rank 1 near 0
    for domain in (f"ball:{size!r}", f"box:{-size!r},{size!r}"):
        found = mcinj.stability(net, domain=domain)
        assert found.kappa_hi == 0
        assert found.pair is not None
        assert found.pair.collides(net)
        for x in (found.pair.x, found.pair.x_prime):
            assert all(abs(v) < Fraction(size) for v in x)
