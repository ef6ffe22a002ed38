"""Network files: what is written is read, and nothing else is."""

from __future__ import annotations

import io
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mcinj import InputError, Network, read_npz, sample, write_npz
from mcinj.networks import Premise


def test_round_trip(tmp_path: Path) -> None:
    network = sample(3, (7, 5), seed=2)
    with_biases = Network(network.weights, [np.arange(7.0), np.ones(5)])
    for net in (network, with_biases):
        write_npz(net, tmp_path / "net.npz")
        assert read_npz(tmp_path / "net.npz").digest() == net.digest()
    assert [p.name for p in tmp_path.iterdir()] == ["net.npz"]


def test_integers_and_float32_are_read_exactly(tmp_path: Path) -> None:
    np.savez_compressed(
        tmp_path / "a.npz", W1=np.array([[1, -2], [3, 4]], np.int32), W2=np.array([[0.1, 1]], np.float32)
    )
    network = read_npz(tmp_path / "a.npz")
    assert network.exact_weights[0][0] == (1, -2)
    assert network.exact_weights[1][0][0] == Fraction(float(np.float32(0.1)))


def _npz(path: Path, **arrays: np.ndarray) -> None:
    np.savez(path, **arrays)


def _bomb(path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**6, 10**6)})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("W1.npy", header.getvalue() + bytes(1000))


def _big_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for k in range(3000):
            archive.writestr(f"W{k}.npy", b"")


BAD = {
    "missing": lambda p: None,
    "directory": lambda p: p.mkdir(),
    "empty file": lambda p: p.write_bytes(b""),
    "text": lambda p: p.write_text("hello"),
    "npy, not npz": lambda p: np.save(p.open("wb"), np.ones((2, 2))),
    "pickled": lambda p: _npz(p, W1=np.array([[1, "a"], [None, 2]], dtype=object)),
    "no W1": lambda p: _npz(p, A=np.ones((2, 2))),
    "surplus": lambda p: _npz(p, W1=np.ones((2, 2)), V=np.ones(1)),
    "gap": lambda p: _npz(p, W1=np.ones((2, 2)), W3=np.ones((2, 2))),
    "some biases": lambda p: _npz(p, W1=np.ones((2, 2)), W2=np.ones((2, 2)), b2=np.ones(2)),
    "shape": lambda p: _npz(p, W1=np.ones((2, 2)), W2=np.ones((2, 3))),
    "complex": lambda p: _npz(p, W1=np.ones((2, 2)) * 1j),
    "strings": lambda p: _npz(p, W1=np.array([["a", "b"]])),
    "nan": lambda p: _npz(p, W1=np.full((2, 2), np.nan)),
    "empty layer": lambda p: _npz(p, W1=np.ones((0, 2))),
    "claims more than it holds": _bomb,
    "too many arrays": _big_zip,
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_get_one_line_that_names_them(case: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    BAD[case](path)
    with pytest.raises(InputError) as caught:
        read_npz(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_truncation_and_damage_is_refused_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    network = sample(2, (3,), seed=1)
    write_npz(network, path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_npz(path)
    for at in range(0, len(whole), 5):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            read = read_npz(path)
        except InputError:
            continue
        assert read.widths == network.widths  # damage in the zip's unused fields


def test_unwritable_targets_leave_nothing(tmp_path: Path) -> None:
    network = sample(2, (3,))
    for bad in (tmp_path, tmp_path / "missing" / "net.npz"):
        with pytest.raises(InputError):
            write_npz(network, bad)
    with pytest.raises(InputError, match="round them"):
        write_npz(Network([[[Fraction(1, 3)]]]), tmp_path / "x.npz")
    assert list(tmp_path.iterdir()) == []


def test_a_draw_is_known_again_by_its_numbers_not_by_its_word(tmp_path: Path) -> None:
    """The law of the weights is a premise only where the named draw gives these very numbers."""
    path = tmp_path / "net.npz"
    net = sample(3, (20, 24), "uniform", 5)
    for drawn, premise in (
        (("uniform", "5"), Premise.DRAWN),
        (("uniform", "6"), None),
        (("gaussian", "5"), None),
        (None, None),
    ):
        write_npz(net, path, drawn=drawn)
        assert read_npz(path).premise is premise
        assert read_npz(path).digest() == net.digest()
    changed = [w.copy() for w in net.weights]
    changed[1][3, 4] = changed[1][3, 5]
    write_npz(Network(changed), path, drawn=("uniform", "5"))
    assert read_npz(path).premise is None
    coarse = sample(3, (20,), "rademacher", 5)
    write_npz(coarse, path, drawn=("rademacher", "5"))
    assert read_npz(path).premise is None
    np.savez(path, W1=net.weights[0], drawn=np.array([1.0, 2.0]))
    with pytest.raises(InputError, match="drawn"):
        read_npz(path)
    np.savez(path, W1=net.weights[0], drawn=np.array(["nonsense", "5"]))
    with pytest.raises(InputError, match="nonsense"):
        read_npz(path)
