"""Networks in `.npz` files: arrays `W1…Wl` and optional `b1…bl`. Never unpickles."""

from __future__ import annotations

import os
import re
import zipfile
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError
from mcinj.files import atomic_write
from mcinj.networks.ensembles import Ensemble, sample
from mcinj.networks.limits import MAX_BYTES, check_weights, file_of
from mcinj.networks.network import Network, Premise
from mcinj.networks.optional import first_line
from mcinj.networks.reading import Reading, reading, shown
from mcinj.networks.state import below

MAX_ENTRIES = 2000
_DRAWN = "drawn"  # ensemble and seed of a network that `mcinj sample` wrote


def read_npz(path: str | os.PathLike[str]) -> Network:
    """Read a network from an `.npz` file.

    Raises `InputError` for a missing or unreadable file, one that is not an npz, pickled (object) arrays,
    missing or surplus arrays, files and arrays that are too large, and everything that `Network` refuses.
    """
    source = file_of(path)
    try:
        return load_npz(source).network
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def load_npz(source: Path, *, last: str | None = None, prefix: str | None = None) -> Reading:
    """The layers `W1…Wl` with biases `b1…bl`; `last`: `relu` (default) or `linear`, whether the last one has a ReLU.

    `prefix`: only arrays whose names begin so count, by the rest of their names.
    """
    arrays = _arrays(source)
    arrays = {short: arrays[name] for short, name in below(list(arrays), prefix).items()}
    drawn = arrays.pop(_DRAWN, None)
    layers = 0
    while f"W{layers + 1}" in arrays:
        layers += 1
    names = [f"W{k}" for k in range(1, layers + 1)]
    offsets = [f"b{k}" for k in range(1, layers + 1)]
    surplus = [shown(n) for n in sorted(set(arrays) - {*names, *offsets})]
    if not layers or surplus:
        unexpected = f"; unexpected: {_list(surplus)}" if surplus else ""
        raise InputError(f"expected arrays W1…Wl (and b1…bl), found {_list(map(shown, arrays))}{unexpected}")
    present = [n for n in offsets if n in arrays]
    if present and present != offsets:
        raise InputError(
            f"has {_list(present)} but not {_list([n for n in offsets if n not in arrays])}; "
            "give every layer a bias (zeros where there is none) or none"
        )
    biases = [arrays[n] for n in offsets] if present else None
    read = reading([arrays[n] for n in names], biases, names, says=None, last=last)
    if drawn is not None and biases is None and _is_draw(arrays, names, drawn):
        read = replace(read, network=read.network.with_premise(Premise.DRAWN))
    return read


def _is_draw(arrays: dict[str, npt.NDArray[np.generic]], names: list[str], drawn: npt.NDArray[np.generic]) -> bool:
    """Whether the weights are those of the law and seed that the file names: they are drawn anew and compared."""
    if drawn.dtype.kind != "U" or drawn.shape != (2,):
        raise InputError(f"the array {_DRAWN} names an ensemble and a seed; this one has dtype {drawn.dtype}")
    if not Ensemble.parse(str(drawn[0])).in_general_position:
        return False  # nothing would follow; and a user's own law may not be known here
    widths = [arrays[n].shape[0] for n in names]
    again = sample(arrays[names[0]].shape[1], widths, str(drawn[0]), str(drawn[1]))
    same = all(np.array_equal(w, arrays[n]) for w, n in zip(again.weights, names, strict=True))
    return same and again.premise is Premise.DRAWN


def write_npz(network: Network, path: str | os.PathLike[str], *, drawn: tuple[str, str] | None = None) -> None:
    """Write a network as `.npz`, whole or not at all. Weights that float64 cannot hold are refused.

    `drawn`: ensemble and seed by which `mcinj.sample` drew it. Who reads the file draws it again and, where the numbers
    are the same, knows their law.
    """
    if not network.floats_are_exact:
        raise InputError("an .npz file holds float64 numbers, and this network's weights are not; round them first")
    arrays = {f"W{k}": w for k, w in enumerate(network.weights, 1)}
    if network.biases is not None:
        arrays |= {f"b{k}": b for k, b in enumerate(network.biases, 1)}
    if drawn is not None:
        arrays[_DRAWN] = np.array(drawn)
    with atomic_write(path) as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def _arrays(source: Path) -> dict[str, npt.NDArray[np.generic]]:
    try:
        if not zipfile.is_zipfile(source):
            raise InputError("not an .npz file (numpy.savez writes one)")
        with zipfile.ZipFile(source) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            total = sum(m.file_size for m in members)
            if len(members) > MAX_ENTRIES or total > MAX_BYTES:
                raise InputError(
                    f"unpacks to {len(members)} arrays of {total:,} bytes; at most {MAX_ENTRIES} arrays and "
                    f"{MAX_BYTES >> 20} MiB are read"
                )
            named = {re.sub(r"\.npy$", "", m.filename): m for m in members}
            if len(named) < len(members):
                raise InputError("holds two arrays of one name")
            shapes = {}
            for name, member in named.items():
                with archive.open(member) as stream:
                    shapes[name] = _header(stream, name, member.file_size)
            check_weights(shapes.values(), "its arrays hold")
            arrays = {}
            for name, member in named.items():
                with archive.open(member) as stream:
                    arrays[name] = np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
            return arrays
    except InputError:
        raise
    except Exception as error:  # zipfile, zlib, struct and numpy have no common base for damaged files
        raise InputError(f"cannot be read as .npz: {first_line(error)}") from None


def _header(stream: IO[bytes], name: str, size: int) -> tuple[int, ...]:
    """Shape of an array that may be read; nothing but its header is."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise InputError(f"array {shown(name)} has npy version {version}; save it with numpy.savez")
    if dtype.hasobject:
        raise InputError(f"array {shown(name)} holds pickled objects, which are never loaded; save plain numbers")
    if dtype.kind not in "fiu" and not (name == _DRAWN and dtype.kind == "U"):
        raise InputError(f"array {shown(name)} has the type {dtype}; save real numbers (float64, float32, integers)")
    if any(d < 0 for d in shape) or prod(shape) * dtype.itemsize > size:
        raise InputError(f"array {shown(name)} claims shape {shape} but holds only {size:,} bytes; the file is damaged")
    return tuple(shape)


def _list(names: object) -> str:
    return ", ".join(list(names)[:8]) or "none"  # type: ignore[call-overload]
