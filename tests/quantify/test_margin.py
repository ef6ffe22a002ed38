"""`mcinj.margin` against all critical points, hulls from below, samples from above, and `mcinj.check`."""

from __future__ import annotations

import doctest
import json
import math
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.margins import by_angles, by_critical_points, by_hull, by_sampling, on_ball

import mcinj
from mcinj.certify.rational import kernel, rank


def shown(found: mcinj.Margin, a: np.ndarray) -> None:
    """hi is attained at x: in exact arithmetic the rows above hi |x| do not have rank n."""
    net = mcinj.Network([a])
    assert found.lo <= found.hi
    assert found.x is not None
    values = net.exact_pre_activations(found.x)[0]
    square = sum(v * v for v in found.x)
    high = Fraction(found.hi)
    above = [i for i, v in enumerate(values) if v * abs(v) > high * abs(high) * square and any(net.exact_weights[0][i])]
    assert rank([net.exact_weights[0][i] for i in above], net.n) < net.n
    assert set(above) <= set(found.above)
    assert rank([net.exact_weights[0][i] for i in found.above], net.n) < net.n


def check_enclosure(found: mcinj.Margin, truth: float, tolerance: float = 1e-6) -> None:
    assert found.complete
    assert found.lo <= truth + 1e-9 * found.scale
    assert found.hi >= truth - 1e-9 * found.scale
    assert found.hi - found.lo <= 1.01 * tolerance * found.scale


@pytest.mark.parametrize("seed", range(12))
def test_the_plane_by_all_critical_angles(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((int(rng.integers(2, 25)), 2)) * np.exp(rng.uniform(-2, 2))
    found = mcinj.margin(a)
    check_enclosure(found, by_angles(a))
    shown(found, a)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 4), (3, 3), (3, 9), (3, 17), (4, 6), (4, 13)])
@pytest.mark.parametrize("seed", range(3))
def test_all_critical_points(n: int, m: int, seed: int) -> None:
    a = np.random.default_rng(seed).standard_normal((m, n))
    found = mcinj.margin(a)
    check_enclosure(found, by_critical_points(a))
    shown(found, a)
    if n > 1 and m > n:
        assert by_hull(a) <= found.hi + 1e-9
    if n > 1:
        assert found.lo <= by_sampling(a, 5_000)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_polytope_bias_estimation_is_a_lower_bound(n: int) -> None:
    """Haider, Balazs and Ehler bound the bias by facets of a hull; the margin is never below, and mostly above."""
    gaps = []
    for seed in range(6):
        a = np.random.default_rng(seed).standard_normal((5 * n, n))
        bound, found = by_hull(a), mcinj.margin(a)
        if math.isfinite(bound):
            gaps.append(found.hi - bound)
            assert gaps[-1] >= -1e-9
    assert len(gaps) >= 3
    assert max(gaps) > 0.01


def test_opposite_rows_need_no_search() -> None:
    w = np.random.default_rng(6).standard_normal((20, 12))
    layer = np.vstack([w, -2.0 * w])
    found = mcinj.margin(layer)
    assert (found.lo, found.injective, found.complete, found.nodes) == (0.0, True, True, 0)
    assert found.hi < 1e-6
    assert str(mcinj.check(layer).verdict) == "injective"
    # Two lines do not span three inputs: nothing is known ahead.
    assert mcinj.margin(np.vstack([w[:2, :3], -w[:2, :3], [[1.0, 2, 3]]])).injective is False
    wide = np.vstack([np.eye(3), -np.eye(3), 4 * np.random.default_rng(7).standard_normal((30, 3))])
    assert mcinj.margin(wide).lo > 0  # the bound is a start, not the answer


