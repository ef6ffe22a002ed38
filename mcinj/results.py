"""Results of an experiment as data frames."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mcinj.errors import InputError

if TYPE_CHECKING:
    import pandas

    from mcinj.infer import Extrapolation, Family, MeanExtrapolation, SeriesKey

__all__ = ["Results", "load"]


@dataclass(frozen=True, eq=False)
class Results:
    """What an experiment gave. Tables are made when first asked for.

    Attributes
    ----------
    directory, name, kind
        Where it is, the experiment's name, and what was drawn: threshold, stacks, probe, searched,
        searched_deep, searched_global, active, margin, searched_margin or cells.
    trials
        One row per trial (`mcinj.experiment.store` names the columns of each kind). Of series with a stopping rule the
        trials up to the stop.
    meta
        Name, seed, description and plan as the record holds them.
    rules
        Stopping rules of the series that had one.
    """

    directory: Path
    name: str
    kind: str
    trials: pandas.DataFrame = field(repr=False)
    meta: Mapping[str, str] = field(repr=False)
    rules: Mapping[SeriesKey, str] = field(repr=False)

    @cached_property
    def summary(self) -> pandas.DataFrame:
        """One row per series: what `summary.csv` of a report holds, ratios in units of m/n."""
        if self.kind == "threshold":
            from mcinj.infer import summarise

            return summarise(self.trials, rules=self.rules)
        if self.kind == "stacks":
            from mcinj.show.stacks import stacks_summary

            return stacks_summary(self.trials)
        if self.kind == "probe":
            from mcinj.show.probe import probe_summary

            return probe_summary(self.trials)
        if self.kind == "searched":
            from mcinj.show.searched import searched_summary

            return searched_summary(self.trials)
        if self.kind in ("searched_deep", "searched_global"):
            from mcinj.show.searched_deep import searched_deep_summary

            return searched_deep_summary(self.trials)
        if self.kind == "active":
            from mcinj.show.active import active_summary

            return active_summary(self.trials)
        if self.kind == "margin":
            from mcinj.show.margin import margin_summary

            return margin_summary(self.trials)
        if self.kind == "searched_margin":
            from mcinj.show.searched_margin import searched_margin_summary

            return searched_margin_summary(self.trials)
        from mcinj.show.cells import cells_summary

        return cells_summary(self.trials)

    @cached_property
    def comparison(self) -> pandas.DataFrame:
        """Data against theory, one row per family, basis and bound; without rows for other kinds than thresholds."""
        import pandas

        from mcinj.show.comparison import COLUMNS, comparison_rows, examine

        rows = [comparison_rows(examine(family, self._levels)) for family in self.families]
        return pandas.concat(rows, ignore_index=True) if rows else pandas.DataFrame(columns=list(COLUMNS))

    @cached_property
    def families(self) -> list[Family]:
        """Series of one law, criterion and shape, at different n; empty for other kinds than thresholds."""
        from mcinj.infer import families

        return families(self.trials) if self.kind == "threshold" else []

    def limit(self, family: str | None = None) -> Extrapolation:
        """The extrapolated limit of one family, named as in `mcinj.plot`; `InputError` if it has too few sizes."""
        from mcinj.infer import extrapolate_family
        from mcinj.show.names import choose

        return extrapolate_family(choose(self.families, family), levels=self._levels)

    def limit_of_means(self, family: str | None = None) -> MeanExtrapolation:
        """Version 2 of the limit, from means, under each assumption; `InputError` if the family has too few sizes."""
        from mcinj.infer import extrapolate_family_means
        from mcinj.show.names import choose

        return extrapolate_family_means(choose(self.families, family), levels=self._levels)

    @property
    def _levels(self) -> dict[SeriesKey, float]:
        from mcinj.show.rules import look_levels

        return look_levels(self.rules)


def load(directory: str | os.PathLike[str]) -> Results:
    """Results that `mcinj.run` left in a directory, also of an experiment that is still running.

    Raises `InputError` where there is no record of an experiment, or no finished trial.

    >>> import mcinj
    >>> results = mcinj.load("results/quickstart")
    >>> results.kind, len(results.trials)
    ('threshold', 12000)
    >>> results.summary[["n", "trials", "median"]].round(2).head(2).values.tolist()
    [[2.0, 3000.0, 3.62], [3.0, 3000.0, 4.41]]
    """
    from mcinj.experiment.store import read_table
    from mcinj.show.rules import recorded_rules, stopped_table

    source = Path(directory)
    table, meta = read_table(source)
    if not len(table):
        raise InputError(f"{source} holds no finished trial yet; run the experiment first")
    kind = meta["kind"]
    rules = recorded_rules(meta) if kind == "threshold" else {}
    if rules:
        table = stopped_table(table, rules)
    return Results(source, meta.get("name", source.name), kind, table, meta, rules)
