"""Layers in other units: bounds must go along with a power of two, also where σ* leaves the range of float64."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mcinj
from mcinj.cli import main

# Two or three layers whose σ* is positive, on [1, 2]^n at least.
NETWORKS = {
    "opposite rows": [[[1], [-1]], [[1, 0], [0, 1], [-1, 0], [0, -1]]],
    "three layers of opposite rows": [[[2], [-1]], [[1, 1], [0, 1], [-1, -1], [0, -1]], [[1, 0, 0, 1], [0, 1, 1, 0]]],
    "searched": [[[1, 0], [0, 1], [-1, 1], [-1, -1], [1, -2]], [[1, 2, 0, 1, 1], [0, 1, 1, 3, 0], [2, 0, 1, 0, 1]]],
}
EXPONENTS = st.sampled_from([0, -1060, -1000, -600, -50, 50, 600, 1000, 1015])


def at_most(a: float, b: float, factor: Fraction) -> bool:
    """Whether `a <= b factor`; bounds may be inf."""
    return math.isinf(b) or (math.isfinite(a) and Fraction(a) <= Fraction(b) * factor)


@settings(max_examples=20)
@given(st.sampled_from(sorted(NETWORKS)), st.tuples(EXPONENTS, EXPONENTS, EXPONENTS), st.booleans())
def test_bounds_go_along_with_the_unit(name: str, exponents: tuple[int, int, int], domain: bool) -> None:
    plain = [np.array(w, float) for w in NETWORKS[name]]
    scaled = [np.ldexp(w, e) for w, e in zip(plain, exponents)]
    factor = Fraction(2) ** sum(exponents[: len(plain)])
    place = "box:1,2" if domain else None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = mcinj.stability(plain, domain=place)
        two = mcinj.stability(scaled, domain=place)
    assert at_most(two.sigma_lo, one.sigma_hi, factor)
    assert at_most(one.sigma_lo, two.sigma_hi, 1 / factor)
    assert at_most(two.kappa_lo, one.kappa_hi, factor)
    assert at_most(one.kappa_lo, two.kappa_hi, 1 / factor)
    for (low, high), (plain_low, plain_high), e in zip(two.layers, one.layers, exponents):
        assert at_most(low, plain_high, Fraction(2) ** e)
        assert at_most(plain_low, high, Fraction(2) ** -e)
    top = factor * Fraction(one.sigma_lo)
    if one.sigma_lo > 0 and Fraction(1, 2**1000) < top < 2**1000:
        assert two.sigma_lo > 0
        assert math.isfinite(two.sigma_hi)


@pytest.mark.parametrize("column", [[1.7e308, 1.7e308, -1.7e308, -1.7e308], [1.7e308, 1e308, -1.7e308, -1e308]])
def test_a_value_beyond_floats_is_bounded_by_the_largest(column: list[float]) -> None:
    found = mcinj.stability(np.array(column)[:, None])
    assert found.sigma_lo == np.finfo(float).max
    assert found.sigma_hi == math.inf
    assert 0 < found.kappa_lo < math.inf
    assert not found.complete
    assert found.sigma_squared[1] == sum(Fraction(v) ** 2 for v in column[:2])


def test_regions_whose_sizes_have_a_ratio_beyond_floats() -> None:
    # x in (1, 2) sees 2^-600 on one side of 1.5 and 2^600 on the other.
    first = mcinj.Network([[[2.0**600], [2.0**-600]]], [[-1.5 * 2.0**600, 0.0]])
    found = mcinj.stability(first, domain="box:1,2")
    assert found.sigma_lo <= 2.0**-600 <= found.sigma_hi
    network = mcinj.Network([[[2.0**600], [-(2.0**-600)]], [[1, 0], [0, 1]]], [[0.0, 2.0**-600], [0.0, 0.0]])
    found = mcinj.stability(network, domain="box:-100000,1")
    assert found.sigma_lo <= 2.0**-600 <= found.sigma_hi


def test_inputs_beyond_floats_are_shown_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # All units are off below -2^1078 only, which no float reaches.
    file = tmp_path / "net.npz"
    mcinj.write_npz(mcinj.Network([[[2.0**-1069], [2.0**-1068]]], [[1.0, 2.0**10]]), file)
    monkeypatch.setattr("sys.argv", ["mcinj", "stability", str(file)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  x = "))
    assert Fraction(line.removeprefix("  x = ")) < -(2**1078)
