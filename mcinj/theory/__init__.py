"""Bounds on the width ratio at which Gaussian ReLU networks become injective, computed from their equations.

Stands alone: imports nothing of mcinj but its errors and files. Functions load on first use, so that
importing the package costs nothing. Derivations and assumptions: docs/theory.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcinj.theory.bounds import Bound
    from mcinj.theory.closed_form import euler_characteristic, first_moment, plain_rdt
    from mcinj.theory.counting import cells, expected_cells, expected_euler, union_bound
    from mcinj.theory.deep import deep_chain, deep_plain, deep_plain_unit
    from mcinj.theory.enclosure import enclosed
    from mcinj.theory.enclosure_deep import deep_plain_enclosed
    from mcinj.theory.ground_state import GroundStateCurve, ground_state_curve
    from mcinj.theory.lifted import partially_lifted
    from mcinj.theory.lifted_deep import deep_lifted, two_layer_lifted_unit
    from mcinj.theory.rsb import full_rsb, k_rsb, one_rsb, two_rsb
    from mcinj.theory.tables import field_table, table
    from mcinj.theory.wide import plain_rdt_behind_wide

__all__ = [
    "Bound",
    "GroundStateCurve",
    "cells",
    "deep_chain",
    "deep_lifted",
    "deep_plain",
    "deep_plain_enclosed",
    "deep_plain_unit",
    "enclosed",
    "euler_characteristic",
    "expected_cells",
    "expected_euler",
    "field_table",
    "first_moment",
    "full_rsb",
    "ground_state_curve",
    "k_rsb",
    "one_rsb",
    "partially_lifted",
    "plain_rdt",
    "plain_rdt_behind_wide",
    "table",
    "two_layer_lifted_unit",
    "two_rsb",
    "union_bound",
]

_HOME = {
    "Bound": "bounds",
    "euler_characteristic": "closed_form",
    "first_moment": "closed_form",
    "plain_rdt": "closed_form",
    "cells": "counting",
    "expected_cells": "counting",
    "expected_euler": "counting",
    "union_bound": "counting",
    "deep_chain": "deep",
    "deep_plain": "deep",
    "deep_plain_unit": "deep",
    "enclosed": "enclosure",
    "deep_plain_enclosed": "enclosure_deep",
    "GroundStateCurve": "ground_state",
    "ground_state_curve": "ground_state",
    "partially_lifted": "lifted",
    "deep_lifted": "lifted_deep",
    "two_layer_lifted_unit": "lifted_deep",
    "full_rsb": "rsb",
    "k_rsb": "rsb",
    "one_rsb": "rsb",
    "two_rsb": "rsb",
    "field_table": "tables",
    "plain_rdt_behind_wide": "wide",
    "table": "tables",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value  # found without this function from now on
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
