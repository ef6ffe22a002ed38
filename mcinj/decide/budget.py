"""Node budgets: machine-independent limits of a search."""

from __future__ import annotations

from mcinj.errors import InputError

UNLIMITED = 2**62


def limit_of(node_budget: int | None) -> int:
    """The most nodes to enter: the budget, or `UNLIMITED` for None; `InputError` for a negative budget."""
    if node_budget is None:
        return UNLIMITED
    if node_budget < 0:
        raise InputError(f"node_budget is {node_budget}; give a number of nodes >= 0, or None for no limit")
    return node_budget
