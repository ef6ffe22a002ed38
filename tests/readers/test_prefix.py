"""`--prefix`: one part of a checkpoint, as if it had been saved alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mcinj
from mcinj.cli import main
from mcinj.errors import InputError
from mcinj.networks.readers import read_file

rng = np.random.default_rng(6)
A, B = rng.standard_normal((5, 2)), rng.standard_normal((7, 5))


def test_safetensors(tmp_path: Path) -> None:
    st = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "n.safetensors"
    other = {"encoder.conv.weight": np.zeros((2, 1, 3, 3)), "step": np.zeros(1)}
    st.save_file({"decoder.10.weight": B, "decoder.9.weight": A} | other, path)
    read = read_file(path, prefix="decoder.")
    assert [layer.name for layer in read.layers] == ["9", "10"]
    assert read.network.digest() == mcinj.Network([A, B]).digest()
    assert mcinj.read_network(path, prefix="decoder.", layers=["9", "10"]).digest() == read.network.digest()
    with pytest.raises(InputError, match=r"no linear layer|convolution"):
        mcinj.read_network(path)
    for prefix in ("decode", "encoder.", "step"):
        with pytest.raises(InputError):
            mcinj.read_network(path, prefix=prefix + "x")


def test_npz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "n.npz"
    np.savez(path, **{"decoder.W1": A, "decoder.W2": B, "encoder.W1": B})  # type: ignore[arg-type]
    assert mcinj.read_network(path, prefix="decoder.").digest() == mcinj.Network([A, B]).digest()
    with pytest.raises(InputError, match=r"begins with the prefix 'head\.'; there are decoder\.W1"):
        mcinj.read_network(path, prefix="head.")
    monkeypatch.setattr("sys.argv", ["mcinj", "check", str(path), "--prefix", "head."])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "no tensor begins" in capsys.readouterr().err


def test_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    state = {"encoder.0.weight": torch.zeros(3, 3, 3), "decoder.0.weight": torch.tensor(A), "epoch": 3}
    torch.save(state, tmp_path / "n.pt")
    assert mcinj.read_network(tmp_path / "n.pt", prefix="decoder.").digest() == mcinj.Network([A]).digest()


def test_onnx_files_have_no_prefix(tmp_path: Path) -> None:
    (tmp_path / "n.onnx").write_bytes(b"x")
    with pytest.raises(InputError, match="--prefix"):
        mcinj.read_network(tmp_path / "n.onnx", prefix="decoder.")
