"""From a tensor of an assembly to the network that it is the output of; monotone functions behind it are left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError
from mcinj.networks.assembly import Assembly, Layer, Tensor
from mcinj.networks.exact import Array, as_floats, joined, times
from mcinj.networks.limits import check_weights
from mcinj.networks.reading import Leaky, Reading, reading
from mcinj.networks.rows import Ints

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """An injective function behind the last layer: of the values, and of bounds of them; its name, if it has one."""

    name: str
    value: Callable[[Floats], Floats]
    magnitude: Callable[[Floats], Floats]


@dataclass(frozen=True)
class Tail:
    """What comes out of `tensor` by injective functions of single entries, and by putting these into another order."""

    tensor: Tensor
    shape: tuple[int, ...]
    steps: tuple[Step, ...]

    def then(self, step: Step) -> Tail:
        """One more function."""
        return replace(self, steps=(*self.steps, step))


@dataclass(frozen=True)
class Monotone:
    """A strictly increasing function, its value at 0, and how much it can stretch a difference."""

    value: Callable[[Floats], Floats]
    at_zero: float = 0.0
    stretch: float = 1.0


def _sigmoid(z: Floats) -> Floats:
    return np.where(z >= 0, 1.0, np.exp(np.minimum(z, 0.0))) / (1.0 + np.exp(-np.abs(z)))


SIGMOID = Monotone(_sigmoid, 0.5, 0.25)
LOG_SIGMOID = Monotone(lambda z: -np.logaddexp(0.0, -z), -float(np.log(2.0)))
TANH = Monotone(np.tanh)
SOFTSIGN = Monotone(lambda z: z / (1.0 + np.abs(z)))
ATAN = Monotone(np.arctan)
ASINH = Monotone(np.arcsinh)


def softplus(beta: float = 1.0, threshold: float = float("inf")) -> Monotone:
    """`log(1 + exp(beta z)) / beta`; frameworks compute z where beta z is above the threshold."""
    _positive(beta, "beta")

    def value(z: Floats) -> Floats:
        return np.where(beta * z > threshold, z, np.logaddexp(0.0, beta * z) / beta)

    return Monotone(value, float(np.log(2.0)) / beta)


def elu(alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Monotone:
    """`scale · z` for z > 0, `scale · alpha · (exp(input_scale · z) - 1)` below."""
    for value, name in ((alpha, "alpha"), (scale, "its scale"), (input_scale, "its input's scale")):
        _positive(value, name)

    def function(z: Floats) -> Floats:
        return np.where(z > 0, scale * z, scale * alpha * np.expm1(input_scale * np.minimum(z, 0.0)))

    return Monotone(function, 0.0, scale * max(1.0, alpha * input_scale))


def celu(alpha: float) -> Monotone:
    """`max(z, 0) + min(0, alpha (exp(z / alpha) - 1))`."""
    _positive(alpha, "alpha")
    return elu(alpha, 1.0, 1.0 / alpha)


def tail_of(value: Tensor | Tail) -> Tail:
    """A tensor as the end of a network."""
    return value if isinstance(value, Tail) else Tail(value, value.shape, ())


def monotone(value: Tensor | Tail, function: Monotone, name: str) -> Tail:
    """Apply a strictly increasing function entry by entry."""

    def magnitude(a: Floats) -> Floats:
        return function.stretch * a + abs(function.at_zero)

    return tail_of(value).then(Step(name, function.value, magnitude))


def tail_scale(tail: Tail, factors: Array) -> Tail:
    """Multiply by constants, none of them 0."""
    f = _spread(tail, factors)
    if not f.all():
        raise InputError("a product with 0 after the last layer is not supported")
    return tail.then(Step("", lambda y: y * f, lambda a: a * np.abs(f)))


def tail_shift(tail: Tail, constants: Array) -> Tail:
    """Add constants."""
    c = _spread(tail, constants)
    return tail.then(Step("", lambda y: y + c, lambda a: a + np.abs(c)))


def tail_gather(tail: Tail, index: Ints, shape: tuple[int, ...]) -> Tail:
    """Put the entries into another order; refused where one is lost."""
    if not np.isin(np.arange(int(np.prod(tail.shape))), index).all() or (index < 0).any():
        raise InputError("an operator that leaves out entries after the last layer is not supported")
    return replace(tail.then(Step("", lambda y: y[index], lambda a: a[index])), shape=shape)


def reading_of(assembly: Assembly, end: Tensor | Tail, last: str | None = None) -> Reading:
    """The network whose output is `end`; `last` as in `mcinj.networks.reading.reading`.

    Leaky ReLUs of one slope between 0 and 1 are a network of their own (`Reading.leaky`). In `Reading.network`, and
    where slopes differ, a leaky ReLU is two units: `max(z, 0) + a min(z, 0) = ReLU(z) - a ReLU(-z)`.
    """
    tail = tail_of(end)
    out, left_out = tail.tensor, [s.name for s in tail.steps if s.name]
    layers, relu = list(assembly.layers[: out.level]), False
    slopes = last_slopes(assembly, out)
    if slopes is not None:  # the output is what activations of this layer give, no more
        relu = not slopes.any()
        layers[-1] = _chosen(layers[-1], out.rows.columns)
        left_out = left_out if relu else ["leaky ReLU", *left_out]
    elif out.level == 0 and out.bare:
        raise InputError("the file holds no linear layer and no ReLU")
    else:
        layers.append(_linear_layer(out))
    widths = [assembly.inputs, *(layer.width for layer in layers)]
    check_weights(pairwise(widths), "the layers as matrices have")
    return _read(assembly.inputs, layers, relu, left_out, last)


def last_slopes(assembly: Assembly, out: Tensor) -> Floats | None:
    """Slopes of the last layer's activations: all 0 (ReLUs), or all positive (left out); None where it is linear."""
    if not (out.level and out.bare):
        return None
    slopes = assembly.layers[out.level - 1].slopes[out.rows.columns]
    return slopes if (slopes == 0).all() or (slopes > 0).all() else None


