"""ONNX operators whose reading is more than an affine map: skips, batch norms, leaky ReLUs, quantised weights, ends."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcinj
from mcinj import InputError
from mcinj.networks.readers import read_file, read_network

onnx = pytest.importorskip("onnx")
from onnx.reference import ReferenceEvaluator  # noqa: E402
from test_onnx_malformed import node, save  # noqa: E402

rng = np.random.default_rng(11)


def matrix(*shape: int) -> Any:
    return rng.standard_normal(shape).astype(np.float32)


def exact(w: Any) -> Any:
    """An array of floats as `Fraction`s."""
    return np.array([Fraction(float(v)) for v in np.asarray(w).reshape(-1)], dtype=object).reshape(np.shape(w))


def relu(z: Any) -> Any:
    return np.array([max(v, Fraction(0)) for v in z], dtype=object)


def output(network: Any, x: Any, *, linear: bool) -> Any:
    y = np.array(network.exact_forward(list(x)), dtype=object)
    return y[: len(y) // 2] - y[len(y) // 2 :] if linear else y


def points(n: int, count: int = 20) -> list[Any]:
    return [exact(np.round(rng.standard_normal(n), 2)) for _ in range(count)]


def test_a_skip_connection_is_exactly_the_sum(tmp_path: Path) -> None:
    """x + W2 relu(W1 x): the input is carried past the first layer by two units a coordinate."""
    a, b = matrix(5, 3), matrix(3, 5)
    nodes = [
        node("MatMul", "x", "a", out="1"), node("Relu", "1", out="2"), node("MatMul", "2", "b", out="3"),
        node("Add", "x", "3"),
    ]  # fmt: skip
    save(tmp_path / "n.onnx", nodes, {"a": a.T, "b": b.T})
    read = read_file(tmp_path / "n.onnx")
    assert [layer.shape for layer in read.layers] == [(11, 3), (3, 11)]
    assert "6 of its units carry earlier values past it" in str(read.layers[0])
    for x in points(3):
        assert (output(read.network, x, linear=True) == x + exact(b) @ relu(exact(a) @ x)).all()


def test_what_is_nowhere_negative_is_carried_by_single_units(tmp_path: Path) -> None:
    """y = relu(W0 x), relu(y + W2 relu(W1 y)): as a residual network after its stem."""
    stem, a, b = matrix(4, 2), matrix(6, 4), matrix(4, 6)
    nodes = [
        node("MatMul", "x", "s", out="1"), node("Relu", "1", out="y0"), node("MatMul", "y0", "a", out="2"),
        node("Relu", "2", out="3"), node("MatMul", "3", "b", out="4"), node("Add", "4", "y0", out="5"),
        node("Relu", "5"),
    ]  # fmt: skip
    save(tmp_path / "n.onnx", nodes, {"s": stem.T, "a": a.T, "b": b.T}, ("N", 2))
    read = read_file(tmp_path / "n.onnx")
    assert [layer.shape for layer in read.layers] == [(4, 2), (10, 4), (4, 10)]
    for x in points(2):
        y = relu(exact(stem) @ x)
        assert (output(read.network, x, linear=False) == relu(y + exact(b) @ relu(exact(a) @ y))).all()


def test_a_narrow_value_is_carried_rather_than_the_many_units_below_it(tmp_path: Path) -> None:
    """The sum of 20 ReLUs crosses a layer as one unit."""
    a, b = matrix(20, 2), matrix(3, 20)
    nodes = [
        node("MatMul", "x", "a", out="1"), node("Relu", "1", out="2"), node("ReduceSum", "2", "axis", out="s"),
        node("MatMul", "2", "b", out="3"), node("Relu", "3", out="4"), node("Add", "4", "s"),
    ]  # fmt: skip
    save(tmp_path / "n.onnx", nodes, {"a": a.T, "b": b.T, "axis": np.array([1])}, ("N", 2))
    read = read_file(tmp_path / "n.onnx")
    assert [layer.shape for layer in read.layers] == [(20, 2), (4, 20), (3, 4)]
    for x in points(2):
        y = relu(exact(a) @ x)
        assert (output(read.network, x, linear=True) == relu(exact(b) @ y) + sum(y)).all()


@pytest.mark.parametrize(("factor", "injective"), [(2.0, True), (-0.5, True), (-1.0, False), (-2.0, False)])
def test_verdicts_on_skip_connections_of_one_number(tmp_path: Path, factor: float, injective: bool) -> None:
    """x + c relu(x) has slopes 1 and 1 + c: injective exactly if both have one sign."""
    nodes = [node("Relu", "x", out="1"), node("Mul", "1", "c", out="2"), node("Add", "x", "2")]
    save(tmp_path / "n.onnx", nodes, {"c": np.float32([factor])}, ("N", 1))
    verdict = mcinj.check(read_network(tmp_path / "n.onnx"))
    assert verdict.verdict == ("injective" if injective else "not_injective")
    if verdict.witness is not None:
        x, y = (p[0] + Fraction(factor) * max(p[0], 0) for p in (verdict.witness.x, verdict.witness.x_prime))
        assert x == y
        assert verdict.witness.x != verdict.witness.x_prime


def test_a_batch_norm_is_exact_but_for_its_scales(tmp_path: Path) -> None:
    gamma, beta, mean = (np.float32([0.3, -1.7, 0.0]) + np.float32(k) for k in range(3))
    var = np.float32([0.2, 3.0, 1.1])
    nodes = [node("BatchNormalization", "x", "g", "b", "m", "v", epsilon=1e-3, out="1"), node("Relu", "1")]
    save(tmp_path / "n.onnx", nodes, {"g": gamma, "b": beta, "m": mean, "v": var})
    read = read_file(tmp_path / "n.onnx")
    assert "batch norm folded, its scales 1/sqrt(var + eps) rounded to float64" in str(read.layers[0])
    for i in range(3):
        s = read.network.exact_weights[0][i][i]
        assert s == Fraction(float(s))  # one float64 number
        square = Fraction(float(gamma[i])) ** 2 / (Fraction(float(var[i])) + Fraction(float(np.float32(1e-3))))
        ulp = Fraction(np.spacing(abs(float(s))))
        assert max(abs(s) - ulp / 2, Fraction(0)) ** 2 <= square <= (abs(s) + ulp / 2) ** 2
        assert (s > 0) == (gamma[i] > 0)
        assert read.network.exact_biases is not None
        assert read.network.exact_biases[0][i] == Fraction(float(beta[i])) - s * Fraction(float(mean[i]))


def test_a_batch_norm_that_needs_no_rounding_says_nothing(tmp_path: Path) -> None:
    one = np.ones(3, np.float32)
    nodes = [node("BatchNormalization", "x", "g", "g", "g", "v", epsilon=0.25, out="1"), node("Relu", "1")]
    save(tmp_path / "n.onnx", nodes, {"g": one, "v": 3.75 * one})
    read = read_file(tmp_path / "n.onnx")
    assert "rounded" not in str(read.layers[0])
    assert read.network.exact_weights[0] == ((0.5, 0, 0), (0, 0.5, 0), (0, 0, 0.5))


@pytest.mark.parametrize("opset", [7, 9, 13, 14, 15, 17])
def test_batch_norms_of_all_versions(tmp_path: Path, opset: int) -> None:
    values = {"g": matrix(2), "b": matrix(2), "m": matrix(2), "v": np.abs(matrix(2)) + np.float32(0.5)}
    nodes = [node("BatchNormalization", "x", "g", "b", "m", "v", momentum=0.9, out="1"), node("Relu", "1")]
    save(tmp_path / "n.onnx", nodes, values, (1, 2, 3, 2), opset=opset)
    x = matrix(2, 3, 2)
    g, b, m, v = (values[k].astype(float).reshape(2, 1, 1) for k in "gbmv")
    expected = np.maximum((x - m) * g / np.sqrt(v + 1e-5) + b, 0)
    got = read_network(tmp_path / "n.onnx").forward(x.astype(float).reshape(-1))
    np.testing.assert_allclose(got, expected.reshape(-1), rtol=1e-6, atol=1e-6)


def test_quantised_weights_are_read_exactly(tmp_path: Path) -> None:
    q = rng.integers(-128, 128, (3, 4)).astype(np.int8)
    scale, zero = np.float32([0.1, 0.2, 0.3, 7e-3]), np.int8([3, 0, -5, 1])
    nodes = [
        node("DequantizeLinear", "q", "s", "z", axis=1, out="w"), node("MatMul", "x", "w", out="1"), node("Relu", "1")
    ]  # fmt: skip
    save(tmp_path / "n.onnx", nodes, {"q": q, "s": scale, "z": zero})
    weights = read_network(tmp_path / "n.onnx").exact_weights[0]
    for i in range(3):
        for j in range(4):
            assert weights[j][i] == (int(q[i, j]) - int(zero[j])) * Fraction(float(scale[j]))


def test_weights_that_are_quantised_and_back(tmp_path: Path) -> None:
    w, scale = matrix(3, 4), np.float32(0.05)
    nodes = [
        node("QuantizeLinear", "w", "s", "z", out="q"), node("DequantizeLinear", "q", "s", "z", out="v"),
        node("Transpose", "v", perm=[1, 0], out="t"), node("Gemm", "x", "t", transB=1, out="1"), node("Relu", "1"),
    ]  # fmt: skip
    save(tmp_path / "n.onnx", nodes, {"w": w, "s": scale, "z": np.int8(2)})
    weights = read_network(tmp_path / "n.onnx").exact_weights[0]
    for i in range(3):
        for j in range(4):
            steps = weights[j][i] / Fraction(float(scale))
            assert steps.denominator == 1
            assert abs(steps - Fraction(float(w[i, j])) / Fraction(float(scale))) <= Fraction(51, 100)


def test_leaky_networks_have_a_short_form_and_one_in_relus(tmp_path: Path) -> None:
    a, b, slope = matrix(4, 3), matrix(5, 4), float(np.float32(0.1))
    nodes = [
        node("MatMul", "x", "a", out="1"), node("LeakyRelu", "1", alpha=0.1, out="2"),
        node("MatMul", "2", "b", out="3"), node("LeakyRelu", "3", alpha=0.3),
    ]  # fmt: skip
    save(tmp_path / "n.onnx", nodes, {"a": a.T, "b": b.T})
    read = read_file(tmp_path / "n.onnx")
    assert read.leaky is not None
    assert (read.leaky.slope, read.leaky.network.widths, read.network.widths) == (slope, (4, 10), (8, 10))
    assert "leaky ReLU of slope 0.1" in str(read.layers[0])
    assert "leaky ReLU left out" in str(read.layers[1])
    for x in points(3):
        z = exact(a) @ x
        y = np.array([v if v > 0 else Fraction(slope) * v for v in z], dtype=object)
        assert (output(read.network, x, linear=True) == exact(b) @ y).all()
    verdict = mcinj.check(read.leaky.network, slope=read.leaky.slope)
    assert verdict.verdict == "injective"


def test_slopes_that_differ_are_two_units_each(tmp_path: Path) -> None:
    a, b, c, d = matrix(3, 2), matrix(3, 3), matrix(2, 3), np.float32([-0.5, 0.0, 2.0])
    nodes = [
        node("MatMul", "x", "a", out="1"), node("PRelu", "1", "d", out="2"), node("MatMul", "2", "b", out="3"),
        node("LeakyRelu", "3", alpha=0.25, out="4"), node("MatMul", "4", "c"),
    ]  # fmt: skip
    save(tmp_path / "n.onnx", nodes, {"a": a.T, "b": b.T, "c": c.T, "d": d}, ("N", 2))
    read = read_file(tmp_path / "n.onnx")
    assert read.leaky is None
    assert read.network.widths == (5, 6, 4)
    assert "2 leaky ReLUs as two units each" in str(read.layers[0])

    def leaky(z: Any, slopes: Any) -> Any:
        return np.array([v if v > 0 else Fraction(float(s)) * v for v, s in zip(z, slopes, strict=True)], dtype=object)

    for x in points(2):
        y = leaky(exact(b) @ leaky(exact(a) @ x, d), [0.25] * 3)
        assert (output(read.network, x, linear=True) == exact(c) @ y).all()


@pytest.mark.parametrize("slope", [0.1, 0.5])
@pytest.mark.parametrize("last", ["LeakyRelu", None])
def test_verdicts_of_the_two_leaky_forms_agree(tmp_path: Path, slope: float, last: str | None) -> None:
    """Small whole weights, with and without full rank; the ReLU form is decided by the search for ReLU networks."""
    seen = set()
    for k in range(12):
        a, b = (np.random.default_rng(k).integers(-1, 2, shape).astype(np.float32) for shape in ((2, 2), (3, 2)))
        nodes = [node("MatMul", "x", "a", out="1"), node("LeakyRelu", "1", alpha=slope, out="2")]
        nodes += [node("MatMul", "2", "b", out="3" if last else "y")] + ([node(last, "3", alpha=slope)] if last else [])
        save(tmp_path / "n.onnx", nodes, {"a": a.T, "b": b.T}, ("N", 2))
        read = read_file(tmp_path / "n.onnx")
        assert read.leaky is not None
        short = mcinj.check(read.leaky.network, slope=read.leaky.slope).verdict
        long = mcinj.check(read.network, exact=True).verdict
        assert "unknown" in (short, long) or short == long
        seen.add(short)
    assert seen >= {"injective", "not_injective"}


def test_groups_of_a_transposed_convolution_keep_to_themselves(tmp_path: Path) -> None:
    """Against sums written out; the reference evaluator of onnx 1.23 mixes groups up."""
    kernel, bias, x = matrix(4, 3, 2), matrix(6), matrix(4, 5)
    nodes = [node("ConvTranspose", "x", "k", "b", group=2, strides=[2], output_padding=[1], pads=[1, 0], out="1")]
    save(tmp_path / "n.onnx", [*nodes, node("Relu", "1")], {"k": kernel, "b": bias}, (1, 4, 5))
    full = np.zeros((6, 5 * 2 + 1))
    for channel in range(4):
        for feature in range(3):
            for position in range(5):
                for k in range(2):
                    place = (channel // 2 * 3 + feature, position * 2 + k)
                    full[place] += float(kernel[channel, feature, k]) * float(x[channel, position])
    expected = np.maximum(full[:, 1:] + bias[:, None].astype(float), 0)
    got = read_network(tmp_path / "n.onnx").forward(x.astype(float).reshape(-1))
    np.testing.assert_allclose(got, expected.reshape(-1), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["SAME_UPPER", "SAME_LOWER"])
@pytest.mark.parametrize(("size", "window", "stride"), [(7, 2, 2), (6, 3, 2), (5, 4, 1), (4, 1, 3)])
def test_auto_pad(tmp_path: Path, kind: str, size: int, window: int, stride: int) -> None:
    kernel, x = matrix(1, 1, window), matrix(1, size)
    nodes = [node("Conv", "x", "k", auto_pad=kind, strides=[stride], out="1"), node("Relu", "1")]
    save(tmp_path / "n.onnx", nodes, {"k": kernel}, (1, 1, size))
    out = -(-size // stride)
    total = max(0, (out - 1) * stride + window - size)
    before = total // 2 if kind == "SAME_UPPER" else total - total // 2
    padded = np.concatenate([np.zeros(before), x[0].astype(float), np.zeros(total + window)])
    w = kernel[0, 0].astype(float)
    expected = [max(0.0, float(w @ padded[o * stride : o * stride + window])) for o in range(out)]
    by_onnx = ReferenceEvaluator(str(tmp_path / "n.onnx")).run(None, {"x": x[None]})[0].reshape(-1)
    if not np.allclose(by_onnx, expected, rtol=1e-5):  # onnx 1.16 to 1.19 pads (6, 3, 2) at the wrong end
        with pytest.raises(InputError, match="differs from what onnx's reference evaluator computes"):
            read_network(tmp_path / "n.onnx")
        return
    np.testing.assert_allclose(read_network(tmp_path / "n.onnx").forward(x.astype(float)[0]), expected, rtol=1e-6)


def test_shapes_that_a_graph_computes_are_followed(tmp_path: Path) -> None:
    """Shape, Gather, Mul, Concat before a Reshape, as older exporters write it; with a batch of any size."""
    nodes = [
        node("Shape", "x", out="s"), node("Gather", "s", "0", out="b"), node("Unsqueeze", "b", "axes", out="b1"),
        node("Concat", "b1", "rest", axis=0, out="t"), node("Reshape", "x", "t", out="1"),
        node("MatMul", "1", "w", out="2"), node("Relu", "2"),
    ]  # fmt: skip
    constants = {"0": np.array(0), "axes": np.array([0]), "rest": np.array([-1]), "w": matrix(6, 4)}
    save(tmp_path / "n.onnx", nodes, constants, ("N", 2, 3))
    assert read_network(tmp_path / "n.onnx").widths == (4,)


def test_constants_are_computed_exactly(tmp_path: Path) -> None:
    """w · c / d - e, all constants, with thirds: one matrix of rationals."""
    w, c, d = matrix(3, 4), np.float32(0.3), np.float32(3)
    nodes = [
        node("Mul", "w", "c", out="1"), node("Div", "1", "d", out="2"), node("Neg", "2", out="3"),
        node("MatMul", "x", "3", out="4"), node("Relu", "4"),
    ]  # fmt: skip
    save(tmp_path / "n.onnx", nodes, {"w": w, "c": c, "d": d})
    weights = read_network(tmp_path / "n.onnx").exact_weights[0]
    assert weights[1][2] == -Fraction(float(w[2, 1])) * Fraction(float(c)) / 3


def test_pooled_convolutions_need_no_large_matrix(tmp_path: Path) -> None:
    """A convolution on 100 x 100 that would unroll to 10^8 numbers is read where pooling makes it small."""
    kernel = matrix(1, 1, 2, 2)
    nodes = [
        node("Conv", "x", "k", out="1"), node("AveragePool", "1", kernel_shape=[33, 33], strides=[33, 33], out="2"),
        node("Relu", "2"),
    ]  # fmt: skip
    save(tmp_path / "n.onnx", nodes, {"k": kernel}, (1, 1, 100, 100))
    network = read_network(tmp_path / "n.onnx")
    assert network.widths == (9,)
    assert network.exact_weights[0][0][0] == Fraction(float(kernel[0, 0, 0, 0])) / 33**2


def test_an_output_in_the_middle_of_a_graph_is_the_output(tmp_path: Path) -> None:
    w = matrix(3, 4)
    save(tmp_path / "n.onnx", [node("MatMul", "x", "w"), onnx.helper.make_node("Relu", ["y"], ["z"])], {"w": w})
    read = read_file(tmp_path / "n.onnx")
    assert [layer.relu for layer in read.layers] == [False]


@pytest.mark.parametrize("end", ["Sigmoid", "Tanh", "Softplus", "Elu", "Selu", "Celu", "Softsign", "Atan", "Asinh"])
def test_a_monotone_end_is_left_out_with_a_word(tmp_path: Path, end: str) -> None:
    w = matrix(3, 4)
    nodes = [node("MatMul", "x", "w", out="1"), node(end, "1", out="2"), node("Reshape", "2", "s")]
    save(tmp_path / "n.onnx", nodes, {"w": w, "s": np.array([-1, 2, 2])})
    read = read_file(tmp_path / "n.onnx")
    assert f"linear (counts with both signs); {end} left out, strictly monotone" in str(read.layers[0])
    assert read.layers[0].to_json()["note"] == f"{end} left out, strictly monotone"
    np.testing.assert_array_equal(read.network.weights[0][:4], w.T.astype(float))


def test_the_maximum_with_a_number_is_a_shifted_relu(tmp_path: Path) -> None:
    """As today's exporter writes `clamp(min=1)`."""
    a = matrix(4, 3)
    nodes = [node("Max", "x", "one", out="1"), node("MatMul", "1", "a")]
    save(tmp_path / "n.onnx", nodes, {"a": a.T, "one": np.float32([0.75])})
    read = read_file(tmp_path / "n.onnx")
    for x in points(3):
        clamped = np.array([max(v, Fraction(3, 4)) for v in x], dtype=object)
        assert (output(read.network, x, linear=True) == exact(a) @ clamped).all()
    save(tmp_path / "n.onnx", nodes, {"a": a.T, "one": np.float32([0.75, 1, 1])})
    with pytest.raises(InputError, match="one number"):
        read_file(tmp_path / "n.onnx")