@pytest.mark.parametrize("m", [3, 4, 5, 6, 12])
def test_polytope_bias_estimation_is_exact_for_polygons(m: int) -> None:
    """Against a vertex the second largest value is cos 2π/m: facets are edges, and their least values are attained."""
    angles = 2 * np.pi * np.arange(m) / m
    a = np.column_stack([np.cos(angles), np.sin(angles)])
    found = mcinj.margin(a)
    expected = math.cos(2 * math.pi / m)
    assert found.lo - 1e-9 <= expected <= found.hi + 1e-9
    assert found.hi - found.lo < 1e-5
    if m >= 4:
        assert by_hull(a) == pytest.approx(expected, abs=1e-9)
    else:
        # Obtuse facets: the cone's own least value, below.
        assert by_hull(a) <= expected


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3).flatmap(
        lambda n: st.lists(st.lists(st.integers(-2, 2), min_size=n, max_size=n), min_size=1, max_size=9)
    ),
    st.booleans(),
)
def test_small_integers_with_duplicate_opposite_and_zero_rows(rows: list[list[int]], doubled: bool) -> None:
    a = np.array(rows, dtype=float)
    if doubled:
        a = np.vstack([a, -a / 2])
    found = mcinj.margin(a)
    if np.linalg.matrix_rank(a) < a.shape[1]:
        assert (found.lo, found.hi, found.complete, found.injective) == (-math.inf, -math.inf, True, False)
        return
    check_enclosure(found, by_critical_points(a[a.any(axis=1)]))
    shown(found, a)
    assert found.injective == (mcinj.check(a).verdict == "injective")


