"""ONNX files that lie, overflow or ask for something else: one clear line each, at once; and edges that are read."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_sizes import cheap, refused

from mcinj.errors import InputError
from mcinj.networks.readers import read_file, read_network

onnx = pytest.importorskip("onnx")
TensorProto, helper, numpy_helper = onnx.TensorProto, onnx.helper, onnx.numpy_helper
ReferenceEvaluator = pytest.importorskip("onnx.reference").ReferenceEvaluator
rng = np.random.default_rng(3)
W = rng.standard_normal((3, 4)).astype(np.float32)


def save(
    path: Path, nodes: list[Any], constants: dict[str, Any] | None = None, shape: Any = ("N", 3), *, opset: int = 17,
    kind: int = TensorProto.FLOAT, functions: Any = (), domains: Any = (),
) -> Any:  # fmt: skip
    """Write a graph from x to y without any check; returns the model."""
    tensors = [
        v if isinstance(v, onnx.TensorProto) else numpy_helper.from_array(np.asarray(v), k)
        for k, v in (constants or {}).items()
    ]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", kind, list(shape))],
        [helper.make_tensor_value_info("y", kind, None)], tensors,
    )  # fmt: skip
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8, functions=list(functions))
    path.write_bytes(model.SerializeToString())
    return model


def node(op: str, *inputs: str, out: str = "y", domain: str = "", **attributes: Any) -> Any:
    return helper.make_node(op, list(inputs), [out], domain=domain, **attributes)


def evaluate(model: Any, x: Any) -> Any:
    return ReferenceEvaluator(model).run(None, {"x": x})[0]


NEG = helper.make_function(
    "loc", "Relu", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], [helper.make_opsetid("", 17)]
)
K = np.ones((2, 1, 2, 2), np.float32)
IMAGE = (1, 1, 5, 5)

# Name: nodes, constants, options of `save`, what the line says.
BAD: dict[str, tuple[list[Any], dict[str, Any], dict[str, Any], str]] = {
    "an input of 30,000": ([node("Relu", "x")], {}, {"shape": ("N", 30_000)}, "900,000,000 numbers"),
    "an input of 2^40": ([node("Relu", "x")], {}, {"shape": ("N", 2**40)}, "numbers"),
    "an input of 2^62 twice": ([node("Relu", "x")], {}, {"shape": ("N", 2**62, 2**62)}, r"10\^37 numbers"),
    "a negative axis": ([node("Relu", "x")], {}, {"shape": ("N", -3)}, "fixed size"),
    "no axis": ([node("Relu", "x")], {}, {"shape": ()}, "no shape"),
    "a batch of 4": ([node("Relu", "x")], {}, {"shape": (4, 3)}, "batch of 1"),
    "whole inputs": ([node("Relu", "x")], {}, {"kind": TensorProto.INT32}, "not of a type"),
    "alpha nan": ([node("Gemm", "x", "w", alpha=float("nan"))], {"w": W}, {}, "alpha is nan"),
    "alpha inf": ([node("Gemm", "x", "w", alpha=float("inf"))], {"w": W}, {}, "alpha is inf"),
    "beta nan": ([node("Gemm", "x", "w", "c", beta=float("nan"))], {"w": W, "c": W[0]}, {}, "beta is nan"),
    "weights nan": ([node("Gemm", "x", "w")], {"w": W * np.nan}, {}, "nan or inf"),
    "a bias of inf": ([node("Gemm", "x", "w", "c")], {"w": W, "c": W[0] * np.inf}, {}, "nan or inf"),
    "a missing operand": ([node("Gemm", "x")], {}, {}, "no valid ONNX.*input size"),
    "an empty operand": ([node("Gemm", "x", "")], {}, {}, "no valid ONNX"),
    "an unknown operand": ([node("Gemm", "x", "nowhere")], {}, {}, "no valid ONNX"),
    "no operand": ([node("Relu")], {}, {}, "no valid ONNX"),
    "an attribute of another type": ([node("Gemm", "x", "w", alpha="q")], {"w": W}, {}, "no valid ONNX.*type"),
    "an attribute as list": ([node("Gemm", "x", "w", transB=[1, 2])], {"w": W}, {}, "no valid ONNX.*type"),
    "strides as text": ([node("Conv", "x", "k", strides="a")], {"k": K}, {"shape": IMAGE}, "no valid ONNX"),
    "an unknown attribute": ([node("Relu", "x", power=2)], {}, {}, "no valid ONNX"),
    "strides 0": ([node("Conv", "x", "k", strides=[0, 1])], {"k": K}, {"shape": IMAGE}, "strides"),
    "strides -1": ([node("Conv", "x", "k", strides=[-1, 1])], {"k": K}, {"shape": IMAGE}, "strides"),
    "strides 2^62": ([node("Conv", "x", "k", strides=[2**62, 1])], {"k": K}, {"shape": IMAGE}, "strides"),
    "one stride": ([node("Conv", "x", "k", strides=[1])], {"k": K}, {"shape": IMAGE}, "strides"),
    "dilations 0": ([node("Conv", "x", "k", dilations=[0, 1])], {"k": K}, {"shape": IMAGE}, "dilations"),
    "pads -1": ([node("Conv", "x", "k", pads=[0, 0, -1, 0])], {"k": K}, {"shape": IMAGE}, "negative pads"),
    "pads 2^62": ([node("Conv", "x", "k", pads=[2**62, 0, 0, 0])], {"k": K}, {"shape": IMAGE}, "pads"),
    "pads 10^6": ([node("Conv", "x", "k", pads=[10**6, 0, 0, 0])], {"k": K}, {"shape": IMAGE}, "numbers"),
    "two pads": ([node("Conv", "x", "k", pads=[1, 1])], {"k": K}, {"shape": IMAGE}, "pads"),
    "group 0": ([node("Conv", "x", "k", group=0)], {"k": K}, {"shape": IMAGE}, "groups"),
    "group 2": ([node("Conv", "x", "k", group=2)], {"k": K}, {"shape": IMAGE}, "channels"),
    "another kernel_shape": ([node("Conv", "x", "k", kernel_shape=[3, 3])], {"k": K}, {"shape": IMAGE}, "kernel_shape"),
    "a kernel of 2 x 2 on 100 x 100": ([node("Conv", "x", "k")], {"k": K}, {"shape": (1, 1, 100, 100)}, "196,020,000"),
    "auto_pad VALID with pads": (
        [node("Conv", "x", "k", auto_pad="VALID", pads=[1, 1, 1, 1])], {"k": K}, {"shape": IMAGE}, "auto_pad"
    ),
    "auto_pad SAME with pads": (
        [node("Conv", "x", "k", auto_pad="SAME_UPPER", pads=[1, 1, 1, 1])], {"k": K}, {"shape": IMAGE}, "auto_pad"
    ),
    "auto_pad of another name": ([node("Conv", "x", "k", auto_pad="ODD")], {"k": K}, {"shape": IMAGE}, "auto_pad"),
    "a bias of another size": ([node("Conv", "x", "k", "c")], {"k": K, "c": W[0]}, {"shape": IMAGE}, "bias"),
    "an empty kernel": ([node("Conv", "x", "k")], {"k": K[:, :, :0]}, {"shape": IMAGE}, "does not fit|Conv"),
    "Cast to int": (
        [node("Cast", "x", out="1", to=TensorProto.INT32), node("Cast", "1", to=TensorProto.FLOAT)], {}, {}, "Cast"
    ),
    "Cast to bool": (
        [node("Cast", "x", out="1", to=TensorProto.BOOL), node("Cast", "1", to=TensorProto.FLOAT)], {}, {}, "Cast"
    ),
    "Cast of weights to int": (
        [node("Cast", "w", out="v", to=TensorProto.INT8), node("MatMul", "x", "v")], {"w": W}, {}, "Cast"
    ),
    "another domain": ([node("Relu", "x", domain="loc")], {}, {"domains": ["loc"]}, "domain loc"),
    "a function of the file": (
        [node("Relu", "x", domain="loc")], {}, {"functions": [NEG], "domains": ["loc"]}, "functions"
    ),
    "C of shape (N, 1)": ([node("Gemm", "x", "w", "c")], {"w": W, "c": W[:1].T}, {}, "change the shape"),
    "C with rows of its own": ([node("Gemm", "x", "w", "c")], {"w": W, "c": W}, {}, "change the shape"),
    "transA of a batch": ([node("Gemm", "x", "w", transA=1)], {"w": W[:1]}, {}, "batch"),
    "transA of other rows": ([node("Gemm", "x", "w", transA=1)], {"w": W[:2]}, {}, "features"),
    "weights of another type": ([node("Gemm", "x", "w")], {"w": W.astype(float)}, {}, "type"),
    "weights for other features": ([node("Gemm", "x", "w", transB=1)], {"w": W}, {}, "features"),
    "Flatten of rank 1 before Gemm": (
        [node("Flatten", "x", out="1"), node("Gemm", "1", "w")], {"w": W[:2]}, {"shape": (3,)}, "features"
    ),
    "Flatten axis 7": ([node("Flatten", "x", axis=7)], {}, {}, "axis 7"),
    "Reshape to rows": (
        [node("Reshape", "x", "s", out="1"), node("MatMul", "1", "w")], {"s": np.array([3, 1]), "w": W[:1]}, {},
        "batch",
    ),
    "Reshape to other sizes": ([node("Reshape", "x", "s")], {"s": np.array([2, 2])}, {}, "shape"),
    "Reshape to -1 twice": ([node("Reshape", "x", "s")], {"s": np.array([-1, -1])}, {}, "no shape"),
    "Reshape to -5": ([node("Reshape", "x", "s")], {"s": np.array([-5, 3])}, {}, "no shape"),
    "Reshape with a 0 too many": ([node("Reshape", "x", "s")], {"s": np.array([1, 3, 0])}, {}, "shape"),
    "Reshape in floats": ([node("Reshape", "x", "s")], {"s": np.array([1.0, 3.0])}, {}, "int64"),
    "Reshape to 2^40": ([node("Reshape", "x", "s")], {"s": np.array([2**40, -1])}, {}, "shape"),
    "Reshape of the batch": (
        [node("Reshape", "x", "s", out="1"), node("Relu", "1")], {"s": np.array([1, 3])}, {}, "fails on it|batch"
    ),
    "Dropout in training": (
        [node("Dropout", "x", "r", "t", out="1"), node("Relu", "1")], {"r": np.float32(0.5), "t": np.array(True)}, {},
        "training",
    ),
    "Dropout in training without a ratio": (
        [node("Dropout", "x", "", "t", out="1"), node("Relu", "1")], {"t": np.array(True)}, {}, "training"
    ),
    "Dropout of version 1": ([node("Dropout", "x", out="1"), node("Relu", "1")], {}, {"opset": 6}, "operator set 6"),
    "an operator set to come": ([node("Relu", "x")], {}, {"opset": 999}, "operator set 999"),
    "division by 0": ([node("Div", "x", "c")], {"c": np.float32([1, 0, 1])}, {}, "nonzero"),
    "division by x": ([node("Div", "c", "x")], {"c": np.float32([1, 1, 1])}, {}, "nonzero"),
    "x times x": ([node("Mul", "x", "x")], {}, {}, "not affine"),
    "x by x": ([node("MatMul", "x", "x")], {}, {"shape": (1, 1)}, "not affine"),
    "the mask of a Dropout": (
        [helper.make_node("Dropout", ["x"], ["1", "m"]), node("Cast", "m", to=TensorProto.FLOAT)], {}, {}, "nothing"
    ),
    "an output that does not depend on the input": (
        [node("Relu", "x", out="1"), node("Identity", "w")], {"w": W}, {}, "does not depend"
    ),
    "alpha of a LeakyRelu nan": ([node("LeakyRelu", "x", alpha=float("nan"))], {}, {}, "alpha is nan"),
    "alpha of an Elu 0": (
        [node("MatMul", "x", "w", out="1"), node("Elu", "1", alpha=0.0)], {"w": W}, {}, "strictly monotone"
    ),
    "alpha of an Elu inf": (
        [node("MatMul", "x", "w", out="1"), node("Elu", "1", alpha=float("inf"))], {"w": W}, {}, "alpha is inf"
    ),
    "a window of 2^40": (
        [node("AveragePool", "x", kernel_shape=[2**40, 1])], {}, {"shape": IMAGE}, r"2\^31|no valid"
    ),
    "a window of 0": ([node("AveragePool", "x", kernel_shape=[0, 1])], {}, {"shape": IMAGE}, "below 1|no valid"),
    "a window on three axes": (
        [node("AveragePool", "x", kernel_shape=[2, 2, 2])], {}, {"shape": IMAGE}, "kernel_shape"
    ),
    "ceil_mode": (
        [node("AveragePool", "x", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)], {}, {"shape": IMAGE}, "ceil_mode"
    ),
    "a transposed convolution to 10^12": (
        [node("ConvTranspose", "x", "k", strides=[10**6, 10**6])], {"k": K[:1]}, {"shape": IMAGE}, "numbers"
    ),
    "output_padding beyond the strides": (
        [node("ConvTranspose", "x", "k", output_padding=[1, 0])], {"k": K[:1]}, {"shape": IMAGE}, "output padding"
    ),
    "Expand to 2^40": ([node("Expand", "x", "s")], {"s": np.array([2**40, 1, 3])}, {}, "numbers"),
    "Expand to -1": ([node("Expand", "x", "s")], {"s": np.array([-1, 3])}, {}, "negative"),
    "Tile to 2^80": ([node("Tile", "x", "s")], {"s": np.array([2**40, 2**40])}, {}, "numbers"),
    "Pad to 2^60": ([node("Pad", "x", "s")], {"s": np.array([0, 2**60, 0, 0])}, {}, "pads"),
    "Pad to 10^9": ([node("Pad", "x", "s")], {"s": np.array([0, 10**9, 0, 0])}, {}, "numbers"),
    "Pad by ones": (
        [node("Pad", "x", "s", "v")], {"s": np.array([0, 1, 0, 0]), "v": np.float32(1)}, {}, "padding with zeros"
    ),
    "Pad with three pads": ([node("Pad", "x", "s")], {"s": np.array([0, 1, 0])}, {}, "pads"),
    "Gather beyond the end": ([node("Gather", "x", "s", axis=1)], {"s": np.array([3])}, {}, "fails on it"),
    "Gather along axis 9": ([node("Gather", "x", "s", axis=9)], {"s": np.array([0])}, {}, "axis 9"),
    "Gather of 8,000,000": (
        [node("Gather", "x", "s", axis=1)], {"s": np.zeros(4_000_000, np.int8)}, {"shape": ("N", 3, 2)}, "numbers"
    ),
    "a ConstantOfShape of 2^60": (
        [helper.make_node("ConstantOfShape", ["s"], ["c"]), node("Add", "x", "c")], {"s": np.array([2**30, 2**30])}, {},
        "numbers",
    ),
    "a Range of 2^60": (
        [helper.make_node("Range", ["a", "b", "d"], ["c"]), node("Reshape", "x", "c")],
        {"a": np.int64(0), "b": np.int64(2**60), "d": np.int64(1)}, {}, "numbers",
    ),
    "a Range without steps": (
        [helper.make_node("Range", ["a", "b", "d"], ["c"]), node("Reshape", "x", "c")],
        {"a": np.int64(0), "b": np.int64(4), "d": np.int64(0)}, {}, "no whole numbers",
    ),
    "Slice by a step of 0": (
        [node("Slice", "x", "a", "b", "c", "d")],
        {"a": np.array([0]), "b": np.array([3]), "c": np.array([1]), "d": np.array([0])}, {}, "fails on it|axis",
    ),
    "Transpose of axis 5": ([node("Transpose", "x", perm=[0, 5])], {}, {}, "fails on it|no valid"),
    "a negative variance": (
        [node("BatchNormalization", "x", "c", "c", "c", "v")], {"c": W[:, 0], "v": -np.ones(3, np.float32)}, {},
        "not positive",
    ),
    "a batch norm for other channels": (
        [node("BatchNormalization", "x", "c", "c", "c", "c")], {"c": W[0]}, {}, "channels"
    ),
    "a batch norm in training": (
        [node("BatchNormalization", "x", "c", "c", "c", "v", training_mode=1)],
        {"c": W[:, 0], "v": np.ones(3, np.float32)}, {}, "training",
    ),
    "epsilon nan": (
        [node("BatchNormalization", "x", "c", "c", "c", "v", epsilon=float("nan"))],
        {"c": W[:, 0], "v": np.ones(3, np.float32)}, {}, "epsilon is nan",
    ),
    "means of a batch norm nan": (
        [node("BatchNormalization", "x", "c", "c", "m", "v")],
        {"c": W[:, 0], "m": np.float32([1, np.nan, 0]), "v": np.ones(3, np.float32)}, {}, "nan or inf",
    ),
    "Clip with limits the wrong way": (
        [node("Clip", "x", "a", "b")], {"a": np.float32(2), "b": np.float32(1)}, {}, "nothing between"
    ),
    "Clip at nan": ([node("Clip", "x", "a")], {"a": np.float32("nan")}, {}, "nan"),
    "a scale of nan": (
        [helper.make_node("DequantizeLinear", ["q", "s"], ["w"]), node("MatMul", "x", "w")],
        {"q": np.ones((3, 4), np.int8), "s": np.float32("nan")}, {}, "nan or inf",
    ),
    "a zero point of another type": (
        [helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"]), node("MatMul", "x", "w")],
        {"q": np.ones((3, 4), np.int8), "s": np.float32(1), "z": np.uint8(1)}, {}, "zero point",
    ),
    "scales for another axis": (
        [helper.make_node("DequantizeLinear", ["q", "s"], ["w"], axis=0), node("MatMul", "x", "w")],
        {"q": np.ones((3, 4), np.int8), "s": np.ones(4, np.float32)}, {}, "scale",
    ),
    "quantised activations": (
        [helper.make_node("QuantizeLinear", ["x", "s"], ["q"]), node("DequantizeLinear", "q", "s")],
        {"s": np.float32(0.1)}, {}, "QuantizeLinear is not supported",
    ),
    "Resize by interpolation": (
        [node("Resize", "x", "", "s", mode="linear")], {"s": np.float32([1, 1, 2, 2])}, {"shape": IMAGE}, "nearest"
    ),
    "Resize to 10^12": (
        [node("Resize", "x", "", "s")], {"s": np.float32([1, 1, 1e6, 1e6])}, {"shape": IMAGE}, "numbers"
    ),
    "text as weights": (
        [node("MatMul", "x", "w")], {"w": helper.make_tensor("w", TensorProto.STRING, [3, 1], [b"a", b"b", b"c"])}, {},
        "no numbers",
    ),
    "a shape that depends on the input": (
        [node("Cast", "x", out="1", to=TensorProto.INT64), node("Reshape", "x", "1")], {}, {}, "Cast"
    ),
    "a tensor without data": (
        [node("MatMul", "x", "w")], {"w": TensorProto(name="w", data_type=1, dims=[3, 4])}, {}, "cannot be read|valid"
    ),
    "a tensor of 2^40": (
        [node("MatMul", "x", "w")], {"w": TensorProto(name="w", data_type=1, dims=[2**40, 2**40])}, {},
        "numbers|overflow",
    ),
    "a negative tensor": (
        [node("MatMul", "x", "w")], {"w": TensorProto(name="w", data_type=1, dims=[-3, 4])}, {}, "cannot be read|valid"
    ),
    "a type that is not there": (
        [node("MatMul", "x", "w")], {"w": TensorProto(name="w", data_type=77, dims=[1])}, {}, "cannot be read|valid"
    ),
    "two weights of one name": (
        [node("MatMul", "x", "w")],
        {"w": W, "v": numpy_helper.from_array(2 * W, "w")}, {}, "not unique",
    ),
    "overflow": ([node("MatMul", "x", "w"), ], {"w": W * np.float32(1e38)}, {"kind": TensorProto.FLOAT16}, "type"),
    "a Constant of text": (
        [helper.make_node("Constant", [], ["w"], value_string="a"), node("MatMul", "x", "w")], {}, {}, "Constant"
    ),
    "nothing but shapes": ([node("Flatten", "x")], {}, {}, "no linear layer"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_get_one_line(tmp_path: Path, name: str) -> None:
    nodes, constants, options, match = BAD[name]
    save(tmp_path / "n.onnx", nodes, constants, **options)
    refused(tmp_path / "n.onnx", match)


def test_a_batch_axis_that_is_none_is_refused(tmp_path: Path) -> None:
    """[N, 3] reshaped to [1, 3N] has rows that a network for one input does not have."""
    nodes = [node("Reshape", "x", "s", out="1"), node("Relu", "1")]
    save(tmp_path / "n.onnx", nodes, {"s": np.array([1, -1])})
    refused(tmp_path / "n.onnx", "batch")
    save(tmp_path / "n.onnx", nodes, {"s": np.array([1, -1])}, shape=(1, 3))
    assert read_network(tmp_path / "n.onnx").widths == (3,)


GOOD: dict[str, tuple[list[Any], dict[str, Any], dict[str, Any]]] = {
    "a vector": ([node("MatMul", "x", "w", out="1"), node("Relu", "1")], {"w": W}, {"shape": (3,)}),
    "a ratio without training": (
        [node("Dropout", "x", "r", "t", out="1"), node("MatMul", "1", "w")],
        {"r": np.float32(0.5), "t": np.array(False), "w": W}, {},
    ),
    "C a number": ([node("Gemm", "x", "w", "c", beta=0.3)], {"w": W, "c": np.float32(0.1)}, {}),
    "C of one row": ([node("Gemm", "x", "w", "c", alpha=0.1)], {"w": W, "c": W[:1]}, {}),
    "weights of a Cast": (
        [node("Cast", "w", out="v", to=TensorProto.FLOAT), node("MatMul", "x", "v")],
        {"w": np.array([[-128, 127], [1, 2], [3, -4]], np.int8)}, {},
    ),
    "Casts between floats": (
        [node("Cast", "x", out="1", to=TensorProto.DOUBLE), node("MatMul", "1", "w", out="2"),
         node("Cast", "2", to=TensorProto.FLOAT)],
        {"w": W.astype(float)}, {},
    ),
    "halves": ([node("Gemm", "x", "w")], {"w": W.astype(np.float16)}, {"kind": TensorProto.FLOAT16}),
    "ReLU of a ReLU": ([node("Relu", "x", out="1"), node("Relu", "1")], {}, {}),
    "normalised inputs": (
        [node("Sub", "x", "m", out="1"), node("Div", "1", "s", out="2"), node("MatMul", "2", "w", out="3"),
         node("Add", "3", "c", out="4"), node("Relu", "4")],
        {"m": np.float32([0.1, 0.2, 0.3]), "s": np.float32([0.3, 0.7, 1.1]), "w": W, "c": W[0]}, {},
    ),
    "c - x": ([node("Sub", "c", "x", out="1"), node("Relu", "1")], {"c": np.float32([1, 2, 3])}, {}),
    "two matrices": ([node("MatMul", "x", "w", out="1"), node("MatMul", "1", "v")], {"w": W, "v": W.T}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_edges_that_are_read(tmp_path: Path, name: str) -> None:
    nodes, constants, options = GOOD[name]
    model = save(tmp_path / "n.onnx", nodes, constants, **options)
    read = read_file(tmp_path / "n.onnx")
    dtype = np.float16 if options.get("kind") == TensorProto.FLOAT16 else np.float32
    shape = tuple(1 if d == "N" else d for d in options.get("shape", ("N", 3)))
    for _ in range(5):
        x = rng.standard_normal(shape).astype(dtype)
        y = read.network.forward(x.reshape(-1).astype(float))
        if not read.layers[-1].relu:
            y = y[: len(y) // 2] - y[len(y) // 2 :]
        tolerance = 2e-2 if dtype is np.float16 else 1e-5
        np.testing.assert_allclose(y, evaluate(model, x).reshape(-1), rtol=tolerance, atol=tolerance)


def test_auto_pad_valid_is_no_padding() -> None:
    """Without the reader's comparison: the evaluator of onnx 1.16 pads here, against the standard."""
    import mcinj.networks.onnx as reader

    networks = []
    for attributes in ({}, {"auto_pad": "VALID"}, {"auto_pad": "NOTSET", "pads": [0, 0, 0, 0]}):
        graph = helper.make_graph(
            [node("Conv", "x", "k", **attributes)], "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(IMAGE))],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [numpy_helper.from_array(K, "k")],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        networks.append(reader.Graph(onnx, model).reading().network.digest())
    assert networks == networks[:1] * 3


def test_factors_and_products_are_exact(tmp_path: Path) -> None:
    """alpha·W and W2·W1 as rationals of the file's numbers, not as floats of them."""
    alpha = Fraction(float(np.float32(0.1)))
    nodes = [node("Gemm", "x", "w", alpha=0.1, out="1"), node("MatMul", "1", "v")]
    save(tmp_path / "n.onnx", nodes, {"w": W, "v": W.T})
    weights = read_network(tmp_path / "n.onnx").exact_weights[0]
    for i in range(3):
        for j in range(3):
            expected = alpha * sum(Fraction(float(W[i, k])) * Fraction(float(W[j, k])) for k in range(4))
            assert weights[j][i] == expected
    save(tmp_path / "n.onnx", [node("Div", "x", "c", out="1"), node("Relu", "1")], {"c": np.float32([3, 7, 0.1])})
    diagonal = [read_network(tmp_path / "n.onnx").exact_weights[0][k][k] for k in range(3)]
    assert diagonal == [Fraction(1, 3), Fraction(1, 7), 1 / Fraction(float(np.float32(0.1)))]


def test_biases_below_every_float_are_kept(tmp_path: Path) -> None:
    nodes = [node("Gemm", "x", "w", "c", beta=1e-38, out="1"), node("Relu", "1")]
    w, c = np.array([[1.0, -1.0]]), np.array([-1e-300, -1e-300])
    save(tmp_path / "n.onnx", nodes, {"w": w, "c": c}, shape=("N", 1), kind=TensorProto.DOUBLE)
    biases = read_network(tmp_path / "n.onnx").exact_biases
    assert biases is not None
    assert biases[0] == (Fraction(-1e-300) * Fraction(float(np.float32(1e-38))),) * 2
    assert biases[0][0] < 0


def test_what_the_file_says_of_its_last_layer_is_not_overruled(tmp_path: Path) -> None:
    save(tmp_path / "linear.onnx", [node("MatMul", "x", "w")], {"w": W})
    save(tmp_path / "relu.onnx", [node("MatMul", "x", "w", out="1"), node("Relu", "1")], {"w": W})
    assert read_network(tmp_path / "linear.onnx", last="linear").widths == (8,)
    assert read_network(tmp_path / "relu.onnx", last="relu").widths == (4,)
    for name, last in (("linear", "relu"), ("relu", "linear")):
        with pytest.raises(InputError, match="leave --last out"):
            read_network(tmp_path / f"{name}.onnx", last=last)
    with pytest.raises(InputError, match="gives the order itself"):
        read_network(tmp_path / "relu.onnx", layers=["w"])


@pytest.mark.parametrize("exponent", [20, 30, 37])
def test_large_weights_are_compared_where_nothing_overflows(tmp_path: Path, exponent: int) -> None:
    w = W * np.float32(10.0**exponent)
    save(tmp_path / "n.onnx", [node("MatMul", "x", "w", out="1"), node("Relu", "1")], {"w": w})
    assert read_network(tmp_path / "n.onnx").floats_are_exact


def test_every_truncation_and_damage_is_refused_or_read(tmp_path: Path) -> None:
    """Damage gives an `InputError` or a network that its own file's evaluator agrees with; never another exception."""
    path = tmp_path / "n.onnx"
    save(path, [node("Gemm", "x", "w", "c", out="1"), node("Relu", "1")], {"w": W, "c": W[0]})
    whole = path.read_bytes()
    with cheap(60.0, 200.0):
        for length in range(0, len(whole), 5):
            path.write_bytes(whole[:length])
            with pytest.raises(InputError):
                read_network(path)
        for at in range(0, len(whole), 3):
            for flip in (0x01, 0x80, 0x55):
                path.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
                with suppress(InputError):
                    read_network(path)
