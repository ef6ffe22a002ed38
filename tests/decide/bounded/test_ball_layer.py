"""One layer on a ball, against least-norm points of all cells, margins, and contacts by hand."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize

import mcinj
from mcinj import Network, Outcome
from mcinj.decide.bounded.ball_layer import decide_layer_on_ball, ranks_on_ball
from mcinj.decide.bounded.domain import Domain
from mcinj.quantify.margin import margin


def _nearest_failure(w: np.ndarray, b: np.ndarray) -> float:
    """Least |x| over the closures of all open cells without full rank, by a solver on every sign pattern."""
    n, best = w.shape[1], np.inf
    for signs in product((-1.0, 1.0), repeat=len(w)):
        s = np.array(signs)
        if (s > 0).any() and np.linalg.matrix_rank(w[s > 0]) == n:
            continue
        inside = minimize(  # largest room, so that the cell is open
            lambda z: -z[-1], np.zeros(n + 1), method="SLSQP",
            constraints={"type": "ineq", "fun": lambda z, s=s: np.append(s * (w @ z[:-1] + b) - z[-1], 1.0 - z[-1])},
        )  # fmt: skip
        if not (inside.success and inside.x[-1] > 1e-6):
            continue
        near = minimize(
            lambda x: float(x @ x), inside.x[:-1], jac=lambda x: 2 * x, method="SLSQP",
            constraints={"type": "ineq", "fun": lambda x, s=s: s * (w @ x + b), "jac": lambda x, s=s: s[:, None] * w},
        )  # fmt: skip
        if near.success:
            best = min(best, float(np.sqrt(near.fun)))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_the_nearest_cell_without_full_rank_decides(seed: int) -> None:
    rng = np.random.default_rng(seed)
    w, b = rng.standard_normal((6, 2)), 0.5 * rng.standard_normal(6) + 0.3
    reach = _nearest_failure(w, b)
    net = Network([w], [b])
    if np.isinf(reach):
        assert mcinj.check(net, domain="ball:100").verdict is Outcome.INJECTIVE
        return
    if reach > 1e-3:
        inside = mcinj.check(net, domain=f"ball:{reach * 0.999}")
        assert (inside.verdict, str(inside.certified)) == (Outcome.INJECTIVE, "exact")
    radius = reach * 1.001 + 1e-3
    outside = mcinj.check(net, domain=f"ball:{radius}")
    assert (outside.verdict, outside.layer) == (Outcome.NOT_INJECTIVE, 1)
    assert outside.witness is not None
    assert outside.witness.collides(net)
    for x in (outside.witness.x, outside.witness.x_prime):
        assert sum(v * v for v in x) < Fraction(radius) ** 2


@pytest.mark.parametrize("n", [3, 4, 9])
def test_the_sign_of_the_margin_is_the_verdict(n: int) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        net = Network([rng.standard_normal((5 * n, n))], [0.4 * rng.standard_normal(5 * n)])
        for radius in (0.25, 1.0, 4.0):
            known = margin(net, domain=f"ball:{radius}", tolerance=1e-3, node_budget=20_000).injective
            verdict = mcinj.check(net, domain=f"ball:{radius}", node_budget=20_000).verdict
            if known is not None and verdict is not Outcome.UNKNOWN:
                assert (verdict is Outcome.INJECTIVE) == known


def test_contacts_with_the_sphere_are_decided() -> None:
    # Units x, y, -x - y + c: rank is lost where two of them are 0 or less; nearest at (0, 0) … for biases (5, 5, 5):
    # x <= -5 and y <= -5 at distance 5 sqrt(2); 3-4-5: the corner (-3, -4) lies at distance 5 exactly.
    net = Network([[[1, 0], [0, 1], [-1, -1]]], [[3, 4, 100]])
    assert mcinj.check(net, domain="ball:5").verdict is Outcome.INJECTIVE
    assert mcinj.check(net, domain="ball:5.000000000000001").verdict is Outcome.NOT_INJECTIVE
    # A face touches: x <= -5 loses rank 2 where only (0, 1) and its opposite are left.
    flat = Network([[[1, 0], [0, 1], [0, -1]]], [[5, 0, 0]])
    assert mcinj.check(flat, domain="ball:5").verdict is Outcome.INJECTIVE
    assert mcinj.check(flat, domain="ball:5.000000000000001").verdict is Outcome.NOT_INJECTIVE
    # Irrational corners touch from outside too: least squared norm 2.
    corner = Network([[[1, 0], [0, 1], [1, 1]]], [[1, 1, 2]])
    assert mcinj.check(corner, domain="ball:1.4142135623730951").verdict is Outcome.NOT_INJECTIVE
    assert mcinj.check(corner, domain="ball:1.414213562373095").verdict is Outcome.INJECTIVE


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_scales_do_not_matter(scale: float) -> None:
    net = Network([[[1, 0], [0, 1], [-1, -1]]], [[3 * scale, 4 * scale, 100 * scale]])
    assert mcinj.check(net, domain=f"ball:{4 * scale}").verdict is Outcome.INJECTIVE
    found = mcinj.check(net, domain=f"ball:{6 * scale}")
    assert found.verdict is Outcome.NOT_INJECTIVE
    assert found.witness is not None
    assert found.witness.collides(net)


def test_degenerate_layers() -> None:
    for rows, biases, verdict in (
        ([[0.0, 0.0]], [1.0], Outcome.NOT_INJECTIVE),
        ([[1.0, 0.0], [1.0, 0.0]], [2.0, 3.0], Outcome.NOT_INJECTIVE),
        ([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [2.0, 2.0, -1.0], Outcome.INJECTIVE),
        ([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0], [1.0, 0.0]], [9.0] * 4, Outcome.INJECTIVE),
    ):
        assert mcinj.check(Network([rows], [biases]), domain="ball:1").verdict is verdict
    assert mcinj.check(Network([[[1.0]]], [[1.0]]), domain="ball:1").verdict is Outcome.INJECTIVE
    assert mcinj.check(Network([[[1.0]]], [[1.0]]), domain="ball:1.5").verdict is Outcome.NOT_INJECTIVE


def test_budgets_and_premises() -> None:
    rng = np.random.default_rng(1)
    net = Network([rng.standard_normal((50, 8))], [0.5 * rng.standard_normal(50)])
    box = Domain.parse("ball:2").fence(8)
    assert decide_layer_on_ball(net, Fraction(2), box, 5).outcome is Outcome.UNKNOWN
    whole = ranks_on_ball(net, Fraction(2), box, 10**6)
    counted = mcinj.check(net, domain="ball:2", assume_generic=True)
    assert whole.outcome is counted.verdict
    assert str(counted.certified) in ("generic", "exact")
