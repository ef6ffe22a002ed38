"""The attacks can see what they look for: the oracle agrees with another one, wrong answers are counted as wrong."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
import tomllib
from collections import Counter
from contextlib import closing
from fractions import Fraction
from itertools import combinations, islice, pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from naive.bounded import Inside
from naive.patterns import consistent_patterns, others
from naive.preimages import Regions
from naive.verdicts import passes_global, passes_one_layer
from structured.comparison import Comparison

import mcinj
from mcinj.certify.witness import Witness
from mcinj.decide.bounded.domain import Domain
from mcinj.experiment.config import parse
from reliability import (
    disturbed,
    domains,
    files,
    inversions,
    leaky,
    onelayer,
    page,
    proofs,
    record,
    relatives,
    steadiness,
    verdicts,
)  # fmt: skip
from reliability.campaigns import CAMPAIGNS, HONEST
from reliability.flags import injective

SHAPES = [(1, 3, False), (1, 4, True), (2, 7, False), (2, 6, True), (3, 10, False)]


@pytest.mark.parametrize(("n", "m", "biased"), SHAPES)
def test_flags_agree_with_double_description(n: int, m: int, biased: bool) -> None:
    """Two oracles that share no code, on rows with many coincidences."""
    rng = np.random.default_rng(n)
    rows = rng.integers(-2, 3, (40, m, n))
    rows[:20, m // 2 : 2 * (m // 2)] = -rows[:20, : m // 2]
    biases = rng.integers(-1, 2, (40, m)) if biased else None
    found = injective(rows, biases)
    for k in range(40):
        offsets = None if biases is None else [Fraction(int(v)) for v in biases[k]]
        assert found[k] == passes_one_layer([[Fraction(int(v)) for v in row] for row in rows[k]], offsets)
    assert 0 < found.sum() < 40


def test_the_largest_entries_do_not_overflow() -> None:
    """Pairs of opposite rows of the largest size, whose products come closest to 2^63."""
    rng = np.random.default_rng(0)
    rows = rng.choice([-onelayer.LARGEST, onelayer.LARGEST, onelayer.LARGEST - 1], (20, 8, 3))
    found = injective(rows)
    exact = [passes_one_layer([[Fraction(int(v)) for v in row] for row in a]) for a in rows]
    assert found.tolist() == exact


def test_campaigns_run_and_agree() -> None:
    for name, count in (
        ("one_layer", 30),
        ("inversion", 20),
        ("deep_inversion", 20),
        ("stability", 3),
        ("deep", 3),
        ("domains", 30),
        ("leaky", 20),
        ("deep_stability", 15),
        ("relatives", 6),
    ):
        kinds = Counter(outcome.kind for outcome in islice(CAMPAIGNS[name].run(0), count))
        assert kinds == {"agreed": count}, name


def test_wrong_answers_are_not_honest() -> None:
    worst = verdicts._outcome(
        [Comparison("global", kind, True, 0.0) for kind in ("agreed", "unknown", "false failure")], "a network", False
    )
    assert worst.kind == "false failure"
    assert worst.kind not in HONEST
    case = onelayer.Instance("a layer", mcinj.Network([[[1, 0], [0, 1], [-1, -1]]]), True, "global")
    mcinj.stability(case.network)  # compiled before its seconds are counted
    assert verdicts._stable(case).kind == "false failure"
    assert inversions._inverted(case, np.random.default_rng(3)).kind in ("agreed", "false failure")


def _corners(net: mcinj.Network, ends: tuple[Fraction, Fraction]) -> list[Fraction]:
    """The ends, and where one input's outputs may turn between them: walls, layer by layer."""
    points = list(ends)
    for k in range(1, net.depth + 1):
        levels = [net.prefix(k).exact_pre_activations([x])[-1] for x in points]
        for (x, y), (zx, zy) in zip(list(pairwise(points)), pairwise(levels)):
            points += {x + (y - x) * u / (u - v) for u, v in zip(zx, zy) if u * v < 0}
        points = sorted(set(points))
    return points


