"""Stopping rules of an experiment as its record holds them, and what they mean for a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mcinj.infer import SeriesKey, parse_rule, samples_by_series
from mcinj.infer.stopping import sample_under

if TYPE_CHECKING:
    import pandas


def recorded_rules(meta: Mapping[str, str]) -> dict[SeriesKey, str]:
    """Texts of the stopping rules by series, from the meta data of a results directory."""
    found = {}
    for item in json.loads(meta.get("plan", "[]")):
        if item.get("rule"):
            n, before, criterion, ensemble = item["key"]
            found[SeriesKey(int(n), before, criterion, ensemble)] = str(item["rule"])
    return found


def stopped_table(table: pandas.DataFrame, rules: Mapping[SeriesKey, str]) -> pandas.DataFrame:
    """The trials that count: of a series with a rule those up to its stop, in the order of their numbers."""
    if not rules:
        return table
    keep = np.ones(len(table), dtype=bool)
    for key, sample in samples_by_series(table):
        if key not in rules:
            continue
        part, _ = sample_under(parse_rule(rules[key]), sample)
        inside = (
            (table["n"] == key.n)
            & (table["widths_before"] == key.widths_before)
            & (table["criterion"] == key.criterion)
            & (table["ensemble"] == key.ensemble)
        ).to_numpy()
        keep[np.flatnonzero(inside)[part.trials :]] = False
    return table[keep].reset_index(drop=True)


def look_levels(rules: Mapping[SeriesKey, str], level: float = 0.95) -> dict[SeriesKey, float]:
    """The level of a single interval, by series, so that the reported one covers with `level` under the rule."""
    return {key: parse_rule(text).look_level(level) for key, text in rules.items()}
