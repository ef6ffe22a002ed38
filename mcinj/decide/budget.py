"""Node budgets: machine-independent limits of a search."""

from __future__ import annotations

import numpy as np

from mcinj.errors import InputError

UNLIMITED = 2**62


def whole(name: str, value: object, least: int) -> int:
    """A whole number of at least `least`; `InputError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(f"{name} must be a whole number >= {least}, got {value!r}")
    return int(value)


def budget_of(value: object) -> int | None:
    """A node budget, None for no limit; `InputError` for what is no budget."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0):
        raise InputError(f"node_budget must be a whole number >= 0 or None (no limit), got {value!r}")
    return None if value is None else int(value)


def limit_of(node_budget: int | None) -> int:
    """The most nodes to enter: the budget, or `UNLIMITED` for None; `InputError` for what is no budget."""
    budget = budget_of(node_budget)
    return UNLIMITED if budget is None else budget
