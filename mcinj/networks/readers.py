"""Networks from files: the reader is chosen by the file's extension."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from mcinj.errors import InputError
from mcinj.networks.limits import file_of
from mcinj.networks.network import Network
from mcinj.networks.reading import Reading

# Extension, module and function; imported when used, since each needs an optional package.
_READERS = {
    ".onnx": ("mcinj.networks.onnx", "load_onnx"),
    ".safetensors": ("mcinj.networks.safetensors", "load_safetensors"),
    ".pt": ("mcinj.networks.torch", "load_torch"),
    ".pth": ("mcinj.networks.torch", "load_torch"),
}
_OTHER = ("mcinj.networks.npz", "load_npz")
_NAMED = (".safetensors", ".pt", ".pth")


def read_network(
    path: str | os.PathLike[str],
    *,
    layers: Sequence[str] | None = None,
    last: str | None = None,
    prefix: str | None = None,
) -> Network:
    """Read a network from `.npz` (or any other name: taken for .npz), `.onnx`, `.safetensors`, `.pt`, `.pth`.

    Parameters
    ----------
    path
        The file.
    layers
        Names of all layers from input to output, for `.safetensors` (which does not keep their order), `.pt` and `.pth`
        (which keep the order in which the model registers them).
    last
        `relu` or `linear`: whether the last layer has a ReLU. A linear one counts with both signs, `[W; -W]`, which
        collides for the same inputs. ONNX files say it themselves; elsewhere the default is `relu`.
    prefix
        Read only the tensors whose names begin so (`decoder.`), for all formats but ONNX; layers are called by the rest
        of their names.

    Raises
    ------
    InputError
        One clear line for a missing, damaged, too large or unsupported file, for one that leaves open which network is
        meant, and for a format whose optional package is not installed (the message names the extra).
    """
    return read_file(path, layers=layers, last=last, prefix=prefix).network


def read_file(
    path: str | os.PathLike[str],
    *,
    layers: Sequence[str] | None = None,
    last: str | None = None,
    prefix: str | None = None,
) -> Reading:
    """Like `read_network`, with the names of the layers."""
    source = file_of(path)
    suffix = source.suffix.lower()
    options: dict[str, Any] = {"last": last}
    if layers is not None:
        if suffix not in _NAMED:
            raise InputError(f"{source}: --layers is for .safetensors, .pt and .pth; this file gives the order itself")
        if isinstance(layers, str):
            raise InputError("layers is a string; give a list of names, such as ['stem', 'body', 'head']")
        options["layers"] = list(layers)
    if prefix is not None:
        if suffix == ".onnx":
            raise InputError(f"{source}: --prefix is for named tensors; an .onnx file is read whole")
        options["prefix"] = prefix
    module, function = _READERS.get(suffix, _OTHER)
    try:
        read = getattr(import_module(module), function)(source, **options)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    if not isinstance(read, Reading):
        raise TypeError(f"{module}.{function} returned {type(read).__name__}")
    return read