def _read(inputs: int, layers: list[Layer], end_relu: bool, left_out: list[str], last: str | None) -> Reading:
    """The reading of these layers."""
    says = "relu" if end_relu else "linear"
    weights, biases, names = [], [], [" and ".join(dict.fromkeys(layer.names)) for layer in layers]
    width = inputs
    for layer in layers:
        weights.append(layer.matrix.dense(width))
        biases.append(layer.biases)
        width = layer.width
    inner = [layer.slopes for layer in layers[:-1]]
    slopes = {float(s) for each in inner for s in each}
    notes = [list(layer.notes) for layer in layers]
    for layer, note in zip(layers, notes, strict=True):
        if layer.carried:
            note.append(f"{len(layer.carried)} of its units carry earlier values past it")
    if left_out:
        note = notes[-1]
        note.append(f"{', '.join(left_out)} left out, strictly monotone")
    uniform = slopes.pop() if len(slopes) == 1 else 0.0
    if not any(s.any() for s in inner):
        return _noted(reading(weights, _given(biases), names, says=says, last=last), notes, left_out)
    plain = reading(*_expanded(weights, biases, inner), names, says=says, last=last)
    if 0.0 < uniform < 1.0 and not end_relu:
        leaky = reading(weights, _given(biases), names, says=says, last=last)
        shown = tuple(replace(layer, slope=uniform) for layer in leaky.layers[:-1])
        own = Reading(plain.network, (*shown, leaky.layers[-1]), True, Leaky(leaky.network, uniform))
        return _noted(own, notes, left_out)
    for slope, note in zip(inner, notes, strict=False):
        if slope.any():
            note.append(f"{int(np.count_nonzero(slope))} leaky ReLUs as two units each")
    return _noted(plain, notes, left_out)


def _expanded(
    weights: Sequence[Array], biases: Sequence[Array], slopes: Sequence[Floats]
) -> tuple[list[Array], list[Array] | None]:
    """The network with every leaky unit as two."""
    made, shifts = [], []
    for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
        if k and slopes[k - 1].any():
            leaky = np.flatnonzero(slopes[k - 1])
            w = joined([w, times(w[:, leaky], -slopes[k - 1][leaky][None, :])], axis=1)
        if k < len(slopes) and slopes[k].any():
            leaky = np.flatnonzero(slopes[k])
            w, b = joined([w, -w[leaky]]), joined([b, -b[leaky]])
        made.append(w)
        shifts.append(b)
    widths = [w.shape for w in made]
    check_weights(widths, "the layers with leaky ReLUs as two units each have")
    return made, _given(shifts)


def _given(biases: Sequence[Array]) -> list[Array] | None:
    return list(biases) if any(np.any(b != 0) for b in biases) else None


def _noted(read: Reading, notes: list[list[str]], left_out: list[str]) -> Reading:
    layers = tuple(replace(layer, note="; ".join(note)) for layer, note in zip(read.layers, notes, strict=True))
    return replace(read, layers=layers, left_out=tuple(left_out))


def _chosen(layer: Layer, units: Ints) -> Layer:
    """The layer with these units alone."""
    made = Layer()
    made.names, made.notes = layer.names, layer.notes
    made.add(layer.matrix.take(units), layer.biases[units], layer.slopes[units])
    place = {unit: key for key, unit in layer.carried.items()}
    made.carried = {place[unit]: i for i, unit in enumerate(units.tolist()) if unit in place}
    return made


def _linear_layer(t: Tensor) -> Layer:
    made = Layer()
    made.add(t.rows, t.shift, np.zeros(t.size))
    made.names, made.notes = [" + ".join(t.parts) or "output"], list(t.notes)
    return made


def _spread(tail: Tail, values: Array) -> Floats:
    try:
        return np.broadcast_to(as_floats(values), tail.shape).reshape(-1)
    except ValueError:
        raise InputError(f"constants of shape {values.shape} change the shape {tail.shape}") from None


def _positive(value: float, name: str) -> None:
    if not 0.0 < value < float("inf"):
        raise InputError(f"{name} is {value}; only a positive one gives a strictly monotone function")
