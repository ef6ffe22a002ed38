"""mcinj: a Monte Carlo verifier of injectivity of ReLU networks.

It draws Gaussian weight stacks, decides exactly whether each network is injective, finds the width ratio at which
random networks become injective, and holds that against the published bounds. See `mcinj --help` and the README.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mcinj._version import __version__

# What the library has to say goes to the logger "mcinj" and those below it; who wants to hear it adds a handler.
logging.getLogger(__name__).addHandler(logging.NullHandler())

if TYPE_CHECKING:
    from mcinj import constructions, plot, theory
    from mcinj.certify.witness import Witness
    from mcinj.decide.check import check
    from mcinj.decide.verdict import Certified, Criterion, Engine, Outcome, Verdict
    from mcinj.errors import InputError
    from mcinj.experiment.driver import run
    from mcinj.experiment.trial import Threshold, threshold
    from mcinj.inverse.coverage import Coverage, coverage
    from mcinj.inverse.farthest import Farthest, farthest
    from mcinj.inverse.invert import Inversion, invert
    from mcinj.networks import Ensemble, Network, RowStream, Seed, read_npz, register_ensemble, sample, write_npz
    from mcinj.networks.readers import read_network
    from mcinj.quantify.margin import Margin, margin
    from mcinj.quantify.stability import stability
    from mcinj.quantify.stability_value import Stability
    from mcinj.results import Results, load
    from mcinj.show.report import report

# Public names and where they live. They are imported when first used: `import mcinj` itself takes milliseconds.
_HOMES = {
    "Certified": "mcinj.decide.verdict",
    "Coverage": "mcinj.inverse.coverage",
    "Criterion": "mcinj.decide.verdict",
    "Engine": "mcinj.decide.verdict",
    "Ensemble": "mcinj.networks",
    "Farthest": "mcinj.inverse.farthest",
    "InputError": "mcinj.errors",
    "Inversion": "mcinj.inverse.invert",
    "Margin": "mcinj.quantify.margin",
    "Network": "mcinj.networks",
    "Outcome": "mcinj.decide.verdict",
    "Results": "mcinj.results",
    "RowStream": "mcinj.networks",
    "Seed": "mcinj.networks",
    "Stability": "mcinj.quantify.stability_value",
    "Threshold": "mcinj.experiment.trial",
    "Verdict": "mcinj.decide.verdict",
    "Witness": "mcinj.certify.witness",
    "check": "mcinj.decide.check",
    "constructions": "mcinj",
    "coverage": "mcinj.inverse.coverage",
    "farthest": "mcinj.inverse.farthest",
    "invert": "mcinj.inverse.invert",
    "load": "mcinj.results",
    "plot": "mcinj",
    "margin": "mcinj.quantify.margin",
    "read_network": "mcinj.networks.readers",
    "read_npz": "mcinj.networks",
    "register_ensemble": "mcinj.networks",
    "report": "mcinj.show.report",
    "run": "mcinj.experiment.driver",
    "sample": "mcinj.networks",
    "stability": "mcinj.quantify.stability",
    "theory": "mcinj",
    "threshold": "mcinj.experiment.trial",
    "write_npz": "mcinj.networks",
}

__all__ = [
    "Certified",
    "Coverage",
    "Criterion",
    "Engine",
    "Ensemble",
    "Farthest",
    "InputError",
    "Inversion",
    "Margin",
    "Network",
    "Outcome",
    "Results",
    "RowStream",
    "Seed",
    "Stability",
    "Threshold",
    "Verdict",
    "Witness",
    "__version__",
    "check",
    "constructions",
    "coverage",
    "farthest",
    "invert",
    "load",
    "margin",
    "plot",
    "read_network",
    "read_npz",
    "register_ensemble",
    "report",
    "run",
    "sample",
    "stability",
    "theory",
    "threshold",
    "write_npz",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mcinj' has no attribute {name!r}")
    value = import_module(f"mcinj.{name}") if home == "mcinj" else getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
