"""From named tensors (a state dict) to a network: linear layers in order, ReLU between them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from mcinj.errors import InputError
from mcinj.networks.network import Network

MAX_BYTES = 2**31


def network_from_state(tensors: Mapping[str, Any], source: Path, *, last: str = "relu") -> Network:
    """Network of the tensors `<layer>.weight` (matrices) and `<layer>.bias`, layers in natural order of their names.

    A state dict holds no activations: ReLU is taken after every layer; with `last="linear"` not after the last one,
    which then counts with both signs, `[W; -W]`: its ReLU tells as much as the linear layer does.
    """
    if last not in ("relu", "linear"):
        raise InputError(f"last is {last!r}; choose 'relu' or 'linear'")
    weights: dict[str, Any] = {}
    biases: dict[str, Any] = {}
    for name, tensor in tensors.items():
        array = np.asarray(tensor)
        prefix, _, kind = name.rpartition(".")
        if kind == "weight" and array.ndim == 2:
            weights[prefix] = array
        elif kind == "bias" and array.ndim == 1:
            biases[prefix] = array
        elif kind == "weight" and array.ndim > 2:
            raise InputError(
                f"{source}: {name} has shape {array.shape}, a convolution, whose input size a state dict does not "
                "hold; export the network to ONNX"
            )
        else:
            raise InputError(
                f"{source}: {name} with shape {array.shape} belongs to no linear layer; only <layer>.weight (matrix) "
                "and <layer>.bias are supported"
            )
    stray = sorted(set(biases) - set(weights))
    if not weights or stray:
        what = f"{stray[0]}.bias without {stray[0]}.weight" if stray else "no <layer>.weight"
        raise InputError(f"{source}: {what}; expected the tensors of linear layers")
    order = sorted(weights, key=_natural)
    matrices = [weights[k] for k in order]
    offsets = None
    if biases:
        offsets = [biases.get(k, np.zeros(len(weights[k]))) for k in order]
    try:
        return assemble(matrices, offsets, linear=last == "linear")
    except InputError as error:
        raise InputError(f"{source}: layers {', '.join(order)}: {error}") from None


def assemble(weights: list[Any], biases: list[Any] | None, *, linear: bool) -> Network:
    """The network; a last layer without ReLU is taken with both signs."""
    if linear:
        top = np.asarray(weights[-1])
        weights = [*weights[:-1], np.concatenate([top, -top])]
        if biases is not None:
            shift = np.asarray(biases[-1])
            biases = [*biases[:-1], np.concatenate([shift, -shift])]
    return Network(weights, biases)


def optional(module: str, extra: str) -> Any:
    """Import an optional package, or say how to install it."""
    try:
        return import_module(module)
    except ImportError:
        raise InputError(f"reading this file needs the package {module}: pip install 'mcinj[{extra}]'") from None


def file_of(path: Any, limit: int = MAX_BYTES) -> Path:
    """The path of a readable file of bearable size."""
    source = Path(path)
    try:
        if source.is_dir():
            raise InputError(f"{source} is a directory; give a file")
        size = source.stat().st_size
        source.open("rb").close()
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except OSError as error:
        raise InputError(f"{source} cannot be read: {error}") from None
    if size > limit:
        raise InputError(f"{source} holds {size} bytes, more than {limit >> 30} GiB; refused")
    return source


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Order in which layer10 comes after layer9."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts]
