"""A network that was read, held against the source's own evaluator on random inputs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError
from mcinj.networks.chain import Chain
from mcinj.networks.reading import Reading

Floats = npt.NDArray[np.float64]

# Inputs of several sizes: biases decide what small ones give, clipping and casts show in large ones.
SCALES = (0.0, 1.0, 1.0, 1.0, 0.03, 30.0, 1000.0)


def compare(
    chain: Chain, read: Reading, evaluate: Callable[[Floats], Floats], dtype: npt.DTypeLike, *, by: str
) -> None:
    """Raise `InputError` unless `read` gives what `evaluate` gives, up to the rounding of `dtype`.

    Parameters
    ----------
    chain
        The chain that `read` came from: it knows the sums whose rounding is allowed.
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
        x = (rng.standard_normal(chain.inputs) * scale).astype(dtype).astype(np.float64)
        for _ in range(3):
            got, expected = _forward(read, x), evaluate(x).reshape(-1)
            if got.shape != expected.shape:
                raise InputError(
                    f"read as a network with {got.size} outputs, but {by} gives {expected.size}: "
                    "some operator is not understood"
                )
            if np.isfinite(expected).all() and np.isfinite(got).all():
                sums, roundings = chain.magnitude(x, float(info.tiny) / float(info.eps))
                if np.any(np.abs(got - expected) > 2.0 * roundings * float(info.eps) * sums):
                    raise InputError(
                        f"the network as read differs from what {by} computes (largest difference "
                        f"{np.abs(got - expected).max():.3g}): some operator is not understood"
                    )
                compared += 1
                break
            x = (x * 2.0**-20).astype(dtype).astype(np.float64)
    if not compared:
        raise InputError(f"{by} overflows on every input that was tried, so what was read cannot be compared with it")


def _forward(read: Reading, x: Floats) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        y = read.network.forward(x)
        if not read.layers[-1].relu:
            half = len(y) // 2
            y = y[:half] - y[half:]
    return y
