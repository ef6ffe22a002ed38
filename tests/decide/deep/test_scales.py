"""Numbers at the ends of the range of floats: every search and every checker against exact oracles."""

from __future__ import annotations

import random
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from naive.planar import collides, loses_rank
from scales import SIZES, network, scaled, small

import mcinj
from mcinj.certify import verify
from mcinj.certify.deep_regions import Regions
from mcinj.certify.deep_rows import PrefixRows
from mcinj.decide.bounded.decide import decide_on
from mcinj.decide.bounded.domain import Domain
from mcinj.decide.deep import bounds as deep_bounds
from mcinj.decide.deep.leaky import as_relu, decide_leaky
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.search import DeepSearch
from mcinj.decide.deep.threshold import deep_threshold
from mcinj.decide.joint.record import _least_squares
from mcinj.decide.pairs.cells import rows_of
from mcinj.decide.verdict import Outcome
from mcinj.networks import Network

SHAPES = [(2, (5, 7)), (2, (4, 9)), (2, (6, 8)), (1, (3, 4)), (1, (4, 3, 4)), (2, (4, 5, 6))]


def pairs(count: int, entry: str, seed: int = 0) -> Iterator[tuple[Network, Network]]:
    """Networks, each with one of ordinary numbers of the same verdicts (with itself where entries are mixed)."""
    rng = random.Random(f"{entry} {seed}")
    while count:
        n, widths = rng.choice(SHAPES)
        plain = small(rng, n, widths, n == 1, entry)
        net = network(*(plain if entry == "mixed" else scaled(rng, *plain, columns=rng.random() < 0.3)))
        same = network(*plain)
        if net is not None and same is not None and net.has_biases == (n == 1):
            yield net, net if entry == "mixed" else same
            count -= 1


@pytest.mark.parametrize("entry", ["integer", "third", "gauss", "mixed"])
@pytest.mark.parametrize("criterion", ["regional", "global"])
def test_verdicts_and_certificates_hold_at_every_scale(criterion: str, entry: str) -> None:
    seen = set()
    for net, same in pairs(12 if (criterion, entry) == ("global", "mixed") else 24, entry):
        fails = loses_rank(same) if criterion == "regional" else collides(same)
        for exact in (False, True):
            verdict = mcinj.check(net, criterion, exact=exact, certificate=True)
            assert verdict.verdict is (Outcome.NOT_INJECTIVE if fails else Outcome.INJECTIVE)
            if verdict.certificate is not None:
                for exactly in (False, True):
                    found = verify(verdict.certificate, net, exactly)
                    assert found.accepted, found.reason
        seen.add(fails)
    assert seen == {False, True}


@pytest.mark.parametrize("entry", ["integer", "third", "gauss", "mixed"])
def test_the_reference_engine_agrees_at_every_scale(entry: str) -> None:
    outcomes = set()
    for net, same in pairs(25, entry, seed=1):
        verdict = mcinj.check(net, "regional", engine="lp")
        assert verdict.verdict is (Outcome.NOT_INJECTIVE if loses_rank(same) else Outcome.INJECTIVE)
        outcomes.add(verdict.verdict)
    assert len(outcomes) == 2


def test_subnormal_columns_of_the_last_layer() -> None:
    # Off the half plane where the first unit is active, all rows are subnormal; few regions have two active units.
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, last = rng.standard_normal((4, 2)), np.zeros((10, 4))
        last[:, 0] = rng.standard_normal(10)
        last[:, 1:] = rng.integers(1, 8, (10, 3)) * rng.choice([-5e-324, 5e-324], (10, 3))
        net = Network([first, last])
        for criterion, fails in (("regional", loses_rank(net)), ("global", collides(net))):
            for exact in (False, True):
                verdict = mcinj.check(net, criterion, exact=exact).verdict
                assert verdict is (Outcome.NOT_INJECTIVE if fails else Outcome.INJECTIVE)


@pytest.mark.parametrize("power", [40, 500])
@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_inputs_in_other_units_cost_what_even_inputs_cost(power: int, bias: float) -> None:
    net = mcinj.sample(3, (20, 24), seed=3)
    biases = [bias * np.random.default_rng(0).standard_normal(m) for m in net.widths] if bias else None
    plain = Network(net.weights, biases)
    other = Network([net.weights[0] * 2.0 ** np.array([-power, 0, power]), net.weights[1]], biases)
    for criterion in ("regional", "global"):
        expected = mcinj.check(plain, criterion, exact=True)
        verdict = mcinj.check(other, criterion, exact=True, node_budget=2 * expected.nodes + 10)
        assert verdict.verdict is expected.verdict
    certificate = mcinj.check(other, "regional", certificate=True).certificate
    if certificate is not None:
        assert verify(certificate, other).accepted


