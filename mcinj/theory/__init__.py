"""Bounds on the width ratio at which Gaussian ReLU networks become injective, computed from their equations.

Stands alone: imports nothing of mcinj but its errors and files. Public names load on first use, so that
importing this package costs nothing.
"""

from __future__ import annotations

from mcinj.theory.bounds import Bound
from mcinj.theory.closed_form import euler_characteristic, first_moment, plain_rdt
from mcinj.theory.counting import cells, expected_cells, expected_euler, union_bound
from mcinj.theory.tables import table

__all__ = [
    "Bound",
    "cells",
    "euler_characteristic",
    "expected_cells",
    "expected_euler",
    "first_moment",
    "plain_rdt",
    "table",
    "union_bound",
]
