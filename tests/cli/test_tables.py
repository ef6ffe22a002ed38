"""Tables in terminals of any width: words and numbers stay whole, what is left out is named, pipes get everything."""

from __future__ import annotations

import re

import pandas
import pytest

from mcinj.cli.tables import print_table

FRAME = pandas.DataFrame(
    {
        "name": ["first moment (union bound)", "Euler characteristic", "1RSB"],
        "m/n": [9.08860712345, 8.3446, float("inf")],
        "criterion": ["regional"] * 3,
        "seconds_per_trial": [1, 20000, 3],
        "source": ["Markov's inequality on the cell count", "saddle of the mean", "arXiv:2302.14112, arXiv:2410.20646"],
    }
)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


@pytest.mark.parametrize("width", [20, 30, 40, 50, 60, 70, 80, 100, 120, 200])
def test_words_and_numbers_stay_whole(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    print_table(FRAME)
    shown = lines(capsys)
    assert max(map(len, shown)) <= width
    words = " ".join(shown).split()
    left_out = " ".join(words).partition("No room for: ")[2]
    for name in FRAME.columns:
        title = str(name).replace("_", " ")
        if title in left_out:
            continue
        cells = ["9.0886", "8.3446", "∞"] if name == "m/n" else [str(v) for v in FRAME[name]]
        for text in [title, *cells]:
            for word in text.split():
                assert any(word in w for w in words), (width, word)
    assert (left_out == "") == (width >= 60)


def test_a_pipe_gets_all_columns_in_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(FRAME)
    shown = [line for line in lines(capsys) if line.strip()]
    assert len(shown) == 2 + len(FRAME)
    assert all(name in shown[0] for name in ("criterion", "seconds per trial", "source"))


def test_an_empty_table_and_one_of_equal_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "20")
    print_table(FRAME[:0])
    print_table(pandas.DataFrame({"a long name of it": ["alike"] * 3, "another long name": ["alike too"] * 3}))
    assert "alike" in " ".join(lines(capsys))
