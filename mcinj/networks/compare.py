"""A network that was read, held against the source's own evaluator on random inputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError
from mcinj.networks.assembly import Assembly, Tensor
from mcinj.networks.ending import Tail, last_slopes, tail_of
from mcinj.networks.reading import Leaky, Reading

Floats = npt.NDArray[np.float64]

# Inputs of several sizes: biases decide what small ones give, clipping and casts show in large ones.
SCALES = (0.0, 1.0, 1.0, 1.0, 0.03, 30.0, 1000.0)


def compare(
    assembly: Assembly, end: Tensor | Tail, read: Reading, evaluate: Callable[[Floats], Floats], dtype: npt.DTypeLike,
    *, by: str,
) -> None:  # fmt: skip
    """Raise `InputError` unless `read` gives what `evaluate` gives, up to the rounding of `dtype`.

    Parameters
    ----------
    assembly, end
        What `read` came from: they know the sums whose rounding is allowed, and what was left out behind the network.
    evaluate
        From an input of shape `(n,)`, float64 numbers that `dtype` holds, to all entries of the output, flat.
    dtype
        The coarsest floating type of the evaluation.
    by
        Name of the evaluator.

    The test proves nothing. It is there to find a reader that takes an operator for another one.
    """
    rng = np.random.default_rng(20240731)
    info = np.finfo(dtype)
    compared = 0
    for scale in SCALES:
        x = (rng.standard_normal(assembly.inputs) * scale).astype(dtype).astype(np.float64)
        for _ in range(3):
            got, expected = forward(assembly, end, read, x), evaluate(x).reshape(-1)
            if got.shape != expected.shape:
                raise InputError(
                    f"read as a network with {got.size} outputs, but {by} gives {expected.size}: "
                    "some operator is not understood"
                )
            if np.isfinite(expected).all() and np.isfinite(got).all():
                room = room_of(assembly, end, x, info)
                leaky = got if read.leaky is None else forward(assembly, end, read, x, leaky=True)
                if np.any(np.abs(got - expected) > room) or np.any(np.abs(leaky - expected) > room):
                    raise InputError(
                        f"the network as read differs from what {by} computes (largest difference "
                        f"{np.abs(got - expected).max():.3g}): some operator is not understood"
                    )
                compared += 1
                break
            x = (x * 2.0**-20).astype(dtype).astype(np.float64)
    if not compared:
        raise InputError(f"{by} overflows on every input that was tried, so what was read cannot be compared with it")


def room_of(assembly: Assembly, end: Tensor | Tail, x: Floats, info: np.finfo[np.floating]) -> Floats:
    """The difference at `x` that roundings of this type explain, for every entry of the output."""
    tail = tail_of(end)
    sums, roundings = assembly.magnitude(x, float(info.tiny) / float(info.eps), tail.tensor.slot)
    for step in tail.steps:
        sums = step.magnitude(sums)
    return 2.0 * (roundings + 8 * len(tail.steps)) * float(info.eps) * sums


def forward(assembly: Assembly, end: Tensor | Tail, read: Reading, x: Floats, *, leaky: bool = False) -> Floats:
    """The output that `read` says, or its short form with leaky ReLUs; with what was left out behind it."""
    tail = tail_of(end)
    with np.errstate(over="ignore", invalid="ignore"):
        y = _leaky(read.leaky, x) if leaky and read.leaky is not None else read.network.forward(x)
        if not read.layers[-1].relu:
            half = len(y) // 2
            y = y[:half] - y[half:]
            slopes = last_slopes(assembly, tail.tensor)
            if slopes is not None:
                y = np.where(y > 0, y, slopes * y)
        for step in tail.steps:
            y = step.value(y)
    return y


def _leaky(leaky: Leaky, x: Floats) -> Floats:
    """The last layer's values without their signs taken, of a network with leaky ReLUs."""
    network, y = leaky.network, x
    for k, w in enumerate(network.weights):
        z = w @ y
        if network.biases is not None:
            z = z + network.biases[k]
        y = np.maximum(z, 0.0 if k == network.depth - 1 else leaky.slope * z)
    return y
