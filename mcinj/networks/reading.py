"""What a reader makes of a file: the layers with their names, and the network that is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcinj.errors import InputError
from mcinj.networks.network import Network

LAST = ("relu", "linear")


@dataclass(frozen=True)
class ReadLayer:
    """One layer as read: its name in the file, the shape of its matrix, whether it has biases and a ReLU.

    `slope`: of its leaky ReLUs, 0 if they are plain ones; `note`: what else its reader has to say.
    """

    name: str
    shape: tuple[int, int]
    bias: bool
    relu: bool = True
    slope: float = 0.0
    note: str = ""

    def __str__(self) -> str:
        bias = ", bias" if self.bias else ""
        end = "ReLU" if self.relu else "linear (counts with both signs)"
        if self.slope:
            end = f"leaky ReLU of slope {self.slope:g}"
        note = f"; {self.note}" if self.note else ""
        return f"{self.name}: {self.shape[0]} x {self.shape[1]}{bias}, {end}{note}"

    def to_json(self) -> dict[str, Any]:
        """The object that `mcinj check --json` prints; slope and note only where there is one."""
        known = {"name": self.name, "shape": list(self.shape), "bias": self.bias, "relu": self.relu}
        return known | ({"slope": self.slope} if self.slope else {}) | ({"note": self.note} if self.note else {})


@dataclass(frozen=True)
class Leaky:
    """A network to be taken with leaky ReLUs, `max(z, 0) + slope · min(z, 0)`, in every layer."""

    network: Network
    slope: float


@dataclass(frozen=True)
class Reading:
    """A network with the names of its layers.

    `network`: the network that is decided; a last layer without ReLU is there with both signs, `[W; -W]`.
    `states_relus`: whether the source itself says where its ReLUs are.
    `leaky`: the same function with leaky ReLUs, where the source has such, all of one slope. In `network` each of them
    is two units; the short form is decided faster. The last layer is linear and has both signs in either.
    `left_out`: names of strictly monotone functions behind the last layer, which are not part of `network`.
    """

    network: Network
    layers: tuple[ReadLayer, ...]
    states_relus: bool
    leaky: Leaky | None = None
    left_out: tuple[str, ...] = ()


def reading(
    weights: Sequence[Any],
    biases: Sequence[Any] | None,
    names: Sequence[str],
    *,
    says: str | None,
    last: str | None,
) -> Reading:
    """The reading of these layers.

    `says`: whether the file ends in a ReLU (`relu`), does not (`linear`), or does not say (None). `last`: what the user
    says, or None. Raises `InputError` where the two disagree, and for what `Network` refuses.
    """
    if last is not None and last not in LAST:
        raise InputError(f"last is {last!r}; choose 'relu' or 'linear'")
    if says is not None and last is not None and says != last:
        ends = "a ReLU" if says == "relu" else "a layer without ReLU"
        raise InputError(f"the file ends with {ends}, but --last says {last}; leave --last out")
    end = says or last or "relu"
    network = Network(weights, biases)
    layers = tuple(
        ReadLayer(
            name, (int(w.shape[0]), int(w.shape[1])), _any(network, k), relu=k < network.depth - 1 or end == "relu"
        )
        for k, (name, w) in enumerate(zip(names, network.weights, strict=True))
    )
    return Reading(network.with_linear_last_layer() if end == "linear" else network, layers, says is not None)


def _any(network: Network, k: int) -> bool:
    return network.exact_biases is not None and any(network.exact_biases[k])


def shown(name: str, width: int = 60) -> str:
    """A name from a file, fit to be printed: no control characters, not longer than `width`."""
    text = name if name.isprintable() else ascii(name)[1:-1]
    return text if len(text) <= width else f"{text[: width - 1]}…"