E = Fraction(1, 10**400)


@pytest.mark.parametrize("engine", ["tree", "lp", "milp"])
def test_biases_too_small_for_floats_are_biases(engine: str) -> None:
    net = Network([[[1], [-1]]], [[-E, -E]])
    assert net.has_biases
    assert net.biases is not None
    assert not any(b.any() for b in net.biases)
    # Both units are off between -e and e.
    verdict = mcinj.check(net, engine=engine)
    if engine == "milp":
        assert verdict.verdict is not Outcome.INJECTIVE
        return
    assert verdict.verdict is Outcome.NOT_INJECTIVE
    assert verdict.witness is not None
    assert verdict.witness.collides(net)
    assert mcinj.check(Network([[[1], [-1]]], [[E, E]]), engine=engine).verdict is Outcome.INJECTIVE


def test_a_proof_without_biases_is_none_for_biases_too_small_for_floats() -> None:
    plain = mcinj.check([[[1.0], [-1.0]]], certificate=True).certificate
    assert plain is not None
    assert not verify(plain, Network([[[1], [-1]]], [[-E, -E]])).accepted
    deep = Network([[[1], [-1]], [[1, 0], [0, 1]]], [[-E, -E], [0, 0]])
    for criterion in ("regional", "global"):
        assert mcinj.check(deep, criterion).verdict is Outcome.NOT_INJECTIVE


@pytest.mark.parametrize("shape", ["box", "ball"])
def test_domains_of_every_size(shape: str) -> None:
    outcomes = set()
    rng = random.Random(shape)
    for power in (-1000, -300, -21, 0, 30, 300, 900):
        for _ in range(5):
            plain = small(rng, 1, (4, 4), True, rng.choice(["integer", "gauss"]))
            low, high = sorted(rng.sample(range(-3, 4), 2))
            if shape == "ball":
                low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
            weights, biases = scaled(rng, *plain)
            for row in weights[0]:
                row[0] /= Fraction(2) ** power
            net, same = network(weights, biases), network(*plain)
            if net is None or same is None or not same.has_biases:
                continue
            fails = collides(same, [(high, 1), (0, 1), (low, 1)] if low < 0 < high else [(high, 1), (low, 1)])
            domain = Domain(shape, low * 2.0**power, high * 2.0**power)
            decision = decide_on(net, domain)
            assert decision.outcome is (Outcome.NOT_INJECTIVE if fails else Outcome.INJECTIVE)
            if decision.witness is not None:
                assert decision.witness.collides(net)
                assert domain.holds(decision.witness.x)
                assert domain.holds(decision.witness.x_prime)
            outcomes.add(decision.outcome)
    assert len(outcomes) == 2


@pytest.mark.parametrize("slope", [5e-324, 8e-323, 1e-300, 1e-150, 0.25, 1 - 2**-53])
def test_leaky_units_of_every_slope(slope: float) -> None:
    outcomes = set()
    rng = random.Random(slope)
    for _ in range(16):
        n = rng.choice([1, 2])
        plain = small(rng, n, (rng.randint(1, 3), rng.randint(1, 4)), n == 1, "integer")
        same, net = network(*plain), network(*scaled(rng, *plain))
        if same is None or net is None or same.has_biases != (n == 1):
            continue
        decision = decide_leaky(net, slope)
        assert decision.outcome is (Outcome.NOT_INJECTIVE if collides(as_relu(same, slope)) else Outcome.INJECTIVE)
        outcomes.add(decision.outcome)
    assert len(outcomes) == 2


