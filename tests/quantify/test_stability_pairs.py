"""Bounds of κ from opposite rows and leaky ReLUs, against sampled pairs of inputs and singular values by NumPy."""

from __future__ import annotations

import doctest
import json
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import mcinj
from mcinj.quantify import opposite_pairs
from mcinj.quantify.opposite_pairs import from_opposites, two_sided

Forward = Callable[[np.ndarray], np.ndarray]


def exact(matrix: np.ndarray) -> tuple[tuple[Fraction, ...], ...]:
    return tuple(tuple(Fraction(float(v)) for v in row) for row in matrix)


def least_ratio(forward: Forward, n: int, pairs: int = 4000) -> float:
    """The least |f(x) - f(x')| / |x - x'| of random pairs, most of them near the walls through 0."""
    rng = np.random.default_rng(0)
    x, d = rng.standard_normal((pairs, n)), rng.standard_normal((pairs, n))
    one = x * 10.0 ** rng.uniform(-2, 1, (pairs, 1))
    outputs = forward(one + d) - forward(one)
    return float((np.linalg.norm(outputs, axis=1) / np.linalg.norm(d, axis=1)).min())


def test_docstrings() -> None:
    assert doctest.testmod(opposite_pairs).failed == 0


@pytest.mark.parametrize(("n", "more", "biased"), [(2, 0, False), (3, 4, True), (6, 2, False), (1, 0, True)])
def test_opposite_rows_of_any_lengths(n: int, more: int, biased: bool) -> None:
    rng = np.random.default_rng(n)
    b, others = rng.integers(-8, 9, (n + 2, n)).astype(float), rng.standard_normal((more, n))
    b[:n, :n] += 20 * np.eye(n)
    factors = rng.choice([0.25, 1.0, 2.0, 8.0], (n + 2, 1))
    w = np.vstack([b, -factors * b, others])
    offsets = rng.standard_normal(n + 2)
    shift = np.concatenate([offsets, -factors[:, 0] * offsets, rng.standard_normal(more)]) if biased else 0.0 * w[:, 0]
    found = from_opposites(exact(w), tuple(Fraction(float(v)) for v in shift) if biased else None)
    assert found.sigma > found.kappa > 0
    x = np.random.default_rng(1).standard_normal((500, n)) * 3
    cells = [np.linalg.svd(w[w @ p + shift > 0], compute_uv=False)[n - 1] for p in x]
    assert found.sigma <= min(cells) * (1 + 1e-12)
    assert found.kappa <= least_ratio(lambda p: np.maximum(p @ w.T + shift, 0.0), n) * (1 + 1e-9)


def test_a_linear_last_layer_is_known_exactly() -> None:
    w = np.random.default_rng(2).standard_normal((30, 20))
    found = from_opposites(exact(np.vstack([w, -w])))
    truth = np.linalg.svd(w, compute_uv=False)[-1]
    assert found.all_rows
    assert found.sigma <= truth * (1 + 1e-12)
    assert found.sigma_above >= truth * (1 - 1e-12)
    assert found.sigma_above - found.sigma < 1e-9 * truth
    assert found.kappa == pytest.approx(truth / 2**0.5)
    # The bound is sharp: opposite points along the least singular direction.
    v = np.linalg.svd(w)[2][-1]
    image = np.maximum(np.vstack([w, -w]) @ v, 0.0) - np.maximum(np.vstack([w, -w]) @ -v, 0.0)
    assert np.linalg.norm(image) / 2 == pytest.approx(found.kappa, rel=1e-9)


def test_too_few_opposite_rows_prove_nothing() -> None:
    rows = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1]])
    assert (from_opposites(exact(rows)).sigma, from_opposites(exact(rows)).kappa) == (0.0, 0.0)
    flat = np.array([[1.0, 1], [2, 2], [-1, -1], [-2, -2]])  # one line
    assert from_opposites(exact(flat)).kappa == 0.0


def test_more_inputs_and_a_linear_end_have_a_bound() -> None:
    n, rng = 4, np.random.default_rng(4)
    w, v = rng.standard_normal((36, n)), rng.standard_normal((60, 36))
    assert str(mcinj.check([w]).verdict) == "injective"
    net = mcinj.Network([w, v]).with_linear_last_layer()
    found = mcinj.stability(net, node_budget=3_000)
    assert 0 < found.kappa_lo <= found.kappa_hi
    assert found.kappa_lo <= least_ratio(lambda x: np.maximum(x @ w.T, 0.0) @ v.T, n)


def leaky(x: np.ndarray, weights: list[np.ndarray], biases: list[np.ndarray], slope: float) -> np.ndarray:
    for w, b in zip(weights, biases, strict=True):
        z = x @ w.T + b
        x = np.where(z > 0, z, slope * z)
    return x


