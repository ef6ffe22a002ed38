"""torch operators on tensors that depend on the network's input: affine ones, ReLUs, and the ends of networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from mcinj.errors import InputError
from mcinj.networks import ending
from mcinj.networks.assembly import Tensor
from mcinj.networks.ending import Monotone, Tail, monotone, tail_scale, tail_shift
from mcinj.networks.exact import Array, reciprocal
from mcinj.networks.limits import check_weights
from mcinj.networks.module_call import Call
from mcinj.networks.operators import batch_norm, broadcast, clip, moved
from mcinj.networks.sums import over_axes, times_left, times_right
from mcinj.networks.torch import array_of
from mcinj.networks.windows import Windows, adaptive_averages, averages, convolution, transposed

Operator = Callable[[Call], Any]

# Operators that only move entries: torch itself moves numbers in their place.
MOVES = (
    "view.default", "reshape.default", "_unsafe_view.default", "flatten.using_ints", "unflatten.int",
    "unsqueeze.default", "squeeze.default", "squeeze.dim", "squeeze.dims", "clone.default", "contiguous.default",
    "detach.default", "alias.default", "permute.default", "transpose.int", "t.default", "numpy_T.default",
    "movedim.int", "slice.Tensor", "select.int", "narrow.default", "cat.default", "stack.default", "expand.default",
    "repeat.default", "flip.default", "roll.default", "split.Tensor", "split_with_sizes.default", "chunk.default",
    "unbind.int", "pixel_shuffle.default", "pixel_unshuffle.default", "channel_shuffle.default",
    "constant_pad_nd.default", "pad.default", "index_select.default", "index.Tensor",
    *(f"upsample_nearest{k}d.{kind}" for k in (1, 2, 3) for kind in ("vec", "default")),
)  # fmt: skip


def move(call: Call) -> Any:
    """The result of an operator among `MOVES`."""
    trace, torch, fx = call.trace, call.trace.torch, call.trace.torch.fx
    operator = str(call.node.target).removeprefix("aten.")
    value = call.node.meta["val"]
    several = isinstance(value, (list, tuple))
    check_weights([v.shape for v in (value if several else [value])], "it gives")
    mode = call.arguments.get("mode", "constant") == "constant"
    if "pad" in operator and mode and call.arguments.get("value") not in (None, 0):
        raise InputError("only padding with zeros is supported")
    listed = "tensors" in call.arguments
    first = "self" if "self" in call.arguments else "input"
    data = list(call.arguments["tensors"]) if listed else [call.arguments[first]]
    if any(n in trace.values for n in call.node.all_input_nodes if n not in data):
        raise InputError("its places depend on the network's input")
    given: list[Tensor | Tail] = []
    for n in data:
        if n in trace.values:
            given.append(trace.values[n])
        else:
            given.append(call.assembly.constant(array_of(trace.constants[n], str(n), torch), trace.names[n]))

    def run(numbered: list[Array]) -> Sequence[Array]:
        # Float64 holds these whole numbers, and every operator takes it.
        floats = [torch.from_numpy(a.astype(np.float64)) for a in numbered]
        found = {} if listed else {data[0]: floats[0]}
        replaced = call.arguments | ({"tensors": floats} if listed else {})
        arguments = fx.node.map_arg(replaced, lambda n: found.get(n, trace.constants.get(n)))
        try:
            with torch.no_grad():
                made = call.node.target(**arguments)
        except Exception as error:  # torch's errors have no common base
            raise InputError(f"torch fails on it: {str(error).splitlines()[0][:200]}") from None
        return [m.numpy() for m in made] if several else [made.numpy()]

    results = moved(call.assembly, given, run)
    return results if several else results[0]


def _linear(call: Call) -> Tensor:
    x, w = call.tensor("input"), call.values("weight")
    _one_input(call, x)
    matrix, shape = times_right(x.shape, w.T)
    return _with_bias(call, call.assembly.linear(x, matrix, shape, call.name("weight")), 0)


def _matmul(call: Call) -> Tensor:
    second = "other" if "other" in call.arguments else "mat2"
    return _product(call, "self" if "self" in call.arguments else "input", second)


def _product(call: Call, a: str, b: str) -> Tensor:
    if call.depends(a) and call.depends(b):
        raise InputError("a product of two tensors that depend on the input is not affine")
    if call.depends(a):
        x = call.tensor(a)
        _one_input(call, x)
        matrix, shape = times_right(x.shape, call.values(b))
        return call.assembly.linear(x, matrix, shape, call.name(b))
    x = call.tensor(b)
    matrix, shape = times_left(call.values(a), x.shape)
    return call.assembly.linear(x, matrix, shape, call.name(a))


def _addmm(call: Call) -> Tensor | Tail:
    if call.number("alpha") != 1 or call.number("beta") != 1:
        raise InputError("factors other than 1 are not supported")
    x = _product(call, "mat1", "mat2")
    return _plus(call, x, "self")


def _plus(call: Call, x: Tensor | Tail, name: str) -> Tensor | Tail:
    """x and an operand, constant or not."""
    if not call.depends(name):
        values = call.values(name)
        return tail_shift(x, values) if isinstance(x, Tail) else call.assembly.shift(x, values, call.name(name))
    other = call.flow(name)
    if isinstance(x, Tail) or isinstance(other, Tail):
        raise InputError("several tensors meet after the last layer; that is not supported")
    return call.assembly.add(broadcast(call.assembly, [x, other]), str(call.node.name))


def _one_input(call: Call, x: Tensor) -> None:
    example = call.trace.example_shape
    if len(x.shape) > 1 and len(example) > 1 and example[0] != 1:
        raise InputError(f"it meets {x.shape[0]} rows of {x.shape[-1]} numbers; give one input, a batch of 1")


def _with_bias(call: Call, x: Tensor, axes: int) -> Tensor:
    bias = call.maybe("bias")
    if bias is None:
        return x
    return call.assembly.shift(x, bias.reshape(-1, *[1] * axes), call.name("bias"))


def _image(call: Call, name: str, axes: int) -> tuple[Tensor, tuple[int, ...], tuple[int, ...]]:
    """The operand, its shape without a batch of 1, and that batch, which may be missing."""
    x = call.tensor(name)
    if len(x.shape) == axes + 2 and x.shape[0] != 1:
        raise InputError(f"it meets a batch of {x.shape[0]}; give one input, a batch of 1")
    if len(x.shape) not in (axes + 1, axes + 2):
        raise InputError(f"it meets a tensor of shape {x.shape}")
    return x, x.shape[-axes - 1 :], x.shape[: -axes - 1]


def _pads(call: Call, axes: int, reach: Sequence[int]) -> tuple[list[int], list[int]]:
    padding = call.arguments["padding"]
    if padding == "valid":
        return [0] * axes, [0] * axes
    if padding == "same":
        return [(r - 1) // 2 for r in reach], [r - 1 - (r - 1) // 2 for r in reach]
    pads = call.wholes("padding", axes)
    return pads, pads


def _convolution(call: Call) -> Tensor:
    kernel = call.values("weight")
    axes = kernel.ndim - 2
    x, shape, batch = _image(call, "input", axes)
    dilations = call.wholes("dilation", axes)
    reach = [d * (w - 1) + 1 for d, w in zip(dilations, kernel.shape[2:], strict=False)]
    before, after = _pads(call, axes, reach)
    windows = Windows(kernel.shape[2:], call.wholes("stride", axes), before, after, dilations)
    matrix, out = convolution(kernel, shape, windows, int(call.arguments["groups"]))
    return _with_bias(call, call.assembly.linear(x, matrix, (*batch, *out), call.name("weight")), axes)


def _transposed(call: Call) -> Tensor:
    kernel = call.values("weight")
    axes = kernel.ndim - 2
    x, shape, batch = _image(call, "input", axes)
    pads = call.wholes("padding", axes)
    windows = Windows(kernel.shape[2:], call.wholes("stride", axes), pads, pads, call.wholes("dilation", axes))
    extra = call.wholes("output_padding", axes)
    matrix, out = transposed(kernel, shape, windows, int(call.arguments["groups"]), extra)
    return _with_bias(call, call.assembly.linear(x, matrix, (*batch, *out), call.name("weight")), axes)


def _average(axes: int) -> Operator:
    def apply(call: Call) -> Tensor:
        if call.arguments.get("divisor_override") is not None:
            raise InputError("divisor_override is not supported")
        x, shape, batch = _image(call, "self", axes)
        sizes, pads = call.wholes("kernel_size", axes), call.wholes("padding", axes)
        strides = call.wholes("stride", axes) or sizes
        windows = Windows(tuple(sizes), strides, pads, pads, [1] * axes)
        matrix, out = averages(shape, windows, count_pads=bool(call.arguments["count_include_pad"]))
        return call.assembly.linear(x, matrix, (*batch, *out), str(call.node.name))

    return apply


def _adaptive(axes: int) -> Operator:
    def apply(call: Call) -> Tensor:
        x, shape, batch = _image(call, "self", axes)
        matrix, out = adaptive_averages(shape, call.wholes("output_size", axes))
        return call.assembly.linear(x, matrix, (*batch, *out), str(call.node.name))

    return apply


def _reduce(mean: bool) -> Operator:
    def apply(call: Call) -> Tensor:
        x = call.tensor("self")
        dims = call.arguments.get("dim")
        axes = [] if dims is None else call.wholes("dim", 1)
        matrix, shape = over_axes(x.shape, axes, mean=mean, keep=bool(call.arguments.get("keepdim", False)))
        return call.assembly.linear(x, matrix, shape, str(call.node.name))

    return apply


def _batch_norm(call: Call) -> Any:
    if call.arguments.get("training", False):
        raise InputError("it is in training mode; call module.eval() first")
    x, eps = call.tensor("input"), Fraction(float(call.arguments["eps"]))
    made = batch_norm(
        call.assembly, x, call.maybe("weight"), call.maybe("bias"), call.values("running_mean"),
        call.values("running_var"), eps, call.name("running_mean").removesuffix(".running_mean"),
    )  # fmt: skip
    return [made] if isinstance(call.node.meta["val"], (list, tuple)) else made


def _dropout(call: Call) -> Tensor | Tail:
    if call.arguments["train"]:
        raise InputError("it is in training mode; call module.eval() first")
    return call.flow("input")


def _relu(call: Call) -> Tensor:
    return call.assembly.relu(call.tensor("self"), str(call.node.name))


def _leaky(call: Call) -> Tensor | Tail:
    slope, x = float(call.number("negative_slope")), call.flow("self")
    if isinstance(x, Tail):
        if slope <= 0:
            raise InputError(f"its slope is {slope}; only a positive one gives a strictly monotone function")
        return monotone(x, Monotone(lambda z: np.where(z > 0, z, slope * z), 0.0, max(1.0, slope)), "leaky ReLU")
    return call.assembly.relu(x, str(call.node.name), slope)


def _prelu(call: Call) -> Tensor:
    x, slopes = call.tensor("self"), call.values("weight")
    if slopes.size != 1:
        slopes = slopes.reshape(1, -1, *[1] * (len(x.shape) - 2))
    return call.assembly.relu(x, str(call.node.name), np.broadcast_to(slopes, x.shape))


def _limits(low: str, high: str) -> Operator:
    def apply(call: Call) -> Tensor:
        values = [None if call.arguments.get(n) is None else float(call.number(n)) for n in (low, high)]
        return clip(call.assembly, call.tensor("self"), values[0], values[1], str(call.node.name))

    return apply


def _threshold(call: Call) -> Tensor:
    if call.number("threshold") != 0 or call.number("value") != 0:
        raise InputError("only a threshold of 0, which is a ReLU, is supported")
    return _relu(call)


def _maximum(call: Call) -> Tensor:
    first, other = ("self", "other") if call.depends("self") else ("other", "self")
    if call.depends(other) or call.values(other).any():
        raise InputError("only the maximum of a tensor and 0, which is a ReLU, is supported")
    return call.assembly.relu(call.tensor(first), str(call.node.name))


def _monotone(make: Callable[[Call], Monotone], name: str) -> Operator:
    def apply(call: Call) -> Tail:
        return monotone(call.flow("self"), make(call), name)

    return apply


def _number(call: Call, name: str) -> float:
    return float(call.number(name))


def _sum(sign: float) -> Operator:
    def apply(call: Call) -> Tensor | Tail:
        if call.number("alpha") != 1:
            raise InputError("alpha other than 1 is not supported")
        if call.depends("other"):
            other = call.flow("other")
            other = other if sign > 0 else _scaled(call, other, np.asarray(-1.0), "minus")
            return _plus(call, other, "self")
        x = call.flow("self")
        values = call.values("other") if sign > 0 else -call.values("other")
        return tail_shift(x, values) if isinstance(x, Tail) else call.assembly.shift(x, values, call.name("other"))

    return apply


def _rsub(call: Call) -> Tensor | Tail:
    if call.number("alpha") != 1:
        raise InputError("alpha other than 1 is not supported")
    x = _scaled(call, call.flow("self"), np.asarray(-1.0), "minus")
    return _plus(call, x, "other")


def _scaled(call: Call, x: Tensor | Tail, factors: Array, name: str) -> Tensor | Tail:
    return tail_scale(x, factors) if isinstance(x, Tail) else call.assembly.scale(x, factors, name)


def _mul(call: Call) -> Tensor | Tail:
    x, other = ("self", "other") if call.depends("self") else ("other", "self")
    if call.depends(other):
        raise InputError("a product of two tensors that depend on the input is not affine")
    return _scaled(call, call.flow(x), call.values(other), f"times {call.name(other)}")


def _div(call: Call) -> Tensor | Tail:
    x, values = call.flow("self"), call.values("other")
    if not values.all():
        raise InputError("a division by 0")
    return _scaled(call, x, reciprocal(values), f"divided by {call.name('other')}")


def _neg(call: Call) -> Tensor | Tail:
    return _scaled(call, call.flow("self"), np.asarray(-1.0), "minus")


_ENDS: dict[str, Operator] = {
    "sigmoid.default": _monotone(lambda call: ending.SIGMOID, "Sigmoid"),
    "tanh.default": _monotone(lambda call: ending.TANH, "Tanh"),
    "atan.default": _monotone(lambda call: ending.ATAN, "atan"),
    "asinh.default": _monotone(lambda call: ending.ASINH, "asinh"),
    "log_sigmoid.default": _monotone(lambda call: ending.LOG_SIGMOID, "LogSigmoid"),
    "softplus.default": _monotone(
        lambda call: ending.softplus(_number(call, "beta"), _number(call, "threshold")), "Softplus"
    ),
    "elu.default": _monotone(
        lambda call: ending.elu(_number(call, "alpha"), _number(call, "scale"), _number(call, "input_scale")), "ELU"
    ),
    "selu.default": _monotone(lambda call: ending.elu(1.6732632423543772, 1.0507009873554805), "SELU"),
    "celu.default": _monotone(lambda call: ending.celu(_number(call, "alpha")), "CELU"),
}
_AFFINE: dict[str, Operator] = {
    "add.Tensor": _sum(1.0), "sub.Tensor": _sum(-1.0), "rsub.Scalar": _rsub, "mul.Tensor": _mul, "div.Tensor": _div,
    "neg.default": _neg,
}  # fmt: skip
OPERATORS: dict[str, Operator] = {
    "linear.default": _linear, "matmul.default": _matmul, "mm.default": _matmul, "addmm.default": _addmm,
    **{f"conv{k}d.{kind}": _convolution for k in (1, 2, 3) for kind in ("default", "padding")},
    **{f"conv_transpose{k}d.{kind}": _transposed for k in (1, 2, 3) for kind in ("default", "input")},
    **{f"avg_pool{k}d.default": _average(k) for k in (1, 2, 3)},
    **{f"adaptive_avg_pool{k}d.default": _adaptive(k) for k in (1, 2, 3)},
    "mean.default": _reduce(True), "mean.dim": _reduce(True), "sum.default": _reduce(False),
    "sum.dim_IntList": _reduce(False), "batch_norm.default": _batch_norm,
    "_native_batch_norm_legit_no_training.default": _batch_norm, "relu.default": _relu, "leaky_relu.default": _leaky,
    "prelu.default": _prelu, "clamp.default": _limits("min", "max"), "clamp_min.default": _limits("min", "max"),
    "hardtanh.default": _limits("min_val", "max_val"), "threshold.default": _threshold, "maximum.default": _maximum,
    "dropout.default": _dropout, **_AFFINE, **_ENDS,
}  # fmt: skip
# What may follow a strictly monotone function that is left out: nothing of it makes two outputs one.
BEHIND = (*MOVES, *_ENDS, *_AFFINE, "leaky_relu.default", "dropout.default")
