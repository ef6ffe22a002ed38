"""Networks in torch state dicts (`.pt`, `.pth`): tensors only; pickled code is refused by torch's restricted loader."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mcinj.errors import InputError
from mcinj.networks.limits import MAX_BYTES, check_weights
from mcinj.networks.optional import first_line, optional
from mcinj.networks.reading import Reading, shown
from mcinj.networks.state import below, network_from_state


def load_torch(
    source: Path, *, layers: Sequence[str] | None = None, last: str | None = None, prefix: str | None = None
) -> Reading:
    """Read a state dict `{"<layer>.weight": matrix, "<layer>.bias": vector}`, in the order in which torch stores it.

    That is the order in which the model registers its layers; `layers` replaces it, see `mcinj.networks.order`.
    `prefix`: only tensors whose names begin so are read, and layers are called by the rest of the name. `last`: `relu`
    or `linear`, see `mcinj.networks.state`. Raises `InputError` for a damaged file, one that holds anything but
    dense tensors of real numbers (such as whole pickled modules), and if torch is not installed.
    """
    _guard(source)
    torch = optional("torch", "torch")
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # UnpicklingError, RuntimeError, EOFError …: no common base
        raise InputError(
            f"no state dict that torch loads without running code: {first_line(error)}; "
            "save one with torch.save(model.state_dict(), path)"
        ) from None
    if not isinstance(state, dict) or not state:
        raise InputError(f"holds a {type(state).__name__}, not a state dict; save model.state_dict()")
    for name in state:
        if not isinstance(name, str):
            raise InputError(f"holds a key of type {type(name).__name__}, not a name; save model.state_dict()")
    state = {short: state[name] for short, name in below(list(state), prefix).items()}
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise InputError(f"{shown(name)} is a {type(value).__name__}, not a tensor; save model.state_dict() alone")
    # A tensor can be larger than what is stored of it (expanded views).
    check_weights((tuple(v.shape) for v in state.values()), "its tensors hold")
    tensors = {name: array_of(value, name, torch) for name, value in state.items()}
    return network_from_state(tensors, stored=True, layers=layers, last=last)


def array_of(value: Any, name: str, torch: Any) -> Any:
    """NumPy array of a dense real tensor, without loss."""
    if (
        value.is_complex()
        or value.is_quantized
        or value.layout != torch.strided
        or value.dtype is torch.bool
        or value.is_meta
    ):
        raise InputError(
            f"{shown(name)} is complex, boolean, quantised, sparse or empty of data; "
            "only dense tensors of real numbers are supported"
        )
    plain = value.detach().cpu()
    return (plain.to(torch.float64) if plain.is_floating_point() else plain).numpy()


def _guard(source: Path) -> None:
    """Refuse archives that unpack to more than they should before anything is unpacked."""
    if not zipfile.is_zipfile(source):
        return
    try:
        with zipfile.ZipFile(source) as archive:
            total = sum(m.file_size for m in archive.infolist())
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise InputError(f"damaged: {first_line(error)}") from None
    if total > MAX_BYTES:
        raise InputError(f"unpacks to {total:,} bytes, more than the {MAX_BYTES >> 20} MiB that are read")
