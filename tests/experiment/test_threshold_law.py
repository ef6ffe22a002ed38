"""The law of the threshold width against exact probabilities. Fixed seeds; each false-alarm rate is below 1e-4."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import mcinj
from mcinj import InputError
from mcinj.theory import union_bound


def test_one_input_is_geometric() -> None:
    # Injective at width m iff both signs have occurred: P(m* <= m) = 1 - 2^(1-m).
    draws = np.array([mcinj.threshold(1, seed=f"3/1/{k}").m_hi for k in range(3000)])
    top = 9
    observed = np.array([(draws == m).sum() for m in range(2, top)] + [(draws >= top).sum()])
    expected = 3000 * np.array([2.0 ** (1 - m) for m in range(2, top)] + [2.0 ** (2 - top)])
    assert expected.sum() == pytest.approx(3000)
    assert stats.chisquare(observed, expected).pvalue > 1e-4


@pytest.mark.parametrize("n", [2, 3])
def test_failures_stay_below_the_union_bound(n: int) -> None:
    draws = np.array([mcinj.threshold(n, seed=f"5/{n}/{k}").m_hi for k in range(600)])
    for m in range(int(np.quantile(draws, 0.5)), int(draws.max())):
        bound = float(union_bound(m, n))
        if bound < 1.0:
            assert stats.binomtest(int((draws > m).sum()), 600, bound, alternative="greater").pvalue > 1e-5


def test_two_inputs_against_gaps_between_angles() -> None:
    # In the plane a cell has fewer than two positive rows iff some open half circle holds at most one row.
    for k in range(60):
        draw = mcinj.threshold(2, seed=f"8/2/{k}")
        assert draw.m_hi is not None
        for m in (draw.m_hi - 1, draw.m_hi):
            rows = mcinj.sample(2, (m,), seed=f"8/2/{k}").weights[0]
            angles = np.arctan2(rows[:, 1], rows[:, 0])
            walls = np.sort(np.concatenate([angles + np.pi / 2, angles - np.pi / 2]) % (2 * np.pi))
            middles = walls + np.diff(np.append(walls, walls[0] + 2 * np.pi)) / 2
            least = min(int((rows @ [np.cos(t), np.sin(t)] > 0).sum()) for t in middles)
            assert (least >= 2) == (m == draw.m_hi)


def test_scaled_laws_have_the_same_draws() -> None:
    for k in range(20):
        gaussian, sphere, xavier = (mcinj.threshold(4, ensemble=e, seed=k) for e in ("gaussian", "sphere", "xavier"))
        assert gaussian.m_hi == sphere.m_hi == xavier.m_hi


def test_an_earlier_failure_makes_the_threshold_infinite() -> None:
    draw = mcinj.threshold(3, (4,), "layerwise", seed=1)
    assert (draw.failed_layer, draw.m_lo, draw.m_hi, draw.m_star) == (1, None, None, float("inf"))


def test_an_undecided_earlier_layer_is_right_censored_without_a_lower_end() -> None:
    draw = mcinj.threshold(4, (30,), "layerwise", seed=1, node_budget=0)
    assert (draw.failed_layer, draw.m_lo, draw.m_hi, draw.m_star) == (None, None, None, None)


@pytest.mark.parametrize("bad", [{"criterion": "x"}, {"node_budget": -1}, {"ensemble": "x"}, {"seed": -1}])
def test_bad_arguments(bad: dict[str, object]) -> None:
    with pytest.raises(InputError):
        mcinj.threshold(3, **bad)  # type: ignore[arg-type]
    with pytest.raises(InputError):
        mcinj.threshold(0)
