"""torch modules traced by `check(module, example_input)`, against the modules themselves; skipped without torch."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import mcinj
from mcinj.errors import InputError
from mcinj.networks.module import network_from_module

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional
torch.manual_seed(5)


class Of(nn.Module):
    """A module from a function of itself and x, with modules and tensors as attributes."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, nn.Parameter(part) if isinstance(part, torch.Tensor) else part)
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(self, x)


class Buffered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.1, 0.2, 0.3]))
        self.register_buffer("scale", torch.tensor([0.3, 0.7, 1.1]))
        self.linear = nn.Linear(3, 7)

    def forward(self, x: Any) -> Any:
        return torch.relu(self.linear((x - self.mean) / self.scale))


class Reversed(nn.Module):
    """Layers are used against the order in which they are registered: a state dict gives another network."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body, self.stem = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x: Any) -> Any:
        for layer in (self.stem, self.body, self.head):
            x = functional.relu(layer(x))
        return x


def mlp(*widths: int, last: bool = True) -> Any:
    layers: list[Any] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*(layers if last else layers[:-1]))


def convolutional() -> Any:
    return nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=2), nn.ReLU(inplace=True),
        nn.Conv2d(4, 3, 2, bias=False), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(3 * 2 * 3, 6),
    )  # fmt: skip


GOOD: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "mlp": (lambda: mlp(3, 7, 8), (1, 3)),
    "mlp without batch": (lambda: mlp(3, 7, 8), (3,)),
    "linear end": (lambda: mlp(3, 7, 8, last=False), (1, 3)),
    "convolutions": (convolutional, (1, 2, 6, 6)),
    "one axis": (lambda: nn.Sequential(nn.Conv1d(2, 3, 2, padding=1), nn.ReLU(), nn.Flatten(0)), (2, 4)),
    "three axes": (lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.ReLU()), (1, 1, 2, 3, 2)),
    "buffers": (Buffered, (1, 3)),
    "reversed": (Reversed, (1, 4)),
    "double": (lambda: mlp(3, 5).double(), (1, 3)),
    "half": (lambda: mlp(3, 5).half(), (1, 3)),
    "unflatten": (lambda: nn.Sequential(nn.Linear(3, 8), nn.Unflatten(1, (2, 2, 2)), nn.Conv2d(2, 3, 2)), (1, 3)),
    "weight norm": (lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), nn.ReLU()), (1, 3)),
    "a mask": (lambda: Of(lambda m, x: torch.relu(x @ (m.w * (m.w > 0)).T), w=torch.randn(5, 3)), (1, 3)),
    "shared": (lambda: Of(lambda m, x: m.l(m.l(x).relu()).relu(), l=nn.Linear(4, 4)), (1, 4)),
    "clamp": (lambda: Of(lambda m, x: m.l(x).clamp(min=0), l=nn.Linear(3, 4)), (1, 3)),
    "numbers": (lambda: Of(lambda m, x: torch.relu(1 - (0.1 * m.l(x) + 3) / 7 * 2), l=nn.Linear(3, 4)), (1, 3)),
    "in place": (lambda: Of(lambda m, x: m.l(x).mul_(2).add_(1).relu_(), l=nn.Linear(3, 4)), (1, 3)),
    "views": (lambda: Of(lambda m, x: m.l(x.view(x.size(0), -1)).relu().squeeze(0), l=nn.Linear(6, 4)), (1, 2, 3)),
    "negative": (lambda: Of(lambda m, x: (-m.l(x)).relu(), l=nn.Linear(3, 4)), (1, 3)),
    "matmul": (lambda: Of(lambda m, x: (x @ m.w).relu(), w=torch.randn(3, 5)), (1, 3)),
    "addmm": (lambda: Of(lambda m, x: torch.addmm(m.b, x, m.w).relu(), w=torch.randn(3, 5), b=torch.randn(5)), (1, 3)),
    "on the shape": (lambda: Of(lambda m, x: m.l(x) if x.shape[0] == 1 else -x, l=nn.Linear(3, 4)), (1, 3)),
}


@pytest.mark.parametrize("name", GOOD)
def test_modules_are_read_as_they_compute(name: str) -> None:
    make, shape = GOOD[name]
    module = make().eval()
    dtype = next((p.dtype for p in module.parameters()), torch.float32)
    read = network_from_module(module, torch.randn(shape).to(dtype))
    for scale in (1.0, 1.0, 0.1, 20.0):
        x = (torch.randn(shape) * scale).to(dtype)
        with torch.no_grad():
            expected = module(x).double().numpy().reshape(-1)
        y = read.network.forward(x.double().numpy().reshape(-1))
        if not read.layers[-1].relu:
            y = y[: len(y) // 2] - y[len(y) // 2 :]
        tolerance = {torch.float16: 1e-2, torch.float32: 1e-5, torch.float64: 1e-13}[dtype]
        np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance * scale)


def test_layers_carry_the_names_of_parameters() -> None:
    read = network_from_module(Reversed().eval(), torch.zeros(1, 4))
    assert [layer.name for layer in read.layers] == [f"{n}.weight + {n}.bias" for n in ("stem", "body", "head")]


BAD: dict[str, tuple[Callable[[], Any], tuple[int, ...], str]] = {
    "training": (lambda: mlp(3, 4).train(), (1, 3), "eval"),
    "dropout in use": (lambda: Of(lambda m, x: functional.dropout(x, 0.5, True).relu()), (1, 3), "training|support"),
    "skip": (lambda: Of(lambda m, x: torch.relu(m.l(x) + x), l=nn.Linear(3, 3)), (1, 3), "skip"),
    "two branches": (lambda: Of(lambda m, x: torch.cat([m.a(x), m.a(-x)], 1), a=nn.Linear(3, 3)), (1, 3), "cat|chain"),
    "sigmoid": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Sigmoid()), (1, 3), "sigmoid"),
    "leaky": (lambda: nn.Sequential(nn.Linear(3, 4), nn.LeakyReLU()), (1, 3), "leaky_relu"),
    "relu6": (lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU6()), (1, 3), "hardtanh|relu6|clamp"),
    "clamp above": (lambda: Of(lambda m, x: x.clamp(0, 3)), (1, 3), "clamp"),
    "clamp from 1": (lambda: Of(lambda m, x: x.clamp(min=1)), (1, 3), "clamp"),
    "batch norm": (lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2)), (1, 1, 3, 3), "norm"),
    "pooling": (lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.MaxPool2d(2)), (1, 1, 3, 3), "pool"),
    "a branch on values": (lambda: Of(lambda m, x: x.relu() if x.sum() > 0 else -x), (1, 3), "cannot trace"),
    "two outputs": (lambda: Of(lambda m, x: (x.relu(), x)), (1, 3), "one tensor|give one"),
    "its input": (lambda: Of(lambda m, x: x.clone()), (1, 3), "no linear layer"),
    "permuted": (lambda: Of(lambda m, x: m.l(x.permute(0, 2, 1)).relu(), l=nn.Linear(2, 3)), (1, 2, 3), "permute"),
    "several rows": (lambda: mlp(3, 4), (5, 3), "batch of 1"),
    "several images": (lambda: nn.Conv2d(1, 2, 2), (4, 1, 3, 3), "batch"),
    "other types": (lambda: Of(lambda m, x: x.to(torch.int32).float().relu()), (1, 3), "to|_to_copy|type"),
    "noise": (lambda: Of(lambda m, x: torch.relu(x + torch.randn(3))), (1, 3), "randn"),
    "a counter": (lambda: Counter(), (1, 3), "nothing of its own"),
    "same padding": (lambda: nn.Conv2d(1, 1, 3, padding="same"), (1, 1, 4, 4), "padding|not supported"),
    "nan": (lambda: Of(lambda m, x: x @ m.w, w=torch.full((3, 2), float("nan"))), (1, 3), "nan"),
    "large": (lambda: Of(lambda m, x: x.relu()), (1, 30_000), "numbers"),
    "large convolution": (lambda: nn.Conv2d(1, 1, 2), (1, 1, 100, 100), "unrolls"),
    "division by 0": (lambda: Of(lambda m, x: x / m.w, w=torch.tensor([1.0, 0.0, 1.0])), (1, 3), "division by 0"),
    "division by x": (lambda: Of(lambda m, x: m.w / x, w=torch.ones(3)), (1, 3), "operand"),
    "alpha": (lambda: Of(lambda m, x: torch.add(x, m.w, alpha=2), w=torch.ones(3)), (1, 3), "alpha"),
    "widened": (lambda: Of(lambda m, x: torch.relu(x + m.w), w=torch.ones(2, 3)), (1, 3), "shape"),
}  # fmt: skip


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Any) -> Any:
        self.calls += 1
        return torch.relu(x * self.calls)


@pytest.mark.parametrize("name", BAD)
def test_modules_that_are_no_relu_chain_are_refused(name: str) -> None:
    make, shape, match = BAD[name]
    module = make()
    module = module if name == "training" else module.eval()
    with pytest.raises(InputError, match=match) as caught:
        network_from_module(module, torch.randn(shape))
    assert "\n" not in str(caught.value)


def test_a_trace_that_is_not_the_module_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator taken for another one is caught by the comparison of forward passes."""
    import mcinj.networks.module as tracer

    for target, module in (("sigmoid.default", nn.Sigmoid()), ("abs.default", Of(lambda m, x: x.abs()))):
        for taken in (tracer._relu, tracer._reshape):
            monkeypatch.setitem(tracer._OPERATORS, target, taken)
            with pytest.raises(InputError, match="differs from what"):
                network_from_module(nn.Sequential(nn.Linear(3, 4), module).eval(), torch.zeros(1, 3))


