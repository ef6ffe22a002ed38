"""Parts of a table by the values of some of its columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas


def groups_by(table: pandas.DataFrame, *columns: str) -> list[tuple[Any, pandas.DataFrame]]:
    """Parts of a table by the values of some columns, sorted by them."""
    return [(key, part) for key, part in table.groupby(list(columns), sort=True)]


def size_name(n: int, ensemble: str) -> str:
    """What a series of searches is called in a legend."""
    from mcinj.show.names import law_name

    return f"n = {n}" + ("" if ensemble == "gaussian" else f", {law_name(ensemble)}")
