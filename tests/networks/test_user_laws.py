"""Laws of a user's own: reproducible, recorded by name and digest, decided exactly, known to worker processes."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mcinj
from mcinj import InputError
from mcinj.networks import Ensemble, RowStream, laws, read_npz, write_npz
from mcinj.networks.laws import source_digest, user_law


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laws, "_KNOWN", {})


def student(rng: np.random.Generator, n: int) -> Any:
    """Heavy tails."""
    return rng.standard_t(3, size=n)


def test_streams_are_prefixes_of_themselves_and_the_functions_rows() -> None:
    assert mcinj.register_ensemble("student", student) is student
    long, short = RowStream("student", 4, 5), RowStream("student", 4, 5)
    rows = long.take(37)
    assert np.array_equal(np.concatenate([short.take(1), short.take(5)[1:], short.take(37)[5:]]), rows)
    rng = long.seed.generator(1, 0)
    assert np.array_equal(rows, [student(rng, 4) for _ in range(37)])
    assert not np.array_equal(rows, RowStream("student", 4, 6).take(37))


def test_nothing_is_known_of_it() -> None:
    mcinj.register_ensemble("student", student)
    law = Ensemble.parse("student")
    assert not law.in_general_position
    assert not law.symmetric_rows
    assert not law.rotation_invariant
    assert mcinj.sample(3, (30,), "student", 1).premise is None
    draw = mcinj.threshold(3, ensemble="student", seed=3)
    assert (draw.certified, draw.m_hi) == ("exact", draw.m_lo + 1)  # type: ignore[operator]
    assert draw.ensemble == f"student@{source_digest(student)}" == str(law)
    assert Ensemble.parse(draw.ensemble) == law


def test_the_digest_follows_the_source() -> None:
    def law(df: float) -> Any:
        return lambda rng, n: rng.standard_t(df, size=n)

    assert source_digest(law(3)) == source_digest(law(3)) != source_digest(law(4))
    first, second = (lambda rng, n: rng.normal(size=n)), (lambda rng, n: rng.random(n))  # one line, two laws
    assert source_digest(first) != source_digest(second)
    space: dict[str, Any] = {}
    exec("def typed(rng, n):\n    return rng.random(n)", space)  # no source to read
    assert len(source_digest(space["typed"])) == 12
    held = [1.0]
    with pytest.raises(InputError, match="held is a list"):
        source_digest(lambda rng, n: held * n)
    with pytest.raises(InputError, match="plain function"):
        source_digest(np.random.default_rng().normal)


def test_another_function_under_a_recorded_name_is_refused() -> None:
    mcinj.register_ensemble("student", student)
    old = str(Ensemble.parse("student"))
    mcinj.register_ensemble("student", lambda rng, n: rng.standard_t(4, size=n))
    with pytest.raises(InputError, match="source has changed"):
        mcinj.sample(3, (4,), str.__str__(old))
    laws._KNOWN.clear()
    # A report needs no function, drawing does.
    assert str(Ensemble.parse(old)) == old
    with pytest.raises(InputError, match="unknown ensemble 'student'"):
        mcinj.sample(3, (4,), old)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda rng, n: rng.normal(size=n + 1), "shape"),
        (lambda rng, n: ["a"] * n, "no row of numbers"),
        (lambda rng, n: [np.inf] * n, "inf or nan"),
        (lambda rng, n: rng.normal(size=(1, n)), "shape"),
        (lambda rng, n: np.random.default_rng().normal(size=n), "two different rows"),
        (lambda rng: rng.normal(size=3), "no row of numbers"),
    ],
)
def test_functions_that_give_no_rows(function: Any, message: str) -> None:
    mcinj.register_ensemble("bad", function)
    with pytest.raises(InputError, match=message):
        mcinj.sample(3, (4,), "bad")


@pytest.mark.parametrize("name", ["gaussian", "Big", "a:b", "a@b", "", "1", "x" * 41, 3])
def test_bad_names(name: Any) -> None:
    with pytest.raises(InputError):
        mcinj.register_ensemble(name, student)


def test_a_zero_and_a_constant_law_are_decided_like_any_weights() -> None:
    mcinj.register_ensemble("zero", lambda rng, n: np.zeros(n))
    network = mcinj.sample(2, (5,), "zero")
    assert str(mcinj.check(network).verdict) == "not_injective"
    draw = mcinj.threshold(1, ensemble="zero", node_budget=10)
    assert draw.m_hi is None


def test_files_of_such_networks_are_read_without_the_function(tmp_path: Path) -> None:
    mcinj.register_ensemble("student", student)
    network = mcinj.sample(3, (12,), "student", 4)
    write_npz(network, tmp_path / "a.npz", drawn=(str(Ensemble.parse("student")), "4"))
    laws._KNOWN.clear()
    read = read_npz(tmp_path / "a.npz")
    assert read.premise is None
    assert np.array_equal(read.weights[0], network.weights[0])


def test_installed_packages_offer_laws(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        value = "my_laws:student"

        def __init__(self, broken: bool) -> None:
            self.broken = broken

        def load(self) -> Any:
            if self.broken:
                raise ImportError("no module named scipy_extra")
            return student

    def entry_points(*, group: str, name: str) -> list[Point]:
        assert group == "mcinj.ensembles"
        return {"student": [Point(False)], "broken": [Point(True)]}.get(name, [])

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
    assert mcinj.sample(2, (3,), "student").widths == (3,)
    assert not user_law("student").carried
    assert type(str(Ensemble.parse("student"))) is str
    with pytest.raises(InputError, match="broken of my_laws:student cannot be loaded: no module"):
        mcinj.sample(2, (3,), "broken")
    with pytest.raises(InputError, match="unknown ensemble 'nowhere'"):
        mcinj.sample(2, (3,), "nowhere")


def test_names_take_their_function_along() -> None:
    mcinj.register_ensemble("student", student)
    text = str(Ensemble.parse("student"))
    assert copy.deepcopy(text) is text
    sent = pickle.dumps(text)
    assert pickle.loads(sent) == text
    assert user_law("student").carried  # still: the law was known here
    laws._KNOWN.clear()
    assert type(pickle.loads(sent)) is str
    assert user_law("student", text.partition("@")[2]).function is student


SCRIPT = '''
import sys
import mcinj

@mcinj.register_ensemble("laplace")
def laplace(rng, n):
    return rng.laplace(size=n)

if __name__ == "__main__":
    config = {"name": "t", "seed": 1, "threshold": [{"n": [2, 3], "trials": 12, "ensemble": "laplace"}]}
    tables = [mcinj.run(config, jobs=k, results=f"{sys.argv[1]}/{k}").drop(columns="seconds") for k in (1, 2)]
    assert tables[0].equals(tables[1])
    assert set(tables[0]["certified"]) == {"exact"}
    print("same", len(tables[0]))
'''


def test_workers_draw_the_same_rows(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py", str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.stdout.strip() == "same 24", done.stderr
    made = mcinj.report([tmp_path / "2"])  # without the function
    assert (made.comparison["verdict"] == "").all()
    assert mcinj.load(tmp_path / "2").trials["ensemble"].str.startswith("laplace@").all()
