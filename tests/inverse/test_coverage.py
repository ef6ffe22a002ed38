"""`coverage` against angles in the plane, exact ranks and exact patterns."""

from __future__ import annotations

import doctest
import json
import sys
from fractions import Fraction
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcinj
from mcinj import InputError, Network, coverage
from mcinj.cli import main
from mcinj.inverse.coverage import _positive


def test_limits_hold_the_true_share_as_often_as_they_say() -> None:
    # Rows at 0, 90 and 225 degrees: one unit alone is positive on half of the circle.
    net = Network([[[1, 0], [0, 1], [-1, -1]]])
    found = [coverage(net, samples=200, seed=seed, level=0.99) for seed in range(60)]
    # At most 60 * 0.01 misses are expected; more than 4 have probability below 1e-3.
    assert sum(not c.share_lo <= 0.5 <= c.share_hi for c in found) <= 4
    assert len({c.deficient for c in found}) > 5


def test_dependent_rows_do_not_count_twice() -> None:
    doubled = Network([[[1, 1], [2, 2], [-1, -1], [-3, -3]]])
    assert coverage(doubled, samples=50).share == 1.0
    full = Network([[[1, 0], [0, 1], [-1, 0], [0, -1]]])
    found = coverage(full, samples=50)
    assert (found.share, found.active_least, found.active_mean) == (0.0, (2,), (2.0,))
    assert coverage(Network([[[1], [-1]], [[1, 1], [-1, -1]]]), samples=50).share == 0.0
    assert coverage(Network([[[0.0]]]), samples=5).share == 1.0


def test_a_domain_is_where_samples_are_drawn() -> None:
    shifted = Network([[[1.0]]], [[-1.0]])  # constant below 1
    assert coverage(shifted, samples=100, domain="box:-1,1").share == 1.0
    assert coverage(shifted, samples=100, domain="box:1,2").share == 0.0
    ball = coverage(shifted, samples=2000, domain="ball:2", level=0.999)
    assert ball.share_lo < 0.75 < ball.share_hi
    assert coverage(shifted, samples=50, seed="3/1") == coverage(shifted, samples=50, seed="3/1")


@given(st.integers(0, 10**6), st.sampled_from([1.0, 1e-160, 1e160]))
def test_patterns_in_floats_are_the_exact_ones(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    net = Network(
        [rng.integers(-2, 3, (5, 3)) * scale, rng.integers(-2, 3, (4, 5)) / 7], [rng.integers(-1, 2, 5), np.zeros(4)]
    )
    x = rng.integers(-2, 3, 3) / 2 if seed % 2 else rng.standard_normal(3)
    exact = net.exact_pattern([Fraction(float(v)) for v in x])
    for a, b in zip(_positive(net, x.astype(float)), exact, strict=True):
        np.testing.assert_array_equal(a, b > 0)


def test_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    path = tmp_path / "net.npz"
    np.savez(path, W1=np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))
    for options in (["--json"], []):
        monkeypatch.setattr(sys, "argv", ["mcinj", "coverage", str(path), "--samples", "40", *options])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        text = capsys.readouterr().out
        if options:
            assert json.loads(text)["deficient"] == coverage(mcinj.read_npz(path), samples=40).deficient
        else:
            assert "of 40 samples" in text


@pytest.mark.parametrize("options", [{"samples": 0}, {"level": 1.0}, {"domain": "cube:1"}, {"seed": "x"}])
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        coverage(Network([[[1.0]]]), **options)


def test_docstrings() -> None:
    result = doctest.testmod(import_module("mcinj.inverse.coverage"))
    assert (result.failed, result.attempted > 0) == (0, True)