@pytest.mark.parametrize(("n", "m"), [(2, 9), (3, 14), (4, 22), (5, 33)])
def test_the_sign_is_the_verdict(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    seen = set()
    for _ in range(60):
        a = rng.standard_normal((m, n)) if rng.random() < 0.7 else np.sign(rng.standard_normal((m, n)))
        found = mcinj.margin(a, tolerance=1e-4)
        injective = mcinj.check(a).verdict == "injective"
        assert found.injective == injective
        assert found.hi >= 0 if injective else found.lo <= 0
        seen.add(injective)
    assert seen == {True, False}


def test_opposite_rows_are_injective_at_margin_0() -> None:
    for n in (1, 2, 4):
        found = mcinj.margin(np.vstack([np.eye(n), -np.eye(n)]))
        if n == 1:
            assert (found.hi, found.injective) == (1.0, True)
        else:
            assert (found.lo, found.hi, found.injective) == (0.0, 0.0, True)
    # Margin 0 without injectivity: no row tells the second input where the first is 0 and the second negative.
    found = mcinj.margin([[[1, 0], [-1, 0], [0, 1]]])
    assert found.hi < 0
    found = mcinj.margin([[[1, 0], [-1, 0], [0, 1], [1, -1]]])
    assert found.injective == (mcinj.check([[[1, 0], [-1, 0], [0, 1], [1, -1]]]).verdict == "injective")


def test_exact_formulas() -> None:
    # Of n orthonormal rows the least is -1, against one of them.
    for n in (1, 3, 6):
        found = mcinj.margin(np.eye(n))
        assert found.lo <= -1 <= found.hi
    # The regular simplex: the second least value is least against the midpoint of an edge.
    for n in (2, 3, 5):
        vertices = np.eye(n + 1) - 1.0 / (n + 1)
        basis = np.linalg.svd(vertices)[2][:n]
        a = vertices @ basis.T / np.linalg.norm(vertices[0])
        found = mcinj.margin(a)
        assert found.hi == pytest.approx(-math.sqrt((1 - 1 / n) / 2), rel=1e-9)
        assert found.complete
    # D4, the 24-cell: every direction has four independent roots at 1/√3 or more of its length.
    unit = np.eye(4)
    roots = [s * unit[i] + t * unit[j] for i in range(4) for j in range(i) for s in (1, -1) for t in (1, -1)]
    found = mcinj.margin([roots])
    assert found.lo <= 1 / math.sqrt(3) <= found.hi + 1e-15


@pytest.mark.parametrize("seed", range(6))
def test_the_least_bias_that_repairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 2 + seed % 2
    a = rng.standard_normal((2 * n, n))
    found = mcinj.margin(a)
    assert found.hi < 0
    for radius in (1, 3):
        for bias, verdict in ((-found.lo * 1.001, "injective"), (-found.hi * 0.999, "not_injective")):
            net = mcinj.Network([a], [np.full(len(a), radius * bias)])
            assert mcinj.check(net, domain=f"ball:{radius}").verdict == verdict


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_bias_that_can_be_lost(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((30, 2 + seed % 2))
    found = mcinj.margin(a)
    assert found.lo > 0
    # Below: outside of the ball all sampled inputs have active rows of rank n.
    x = rng.standard_normal((5_000, a.shape[1]))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    assert ((x @ a.T - found.lo > 0).sum(axis=1) >= a.shape[1]).all()
    # Above: just outside of the ball two inputs have equal outputs.
    t = Fraction(found.hi) * Fraction(1001, 1000)
    net = mcinj.Network([a], [[-t] * len(a)])
    assert found.x is not None
    size = Fraction(math.sqrt(sum(float(v) ** 2 for v in found.x)))
    y = tuple(v / size * Fraction(10001, 10000) for v in found.x)
    assert sum(v * v for v in y) > 1
    on = [i for i, v in enumerate(net.exact_pre_activations(y)[0]) if v >= 0]
    d = kernel([net.exact_weights[0][i] for i in on], net.n)[0]
    z = tuple(u + v / Fraction(10**7) for u, v in zip(y, d, strict=True))
    assert z != y
    assert net.exact_forward(z) == net.exact_forward(y)


@pytest.mark.parametrize(("n", "m", "radius"), [(1, 5, 1.0), (2, 9, 0.4), (2, 12, 2.0), (3, 10, 1.0), (3, 13, 3.0)])
@pytest.mark.parametrize("seed", range(2))
def test_biases_on_a_ball(n: int, m: int, radius: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((m, n)), rng.standard_normal(m)
    net = mcinj.Network([a], [b])
    domain = f"ball:{radius}"
    found = mcinj.margin(net, domain=domain)
    check_enclosure(found, on_ball(a, b, radius))
    assert found.lo <= by_sampling(a, 3_000, b, radius)
    assert found.x is not None
    assert sum(v * v for v in found.x) <= Fraction(radius) ** 2
    level = sorted(net.exact_pre_activations(found.x)[0])[-n]
    assert level <= Fraction(found.hi)
    assert found.injective == (mcinj.check(net, domain=domain).verdict == "injective")


def test_a_ball_without_biases_keeps_what_is_negative() -> None:
    a = np.random.default_rng(0).standard_normal((6, 3))
    whole, ball = mcinj.margin(a), mcinj.margin(a, domain="ball:2")
    assert whole.hi < 0
    assert ball.lo <= 2 * whole.hi
    assert 2 * whole.lo <= ball.hi
    a = np.random.default_rng(0).standard_normal((40, 3))
    assert mcinj.margin(a).lo > 0
    assert mcinj.margin(a, domain="ball:2").hi == 0.0


@pytest.mark.parametrize("scale", [Fraction(2) ** -1000, Fraction(2) ** 900, Fraction(1, 3), Fraction(10) ** 300])
def test_scale_goes_through(scale: Fraction) -> None:
    base = [[Fraction(float(v)) for v in row] for row in np.random.default_rng(5).standard_normal((15, 3))]
    one = mcinj.margin([base])
    other = mcinj.margin([[[scale * v for v in row] for row in base]])
    assert Fraction(other.lo) <= scale * Fraction(one.hi)
    assert Fraction(other.hi) >= scale * Fraction(one.lo)
    assert other.hi - other.lo <= 1.01e-6 * other.scale


@pytest.mark.parametrize("seed", range(3))
def test_rows_and_columns_of_very_different_sizes_end_with_a_true_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((14, 3))
    rows = a * 10.0 ** rng.integers(-300, 300, (14, 1))
    for b in (rows, a * [[1e100, 1, 1e-100]], a * 10.0 ** rng.integers(-9, 9, (14, 1)) * [[1e6, 1, 1e-6]]):
        found = mcinj.margin(b, time_limit=20)
        shown(found, b)
        assert found.injective in (None, mcinj.check(b).verdict == "injective")
    denormal = mcinj.margin(np.sign(a) * 5e-324)
    shown(denormal, np.sign(a) * 5e-324)


def test_nearly_equal_rows_are_told_apart() -> None:
    a = np.random.default_rng(2).standard_normal((14, 3))
    once, twice = mcinj.margin(a), mcinj.margin(np.vstack([a, a]))
    assert (once.hi, once.x) == (twice.hi, twice.x)
    # Rows that differ by rounding have rank 2, by their last digits only.
    near = np.vstack([a, a * (1 + 1e-15)])
    found = mcinj.margin(near, time_limit=60)
    assert found.complete
    shown(found, near)
    assert found.lo > once.hi
    assert found.lo <= by_sampling(near, 5_000)


def test_a_budget_leaves_a_true_answer() -> None:
    net = mcinj.sample(6, (40,), seed=0)
    full = mcinj.margin(net)
    assert full.complete
    for budget in (0, 10, 300, 2_000):
        part = mcinj.margin(net, node_budget=budget)
        assert part.lo <= full.hi
        assert full.lo <= part.hi
        assert part.nodes <= budget
        assert not part.complete
    assert mcinj.margin(net, node_budget=2_000).lo > mcinj.margin(net, node_budget=10).lo
    hard = mcinj.sample(20, (134,), seed=0)
    part = mcinj.margin(hard, time_limit=1.0)
    assert part.seconds < 30
    assert not part.complete


def test_the_certificate_is_refused_where_it_proves_nothing() -> None:
    from mcinj.quantify.margin_cell import proved

    g = np.zeros((2, 8))
    g[0, 0], g[1, 0] = 1.0, -1.0
    c = np.array([0, 1])
    # x >= 1/2 and -x >= -1/3 cannot be; x >= 1/2 and -x >= -2/3 can; x >= 1 touches the ball.
    assert proved(g, np.array([0.5, -1 / 3]), c, np.ones(2), 2, 1)
    assert not proved(g, np.array([0.5, -2 / 3]), c, np.ones(2), 2, 1)
    assert not proved(g, np.array([1.0, 0.0]), c, np.array([1.0, 0.0]), 1, 1)
    assert proved(g, np.array([1.0 + 1e-12, 0.0]), c, np.array([1.0, 0.0]), 1, 1)
    assert not proved(g, np.array([0.5, -1 / 3]), c, np.array([1.0, np.nan]), 2, 1)
    assert not proved(g, np.array([0.5, -1 / 3]), c, np.array([1.0, -1.0]), 2, 1)


@pytest.mark.parametrize(
    ("layer", "arguments", "words"),
    [
        (np.eye(2), {"tolerance": 2}, "tolerance"),
        (np.eye(2), {"tolerance": math.nan}, "tolerance"),
        (np.eye(2), {"node_budget": -1}, "node_budget"),
        (np.eye(2), {"time_limit": 0}, "time_limit"),
        (np.eye(2), {"domain": "box:-1,1"}, "ball:R"),
        (np.eye(2), {"domain": "ball:-1"}, "empty"),
        ([np.eye(2), np.eye(2)], {}, "one layer"),
        (mcinj.Network([np.eye(2)], [np.ones(2)]), {}, "biases"),
        (np.full((2, 2), np.nan), {}, "nan"),
        (np.ones(3), {}, "shape"),
        (np.eye(2) * 1.7e308, {}, "1e301"),
        (np.eye(2), {"domain": "ball:1e305"}, "1e301"),
    ],
)
def test_users_errors(layer: object, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(mcinj.InputError, match=words):
        mcinj.margin(layer, **arguments)


def test_the_page_and_the_docstring() -> None:
    page = Path(__file__).parents[2] / "docs" / "margin.md"
    result = doctest.testfile(str(page), module_relative=False)
    assert (result.failed, result.attempted > 2) == (0, True)
    result = doctest.testmod(import_module("mcinj.quantify.margin"))
    assert (result.failed, result.attempted > 1) == (0, True)


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mcinj.cli import main

    def call(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr("sys.argv", ["mcinj", "margin", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return (end.value.code, *capsys.readouterr())

    file = tmp_path / "a.npz"
    mcinj.write_npz(mcinj.sample(2, (5, 40), seed=1), file)
    code, out, error = call(str(file))
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "--layer" in error
    code, out, _ = call(str(file), "--layer", "1")
    assert code == 0
    assert "margin: between" in out
    assert "least common bias" in out
    code, out, _ = call(str(file), "--layer", "1", "--json")
    found = json.loads(out)
    assert (code, found["complete"], found["injective"]) == (0, True, False)
    assert found["lo"] <= found["hi"] < 0
    mcinj.write_npz(mcinj.Network([np.ones((3, 2))]), file)
    code, out, _ = call(str(file), "--json")
    assert json.loads(out)["lo"] is None
    code, out, _ = call(str(file))
    assert "no bias" in out
    mcinj.write_npz(mcinj.Network([np.eye(2)], [np.ones(2)]), file)
    code, out, error = call(str(file))
    assert (code, out, error.count("\n")) == (2, "", 1)
    code, out, _ = call(str(file), "--domain", "ball:1/2")
    assert code == 2
    code, out, _ = call(str(file), "--domain", "ball:0.5")
    assert code == 0
    assert "|x| < 0.5" in out
