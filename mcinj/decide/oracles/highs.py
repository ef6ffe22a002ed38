"""HiGHS models as the oracles use them: silent, one thread, tight tolerances, a second try when one run stalls."""

from __future__ import annotations

import functools
import importlib
import os
from contextlib import suppress
from typing import Any

TOLERANCES = (1e-10, 1e-9, 1e-8)


class SolverError(RuntimeError):
    """HiGHS gave no answer to a feasible, bounded program."""


@functools.cache
def _greeted() -> None:
    """Make a first model with the standard output closed.

    HiGHS 1.16 prints its version there when the first model is made, before it can be told to be silent, for instance
    into the JSON of `mcinj check --json`.
    """
    highspy: Any = importlib.import_module("highspy")
    with suppress(OSError):  # no standard output: nothing to be kept clean
        kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 1)
            highspy.Highs()
        finally:
            os.dup2(kept, 1)
            os.close(kept)
            os.close(nowhere)


def silent_model() -> tuple[Any, Any]:
    """The module `highspy` and an empty model."""
    highspy: Any = importlib.import_module("highspy")
    _greeted()
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("threads", 1)
    model.setOptionValue("mip_feasibility_tolerance", TOLERANCES[0])
    _set_tolerance(model, TOLERANCES[0])
    return highspy, model


def solve_lp(highspy: Any, model: Any) -> Any:
    """Solution of a feasible, bounded LP.

    A warm start at the tightest tolerance can end undecided; the basis is then thrown away, and after that the
    tolerance is relaxed step by step. Raises `SolverError` if nothing helps.
    """
    model.run()
    if model.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        try:
            for tolerance in TOLERANCES:
                _set_tolerance(model, tolerance)
                model.clearSolver()
                model.run()
                if model.getModelStatus() == highspy.HighsModelStatus.kOptimal:
                    break
            else:
                raise SolverError(f"HiGHS ended with {model.getModelStatus()} on a feasible, bounded LP")
        finally:
            _set_tolerance(model, TOLERANCES[0])
    return model.getSolution()


def _set_tolerance(model: Any, value: float) -> None:
    model.setOptionValue("primal_feasibility_tolerance", value)
    model.setOptionValue("dual_feasibility_tolerance", value)
