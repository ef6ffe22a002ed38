"""Readers of ONNX, safetensors and torch files against the formats' own evaluators, and their refusals."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcinj.errors import InputError
from mcinj.networks.readers import read_network

rng = np.random.default_rng(4)


def dense(rows: int, columns: int) -> Any:
    return rng.standard_normal((rows, columns)).astype(np.float32)


# --- safetensors -----------------------------------------------------------------------------------------------------


def test_safetensors_layers_in_natural_order(tmp_path: Path) -> None:
    st = pytest.importorskip("safetensors.numpy")
    a, b, c = dense(5, 3), dense(6, 5), rng.standard_normal(6)
    path = tmp_path / "net.safetensors"
    st.save_file({"net.10.weight": b, "net.10.bias": c, "net.9.weight": a}, path)
    net = read_network(path)
    assert net.widths == (5, 6)
    x = rng.standard_normal(3)
    expected = np.maximum(b.astype(float) @ np.maximum(a.astype(float) @ x, 0) + c, 0)
    np.testing.assert_allclose(net.forward(x), expected)
    assert net.floats_are_exact


def test_a_linear_last_layer_counts_with_both_signs(tmp_path: Path) -> None:
    st = pytest.importorskip("safetensors.numpy")
    a = dense(4, 2)
    st.save_file({"a.weight": a}, tmp_path / "n.safetensors")
    net = read_network(tmp_path / "n.safetensors", last="linear")
    x = rng.standard_normal(2)
    y = net.forward(x)
    np.testing.assert_allclose(y[:4] - y[4:], a.astype(float) @ x)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"conv.weight": np.zeros((2, 1, 3, 3))}, "ONNX"),
        ({"bn.running_mean": np.zeros(3)}, "no linear layer"),
        ({"a.bias": np.zeros(3)}, r"a\.bias without"),
        ({"l1.weight": np.ones((3, 2)), "l2.weight": np.ones((3, 4))}, "columns"),
        ({"a.weight": np.full((3, 2), np.nan)}, "nan"),
    ],
)
def test_safetensors_that_are_no_linear_layers_are_refused(tmp_path: Path, tensors: Any, message: str) -> None:
    st = pytest.importorskip("safetensors.numpy")
    st.save_file(tensors, tmp_path / "n.safetensors")
    with pytest.raises(InputError, match=message):
        read_network(tmp_path / "n.safetensors")


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".pt"])
@pytest.mark.parametrize("content", [b"", b"not a network", b"\xff" * 4096])
def test_corrupt_files_give_one_line(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_network(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".pt"])
def test_missing_files_are_named(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_network(tmp_path / f"absent{suffix}")


@pytest.mark.parametrize(("suffix", "package"), [(".safetensors", "safetensors"), (".onnx", "onnx"), (".pt", "torch")])
def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, package: str
) -> None:
    import importlib
    import sys

    import mcinj.networks.optional

    def absent(name: str, *args: Any, **keywords: Any) -> Any:
        if name.split(".")[0] == package:
            raise ImportError(name)
        return importlib.import_module(name, *args, **keywords)

    for name in [n for n in sys.modules if n.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(mcinj.networks.optional, "import_module", absent)
    path = tmp_path / f"n{suffix}"
    path.write_bytes(b"x")
    with pytest.raises(InputError, match=rf"mcinj\[{package}\]"):
        read_network(path)


def test_a_torch_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mcinj.networks.torch as reader

    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 5_000_000)
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(reader, "MAX_BYTES", 1_000_000)
    with pytest.raises(InputError, match="unpacks"):
        read_network(path)


def test_torch_state_dicts(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(3, 7), torch.nn.ReLU(), torch.nn.Linear(7, 8), torch.nn.ReLU())
    torch.save(model.state_dict(), tmp_path / "n.pt")
    net = read_network(tmp_path / "n.pt")
    x = rng.standard_normal(3)
    expected = model.double()(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(net.forward(x), expected)
    torch.save(model, tmp_path / "whole.pt")
    with pytest.raises(InputError, match="state_dict"):
        read_network(tmp_path / "whole.pt")


# --- ONNX ------------------------------------------------------------------------------------------------------------


def save(path: Path, nodes: Any, constants: dict[str, Any], shape: list[Any], out: str) -> Any:
    """Write an ONNX file; returns its model."""
    onnx = pytest.importorskip("onnx")
    h = onnx.helper
    graph = h.make_graph(
        [h.make_node(*args, **kw) for args, kw in nodes], "g",
        [h.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [h.make_tensor_value_info(out, onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )  # fmt: skip
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return model


def evaluate(model: Any, x: Any) -> Any:
    """The reference implementation's output, in the precision of the file."""
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"x": x.astype(np.float32)})[0].reshape(-1)


