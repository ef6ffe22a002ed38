"""Random ONNX graphs around what the reader supports: chains of its operators, and the same gone wrong in many ways."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

X = object()  # stands for the present tensor among the operands
DTYPES = {np.float32: TensorProto.FLOAT, np.float64: TensorProto.DOUBLE, np.float16: TensorProto.FLOAT16}


class Draft:
    """A graph that grows operator by operator; the reference evaluator says which shapes arise."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.dtype: Any = rng.choice([np.float32, np.float32, np.float32, np.float64, np.float16])
        pick = rng.integers(5)
        if pick == 0:
            self.shape: tuple[int, ...] = (int(rng.integers(1, 7)),)
        elif pick == 1:
            self.shape = (1, int(rng.integers(1, 4)), *(int(v) for v in rng.integers(2, 6, rng.integers(1, 3))))
        elif pick == 2 and rng.random() < 0.3:
            self.shape = (int(rng.integers(2, 4)), int(rng.integers(1, 5)))
        else:
            self.shape = (1, int(rng.integers(1, 7)))
        self.declared: list[Any] = list(self.shape)
        if len(self.shape) > 1 and rng.random() < 0.5:
            self.declared[0] = "N"
        self.opset = int(rng.choice([7, 11, 12, 13, 14, 17, 21]))
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.functions: list[Any] = []
        self.present = "x"
        self.start = self.dtype
        self.now = self.shape
        self.history: list[tuple[str, tuple[int, ...], Any]] = [("x", self.shape, self.dtype)]

    def numbers(self, *shape: int) -> Any:
        """Constants of the tensor's type: normal, small whole, or with zeros."""
        kind = self.rng.integers(3)
        values = self.rng.standard_normal(shape) if kind else self.rng.integers(-3, 4, shape).astype(float)
        return np.asarray(values, dtype=self.dtype)

    def model(self) -> ModelProto:
        """The graph so far."""
        imports = [helper.make_opsetid("", self.opset)]
        if self.functions or any(n.domain for n in self.nodes):
            imports.append(helper.make_opsetid("loc", 1))
        graph = helper.make_graph(
            self.nodes, "g",
            [helper.make_tensor_value_info("x", DTYPES[self.start], self.declared)],
            [helper.make_tensor_value_info(self.present, TensorProto.FLOAT, None)],
            self.constants,
        )  # fmt: skip
        return helper.make_model(graph, opset_imports=imports, ir_version=8, functions=self.functions)

    def append(self, op: str, operands: list[Any], attributes: dict[str, Any], domain: str = "") -> None:
        """Add an operator; it becomes the present tensor."""
        names = []
        for value in operands:
            if value is X:
                names.append(self.present)
            elif value is None:
                names.append("")
            elif isinstance(value, str):  # an earlier tensor
                names.append(value)
            else:
                names.append(f"c{len(self.constants)}")
                self.constants.append(numpy_helper.from_array(np.asarray(value), names[-1]))
        self.present = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [self.present], domain=domain, **attributes))

    def grow(self, step: Any) -> bool:
        """Append what `step(self)` proposes and follow the shape; undone (False) where the evaluator cannot run it."""
        before = (self.present, len(self.nodes), len(self.constants), self.dtype)
        proposal = step(self)
        if proposal is None:
            return False
        self.append(*proposal)
        try:
            with np.errstate(all="ignore"):
                out = ReferenceEvaluator(self.model()).run(None, {"x": np.zeros(self.shape, self.start)})[0]
            if not out.size or not out.ndim:
                raise ValueError("nothing left to work on")
        except Exception:
            self.present, self.dtype = before[0], before[3]
            del self.nodes[before[1] :], self.constants[before[2] :]
            return False
        self.now = out.shape
        if out.dtype.type in DTYPES:
            self.dtype = out.dtype.type
        self.history.append((self.present, self.now, self.dtype))
        return True


def gemm(d: Draft) -> Any:
    n, m = d.now[-1], int(d.rng.integers(1, 6))
    trans = int(d.rng.integers(2))
    attributes: dict[str, Any] = {"transB": trans}
    if d.rng.random() < 0.3:
        attributes["alpha"] = float(d.rng.choice([0.5, -1.25, 0.1]))
    if d.rng.random() < 0.3:
        attributes["beta"] = float(d.rng.choice([2.0, 0.3]))
    bias = [[], [d.numbers(m)], [d.numbers(1, m)], [d.numbers(1)], [d.numbers()]][d.rng.integers(5)]
    return "Gemm", [X, d.numbers(m, n) if trans else d.numbers(n, m), *bias], attributes


