"""From named tensors (a state dict) to a network: linear layers in order, ReLU between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.order import listed, order_of
from mcinj.networks.reading import Reading, reading, shown


def layers_of(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, int]]:
    """Shapes of the matrices `<layer>.weight` among these tensors, in their order, by the name of the layer.

    Raises `InputError` if any tensor is no matrix or bias of a linear layer: it would be left out.
    """
    weights: dict[str, tuple[int, int]] = {}
    biases: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        prefix, _, kind = name.rpartition(".")
        if prefix in (weights if kind == "weight" else biases):  # "weight" and ".weight"
            raise InputError(f"two tensors {kind} of one layer without a name")
        if kind == "weight" and len(shape) == 2:
            weights[prefix] = (shape[0], shape[1])
        elif kind == "bias" and len(shape) == 1:
            biases[prefix] = shape
        elif kind == "weight" and len(shape) > 2:
            raise InputError(
                f"{shown(name)} has shape {shape}, a convolution, whose input size a state dict does not hold; "
                "export the network to ONNX"
            )
        else:
            raise InputError(
                f"{shown(name)} with shape {shape} belongs to no linear layer; only <layer>.weight (matrix) and "
                "<layer>.bias are supported"
            )
    stray = sorted(set(biases) - set(weights))
    if not weights or stray:
        what = f"{shown(stray[0])}.bias without {shown(stray[0])}.weight" if stray else "no <layer>.weight"
        raise InputError(f"{what}; expected the tensors of linear layers")
    return weights


def below(names: Sequence[str], prefix: str | None) -> dict[str, str]:
    """Names of the tensors that begin with `prefix`, by what is left of them; all of them without a prefix."""
    if prefix is None:
        return {name: name for name in names}
    chosen = {name.removeprefix(prefix): name for name in names if name.startswith(prefix)}
    if not chosen:
        raise InputError(f"no tensor begins with the prefix {shown(prefix)!r}; there are {listed(names)}")
    return chosen


def network_from_state(
    tensors: Mapping[str, Any], *, stored: bool, layers: Sequence[str] | None = None, last: str | None = None
) -> Reading:
    """Network of the tensors `<layer>.weight` (matrices) and `<layer>.bias`.

    Parameters
    ----------
    tensors
        Arrays by name, in the order of the file.
    stored
        Whether that order is the order of the layers. If not, see `mcinj.networks.order.order_of`.
    layers
        Names of all layers from input to output, where the file leaves that open.
    last
        A state dict holds no activations: ReLU is taken after every layer; with `linear` not after the last one, which
        then counts with both signs, `[W; -W]`: its ReLU tells as much as the linear layer does.
    """
    shapes = layers_of({name: tuple(np.shape(t)) for name, t in tensors.items()})
    order = order_of(shapes, stored=stored, asked=layers)

    def tensor(layer: str, kind: str) -> Any:
        return tensors.get(f"{layer}.{kind}", None if layer else tensors.get(kind))

    offsets = [tensor(layer, "bias") for layer in order]
    biases = None
    if any(b is not None for b in offsets):
        biases = [np.zeros(shapes[n][0]) if b is None else b for n, b in zip(order, offsets, strict=True)]
    for before, after in pairwise(order):
        if shapes[after][1] != shapes[before][0]:
            raise InputError(
                f"layers in the order {listed(order)}: {shown(after)} has shape {shapes[after]}, so it takes "
                f"{shapes[after][1]} columns, but {shown(before)} gives {shapes[before][0]}; "
                "if another order is meant, say it with --layers"
            )
    try:
        names = [shown(n) or "(unnamed)" for n in order]
        return reading([tensor(n, "weight") for n in order], biases, names, says=None, last=last)
    except InputError as error:
        raise InputError(f"layers {listed(order)}: {error}") from None