def test_onnx_gemm_matmul_add_relu(tmp_path: Path) -> None:
    constants = {"a": dense(5, 3), "c": dense(1, 5)[0], "b": dense(5, 7), "d": dense(1, 7)}
    nodes = [
        (("Gemm", ["x", "a", "c"], ["1"]), {"transB": 1}),
        (("Relu", ["1"], ["2"]), {}),
        (("MatMul", ["2", "b"], ["3"]), {}),
        (("Add", ["d", "3"], ["4"]), {}),
        (("Relu", ["4"], ["y"]), {}),
    ]
    model = save(tmp_path / "n.onnx", nodes, constants, ["N", 3], "y")
    net = read_network(tmp_path / "n.onnx")
    assert net.widths == (5, 7)
    assert net.floats_are_exact
    for _ in range(5):
        x = rng.standard_normal(3).astype(np.float32)
        np.testing.assert_allclose(net.forward(x), evaluate(model, x[None]), rtol=1e-4, atol=1e-5)


def test_onnx_convolutions_strides_pads_groups_and_a_linear_end(tmp_path: Path) -> None:
    constants = {
        "k": rng.standard_normal((4, 1, 3, 2)).astype(np.float32), "c": dense(1, 4)[0],
        "s": np.float32(0.5), "w": dense(4 * 3 * 4, 6), "d": dense(1, 6)[0],
    }  # fmt: skip
    nodes = [
        (
            ("Conv", ["x", "k", "c"], ["1"]),
            {"group": 2, "strides": [2, 1], "pads": [1, 0, 1, 1], "dilations": [1, 2]},
        ),
        (("Relu", ["1"], ["2"]), {}),
        (("Mul", ["2", "s"], ["3"]), {}),
        (("Flatten", ["3"], ["4"]), {}),
        (("MatMul", ["4", "w"], ["5"]), {}),
        (("Add", ["5", "d"], ["y"]), {}),
    ]
    model = save(tmp_path / "n.onnx", nodes, constants, [1, 2, 5, 5], "y")
    net = read_network(tmp_path / "n.onnx")
    x = rng.standard_normal((1, 2, 5, 5)).astype(np.float32)
    expected = evaluate(model, x)
    got = net.forward(x.reshape(-1))
    np.testing.assert_allclose(got[:6] - got[6:], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([(("Gelu", ["x"], ["y"]), {})], "not supported|No Op"),
        ([(("Sigmoid", ["x"], ["y"]), {})], "no linear layer"),
        ([(("Sigmoid", ["x"], ["1"]), {}), (("MatMul", ["1", "w"], ["y"]), {})], "only at the end .* Sigmoid left out"),
        ([(("Softmax", ["x"], ["y"]), {})], "Softmax is not supported"),
        ([(("MaxPool", ["x"], ["y"]), {"kernel_shape": [2]})], "MaxPool"),
        ([(("Mul", ["x", "x"], ["y"]), {})], "not affine"),
        ([(("Sigmoid", ["x"], ["1"]), {}), (("Mul", ["x", "1"], ["y"]), {})], "only at the end|not affine"),
        ([(("Sigmoid", ["x"], ["1"]), {}), (("Add", ["1", "x"], ["y"]), {})], "meet after the last layer"),
    ],
)
def test_onnx_that_is_no_relu_network_is_refused(tmp_path: Path, nodes: Any, message: str) -> None:
    save(tmp_path / "n.onnx", nodes, {"w": dense(3, 4)}, ["N", 3], "y")
    with pytest.raises(InputError, match=message):
        read_network(tmp_path / "n.onnx")


def test_onnx_with_unknown_input_size_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "n.onnx", [(("Relu", ["x"], ["y"]), {})], {}, ["N", "features"], "y")
    with pytest.raises(InputError, match="fixed size"):
        read_network(tmp_path / "n.onnx")
