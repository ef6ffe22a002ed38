"""A campaign on leaky ReLUs: networks whose layers have dependent columns, against all regions and pairs of them."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from naive.verdicts import first_collision, layers_over_integers, regions
from structured.comparison import compile_all, limit

from mcinj import Network
from reliability.domains import JUDGE, UNJUDGED, Rng, judged, worst
from reliability.verdicts import Outcome


def verdicts(first: int) -> Iterator[Outcome]:
    """Leaky ReLUs on the whole space; layers that have no full column rank, so that a search decides."""
    compile_all()
    for k in range(first, 1 << 40):
        network, slope = leaking(np.random.default_rng([18, k]))
        name = f"number {k}, slope {slope!r}"
        try:
            with limit(JUDGE):
                expected = injective_leaky(network, Fraction(slope))
        except TimeoutError:
            yield Outcome("agreed", also=UNJUDGED)
            continue
        found = judged(network, "global", expected, None, {"slope": slope}, Fraction(slope))
        yield worst([found], name)


def leaking(rng: Rng) -> tuple[Network, float]:
    """One to four layers that narrow somewhere, and a slope."""
    n = int(rng.integers(1, 3))
    sizes = [n]
    for _ in range(int(rng.choice([1, 2, 3, 4], p=[0.05, 0.55, 0.3, 0.1]))):
        sizes.append(int(rng.integers(n, 5 if n == 2 else 6)) if rng.random() < 0.97 else n)
    whole = rng.random() < 0.6
    most = int(rng.integers(1, 4))
    weights, biases = [], []
    for k, (m, size) in enumerate(zip(sizes[1:], sizes)):
        w = rng.integers(-most, most + 1, (m, size)) if whole else rng.standard_normal((m, size))
        if k and rng.random() < 0.6:  # mostly of one sign, so that folds are rare
            w = np.abs(w) * np.where(rng.random(w.shape) < 0.2, -1, 1)
        if k and m > 1 and rng.random() < 0.2:
            w[-1] = w[0] + w[1 % m]
        weights.append(w.astype(float))
        biases.append((rng.integers(-2, 3, m) if whole else rng.standard_normal(m)).astype(float))
    slope = float(rng.choice([0.5, 0.25, 0.1, 0.01, 0.9, 1 / 3, 2.0**-40, 1 - 2.0**-53, 1 - 1e-9, 1e-12]))
    if rng.random() < 0.15:
        units = [2.0 ** rng.integers(-30, 31, m) for m in sizes[1:]]
        weights = [w * u[:, None] for w, u in zip(weights, units)]
        biases = [b * u for b, u in zip(biases, units)]
    return Network(weights, biases if rng.random() < 0.5 else None), slope


def injective_leaky(network: Network, slope: Fraction) -> bool:
    """By all regions of the whole space and all pairs of them."""
    biased = network.has_biases
    layers = layers_over_integers(network.exact_weights, network.exact_biases if biased else None)
    cells = regions(layers, biased, slope=slope)
    return cells is not None and first_collision(cells, biased) is None
