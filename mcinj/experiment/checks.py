"""What a results directory must hold to be believed: column types, ranges, meta data, plan. One line for the rest."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcinj.errors import InputError
from mcinj.experiment.columns import COLUMNS, FORMAT, GROUP_KEYS, Column

if TYPE_CHECKING:
    import pandas

_WIDTHS = re.compile(r"([1-9][0-9]{0,9}(,[1-9][0-9]{0,9})*)?", re.ASCII)
_LARGEST = 2**62
# Values that the package itself writes; anything else is another version's, or damage.
_WORDS = {
    "criterion": {"layerwise", "regional", "global"},
    "certified": {"exact", "generic", "none"},
    "verdict": {"injective", "not_injective", "unknown"},
}
# Numbers that may be negative (margins; infinite where rows are dependent, or nothing is known): least, most, in words.
_RANGES = dict.fromkeys(("margin_lo", "margin_hi"), (-math.inf, math.inf, "a number"))


def checked_meta(found: Mapping[Any, Any], where: object) -> dict[str, str]:
    """The meta data of a record or table, checked; `InputError` says what is not as this version writes it."""
    bad = next((k for k, v in found.items() if not isinstance(k, str) or not isinstance(v, str)), None)
    if bad is not None:
        raise InputError(f"{where} is damaged: its meta data {bad!r} is no text; {_REMEDY}")
    meta = {str(k): str(v) for k, v in found.items()}
    missing = [key for key in ("name", "seed", "kind", "format") if key not in meta]
    if missing:
        raise InputError(f"{where} is not a readable record of mcinj: it has no {missing[0]}; {_REMEDY}")
    if meta["format"] != str(FORMAT):
        raise InputError(
            f"{where} was written in format {meta['format'][:40]!r}, this version reads format {FORMAT}; "
            "use the version of mcinj that wrote it"
        )
    if meta["kind"] not in COLUMNS:
        raise InputError(f"{where} is damaged: unknown kind {meta['kind'][:40]!r}; {_REMEDY}")
    if not re.fullmatch(r"[0-9]{1,19}", meta["seed"], re.ASCII):
        raise InputError(f"{where} is damaged: its seed is {meta['seed'][:40]!r}; {_REMEDY}")
    plan_of(meta, where)
    quarantined_of(meta, where)
    return meta


_REMEDY = "move it away or choose another directory"


def plan_of(meta: Mapping[str, str], where: object = "the record") -> list[dict[str, Any]]:
    """The plan: per series or set `key`, `trials` and, where given, `rule`, `node_budget`, `checks`."""
    names = GROUP_KEYS[meta["kind"]]
    types = {name: int if sql == "INTEGER" else str for name, sql, _, _ in COLUMNS[meta["kind"]]}
    return [
        item
        for item in _listed(meta, "plan", where)
        if _fits(item.get("key"), names, types, where, "plan")
        and _whole(item.get("trials"), where, "plan")
        and (item.get("node_budget") is None or _whole(item["node_budget"], where, "plan"))
        and _whole(item.get("checks", 1), where, "plan")
        and _rule(item.get("rule"), where)
    ]


def quarantined_of(meta: Mapping[str, str], where: object = "the record") -> list[dict[str, Any]]:
    """Trials set aside after three deaths of their workers: `key`, `trial`, `deaths`, `cause`."""
    names = GROUP_KEYS[meta["kind"]]
    types = {name: int if sql == "INTEGER" else str for name, sql, _, _ in COLUMNS[meta["kind"]]}
    return [
        {**item, "cause": str(item.get("cause", ""))}
        for item in _listed(meta, "quarantined", where)
        if _fits(item.get("key"), names, types, where, "quarantine")
        and _whole(item.get("trial"), where, "quarantine")
        and _whole(item.get("deaths"), where, "quarantine")
    ]


def _listed(meta: Mapping[str, str], key: str, where: object) -> list[dict[str, Any]]:
    try:
        found = json.loads(meta.get(key, "[]"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise InputError(f"{where} is damaged: its {key} cannot be read; {_REMEDY}")
    return found


def _fits(key: Any, names: tuple[str, ...], types: Mapping[str, type], where: object, what: str) -> bool:
    good = isinstance(key, list) and len(key) == len(names)
    good = good and all(type(v) is types[n] for v, n in zip(key, names, strict=True))
    if good:
        values = dict(zip(names, key, strict=True))
        good = 1 <= values["n"] <= 2**31 and all(
            _WIDTHS.fullmatch(values[c]) for c in ("widths", "widths_before") if c in values
        )
    if not good:
        raise InputError(f"{where} is damaged: the {what} names a series {str(key)[:60]}; {_REMEDY}")
    return True


def _whole(value: Any, where: object, what: str) -> bool:
    if type(value) is not int or not 0 <= value < _LARGEST:
        raise InputError(f"{where} is damaged: the {what} holds {str(value)[:40]} for a whole number; {_REMEDY}")
    return True


def _rule(text: Any, where: object) -> bool:
    if text is None:
        return True
    if not isinstance(text, str):
        raise InputError(f"{where} is damaged: the plan's stopping rule is {str(text)[:40]}; {_REMEDY}")
    if text:
        from mcinj.infer.stopping import parse_rule

        parse_rule(text)
    return True


def typed(
    frame: pandas.DataFrame, columns: tuple[Column, ...], root: str, where: object
) -> pandas.DataFrame:
    """The table in its documented types and order; `InputError` if a column holds anything else.

    Rows come out by their keys: the same whatever the order in which trials arrived. Their seeds must be those of the
    experiment whose root seed is `root`.
    """
    import pandas

    made = {}
    for name, _, kind, _ in columns:
        series = frame[name]
        if len(series):
            _check_column(series, name, kind, where)
        try:
            made[name] = series.astype(kind)  # type: ignore[call-overload]
        except (TypeError, ValueError, OverflowError):
            raise _damaged(where, name, "values of another type") from None
    table = pandas.DataFrame(made)
    keys = [c for c, _, _, k in columns if k]
    table = table.sort_values(keys, kind="stable").reset_index(drop=True)
    if table.duplicated(keys).any():
        raise _damaged(where, "trial", "the same trial twice")
    if (table["seed"] != root + "/" + table["n"].astype("str") + "/" + table["trial"].astype("str")).any():
        raise _damaged(where, "seed", "the seed of another trial")
    if {"m_lo", "m_hi"} <= set(table.columns) and (table["m_hi"] <= table["m_lo"]).fillna(False).any():
        raise _damaged(where, "m_hi", "a value that is not above m_lo")
    if {"margin_lo", "margin_hi"} <= set(table.columns) and (table["margin_hi"] < table["margin_lo"]).any():
        raise _damaged(where, "margin_hi", "a value below margin_lo")
    return table


def _check_column(series: pandas.Series[Any], name: str, kind: str, where: object) -> None:
    import pandas

    held = pandas.api.types.infer_dtype(series, skipna=True)
    empty = bool(series.isna().any())
    if kind == "str":
        if held != "string" or empty:
            raise _damaged(where, name, "something else than text")
        distinct = series.unique() if name in _WORDS or name.startswith("widths") else ()
        if name in _WORDS and not set(distinct) <= _WORDS[name]:
            raise _damaged(where, name, f"the value {sorted(set(distinct) - _WORDS[name])[0][:40]!r}")
        if name.startswith("widths") and not all(_WIDTHS.fullmatch(text) for text in distinct):
            raise _damaged(where, name, "something else than widths")
        return
    if empty and kind != "Int64":
        raise _damaged(where, name, "an empty value")
    filled = series.dropna()
    if not len(filled):
        return
    if kind == "float64":
        lowest, highest, word = _RANGES.get(name, (0.0, 1e300, "a number from 0"))
        if held not in ("floating", "integer", "mixed-integer-float") or not filled.between(lowest, highest).all():
            raise _damaged(where, name, f"something else than {word}")
        return
    # SQLite's whole numbers beside empty values arrive as floats.
    if held not in ("integer", "floating", "mixed-integer-float") or not ((filled >= 0) & (filled < _LARGEST)).all():
        raise _damaged(where, name, "something else than a whole number from 0")
    if held != "integer" and not (filled == filled.round()).all():
        raise _damaged(where, name, "something else than a whole number")
    least = {"n": 1, "m": 1, "m_hi": 1, "failed_layer": 1, "layer": 1}.get(name, 0)
    most = 2**31 if name in ("n", "m", "m_lo", "m_hi", "m_found") else _LARGEST
    if not filled.between(least, most).all():
        raise _damaged(where, name, f"a number that is not from {least} to {most}")


def _damaged(where: object, column: str, what: str) -> InputError:
    return InputError(f"{where} is damaged: its column {column} holds {what}; {_REMEDY}")
