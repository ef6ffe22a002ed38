"""Order of the layers of state dicts: kept, read from numbers, the only one that fits, or asked for."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mcinj.errors import InputError
from mcinj.networks.order import _only_chain, order_of
from mcinj.networks.readers import read_file, read_network

rng = np.random.default_rng(11)


def square(*names: str) -> dict[str, tuple[int, int]]:
    return dict.fromkeys(names, (3, 3))


# --- rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ["0", "2", "10"],
        ["layers.0", "layers.1", "layers.2"],
        ["net.9.linear", "net.10.linear"],
        ["fc1", "fc2", "fc3"],
        ["only"],
        ["enc2.fc1", "enc2.fc7"],
    ],
)
def test_numbers_in_names_give_the_order(names: list[str]) -> None:
    for given in itertools.permutations(names):
        assert order_of(square(*given), stored=False, asked=None) == names


@pytest.mark.parametrize(
    "names",
    [
        ["body", "head", "stem"],
        ["fc1", "fc01"],
        ["fc1", "fc1b"],
        ["a.0.fc1", "a.0.fc2", "a.1.fc1"],
        ["²", "³"],
        ["w" + "1" * 5000, "w" + "2" * 5000],
        ["0", "2", "out"],
        ["٣", "٤"],
    ],
)
def test_an_open_order_is_asked_for(names: list[str]) -> None:
    with pytest.raises(InputError, match="--layers") as caught:
        order_of(square(*names), stored=False, asked=None)
    assert len(str(caught.value)) < 600
    for asked in itertools.permutations(names):
        assert order_of(square(*names), stored=False, asked=asked) == list(asked)


def test_the_stored_order_counts_unless_numbers_contradict_it() -> None:
    assert order_of(square("stem", "body", "head"), stored=True, asked=None) == ["stem", "body", "head"]
    assert order_of(square("2", "10"), stored=True, asked=None) == ["2", "10"]
    with pytest.raises(InputError, match="against their numbers"):
        order_of(square("10", "2"), stored=True, asked=None)
    assert order_of(square("10", "2"), stored=True, asked=["10", "2"]) == ["10", "2"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [(["a"], "leaves out b"), (["a", "b", "c"], "names c"), (["a", "b", "a"], "twice"), ([], "leaves out a, b")],
)
def test_asked_orders_name_every_layer_once(asked: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        order_of(square("a", "b"), stored=False, asked=asked)


def test_the_only_chain_is_what_enumeration_finds() -> None:
    """All multisets of up to five layers with widths 1 … 3, against all orders."""
    found = open_order = 0
    kinds = list(itertools.product((1, 2, 3), repeat=2))
    for count in range(1, 6):
        for chosen in itertools.combinations_with_replacement(kinds, count):
            shapes = {f"l{chr(97 + i)}": s for i, s in enumerate(chosen)}
            chains = [
                list(p) for p in itertools.permutations(shapes)
                if all(shapes[b][1] == shapes[a][0] for a, b in itertools.pairwise(p))
            ]  # fmt: skip
            expected = chains[0] if len(chains) == 1 else None
            assert _only_chain(shapes) == expected, shapes
            found += expected is not None
            open_order += len(chains) > 1
    assert found > 50
    assert open_order > 50


# --- files -----------------------------------------------------------------------------------------------------------


def state(order: list[str]) -> dict[str, Any]:
    tensors = {}
    for k, name in enumerate(order):
        tensors[f"{name}.weight"] = rng.standard_normal((4, 4)).astype(np.float32)
        if k != 1:
            tensors[f"{name}.bias"] = rng.standard_normal(4).astype(np.float32)
    return tensors


def forward(tensors: dict[str, Any], order: list[str], x: Any) -> Any:
    for name in order:
        x = np.maximum(tensors[f"{name}.weight"].astype(float) @ x + tensors.get(f"{name}.bias", 0.0), 0.0)
    return x


def test_safetensors_sorts_its_keys_so_names_without_numbers_are_asked_for(tmp_path: Path) -> None:
    st = pytest.importorskip("safetensors.numpy")
    order = ["stem", "body", "head"]
    tensors = state(order)
    path = tmp_path / "n.safetensors"
    st.save_file(tensors, path)
    with pytest.raises(InputError, match=r"--layers stem,body,head"):
        read_network(path)
    for asked in itertools.permutations(order):
        read = read_file(path, layers=asked)
        x = rng.standard_normal(4)
        np.testing.assert_allclose(read.network.forward(x), forward(tensors, list(asked), x), rtol=1e-12)
        assert [layer.name for layer in read.layers] == list(asked)
    with pytest.raises(InputError, match="leaves out"):
        read_network(path, layers=["stem", "head"])
    with pytest.raises(InputError, match="give a list"):
        read_network(path, layers="stem,body,head")


def test_the_one_chain_that_fits_is_taken(tmp_path: Path) -> None:
    st = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "n.safetensors"
    st.save_file({"stem.weight": np.ones((5, 3)), "body.weight": np.ones((7, 5)), "head.weight": np.ones((2, 7))}, path)
    assert [layer.name for layer in read_file(path).layers] == ["stem", "body", "head"]


def test_torch_keeps_the_order_in_which_layers_are_stored(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    for order in (["stem", "body", "head"], ["z", "a", "m"], ["layer.1", "layer.2", "layer.10"]):
        tensors = state(order)
        torch.save({k: torch.tensor(v) for k, v in tensors.items()}, tmp_path / "n.pt")
        read = read_file(tmp_path / "n.pt")
        assert [layer.name for layer in read.layers] == order
        x = rng.standard_normal(4)
        np.testing.assert_allclose(read.network.forward(x), forward(tensors, order, x), rtol=1e-12)
    asked = read_network(tmp_path / "n.pt", layers=["layer.10", "layer.1", "layer.2"])
    np.testing.assert_allclose(asked.forward(x), forward(tensors, ["layer.10", "layer.1", "layer.2"], x), rtol=1e-12)


def test_the_issue_s_network_is_not_another_one(tmp_path: Path) -> None:
    """stem, body, head with a head of zeros is constant; sorted by name, body came first and it passed."""
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential()
    for name in ("stem", "body", "head"):
        model.add_module(name, torch.nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model.stem.weight.copy_(torch.tensor([[0.0, 0.0], [0.0, 0.0]]))
    torch.save(model.state_dict(), tmp_path / "n.pt")
    net = read_network(tmp_path / "n.pt")
    assert not any(net.forward(v).any() for v in np.eye(2))
    assert not net.weights[0].any()


@pytest.mark.parametrize("integer", [np.int8, np.uint8, np.int16, np.int64, np.uint64])
def test_integers_do_not_wrap_when_a_linear_layer_counts_with_both_signs(tmp_path: Path, integer: Any) -> None:
    st = pytest.importorskip("safetensors.numpy")
    info = np.iinfo(integer)
    w = np.array([[info.min, info.max], [1, 2], [info.max, 0]], dtype=integer)
    b = np.array([info.min, info.max, 3], dtype=integer)
    st.save_file({"l.weight": w, "l.bias": b}, tmp_path / "n.safetensors")
    np.savez(tmp_path / "n.npz", W1=w, b1=b)
    for path in (tmp_path / "n.safetensors", tmp_path / "n.npz"):
        net = read_network(path, last="linear")
        rows = [tuple(map(int, row)) for row in w.tolist()]
        assert net.exact_weights == ((*rows, *(tuple(-v for v in row) for row in rows)),)
        assert net.exact_biases == ((*b.tolist(), *(-v for v in b.tolist())),)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["².weight", "³.weight"], "--layers"),
        (["a" + "1" * 5000 + ".weight", "a" + "2" * 5000 + ".weight"], "--layers"),
        (["weight", ".weight"], "without a name"),
        (["a\x1b[31m.weight", "b.weight"], "--layers"),
        (["a.weight", "b.weight_orig"], "no linear layer"),
        (["a.weight", "encoder.0.norm.running_var"], "no linear layer"),
    ],
)
def test_names_of_any_kind_get_one_short_printable_line(tmp_path: Path, names: list[str], message: str) -> None:
    st = pytest.importorskip("safetensors.numpy")
    st.save_file({name: np.ones((3, 3)) for name in names}, tmp_path / "n.safetensors")
    with pytest.raises(InputError, match=message) as caught:
        read_network(tmp_path / "n.safetensors")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700


def test_one_layer_may_have_any_name(tmp_path: Path) -> None:
    st = pytest.importorskip("safetensors.numpy")
    for name in ("².weight", "w" + "9" * 5000 + ".weight", "weight"):
        st.save_file({name: np.ones((3, 2))}, tmp_path / "n.safetensors")
        read = read_file(tmp_path / "n.safetensors")
        assert read.network.widths == (3,)
        assert str(read.layers[0]).isprintable()
