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


class Residual(nn.Module):
    """Blocks x + W relu(V x), the second one on ReLUs, and a ReLU after the first."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = nn.Linear(5, 7), nn.Linear(7, 5), nn.Linear(5, 6), nn.Linear(6, 5)

    def forward(self, x: Any) -> Any:
        y = torch.relu(x + self.b(torch.relu(self.a(x))))
        return y + self.d(torch.relu(self.c(y)))


def slopes(count: int) -> Any:
    layer = nn.PReLU(count)
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-0.5, 1.5, count))
    return layer


def normed(*layers: Any) -> Any:
    """Layers whose batch norms have seen something."""
    module = nn.Sequential(*layers)
    for layer in layers:
        if hasattr(layer, "running_mean"):
            layer.running_mean.copy_(torch.randn(layer.num_features))
            layer.running_var.copy_(torch.rand(layer.num_features) + 0.1)
            if layer.affine:
                with torch.no_grad():
                    layer.weight.copy_(torch.randn(layer.num_features))
                    layer.bias.copy_(torch.randn(layer.num_features))
    return module


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
    "skip": (lambda: Of(lambda m, x: torch.relu(m.l(x) + x), l=nn.Linear(3, 3)), (1, 3)),
    "residual blocks": (lambda: Residual(), (1, 5)),
    "skip of leaky": (lambda: Of(lambda m, x: x + functional.leaky_relu(m.l(x), 0.2), l=nn.Linear(3, 3)), (1, 3)),
    "two branches": (lambda: Of(lambda m, x: torch.cat([m.a(x), m.a(-x)], 1), a=nn.Linear(3, 3)), (1, 3)),
    "branches with ReLUs": (
        lambda: Of(
            lambda m, x: m.c(torch.cat([m.a(x).relu(), m.b(m.a(x).relu()).relu(), x], 1)),
            a=nn.Linear(3, 4), b=nn.Linear(4, 2), c=nn.Linear(9, 7),
        ),
        (1, 3),
    ),
    "leaky": (lambda: nn.Sequential(nn.Linear(3, 4), nn.LeakyReLU(), nn.Linear(4, 5), nn.LeakyReLU()), (1, 3)),
    "leaky then ReLU": (lambda: nn.Sequential(nn.Linear(3, 4), nn.LeakyReLU(0.2), nn.Linear(4, 5), nn.ReLU()), (1, 3)),
    "slopes of their own": (lambda: nn.Sequential(nn.Conv1d(2, 3, 2), slopes(3), nn.Conv1d(3, 4, 2)), (1, 2, 4)),
    "clamp above": (lambda: Of(lambda m, x: m.l(x.clamp(0, 3)), l=nn.Linear(3, 4)), (1, 3)),
    "clamp from 1": (lambda: Of(lambda m, x: m.l(x.clamp(min=1)), l=nn.Linear(3, 4)), (1, 3)),
    "relu6": (lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU6(), nn.Hardtanh()), (1, 3)),
    "maximum": (lambda: Of(lambda m, x: torch.maximum(m.l(x), torch.zeros(1)), l=nn.Linear(3, 4)), (1, 3)),
    "batch norm": (lambda: normed(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 2)), (1, 2, 4, 4)),
    "batch norm of rows": (lambda: normed(nn.Linear(3, 4), nn.BatchNorm1d(4, affine=False), nn.ReLU()), (1, 3)),
    "average pooling": (lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.AvgPool2d(2, 1, 1)), (1, 1, 4, 4)),
    "average of what is there": (lambda: nn.AvgPool1d(3, 2, 1, count_include_pad=False), (2, 7)),
    "global pooling": (lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1)), (1, 1, 4, 4)),
    "adaptive pooling": (lambda: nn.Sequential(nn.AdaptiveAvgPool2d((3, 2)), nn.ReLU()), (1, 2, 5, 5)),
    "transposed convolution": (
        lambda: nn.Sequential(
            nn.Linear(3, 12), nn.ReLU(), nn.Unflatten(1, (4, 1, 3)),
            nn.ConvTranspose2d(4, 6, (2, 3), stride=(2, 3), padding=(1, 0), output_padding=(1, 2), groups=2), nn.ReLU(),
            nn.ConvTranspose2d(6, 1, 2, dilation=2, bias=False),
        ),
        (1, 3),
    ),
    "transposed convolution on one axis": (lambda: nn.ConvTranspose1d(2, 3, 3, stride=2, padding=1), (2, 4)),
    "same padding": (lambda: nn.Conv2d(1, 2, (4, 3), padding="same", dilation=(1, 2)), (1, 1, 5, 6)),
    "permuted": (lambda: Of(lambda m, x: m.l(x.permute(0, 2, 1)).relu(), l=nn.Linear(2, 3)), (1, 2, 3)),
    "moved": (
        lambda: Of(
            lambda m, x: m.l(
                torch.cat([x.flip(1)[:, :2], x.roll(1, 2)[:, 1:3], functional.pad(x, (1, 0))[:, :1, 1:]], 1)
                .transpose(1, 2).reshape(1, -1)
            ),
            l=nn.Linear(20, 6),
        ),
        (1, 4, 4),
    ),
    "split": (
        lambda: Of(lambda m, x: torch.cat([m.l(p) for p in reversed(x.chunk(2, 1))], 1), l=nn.Linear(2, 3)), (1, 4)
    ),
    "stacked": (lambda: Of(lambda m, x: torch.stack([m.l(x), x, x.relu()], 1).mean(2), l=nn.Linear(3, 3)), (1, 3)),
    "reflected": (
        lambda: Of(lambda m, x: m.l(functional.pad(x, (2, 1), mode="reflect")), l=nn.Linear(6, 4)), (1, 2, 3)
    ),
    "pixels shuffled": (lambda: nn.Sequential(nn.Conv2d(1, 4, 2), nn.ReLU(), nn.PixelShuffle(2)), (1, 1, 3, 3)),
    "upsampled": (lambda: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(1, 2, 3)), (1, 1, 2, 3)),
    "chosen": (lambda: Of(lambda m, x: m.l(x[:, [2, 0, 2]]), l=nn.Linear(3, 4)), (1, 3)),
    "sums": (lambda: Of(lambda m, x: m.l(x.sum((2, 3)) + x.mean(2).mean(2)), l=nn.Linear(3, 4)), (1, 3, 2, 4)),
    "a matrix on the left": (lambda: Of(lambda m, x: (m.w @ x).relu(), w=torch.randn(5, 2)), (1, 2, 3)),
    **{
        name: (lambda a=a: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 5), a), (1, 3))
        for name, a in {
            "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(), "softplus": nn.Softplus(2.0), "elu": nn.ELU(0.7),
            "selu": nn.SELU(), "celu": nn.CELU(1.5), "log sigmoid": nn.LogSigmoid(),
        }.items()
    },
    "tanh to a range": (lambda: Of(lambda m, x: (m.l(x).tanh() + 1) / 2 * 255 - 3, l=nn.Linear(3, 4)), (1, 3)),
    "sigmoid of an image": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Unflatten(1, (1, 2, 2))), (1, 3)),
    "on the shape": (lambda: Of(lambda m, x: m.l(x) if x.shape[0] == 1 else -x, l=nn.Linear(3, 4)), (1, 3)),
}


LEFT_OUT: dict[str, Callable[[Any], Any]] = {
    "Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Softplus": nn.Softplus(2.0), "ELU": nn.ELU(0.7), "SELU": nn.SELU(),
    "CELU": nn.CELU(1.5), "LogSigmoid": nn.LogSigmoid(), "leaky ReLU": nn.LeakyReLU(),
}  # fmt: skip


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
        flat = x.double().numpy().reshape(-1)
        y = read.network.forward(flat)
        if not read.layers[-1].relu:
            y = y[: len(y) // 2] - y[len(y) // 2 :]
        for word, function in LEFT_OUT.items():
            if read.layers[-1].note == f"{word} left out, strictly monotone":
                y = function(torch.from_numpy(y)).numpy()
        if "tanh" in name and "range" in name:
            y = (y + 1) / 2 * 255 - 3
        tolerance = {torch.float16: 1e-2, torch.float32: 1e-5, torch.float64: 1e-13}[dtype]
        np.testing.assert_allclose(y, expected, rtol=tolerance, atol=tolerance * scale)


def test_layers_carry_the_names_of_parameters() -> None:
    read = network_from_module(Reversed().eval(), torch.zeros(1, 4))
    assert [layer.name for layer in read.layers] == [f"{n}.weight + {n}.bias" for n in ("stem", "body", "head")]


BAD: dict[str, tuple[Callable[[], Any], tuple[int, ...], str]] = {
    "training": (lambda: mlp(3, 4).train(), (1, 3), "eval"),
    "dropout in use": (lambda: Of(lambda m, x: functional.dropout(x, 0.5, True).relu()), (1, 3), "training|support"),
    "a gate": (lambda: Of(lambda m, x: m.l(x) * x, l=nn.Linear(3, 3)), (1, 3), "not affine"),
    "attention": (lambda: Of(lambda m, x: x @ x.transpose(1, 2)), (1, 3, 2), "not affine"),
    "gelu": (lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU()), (1, 3), "gelu"),
    "softmax": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Softmax(1)), (1, 3), "softmax"),
    "sigmoid inside": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 4)), (1, 3), "only at the end"
    ),
    "sigmoid and a ReLU": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.ReLU()), (1, 3), "only at the end"),
    "half of a sigmoid": (lambda: Of(lambda m, x: x.relu().sigmoid()[:, :2]), (1, 3), "leaves out entries"),
    "a sigmoid and its input": (lambda: Of(lambda m, x: x.relu() + x.sigmoid()), (1, 3), "after the last layer"),
    "a sigmoid times 0": (lambda: Of(lambda m, x: x.relu().sigmoid() * 0), (1, 3), "product with 0"),
    "clamp the wrong way": (lambda: Of(lambda m, x: x.clamp(3, 0)), (1, 3), "nothing between"),
    "clamp from above": (lambda: Of(lambda m, x: x.clamp(max=0)), (1, 3), "above alone"),
    "softplus of a negative beta": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Softplus(-1.0)), (1, 3), "beta"),
    "padding by ones": (lambda: Of(lambda m, x: functional.pad(x, (1, 1), value=1.0).relu()), (1, 3), "zeros"),
    "layer norm": (lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)), (1, 3), "norm"),
    "batch norm in training": (
        lambda: Of(lambda m, x: functional.batch_norm(x, None, None, training=True).relu()), (1, 3, 4), "norm|missing"
    ),
    "pooling": (lambda: nn.Sequential(nn.Conv2d(1, 2, 2), nn.MaxPool2d(2)), (1, 1, 3, 3), "pool"),
    "a branch on values": (lambda: Of(lambda m, x: x.relu() if x.sum() > 0 else -x), (1, 3), "cannot trace"),
    "two outputs": (lambda: Of(lambda m, x: (x.relu(), x)), (1, 3), "one tensor|give one"),
    "its input": (lambda: Of(lambda m, x: x.clone()), (1, 3), "no linear layer"),
    "several rows": (lambda: mlp(3, 4), (5, 3), "batch of 1"),
    "several images": (lambda: nn.Conv2d(1, 2, 2), (4, 1, 3, 3), "batch"),
    "other types": (lambda: Of(lambda m, x: x.to(torch.int32).float().relu()), (1, 3), "to|_to_copy|type"),
    "noise": (lambda: Of(lambda m, x: torch.relu(x + torch.randn(3))), (1, 3), "randn"),
    "a counter": (lambda: Counter(), (1, 3), "nothing of its own"),
    "nan": (lambda: Of(lambda m, x: x @ m.w, w=torch.full((3, 2), float("nan"))), (1, 3), "nan"),
    "large": (lambda: Of(lambda m, x: x.relu()), (1, 30_000), "numbers"),
    "large convolution": (lambda: nn.Conv2d(1, 1, 2), (1, 1, 100, 100), "98,010,000"),
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
def test_modules_that_are_no_relu_networks_are_refused(name: str) -> None:
    make, shape, match = BAD[name]
    module = make()
    module = module if name == "training" else module.eval()
    with pytest.raises(InputError, match=match) as caught:
        network_from_module(module, torch.randn(shape))
    assert "\n" not in str(caught.value)


def test_a_trace_that_is_not_the_module_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator taken for another one is caught by the comparison of forward passes."""
    import mcinj.networks.module_operators as operators

    for target, module in (("sigmoid.default", nn.Sigmoid()), ("abs.default", Of(lambda m, x: x.abs()))):
        for taken in (operators._relu, lambda call: call.tensor("self")):
            monkeypatch.setitem(operators.OPERATORS, target, taken)
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