class Stream:
    """Rows, then their opposites."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def take(self, m: int) -> np.ndarray:
        while len(self.rows) < m:
            self.rows = np.vstack([self.rows, -self.rows])
        return self.rows[:m].copy()


@pytest.mark.parametrize("criterion", ["regional", "global"])
def test_thresholds_are_where_exact_verdicts_turn(criterion: str) -> None:
    fails = loses_rank if criterion == "regional" else collides
    rng = random.Random(criterion)
    brackets = 0
    for _ in range(20):
        first = network(*scaled(rng, *small(rng, 2, (rng.randint(4, 6),), False, "gauss")))
        if first is None:
            continue
        width = first.widths[0]
        rows = Stream(np.array([[rng.gauss(0, 1) for _ in range(width)] for _ in range(20)]))
        rows.rows *= 2.0 ** np.array([[rng.choice([-1000, -300, 0, 0, 300, 900])] for _ in range(20)])
        if rng.random() < 0.5:
            rows.rows *= [float(rng.choice(SIZES[1:6])) for _ in range(width)]
        found = deep_threshold(rows, first, criterion, node_budget=20_000)
        if found.failed_layer:
            assert fails(first)
        elif found.m_hi is not None and found.m_hi < 20:
            for m, expected in ((found.m_hi, False), (found.m_hi - 1, True)):
                assert fails(Network([*first.exact_weights, rows.take(m)])) == expected
            brackets += 1
    assert brackets > 3


def test_errors_of_rows_on_a_pattern_bound_the_distance_from_the_exact_ones() -> None:
    # In the search, on all cells at once, and in the checker; also the signs that floats keep.
    rng = random.Random(5)
    for net, _ in [*pairs(20, "mixed", seed=2), *pairs(20, "third", seed=2)]:
        model = DeepModel.of(net)
        for rows, floats in zip(model.exact, model.floats, strict=True):
            assert all(np.sign(f) == (v > 0) - (v < 0) for a, b in zip(floats, rows) for f, v in zip(a, b))
        pattern = [[rng.random() < 0.6 for _ in range(w)] for w in model.widths[:-1]]
        if model.biased:
            for on in pattern:
                on[-1] = True
        exact = model.rows(pattern)
        search = DeepSearch(model, model.n)
        st = search.st
        for k, on in enumerate(pattern):
            st.SIGN[k, : len(on)] = np.where(on, 1, -1)
            deep_bounds.block(st, k + 1)
            for j, row in enumerate(exact[k + 1]):
                error = Fraction(float(st.ERR[k + 1, j]))
                assert all(abs(Fraction(float(f)) - v) <= error for f, v in zip(st.ROWS[k + 1, j], row))
                assert any(row) or not st.ROWS[k + 1, j].any()
                assert error > 0 or list(st.ROWS[k + 1, j]) == list(row)
        levels, errors, _ = rows_of(model, [np.array([on]) for on in pattern])
        for k, layer in enumerate(exact):
            for f, e, row in zip(levels[k][0], errors[k][0], layer, strict=True):
                assert all(abs(Fraction(float(a)) - v) <= Fraction(float(e)) for a, v in zip(f, row))
        checker = PrefixRows(net, net.depth)
        signs = np.array([[1 if on else -1 for layer in pattern for on in layer] + [1] * net.widths[-1]])
        regions = Regions(checker, signs.astype(np.int8))
        floats, own = regions.floats(0)
        true = [list(row) for layer in regions.exact(0) for row in layer.tolist()]
        for f, e, row in zip(floats, own, true, strict=True):
            for a, v in zip(f, row, strict=True):
                assert abs(Fraction(float(a)) - Fraction(int(v.p), int(v.q))) <= Fraction(float(e))


@pytest.mark.parametrize("criterion", ["layerwise", "regional", "global"])
def test_a_first_layer_of_zeros_loses_everything(criterion: str) -> None:
    for biases in (None, [np.zeros(3), np.zeros(4)], [np.ones(3), np.ones(4)]):
        net = Network([np.zeros((3, 2)), np.ones((4, 3))], biases)
        verdict = mcinj.check(net, criterion)
        assert verdict.verdict is Outcome.NOT_INJECTIVE
        assert verdict.witness is not None
        assert verdict.witness.collides(net.layer(1) if criterion == "layerwise" else net)


def test_a_drawn_layer_of_zeros_is_named() -> None:
    found = mcinj.threshold(1, widths_before=(6,), ensemble="sparse:0.4", seed=688)
    assert (found.m_hi, found.failed_layer) == (None, 1)


def test_least_squares_without_columns() -> None:
    y, rest = _least_squares(np.zeros((3, 0)), np.ones(3))
    assert (y.shape, rest.tolist()) == ((0,), [1.0, 1.0, 1.0])
