"""A bounded set of inputs, as users write it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from mcinj.errors import InputError
from mcinj.networks.network import FractionMatrix


@dataclass(frozen=True)
class Domain:
    """`box`: low < x_i < high for every input; `ball`: |x| < high.

    >>> Domain.parse("box:-1,2")
    Domain(shape='box', low=-1.0, high=2.0)
    >>> Domain.parse("ball:3").high
    3.0
    """

    shape: str
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.shape not in ("box", "ball"):
            raise InputError(f"unknown domain {self.shape!r}; write box:LOW,HIGH or ball:R")
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise InputError(f"a domain is bounded by finite numbers, got {self.low:g} and {self.high:g}")
        if self.shape == "box" and not self.low < self.high:
            raise InputError(f"box:{self.low:g},{self.high:g} is empty; give LOW < HIGH")
        if self.shape == "ball" and not self.high > 0:
            raise InputError(f"ball:{self.high:g} is empty; give a radius > 0")

    @classmethod
    def parse(cls, text: str) -> Domain:
        """Read `box:LOW,HIGH` or `ball:R`; else `InputError`."""
        shape, _, rest = text.partition(":")
        try:
            numbers = [float(v) for v in rest.split(",")]
        except ValueError:
            numbers = []
        if (shape, len(numbers)) not in (("box", 2), ("ball", 1)):
            raise InputError(f"unknown domain {text!r}; write box:LOW,HIGH or ball:R, e.g. box:-1,1")
        return cls(shape, numbers[0] if shape == "box" else -numbers[0], numbers[-1])

    @property
    def radius(self) -> float | None:
        """Of a ball; None for a box."""
        return self.high if self.shape == "ball" else None

    @property
    def text(self) -> str:
        """As `parse` reads it."""
        return f"ball:{self.high!r}" if self.shape == "ball" else f"box:{self.low!r},{self.high!r}"

    def larger(self) -> Domain | None:
        """The next larger domain, which holds the closure of this one; None beyond the largest float."""
        low, high = math.nextafter(self.low, -math.inf), math.nextafter(self.high, math.inf)
        return Domain(self.shape, low, high) if math.isfinite(low) and math.isfinite(high) else None

    def fence(self, n: int, scale: Fraction = Fraction(1)) -> FractionMatrix:
        """Rows over (x / scale, t), positive inside the box (of a ball: the box around it)."""
        low, high = Fraction(self.low) / scale, Fraction(self.high) / scale
        rows = []
        for i in range(n):
            unit = [Fraction(int(i == j)) for j in range(n)]
            rows.append((*unit, -low))
            rows.append((*(-v for v in unit), high))
        return tuple(rows)

    def uniform(self, rng: np.random.Generator, shape: int | tuple[int, ...]) -> npt.NDArray[np.float64]:
        """Numbers between low and high, which may be farther apart than the largest float."""
        if math.isfinite(self.high - self.low):
            return rng.uniform(self.low, self.high, shape)
        return 2.0 * rng.uniform(self.low / 2, self.high / 2, shape)

    def holds(self, x: tuple[Fraction, ...]) -> bool:
        """Whether an input lies inside."""
        if self.shape == "ball":
            return sum((v * v for v in x), Fraction(0)) < Fraction(self.high) ** 2
        return all(Fraction(self.low) < v < Fraction(self.high) for v in x)
