"""Pairs of boxes: proved lower bounds against sampled pairs, exact decisions and closed forms."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcinj
from mcinj.decide.bounded.box_forms import Boxes, Weights, forms
from mcinj.decide.bounded.box_pairs import by_secants, by_separation
from mcinj.decide.bounded.box_proof import BoxProof
from mcinj.decide.bounded.boxes import BoxPairs
from mcinj.decide.bounded.domain import Domain
from mcinj.decide.pairs.collision import _any_weights
from mcinj.decide.watch import TimeUp, Watch
from mcinj.quantify.pairs import ratio_squared


def network_of(n: int, widths: tuple[int, ...], seed: int, biases: bool = True, whole: bool = False) -> mcinj.Network:
    rng = np.random.default_rng(seed)

    def numbers(*shape: int) -> np.ndarray:
        return rng.integers(-2, 3, shape).astype(float) if whole else rng.standard_normal(shape)

    weights = [numbers(m, b) for m, b in zip(widths, (n, *widths[:-1]), strict=True)]
    return mcinj.Network(weights, [0.3 * numbers(m) for m in widths] if biases else None)


def some_boxes(rng: np.random.Generator, count: int, n: int, size: float) -> Boxes:
    radius = size * rng.uniform(0, 1, (count, n)) * (rng.random((count, n)) < 0.9)
    return Boxes(rng.uniform(-1, 1, (count, n)), radius, rng.uniform(0.1, 1, count), 0.1 * rng.random(count))


def homogeneous(network: mcinj.Network, u: tuple[Fraction, ...], t: Fraction) -> list[list[Fraction]]:
    """Pre-activations of all layers at u, biases times t, exactly."""
    h, levels = list(u), []
    biases = network.exact_biases or tuple((Fraction(0),) * m for m in network.widths)
    for w, b in zip(network.exact_weights, biases, strict=True):
        z = [sum((a * v for a, v in zip(row, h, strict=True)), t * c) for row, c in zip(w, b, strict=True)]
        levels.append(z)
        h = [max(v, Fraction(0)) for v in z]
    return levels


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("n", "widths"), [(1, (3,)), (2, (6, 8, 10)), (3, (7, 5))])
def test_forms_hold_what_the_network_does(n: int, widths: tuple[int, ...], whole: bool) -> None:
    rng = np.random.default_rng(n)
    network = network_of(n, widths, 3, whole=whole)
    layers = Weights.of(network)
    assert layers is not None
    boxes = some_boxes(rng, 20, n, 0.5)
    found = forms(layers, boxes)
    for k in range(len(boxes)):
        for _ in range(4):
            d = rng.uniform(-1, 1, n) * boxes.radius[k]
            u = tuple(Fraction(float(c)) + Fraction(float(v)) for c, v in zip(boxes.center[k], d, strict=True))
            dt = Fraction(float(rng.uniform(-1, 1) * boxes.spread[k]))
            levels = homogeneous(network, u, Fraction(float(boxes.t[k])) + dt)
            for z, low, high in zip(levels, found.low, found.high, strict=True):
                assert all(Fraction(a) <= v <= Fraction(b) for v, a, b in zip(z, low[k], high[k], strict=True))
            step = [*(Fraction(float(v)) for v in d), dt]
            for i, v in enumerate(levels[-1] if not layers[-1].linear.any() else []):
                form = sum((Fraction(j) * s for j, s in zip(found.J[k, i], step, strict=True)), Fraction(found.c[k, i]))
                assert abs(max(v, Fraction(0)) - form) <= Fraction(found.e[k, i])


@pytest.mark.parametrize("size", [0.01, 0.1, 0.4])
@pytest.mark.parametrize(("n", "widths"), [(1, (3, 4)), (2, (6, 8, 10)), (2, (5,)), (3, (9, 8))])
def test_bounds_of_pairs_lie_below_exact_ratios(n: int, widths: tuple[int, ...], size: float) -> None:
    rng = np.random.default_rng(n)
    closed = 0
    for seed in range(4):
        network = network_of(n, widths, seed)
        layers = Weights.of(network)
        assert layers is not None
        A = some_boxes(rng, 60, n, size)
        B = some_boxes(rng, 60, n, size)
        near = A.center + 2 * size * rng.uniform(-1, 1, A.center.shape)
        B = Boxes(np.where(rng.random((60, 1)) < 0.7, near, B.center), B.radius, A.t, A.spread)
        a, b = forms(layers, A), forms(layers, B)
        for bounds in (by_separation(layers, A, B, a, b), by_secants(layers, a, b)):
            closed += int((bounds > 0).sum())
            for k in np.flatnonzero(bounds > 0)[:15]:
                for _ in range(3):
                    t = Fraction(float(A.t[k])) + Fraction(float(A.spread[k])) * int(rng.integers(-1, 2))
                    ends = []
                    for box in (A, B):
                        corner = rng.integers(-1, 2, n) if rng.random() < 0.5 else rng.uniform(-1, 1, n)
                        ends.append(
                            tuple(
                                Fraction(float(c)) + Fraction(float(r)) * Fraction(float(s))
                                for c, r, s in zip(box.center[k], box.radius[k], corner, strict=True)
                            )
                        )
                    if ends[0] == ends[1]:
                        continue
                    one, two = ([max(v, Fraction(0)) for v in homogeneous(network, x, t)[-1]] for x in ends)
                    image = sum(((p - q) ** 2 for p, q in zip(one, two, strict=True)), Fraction(0))
                    distance = sum(((p - q) ** 2 for p, q in zip(*ends, strict=True)), Fraction(0))
                    assert image >= Fraction(float(bounds[k])) ** 2 * distance
    assert closed > 0


@pytest.mark.parametrize(
    ("widths", "domain"),
    [
        ((6, 8, 10), "box:-1,1"), ((8, 8), "box:0.25,0.5"), ((13, 16), "box:-1,1"), ((9,), "box:-1,1"),
        ((8, 8), None), ((13, 16), None), ((9,), None),
    ],
)  # fmt: skip
def test_closed_pairs_agree_with_exact_decisions(widths: tuple[int, ...], domain: str | None) -> None:
    place = None if domain is None else Domain.parse(domain)
    limits: tuple[float | None, float | None] = (None, None) if place is None else (place.low, place.high)
    for seed in range(3):
        network = network_of(2, widths, seed)
        exact = mcinj.check(network, domain=domain)
        assert exact.verdict is not mcinj.Outcome.UNKNOWN
        found = BoxPairs(network, *limits).run(0.0, 4_000)
        if exact.verdict is mcinj.Outcome.NOT_INJECTIVE:
            assert not found.closed
        if found.closed:
            assert exact.verdict is mcinj.Outcome.INJECTIVE
            assert found.share == 1.0
            high = mcinj.stability(network, domain=domain).kappa_hi
            assert 0 < found.kappa <= high
        else:
            assert found.share <= 1.0


@pytest.mark.parametrize("biases", [False, True])
def test_injective_networks_are_closed(biases: bool) -> None:
    closed = 0
    for seed in range(4):
        network = network_of(2, (20, 24), seed, biases=biases)
        if mcinj.check(network).verdict is mcinj.Outcome.INJECTIVE:
            closed += BoxPairs(network).run(0.0, 60_000).closed
    assert closed >= 2


def test_the_identity_is_bounded_closely() -> None:
    network = mcinj.Network([[[1, 0], [0, 1], [-1, 0], [0, -1]]])
    pairs = BoxPairs(network, keep=True)
    assert pairs.run(0.0, 10_000).closed
    first = pairs.run(0.0, 10_000).kappa
    better = pairs.run(0.6, 40_000)  # the exact constant is 1 / sqrt 2
    assert better.closed
    assert first <= better.kappa <= 0.5**0.5
    assert better.kappa > 0.6


@pytest.mark.parametrize(
    "rows",
    [
        [[1, 0], [0, 1]],
        [[1, 0], [1, 0], [-1, 0], [-1, 0]],
        [[0, 0], [0, 0]],
        [[1, 0], [0, 1], [-1, -1]],
        [[1e-200, 0], [0, 1e-200], [-1e-200, 0], [0, -1e-200]],
        [[1e300, 0], [0, 1e300], [-1e300, 0], [0, -1e300]],
    ],
)
def test_degenerate_networks_are_never_closed(rows: list[list[float]]) -> None:
    assert not BoxPairs(mcinj.Network([rows])).run(0.0, 2_000).closed


def test_slopes_of_a_size_that_squares_leave_are_left_alone() -> None:
    # On a tiny box the outputs have a size near 1, the slopes one of 1e158.
    rng = np.random.default_rng(0)
    both = np.vstack([np.eye(3), -np.eye(3)])
    weights = [1e59 * both, 1e58 * rng.standard_normal((8, 6)), 1e41 * rng.standard_normal((12, 8))]
    network = mcinj.Network(weights, [np.full(6, 1e-41), np.ones(8), np.ones(12)])
    assert not BoxPairs(network, -1e-103, 1e-103).run(0.0, 500).closed


def test_a_witness_that_is_found_for_the_certificate_counts_more_than_a_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    even = mcinj.Network([[[1], [-1]], [[1, 1], [2, 2]]])
    monkeypatch.setattr(BoxProof, "closes", lambda proof, limit: (True, 1))
    decision = _any_weights(even, 0, 10**6, (), True, BoxProof(even))
    assert decision.outcome is mcinj.Outcome.NOT_INJECTIVE
    assert decision.witness is not None
    assert decision.witness.collides(even)


def test_rows_that_a_unit_makes_opposite_are_not_merged() -> None:
    # Both first units are off in a thin cone; times the unit 2^-60 their second entries underflow to 0.
    rows = [[1.0, 5e-324], [-1.0, -1e-323], [0.0, 1.0], [0.0, -1.0]]
    network = mcinj.Network([rows], [[0.0, 0.0, 2.0**-62, -(2.0**-62)]])
    assert mcinj.check(network).verdict is mcinj.Outcome.NOT_INJECTIVE
    assert not BoxPairs(network).run(0.0, 500).closed


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 2), st.sampled_from([(2,), (4,), (5, 4), (4, 6, 3)]), st.booleans())
def test_no_network_of_small_integers_is_closed_wrongly(
    seed: int, n: int, widths: tuple[int, ...], biases: bool
) -> None:
    network = network_of(n, widths, seed, biases=biases, whole=True)
    if BoxPairs(network).run(0.0, 1_500).closed:
        assert mcinj.check(network).verdict is mcinj.Outcome.INJECTIVE
    if BoxPairs(network, -1.0, 1.0).run(0.0, 1_500).closed:
        assert mcinj.check(network, domain="box:-1,1").verdict is mcinj.Outcome.INJECTIVE


def test_a_decoder_is_decided_with_its_constant() -> None:
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((m, b)) * np.sqrt(2 / b) for m, b in ((40, 2), (60, 40), (120, 60))]
    network = mcinj.Network(weights, [0.1 * rng.standard_normal(m) for m in (40, 60, 120)])
    facts: list[str] = []
    for criterion in ("global", "regional"):
        verdict = mcinj.check(
            network, criterion, domain="box:-1,1", progress=lambda watch: facts.extend(watch.proved), time_limit=60
        )
        assert verdict.verdict is mcinj.Outcome.INJECTIVE
        assert verdict.certified == "exact"
    # The bound that the proof gives holds for pairs of inputs, exactly.
    kappa = BoxPairs(network, -1.0, 1.0, outputs=60).run(0.0, 100_000).kappa
    assert kappa > 0
    for _ in range(20):
        x, d = rng.uniform(-0.9, 0.9, 2), 0.05 * rng.standard_normal(2)
        one, two = (tuple(Fraction(float(v)) for v in p) for p in (x, x + d))
        assert ratio_squared(network, one, two) >= Fraction(kappa) ** 2


def test_a_budget_ends_the_pairs_and_a_proof_is_tried_once() -> None:
    network = network_of(2, (40, 60, 120), 1)
    proof = BoxProof(network, Domain.parse("box:-1,1"))
    closed, used = proof.closes(500)
    assert not closed
    assert 500 <= used <= 700
    assert proof.closes(10**6) == (False, 0)
    assert BoxProof(network_of(8, (40, 150), 1)).closes(10**6) == (False, 0)  # too many inputs


def test_unknown_says_what_share_of_pairs_is_settled() -> None:
    rng = np.random.default_rng(0)
    weights = [rng.standard_normal((m, b)) * np.sqrt(2 / b) for m, b in ((16, 2), (64, 16), (128, 64), (300, 128))]
    network = mcinj.Network(weights, [0.1 * rng.standard_normal(len(w)) for w in weights])

    def enough(watch: Watch) -> None:
        # As the clock does.
        if watch.share is not None and watch.nodes > 5_000:
            raise TimeUp

    verdict = mcinj.check(network, domain="box:-1,1", progress=enough)
    assert verdict.verdict is mcinj.Outcome.UNKNOWN
    assert verdict.known is not None
    assert verdict.known.stage == "pairs of boxes of inputs"
    assert verdict.known.share is not None
    assert 0 < verdict.known.share < 1
    assert verdict.to_json()["known"]["share"] == verdict.known.share


@pytest.mark.parametrize(("radius", "injective"), [(1.25, True), (1.45, False)])
def test_on_a_ball_pairs_outside_of_it_do_not_count(radius: float, injective: bool) -> None:
    """One unit of three turns off where x + y <= -1.8, at distance 1.27 from 0: outside the ball, inside its box."""
    rows, biases = [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]], [1.8, 9.0, 9.0]
    network = mcinj.Network([rows, np.eye(3).tolist()], [biases, [0.0, 0.0, 0.0]])
    assert not BoxPairs(network, -radius, radius).run(0.0, 3_000).closed
    found = BoxPairs(network, -radius, radius, radius=radius).run(0.0, 3_000)
    assert found.closed is injective
    assert str(mcinj.check(network, domain=f"ball:{radius}").verdict) == ("injective" if injective else "not_injective")
    stable = mcinj.stability(network, domain=f"ball:{radius}")
    assert (stable.kappa_lo > 0) is injective
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3000, 2))
    x *= radius * rng.uniform(0.8, 1, (2, 3000, 1)) / np.linalg.norm(x, axis=2, keepdims=True)
    one, two = (np.array([network.forward(p) for p in side]) for side in x)
    ratios = np.linalg.norm(one - two, axis=1) / np.linalg.norm(x[0] - x[1], axis=1)
    assert max(found.kappa, stable.kappa_lo) <= ratios.min() * (1 + 1e-9)
