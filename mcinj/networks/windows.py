"""Convolutions, their transposes and averages over windows, as exact sparse matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.exact import Array
from mcinj.networks.limits import check_weights
from mcinj.networks.rows import Ints, Rows, from_entries

# Beyond this, positions would leave the range of the index arithmetic below.
_MAX_STEP = 2**31


@dataclass(frozen=True)
class Windows:
    """How windows lie on an image, per axis: their sizes, steps, zeros added before and after, and dilations."""

    sizes: tuple[int, ...]
    strides: Sequence[int]
    before: Sequence[int]
    after: Sequence[int]
    dilations: Sequence[int]

    def check(self, what: str) -> None:
        """Refuse numbers that no convolution has."""
        axes = len(self.sizes)
        if not all(len(v) == axes for v in (self.strides, self.before, self.after, self.dilations)):
            raise InputError(f"{what} needs strides, pads and dilations for {axes} axes")
        if not all(1 <= v <= _MAX_STEP for v in (*self.strides, *self.dilations, *self.sizes)):
            raise InputError(f"{what} has strides, dilations or window sizes below 1 or beyond 2^31")
        if not all(0 <= v <= _MAX_STEP for v in (*self.before, *self.after)):
            raise InputError(f"{what} has negative pads, or pads beyond 2^31")

    def reach(self) -> list[int]:
        """Pixels from a window's first one to its last one, per axis."""
        return [d * (w - 1) + 1 for d, w in zip(self.dilations, self.sizes, strict=True)]

    def positions(self, size: Sequence[int]) -> tuple[int, ...]:
        """Number of windows that fit on an image, per axis."""
        return tuple(
            (n + b + a - r) // s + 1
            for n, b, a, r, s in zip(size, self.before, self.after, self.reach(), self.strides, strict=True)
        )

    def meetings(self, size: Sequence[int], out: Sequence[int], times: int, what: str) -> tuple[Ints, Ints, Ints]:
        """Window, pixel and place in the window that meet, each flat over all axes; `times`: how often it is used."""
        check_weights([(prod(out), prod(self.sizes), times)], f"{what} unrolls to a matrix with up to")
        window, pixel, place = (np.zeros(1, dtype=np.int64) for _ in range(3))
        for i, n in enumerate(size):
            o, k = np.indices((out[i], self.sizes[i]), dtype=np.int64).reshape(2, -1)
            x = o * self.strides[i] + k * self.dilations[i] - self.before[i]
            met = (x >= 0) & (x < n)
            window = np.add.outer(window * out[i], o[met]).ravel()
            pixel = np.add.outer(pixel * n, x[met]).ravel()
            place = np.add.outer(place * self.sizes[i], k[met]).ravel()
        return window, pixel, place


def convolution(kernel: Array, shape: tuple[int, ...], windows: Windows, groups: int) -> tuple[Rows, tuple[int, ...]]:
    """Matrix of a cross-correlation (what every framework calls a convolution) and the shape of its output.

    `kernel`: `(features, channels / groups, *window)`; `shape`: `(channels, *size)` of the input.
    """
    what, channels, size = _checked(kernel, shape, windows, groups, "convolution")
    features, per_group = int(kernel.shape[0]), int(kernel.shape[1])
    if channels != per_group * groups or features % groups:
        raise InputError(f"{what} and {groups} groups does not fit {channels} channels")
    out = windows.positions(size)
    if min(out) < 1:
        raise InputError(f"{what} leaves nothing of an input of shape {shape}")
    window, pixel, place = windows.meetings(size, out, features * per_group, what)
    rows = np.arange(features)[:, None, None] * prod(out) + window
    group = np.arange(features) // (features // groups)
    columns = (group[:, None] * per_group + np.arange(per_group))[:, :, None] * prod(size) + pixel
    return _entries(rows, columns, kernel.reshape(features, per_group, -1)[:, :, place], features * prod(out)), (
        features,
        *out,
    )


