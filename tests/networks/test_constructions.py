"""Constructions against plain arithmetic: opposite rows, P-matrices, convolutions by hand, projections in the line."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive.arrangement import minimal_active_rank

import mcinj
from mcinj.constructions import convolutional_layer, doubled, drawn, least_patch, projected


def test_rows_are_opposite_exactly() -> None:
    b = np.random.default_rng(0).standard_normal((3, 3))
    layer = doubled(b, [0.1, 3, 1 / 3], more=[[1, 2, 3]])
    rows = layer.exact_weights[0]
    assert len(rows) == 7
    for k, d in enumerate((0.1, 3, 1 / 3)):
        assert rows[3 + k] == tuple(-Fraction(d) * Fraction(float(v)) for v in b[k])
    assert not layer.floats_are_exact
    assert doubled(b, [0.25, 2, 1]).floats_are_exact
    assert mcinj.check(layer).verdict == mcinj.check(doubled(b)).verdict == "injective"


@given(
    st.integers(1, 3).flatmap(
        lambda n: st.lists(st.lists(st.integers(-2, 2), min_size=n, max_size=n), min_size=n, max_size=4)
    ),
    st.data(),
)
def test_integer_bases_pass_in_all_cells_or_are_refused(basis: list[list[int]], data: st.DataObject) -> None:
    n = len(basis[0])
    factors = data.draw(st.lists(st.integers(1, 3), min_size=len(basis), max_size=len(basis)))
    more = data.draw(st.none() | st.lists(st.lists(st.integers(-2, 2), min_size=n, max_size=n), min_size=1, max_size=2))
    if np.linalg.matrix_rank(basis) < n:
        with pytest.raises(mcinj.InputError, match="span"):
            doubled(basis, factors, more)
        return
    layer = doubled(basis, factors, more)
    rows = [[int(v) for v in row] for row in layer.exact_weights[0]]
    assert minimal_active_rank(rows, n) == n
    assert mcinj.check(layer).verdict == "injective"


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_2n_rows_that_are_turned_a_little_fail(n: int) -> None:
    rows = doubled(np.random.default_rng(n).standard_normal((n, n)), 2.0).weights[0].copy()
    assert mcinj.check(rows).verdict == "injective"
    if n > 1:
        rows[n, 0] *= 1 + 1e-9
        assert mcinj.check(rows).verdict == "not_injective"
    assert mcinj.check(rows[:-1]).verdict == "not_injective"


@pytest.mark.parametrize("n", [1, 2, 3])
def test_projection_to_n_outputs_is_injective_for_p_matrices(n: int) -> None:
    """[P, N] (ReLU(x), ReLU(-x)) is a bijection iff all minors of P^-1 (-N) are positive (Samelson, Thrall, Wesler)."""
    seen = set()
    for seed in range(40 if n < 3 else 60):
        net = projected(doubled(np.eye(n)), n, seed)
        g = net.weights[1][:n]
        m = np.linalg.solve(g[:, :n], -g[:, n:])
        minors = [np.linalg.det(m[np.ix_(s, s)]) for k in range(1, n + 1) for s in combinations(range(n), k)]
        assert min(map(abs, minors)) > 1e-6
        expected = min(minors) > 0
        assert (mcinj.check(net).verdict == "injective") == expected
        seen.add(expected)
    assert seen == {True, False}


@pytest.mark.parametrize(("n", "layers"), [(1, 1), (1, 3), (2, 1), (2, 2), (3, 1)])
@pytest.mark.parametrize("seed", range(3))
def test_without_biases_2n_outputs_suffice(n: int, layers: int, seed: int) -> None:
    network = drawn(n, layers=layers, seed=seed)
    assert mcinj.check(network, "layerwise").verdict == "injective"
    for outputs in (2 * n, 2 * n + 1):
        found = mcinj.check(projected(network, outputs, seed))
        assert (found.verdict, found.certified) == ("injective", "exact")
    if n > 1:
        assert mcinj.check(projected(network, n - 1, seed)).verdict == "not_injective"


def test_with_biases_2n_outputs_may_be_too_few() -> None:
    """A curve in R^m: its projections to the plane may cross themselves, those to space do not."""
    rng = np.random.default_rng(0)
    crossed = 0
    for seed in range(30):
        w = np.array([1.0, -1.0, 1.0, -1.0, 1.0])[:, None]
        b = np.concatenate([[0.0, 0.0], rng.standard_normal(3)])
        wide = mcinj.Network([w], [b])
        assert mcinj.check(wide).verdict == "injective"
        flat = projected(wide, 2, seed)
        crossed += mcinj.check(flat).verdict == "not_injective"
        assert mcinj.check(projected(wide, 3, seed)).verdict == "injective"
        assert (mcinj.check(flat).verdict == "injective") == (not crosses(flat))
    assert 0 < crossed < 30


def crosses(network: mcinj.Network) -> bool:
    """Whether the polygon `x ↦ f(x)` in the plane, rays at its ends, meets itself: segment by segment."""
    b = network.exact_biases[0]
    w = network.exact_weights[0]
    knots = sorted({-o / r[0] for r, o in zip(w, b, strict=True)})
    knots = [knots[0] - 10**6, *knots, knots[-1] + 10**6]

    def plane(x: Fraction) -> tuple[Fraction, Fraction]:
        y = network.exact_forward([x])
        return y[0] - y[2], y[1] - y[3]

    ends = [plane(x) for x in knots]

    def turn(p: tuple[Fraction, Fraction], q: tuple[Fraction, Fraction], r: tuple[Fraction, Fraction]) -> Fraction:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    for i, j in combinations(range(len(ends) - 1), 2):
        p, q, r, s = ends[i], ends[i + 1], ends[j], ends[j + 1]
        if j > i + 1 and turn(p, q, r) * turn(p, q, s) <= 0 and turn(r, s, p) * turn(r, s, q) <= 0:
            return True
    return False


@pytest.mark.parametrize("padding", ["valid", "zeros", "circular"])
@pytest.mark.parametrize(
    ("shape", "size", "stride"), [((3, 2, 3), (5,), 1), ((2, 1, 2), (6,), 2), ((2, 2, 2, 3), (3, 4), 1)]
)
def test_convolutions_by_hand(padding: str, shape: tuple[int, ...], size: tuple[int, ...], stride: int) -> None:
    rng = np.random.default_rng(len(size))
    kernels = rng.integers(-3, 4, shape)
    layer = convolutional_layer(kernels, size, padding=padding, stride=stride)
    x = rng.integers(-3, 4, (shape[1], *size))
    spread = [(0, 0)] + [(0, 0) if padding == "valid" else ((k - 1) // 2, (k - 1) - (k - 1) // 2) for k in shape[2:]]
    if padding == "circular":
        spread = [(0, 0)] + [(0, k - 1) for k in shape[2:]]
    image = np.pad(x, spread, mode="wrap" if padding == "circular" else "constant")
    steps = [range(0, image.shape[a + 1] - k + 1, stride) for a, k in enumerate(shape[2:])]
    expected = []
    for kernel in kernels:
        for place in np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, len(size)):
            window = image[(slice(None), *(slice(p, p + k) for p, k in zip(place, shape[2:], strict=True)))]
            expected.append(int((kernel * window).sum()))
    assert [int(v) for v in layer.exact_pre_activations([int(v) for v in x.ravel()])[0]] == expected


@given(st.lists(st.lists(st.integers(-2, 2), min_size=2, max_size=2), min_size=1, max_size=6))
def test_the_condition_is_sufficient(kernels: list[list[int]]) -> None:
    patch = least_patch(kernels, 4)
    for size in range(2, 6):
        for padding in ("valid", "zeros", "circular"):
            layer = convolutional_layer(kernels, size, padding=padding)
            passes = mcinj.check(layer).verdict == "injective"
            if patch is not None and size >= patch:
                assert passes
            if padding == "valid" and size <= 4:
                assert passes == (patch is not None and size >= patch)


def test_padding_can_do_what_no_patch_does() -> None:
    """x_i - x_{i-1} and its negative: constants are not seen, but at an end they are."""
    kernels = [[-1, 1], [1, -1]]
    assert least_patch(kernels, 5) is None
    verdicts = {p: str(mcinj.check(convolutional_layer(kernels, 5, padding=p)).verdict) for p in ("zeros", "circular")}
    assert verdicts == {"zeros": "injective", "circular": "not_injective"}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: doubled([[1, 0], [2, 0]]), "span"),
        (lambda: doubled([[1, 0]]), "span"),
        (lambda: doubled([[1, 0], [0, np.nan]]), "nan"),
        (lambda: doubled([1, 2]), "shape"),
        (lambda: doubled(np.eye(2), 0), "positive"),
        (lambda: doubled(np.eye(2), [1, -1]), "positive"),
        (lambda: doubled(np.eye(2), [1, 2, 3]), "factors have shape"),
        (lambda: doubled(np.eye(2), more=np.eye(3)), "columns"),
        (lambda: projected(mcinj.Network([np.eye(2)]), 0), "outputs"),
        (lambda: projected(mcinj.Network([np.eye(2)]), 2.0), "outputs"),
        (lambda: projected(mcinj.Network([np.eye(2)]), 10**9), "projection has"),
        (lambda: drawn(0), "n is 0"),
        (lambda: drawn(2, layers=0), "layers"),
        (lambda: drawn(2, layers=100), "construction has"),
        (lambda: drawn(2, more=-1), "more"),
        (lambda: convolutional_layer([1, 2], 3), "kernels have shape"),
        (lambda: convolutional_layer([[1, 2]], 1), "does not fit"),
        (lambda: convolutional_layer([[1, 2]], (3, 3)), "one for each"),
        (lambda: convolutional_layer([[1, 2]], 3, padding="same"), "padding"),
        (lambda: convolutional_layer([[1, 2]], 3, stride=0), "stride"),
        (lambda: convolutional_layer([[1, np.inf]], 3), "nan or inf"),
        (lambda: convolutional_layer(np.ones((1, 1, 2, 2)), 10**4), "unroll"),
        (lambda: least_patch([[1, 2]], 0), "most"),
    ],
)  # fmt: skip
def test_users_errors(call: object, words: str) -> None:
    with pytest.raises(mcinj.InputError, match=words) as error:
        call()
    assert "\n" not in str(error.value)


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from mcinj.cli import main

    def call(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr("sys.argv", ["mcinj", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return (end.value.code, *capsys.readouterr())

    file = str(tmp_path / "c.npz")
    code, out, _ = call("construct", "--n", "2", "--layers", "2", "--more", "1", "--outputs", "5", "-o", file)
    assert (code, mcinj.read_npz(file).widths) == (0, (5, 11, 10))
    assert "widths 5, 11, 10" in out
    code, out, _ = call("check", file, "--json")
    assert (code, json.loads(out)["network_injective"]) == (0, True)
    assert mcinj.read_npz(file).digest() == drawn(2, layers=2, more=1, outputs=5).digest()
    code, out, error = call("construct", "--n", "2", "--layers", "0", "-o", file)
    assert (code, out, error.count("\n")) == (2, "", 1)
