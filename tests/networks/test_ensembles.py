"""Ensembles: laws, streams, seeds. Statistical tests: fixed seeds, false-alarm rate below 1e-4 each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mcinj import Ensemble, InputError, RowStream, Seed, sample
from mcinj.networks import ENSEMBLES, widths_from_expansions

ALL = [*ENSEMBLES, "sparse:0.05", "correlated:0.9"]


@pytest.mark.parametrize("name", ALL)
@given(
    seed=st.integers(0, 2**40),
    n=st.integers(1, 4),
    first=st.integers(1, 6),
    narrow=st.integers(1, 8),
    more=st.integers(0, 9),
)
def test_a_narrower_last_layer_is_a_prefix(name: str, seed: int, n: int, first: int, narrow: int, more: int) -> None:
    a = sample(n, (first, narrow), name, seed)
    b = sample(n, (first, narrow + more), name, seed)
    np.testing.assert_array_equal(a.weights[0], b.weights[0])
    factor = np.sqrt((first + narrow + more) / (first + narrow)) if name == "xavier" else 1.0
    np.testing.assert_allclose(a.weights[1], b.weights[1][:narrow] * factor, rtol=1e-14)


@pytest.mark.parametrize("name", ALL)
def test_a_stream_does_not_depend_on_how_it_is_read(name: str) -> None:
    once = RowStream(name, 3, 5, layer=2).take(200)
    stream = RowStream(name, 3, 5, layer=2)
    for m in (1, 7, 8, 50, 3, 199, 200):
        np.testing.assert_array_equal(stream.take(m), once[:m])
    with pytest.raises(ValueError, match="read-only"):
        stream.take(5)[0, 0] = 1.0


def test_seeds_layers_and_trials_give_different_streams() -> None:
    streams = [
        RowStream("gaussian", 4, seed, layer).take(3) for seed in (0, 1, "0/0", "0/0/0", "7/0") for layer in (1, 2)
    ]
    values = {s.tobytes() for s in streams}
    assert len(values) == len(streams)


def test_a_trial_seed_draws_the_trial_again() -> None:
    np.testing.assert_array_equal(
        sample(3, (9,), seed="7/3/41").weights[0], sample(3, (9,), seed=Seed(7).child(3, 41)).weights[0]
    )


def test_laws() -> None:
    size = 200_000

    def draw(name: str) -> np.ndarray:
        return RowStream(name, 4, 12).take(size // 4).ravel()

    assert stats.kstest(draw("gaussian"), "norm").pvalue > 1e-4
    assert stats.kstest(draw("uniform"), stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)).cdf).pvalue > 1e-4
    signs = draw("rademacher")
    assert set(np.unique(signs)) == {-1.0, 1.0}
    assert stats.binomtest(int((signs > 0).sum()), size).pvalue > 1e-4
    sparse = draw("sparse:0.2")
    assert stats.binomtest(int((sparse != 0).sum()), size, 0.2).pvalue > 1e-4
    assert stats.kstest(sparse[sparse != 0], "norm").pvalue > 1e-4
    sphere = RowStream("sphere", 3, 1).take(50_000)
    np.testing.assert_allclose(np.linalg.norm(sphere, axis=1), 1.0)
    # Archimedes: a coordinate of a uniform point of S^2 is uniform on [-1, 1].
    assert stats.kstest(sphere[:, 0], stats.uniform(-1, 2).cdf).pvalue > 1e-4
    assert stats.kstest(RowStream("correlated:0.4", 2, 3).take(50_000)[::20].ravel(), "norm").pvalue > 1e-4
    xavier = sample(30, (70,), "xavier", 4).weights[0] / np.sqrt(2 / 100)
    assert stats.kstest(xavier.ravel(), "norm").pvalue > 1e-4


def test_correlated_rows_have_the_stated_correlation() -> None:
    rows = RowStream("correlated:0.4", 1, 6).take(100_000).ravel()
    # Standard error of a correlation of 1e5 pairs is about 0.003; four of them, and a little for the dependence.
    for lag in (1, 2, 3):
        assert abs(np.corrcoef(rows[lag:], rows[:-lag])[0, 1] - 0.4**lag) < 0.018


@pytest.mark.parametrize(
    "text", ["gausian", "sparse:x", "sparse:", "sparse:0", "sparse:1.5", "gaussian:2", "correlated:1", ""]
)
def test_bad_ensembles_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        Ensemble.parse(text)


@pytest.mark.parametrize("text", ["sparse:0.1", "gaussian", "correlated:0.25"])
def test_names_round_trip(text: str) -> None:
    assert str(Ensemble.parse(text)) == text
    assert Ensemble.parse(str(Ensemble.parse(text))) == Ensemble.parse(text)


@pytest.mark.parametrize("bad", [-1, True, 1.5, "x", "1/", "1//2", "-3", "١", f"0/{2**32}"])
def test_bad_seeds_are_refused(bad: object) -> None:
    with pytest.raises(InputError):
        sample(2, (3,), seed=bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [(0, (3,)), (2, ()), (2, (0,)), (2, 5), (True, (3,)), (2, (2.5,)), (2, "54")])
def test_bad_shapes_are_refused(bad: tuple[int, tuple[int, ...]]) -> None:
    with pytest.raises(InputError):
        sample(*bad)


def test_expansions_multiply_up() -> None:
    assert widths_from_expansions(8, [6.7004, 1.2338]) == (round(6.7004 * 8), round(6.7004 * 1.2338 * 8))
    for bad in ([0.0], [-1.0], [float("nan")], [float("inf")], [0.01]):
        with pytest.raises(InputError):
            widths_from_expansions(3, bad)