def _meetings(p: list[Fraction], q: list[Fraction], r: list[Fraction], s: list[Fraction]) -> list[tuple]:  # type: ignore[type-arg]
    """Shares (a, b) of points that two segments p q and r s of the plane have in common: up to three of them."""
    along, other, gap = ([v - u for u, v in zip(*ends)] for ends in ((p, q), (r, s), (p, r)))
    turn = along[0] * other[1] - along[1] * other[0]
    aside = along[0] * gap[1] - along[1] * gap[0]
    if turn:
        a, b = (gap[0] * other[1] - gap[1] * other[0]) / turn, -aside / turn
        return [(a, b)] if 0 <= a <= 1 and 0 <= b <= 1 else []
    if aside:
        return []  # parallel
    i = 0 if along[0] else 1
    start, end = gap[i] / along[i], (s[i] - p[i]) / along[i]
    low, high = max(Fraction(0), min(start, end)), min(Fraction(1), max(start, end))
    return [(a, (a - start) / (end - start)) for a in (low, (low + high) / 2, high)] if low <= high else []


def test_open_intervals_agree_with_walks_in_the_plane() -> None:
    """Two oracles that share no code: cones over a box, and the polygon that the outputs of one input run along."""
    seen: Counter[bool] = Counter()
    for seed in range(400):
        rng = np.random.default_rng(seed)
        sizes = (1, int(rng.integers(2, 5)), 2)
        net = mcinj.Network(
            [rng.integers(-2, 3, s) for s in zip(sizes[1:], sizes)], [rng.integers(-1, 4, m) for m in sizes[1:]]
        )
        ends = Fraction(int(rng.integers(-3, 1))), Fraction(int(rng.integers(1, 4)))
        sides = [(x, y, net.exact_forward([x]), net.exact_forward([y])) for x, y in pairwise(_corners(net, ends))]
        expected = all(p != q for _, _, p, q in sides)
        for (x, y, p, q), (v, w, r, s) in combinations(sides if expected else [], 2):
            for a, b in _meetings(p, q, r, s):
                one, two = x + a * (y - x), v + b * (w - v)
                expected &= one == two or not (ends[0] < one < ends[1] and ends[0] < two < ends[1])
        assert Inside(net.exact_weights, net.exact_biases, *ends).injective == expected, seed
        seen[expected] += 1
    assert min(seen[True], seen[False]) > 20


def test_balls_of_one_input_are_intervals_and_touch_as_by_hand() -> None:
    seen: Counter[bool | None] = Counter()
    for seed in range(60):
        net = domains.integers(np.random.default_rng([1, seed]))
        if net.n == 1:
            inside = Inside(net.exact_weights, net.exact_biases, Fraction(-2), Fraction(2))
            found = inside.injective_in_ball(Fraction(2))
            assert found in (None, inside.injective)
            assert inside.regional_in_ball(Fraction(2)) == inside.regional
            seen[found] += 1
    assert min(seen[True], seen[False]) > 3
    # Rank is lost behind the corner (-3, -4), at distance 5; (u - 1)⁺ + (1 - u)⁺ and v collide across u = 1.
    corner = mcinj.Network([[[1, 0], [0, 1], [-1, -1]]], [[3, 4, 100]])
    fold = mcinj.Network([[[1, 0], [-1, 0], [0, 1], [0, -1]], [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]],
                         [[-1, 1, 0, 0], [0, 0, 0]])  # fmt: skip
    for net, radius in ((corner, 5), (fold, 1)):
        for factor, expected in ((Fraction(1), True), (Fraction(1001, 1000), False)):
            inside = Inside(net.exact_weights, net.exact_biases, Fraction(-9), Fraction(9))
            assert inside.injective_in_ball(factor * radius) is expected