def matmul(d: Draft) -> Any:
    return "MatMul", [X, d.numbers(d.now[-1], int(d.rng.integers(1, 6)))], {}


def elementwise(d: Draft) -> Any:
    op = str(d.rng.choice(["Add", "Sub", "Mul", "Div"]))
    shape = tuple(1 if d.rng.random() < 0.3 else s for s in d.now)[int(d.rng.integers(len(d.now) + 1)) :]
    c = d.numbers(*shape)
    if op == "Div":
        c = np.where(c == 0, c.dtype.type(1), c)
    operands = [X, c] if op == "Div" or d.rng.random() < 0.6 else [c, X]
    return op, operands, {}


def relu(d: Draft) -> Any:
    return "Relu", [X], {}


def conv(d: Draft) -> Any:
    axes = len(d.now) - 2
    if axes < 1:
        return None
    groups = int(d.rng.choice([g for g in range(1, d.now[1] + 1) if d.now[1] % g == 0]))
    features = groups * int(d.rng.integers(1, 3))
    window = [int(v) for v in d.rng.integers(1, 4, axes)]
    attributes: dict[str, Any] = {"group": groups}
    for name, count, low, high in (("strides", axes, 1, 3), ("dilations", axes, 1, 3), ("pads", 2 * axes, 0, 3)):
        if d.rng.random() < 0.5:
            attributes[name] = [int(v) for v in d.rng.integers(low, high, count)]
    if d.rng.random() < 0.3:
        attributes["kernel_shape"] = window
    bias = [d.numbers(features)] if d.rng.random() < 0.5 else []
    return "Conv", [X, d.numbers(features, d.now[1] // groups, *window), *bias], attributes


def flatten(d: Draft) -> Any:
    return "Flatten", [X], {} if d.rng.random() < 0.6 else {"axis": int(d.rng.integers(0, len(d.now) + 1))}


def reshape(d: Draft) -> Any:
    size = int(np.prod(d.now))
    divisors = [k for k in range(1, size + 1) if size % k == 0]
    k = int(d.rng.choice(divisors))
    targets = [[-1, size], [1, size], [0, -1], [1, k, size // k], [-1, k], [k, -1], [size], [1, 1, -1]]
    return "Reshape", [X, np.array(targets[d.rng.integers(len(targets))], dtype=np.int64)], {}


def quiet(d: Draft) -> Any:
    op = str(d.rng.choice(["Identity", "Dropout"]))
    return op, [X], {}


def cast(d: Draft) -> Any:
    return "Cast", [X], {"to": int(d.rng.choice(list(DTYPES.values())))}


def skip(d: Draft) -> Any:
    """The present tensor and an earlier one of its shape, added, subtracted or side by side."""
    fitting = [name for name, shape, kind in d.history if shape == d.now and kind == d.dtype and name != d.present]
    if not fitting:
        return None
    other = str(d.rng.choice(fitting))
    operands = [X, other] if d.rng.random() < 0.5 else [other, X]
    op = str(d.rng.choice(["Add", "Add", "Sub", "Sum", "Concat"]))
    return op, operands, {"axis": int(d.rng.integers(1, len(d.now)))} if op == "Concat" and len(d.now) > 1 else {}


def leaky(d: Draft) -> Any:
    if d.rng.random() < 0.7:
        return "LeakyRelu", [X], {"alpha": float(d.rng.choice([0.1, 0.1, 0.1, 0.25, -0.5, 1.5]))}
    return "PRelu", [X, np.abs(d.numbers(*d.now[1:]))], {}


def clipped(d: Draft) -> Any:
    low, high = (np.asarray(v, d.dtype) for v in ((0.0, 6.0) if d.rng.random() < 0.5 else (-0.5, 1.0)))
    return ("Clip", [X, low, high], {}) if d.opset >= 11 else ("Clip", [X], {"min": float(low), "max": float(high)})


def batch_norm(d: Draft) -> Any:
    if len(d.now) < 2 or d.opset < 14:  # before, the reference evaluator takes it for one in training
        return None
    c = d.now[1]
    variance = np.abs(d.numbers(c)) + d.dtype(0.125)
    return "BatchNormalization", [X, d.numbers(c), d.numbers(c), d.numbers(c), variance], {"epsilon": 0.01}


def transpose(d: Draft) -> Any:
    order = [0, *(1 + d.rng.permutation(len(d.now) - 1))]
    return "Transpose", [X], {"perm": [int(v) for v in order]}


def sliced(d: Draft) -> Any:
    axis = int(d.rng.integers(min(1, len(d.now) - 1), len(d.now)))
    size, step = d.now[axis], int(d.rng.choice([1, 1, 2, -1]))
    start, end = (-1, -size - 1) if step < 0 else (int(d.rng.integers(0, 2)), size)
    values = [[start], [end], [axis], [step]]
    if d.opset >= 10:
        return "Slice", [X, *(np.array(v) for v in values)], {}
    return "Slice", [X], {"starts": [max(0, start)], "ends": [size], "axes": [axis]}


def gather(d: Draft) -> Any:
    axis = int(d.rng.integers(min(1, len(d.now) - 1), len(d.now)))
    return "Gather", [X, d.rng.integers(0, d.now[axis], int(d.rng.integers(1, 4)))], {"axis": axis}


def axes(d: Draft) -> Any:
    if d.rng.random() < 0.5 or 1 not in d.now[1:]:
        place = [len(d.now)]
        return ("Unsqueeze", [X, np.array(place)], {}) if d.opset >= 13 else ("Unsqueeze", [X], {"axes": place})
    place = [1 + d.now[1:].index(1)]
    return ("Squeeze", [X, np.array(place)], {}) if d.opset >= 13 else ("Squeeze", [X], {"axes": place})


def padded(d: Draft) -> Any:
    pads = [0, *(int(v) for v in d.rng.integers(0, 2, len(d.now) - 1))] * 2
    mode = {"mode": "reflect"} if d.rng.random() < 0.2 else {}
    return ("Pad", [X, np.array(pads)], mode) if d.opset >= 11 else ("Pad", [X], {"pads": pads, **mode})


def average(d: Draft) -> Any:
    count = len(d.now) - 2
    if count < 1:
        return None
    if d.rng.random() < 0.3:
        return "GlobalAveragePool", [X], {}
    window = [int(v) for v in d.rng.integers(1, 4, count)]
    attributes: dict[str, Any] = {"kernel_shape": window, "count_include_pad": int(d.rng.integers(2))}
    if d.rng.random() < 0.5:
        attributes["strides"] = [int(v) for v in d.rng.integers(1, 3, count)]
    if d.rng.random() < 0.5:
        attributes["pads"] = [int(min(v, w - 1)) for v, w in zip(d.rng.integers(0, 2, count), window, strict=True)] * 2
    return "AveragePool", [X], attributes


def conv_transpose(d: Draft) -> Any:
    count = len(d.now) - 2
    if count < 1:
        return None
    features = int(d.rng.integers(1, 3))  # in one group: the reference evaluator mixes up several
    window = [int(v) for v in d.rng.integers(1, 4, count)]
    attributes: dict[str, Any] = {}
    strides = [int(v) for v in d.rng.integers(1, 4, count)]
    if d.rng.random() < 0.6:
        attributes["strides"] = strides
        if d.rng.random() < 0.5:
            attributes["output_padding"] = [int(d.rng.integers(0, s)) for s in strides]
    if d.rng.random() < 0.4:
        attributes["pads"] = [int(v) for v in d.rng.integers(0, 2, 2 * count)]
    if d.rng.random() < 0.3:
        attributes["dilations"] = [int(v) for v in d.rng.integers(1, 3, count)]
    bias = [d.numbers(features)] if d.rng.random() < 0.5 else []
    return "ConvTranspose", [X, d.numbers(d.now[1], features, *window), *bias], attributes


def reduced(d: Draft) -> Any:
    if len(d.now) < 2:
        return None
    op, axis = str(d.rng.choice(["ReduceMean", "ReduceSum"])), [int(d.rng.integers(1, len(d.now)))]
    keep = {"keepdims": int(d.rng.integers(2))}
    if d.opset >= (13 if op == "ReduceSum" else 18):
        return op, [X, np.array(axis)], keep
    return op, [X], {"axes": axis, **keep}


def left_product(d: Draft) -> Any:
    if len(d.now) < 3:
        return None
    return "MatMul", [d.numbers(int(d.rng.integers(1, 4)), d.now[-2]), X], {}


def upsampled(d: Draft) -> Any:
    if len(d.now) < 3 or d.opset < 13:
        return None
    scales = np.array([1, 1, *([2] * (len(d.now) - 2))], np.float32)
    # The mode of exporters; the standard's default rounds halves in another way.
    kind = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return "Resize", [X, None, scales], {"mode": "nearest", **kind}


def ended(d: Draft) -> Any:
    """A function that can be left out at the end; refused if more follows."""
    return str(d.rng.choice(["Sigmoid", "Tanh", "Softplus", "Elu", "Selu", "Celu", "Softsign"])), [X], {}


GOOD = (
    gemm, matmul, elementwise, relu, relu, conv, conv, flatten, reshape, quiet, cast, skip, skip, leaky, clipped,
    batch_norm, transpose, sliced, gather, axes, padded, average, conv_transpose, reduced, left_product, upsampled,
)  # fmt: skip


def cast_away(d: Draft) -> Any:
    kinds = [TensorProto.INT32, TensorProto.INT8, TensorProto.UINT8, TensorProto.BOOL, TensorProto.INT64]
    return "Cast", [X], {"to": int(d.rng.choice(kinds))}


def cast_back(d: Draft) -> Any:
    return "Cast", [X], {"to": DTYPES[d.start]}


def column_bias(d: Draft) -> Any:
    m = int(d.rng.integers(1, 5))
    return "Gemm", [X, d.numbers(d.now[-1], m), d.numbers(m, 1)], {}


def training_dropout(d: Draft) -> Any:
    return "Dropout", [X, np.float32(0.5), np.array(True)], {"seed": 3}


def local_relu(d: Draft) -> Any:
    if not d.functions:
        body = [helper.make_node("Neg", ["a"], ["b"])]
        imports = [helper.make_opsetid("", d.opset)]
        d.functions.append(helper.make_function("loc", "Relu", ["a"], ["b"], body, imports))
    return "Relu", [X], {}, "loc"


def auto_pad(d: Draft) -> Any:
    made = conv(d)
    if made is None:
        return None
    kind = str(d.rng.choice(["VALID", "SAME_UPPER", "SAME_LOWER"]))
    return made[0], made[1], {**made[2], "auto_pad": kind}


def other_operator(d: Draft) -> Any:
    op = str(d.rng.choice(["Neg", "Abs", "Sigmoid", "LeakyRelu", "Elu", "Exp", "Softmax", "Sqrt", "Transpose"]))
    return op, [X], {}


def twice(d: Draft) -> Any:
    return str(d.rng.choice(["Add", "Mul", "Sub"])), [X, X], {}


def widening(d: Draft) -> Any:
    shape = (int(d.rng.integers(2, 4)), *d.now)[int(d.rng.integers(2)) :]
    return "Add", [X, d.numbers(*shape)], {}


def constant_divided(d: Draft) -> Any:
    return "Div", [d.numbers(*d.now), X], {}


def transposed(d: Draft) -> Any:
    m = int(d.rng.integers(1, 5))
    return "Gemm", [X, d.numbers(d.now[0], m)], {"transA": 1}


def rows_mixed(d: Draft) -> Any:
    return "MatMul", [d.numbers(2, d.now[0]), X], {}


def vector_product(d: Draft) -> Any:
    return "MatMul", [X, d.numbers(d.now[-1])], {}


BAD = (
    cast_away, cast_away, column_bias, training_dropout, local_relu, auto_pad, other_operator, twice, widening,
    constant_divided, transposed, rows_mixed, vector_product,
)  # fmt: skip


def draw(rng: np.random.Generator) -> tuple[Draft, bool]:
    """A random graph with at least one operator, and whether any operator outside the supported set was put in."""
    draft = Draft(rng)
    spoiled = False
    spoil = int(rng.integers(1, 7)) if rng.random() < 0.5 else 0
    for k in range(1, int(rng.integers(2, 8))):
        if k == spoil:
            step = BAD[rng.integers(len(BAD))]
            if draft.grow(step):
                spoiled = True
                if step is cast_away:
                    draft.grow(cast_back)
                continue
        for _ in range(4):
            if draft.grow(GOOD[rng.integers(len(GOOD))]):
                break
    if rng.random() < 0.1:
        draft.grow(ended)
    if not draft.nodes:
        draft.grow(relu)
    return draft, spoiled


def is_standard(model: ModelProto) -> bool:
    """Whether the checker of the format accepts the graph (types of operands are not its business)."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for value in copy.graph.output:
        value.type.tensor_type.shape.SetInParent()
    try:
        checker.check_model(copy)
    except checker.ValidationError:
        return False
    return True