def transposed(
    kernel: Array, shape: tuple[int, ...], windows: Windows, groups: int, extra: Sequence[int]
) -> tuple[Rows, tuple[int, ...]]:
    """Matrix of a transposed convolution, and the shape of its output.

    `kernel`: `(channels, features / groups, *window)`; `extra`: pixels added to the output at its end, per axis.
    """
    what, channels, size = _checked(kernel, shape, windows, groups, "transposed convolution")
    per_group = int(kernel.shape[1])
    if channels != kernel.shape[0] or channels % groups:
        raise InputError(f"{what} and {groups} groups does not fit {channels} channels")
    largest = [max(s, d) for s, d in zip(windows.strides, windows.dilations, strict=True)]
    if len(extra) != len(size) or not all(0 <= e < s for e, s in zip(extra, largest, strict=True)):
        raise InputError(f"{what} has an output padding of {list(extra)}, which its strides do not allow")
    out = tuple(
        (n - 1) * s - b - a + r + e
        for n, s, b, a, r, e in zip(
            size, windows.strides, windows.before, windows.after, windows.reach(), extra, strict=True
        )
    )
    if min(out) < 1:
        raise InputError(f"{what} leaves nothing of an input of shape {shape}")
    window, pixel, place = windows.meetings(out, size, channels * per_group, what)
    group = np.arange(channels) // (channels // groups)
    rows = (group[:, None] * per_group + np.arange(per_group))[:, :, None] * prod(out) + pixel
    columns = np.arange(channels)[:, None, None] * prod(size) + window
    features = per_group * groups
    check_weights([(features, *out)], f"{what} gives")
    values = kernel.reshape(channels, per_group, -1)[:, :, place]
    return _entries(rows, columns, values, features * prod(out)), (features, *out)


def averages(shape: tuple[int, ...], windows: Windows, *, count_pads: bool) -> tuple[Rows, tuple[int, ...]]:
    """Matrix of the averages over windows, channel by channel; `count_pads`: zeros added count as pixels."""
    what = f"an average over windows of {windows.sizes}"
    channels, *size = shape
    windows.check(what)
    if len(size) != len(windows.sizes):
        raise InputError(f"{what} does not fit an input of shape {shape}")
    out = windows.positions(size)
    if min(out) < 1:
        raise InputError(f"{what} leaves nothing of an input of shape {shape}")
    window, pixel, _ = windows.meetings(size, out, channels, what)
    whole = prod(windows.sizes) if count_pads else None
    return _means(channels, window, pixel, prod(size), prod(out), whole), (channels, *out)


def adaptive_averages(shape: tuple[int, ...], out: Sequence[int]) -> tuple[Rows, tuple[int, ...]]:
    """Matrix of averages over windows that share an image out as torch does: from ⌊i n / k⌋ to ⌈(i + 1) n / k⌉."""
    channels, *size = shape
    if len(out) != len(size) or min(out) < 1:
        raise InputError(f"an average to a size of {list(out)} does not fit an input of shape {shape}")
    check_weights([(channels, *(n + k for n, k in zip(size, out, strict=True)))], "an average has up to")
    window, pixel = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    for n, k in zip(size, out, strict=True):
        spans = [range(i * n // k, -(-(i + 1) * n // k)) for i in range(k)]
        o = np.concatenate([np.full(len(span), i) for i, span in enumerate(spans)])
        x = np.concatenate([np.asarray(span) for span in spans])
        window = np.add.outer(window * k, o).ravel()
        pixel = np.add.outer(pixel * n, x).ravel()
    return _means(channels, window, pixel, prod(size), prod(out), None), (channels, *out)


def _means(channels: int, window: Ints, pixel: Ints, pixels: int, windows: int, whole: int | None) -> Rows:
    """Averages over the pixels of each window, all windows alike for every channel; `whole`: divide by this instead."""
    counts = np.bincount(window, minlength=windows) if whole is None else np.full(windows, whole)
    shares = {int(c): Fraction(1, int(c)) for c in np.unique(counts) if c}
    values = np.array([shares[int(c)] for c in counts[window]], dtype=object)
    rows = np.add.outer(np.arange(channels) * windows, window).ravel()
    columns = np.add.outer(np.arange(channels) * pixels, pixel).ravel()
    return from_entries(rows, columns, np.tile(values, channels), channels * windows)


def _entries(rows: Ints, columns: Ints, values: Array, count: int) -> Rows:
    rows, columns = (np.broadcast_to(a, values.shape).ravel() for a in (rows, columns))
    return from_entries(rows, columns, values.ravel(), count)


def _checked(
    kernel: Array, shape: tuple[int, ...], windows: Windows, groups: int, name: str
) -> tuple[str, int, list[int]]:
    what = f"a {name} with a kernel of shape {kernel.shape}"
    channels, *size = shape
    if kernel.ndim < 3 or len(size) != kernel.ndim - 2 or 0 in kernel.shape:
        raise InputError(f"{what} does not fit an input of shape {shape}")
    windows.check(what)
    if not 1 <= groups <= _MAX_STEP:
        raise InputError(f"{what} has {groups} groups")
    return what, channels, size
