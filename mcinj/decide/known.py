"""What is known where a decision ended without an answer: proved facts, exact counts, and a word of advice."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from mcinj.decide.watch import Watch
from mcinj.networks import Network

if TYPE_CHECKING:
    from mcinj.decide.bounded.domain import Domain

_WIDE = 6.7  # widths over inputs of Gaussian layers that are injective for large n (docs/theory.md)
_EXACT = 300_000  # weights up to which active units are counted in exact arithmetic


@dataclass(frozen=True)
class Active:
    """`count` units of a layer (from 1) are active at the input x: counted in exact arithmetic, no bound from below."""

    layer: int
    count: int
    x: tuple[Fraction, ...]

    def to_json(self) -> dict[str, Any]:
        """As `mcinj check --json` prints it."""
        return {"layer": self.layer, "count": self.count, "x": [f"{v.numerator}/{v.denominator}" for v in self.x]}


@dataclass(frozen=True)
class Known:
    """What an UNKNOWN verdict carries.

    Attributes
    ----------
    stage
        What was being done at the end.
    nodes, open
        Nodes entered by all stages, and nodes of the last one that wait.
    share
        Share of all pairs of inputs, by volume, that pairs of boxes had settled; None at other stages.
    layers_alone
        Layers (from 1) that are proved injective on all of their input space.
    proved
        Facts about the network (on the domain, if there is one) that are proved, in words.
    active
        Per layer, the fewest active units found at an input. Fewer may exist.
    advice
        One line: what may help.
    """

    stage: str
    nodes: int
    open: int
    layers_alone: tuple[int, ...] = ()
    proved: tuple[str, ...] = ()
    active: tuple[Active, ...] = ()
    advice: str = ""
    share: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As `mcinj check --json` prints it."""
        return {
            "stage": self.stage,
            "nodes": self.nodes,
            "open": self.open,
            "share": self.share,
            "layers_alone": list(self.layers_alone),
            "proved": list(self.proved),
            "active": [found.to_json() for found in self.active],
            "advice": self.advice,
        }


def known(network: Network, watch: Watch, domain: Domain | None, slope: float, rank_open: bool) -> Known:
    """What the watch has seen; counts are made exact here."""
    return Known(
        stage=watch.stage,
        nodes=watch.nodes,
        open=watch.open,
        layers_alone=tuple(watch.alone),
        proved=tuple(watch.proved),
        active=() if slope else _counted(network, watch, domain),
        advice=_advice(network, watch, domain, slope, rank_open),
        share=watch.share,
    )


def _counted(network: Network, watch: Watch, domain: Domain | None) -> tuple[Active, ...]:
    found = []
    for layer, seen in sorted(watch.fewest.items()):
        prefix = network.prefix(layer)
        if layer > network.depth or sum(w.size for w in prefix.weights) > _EXACT:
            continue
        x = tuple(Fraction(v) for v in seen.x)
        if len(x) != network.n or (domain is not None and not domain.holds(x)):
            continue
        count = sum(v > 0 for v in prefix.exact_pre_activations(x)[-1])
        found.append(Active(layer, count, x))
    return tuple(found)


def _advice(network: Network, watch: Watch, domain: Domain | None, slope: float, rank_open: bool) -> str:
    if slope:
        return "leaky ReLUs are injective where every layer has full column rank; look at the layers that have not"
    if rank_open and network.premise is None:
        return (
            "if no coincidence is built into the weights (tied, repeated or dependent rows), --assume-generic takes "
            "count for rank"
        )
    ratio = network.widths[0] / network.n
    if ratio < _WIDE and 1 not in watch.alone and domain is None:
        return (
            f"layer 1 has {ratio:.1f} n units; Gaussian layers need about {_WIDE} n on the whole space; "
            "leaky ReLUs need none"
        )
    if domain is None and network.has_biases:
        return "fewer inputs are easier to decide: give a bounded set of them, e.g. --domain box:-1,1"
    if domain is not None and network.has_biases:
        return f"fewer regions meet a smaller domain: {domain.shape} with less room than {domain.high - domain.low:g}"
    if network.depth == 1:
        more = "more time may do (--time-limit, --node-budget)"
        if network.premise is not None:
            return more
        return f"{more}; where no coincidence is built into the weights, counts are enough (--assume-generic)"
    return "ReLU layers before the last may be made leaky (--slope), which needs full column rank only"
