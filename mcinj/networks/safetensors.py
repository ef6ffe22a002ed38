"""Networks in `.safetensors` files (weights only, no code by design)."""

from __future__ import annotations

import os

from mcinj.errors import InputError
from mcinj.networks.network import Network
from mcinj.networks.state import file_of, network_from_state, optional


def read_safetensors(path: str | os.PathLike[str], *, last: str = "relu") -> Network:
    """Read linear layers `<layer>.weight`, `<layer>.bias`, in natural order of their names.

    `last`: `relu` or `linear`, see `mcinj.networks.state.network_from_state`. Raises `InputError` for a missing or
    damaged file, for tensors that belong to no linear layer, and if the package safetensors is not installed.
    """
    numpy_io = optional("safetensors.numpy", "safetensors")
    source = file_of(path)
    try:
        tensors = numpy_io.load_file(source)
    except Exception as error:  # SafetensorError, OSError, KeyError of dtypes numpy lacks: no common base
        text = str(error) or type(error).__name__
        if "bf16" in text.lower() or "bfloat16" in text.lower():
            text = "bfloat16 tensors; convert them to float32"
        raise InputError(f"{source} cannot be read as safetensors: {text}") from None
    return network_from_state(tensors, source, last=last)
