"""The columns of each kind of table, in their order: what the record, the parquet file and every reader agree on."""

from __future__ import annotations

from collections.abc import Mapping

FORMAT = 1

# Column, SQL type, pandas type, whether it is part of the row's key. The order is the table's.
Column = tuple[str, str, str, bool]
THRESHOLD_COLUMNS: tuple[Column, ...] = (
    ("n", "INTEGER", "int64", True),
    ("widths_before", "TEXT", "str", True),
    ("criterion", "TEXT", "str", True),
    ("ensemble", "TEXT", "str", True),
    ("trial", "INTEGER", "int64", True),
    ("seed", "TEXT", "str", False),
    ("m_lo", "INTEGER", "Int64", False),
    ("m_hi", "INTEGER", "Int64", False),
    ("failed_layer", "INTEGER", "Int64", False),
    ("node_budget", "INTEGER", "Int64", False),
    ("nodes", "INTEGER", "int64", False),
    ("seconds", "REAL", "float64", False),
    ("certified", "TEXT", "str", False),
    ("engine", "TEXT", "str", False),
    ("version", "TEXT", "str", False),
)
STACK_COLUMNS: tuple[Column, ...] = (
    ("n", "INTEGER", "int64", True),
    ("widths", "TEXT", "str", True),
    ("ensemble", "TEXT", "str", True),
    ("trial", "INTEGER", "int64", True),
    ("criterion", "TEXT", "str", True),
    ("engine", "TEXT", "str", True),
    ("seed", "TEXT", "str", False),
    ("node_budget", "INTEGER", "Int64", False),
    ("verdict", "TEXT", "str", False),
    ("layer", "INTEGER", "Int64", False),
    ("certified", "TEXT", "str", False),
    ("x", "TEXT", "str", False),
    ("x_prime", "TEXT", "str", False),
    ("active_x", "TEXT", "str", False),
    ("active_x_prime", "TEXT", "str", False),
    ("regions", "INTEGER", "Int64", False),
    ("min_active", "TEXT", "str", False),
    ("enumeration", "TEXT", "str", False),
    ("nodes", "INTEGER", "int64", False),
    ("seconds", "REAL", "float64", False),
    ("version", "TEXT", "str", False),
)
PROBE_COLUMNS: tuple[Column, ...] = (
    ("n", "INTEGER", "int64", True),
    ("ensemble", "TEXT", "str", True),
    ("moves", "INTEGER", "int64", True),
    ("trial", "INTEGER", "int64", True),
    ("seed", "TEXT", "str", False),
    ("m_found", "INTEGER", "int64", False),
    ("seconds", "REAL", "float64", False),
    ("version", "TEXT", "str", False),
)
SEARCHED_COLUMNS: tuple[Column, ...] = (
    ("n", "INTEGER", "int64", True),
    ("ensemble", "TEXT", "str", True),
    ("moves", "INTEGER", "int64", True),
    ("trial", "INTEGER", "int64", True),
    ("run", "INTEGER", "int64", True),
    ("seed", "TEXT", "str", False),
    ("m_found", "INTEGER", "int64", False),
    ("seconds", "REAL", "float64", False),
    ("version", "TEXT", "str", False),
)
SEARCHED_DEEP_COLUMNS: tuple[Column, ...] = (
    ("n", "INTEGER", "int64", True),
    ("widths_before", "TEXT", "str", True),
    ("ensemble", "TEXT", "str", True),
    ("moves", "INTEGER", "int64", True),
    ("trial", "INTEGER", "int64", True),
    ("run", "INTEGER", "int64", True),
    ("seed", "TEXT", "str", False),
    ("m_found", "INTEGER", "Int64", False),
    ("failed_layer", "INTEGER", "Int64", False),
    ("seconds", "REAL", "float64", False),
    ("version", "TEXT", "str", False),
)
SEARCHED_GLOBAL_COLUMNS: tuple[Column, ...] = (
    *SEARCHED_DEEP_COLUMNS[:-2],
    ("equal", "INTEGER", "int64", False),
    ("crossed", "INTEGER", "int64", False),
    *SEARCHED_DEEP_COLUMNS[-2:],
)
ACTIVE_COLUMNS: tuple[Column, ...] = (
    ("n", "INTEGER", "int64", True),
    ("ensemble", "TEXT", "str", True),
    ("m", "INTEGER", "int64", True),
    ("trial", "INTEGER", "int64", True),
    ("seed", "TEXT", "str", False),
    ("active_lo", "INTEGER", "int64", False),
    ("active_hi", "INTEGER", "Int64", False),
    ("node_budget", "INTEGER", "Int64", False),
    ("nodes", "INTEGER", "int64", False),
    ("seconds", "REAL", "float64", False),
    ("version", "TEXT", "str", False),
)
MARGIN_COLUMNS: tuple[Column, ...] = (
    ("n", "INTEGER", "int64", True),
    ("ensemble", "TEXT", "str", True),
    ("m", "INTEGER", "int64", True),
    ("trial", "INTEGER", "int64", True),
    ("seed", "TEXT", "str", False),
    ("margin_lo", "REAL", "float64", False),
    ("margin_hi", "REAL", "float64", False),
    ("complete", "INTEGER", "int64", False),
    ("tolerance", "REAL", "float64", False),
    ("node_budget", "INTEGER", "Int64", False),
    ("nodes", "INTEGER", "int64", False),
    ("seconds", "REAL", "float64", False),
    ("version", "TEXT", "str", False),
)
SEARCHED_MARGIN_COLUMNS: tuple[Column, ...] = (
    ("n", "INTEGER", "int64", True),
    ("ensemble", "TEXT", "str", True),
    ("moves", "INTEGER", "int64", True),
    ("m", "INTEGER", "int64", True),
    ("trial", "INTEGER", "int64", True),
    ("run", "INTEGER", "int64", True),
    ("seed", "TEXT", "str", False),
    ("margin_hi", "REAL", "float64", False),
    ("seconds", "REAL", "float64", False),
    ("version", "TEXT", "str", False),
)
CELL_COLUMNS: tuple[Column, ...] = (
    ("n", "INTEGER", "int64", True),
    ("ensemble", "TEXT", "str", True),
    ("m", "INTEGER", "int64", True),
    ("j", "INTEGER", "int64", True),
    ("trial", "INTEGER", "int64", True),
    ("seed", "TEXT", "str", False),
    ("cells", "INTEGER", "int64", False),
    ("nodes", "INTEGER", "int64", False),
    ("exact", "INTEGER", "int64", False),
    ("seconds", "REAL", "float64", False),
    ("version", "TEXT", "str", False),
)
COLUMNS: Mapping[str, tuple[Column, ...]] = {
    "threshold": THRESHOLD_COLUMNS,
    "stacks": STACK_COLUMNS,
    "probe": PROBE_COLUMNS,
    "searched": SEARCHED_COLUMNS,
    "searched_deep": SEARCHED_DEEP_COLUMNS,
    "searched_global": SEARCHED_GLOBAL_COLUMNS,
    "active": ACTIVE_COLUMNS,
    "margin": MARGIN_COLUMNS,
    "searched_margin": SEARCHED_MARGIN_COLUMNS,
    "cells": CELL_COLUMNS,
}

# What names a series or a set of trials, by kind of experiment: the columns of a plan's keys.
GROUP_KEYS: Mapping[str, tuple[str, ...]] = {
    "threshold": ("n", "widths_before", "criterion", "ensemble"),
    "stacks": ("n", "widths", "ensemble"),
    "probe": ("n", "ensemble", "moves"),
    "searched": ("n", "ensemble", "moves"),
    "searched_deep": ("n", "widths_before", "ensemble", "moves"),
    "searched_global": ("n", "widths_before", "ensemble", "moves"),
    "active": ("n", "ensemble"),
    "margin": ("n", "ensemble"),
    "searched_margin": ("n", "ensemble", "moves"),
    "cells": ("n", "ensemble"),
}

# Kinds that search and prove nothing of what they do not find: no nodes, no row that says UNKNOWN.
SEARCHES = ("probe", "searched", "searched_deep", "searched_global", "searched_margin")
