"""The page: everything is escaped, sortable, anchored, whole; pictures small, and no ids met twice."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mcinj.show.lines import spread
from mcinj.show.page import Page
from mcinj.show.style import figure, named, save
from mcinj.show.svg import compact, embedded
from mcinj.show.tables import folded

EVIL = '<script>alert("x")</script> & {{ 7 * 7 }} {% raw %}'


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    with figure() as (fig, axes):
        axes.plot([0.123456789, 1, 2], [1, 2.123456789, 3], marker="o", label="a")
        axes.fill_between([0, 1], [0, 1], [1, 2], alpha=0.3)
        axes.set_title("3.14159 <b> & 2.71828")
        png, svg = save(fig, folder, "p")
    assert png.read_bytes().startswith(b"\x89PNG")
    return svg


@pytest.mark.parametrize("wide", [3.26, 4.02, 4.03, 6.4, 8.25])
def test_pictures_are_as_wide_as_they_were_drawn(wide: float, tmp_path: Path) -> None:
    with figure(figsize=(wide, 3.0)) as (fig, axes):
        axes.axvspan(0, 1, color="black")
        fig.savefig(tmp_path / "theirs.png")
        png, _ = save(fig, tmp_path, "ours")
    theirs, ours = (np.asarray(Image.open(path).convert("L"), dtype=float) for path in (tmp_path / "theirs.png", png))
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).mean() < 2  # a row that is a pixel too short shears the picture: 50 and more


def test_texts_of_users_are_text(picture: Path) -> None:
    page = Page(EVIL)
    page.finding(EVIL)
    page.warning(EVIL)
    page.heading(EVIL)
    page.text(EVIL)
    page.picture(picture, EVIL)
    page.table(pd.DataFrame({EVIL: [EVIL], "pair": [(EVIL, 1.0)]}), EVIL)
    text = page.render()
    assert text.count("<script>") == 1  # the page's own
    assert "alert(&#34;x&#34;)" in text
    assert "{{ 7 * 7 }}" in text
    assert "49" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.S)


def test_anchors_are_unique_and_listed() -> None:
    page = Page("t")
    for title in ("Same", "Same", "±1", "Findings", "same!"):
        page.heading(title)
    text = page.render()
    anchors = re.findall(r'<h2 id="([^"]+)"', text)
    assert len(set(anchors)) == len(anchors) == 5
    assert all(text.count(f'href="#{a}"') == 2 for a in anchors)
    assert "findings" not in anchors


def test_cells_hold_what_they_are_sorted_by() -> None:
    frame = pd.DataFrame(
        {"x": [2.0, float("inf"), float("nan")], "n": [10, 9, 8], "t": ["54,67", "", "5"],
         "pair": [("1.0 [0, 2]", 1.0), ("–", float("nan")), ("∞", float("inf"))]}
    )  # fmt: skip
    page = Page("t")
    page.table(frame)
    rows = re.findall(r"<tr>(<td.*?)</tr>", page.render())
    keys = [re.findall(r'data-sort="([^"]*)"', row) for row in rows]
    assert keys == [["2", "1"], ["Infinity", "NaN"], ["NaN", "Infinity"]]
    assert "<td>10</td>" in rows[0]
    assert '<td class="short">54,67</td>' in rows[0]


def test_a_long_table_says_what_it_leaves_out() -> None:
    page = Page("t")
    page.table(pd.DataFrame({"a": range(450)}))
    text = page.render()
    assert text.count("<tr>") == 401
    assert "50 more rows" in text


def test_a_page_is_fit_for_small_screens_and_needs_no_net(picture: Path) -> None:
    page = Page("t")
    page.picture(picture, "c")
    text = page.render()
    assert '<meta name="viewport" content="width=device-width' in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)
    assert not re.search(r"(fetch|import|XMLHttpRequest|@import)\s*\(", text)


def test_two_pictures_share_no_id(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    both = embedded(text, "f1-", "one") + embedded(text, "f2-", "two")
    ids = re.findall(r' id="([^"]+)"', both)
    assert len(ids) == len(set(ids)) > 2
    used = set(re.findall(r"url\(#([^)]+)\)", both)) | set(re.findall(r'href="#([^"]+)"', both))
    assert used == set(ids)
    root = ET.fromstring(embedded(text, "f1-", "one").replace("xlink:href", "href"))
    assert root.get("aria-label") == "one"
    assert root.get("viewBox")
    assert root.get("width") is None


def test_compact_keeps_labels_and_shape(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    assert "3.14159 &lt;b&gt; &amp; 2.71828" in text
    assert not re.search(r'="[^"]*\d\.\d{3,}', text)
    ET.fromstring(text)
    assert compact(text) == text


@given(st.lists(st.floats(0, 1), max_size=12), st.floats(0.01, 0.08))
def test_labels_are_moved_apart_in_order_and_no_further(places: list[float], gap: float) -> None:
    found = spread(places, gap)
    assert len(found) == len(places)
    assert all(b - a >= gap - 1e-6 for a, b in pairwise(found))
    assert all(-1e-6 <= v <= 1 + 1e-6 for v in found)
    ordered = sorted(places)
    if all(b - a >= gap for a, b in pairwise(ordered)):
        assert found == pytest.approx(ordered, abs=1e-6)


@given(st.integers(1, 60))
def test_a_legend_names_eight_at_most_and_both_ends(count: int) -> None:
    chosen = named(count)
    assert len(chosen) == min(count, 8)
    assert {0, count - 1} <= chosen


def test_summaries_are_folded_for_the_page() -> None:
    """Intervals stand behind their value and are sorted by it; what is the same in every row is left out."""
    frame = pd.DataFrame(
        {
            "n": [2, 3],
            "law": ["a", "a"],
            "mean": [1.0, 2.5],
            "mean_lo": [0.5, 2.0],
            "mean_hi": [1.5, np.inf],
            "x_lo": [1, 2],
        }
    )
    view = folded(frame)
    assert list(view.columns) == ["n", "mean", "x_lo"]
    assert view["mean"].tolist() == [("1.000 [0.500, 1.500]", 1.0), ("2.500 [2.000, ∞]", 2.5)]
    assert list(folded(frame.head(1)).columns) == ["n", "law", "mean", "x_lo"]


def test_columns_of_words_do_not_wrap_and_wide_tables_are_dense(tmp_path: Path) -> None:
    page = Page("t")
    page.table(pd.DataFrame({"verdict": ["supported"], "why": ["it is longer than a word or an interval"]}))
    page.table(pd.DataFrame([range(13)], columns=[f"c{k}" for k in range(13)]))
    text = page.render()
    assert '<td class="short">supported</td>' in text
    assert '<td class="text">it is longer' in text
    assert text.count('<table class="dense">') == 1
