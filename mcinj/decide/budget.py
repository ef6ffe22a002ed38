"""Node budgets: machine-independent limits of a search."""

from __future__ import annotations

import numpy as np

from mcinj.errors import InputError

UNLIMITED = 2**62


def limit_of(node_budget: int | None) -> int:
    """The most nodes to enter: the budget, or `UNLIMITED` for None; `InputError` for what is no budget."""
    if node_budget is None:
        return UNLIMITED
    if isinstance(node_budget, bool) or not isinstance(node_budget, (int, np.integer)) or node_budget < 0:
        raise InputError(f"node_budget must be a whole number >= 0 or None (no limit), got {node_budget!r}")
    return int(node_budget)
