"""Time limits, progress, and what UNKNOWN carries."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest

import mcinj
from mcinj.cli.explain import distinct_decimals
from mcinj.decide.quick.samples import LARGE, sampled_failure
from mcinj.decide.watch import Pace, TimeUp, Watch, current, watching
from mcinj.errors import InputError


def gaussian(n: int, widths: tuple[int, ...], seed: int, biases: bool = False) -> mcinj.Network:
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal((m, b)) / np.sqrt(b) for m, b in zip(widths, (n, *widths[:-1]), strict=True)]
    return mcinj.Network(weights, [0.1 * rng.standard_normal(m) for m in widths] if biases else None)


@pytest.mark.parametrize(
    ("network", "options"),
    [
        (gaussian(32, (784,), 0), {}),
        (gaussian(8, (64, 128, 300), 0), {}),
        (gaussian(8, (64, 128, 300), 0, biases=True), {"domain": "box:-1,1"}),
        (gaussian(8, (64, 128, 300), 0, biases=True), {"domain": "ball:1", "criterion": "regional"}),
        (gaussian(3, (64, 128), 1, biases=True), {}),
    ],
)
def test_a_time_limit_ends_in_a_clear_unknown(network: mcinj.Network, options: dict[str, str]) -> None:
    mcinj.check(gaussian(2, (14, 14), 1), **options)  # compiled
    started = time.perf_counter()
    verdict = mcinj.check(network, time_limit=1.0, **options)
    assert time.perf_counter() - started < 4.0
    assert verdict.verdict is mcinj.Outcome.UNKNOWN
    assert verdict.reason == "the time limit is over"
    assert verdict.known is not None
    assert verdict.known.advice
    assert verdict.known.stage
    for seen in verdict.known.active:
        z = network.prefix(seen.layer).exact_pre_activations(seen.x)[-1]
        assert seen.count == sum(v > 0 for v in z)
    assert verdict.to_json()["known"]["nodes"] == verdict.known.nodes


def test_advice_for_one_wide_layer_is_about_counts() -> None:
    verdict = mcinj.check(gaussian(32, (784,), 0), time_limit=0.5)
    assert verdict.known is not None
    assert "--assume-generic" in verdict.known.advice
    assert "layers" not in verdict.known.advice


def test_verdicts_within_the_limit_do_not_depend_on_it() -> None:
    rng = np.random.default_rng(3)
    for seed in range(12):
        n = int(rng.integers(1, 4))
        widths = tuple(int(rng.integers(n, 8 * n + 2)) for _ in range(int(rng.integers(1, 3))))
        network = gaussian(n, widths, seed, biases=bool(seed % 2))
        free, held = mcinj.check(network), mcinj.check(network, time_limit=100)
        assert (free.verdict, free.nodes, free.witness) == (held.verdict, held.nodes, held.witness)


def test_nodes_do_not_depend_on_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    network = mcinj.sample(9, (60,), seed=1)
    deep = gaussian(3, (20, 24), 5)
    free = [mcinj.check(network), mcinj.check(deep)]
    monkeypatch.setattr(Pace, "end", lambda self, done: setattr(self, "size", 3))
    slow = [mcinj.check(network), mcinj.check(deep)]
    assert [(v.verdict, v.nodes) for v in free] == [(v.verdict, v.nodes) for v in slow]


def test_progress_is_told_and_facts_are_kept() -> None:
    stages: list[str] = []
    verdict = mcinj.check(gaussian(2, (14, 20), 1), node_budget=3, progress=lambda watch: stages.append(watch.stage))
    assert any(stage.startswith("counts of active units") for stage in stages)
    assert verdict.verdict is mcinj.Outcome.UNKNOWN
    assert verdict.known is not None
    assert verdict.known.proved == ()  # three nodes prove nothing


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), True, "5"])
def test_limits_that_make_no_sense_are_refused(limit: object) -> None:
    with pytest.raises(InputError, match="time_limit"):
        mcinj.check(np.eye(2), time_limit=limit)  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", ["lp", "milp"])
def test_engines_that_prove_nothing_refuse_assumptions(engine: str) -> None:
    with pytest.raises(InputError, match="assume_generic"):
        mcinj.check(gaussian(2, (9,), 0), engine=engine, assume_generic=True)


def test_work_that_is_left_behind_does_not_hold_the_caller() -> None:
    watch = Watch(limit=0.1)
    started = time.perf_counter()
    with watching(watch), pytest.raises(TimeUp):
        current().aside(lambda: time.sleep(1.0))
    assert time.perf_counter() - started < 0.8
    assert len(watch.strays) == 1
    with pytest.raises(ZeroDivisionError):
        Watch().aside(lambda: 1 // 0)


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize(("n", "widths"), [(80, (80,)), (80, (120,)), (70, (40, 90)), (30, (400, 40, 200))])
def test_layers_that_are_too_narrow_fail_at_once(n: int, widths: tuple[int, ...], biases: bool) -> None:
    network = gaussian(n, widths, 2, biases)
    assert sum(w.size for w in network.weights) >= LARGE
    found = sampled_failure(network)
    assert found is not None
    assert found[0].collides(network)
    verdict = mcinj.check(network)
    assert verdict.verdict is mcinj.Outcome.NOT_INJECTIVE
    assert verdict.witness == found[0]  # one seed: the same every time


@pytest.mark.parametrize("text", ["box:-1,1", "box:0.5,0.75", "ball:0.01"])
def test_sampled_failures_lie_in_the_domain(text: str) -> None:
    from mcinj.decide.bounded.domain import Domain

    network, domain = gaussian(30, (400, 40), 2, biases=True), Domain.parse(text)
    found = sampled_failure(network, domain)
    assert found is not None
    assert domain.holds(found[0].x)
    assert domain.holds(found[0].x_prime)
    assert found[0].collides(network)


def test_an_injective_layer_is_never_failed_by_sampling() -> None:
    b = np.random.default_rng(0).standard_normal((60, 60))
    assert sampled_failure(mcinj.Network([np.vstack([b, -b])])) is None


def test_duplicate_zero_and_dependent_rows_do_not_disturb_sampling() -> None:
    b = np.random.default_rng(0).standard_normal((40, 70))
    for rows in (np.vstack([b, b, b]), np.vstack([b, np.zeros((60, 70))]), np.zeros((90, 70))):
        network = mcinj.Network([rows])
        verdict = mcinj.check(network)
        assert verdict.verdict is mcinj.Outcome.NOT_INJECTIVE
        assert verdict.witness is not None
        assert verdict.witness.collides(network)


@pytest.mark.parametrize(
    ("x", "other"),
    [
        (Fraction(1), 1 + Fraction(1, 10**30)),
        (Fraction(1, 3), Fraction(1, 3) + Fraction(1, 2**80)),
        (Fraction(10**12), Fraction(10**12 + 1)),
        (Fraction(1, 10**9), Fraction(2, 10**9)),
        (Fraction(0), Fraction(1, 10**40)),
        (Fraction(-5), Fraction(5)),
    ],
)
def test_witnesses_are_printed_so_that_they_differ(x: Fraction, other: Fraction) -> None:
    (a, same), (b, again) = distinct_decimals([x, Fraction(2, 3)], [other, Fraction(2, 3)])
    assert Fraction(a) != Fraction(b)
    assert abs(Fraction(a) - x) <= abs(x) / 10**5
    assert same == again == "0.666667"


def test_layer_one_of_a_large_network_is_decided_first() -> None:
    network = gaussian(8, (64, 128, 784), 0, biases=True)
    for domain, facts in ((None, "layer 1 is injective"), ("box:-1,1", "layer 1 is injective on the domain")):
        known = mcinj.check(network, domain=domain, node_budget=6_000).known
        assert known is not None
        assert facts in known.proved
        assert known.layers_alone == ((1,) if domain is None else ())
    # Rank 3 of 4 with half of the units positive everywhere: no count tells.
    flat = np.random.default_rng(0).integers(-9, 10, (40, 3)) @ np.random.default_rng(1).integers(-9, 10, (3, 4))
    hidden = mcinj.Network([np.vstack([flat, -flat]), np.random.default_rng(2).standard_normal((90, 80))])
    found = mcinj.check(hidden)
    assert (found.verdict, found.layer) == (mcinj.Outcome.NOT_INJECTIVE, 1)
    assert found.witness is not None
    assert found.witness.collides(hidden)
    assert found.nodes < 10
    assert mcinj.check(hidden, node_budget=0).nodes == 0


def test_one_layer_on_a_box_around_0_is_decided_as_on_all_inputs() -> None:
    network = mcinj.sample(10, (70,), seed=1)
    whole, inside = mcinj.check(network), mcinj.check(network, domain="box:-1,1")
    assert (whole.verdict, whole.nodes, whole.certified) == (inside.verdict, inside.nodes, inside.certified)
    narrow = mcinj.sample(10, (40,), seed=1)
    found = mcinj.check(narrow, domain="ball:0.001")
    assert (found.verdict, found.layer) == (mcinj.Outcome.NOT_INJECTIVE, 1)
    assert found.witness is not None
    assert all(sum(v * v for v in x) < 1e-6 for x in (found.witness.x, found.witness.x_prime))
