"""Networks in `.safetensors` files (weights only, no code by design)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mcinj.errors import InputError
from mcinj.networks.limits import check_weights
from mcinj.networks.optional import first_line, optional
from mcinj.networks.reading import Reading, shown
from mcinj.networks.state import below, layers_of, network_from_state

_TYPES = ("F64", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8")


def load_safetensors(
    source: Path, *, layers: Sequence[str] | None = None, last: str | None = None, prefix: str | None = None
) -> Reading:
    """Read linear layers `<layer>.weight`, `<layer>.bias`.

    The format sorts its keys, so the order of the layers comes from `layers`, from numbers in the names, or from the
    shapes, see `mcinj.networks.order.order_of`. `prefix`: only tensors whose names begin so are
    read, and layers are called by the rest of the name. `last`: `relu` or `linear`, see `mcinj.networks.state`. Raises
    `InputError` for a damaged file, for tensors that belong to no linear layer, and if safetensors is not installed.
    """
    safetensors = optional("safetensors", "safetensors")
    try:
        with safetensors.safe_open(source, framework="numpy") as file:
            chosen = below(list(file.keys()), prefix)
            parts = {short: file.get_slice(name) for short, name in chosen.items()}
            shapes = {name: tuple(part.get_shape()) for name, part in parts.items()}
            for name, part in parts.items():
                if part.get_dtype() not in _TYPES:
                    raise InputError(f"{shown(name)} has the type {part.get_dtype()}; convert it to float32 or float64")
            layers_of(shapes)
            check_weights(shapes.values(), "its tensors hold")
            tensors = {short: file.get_tensor(name) for short, name in chosen.items()}
    except InputError:
        raise
    except Exception as error:  # SafetensorError, OSError …: no common base
        raise InputError(f"cannot be read as safetensors: {first_line(error)}") from None
    return network_from_state(tensors, stored=False, layers=layers, last=last)
