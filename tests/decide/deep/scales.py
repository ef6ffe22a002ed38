"""Small networks whose numbers lie at the ends of the range of floats, or beyond it, or at both ends at once."""

from __future__ import annotations

import random
from fractions import Fraction

from mcinj.networks import Network

Layers = list[list[list[Fraction]]]

# 5e-324 is the least float, 1e-308 is subnormal.
SIZES = [Fraction(v) for v in (5e-324, 1e-308, 1e-150, 1.0, 1.0, 1.0, 1e150, 1e300)]
POWERS = [-1074, -1020, -500, -120, -30, 0, 0, 0, 30, 120, 500, 900]


def small(rng: random.Random, n: int, widths: tuple[int, ...], biased: bool, entry: str) -> tuple[Layers, Layers]:
    """Weights, and biases as one more matrix per layer (of one column); half of the rows have an opposite one."""

    def draw() -> Fraction:
        if entry == "integer":
            return Fraction(rng.choice([-2, -1, -1, 0, 1, 1, 2]))
        if entry == "third":
            return Fraction(rng.randint(-5, 5), rng.choice([1, 3, 7]))
        if entry == "mixed":
            return rng.choice([-1, 1]) * rng.choice(SIZES) * rng.choice([1, 1, 2, 3])
        return Fraction(rng.gauss(0.0, 1.0))

    weights, biases = [], []
    for m, before in zip(widths, (n, *widths), strict=False):
        w = [[draw() for _ in range(before)] for _ in range(m)]
        b = [[draw() if biased and rng.random() < 0.7 else Fraction(0)] for _ in range(m)]
        for i in range(m // 2 if rng.random() < 0.6 else 0):
            w[m // 2 + i] = [-v for v in w[i]]
            b[m // 2 + i] = [-v for v in b[i]]
        weights.append(w)
        biases.append(b)
    return weights, biases


def scaled(rng: random.Random, weights: Layers, biases: Layers, columns: bool = False) -> tuple[Layers, Layers]:
    """Rows times powers of two, undone in the next layer's columns (and inputs in other units): no verdict changes."""
    w = [[list(row) for row in layer] for layer in weights]
    b = [[list(row) for row in layer] for layer in biases]
    for k, layer in enumerate(w):
        for i, row in enumerate(layer):
            factor = Fraction(2) ** rng.choice(POWERS)
            layer[i] = [v * factor for v in row]
            b[k][i][0] *= factor
            for following in w[k + 1] if k + 1 < len(w) else []:
                following[i] /= factor
    for j in range(len(w[0][0]) if columns else 0):
        factor = Fraction(2) ** rng.choice(POWERS)
        for row in w[0]:
            row[j] *= factor
    return w, b


def network(weights: Layers, biases: Layers) -> Network | None:
    """The network; None if float64 has no room for one of its numbers."""
    if any(abs(v) >= Fraction(2) ** 1023 for layer in (*weights, *biases) for row in layer for v in row):
        return None
    given = any(v for layer in biases for row in layer for v in row)
    return Network(weights, [[row[0] for row in layer] for layer in biases] if given else None)
