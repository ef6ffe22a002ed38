"""Files that declare more than can be read are refused from their headers, at once."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcinj.networks.npz as npz
from mcinj.errors import InputError
from mcinj.networks.limits import MAX_BYTES
from mcinj.networks.readers import read_network


@contextmanager
def cheap(seconds: float = 5.0, megabytes: float = 50.0) -> Iterator[None]:
    """Fails if the block takes long or allocates much."""
    tracemalloc.start()
    started = time.perf_counter()
    try:
        yield
        assert time.perf_counter() - started < seconds
        assert tracemalloc.get_traced_memory()[1] < megabytes * 2**20
    finally:
        tracemalloc.stop()


def refused(path: Path, match: str) -> None:
    with cheap(), pytest.raises(InputError, match=match) as caught:
        read_network(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 700


def write_npz(path: Path, arrays: dict[str, tuple[Any, str, bytes]], *, version: int = 1) -> None:
    """An .npz whose headers say what the test wants: name to (shape, dtype, data)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (shape, descr, data) in arrays.items():
            stream = io.BytesIO()
            text = repr({"descr": descr, "fortran_order": False, "shape": shape}).ljust(118) + "\n"
            size = struct.pack("<H" if version == 1 else "<I", len(text))
            stream.write(b"\x93NUMPY" + bytes([version, 0]) + size + text.encode())
            archive.writestr(f"{name}.npy", stream.getvalue() + data)


@pytest.mark.parametrize(
    ("shape", "descr", "match"),
    [
        ((10**9, 10**9), "<f8", "claims shape"),
        ((2**40,), "<f8", "claims shape"),
        ((10**18, 10**18, 10**18), "<f8", "claims shape"),
        ((-3, 2), "<f8", "claims shape"),
        ((-3, -2), "<f8", "claims shape"),
        ((2, 2), "<c16", "complex128"),
        ((2, 2), "<U4", "<U4"),
        ((10**12, 3), "<U0", "<U0"),
        ((10**12, 3), "|V0", "type"),
        ((2, 2), "<M8[s]", "datetime64"),
        ((2, 2), "|b1", "bool"),
        ((2, 2), "|O", "never loaded"),
        ((2, 2), [("a", "<f8"), ("b", "<f4")], "type"),
        ((2, 2), [("a", "|O")], "never loaded"),
        ((2, 2), "<f16", "float128|cannot be read|longdouble"),
        ((), "<f8", "shape"),
        ((4,), "<f8", "shape"),
        ((1, 2, 2), "<f8", "shape"),
        ((0, 2), "<f8", "empty"),
        ((0, 10**15), "<f8", "empty"),
        ("x", "<f8", "cannot be read"),
        ((2, 2), "nonsense", "cannot be read"),
    ],
)
def test_npz_headers(tmp_path: Path, shape: Any, descr: Any, match: str) -> None:
    for version in (1, 2):
        write_npz(tmp_path / "n.npz", {"W1": (shape, descr, bytes(64))}, version=version)
        refused(tmp_path / "n.npz", match)


def test_npz_of_many_zeros(tmp_path: Path) -> None:
    """A small file of 1.6 GB of zeros, and one of several arrays that only together are too large."""
    path = tmp_path / "n.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|i1", "fortran_order": False, "shape": (16_000, 10_000)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("W1.npy", "w") as stream:
        stream.write(header.getvalue())
        for _ in range(160):
            stream.write(bytes(1_000_000))
    assert path.stat().st_size < 10**6
    refused(path, "160,000,000 numbers")
    np.savez_compressed(path, W1=np.zeros((1500, 1500), np.int8), W2=np.zeros((1500, 1500), np.int8))
    refused(path, "4,500,000 numbers")


def test_npz_that_unpacks_to_more_than_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "MAX_BYTES", 10_000)
    np.savez_compressed(tmp_path / "n.npz", W1=np.zeros((40, 40)))
    refused(tmp_path / "n.npz", "unpacks to")