@pytest.mark.parametrize(("n", "widths", "slope"), [(2, (3, 4), 0.25), (3, (4,), 0.5), (4, (5, 6), 0.1)])
def test_leaky_networks(n: int, widths: tuple[int, ...], slope: float) -> None:
    rng = np.random.default_rng(5)
    sizes = zip(widths, (n, *widths), strict=False)
    weights = [rng.standard_normal(s) for s in sizes]
    biases = [rng.standard_normal(m) for m in widths]
    found = mcinj.stability(mcinj.Network(weights, biases), slope=slope)
    assert found.complete
    assert 0 < found.kappa_lo <= found.kappa_hi <= found.sigma_hi
    assert found.kappa_lo <= least_ratio(lambda x: leaky(x, weights, biases, slope), n)
    least = np.inf
    for x in rng.standard_normal((2000, n)) * 3:
        jacobian = np.eye(n)
        for w, b in zip(weights, biases, strict=True):
            z = w @ x + b
            jacobian, x = np.where(z > 0, 1.0, slope)[:, None] * (w @ jacobian), np.where(z > 0, z, slope * z)
        least = min(least, float(np.linalg.svd(jacobian, compute_uv=False)[-1]))
    assert found.sigma_lo <= least * (1 + 1e-9)
    if n == 2:  # samples meet all regions
        assert found.sigma_hi == pytest.approx(least, rel=1e-6)


def test_only_true_leaky_pairs_are_merged() -> None:
    rows = exact(np.array([[1.0, 2], [3, 4], [-1, -2], [-3, -4]]))
    good = exact(np.array([[1.0, 5, -0.5, -1], [2, 0, -1, 0]]))
    found = two_sided(rows, None, good)
    assert found is not None
    assert found[1] == exact(np.array([[1.0, 5], [2, 0]]))
    truth = np.linalg.svd(np.array([[0.5, 1.0], [0.6, 0.8]]), compute_uv=False)[-1]  # rows times 1/2 and 1/5
    assert truth * (1 - 1e-9) <= found[0] <= truth * (1 + 1e-12)
    for following in ([[1.0, 5, 0.5, -1], [2, 0, 1, 0]], [[1, 5, -0.5, -1], [2, 0, -2, 0]], [[0, 5, 0, -1]] * 2):
        assert two_sided(rows, None, exact(np.array(following, dtype=float))) is None
    assert two_sided(rows[:3], None, exact(np.ones((2, 3)))) is None
    assert two_sided(rows, (Fraction(1),) * 4, good) is None  # the biases are not opposite


def run(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    from mcinj.cli import main

    monkeypatch.setattr(sys, "argv", ["mcinj", *args])
    with pytest.raises(SystemExit) as ended:
        main()
    return 0 if ended.value.code is None else int(ended.value.code)


def test_commands_say_what_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    helper, tensor = onnx.helper, onnx.numpy_helper.from_array
    w, v = (np.random.default_rng(k).standard_normal(s).astype(np.float32) for k, s in enumerate([(2, 4), (4, 5)]))
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("LeakyRelu", ["a"], ["h"], alpha=0.25),
        helper.make_node("MatMul", ["h", "v"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, 1, [1, size]) for name, size in (("x", 2), ("y", 5))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [tensor(w, "w"), tensor(v, "v")])
    file = str(tmp_path / "net.onnx")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), file)
    assert run(monkeypatch, "stability", file, "--json") == 0
    out, error = capsys.readouterr()
    assert json.loads(out)["kappa_lo"] > 0
    assert error == f"note: {file} ends in Sigmoid, which is left out: the numbers are those of the network before it\n"
    assert run(monkeypatch, "invert", file, "--y", "0.5,0.5,0.5,0.5,0.5") == 1
    assert "ends in Sigmoid, which is left out: y is what comes before it" in capsys.readouterr().err
    for command in (["stability", file], ["invert", file, "--y", "0,0,0,0,0"]):
        assert run(monkeypatch, *command, "--slope", "0.5") == 2
        assert "leave --slope out" in capsys.readouterr().err


@pytest.mark.parametrize("budget", [-1, 2.5, "many", True])
@pytest.mark.parametrize("question", ["stability", "margin", "farthest", "invert"])
def test_budgets_that_are_none(question: str, budget: object) -> None:
    layer = [[[1, 0], [0, 1], [-1, -1]]]
    more = [[1, 1, 0]] if question == "invert" else []
    with pytest.raises(mcinj.InputError, match="node_budget must be a whole number"):
        getattr(mcinj, question)(layer, *more, node_budget=budget)
