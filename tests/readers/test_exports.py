"""Fresh exports of PyTorch's two ONNX exporters: read as they compute, and decided as the module itself is.

Skipped without torch and onnxscript. `torch.onnx.export(dynamo=True)` keeps the weights in a file of their own
(`.onnx.data`); the older exporter traces and keeps them inside.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcinj
from mcinj.constructions import doubled
from mcinj.networks.readers import read_file
from mcinj.networks.reading import Reading

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
nn, functional = torch.nn, torch.nn.functional


class Skips(nn.Module):
    """Two blocks x + W relu(V x)."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = nn.Linear(2, 5), nn.Linear(5, 2), nn.Linear(2, 6), nn.Linear(6, 2)

    def forward(self, x: Any) -> Any:
        y = x + self.b(torch.relu(self.a(x)))
        return y + self.d(torch.relu(self.c(y)))


class Indexed(nn.Module):
    """Indexing with a list, and a limit from below that is not 0: GatherND and Max in the newer exporter."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 9)

    def forward(self, x: Any) -> Any:
        return self.a(x[:, [2, 0, 1]]).clamp(min=0.25)


class Quantised(nn.Module):
    """Weights rounded to multiples of 1/32 in 8 bits, as in training that knows of it."""

    def __init__(self) -> None:
        super().__init__()
        self.w, self.v = nn.Parameter(torch.randn(9, 2)), nn.Parameter(torch.randn(4, 9))

    def forward(self, x: Any) -> Any:
        w, v = (torch.fake_quantize_per_tensor_affine(t, 1 / 32, 0, -128, 127) for t in (self.w, self.v))
        return functional.linear(torch.relu(functional.linear(x, w)), v)


def with_statistics(*layers: Any) -> Any:
    """Layers whose batch norms have seen something."""
    module = nn.Sequential(*layers)
    for layer in layers:
        if hasattr(layer, "running_mean"):
            layer.running_mean.copy_(0.3 * torch.randn(layer.num_features))
            layer.running_var.copy_(torch.rand(layer.num_features) + 0.3)
    return module


def trained() -> Any:
    """A decoder of points on a curve, trained for a moment together with its encoder."""
    encoder = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 2))
    decoder = nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 12))
    both = nn.Sequential(encoder, decoder)
    optimizer = torch.optim.Adam(both.parameters(), lr=0.01)
    t = torch.linspace(0, 6, 64)[:, None]
    data = torch.sin(t * torch.linspace(0.2, 1.5, 12) + torch.arange(12))
    first = loss = torch.zeros(())
    for step in range(100):
        optimizer.zero_grad()
        loss = ((both(data) - data) ** 2).mean()
        first = loss.detach() if step == 0 else first
        loss.backward()
        optimizer.step()
    assert loss < first / 2
    return decoder


def constructed(layer: mcinj.Network) -> Any:
    """One layer with known weights, and no biases."""
    linear = nn.Linear(layer.n, layer.widths[0], bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(layer.weights[0].copy()))
    return nn.Sequential(linear, nn.ReLU())


MODELS: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "linear end": (lambda: nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 24)), (1, 2)),
    "opposite rows": (lambda: constructed(doubled([[1, 0, 2], [0, 1, 1], [1, -1, 0]], [1, 2, 3])), (1, 3)),
    "narrow": (lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU()), (1, 3)),
    "trained": (trained, (1, 2)),
    "double": (lambda: nn.Sequential(nn.Linear(2, 9), nn.ReLU(), nn.Linear(9, 4)).double(), (1, 2)),
    "half": (lambda: nn.Sequential(nn.Linear(2, 9), nn.ReLU(), nn.Linear(9, 4)).half(), (1, 2)),
    "batch norm": (
        lambda: with_statistics(nn.Linear(2, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 5)), (1, 2)
    ),
    "encoder": (
        lambda: with_statistics(
            nn.Conv2d(1, 6, 2, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AvgPool2d(2, 1), nn.Flatten(),
            nn.Linear(24, 12),
        ),
        (1, 1, 2, 2),
    ),
    "decoder": (
        lambda: with_statistics(
            nn.Linear(2, 8), nn.ReLU(), nn.Unflatten(1, (2, 2, 2)), nn.ConvTranspose2d(2, 3, 2, stride=2),
            nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 1, 3, padding=1), nn.Sigmoid(),
        ),
        (1, 2),
    ),
    "upsampling decoder": (
        lambda: nn.Sequential(
            nn.Linear(2, 8), nn.ReLU(), nn.Unflatten(1, (2, 2, 2)), nn.Upsample(scale_factor=2),
            nn.Conv2d(2, 1, 3, padding=1), nn.Tanh(),
        ),
        (1, 2),
    ),
    "leaky": (lambda: nn.Sequential(nn.Linear(2, 5), nn.LeakyReLU(0.1), nn.Linear(5, 4), nn.LeakyReLU(0.1)), (1, 2)),
    "skips": (Skips, (1, 2)),
    "indexed and clamped": (Indexed, (1, 3)),
    "quantised": (Quantised, (1, 2)),
}  # fmt: skip
# By construction; and three inputs need six units.
KNOWN = {"opposite rows": "injective", "narrow": "not_injective"}
LAST: dict[str, Callable[[Any], Any]] = {
    "Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Softplus": functional.softplus,
    "leaky ReLU": lambda z: functional.leaky_relu(z, 0.1),
}  # fmt: skip


def exported(module: Any, example: Any, path: Path, *, dynamo: bool, **options: Any) -> Path:
    """Write the module; the newer exporter needs onnxscript and is told to keep the weights beside the model."""
    if dynamo:
        pytest.importorskip("onnxscript")
        options["external_data"] = True
    logging.disable(logging.WARNING)
    try:
        torch.onnx.export(module, (example,), str(path), dynamo=dynamo, verbose=False, **options)
    finally:
        logging.disable(logging.NOTSET)
    return path


def outputs(read: Reading, x: Any) -> Any:
    """What was read, at one input, with the last activation that was left out."""
    y = read.network.forward(x.double().numpy().reshape(-1))
    if not read.layers[-1].relu:
        y = y[: len(y) // 2] - y[len(y) // 2 :]
    left_out = [f for word, f in LAST.items() if read.layers[-1].note.startswith(f"{word} left out")]
    return left_out[0](torch.from_numpy(y)).numpy() if left_out else y


def decided(read: Reading) -> str:
    """The verdict as `mcinj check` gives it."""
    if read.leaky is not None:
        return str(mcinj.check(read.leaky.network, slope=read.leaky.slope, node_budget=2_000).verdict)
    return str(mcinj.check(read.network, node_budget=2_000).verdict)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "older"])
@pytest.mark.parametrize("name", MODELS)
def test_exports_are_read_and_decided_like_the_module(name: str, dynamo: bool, tmp_path: Path) -> None:
    torch.manual_seed(3)
    make, shape = MODELS[name]
    module = make().eval()
    dtype = next(p.dtype for p in module.parameters())
    path = exported(module, torch.randn(shape).to(dtype), tmp_path / "model.onnx", dynamo=dynamo)
    assert (tmp_path / "model.onnx.data").exists() == dynamo
    read = read_file(path)
    tolerance = {torch.float16: 1e-2, torch.float32: 1e-5, torch.float64: 1e-13}[dtype]
    for scale in (1.0, 0.1, 20.0):
        x = (torch.randn(shape) * scale).to(dtype)
        with torch.no_grad():
            expected = module(x).double().numpy().reshape(-1)
        np.testing.assert_allclose(outputs(read, x), expected, rtol=tolerance, atol=tolerance * scale)
    verdict = decided(read)
    assert verdict == mcinj.check(module, torch.zeros(shape, dtype=dtype), node_budget=2_000).verdict
    if name in KNOWN:
        assert verdict == KNOWN[name]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [True, False], ids=["dynamo", "older"])
def test_a_batch_of_any_size_is_one_input(dynamo: bool, tmp_path: Path) -> None:
    torch.manual_seed(4)
    module = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Unflatten(1, (1, 5)), nn.Conv1d(1, 2, 2), nn.Flatten()).eval()
    free = (
        {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
        if dynamo
        else {"input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}}
    )
    read = read_file(exported(module, torch.randn(4, 3), tmp_path / "m.onnx", dynamo=dynamo, **free))
    x = torch.randn(1, 3)
    with torch.no_grad():
        np.testing.assert_allclose(outputs(read, x), module(x).numpy().reshape(-1), rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_softplus_with_a_threshold_is_refused(tmp_path: Path) -> None:
    """The newer exporter writes x itself from 20 on: a step down by 2e-9, so the function is not monotone."""
    torch.manual_seed(5)
    module = nn.Sequential(nn.Linear(2, 7), nn.ReLU(), nn.Linear(7, 4), nn.Softplus()).eval()
    older = read_file(exported(module, torch.zeros(1, 2), tmp_path / "older.onnx", dynamo=False))
    x = torch.randn(1, 2)
    with torch.no_grad():
        np.testing.assert_allclose(outputs(older, x), module(x).numpy().reshape(-1), rtol=1e-5)
    assert "Softplus left out" in older.layers[-1].note
    newer = exported(module, torch.zeros(1, 2), tmp_path / "newer.onnx", dynamo=True)
    with pytest.raises(mcinj.InputError, match="Greater"):
        read_file(newer)


@pytest.mark.filterwarnings("ignore")
def test_weights_that_are_gone_are_said_so(tmp_path: Path) -> None:
    """Small tensors stay in the model itself, those of 24 x 16 do not."""
    module = MODELS["linear end"][0]().eval()
    path = exported(module, torch.zeros(1, 2), tmp_path / "m.onnx", dynamo=True)
    data = tmp_path / "m.onnx.data"
    assert data.stat().st_size >= 4 * 24 * 16
    read_file(path)
    data.unlink()
    with pytest.raises(mcinj.InputError, match=r"m\.onnx\.data"):
        read_file(path)