def test_npz_written_by_others_is_read(tmp_path: Path) -> None:
    """Fortran order, big-endian, short types, folders, version 2 headers, names without .npy."""
    w = np.arange(6.0).reshape(3, 2) - 2
    for variant in (np.asfortranarray(w), w.astype(">f8"), w.astype(np.float16), w.astype(">i2"), w.astype(np.int8)):
        np.savez_compressed(tmp_path / "n.npz", W1=variant)
        np.testing.assert_array_equal(read_network(tmp_path / "n.npz").weights[0], w)
    write_npz(tmp_path / "v2.npz", {"W1": ((3, 2), "<f8", w.tobytes())}, version=2)
    np.testing.assert_array_equal(read_network(tmp_path / "v2.npz").weights[0], w)
    stream = io.BytesIO()
    np.save(stream, w)
    with zipfile.ZipFile(tmp_path / "f.npz", "w") as archive:
        archive.mkdir("folder")
        archive.writestr("W1", stream.getvalue())
    np.testing.assert_array_equal(read_network(tmp_path / "f.npz").weights[0], w)
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("W1", stream.getvalue())
        archive.writestr("W1.npy", stream.getvalue())
    refused(tmp_path / "t.npz", "two arrays of one name")


def test_large_files_are_not_opened(tmp_path: Path) -> None:
    for suffix in (".npz", ".onnx", ".safetensors", ".pt"):
        path = tmp_path / f"n{suffix}"
        with path.open("wb") as stream:
            stream.truncate(MAX_BYTES + 1)
        refused(path, "MiB")


def test_safetensors_of_many_weights(tmp_path: Path) -> None:
    st = pytest.importorskip("safetensors.numpy")
    st.save_file({"a.weight": np.zeros((2001, 2000), np.int8)}, tmp_path / "n.safetensors")
    refused(tmp_path / "n.safetensors", "4,002,000 numbers")


@pytest.mark.parametrize("dtype", ["F8_E4M3", "BF16", "C64", "BOOL"])
def test_safetensors_of_other_types(tmp_path: Path, dtype: str) -> None:
    pytest.importorskip("safetensors")
    size = {"F8_E4M3": 1, "BF16": 2, "C64": 8, "BOOL": 1}[dtype] * 6
    header = f'{{"a.weight":{{"dtype":"{dtype}","shape":[3,2],"data_offsets":[0,{size}]}}}}'.encode()
    (tmp_path / "n.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(size))
    refused(tmp_path / "n.safetensors", "convert it|cannot be read")


def test_torch_views_larger_than_what_is_stored(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"a.weight": torch.ones(1, 1).expand(2**20, 2**20)}, tmp_path / "n.pt")
    assert (tmp_path / "n.pt").stat().st_size < 10_000
    refused(tmp_path / "n.pt", "numbers, more than")


def test_torch_tensors_of_all_real_types(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8, torch.uint8, torch.int64):
        w = torch.tensor([[3, 1], [2, 5], [0, 7]]).to(dtype)
        torch.save({"a.weight": w}, tmp_path / "n.pt")
        net = read_network(tmp_path / "n.pt")
        assert net.weights[0].tolist() == w.double().tolist()
    top = torch.tensor([[2**64 - 1, 1]], dtype=torch.uint64)
    torch.save({"a.weight": top}, tmp_path / "n.pt")
    assert read_network(tmp_path / "n.pt").exact_weights == (((2**64 - 1, 1),),)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda t: {"a.weight": t.ones(2, 2, dtype=t.complex64)}, "complex"),
        (lambda t: {"a.weight": t.ones(2, 2).to_sparse()}, "sparse"),
        (lambda t: {"a.weight": t.ones(2, 2, dtype=t.bool)}, "boolean"),
        (lambda t: {"a.weight": t.ones(2, 2, device="meta")}, "empty of data"),
        (lambda t: {1: t.ones(2, 2)}, "not a name"),
        (lambda t: {"model": {"a.weight": t.ones(2, 2)}}, "state_dict"),
        (lambda t: [t.ones(2, 2)], "list"),
        (lambda t: {}, "dict"),
        (lambda t: {"a.weight": t.ones(2, 2), "epoch": 3}, "int, not a tensor"),
    ],
)
def test_torch_files_of_other_things(tmp_path: Path, make: Callable[[Any], Any], match: str) -> None:
    torch = pytest.importorskip("torch")
    torch.save(make(torch), tmp_path / "n.pt")
    refused(tmp_path / "n.pt", match)


