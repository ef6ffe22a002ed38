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


GOOD = (gemm, matmul, elementwise, relu, relu, conv, conv, flatten, reshape, quiet, cast)


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


def left_product(d: Draft) -> Any:
    return "MatMul", [d.numbers(2, d.now[0]), X], {}


def vector_product(d: Draft) -> Any:
    return "MatMul", [X, d.numbers(d.now[-1])], {}


BAD = (
    cast_away, cast_away, column_bias, training_dropout, local_relu, auto_pad, other_operator, twice, widening,
    constant_divided, transposed, left_product, vector_product,
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
