"""Exact decisions whose leaves may have few choices: small layers, which one leaf would close, have real trees then."""

from __future__ import annotations

import numpy as np
from naive.arrangement import minimal_active_rank

from mcinj.certify import verify
from mcinj.certify.format import write
from mcinj.decide.layer.frames import Frames
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.record import layer_proof
from mcinj.decide.layer.search import End, explore
from mcinj.networks import Network

_BUDGET = 100_000


def layers(count: int, seed: int) -> list[np.ndarray]:
    """Integer rows of rank n: plain, with multiples, opposites, rows of low rank, zeros, or tied columns."""
    rng = np.random.default_rng(seed)
    found: list[np.ndarray] = []
    while len(found) < count:
        n = 4 if len(found) % 7 == 0 else int(rng.integers(2, 4))  # the oracle is slow in four dimensions
        m, high, kind = int(rng.integers(n + 2, 12 if n < 4 else 10)), int(rng.integers(1, 4)), len(found) % 6
        rows = rng.integers(-high, high + 1, (m, n))
        half = m // 2
        if kind == 1:
            rows[half : 2 * half] = rows[:half] * int(rng.integers(1, 4))
        elif kind == 2:
            rows[half : 2 * half] = -rows[:half] * int(rng.integers(1, 3))
        elif kind == 3:
            rows[half:] = rng.integers(-1, 2, (m - half, n - 1)) @ rng.integers(-1, 2, (n - 1, n))
        elif kind == 4:
            rows[rng.random(rows.shape) < 0.4] = 0
        elif kind == 5:
            rows[:, -1] = rows[:, 0] * int(rng.integers(-1, 2)) + rows[:, -1] * int(rng.integers(0, 2))
        if np.linalg.matrix_rank(rows) == n:
            found.append(rows)
    return found


def test_verdicts_do_not_depend_on_how_many_choices_a_leaf_may_have() -> None:
    passes = 0
    nodes = {1: 0, 4: 0, 1 << 17: 0}
    for rows in layers(150, 5):
        n = rows.shape[1]
        injective = minimal_active_rank(rows.tolist(), n) == n
        network = Network([rows.astype(float)])
        passes += injective
        for products in nodes:
            frames = Frames(Layer.of(network), ranked=True, keep=True, products=products)
            found = explore(frames, lambda: _BUDGET)
            assert found.end is (End.CLOSED if injective else End.FAILED), rows.tolist()
            if injective:
                nodes[products] += frames.nodes
                proof = write(network, [layer_proof(frames, None)])
                assert verify(proof, network, exact=True).accepted, rows.tolist()
            else:
                assert found.witness is not None
                assert found.witness.collides(network)
    assert passes > 30
    few, some, all_of_them = nodes.values()
    assert few > 1.1 * all_of_them  # else the numbers of choices made no difference
    assert some >= all_of_them
