"""One layer at the ends of the range of floats: engines, thresholds and the checker against all cells in integers."""

from __future__ import annotations

import random
import time
from fractions import Fraction
from math import gcd, lcm

import numpy as np
import pytest
from naive.arrangement import minimal_active_rank, rank

import mcinj
from mcinj.certify import verify
from mcinj.certify.circuits import Rows, _bounded
from mcinj.decide.deep.model import DeepModel
from mcinj.decide.deep.scaling import in_units_of, integer_digits, is_wide, with_even_columns
from mcinj.decide.layer.model import Layer
from mcinj.decide.layer.threshold import one_layer_threshold
from mcinj.decide.verdict import Outcome
from mcinj.networks import Network

SIZES = [Fraction(v) for v in (5e-324, 1e-308, 1e-150, 1.0, 1.0, 1.0, 1e150, 1e300)]
POWERS = [-1074, -1020, -500, -120, -30, 0, 0, 0, 30, 120, 500, 900]


def injective(rows, n, biased):
    """The exact verdict for rows (m, n) or, with biases, (m, n + 1)."""
    whole = [[int(v * lcm(*(u.denominator for u in row))) for v in row] for row in rows]
    half = [0] * n + [-1] if biased else None
    if rank([row[:n] for row in whole]) < n:
        return False
    return minimal_active_rank(whole, n, half) >= n


