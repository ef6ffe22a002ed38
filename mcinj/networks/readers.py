"""Networks from files: the reader is chosen by the file's extension."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from mcinj.errors import InputError
from mcinj.networks.network import Network
from mcinj.networks.npz import read_npz

# Extension, module and function; imported when used, since each needs an optional package.
_READERS = {
    ".onnx": ("mcinj.networks.onnx", "read_onnx"),
    ".safetensors": ("mcinj.networks.safetensors", "read_safetensors"),
    ".pt": ("mcinj.networks.torch", "read_torch"),
    ".pth": ("mcinj.networks.torch", "read_torch"),
}


def read_network(path: str | os.PathLike[str]) -> Network:
    """Read a network from `.npz` (or any other name: taken for .npz), `.onnx`, `.safetensors`, `.pt`, `.pth`.

    Raises `InputError` with one clear line for a missing, damaged or unsupported file, and for a format whose
    optional package is not installed (the message names the extra).
    """
    source = Path(path)
    if source.suffix.lower() not in _READERS:
        return read_npz(source)
    if not source.exists():
        raise InputError(f"{source}: no such file")
    module, function = _READERS[source.suffix.lower()]
    network = getattr(import_module(module), function)(source)
    if not isinstance(network, Network):
        raise TypeError(f"{module}.{function} returned {type(network).__name__}")
    return network
