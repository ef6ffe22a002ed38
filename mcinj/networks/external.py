"""Weights of an ONNX model that lie in a file of their own (`.onnx.data`), next to it and nowhere else."""

from __future__ import annotations

import os
import stat
from math import prod
from pathlib import Path
from typing import Any

from mcinj.errors import InputError
from mcinj.networks.limits import MAX_BYTES, check_weights
from mcinj.networks.reading import shown


def include_external(onnx: Any, model: Any, folder: Path) -> None:
    """Move the weights that `model` keeps in other files of `folder` into the model.

    A location is the plain name of a regular file: a model cannot make its reader open anything else. Sizes are checked
    before anything is read. Raises `InputError`.
    """
    outside = [t for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    check_weights((t.dims for t in outside), "its tensors hold")
    for tensor in outside:
        try:
            data = _read(onnx, tensor, folder)
        except InputError as error:
            raise InputError(f"{shown(tensor.name)} lies in another file: {error}") from None
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
        tensor.raw_data = data


def _read(onnx: Any, tensor: Any, folder: Path) -> bytes:
    entries = {e.key: e.value for e in tensor.external_data}
    name = entries.get("location", "")
    if not name or name in (".", "..") or set(name) & set("/\\\0:"):
        raise InputError(f"its place {shown(name)!r} is no plain file name; only files next to the model are read")
    try:
        size = prod(tensor.dims) * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, TypeError, ValueError):
        raise InputError(f"its type {tensor.data_type} is not known") from None
    offset, length = _whole(entries, "offset", 0), _whole(entries, "length", size)
    if length != size or any(d < 0 for d in tensor.dims):
        raise InputError(f"{length:,} bytes are given for a tensor of {size:,}")
    path = folder / name
    try:
        # Neither a link, which could lead out of the folder, nor a pipe, which could block, is opened for reading.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        if path.is_symlink():
            raise InputError(f"{shown(name)} is a symbolic link; put the file itself next to the model")
        with open(os.open(path, flags), "rb") as stream:
            about = os.fstat(stream.fileno())
            if not stat.S_ISREG(about.st_mode):
                raise InputError(f"{shown(name)} is no regular file")
            if about.st_size > MAX_BYTES:
                raise InputError(
                    f"{shown(name)} holds {about.st_size:,} bytes, more than the {MAX_BYTES >> 20} MiB read"
                )
            if offset + length > about.st_size:
                raise InputError(f"{shown(name)} ends before byte {offset + length:,}; it holds {about.st_size:,}")
            stream.seek(offset)
            return stream.read(length)
    except FileNotFoundError:
        raise InputError(f"there is no {shown(name)} next to the model") from None
    except OSError as error:
        raise InputError(f"{shown(name)} cannot be read: {error.strerror or error}") from None


def _whole(entries: dict[str, str], key: str, default: int) -> int:
    text = entries.get(key)
    if text is None:
        return default
    if len(text) > 18 or not (text.isascii() and text.isdigit()):
        raise InputError(f"its {key} {shown(text, 20)!r} is no whole number of bytes")
    return int(text)
