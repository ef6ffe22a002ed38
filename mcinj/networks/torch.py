"""Networks in torch state dicts (`.pt`, `.pth`): tensors only; pickled code is refused by torch's restricted loader."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

from mcinj.errors import InputError
from mcinj.networks.network import Network
from mcinj.networks.state import MAX_BYTES, file_of, network_from_state, optional


def read_torch(path: str | os.PathLike[str], *, last: str = "relu") -> Network:
    """Read a state dict `{"<layer>.weight": matrix, "<layer>.bias": vector}`, in natural order of the names.

    `last`: `relu` or `linear`, see `mcinj.networks.state.network_from_state`. Raises `InputError` for a missing or
    damaged file, one that holds anything but tensors (whole pickled modules), and if torch is not installed.
    """
    source = file_of(path)
    _guard(source)
    torch = optional("torch", "torch")
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # UnpicklingError, RuntimeError, EOFError …: no common base
        line = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise InputError(
            f"{source} is no state dict that torch loads without running code: {line}; "
            "save one with torch.save(model.state_dict(), path)"
        ) from None
    if not isinstance(state, dict) or not state:
        raise InputError(f"{source} holds a {type(state).__name__}, not a state dict; save model.state_dict()")
    return network_from_state({str(k): _array(v, k, source, torch) for k, v in state.items()}, source, last=last)


def _guard(source: Path) -> None:
    """Refuse archives that unpack to more than they should before anything is unpacked."""
    if not zipfile.is_zipfile(source):
        return
    try:
        with zipfile.ZipFile(source) as archive:
            total = sum(m.file_size for m in archive.infolist())
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise InputError(f"{source} is damaged: {error}") from None
    if total > MAX_BYTES:
        raise InputError(f"{source} unpacks to {total} bytes, more than {MAX_BYTES >> 30} GiB; refused")


def _array(value: Any, name: object, source: Path, torch: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        raise InputError(f"{source}: {name} is a {type(value).__name__}, not a tensor; save model.state_dict() alone")
    if value.is_complex() or value.is_quantized or value.layout != torch.strided:
        raise InputError(f"{source}: {name} is complex, quantised or sparse; only dense real tensors are supported")
    return value.detach().to(torch.float64 if value.is_floating_point() else torch.int64).numpy()
