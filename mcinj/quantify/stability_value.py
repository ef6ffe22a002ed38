"""What `mcinj.stability` answers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mcinj.certify.witness import Witness
from mcinj.networks.network import FractionVector

Pattern = tuple[tuple[int, ...], ...]  # active units, layer by layer, from 0


@dataclass(frozen=True)
class Stability:
    """What `stability` found. Every number is a proved bound; `x`, `direction` and `pair` show the upper ones.

    Attributes
    ----------
    sigma_lo, sigma_hi
        `sigma_lo <= σ* <= sigma_hi`: least singular value of the Jacobian over all regions that meet the domain.
        sigma_lo is rounded down, sigma_hi up: where no float holds σ*, to the largest float and to inf.
    kappa_lo, kappa_hi
        The same for the lower Lipschitz constant, in units of output per unit of input.
    x
        A point of the region that shows sigma_hi, exact: an input (n,); any positive multiple does as well where the
        network has neither biases nor domain.
    pattern
        Active units there, layer by layer, from 0.
    direction
        Input direction (n,) that the Jacobian there shortens to at most sigma_hi times its length.
    pair
        Two inputs whose outputs are at most kappa_hi times their distance apart. For kappa_hi = 0: a collision.
    layers
        For a network of several layers, the enclosure of σ* of each layer alone on the inputs that it can meet.
    complete
        Whether sigma_lo is as near to sigma_hi as was asked for; otherwise a budget ended the search, or
        rounding left a wider one (rows of very different sizes, a ball that a cell touches).
    nodes, seconds
        Cost. Nodes do not depend on the machine's speed.
    sigma_squared, kappa_squared
        Rationals below and above σ*² and κ², proved. The upper ones are exactly the quotients that `direction` and
        `pair` show (for κ: `direction` where there is no pair); None where no region was reached.
    """

    sigma_lo: float
    sigma_hi: float
    kappa_lo: float
    kappa_hi: float
    x: FractionVector | None
    pattern: Pattern
    direction: FractionVector | None
    pair: Witness | None
    layers: tuple[tuple[float, float], ...]
    complete: bool
    nodes: int
    seconds: float
    sigma_squared: tuple[Fraction, Fraction | None]
    kappa_squared: tuple[Fraction, Fraction | None]

    def to_json(self) -> dict[str, Any]:
        """The object that `mcinj stability --json` prints; exact vectors are lists of `"p/q"`."""

        def texts(vector: FractionVector | None) -> list[str] | None:
            return None if vector is None else [f"{v.numerator}/{v.denominator}" for v in vector]

        return {
            "sigma_lo": self.sigma_lo,
            "sigma_hi": self.sigma_hi,
            "kappa_lo": self.kappa_lo,
            "kappa_hi": self.kappa_hi,
            "x": texts(self.x),
            "pattern": [list(active) for active in self.pattern],
            "direction": texts(self.direction),
            "pair": None if self.pair is None else self.pair.to_json(),
            "layers": [list(bounds) for bounds in self.layers],
            "complete": self.complete,
            "nodes": self.nodes,
            "seconds": self.seconds,
            "sigma_squared": [None if v is None else str(v) for v in self.sigma_squared],
            "kappa_squared": [None if v is None else str(v) for v in self.kappa_squared],
        }
