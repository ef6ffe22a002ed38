"""Time limits of stability and margin: stages end in time, and what was found by then is true."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import mcinj
from mcinj.decide.watch import Watch, attended
from mcinj.quantify.margin_rows import ScaledRows


class Clock:
    """Seconds of work as a test wants them: 0 at the first look, then so much more at each."""

    def __init__(self, step: float) -> None:
        self.looks, self.step = 0, step

    def __get__(self, watch: object, kind: type) -> float:
        self.looks += 1
        return (self.looks - 1) * self.step


@pytest.mark.parametrize("step", [1e9, 0.51, 0.11, 0.003])
@pytest.mark.parametrize(("n", "widths"), [(2, (5,)), (5, (40,)), (3, (9, 12)), (4, (14, 20, 28))])
def test_past_the_time_limit_every_stage_ends(
    n: int, widths: tuple[int, ...], step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever time is up, a true answer comes after one region and one pair more at most.

    Found by hand: 5 s took 27 s on 784 rows of 32 inputs, for regions and pairs were looked at whatever the time.
    """
    network = mcinj.sample(n=n, widths=widths, seed=3)
    whole = mcinj.stability(network, node_budget=3_000)
    clock, evaluated = Clock(step), []
    kept = mcinj.Network.exact_pre_activations

    def counted(self: mcinj.Network, x: object) -> object:
        evaluated.append(clock.looks)
        return kept(self, x)  # type: ignore[arg-type]

    monkeypatch.setattr(Watch, "working", clock)
    monkeypatch.setattr(mcinj.Network, "exact_pre_activations", counted)
    found = mcinj.stability(network, time_limit=1.0)
    late = math.ceil(1.0 / step)
    # Stages look up the time before each piece of work, so a few looks after it is up are the last ones.
    assert clock.looks <= late + 40
    # A region and two inputs of a pair; of a collision the region and the pair, verified and moved into the domain.
    assert sum(looks > late for looks in evaluated) <= (3 if found.sigma_hi else 5)
    assert found.sigma_lo <= whole.sigma_hi
    assert found.kappa_lo <= whole.kappa_hi
    assert whole.sigma_lo <= found.sigma_hi
    assert whole.kappa_lo <= found.kappa_hi
    assert found.kappa_hi <= found.sigma_hi
    assert found.sigma_squared[1] is not None  # the first sampled region is always looked at


@pytest.mark.parametrize("step", [1e9, 0.3, 0.01])
@pytest.mark.parametrize("domain", [None, "ball:2"])
def test_past_the_time_limit_a_margin_is_what_is_known(
    domain: str | None, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by hand: 5 s took 172 s on 784 rows of 32 inputs, 4,000 nodes and all first descents at a time."""
    layer = mcinj.sample(n=6, widths=(40,), seed=3)
    whole = mcinj.margin(layer, domain=domain)
    clock, starts = Clock(step), []
    kept = ScaledRows.descend

    def counted(self: ScaledRows, u: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        starts.append((clock.looks, len(u)))
        return kept(self, u)

    monkeypatch.setattr(Watch, "working", clock)
    monkeypatch.setattr(ScaledRows, "descend", counted)
    found = mcinj.margin(layer, domain=domain, time_limit=1.0)
    late = math.ceil(1.0 / step)
    assert clock.looks <= late + 20
    assert sum(count for looks, count in starts if looks > late) <= 4
    assert not found.complete or step < 0.1
    assert found.lo <= whole.hi
    assert whole.lo <= found.hi
    assert math.isfinite(found.hi)


@pytest.mark.parametrize(("n", "widths", "domain"), [(3, (20,), None), (2, (6, 9), "box:-1,1"), (3, (7, 9), "ball:2")])
def test_a_time_limit_that_suffices_changes_nothing(n: int, widths: tuple[int, ...], domain: str | None) -> None:
    network = mcinj.sample(n=n, widths=widths, seed=5)
    one, two = (mcinj.stability(network, domain=domain, time_limit=limit) for limit in (None, 1e6))
    assert replace(one, seconds=0.0) == replace(two, seconds=0.0)
    if len(widths) == 1:
        first, second = (mcinj.margin(network, time_limit=limit) for limit in (None, 1e6))
        assert replace(first, seconds=0.0) == replace(second, seconds=0.0)


def test_compilation_is_on_no_limits_account() -> None:
    with attended() as watch:
        before = watch.working
        watch._compiled += 1e6
        assert watch.working < before - 9e5
        with attended() as inner:
            assert inner is watch  # one listener: seconds of compilation are counted once
    with attended() as other:
        assert other is not watch
