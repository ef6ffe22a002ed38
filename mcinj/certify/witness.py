"""A witness of non-injectivity: two rational inputs and an exact check that they collide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mcinj.errors import InputError
from mcinj.networks import Network


@dataclass(frozen=True)
class Witness:
    """Two different inputs with the same output, in exact rationals.

    `x` and `x_prime` have n coordinates (for a `layerwise` failure at layer k: m_{k-1} coordinates, they live
    in that layer's input space).
    """

    x: tuple[Fraction, ...]
    x_prime: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.x_prime):
            raise InputError(f"a witness needs inputs of one length, got {len(self.x)} and {len(self.x_prime)}")

    def collides(self, network: Network) -> bool:
        """Whether `x != x'` and `f(x) = f(x')`, decided in exact arithmetic."""
        if len(self.x) != network.n or self.x == self.x_prime:
            return False
        return network.exact_forward(self.x) == network.exact_forward(self.x_prime)

    def layer(self, network: Network) -> int | None:
        """The first layer (from 1) whose outputs are the same for both inputs, in exact arithmetic; None if none is."""
        pairs = zip(network.exact_pre_activations(self.x), network.exact_pre_activations(self.x_prime), strict=True)
        for k, (a, b) in enumerate(pairs, 1):
            if all(max(v, 0) == max(w, 0) for v, w in zip(a, b, strict=True)):
                return k
        return None

    def to_json(self) -> dict[str, list[str]]:
        """`{"x": ["p/q", …], "x_prime": […]}` with exact rationals as strings."""
        return {"x": [_text(v) for v in self.x], "x_prime": [_text(v) for v in self.x_prime]}

    @classmethod
    def from_json(cls, data: Any) -> Witness:
        """Inverse of `to_json`; raises `InputError` on anything else."""
        try:
            return cls(_vector(data["x"]), _vector(data["x_prime"]))
        except (KeyError, TypeError, ValueError, ZeroDivisionError):
            raise InputError("not a witness: expected {'x': ['p/q', …], 'x_prime': ['p/q', …]}") from None


def _text(value: Fraction) -> str:
    return f"{value.numerator}/{value.denominator}"


def _vector(texts: Sequence[str]) -> tuple[Fraction, ...]:
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in texts):
        raise ValueError("expected a list of strings")
    return tuple(Fraction(t) for t in texts)
