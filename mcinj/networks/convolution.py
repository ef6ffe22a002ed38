"""Convolutions unrolled into matrices."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.exact import Array
from mcinj.networks.limits import check_weights

# Beyond this, positions would leave the range of the index arithmetic below.
_MAX_STEP = 2**31


def unroll(
    kernel: Array,
    shape: tuple[int, ...],
    *,
    strides: Sequence[int],
    before: Sequence[int],
    after: Sequence[int],
    dilations: Sequence[int],
    groups: int,
) -> tuple[Array, tuple[int, ...]]:
    """Matrix of a cross-correlation (what every framework calls a convolution) and the shape of its output.

    `kernel`: `(features, channels / groups, *window)`; `shape`: `(channels, *size)` of the input; `before`, `after`:
    zeros added per axis. The matrix has shape `(features · prod(out), channels · prod(size))`, row-major.
    """
    what = f"a convolution with a kernel of shape {kernel.shape}"
    axes = kernel.ndim - 2
    channels, *size = shape
    if axes < 1 or len(size) != axes or 0 in kernel.shape:
        raise InputError(f"{what} does not fit an input of shape {shape}")
    if not all(len(v) == axes for v in (strides, before, after, dilations)):
        raise InputError(f"{what} needs strides, pads and dilations for {axes} axes")
    if not all(1 <= v <= _MAX_STEP for v in (*strides, *dilations, groups)):
        raise InputError(f"{what} has strides, dilations or groups below 1 or beyond 2^31")
    if not all(0 <= v <= _MAX_STEP for v in (*before, *after)):
        raise InputError(f"{what} has negative pads, or pads beyond 2^31")
    features, per_group = int(kernel.shape[0]), int(kernel.shape[1])
    if channels != per_group * groups or features % groups:
        raise InputError(f"{what} and {groups} groups does not fit {channels} channels")
    window = kernel.shape[2:]
    out = tuple(
        (size[i] + before[i] + after[i] - dilations[i] * (window[i] - 1) - 1) // strides[i] + 1 for i in range(axes)
    )
    if min(out) < 1:
        raise InputError(f"{what} leaves nothing of an input of shape {shape}")
    rows, columns = features * prod(out), prod(shape)
    check_weights([(rows, columns)], f"{what} unrolls to a matrix of {rows:,} x {columns:,} with")
    # Positions of output, input and kernel that meet, axis by axis, then for all axes together.
    place_out, place_in, place_kernel = (np.zeros(1, dtype=np.int64) for _ in range(3))
    for i in range(axes):
        o, x = np.indices((out[i], size[i]), dtype=np.int64).reshape(2, -1)
        steps = x + before[i] - o * strides[i]
        k = steps // dilations[i]
        met = (steps % dilations[i] == 0) & (k >= 0) & (k < window[i])
        place_out = np.add.outer(place_out * out[i], o[met]).ravel()
        place_in = np.add.outer(place_in * size[i], x[met]).ravel()
        place_kernel = np.add.outer(place_kernel * window[i], k[met]).ravel()
    matrix = np.zeros((groups, features // groups, prod(out), groups, per_group, prod(size)), dtype=kernel.dtype)
    flat = kernel.reshape(groups, features // groups, per_group, prod(window))
    for g in range(groups):
        # Index arrays apart from each other go first: the block has shape (positions, features, channels).
        matrix[g, :, :, g][:, place_out, :, place_in] = flat[g][:, :, place_kernel].transpose(2, 0, 1)
    return matrix.reshape(rows, columns), (features, *out)