def test_wrong_answers_on_domains_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = mcinj.Network([[[1], [-1]], [[1, 1], [1, 0]]], [[0, 0], [0, -1]])  # |x|, and x - 1 where it is positive
    place = Domain.parse("box:-2,2")
    right = mcinj.check(fold, domain=place.text)

    def kind(expected: bool, **changes: object) -> str:
        monkeypatch.setattr(mcinj, "check", lambda *_, **__: dataclasses.replace(right, **changes))
        return domains.judged(fold, "global", expected, place, {}).kind

    assert kind(False) == "agreed"
    assert kind(True) == "false failure"
    assert kind(False, verdict=mcinj.Outcome.INJECTIVE) == "false pass"
    for pair in ((1, 2), (3, -3), (2, -2), (Fraction(1, 2), Fraction(1, 2))):  # (2, -2): on the boundary
        assert kind(False, witness=Witness(*((Fraction(v),) for v in pair))) == "bad witness"
    assert kind(False, witness=Witness((Fraction(1, 2),), (Fraction(-1, 2),))) == "agreed"
    case = domains.asked("a fold", fold, place)
    assert (case.regional, case.injective) == (True, False)
    closed = SimpleNamespace(closed=True, kappa=1.0)
    monkeypatch.setattr(domains, "BoxPairs", lambda *_, **__: SimpleNamespace(run=lambda *_: closed))
    assert domains._by_boxes(case).kind == "false pass"


def test_wrong_bounds_of_stability_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    net = mcinj.Network([[[2], [-2]]], [[0, 0]])
    case = steadiness.Steady.of(net, Domain.parse("box:-1,1"), Fraction(0), np.random.default_rng(0))
    right = mcinj.stability(net, domain="box:-1,1")

    def kind(**changes: object) -> str:
        monkeypatch.setattr(mcinj, "stability", lambda *_, **__: dataclasses.replace(right, **changes))
        return case.judged("a layer", "box:-1,1", 0.0).kind

    assert kind() == "agreed"
    assert kind(sigma_lo=2.001, sigma_hi=2.001) == "false pass"
    assert kind(sigma_hi=1.999) == "false failure"
    assert kind(kappa_lo=1.5) == "false pass"
    assert kind(pair=Witness((Fraction(1),), (Fraction(0),))) == "bad witness"
    assert kind(complete=False) == "unknown"
    assert kind(sigma_lo=1.0) == "false pass"  # and complete


def test_relatives_are_injective_together() -> None:
    rng = np.random.default_rng(2)
    same = {**relatives.SAME_INSIDE, **relatives.SAME_EVERYWHERE}
    seen: Counter[bool] = Counter()
    for _ in range(40):
        net = relatives.Weights.of(relatives.network_of(rng, 2))
        expected = passes_global(net.w, net.b)
        for name, change in same.items():
            other = change(rng, net)
            assert passes_global(other.w, other.b) is expected, name
        if expected:
            assert all(passes_global(v.w, v.b) for v in (relatives.appended(rng, net), relatives.followed(rng, net)))
        for name, change in relatives.SAME_FUNCTION.items():
            x = [Fraction(int(v)) for v in rng.integers(-5, 6, len(net.w[0][0]))]
            outputs = [sorted(v.network().exact_forward(x)) for v in (net, change(rng, net))]
            assert outputs[0] == outputs[1], name
        seen[expected] += 1
    assert min(seen[True], seen[False]) > 5


def test_what_relatives_contradict_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    net = relatives.Weights.of(mcinj.Network([[[1], [-1], [2]]]))
    said = mcinj.check(net.network())
    answers = [said, dataclasses.replace(said, verdict=mcinj.Outcome.NOT_INJECTIVE)]
    monkeypatch.setattr(mcinj, "check", lambda *_, **__: answers.pop(0))
    found = relatives._judged(np.random.default_rng(0), net, {}, "a layer")
    assert found.kind == "contradiction"
    assert found.kind not in HONEST
    right = mcinj.stability(net.network())
    apart = [right, dataclasses.replace(right, sigma_lo=right.sigma_hi * 2, sigma_hi=right.sigma_hi * 3)]
    monkeypatch.setattr(mcinj, "stability", lambda *_, **__: apart.pop(0))
    assert relatives._bounds(net, net, {}, mcinj.Outcome.INJECTIVE)
    monkeypatch.undo()
    monkeypatch.setattr(relatives, "passes_global", lambda *_: False)
    assert any(relatives._presented(np.random.default_rng(k), net, "global", {}) for k in range(3))


