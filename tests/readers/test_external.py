"""ONNX weights in a file beside the model: what exporters write is read, every other place and size is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_sizes import refused

from mcinj.networks.limits import MAX_BYTES
from mcinj.networks.readers import read_file, read_network

onnx = pytest.importorskip("onnx")
DATA = Path(__file__).parent / "data"
W = np.random.default_rng(8).standard_normal((3, 40)).astype(np.float32)


def save(folder: Path, **entries: str | None) -> Path:
    """A model whose one weight lies in `w.bin`, with these entries changed (None: left out)."""
    h = onnx.helper
    tensor = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=W.shape)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in ({"location": "w.bin", "offset": "8", "length": str(W.nbytes)} | entries).items():
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    graph = h.make_graph(
        [h.make_node("MatMul", ["x", "w"], ["1"]), h.make_node("Relu", ["1"], ["y"])], "g",
        [h.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3])],
        [h.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 40])], [tensor],
    )  # fmt: skip
    (folder / "w.bin").write_bytes(bytes(8) + W.astype("<f4").tobytes())
    path = folder / "n.onnx"
    path.write_bytes(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8).SerializeToString())
    return path


def test_what_pytorch_exports_is_read() -> None:
    read = read_file(DATA / "mlp.onnx")
    model = onnx.load(DATA / "mlp.onnx")  # onnx's own reader of external data
    tensors = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    assert [layer.shape for layer in read.layers] == [(16, 2), (24, 16)]
    np.testing.assert_array_equal(read.network.weights[0], tensors["0.weight"])
    np.testing.assert_array_equal(read.network.weights[1][:24], tensors["2.weight"])
    x = np.random.default_rng(0).standard_normal((1, 2)).astype(np.float32)
    y = read.network.forward(x[0])
    expected = onnx.reference.ReferenceEvaluator(model).run(None, {model.graph.input[0].name: x})[0]
    np.testing.assert_allclose(y[:24] - y[24:], expected[0], rtol=1e-5, atol=1e-6)


def test_offsets_and_lengths(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_network(save(tmp_path)).weights[0], W.T)
    np.testing.assert_array_equal(read_network(save(tmp_path, length=None)).weights[0], W.T)
    shifted = read_network(save(tmp_path, offset=None)).weights[0].T.reshape(-1)
    np.testing.assert_array_equal(shifted, np.concatenate([[0.0, 0.0], W.reshape(-1)[:-2]]))


@pytest.mark.parametrize(
    ("entries", "match"),
    [
        ({"location": "/etc/hostname"}, "plain file name"),
        ({"location": "../w.bin"}, "plain file name"),
        ({"location": ".."}, "plain file name"),
        ({"location": "."}, "plain file name"),
        ({"location": ""}, "plain file name"),
        ({"location": None}, "plain file name"),
        ({"location": "sub/w.bin"}, "plain file name"),
        ({"location": "..\\w.bin"}, "plain file name"),
        ({"location": "w\0.bin"}, "plain file name"),
        ({"location": "absent"}, "no absent next to"),
        ({"location": "a" * 5000}, "cannot be read"),
        ({"offset": "-8"}, "whole number"),
        ({"offset": "x"}, "whole number"),
        ({"offset": "²"}, "whole number"),
        ({"offset": "9" * 5000}, "whole number"),
        ({"offset": "9" * 18}, "ends before"),
        ({"offset": "9"}, "ends before"),
        ({"length": "4"}, "are given for a tensor"),
        ({"length": str(2**40)}, "are given for a tensor"),
    ],
)
def test_other_places_and_sizes_are_refused(tmp_path: Path, entries: dict[str, Any], match: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(bytes(8) + W.tobytes())  # what `..` would reach is a file that fits
    refused(save(folder, **entries), match)


def test_links_pipes_folders_and_large_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(8) + W.tobytes())
    (tmp_path / "model").mkdir()
    place = tmp_path / "model" / "other"
    path = save(tmp_path / "model", location="other")
    place.symlink_to(tmp_path / "secret")
    refused(path, "symbolic link")
    place.unlink()
    place.mkdir()
    refused(path, "cannot be read|no regular file")
    place.rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(place)
        refused(path, "no regular file")
        place.unlink()
    with place.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    refused(path, "MiB")


def test_dimensions_beyond_every_file_are_refused_at_once(tmp_path: Path) -> None:
    path = save(tmp_path)
    model = onnx.load(path, load_external_data=False)
    for dims, match in (([2**40, 2**20], "numbers"), ([-3, -40], "given for a tensor"), ([-3, 40], "given for")):
        del model.graph.initializer[0].dims[:]
        model.graph.initializer[0].dims.extend(dims)
        path.write_bytes(model.SerializeToString())
        refused(path, match)
    model.graph.initializer[0].data_type = 77
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(W.shape)
    path.write_bytes(model.SerializeToString())
    refused(path, "type 77")