def test_what_a_hook_adds_counts() -> None:
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU()).eval()
    module[0].register_forward_hook(lambda layer, given, out: out * 2)
    read = network_from_module(module, torch.zeros(1, 3))
    x = torch.randn(1, 3)
    with torch.no_grad():
        expected = module(x).numpy().reshape(-1)
    np.testing.assert_allclose(read.network.forward(x.double().numpy().reshape(-1)), expected, rtol=1e-5, atol=1e-6)


def test_check_takes_a_module_and_an_example_input() -> None:
    w = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    module = Of(lambda m, x: torch.relu(x @ m.w.T), w=w).eval()
    example = torch.zeros(1, 2)
    assert mcinj.check(module, example).verdict == "injective"
    assert mcinj.check(module, example_input=example).network_injective is True
    assert mcinj.check(module, example, "layerwise").criterion == "layerwise"
    assert mcinj.check(module, example, criterion="regional", engine="tree").verdict == "injective"
    with torch.no_grad():
        module.w[3] = torch.tensor([0.0, 1.0])
    verdict = mcinj.check(module, example)
    assert verdict.verdict == "not_injective"
    x, y = (torch.tensor([[float(v) for v in p]]) for p in (verdict.witness.x, verdict.witness.x_prime))
    assert torch.equal(module(x), module(y))
    for wrong in ((), ("global",), (3,), (np.zeros((1, 2)),), (torch.zeros(1, 2, dtype=torch.int64),)):
        with pytest.raises(InputError, match="example input"):
            mcinj.check(module, *wrong)
