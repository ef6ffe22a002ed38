"""`mcinj check` and `verify` on files of other tools: the layers that were read, --layers, --last, errors."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mcinj.cli import main

Cli = Callable[..., tuple[int, str, str]]

CROSS = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mcinj", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def one_line(result: tuple[int, str, str], says: str) -> None:
    code, out, err = result
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("mcinj: ")
    assert says in err


def test_the_layers_that_were_read_are_shown(cli: Cli) -> None:
    np.savez("a.npz", W1=CROSS, b1=np.array([0.0, 1.0, 0.0, 0.0]))
    code, out, _ = cli("check", "a.npz")
    assert code == 0
    assert out.splitlines()[:2] == ["a.npz: n = 2, widths 4", "  layer 1: W1: 4 x 2, bias, ReLU"]
    code, out, _ = cli("check", "a.npz", "--json")
    assert json.loads(out)["layers"] == [{"name": "W1", "shape": [4, 2], "bias": True, "relu": True}]
    np.savez("b.npz", W1=CROSS[:2])
    code, out, _ = cli("check", "b.npz", "--last", "linear")
    assert code == 0
    assert "  layer 1: W1: 2 x 2, linear (counts with both signs)" in out
    assert cli("check", "b.npz")[0] == 1


def test_an_order_that_is_open_is_asked_for(cli: Cli, tmp_path: Path) -> None:
    st = pytest.importorskip("safetensors.numpy")
    rng = np.random.default_rng(0)
    stem, body = np.zeros((2, 2)), rng.standard_normal((2, 2))
    st.save_file({"stem.weight": stem, "body.weight": body}, "n.safetensors")
    one_line(cli("check", "n.safetensors"), "--layers stem,body,head")
    one_line(cli("check", "n.safetensors", "--layers", "stem"), "leaves out body")
    one_line(cli("check", "n.safetensors", "--layers", "stem,body,head"), "names head")
    one_line(cli("verify", "n.cert", "n.safetensors"), "--layers")
    np.savez("a.npz", W1=CROSS)
    one_line(cli("check", "a.npz", "--layers", "W1"), "gives the order itself")
    code, out, _ = cli("check", "n.safetensors", "--layers", "stem, body", "--criterion", "layerwise")
    assert code == 1
    assert "  layer 1: stem: 2 x 2, ReLU\n  layer 2: body: 2 x 2, ReLU\n" in out


def test_a_certificate_is_verified_for_the_order_that_was_asked_for(cli: Cli) -> None:
    st = pytest.importorskip("safetensors.numpy")
    wide = np.vstack([np.eye(4), -np.eye(4)])
    st.save_file({"stem.weight": CROSS, "body.weight": np.ascontiguousarray(wide)}, "n.safetensors")
    options = ("--layers", "stem,body", "--criterion", "layerwise")
    assert cli("check", "n.safetensors", *options, "--certificate", "n.cert")[0] == 0
    assert cli("verify", "n.cert", "n.safetensors", "--layers", "stem,body")[0] == 0
    one_line(cli("verify", "n.cert", "n.safetensors", "--layers", "body,stem"), "another order")


def test_onnx_files_say_their_ends_themselves(cli: Cli) -> None:
    onnx = pytest.importorskip("onnx")
    h, kind = onnx.helper, onnx.TensorProto.FLOAT
    for name, ops in (("linear", ["MatMul"]), ("relu", ["MatMul", "Relu"])):
        names = ["x", *"12"[: len(ops) - 1], "y"]
        nodes = [
            h.make_node(op, [names[i], "fc.weight"][: 2 if op == "MatMul" else 1], [names[i + 1]])
            for i, op in enumerate(ops)
        ]
        graph = h.make_graph(
            nodes, "g",
            [h.make_tensor_value_info("x", kind, ["N", 2])], [h.make_tensor_value_info("y", kind, ["N", 4])],
            [onnx.numpy_helper.from_array(CROSS.T.astype(np.float32), "fc.weight")],
        )  # fmt: skip
        onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), f"{name}.onnx")
    code, out, _ = cli("check", "linear.onnx")
    assert code == 0
    assert "  layer 1: MatMul fc.weight: 4 x 2, linear (counts with both signs)" in out
    code, out, _ = cli("check", "relu.onnx", "--last", "relu")
    assert code == 0
    assert "  layer 1: MatMul fc.weight: 4 x 2, ReLU" in out
    one_line(cli("check", "relu.onnx", "--last", "linear"), "leave --last out")
    one_line(cli("check", "relu.onnx", "--slope", "0.1"), "leave --slope out")


def test_leaky_relus_with_a_linear_end(cli: Cli) -> None:
    """Injective exactly if no column is lost: the leaky ReLU between is invertible."""
    np.savez("a.npz", W1=CROSS[:2], W2=CROSS[:2])
    np.savez("b.npz", W1=CROSS[:2], W2=CROSS[[0, 0]])
    for name, code in (("a.npz", 0), ("b.npz", 1)):
        assert cli("check", name, "--slope", "0.1", "--last", "linear")[0] == code
        assert cli("check", name, "--last", "linear")[0] == 1


def test_an_onnx_file_with_leaky_relus_carries_its_slope(cli: Cli) -> None:
    onnx = pytest.importorskip("onnx")
    h = onnx.helper
    w = CROSS[:2].T.astype(np.float32)
    graph = h.make_graph(
        [
            h.make_node("MatMul", ["x", "w"], ["1"]), h.make_node("LeakyRelu", ["1"], ["2"], alpha=0.25),
            h.make_node("MatMul", ["2", "w"], ["3"]), h.make_node("Sigmoid", ["3"], ["y"]),
        ],
        "g", [h.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 2])],
        [h.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)], [onnx.numpy_helper.from_array(w, "w")],
    )  # fmt: skip
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), "n.onnx")
    code, out, _ = cli("check", "n.onnx")
    assert code == 0
    assert "layer 1: MatMul w: 2 x 2, leaky ReLU of slope 0.25\n" in out
    assert "layer 2: MatMul w: 2 x 2, linear (counts with both signs); Sigmoid left out, strictly monotone\n" in out
    assert cli("check", "n.onnx", "--criterion", "regional")[0] in (0, 3)
    assert cli("check", "n.onnx", "--domain", "box:-1,1")[0] in (0, 3)
    one_line(cli("check", "n.onnx", "--slope", "0.25"), "leave --slope out")


def test_a_small_file_of_many_zeros_is_refused_at_once(cli: Cli) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (20_000, 1000)})
    with zipfile.ZipFile("z.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("W1.npy", "w") as stream:
        stream.write(header.getvalue())
        for _ in range(160):
            stream.write(bytes(1_000_000))
    one_line(cli("check", "z.npz"), "20,000,000 numbers")
    one_line(cli("verify", "z.cert", "z.npz"), "20,000,000 numbers")