def layers(count, kind):
    """(rows with biases as a last column, inputs, whether there are biases, rows of the same verdict)."""
    rng = random.Random(kind)
    for _ in range(count):
        n, biased = rng.choice([(1, False), (1, True), (2, False), (2, False), (2, True), (3, False)])
        m, g = rng.randint(2 * n, 3 * n + 3), n + int(biased)
        if kind == "mixed":
            rows = [[rng.choice([-1, 1, 2]) * rng.choice(SIZES) for _ in range(g)] for _ in range(m)]
        else:
            rows = [[Fraction(rng.choice([-2, -1, 0, 1, 2])) for _ in range(g)] for _ in range(m)]
        for i in range(m // 2 if rng.random() < 0.6 else 0):
            rows[m // 2 + i] = [-v for v in rows[i]]
        if biased and not any(row[n] for row in rows):
            continue
        scaled = [list(row) for row in rows]
        if kind in ("rows", "both"):
            scaled = [[v * 2 ** Fraction(p) for v in row] for row in rows for p in [rng.choice(POWERS)]]
        if kind in ("columns", "both"):
            c = [Fraction(2) ** (0 if j == n else rng.choice(POWERS) // 2) for j in range(g)]
            scaled = [[v * f for v, f in zip(row, c, strict=True)] for row in scaled]
        if all(abs(v) < Fraction(2) ** 1023 for row in scaled for v in row):
            yield scaled, n, biased, rows


def network(rows, n, biased):
    return Network([[row[:n] for row in rows]], [[row[n] for row in rows]] if biased else None)


@pytest.mark.parametrize("kind", ["rows", "columns", "both", "mixed"])
def test_layers_at_every_scale_agree_with_all_cells(kind):
    seen = set()
    for rows, n, biased, same in layers(40, kind):
        net, expected = network(rows, n, biased), injective(same, n, biased)
        for exact in (False, True):
            verdict = mcinj.check(net, exact=exact, certificate=True)
            assert verdict.verdict is (Outcome.INJECTIVE if expected else Outcome.NOT_INJECTIVE)
            if expected:
                assert all(verify(verdict.certificate, net, exactly).accepted for exactly in (False, True))
            else:
                assert verdict.witness.collides(net)
        seen.add(expected)
    assert seen == {False, True}


@pytest.mark.parametrize("kind", ["rows", "columns", "both", "mixed"])
@pytest.mark.parametrize("engine", ["lp", "milp"])
def test_the_oracles_say_unknown_rather_than_pass_thin_cells(engine, kind):
    outcomes = set()
    for rows, n, biased, same in layers(30, kind):
        verdict = mcinj.check(network(rows, n, biased), engine=engine).verdict
        expected = Outcome.INJECTIVE if injective(same, n, biased) else Outcome.NOT_INJECTIVE
        assert verdict is expected or (engine == "milp" and verdict is Outcome.UNKNOWN)
        outcomes.add(verdict)
    assert outcomes >= {Outcome.INJECTIVE, Outcome.NOT_INJECTIVE} or (engine, kind) == ("milp", "mixed")


class Stream:
    def __init__(self, rows):
        self.rows = rows

    def take(self, m):
        while len(self.rows) < m:
            self.rows = np.vstack([self.rows, -self.rows])
        return self.rows[:m].copy()


def test_thresholds_at_every_scale_agree_with_all_cells():
    rng = random.Random(1)
    proved = 0
    for _ in range(25):
        n = rng.choice([1, 2, 2, 3])
        rows = np.array([[rng.gauss(0, 1) for _ in range(n)] for _ in range(40)])
        if rng.random() < 0.5:
            rows *= np.array([float(rng.choice(SIZES)) for _ in range(n)])
        rows *= 2.0 ** np.array([[rng.choice([-60, 0, 0, 10])] for _ in range(40)])
        stream = Stream(rows)
        found = one_layer_threshold(stream, n, node_budget=20_000)
        if found.m_hi is None or found.m_hi > 12:
            continue
        for m, expected in ((found.m_hi, True), (found.m_hi - 1, False)):
            assert injective([[Fraction(v) for v in row] for row in stream.take(m).tolist()], n, False) == expected
        proved += 1
    assert proved > 8


@pytest.mark.parametrize("n", [2, 3])
def test_circuits_that_the_checker_proves_in_floats_are_circuits(n):
    # Coefficients far from 1 let absolute errors of entries grow.
    rng = np.random.default_rng(n)
    proved = 0
    for _ in range(2_000):
        sizes = rng.choice([0.0, 5e-324, 1e-308, 1e-300, 1e-160, 1e-20, 1.0], (n + 1, n))
        rows = rng.choice([-1.0, 1.0], (n + 1, n)) * sizes
        checker = Rows(Network([rows]))
        codes = np.array([[2 * i + 2 for i in range(n + 1)]])
        if checker.are_circuits(codes)[0]:
            assert checker.is_circuit(codes[0])
            proved += 1
    assert proved > 10
    assert not _bounded(np.zeros((1, n + 1, n))).any()


def test_primitive_rows_take_the_integer_path():
    a = np.random.default_rng(0).choice([-1.0, 1.0], (40, 6))
    whole = Layer.of(Network([a])).small_integers
    for factor in (0.3, 1e-310, 1e300, 0.1):
        assert np.array_equal(Layer.of(Network([a * factor])).small_integers, whole)
    assert np.array_equal(Layer.of(Network([[[Fraction(int(v), 3) for v in row] for row in a]])).small_integers, whole)
    assert not Layer.of(Network([np.random.default_rng(0).standard_normal((9, 3))])).small_integers.size
    b = np.random.default_rng(1).choice([-1.0, 1.0], (9, 40))
    assert [w.tolist() for w in DeepModel.of(Network([0.3 * a, 0.7 * b])).floats] == [a.tolist(), b.tolist()]
    assert DeepModel.of(Network([0.3 * a, 0.7 * b])).integral
    assert not DeepModel.of(mcinj.sample(3, (9, 9), seed=0)).rescaled


def test_scaled_signs_cost_what_signs_cost():
    a = np.random.default_rng(0).choice([-1.0, 1.0], (60, 8))
    nodes, seconds = [], []
    for factor in (1.0, 0.3):
        mcinj.check(a * factor, exact=True)
        started = time.process_time()
        nodes.append(mcinj.check(a * factor, exact=True).nodes)
        seconds.append(time.process_time() - started)
    assert nodes[0] == nodes[1]
    assert seconds[1] < 10 * seconds[0] + 0.1


@pytest.mark.parametrize("power", [40, 500])
def test_inputs_in_other_units_cost_what_even_inputs_cost(power):
    net = mcinj.sample(8, (54,), seed=3)
    plain = mcinj.check(net, exact=True)
    other = Network([net.weights[0] * 2.0 ** np.resize([-power, 0, power], 8)])
    verdict = mcinj.check(other, exact=True, certificate=True, node_budget=2 * plain.nodes)
    assert verdict.verdict is plain.verdict is Outcome.INJECTIVE
    assert verify(verdict.certificate, other).accepted
    assert not verify(verdict.certificate, net).accepted
    fails = Network([other.weights[0][:30]])
    found = mcinj.check(fails)
    assert found.verdict is Outcome.NOT_INJECTIVE
    assert found.witness.collides(fails)


def test_digits_of_primitive_rows():
    rng = random.Random(0)
    for _ in range(300):
        size = rng.choice([5e-324, 1e-300, 0.1, 1.0, 3.0, 1e300])
        row = [size * rng.choice([0, 1, -1, 2, 6, 1 / 3, 1e-20]) for _ in range(4)]
        numbers = [Fraction(v) for v in row]
        common = lcm(*(v.denominator for v in numbers))
        whole = [int(v * common) for v in numbers]
        top = max(abs(v) for v in whole) // (gcd(*whole) or 1)
        assert integer_digits(np.array([row]))[0] == top.bit_length()


def test_even_columns_and_other_units_are_the_same_network():
    rng = random.Random(2)
    for rows, n, biased, _ in layers(40, "both"):
        net = network(rows, n, biased)
        x = [Fraction(rng.randint(-9, 9), 7) for _ in range(n)]
        even, c = with_even_columns(net)
        unit = Fraction(2) ** rng.choice([-700, 3, 800])
        inner = in_units_of(net, unit)
        for other, z in ((even, [a * b for a, b in zip(x, c, strict=True)]), (inner, [unit * v for v in x])):
            ratios = set()
            for v, w, i in zip(net.exact_forward(z), other.exact_forward(x), range(len(rows)), strict=True):
                assert (v > 0) == (w > 0)
                ratios.add((i, v / w if w else 0))
            assert len(ratios) == len(rows)
    wide = Network([[[1.0, 1e-30], [1.0, -1e-30], [-1.0, 1e-30]]])
    assert is_wide(wide)
    assert not is_wide(with_even_columns(wide)[0])
