"""Injective by construction: the layers and networks of the literature, built exactly, so that they can be decided.

Puthawala, Kothari, Lassas, Dokmanić and de Hoop (arXiv:2006.08464) give all injective layers with 2n rows, `[B; -DB]`,
with more rows `[B; -DB; M]`, a sufficient condition for convolutions, and injective networks projected to 2n + 1
outputs. What is built here is an ordinary `Network`: nothing is known of it that `mcinj.check` does not prove anew.
See docs/constructions.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError
from mcinj.networks import Network, Seed, sample
from mcinj.networks.exact import Array, joined, numbers, times
from mcinj.networks.limits import check_weights
from mcinj.networks.windows import Windows, convolution

PADDINGS = ("valid", "zeros", "circular")
_POWERS = (-2, 3)  # drawn factors of D are 2^k with k in this half-open range

__all__ = ["PADDINGS", "convolutional_layer", "doubled", "drawn", "least_patch", "projected"]


def doubled(basis: npt.ArrayLike, factors: npt.ArrayLike = 1, more: npt.ArrayLike | None = None) -> Network:
    """The injective layer `[B; -DB; M]`, D a positive diagonal matrix.

    In every open cell one of `b_i` and `-d_i b_i` is active, so the active rows span what B's rows span. With 2n rows
    there are no other injective layers (Puthawala et al.). The rows must be opposite exactly: products
    that float64 does not hold are kept as rationals. Then `mcinj.write_npz` refuses the network; powers of two as
    factors avoid that.

    Parameters
    ----------
    basis
        B, shape (k, n), k >= n, with rank n.
    factors
        The diagonal of D, shape (k,), or one number for all; positive.
    more
        M, shape (any, n): further rows, which harm nothing.

    Raises
    ------
    InputError
        Rows that do not span R^n, factors that are not positive, shapes that do not fit.

    Examples
    --------
    >>> import mcinj
    >>> layer = mcinj.constructions.doubled([[1, 0], [1, 1]], factors=[1, 2])
    >>> layer.weights[0].tolist()
    [[1.0, 0.0], [1.0, 1.0], [-1.0, 0.0], [-2.0, -2.0]]
    >>> str(mcinj.check(layer).verdict)
    'injective'
    """
    from mcinj.decide.layer.model import Layer

    alone = Network([basis])
    b = _array(alone)
    k, n = b.shape
    if Layer.of(alone).rank() < n:
        raise InputError(f"the rows of the basis, shape {b.shape}, do not span R^{n}")
    d = numbers(factors, "factors")
    if d.shape not in ((), (k,)):
        raise InputError(f"factors have shape {d.shape}; give one number, or one for each of the {k} rows of the basis")
    if not (d > 0).all():
        raise InputError("factors must be positive")
    # From 0, not the negative: no zeros with a sign.
    parts = [b, 0 - times(np.broadcast_to(d, (k,)), b.T).T]
    if more is not None:
        m = _array(Network([more]))
        if m.shape[1] != n:
            raise InputError(f"the further rows have {m.shape[1]} columns, the basis has {n}")
        parts.append(m)
    return Network([joined(parts)])


def projected(network: Network, outputs: int, seed: Seed | int | str = 0) -> Network:
    """The network followed by a Gaussian matrix: `x ↦ G f(x)`, G of shape (outputs, m_l), without a last ReLU.

    Where f is injective, so is the projection almost surely, from 2n + 1 outputs on, and without biases from 2n
    (docs/constructions.md). As everywhere the linear last layer is there with both signs, `[G; -G]`.

    Examples
    --------
    >>> import mcinj
    >>> wide = mcinj.constructions.doubled([[1, 0], [0, 1]])
    >>> narrow = mcinj.constructions.projected(wide, 4)
    >>> narrow.widths, str(mcinj.check(narrow).verdict)
    ((4, 8), 'injective')
    """
    count, last = _whole(outputs, "outputs", 1), network.widths[-1]
    check_weights([(2 * count, last)], "the projection has")
    g = sample(last, (count,), seed=seed).weights[0]
    weights, biases = network.as_given()
    offsets = None if biases is None else [*biases, np.zeros(count)]
    return Network([*weights, g], offsets).with_linear_last_layer()


def drawn(n: int, *, layers: int = 1, more: int = 0, outputs: int | None = None, seed: Seed | int | str = 0) -> Network:
    """A random network of `layers` layers `[B; -DB; M]`, projected to `outputs` outputs if that is given.

    B and M (`more` rows) are Gaussian, D's entries are powers of two from 1/4 to 4, so that files hold the products.
    Every layer doubles: widths are `2 m + more` of the m before.

    Examples
    --------
    >>> import mcinj
    >>> mcinj.constructions.drawn(2, layers=2, outputs=5).widths
    (4, 8, 10)
    """
    root, extra = Seed.parse(seed), _whole(more, "more", 0)
    widths = [_whole(n, "n", 1)]
    for _ in range(_whole(layers, "layers", 1)):
        widths.append(2 * widths[-1] + extra)
        check_weights(pairwise(widths), "the construction has")
    weights = []
    for k, m in enumerate(widths[:-1]):
        basis = sample(m, (m,), seed=root.child(k, 0)).weights[0]
        powers = root.child(k).generator(1).integers(*_POWERS, m)
        rest = sample(m, (extra,), seed=root.child(k, 2)).weights[0] if extra else None
        weights.append(doubled(basis, np.ldexp(1.0, powers), rest).weights[0])
    network = Network(weights)
    return network if outputs is None else projected(network, outputs, root.child(layers))


def convolutional_layer(
    kernels: npt.ArrayLike, size: int | Sequence[int], *, padding: str = "valid", stride: int = 1
) -> Network:
    """The layer ReLU(conv(x)) as a matrix, one row for each kernel and position.

    Parameters
    ----------
    kernels
        Shape (kernels, channels, *window), or (kernels, window) for one channel on one axis.
    size
        Pixels along each axis; one number: the same along all.
    padding
        `valid`: none. `zeros`: as many zeros around as the window is long less one, half of them (rounded down) before.
        `circular`: the image is a torus.
    stride
        Step between positions, along each axis.

    Returns
    -------
    Network
        One layer; inputs are channels, then pixels, row by row.

    Examples
    --------
    >>> import mcinj
    >>> mcinj.constructions.convolutional_layer([[1, -1]], 3).weights[0].tolist()
    [[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]]
    """
    k = _kernels(kernels)
    axes = k.ndim - 2
    sizes = _sizes(size, axes)
    window = k.shape[2:]
    if padding not in PADDINGS:
        raise InputError(f"padding is {padding!r}; choose {', '.join(PADDINGS)}")
    if any(w > s for w, s in zip(window, sizes, strict=True)):
        raise InputError(f"a window of {window} does not fit an image of {sizes}")
    spare = [w - 1 for w in window]
    before = [v // 2 if padding == "zeros" else 0 for v in spare]
    after = [v - v // 2 if padding == "zeros" else 0 for v in spare]
    # On a torus: convolve the image continued by a window less one pixel, then add what is the same pixel.
    image = tuple(s + v for s, v in zip(sizes, spare, strict=True)) if padding == "circular" else sizes
    windows = Windows(window, [_whole(stride, "stride", 1)] * axes, before, after, [1] * axes)
    channels = k.shape[1]
    rows, _ = convolution(k, (channels, *image), windows, 1)
    check_weights([(len(rows), channels, *sizes)], "the convolution unrolls to")
    grid = np.indices(image).reshape(axes, -1)
    pixel = np.ravel_multi_index([g % s for g, s in zip(grid, sizes, strict=True)], sizes)
    target = (np.arange(channels)[:, None] * prod(sizes) + pixel).ravel()
    dense = np.zeros((len(rows), channels * prod(sizes)), dtype=rows.values.dtype)
    # No window meets a pixel twice, as it is no longer than the image.
    dense[rows.of_entries(), target[rows.columns]] = rows.values
    return Network([dense])


def least_patch(kernels: npt.ArrayLike, most: int) -> int | None:
    """The least P for which the sources' sufficient condition holds, at most `most`; None if there is none.

    The condition (Puthawala et al.): the kernels, shifted by zeros in all ways to patches of P pixels along each axis,
    make an injective layer on patches. Then the convolution with stride 1 is injective on images of any size from P on,
    with any padding. The layer on patches is `convolutional_layer(kernels, P)`, decided exactly.

    Examples
    --------
    >>> import mcinj
    >>> mcinj.constructions.least_patch([[1, 0], [-1, 0], [0, 1], [0, -1]], 4)
    2
    """
    from mcinj.decide.check import check

    k = _kernels(kernels)
    for patch in range(max(k.shape[2:]), _whole(most, "most", 1) + 1):
        if check(convolutional_layer(k, patch)).verdict == "injective":
            return patch
    return None


def _array(layer: Network) -> Array:
    """The matrix of a layer as float64, or as rationals where float64 does not hold it."""
    a = layer.as_given()[0][0]
    return np.array(a, dtype=object if isinstance(a, tuple) else np.float64).reshape(layer.weights[0].shape)


def _whole(value: int, name: str, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} is {value!r}; give a whole number >= {least}")
    return int(value)


def _kernels(values: npt.ArrayLike) -> Array:
    k = numbers(values, "kernels")
    if k.ndim == 2:
        k = k[:, None, :]
    if k.ndim < 3 or 0 in k.shape:
        raise InputError(f"kernels have shape {k.shape}; give (kernels, channels, *window), or (kernels, window)")
    return k


def _sizes(size: int | Sequence[int], axes: int) -> tuple[int, ...]:
    values = tuple(size) if isinstance(size, Sequence) else (size,) * axes
    if len(values) != axes:
        raise InputError(f"size is {size!r}; give one number, or one for each of the {axes} axes")
    return tuple(_whole(v, "size", 1) for v in values)
