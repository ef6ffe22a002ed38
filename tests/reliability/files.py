"""Damaged files of every format: each is read, or refused as a user's error; nothing else may happen.

Readers run in processes of their own with 4 GB of address space: one that dies is counted, and does not end the run.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from structured.comparison import limit

from reliability.verdicts import Outcome

SECONDS, MEMORY, BATCH = 20.0, 4 << 30, 200
FORMATS = ("npz", "toml", "onnx", "safetensors")
Rng = np.random.Generator


def files(first: int) -> Iterator[Outcome]:
    """Instances from number `first` on, by turns of every format."""
    context = multiprocessing.get_context("spawn")
    start = first
    while True:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(start, there), daemon=True)
        process.start()
        there.close()
        done = 0
        try:
            while done < BATCH:
                yield Outcome(*here.recv())
                done += 1
            process.join()
        except EOFError:
            process.join()
            name = f"{FORMATS[(start + done) % len(FORMATS)]}, file {start + done}"
            yield Outcome("error", f"{name}: the reader's process died with {process.exitcode}")
            done += 1
        start += done


def _work(start: int, answers: Any) -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except ImportError:  # Windows has no such limit
        pass
    with tempfile.TemporaryDirectory() as folder:
        for k in range(start, start + BATCH):
            kind = FORMATS[k % len(FORMATS)]
            path = Path(folder) / f"file.{kind}"
            rng = np.random.default_rng([18, k])
            path.write_bytes(damaged(rng, *_sample(kind, rng)))
            outcome = _read(kind, path, f"{kind}, file {k}")
            try:
                answers.send(outcome)
            except BrokenPipeError:  # the time is over, and nobody waits for more
                return


def _read(kind: str, path: Path, name: str) -> tuple[str, str]:
    from mcinj import InputError, read_network
    from mcinj.experiment.config import load

    read: Callable[[Path], Any] = load if kind == "toml" else read_network
    try:
        with limit(SECONDS):
            read(path)
    except InputError as error:
        lines = str(error).strip().count("\n") + 1
        return ("refused in one line", "") if lines == 1 else ("error", f"{name}: {lines} lines")
    except TimeoutError:
        return "slow", f"{name}: over {SECONDS:.0f} s"
    except BaseException as error:
        return "error", f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return "read", ""


def _sample(kind: str, rng: Rng) -> tuple[bytes, str]:
    """A good file, or one whose parts are damaged while the whole is sound; and how to damage it (on)."""
    w1, w2 = rng.standard_normal((6, 2)).astype(np.float32), rng.standard_normal((5, 4)).astype(np.float32)
    if kind == "toml":
        return _TOML[int(rng.integers(len(_TOML)))].encode(), "text"
    if kind == "onnx":
        return _onnx(w1, w2, rng)
    w2 = rng.standard_normal((5, 6)).astype(np.float32)
    if kind == "safetensors":
        from safetensors.numpy import save

        return save({"0.weight": w1, "0.bias": w1[:, 0].copy(), "2.weight": w2, "2.bias": w2[:, 0].copy()}), "head"
    file = io.BytesIO()
    inside = rng.random() < 0.7
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if rng.random() < 0.3 else zipfile.ZIP_STORED) as archive:
        hit = int(rng.integers(4)) if inside else -1
        for k, (name, array) in enumerate({"W1": w1, "W2": w2, "b1": w1[:, 0], "b2": w2[:, 0]}.items()):
            member = io.BytesIO()
            np.save(member, array)
            archive.writestr(f"{name}.npy", damaged(rng, member.getvalue(), "bytes") if k == hit else member.getvalue())
    return file.getvalue(), "sound" if inside else "bytes"


def _onnx(w1: np.ndarray, w2: np.ndarray, rng: Rng) -> tuple[bytes, str]:
    """Gemm, a convolution and reshapes; three times in four with wrong numbers or names in a sound message."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["x0"]),
        helper.make_node("Gemm", ["x0", "w1", "b1"], ["h"], transB=1, alpha=1.0),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Reshape", ["r", "image"], ["r4"]),
        helper.make_node("Conv", ["r4", "k"], ["c"], strides=[1], pads=[0, 0]),
        helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("Relu", ["f"], ["y"]),
    ]
    constants = {
        "shape": np.array([1, 2]), "w1": w1, "b1": w1[:, 0], "image": np.array([1, 1, 6]),
        "k": w2[:, :3].reshape(5, 1, 3),
    }  # fmt: skip
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 20])],
        [numpy_helper.from_array(np.ascontiguousarray(v), name) for name, v in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if rng.random() < 0.25:
        return bytes(model.SerializeToString()), "bytes"
    for _ in range(int(rng.integers(1, 3))):
        _wrong(model.graph, rng)
    return bytes(model.SerializeToString()), "sound"


def _wrong(graph: Any, rng: Rng) -> None:
    """One number, name, size or type changed."""
    node = graph.node[int(rng.integers(len(graph.node)))]
    tensor = graph.initializer[int(rng.integers(len(graph.initializer)))]
    number = int(rng.choice([-(2**63), -1, 0, 1, 2, 3, 30_000, 2**31, 2**40, 2**62]))
    kind = rng.integers(9)
    if kind == 0 and node.attribute:
        attribute = node.attribute[int(rng.integers(len(node.attribute)))]
        attribute.ints[:] = [number] * int(rng.integers(4))
        attribute.i, attribute.f = number, float(rng.choice([np.nan, np.inf, 1e38, 0.0]))
    elif kind == 1 and node.attribute:
        node.attribute[0].type = int(rng.integers(1, 12))
    elif kind == 2 and node.input:
        del node.input[int(rng.integers(len(node.input)))]
    elif kind == 3:
        kinds = ["Gemm", "Conv", "MatMul", "Add", "Reshape", "Flatten", "Relu", "Cast", "Constant"]
        node.op_type = str(rng.choice(kinds))
    elif kind == 4:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = number
    elif kind == 5:
        tensor.data_type = int(rng.integers(17))
    elif kind == 6:
        tensor.raw_data = damaged(rng, tensor.raw_data, "bytes")
    elif kind == 7:
        graph.input[0].type.tensor_type.shape.dim[1].dim_value = number
    elif node.input:
        node.input[0] = str(rng.choice(["x", "y", "", "w1", "h", "k", "nothing"]))


_TOML = (
    """name = "mine"
description = "A question."
seed = 1

[[threshold]]
n = [4, 6, 8]
trials = 500
expansions_before = [6.7004]
criterion = "regional"
ensemble = "sparse:0.3"
node_budget = 1000000
stop = "width 0.05"
""",
    """name = "mine"
seed = 1

[[probe]]
n = [20]
trials = 3
moves = 1000
""",
)
_WORDS = [
    "1e308", "-1", "0", "nan", "inf", "1e-320", '""', "[]", "[[", "{}", "9" * 400, "true", "2024-01-01", "'''", "\x00",
    "[" * 3000, "\ud7ff", "n", "trials", "=", "18446744073709551616", '"²"', "[0]", "[1e308]", "a.b.c", "#",
]  # fmt: skip


def damaged(rng: Rng, data: bytes, how: str) -> bytes:
    """One or two damages: bytes changed, cut, doubled, cut off; numbers of a text or a header replaced."""
    for _ in range(int(rng.integers(1, 3))):
        if not data or how == "sound":
            break
        if how == "text" or (how == "head" and rng.random() < 0.6):
            data = _reworded(rng, data, how == "head")
            continue
        i, j = sorted(int(v) for v in rng.integers(len(data) + 1, size=2))
        kind = rng.integers(6)
        if kind == 0:
            changed = bytearray(data)
            for _ in range(int(rng.integers(1, 5))):
                changed[int(rng.integers(len(data)))] = int(rng.integers(256))
            data = bytes(changed)
        elif kind == 1:
            data = data[:i]
        elif kind == 2:
            data = data[:i] + data[min(j, i + int(rng.integers(1, 9))) :]
        elif kind == 3:
            data = data[:i] + data[i : i + 40] + data[i:]
        elif kind == 4:
            data = data[:i] + bytes(rng.choice([0, 127, 128, 255], int(rng.integers(1, 10))).tolist()) + data[i:]
        else:
            data = data[:i] + int(rng.integers(1 << 62)).to_bytes(8, "little") + data[i + 8 :]
    return data


def _reworded(rng: Rng, data: bytes, head: bool) -> bytes:
    """Words of a text replaced by bad ones; of safetensors' JSON header too, whose length is made right again."""
    size = int.from_bytes(data[:8], "little") if head else 0
    if head and size > len(data):
        return data[: int(rng.integers(len(data) + 1))]
    text = (data[8 : 8 + size] if head else data).decode("utf-8", "replace")
    words = list(re.finditer(r"[\w.]+|[^\w\s]", text))
    if not words:
        return data
    word = words[int(rng.integers(len(words)))]
    new = _WORDS[int(rng.integers(len(_WORDS)))]
    text = text[: word.start()] + (json.dumps(new) if head and rng.random() < 0.3 else new) + text[word.end() :]
    raw = text.encode("utf-8", "replace")
    return len(raw).to_bytes(8, "little") + raw + data[8 + size :] if head else raw
