"""The three engines on one layer against each other and against all rays of the arrangement, in integers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive.arrangement import minimal_active_rank

import mcinj
from mcinj import Network, Outcome, check, sample
from mcinj.decide.oracles import lp, milp

ENGINES = ("tree", "lp", "milp")

B = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, -2.0]])
DEGENERATE = {
    "both signs of a basis": (np.vstack([B, -B]), True),
    "both signs, scaled apart": (np.vstack([1e-3 * B, -1e3 * B]), True),
    "both signs of a basis, one row missing": (np.vstack([B, -B[:2]]), False),
    "both signs and duplicates": (np.vstack([B, B, -B, B]), True),
    "duplicates only": (np.vstack([B, B, B, B]), False),
    "zero rows": (np.zeros((5, 3)), False),
    "zero rows among good ones": (np.vstack([np.zeros((2, 3)), B, np.zeros(3), -B]), True),
    "fewer rows than inputs": (B[:2], False),
    "dependent rows": (np.vstack([B[:2], -B[:2], B[:1] + B[1:2], -B[:1] - B[1:2]]), False),
    "n = 1, one sign": (np.array([[2.0], [3.0]]), False),
    "n = 1, both signs": (np.array([[2.0], [-3.0]]), True),
    "n = 1, zeros": (np.zeros((3, 1)), False),
    "n = 1, m = 1": (np.array([[1.0]]), False),
    "hyperplane rows beyond n": (np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [1, -1, 0], [-1, 0, 0], [0, -1, 0],
                                           [-1, -1, 0], [-1, 1, 0], [0, 0, 1.0]]), False),
}  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_matrices(case: str, engine: str) -> None:
    matrix, injective = DEGENERATE[case]
    verdict = check(matrix, engine=engine)
    assert verdict.verdict == ("injective" if injective else "not_injective")
    assert (verdict.witness is None) == injective
    if verdict.witness is not None:
        assert verdict.witness.collides(Network([matrix]))


@pytest.mark.parametrize("engine", ENGINES)
@given(data=st.data())
@settings(max_examples=40)
def test_small_integer_matrices_against_all_rays(engine: str, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 3))
    m = data.draw(st.integers(1, 8))
    rows = data.draw(st.lists(st.lists(st.integers(-2, 2), min_size=n, max_size=n), min_size=m, max_size=m))
    expected = minimal_active_rank(rows, n) == n
    verdict = check([rows], engine=engine)
    assert (verdict.verdict is Outcome.INJECTIVE) == expected
    assert verdict.verdict is not Outcome.UNKNOWN


@pytest.mark.parametrize("ensemble", ["gaussian", "rademacher", "sparse", "sphere", "uniform", "xavier"])
def test_engines_agree_on_random_layers(ensemble: str) -> None:
    rng = np.random.default_rng(3)
    seen = set()
    for seed in range(18):
        n = int(rng.integers(1, 5))
        network = sample(n, (int(rng.integers(n, 8 * n)),), ensemble, seed)
        if seed % 3 == 0:
            network = Network(network.weights, [rng.standard_normal(network.widths[0])])
        verdicts = {str(check(network, engine=engine).verdict) for engine in ENGINES}
        assert len(verdicts) == 1
        seen |= verdicts
    assert seen == {"injective", "not_injective"}


def test_biases_decide_on_all_of_the_input_space() -> None:
    # ReLU(x + 1), ReLU(-x + 1): every x has an active unit; with biases -1 the interval [-1, 1] maps to 0.
    for engine in ENGINES:
        assert check(Network([[[1.0], [-1.0]]], [[1.0, 1.0]]), engine=engine).passed
        verdict = check(Network([[[1.0], [-1.0]]], [[-1.0, -1.0]]), engine=engine)
        assert verdict.verdict == "not_injective"
        # A unit without weights but with a bias is active everywhere and helps nobody.
        assert not check(Network([[[1.0], [0.0]]], [[0.0, 5.0]]), engine=engine).passed


@pytest.mark.parametrize("engine", ENGINES)
def test_node_budget_of_nothing_is_unknown(engine: str) -> None:
    verdict = check(sample(3, (20,), seed=1), engine=engine, node_budget=0)
    assert verdict.verdict is Outcome.UNKNOWN
    assert verdict.network_injective is None
    assert verdict.certified == "none"


def test_lp_regional_on_deep_networks_against_pairs_of_cells() -> None:
    # Oracle: dense random inputs. A network that passes must have rank n at each of them.
    rng = np.random.default_rng(0)
    outcomes = set()
    for seed in range(12):
        network = sample(2, (int(rng.integers(4, 13)), int(rng.integers(4, 16))), seed=seed)
        found = lp.decide(network)
        least = 2
        for x in rng.standard_normal((4000, 2)):
            z = network.pre_activations(x)
            jacobian = network.weights[1][z[1] > 0] @ (network.weights[0] * (z[0] > 0)[:, None])
            least = min(least, int(np.linalg.matrix_rank(jacobian)) if len(jacobian) else 0)
        if found.outcome is Outcome.INJECTIVE:
            assert least == 2
        else:
            assert found.witness is not None
            assert found.witness.collides(network)
            assert found.layer in (1, 2)
        outcomes.add(found.outcome)
        assert (least == 2) == (found.outcome is Outcome.INJECTIVE)
    assert len(outcomes) == 2


def test_milp_survives_thin_cells_by_cutting_refused_points() -> None:
    a = sample(3, (18,), seed=4).weights[0].copy()
    a[17] = -a[0] + 1e-13 * a[1]
    tree, by_milp = mcinj.check(a), milp.decide_one_layer(Network([a]))
    assert by_milp.outcome in (tree.verdict, Outcome.UNKNOWN)


def test_the_solver_says_nothing_on_standard_output(tmp_path: Path) -> None:
    """HiGHS greets from C, which only another process can see."""
    np.savez(tmp_path / "net.npz", W1=np.array([[1.0, 0], [0, 1], [-1, -1], [1, 2]]))
    command = [sys.executable, "-m", "mcinj", "check", str(tmp_path / "net.npz"), "--engine", "milp", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert json.loads(done.stdout)["engine"] == "milp", done.stderr