def test_leaky_regions_are_those_of_slopes() -> None:
    """Of two outputs of two inputs: injective where determinants of all regions have one sign, sampled by angle."""
    seen: Counter[bool] = Counter()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        net = mcinj.Network([rng.integers(-3, 4, (3, 2)), rng.integers(-3, 4, (2, 3))])
        signs = set()
        for angle in np.linspace(0.0, 2 * np.pi, 500):
            slopes = np.where(net.weights[0] @ [np.cos(angle), np.sin(angle)] > 0, 1.0, 0.5)
            signs.add(int(np.sign(np.round(np.linalg.det(net.weights[1] @ (slopes[:, None] * net.weights[0])), 9))))
        found = leaky.injective_leaky(net, Fraction(1, 2))
        assert found == (len(signs) == 1 and 0 not in signs)
        seen[found] += 1
    assert min(seen[True], seen[False]) > 3


def test_preimages_of_regions_are_those_of_patterns() -> None:
    """Two oracles that share no code: rays of regions, and elimination on every activation pattern."""
    seen = Counter()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, biased = int(rng.integers(1, 3)), bool(rng.integers(2))
        sizes = (n, int(rng.integers(n, 4)), 3)
        weights = [rng.integers(-2, 3, (b, a)) for a, b in pairwise(sizes)]
        net = mcinj.Network(weights, [rng.integers(-1, 2, m) for m in sizes[1:]] if biased else None)
        regions = Regions(net.exact_weights, net.exact_biases)
        if regions.cells is None:
            continue
        for _, y in inversions.outputs(net, regions, rng):
            exact = [Fraction(v) for v in y]
            found = regions.preimages(exact)
            assert bool(found.points) == bool(consistent_patterns(net, exact))
            if found.points:
                assert found.alone is not others(net, exact, min(found.points))
            seen[len(found.points), found.unbounded] += 1
    assert {(0, False), (1, False), (1, True)} <= set(seen)
    assert any(points > 1 for points, _ in seen)


def test_wrong_inversions_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    fold = mcinj.Network([[[1], [-1]], [[1, 1]]])  # |x|
    regions = Regions(fold.exact_weights, None)
    right = mcinj.invert(fold, [2])

    def kind(y: int, **changes: object) -> str:
        monkeypatch.setattr(mcinj, "invert", lambda *_, **__: dataclasses.replace(right, **changes))
        return inversions.judged(fold, "exact", [Fraction(y)], regions.preimages([Fraction(y)]), "").kind

    assert kind(2) == "agreed"
    assert kind(3) == "bad witness"
    assert kind(2, unique=True) == "false pass"
    assert kind(2, x=None, other=None, unique=None, pieces=()) == "false pass"
    assert kind(0, x=(Fraction(0),), other=None) == "false failure"
    assert kind(2, pieces=right.pieces[:1]) == "lost input"
    assert kind(2, complete=False) == "unknown"
    assert not {"bad witness", "false pass", "false failure", "lost input"} & set(HONEST)


def test_a_proof_for_a_failing_network_is_a_false_acceptance(monkeypatch: pytest.MonkeyPatch) -> None:
    from mcinj.certify.verification import Verification

    monkeypatch.setattr(proofs, "verify", lambda *_, **__: Verification(True, "", "exact"))
    network = mcinj.Network([[[2, 1], [1, 3], [-2, -1], [-1, -3]]])
    certificate = mcinj.check(network, certificate=True).certificate
    assert certificate is not None
    found = proofs._judged(certificate, network, True, np.random.default_rng(0), "a proof")
    assert found.kind == "false acceptance"


def test_experiments_of_every_kind_are_disturbed() -> None:
    kinds = {parse(tomllib.loads(f'name = "k"\n{text}')).kind for text in disturbed.EXPERIMENTS.values()}
    assert {"threshold", "stacks", "probe", "active", "cells"} <= kinds


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_disturbed_experiment_and_two_that_lose_or_change_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disturbed, "STARTS", 2)
    monkeypatch.setattr(disturbed, "PAUSE", "0.02")
    found = disturbed.outcome(0, (disturbed.kill_workers,))
    assert found.kind == disturbed.SAME, found.note
    assert found.also["kills of workers"] > 0

    def lose(place: disturbed.Place) -> None:
        place.end(place.start(), 0)
        _change(place.folder, "DELETE FROM trials WHERE trial = 7")
        place.end(place.start("--shard", "1/2"), 2)  # refused, so that it mends nothing

    def alter(place: disturbed.Place) -> None:
        place.end(place.start(), 0)
        _change(place.folder, "UPDATE trials SET nodes = nodes + 1 WHERE trial = 7")

    for attack, kind in ((lose, "rows lost"), (alter, "another table")):
        assert disturbed.outcome(0, (attack,)).kind == kind
        assert kind not in HONEST
    with pytest.raises(disturbed.Faulty, match="another table"):
        disturbed.same(pd.DataFrame({"n": [1], "seconds": [0.1]}), pd.DataFrame({"n": [2], "seconds": [0.1]}))


