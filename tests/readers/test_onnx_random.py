"""The ONNX reader against onnx's reference evaluator on random graphs: what it reads is equal, the rest is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcinj.errors import InputError

pytest.importorskip("onnx")

import onnx
from onnx.reference import ReferenceEvaluator
from onnx_graphs import Draft, draw

import mcinj.networks.onnx as reader
import mcinj.networks.onnx_operators as operators
from mcinj.networks.compare import forward
from mcinj.networks.reading import Reading

GRAPHS = 400


def differs(draft: Draft, model: Any, graph: reader.Graph, read: Reading, rng: np.random.Generator) -> str:
    """How the network that was read differs from the graph on random inputs; empty if it does not."""
    evaluator = ReferenceEvaluator(model)
    eps = float(np.finfo(np.float16 if "float16" in str(model_types(model)) else np.float32).eps)
    # A first axis of free size is a batch, and the network takes one input.
    shape = (1, *draft.shape[1:]) if draft.declared[0] == "N" else draft.shape
    for scale in (1.0, 1.0, 1.0, 0.1, 8.0):
        x = (rng.standard_normal(shape) * scale).astype(draft.start)
        with np.errstate(all="ignore"):
            expected = evaluator.run(None, {"x": x})[0]
        y = forward(graph.assembly, graph.end, read, x.astype(float).reshape(-1))
        if expected.size != y.size:
            return f"{y.size} outputs, not {expected.size}"
        expected = expected.astype(float).reshape(-1)
        if not np.isfinite(expected).all():
            continue
        # Roundings of these small graphs, with cancellation: far below what any other operator would give.
        room = 300.0 * eps * (1.0 + float(np.abs(x).max())) * size_of_sums(read)
        if np.abs(y - expected).max() > room:
            return f"{y} is not {expected}"
        if read.leaky is not None:
            short = forward(graph.assembly, graph.end, read, x.astype(float).reshape(-1), leaky=True)
            if np.abs(short - y).max() > 1e-9 * (1.0 + float(np.abs(x).max())) * size_of_sums(read):
                return f"the leaky form gives {short}, not {y}"
    return ""


def model_types(model: Any) -> set[str]:
    """Types of the tensors of a graph."""
    names = {onnx.TensorProto.FLOAT16: "float16"}
    casts = {a.i for n in model.graph.node for a in n.attribute if a.name == "to"}
    return {names.get(t, "") for t in casts | {model.graph.input[0].type.tensor_type.elem_type}}


def size_of_sums(read: Reading) -> float:
    """Largest output for an input of ones, signs dropped."""
    a = np.ones(read.network.n)
    for k, w in enumerate(read.network.weights):
        a = np.abs(w) @ a + (np.abs(read.network.biases[k]) if read.network.biases is not None else 0.0) + 1.0
    return float(a.max())


def check_graphs(seed: int, count: int) -> tuple[int, int, int]:
    """Numbers of graphs that were read, of supported graphs that were refused, and of all supported graphs."""
    rng = np.random.default_rng(seed)
    accepted = missed = supported = 0
    for k in range(count):
        draft, spoiled = draw(rng)
        model = onnx.load_model_from_string(draft.model().SerializeToString())
        supported += not spoiled
        try:
            graph = reader.Graph(onnx, model)
            read = graph.reading()
        except InputError:
            missed += not spoiled
            continue
        accepted += 1
        why = differs(draft, model, graph, read, rng)
        assert not why, f"graph {seed}/{k} ({[n.op_type for n in model.graph.node]}): {why}"
    return accepted, missed, supported


def test_what_is_read_of_a_random_graph_is_the_graph() -> None:
    accepted, missed, supported = check_graphs(1, GRAPHS)
    # The generator also makes tensors of several rows, which are refused by design; most graphs are to be read.
    assert accepted > GRAPHS // 4
    assert supported - missed > supported // 2


def test_the_comparison_finds_operators_taken_for_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A reader that takes Abs, Neg … for ReLU or for nothing must be caught by its own comparison."""
    h = onnx.helper
    caught = 0
    for op in ("Abs", "Neg", "LeakyRelu", "Elu", "Sigmoid", "Ceil"):
        for taken in (operators._relu, operators._same):
            monkeypatch.setitem(reader.OPERATORS, op, taken)
            w = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
            graph = h.make_graph(
                [h.make_node("MatMul", ["x", "w"], ["1"]), h.make_node(op, ["1"], ["y"])], "g",
                [h.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 2])],
                [h.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 2])],
                [onnx.numpy_helper.from_array(w, "w")],
            )  # fmt: skip
            onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), tmp_path / "n.onnx")
            with pytest.raises(InputError, match="differs from what"):
                reader.load_onnx(tmp_path / "n.onnx")
            caught += 1
    assert caught == 12
