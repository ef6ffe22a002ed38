"""The Gaussian field of pre-activations on the sphere of inputs: what wide layers before and a level change in it.

A row of one layer sees inputs of overlap q with correlation q. Behind a Gaussian layer of infinite width two inputs of
overlap q have hidden overlap

    κ(q) = (√(1-q²) + q (π - arccos q)) / π,      κ(1) = κ'(1) = 1,  κ(0) = 1/π

(arc-cosine kernel of order 1; Cho and Saul 2009), and behind d of them κ composed d times. A unit counts where its
pre-activation, of variance 1, exceeds `level`: 0 for injectivity, t for the margin and for layers with a bias.
Derivation: docs/theory.md §10, §11.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mcinj.theory.arguments import whole, within

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["MOST_WIDE_LAYERS", "PLAIN_FIELD", "Field", "arc_cosine"]

MOST_WIDE_LAYERS = 20
_FARTHEST_LEVEL = 3.0


@dataclass(frozen=True)
class Field:
    """Law of the pre-activations: number of infinitely wide layers before, and the level above which a unit counts."""

    wide_layers: int = 0
    level: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "wide_layers", whole("wide_layers_before", self.wide_layers, 0, MOST_WIDE_LAYERS))
        level = within("level", self.level, -_FARTHEST_LEVEL, _FARTHEST_LEVEL, "pre-activations have variance 1")
        object.__setattr__(self, "level", level)

    def correlations(self, overlaps: Array) -> tuple[Array, Array]:
        """Correlation of the pre-activations of two inputs at each overlap (in [0, 1]), and its derivative there."""
        import numpy as np

        value, slope = np.asarray(overlaps, dtype=np.float64), np.ones_like(overlaps)
        for _ in range(self.wide_layers):
            value, factor = arc_cosine(value)
            slope = slope * factor
        return value, slope

    def named(self, name: str) -> str:
        """`name`, followed by what is unusual about the field."""
        parts = [name]
        if self.wide_layers:
            parts.append(f"behind {self.wide_layers} wide layer{'s' if self.wide_layers > 1 else ''}")
        if self.level:
            parts.append(f"level {self.level:g}")
        return ", ".join(parts)


PLAIN_FIELD = Field()


def arc_cosine(q: Array) -> tuple[Array, Array]:
    """``κ(q)`` and ``κ'(q) = 1 - arccos(q)/π`` for overlaps q in [-1, 1].

    >>> import numpy as np
    >>> [round(float(x), 6) for x in arc_cosine(np.array([0.0, 1.0]))[0]]
    [0.31831, 1.0]
    """
    import numpy as np

    q = np.clip(q, -1.0, 1.0)
    slope = 1 - np.arccos(q) / math.pi
    return np.sqrt((1 - q) * (1 + q)) / math.pi + q * slope, slope