def _change(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "r" / "trials.sqlite", isolation_level=None)) as db:
        db.execute(statement)


@pytest.mark.parametrize("kind", ["npz", "toml", "safetensors", "onnx"])
def test_damaged_files_are_refused_or_read(kind: str, tmp_path: Path) -> None:
    if kind in ("safetensors", "onnx"):
        pytest.importorskip(kind)
    for k in range(40):
        rng = np.random.default_rng([1, k])
        path = tmp_path / f"file.{kind}"
        path.write_bytes(files.damaged(rng, *files._sample(kind, rng)))
        outcome, note = files._read(kind, path, "a file")
        assert outcome in HONEST, note


def test_runs_append_and_the_page_tells_them(tmp_path: Path) -> None:
    first = record.Run("one_layer", 0, 10, Counter(agreed=10), engine="new")
    record.keep(first, tmp_path)
    first.after, first.counts["agreed"] = 20, 20  # the same run, later
    record.keep(first, tmp_path)
    assert record.next_instance("one_layer", "new", tmp_path) == 20
    wrong = Counter({"agreed": 4, "false pass": 1})
    record.keep(record.Run("one_layer", 20, 25, wrong, findings=["number 23"], engine="new"), tmp_path)
    assert [run.counts.total() for run in record.runs_of("one_layer", tmp_path)] == [20, 5]
    page.write(tmp_path / "page.md", tmp_path)
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| One layer, in bulk | 25 | 24 agreed | **1 false pass** |" in text
    assert "number 23" in text
    assert "Earlier engines" not in text


def test_counts_of_one_engine_say_nothing_of_another(tmp_path: Path) -> None:
    """Every engine begins at instance 0; the head tells of the newest alone, what went wrong before stays in sight."""
    runs = [
        record.Run("deep", 0, 5, Counter({"agreed": 4, "false pass": 1}), findings=["seed 3"], engine="old"),
        record.Run("one_layer", 0, 70, Counter(agreed=70), engine="old"),
    ]
    runs[0].remark = "It was mended."
    for run in runs:
        record.keep(run, tmp_path)
    for path in tmp_path.glob("*.json"):  # runs of days ago
        path.write_text(path.read_text(encoding="utf-8").replace(runs[0].ended[:4], "2020"), encoding="utf-8")
    assert record.newest_engine(CAMPAIGNS, tmp_path) == "old"
    assert record.next_instance("deep", "new", tmp_path) == 0
    record.keep(record.Run("deep", 0, 3, Counter(agreed=3), engine="new"), tmp_path)
    assert record.newest_engine(CAMPAIGNS, tmp_path) == "new"
    assert len(record.runs_of("deep", tmp_path)) == 2
    page.write(tmp_path / "page.md", tmp_path)
    head, below = (tmp_path / "page.md").read_text(encoding="utf-8").split("## Earlier engines")
    assert "| Deep networks | 3 | 3 agreed | none |" in head
    assert "| One layer, in bulk | 0 | not run with this engine yet | – |" in head
    assert f"| Deep networks | old (commit {runs[0].commit}) | 5 | 4 agreed | **1 false pass** |" in below
    assert f"| One layer, in bulk | old (commit {runs[1].commit}) | 70 | 70 agreed | none |" in below
    assert below.index("seed 3") < below.index("It was mended.")


def test_the_page_is_that_of_the_record(tmp_path: Path) -> None:
    """docs/reliability.md is never edited by hand."""
    page.write(tmp_path / "page.md")
    committed = Path(__file__).parents[2] / "docs" / "reliability.md"
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")
