"""Networks in `.npz` files: arrays `W1…Wl` and optional `b1…bl`. Never unpickles."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError
from mcinj.files import atomic_write
from mcinj.networks.network import Network

# A zip can promise far more than it holds; headers are checked before a byte is unpacked.
MAX_BYTES = 2**31
MAX_ENTRIES = 2000


def read_npz(path: str | os.PathLike[str]) -> Network:
    """Read a network from an `.npz` file.

    Raises `InputError` for a missing or unreadable file, one that is not an npz, pickled (object) arrays,
    missing or surplus arrays, sizes beyond 2 GiB, and everything that `Network` refuses.
    """
    source = Path(path)
    arrays = _arrays(source)
    layers = 0
    while f"W{layers + 1}" in arrays:
        layers += 1
    expected = {f"W{k}" for k in range(1, layers + 1)}
    offsets = {f"b{k}" for k in range(1, layers + 1)}
    surplus = sorted(set(arrays) - expected - offsets)
    if not layers or surplus:
        named = f"; unexpected: {', '.join(surplus)}" if surplus else ""
        raise InputError(f"{source}: expected arrays W1…Wl (and b1…bl), found {_list(arrays)}{named}")
    present = offsets & set(arrays)
    if present and present != offsets:
        raise InputError(
            f"{source}: has {_list(sorted(present))} but not {_list(sorted(offsets - present))}; "
            "give every layer a bias (zeros where there is none) or none"
        )
    try:
        return Network(
            [arrays[f"W{k}"] for k in range(1, layers + 1)],
            [arrays[f"b{k}"] for k in range(1, layers + 1)] if present else None,
        )
    except InputError as error:
        raise InputError(f"{source}: {error}") from None


def write_npz(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network as `.npz`, whole or not at all. Weights that float64 cannot hold are refused."""
    if not network.floats_are_exact:
        raise InputError("an .npz file holds float64 numbers, and this network's weights are not; round them first")
    arrays = {f"W{k}": w for k, w in enumerate(network.weights, 1)}
    if network.biases is not None:
        arrays |= {f"b{k}": b for k, b in enumerate(network.biases, 1)}
    with atomic_write(path) as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def _arrays(source: Path) -> dict[str, npt.NDArray[np.generic]]:
    try:
        if source.is_dir():
            raise InputError(f"{source} is a directory; give an .npz file")
        if not zipfile.is_zipfile(source):
            source.open("rb").close()
            raise InputError(f"{source} is not an .npz file (numpy.savez writes one)")
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
            if len(members) > MAX_ENTRIES or sum(m.file_size for m in members) > MAX_BYTES:
                raise InputError(
                    f"{source} unpacks to more than {MAX_BYTES >> 30} GiB or {MAX_ENTRIES} arrays; refused"
                )
            arrays = {}
            for member in members:
                name = re.sub(r"\.npy$", "", member.filename)
                with archive.open(member) as stream:
                    arrays[name] = _one_array(stream, name, source, member.file_size)
            return arrays
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{source}: no such file") from None
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{source} cannot be read as .npz: {error}") from None
    except Exception as error:  # zlib and struct errors of damaged archives have no common base
        raise InputError(f"{source} is damaged and cannot be read as .npz: {error}") from None


def _one_array(stream, name: str, source: Path, size: int) -> npt.NDArray[np.generic]:  # type: ignore[no-untyped-def]
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise InputError(f"{source}: array {name} has npy version {version}; save it with numpy.savez")
    if dtype.hasobject:
        raise InputError(f"{source}: array {name} holds pickled objects, which are never loaded; save plain numbers")
    count = int(np.prod([int(s) for s in shape], dtype=object)) if shape else 1
    if count * dtype.itemsize > size:
        raise InputError(
            f"{source}: array {name} claims shape {shape} but holds only {size} bytes; the file is damaged"
        )
    stream.seek(0)
    return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def _list(names: object) -> str:
    return ", ".join(list(names)[:8]) or "none"  # type: ignore[call-overload]
