"""Weights, ensembles, seeds, activation patterns, exact forward pass, readers."""

from mcinj.networks.ensembles import Ensemble, RowStream, sample, widths_from_expansions
from mcinj.networks.laws import ENSEMBLES, register_ensemble
from mcinj.networks.network import Network, Premise
from mcinj.networks.npz import read_npz, write_npz
from mcinj.networks.seeds import Seed

__all__ = [
    "ENSEMBLES",
    "Ensemble",
    "Network",
    "Premise",
    "RowStream",
    "Seed",
    "read_npz",
    "register_ensemble",
    "sample",
    "widths_from_expansions",
    "write_npz",
]
