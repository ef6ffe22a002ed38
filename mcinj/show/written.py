"""What a report has written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class Report:
    """Where everything was written, and the comparison with the bounds (empty for fixed stacks)."""

    page: Path
    figures: tuple[Path, ...]
    tables: tuple[Path, ...]
    comparison: pandas.DataFrame
