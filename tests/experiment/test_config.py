"""Experiment files: strict, and every complaint names the place and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcinj import InputError
from mcinj.experiment.config import load, parse

GOOD = """
name = "a"
seed = 3
[[threshold]]
n = [2, 3]
trials = 5
expansions_before = [6.7004]
ensemble = "sparse:0.50"
"""

HEAD = 'name = "a"\n[[threshold]]\n'
BAD = {
    'nme = "a"': "did you mean 'name'",
    'name = "a"\nfoo = 1': "'foo'",
    'name = "a"': "threshold",
    HEAD + "n = 2\ntrial = 3": "did you mean 'trials'",
    HEAD + "n = 2": "'trials' is missing",
    HEAD + 'n = "2"\ntrials = 3': "n: Expected",
    HEAD + "n = []\ntrials = 3": "empty list",
    HEAD + "n = [2, 0]\ntrials = 3": "n = 0",
    HEAD + "n = 2\ntrials = 0": "trials = 0",
    HEAD + "n = 2\ntrials = 2.5": "trials",
    HEAD + "n = 2\ntrials = 3\nnode_budget = -1": "node_budget",
    HEAD + 'n = 2\ntrials = 3\nensemble = "gausian"': "choose one of gaussian",
    HEAD + 'n = 2\ntrials = 3\ncriterion = "regionl"': "did you mean 'regional'",
    HEAD + "n = 2\ntrials = 3\nexpansions_before = [0.1]": "expansion 1",
    HEAD + "n = 2\ntrials = 3\nexpansions_before = [3.0]\nwidths_before = [6]": "not both",
    HEAD + "n = 2\ntrials = 3\nwidths_before = [0]": "widths_before",
    HEAD + "n = [2, 2]\ntrials = 3": "same series",
    'name = "../x"\n[[threshold]]\nn = 2\ntrials = 3': "names the results folder",
    'name = "a"\nseed = -1\n[[threshold]]\nn = 2\ntrials = 3': "seed",
    'name = "a"\n[[stacks]]\nn = 2\ncount = 3': "widths or expansions",
    'name = "a"\n[[stacks]]\nn = 2\ncount = 3\nwidths = [4]\nengines = ["tre"]': "did you mean 'tree'",
    'name = "a"\n[[stacks]]\nn = 2\ncount = 3\nwidths = [4]\n[[threshold]]\nn = 2\ntrials = 3': "blocks of one kind",
    "name = ": "not valid TOML",
}


def test_a_good_file() -> None:
    experiment = parse(GOOD)
    assert experiment.kind == "threshold"
    assert experiment.trials == 10
    assert [(s.n, s.widths_before, s.before, s.ensemble) for s in experiment.series] == [
        (2, (13,), "13", "sparse:0.5"),
        (3, (20,), "20", "sparse:0.5"),
    ]


@pytest.mark.parametrize("text", BAD)
def test_bad_files(text: str, tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load(path)
    assert BAD[text] in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "none.toml")
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not valid TOML"):
        load(tmp_path / "x.toml")


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "experiments").glob("*.toml")), ids=lambda p: p.stem
)
def test_the_experiments_that_we_ship_are_valid(path: Path) -> None:
    experiment = load(path)
    assert experiment.name == path.stem
    assert f"experiments/{path.name}" in path.read_text(encoding="utf-8")
