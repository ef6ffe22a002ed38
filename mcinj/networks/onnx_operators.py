"""ONNX operators on tensors that depend on the network's input: affine ones, ReLUs, and the ends of networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from mcinj.errors import InputError
from mcinj.networks import ending
from mcinj.networks.assembly import Tensor
from mcinj.networks.ending import Monotone, Tail, monotone, tail_scale, tail_shift
from mcinj.networks.exact import Array, reciprocal, times
from mcinj.networks.limits import check_weights
from mcinj.networks.onnx_call import Call, Constant, Flow, Value
from mcinj.networks.onnx_movement import MOVES, move
from mcinj.networks.operators import batch_norm, broadcast, clip, moved
from mcinj.networks.sums import over_axes, times_left, times_right
from mcinj.networks.windows import Windows, averages, convolution, transposed

Operator = Callable[[Call], list[Value]]


def _relu(call: Call) -> list[Value]:
    return call.out(call.assembly.relu(call.tensor(0), call.name))


def _leaky(call: Call) -> list[Value]:
    alpha, x = call.number("alpha", float(np.float32(0.01))), call.flow(0).tensor
    if isinstance(x, Tail):
        if alpha <= 0:
            raise InputError(f"alpha is {alpha}; only a positive one gives a strictly monotone function")
        function = Monotone(lambda z: np.where(z > 0, z, alpha * z), 0.0, max(1.0, alpha))
        return call.out(monotone(x, function, call.op))
    return call.out(call.assembly.relu(x, call.name, alpha))


def _prelu(call: Call) -> list[Value]:
    x, slopes = call.tensor(0), call.values(1)
    if slopes.dtype == object:
        raise InputError("its slopes are computed; that is not supported")
    try:
        spread = np.broadcast_to(slopes, x.shape)
    except ValueError:
        raise InputError(f"slopes of shape {slopes.shape} meet a tensor of shape {x.shape}") from None
    return call.out(call.assembly.relu(x, call.name, spread))


def _clip(call: Call) -> list[Value]:
    limits: list[float | None] = []
    for i, name in ((1, "min"), (2, "max")):
        value = call.attributes.get(name)
        if call.has(i):
            constant = call.constant(i)
            if constant.dtype != call.flow(0).dtype or constant.values.size != 1:
                raise InputError(f"its limit {name} is not one number of the tensor's type")
            value = constant.values.reshape(-1)[0]
        number = None if value is None else float(value)
        if number is not None and number != number:
            raise InputError(f"its limit {name} is nan")
        # The least and the largest number of a type are how older exporters write that there is no limit.
        none = name == "min" and number is not None and number <= float(np.finfo(call.flow(0).dtype).min)
        none |= name == "max" and number is not None and number >= float(np.finfo(call.flow(0).dtype).max)
        limits.append(None if none else number)
    if limits == [None, None]:
        return call.out(call.tensor(0))
    return call.out(clip(call.assembly, call.tensor(0), limits[0], limits[1], call.name))


def _max(call: Call) -> list[Value]:
    limits = [v for v in call.inputs if isinstance(v, Constant)]
    if len(call.flows) != 1 or len(limits) != 1 or len(call.inputs) != 2 or len(np.unique(limits[0].values)) != 1:
        raise InputError("only the maximum of a tensor and one number is supported; with 0 it is a ReLU")
    number = call.values(call.inputs.index(limits[0])).reshape(-1)[0]
    x = call.tensor(call.inputs.index(call.flows[0]))
    if np.broadcast_shapes(limits[0].shape, x.shape) != x.shape:
        raise InputError(f"constants of shape {limits[0].shape} change the shape {x.shape}")
    return call.out(clip(call.assembly, x, number, None, call.name))


def _monotone(make: Callable[[Call], Monotone]) -> Operator:
    def apply(call: Call) -> list[Value]:
        return call.out(monotone(call.flow(0).tensor, make(call), call.op))

    return apply


def _same(call: Call) -> list[Value]:
    return [call.flow(0)]


def _dropout(call: Call) -> list[Value]:
    if call.has(2) and np.any(call.constant(2).values):
        raise InputError("it is in training mode; export the model in evaluation mode")
    return [call.flow(0)]


def _cast(call: Call) -> list[Value]:
    code = call.whole("to", -1)
    if code not in call.graph.types:
        raise InputError("a Cast to any type but DOUBLE, FLOAT and FLOAT16 rounds or cuts; it is not supported")
    return [Flow(call.flow(0).tensor, call.graph.types[code])]


def _matmul(call: Call) -> list[Value]:
    return call.out(_product(call, 0, 1))


def _product(call: Call, a: int, b: int, *, trans_a: bool = False, trans_b: bool = False) -> Tensor:
    """Operand a times operand b, one of them constant."""
    if len(call.flows) > 1 and isinstance(call.inputs[a], Flow) and isinstance(call.inputs[b], Flow):
        raise InputError("a product of two tensors that depend on the input is not affine")
    if isinstance(call.inputs[a], Flow):
        x, w = call.tensor(a), call.values(b)
        x = _swapped(call, x) if trans_a else x
        matrix, shape = times_right(x.shape, w.T if trans_b else w)
    else:
        w, x = call.values(a), call.tensor(b)
        x = _swapped(call, x) if trans_b else x
        matrix, shape = times_left(w.T if trans_a else w, x.shape)
    return call.assembly.linear(x, matrix, shape, call.name)


def _swapped(call: Call, x: Tensor) -> Tensor:
    made = moved(call.assembly, [x], lambda numbered: [numbered[0].T])[0]
    assert isinstance(made, Tensor)
    return made


def _gemm(call: Call) -> list[Value]:
    if not all(call.has(i) for i in (0, 1)) or any(len(v.shape) != 2 for v in call.inputs[:2] if v is not None):
        raise InputError("its factors are no matrices")
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    x = _product(call, 0, 1, trans_a=bool(call.whole("transA", 0)), trans_b=bool(call.whole("transB", 0)))
    if alpha != 1.0:
        x = call.assembly.scale(x, np.asarray(alpha), "alpha")
    if call.has(2):
        if isinstance(call.inputs[2], Flow):
            c = call.tensor(2)
            call.same_type()
            c = c if beta == 1.0 else call.assembly.scale(c, np.asarray(beta), "beta")
            spread = broadcast(call.assembly, [x, c])
            if spread[0].shape != x.shape:
                raise InputError(f"a bias of shape {c.shape} meets a product of shape {x.shape}")
            x = call.assembly.add(spread, "bias")
        else:
            c_values = call.values(2)
            x = call.assembly.shift(x, c_values if beta == 1.0 else times(c_values, np.asarray(beta)), "bias")
    return call.out(x)


def _add(call: Call) -> list[Value]:
    return call.out(_sum(call, [1.0] * len(call.inputs)))


def _sub(call: Call) -> list[Value]:
    return call.out(_sum(call, [1.0, -1.0]))


def _sum(call: Call, signs: Sequence[float]) -> Tensor | Tail:
    """The sum of all operands with these signs."""
    call.same_type()
    flows: list[Tensor | Tail] = []
    for i, sign in enumerate(signs):
        if isinstance(call.inputs[i], Flow):
            x = call.flow(i).tensor
            flows.append(x if sign > 0 else _scaled(call, x, np.asarray(-1.0), "minus"))
    total = flows[0]
    if len(flows) > 1:
        tensors = [x for x in flows if isinstance(x, Tensor)]
        if len(tensors) < len(flows):
            raise InputError("several tensors meet after the last layer; that is not supported")
        total = call.assembly.add(broadcast(call.assembly, tensors), call.name)
    for i, sign in enumerate(signs):
        if not isinstance(call.inputs[i], Flow):
            values = call.values(i) if sign > 0 else -call.values(i)
            if isinstance(total, Tail):
                total = tail_shift(total, values)
            else:
                total = call.assembly.shift(total, values, call.name)
    return total


def _scaled(call: Call, x: Tensor | Tail, factors: Array, name: str) -> Tensor | Tail:
    return tail_scale(x, factors) if isinstance(x, Tail) else call.assembly.scale(x, factors, name)


def _mul(call: Call) -> list[Value]:
    if len(call.flows) > 1:
        raise InputError("a product of two tensors that depend on the input is not affine")
    place = 0 if isinstance(call.inputs[0], Flow) else 1
    return call.out(_scaled(call, call.flow(place).tensor, call.values(1 - place), call.name))


def _div(call: Call) -> list[Value]:
    if not isinstance(call.inputs[0], Flow) or isinstance(call.inputs[1], Flow) or not call.values(1).all():
        raise InputError("only a division by nonzero constants is supported")
    return call.out(_scaled(call, call.flow(0).tensor, reciprocal(call.values(1)), call.name))


def _neg(call: Call) -> list[Value]:
    return call.out(_scaled(call, call.flow(0).tensor, np.asarray(-1.0), "minus"))


def _image(call: Call, what: str) -> Tensor:
    x = call.tensor(0)
    if len(x.shape) < 3 or x.shape[0] != 1:
        raise InputError(f"{what} meets a tensor of shape {x.shape}; one image with channels is supported")
    return x


def _windows(call: Call, x: Tensor, sizes: Sequence[int]) -> Windows:
    """The windows that the attributes describe; `sizes`: of the kernel."""
    axes = len(x.shape) - 2
    strides, dilations = call.wholes("strides", [1] * axes), call.wholes("dilations", [1] * axes)
    pads, auto = call.wholes("pads", [0] * 2 * axes), call.text("auto_pad", "NOTSET")
    if len(sizes) != axes or call.wholes("kernel_shape", sizes) != list(sizes):
        raise InputError(f"kernel_shape does not fit a kernel of {list(sizes)} and a tensor of shape {x.shape}")
    if len(pads) != 2 * axes:
        raise InputError(f"{len(pads)} pads meet {axes} axes")
    if auto not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER") or (auto != "NOTSET" and any(pads)):
        raise InputError(f"auto_pad {auto} with pads {pads} is not supported")
    windows = Windows(tuple(sizes), strides, pads[:axes], pads[axes:], dilations)
    if auto.startswith("SAME"):
        windows.check("a window")
        needed = [
            max(0, (-(-n // s) - 1) * s + r - n)
            for n, s, r in zip(x.shape[2:], strides, windows.reach(), strict=True)
        ]  # fmt: skip
        half = [p // 2 if auto == "SAME_UPPER" else p - p // 2 for p in needed]
        windows = replace(windows, before=half, after=[p - h for p, h in zip(needed, half, strict=True)])
    return windows


def _conv(call: Call) -> list[Value]:
    kernel = call.values(1)
    x = _image(call, f"a kernel of shape {kernel.shape}")
    matrix, out = convolution(kernel, x.shape[1:], _windows(call, x, kernel.shape[2:]), call.whole("group", 1))
    return _with_bias(call, call.assembly.linear(x, matrix, (1, *out), call.name))


def _conv_transpose(call: Call) -> list[Value]:
    kernel = call.values(1)
    x = _image(call, f"a kernel of shape {kernel.shape}")
    if call.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID") or "output_shape" in call.attributes:
        raise InputError("auto_pad and output_shape are not supported; export explicit pads")
    extra = call.wholes("output_padding", [0] * (len(x.shape) - 2))
    windows = _windows(call, x, kernel.shape[2:])
    matrix, out = transposed(kernel, x.shape[1:], windows, call.whole("group", 1), extra)
    return _with_bias(call, call.assembly.linear(x, matrix, (1, *out), call.name))


def _with_bias(call: Call, x: Tensor) -> list[Value]:
    if call.has(2):
        bias = call.values(2)
        if bias.shape != (x.shape[1],):
            raise InputError(f"a bias of shape {bias.shape} meets {x.shape[1]} features")
        x = call.assembly.shift(x, bias.reshape(-1, *[1] * (len(x.shape) - 2)), "bias")
    return call.out(x)


def _batch_norm(call: Call) -> list[Value]:
    if call.whole("training_mode", 0) or not call.whole("spatial", 1) or len(call.node.output) > 1:
        raise InputError("it is in training mode; export the model in evaluation mode")
    eps = Fraction(call.number("epsilon", float(np.float32(1e-5))))
    # Scale, shift, mean and variance may have another type than the tensor (from version 14 on).
    given = [call.constant(i) for i in range(1, 5)]
    for v in given:
        check_weights([v.shape], "an operand has")
        if v.dtype not in call.graph.types.values():
            raise InputError(f"an operand has the type {v.dtype}")
    gamma, beta, mean, var = (v.values for v in given)
    return call.out(batch_norm(call.assembly, call.tensor(0), gamma, beta, mean, var, eps, call.name))


def _average(call: Call) -> list[Value]:
    x = _image(call, "an average")
    sizes = call.wholes("kernel_shape", [])
    windows = _windows(call, x, sizes)
    if call.whole("ceil_mode", 0):
        windows.check("an average")
        rest = [
            (n + b + a - r) % s
            for n, b, a, r, s in zip(
                x.shape[2:], windows.before, windows.after, windows.reach(), windows.strides, strict=True
            )
        ]
        if any(rest):
            raise InputError("ceil_mode with windows that reach beyond the image is not supported")
    matrix, out = averages(x.shape[1:], windows, count_pads=bool(call.whole("count_include_pad", 0)))
    return call.out(call.assembly.linear(x, matrix, (1, *out), call.name))


def _global_average(call: Call) -> list[Value]:
    x = _image(call, "an average")
    matrix, shape = over_axes(x.shape, range(2, len(x.shape)), mean=True, keep=True)
    return call.out(call.assembly.linear(x, matrix, shape, call.name))


def _reduce(mean: bool) -> Operator:
    def apply(call: Call) -> list[Value]:
        x = call.tensor(0)
        axes = call.indices(1) if call.has(1) else call.wholes("axes", [])
        if not axes and call.whole("noop_with_empty_axes", 0):
            return [call.flow(0)]
        matrix, shape = over_axes(x.shape, axes, mean=mean, keep=bool(call.whole("keepdims", 1)))
        return call.out(call.assembly.linear(x, matrix, shape, call.name))

    return apply


_ENDS: dict[str, Operator] = {
    "Sigmoid": _monotone(lambda call: ending.SIGMOID),
    "Tanh": _monotone(lambda call: ending.TANH),
    "Softplus": _monotone(lambda call: ending.softplus()),
    "Softsign": _monotone(lambda call: ending.SOFTSIGN),
    "Atan": _monotone(lambda call: ending.ATAN),
    "Asinh": _monotone(lambda call: ending.ASINH),
    "Elu": _monotone(lambda call: ending.elu(call.number("alpha", 1.0))),
    "Celu": _monotone(lambda call: ending.celu(call.number("alpha", 1.0))),
    "Selu": _monotone(
        lambda call: ending.elu(
            call.number("alpha", 1.67326319217681884765625), call.number("gamma", 1.05070102214813232421875)
        )
    ),
}
OPERATORS: dict[str, Operator] = {
    "Gemm": _gemm, "MatMul": _matmul, "Add": _add, "Sum": _add, "Sub": _sub, "Mul": _mul, "Div": _div, "Neg": _neg,
    "Conv": _conv, "ConvTranspose": _conv_transpose, "BatchNormalization": _batch_norm, "AveragePool": _average,
    "GlobalAveragePool": _global_average, "ReduceMean": _reduce(True), "ReduceSum": _reduce(False), "Relu": _relu,
    "LeakyRelu": _leaky, "PRelu": _prelu, "Clip": _clip, "Max": _max, **dict.fromkeys(MOVES, move),
    "Identity": _same, "Dropout": _dropout, "Cast": _cast, **_ENDS,
}  # fmt: skip
# What may follow a strictly monotone function that is left out: nothing of it makes two outputs one.
BEHIND = (*MOVES, *_ENDS, "LeakyRelu", "Identity", "Dropout", "Cast", "Add", "Sub", "Mul", "Div", "Neg")
