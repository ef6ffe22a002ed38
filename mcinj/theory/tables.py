"""One table of all bounds for networks of up to a given depth."""

from __future__ import annotations

from mcinj.theory.arguments import whole
from mcinj.theory.bounds import Bound
from mcinj.theory.closed_form import euler_characteristic, first_moment, plain_rdt
from mcinj.theory.published import published

__all__ = ["table"]


def table(layers: int = 1) -> list[Bound]:
    """All values for networks of 1 … `layers` layers, by depth, computed rows before published ones.

    Raises `InputError` unless `layers` is a whole number between 1 and 8.

    >>> [row.name for row in table(1)][0]
    'first moment (union bound)'
    """
    layers = whole("layers", layers, 1, 8)
    rows = [first_moment(), euler_characteristic(), plain_rdt()]
    for depth in range(1, layers + 1):
        rows += published(depth)
    return rows