def test_places_in_several_axes_are_gathered(tmp_path: Path) -> None:
    """As today's exporter writes indexing with tensors."""
    x = exact(np.arange(1.0, 7.0))
    places = np.array([[[1, 2], [0, 0]], [[1, 2], [0, 1]]])
    nodes = [
        node("Reshape", "x", "s", out="1"), node("GatherND", "1", "places", out="2"),
        node("Reshape", "2", "t", out="3"), node("MatMul", "3", "a", out="4"), node("Relu", "4"),
    ]  # fmt: skip
    a = matrix(3, 4)
    constants = {"a": a.T, "places": places, "s": np.array([2, 3]), "t": np.array([1, 4])}
    save(tmp_path / "n.onnx", nodes, constants, shape=(1, 6))
    read = read_file(tmp_path / "n.onnx")
    expected = relu(exact(a) @ np.array([Fraction(v) for v in (6, 1, 6, 2)], dtype=object))
    assert (output(read.network, x, linear=False) == expected).all()
    for wrong in (np.array([[0, 0, 0]]), np.array(3)):
        save(tmp_path / "n.onnx", nodes, constants | {"places": wrong}, shape=(1, 6))
        with pytest.raises(InputError, match="meet a tensor"):
            read_file(tmp_path / "n.onnx")


def test_columns_with_weights_on_their_left(tmp_path: Path) -> None:
    """B relu(A x + c), x a column: no batch, though its first axis is not 1."""
    a, b, c = matrix(5, 3), matrix(4, 5), matrix(5, 1)
    nodes = [
        node("MatMul", "a", "x", out="1"), node("Add", "1", "c", out="2"), node("Relu", "2", out="3"),
        node("MatMul", "b", "3"),
    ]  # fmt: skip
    save(tmp_path / "n.onnx", nodes, {"a": a, "b": b, "c": c}, shape=(3, 1))
    network = read_network(tmp_path / "n.onnx")
    assert (network.n, network.widths) == (3, (5, 8))
    for x in points(3, 5):
        assert (output(network, x, linear=True) == exact(b) @ relu(exact(a) @ x + exact(c)[:, 0])).all()
