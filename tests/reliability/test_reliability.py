"""The attacks can see what they look for: the oracle agrees with another one, wrong answers are counted as wrong."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from naive.verdicts import passes_one_layer
from structured.comparison import Comparison

import mcinj
from reliability import files, onelayer, page, proofs, record, verdicts
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
    for name, count in (("one_layer", 30), ("inversion", 20), ("stability", 3), ("deep", 3)):
        kinds = Counter(outcome.kind for outcome in islice(CAMPAIGNS[name].run(0), count))
        assert kinds == {"agreed": count}, name


def test_wrong_answers_are_not_honest() -> None:
    worst = verdicts._outcome(
        [Comparison("global", kind, True, 0.0) for kind in ("agreed", "unknown", "false failure")], "a network", False
    )
    assert worst.kind == "false failure"
    assert worst.kind not in HONEST
    case = onelayer.Instance("a layer", mcinj.Network([[[1, 0], [0, 1], [-1, -1]]]), True, "global")
    assert verdicts._stable(case).kind == "false failure"
    assert verdicts._inverted(case, np.random.default_rng(3)).kind in ("agreed", "false failure")


def test_a_proof_for_a_failing_network_is_a_false_acceptance(monkeypatch: pytest.MonkeyPatch) -> None:
    from mcinj.certify.checker import Verification

    monkeypatch.setattr(proofs, "verify", lambda *_, **__: Verification(True, "", "exact"))
    network = mcinj.Network([[[2, 1], [1, 3], [-2, -1], [-1, -3]]])
    certificate = mcinj.check(network, certificate=True).certificate
    assert certificate is not None
    found = proofs._judged(certificate, network, True, np.random.default_rng(0), "a proof")
    assert found.kind == "false acceptance"


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
    first = record.Run("one_layer", 0, 10, Counter(agreed=10))
    record.keep(first, tmp_path)
    first.after, first.counts["agreed"] = 20, 20  # the same run, later
    record.keep(first, tmp_path)
    assert record.next_instance("one_layer", tmp_path) == 20
    wrong = Counter({"agreed": 4, "false pass": 1})
    record.keep(record.Run("one_layer", 20, 25, wrong, findings=["number 23"]), tmp_path)
    assert [run.counts.total() for run in record.runs_of("one_layer", tmp_path)] == [20, 5]
    page.write(tmp_path / "page.md", tmp_path)
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert "| One layer, in bulk | 25 | 24 agreed | **1 false pass** |" in text
    assert "number 23" in text


def test_the_page_is_that_of_the_record(tmp_path: Path) -> None:
    """docs/reliability.md is never edited by hand."""
    page.write(tmp_path / "page.md")
    committed = Path(__file__).parents[2] / "docs" / "reliability.md"
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == committed.read_text(encoding="utf-8")
